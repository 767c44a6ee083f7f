"""Plays a schedule: run after run, with its kills, limits and acts, and the invariants after each step."""

from __future__ import annotations

import random
import traceback
import types
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from pytest_cobbler.config import Config
from pytest_cobbler.cycle.opened import Opened
from pytest_cobbler.cycle.opening import open_run
from pytest_cobbler.cycle.outcome import Outcome
from pytest_cobbler.cycle.slots import Slots
from pytest_cobbler.errors import CobblerError
from pytest_cobbler.process import Cancellation
from pytest_cobbler.session.events import Event as LoopEvent
from pytest_cobbler.session.events import Events, Woken
from pytest_cobbler.session.loop import Loop
from pytest_cobbler.session.nodes import AgentItem, MeasureItem, StitchItem
from pytest_cobbler.tracker.base import Task
from tests.simulator.agents import Agent
from tests.simulator.invariants import Invariants
from tests.simulator.people import People
from tests.simulator.replacements import CONFIG, Unseen
from tests.simulator.schedules import FAILURES, LEAST_AGENTS, LEAST_TASKS, Event, Schedule, ScheduledApi
from tests.simulator.stage import Killed, Stage
from tests.simulator.standins import Looks, Signals, Stand
from tests.simulator.world import World

__all__ = ["Finding", "Played", "first_finding", "numbers_of", "play"]

MOST_RUNS = 12
"""Runs of a schedule. By then its events have come."""


_REGATES = 0.08
"""The part of the runs that ask no agent."""


@dataclass(frozen=True)
class Finding:
    """An invariant that did not hold, or an error of the code under test."""

    seed: int
    why: str
    where: str = ""

    @property
    def again(self) -> str:
        """The command that replays it."""
        return f"python -m tests.simulator --replay {self.seed}"


@dataclass
class Played:
    """A schedule that was played. ``counts``: how often what happened."""

    finding: Finding | None = None
    turns: int = 0
    steps: int = 0
    counts: Counter[str] = field(default_factory=Counter)


class _Interrupted(Exception):
    """``Session.Interrupted``."""


class _Events(Events):
    """The queue of the loop. While the main thread waits for it, the other players go on."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._list: list[LoopEvent] = []
        self._looks = Looks()

    def put(self, event: LoopEvent) -> None:
        self._list.append(event)

    def offer(self, _event: Any) -> bool:
        return False  # steps are for the terminal

    def wake(self) -> None:
        self.put(Woken())

    def get(self, timeout: float) -> LoopEvent | None:
        if not self._list:
            seconds = self._looks.next() if timeout else 0.0
            self._stage.wait(lambda: bool(self._list or Signals.pressed), seconds)
            Signals.deliver()
        if not self._list:
            return None
        self._looks.reset()
        return self._list.pop(0)


class _Slots(Slots):
    """Slots whose places the invariants count."""

    invariants: Invariants

    def take(self, names: Sequence[str]) -> str:
        taken = super().take(names)
        if taken:
            self.invariants.task_may_start()
            self.invariants.place_given(taken, names, ahead=self.waiting)
        elif not self.waiting:
            self.invariants.no_place(names)
        return taken

    def wait(self, cancellation: Cancellation, names: Sequence[str]) -> str:
        taken = super().wait(cancellation, names)
        if taken:
            self.invariants.place_given(taken, names)
        return taken

    def give(self, name: str) -> None:
        self.invariants.place_back(name)
        super().give(name)


class _Item(AgentItem):
    """An item without pytest's part. ``report`` stands for its protocol."""

    ihook: Any = None
    key: Any = ""

    @classmethod
    def of(cls, kind: str, name: str, cycle: int, report: Callable[[Self, Outcome], object]) -> Self:
        item = cls.__new__(cls)
        item.name, item.cycle, item.error, item.outcome = name, cycle, None, None
        item.key = f"{kind}::{name}"
        item.ihook = types.SimpleNamespace(
            pytest_cobbler_begin=_nothing,
            pytest_cobbler_outcome=_nothing,
            pytest_cobbler_reported=_nothing,
            pytest_runtest_protocol=lambda **_: report(item, item.known_outcome),
        )
        return item

    @property
    def known_outcome(self) -> Outcome:
        """The outcome; an error that is not of the package is one of the simulator, or a fault."""
        assert self.outcome is not None
        if self.error is not None and not isinstance(self.error, CobblerError):
            raise self.error
        return self.outcome

    def is_marked_not_to_run(self) -> bool:
        return False

    def ended(self, outcome: Outcome) -> None:
        self.outcome = outcome


class _Stitch(_Item, StitchItem):
    """An item of a task."""


class _Measure(_Item, MeasureItem):
    """An item of a measure."""

    tasks = omitted = ()


def _nothing(**_: object) -> None:
    return None


