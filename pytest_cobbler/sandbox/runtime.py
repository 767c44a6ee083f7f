"""The programs that run podman's containers."""

from __future__ import annotations

from collections.abc import Callable

from pytest_cobbler.errors import SandboxError
from pytest_cobbler.process import Completion
from pytest_cobbler.versions import find_version

__all__ = ["described_runtime"]

_FIELDS = (".Version.Version", ".Host.OCIRuntime.Name", ".Host.Arch", ".Host.OCIRuntime.Version")


def described_runtime(podman: Callable[..., Completion]) -> str:
    """podman and the runtime that it calls, with their versions.

    Args:
        podman: runs podman with arguments.

    Raises:
        SandboxError: podman does not work.
    """
    shown = "\n".join(f"{{{{{field}}}}}" for field in _FIELDS)
    asked = podman("info", f"--format={shown}")
    lines = asked.text.splitlines()
    if not asked.ok or len(lines) < len(_FIELDS):
        raise SandboxError("podman does not tell its runtime", "Try it by hand: podman info", asked.errors)
    version, name, machine, runtime, *_ = lines
    return f"podman {version}, {name} {find_version(runtime) or runtime}, {machine}"
