"""What an attempt failed of, if the fault may lie with no task: a closed list, and never a red test."""

from __future__ import annotations

from typing import Final

from pytest_cobbler.causes import Cause, Ending
from pytest_cobbler.cycle.attempt import Attempt
from pytest_cobbler.cycle.faults import full_disk
from pytest_cobbler.cycle.run import Run
from pytest_cobbler.errors import CobblerError, SandboxError
from pytest_cobbler.landing.candidates import Landing

__all__ = ["note_fault", "signature_of"]

_AT_ONCE: Final = 10.0
"""Seconds within which an agent ends that could not begin."""

_FIRST_SECOND: Final = 1.5
_NO_PROGRAM: Final = (126, 127)


def note_fault(run: Run, task_id: str, attempt: Attempt, landing: Landing | None = None) -> bool:
    """Note what an attempt failed of, and let no other work into a gate whose fault lies with no task.

    Args:
        landing: its end in the landing lane, if it came there.

    Returns:
        whether it is such a fault.
    """
    faults = run.faults
    if where := full_disk(run.places, landing.error if landing else None):
        faults.disk_is_full(where)
        return True
    signature = signature_of(attempt, landing)
    if faults.met(task_id, signature) and landing:
        run.landing.stopped = run.landing.stopped or CobblerError(faults.stop)
    return bool(signature)


def signature_of(attempt: Attempt, landing: Landing | None = None) -> str:
    """What an attempt failed of, if that is one of the faults; else empty."""
    if landing is not None:
        return _signature_of_landing(landing)
    result = attempt.result
    is_start = result.completed.seconds < _AT_ONCE and not result.usage.turns
    if attempt.cause is Cause.SANDBOX or (attempt.cause is Cause.AGENT and is_start):
        return attempt.summary
    return ""


def _signature_of_landing(landing: Landing) -> str:
    if isinstance(landing.error, SandboxError):
        return landing.error.cause
    gate = landing.gate
    if gate is None or landing.cause is not Cause.GATE:
        return ""
    is_missing = gate.status in _NO_PROGRAM and gate.seconds < _FIRST_SECOND
    if gate.cause in (Ending.TIMEOUT, Ending.IDLE) or (gate.cause == Ending.EXITED and is_missing):
        return f"gate: {gate.summary}"
    return ""
