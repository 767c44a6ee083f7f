"""Errors of the model's API reach the real claude through the proxy, and are reported exactly."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

import pytest

from pytest_cobbler.testing.invariants import check
from pytest_cobbler.testing.project import Project
from tests.support.scripted_api import ScriptedApi, Turn, always, error, hang, raw, text, tool, turn
from tests.support.sessions import by_title, came_to, seed, statuses, task

FAILURES: Mapping[str, tuple[Turn, str, str]] = {
    "bad request": (error(400, "bad request"), "agent: API error 400: bad request", "agent"),
    "page of a gateway": (raw("<html>busy</html>"), "agent: API error", "agent"),
    "refusal": (turn(text("No."), stop_reason="refusal"), "agent: the model refused: ", "agent"),
    "empty answer": (turn(), "agent: the last message is empty", "agent"),
    "out of tokens": (
        always(turn(text("And then, and then"), stop_reason="max_tokens")),
        "agent: API error: Claude's response exceeded the ",
        "agent",
    ),
    "too long": (error(400, "prompt is too long: 250000 tokens > 200000 maximum"), "agent: ", "prompt"),
}
"""Title -> the API's constant answer, the beginning of the failure's first line, and its cause."""


@pytest.mark.matrix("costly")
def test_errors_of_the_api_are_reported_as_failures(project: Project, api: ScriptedApi) -> None:
    project.configure(max_issues=len(FAILURES))
    seed(project, *(task(f"p-{place}", title=title) for place, title in enumerate(FAILURES)))
    for title, (answer, *_) in FAILURES.items():
        api.script(f"<title>\n{title}", [always(answer)])

    result = project.run("--cobbler-generate", env=api.environment, timeout=300)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert check(project, result) == []
    cases = by_title(result)
    messages = {title: case.message.splitlines()[0] for title, case in cases.items()}
    unexpected = {
        title: messages[title]
        for title, (_, begins, _) in FAILURES.items()
        if not messages[title].startswith(begins)
    }
    assert unexpected == {}
    assert {case.properties["cobbler_outcome"] for case in cases.values()} == {"failed"}
    causes = {title: case.properties["cobbler_cause"] for title, case in cases.items()}
    assert causes == {title: cause for title, (_, _, cause) in FAILURES.items()}


@pytest.mark.matrix("costly")
def test_temporary_errors_of_the_api_are_not_failures(project: Project, api: ScriptedApi) -> None:
    project.configure(podman_args=[*project.configuration["podman_args"][:-1], "CLAUDE_CODE_MAX_RETRIES=2"])
    write = tool("Bash", command="echo done > done.txt")
    seed(project, task("p-cut", title="cut"), task("p-busy", title="busy"))
    api.script("<title>\ncut", [turn(text("lost " * 30), cut=4), turn(write), turn(text("Done."))])
    api.script(
        "<title>\nbusy", [error(529), turn(tool("Bash", command="echo busy > busy.txt")), turn(text("Done."))]
    )
    result = project.run("--cobbler-generate", env=api.environment)
    assert came_to(result) == {"stitch::p-cut": "landed", "stitch::p-busy": "landed"}


@pytest.mark.matrix("costly")
def test_a_silent_api_is_a_timeout(project: Project, api: ScriptedApi) -> None:
    project.configure(idle_timeout="15s")
    seed(project, task("p-a", title="silent"), task("p-b", title="stalls"))
    api.script("<title>\nsilent", [hang()])
    write = tool("Bash", command="echo half > half.txt")
    api.script("<title>\nstalls", [turn(write), always(turn(text("and " * 50), stall=3))])
    result = project.run("--cobbler-generate", env=api.environment)
    cases = by_title(result)
    assert cases["silent"].properties["cobbler_cause"] == "idle"
    assert cases["stalls"].properties["cobbler_cause"] == "idle"
    assert "half.txt" in project.files(f"refs/cobbler/attempts/{project.generation}/p-b/1")
    assert int(cases["stalls"].properties["cobbler_tokens_output"]) > 0


END = int(time.time()) + 24 * 3600


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("answer", "message", "ends"),
    [
        (error(429, headers={"retry-after": str(24 * 3600)}), "agent: API error 429: ", True),
        (
            error(
                429,
                headers={
                    "anthropic-ratelimit-unified-status": "rejected",
                    "anthropic-ratelimit-unified-reset": str(END),
                    "anthropic-ratelimit-unified-representative-claim": "five_hour",
                },
            ),
            "agent: API error 429: ",
            True,
        ),
        (error(400, "Your credit balance is too low"), "agent: API error 400: Credit balance", False),
    ],
    ids=["rate limit", "usage limit", "credit"],
)
def test_limits_of_the_api_interrupt_the_run(
    project: Project, api: ScriptedApi, answer: Turn, message: str, ends: bool
) -> None:
    project.configure(
        jobs=1, podman_args=[*project.configuration["podman_args"][:-1], "CLAUDE_CODE_MAX_RETRIES=3"]
    )
    seed(project, task("p-a", title="limited"), task("p-b", title="never asked"))
    api.script("<title>\nlimited", [always(answer)])

    result = project.run("--cobbler-generate", "-rs", env=api.environment)

    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert came_to(result) == {"stitch::p-a": "limited", "stitch::p-b": "cancelled"}
    assert by_title(result)["limited"].message.startswith(message)
    assert statuses(project) == {"p-a": "open", "p-b": "open"}
    (line,) = [line for line in result.outlines if "!! Interrupted: limited" in line]
    until = re.search(r"until (\d{4}-\d\d-\d\d \d\d:\d\d)", line)
    assert bool(until) == ends
    if until:
        limit_end = time.mktime(time.strptime(until[1], "%Y-%m-%d %H:%M"))
        assert abs(limit_end - END) <= 3600  # allows for the duration of the run


def test_an_unreachable_api_ends_the_run_before_it_begins(project: Project, api: ScriptedApi) -> None:
    seed(project, task("p-a"))
    environment = api.environment | {"ANTHROPIC_BASE_URL": "http://127.0.0.1:9"}
    result = project.run("--cobbler-generate", env=environment)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: the API's host 127.0.0.1 cannot be reached: *"])
    assert statuses(project) == {"p-a": "open"}
    assert project.generation is None
