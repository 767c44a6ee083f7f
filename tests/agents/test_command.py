from __future__ import annotations

import json
import sys

import pytest

from pytest_cobbler.agents import access
from pytest_cobbler.agents.command import CommandAgent
from pytest_cobbler.agents.credential import Credential
from pytest_cobbler.agents.wires.choose import WIRES
from pytest_cobbler.errors import CobblerError, UsageProblem
from pytest_cobbler.process import TAIL
from pytest_cobbler.secret_forms import Secrets
from tests.support.scripted_api import API_KEY, ScriptedApi, text, turn
from tests.support.shared_loopback import SharedLoopback, free_port
from tests.support.workplaces import KEY, Workplace


def sh(script: str, **options: dict[str, str]) -> CommandAgent:
    return CommandAgent(["sh", "-c", script], **options)  # type: ignore[arg-type]


def result(**changes: object) -> str:
    event = {"type": "result", "subtype": "success", "is_error": False, "result": "Done.", **changes}
    return f"echo '{json.dumps(event)}'"


def test_the_prompt_is_on_stdin_and_the_worktree_is_where_it_runs(workplace: Workplace) -> None:
    done = workplace.run(sh("cat > prompt.txt"), "Write “hello”\n/now\n")

    assert done.error == ""
    assert (workplace.worktree / "prompt.txt").read_text() == "Write “hello”\n/now\n"


def test_the_environment_says_what_the_task_is(workplace: Workplace) -> None:
    output = workplace.worktree / "proposal.json"

    workplace.run(
        sh("env > env.txt", environment={"COLOUR": "blue"}),
        phase="measure",
        task_id="cycle-1",
        title="Two words",
        attempt=3,
        output=output,
        system_prompt_file="/rules.md",
    )

    variables = dict(
        line.split("=", 1)
        for line in (workplace.worktree / "env.txt").read_text().splitlines()
        if "=" in line
    )
    assert variables["COLOUR"] == "blue"
    assert {name: value for name, value in variables.items() if name.startswith("COBBLER_")} == {
        "COBBLER_PHASE": "measure",
        "COBBLER_TASK_ID": "cycle-1",
        "COBBLER_TASK_TITLE": "Two words",
        "COBBLER_ATTEMPT": "3",
        "COBBLER_OUTPUT": str(output),
        "COBBLER_INSTRUCTIONS": "/rules.md",
        "COBBLER_JOB": variables["COBBLER_JOB"],
    }


def test_without_a_file_to_write_there_is_no_output_variable(workplace: Workplace) -> None:
    assert workplace.run(sh('[ -z "${COBBLER_OUTPUT+set}" ]')).error == ""


def test_exit_status_0_is_enough(workplace: Workplace) -> None:
    done = workplace.run(sh("echo I did a lot"))

    assert done.error == ""
    assert done.usage.cost_usd is None
    assert workplace.steps == ["I did a lot"]
    assert workplace.transcript.read_text() == "I did a lot\n"


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("exit 3", "agent: exited with 3"),
        ("echo working; echo out of cheese; exit 3", "agent: exited with 3: out of cheese"),
        ("echo working; echo out of cheese >&2; exit 1", "agent: exited with 1: out of cheese"),
        ("""echo '{"level": "error"}'; exit 1""", 'agent: exited with 1: {"level": "error"}'),
        ("kill -TERM $$", "agent: killed by SIGTERM"),
        ("kill -KILL $$", "agent: killed from outside, perhaps because it ran out of memory"),
    ],
)
def test_any_other_end_is_an_error(workplace: Workplace, script: str, error: str) -> None:
    assert workplace.run(sh(script)).error == error


def test_usage_is_understood(workplace: Workplace) -> None:
    usage = {"input_tokens": 5, "output_tokens": 7}

    done = workplace.run(sh(result(usage=usage, total_cost_usd=0.5, num_turns=2, session_id="s-1")))

    assert done.error == ""
    assert (done.usage.tokens_input, done.usage.tokens_output) == (5, 7)
    assert (done.usage.cost_usd, done.usage.turns) == (0.5, 2)
    assert (done.text, done.session_id) == ("Done.", "s-1")


def test_a_result_that_says_error_counts_more_than_the_exit_status(workplace: Workplace) -> None:
    done = workplace.run(sh(result(is_error=True, result="Out of cheese.")))

    assert done.error == "agent: error: Out of cheese."


def test_a_limit_is_understood(workplace: Workplace) -> None:
    done = workplace.run(sh(result(is_error=True, api_error_status=429, result="Slow down.") + "; exit 1"))

    assert done.error == "agent: API error 429: Slow down."
    assert done.limited


def test_a_credential_is_handed_on_if_there_is_one(workplace: Workplace) -> None:
    credential = Credential(kind="api_key", value="sk-ant-very-secret", source="the test")

    done = workplace.run(CommandAgent(["printenv", "ANTHROPIC_API_KEY"], credential=credential))

    assert done.error == ""
    assert workplace.transcript.read_text() == "[credential]\n"


def test_a_prompt_with_half_a_character_is_sent(workplace: Workplace) -> None:
    assert workplace.run(sh("cat"), "lone \ud800").error == ""


