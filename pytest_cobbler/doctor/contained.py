"""The parts of a run as the doctor found them, for those who try more with them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from pytest_cobbler.config import Config
from pytest_cobbler.landing.gate import Gate
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sandbox.base import Sandbox
from pytest_cobbler.sandbox.site import Site
from pytest_cobbler.wiring.parts import SandboxSettings

__all__ = ["Contained"]


@dataclass(frozen=True, kw_only=True)
class Contained:
    """The parts of a run whose jobs are contained.

    Args:
        gate: without steps.
        mortal: the settings of a sandbox for a job whose process may be killed.
        witness: the same sandbox in another run.
        place: a directory that is removed with the doctor.
        shared: ``core.sharedRepository`` of the user's repository; may be empty.
        nodes: the site of a repository whose agents work on nodes, for a block.
    """

    config: Config
    sandbox: Sandbox
    gate: Gate
    mortal: SandboxSettings
    witness: Sandbox
    place: Path
    shared: str
    nodes: Callable[[Repository], AbstractContextManager[Site]] | None = None
