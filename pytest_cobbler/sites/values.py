"""Jobs, their ends and errors, as the two halves of a site exchange them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final

from pytest_cobbler.causes import Ending
from pytest_cobbler.errors import CobblerError, NotStarted, RepositoryError, SandboxError
from pytest_cobbler.repository.harvest import HarvestError
from pytest_cobbler.sandbox.base import Completed, Job, Limits, Loopback, Network
from pytest_cobbler.sandbox.collecting import NotTaken

__all__ = [
    "completed_from",
    "completed_to",
    "error_from",
    "error_to",
    "job_from",
    "job_to",
]

_ERRORS: Final = {
    one.__name__: one for one in (NotStarted, SandboxError, RepositoryError, HarvestError, CobblerError)
}
_PLAIN: Final = ("name", "argv", "workdir", "image", "arguments", "collect", "held")


def job_to(job: Job) -> dict[str, Any]:
    """What a node is told of a job. Its outputs are flows, and it sees the files of its place.

    Raises:
        SandboxError: the job needs something of the coordinator's machine.
    """
    if job.mounts or job.afterwards:
        raise SandboxError(f"the job {job.name} needs files of this machine, and runs on another one")
    network = job.network
    return {
        **{name: getattr(job, name) for name in _PLAIN},
        "stdin": base64.b64encode(job.stdin).decode(),
        "environment": dict(job.environment),
        "secrets": dict(job.secrets),
        "limits": asdict(job.limits),
        "network": network.port if isinstance(network, Loopback) else network.value,
    }


def job_from(facts: Mapping[str, Any], serve: Callable[..., Any], **outputs: Any) -> Job:
    """The job on its node; ``serve`` is the service on its loopback, if it has one."""
    network = facts["network"]
    return Job(
        **{name: facts[name] for name in _PLAIN} | {"argv": tuple(facts["argv"])},
        stdin=base64.b64decode(facts["stdin"]),
        environment=facts["environment"],
        secrets=facts["secrets"],
        limits=Limits(**facts["limits"]),
        network=Network(network) if isinstance(network, str) else Loopback(port=network, serve=serve),
        **outputs,
    )


def completed_to(completed: Completed) -> dict[str, Any]:
    """How a job ended. ``went_on`` does not matter to the coordinator."""
    collected = completed.collected
    return {
        "status": completed.status,
        "cause": completed.cause,
        "seconds": completed.seconds,
        "stderr": completed.stderr,
        "collected": None if collected is None else base64.b64encode(collected).decode(),
    }


def completed_from(facts: Mapping[str, Any]) -> Completed:
    """How a job ended, as a node reports it."""
    collected = facts["collected"]
    return Completed(
        status=int(facts["status"]),
        cause=Ending(facts["cause"]),
        seconds=float(facts["seconds"]),
        stderr=str(facts["stderr"]),
        collected=None if collected is None else base64.b64decode(collected),
    )


def error_to(error: Exception) -> dict[str, Any]:
    """An error of a call."""
    if isinstance(error, NotTaken):
        return {"type": "NotTaken", "cause": str(error), "is_missing": error.is_missing}
    if not isinstance(error, CobblerError):
        return {"type": "SandboxError", "cause": f"{type(error).__name__}: {error}"}
    kind = next(name for name, one in _ERRORS.items() if isinstance(error, one))
    return {"type": kind, "cause": error.cause, "remedy": error.remedy, "evidence": error.evidence}


def error_from(facts: Mapping[str, Any], node: str) -> Exception:
    """The error of a call, as a node reports it."""
    if facts["type"] == "NotTaken":
        return NotTaken(facts["cause"], is_missing=bool(facts["is_missing"]))
    kind = _ERRORS.get(facts["type"], SandboxError)
    return kind(f"{facts['cause']} (node {node})", facts.get("remedy", ""), facts.get("evidence", ""))
