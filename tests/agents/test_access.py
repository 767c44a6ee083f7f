"""Agents in containers whose only network is the API: with every podman there is."""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pytest_cobbler.agents.access import PORT, Access
from pytest_cobbler.agents.base import Agent, AgentRequest, AgentResult
from pytest_cobbler.agents.command import CommandAgent
from pytest_cobbler.agents.credential import Credential
from pytest_cobbler.errors import CobblerError, UsageProblem
from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox.base import Limits, Loopback, Mount, Network
from pytest_cobbler.sandbox.podman import PodmanSandbox
from tests.support.images import busybox_image, claude_volume, minimal_image
from tests.support.podmans import Podman, open_to_others, own_podman, rootless_podman
from tests.support.scripted_api import (
    API_KEY,
    Request,
    ScriptedApi,
    Turn,
    always,
    error,
    hang,
    text,
    tool,
    turn,
)
from tests.support.workplaces import KEY, ClaudeAgent, Workplace

__all__ = ["busybox_image", "claude_volume", "minimal_image", "own_podman", "rootless_podman"]

LOGIN = Credential(kind="oauth", value="sk-ant-oat01-scripted-Zm9vYmFyYmF6", source="the test")

ASK = """
body='{"model": "m", "tools": [{}], "messages": [{"role": "user", "content": "hello"}]}'
place=${ANTHROPIC_BASE_URL#http://}
exec 3<>"/dev/tcp/${place%:*}/${place#*:}"
printf 'POST /v1/messages HTTP/1.1\\r\\nHost: %s\\r\\nConnection: close\\r\\n' "$place" >&3
printf 'Content-Length: %s\\r\\n\\r\\n%s' "${#body}" "$body" >&3
env
cat <&3
"""

Run = Callable[..., AgentResult]


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    with ScriptedApi() as server:
        yield server
    assert not server.failures


@pytest.fixture(params=["own_podman", "rootless_podman"])
def podman(request: pytest.FixtureRequest) -> Podman:
    found: Podman = request.getfixturevalue(request.param)
    return found


def request_in(directory: Path, prompt: str = "hello") -> AgentRequest:
    worktree = directory / "worktree"
    worktree.mkdir(exist_ok=True)
    worktree.chmod(0o777)
    open_to_others(directory)
    return AgentRequest(
        phase="stitch",
        task_id="t",
        title="Ask",
        attempt=1,
        prompt=prompt,
        worktree=worktree,
        mounts=(Mount(source=worktree, target=str(worktree), mode="rw"),),
        network=Network.NONE,
        limits=Limits(wall=60),
        transcript=directory / "transcript",
        errors=directory / "errors",
    )


@pytest.mark.parametrize("credential", [KEY, LOGIN], ids=["key", "login"])
def test_a_command_asks_the_api_and_sees_no_credential(
    podman: Podman, minimal_image: str, api: ScriptedApi, tmp_path: Path, credential: Credential
) -> None:
    sandbox = podman.sandbox(minimal_image, repository=uuid.uuid4().hex[:8])
    api.script("hello", [turn(text("Hello to you."))])
    agent = CommandAgent(["bash", "-c", ASK], credential=credential, base_url=api.url, proxied=True)

    agent.preflight(sandbox)
    assert not api.requests
    result = agent.run(request_in(tmp_path), sandbox, Cancellation())

    said = (tmp_path / "transcript").read_text()
    assert result.error == ""
    assert "Hello to you." in said
    (variable,) = credential.environment()
    assert f"{variable}={credential.stand_in().value}" in said
    assert "[credential]" not in said, "there was nothing to scrub"
    sent = {name.lower(): value for name, value in api.requests[0].headers.items()}
    name, value = ("x-api-key", API_KEY) if credential is KEY else ("authorization", f"Bearer {LOGIN.value}")
    assert sent[name] == value
    usage = result.usage  # it has reported nothing itself
    assert (usage.turns, usage.model) == (1, "m")
    assert (usage.tokens_input, usage.tokens_output) == (100, 50)


