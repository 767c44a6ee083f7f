"""What is known of a program that is an agent. A description says what to start; it starts nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pytest_cobbler.agents.base import AgentRequest, Session, SessionPlace
from pytest_cobbler.agents.homes import Home
from pytest_cobbler.agents.streams.base import NewReader
from pytest_cobbler.sandbox.base import Sandbox

__all__ = ["Description", "Start", "no_command"]


def no_command(prompt: str) -> str:
    """``prompt``; one that begins with a slash would be taken for a command of the program."""
    return f"Your task:\n\n{prompt}" if prompt.lstrip().startswith("/") else prompt


@dataclass(frozen=True, kw_only=True)
class Start:
    """One start of a program: its command line, its stdin, and more variables of its environment.

    ``home`` is made before it starts; ``None``: the program makes its own directory.
    """

    argv: tuple[str, ...]
    stdin: str
    environment: Mapping[str, str] = field(default_factory=dict)
    home: Home | None = None


class Description(Protocol):
    """A program that is an agent, with the user's settings for it."""

    @property
    def shown(self) -> str:
        """The agent, for people: its name first."""
        ...

    @property
    def reader(self) -> NewReader:
        """Reads its output."""
        ...

    @property
    def reports_success(self) -> bool:
        """Whether its output says if it is done. If not, its exit status does."""
        ...

    @property
    def patience(self) -> float | None:
        """Seconds in which it has to exit after it has reported its success; ``None``: any time."""
        ...

    @property
    def needs_credential(self) -> bool:
        """Whether it cannot work without one."""
        ...

    @property
    def instructions(self) -> tuple[str, ...]:
        """Names of files of a repository that instruct it. In each directory, the first one counts."""
        ...

    @property
    def skills(self) -> tuple[str, ...]:
        """Directories of a repository with its skills. Of two with one name, that in the first one counts."""
        ...

    @property
    def sessions(self) -> SessionPlace | None:
        """Where it keeps its conversations; ``None``: they cannot go on."""
        ...

    @property
    def remedy(self) -> str:
        """How to install it."""
        ...

    @property
    def tested(self) -> str:
        """The version of the program with which it was tested; empty: any program."""
        ...

    def trial(self, *, proxied: bool) -> tuple[str, ...]:
        """A command line that shows that it is installed, without network; empty: there is none."""
        ...

    def environment(self, sandbox: Sandbox) -> Mapping[str, str]:
        """The variables of its environment, beside the credential and the address of the API."""
        ...

    def new_id(self) -> str:
        """An id for a conversation; empty if the program chooses it."""
        ...

    def begin(self, request: AgentRequest, session_id: str) -> Start:
        """Start a conversation."""
        ...

    def go_on(self, request: AgentRequest, session: Session) -> Start:
        """Go on with a conversation, by its next turn."""
        ...
