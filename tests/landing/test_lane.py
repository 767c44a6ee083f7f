"""The lane lands a change on the tip exactly when the merged tree has passed the gate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.errors import SandboxError
from pytest_cobbler.landing.candidates import Candidate, Landing
from pytest_cobbler.landing.gate import Gate
from pytest_cobbler.landing.lane import LandingLane
from pytest_cobbler.landing.tree_records import TreeRecord, TreeRecords
from pytest_cobbler.languages import get
from pytest_cobbler.languages.base import Step
from pytest_cobbler.listeners import RunListener
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.checks import Policy
from pytest_cobbler.repository.landing import Merge
from pytest_cobbler.sandbox.base import Network
from tests.support.jobs import own_host
from tests.support.lanes import make_lane
from tests.support.repositories import UserRepository, commit_files, files_in

README, APP = "README.md", "src/app.py"


class Steps(RunListener):
    """Notes the steps of the lane, by name."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def merged(self, task_id: str, merge: Merge) -> None:
        self.names.append(f"merged {task_id} {len(merge.conflicts)}")

    def gated(
        self, task_id: str, tree: str, *, passed: bool, summary: str, seconds: float, tests: str
    ) -> None:
        assert len(tree) == 40
        assert isinstance(tests, str)
        assert seconds >= 0
        self.names.append(f"gated {task_id} {'green' if passed else summary}")

    def landed(self, task_id: str, commit: str) -> None:
        assert len(commit) == 40
        self.names.append(f"landed {task_id}")


class Bench:
    """A generation, and a lane on it."""

    def __init__(self, user: UserRepository, directory: Path) -> None:
        self.directory = directory
        self.repository = user.open()
        self.generation = user.start()
        self.sandbox = own_host()
        self.listener = Steps()
        self.cancellation = Cancellation()
        self.noted: list[str] = []
        self.lane = self.make("true")

    def make(self, script: str, **changes: Any) -> LandingLane:
        """A lane with another gate."""
        step = Step(name="test", argv=("sh", "-c", script), shown=script)
        facts: dict[str, Any] = {
            "steps": [step],
            "network": Network.NONE,
            "image": None,
            "timeout": 60.0,
            "environment": {},
        }
        self.gate = gate = Gate(sandbox=self.sandbox, **facts | changes)
        self.lane = make_lane(
            self.repository,
            self.generation,
            gate,
            get("none"),
            self.directory,
            listener=self.listener,
            cancellation=self.cancellation,
        ).lane
        return self.lane

    @property
    def tip(self) -> str:
        tip = self.repository.read_ref(self.generation.ref)
        assert tip is not None
        return tip

    def commit(self, files: dict[str, str | None], parent: str = "") -> str:
        return commit_files(self.repository, parent or self.tip, files)

    def land(self, commit: str, **changes: Any) -> Landing:
        facts: dict[str, Any] = {
            "task_id": "t-1",
            "commit": commit,
            "policy": Policy(),
            "log": self.directory / "gate.log",
            "message": lambda notes, *_: "\n".join(["The task\n", *notes]),
            "on_landed": lambda landed: self.noted.append(landed),
        }
        return self.lane.land(Candidate(**facts | changes))


