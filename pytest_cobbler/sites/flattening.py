"""The files of an overlay as a plain directory, where people find them when it is moved aside."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

from pytest_cobbler.repository.bases import Base
from pytest_cobbler.repository.directories import remove_tree
from pytest_cobbler.repository.worktrees import Worktree, Worktrees
from pytest_cobbler.sandbox.base import Capability, Job, Limits, Mount, Sandbox
from pytest_cobbler.sandbox.disk import size_of
from pytest_cobbler.sandbox.overlays import unmount_below
from pytest_cobbler.sites.packing import LARGEST_FILE, LONGEST_HARVEST

__all__ = ["flattened"]

_COPY = """
find "$1" -xdev -type d ! -perm -700 -exec chmod u+rwx {} \\;
find "$1" -xdev -type f ! -perm -600 -exec chmod u+rw {} +
large=$(find "$3" -xdev -type f -size "+$4k" -exec printf 'x%.0s' {} +)
test -z "$large"
cp -a "$1/." "$2/"
"""
_SLACK = 64 * 1024 * 1024
"""Bytes that a copy may take more than what is copied."""


def flattened(worktree: Worktree, worktrees: Worktrees, sandbox: Sandbox) -> Worktree:
    """Copy what an overlay shows into the plain directory in its place.

    Until the new facts are written, a later run harvests the overlay, whatever else is there.

    Returns:
        the worktree without a base, or as it was if its files are not copied.

    Raises:
        CobblerError: a program failed.
        OSError: the disk failed.
    """
    if worktree.base is None:
        return worktree
    worktrees.renew_base(worktree)
    _make_empty(worktree.tree)
    copy = worktree.directory / "copy"
    remove_tree(copy)
    copy.mkdir()
    try:
        if not _copy_files(worktree, worktree.base, copy, sandbox):
            return worktree
        copy.rename(worktree.tree)  # the empty directory is replaced, so that there always is one
    finally:
        remove_tree(copy)
    plain = worktrees.flattened(worktree)
    remove_tree(worktree.upper)
    remove_tree(worktree.work)
    return plain


def _copy_files(worktree: Worktree, base: Base, copy: Path, sandbox: Sandbox) -> bool:
    """Copy the files of an overlay in a job, and return whether all are copied.

    An agent may have left files that would fill the disk: sparse ones, and links to one file.
    """
    if Capability.CONTAINMENT not in sandbox.capabilities:
        worktree = replace(worktree, inside=None)  # the run that made it may have had containers
    changed = size_of([worktree.upper], sys.maxsize)
    # The limit counts what the overlay has already, and then its copy.
    most = 2 * changed + size_of([base.files], sys.maxsize) + _SLACK
    if most > shutil.disk_usage(worktree.directory).free:
        return False
    if sandbox.owner:
        os.chown(copy, *sandbox.owner)
    tree, upper, seen = (str(worktree.seen(path)) for path in (worktree.tree, worktree.upper, copy))
    completed = sandbox.run(
        Job(
            name=f"keep-{worktree.name}",
            argv=("sh", "-euc", _COPY, "keep", tree, seen, upper, str(LARGEST_FILE // 1024)),
            workdir="/",
            mounts=(
                worktree.mount_of_tree(),
                Mount(source=copy, target=seen, mode="rw"),
                Mount(source=worktree.upper, target=upper),
            ),
            limits=Limits(wall=LONGEST_HARVEST, disk=most),
        )
    )
    return completed.ok


def _make_empty(tree: Path) -> None:
    """Empty the mount point of an overlay: a run that was killed may have put a copy of the files there."""
    unmount_below(tree)
    if any(tree.iterdir()):
        remove_tree(tree)
        tree.mkdir()
