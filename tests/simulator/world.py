"""What outlives a run in a schedule: repository, tracker, worktrees, the log; and the gate on its trees."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from pytest_cobbler.agents.base import AgentRequest
from pytest_cobbler.causes import Ending
from pytest_cobbler.cycle.measure import OUTPUT, NoAnswer
from pytest_cobbler.errors import SandboxError
from pytest_cobbler.landing.gate import NO_CACHES, GateResult
from pytest_cobbler.landing.tree_records import CaseResult, Conditions, TestRun, TreeRecord
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository import names
from pytest_cobbler.repository.changes import Change, Entry
from pytest_cobbler.repository.checks import Policy, Refusal
from pytest_cobbler.repository.generations import Generation
from pytest_cobbler.repository.harvest import Harvest
from pytest_cobbler.sandbox.site import Unreached
from tests.simulator.repository import MARK, WORK, Files, SimulatedRepository
from tests.simulator.stage import Stage
from tests.simulator.standins import Stand
from tests.simulator.tracker import SimulatedTracker

__all__ = ["GATE", "Gate", "Left", "LogPath", "Site", "World", "checked", "log_path"]

GENERATION = "generation-2026-01-05-09-00-00"
RED, FLAKY, SLOW, FORBIDDEN = "red", "flaky", "slow", "forbidden"
"""How the content of a file begins on which the gate fails, or that no change may have."""

_CONDITIONS = Conditions(commands=(("test",),))
_CONDITIONS.digest  # noqa: B018 (the first use makes what reads and writes it)


class LogPath(PurePosixPath):
    """A path of the history, which is for people: nothing is ever there."""

    def replace(self, target: object) -> object:
        return target

    def read_bytes(self) -> bytes:
        raise FileNotFoundError(str(self))

    def is_dir(self) -> bool:
        return True

    def resolve(self) -> LogPath:
        return self


@functools.lru_cache(4096)
def log_path(path: str) -> LogPath:
    """The path of a text: to read the same ones again and again takes longer than most steps."""
    return LogPath(path)


@dataclass
class Left:
    """A worktree: ``files`` are what its agent has written so far."""

    worktree: Place
    files: dict[str, str]
    is_complete: bool = False
    again: bool = False


@dataclass
class World:
    """One generation of one project. ``say`` writes to the trace, if there is one."""

    stage: Stage
    numbers: random.Random
    say: Callable[[str, str], None]
    worktrees: dict[str, Left] = field(default_factory=dict)
    aside: list[Left] = field(default_factory=list)
    """Worktrees that were moved aside."""
    directories: set[tuple[str, int]] = field(default_factory=set)
    """Task and number of the attempts that have a directory in the history."""
    log: list[dict[str, object]] = field(default_factory=list)
    records: dict[str, TreeRecord] = field(default_factory=dict)
    green: set[str] = field(default_factory=set)
    """Trees on which the gate has passed."""
    gate_fault: Callable[[], str] = lambda: ""
    """What the machine lacks for a run of the gate: ``program``, ``sandbox`` or nothing."""
    gates: Callable[[int], None] = lambda _change: None
    """Called when a gate begins (1) and when it has ended (-1)."""
    conversations: dict[str, Any] = field(default_factory=dict)
    """Task id -> the kept conversation of its latest attempt."""
    runs: int = 0
    agents: Mapping[str, Any] = field(default_factory=dict)
    """The agents of a run by their names, in the order in which they are asked."""
    slots: Any = None
    """Makes the slots of a run."""
    noted: Callable[[str, Mapping[str, object]], None] = lambda _event, _facts: None
    """Takes the lines of the journal."""

    def __post_init__(self) -> None:
        self.repository = SimulatedRepository(self.stage.touch)
        self.tracker = SimulatedTracker(self.stage.touch)
        repository, identity = self.repository, self.repository.identity()
        begin = repository.tree({"README": "begin"})
        base = repository.commit(begin, [], "Begin\n", identity)
        first = repository.commit(begin, [base], f"Start generation: {GENERATION}\n", identity)
        repository.store.refs |= {"refs/heads/main": base, names.branch_ref(GENERATION): first}
        self.generation = Generation(name=GENERATION, base="main", start=base, first=first, reset=False)

    @property
    def tip(self) -> str:
        return self.repository.store.refs[self.generation.ref]

    def landed(self, tip: str = "") -> dict[str, list[str]]:
        """Task id -> the commits that landed it and that the branch reaches, newest first."""
        found: dict[str, list[str]] = {}
        for commit in self.repository.history(tip or self.tip):
            if task := commit.trailer("Cobbler-Task"):
                found.setdefault(task, []).append(commit.id)
        return found

    def leave(self, request: AgentRequest, files: Mapping[str, str], is_complete: bool) -> None:
        """What an agent writes in its worktree."""
        left = self.worktrees[request.worktree.parent.name]
        left.files = {**left.files, **files}
        left.is_complete = is_complete

    def is_red(self, tree: str) -> bool:
        """Whether the gate always fails on a tree."""
        return any(text.startswith((RED, SLOW)) for text in self.repository.store.trees[tree].values())


def changed(_git: Any, old: str, new: str) -> Change:
    """``read_change`` of trees in memory."""
    repository = Stand.world.repository
    before, after = map(repository.files_of, (old, new))
    entries = [
        Entry(
            path=path.encode(),
            status="M" if path in before and path in after else "A" if path in after else "D",
            old_mode="100644" if path in before else "000000",
            new_mode="100644" if path in after else "000000",
            old=_ZEROS,
            new=_ZEROS,
        )
        for path in sorted({*before, *after})
        if before.get(path) != after.get(path)
    ]
    return Change(entries=tuple(entries))


_ZEROS = "0" * 40


def checked(git: Any, parent: str, tree: str, policy: Policy) -> tuple[Change, tuple[Refusal, ...]]:
    """``check_change`` with two rules."""
    repository = Stand.world.repository
    change = changed(git, parent, tree)
    files = repository.store.trees[repository.tree_of(tree)]
    paths = [entry.shown for entry in change.entries]
    bad = [path for path in paths if files.get(path, "").startswith(FORBIDDEN)]
    marked = [path for path in paths if files.get(path, "").startswith(MARK) and path in policy.marked]
    return change, tuple(Refusal(path=path, reason="may not change") for path in (*bad, *marked))


def harvested(place: Place, repository: SimulatedRepository, policy: Policy) -> Harvest:
    """``harvest`` of a place in memory."""
    world: World = Stand.world
    world.stage.touch(f"harvest {place.name}")
    tree = repository.tree(world.worktrees[place.name].files)
    change, refusals = checked(repository.objects, place.parent, tree, policy)
    return Harvest(tree=tree, parent=place.parent, change=change, refusals=refusals)


def answer_of(place: Place) -> bytes | NoAnswer:
    """``read_answer`` of a place in memory."""
    answer = Stand.world.worktrees[place.name].files.get(OUTPUT)
    return answer.encode() if answer else NoAnswer("the agent wrote no task file", is_missing=True)


class Place:
    """A ``Place`` in memory."""

    sandbox = None
    node = directory = ""
    has_files = True

    def __init__(self, location: Any, parent: str, tree: str, purpose: Mapping[str, str]) -> None:
        self.name = location.name
        self.checkout = self.location = log_path(f"{location}/tree")
        self.home = log_path(f"{location}/home")
        self.output = log_path(f"{location}/output")
        self.parent = parent
        self.tree_id = tree
        self.purpose = purpose

    def put(self, name: str, _content: bytes) -> LogPath:
        return LogPath(f"{self.checkout}/{name}")

    def keep(self, why: str, *, again: bool = False) -> LogPath:
        world: World = Stand.world
        world.stage.touch(f"keep worktree {self.name}: {why}")
        left = world.worktrees.pop(self.name)
        left.again = again
        world.aside.append(left)
        return LogPath(f"/aside/{self.name}")

    def remove(self) -> None:
        world: World = Stand.world
        world.stage.touch(f"remove worktree {self.name}")
        world.worktrees.pop(self.name, None)


class Site:
    """A ``Site`` in memory."""

    def __init__(self, repository: SimulatedRepository, generation: str, *_: object, **__: object) -> None:
        self._repository = repository
        self._directory = WORK / generation
        self._is_swept = False

    def open(
        self,
        name: str,
        *,
        parent: str,
        tree: str,
        purpose: Mapping[str, str],
        also: Iterable[str] = (),
        packs_early: bool = True,  # noqa: ARG002
    ) -> Place:
        world: World = Stand.world
        world.stage.touch(f"make worktree {name}")
        assert name not in world.worktrees, f"worktree {name} exists; {also}"
        place = Place(self._directory / name, parent, tree, purpose)
        world.worktrees[name] = Left(place, dict(self._repository.files_of(tree)))
        return place

    def leftovers(self) -> list[Place]:
        assert self._is_swept, "a job of a dead run may work in these places"
        world: World = Stand.world
        return [left.worktree for _, left in sorted(world.worktrees.items())]

    def unreached(self) -> list[Unreached]:
        return []

    def take_back(self, is_done: Callable[[str], bool]) -> set[str]:
        world: World = Stand.world
        names = set()
        for left in list(world.aside):
            name = left.worktree.name
            if left.again and not is_done(left.worktree.purpose["task"]) and name not in world.worktrees:
                world.stage.touch(f"take worktree {name} back")
                world.aside.remove(left)
                world.worktrees[name] = left
                names.add(name)
        return names

    def sweep(self) -> list[str]:
        self._is_swept = True
        return []

    def release_pins(self) -> None:
        pass

    def close(self) -> None:
        pass


class Gate:
    """The gate: what it says of a tree is in the files of the tree, unless the machine is at fault."""

    merge_driver = ()
    steps = (("test", ("test",)),)
    collect = ""
    line = shown = "test"
    is_offline = True
    caches = NO_CACHES
    image = None

    def conditions(self, _engine: object = None) -> Conditions:
        return _CONDITIONS

    def within(self, _sandbox: object) -> Gate:
        return self

    def run(self, tree: Any, _log: object, cancellation: Cancellation, _entry: str) -> GateResult:
        world: World = Stand.world
        stage = world.stage
        stage.touch(f"gate {tree[:7]}")
        fault = world.gate_fault()
        if fault == "sandbox":
            raise SandboxError("podman cannot start a container")
        if fault == "program":
            return _result(127, 0.2)
        seconds = world.numbers.choice((0.5, 2.0, 8.0))
        begin = stage.seconds
        world.gates(1)
        try:
            while (left := begin + seconds - stage.seconds) > 0 and not cancellation.requested:
                stage.wait(lambda: cancellation.requested, left)
        finally:
            world.gates(-1)
        if cancellation.requested:
            return replace(_result(1, seconds), cause=Ending.CANCELLED)
        files: Files = world.repository.store.trees[tree]
        if any(text.startswith(SLOW) for text in files.values()):
            return replace(_result(1, 900.0), cause=Ending.TIMEOUT, timeout=900.0)
        failed = [path for path, text in files.items() if text.startswith((RED, MARK))]
        failed += [
            path for path, text in files.items() if text.startswith(FLAKY) and world.numbers.random() < 0.4
        ]
        result = _result(1 if failed else 0, seconds)
        cases = (CaseResult(id=path, passed=path not in failed, failed=path in failed) for path in files)
        result = replace(result, tests=TestRun.of(cases))
        if result.passed:
            world.green.add(tree)
        return result


def _result(status: int, seconds: float) -> GateResult:
    return GateResult(
        failed="test" if status else "", cause=Ending.EXITED, status=status, seconds=seconds, output=""
    )


GATE = Gate()
