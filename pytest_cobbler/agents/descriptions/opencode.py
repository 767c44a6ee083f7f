"""The opencode program."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final

from pytest_cobbler.agents.base import AgentRequest, Session, SessionPlace
from pytest_cobbler.agents.descriptions.base import Start
from pytest_cobbler.agents.homes import Home
from pytest_cobbler.agents.streams.base import NewReader
from pytest_cobbler.agents.streams.opencode import OpenCodeReader
from pytest_cobbler.agents.wires.base import Wire
from pytest_cobbler.agents.wires.messages import MESSAGES
from pytest_cobbler.config.model import OPENCODE_ARGUMENTS
from pytest_cobbler.sandbox.base import Sandbox

__all__ = ["DIRECTORIES", "SESSIONS", "OpenCode"]

_HOME: Final = "XDG_DATA_HOME"
SESSIONS: Final = SessionPlace(
    variable=_HOME, pattern="opencode/opencode.db", beside="-wal", mark='"role":"user"'
)
"""A database, of which most is in the second file, also after opencode has ended."""

DIRECTORIES: Final = {"XDG_CONFIG_HOME": "config", "XDG_STATE_HOME": "state", "XDG_CACHE_HOME": "cache"}

_PROVIDERS: Final[Mapping[str, tuple[str, str, str]]] = {
    "messages": ("anthropic", "@ai-sdk/anthropic", "/v1"),
    "responses": ("openai", "@ai-sdk/openai", ""),
    "chat": ("cobbler", "@ai-sdk/openai-compatible", ""),
    "gemini": ("google", "@ai-sdk/google", "/v1beta"),
}
"""Name of a wire -> opencode's provider, its library, and the end of the address that it wants."""

_WITHOUT: Final = {
    # Settings, instructions, plugins and skills in a worktree may be another agent's.
    "OPENCODE_DISABLE_PROJECT_CONFIG": "1",
    "OPENCODE_DISABLE_CLAUDE_CODE": "1",
    "OPENCODE_DISABLE_EXTERNAL_SKILLS": "1",
    "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
    # What would ask other places than the API.
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
    "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
}

_INSTALL: Final = (
    "The opencode program must be on the PATH of the sandbox: install it in the image with\n"
    "  npm install -g opencode-ai\n"
    "or mount the program itself: podman_args: [-v, /path/to/opencode:/usr/local/bin/opencode:ro]"
)


@dataclass(frozen=True, kw_only=True)
class OpenCode:
    """``opencode run``, with the prompt on its stdin.

    It loads no settings, instructions, skills or plugins from the worktree, because an agent may have written
    them.

    Args:
        model: the name of the model, without a provider; ``None``: the one that opencode chooses.
        arguments: ``opencode_args``. An option that the user sets is not set again.
        wire: the format of the API, which chooses opencode's provider.
        address: where the API is, as the program sees it.
        continues: whether its conversations can go on. opencode finds one by the directory that it works in,
            so it cannot if that is another one for each attempt.
        variables: more variables of its environment.
    """

    model: str | None = None
    arguments: Sequence[str] = OPENCODE_ARGUMENTS
    wire: Wire = MESSAGES
    address: str = MESSAGES.address.api
    continues: bool = True
    variables: Mapping[str, str] = field(default_factory=dict)

    reports_success: ClassVar[bool] = True
    patience: ClassVar[float | None] = 10.0
    needs_credential: ClassVar[bool] = True
    instructions: ClassVar[tuple[str, ...]] = ("AGENTS.md", "CLAUDE.md")
    skills: ClassVar[tuple[str, ...]] = (
        ".opencode/skills",
        ".opencode/skill",
        ".claude/skills",
        ".agents/skills",
    )
    remedy: ClassVar[str] = _INSTALL
    tested: ClassVar[str] = "1.18.33"

    @property
    def shown(self) -> str:
        return f"opencode, {self.model}" if self.model else "opencode"

    @property
    def reader(self) -> NewReader:
        return functools.partial(OpenCodeReader, model=self.model or "")

    @property
    def sessions(self) -> SessionPlace | None:
        taken = self._has("--session", "-s", "--continue", "-c") or _HOME in self.variables
        return SESSIONS if self.continues and not taken else None

    def trial(self, *, proxied: bool) -> tuple[str, ...]:  # noqa: ARG002
        return ("opencode", "--version")

    def environment(self, sandbox: Sandbox) -> Mapping[str, str]:  # noqa: ARG002
        return {**_WITHOUT, **self.variables}

    def new_id(self) -> str:
        return ""

    def begin(self, request: AgentRequest, session_id: str) -> Start:  # noqa: ARG002
        return self._start(request, request.prompt, ())

    def go_on(self, request: AgentRequest, session: Session) -> Start:
        return self._start(request, session.turn, ("--continue",))

    def _start(self, request: AgentRequest, prompt: str, resumed: tuple[str, ...]) -> Start:
        return Start(
            argv=("opencode", "run", *self._options(), *resumed),
            stdin=prompt,
            environment={"OPENCODE_CONFIG_CONTENT": json.dumps(self._settings(request.system_prompt_file))},
            home=Home(variable=_HOME, directory=".local/share", further=DIRECTORIES),
        )

    def _options(self) -> Sequence[str]:
        """The user's options, behind those that they may replace."""
        provider, _library, _end = _PROVIDERS[self.wire.name]
        added = ["--pure"]
        if not self._has("--format"):
            added += ["--format", "json"]
        if not self._has("--title"):
            added += ["--title", "task"]  # else a model is asked for one
        if self.model and not self._has("--model", "-m"):
            added += ["--model", f"{provider}/{self.model}"]
        return (*added, *self.arguments)

    def _settings(self, rules: str | None) -> dict[str, object]:
        provider, library, end = _PROVIDERS[self.wire.name]
        options = {
            "baseURL": f"{self.address.rstrip('/')}{end}",
            "apiKey": f"{{env:{self.wire.address.key}}}",
        }
        models: dict[str, object] = {"models": {self.model: {}}} if self.model else {}
        small = {"small_model": f"{provider}/{self.model}"} if self.model else {}
        return {
            "share": "disabled",
            "autoupdate": False,
            "snapshot": False,
            "lsp": False,
            "formatter": False,
            "enabled_providers": [provider],
            "provider": {provider: {"npm": library, "options": options, **models}},
            **small,
            **({"instructions": [rules]} if rules else {}),
        }

    def _has(self, *names: str) -> bool:
        return any(argument.partition("=")[0] in names for argument in self.arguments)
