"""Real claude programs under a budget, through a kill until the work is done; the model is scripted."""

from __future__ import annotations

import json
import re
import signal
import threading
from collections.abc import Mapping
from typing import Any

import pytest

from pytest_cobbler.agents.prices import PriceList
from pytest_cobbler.testing.invariants import check
from pytest_cobbler.testing.project import Project, RunResult
from tests.support.scripted_api import Request, ScriptedApi, Turn, text, tool, turn
from tests.support.sessions import by_title, came_to, seed, statuses, task

MODEL = "claude-opus-5-5"
USAGE = {
    "input_tokens": 1_000,
    "cache_creation_input_tokens": 2_000,
    "cache_read_input_tokens": 10_000,
    "output_tokens": 3_000,
}
COST = PriceList().cost_of(MODEL, USAGE) or 0.0


class Model:
    """Writes a file for each task, in two turns, and counts what it is owed.

    The first agent ends; others wait for ``may_answer``.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.answers = 0
        self.asked: list[int] = []
        self.has_ended = False
        self.may_answer = threading.Event()

    def script(self, api: ScriptedApi) -> None:
        api.script("", *[[self.write, self.end] for _ in range(100)])

    def write(self, request: Request) -> Turn:
        self.count(request)
        title = re.search(r"<title>\\n(write \d+)", json.dumps(request.body["messages"]))
        assert title is not None
        return turn(tool("Bash", command=f"echo done >'{title[1]}.txt'", description="Write"), usage=USAGE)

    def end(self, request: Request) -> Turn:
        self.count(request)
        with self.lock:
            is_first, self.has_ended = not self.has_ended, True
        if not is_first:
            self.may_answer.wait(120)
        return turn(text("Done."), usage=USAGE)

    def count(self, request: Request) -> None:
        with self.lock:
            self.answers += 1
            self.asked.append(request.body["max_tokens"])


def spent(result: RunResult) -> tuple[float, float]:
    (line,) = [line for line in result.outlines if line.startswith("budget: ") and "(budget_usd)" in line]
    amounts = re.fullmatch(r"budget: (\S+) of (\S+) USD spent \(budget_usd\)", line)
    assert amounts, line
    return float(amounts[1]), float(amounts[2])


def logged(project: Project) -> list[Mapping[str, Any]]:
    (log,) = (project.directory / "work").glob("**/log/events.jsonl")
    return [json.loads(line) for line in log.read_text().splitlines()]


@pytest.mark.claude
@pytest.mark.podman
@pytest.mark.matrix
@pytest.mark.parametrize(("agents", "budget"), [(8, 1.0), (2, 0.6)], ids=["8", "2"])
def test_a_budget_holds_over_a_kill_until_all_tasks_have_landed(
    project: Project, api: ScriptedApi, agents: int, budget: float
) -> None:
    tasks = agents + 4
    project.configure(jobs=agents, max_issues=tasks, budget_usd=budget)
    seed(project, *(task(f"p-{place}", title=f"write {place}") for place in range(tasks)))
    model = Model()
    model.script(api)

    running = project.start("--cobbler-generate", env=api.environment)
    running.wait_until(lambda: "closed" in statuses(project).values(), timeout=240)
    running.send_signal(signal.SIGKILL)
    running.wait()
    model.may_answer.set()
    assert model.answers * COST <= budget

    endings = []
    for _ in range(tasks):
        before = model.answers
        result = project.run("--cobbler-resume", "-v", env=api.environment, timeout=300)
        paid, limit = spent(result)
        assert limit == budget
        assert paid <= budget
        assert paid == pytest.approx((model.answers - before) * COST, abs=1e-4), "as the API counts"
        assert check(project, result) == []
        endings.append(result.ret)
        outcomes = came_to(result)
        assert "landed" in outcomes.values()
        if result.ret == 0:
            break
        assert result.ret == pytest.ExitCode.INTERRUPTED
        assert set(outcomes.values()) <= {"landed", "limited", "cancelled"}
        causes = {case.properties.get("cobbler_cause") for case in by_title(result).values()}
        assert "budget" in causes
        assert any("--cobbler-resume --cobbler-budget USD" in line for line in result.outlines)
    assert endings[0] == pytest.ExitCode.INTERRUPTED
    assert endings[-1] == 0
    assert set(statuses(project).values()) == {"closed"}
    assert max(model.asked) < 128_000
    assert min(model.asked) >= 4096
    charged, reserved = amounts(project, "charged_usd"), amounts(project, "reserved_usd")
    cut = reserved.keys() - charged.keys()
    assert len(cut) <= agents, "the requests at the time of the kill"
    owed = sum(charged.values()) + sum(reserved[key] for key in cut)
    assert model.answers * COST <= owed + 1e-9


def amounts(project: Project, name: str) -> dict[tuple[object, ...], float]:
    """A request -> the amount that the log has of it."""
    keys = ("run", "item", "attempt", "number")
    return {tuple(event[key] for key in keys): event[name] for event in logged(project) if name in event}