@pytest.fixture
def bench(user: UserRepository, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(user, tmp_path)
    yield bench
    bench.lane.close()


def test_a_change_that_passes_the_gate_lands(bench: Bench) -> None:
    tip = bench.tip
    landing = bench.land(bench.commit({"new": "new\n"}))
    assert bench.tip == landing.commit
    assert bench.noted == [landing.commit]
    assert bench.repository.objects.text("rev-parse", f"{landing.commit}^") == tip
    assert bench.listener.names == ["merged t-1 0", "gated t-1 green", "landed t-1"]
    assert landing.seconds >= landing.gate_seconds


def test_the_gate_sees_the_merged_tree(bench: Bench) -> None:
    first = bench.commit({"a": "a\n"})
    second = bench.commit({"b": "b\n"})
    bench.land(first)
    bench.make("test -f a && test -f b")
    landing = bench.land(second)
    assert {"a", "b"} <= files_in(bench.repository, landing.commit).keys()


def test_a_change_that_fails_the_gate_does_not_land(bench: Bench) -> None:
    tip = bench.tip
    bench.make("test ! -e new || { echo broken; exit 3; }")
    landing = bench.land(bench.commit({"new": "new\n"}))
    assert (landing.commit, landing.cause, bench.tip, bench.noted) == ("", "gate", tip, [])
    assert landing.gate is not None
    assert "broken" in landing.gate.output
    assert "broken" in (bench.directory / "gate.log").read_text()


def test_a_conflict_with_the_tip_does_not_reach_the_gate(bench: Bench) -> None:
    theirs = bench.commit({README: "theirs\n"})
    bench.land(bench.commit({README: "ours\n"}))
    landing = bench.land(theirs)
    assert landing.cause == "conflict"
    assert landing.merged is not None
    assert landing.merged.conflicts == (README,)
    assert bench.listener.names[-1] == "merged t-1 1"


def test_a_change_that_the_tip_already_has_does_not_land(bench: Bench) -> None:
    commits = [bench.commit({"new": "new\n"}) for _ in range(2)]
    bench.land(commits[0])
    assert bench.land(commits[1]).cause == "no-change"


def test_a_merge_that_moves_a_change_to_a_protected_path_is_refused(bench: Bench) -> None:
    text = "".join(f"line {number}\n" for number in range(50))
    bench.land(bench.commit({"src/code.py": text}))
    edited = bench.commit({"src/code.py": text + "more\n"})
    bench.land(bench.commit({"src/code.py": None, "kept/code.py": text}))
    landing = bench.land(edited, policy=Policy(protected=("kept/**",)))
    assert landing.cause == "refused"
    assert [refusal.path for refusal in landing.refusals] == ["kept/code.py"]


def test_a_tip_that_moved_during_the_gate_is_merged_again(bench: Bench) -> None:
    other = bench.commit({"other": "other\n"})
    moved = bench.directory / "moved"
    git_dir = bench.repository.common_dir
    bench.make(
        f"test -f {moved} || {{ touch {moved}; "
        f"git --git-dir={git_dir} update-ref {bench.generation.ref} {other}; }}"
    )
    landing = bench.land(bench.commit({"new": "new\n"}))
    assert bench.tip == landing.commit
    assert {"new", "other"} <= files_in(bench.repository, landing.commit).keys()
    assert bench.listener.names.count("gated t-1 green") == 2


def test_notes_of_the_gate_are_notes_of_the_landing(bench: Bench) -> None:
    step = Step(name="test", argv=("true",), shown="true", notes=("echo", "a copy was tested"))
    messages: list[tuple[str, ...]] = []

    def message(notes: tuple[str, ...], *_: object) -> str:
        messages.append(notes)
        return "The task\n"

    bench.make("true", steps=[step])
    landing = bench.land(bench.commit({"new": "new\n"}), message=message)
    assert landing.notes == ("a copy was tested",)
    assert messages == [landing.notes]


REPORT = '<testsuite><testcase name="a"/><testcase name="b"><skipped/></testcase></testsuite>'


def test_the_lane_keeps_a_record_of_each_tree_that_was_tested(bench: Bench) -> None:
    records = TreeRecords(bench.directory / "records")
    seen: list[TreeRecord | None] = []

    def message(_notes: tuple[str, ...], record: TreeRecord | None, _train: object) -> str:
        seen.append(record)
        return "The task\n"

    bench.make(f"echo '{REPORT}' >report.xml; test ! -f bad", report="report.xml")
    good = bench.land(bench.commit({"new": "new\n"}), message=message)
    assert good.record
    assert (good.record.summary, good.record.verdict) == ("1 passed, 1 skipped", "passed")
    assert good.record.tree == bench.repository.tree_of(good.commit)
    assert seen == [good.record]
    assert records.find(good.record.tree, bench.gate.conditions()) == good.record
    bad = bench.land(bench.commit({"bad": "bad\n"}))
    assert bad.record
    assert (bad.record.verdict, bad.record.failed_step, bad.record.passed) == ("failed", "test", False)
    assert records.find(bad.record.tree, bench.gate.conditions()) == bad.record


def test_a_record_that_cannot_be_kept_does_not_stop_a_landing(bench: Bench) -> None:
    (bench.directory / "records").write_text("not a directory")
    assert bench.land(bench.commit({"new": "new\n"})).commit


def test_a_report_that_is_missing_is_noted(bench: Bench) -> None:
    bench.make("true", report="report.xml")
    landing = bench.land(bench.commit({"new": "new\n"}))
    assert landing.notes == ("what ran is unknown: the gate left no report of at most 16 MiB (report.xml)",)
    bench.make("true")
    landing = bench.land(bench.commit({"other": "other\n"}))
    assert (landing.notes, landing.record and landing.record.summary) == ((), "what ran is unknown")


def test_without_a_gate_there_is_no_record(bench: Bench) -> None:
    bench.make("true", steps=[])
    landing = bench.land(bench.commit({"new": "new\n"}))
    assert landing.commit
    assert landing.record is None


def test_a_failure_of_the_sandbox_is_not_blamed_on_the_change(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise SandboxError("podman is gone")

    monkeypatch.setattr(Gate, "run", fail)
    landing = bench.land(bench.commit({"new": "new\n"}))
    assert landing.cause == "landing"
    assert str(landing.error) == "podman is gone"
    assert landing.seconds > 0


def test_nothing_is_merged_after_a_cancellation(bench: Bench) -> None:
    commit = bench.commit({"new": "new\n"})
    bench.cancellation.cancel()
    assert bench.land(commit).cause == "cancelled"
    assert bench.listener.names == []


@pytest.mark.parametrize("script", ["true", "false"])
def test_every_candidate_is_decided_once(bench: Bench, script: str) -> None:
    decided: list[str] = []
    bench.make(script)
    bench.land(bench.commit({"new": "new\n"}), decided=lambda: decided.append("decided"))
    assert decided == ["decided"]


def test_a_merge_of_the_base_lands_with_two_parents(bench: Bench) -> None:
    base = bench.commit({"base": "base\n"})
    start = bench.repository.commit(
        bench.repository.tree_of(base), [bench.tip, base], "Merge\n", bench.repository.identity()
    )
    landing = bench.land(bench.commit({}, start), base=base)
    parents = bench.repository.objects.text("rev-parse", f"{landing.commit}^@").split()
    assert parents[1:] == [base]


def test_a_landing_has_the_notes_on_its_change(bench: Bench) -> None:
    landing = bench.land(bench.commit({"tests/conftest.py": "", "other": ""}))
    assert landing.notes == ("review these: tests/conftest.py",)
    message = bench.repository.objects.text("show", "-s", "--format=%B", landing.commit)
    assert message.splitlines()[-1] == landing.notes[0]


def test_a_change_that_the_gate_refuses_has_its_notes(bench: Bench) -> None:
    bench.make("false")
    landing = bench.land(bench.commit({"tests/conftest.py": ""}))
    assert (landing.commit, landing.notes) == ("", ("review these: tests/conftest.py",))


def test_the_notes_are_on_the_change_and_not_on_what_others_landed(bench: Bench) -> None:
    ours = bench.commit({"ours": ""})
    bench.land(bench.commit({"tests/conftest.py": ""}))
    landing = bench.land(ours)
    assert landing.commit
    assert landing.notes == ()
