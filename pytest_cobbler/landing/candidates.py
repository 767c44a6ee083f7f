"""What goes into the landing lane, and what comes out of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from pytest_cobbler.causes import Cause
from pytest_cobbler.errors import CobblerError
from pytest_cobbler.landing.gate import GateResult
from pytest_cobbler.landing.tree_records import TreeRecord
from pytest_cobbler.repository.checks import Policy, Refusal
from pytest_cobbler.repository.landing import Merge
from pytest_cobbler.repository.trailers import Landed

__all__ = ["Candidate", "Landing", "Train"]


@dataclass(frozen=True, kw_only=True)
class Train:
    """The train with which a change landed: several changes, of which the gate ran on the last one's tree.

    The change is number ``place`` of ``size``. ``tip`` is the commit before the first change, ``tree`` the
    tree of the last one, and ``commit`` its commit; empty until that is made.
    """

    place: int
    size: int
    tip: str
    tree: str
    commit: str = ""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A commit to land.

    ``base`` is the commit of the base that it merges, if that is the task. ``of_person``: it is the commit of
    a person's branch, which lands with its history; ``base`` is then the newest commit of the base in it, if
    the tip lacks that. ``message`` makes the message of
    the landed commit from the notes on the change, the record of the gate (``None`` without a gate) and the
    train (``None`` if it lands by itself), once the gate has passed. ``statement`` makes the note of that
    commit from its id, the merge, that record and the train. The gate's output goes to ``log``. ``on_landed``
    is called with the landed commit before any listener. ``begins`` is called when its gate begins,
    ``decided`` when it has landed or failed; ``moving`` is held while the branch moves. All run in the thread
    of the lane.
    """

    task_id: str
    commit: str
    policy: Policy
    log: Path
    message: Callable[[tuple[str, ...], TreeRecord | None, Train | None], str]
    on_landed: Callable[[str], None]
    statement: Callable[[str, Merge, TreeRecord | None, Train | None], bytes] | None = None
    base: str = ""
    of_person: bool = False
    moving: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext
    begins: Callable[[], None] = lambda: None
    decided: Callable[[], None] = lambda: None

    @property
    def second_parent(self) -> str:
        """That of the landed commit; empty if it has one parent."""
        return self.commit if self.of_person else self.base


@dataclass(frozen=True, kw_only=True)
class Landing:
    """The result of a candidate: ``commit`` is set exactly when the tip was moved to it.

    Otherwise ``cause`` is the reason: a conflict, no change, a refusal, the gate, a cancellation, or
    ``Cause.LANDING`` with the ``error`` of git, podman or the disk, which the change did not cause.
    ``hidden`` names the tests that the change keeps from running, if the gate passed without them. A change
    that leaves the failures of the tip as they are may land, too; then ``gate`` and ``record`` have failed.
    Seconds are wall time in the lane; ``gate_seconds`` are a part of ``seconds``. ``notes`` are for people
    who review the change, whether it landed or not. ``record`` is that of the tree in the gate; ``None`` if
    the gate has not run, was cancelled, or has no steps. ``train`` is set if others landed with it. If the
    gate failed, ``partner`` is the landed change without which it passes.
    """

    commit: str = ""
    merged: Merge | None = None
    gate: GateResult | None = None
    record: TreeRecord | None = None
    gate_seconds: float = 0.0
    seconds: float = 0.0
    cause: Cause = Cause.NONE
    error: CobblerError | None = None
    refusals: tuple[Refusal, ...] = ()
    hidden: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    train: Train | None = None
    partner: Landed | None = None
