"""Removing what a job has made: any depth, any mode."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from pytest_cobbler.process import Completion, host_environment, run
from pytest_cobbler.sandbox.overlays import unmount_below
from pytest_cobbler.sandbox.podman_environment import podman_environment

__all__ = ["removal_of"]

_LONGEST = 600.0


def removal_of(directory: Path) -> Completion:
    """Remove a tree, and unmount overlays in it before.

    ``rm`` does not recurse: recursion in Python ends at some thousand levels.

    Returns:
        how the last ``rm`` ended; if it did not succeed, a part of the tree is left.
    """
    with contextlib.suppress(OSError):  # then rm fails
        unmount_below(directory)
    env = host_environment(LC_ALL="C")
    completion = run(["rm", "-rf", "--", directory], env=env, timeout=_LONGEST)
    if not completion.ok:  # a job made directories unwritable
        run(["chmod", "-R", "u+rwX", "--", directory], env=env, timeout=_LONGEST)
        completion = run(["rm", "-rf", "--", directory], env=env, timeout=_LONGEST)
    if not completion.ok and os.geteuid() != 0 and shutil.which("podman"):
        # Of another user of the containers: the kernel keeps whiteouts of overlays as their root.
        words = ("podman", "unshare", "rm", "-rf", "--")
        run([*words, directory], env=podman_environment() | {"LC_ALL": "C"}, timeout=_LONGEST)
        completion = run(["rm", "-rf", "--", directory], env=env, timeout=_LONGEST)
    return completion
