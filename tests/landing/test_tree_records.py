"""The values of a tree's record, and the store."""

from __future__ import annotations

import os
import stat
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pytest_cobbler.causes import Ending
from pytest_cobbler.landing import tree_records
from pytest_cobbler.landing.tree_records import (
    CaseResult,
    Conditions,
    Counts,
    Failures,
    TestRun,
    TreeRecord,
    TreeRecords,
    digests,
    summary_of,
    verdict_of,
)

CONDITIONS = Conditions(
    commands=(("sh", "-c", "make"), ("pytest",)),
    environment=digests({"LANG": "C.UTF-8"}),
    image="sha256:1234",
    runtime="podman 5.4, crun 1.2",
    limits={"wall": 600.0, "memory": None},
)
RUN = TestRun(
    (
        CaseResult(id="a.py::T::b[1]", file="a.py", function="T::b", passed=1),
        CaseResult(id="a.py::T::b[2]", file="a.py", function="T::b", skipped=1),
        CaseResult(id="c.py::d", file="c.py", function="d", failed=1),
        CaseResult(id="x", passed=2, xfailed=1),
    )
)
RECORD = TreeRecord(
    tree="4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    conditions=CONDITIONS,
    verdict="failed",
    failed_step="test",
    seconds=1.5,
    made=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    tests=RUN,
)


@pytest.fixture
def store(tmp_path: Path) -> TreeRecords:
    return TreeRecords(tmp_path / "records")


class TestCounting:
    def test_counts_and_the_words_for_people(self) -> None:
        assert RUN.counts == Counts(passed=3, failed=1, skipped=1, xfailed=1)
        assert RUN.summary == "1 failed, 3 passed, 1 skipped, 1 xfailed"
        assert TestRun().summary == "no tests"
        assert summary_of(None) == "what ran is unknown"

    def test_each_file_has_its_own_counts(self) -> None:
        assert RUN.by_file == {
            "a.py": Counts(passed=1, skipped=1),
            "c.py": Counts(failed=1),
            "": Counts(passed=2, xfailed=1),
        }

    def test_a_function_ran_if_one_of_its_ids_passed_or_failed(self) -> None:
        assert RUN.functions_that_ran == {("a.py", "T::b"), ("c.py", "d"), ("", "")}
        skipped = TestRun((CaseResult(id="a", file="a.py", function="a", skipped=1),))
        assert not skipped.functions_that_ran

    def test_results_of_one_id_are_added_up(self) -> None:
        one, other = CaseResult(id="a", passed=1), CaseResult(id="a", file="a.py", function="a", failed=1)
        assert TestRun.of([one, other, one]).results == (
            CaseResult(id="a", file="a.py", function="a", passed=2, failed=1),
        )
        assert (TestRun((one,)) + TestRun((other,))).counts == Counts(passed=1, failed=1)

    def test_a_negative_count_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="negative"):
            Counts(passed=-1)

    @pytest.mark.parametrize(
        ("cause", "passed", "verdict"),
        [
            (Ending.EXITED, True, "passed"),
            (Ending.EXITED, False, "failed"),
            (Ending.TIMEOUT, False, "timeout"),
            (Ending.KILLED, False, "killed"),
        ],
    )
    def test_the_word_for_the_end_of_a_gate(self, cause: Ending, passed: bool, verdict: str) -> None:
        assert verdict_of(cause, passed=passed) == verdict


def test_no_name_of_a_test_makes_a_line_of_its_own() -> None:
    run = TestRun.of([CaseResult(id="t::a\n\x1b[2J= 9 passed =", failed=1)])
    failures = Failures.of("test", 1, run)
    assert failures is not None
    assert failures.summary == "t::a\\n\\x1b[2J= 9 passed ="


