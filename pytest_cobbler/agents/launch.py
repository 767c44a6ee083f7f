"""Runs the program of an agent as a job, keeps its output and explains how it ended."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from pytest_cobbler.agents.access import PORT, Access
from pytest_cobbler.agents.base import AgentRequest, AgentResult
from pytest_cobbler.agents.budget import Unpaid
from pytest_cobbler.agents.claims import bounded, disagreements
from pytest_cobbler.agents.health import ApiHealth, Caller
from pytest_cobbler.agents.homes import Home
from pytest_cobbler.agents.output_file import OutputFile
from pytest_cobbler.agents.streams.base import NewReader, Reader
from pytest_cobbler.agents.troubles import Trouble
from pytest_cobbler.agents.watching import ApiWatch, Watch
from pytest_cobbler.causes import Cause, Ending
from pytest_cobbler.display import one_line, shown_duration, shown_size
from pytest_cobbler.errors import CobblerError
from pytest_cobbler.lines import LinesTogether
from pytest_cobbler.process import Cancellation, Writable
from pytest_cobbler.sandbox.base import Completed, Job, Limits, Loopback, Network, Sandbox
from pytest_cobbler.sandbox.probes import Probe
from pytest_cobbler.sandbox.stderr import ErrorTail
from pytest_cobbler.secret_forms import LineScrubber, LinesScrubber, Secrets
from pytest_cobbler.usage import Usage

if TYPE_CHECKING:
    from pytest_cobbler.agents.proxy import ApiProxy

__all__ = ["Launched", "Program", "launch", "trial"]

_ERRORS_LIMIT = 8 * 1024 * 1024
_NOT_FOUND = 96
_TRY_LIMITS = Limits(wall=60.0)
_UNREACHED = 97
_NOT_STARTED = Completed(status=1, cause=Ending.EXITED, seconds=0.0, stderr="")
# git is the one program in every image that can open a connection. The proxy answers it with an error.
_REACH = f"""\
case $(LC_ALL=C git ls-remote git://127.0.0.1:{PORT}/x 2>&1 </dev/null) in
*"unable to connect"*) exit {_UNREACHED} ;;
esac
"""
_TRY = f'command -v -- "$1" >/dev/null || exit {_NOT_FOUND}; [ $# = 1 ] || exec "$@"'


@dataclass(frozen=True, kw_only=True)
class Program:
    """The program to launch, and the reader of its output.

    ``resumes``: it goes on with an earlier conversation. ``home`` is made before it starts.
    """

    argv: tuple[str, ...]
    reader: NewReader
    stdin: bytes
    environment: Mapping[str, str]
    resumes: bool = False
    home: Home | None = None


@dataclass(frozen=True, kw_only=True)
class Launched:
    """A run that has ended: ``completed`` is reported by the sandbox, ``reader`` by the program's output.

    The proxy, if there was one, reports ``metered``, the usage; and ``seen``, why the API did not serve the
    last request. ``is_refused``: the program was ended because the API refuses all agents. ``was_answered``:
    the API has served it before. ``unpaid`` is why the budget did not pay for a request; without a proxy, why
    the agent was ended. ``refusal``: the request that the proxy itself refused at the end. The proxy's view
    counts, the program's own reports are notes: the program runs what the agent wrote, and may print
    anything.
    """

    completed: Completed
    limits: Limits
    reader: Reader
    metered: Usage | None = None
    seen: Trouble | None = None
    is_refused: bool = False
    was_answered: bool = False
    unpaid: Unpaid | None = None
    refusal: str = ""

    @property
    def trouble(self) -> Trouble | None:
        """Why the API did not serve the program at its end."""
        return self.reader.trouble if self.metered is None else self.seen

    def error(self) -> str:
        """The error by the limits, by the program's output or by its exit status; empty if there is none."""
        if self.is_refused and self.trouble:
            return self.trouble.shown
        error = _ending(self.completed, self.limits) or self.reader.failure or self._exit_error()
        has_cause = bool(self.refusal and error) and not self._is_cancelled
        return f"the proxy refused {self.refusal}; {error}" if has_cause else error

    @property
    def refused_to_continue(self) -> bool:
        """Whether the program could not go on with its conversation, and has spent nothing."""
        trouble = self.trouble
        has_asked = bool(self.metered and self.metered.turns) or self.reader.answers > 0
        is_of_api = trouble is not None and trouble.cause is not Cause.PROMPT
        has_ended = self.completed.cause is Ending.EXITED and not self.completed.ok
        return has_ended and not (has_asked or is_of_api or self.is_refused or self.unpaid)

    def doubtful(self) -> tuple[str, str]:
        """The error and the doubt, if only the program's output says whether it is done.

        Whatever ended the program after it had reported its success is a doubt, not an error.
        """
        reader, cause = self.reader, self.completed.cause
        waited = cause in (Ending.IDLE, Ending.TIMEOUT) and reader.waits_for_commands
        if not (reader.is_done or waited) or cause in (Ending.CANCELLED, Ending.DISK):
            return self.error() or reader.doubt, ""
        return "", _ending(self.completed, self.limits) or self._exit_error() or reader.doubt

    def result(self, error: str, session_id: str = "", doubt: str = "") -> AgentResult:
        reader, metered = self.reader, self.metered
        trouble = self.trouble if error and not self._is_cancelled else None
        if trouble and trouble.cause is Cause.PROMPT and self.was_answered:
            trouble = None  # the conversation has grown too long: a new one may succeed
        refused = trouble.cause if trouble and trouble.cause is not Cause.LIMITED else Cause.NONE
        limited = trouble is not None and refused is not Cause.PROMPT
        claims = error and reader.trouble and reader.trouble.cause is Cause.LIMITED
        usage = reader.usage if metered is None else replace(metered, seconds=reader.usage.seconds)
        unpaid = self.unpaid if error and not self._is_cancelled else None
        return AgentResult(
            completed=self.completed,
            error=f"budget: {unpaid.reason}" if unpaid else f"agent: {error}" if error else "",
            unpaid=unpaid,
            doubt=f"agent: {doubt}" if doubt else "",
            limited=limited,
            limited_until=bounded(trouble.until) if trouble else None,
            limit_passes=trouble is not None and trouble.passes,
            limit_is_claimed=limited and metered is None,
            refused=refused,
            usage=usage,
            text=reader.text,
            session_id=reader.session_id or session_id,
            notes=self._notes(bool(claims) and not limited),
        )

    @property
    def _is_cancelled(self) -> bool:
        return self.completed.cause == Ending.CANCELLED

    def _notes(self, claims_limit: bool) -> tuple[str, ...]:
        """The reports of the program that differ from what the proxy saw."""
        notes: list[str] = []
        if claims_limit:
            notes.append("limit: the agent reports one, but the API's last response was not that of a limit")
        if self.metered and self.reader.has_result:
            notes += disagreements(self.reader.usage, self.metered)
        return tuple(notes)

    def _exit_error(self) -> str:
        """The exit status and the program's last message; empty if the program succeeded."""
        if self.completed.ok:
            return ""
        lines = [line for line in self.completed.stderr.splitlines() if line.strip()]
        message = one_line(lines[-1]) if lines else self.reader.last_log
        status = _status(self.completed.status)
        return f"{status}: {message}" if message else status


