"""The budget of a run: the configured limits, and what earlier runs of a generation spent."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from pytest_cobbler.agents.budget import Budget, Limits, Past
from pytest_cobbler.agents.prices import dollars, picodollars
from pytest_cobbler.agents.values import event_of, number_of, object_of, text_of
from pytest_cobbler.config import Config
from pytest_cobbler.display import one_line
from pytest_cobbler.usage import NOTHING, Usage

__all__ = ["UNSEEN", "budget_of", "limits_of", "past_of", "usage_of_attempts"]


def budget_of(config: Config, work_dir: Path, generation: str) -> Budget:
    """The budget of a run on ``generation``; the log of requests is below ``work_dir``."""
    limits = Limits(
        budget_usd=_amount(config.budget_usd),
        generation_budget_usd=_amount(config.generation_budget_usd),
        task_budget_usd=_amount(config.task_budget_usd),
        budget_tokens=config.budget_tokens,
    )
    is_needed = limits.generation_budget_usd is not None or limits.task_budget_usd is not None
    return Budget(limits, past_of(work_dir, generation) if is_needed else Past())


def limits_of(budget: Budget) -> dict[str, float]:
    """What is limited: the key of the configuration, and its US dollars or tokens."""
    return {
        purse.key: dollars(purse.limit) if purse.unit == "usd" else purse.limit
        for purse in budget.purses
        if purse.limit is not None
    }


def past_of(work_dir: Path, generation: str) -> Past:
    """What earlier runs of ``generation`` spent, in all and on each task.

    A request without an answer counts as much as was reserved for it: its run may have been killed.
    """
    amounts: dict[object, tuple[str | None, int]] = {}
    for place, line in enumerate(_lines(work_dir / "log" / "events.jsonl", generation)):
        event, names = text_of(line, "event"), ("run", "phase", "item", "attempt", "number")
        key: object = tuple(str(line.get(name)) for name in names)
        name = {"request": "reserved_usd", "answer": "charged_usd", "spent": "charged_usd"}.get(event, "")
        amount = number_of(line, name)
        if amount is None:
            continue
        task = text_of(line, "item") if line.get("phase") == "stitch" else None
        amounts[place if event == "spent" else key] = task, picodollars(amount)
    tasks: Counter[str] = Counter()
    for task, spent in amounts.values():
        if task is not None:
            tasks[task] += spent
    return Past(generation=sum(spent for _, spent in amounts.values()), tasks=tasks)


UNSEEN: Final = replace(NOTHING, attempts=1, cost_is_partial=True)
"""The usage of an attempt of which the proxy saw nothing."""


@dataclass
class _Seen:
    """What the proxy saw of an attempt. ``waiting``: requests that have no answer yet."""

    usage: Usage = NOTHING
    waiting: set[object] = field(default_factory=set)
    has_cut: bool = False

    def add(self, line: Mapping[str, object]) -> None:
        request = line.get("run"), line.get("number")
        if line.get("event") == "request":
            self.waiting.add(request)
        elif line.get("event") == "answer":
            self.waiting.discard(request)
            self.usage += _usage_of(line)
            self.has_cut = self.has_cut or line.get("cut") is True

    def of_one_attempt(self) -> Usage:
        usage = self.usage
        is_partial = usage.cost_is_partial or usage.cost_usd is None or self.has_cut or bool(self.waiting)
        return replace(usage, attempts=1, cost_is_partial=is_partial)


def usage_of_attempts(work_dir: Path, generation: str) -> dict[tuple[str, int], Usage]:
    """What the proxy saw of the attempts at tasks: task and number of the attempt -> usage.

    A cost is a lower bound if an answer was cut or is missing.
    """
    found: defaultdict[tuple[str, int], _Seen] = defaultdict(_Seen)
    for line in _lines(work_dir / "log" / "events.jsonl", generation):
        task, number = text_of(line, "item"), text_of(line, "attempt")
        if line.get("phase") == "stitch" and task and number.isdigit():
            found[task, int(number)].add(line)
    return {attempt: seen.of_one_attempt() for attempt, seen in found.items()}


def _usage_of(answer: Mapping[str, object]) -> Usage:
    """That of an answer in the log. One that was cut was charged with its reservation."""
    tokens = object_of(answer.get("tokens"))
    is_free = answer.get("cut") is True or not tokens
    return Usage(
        attempts=0,
        turns=int(bool(tokens)),
        tokens_input=int(number_of(tokens, "input") or 0),
        tokens_output=int(number_of(tokens, "output") or 0),
        tokens_cache_read=int(number_of(tokens, "cache_read") or 0),
        tokens_cache_write=int(number_of(tokens, "cache_write") or 0),
        cost_usd=0.0 if is_free else number_of(answer, "charged_usd"),
        model=one_line(text_of(answer, "model")),
    )


def _lines(path: Path, generation: str) -> Iterator[dict[str, object]]:
    """The events of a generation; lines that cannot be read are passed over."""
    mark = json.dumps(generation, ensure_ascii=False).encode("utf-8", "replace")
    try:
        with path.open("rb") as log:
            for line in log:
                if mark in line and (event := event_of(line)).get("generation") == generation:
                    yield dict(event)
    except FileNotFoundError:
        return


def _amount(dollars: float | None) -> int | None:
    return None if dollars is None else picodollars(dollars)
