"""The real programs that are agents: how each is configured, and how its API and its tools are named."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pytest_cobbler.agents.descriptions.base import Description
from pytest_cobbler.agents.descriptions.claude import Claude
from pytest_cobbler.agents.descriptions.codex import Codex
from pytest_cobbler.agents.descriptions.gemini import GeminiCli
from pytest_cobbler.agents.descriptions.opencode import OpenCode
from pytest_cobbler.agents.prices import PriceList
from pytest_cobbler.testing.project import Project
from tests.support import parts
from tests.support.scripted_api import ScriptedApi, Turn, text, tool, turn
from tests.support.sessions import records

DESCRIPTIONS: Mapping[str, Description] = {
    "claude": Claude(),
    "codex": Codex(),
    "opencode": OpenCode(),
    "gemini": GeminiCli(),
}
"""The descriptions of agents with a program of their own."""

KEY = "sk-real-Zm9vYmFyYmF6cXV4"
USAGE = {
    "input_tokens": 1_000,
    "output_tokens": 100,
    "cache_read_input_tokens": 400,
    "cache_creation_input_tokens": 0,
}
DONE = turn(text("Done."), usage=USAGE)


@dataclass(frozen=True, kw_only=True)
class RealAgent:
    """An agent. ``program`` is looked for; ``call`` is its tool that runs a command.

    ``shown`` is in the header of a run. ``like`` is the agent whose tests show the same, because only the API
    or the program differs. ``cannot``: fact -> why no test can show it.
    """

    name: str
    program: str
    agent: str
    key: str
    model: str
    address: str
    below: str
    path: str
    call: Callable[[str], dict[str, Any]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    """More of podman's."""
    like: str = ""
    cannot: Mapping[str, str] = field(default_factory=dict)

    @property
    def shown(self) -> str:
        if self.agent == "acp":
            return f"agent: {' '.join(self.settings['agent_command'])}"
        return f"agent: {self.agent}, {self.model}"

    @property
    def usual(self) -> dict[str, Any]:
        return {"agent": self.agent, "agent_command": None, "model": self.model, **self.settings}

    def environment(self, api: ScriptedApi) -> dict[str, str]:
        return {self.address: f"{api.url}{self.below}", self.key: KEY}

    def runs(self, command: str) -> Turn:
        return turn(self.call(command), usage=USAGE)

    def mounted(self, directory: Path) -> list[str]:
        """The arguments that bring the program into a container."""
        program = parts.need(self.program)
        if self.program != "gemini":
            return ["-v", f"{program}:/usr/local/bin/{self.program}:ro", *self.arguments]
        node = parts.need("node")
        [library] = Path("/usr/lib").glob("*-linux-gnu/libstdc++.so.6")
        script = directory / "gemini"
        script.write_text('#!/bin/sh\nexec node /opt/gemini/bundle/gemini.js "$@"\n')
        script.chmod(0o755)
        return [
            *("-v", f"{script}:/usr/local/bin/gemini:ro"),
            *("-v", f"{program.parents[1]}:/opt/gemini:ro"),
            *("-v", f"{node}:/usr/local/bin/node:ro"),
            *("-v", f"{library.resolve()}:{library}:ro"),
            *self.arguments,
        ]


def _bash(name: str) -> Callable[[str], dict[str, Any]]:
    return lambda command: tool(name, command=command, description="Work")


CLAUDE = RealAgent(
    name="claude",
    program="claude",
    agent="claude",
    key="ANTHROPIC_API_KEY",
    model="claude-sonnet-5-5",
    address="ANTHROPIC_BASE_URL",
    below="",
    path="/v1/messages",
    call=_bash("Bash"),
    arguments=("-e", "CLAUDE_CODE_MAX_RETRIES=0"),
)
CODEX = RealAgent(
    name="codex",
    program="codex",
    agent="codex",
    key="OPENAI_API_KEY",
    model="gpt-6-sol",
    address="OPENAI_BASE_URL",
    below="/v1",
    path="/v1/responses",
    call=lambda command: tool("exec_command", cmd=command),
)
OPENCODE = RealAgent(
    name="opencode",
    program="opencode",
    agent="opencode",
    key="ANTHROPIC_API_KEY",
    model="claude-sonnet-5-5",
    address="ANTHROPIC_BASE_URL",
    below="",
    path="/v1/messages",
    call=_bash("bash"),
)
OPENCODE_CHAT = replace(
    OPENCODE,
    name="opencode-chat",
    like="opencode",
    key="OPENAI_API_KEY",
    model="gpt-5",
    address="OPENAI_BASE_URL",
    below="/v1",
    path="/v1/chat/completions",
    settings={"agent_api": "chat"},
)
OPENCODE_RESPONSES = replace(
    OPENCODE_CHAT, name="opencode-responses", path="/v1/responses", settings={"agent_api": "responses"}
)
OPENCODE_GEMINI = replace(
    OPENCODE,
    name="opencode-gemini",
    like="opencode",
    key="GEMINI_API_KEY",
    model="gemini-2.5-pro",
    address="GOOGLE_GEMINI_BASE_URL",
    path="/v1beta/models/gemini-2.5-pro:streamGenerateContent",
    settings={"agent_api": "gemini"},
)
GEMINI = RealAgent(
    name="gemini",
    program="gemini",
    agent="gemini",
    key="GEMINI_API_KEY",
    model="gemini-2.5-pro",
    address="GOOGLE_GEMINI_BASE_URL",
    below="",
    path="/v1beta/models/gemini-2.5-pro:streamGenerateContent",
    call=_bash("run_shell_command"),
)


