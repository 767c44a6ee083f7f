"""Any program: it reads the prompt from stdin and exits with 0 when it is done."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from pytest_cobbler.agents.base import AgentRequest, Session, SessionPlace
from pytest_cobbler.agents.descriptions.base import Start
from pytest_cobbler.agents.streams.base import NewReader
from pytest_cobbler.agents.streams.claude import ClaudeReader
from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.sandbox.base import Sandbox

__all__ = ["Command", "facts_of"]


@dataclass(frozen=True, kw_only=True)
class Command:
    """The program and its arguments, as ``agent_command`` has them; ``variables``: more of its environment.

    Raises:
        UsageProblem: there is no program.
    """

    command: Sequence[str]
    variables: Mapping[str, str] = field(default_factory=dict)

    reader: ClassVar[NewReader] = ClaudeReader
    reports_success: ClassVar[bool] = False
    patience: ClassVar[float | None] = None
    needs_credential: ClassVar[bool] = False
    instructions: ClassVar[tuple[str, ...]] = ("AGENTS.md", "CLAUDE.md")
    skills: ClassVar[tuple[str, ...]] = (".agents/skills", ".claude/skills")
    tested: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if not self.command:
            raise UsageProblem("agent_command is empty", "Give the program and its arguments as a list.")

    @property
    def shown(self) -> str:
        return shlex.join(self.command)

    @property
    def remedy(self) -> str:
        program = self.command[0]
        return (
            f"agent_command runs {program}: it must be in the image (podman_image), "
            "or on PATH without a sandbox."
        )

    @property
    def sessions(self) -> SessionPlace | None:
        return None

    def trial(self, *, proxied: bool) -> tuple[str, ...]:
        program = self.command[0]
        if "/" not in program or program.startswith("/"):
            return (program,)
        return ("sh",) if proxied else ()  # it is in a worktree that does not exist yet

    def environment(self, sandbox: Sandbox) -> Mapping[str, str]:  # noqa: ARG002
        return self.variables

    def new_id(self) -> str:
        return ""

    def begin(self, request: AgentRequest, session_id: str) -> Start:  # noqa: ARG002
        return Start(argv=tuple(self.command), stdin=request.prompt, environment=facts_of(request))

    def go_on(self, request: AgentRequest, session: Session) -> Start:  # noqa: ARG002
        return self.begin(request, "")


def facts_of(request: AgentRequest) -> dict[str, str]:
    """The variables that tell the program what it works on."""
    facts = {
        "COBBLER_PHASE": request.phase,
        "COBBLER_TASK_ID": request.task_id,
        "COBBLER_TASK_TITLE": request.title,
        "COBBLER_ATTEMPT": str(request.attempt),
    }
    if request.output:
        facts["COBBLER_OUTPUT"] = str(request.output)
    if request.system_prompt_file:
        facts["COBBLER_INSTRUCTIONS"] = request.system_prompt_file
    return facts
