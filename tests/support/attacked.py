"""Grounds for the attacks of ``pytest_cobbler.attacks``, and sandboxes without one of the protections."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_cobbler.attacks.attack import Line
from pytest_cobbler.attacks.ground import Target
from pytest_cobbler.causes import Ending
from pytest_cobbler.landing.gate import Gate
from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox.base import Capability, Completed, Engine, Job, Network, Sandbox
from pytest_cobbler.wiring.parts import SandboxSettings
from tests.support.podmans import Podman

__all__ = ["PART", "Altered", "Careless", "believed", "not_held", "others_than_held", "target_of"]

PART = "COBBLER_TEST_ATTACKS"
"""A variable that chooses attacks: ``1/6`` are the second and every sixth after it."""


def target_of(podman: Podman, image: str, place: Path, arguments: Sequence[str] = (), **more: Any) -> Target:
    """What is attacked: a podman with the flags of a run, then with further ``arguments``."""
    name = uuid.uuid4().hex[:8]

    def settings(run_id: str, mark: str = "") -> SandboxSettings:
        return SandboxSettings(
            image=image,
            repository=mark + name,
            run_id=run_id,
            owner=podman.owner,
            program=podman.program,
            arguments=tuple(arguments),
            # With a profile of its own, even a privileged container has a filter.
            user_namespaces="--privileged" in arguments,
            environment=podman.environment,
        )

    sandbox: Sandbox = more.pop("sandbox", settings("a").make())
    gate = Gate(steps=(), sandbox=sandbox, network=Network.NONE, image=None, timeout=None, environment={})
    given: dict[str, Any] = {
        "place": place,
        "sandbox": sandbox,
        "network": Network.NONE,
        "proxied": True,
        "gate": gate,
        "mortal": settings("a", "m"),
        "witness": settings("b", "m").make(),
    }
    return Target(**given | more)


def others_than_held(lines: Sequence[Line]) -> dict[str, str]:
    """Status and evidence of each attack that was not held."""
    return {line.attack.name: f"{line.status}: {line.evidence}" for line in lines if line.status != "held"}


def not_held(lines: Sequence[Line]) -> set[str]:
    """The names of the attacks that got through."""
    return {line.attack.name for line in lines if line.got_through}


class Altered:
    """A sandbox in which each job, and how it ended, is changed: so one protection is taken out.

    Args:
        job: changes a job before it runs.
        end: changes how it ended.
        run: runs a job in the place of the sandbox, unless it returns ``None``.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        job: Callable[[Job], Job] = lambda job: job,
        end: Callable[[Completed], Completed] = lambda completed: completed,
        run: Callable[[Job], Completed | None] = lambda _job: None,
    ) -> None:
        self._sandbox = sandbox
        self._job = job
        self._end = end
        self._run = run

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sandbox, name)

    def run(self, job: Job, cancellation: Cancellation | None = None) -> Completed:
        return self._run(job) or self._end(self._sandbox.run(self._job(job), cancellation))


class Careless:
    """A sandbox that runs jobs on this machine, and leaves behind whatever they started.

    Never for a script that signals all processes: they are those of this machine.
    """

    description = "careless"
    runtime = ""
    capabilities = frozenset(Capability)
    owner = None
    storage = None

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[bytes]] = []

    def end(self) -> None:
        """End what the jobs left behind."""
        for process in self._started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def check_engine(self) -> str:
        return self.description

    def engine(self, _image: str | None) -> Engine:
        return Engine(runtime=self.description)

    def preflight(self) -> None:
        pass

    def run(self, job: Job, _cancellation: Cancellation | None = None) -> Completed:
        assert not any("kill -KILL -1" in word for word in job.argv)
        process = subprocess.Popen(
            job.argv,
            cwd=job.workdir,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._started.append(process)
        cause, output = Ending.TIMEOUT, b""
        with contextlib.suppress(subprocess.TimeoutExpired):
            output, _ = process.communicate(job.stdin, timeout=1.5)
            cause = Ending.EXITED
        assert process.stdout
        process.stdout.close()
        for line in output.splitlines():
            if job.on_line:
                job.on_line(line)
        return Completed(status=process.returncode or 0, cause=cause, seconds=1.5, stderr="")

    def left(self) -> list[str]:
        return []

    def sweep(self) -> list[str]:
        return []


def believed(completed: Completed) -> Completed:
    """Every job has ended well."""
    return replace(completed, status=0, cause=Ending.EXITED)