class _Lingering:
    """Ends a program that has reported its success and neither exits nor prints anything.

    Args:
        patience: seconds to wait for that; ``None``: for ever.
    """

    def __init__(self, reader: Reader, patience: float | None, cancellation: Cancellation) -> None:
        self._reader = reader
        self._patience = patience
        self._timer: threading.Timer | None = None
        self.cancellation = Cancellation(cancellation)
        self.has_ended_it = False

    def look(self) -> None:
        """Begin to wait if the program is done. Call it whenever it has printed something."""
        self.close()
        if self._patience is not None and self._reader.is_done:
            self._timer = threading.Timer(self._patience, self._end)
            self._timer.daemon = True
            self._timer.start()

    def close(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        self.has_ended_it = True
        self.cancellation.cancel()


def launch(
    program: Program,
    access: Access,
    request: AgentRequest,
    sandbox: Sandbox,
    cancellation: Cancellation,
    patience: float | None = None,
) -> Launched:
    """Run ``program`` to its end; its output goes, without secrets, to the request's files and the reader.

    With a proxied ``access``, the proxy is the only network of the job.

    Args:
        patience: seconds after which a program is ended that has reported its success and does not exit.

    Raises:
        SandboxError: the job could not be run.
    """
    reader = program.reader(request.on_step, resumes=program.resumes)
    account = request.account
    if account and (lack := account.budget.lacking(account.task)):
        return Launched(completed=_NOT_STARTED, limits=request.limits, reader=reader, unpaid=lack.unpaid)
    secrets = Secrets(access.secrets)
    with contextlib.ExitStack() as stack:
        stack.enter_context(account.budget.working() if account else contextlib.nullcontext())
        lingering = stack.enter_context(contextlib.closing(_Lingering(reader, patience, cancellation)))
        ends = lingering.cancellation
        caller = stack.enter_context(_caller(request, ends, program, is_seen=access.proxied))
        proxy = access.proxy(request.on_exchange, account, caller) if access.proxied else None
        watch = None if proxy or not account else Watch(reader, account, access.prices, ends)
        looking = [one.look for one in (None if proxy else ApiWatch(reader, caller), watch) if one]
        transcript = stack.enter_context(OutputFile(request.transcript))
        errors = stack.enter_context(OutputFile(request.errors, _ERRORS_LIMIT))

        def keep(lines: bytes) -> None:
            transcript.write(lines)
            reader.feed(lines, looking)
            lingering.look()

        # The end of stderr that the sandbox keeps may begin within a secret, where no form of it matches.
        error_tail = ErrorTail(lambda line: errors.write(line + b"\n"))
        take_lines = stack.enter_context(LinesScrubber(secrets, keep))
        output = stack.enter_context(contextlib.closing(LinesTogether(take_lines)))
        take_error_line = stack.enter_context(LineScrubber(secrets, error_tail))
        completed = sandbox.run(_job(program, access, request, proxy, output, take_error_line), ends)
    if completed.cause == Ending.CANCELLED and (caller.was_refused or not cancellation.requested):
        completed = replace(completed, cause=Ending.EXITED, status=0 if lingering.has_ended_it else 1)
    unpaid = proxy.unpaid if proxy else _ended_by(watch, request, completed)
    completed = replace(completed, stderr=error_tail.text or secrets.scrub_text(completed.stderr))
    return Launched(
        completed=completed,
        limits=request.limits,
        reader=reader,
        metered=proxy.usage if proxy else None,
        seen=proxy.trouble if proxy else None,
        is_refused=caller.was_refused,
        was_answered=caller.was_answered,
        unpaid=unpaid,
        refusal=proxy.refusal if proxy else "",
    )


@contextlib.contextmanager
def _caller(
    request: AgentRequest, cancellation: Cancellation, program: Program, *, is_seen: bool
) -> Iterator[Caller]:
    """The agent as a client of the API; a refusal of all agents ends it."""
    health = request.health or ApiHealth()
    caller = Caller(
        health, request.task_id, is_seen=is_seen, resumes=program.resumes, refused=cancellation.cancel
    )
    yield caller
    caller.ended()


def _job(
    program: Program,
    access: Access,
    request: AgentRequest,
    proxy: ApiProxy | None,
    output: Writable,
    on_error_line: Callable[[bytes], None],
) -> Job:
    argv = request.command(program.argv) if request.command else program.argv
    return Job(
        name=f"{request.phase}-{request.task_id}-{request.attempt}",
        argv=program.home.around(argv) if program.home else argv,
        workdir=str(request.worktree),
        stdin=program.stdin,
        environment=access.environment(program.environment),
        secrets=access.variables(),
        mounts=request.mounts,
        network=proxy.network if proxy else request.network,
        limits=request.limits,
        stdout=output,
        on_error_line=on_error_line,
    )


def _ended_by(watch: Watch | None, request: AgentRequest, completed: Completed) -> Unpaid | None:
    """Why an agent without a proxy ended, if money was the reason. claude has a limit of its own, too."""
    if watch is None or request.account is None:
        return None
    if request.on_exchange:
        request.on_exchange("spent", watch.facts)
    lack = None if completed.ok else request.account.budget.lacking(request.account.task)
    return watch.unpaid or (lack.unpaid if lack else None)


def trial(
    sandbox: Sandbox,
    access: Access,
    argv: Sequence[str],
    remedy: str,
    environment: Mapping[str, str] = MappingProxyType({}),
    on_line: Callable[[bytes], None] | None = None,
) -> Probe:
    """Checks that the program ``argv[0]`` exists and, if there are arguments, runs it without network.

    With a proxied ``access``, it checks that the proxy can be reached; no request is sent to the API.

    Args:
        environment: the environment of the program in a run.
        on_line: takes the lines that it prints.

    Raises:
        UsageProblem: the API cannot be served, or its address is invalid.
    """
    access.preflight(sandbox)
    network: Network | Loopback = access.proxy().network if access.proxied else Network.NONE
    job = Job(
        name="preflight-agent",
        argv=("sh", "-c", _REACH + _TRY if access.proxied else _TRY, "sh", *argv),
        workdir="/",
        environment=access.environment(environment),
        network=network,
        limits=_TRY_LIMITS,
        on_line=on_line,
    )

    def judge(completed: Completed) -> None:
        if completed.ok:
            return
        if access.proxied and completed.status == _UNREACHED:
            raise CobblerError(
                "the proxy of the API cannot be reached from inside a container",
                "The container runtime has a network stack of its own. Let it use the kernel's "
                "(docs/containers.md on gVisor), or set agent_network: open.",
            )
        how = _ending(completed, job.limits) or _status(completed.status)
        cause = "it is not in the sandbox" if completed.status == _NOT_FOUND else f"{' '.join(argv)} {how}"
        evidence = Secrets(access.secrets).scrub_text(completed.stderr)
        raise CobblerError(f"agent: cannot use {argv[0]}: {cause}", remedy, evidence)

    return Probe(job=job, judge=judge)


def _ending(completed: Completed, limits: Limits) -> str:
    """Why the job was ended from outside; empty if it exited by itself."""
    match completed.cause:
        case Ending.TIMEOUT:
            return f"timeout after {shown_duration(limits.wall)}" if limits.wall else "timeout"
        case Ending.IDLE:
            return f"no output for {shown_duration(limits.idle)}" if limits.idle else "no output"
        case Ending.DISK:
            return f"wrote more than {shown_size(limits.disk)}" if limits.disk else "wrote too much"
        case Ending.CANCELLED:
            return "cancelled"
        case Ending.KILLED:
            return "killed from outside, perhaps because it ran out of memory"
        case Ending.LOST:
            return "its node is lost: it did not answer"
        case Ending.EXITED:
            return ""


def _status(status: int) -> str:
    number = -status if status < 0 else status - 128
    try:
        return f"killed by {signal.Signals(number).name}"
    except ValueError:
        return f"exited with {status}"
