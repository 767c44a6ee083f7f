"""Requests and agents in one line."""

from __future__ import annotations

import subprocess
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_cobbler.agents.base import Agent, AgentRequest, AgentResult
from pytest_cobbler.agents.claude import DEFAULT_ARGUMENTS, ClaudeAgent
from pytest_cobbler.agents.credential import Credential
from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox.base import Limits, Network
from pytest_cobbler.sandbox.host import HostSandbox
from tests.support.scripted_api import API_KEY, ScriptedApi

KEY = Credential(kind="api_key", value=API_KEY, source="the test")


class Workplace:
    """A repository in which agents work, on the host; records their steps."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.worktree = directory / "worktree"
        self.transcript = directory / "attempt" / "transcript.jsonl"
        self.errors = directory / "attempt" / "stderr.txt"
        self.sandbox = HostSandbox(repository="tests", run_id=uuid.uuid4().hex)
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
            limits=Limits(wall=60.0),
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


def claude(api: ScriptedApi, *arguments: str, credential: Credential = KEY, **options: Any) -> ClaudeAgent:
    """The real program, talking to ``api``, with more ``claude_args``."""
    return ClaudeAgent(
        [*DEFAULT_ARGUMENTS, *arguments],
        credential=credential,
        base_url=api.url,
        environment={"CLAUDE_CODE_MAX_RETRIES": "1"},
        **options,
    )
