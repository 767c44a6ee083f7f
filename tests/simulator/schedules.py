"""What a schedule is made of, drawn from its seed: tasks, limits, troubles, kills, acts of people."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field

from pytest_cobbler.agents.base import AgentRequest
from pytest_cobbler.causes import Ending
from pytest_cobbler.config import Config
from pytest_cobbler.cycle.measure import OUTPUT
from tests.simulator.agents import Api, Reply, Work
from tests.simulator.world import FLAKY, FORBIDDEN, RED, SLOW

__all__ = ["ACTS", "FAILURES", "LEAST_AGENTS", "LEAST_TASKS", "Event", "Schedule"]

LEAST_TASKS, LEAST_AGENTS = 8, 3

ACTS = (
    "add a task",
    "close a task",
    "reopen a task",
    "edit a task",
    "rewind the branch",
    "commit on the branch",
    "break the branch",
    "check the branch out",
    "raise the budget",
    "remove the label",
    "delete a task",
    "take a task over",
    "restore the tracker",
    "press Ctrl-C",
    "press Ctrl-C twice",
)
"""What people do. Each is a method of ``People``."""

FAILURES = ("git fails", "the tracker fails")
"""What fails a few times, as on a disk with faults or beside another program."""

TROUBLES = (
    ("429 for seconds", Reply(429, 0.4, wait=7, kind="rate_limit_error")),
    ("429 for minutes", Reply(429, 0.4, wait=90, kind="rate_limit_error")),
    ("429 for hours", Reply(429, 0.4, wait=7200, kind="rate_limit_error")),
    ("429 without a time", Reply(429, 0.4, kind="rate_limit_error")),
    ("529", Reply(529, 0.8, kind="overloaded_error")),
    ("500", Reply(500, 0.8, kind="api_error")),
    ("401", Reply(401, 0.2, kind="authentication_error")),
    ("402", Reply(402, 0.2, kind="billing_error")),
    ("not reached", Reply(0, 2.0)),
    ("broken off", Reply(200, 2.0, cut=True)),
)
"""How the API does not serve: name -> its answer."""

DOLLARS = (None, None, None, 0.3, 0.6, 2.0)


@dataclass(frozen=True)
class Event:
    """``what`` happens before the step ``step`` of the run ``run``; a step changes something that lasts."""

    run: int
    step: int
    what: str


@dataclass
class Schedule:
    """The troubles to come. What is drawn later comes from the same random numbers.

    ``events`` are in their order; one whose run ends before its step comes in the next run.
    """

    numbers: random.Random
    tasks: list[tuple[list[int], int]] = field(default_factory=list)
    """For each task the places of those that it needs, and its priority."""
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        draw = self.numbers
        for place in range(draw.randint(LEAST_TASKS, LEAST_TASKS + 2)):
            few = draw.random() < 0.45 and place
            needs = draw.sample(range(place), draw.randint(1, min(2, place))) if few else []
            self.tasks.append((needs, draw.randint(0, 3)))
        self.events = self._draw_events()
        self.limit_begins, self.limit_lasts = draw.randint(1, 6), draw.randint(1, 4)
        self.trouble_name, self.trouble = draw.choice(TROUBLES)
        self.gate_fault = draw.choice(("program", "sandbox")) if draw.random() < 0.2 else ""
        self.gate_fault_begins, self.gate_fault_lasts = draw.randint(1, 6), draw.randint(1, 6)
        self.is_seen = draw.random() > 0.2
        """Whether a proxy sees the requests of agents."""
        self.odds = [draw.random() for _ in range(8)]
        self.agents = ("sim", "other") if self.odds[7] > 0.6 else ("sim",)
        """The names of the agents, in the order in which they are asked."""

    def _draw_events(self) -> list[Event]:
        draw = self.numbers
        kills = [(draw.randint(1, 2), "kill")] + [(draw.randint(1, 3), "kill")] * (draw.random() < 0.3)
        acts = [(draw.randint(1, 3), draw.choice(ACTS)) for _ in range(draw.randint(1, 4))]
        acts += [(draw.randint(1, 3), what) for what in FAILURES if draw.random() < 0.15]
        # Most of what can go wrong is early in a run, but some only after much has landed.
        steps = [draw.randint(1, draw.choice((20, 80, 200))) for _ in (*kills, *acts)]
        events = [Event(run, step, what) for (run, what), step in zip((*kills, *acts), steps, strict=True)]
        return sorted(events, key=lambda event: (event.run, event.step))

    def config(self, config: Config) -> Config:
        """The configuration of the first run."""
        draw = self.numbers
        return config.model_copy(
            update={
                "jobs": draw.randint(LEAST_AGENTS, LEAST_AGENTS + 1),
                "max_attempts": draw.randint(1, 3),
                "cycles": draw.choice((0, 0, 1, 2)),
                "gate_jobs": draw.choice((1, 1, 2, 4)),
                "landing": draw.choice(("each", "each", "train")),
                "max_failures": draw.randint(1, 3),
                "max_issues": draw.choice((100, 100, 100, 6)),
                "limit_wait": draw.choice((0.0, 20.0, 120.0, 1200.0, None)),
                "budget_usd": draw.choice(DOLLARS),
                "generation_budget_usd": draw.choice(DOLLARS),
                "task_budget_usd": draw.choice((None, None, None, 0.1, 0.5)),
            }
        )

    def work(self, request: AgentRequest) -> Work:
        """What the agent of an attempt does."""
        if request.phase == "measure":
            return self._proposing(request)
        draw, task = self.numbers, request.task_id
        kind = draw.choices(
            ("good", "shared", RED, FLAKY, SLOW, FORBIDDEN, "nothing", "fails", "begins not", "hangs"),
            (
                30,
                8 + 10 * self.odds[0],
                10 * self.odds[1],
                6 * self.odds[2],
                2 * self.odds[3],
                3 * self.odds[4],
                3 * self.odds[5],
                4,
                6 * self.odds[6],
                2,
            ),
        )[0]
        text = f"{kind} {task} {request.transcript.parent.name} {draw.randint(0, 999)}"
        files = {"shared.txt" if kind == "shared" else f"{task}.txt": text}
        if kind == "shared":
            files[f"{task}.txt"] = text
        requests, seconds = draw.choice((1, 1, 1, 2)), draw.choice((0.5, 3.0, 9.0))
        patience = draw.choice((1, 1, 2, 4))
        if kind == "begins not":
            return Work(requests=0, seconds=0, status=1)
        if kind == "nothing":
            files = {}
        work = Work(files, requests, seconds, patience=patience, tokens=draw.choice((500, 8_000, 40_000)))
        if kind == "fails":
            return Work(files, requests, seconds, 1, patience=patience)
        if kind == "hangs":
            return Work(files, requests, 600.0, 1, Ending.IDLE, patience=patience)
        return work

    def _proposing(self, request: AgentRequest) -> Work:
        """What the agent of a measure does; sometimes it answers nothing, or what cannot be used."""
        draw = self.numbers
        proposals = [
            {
                "index": place,
                "title": f"Proposed {request.transcript.parent.name}.{place} {draw.randint(0, 9999)}",
                "description": "Do it.",
                "dependency": draw.randint(-1, place - 1),
            }
            for place in range(draw.choice((0, 1, 2, 4)))
        ]
        text = json.dumps(proposals) if draw.random() < 0.85 else "[{}]"
        files = {OUTPUT: text} if draw.random() < 0.95 else {}
        return Work(files, seconds=draw.choice((0.5, 3.0)), status=int(draw.random() < 0.1))


class ScheduledApi(Api):
    """Serves, but for the troubles of a schedule. ``met`` counts them by name."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._asked = 0
        self.limited = 0

    def reply(self) -> Reply:
        self._asked += 1
        draw, begin = self._schedule.numbers, self._schedule.limit_begins
        if begin <= self._asked < begin + self._schedule.limit_lasts:
            self.limited += 1
            return self._schedule.trouble
        if draw.random() < 0.02:
            return draw.choice(TROUBLES)[1]
        return Reply(200, draw.choice((0.5, 2.0, 6.0)), share=draw.choice((0.1, 0.5, 1.0)))
