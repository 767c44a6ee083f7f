"""What the log of requests tells about attempts whose run was killed."""

from __future__ import annotations

import json
from pathlib import Path

from pytest_cobbler.agents.budget import Past
from pytest_cobbler.agents.prices import picodollars
from pytest_cobbler.lifecycle.spending import UNSEEN, past_of, usage_of_attempts

OF_TASK = {"generation": "g", "run": "r1", "phase": "stitch", "item": "p-1", "attempt": "1"}
TOKENS = {"input": 5, "output": 7, "cache_read": 11, "cache_write": 13}


def logged(work_dir: Path, *events: dict[str, object]) -> None:
    (work_dir / "log").mkdir()
    lines = [json.dumps(OF_TASK | event) for event in events]
    (work_dir / "log" / "events.jsonl").write_text("\n".join([*lines, '{"generation": "g", "cut']))


def request(number: int, **more: object) -> dict[str, object]:
    return {"event": "request", "number": number, "reserved_usd": 0.5} | more


def answer(number: int, **more: object) -> dict[str, object]:
    return {"event": "answer", "number": number, "charged_usd": 0.25, "tokens": TOKENS, "model": "m"} | more


def test_each_attempt_has_the_sum_of_its_own_answers(tmp_path: Path) -> None:
    second, other = {"attempt": "2"}, {"item": "p-2"}
    logged(
        tmp_path,
        *(request(1), answer(1), request(2), answer(2)),
        *(request(3, **second), answer(3, **second), request(4, **other), answer(4, **other)),
        *(request(5, phase="measure"), answer(5, phase="measure"), answer(6, generation="h")),
    )
    usages = usage_of_attempts(tmp_path, "g")
    assert {attempt: (usage.cost_usd, usage.turns) for attempt, usage in usages.items()} == {
        ("p-1", 1): (0.5, 2),
        ("p-1", 2): (0.25, 1),
        ("p-2", 1): (0.25, 1),
    }
    assert not any(usage.cost_is_partial for usage in usages.values())
    assert {usage.attempts for usage in usages.values()} == {1}
    assert usages["p-1", 1].tokens_output == 2 * TOKENS["output"]


def test_a_cost_is_a_lower_bound_if_an_answer_was_cut_or_is_missing(tmp_path: Path) -> None:
    logged(
        tmp_path,
        *(request(1), answer(1), request(2)),
        *(request(1, item="p-2"), answer(1, item="p-2", cut=True)),
        # Another run may give the same number to another request.
        *(request(1, item="p-3"), answer(1, item="p-3", run="r2")),
    )
    usages = usage_of_attempts(tmp_path, "g")
    assert {task: (usage.cost_usd, usage.cost_is_partial) for (task, _), usage in usages.items()} == {
        "p-1": (0.25, True),
        "p-2": (0.0, True),
        "p-3": (0.25, True),
    }


def test_nothing_is_known_of_an_attempt_without_a_request(tmp_path: Path) -> None:
    assert usage_of_attempts(tmp_path, "g") == {}
    assert (UNSEEN.attempts, UNSEEN.cost_usd, UNSEEN.cost_is_partial) == (1, 0.0, True)


def test_earlier_runs_have_spent_what_was_charged_and_what_was_reserved_without_an_answer(
    tmp_path: Path,
) -> None:
    killed, measure = {"run": "r2"}, {"phase": "measure", "item": "cycle-1"}
    logged(
        tmp_path,
        *(request(1), answer(1), request(2), answer(2, cut=True, charged_usd=0.5)),
        # Numbers begin anew in every run and attempt; the last request was cut off by a kill.
        *(request(1, **killed), answer(1, **killed), request(2, **killed)),
        *(request(1, attempt="2"), answer(1, attempt="2")),
        *(request(1, item="p-2"), answer(1, item="p-2", charged_usd=0.0)),
        # Agents without the proxy report at each end.
        *({"event": "spent", "item": "p-3", "charged_usd": 0.125} for _ in range(2)),
        *(request(1, **measure), answer(1, **measure)),
        *(request(1, generation="h"), answer(1, generation="h"), {"event": "end", "number": 9}),
    )
    past = past_of(tmp_path, "g")
    tasks = {"p-1": 0.25 + 0.5 + 0.25 + 0.5 + 0.25, "p-2": 0.0, "p-3": 0.25}
    assert past.tasks == {name: picodollars(amount) for name, amount in tasks.items()}
    assert past.generation == picodollars(sum(tasks.values()) + 0.25)


def test_without_a_log_earlier_runs_have_spent_nothing(tmp_path: Path) -> None:
    assert past_of(tmp_path, "g") == Past()
