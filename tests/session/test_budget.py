"""Budgets of agents that no proxy serves: they are counted by what they report."""

from __future__ import annotations

import json
import re

import pytest

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.invariants import check
from pytest_cobbler.testing.project import Project, RunResult
from tests.support.sessions import by_title, came_to, charged, seed, statuses, task

WEAKER = (
    "budget: not behind the proxy, agents are stopped between turns, by what they report: they may spend *"
)


@pytest.fixture
def free(cobbler_project: Project, cobbler_agent: StandInAgent) -> Project:
    """Four tasks, done one after the other by agents that report nothing."""
    for place in range(4):
        cobbler_agent.task(f"write {place}").writes(f"{place}.txt", "done\n")
    seed(cobbler_project, *(task(f"p-{place}", title=f"write {place}", priority=place) for place in range(4)))
    cobbler_project.configure(cycles=0, jobs=1, max_attempts=2)
    return cobbler_project


@pytest.fixture
def project(free: Project, cobbler_agent: StandInAgent) -> Project:
    """Those tasks; each agent reports 0.50 USD."""
    cobbler_agent.reports(cost_usd=0.5)
    return free


def lines_of(result: RunResult) -> list[str]:
    return [line for line in result.outlines if line.startswith("budget: ")]


@pytest.mark.matrix("costly")
def test_a_run_ends_as_limited_and_more_money_goes_on(project: Project) -> None:
    project.configure(budget_usd=0.9, max_attempts=1)
    result = project.run("--cobbler-generate")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    outcomes = came_to(result)
    assert outcomes.pop("stitch::p-3") in ("limited", "cancelled"), "its thread may have begun"
    assert outcomes == {"stitch::p-0": "landed", "stitch::p-1": "landed", "stitch::p-2": "limited"}
    limited = by_title(result)["write 2"]
    assert limited.properties["cobbler_cause"] == "budget"
    assert "budget_usd: 1.0000 of 0.9000 USD are spent" in limited.message
    assert lines_of(result)[0] == "budget: 0.90 USD for this run"
    result.stdout.fnmatch_lines([WEAKER])
    result.stdout.fnmatch_lines(["budget: 1.0000 of 0.90 USD spent (budget_usd)"])
    result.stdout.fnmatch_lines(["To go on with more money: pytest --cobbler-resume --cobbler-budget USD"])
    assert statuses(project) == {"p-0": "closed", "p-1": "closed", "p-2": "open", "p-3": "open"}
    assert charged(project) == {}

    result = project.run("--cobbler-resume", "--cobbler-budget", "3")
    assert (result.ret, set(came_to(result).values())) == (0, {"landed"})
    assert lines_of(result)[0] == "budget: 3.00 USD for this run"
    assert check(project, result) == []


@pytest.mark.matrix("costly")
def test_all_runs_of_a_generation_share_its_budget(project: Project) -> None:
    project.configure(generation_budget_usd=1.2, max_issues=2)
    assert project.run("--cobbler-generate").ret == 0
    result = project.run("--cobbler-resume")
    assert lines_of(result)[0] == "budget: 1.20 USD for the generation, 1.0000 of it spent"
    assert sorted(came_to(result).values()) == ["landed", "limited"]
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["To go on with more money: raise it in the configuration, and *"])
    project.configure(generation_budget_usd=5)
    assert project.run("--cobbler-resume").ret == 0


def test_a_task_that_has_used_up_its_budget_fails_alone(
    project: Project, cobbler_agent: StandInAgent
) -> None:
    cobbler_agent.task("write 0").runs("true").reports(cost_usd=0.7, error="no")
    project.configure(task_budget_usd=0.6)
    result = project.run("--cobbler-generate")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert came_to(result) == {"stitch::p-0": "failed"} | {f"stitch::p-{n}": "landed" for n in (1, 2, 3)}
    failed = by_title(result)["write 0"]
    assert failed.properties["cobbler_cause"] == "budget"
    assert "task_budget_usd: 0.7000 of 0.6000 USD are spent" in failed.message
    again = project.run("--cobbler-resume")
    assert by_title(again)["write 0"].properties["cobbler_cause"] == "budget"
    assert charged(project) == {"p-0": 2}, "as for every other failure of a task"


