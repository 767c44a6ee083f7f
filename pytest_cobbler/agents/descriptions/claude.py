"""The claude program."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from pytest_cobbler.agents.arguments import Arguments
from pytest_cobbler.agents.base import AgentRequest, Beginning, Session, SessionPlace
from pytest_cobbler.agents.descriptions.base import Start, no_command
from pytest_cobbler.agents.streams.base import NewReader
from pytest_cobbler.agents.streams.claude import ClaudeReader
from pytest_cobbler.agents.wires.base import Wire
from pytest_cobbler.agents.wires.messages import MESSAGES
from pytest_cobbler.sandbox.base import Sandbox

__all__ = ["DEFAULT_ARGUMENTS", "Claude"]

DEFAULT_ARGUMENTS = ("--dangerously-skip-permissions", "-p", "--verbose", "--output-format", "stream-json")

_HOME = "CLAUDE_CONFIG_DIR"
_SESSIONS = SessionPlace(variable=_HOME, pattern="projects/{directory}/{id}.jsonl")
_OWN_SESSION = ("--session-id", "--resume", "--continue", "--no-session-persistence")

# Before its system prompt, claude sends a short hash of some of the first 21 characters of the first message.
_OPENING = "Do this task. The rules and the documents are in your instructions.\n\n"
_OWN_SYSTEM_PROMPT = (
    *("--append-system-prompt", "--append-system-prompt-file"),
    *("--system-prompt", "--system-prompt-file"),
)

_ENVIRONMENT = {
    # What differs between tasks must not precede the prompt: a beginning that the API has in its cache costs
    # a tenth. These are a directory for notes, which are not kept, and the state of git.
    "CLAUDE_CODE_DISABLE_AUTO_MEMORY": "1",
    "CLAUDE_CODE_DISABLE_GIT_INSTRUCTIONS": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
}

# By default claude tells the model to end commit messages with an advertisement.
_SETTINGS = json.dumps({"attribution": {"commit": "", "pr": ""}})

_INSTALL = (
    "The claude program must be on the PATH of the sandbox: install it in the image with\n"
    "  npm install -g @anthropic-ai/claude-code\n"
    "or mount the program itself: podman_args: [-v, /path/to/claude:/usr/local/bin/claude:ro]"
)


@dataclass(frozen=True, kw_only=True)
class Claude:
    """claude without a terminal, with the prompt on its stdin.

    It loads no settings, hooks or MCP servers from the worktree, because an agent may have written them.

    Args:
        arguments: ``claude_args``. Options that are needed to read the output are added if they are
            missing; an option that the user sets is not set again.
        model: the value of ``--model``.
        variables: more variables of its environment.
    """

    arguments: Sequence[str] = DEFAULT_ARGUMENTS
    model: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)

    wire: ClassVar[Wire] = MESSAGES
    reader: ClassVar[NewReader] = ClaudeReader
    reports_success: ClassVar[bool] = True
    patience: ClassVar[float | None] = 10.0
    needs_credential: ClassVar[bool] = True
    instructions: ClassVar[tuple[str, ...]] = ("CLAUDE.md", "AGENTS.md")
    skills: ClassVar[tuple[str, ...]] = (".claude/skills", ".agents/skills")
    remedy: ClassVar[str] = _INSTALL
    tested: ClassVar[str] = "2.1.330"

    @property
    def shown(self) -> str:
        return f"claude, {self.model}" if self.model else "claude"

    @property
    def sessions(self) -> SessionPlace | None:
        has_own = Arguments.parse(self.arguments).has(*_OWN_SESSION) or _HOME in self.variables
        return None if has_own else _SESSIONS

    def trial(self, *, proxied: bool) -> tuple[str, ...]:  # noqa: ARG002
        return ("claude", "--version")

    def environment(self, sandbox: Sandbox) -> Mapping[str, str]:
        return {**_ENVIRONMENT, **self.variables, **({"IS_SANDBOX": "1"} if _runs_as_root(sandbox) else {})}

    def new_id(self) -> str:
        return str(uuid.uuid4())

    def begin(self, request: AgentRequest, session_id: str) -> Start:
        prompt = request.prompt
        if beginning := self._beginning(request):
            prompt = _OPENING + prompt.removeprefix(beginning.text).lstrip("\n")
        return self._start(request, prompt, ("--session-id", session_id))

    def go_on(self, request: AgentRequest, session: Session) -> Start:
        return self._start(request, session.turn, ("--resume", session.id))

    def _start(self, request: AgentRequest, prompt: str, options: Sequence[str]) -> Start:
        arguments = _completed(self.arguments, self.model)
        argv = ("claude", *_with_options_of(request, arguments, options, self._beginning(request)))
        return Start(argv=argv, stdin=no_command(prompt))

    def _beginning(self, request: AgentRequest) -> Beginning | None:
        """What goes into the system prompt, which the API caches for all tasks: a message only as a whole."""
        has_own = Arguments.parse(self.arguments).has(*_OWN_SYSTEM_PROMPT)
        return None if has_own else request.beginning


def _completed(given: Sequence[str], model: str | None) -> tuple[str, ...]:
    """The user's arguments, and those that the reader of the output needs."""
    arguments = Arguments.parse(given)
    added: list[str] = []
    if not arguments.has("--print"):
        added += ["-p"]
    if not arguments.has("--verbose"):
        added += ["--verbose"]
    if not arguments.has("--setting-sources"):
        added += ["--setting-sources", "user"]
    if not arguments.has("--strict-mcp-config"):
        added += ["--strict-mcp-config"]
    if not arguments.has("--settings"):
        added += ["--settings", _SETTINGS]
    if model and not arguments.has("--model"):
        added += ["--model", model]
    if arguments.values.get("--output-format") != "stream-json":
        added += ["--output-format", "stream-json"]
    return arguments.with_options(added)


def _with_options_of(
    request: AgentRequest, given: Sequence[str], session: Sequence[str], beginning: Beginning | None
) -> tuple[str, ...]:
    """The arguments with those that this one run needs."""
    arguments = Arguments.parse(given)
    added: list[str] = []
    if not arguments.has("--session-id", "--resume", "--continue"):
        added += session
    if file := beginning.file if beginning else request.system_prompt_file:
        added += ["--append-system-prompt-file", file]
    if request.budget_usd is not None and not arguments.has("--max-budget-usd"):
        added += ["--max-budget-usd", f"{request.budget_usd:.6f}"]
    return arguments.with_options(added)


def _runs_as_root(sandbox: Sandbox) -> bool:
    """Whether the program refuses to skip permissions unless a variable names a sandbox."""
    uid = sandbox.owner[0] if sandbox.owner else os.geteuid()
    return uid == 0
