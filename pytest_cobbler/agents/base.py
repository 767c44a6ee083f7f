"""Who does the work: the seam between an attempt and the program that makes the changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox.base import Completed, Limits, Mount, Network, Sandbox
from pytest_cobbler.usage import Usage


@dataclass(frozen=True, kw_only=True)
class AgentRequest:
    """One agent run.

    ``worktree`` has the same path on the host and inside; ``output`` is the file that a measure must write,
    inside the worktree's mounts; ``transcript`` and ``errors`` are files on the host that take what the agent
    prints, as it comes, scrubbed of the credential.
    """

    phase: Literal["measure", "stitch"]
    task_id: str
    title: str
    attempt: int
    prompt: str
    worktree: Path
    mounts: tuple[Mount, ...]
    network: Network
    limits: Limits
    transcript: Path
    errors: Path
    output: Path | None = None
    system_prompt_file: str | None = None
    """A file inside, mounted by the caller, that is added to the agent's system prompt."""
    budget_usd: float | None = None
    """What the run may cost, where the agent can hold to it; checked between turns, so it may be overshot."""
    command: Callable[[tuple[str, ...]], tuple[str, ...]] | None = None
    """What an agent that is a program makes of its command line before it is launched."""
    on_step: Callable[[str], None] | None = None
    """Called with one line of text for each step the agent takes (a tool call, a message)."""
    number: int = 0
    """Of the attempt over all runs, where ``attempt`` counts those of this run."""
    volatile: Mapping[str, str] = field(default_factory=dict)
    """What of the prompt is another in every run (paths, ids), and what a recording has in its place."""


@dataclass(frozen=True, kw_only=True)
class AgentResult:
    """The end of a run. ``error`` is empty exactly when the agent says it is done.

    ``limited``: a usage or rate limit, or spent credit, stopped it; ``limited_until``: when that ends, if
    reported. ``text`` is the agent's last message. ``final``: nothing was done, and a further attempt would
    fail the same way.
    """

    completed: Completed
    error: str = ""
    limited: bool = False
    limited_until: datetime | None = None
    usage: Usage = field(default_factory=Usage)
    text: str = ""
    session_id: str = ""
    final: bool = False
    broken_off: str = ""
    """Of a recording: by what the run that made it was broken off in this attempt, if another one went on."""


class Agent(Protocol):
    """A program that works in a sandbox; thread-safe."""

    @property
    def description(self) -> str:
        """One line for the run's header."""
        ...

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values that must appear in no transcript, log, report or commit."""
        ...

    @property
    def proxied(self) -> bool:
        """Whether it has no network but the API, and its credential stays on the host."""
        ...

    def preflight(self, sandbox: Sandbox) -> None:
        """Prove, before anything is spent, that the program is there, starts, and has its credential.

        Raises:
            CobblerError: with the cause and the remedy.
        """
        ...

    def run(self, request: AgentRequest, sandbox: Sandbox, cancellation: Cancellation) -> AgentResult:
        """Run the agent to its end.

        Raises:
            SandboxError: it could not be run at all.
        """
        ...