@pytest.mark.parametrize("program", ["sh", "/bin/sh", "./not/there/yet"])
def test_preflight(workplace: Workplace, program: str) -> None:
    CommandAgent([program]).preflight(workplace.sandbox)


@pytest.mark.parametrize("program", ["no-such-program", "/no/such/program", "-x"])
def test_preflight_without_the_program(workplace: Workplace, program: str) -> None:
    with pytest.raises(
        CobblerError, match=f"agent: cannot use {program}: it is not in the sandbox"
    ) as caught:
        CommandAgent([program]).preflight(workplace.sandbox)

    assert "agent_command" in caught.value.remedy


def test_an_empty_command_is_refused() -> None:
    with pytest.raises(UsageProblem, match="agent_command is empty"):
        CommandAgent([])


def test_a_credential_that_is_cut_at_the_end_of_stderr_is_not_shown_in_part(workplace: Workplace) -> None:
    """Of what goes to stderr the last 64 KiB are kept, which may begin within the credential."""
    script = f"printf '%s' {API_KEY} >&2; head -c {TAIL - 20} /dev/zero | tr '\\0' x >&2; exit 1"

    done = workplace.run(CommandAgent(["sh", "-c", script], credential=KEY))

    assert done.completed.stderr.endswith("x\n")
    assert API_KEY[-10:] not in done.completed.stderr
    assert API_KEY[-10:] not in done.error


def test_a_credential_that_base64_wraps_is_in_no_file(workplace: Workplace) -> None:
    script = f"printf '%s' {API_KEY * 3} | base64 | tee /dev/stderr"

    workplace.run(CommandAgent(["sh", "-c", script], credential=KEY))

    for path in (workplace.transcript, workplace.errors):
        assert b"[credential]" in path.read_bytes()
        assert not Secrets([API_KEY]).are_in(path.read_bytes())


ASKS = """\
import os, sys, urllib.request
path, status = sys.argv[1:]
try:
    urllib.request.urlopen(os.environ["ANTHROPIC_BASE_URL"] + path, b"{}", 30)
except OSError as error:
    print("no answer", file=sys.stderr)
sys.exit(int(status))
"""


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        (
            "/v1/files",
            "1",
            "agent: the proxy refused POST /v1/files: only /v1/messages and /v1/messages/count_tokens "
            "are served here; exited with 1: no answer",
        ),
        ("/v1/files", "0", ""),
        ("/v1/messages", "1", "agent: exited with 1"),
    ],
)
def test_a_request_that_the_proxy_refused_is_the_cause(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch, path: str, status: str, error: str
) -> None:
    monkeypatch.setattr(access, "PORT", free_port())
    workplace.sandbox = SharedLoopback()
    with ScriptedApi() as api:
        agent = CommandAgent(
            [sys.executable, "-c", ASKS, path, status], credential=KEY, base_url=api.url, proxied=True
        )
        done = workplace.run(agent)
    assert done.error == error


SPEAKS = """\
import json, os, sys, urllib.request
address, key, path, header, body = sys.argv[1:]
headers = {header: os.environ[key], "Content-Type": "application/json"}
request = urllib.request.Request(os.environ[address] + path, body.encode(), headers)
print(os.environ[key])
urllib.request.urlopen(request, timeout=30).read()
"""
OPENAI = ("OPENAI_BASE_URL", "OPENAI_API_KEY")


@pytest.mark.parametrize(
    ("api", "arguments", "body"),
    [
        ("responses", (*OPENAI, "/responses", "Authorization"), {"model": "gpt-6-sol", "input": "Hi"}),
        (
            "chat",
            (*OPENAI, "/chat/completions", "Authorization"),
            {"model": "gpt-6-sol", "messages": [{"role": "user", "content": "Hi"}]},
        ),
        (
            "gemini",
            (
                "GOOGLE_GEMINI_BASE_URL",
                "GEMINI_API_KEY",
                "/v1beta/models/gemini-2.5-pro:generateContent",
                "X",
            ),
            {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
        ),
    ],
)
def test_a_command_that_speaks_another_api_gets_a_stand_in_for_its_key(
    workplace: Workplace,
    monkeypatch: pytest.MonkeyPatch,
    api: str,
    arguments: tuple[str, ...],
    body: dict[str, object],
) -> None:
    monkeypatch.setattr(access, "PORT", free_port())
    workplace.sandbox = SharedLoopback()
    key = Credential(kind="api_key", value="sk-real-key", source="the test", variable=arguments[1])
    with ScriptedApi() as server:
        server.script("Hi", [turn(text("Hello"))])
        agent = CommandAgent(
            [sys.executable, "-c", SPEAKS, *arguments, json.dumps(body)],
            credential=key,
            base_url=server.url + WIRES[api].address.below,
            proxied=True,
            api=api,
        )
        done = workplace.run(agent)
    assert done.error == ""
    assert (done.usage.turns, done.usage.tokens_output) == (1, 50)
    assert workplace.transcript.read_text().startswith("sk-stand-in-000")
    assert "sk-real-key" in str(server.requests[0].headers)
