"""Changes that wait are gated beside each other, and land in their order, each as a tree that was gated."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest

from pytest_cobbler.landing.candidates import Candidate, Landing, Train
from pytest_cobbler.landing.gate import Gate
from pytest_cobbler.landing.lane import LandingLane
from pytest_cobbler.languages import get
from pytest_cobbler.languages.base import Step
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.checks import Policy
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sandbox.base import Network
from tests.support.jobs import own_host
from tests.support.lanes import land_together, make_lane
from tests.support.repositories import UserRepository, commit_files, files_in

NOTES = "echo $(ls | grep ^t) >>{runs}; "
"""A gate that writes down which tasks it sees."""


class Bench:
    """A generation, and lanes on it whose gates write down what they see."""

    def __init__(self, user: UserRepository, directory: Path) -> None:
        self.directory = directory
        self.repository = user.open()
        self.generation = user.start()
        self.first = self.tip
        self.cancellation = Cancellation()
        self.trains: dict[str, Train | None] = {}
        self.lane: LandingLane | None = None

    @property
    def tip(self) -> str:
        tip = self.repository.read_ref(self.generation.ref)
        assert tip is not None
        return tip

    @property
    def runs(self) -> list[str]:
        """The tasks in the tree of each run of the gate."""
        path = self.directory / "runs"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def landed(self) -> list[str]:
        """The subjects of the landed commits, oldest first."""
        listed = self.repository.objects.text("log", "--reverse", "--format=%s", f"{self.first}..{self.tip}")
        return listed.splitlines()

    def make(self, script: str, gate_jobs: int = 1, landing: Literal["each", "train"] = "each") -> None:
        script = NOTES.format(runs=self.directory / "runs") + script
        gate = Gate(
            steps=[Step(name="test", argv=("sh", "-c", script), shown=script)],
            sandbox=own_host(),
            network=Network.NONE,
            image=None,
            timeout=60.0,
            environment={},
        )
        self.lane = make_lane(
            self.repository,
            self.generation,
            gate,
            get("none"),
            self.directory,
            cancellation=self.cancellation,
            gate_jobs=gate_jobs,
            landing=landing,
        ).lane

    def candidate(self, name: str, files: dict[str, str | None], **changes: Any) -> Candidate:
        def message(notes: tuple[str, ...], _record: object, train: Train | None) -> str:
            self.trains[name] = train
            return "\n".join([f"{name}\n", *notes, "", f"Cobbler-Task: {name}"])

        facts: dict[str, Any] = {
            "task_id": name,
            "commit": commit_files(self.repository, self.first, files),
            "policy": Policy(),
            "log": self.directory / name / "gate.log",
            "message": message,
            "on_landed": lambda _commit: None,
        }
        return Candidate(**facts | changes)

    def land(self, *changes: str | Candidate) -> Sequence[Landing]:
        """Land changes that wait together: each adds a file with its name."""
        assert self.lane is not None
        nothing = self.candidate("nothing", {})
        candidates = [
            change if isinstance(change, Candidate) else self.candidate(change, {change: ""})
            for change in changes
        ]
        return land_together(self.lane, nothing, candidates)


@pytest.fixture
def bench(user: UserRepository, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(user, tmp_path)
    yield bench
    if bench.lane:
        bench.lane.close()


def names(count: int) -> list[str]:
    return [f"t{number}" for number in range(1, count + 1)]


class TestEach:
    def test_gates_run_beside_each_other(self, bench: Bench) -> None:
        meet = f"touch {bench.directory}/met-$(ls | grep -c ^t); "
        met = f"[ $(ls {bench.directory} | grep -c ^met) = 4 ]"
        meet += f"for i in $(seq 500); do {met} && exit 0; sleep 0.05; done; exit 1"
        bench.make(meet, gate_jobs=4)
        assert all(landing.commit for landing in bench.land(*names(4)))
        assert sorted(bench.runs) == ["t1", "t1 t2", "t1 t2 t3", "t1 t2 t3 t4"]
        assert bench.landed == names(4)

    def test_with_one_job_no_gate_runs_ahead(self, bench: Bench) -> None:
        bench.make("test ! -e t2")
        causes = [landing.cause for landing in bench.land(*names(4))]
        assert causes == ["", "gate", "", ""]
        assert bench.runs == ["t1", "t1 t2", "t1", "t1 t3", "t1 t3 t4"]  # the tip again, before one is blamed

    def test_those_behind_a_change_that_fails_are_gated_without_it(self, bench: Bench) -> None:
        bench.make("test ! -e t2", gate_jobs=4)
        landings = bench.land(*names(4))
        assert [landing.cause for landing in landings] == ["", "gate", "", ""]
        assert bench.landed == ["t1", "t3", "t4"]
        for landing in landings:
            if landing.commit:
                seen = " ".join(name for name in files_in(bench.repository, landing.commit) if name[0] == "t")
                assert seen in bench.runs
        assert {"t1 t3", "t1 t3 t4"} <= set(bench.runs)

    def test_a_change_that_conflicts_with_one_before_it_waits_for_that(self, bench: Bench) -> None:
        bench.make("true", gate_jobs=4)
        one = bench.candidate("one", {"t1": "one\n"})
        other = bench.candidate("other", {"t1": "other\n"})
        landings = bench.land(one, other, "t3")
        assert [landing.cause for landing in landings] == ["", "conflict", ""]
        assert bench.landed == ["one", "t3"]
        assert bench.runs.count("t1 t3") == 1

    def test_a_conflict_with_a_change_that_fails_is_none(self, bench: Bench) -> None:
        bench.make("! grep -q bad t1", gate_jobs=2)
        bad, good = bench.candidate("bad", {"t1": "bad\n"}), bench.candidate("good", {"t1": "good\n"})
        assert [landing.cause for landing in bench.land(bad, good)] == ["gate", ""]
        assert bench.landed == ["good"]

    def test_a_branch_that_another_process_moves_is_merged_again(self, bench: Bench) -> None:
        moved, other = bench.directory / "moved", commit_files(bench.repository, bench.tip, {"t0": ""})
        git_dir, ref = bench.repository.common_dir, bench.generation.ref
        bench.make(
            f"mkdir {moved} 2>/dev/null && git --git-dir={git_dir} update-ref {ref} {other}; true",
            gate_jobs=3,
        )
        assert all(landing.commit for landing in bench.land(*names(3)))
        assert files_in(bench.repository, bench.tip).keys() >= {"t0", "t1", "t2", "t3"}
        assert {"t0 t1", "t0 t1 t2", "t0 t1 t2 t3"} <= set(bench.runs)

    def test_a_cancellation_ends_the_gates_that_run_ahead(self, bench: Bench) -> None:
        bench.make("sleep 60", gate_jobs=2)
        begun: list[str] = []

        def begins() -> None:
            begun.append("begun")
            if len(begun) == 2:
                bench.cancellation.cancel()

        changes = [bench.candidate(name, {name: ""}, begins=begins) for name in names(3)]
        assert [landing.cause for landing in bench.land(*changes)] == ["cancelled"] * 3
        assert bench.landed == []

    def test_a_merge_of_the_base_lands_between_others(self, bench: Bench) -> None:
        repository = bench.repository
        base = commit_files(repository, bench.tip, {"t0": ""})
        start = repository.commit(
            repository.tree_of(base), [bench.tip, base], "Merge\n", repository.identity()
        )
        bench.make("true", gate_jobs=4)
        joins = bench.candidate("joins", {}, base=base, commit=commit_files(repository, start, {"t2": ""}))
        assert all(landing.commit for landing in bench.land("t1", joins, "t3"))
        assert [name for name in bench.landed if name in ("t1", "joins", "t3")] == ["t1", "joins", "t3"]
        assert repository.objects.text("rev-parse", f"{bench.tip}^^2") == base


@pytest.mark.slow
class TestTrains:
    @pytest.mark.quick
    def test_changes_that_pass_together_land_by_one_gate_and_one_move(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        move_refs, moved = Repository.move_refs, list[set[str]]()

        def noting(self: Repository, moves: Mapping[str, tuple[str, str]], reason: str) -> bool:
            moved.append(set(moves))
            return move_refs(self, moves, reason)

        monkeypatch.setattr(Repository, "move_refs", noting)
        bench.make("true", landing="train")
        landings = bench.land(*names(8))
        assert bench.runs == [" ".join(names(8))]
        assert bench.landed == names(8)
        pins = {f"refs/cobbler/landed/{bench.generation.name}/{name}" for name in names(8)}
        assert moved == [{bench.generation.ref, *pins}]
        tips = (bench.first, *(landing.commit for landing in landings))
        for landing, tip in zip(landings, tips, strict=False):
            assert landing.merged is not None
            assert landing.train is not None
            assert bench.repository.parent_of(landing.commit) == landing.merged.tip == tip
            assert bench.repository.tree_of(landing.commit) == landing.merged.tree
            assert (landing.train.size, landing.train.commit) == (8, bench.tip)
            assert landing.train.tip == bench.first
        tree = bench.repository.tree_of(bench.tip)
        assert [(train.place, train.tree) for train in bench.trains.values() if train] == [
            (place, tree) for place in range(1, 9)
        ]

    def test_all_points_of_a_train_are_held_and_passed_in_their_order(self, bench: Bench) -> None:
        bench.make("true", landing="train")
        held, passed = list[str](), list[str]()

        @contextlib.contextmanager
        def moving(name: str) -> Iterator[None]:
            held.append(name)
            yield
            assert sorted(held) == names(3)
            assert bench.landed == names(3)
            passed.append(name)

        bench.land(*(bench.candidate(name, {name: ""}, moving=partial(moving, name)) for name in names(3)))
        assert passed == names(3)

    def test_a_change_alone_is_no_train(self, bench: Bench) -> None:
        bench.make("true", landing="train")
        assert [landing.train for landing in bench.land("t1")] == [None]
        assert bench.trains == {"t1": None}

    @pytest.mark.parametrize("red", [1, 2, 6, 8])
    def test_a_red_change_is_found_and_the_others_land(self, bench: Bench, red: int) -> None:
        bench.make(f"test ! -e t{red}", landing="train")
        landings = bench.land(*names(8))
        assert [place for place, landing in enumerate(landings, 1) if not landing.commit] == [red]
        assert (landings[red - 1].cause, landings[red - 1].partner) == ("gate", None)
        assert len(bench.runs) <= 6
        assert bench.landed == [name for name in names(8) if name != f"t{red}"]

    @pytest.mark.parametrize(("one", "other"), [(1, 2), (1, 8), (5, 6), (3, 7)])
    def test_the_partner_of_a_change_is_named(self, bench: Bench, one: int, other: int) -> None:
        bench.make(f"! {{ test -e t{one} && test -e t{other}; }}", landing="train")
        landings = bench.land(*names(8))
        partner = landings[other - 1].partner
        assert partner is not None
        assert (partner.task, partner.commit) == (f"t{one}", landings[one - 1].commit)
        assert len(bench.runs) <= 9
        assert bench.landed == [name for name in names(8) if name != f"t{other}"]

    def test_a_gate_that_fails_by_chance_blames_no_change(self, bench: Bench) -> None:
        bench.make(f"mkdir {bench.directory}/failed 2>/dev/null && exit 1; true", landing="train")
        assert all(landing.commit for landing in bench.land(*names(4)))
        assert bench.landed == names(4)

    def test_two_red_changes_are_found(self, bench: Bench) -> None:
        bench.make("test ! -e t2 && test ! -e t5", landing="train")
        landings = bench.land(*names(6))
        assert [landing.cause for landing in landings] == ["", "gate", "", "", "gate", ""]
        assert bench.landed == ["t1", "t3", "t4", "t6"]

    def test_a_branch_that_another_process_moves_is_merged_again(self, bench: Bench) -> None:
        moved, other = bench.directory / "moved", commit_files(bench.repository, bench.tip, {"t0": ""})
        git_dir, ref = bench.repository.common_dir, bench.generation.ref
        bench.make(
            f"mkdir {moved} 2>/dev/null && git --git-dir={git_dir} update-ref {ref} {other}; true",
            landing="train",
        )
        assert all(landing.commit for landing in bench.land(*names(3)))
        assert bench.runs == ["t1 t2 t3", "t0 t1 t2 t3"]

    def test_a_merge_of_the_base_rides_alone(self, bench: Bench) -> None:
        repository = bench.repository
        base = commit_files(repository, bench.tip, {"t0": ""})
        start = repository.commit(
            repository.tree_of(base), [bench.tip, base], "Merge\n", repository.identity()
        )
        bench.make("true", landing="train")
        joins = bench.candidate("joins", {}, base=base, commit=commit_files(repository, start, {"t3": ""}))
        landings = bench.land("t1", "t2", joins, "t4", "t5")
        assert [landing.train.size if landing.train else 0 for landing in landings] == [2, 2, 0, 2, 2]
        assert bench.runs == ["t1 t2", "t0 t1 t2 t3", "t0 t1 t2 t3 t4 t5"]

    def test_a_bisection_uses_all_gates(self, bench: Bench) -> None:
        bench.make("test ! -e t8", gate_jobs=4, landing="train")
        landings = bench.land(*names(8))
        assert [place for place, landing in enumerate(landings, 1) if not landing.commit] == [8]
        assert bench.landed == names(7)

    def test_a_cancelled_train_lands_nothing(self, bench: Bench) -> None:
        bench.make("sleep 60", landing="train")
        last = bench.candidate("t3", {"t3": ""}, begins=bench.cancellation.cancel)
        assert [landing.cause for landing in bench.land("t1", "t2", last)] == ["cancelled"] * 3
        assert bench.landed == []
