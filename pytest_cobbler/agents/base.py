"""Who does the work: the seam between an attempt and the program that makes the changes."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Literal, Protocol, runtime_checkable

from pytest_cobbler.agents.budget import Account, Unpaid
from pytest_cobbler.agents.health import ApiHealth
from pytest_cobbler.causes import Cause
from pytest_cobbler.errors import CobblerError
from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox.base import Completed, Limits, Mount, Network, Sandbox
from pytest_cobbler.sandbox.probes import Probe
from pytest_cobbler.usage import Usage

OnExchange = Callable[[str, Mapping[str, object]], None]
"""Called with the name and the facts of an event: a request that leaves, or the end of its answer."""


OnStep = Callable[[str], bool | None]
"""Takes a step. If it returns ``False``, no one reads the steps, and all but the last may be left out."""


class AgentError(CobblerError):
    """An agent did nothing, and a further attempt would fail in the same way."""


@dataclass(frozen=True, kw_only=True)
class SessionPlace:
    """Where a program keeps its conversations.

    ``variable`` is the one of its environment that names the directory for its own files. ``pattern`` is the
    file of a conversation below it: ``{id}`` is the id of the conversation, ``{directory}`` the one where the
    program works, with a dash for everything but letters and digits.

    ``unnamed``, for a program that chooses the id itself: the file of a new conversation, with ``*`` for any
    part of a name, and the id at the end of its name. Of several, the first by name is the conversation.
    ``new`` is the same for a program that takes the id from us, and puts more than that into the name.

    ``beside`` is the ending of the name of a second file of the conversation, which lies beside the first.
    ``mark``: without these words in one of its files, a conversation has not begun, and cannot go on.
    """

    variable: str
    pattern: str
    unnamed: str = ""
    new: str = ""
    beside: str = ""
    mark: str = ""

    def new_id(self) -> str:
        """An id for a new conversation; empty if the program chooses it."""
        return "" if self.unnamed else str(uuid.uuid4())

    def file(self, session_id: str, directory: Path, *, is_new: bool = False) -> str:
        """The file of a conversation of a program that works in ``directory``; of a new one, a pattern."""
        if not session_id:
            return self.unnamed
        plain = re.sub(r"[^A-Za-z0-9]", "-", str(directory))
        pattern = (is_new and self.new) or self.pattern
        return pattern.format(id=session_id, directory=plain)


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """The beginning of a prompt that is the same for every task of a cycle.

    ``file``, inside, has ``text`` behind the content of the request's ``system_prompt_file``. A program whose
    API caches the system prompt, and not a part of a message, takes it instead of the other one, and the rest
    of the prompt as its message.
    """

    text: str
    file: str


@dataclass(frozen=True, kw_only=True)
class Session:
    """The conversation of an attempt at a task.

    ``home`` is the directory for the program's own files, as the program sees it. ``turn`` is what the agent
    is told if the conversation ``id`` goes on, whose file lies in ``home``; empty: it begins; an
    empty ``id``: the program chooses it.
    ``restart`` empties ``home`` after the program has refused to go on, and returns the id of a new one.
    """

    id: str
    home: Path
    turn: str = ""
    restart: Callable[[], str]


@dataclass(frozen=True, kw_only=True)
class AgentRequest:
    """One agent run.

    ``worktree`` is the directory of the project in ``checkout``, which is the same if the project lies at the
    top of its repository; ``output`` is the file that a measure must write, inside the worktree's mounts.
    These are paths as the agent sees them, in a container the same for every task. Its sandbox mounts them;
    ``mounts`` are further ones. ``transcript`` and ``errors`` are files on the host that
    take what the agent prints, as it comes, scrubbed of the credential. They lie in a directory of the
    attempt's own, which has the number of the attempt over all runs as its name; ``attempt`` of a measure
    counts those of this run.
    """

    phase: Literal["measure", "stitch"]
    task_id: str
    title: str
    attempt: int
    prompt: str
    worktree: Path
    mounts: tuple[Mount, ...] = ()
    network: Network
    limits: Limits
    transcript: Path
    errors: Path
    agent: str = ""
    """The name that the configuration has for the agent."""
    directory: str = ""
    """The path of ``worktree`` in ``checkout``."""
    location: Path | None = None
    """Where ``worktree`` lies, for people, if its path in the sandbox is another one."""
    node: str = ""
    """The node that has it; empty for this machine."""
    output: Path | None = None
    system_prompt_file: str | None = None
    """A file inside, mounted by the caller, that is added to the agent's system prompt."""
    beginning: Beginning | None = None
    """The beginning of ``prompt`` that others share; ``None``: it has none."""
    budget_usd: float | None = None
    """Limit of the run's cost, if the agent supports one; checked between turns, so it may be exceeded."""
    command: Callable[[tuple[str, ...]], tuple[str, ...]] | None = None
    """Changes the command line of an agent that is a program before it is started."""
    on_step: OnStep | None = None
    """Called with one line of text for each step the agent takes (a tool call, a message)."""
    account: Account | None = None
    """What pays for the agent; ``None``: nothing limits what it spends."""
    health: ApiHealth | None = None
    """Is told how the API serves the agent; ``None``: no one keeps count."""
    session: Session | None = None
    """The conversation of an agent that can go on with one; ``None``: it is not kept."""
    on_exchange: OnExchange | None = None
    """Called, in any thread, for each request that leaves through the agent's proxy, and for its answer."""

    @property
    def checkout(self) -> Path:
        """The directory with all files of the repository."""
        below = len(PurePosixPath(self.directory).parts)
        return self.worktree.parents[below - 1] if below else self.worktree


