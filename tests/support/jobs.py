"""Jobs in one line."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from pytest_cobbler.sandbox.base import Completed, Job, Limits, Mount, Sandbox
from pytest_cobbler.sandbox.host import HostSandbox


def own_host() -> HostSandbox:
    """A sandbox without containers whose jobs no other test ends: jobs of one name are ended together."""
    return HostSandbox(repository=uuid.uuid4().hex, run_id="test")


def shell(script: str, *arguments: str, **more: Any) -> Job:
    """A job that runs ``script``, in the root directory and for a minute at most by default."""
    argv = ("sh", "-c", script, "sh", *arguments)
    return Job(**{"name": "test", "argv": argv, "workdir": "/", "limits": Limits(wall=60), **more})


def output(sandbox: Sandbox, script: str, *arguments: str, **more: Any) -> str:
    """The standard output of a job that must succeed."""
    lines: list[bytes] = []
    completed = sandbox.run(shell(script, *arguments, on_line=lines.append, **more))
    assert completed.ok, completed
    return b"\n".join(lines).decode("utf-8", "replace")


def ended(sandbox: Sandbox, script: str, *arguments: str, **more: Any) -> Completed:
    """How a job ended."""
    return sandbox.run(shell(script, *arguments, **more))


def writable(directory: Path) -> Mount:
    return Mount(source=directory, target=str(directory), mode="rw")
