"""The budget of a run: the configured limits, and what earlier runs of a generation spent."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from pytest_cobbler.agents.budget import Budget, Limits, Past
from pytest_cobbler.agents.prices import picodollars
from pytest_cobbler.agents.values import event_of, number_of, object_of, text_of
from pytest_cobbler.config import Config
from pytest_cobbler.display import one_line
from pytest_cobbler.usage import NOTHING, Usage

__all__ = ["budget_of", "past_of", "usage_of_attempt"]


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


def usage_of_attempt(work_dir: Path, generation: str, task: str, number: int) -> Usage:
    """What the proxy saw of an attempt whose run was killed.

    The cost is a lower bound if an answer was cut or is missing, and if nothing was seen.
    """
    waiting: set[object] = set()
    usage, has_cut = NOTHING, False
    for line in _lines(work_dir / "log" / "events.jsonl", generation):
        if (line.get("phase"), line.get("item"), line.get("attempt")) != ("stitch", task, str(number)):
            continue
        request = line.get("run"), line.get("number")
        if line.get("event") == "request":
            waiting.add(request)
        elif line.get("event") == "answer":
            waiting.discard(request)
            usage += _usage_of(line)
            has_cut = has_cut or line.get("cut") is True
    is_partial = usage.cost_is_partial or usage.cost_usd is None or has_cut or bool(waiting)
    return replace(usage, attempts=1, cost_is_partial=is_partial)


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
