"""What every item of one run shares."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pytest_cobbler.agents.base import Agent
from pytest_cobbler.config import Config
from pytest_cobbler.cycle.documents import documents
from pytest_cobbler.cycle.framing import DOCUMENT_BUDGET, Document
from pytest_cobbler.cycle.prompts import NeedFacts
from pytest_cobbler.cycle.slots import Slots
from pytest_cobbler.display import shown_path
from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.globs import escape_glob, matches_glob
from pytest_cobbler.landing.gate import Gate
from pytest_cobbler.languages import Language
from pytest_cobbler.lifecycle.finished import Finished
from pytest_cobbler.lifecycle.lines import SourceLines
from pytest_cobbler.process import Cancellation
from pytest_cobbler.recordings.recorder import Recorder
from pytest_cobbler.recordings.turns import Turns
from pytest_cobbler.report.journal import Journal
from pytest_cobbler.repository.attempts import kept_attempts, last_numbers
from pytest_cobbler.repository.checks import PROTECTED_TABLE, Policy, read_change
from pytest_cobbler.repository.generations import Generation
from pytest_cobbler.repository.identity import Identity
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.worktrees import GateCheckout, Worktree, Worktrees
from pytest_cobbler.sandbox.base import Limits, Network, Sandbox
from pytest_cobbler.tracker.base import Claim, Task
from pytest_cobbler.tracker.lane import TrackerLane
from pytest_cobbler.wiring.hooks import NO_HOOKS, Hooks
from pytest_cobbler.wiring.policy import agent_limits, agent_network, never_committed, protected_paths

_UNCOUNTED = "uncounted"
"""A file in the directory of an attempt whose number is free again."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What prompts say of the repository; the same for every task of a cycle."""

    documents: tuple[Document, ...] = ()
    files: tuple[str, ...] = ()
    finished: tuple[str, ...] = ()