@dataclass(frozen=True, kw_only=True)
class AgentResult:
    """The end of a run. ``error`` is empty exactly when the agent says it is done.

    ``doubt`` is why it may not be done in spite of that; if it has changed something, the gate decides.
    ``limited``: the API did not serve it any more; ``limited_until``: when that ends, if reported.
    ``limit_passes``: it is a rate limit or a fault, after which the run goes on. ``limit_is_claimed``: only
    the agent's program reports it; such a limit does not end the run. ``refused``: the API refuses the
    credential (``access``), the model (``model``) or the length of the prompt (``prompt``).
    ``unpaid``: why the budget did not pay any more.
    ``text`` is the agent's last message. ``notes`` are shown on the item. ``continued``: the agent has
    got the turn of the request's session instead of the prompt.
    """

    completed: Completed
    error: str = ""
    doubt: str = ""
    limited: bool = False
    limited_until: datetime | None = None
    limit_passes: bool = False
    limit_is_claimed: bool = False
    refused: Cause = Cause.NONE
    unpaid: Unpaid | None = None
    usage: Usage = field(default_factory=Usage)
    text: str = ""
    session_id: str = ""
    notes: tuple[str, ...] = ()
    continued: bool = False

    @property
    def is_out_of_money(self) -> bool:
        """Whether the budget pays for no other agent either: more than this task's own is used up."""
        return self.unpaid is not None and not self.unpaid.is_of_task


@runtime_checkable
class ProbedAgent(Protocol):
    """An agent whose ``preflight`` is one job, which others can share."""

    def probe(self, sandbox: Sandbox) -> Probe | None:
        """The probe that ``preflight`` runs; ``None`` if there is nothing to run.

        Raises:
            CobblerError: as ``Agent.preflight``.
        """
        ...


@runtime_checkable
class VersionedAgent(Protocol):
    """An agent whose ``preflight`` finds the version of its program."""

    @property
    def version(self) -> str:
        """The version; empty if it is not known."""
        ...

    @property
    def outdated(self) -> str:
        """A warning if the version is older than the one that was tested; else empty."""
        ...


@runtime_checkable
class ContinuingAgent(Protocol):
    """An agent that can go on with an earlier conversation."""

    @property
    def sessions(self) -> SessionPlace | None:
        """Where its program keeps them; ``None`` if its arguments leave no choice."""
        ...


@runtime_checkable
class InstructedAgent(Protocol):
    """An agent that follows instructions of the repository."""

    @property
    def instructions(self) -> tuple[str, ...]:
        """Names of the files that have them. In each directory, the first one counts."""
        ...


@runtime_checkable
class SkilledAgent(Protocol):
    """An agent that has names for the directories with a repository's skills."""

    @property
    def skills(self) -> tuple[str, ...]:
        """The directories. Of two skills with one name, the one in the first directory counts."""
        ...


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
            SandboxError: the job could not be run.
            AgentError: the agent did nothing, and a further attempt would fail in the same way.
        """
        ...