class _Player:
    """Plays one schedule."""

    def __init__(self, seed: int, trace: Callable[[str], object] | None) -> None:
        self.seed = seed
        self._trace = trace
        numbers = random.Random(seed)
        self._schedule = Schedule(numbers)
        self._stage = Stage(numbers)
        self._world = world = World(self._stage, numbers, self.say)
        Stand.stage, Stand.world = self._stage, world
        ids: list[str] = []
        for needs, priority in self._schedule.tasks:
            ids.append(world.tracker.add([ids[place] for place in needs], priority).id)
        self._invariants = Invariants(world)
        self._people = People(world, self._invariants)
        self._api = ScheduledApi(self._schedule)
        world.agents = {name: self._agent(name) for name in self._schedule.agents}
        world.slots = self._slots
        world.noted = self._noted
        world.gate_fault = self._gate_fault
        world.gates = self._invariants.gates
        self._gates = self._broken_in = 0
        self._config = self._schedule.config(CONFIG)
        self._pending = list(self._schedule.events)
        self._step = 0
        self.played = Played()
        self._stage.on_touch = self._on_touch

    def _agent(self, name: str) -> Agent:
        """An agent; each but the first has an API of its own."""
        api = self._api if name == self._schedule.agents[0] else ScheduledApi(self._schedule)
        agent = Agent(name, api, self._invariants, self._schedule.work, self._leave)
        agent.proxied = self._schedule.is_seen
        return agent

    def say(self, who: str, what: str) -> None:
        if self._trace:
            self._trace(f"{self._stage.seconds:9.1f} {self._step:4} {who:10} {what}")

    def _noted(self, event: str, facts: Mapping[str, object]) -> None:
        self._invariants.noted(event, facts)
        if self._trace:
            self.say(event, " ".join(f"{name}={value}" for name, value in facts.items() if value))

    def _leave(self, request: Any, files: Any, is_complete: bool) -> None:
        if files:
            self._invariants.wrote(request)
        self._world.leave(request, files, is_complete)

    def _slots(self, *arguments: Any) -> Slots:
        slots = _Slots(*arguments)
        slots.invariants = self._invariants
        return slots

    # -- what happens at a step

    def _on_touch(self, what: str) -> None:
        if self._invariants.broken:
            raise self._invariants.broken  # the code under test may have taken it for an error of its own
        self._step += 1
        self.played.steps += 1
        if self._trace:
            player = self._stage.current
            self.say(player.name.removeprefix("cobbler-") if player else "main", what)
        while self._pending and self._is_due(self._pending[0]):
            event = self._pending.pop(0)
            if event.what == "kill":
                self._count(event.what)
                self.say("kill", "the process is killed")
                self._stage.dead = True
                return
            if event.what in FAILURES:
                self._fail(event.what)
            else:
                self._act(event)

    def _fail(self, what: str) -> None:
        """Let git, or the tracker, fail a few times."""
        self._count(what)
        self.say("failure", what)
        self._invariants.disturbed()
        failing = self._world.repository if what == "git fails" else self._world.tracker
        failing.fails = self._world.numbers.randint(1, 3)

    def _is_due(self, event: Event) -> bool:
        return event.run < self._world.runs or (event.run == self._world.runs and event.step <= self._step)

    def _act(self, event: Event) -> None:
        if self._people.act(event.what):
            self._count(event.what)
            self._count("acts of people")
        else:
            self._later.append(event)

    def _count(self, what: str) -> None:
        self.played.counts[what] += 1

    # -- runs

    def play(self) -> None:
        world, invariants = self._world, self._invariants
        idle = 0
        while world.runs < MOST_RUNS and (self._is_work_left(idle) or self._pending or not self._has_all()):
            world.runs += 1
            self._later: list[Event] = []
            before = len(world.landed())
            self._run()
            for event in self._later:
                if self._people.act(event.what):
                    self._count(event.what)
                    self._count("acts of people")
            self._people.between_runs()
            idle = 0 if len(world.landed()) > before or not self._asks_agents else idle + 1
            if not self._pending and world.runs > 2 and not self._has_all():
                for act in ("raise the budget", "add a free task"):
                    self._people.act(act)
                    self._count("acts of people")
        self.played.counts.update(invariants.counts)
        self.played.counts["limits"] += bool(self._api.limited)
        self.played.turns = self._stage.turns

    def _is_work_left(self, idle: int) -> bool:
        """Whether another run may land something; ``idle`` runs have landed nothing."""
        tasks = self._world.tracker.store.values()
        return not idle and any(task.status == "open" and not task.labels for task in tasks)

    def _has_all(self) -> bool:
        """Whether what every schedule has has happened."""
        counts, agents = self.played.counts, self._invariants.counts["agents"]
        is_met = self._api.limited and counts["kill"] and counts["acts of people"]
        return bool(is_met and agents >= LEAST_AGENTS)

    def _gate_fault(self) -> str:
        """The fault of the machine that the next gate meets. A person repairs the machine after the run."""
        schedule = self._schedule
        self._gates += 1
        begin = schedule.gate_fault_begins
        if not schedule.gate_fault or not begin <= self._gates < begin + schedule.gate_fault_lasts:
            return ""
        self._count(f"gates without a {schedule.gate_fault}")
        self._broken_in = self._broken_in or self._world.runs
        return schedule.gate_fault if self._broken_in == self._world.runs else ""

    def _run(self) -> None:
        self._step = 0
        self._stage.dead = False
        Signals.forget()
        self._asks_agents = self._world.runs == 1 or self._world.numbers.random() > _REGATES
        config = self._people.config(self._config)
        verb = "begins" if self._asks_agents else "regates"
        self.say("run", f"{self._world.runs} {verb}: {_shown(config)}")
        self._count("runs that ask no agent" if not self._asks_agents else "runs")
        self._invariants.begin(config, asks_agents=self._asks_agents, is_seen=self._schedule.is_seen)
        events = _Events(self._stage)
        lost: list[str] | None = None
        begun: Opened | None = None
        is_cut = False
        try:
            opening = open_run(
                config,
                freed=events.wake,
                asks_agents=self._asks_agents,
                say=lambda line: self.say("say", line),
            )
            with opening as opened:
                begun = opened
                self._invariants.opened(opened)
                for line in opened.recovered:
                    self.say("recovered", line)
                try:
                    self._loop(opened, events)
                except KeyboardInterrupt:  # the third Ctrl-C, for which nothing is waited
                    is_cut = True
            lost = opened.lost()
        except (Killed, KeyboardInterrupt):
            pass
        except CobblerError as error:
            self._count("runs that were refused")
            self.say("refused", error.cause)
            lost = begun.lost() if begun else []  # the session asks also if the clean-up has failed
        finally:
            is_killed = self._stage.dead
            self._stage.kill()
        if self._invariants.broken:
            raise self._invariants.broken
        if self._stage.errors:
            raise self._stage.errors[0]
        if is_killed or is_cut or lost is None:
            self._invariants.killed()
        else:
            self._invariants.end(lost)
        self.say("run", "ends")

    def _loop(self, opened: Opened, events: _Events) -> None:
        items: list[Any] = [self._stitch(task, 0) for task in opened.selection.taken]
        if self._asks_agents:
            cycles = range(1, opened.run.project.config.cycles + 1)
            items += [_Measure.of("measure", f"cycle-{cycle}", cycle, self._measured) for cycle in cycles]
        if not items:
            return
        session: Any = types.SimpleNamespace(
            items=[types.SimpleNamespace(getparent=lambda _type: True)],
            config=types.SimpleNamespace(add_cleanup=lambda _function: None),
            shouldstop=False,
            shouldfail=False,
            Interrupted=_Interrupted,
        )
        unseen: Any = Unseen()
        self._active = loop = Loop(session, opened.run, events, None, unseen)
        if opened.selection.left:
            loop.skip_measures("open tasks are left")
        self._invariants.planned([item.name for item in items if isinstance(item, _Measure)])
        loop.add(items)
        try:
            loop.run()
        except _Interrupted as why:
            self.say("stopped", str(why))

    def _stitch(self, task: Task, cycle: int) -> _Stitch:
        item = _Stitch.of(
            "stitch", task.id, cycle, lambda _, outcome: self._invariants.reported(task.id, outcome)
        )
        item.task = task
        return item

    def _measured(self, item: _Measure, outcome: Outcome) -> None:
        """A measure is reported: what it has proposed becomes items."""
        self._invariants.reported(item.name, outcome)
        self._invariants.proposed(item.tasks)
        if item.tasks:
            self._active.add([self._stitch(task, item.cycle) for task in item.tasks])


