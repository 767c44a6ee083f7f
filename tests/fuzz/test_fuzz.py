"""Every target on the corpus and on new inputs for a while; and the fuzzer, on targets with a fault."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from pytest_cobbler.display import one_line
from tests.fuzz import corpus
from tests.fuzz.changing import changed, reduced
from tests.fuzz.corpus import CORPUS, LARGEST, MOST_FILES, chosen, load, read, replace, write
from tests.fuzz.fuzzer import Finding, Fuzzing, generated, seconds
from tests.fuzz.target import Target, TooManySteps, encode, execute, to_bytes, to_text
from tests.fuzz.targets import TARGETS
from tests.support import markers

SECONDS = 30.0
A_FEW = 8

each_target = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)


def check(target: Target, finding: Finding | None) -> None:
    if finding is not None:
        path = corpus.write(corpus.FOUND / target.name, finding.data)
        again = f"To repeat it: python -m tests.fuzz {target.name} {path}"
        pytest.fail(f"{finding.why}\n{encode(finding.data)}\n{again}", pytrace=False)


def fuzzing(target: Target) -> Fuzzing:
    return Fuzzing(target, list(load(target.name).values()), random.Random(markers.seed()).getrandbits(32))


@pytest.mark.slow
@pytest.mark.every_run
@each_target
def test_the_corpus_and_a_few_inputs(target: Target) -> None:
    check(target, fuzzing(target).until(lambda: True))
    for data in generated(target, random.Random(markers.seed()).getrandbits(32), A_FEW):
        try:
            execute(target, data)
        except Exception as error:
            check(target, Finding(data, repr(error)))


@pytest.mark.slow
@pytest.mark.every_run
@each_target
def test_new_inputs_for_half_a_minute(target: Target) -> None:
    check(target, fuzzing(target).until(seconds(SECONDS)))


def test_the_corpus_is_small_and_readable() -> None:
    files = list(CORPUS.rglob("*.json"))
    assert {path.parent.name for path in files} == set(TARGETS)
    assert sum(path.stat().st_size for path in files) < 500_000
    for path in files:
        data = read(path)
        assert path.read_text("ascii") == encode(data)
        assert write(path.parent, data) == path


# The fuzzer


def target_of(run: Callable[[Any], None]) -> Target:
    return Target(
        name="faulty",
        inputs=st.fixed_dictionaries({"text": st.text(max_size=5), "list": st.lists(st.integers(0, 3))}),
        run=run,
        words=("needle",),
        steps=(500, 10),
    )


def has_needle(data: Any) -> None:
    assert not isinstance(data, dict) or "needle" not in str(data.get("text"))


@pytest.mark.slow
def test_a_fault_is_found_and_its_input_is_made_smaller() -> None:
    finding = Fuzzing(target_of(has_needle), [], number=1).until(seconds(60))
    assert finding is not None
    assert finding.data == {"text": "needle"}
    assert "AssertionError" in finding.why


def test_an_input_that_takes_too_many_steps_is_a_finding() -> None:
    def many(data: Any) -> None:
        for _ in range(100):
            one_line("\x1b" if data else "")

    execute(target_of(many), {})
    with pytest.raises(TooManySteps):
        execute(target_of(many), {"text": ""})


def test_inputs_that_reach_new_lines_are_kept() -> None:
    def show(data: Any) -> None:
        one_line(str(data))

    fuzzing = Fuzzing(target_of(show), ["a", "\x1b"], number=1)
    assert fuzzing.until(lambda: True) is None
    assert list(map(json.loads, fuzzing.reached)) == ["a", "\x1b"]


def test_the_same_seed_makes_the_same_inputs() -> None:
    target = TARGETS["answers"]
    assert generated(target, 7) == generated(target, 7) != generated(target, 8)
    data = {"a": [1, "text", {"b": None}], "c": 0.5}
    made = [[changed(data, [[1, 2]], ("w",), random.Random(number)) for number in range(50)] for _ in "12"]
    assert made[0] == made[1]
    assert data == {"a": [1, "text", {"b": None}], "c": 0.5}


def test_an_input_is_made_smaller_as_long_as_it_has_a_property() -> None:
    data = {"x": [1, 2, {"deep": "abcdefgh"}], "y": "z"}
    assert reduced(data, lambda smaller: "d" in str(smaller.get("x")), 1000) == {"x": [{"deep": ""}]}
    assert reduced(data, lambda _: True, 0) == data


def test_a_few_inputs_that_reach_everything_are_chosen() -> None:
    one, other = ("m", 0, 1), ("m", 1, 2)
    reached = {"[]": {one}, "[1]": {one, other}, "[2, 2]": {other}, "x" * (LARGEST + 1): {("m", 8, 9)}}
    assert chosen(reached) == ["[1]"]
    assert len(chosen({str(number): {("m", 0, number)} for number in range(500)})) == MOST_FILES


def test_a_corpus_is_replaced(tmp_path: Path) -> None:
    replace("t", [1, {"a": "\udcff"}], tmp_path)
    assert sorted(map(str, load("t", tmp_path).values())) == ["1", "{'a': '\\udcff'}"]
    replace("t", [2], tmp_path)
    assert list(load("t", tmp_path).values()) == [2]


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", "é\u2028".encode()])
def test_bytes_are_written_as_text(data: bytes) -> None:
    assert to_bytes(to_text(data)) == data
    assert to_bytes("\ud800") == b"\xed\xa0\x80"