class TestClaude:
    @pytest.fixture
    def sandbox(
        self, own_podman: Podman, minimal_image: str, claude_volume: tuple[str, str]
    ) -> PodmanSandbox:
        return PodmanSandbox(
            minimal_image,
            repository=uuid.uuid4().hex[:8],
            run_id="here",
            owner=own_podman.owner,
            arguments=claude_volume,
        )

    def claude(self, api: ScriptedApi, credential: Credential = KEY) -> ClaudeAgent:
        return ClaudeAgent(
            credential=credential,
            base_url=api.url,
            proxied=True,
            environment={"CLAUDE_CODE_MAX_RETRIES": "1"},
        )

    def run(
        self, agent: Agent, sandbox: PodmanSandbox, directory: Path, cancellation: Cancellation | None = None
    ) -> AgentResult:
        return agent.run(request_in(directory), sandbox, cancellation or Cancellation())

    def test_what_a_killed_run_has_cost_is_known(
        self, sandbox: PodmanSandbox, api: ScriptedApi, tmp_path: Path
    ) -> None:
        cancellation = Cancellation()

        def cancel(_request: Request) -> Turn:
            threading.Timer(0.1, cancellation.cancel).start()
            return hang()

        api.script("hello", [turn(text("First."), tool("Bash", command="true")), cancel])

        result = self.run(self.claude(api), sandbox, tmp_path, cancellation)

        assert result.error == "agent: cancelled"
        usage = result.usage
        assert (usage.tokens_input, usage.tokens_output) == (100, 50)
        assert (usage.tokens_cache_read, usage.tokens_cache_write) == (3000, 2000)
        assert usage.turns == 1
        assert usage.cost_usd == pytest.approx(0.012)

    def test_the_account_of_a_run_that_ended_is_its_own(
        self, sandbox: PodmanSandbox, api: ScriptedApi, tmp_path: Path
    ) -> None:
        api.script("hello", [turn(tool("Bash", command="true")), turn(text("Done."))])

        result = self.run(self.claude(api), sandbox, tmp_path)

        assert result.error == ""
        assert result.usage.turns == 2
        assert result.usage.tokens_output == 2 * 50
        assert result.usage.cost_usd == pytest.approx(2 * 0.012)

    def test_a_stream_that_breaks_off_once_is_tried_again(
        self, sandbox: PodmanSandbox, api: ScriptedApi, tmp_path: Path
    ) -> None:
        api.script("hello", [turn(text("lost " * 30), cut=4), turn(text("Done."))])

        result = self.run(self.claude(api), sandbox, tmp_path)

        assert (result.error, result.text) == ("", "Done.")

    def test_limits_and_their_end_are_read_as_ever(
        self, sandbox: PodmanSandbox, api: ScriptedApi, tmp_path: Path
    ) -> None:
        end = int(time.time()) + 7200
        headers = {
            "anthropic-ratelimit-unified-status": "rejected",
            "anthropic-ratelimit-unified-reset": str(end),
            "anthropic-ratelimit-unified-representative-claim": "five_hour",
        }
        api.script("hello", [always(error(429, headers=headers))])

        result = self.run(self.claude(api, LOGIN), sandbox, tmp_path)

        assert result.limited
        assert result.limited_until == datetime.fromtimestamp(end, UTC)


def test_podman_on_another_machine_is_refused_before_anything_runs(tmp_path: Path) -> None:
    program = tmp_path / "podman"
    program.write_text(f"#!/bin/sh\necho true; echo $1 >>{tmp_path}/asked\n")
    program.chmod(0o755)
    sandbox = PodmanSandbox(
        "image",
        repository="r",
        run_id="here",
        owner=(1, 1),
        program=str(program),
        environment={"CONTAINER_HOST": "ssh://elsewhere"},
    )

    with pytest.raises(UsageProblem) as caught:
        ClaudeAgent(credential=KEY, proxied=True).preflight(sandbox)

    assert "agent_network: proxy" in caught.value.cause
    assert "agent_network: open" in caught.value.remedy
    assert "run" not in (tmp_path / "asked").read_text().split()


def test_an_address_that_is_none_is_refused_before_anything_runs(
    own_podman: Podman, minimal_image: str
) -> None:
    agent = ClaudeAgent(credential=KEY, base_url="api.example", proxied=True)
    with pytest.raises(UsageProblem, match=r"ANTHROPIC_BASE_URL is 'api\.example', not an address"):
        agent.preflight(own_podman.sandbox(minimal_image, repository="r"))


def test_an_address_that_is_none_is_refused_without_a_proxy_too(tmp_path: Path) -> None:
    agent = ClaudeAgent(credential=KEY, base_url="htp://gateway.example")
    with pytest.raises(UsageProblem, match=r"ANTHROPIC_BASE_URL is 'htp://gateway\.example'"):
        agent.preflight(Workplace(tmp_path).sandbox)


class TestVariables:
    def test_where_there_is_a_proxy_nothing_leads_past_it(self) -> None:
        access = Access(credential=KEY, base_url="https://gateway.example", proxied=True)
        given = {"HTTP_PROXY": "x", "https_proxy": "x", "ANTHROPIC_BASE_URL": "https://x", "A": "b"}
        assert access.environment(given) == {"A": "b", "ANTHROPIC_BASE_URL": "http://127.0.0.1:8377"}
        assert access.variables() == {"ANTHROPIC_API_KEY": KEY.stand_in().value}
        assert access.secrets == (API_KEY,)

    def test_without_a_proxy_it_gets_what_there_is(self) -> None:
        access = Access(credential=LOGIN, base_url="https://gateway.example")
        assert access.environment({"A": "b"}) == {"A": "b", "ANTHROPIC_BASE_URL": "https://gateway.example"}
        assert access.variables() == {"CLAUDE_CODE_OAUTH_TOKEN": LOGIN.value}
        assert Access().environment({}) == Access().variables() == {}


def test_an_agent_is_not_started_if_a_container_cannot_reach_the_proxy(
    podman: Podman, minimal_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As under a runtime with a network stack of its own, where the port is open for others only."""
    sandbox = podman.sandbox(minimal_image, repository=uuid.uuid4().hex[:8])
    credential = KEY
    agent = CommandAgent(["sh"], credential=credential, proxied=True)
    agent.preflight(sandbox)
    elsewhere = Loopback(port=PORT + 1, serve=lambda _listener: contextlib.nullcontext())
    monkeypatch.setattr(Access, "proxy", lambda _access: type("Elsewhere", (), {"network": elsewhere}))
    with pytest.raises(CobblerError, match="the proxy of the API cannot be reached from inside a container"):
        agent.preflight(sandbox)