class TestConditions:
    def test_the_digest_does_not_depend_on_the_order_of_names(self) -> None:
        one = replace(CONDITIONS, environment={"A": "1", "B": "2"})
        assert one.digest == replace(CONDITIONS, environment={"B": "2", "A": "1"}).digest
        assert len(one.digest) == 64

    @pytest.mark.parametrize(
        "change",
        [
            {"commands": (("sh", "-c", "make"), ("pytest", "-x"))},
            {"commands": (("sh", "-c", "make", "pytest"),)},
            {"environment": digests({"LANG": "C"})},
            {"image": "sha256:1235"},
            {"runtime": "podman 5.4, runc 1.2"},
            {"arguments": ("--dns=none",)},
            {"limits": {"wall": 601.0, "memory": None}},
            {"network": "open"},
            {"report": "junit.xml"},
        ],
        ids=lambda change: next(iter(change)),
    )
    def test_every_condition_changes_the_digest(self, change: dict[str, object]) -> None:
        assert replace(CONDITIONS, **change).digest != CONDITIONS.digest  # type: ignore[arg-type]

    def test_a_reference_of_the_image_changes_nothing(self) -> None:
        pushed = replace(CONDITIONS, image_digests=("registry.example/box@sha256:1",))
        assert (pushed.digest, pushed) == (CONDITIONS.digest, CONDITIONS)
        assert pushed.as_json["image_digests"] == ["registry.example/box@sha256:1"]

    def test_values_of_variables_are_not_kept(self) -> None:
        conditions = replace(CONDITIONS, environment=digests({"TOKEN": "hunter2"}))
        assert "hunter2" not in str(conditions.as_json)
        assert "TOKEN" in conditions.as_json["environment"]


class TestStore:
    def test_a_record_is_found_by_tree_and_conditions(self, store: TreeRecords) -> None:
        assert store.find(RECORD.tree, CONDITIONS) is None
        store.keep(RECORD)
        assert store.find(RECORD.tree, CONDITIONS) == RECORD
        assert store.find("0" * 40, CONDITIONS) is None
        assert store.find(RECORD.tree, replace(CONDITIONS, image="sha256:5678")) is None

    def test_a_record_without_references_of_its_image_is_found(
        self, store: TreeRecords, tmp_path: Path
    ) -> None:
        store.keep(RECORD)
        [path] = (tmp_path / "records").glob("*.json")
        path.write_bytes(path.read_bytes().replace(b',"image_digests":[]', b""))
        assert b"image_digests" not in path.read_bytes()
        assert store.find(RECORD.tree, CONDITIONS) == RECORD

    def test_a_later_record_replaces_an_earlier_one(self, store: TreeRecords) -> None:
        later = replace(RECORD, verdict="passed", failed_step="", tests=None)
        store.keep(RECORD)
        store.keep(later)
        assert store.find(RECORD.tree, CONDITIONS) == later
        assert later.passed
        assert later.summary == "what ran is unknown"

    def test_other_users_cannot_read_it(self, store: TreeRecords, tmp_path: Path) -> None:
        (tmp_path / "records").mkdir(mode=0o755)
        store.keep(RECORD)
        modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "records").glob("*.json")}
        assert modes == {0o600}
        assert stat.S_IMODE((tmp_path / "records").stat().st_mode) == 0o700

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"tree": 1}', b"\xff\xfe"])
    def test_a_record_that_cannot_be_read_is_absent(
        self, store: TreeRecords, tmp_path: Path, content: bytes
    ) -> None:
        store.keep(RECORD)
        (path,) = (tmp_path / "records").glob("*.json")
        path.write_bytes(content)
        assert store.find(RECORD.tree, CONDITIONS) is None

    def test_a_record_of_another_tree_under_this_name_is_absent(
        self, store: TreeRecords, tmp_path: Path
    ) -> None:
        store.keep(RECORD)
        (path,) = (tmp_path / "records").glob("*.json")
        path.write_bytes(path.read_bytes().replace(RECORD.tree.encode(), b"0" * 40))
        assert store.find(RECORD.tree, CONDITIONS) is None

    def test_ids_may_be_any_text(self, store: TreeRecords) -> None:
        run = TestRun((CaseResult(id='tests/ü.py::t["\\]\n]', file="tests/ü.py", function="t", passed=1),))
        store.keep(replace(RECORD, tests=run))
        found = store.find(RECORD.tree, CONDITIONS)
        assert found
        assert found.tests == run

    def test_the_oldest_records_are_removed(
        self, store: TreeRecords, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tree_records, "MOST", 2)
        for number in range(4):
            store.keep(replace(RECORD, tree=str(number) * 40))
            for path in (tmp_path / "records").glob("*.json"):
                status = path.stat()
                os.utime(path, ns=(0, status.st_mtime_ns - 10**9))
        found = [number for number in range(4) if store.find(str(number) * 40, CONDITIONS)]
        assert found == [2, 3]

    def test_writers_exclude_each_other(self, store: TreeRecords) -> None:
        def keep(verdict: str) -> None:
            for _ in range(20):
                store.keep(replace(RECORD, verdict=verdict))

        writers = [threading.Thread(target=keep, args=(verdict,)) for verdict in ("passed", "failed")]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        found = store.find(RECORD.tree, CONDITIONS)
        assert found
        assert found.verdict in ("passed", "failed")
