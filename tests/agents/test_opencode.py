"""opencode: how it is started, and what its output means."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.agents.access import Access
from pytest_cobbler.agents.base import AgentRequest
from pytest_cobbler.agents.credential import credential_for
from pytest_cobbler.agents.described import DescribedAgent
from pytest_cobbler.agents.descriptions.opencode import OpenCode
from pytest_cobbler.agents.homes import Home
from pytest_cobbler.agents.prices import PriceList
from pytest_cobbler.agents.streams.choose import reader_for
from pytest_cobbler.agents.streams.opencode import OpenCodeReader
from pytest_cobbler.agents.wires.choose import WIRES
from pytest_cobbler.causes import Cause
from pytest_cobbler.config import load
from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.wiring.api import credential_of
from tests.support.workplaces import Workplace

SESSION = "ses_dd209ecfaffeBJxNb6xNlDP7fr"
TOKENS = {"total": 1700, "input": 1000, "output": 90, "reasoning": 10, "cache": {"write": 200, "read": 400}}


def event(kind: str, **part: Any) -> bytes:
    return json.dumps({"type": kind, "timestamp": 1, "sessionID": SESSION, "part": part}).encode()


def failed(name: str, **data: Any) -> bytes:
    error = {"name": name, "data": data}
    return json.dumps({"type": "error", "sessionID": SESSION, "error": error}).encode()


CALL = event(
    "tool_use",
    type="tool",
    tool="bash",
    state={"status": "completed", "input": {"command": "echo hello >hello.txt", "description": "x"}},
)
RUN = [
    event("step_start", type="step-start"),
    CALL,
    event("step_finish", reason="tool-calls", tokens=TOKENS, cost=0),
    event("step_start", type="step-start"),
    event("text", text="Done."),
    event("step_finish", reason="stop", tokens=TOKENS, cost=0),
]


def read(*lines: bytes, steps: list[str] | None = None) -> OpenCodeReader:
    reader = OpenCodeReader(steps.append if steps is not None else None, model="claude-sonnet-5-5")
    for line in lines:
        reader.feed(line)
    return reader


def test_a_whole_run_is_understood() -> None:
    steps: list[str] = []
    reader = read(*RUN, steps=steps)

    assert steps == ["$ echo hello >hello.txt", "Done."]
    assert (reader.is_done, reader.failure, reader.doubt, reader.text) == (True, "", "", "Done.")
    assert reader.session_id == SESSION
    assert reader.usage.tokens == {"input": 2000, "output": 200, "cache_read": 800, "cache_write": 400}
    assert (reader.usage.turns, reader.usage.model) == (2, "claude-sonnet-5-5")
    assert reader.spent(PriceList())[0] == "usd"
    assert reader_for(b"\n".join(RUN)) is OpenCodeReader


def test_a_run_that_wants_to_go_on_is_not_done() -> None:
    reader = read(*RUN[:4])
    assert (reader.is_done, reader.doubt, reader.is_thinking) == (False, "no result", True)


@pytest.mark.parametrize(
    ("line", "failure", "cause"),
    [
        (failed("APIError", message="bad key", statusCode=401), "API error 401: bad key", Cause.ACCESS),
        (failed("APIError", message="slow down", statusCode=429), "API error 429: slow down", Cause.LIMITED),
        (failed("APIError", message="fetch failed"), "fetch failed", Cause.LIMITED),
        (failed("MessageAbortedError"), "MessageAbortedError", None),
        (failed(""), "the run failed", None),
    ],
)
def test_an_error_is_the_end(line: bytes, failure: str, cause: Cause | None) -> None:
    reader = read(*RUN, line)
    assert (reader.is_done, reader.failure) == (False, failure)
    assert (reader.trouble.cause if reader.trouble else None) is cause
    assert read(line, *RUN).is_done, "it went on"


def begun(workplace: Workplace, **changes: Any) -> tuple[list[str], dict[str, Any]]:
    """The command line of a new conversation, and the settings."""
    request: AgentRequest = workplace.request(system_prompt_file="/rules.md")
    start = OpenCode(model="m-1", **changes).begin(request, "")
    return list(start.argv), json.loads(start.environment["OPENCODE_CONFIG_CONTENT"])


@pytest.mark.parametrize(
    ("api", "provider", "address", "shown"),
    [
        ("messages", "anthropic", "http://127.0.0.1:8377", "http://127.0.0.1:8377/v1"),
        ("responses", "openai", "http://127.0.0.1:8377/v1", "http://127.0.0.1:8377/v1"),
        ("chat", "cobbler", "http://127.0.0.1:8377/v1", "http://127.0.0.1:8377/v1"),
        ("gemini", "google", "http://127.0.0.1:8377", "http://127.0.0.1:8377/v1beta"),
    ],
)
def test_the_api_chooses_the_provider(
    workplace: Workplace, api: str, provider: str, address: str, shown: str
) -> None:
    argv, settings = begun(workplace, wire=WIRES[api], address=address)

    assert argv[:2] == ["opencode", "run"]
    assert argv[argv.index("--model") + 1] == f"{provider}/m-1"
    options = settings["provider"][provider]["options"]
    assert options == {"baseURL": shown, "apiKey": f"{{env:{WIRES[api].address.key}}}"}
    assert settings["enabled_providers"] == [provider]
    assert settings["instructions"] == ["/rules.md"]


def test_an_option_of_the_users_is_not_set_again(workplace: Workplace) -> None:
    argv, _settings = begun(workplace, arguments=["--model=a/b", "--title", "Mine"])
    assert argv[2:] == ["--pure", "--format", "json", "--model=a/b", "--title", "Mine"]
    assert OpenCode().sessions is not None
    assert OpenCode(continues=False).sessions is None
    assert OpenCode(arguments=["--continue"]).sessions is None


def test_a_login_of_claude_is_not_passed_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "configuration.yaml").write_text("agent: opencode\nsandbox: none\n")
    config = load(tmp_path / "configuration.yaml")
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.setenv("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat01-aaaaaaaaaaaaaaaaaaaa")
    with pytest.raises(UsageProblem, match="for claude only"):
        credential_of(config)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-api03-aaaaaaaaaaaaaaaaaaaa")
    found = credential_of(config)
    assert found is not None
    assert found.kind == "api_key"


def test_a_home_has_what_is_copied_written_and_named(tmp_path: Path) -> None:
    rules = tmp_path / "rules.md"
    rules.write_text("Rule.\n")
    home = Home(
        variable="PLACE",
        directory="its own",
        files={"a/AGENTS.md": str(rules)},
        texts={"settings.json": "{'a': \"$HOME\"}\n", "b/c.json": "{}"},
        further={"MORE": "more"},
    )
    argv = home.around(("sh", "-c", 'echo "$PLACE" "$MORE" "$1"', "sh", "last -- word"))

    for variables, place in (({}, tmp_path / "its own"), ({"PLACE": str(tmp_path / "x")}, tmp_path / "x")):
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **variables}
        told = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True).stdout
        assert told == f"{place} {place}/more last -- word\n", shlex.join(argv)
        assert (place / "a/AGENTS.md").read_text() == "Rule.\n"
        assert (place / "settings.json").read_text() == "{'a': \"$HOME\"}\n"
        assert (place / "b/c.json").read_text() == "{}"


def test_preflight_without_a_key(workplace: Workplace) -> None:
    assert credential_for("OPENAI_API_KEY", {}, workplace.directory / "no", {}) is None
    agent = DescribedAgent(OpenCode(wire=WIRES["chat"]), Access(wire=WIRES["chat"]))
    with pytest.raises(UsageProblem, match="the agent has no credential") as caught:
        agent.preflight(workplace.sandbox)
    assert "OPENAI_API_KEY" in caught.value.remedy
