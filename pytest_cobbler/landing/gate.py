"""The gate: builds and tests exactly the tree that is about to land, in a job of its own."""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from pytest_cobbler.causes import Ending
from pytest_cobbler.display import shown_duration, shown_size
from pytest_cobbler.files import Tail
from pytest_cobbler.landing.go_events import GoLog
from pytest_cobbler.landing.places import Places
from pytest_cobbler.landing.reports import ReportProblem, read_report
from pytest_cobbler.landing.tree_records import (
    Conditions,
    Failures,
    TestRun,
    TreeRecord,
    digests,
    verdict_of,
)
from pytest_cobbler.languages.base import Step
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.gate_checkout import first_entry
from pytest_cobbler.repository.subdirectory import Subdirectory
from pytest_cobbler.sandbox.base import Completed, Engine, Job, Limits, Mount, Network, Sandbox
from pytest_cobbler.sandbox.collecting import LARGEST
from pytest_cobbler.sandbox.own_programs import mounts_of_programs, path_of_programs
from pytest_cobbler.sandbox.probes import Probe
from pytest_cobbler.secret_forms import LineScrubber, Secrets

LARGEST_LOG = 16 * 1024 * 1024
LONGEST_SHOWN = 10_000
"""Bytes of one line in ``GateResult.output``."""

NO_REPORT = "the gate leaves no report of its tests"
_KEPT = 64_000
_NOTES = ":notes"
"""In the place of a step, whose name has no colon: the lines that follow are notes."""

_MOST_NOTES = 10
_LONGEST_NOTE = 500


@dataclass(frozen=True, kw_only=True)
class GateResult:
    """The result of the gate.

    ``failed`` is the step that failed; it is empty if all passed. ``reason`` is the meaning of its status, if
    the status has one. ``output`` is the end of the output, ``timeout`` the time limit in seconds. ``notes``
    are for people; the tested code may have forged or removed them. ``tests`` are the tests in the report of
    the gate; ``None`` means that what ran is unknown, and ``unknown`` is the reason. ``node`` is where it
    ran; empty for this machine.
    """

    failed: str
    cause: Ending
    status: int
    seconds: float
    output: str
    timeout: float | None = None
    reason: str = ""
    notes: tuple[str, ...] = ()
    tests: TestRun | None = None
    unknown: str = ""
    node: str = ""

    @property
    def passed(self) -> bool:
        return self.cause == Ending.EXITED and self.status == 0 and not self.failed

    @property
    def failures(self) -> Failures | None:
        """How it failed; ``None`` if it passed, or if what failed is unknown."""
        if self.passed or self.cause != Ending.EXITED:
            return None
        return Failures.of(self.failed, self.status, self.tests)

    def record(self, tree: str, conditions: Conditions, made: datetime) -> TreeRecord:
        """The record of the tree that was tested."""
        return TreeRecord(
            tree=tree,
            conditions=conditions,
            verdict=verdict_of(self.cause, passed=self.passed),
            failed_step=self.failed,
            status=self.status,
            seconds=self.seconds,
            made=made,
            tests=self.tests,
            node=self.node,
        )

    @property
    def summary(self) -> str:
        """The cause in a line: ``test failed (exit 1)``."""
        if self.cause in (Ending.TIMEOUT, Ending.IDLE):
            limit = f" after {shown_duration(self.timeout)}" if self.timeout else ""
            return f"{self.failed or 'gate'} timed out{limit}"
        if self.cause == Ending.DISK:
            return f"{self.failed or 'gate'} wrote more than job_disk allows"
        if self.cause != Ending.EXITED:
            return f"{self.failed or 'gate'} was {self.cause}"
        reason = f": {self.reason}" if self.reason else ""
        return f"{self.failed or 'gate'} failed{reason} (exit {self.status})"


@dataclass(frozen=True, kw_only=True)
class Caches:
    """Filled directories: their mounts in a job, and a digest of all that decides what they hold."""

    mounts: tuple[Mount, ...] = ()
    digest: str = ""


NO_CACHES = Caches()