def opencode_settings(address: str) -> dict[str, str]:
    """The environment for opencode without a description, as the page on ACP has it."""
    name = OPENCODE.model
    options = {"baseURL": f"{address}/v1", "apiKey": "{env:ANTHROPIC_API_KEY}"}
    settings = {
        "model": f"anthropic/{name}",
        "small_model": f"anthropic/{name}",
        "enabled_providers": ["anthropic"],
        "share": "disabled",
        "autoupdate": False,
        "provider": {"anthropic": {"options": options, "models": {name: {}}}},
    }
    return {
        "OPENCODE_CONFIG_CONTENT": json.dumps(settings),
        "OPENCODE_DISABLE_PROJECT_CONFIG": "1",
        "OPENCODE_DISABLE_EXTERNAL_SKILLS": "1",
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
    }


ACP = RealAgent(
    name="acp",
    program="opencode",
    agent="acp",
    key="ANTHROPIC_API_KEY",
    model=OPENCODE.model,
    address="ANTHROPIC_BASE_URL",
    below="",
    path="/v1/messages",
    call=_bash("bash"),
    settings={"model": None, "agent_command": ["opencode", "acp"], "agent_api": "messages"},
    arguments=tuple(
        word
        for name, value in opencode_settings("http://127.0.0.1:8377").items()
        for word in ("-e", f"{name}={value}")
    ),
)

ACP_GEMINI = RealAgent(
    name="acp-gemini",
    program="gemini",
    agent="acp",
    key="GEMINI_API_KEY",
    model="gemini-2.5-pro",
    address="GOOGLE_GEMINI_BASE_URL",
    below="",
    path=GEMINI.path,
    call=_bash("run_shell_command"),
    like="acp",
    cannot={
        "repaired in the same conversation": "no: [a new one](acp.md)",
        "killed and gone on": "no: [a new one](acp.md)",
        "hosted tool refused": "as gemini",
    },
    settings={
        "model": None,
        "agent_command": ["gemini", "--experimental-acp", "--skip-trust", "--model", "gemini-2.5-pro"],
        "agent_api": "gemini",
    },
)

EVERY = {one.name: one for one in (CLAUDE, CODEX, OPENCODE, GEMINI, ACP)}
"""One of each kind that is built in."""

OTHERS = (OPENCODE_CHAT, OPENCODE_RESPONSES, OPENCODE_GEMINI, ACP_GEMINI)
"""Agents of the same kinds, with another API or program."""

ALL = {**EVERY, **{one.name: one for one in OTHERS}}

FACTS = (
    "lands",
    "repaired in the same conversation",
    "killed and gone on",
    "limited",
    "refused key",
    "key found nowhere",
    "tokens and money equal",
    "hosted tool refused",
    "zero network",
    "asked by the doctor",
    "by an ordinary user",
)
"""What the tests show of each agent, as the table has it."""


def paid(project: Project) -> tuple[dict[str, int], float]:
    """What all agents of the generation cost, by the statistics."""
    told = json.loads("\n".join(project.run("--cobbler-stats", "--cobbler-format=json").outlines))
    (generation,) = told["generations"]
    spent = [generation[name] for name in ("measures", "landed", "wasted")]
    tokens = {kind: sum(part["tokens"][kind] for part in spent) for kind in spent[0]["tokens"]}
    return tokens, round(sum(part["cost_usd"] or 0.0 for part in spent), 9)


def counted(api: ScriptedApi, model: str) -> tuple[dict[str, int], float]:
    """What all answers of the API cost, by its own count."""
    kinds = {
        "input": "input_tokens",
        "output": "output_tokens",
        "cache_read": "cache_read_input_tokens",
        "cache_write": "cache_creation_input_tokens",
    }
    costs = [PriceList().cost_of(model, usage) or 0.0 for usage in api.answered]
    assert all(costs)
    tokens = {kind: sum(usage[name] for usage in api.answered) for kind, name in kinds.items()}
    return tokens, round(sum(costs), 9)


def models(project: Project) -> list[object]:
    """The models of the landed tasks, by their records."""
    return [record["model"] for record in records(project)]


def files_with(directory: Path, words: str) -> list[Path]:
    files = [path for path in directory.rglob("*") if path.is_file() and not path.is_symlink()]
    return [path for path in files if words.encode() in path.read_bytes()]
