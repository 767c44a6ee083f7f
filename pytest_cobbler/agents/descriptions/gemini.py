"""The gemini program of Google."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final

from pytest_cobbler.agents.base import AgentRequest, Session, SessionPlace
from pytest_cobbler.agents.descriptions.base import Start, no_command
from pytest_cobbler.agents.homes import Home
from pytest_cobbler.agents.streams.base import NewReader
from pytest_cobbler.agents.streams.gemini import GeminiReader
from pytest_cobbler.agents.wires.base import Wire
from pytest_cobbler.agents.wires.gemini import GEMINI
from pytest_cobbler.config.model import GEMINI_ARGUMENTS
from pytest_cobbler.sandbox.base import Sandbox

__all__ = ["GeminiCli", "home_with"]

_HOME: Final = "GEMINI_CLI_HOME"
_SESSIONS: Final = SessionPlace(
    variable=_HOME,
    pattern=".gemini/tmp/task/chats/session-2026-01-01T00-00-{id:.8}.jsonl",
    new=".gemini/tmp/task/chats/session-*-{id:.8}.jsonl",
)

_RULES: Final = ".gemini/cobbler.md"
"""The file of instructions, in its home and in the worktree, where no task may make one."""

_SETTINGS: Final[Mapping[str, object]] = {
    "security": {"auth": {"selectedType": "gemini-api-key"}},
    # After a few tries the run itself waits, for all its agents together.
    "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False, "maxAttempts": 3},
    # What would ask other places than the API, or act at the API.
    "privacy": {"usageStatisticsEnabled": False},
    "telemetry": {"enabled": False},
    "tools": {"exclude": ["google_web_search", "web_fetch"]},
    "context": {"fileName": _RULES},
    "skills": {"enabled": False},
    "hooksConfig": {"enabled": False},
    "mcp": {"allowed": ["none"]},
}

_INSTALL: Final = (
    "The gemini program must be on the PATH of the sandbox: install it in the image, which needs node, with\n"
    "  npm install -g @google/gemini-cli"
)


def home_with(*, files: Mapping[str, str], texts: Mapping[str, str]) -> Home:
    """The directory for its own files, with its settings and these files (see ``Home``)."""
    settings = {".gemini/settings.json": json.dumps(_SETTINGS)}
    return Home(variable=_HOME, directory=".gemini-home", files=files, texts={**settings, **texts})


@dataclass(frozen=True, kw_only=True)
class GeminiCli:
    """``gemini``, with the prompt on its stdin.

    Instructions come from outside of the worktree. It loads the settings in ``.gemini`` of the worktree,
    which no task may change.

    Args:
        arguments: ``gemini_args``. An option that the user sets is not set again.
        model: the value of ``--model``.
        variables: more variables of its environment.
    """

    arguments: Sequence[str] = GEMINI_ARGUMENTS
    model: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)

    wire: ClassVar[Wire] = GEMINI
    reader: ClassVar[NewReader] = GeminiReader
    reports_success: ClassVar[bool] = True
    patience: ClassVar[float | None] = 10.0
    needs_credential: ClassVar[bool] = True
    instructions: ClassVar[tuple[str, ...]] = ("GEMINI.md", "AGENTS.md", "CLAUDE.md")
    skills: ClassVar[tuple[str, ...]] = (".gemini/skills", ".agents/skills", ".claude/skills")
    remedy: ClassVar[str] = _INSTALL
    tested: ClassVar[str] = "0.61.0"

    @property
    def shown(self) -> str:
        return f"gemini, {self.model}" if self.model else "gemini"

    @property
    def sessions(self) -> SessionPlace | None:
        taken = self._has("--session-id", "--resume", "-r", "--session-file") or _HOME in self.variables
        return None if taken else _SESSIONS

    def trial(self, *, proxied: bool) -> tuple[str, ...]:  # noqa: ARG002
        return ("gemini", "--version")

    def environment(self, sandbox: Sandbox) -> Mapping[str, str]:  # noqa: ARG002
        return {"GEMINI_CLI_NO_RELAUNCH": "true", **self.variables}

    def new_id(self) -> str:
        return str(uuid.uuid4())

    def begin(self, request: AgentRequest, session_id: str) -> Start:
        named = ("--session-id", session_id) if self.sessions and session_id else ()
        return self._start(request, request.prompt, named)

    def go_on(self, request: AgentRequest, session: Session) -> Start:
        return self._start(request, session.turn, ("--resume", session.id))

    def _start(self, request: AgentRequest, prompt: str, session: tuple[str, ...]) -> Start:
        rules = request.system_prompt_file
        # Otherwise it names the directory of a conversation itself.
        projects = {"projects": {str(request.worktree): "task"}}
        home = home_with(
            files={f".gemini/{_RULES}": rules} if rules else {},
            texts={".gemini/projects.json": json.dumps(projects)},
        )
        return Start(argv=("gemini", *self._options(), *session), stdin=no_command(prompt), home=home)

    def _options(self) -> Sequence[str]:
        """The user's options, behind those that they may replace."""
        added = ["--skip-trust"]
        if not self._has("--output-format", "-o"):
            added += ["--output-format", "stream-json"]
        if self.model and not self._has("--model", "-m"):
            added += ["--model", self.model]
        return (*added, *self.arguments)

    def _has(self, *names: str) -> bool:
        return any(argument.partition("=")[0] in names for argument in self.arguments)