TURN = [
    {"type": "system", "subtype": "init", "model": "ours"},
    {"type": "assistant", "message": {"id": "m", "usage": {"input_tokens": 6000}, "content": []}},
]
"""What an agent prints in its first turn."""


@pytest.mark.parametrize(
    ("key", "limit", "spent"),
    [("budget_usd", 0.5, "0.6000 of 0.50 USD"), ("budget_tokens", 6000, "6000 of 6000 tokens")],
)
def test_an_agent_is_stopped_between_turns_when_what_it_prints_uses_up_a_budget(
    free: Project, cobbler_agent: StandInAgent, key: str, limit: float, spent: str
) -> None:
    went_on = free.directory / "went on"
    free.write({"prices.yaml": "ours: {input: 100, output: 100}\n"})
    free.commit("Prices")
    free.configure(**{key: limit}, **({"prices": "prices.yaml"} if key == "budget_usd" else {}))
    agent = cobbler_agent.task("write 0")
    for event in TURN:
        agent.prints(json.dumps(event))
    agent.sleeps(60).runs(f"touch '{went_on}'")
    result = free.run("--cobbler-generate")
    assert not went_on.exists()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    limited = {"stitch::p-0": "limited"}
    assert came_to(result) == limited | {f"stitch::p-{n}": "cancelled" for n in (1, 2, 3)}
    assert by_title(result)["write 0"].properties["cobbler_cause"] == "budget"
    result.stdout.fnmatch_lines([f"budget: {spent} spent ({key})", "To go on with more *"])
    unknown = [line for line in result.outlines if line.startswith("price unknown: ")]
    named = ["price unknown: ours, 6000 tokens; name its price in a file (prices)"]
    assert unknown == (named if key == "budget_tokens" else [])


def test_a_run_without_a_budget_says_so_and_a_wrong_amount_is_refused(project: Project) -> None:
    result = project.run("--cobbler-generate", "--cobbler-max-issues", "1")
    assert lines_of(result) == ["budget: none (budget_usd, --cobbler-budget)"]
    wrong = project.run("--cobbler-generate", "--cobbler-budget", "-1")
    assert wrong.ret == pytest.ExitCode.USAGE_ERROR
    wrong.stderr.fnmatch_lines(["*--cobbler-budget: -1.0 is not allowed; allowed: more than 0*"])
    wrong = project.run("--cobbler-stop", "--cobbler-budget", "1")
    assert wrong.ret == pytest.ExitCode.USAGE_ERROR


def test_the_summary_divides_the_cost_and_a_plan_estimates_it(
    project: Project, cobbler_agent: StandInAgent
) -> None:
    cobbler_agent.task("write 0", attempt=1).runs("true").reports(cost_usd=0.25, error="no")
    cobbler_agent.task("write 0", attempt=2).writes("0.txt", "done\n")
    plan = project.run("--cobbler-generate", "--collect-only")
    assert not [line for line in plan.outlines if line.startswith("estimate: ")]
    result = project.run("--cobbler-generate", "--cobbler-max-issues", "2")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["cost: landed 1.0000 USD, wasted 0.2500 USD"])
    plan = project.run("--cobbler-generate", "--collect-only")
    (line,) = [line for line in plan.outlines if line.startswith("estimate: ")]
    cost = r"1\.25 USD \(1\.00 to 1\.50\)"
    time = r"\d+ (s|min) of agents and gates \(\d+ (s|min) to \d+ (s|min)\)"
    assert re.fullmatch(rf"estimate: 2 tasks, {cost}, {time}, by 2 landed tasks", line), line
