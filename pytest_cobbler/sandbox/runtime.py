"""What runs podman's containers: its programs, and the image."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Final

from pytest_cobbler.errors import SandboxError
from pytest_cobbler.process import Completion
from pytest_cobbler.versions import find_version

__all__ = ["described_runtime", "registry_digests", "repositories"]

_FIELDS = (".Version.Version", ".Host.OCIRuntime.Name", ".Host.Arch", ".Host.OCIRuntime.Version")
_TAG: Final = re.compile(r"(?::[^/@:]+)?(?:@.*)?$")
_LOCAL: Final = "localhost/"
"""podman puts an image without a registry below this name."""


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


def registry_digests(references: str) -> tuple[str, ...]:
    """The references by which a registry gives an image: ``registry/name@sha256:...``.

    podman makes a reference for each name of an image, also for one that was built, loaded or imported here,
    with the digest of its own manifest, which no registry knows (podman issue 15780). Those of names on this
    machine are left out. An image that was only tagged with the name of a registry keeps one.

    Args:
        references: podman's ``RepoDigests`` as JSON.
    """
    return tuple(sorted(name for name in json.loads(references) or () if not name.startswith(_LOCAL)))


def repositories(*names: str) -> tuple[str, ...]:
    """The repositories, such as ``localhost/agent``, of the names of an image.

    Args:
        names: lists of names with tags or digests, as JSON of podman.
    """
    whole = (name for listed in names for name in json.loads(listed) or ())
    return tuple(sorted({_TAG.sub("", name) for name in whole}))