@dataclass(frozen=True, kw_only=True)
class Gate:
    """The commands of the trusted configuration, and the sandbox in which they run."""

    steps: Sequence[Step]
    sandbox: Sandbox
    network: Network
    image: str | None
    timeout: float | None
    disk: int | None = None
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str]
    credentials: tuple[str, ...] = ()
    """Values that must not appear in the log or in the result."""
    directory: str = ""
    """The directory of the project in the checkout, where the commands run."""
    report: str = ""
    """The file with the results of the tests, as in ``Job.collect``, if it is not that of a step."""
    keeps_services: bool = False
    """Whether processes that a step leaves behind are there for the next one."""
    caches: Caches = NO_CACHES
    """Directories that ``cache_command`` has filled; each run gets a copy."""
    merge_driver: tuple[str, ...] = ()
    """The words of the command that merges files which git cannot, where the gate runs."""
    passing: frozenset[str] = frozenset()
    """Variables of the environment that differ in each run, and are not among the conditions."""

    @property
    def shown(self) -> tuple[str, ...]:
        return tuple(step.shown for step in self.steps)

    @property
    def line(self) -> str:
        """The commands in one line; empty if there is none."""
        lines = (line.strip() for shown in self.shown for line in shown.splitlines())
        return "; ".join(filter(None, lines))

    @property
    def is_offline(self) -> bool:
        return self.network is Network.NONE

    @property
    def collect(self) -> str:
        """The file with the results of the tests; empty if the gate leaves none."""
        return self.report or (self._reporting.report if self._reporting else "")

    @property
    def holds_report(self) -> bool:
        """Whether the file is kept from other processes than the one that writes it."""
        return not self.report and self._reporting is not None and self._reporting.holds_report

    @property
    def _reporting(self) -> Step | None:
        return next((step for step in reversed(self.steps) if step.report), None)

    @property
    def limits(self) -> Limits:
        return Limits(wall=self.timeout, disk=self.disk)

    def conditions(self, engine: Engine | None = None) -> Conditions:
        """What decides on the result besides the tree; ``engine`` is by default that of the sandbox.

        Raises:
            SandboxError: the engine does not work.
        """
        engine = engine or self.sandbox.engine(self.image)
        environment = {name: value for name, value in self.environment.items() if name not in self.passing}
        return Conditions(
            commands=tuple(step.argv for step in self.steps),
            directory=self.directory,
            environment=digests(environment),
            image=engine.image,
            image_digests=engine.image_digests,
            runtime=engine.runtime,
            arguments=(*engine.arguments, *self.arguments),
            limits=asdict(self.limits),
            network=self.network.value,
            report=self.collect,
            keeps_services=self.keeps_services,
            caches=self.caches.digest,
        )

    def within(self, sandbox: Sandbox) -> Gate:
        """The same gate with another sandbox."""
        return replace(self, sandbox=sandbox)

    def run(
        self, checkout: Path, log: Path, cancellation: Cancellation, entry: str | None = None
    ) -> GateResult:
        """Run every step on a copy of ``checkout``; all output goes to ``log``.

        Args:
            entry: as in ``GatePlace``, for a checkout on another machine.

        Raises:
            SandboxError: the job could not be run at all.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        if not self.steps:
            log.touch()
            return GateResult(
                failed="", cause=Ending.EXITED, status=0, seconds=0.0, output="", unknown=NO_REPORT
            )
        with log.open("wb") as file:
            passage = _Passage(self, checkout, file.write, entry)
            try:
                completed = self.sandbox.run(passage.job, cancellation)
            finally:
                passage.close()
        return passage.result(completed)

    def probe(self, checkout: Path, judge: Callable[[GateResult], None]) -> Probe:
        """The probe that runs every step on ``checkout``, without a log."""
        # Without a limit on the disk: probes with limits of their own cannot share a container.
        passage = _Passage(replace(self, disk=None), checkout, lambda _line: None)

        def judge_end(completed: Completed) -> None:
            passage.close()
            judge(passage.result(completed))

        return Probe(job=passage.job, judge=judge_end)


class _Passage:
    """One job of a gate, and what its output says."""

    def __init__(
        self, gate: Gate, checkout: Path, write: Callable[[bytes], object], entry: str | None = None
    ) -> None:
        if entry is None:
            entry = first_entry(checkout, Subdirectory(gate.directory))
        # Random, so that the output of the tested code does not contain it by accident.
        mark = secrets.token_hex(16)
        self._timeout = gate.timeout
        self._reasons = {(step.name, status): text for step in gate.steps for status, text in step.reasons}
        self._checkout = checkout
        self._directory = gate.directory
        self._reader = _LogReader(write, mark.encode(), {step.name for step in gate.steps})
        self._scrubber = LineScrubber(Secrets(gate.credentials), self._reader)
        # Before the scrubber: in an event, a secret may be written in another way.
        self._events = GoLog(self._scrubber) if any(step.prints_events for step in gate.steps) else None
        take_line = self._events or self._scrubber
        self.job = Job(
            name="gate",
            argv=("sh", "-c", _script(gate, mark, entry)),
            workdir=str(checkout / gate.directory),
            environment=dict(gate.environment),
            mounts=(
                Mount(source=checkout, target=str(checkout), mode="overlay"),
                *mounts_of_programs(gate.sandbox),
                *gate.caches.mounts,
            ),
            network=gate.network,
            limits=gate.limits,
            image=gate.image,
            arguments=gate.arguments,
            on_line=take_line,
            on_error_line=take_line,
            collect=gate.collect,
            held=gate.holds_report,
        )

    def close(self) -> None:
        """Take the end of the output, which may have waited for the rest of a secret."""
        if self._events:
            self._events.close()
        self._scrubber.close()

    def result(self, completed: Completed) -> GateResult:
        failed = "" if completed.ok else self._reader.step
        tests, unknown = self._tests(completed)
        return GateResult(
            failed=failed,
            cause=completed.cause,
            status=completed.status,
            seconds=completed.seconds,
            output=self._reader.tail(),
            timeout=self._timeout,
            reason=self._reasons.get((failed, completed.status), ""),
            notes=self._reader.notes if completed.ok else (),
            tests=tests,
            unknown=unknown,
        )

    def _tests(self, completed: Completed) -> tuple[TestRun | None, str]:
        """The tests of the report; without one, why there is none."""
        if not self.job.collect:
            return None, NO_REPORT
        if completed.collected is None:
            return None, f"the gate left no report of at most {shown_size(LARGEST)} ({self.job.collect})"
        try:
            places = Places.below(self._checkout, self._directory)
            return read_report(completed.collected, places), ""
        except ReportProblem as problem:
            return None, f"{problem} ({self.job.collect})"


_ENDS_OTHERS = """\
cobbler_count=0
eval "${COBBLER_ALONE-}"
if [ $cobbler_count != 0 ]; then
  echo "ended processes that were left running: $cobbler_count (build_services: true keeps them)"
