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
from tests.support.sessions import by_title, came_to, charged, seed, statuses, task

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


def spent(result: RunResult, key: str = "budget_usd") -> tuple[float, float]:
    (line,) = [line for line in result.outlines if line.startswith("budget: ") and f"({key})" in line]
    amounts = re.fullmatch(rf"budget: (\S+) of (\S+) USD spent \({key}\)", line)
    assert amounts, line
    return float(amounts[1]), float(amounts[2])


def logged(project: Project) -> list[Mapping[str, Any]]:
    (log,) = (project.directory / "work").glob("**/log/events.jsonl")
    return [json.loads(line) for line in log.read_text().splitlines()]


def kill_after_a_landing(project: Project, api: ScriptedApi, model: Model) -> None:
    """Run until the first task has landed, and kill the run while its agents ask the ``model``."""
    model.script(api)
    running = project.start("--cobbler-generate", env=api.environment)
    running.wait_until(lambda: "closed" in statuses(project).values(), timeout=240)
    running.send_signal(signal.SIGKILL)
    running.wait()
    model.may_answer.set()


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
    kill_after_a_landing(project, api, model)
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


@pytest.mark.claude
@pytest.mark.podman
@pytest.mark.matrix
def test_the_budget_of_a_generation_holds_over_a_kill_and_a_resume_and_more_of_it_lands_all(
    project: Project, api: ScriptedApi
) -> None:
    budget = 0.8
    assert budget < 12 * COST
    project.configure(jobs=2, max_issues=6, generation_budget_usd=budget)
    seed(project, *(task(f"p-{place}", title=f"write {place}") for place in range(6)))
    model = Model()
    kill_after_a_landing(project, api, model)
    result = project.run("--cobbler-resume", "-v", env=api.environment, timeout=300)
    paid, limit = spent(result, "generation_budget_usd")
    assert (result.ret, limit) == (pytest.ExitCode.INTERRUPTED, budget)
    assert model.answers * COST <= paid + 1e-4
    assert paid <= budget
    assert set(came_to(result).values()) <= {"landed", "limited", "cancelled"}
    assert charged(project) == {}
    assert check(project, result) == []

    project.configure(generation_budget_usd=10)
    result = project.run("--cobbler-resume", env=api.environment, timeout=300)
    paid, limit = spent(result, "generation_budget_usd")
    assert (result.ret, set(came_to(result).values())) == (0, {"landed"})
    assert model.answers * COST <= paid + 1e-4
    assert paid <= limit
    assert set(statuses(project).values()) == {"closed"}
    assert check(project, result) == []


def amounts(project: Project, name: str) -> dict[tuple[object, ...], float]:
    """A request -> the amount that the log has of it."""
    keys = ("run", "item", "attempt", "number")
    return {tuple(event[key] for key in keys): event[name] for event in logged(project) if name in event}
