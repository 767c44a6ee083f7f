"""Chooses the tracker of a repository."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

from pytest_cobbler.errors import TrackerError
from pytest_cobbler.process import Cancellation
from pytest_cobbler.tracker.base import Tracker
from pytest_cobbler.tracker.bd import INSTALL, BdTracker
from pytest_cobbler.tracker.directory import bd_owns
from pytest_cobbler.tracker.embedded import EmbeddedTracker

__all__ = ["Kind", "open_scratch", "open_tracker"]

Kind = Literal["auto", "bd", "embedded"]


def open_tracker(
    kind: Kind, root: Path, beads_dir: Path, prefix: str = "", cancellation: Cancellation | None = None
) -> Tracker:
    """The tracker of the repository whose main checkout is ``root``.

    Changes nothing; the first ``create`` makes a store that does not exist yet.

    Args:
        kind: ``auto`` takes the store in ``beads_dir``, or the embedded store if the directory is empty.
        prefix: prefix of the ids in a new store; the name of ``root`` by default.
        cancellation: ends a call of bd early.

    Raises:
        TrackerError: the store is bd's and ``bd`` is not installed, or it is not of the chosen kind.
    """
    sign = bd_owns(beads_dir)
    if _takes_bd(kind, beads_dir):
        if shutil.which("bd") is None:
            reason = f"{beads_dir} belongs to bd ({sign} shows it)" if sign else "`tracker: bd` is configured"
            raise TrackerError(f"{reason}, but bd is not on PATH", INSTALL)
        return BdTracker(root, beads_dir, prefix=prefix, cancellation=cancellation)
    tracker = EmbeddedTracker(root, beads_dir, prefix=prefix)
    if sign:
        tracker.tasks()  # fails with the reason
    return tracker


def open_scratch(kind: Kind, beads_dir: Path, scratch: Path, cancellation: Cancellation) -> Tracker:
    """A store in the directory ``scratch``, of the kind that :func:`open_tracker` chooses for ``beads_dir``.

    Raises:
        TrackerError: ``bd`` is not installed.
    """
    chosen: Kind = "bd" if _takes_bd(kind, beads_dir) else "embedded"
    return open_tracker(chosen, scratch, scratch / ".beads", "scratch", cancellation)


def _takes_bd(kind: Kind, beads_dir: Path) -> bool:
    return kind == "bd" or (kind == "auto" and bool(bd_owns(beads_dir)))