@dataclass(kw_only=True)
class Run:
    """One run on one generation: the parts, wired. Made by ``opening.open_run``."""

    config: Config
    repository: Repository
    identity: Identity
    generation: Generation
    tracker: TrackerLane
    sandbox: Sandbox
    agent: Agent
    gate: Gate
    language: Language
    reserved: frozenset[str] = frozenset()
    """Modules that the gate's tools load by name."""
    lines: SourceLines
    checkout: GateCheckout
    worktrees: Worktrees
    journal: Journal
    directory: Path
    claim: Claim
    slots: Slots
    landing: ThreadPoolExecutor
    finished: Finished
    scrub: Callable[[str], str]
    """Takes the credential out of a text: an agent may put it anywhere, into names and titles too."""
    hooks: Hooks = NO_HOOKS
    """What the project changes."""
    close_hint: str = ""
    """How a person closes a task in this tracker; ``{}`` is its id."""
    cancellation: Cancellation = field(default_factory=Cancellation)
    open_tasks: set[str] = field(default_factory=set)
    """Ids of the session's tasks: a need outside it is met."""
    surroundings: Surroundings = Surroundings()
    numbers: dict[str, int] = field(default_factory=dict)
    """Task id -> number of its last kept attempt."""
    instructions: bytes | None = None
    """The base's CLAUDE.md: agents do not read the one in their worktree."""
    recorder: Recorder | None = None
    turns: Turns = field(default_factory=Turns)
    recordings: tuple[Path, ...] = ()
    """Directories that agents neither hear of nor may change: what is played, what is being recorded."""
    known_ids: set[str] = field(default_factory=set)
    """Of all tasks in the tracker."""

    @property
    def network(self) -> Network:
        """What agents can reach beside the API, if that is served to them."""
        return agent_network(self.config)

    @property
    def agent_limits(self) -> Limits:
        return agent_limits(self.config)

    @property
    def protected(self) -> tuple[str, ...]:
        """Patterns of paths that no change may touch, as they are held."""
        return (*protected_paths(self.config, self.repository, self.language), *self._hidden_patterns)

    @property
    def protected_shown(self) -> tuple[str, ...]:
        hidden = self._hidden_patterns
        return (*(pattern for pattern in self.protected if pattern not in hidden), PROTECTED_TABLE)

    @property
    def _hidden_patterns(self) -> tuple[str, ...]:
        return tuple(f"{escape_glob(path)}/**" for path in self._hidden)

    @property
    def _hidden(self) -> tuple[str, ...]:
        """Directories of recordings, from the repository: prompts say the same with them and without."""
        root = self.repository.root.resolve()
        inside = [path.resolve() for path in self.recordings]
        return tuple(str(path.relative_to(root)) for path in inside if path.is_relative_to(root))

    def policy(self, marked: Sequence[str] = ()) -> Policy:
        return Policy(
            protected=self.protected,
            allowed=tuple(self.config.allow_paths),
            secrets=self.agent.secrets,
            marked=tuple(marked),
            left_out=never_committed(self.config, self.language),
            reserved=self.reserved,
        )

    def tip(self) -> str:
        """The head of the generation branch."""
        tip = self.repository.read_ref(self.generation.ref)
        if tip is None:
            raise RepositoryError(
                f"branch {self.generation.name} is gone", "The commits are in the reflog, and in the tracker."
            )
        return tip

    def is_past(self, task: Task) -> bool:
        """Whether a task was closed for sources that this generation began without."""
        if not self.generation.reset or task.status != "closed":
            return False
        return task.id not in self.finished and self.generation.name not in task.labels

    def next_number(self, task_id: str) -> int:
        """The number of a task's next attempt: rising over all runs."""
        number = max(self.numbers.get(task_id, 0), self._last_directory(task_id)) + 1
        self.numbers[task_id] = number
        (self.attempt_directory(task_id, number) / _UNCOUNTED).unlink(missing_ok=True)
        return number

    def forget(self, task_id: str, number: int) -> None:
        """Give the number to the next attempt: in this one no agent has worked."""
        self.numbers[task_id] = number - 1
        (self.attempt_directory(task_id, number) / _UNCOUNTED).touch()

    def attempt_directory(self, task_id: str, number: int) -> Path:
        return self.directory / "attempts" / task_id / str(number)

    def _last_directory(self, task_id: str) -> int:
        parent = self.directory / "attempts" / task_id
        counted = [path for path in parent.glob("*") if not (path / _UNCOUNTED).exists()]
        numbers = [int(path.name) for path in counted if path.name.isdigit()]
        return max(numbers, default=0)

    def volatile(self, worktree: Worktree) -> dict[str, str]:
        """What is another in every run, and what recordings have in its place."""
        return {
            str(worktree.directory): "[worktree]",
            str(self.repository.work_dir): "[work]",
            str(self.repository.root): "[repository]",
            self.generation.name: "[generation]",
        } | dict.fromkeys(self.known_ids, "[task]")

    def look_around(self) -> None:
        """Read what prompts say of the repository, for the cycle that begins."""
        tip = self.tip()
        hidden = tuple(f"{path}/" for path in self._hidden)
        files = [name for name in self.repository.files(tip) if not name.startswith(hidden)]
        self.surroundings = Surroundings(
            documents=tuple(self._documents(tip, files)),
            files=tuple(shown_path(name.encode("utf-8", "surrogateescape")) for name in files),
            finished=tuple(landed.title for landed in self.finished.all()),
        )

    def _documents(self, tip: str, files: Sequence[str]) -> Iterable[Document]:
        room = DOCUMENT_BUDGET
        taken: set[str] = set()
        globs = self.config.spec_globs or documents([PurePosixPath(name) for name in files])
        for pattern in globs.values():
            for name in files:
                if name in taken or not matches_glob(name, pattern):
                    continue
                taken.add(name)
                is_read = room > 0 and bool(self.config.spec_globs)  # others are only pointed to
                content = self.repository.read_file(tip, name) if is_read else None
                text = content.decode("utf-8", "replace") if content is not None else None
                room -= len(text or "")
                yield Document(path=name, text=text)

    def tried(self, tasks: Iterable[Task]) -> dict[str, str]:
        """Task id -> how the last kept attempt at it ended."""
        numbers = last_numbers(self.repository, self.generation.name)
        return {
            task.id: f"attempt {last.number} did not land: {last.cause}"
            for task in tasks
            if task.id in numbers
            for last in kept_attempts(self.repository, self.generation.name, task.id)[-1:]
        }

    def needs_of(self, task: Task) -> list[NeedFacts]:
        """What the needs of a task landed."""
        found = []
        for need in task.needs:
            if landed := self.finished.get(need):
                change = read_change(self.repository.objects, f"{landed.commit}^", landed.commit)
                found.append(NeedFacts(title=landed.title, files=change.paths))
        return found
