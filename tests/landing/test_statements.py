"""A statement says what landed and what the gate found, in a form that other tools read."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cobbler.landing.statements import (
    ENVELOPE,
    LARGEST,
    MOST_TESTS,
    PREDICATE,
    TYPE,
    UNTESTED,
    StatedGate,
    StatementError,
    Work,
    envelope,
    make_statement,
    read_statement,
    results_of,
    to_sign,
)
from pytest_cobbler.landing.tree_records import CaseResult, Counts, TestRun, TreeRecord
from tests.support.stated import COMMIT, CONDITIONS, RECORD, TIP, WORK


def statement(record: TreeRecord | None = RECORD, work: Work = WORK) -> bytes:
    finished = datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC)
    tree = record.tree if record else "3" * 40
    return make_statement(work, commit=COMMIT, tree=tree, tip=TIP, record=record, finished=finished)


def test_a_statement_is_in_toto_with_provenance_of_slsa() -> None:
    document = json.loads(statement())
    assert document["_type"] == TYPE == "https://in-toto.io/Statement/v1"
    assert document["predicateType"] == PREDICATE == "https://slsa.dev/provenance/v1"
    assert [subject["digest"] for subject in document["subject"]] == [
        {"gitCommit": COMMIT},
        {"gitTree": RECORD.tree},
    ]
    build, details = document["predicate"]["buildDefinition"], document["predicate"]["runDetails"]
    assert set(build) == {"buildType", "externalParameters", "internalParameters", "resolvedDependencies"}
    digests = {one["name"]: one["digest"] for one in build["resolvedDependencies"]}
    assert digests == {
        "base": {"gitCommit": WORK.base},
        "tip": {"gitCommit": TIP},
        "gate": {"sha256": StatedGate.of(CONDITIONS).digest},
        "image of the gate": {"sha256": "1" * 64},
        "prompt": {"sha256": WORK.prompt},
    }
    assert details["builder"]["version"] == {"pytest-cobbler": "1.2.3"}
    assert details["metadata"] == {
        "invocationId": "0badcafe",
        "startedOn": "2026-01-02T03:04:05Z",
        "finishedOn": "2026-01-02T03:04:06Z",
    }
    gate, by = details["byproducts"]
    assert gate["annotations"]["verdict"] == "passed"
    assert gate["annotations"]["tests"] == "2 passed, 1 skipped"
    assert by["annotations"] == {"identity": WORK.by}


def test_a_statement_names_the_node_of_an_agent_that_worked_on_one() -> None:
    def parameters(work: Work) -> dict[str, object]:
        stated = json.loads(statement(work=work))["predicate"]["buildDefinition"]["internalParameters"]
        return {name: value for name, value in stated.items() if name != "gate"}

    assert parameters(WORK) == {"agent": WORK.agent, "attempt": 2}
    assert parameters(replace(WORK, node="n1")) == {"agent": WORK.agent, "attempt": 2, "node": "n1"}


@pytest.mark.parametrize("signed", [False, True])
def test_what_is_written_is_read(signed: bool) -> None:
    found = read_statement(envelope(statement(), b"\0\1") if signed else statement())
    assert (found.commit, found.tree, found.tip, found.base) == (COMMIT, RECORD.tree, TIP, WORK.base)
    assert found.gate == StatedGate.of(CONDITIONS)
    assert found.gate_digest == found.gate.digest
    assert found.version == "1.2.3"
    assert found.verdict == "passed"
    assert found.tests == Counts(passed=2, skipped=1)
    assert found.results == {
        "tests/test_a.py::test_a": "passed",
        "tests/test_a.py::test_b": "skipped",
        "tests/test_ä.py::test_c": "passed",
    }
    assert found.signed is signed


def test_a_gate_without_a_report_is_stated_as_unknown() -> None:
    content = statement(replace(RECORD, tests=None))
    found = read_statement(content)
    assert (found.tests, found.results) == (None, None)
    assert b'"what ran is unknown"' in content


@pytest.mark.parametrize(("count", "length"), [(MOST_TESTS + 1, 1), (9000, 200)])
def test_of_very_many_tests_only_the_sums_are_stated(count: int, length: int) -> None:
    results = [CaseResult(id=f"{n}{'x' * length}", passed=1) for n in range(count)]
    content = statement(replace(RECORD, tests=TestRun.of(results)))
    found = read_statement(content)
    assert (found.tests, found.results) == (Counts(passed=count), None)
    assert len(content) < LARGEST / 2


def test_without_a_gate_the_commit_is_stated_as_not_tested() -> None:
    found = read_statement(statement(None))
    assert (found.commit, found.tree, found.verdict) == (COMMIT, "3" * 40, UNTESTED)
    assert (found.gate, found.tests) == (StatedGate(), None)


def test_a_repeated_test_has_its_best_result() -> None:
    results = [
        CaseResult(id="a", passed=1, failed=2),
        CaseResult(id="b", failed=1, skipped=1),
        CaseResult(id="c", xfailed=1),
        CaseResult(id="d", skipped=1),
    ]
    words = {"a": "passed", "b": "failed", "c": "xfailed", "d": "skipped"}
    assert results_of(TestRun.of(results)) == words


def test_no_value_of_a_variable_is_stated_not_even_as_a_digest() -> None:
    secret = replace(RECORD, conditions=replace(CONDITIONS, environment={"A": "a" * 64}))
    other = replace(RECORD, conditions=replace(CONDITIONS, environment={"A": "b" * 64}))
    assert statement(secret) == statement(other)
    assert b'"variables": [\n      "A"' in statement(secret)


def test_a_long_script_is_stated_by_its_digest() -> None:
    script = "x" * 1001
    gate = StatedGate.of(replace(CONDITIONS, commands=(("sh", "-c", script), ("sh", "-c", "x" * 1000))))
    digest = hashlib.sha256(script.encode()).hexdigest()
    assert gate.commands == (("sh", "-c", f"sha256:{digest}"), ("sh", "-c", "x" * 1000))


def test_the_signed_bytes_are_those_of_dsse() -> None:
    assert to_sign(b"{}") == b"DSSEv1 28 application/vnd.in-toto+json 2 {}"
    document = json.loads(envelope(b"{}", b"\xff"))
    assert document == {"payloadType": ENVELOPE, "payload": "e30=", "signatures": [{"sig": "/w=="}]}


def damaged() -> dict[str, bytes]:
    whole = json.loads(statement())

    def without(*path: str) -> bytes:
        document: Any = json.loads(json.dumps(whole))
        place = document
        for name in path[:-1]:
            place = place[name]
        del place[path[-1]]
        return json.dumps(document).encode()

    return {
        "empty": b"",
        "not JSON": b"landed",
        "a list": b"[]",
        "a number": b"1",
        "deep": b"[" * 100_000,
        "no subject": without("subject"),
        "no predicate": without("predicate"),
        "no gate": without("predicate", "buildDefinition", "internalParameters", "gate"),
        "no byproducts": without("predicate", "runDetails", "byproducts"),
        "another kind": json.dumps(whole | {"predicateType": "https://example.invalid/other"}).encode(),
        "a name as an id": statement().replace(COMMIT.encode(), b"HEAD"),
        "an option as an image": statement().replace(b'"image": "sha256:', b'"image": "--sha256:'),
        "too large": statement() + b" " * LARGEST,
        "a number as a digest": statement().replace(f'"{COMMIT}"'.encode(), b"1"),
        "a negative count": statement().replace(b'"passed": 2', b'"passed": -2'),
        "no base64": envelope(statement(), b"").replace(b'"payload": "', b'"payload": "*'),
    }


@pytest.mark.parametrize("content", damaged().values(), ids=damaged())
def test_a_damaged_note_is_an_error(content: bytes) -> None:
    with pytest.raises(StatementError):
        read_statement(content)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(["subject", "predicate", "_type", "predicateType"]), JSON)
def test_no_note_is_more_than_an_error(key: str, value: object) -> None:
    document = json.loads(statement()) | {key: value}
    try:
        read_statement(json.dumps(document).encode())
    except StatementError:
        return
    assert value == json.loads(statement())[key]
