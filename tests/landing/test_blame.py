"""Whose fault a red gate is: no change is blamed for what fails without it, too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_cobbler.causes import Cause
from pytest_cobbler.landing.candidates import Candidate, Landing
from pytest_cobbler.landing.gate import Gate
from pytest_cobbler.landing.lane import LandingLane
from pytest_cobbler.languages import get
from pytest_cobbler.languages.base import Step
from pytest_cobbler.repository.checks import Policy
from pytest_cobbler.sandbox.base import Network
from tests.support.jobs import own_host
from tests.support.lanes import make_lane
from tests.support.repositories import UserRepository, commit_files

FLAKY = """\
echo "$(test -e new && echo change || echo tip)" >>{runs}
run=$(wc -l <{runs})
case " {failing} " in *" $run "*) now='<failure/>' ;; *) now= ;; esac
test -e bad && other='<failure/>' || other=
echo "<testsuite><testcase classname='t' name='now_and_then'>$now</testcase>" >~/report.xml
echo "<testcase classname='t' name='other'>$other</testcase></testsuite>" >>~/report.xml
test -z "$now$other"
"""
"""A gate that writes down on what it ran; one of its tests fails in the runs ``failing``."""


class Bench:
    """A generation, and a lane whose gate depends on files outside of the tree."""

    def __init__(self, user: UserRepository, directory: Path) -> None:
        self.repository = user.open()
        self.generation = user.start()
        self.directory = directory
        self.runs_file, self.world = directory / "runs", directory / "world"
        self.lane = self.make(f"echo run >>{self.runs_file}; test ! -e {self.world}")

    def make(self, script: str, *, report: str = "") -> LandingLane:
        step = Step(name="test", argv=("sh", "-c", script), shown="the gate", report=report)
        sandbox = own_host()
        gate = Gate(
            steps=[step], sandbox=sandbox, network=Network.NONE, image=None, timeout=60.0, environment={}
        )
        return make_lane(self.repository, self.generation, gate, get("none"), self.directory).lane

    def remake(self, script: str, *, report: str = "") -> None:
        """The lane of another run."""
        self.lane.close()
        self.lane = self.make(script, report=report)

    def make_flaky(self, *failing: int) -> None:
        numbers = " ".join(map(str, failing))
        self.remake(FLAKY.format(runs=self.runs_file, failing=numbers), report="~/report.xml")

    @property
    def runs(self) -> list[str]:
        return self.runs_file.read_text().split()

    def land(self, name: str = "new") -> Landing:
        tip = self.repository.read_ref(self.generation.ref)
        assert tip is not None
        return self.lane.land(
            Candidate(
                task_id="t-1",
                commit=commit_files(self.repository, tip, {"new": "", name: f"{len(name)}\n"}),
                policy=Policy(),
                log=self.directory / "gate.log",
                message=lambda notes, *_: "\n".join(["The task\n", *notes]),
                on_landed=lambda _commit: None,
            )
        )


@pytest.fixture
def bench(user: UserRepository, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(user, tmp_path)
    yield bench
    bench.lane.close()


class TestATipThatFails:
    def test_a_tip_that_fails_without_the_change_stops_all_landings(self, bench: Bench) -> None:
        bench.world.touch()
        landing = bench.land()
        assert (landing.commit, landing.cause) == ("", Cause.LANDING)
        assert "the tip itself does not pass the gate" in str(landing.error)
        assert bench.runs == ["run"] * 3  # the change, and the tip twice: one run may be chance
        bench.world.unlink()
        assert bench.land("other").error is bench.lane.stopped
        assert bench.runs == ["run"] * 3

    def test_a_tip_that_was_green_is_tried_again_before_a_change_is_blamed(self, bench: Bench) -> None:
        assert bench.land().commit
        bench.world.touch()
        first = bench.land("one")
        assert first.cause == Cause.LANDING
        assert "the tip itself no longer passes the gate, which it passed before" in str(first.error)
        assert bench.runs == ["run"] * (1 + 1 + 2)

    def test_changes_that_fail_while_the_tip_passes_are_at_fault(self, bench: Bench) -> None:
        bench.remake(f"echo run >>{bench.runs_file}; test ! -e bad")
        assert [bench.land("bad").cause for _ in range(3)] == [Cause.GATE] * 3
        # The tip has no record; after that, it is doubted each time.
        assert len(bench.runs) == 3 + 3
        assert bench.lane.stopped is None


class TestFlaky:
    def test_a_test_that_failed_and_passed_on_the_tip_gets_the_gate_another_run(self, bench: Bench) -> None:
        bench.make_flaky(1, 2)
        landing = bench.land()
        assert landing.commit
        assert bench.runs == ["change", "tip", "tip", "change"]
        assert landing.record is not None
        assert landing.record.flaky == ("t::now_and_then",)
        assert (bench.directory / "gate-flaky.log").exists()

    def test_a_test_that_fails_again_is_the_fault_of_the_change(self, bench: Bench) -> None:
        bench.make_flaky(1, 2, 4)
        assert bench.land().cause == Cause.GATE
        assert bench.runs == ["change", "tip", "tip", "change"]

    def test_another_failure_is_the_fault_of_the_change(self, bench: Bench) -> None:
        bench.make_flaky(1, 2)
        assert bench.land("bad").cause == Cause.GATE
        assert bench.runs == ["change", "tip", "tip"]

    def test_a_test_that_fails_with_the_change_alone_is_not_flaky(self, bench: Bench) -> None:
        bench.make_flaky(1)
        assert bench.land().cause == Cause.GATE
        assert bench.runs == ["change", "tip"]

    def test_what_is_known_of_a_tree_is_kept_for_later_runs(self, bench: Bench) -> None:
        bench.make_flaky(1, 2, 5)
        assert bench.land().commit
        bench.make_flaky(1, 2, 5)
        assert bench.land("other").commit
        assert bench.runs[4:] == ["change", "change"]
