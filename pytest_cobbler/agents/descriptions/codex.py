"""The codex program of OpenAI."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from pytest_cobbler.agents.base import AgentRequest, Session, SessionPlace
from pytest_cobbler.agents.descriptions.base import Start
from pytest_cobbler.agents.homes import Home
from pytest_cobbler.agents.streams.base import NewReader
from pytest_cobbler.agents.streams.codex import CodexReader
from pytest_cobbler.agents.wires.base import Wire
from pytest_cobbler.agents.wires.responses import RESPONSES
from pytest_cobbler.config.model import CODEX_ARGUMENTS
from pytest_cobbler.sandbox.base import Sandbox

__all__ = ["Codex"]

_HOME = "CODEX_HOME"
_SESSIONS = SessionPlace(
    variable=_HOME,
    pattern="sessions/2026/01/01/rollout-2026-01-01T00-00-00-{id}.jsonl",
    unnamed="sessions/*/*/*/rollout-*.jsonl",
)
_PROVIDER = "cobbler"

_SETTINGS = (
    # What acts at the API is refused by the proxy, and with it the whole request.
    'web_search="disabled"',
    # Instructions and skills in a worktree may be another agent's.
    "project_doc_max_bytes=0",
    "skills.include_instructions=false",
    # What would ask other places than the API.
    "features.apps=false",
    "features.plugins=false",
    "analytics.enabled=false",
    "check_for_update_on_startup=false",
)

_SKILLS = ".agents/skills .codex/skills"
"""Where codex finds skills in a worktree. A prompt with ``$name`` would have it read the one of that name."""

_INSTALL = (
    "The codex program must be on the PATH of the sandbox: install it in the image with\n"
    "  npm install -g @openai/codex\n"
    "or mount the program itself: podman_args: [-v, /path/to/codex:/usr/local/bin/codex:ro]"
)


@dataclass(frozen=True, kw_only=True)
class Codex:
    """``codex exec``, with the prompt on its stdin.

    It loads no settings, instructions, skills or MCP servers from the worktree, because an agent may have
    written them.

    Args:
        arguments: ``codex_args``. An option that the user sets is not set again.
        address: where the API is, as the program sees it.
        model: the value of ``--model``.
        variables: more variables of its environment.
    """

    arguments: Sequence[str] = CODEX_ARGUMENTS
    address: str = RESPONSES.address.api
    model: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)

    wire: ClassVar[Wire] = RESPONSES
    reports_success: ClassVar[bool] = True
    patience: ClassVar[float | None] = 10.0
    needs_credential: ClassVar[bool] = True
    instructions: ClassVar[tuple[str, ...]] = ("AGENTS.override.md", "AGENTS.md", "CLAUDE.md")
    skills: ClassVar[tuple[str, ...]] = (".agents/skills", ".codex/skills", ".claude/skills")
    remedy: ClassVar[str] = _INSTALL
    tested: ClassVar[str] = "0.171.0"

    @property
    def shown(self) -> str:
        return f"codex, {self.model}" if self.model else "codex"

    @property
    def reader(self) -> NewReader:
        return functools.partial(CodexReader, model=self.model or "")

    @property
    def sessions(self) -> SessionPlace | None:
        return None if self._has("--ephemeral") or _HOME in self.variables else _SESSIONS

    def trial(self, *, proxied: bool) -> tuple[str, ...]:  # noqa: ARG002
        return ("codex", "--version")

    def environment(self, sandbox: Sandbox) -> Mapping[str, str]:  # noqa: ARG002
        return self.variables

    def new_id(self) -> str:
        return ""

    def begin(self, request: AgentRequest, session_id: str) -> Start:  # noqa: ARG002
        return self._start(request, request.prompt, ())

    def go_on(self, request: AgentRequest, session: Session) -> Start:
        return self._start(request, session.turn, (session.id,))

    def _start(self, request: AgentRequest, prompt: str, resumed: tuple[str, ...]) -> Start:
        argv = ("codex", "exec", *(["resume"] if resumed else []), *self._options(), *resumed, "-")
        rules = request.system_prompt_file
        files = {"AGENTS.md": rules} if rules else {}
        home = Home(variable=_HOME, directory=".codex", files=files, hidden={"config.toml": _SKILLS})
        return Start(argv=argv, stdin=prompt, home=home)

    def _options(self) -> Sequence[str]:
        """The user's options, behind those that they may replace."""
        place = f'base_url="{self.address}", env_key="{self.wire.address.key}", wire_api="responses"'
        settings = (
            *_SETTINGS,
            f'model_provider="{_PROVIDER}"',
            f'model_providers.{_PROVIDER}={{name="{_PROVIDER}", {place}}}',
        )
        options = [word for setting in settings for word in ("-c", setting)]
        if not self._has("--json"):
            options.append("--json")
        if self.model and not self._has("--model", "-m"):
            options += ["--model", self.model]
        return (*options, *self.arguments)

    def _has(self, *names: str) -> bool:
        return any(argument.partition("=")[0] in names for argument in self.arguments)
