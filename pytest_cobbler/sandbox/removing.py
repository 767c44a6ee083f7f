"""Removing what a job has made: any depth, any mode."""

from __future__ import annotations

from pathlib import Path

from pytest_cobbler.process import Completion, host_environment, run

__all__ = ["removal_of"]

_LONGEST = 600.0


def removal_of(directory: Path) -> Completion:
    """Remove a tree with ``rm``, which does not recurse: recursion in Python ends at some thousand levels.

    Returns:
        how the last ``rm`` ended; if it did not succeed, a part of the tree is left.
    """
    env = host_environment(LC_ALL="C")
    completion = run(["rm", "-rf", "--", directory], env=env, timeout=_LONGEST)
    if not completion.ok:  # a job made directories unwritable
        run(["chmod", "-R", "u+rwX", "--", directory], env=env, timeout=_LONGEST)
        completion = run(["rm", "-rf", "--", directory], env=env, timeout=_LONGEST)
    return completion
