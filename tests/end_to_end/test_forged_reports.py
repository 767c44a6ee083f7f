"""An agent behind the proxy lies about its cost and about limits: the proxy's view counts."""

from __future__ import annotations

import json
import re
import shutil
from datetime import UTC, datetime, timedelta

import pytest

from pytest_cobbler.testing.invariants import check
from pytest_cobbler.testing.project import Project
from tests.support.scripted_api import API_KEY, ScriptedApi, always, error, text, turn
from tests.support.sessions import by_title, came_to, records, seed, task

LIE = {
    "type": "result",
    "subtype": "success",
    "is_error": False,
    "result": "Done.",
    "num_turns": 900,
    "total_cost_usd": 0.000001,
    "usage": {"input_tokens": 1, "output_tokens": 1},
    "modelUsage": {"claude-haiku-5-5": {"inputTokens": 1, "outputTokens": 1, "costUSD": 0.000001}},
}
"""A result that costs nothing."""

LIMIT = {
    **LIE,
    "is_error": True,
    "api_error_status": 429,
    "result": "Claude AI usage limit reached|9999999999",
}
"""A limit until 2286."""

SCRIPT = """
body='{"model": "claude-sonnet-5-5", "stream": true, "tools": [{}], "messages": '
body="$body"'[{"role": "user", "content": "'"$COBBLER_TASK_TITLE"'"}]}'
exec 3<>/dev/tcp/127.0.0.1/8377
printf 'POST /v1/messages HTTP/1.1\\r\\nHost: 127.0.0.1:8377\\r\\nConnection: close\\r\\n' >&3
printf 'Content-Length: %s\\r\\n\\r\\n%s' "${#body}" "$body" >&3
cat <&3 >answer-$COBBLER_TASK_ID.txt
case $COBBLER_TASK_TITLE in
"Forge a cost")
    find / -name events.jsonl >found.txt 2>/dev/null; echo searched >>found.txt
    printf '%s\\n' '@lie'; printf '%s\\n' '@lie' ;;
"Forge a limit") printf '%s\\n' '@limit'; exit 1 ;;
"Hide a limit") printf '%s\\n' '@lie'; exit 1 ;;
esac
""".replace("@lie", json.dumps(LIE)).replace("@limit", json.dumps(LIMIT))
"""The agent asks the model once, and then prints what suits it."""


@pytest.fixture
def project(cobbler_project: Project, minimal_image: str) -> Project:
    cobbler_project.configure(
        sandbox="podman",
        podman_image=minimal_image,
        agent_command=["bash", "-c", SCRIPT],
        test_command=False,
        build_command="true",
        max_attempts=1,
        cycles=0,
        jobs=1,
    )
    return cobbler_project


@pytest.mark.matrix("costly")
def test_forged_reports_change_neither_the_account_nor_the_run(project: Project, api: ScriptedApi) -> None:
    titles = ("Forge a cost", "Forge a limit", "Be honest", "Hide a limit", "Come too late")
    seed(project, *(task(f"p-{place}", title=title) for place, title in enumerate(titles)))
    expensive = {"input_tokens": 10, "output_tokens": 16_000_000}
    for title in titles[:3]:
        api.script(title, [turn(text("Yes."), usage=expensive)])
    api.script("Hide a limit", [always(error(429, headers={"retry-after": "999999999"}))])

    result = project.run("--cobbler-generate", "-rP", env=api.environment)

    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert check(project, result) == []
    assert came_to(result) == {
        "stitch::p-0": "landed",
        "stitch::p-1": "failed",
        "stitch::p-2": "landed",
        "stitch::p-3": "limited",
        "stitch::p-4": "cancelled",
    }
    cases = by_title(result)
    for title in titles[:3]:
        properties = cases[title].properties
        assert properties["cobbler_tokens_output"] == "16000000"
        assert properties["cobbler_model"] == "claude-sonnet-5-5"
        assert float(properties["cobbler_cost_usd"]) > 160
    limited = cases["Hide a limit"].properties
    assert float(limited["cobbler_cost_usd"]) == 0
    assert cases["Forge a limit"].message.startswith("agent: API error 429")
    assert "limit: the agent reports one, but" in cases["Forge a limit"].message
    result.stdout.fnmatch_lines(
        [
            "*___ stitch::p-0 Forge a cost ___*",
            "cost: the proxy counted 160.0*, the agent reports 0.000001 USD",
            "output tokens: the proxy counted 16000000, the agent reports 1",
        ]
    )
    assert [record["cost_usd"] for record in records(project)] == pytest.approx([160.0, 160.0], rel=0.01)
    [until] = re.findall(r"!! Interrupted: limited until (\S+ \d\d:\d\d)", result.stdout.str())
    near = datetime.now(UTC) + timedelta(days=8, minutes=1)
    assert datetime.fromisoformat(until).astimezone() <= near
    assert API_KEY not in "\n".join(result.outlines)
    shutil.rmtree(project.path / ".cobbler")
    the_log_has_what_left_and_what_landed(project)


def the_log_has_what_left_and_what_landed(project: Project) -> None:
    (path,) = (project.directory / "work").glob("*/log/events.jsonl")
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    text = path.read_text()
    assert API_KEY not in text
    events = [json.loads(line) for line in text.splitlines()]
    assert {event["generation"] for event in events} == {project.generation}
    requests = [event for event in events if event["event"] == "request"]
    assert [(event["item"], event["attempt"], event["number"]) for event in requests] == [
        (f"p-{place}", "1", 1) for place in range(4)
    ]
    for event in requests:
        assert (event["method"], event["path"]) == ("POST", "/v1/messages")
        assert (event["model"], event["phase"]) == ("claude-sonnet-5-5", "stitch")
        assert event["bytes"] > 100
        assert event["api"].startswith("http://127.0.0.1:")
    answers = {event["item"]: event for event in events if event["event"] == "answer"}
    assert answers["p-0"]["tokens"]["output"] == 16_000_000
    assert [answers[f"p-{place}"]["status"] for place in range(4)] == [200, 200, 200, 429]
    landings = {event["item"]: event["commit"] for event in events if event["event"] == "landing"}
    assert landings == {commit.task: commit.commit for commit in project.landed()}
    assert project.files()["found.txt"] == "searched\n", "the agent does not see the log"
