"""Requests and agents in one line."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_cobbler.agents.access import Access
from pytest_cobbler.agents.base import Agent, AgentRequest, AgentResult
from pytest_cobbler.agents.credential import Credential
from pytest_cobbler.agents.described import DescribedAgent
from pytest_cobbler.agents.descriptions.acp import Acp
from pytest_cobbler.agents.descriptions.claude import DEFAULT_ARGUMENTS, Claude
from pytest_cobbler.agents.descriptions.codex import Codex
from pytest_cobbler.agents.descriptions.gemini import GeminiCli
from pytest_cobbler.agents.descriptions.opencode import OpenCode
from pytest_cobbler.config.model import CODEX_ARGUMENTS
from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox.base import Limits, Network
from tests.support.jobs import own_host
from tests.support.real_agents import opencode_settings
from tests.support.scripted_api import API_KEY, ScriptedApi

OPENAI_KEY = Credential(kind="api_key", value=API_KEY, source="the test", variable="OPENAI_API_KEY")
KEY = Credential(kind="api_key", value=API_KEY, source="the test")


class Workplace:
    """A repository in which agents work, on the host; records their steps."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.worktree = directory / "worktree"
        self.transcript = directory / "attempt" / "transcript.jsonl"
        self.errors = directory / "attempt" / "stderr.txt"
        self.sandbox = own_host()
        self.steps: list[str] = []
        subprocess.run(["git", "init", "-q", str(self.worktree)], check=True)

    def request(self, prompt: str = "Write hello.txt", **changes: Any) -> AgentRequest:
        request = AgentRequest(
            phase="stitch",
            task_id="cobbler-1",
            title="Write hello.txt",
            attempt=1,
            prompt=prompt,
            worktree=self.worktree,
            mounts=(),
            network=Network.OPEN,
            limits=Limits(wall=300.0),
            transcript=self.transcript,
            errors=self.errors,
            on_step=self.steps.append,
        )
        return replace(request, **changes)

    def run(
        self,
        agent: Agent,
        prompt: str = "Write hello.txt",
        *,
        cancellation: Cancellation | None = None,
        **changes: Any,
    ) -> AgentResult:
        return agent.run(self.request(prompt, **changes), self.sandbox, cancellation or Cancellation())


class ClaudeAgent(DescribedAgent):
    """claude as a configuration makes it; ``access`` are the fields of ``Access``."""

    def __init__(
        self,
        arguments: Sequence[str] = DEFAULT_ARGUMENTS,
        *,
        model: str | None = None,
        environment: Mapping[str, str] | None = None,
        **access: Any,
    ) -> None:
        described = Claude(arguments=arguments, model=model, variables=environment or {})
        super().__init__(described, Access(**access))


def codex(api: ScriptedApi, *arguments: str, **options: Any) -> DescribedAgent:
    """The real codex, talking to ``api``, with more ``codex_args``."""
    address = f"{api.url}/v1"
    described = Codex(arguments=[*CODEX_ARGUMENTS, *arguments], address=address, model="gpt-6-sol", **options)
    return DescribedAgent(described, Access(credential=OPENAI_KEY, base_url=address, wire=described.wire))


def claude(api: ScriptedApi, *arguments: str, credential: Credential = KEY, **options: Any) -> ClaudeAgent:
    """The real program, talking to ``api``, with more ``claude_args``."""
    return ClaudeAgent(
        [*DEFAULT_ARGUMENTS, *arguments],
        credential=credential,
        base_url=api.url,
        environment={"CLAUDE_CODE_MAX_RETRIES": "1"},
        **options,
    )


def opencode(api: ScriptedApi) -> DescribedAgent:
    """The real opencode, talking to ``api``."""
    described = OpenCode(model="claude-sonnet-5-5", address=api.url)
    return DescribedAgent(described, Access(credential=KEY, base_url=api.url))


def gemini(api: ScriptedApi) -> DescribedAgent:
    """The real gemini, talking to ``api``."""
    described = GeminiCli(model="gemini-2.5-pro")
    key = replace(KEY, variable="GEMINI_API_KEY")
    return DescribedAgent(described, Access(credential=key, base_url=api.url, wire=described.wire))


def acp(api: ScriptedApi) -> DescribedAgent:
    """The real opencode as a program of the Agent Client Protocol, talking to ``api``."""
    described = Acp(command=["opencode", "acp"], variables=opencode_settings(api.url))
    return DescribedAgent(described, Access(credential=KEY, base_url=api.url))
