"""The program ``python`` for commands of the gate, where only ``python3`` is installed.

It comes from this package and is mounted read-only: a program in a directory that tested code can write
would let the build decide what the tests are. Its directory is the last one of PATH.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from pytest_cobbler.sandbox.base import Capability, Mount, Sandbox

SOURCE = Path(__file__).parent.parent / "data" / "programs"
_TARGET = "/cobbler/programs"


def mounts_of_programs(sandbox: Sandbox) -> tuple[Mount, ...]:
    """The mount of the directory in a job; none where jobs see the files of this machine, or of no machine.

    podman on another machine has the repository, but need not have this package.
    """
    is_here = {Capability.CONTAINMENT, Capability.LOOPBACK} <= sandbox.capabilities
    return (Mount(source=SOURCE, target=_TARGET),) if is_here else ()


def path_of_programs(sandbox: Sandbox) -> str:
    """The shell command that adds the directory to PATH if it is needed; for the beginning of a job."""
    place = _TARGET if Capability.CONTAINMENT in sandbox.capabilities else str(SOURCE)
    return (
        "if ! command -v python && command -v python3; then "
        f"PATH=$PATH:{shlex.quote(place)}; export PATH; fi >/dev/null"
    )
