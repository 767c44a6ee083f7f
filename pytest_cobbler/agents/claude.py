"""The claude program as the agent."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pytest_cobbler.agents.access import Access
from pytest_cobbler.agents.arguments import Arguments
from pytest_cobbler.agents.base import AgentRequest, AgentResult, Beginning, SessionPlace
from pytest_cobbler.agents.credential import Credential, no_credential
from pytest_cobbler.agents.launch import Launched, Program, launch, trial
from pytest_cobbler.agents.prices import BUILT_IN, PriceList
from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox.base import Sandbox
from pytest_cobbler.sandbox.probes import Probe

__all__ = ["DEFAULT_ARGUMENTS", "ClaudeAgent"]

DEFAULT_ARGUMENTS = ("--dangerously-skip-permissions", "-p", "--verbose", "--output-format", "stream-json")

PATIENCE = 10.0
"""Seconds after its success in which the program has to exit."""

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


class ClaudeAgent:
    """Runs claude without a terminal, with the prompt on its stdin.

    claude loads no settings, hooks or MCP servers from the worktree, because an agent may have written them.

    Args:
        arguments: ``claude_args``. Options that are needed to read the output are added if they are
            missing; an option that the user sets is not set again.
        model: the value of ``--model``.
        credential: the key or token that claude uses.
        base_url: the address of the API, if it is not Anthropic's.
        proxied: credential and address stay on the host, see ``Access``.
        prices: by which the proxy counts.
        environment: more variables.
    """

    def __init__(
        self,
        arguments: Sequence[str] = DEFAULT_ARGUMENTS,
        *,
        model: str | None = None,
        credential: Credential | None = None,
        base_url: str | None = None,
        proxied: bool = False,
        prices: PriceList = BUILT_IN,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._arguments = _completed(arguments, model)
        self._model = model
        self._access = Access(
            credential=credential, base_url=base_url, proxied=proxied, prices=prices or PriceList()
        )
        self._environment = {**_ENVIRONMENT, **(environment or {})}

    @property
    def description(self) -> str:
        return f"agent: claude, {self._model}" if self._model else "agent: claude"

    @property
    def secrets(self) -> tuple[str, ...]:
        return self._access.secrets

    @property
    def proxied(self) -> bool:
        return self._access.proxied

    def preflight(self, sandbox: Sandbox) -> None:
        self.probe(sandbox).run(sandbox)

    def probe(self, sandbox: Sandbox) -> Probe:
        if self._access.credential is None:
            raise no_credential()
        environment = self._surroundings(sandbox)
        return trial(sandbox, self._access, ("claude", "--version"), _INSTALL, environment)

    @property
    def sessions(self) -> SessionPlace | None:
        has_own = Arguments.parse(self._arguments).has(*_OWN_SESSION) or _HOME in self._environment
        return None if has_own else _SESSIONS

    def run(self, request: AgentRequest, sandbox: Sandbox, cancellation: Cancellation) -> AgentResult:
        session, notes = request.session, []
        if session and session.turn:
            options = ("--resume", session.id)
            launched = self._launch(request, session.turn, options, sandbox, cancellation)
            if not launched.refused_to_continue:
                return replace(_result(launched, session.id), continued=True)
            notes.append(f"a new conversation, because the last one cannot go on: {launched.error()}")
            session_id = session.restart()
        else:
            session_id = session.id if session else str(uuid.uuid4())
        options = ("--session-id", session_id)
        prompt = request.prompt
        if beginning := self._beginning(request):
            prompt = _OPENING + prompt.removeprefix(beginning.text).lstrip("\n")
        result = _result(self._launch(request, prompt, options, sandbox, cancellation), session_id)
        return replace(result, notes=(*notes, *result.notes))

    def _launch(
        self,
        request: AgentRequest,
        prompt: str,
        options: Sequence[str],
        sandbox: Sandbox,
        cancellation: Cancellation,
    ) -> Launched:
        home = {_HOME: str(request.session.home)} if request.session else {}
        beginning = self._beginning(request)
        program = Program(
            argv=("claude", *_with_options_of(request, self._arguments, options, beginning)),
            stdin=_prompt(prompt).encode("utf-8", "replace"),
            environment=self._surroundings(sandbox) | home,
            resumes=options[0] == "--resume",
        )
        return launch(program, self._access, request, sandbox, cancellation, PATIENCE)

    def _beginning(self, request: AgentRequest) -> Beginning | None:
        """What goes into the system prompt, which the API caches for all tasks: a message only as a whole."""
        has_own = Arguments.parse(self._arguments).has(*_OWN_SYSTEM_PROMPT)
        return None if has_own else request.beginning

    def _surroundings(self, sandbox: Sandbox) -> dict[str, str]:
        return self._environment | ({"IS_SANDBOX": "1"} if _runs_as_root(sandbox) else {})


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


def _result(launched: Launched, session_id: str) -> AgentResult:
    # An interrupted run exits with 0 too, and a result may be missing its end.
    error, doubt = launched.doubtful()
    return launched.result(error, session_id, doubt)


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


def _prompt(prompt: str) -> str:
    """``prompt``; one that begins with a slash would be taken for a command of claude."""
    return f"Your task:\n\n{prompt}" if prompt.lstrip().startswith("/") else prompt


def _runs_as_root(sandbox: Sandbox) -> bool:
    """Whether the program refuses to skip permissions unless a variable names a sandbox."""
    uid = sandbox.owner[0] if sandbox.owner else os.geteuid()
    return uid == 0
