"""Why podman could not start a container, told from its output."""

from __future__ import annotations

import re
from typing import Final

from pytest_cobbler.errors import NotStarted
from pytest_cobbler.process import Completion
from pytest_cobbler.sandbox import lifeline

__all__ = ["NEEDED", "not_started"]

NEEDED: Final = f"Add to the image: {', '.join(lifeline.REQUIRED)} (coreutils or busybox)."

_SIGNS: Final = (
    (
        r"image not known|[Nn]o such image",
        "podman has no image {image}",
        "Get it with `{program} pull {image}`, or build it: docs/containers.md has a recipe.",
    ),
    (
        r"""executable file [`'"]?sh[`'"]? not found|exec: "sh":""",
        "the image {image} has no sh, which the first process of a job needs",
        NEEDED,
    ),
    (
        r"is already in use",
        "podman already has a container with this name",
        "Another run with the same id is running or was killed; `{program} ps --all` shows it.",
    ),
    (
        r"setrlimit|cgroup",
        "podman cannot start containers with its present configuration",
        "Set another runtime, cgroup manager or limits: see CONTAINERS_CONF in docs/containers.md.",
    ),
)
"""Pattern in podman's output when it cannot start a container, the cause and the remedy."""


def not_started(program: str, image: str, completion: Completion, output: bytes) -> NotStarted:
    """The error for a container that ``program`` did not start."""
    evidence = output.decode("utf-8", "replace")
    for sign, cause, remedy in _SIGNS:
        if re.search(sign, evidence):
            names = {"program": program, "image": image}
            return NotStarted(cause.format(**names), remedy.format(**names), evidence)
    return NotStarted(f"podman cannot start a job (exit status {completion.status})", evidence=evidence)