fi"""


def _script(gate: Gate, mark: str, entry: str) -> str:
    lines = ["exec 2>&1", path_of_programs(gate.sandbox), *_tree_is_there(entry)]
    if gate.report:  # the tree may hold one
        lines.append(f"rm -f -- {shlex.quote(gate.report)}")
    for number, step in enumerate(gate.steps):
        if number and not gate.keeps_services:
            lines.append(_ENDS_OTHERS)
        lines.append(f"printf '%s\\n' {shlex.quote(f'{mark}{step.name}')}")
        # Descriptor 7 is the report that is held.
        closed = "" if step.holds_report else " 7>&-"
        lines.append(f"( {_command(step.argv)} ) </dev/null{closed}")
        # Not `|| exit`, which would make the shell ignore `set -e` in the command.
        lines.append("cobbler_status=$?; [ $cobbler_status = 0 ] || exit $cobbler_status")
    for step in gate.steps:
        if step.notes:
            lines.append(f"printf '%s\\n' {shlex.quote(f'{mark}{_NOTES}')}")
            lines.append(f"( {_command(step.notes)} ) </dev/null 7>&- || :")
    return "\n".join(lines)


def _tree_is_there(entry: str) -> Iterator[str]:
    """The command that ends a gate without its tree: a runtime may leave out a mount that it does not know.

    An empty directory has no test that could fail. gVisor of 2022 knows no overlays.
    """
    if entry:
        quoted = shlex.quote(f"./{entry}")
        why = "the container runtime has not mounted the tree that is to be tested"
        yield f"[ -e {quoted} ] || [ -L {quoted} ] || {{ echo {shlex.quote(why)}; exit 125; }}"


def _command(argv: Sequence[str]) -> str:
    """A command of the gate's shell; a script runs in that shell itself.

    Another shell would not be kept from the tested code, as the shell of a job is, and the exit status that
    it decides on is the verdict.
    """
    match argv:
        case ["sh", "-c", script]:
            return f"eval {shlex.quote(script)}"
    return shlex.join(argv)


class _LogReader:
    """Writes lines to the log, keeps the last ones, and notes which step is running."""

    def __init__(self, write: Callable[[bytes], object], mark: bytes, steps: Collection[str]) -> None:
        self._write = write
        names = b"|".join(re.escape(name.encode()) for name in (*steps, _NOTES))
        self._begins = re.compile(re.escape(mark) + b"(" + names + b")")
        self._room = LARGEST_LOG
        self._last = Tail(_KEPT)
        self._in_notes = False
        self._notes: list[str] = []
        self.step = ""

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(self._notes)

    def __call__(self, line: bytes) -> None:
        # Not always at the start of a line: the previous step may not have ended its last line.
        before, *begun = self._begins.split(line, 1)
        if not begun:
            if self._in_notes and line and len(self._notes) < _MOST_NOTES:
                self._notes.append(line.decode("utf-8", "replace")[:_LONGEST_NOTE])
            self._take(line)
            return
        if before:
            self._take(before)
        self._in_notes = begun[0] == _NOTES.encode()
        if self._in_notes:
            return
        self.step = begun[0].decode()
        self._take(f"== {self.step} ==".encode())

    def _take(self, line: bytes) -> None:
        if self._room > 0:
            written = (line + b"\n")[: self._room]
            self._write(written)
            self._room -= len(written)
        self._last.add(line[:LONGEST_SHOWN] + b"\n")

    def tail(self) -> str:
        return self._last.whole_lines
