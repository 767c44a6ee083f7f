"""What takes the place of clock, threads, files, git and machine in the modules under test.

The table is complete: what is not in it is the real code.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import gc
import types
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

from pytest_cobbler.agents import claims, launch, metering, spending
from pytest_cobbler.agents.health import ApiHealth
from pytest_cobbler.config import Config
from pytest_cobbler.cycle import attempt, conversation, measure, opening, slots, stitch, telling
from pytest_cobbler.cycle.healths import Healths
from pytest_cobbler.cycle.instructions import Instructions
from pytest_cobbler.cycle.slots import Slots
from pytest_cobbler.cycle.surroundings import Surroundings
from pytest_cobbler.globs import matches_any
from pytest_cobbler.landing import gate_runs, lane, tree_gate, window
from pytest_cobbler.landing.judge import Judgement
from pytest_cobbler.languages import get as language
from pytest_cobbler.lifecycle import recovery, waiting
from pytest_cobbler.lifecycle import spending as past_spending
from pytest_cobbler.lifecycle.finished import Finished
from pytest_cobbler.lifecycle.ledger import Ledger
from pytest_cobbler.recordings import turns
from pytest_cobbler.repository import checks, landing, markers
from pytest_cobbler.repository.attempts import used_numbers
from pytest_cobbler.repository.checks import Policy
from pytest_cobbler.repository.sessions import KeptSession
from pytest_cobbler.session import loop
from pytest_cobbler.tracker import lane as tracker_lane
from pytest_cobbler.tracker.base import Claim
from pytest_cobbler.wiring.agents import Agents
from pytest_cobbler.wiring.preflight import Findings
from pytest_cobbler.wiring.project import Project
from tests.simulator import world
from tests.simulator.repository import PLACE, WORK
from tests.simulator.standins import ASYNCIO, THREADING, TIME, Clock, Executor, Promise, Signals, Stand
from tests.simulator.world import GATE, LogPath, Site, log_path

__all__ = ["CONFIG", "installed"]

CONFIG = Config.model_validate(
    {
        "sandbox": "none",
        "language": "none",
        "tracker": "embedded",
        "test_command": "test",
        "cycles": 0,
        "cobbler_dir": str(PLACE / ".cobbler"),
        "beads_dir": str(PLACE / ".beads"),
        "secrets_dir": str(PLACE / ".secrets"),
        "work_dir": str(WORK),
    },
    context=PLACE / "configuration.yaml",
)


class _Numbers:
    """``AttemptNumbers``, with the directories of the world."""

    def __init__(self, kept: Mapping[str, int]) -> None:
        self._last = dict(kept)

    def next(self, name: str) -> int:
        used = [number for task, number in Stand.world.directories if task == name]
        self._last[name] = max([self._last.get(name, 0), *used]) + 1
        return self._last[name]

    def forget(self, name: str, number: int) -> None:
        self._last[name] = number - 1
        Stand.world.directories.discard((name, number))

    def directories(self, name: str) -> LogPath:
        return log_path(f"/history/{name}")

    def directory(self, name: str, number: int) -> LogPath:
        return log_path(f"/history/{name}/{number}")


class _Log:
    """``EventLog`` in memory: the next run reads it for what was spent."""

    failure = ""

    def __init__(self, run: str, generation: str) -> None:
        self._facts = {"run": run, "generation": generation}

    def write(self, event: str, facts: Mapping[str, object]) -> None:
        Stand.stage.touch(f"log {event} {facts.get('item', '')}")
        Stand.world.log.append({"event": event, **self._facts, **facts})


class _Journal:
    """``Journal``: the trace."""

    failure = ""

    def write(self, event: str, **facts: object) -> None:
        Stand.world.noted(event, facts)


def _open_ledger(project: Project, tracker: Any, finished: Finished, run_id: str, _secrets: object) -> Ledger:
    generation = project.generation.name
    numbers: Any = _Numbers(used_numbers(project.repository, generation))
    journal: Any = _Journal()
    log: Any = _Log(run_id, generation)
    claim = Claim(host="sim", repository="simulated", run=run_id, generation=generation, repository_id="id")
    return Ledger(
        tracker=tracker,
        finished=finished,
        numbers=numbers,
        journal=journal,
        log=log,
        claim=claim,
        scrub=str,
        close_hint="close {}",
        open_hint="open {}",
    )


class _Sessions:
    """``Sessions`` in memory: their conversations have no words."""

    def __init__(self, *_: object) -> None: ...

    def keep(self, place: Any) -> None:
        purpose = place.purpose
        if "session" in purpose:
            path: Any = log_path(f"/sessions/{purpose['session']}")
            number, agent = int(purpose["number"]), purpose["session_agent"]
            kept = KeptSession(number=number, id=purpose["session"], path=path, agent=agent)
            Stand.world.conversations[purpose["task"]] = kept

    def find(self, task: str) -> KeptSession | None:
        found: KeptSession | None = Stand.world.conversations.get(task)
        return found

    def drop(self, task: str) -> None:
        Stand.world.conversations.pop(task, None)


class _View:
    """``RepositoryView``: prompts are not made here."""

    current = Surroundings()
    instructions: ClassVar = collections.defaultdict[str, Instructions](Instructions)

    def __init__(self, *_: object) -> None: ...

    def refresh(self) -> None: ...

    def needs_of(self, _task: object) -> tuple[()]:
        return ()

    def tried(self, _tasks: object) -> dict[str, str]:
        return {}

    def in_project(self, files: tuple[str, ...]) -> tuple[str, ...]:
        return files


class _Judge:
    """``TestJudge``: it reads test files, and there are none."""

    def __init__(self, *_: object, **__: object) -> None: ...

    def learn(self, _record: object) -> None: ...

    def leaves_failures(self, *_: object) -> bool:
        return False

    def judge(self, _passed: object) -> Judgement:
        return Judgement()

    def weakened(self, *_: object) -> tuple[()]:
        return ()


class _Notary:
    """``Notary``: the statement of a landing has a test of its own."""

    failures: tuple[str, ...] = ()

    def __init__(self, *_: object) -> None: ...

    def state(self, *_: object) -> bytes:
        return b"statement"

    def landed(self, *_: object) -> tuple[str, ...]:
        return ()


class Unseen:
    """``LiveView``: no one looks."""

    def __getattr__(self, _name: str) -> Any:
        return lambda *_: None


class _Output:
    """``OutputFile``: agents print nothing."""

    def __init__(self, *_: object) -> None: ...

    def __enter__(self) -> _Output:
        return self

    def __exit__(self, *_: object) -> None: ...

    def write(self, _lines: bytes) -> None: ...


class _Records:
    """``TreeRecords`` of the world."""

    @classmethod
    def of(cls, _work_dir: Path) -> _Records:
        return cls()

    def find(self, tree: str, _conditions: object) -> Any:
        return Stand.world.records.get(tree)

    def keep(self, record: Any) -> None:
        Stand.stage.touch(f"keep record {record.tree[:7]}")
        Stand.world.records[record.tree] = record


class _Checkout:
    """``GateCheckout``: the gate gets the id of the tree itself."""

    def __init__(self, *_: object) -> None: ...

    @staticmethod
    def remove_all(_repository: object) -> None: ...

    def move(self, tree: str) -> str:
        return tree

    def remove(self) -> None: ...


_POLICY = Policy()


class _Protection:
    """``Protection``: what may not change is in ``world.checked``."""

    shown = outside = ()
    hidden_directories = ()

    def policy(self, marked: Any = ()) -> Policy:
        return replace(_POLICY, marked=tuple(marked)) if marked else _POLICY


def _prepare(directory: LogPath, _prompt: str) -> None:
    Stand.stage.touch(f"prepare {directory.parts[-2]}-{directory.name}")
    Stand.world.directories.add((directory.parts[-2], int(directory.name)))


def _prepare_home(place: Any, session_id: str, _file: str, _kept: object, *, agent: str, **_: str) -> None:
    place.purpose = {**place.purpose, "session": session_id, "session_agent": agent}


def _slots(config: Config, agents: Any, freed: Any, *, plays: bool = False) -> Slots:  # noqa: ARG001
    healths = {
        name: ApiHealth(config.jobs, config.limit_wait, lambda: Stand.stage.now, freed) for name in agents
    }
    made: Slots = Stand.world.slots(config.jobs, freed, Healths(healths))
    return made


def _add_note(repository: Any, notes: str, _commit: str, _content: bytes, identity: Any) -> str:
    tree = repository.tree({})
    return str(repository.commit(tree, [notes] if notes else [], "Notes\n", identity))


def _nothing(*_: Any, **__: Any) -> None:
    return None


def _empty(*_: Any, **__: Any) -> tuple[()]:
    return ()


def _lines(_path: Path, generation: str) -> list[dict[str, object]]:
    return [line for line in Stand.world.log if line["generation"] == generation]


def _run_id(_bytes: int) -> str:
    return f"run{Stand.world.runs:x}"


_SANDBOX = types.SimpleNamespace(
    owner=None, sweep=list, engine=_nothing, description="sim", capabilities=frozenset()
)
_FINDINGS = Findings(reserved=frozenset(), needs={}, warnings=())

OPENING = {
    "check_repository": _nothing,
    "checked_language": lambda *_: language("none"),
    "credentials_of": _empty,
    "empty_submodules": lambda *_: "",
    "check_gate_nodes": lambda *_: "",
    "check_nodes": lambda *_: "",
    "expiring": lambda *_: "",
    "find_generation": lambda *_: Stand.world.generation,
    "foreign_address": lambda *_: "",
    "GateCheckout": _Checkout,
    "ignore_itself": _nothing,
    "make_agents": lambda *_, **__: Agents(Stand.world.agents),
    "make_gate": lambda *_, **__: GATE,
    "make_sandbox": lambda *_: _SANDBOX,
    "make_signer": _nothing,
    "make_site": Site,
    "make_slots": _slots,
    "missing_documents": lambda *_: "",
    "Notary": _Notary,
    "open_ledger": _open_ledger,
    "open_repository": lambda *_: Stand.world.repository,
    "open_tracker": lambda *_: Stand.world.tracker,
    "preflight": lambda *_: _FINDINGS,
    "preflight_descriptors": _nothing,
    "preflight_room": lambda *_: "",
    "protection_of": lambda *_, **__: _Protection(),
    "reach_api": _nothing,
    "remove_remains": _empty,
    "removed_sources": lambda *_: "",
    "report_killed_run": _empty,
    "RepositoryView": _View,
    "run_lock": lambda *_: contextlib.nullcontext(),
    "Sessions": _Sessions,
    "secrets": types.SimpleNamespace(token_hex=_run_id),
    "SourceLines": lambda *_: types.SimpleNamespace(at=_nothing),
    "take_over_work": _empty,
    "TestJudge": _Judge,
    "TreeRecords": _Records,
    "unseen_paths": _empty,
}
"""In ``open_run``: what looks at this machine, or reads files."""

TABLE: Mapping[types.ModuleType, Mapping[str, Any]] = {
    opening: OPENING,
    slots: {"threading": THREADING},
    turns: {"threading": THREADING},
    tracker_lane: {"threading": THREADING, "Future": Promise},
    lane: {"time": TIME, "ThreadPoolExecutor": Executor},
    window: {"threading": THREADING, "check_change": world.checked, "read_change": world.changed},
    markers: {"read_change": world.changed},
    gate_runs: {"ThreadPoolExecutor": Executor},
    tree_gate: {"threading": THREADING, "GateCheckout": _Checkout, "first_entry": lambda *_: ""},
    landing: {"add_note": _add_note},
    loop: {
        "threading": THREADING,
        "time": TIME,
        "signal": Signals,
        "Placeholder": types.SimpleNamespace(from_parent=_nothing),
    },
    stitch: {"time": TIME, "evidence": _empty, "work_of": _nothing},
    attempt: {
        "prepare": _prepare,
        "harvest": world.harvested,
        "_write_result": _nothing,
    },
    checks: {"matches_any": functools.lru_cache(4096)(matches_any)},
    measure: {
        "time": TIME,
        "prepare": _prepare,
        "measure_prompt": lambda *_: "prompt",
        "read_answer": world.answer_of,
        "keep_in_history": _nothing,
    },
    telling: {
        "stitch_beginning": lambda *_: "beginning",
        "stitch_prompt": lambda *_: "prompt",
        "stitch_turn": lambda *_: "turn",
    },
    conversation: {"prepare_home": _prepare_home},
    recovery: {"harvest": world.harvested, "Sessions": _Sessions},
    waiting: {"check_change": world.checked},
    launch: {"OutputFile": _Output},
    spending: {"asyncio": ASYNCIO},
    metering: {"datetime": Clock},
    claims: {"datetime": Clock},
    past_spending: {"_lines": _lines},
}


@contextlib.contextmanager
def _imports_kept() -> Iterator[None]:
    """The garbage collector passes over what is imported already, which is more than schedules leave."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextlib.contextmanager
def installed() -> Iterator[None]:
    """Inside of the block, the modules under test have what is in the table."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(_imports_kept())
        for module, values in TABLE.items():
            stack.enter_context(mock.patch.multiple(module, **values))
        yield
