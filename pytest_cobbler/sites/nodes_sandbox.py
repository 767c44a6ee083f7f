"""Jobs on a node, as the coordinator has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pytest_cobbler.errors import SandboxError
from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox.base import Capability, Completed, Engine, Job
from pytest_cobbler.sandbox.stderr import ErrorTail
from pytest_cobbler.sites.outputs import Outputs
from pytest_cobbler.sites.sessions import Gone, NodeSession
from pytest_cobbler.sites.values import completed_from, job_to

__all__ = ["NodesSandbox", "run_there"]

_KILLED: Final = 128 + 9


def run_there(session: NodeSession, call: str, job: Job, cancellation: Cancellation | None) -> Completed:
    """Run a job by a call of the node's half. If that is gone, the session is over, and the cause is how.

    Raises:
        SandboxError: the sandbox there could not run it at all.
    """
    facts = job_to(job)
    errors = ErrorTail(job.on_error_line)
    outputs = Outputs(session, job, errors)
    try:
        with session.serving(job.network), outputs:
            answer = session.call(call, outputs.cancelling(cancellation), outputs.flows, job=facts)
    except Gone:
        ending = session.ending(cancellation)
        return Completed(status=_KILLED, cause=ending, seconds=0.0, stderr=errors.text)
    return completed_from(answer)


@dataclass(frozen=True)
class NodesSandbox:
    """The sandbox of a node, for the jobs of one place, which ``runner`` runs."""

    begun: Mapping[str, Any]
    node: str
    runner: Callable[[Job, Cancellation | None], Completed]

    @property
    def description(self) -> str:
        return f"node {self.node}: {self.begun['description']}"

    @property
    def capabilities(self) -> frozenset[Capability]:
        return frozenset(Capability[name] for name in self.begun["capabilities"])

    @property
    def owner(self) -> tuple[int, int] | None:
        return None

    @property
    def storage(self) -> Path | None:
        return None

    @property
    def runtime(self) -> str:
        return ""

    def check_engine(self) -> str:
        return str(self.begun["engine"])

    def engine(self, image: str | None) -> Engine:
        raise SandboxError(f"the engine of node {self.node} is not known here (image {image})")

    def preflight(self) -> None:
        """The node's half has checked its engine when it began."""

    def run(self, job: Job, cancellation: Cancellation | None = None) -> Completed:
        return self.runner(job, cancellation)

    def left(self) -> list[str]:
        return []

    def sweep(self) -> list[str]:
        return []
