"""Real claude programs at an API that limits, refuses or fails: agents started, outcome, charge, money."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import pytest

from pytest_cobbler.testing.invariants import check
from pytest_cobbler.testing.project import Project, RunResult
from tests.support.scripted_api import Request, ScriptedApi, Turn, always, error, text, tool, turn
from tests.support.sessions import by_title, came_to, charged, seed, statuses, task

LONG = "prompt is too long: 250000 tokens > 200000 maximum"


def write(name: str) -> Turn:
    return turn(tool("Bash", command=f"echo done >>{name}.txt", description="Write"))


DONE = turn(text("Done."))


PRICE = 0.012
"""US dollars of one answer of the scripted API."""


def started(result: RunResult) -> int:
    """The number of agents that the run started."""
    return sum(int(case.properties["cobbler_attempts"]) for case in result.junit.values())


def money(result: RunResult) -> float:
    """US dollars of all items, by the reports."""
    return sum(float(case.properties["cobbler_cost_usd"]) for case in result.junit.values())


def owed(api: ScriptedApi) -> object:
    """US dollars of the whole answers of the API."""
    return pytest.approx(PRICE * len(api.answered))


def retrying(project: Project) -> None:
    """Let claude try again as often as it does by itself."""
    project.configure(podman_args=project.configuration["podman_args"][:-2])


def causes(result: RunResult) -> Mapping[str, str]:
    return {title: str(case.properties.get("cobbler_cause")) for title, case in by_title(result).items()}


REFUSALS: Mapping[str, tuple[Turn, str, str]] = {
    "credential": (error(401, "invalid x-api-key"), "access", "API error 401: invalid x-api-key"),
    "forbidden": (error(403, "oauth_org_not_allowed"), "access", "API error 403: oauth_org_not_allowed"),
    "model": (error(404, "model: claude-none"), "model", "API error 404: "),
    "credit": (error(400, "Your credit balance is too low"), "limited", "API error 400: "),
    "extra usage": (error(400, "You're out of extra usage"), "limited", "API error 400: "),
    "weekly limit": (error(429, "Weekly limit reached"), "limited", "API error 429: "),
    "five hours": (error(429, "5-hour limit reached"), "limited", "API error 429: "),
}


@pytest.mark.matrix
@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_ends_the_run_at_once_and_charges_no_task(
    project: Project, api: ScriptedApi, name: str
) -> None:
    answer, cause, words = REFUSALS[name]
    retrying(project)
    project.configure(jobs=1)
    seed(project, *(task(f"p-{place}", title=f"task {place}", priority=place) for place in range(3)))
    api.script("", [always(answer)])
    result = project.run("--cobbler-generate", env=api.environment)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert came_to(result) == {
        "stitch::p-0": "limited",
        "stitch::p-1": "cancelled",
        "stitch::p-2": "cancelled",
    }
    limited = by_title(result)["task 0"]
    assert limited.properties["cobbler_cause"] == cause
    assert limited.message.startswith(f"agent: {words}")
    assert any(f"!! Interrupted: limited: agent: {words}" in line for line in result.outlines)
    assert statuses(project) == {"p-0": "open", "p-1": "open", "p-2": "open"}
    assert (started(result), charged(project), money(result)) == (1, {}, 0.0)
    assert len(api.requests) <= 6, "claude repeats some of them with other headers, at once"


def test_a_rate_limit_of_one_agent_is_waited_for_and_its_work_is_gone_on_from(
    project: Project, api: ScriptedApi
) -> None:
    project.configure(jobs=2)
    seed(project, *(task(f"p-{name}", title=name) for name in ("busy", "works", "later")))
    is_limited = threading.Event()

    def limit(_request: Request) -> Turn:
        is_limited.set()
        return error(429, "slow down", headers={"retry-after": "4"})

    def finish(_request: Request) -> Turn:
        assert is_limited.wait(60)
        return DONE

    api.script("<title>\nbusy", [write("half"), limit], [write("half"), DONE])
    api.script("<title>\nworks", [write("works"), finish])
    api.script("<title>\nlater", [write("later"), DONE])
    result = project.run("--cobbler-generate", env=api.environment)
    assert came_to(result) == {f"stitch::p-{name}": "landed" for name in ("busy", "works", "later")}
    assert result.ret == 0
    assert by_title(result)["busy"].properties["cobbler_attempts"] == "2", "although max_attempts is 1"
    assert (started(result), charged(project), money(result)) == (4, {}, owed(api))
    assert project.files()["half.txt"] == "done\ndone\n"
    result.stdout.fnmatch_lines(["*waiting for the API: API error 429: slow down; * from ??:??:??"])
    result.stdout.fnmatch_lines(["api: 1 x 429; new agents waited 4 s; 1 of 2 in parallel at the least"])
    assert check(project, result) == []


def test_a_limit_that_lasts_too_long_ends_the_run_when_those_who_work_have_ended(
    project: Project, api: ScriptedApi
) -> None:
    project.configure(jobs=2)
    names = ("limited", "works", "never")
    seed(project, *(task(f"p-{name}", title=name, priority=place) for place, name in enumerate(names)))
    is_limited = threading.Event()

    def limit(_request: Request) -> Turn:
        is_limited.set()
        return error(429, "slow down", headers={"retry-after": "3600"})

    def go_on(_request: Request) -> Turn:
        assert is_limited.wait(60)
        return write("works")

    api.script("<title>\nlimited", [write("half"), limit])
    api.script("<title>\nworks", [go_on, DONE])
    result = project.run("--cobbler-generate", env=api.environment)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert came_to(result) == {
        "stitch::p-limited": "limited",
        "stitch::p-works": "landed",
        "stitch::p-never": "cancelled",
    }
    assert (started(result), charged(project), money(result)) == (2, {}, owed(api))
    assert statuses(project) == {"p-limited": "open", "p-works": "closed", "p-never": "open"}
    result.stdout.fnmatch_lines(["*!! Interrupted: limited until ????-??-?? ??:??*: slow down*"])
    assert check(project, result) == []


CUT = turn(text("lost " * 30), cut=4)


@pytest.mark.matrix
@pytest.mark.parametrize("fault", ["529", "500", "cut", "network"])
def test_faults_of_the_api_are_waited_for(project: Project, api: ScriptedApi, fault: str) -> None:
    def lose_the_network(_request: Request) -> Turn:
        threading.Thread(target=api.vanish, args=(8,)).start()
        return CUT

    answer: Turn | Callable[[Request], Turn] = lose_the_network
    if fault != "network":
        answer = always(CUT if fault == "cut" else error(int(fault)))
    project.configure(jobs=1)
    seed(project, task("p-a", title="first"), task("p-b", title="later", priority=4))
    api.script("<title>\nfirst", [write("first"), answer], [write("second"), DONE])
    api.script("<title>\nlater", [write("later"), DONE])
    result = project.run("--cobbler-generate", env=api.environment)
    assert came_to(result) == {"stitch::p-a": "landed", "stitch::p-b": "landed"}
    assert {"first.txt", "second.txt", "later.txt"} <= project.files().keys()
    properties = by_title(result)["first"].properties
    was_cut = fault in ("cut", "network")
    assert properties.get("cobbler_cost_is_partial", "") == ("true" if was_cut else "")
    assert (started(result), charged(project)) == (1 + int(properties["cobbler_attempts"]), {})
    assert money(result) == owed(api) or (was_cut and money(result) > PRICE * len(api.answered))


def test_an_api_that_stays_down_ends_the_run_as_limited(project: Project, api: ScriptedApi) -> None:
    project.configure(jobs=2, limit_wait="5s")
    seed(project, *(task(f"p-{place}", title=f"task {place}") for place in range(3)))
    api.script("", [always(error(529))])
    result = project.run("--cobbler-generate", env=api.environment)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert set(came_to(result).values()) == {"limited", "cancelled"}
    assert set(statuses(project).values()) == {"open"}
    assert (started(result) <= 3, charged(project), money(result)) == (True, {}, 0.0)


def test_a_task_that_the_api_never_serves_ends_alone(project: Project, api: ScriptedApi) -> None:
    project.configure(jobs=1)
    seed(project, task("p-a", title="poison"), task("p-b", title="fine", priority=4))
    api.script("<title>\npoison", [write("half"), always(error(500))])
    api.script("<title>\nfine", [write("fine"), DONE])
    result = project.run("--cobbler-generate", env=api.environment)
    assert came_to(result) == {"stitch::p-a": "limited", "stitch::p-b": "landed"}
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert by_title(result)["poison"].properties["cobbler_attempts"] == "3"
    assert (started(result), charged(project), money(result)) == (4, {}, owed(api))


def test_a_prompt_that_is_too_long_fails_its_task_and_two_in_a_row_end_the_run(
    project: Project, api: ScriptedApi
) -> None:
    project.configure(jobs=1, max_attempts=3)
    titles = ("one", "fine", "two", "three", "never")
    seed(project, *(task(f"p-{title}", title=title, priority=at) for at, title in enumerate(titles)))
    api.script("<title>\nfine", [write("fine"), DONE])
    api.script("", [always(error(400, LONG))])
    result = project.run("--cobbler-generate", env=api.environment)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert came_to(result) == {
        "stitch::p-one": "failed",
        "stitch::p-fine": "landed",
        "stitch::p-two": "failed",
        "stitch::p-three": "limited",
        "stitch::p-never": "cancelled",
    }
    assert [causes(result)[title] for title in ("one", "two", "three")] == ["prompt"] * 3
    assert started(result) == 4, "no further attempt has a shorter prompt"
    assert (charged(project), money(result)) == ({"p-one": 1, "p-two": 1}, owed(api))