def _shown(config: Config) -> str:
    names = (
        "jobs",
        "landing",
        "gate_jobs",
        "max_attempts",
        "max_failures",
        "max_issues",
        "limit_wait",
        "budget_usd",
    )
    more = ("generation_budget_usd", "task_budget_usd")
    return ", ".join(f"{name} {getattr(config, name)}" for name in (*names, *more))


def play(seed: int, trace: Callable[[str], object] | None = None) -> Played:
    """Play the schedule of a seed, inside of ``installed``.

    Args:
        trace: takes a line for each step.
    """
    player = _Player(seed, trace)
    try:
        player.play()
        _check_is_whole(player)
    except Exception as error:
        player.played.finding = Finding(seed, f"{type(error).__name__}: {error}", traceback.format_exc())
    return player.played


def _check_is_whole(player: _Player) -> None:
    """Every schedule has enough of everything."""
    counts = player.played.counts
    assert len(player._schedule.tasks) >= LEAST_TASKS
    assert player._config.jobs >= LEAST_AGENTS
    assert player._has_all(), counts


def numbers_of(seed: str, schedules: int) -> Iterator[int]:
    """The numbers of the schedules that a seed stands for."""
    draw = random.Random(f"simulator {seed}")
    for _ in range(schedules):
        yield draw.getrandbits(40)


def first_finding(seed: str, schedules: int) -> Finding | None:
    """The first finding among the schedules of a seed, inside of ``installed``."""
    return next((found for number in numbers_of(seed, schedules) if (found := play(number).finding)), None)
