"""A run that may begin, and what was found out while it was opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_cobbler.cycle.run import Run
from pytest_cobbler.landing.tip import Red
from pytest_cobbler.lifecycle.selection import Selection


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A run that may begin.

    ``started``: its generation has just been created. ``recovered``: what was recovered from a dead run, one
    line for each step. ``warnings``: conditions that may end the run early. ``address``: that of the API, and
    where it is set, if it is not Anthropic's. ``sources``: see ``removed_sources``,
    ``unseen``: see ``unseen_paths``. ``red``: what fails on the tip, which it may. ``lost`` looks for
    landings that a person took off the branch: a line for each fact.
    """

    run: Run
    selection: Selection
    lost: Callable[[], list[str]]
    started: bool
    recovered: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    address: str = ""
    sources: str = ""
    unseen: tuple[str, ...] = ()
    red: Red | None = None
