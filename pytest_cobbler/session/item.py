"""What the items of our sessions have in common: no plugin runs one of them a second time."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_cobbler.session.other_plugins import marks
from pytest_cobbler.session.rerunning import Hooks


class SessionItem(pytest.Item):
    """An item that is not a function."""

    _parallel_custom_item = True  # keeps pytest-run-parallel from running it several times

    # Attributes that the conftests of projects commonly read.
    module = cls = function = obj = instance = originalname = None

    def __init__(self, **kw: Any) -> None:
        super().__init__(**kw)
        self.fixturenames: list[str] = []  # some conftests add to it
        self.funcargs: dict[str, object] = {}
        for mark in marks(self.config):
            self.add_marker(mark)

    @property
    def ihook(self) -> Any:
        """The hooks of this item, without those of plugins that run items again."""
        return Hooks(super().ihook, self.config)

    @property
    def title(self) -> str:
        """The title of the task, for people; empty without a task."""
        return ""

    @property
    def key(self) -> str:
        """The names of the node id: ``measure::cycle-1``, ``stitch::ID``; unique in the session."""
        assert self.parent is not None
        return f"{self.parent.name}::{self.name}"

    def reportinfo(self) -> tuple[Any, int, str]:
        headline = f"{self.key} {self.title}" if self.title else self.key
        return self.path, 0, headline  # a line number: a skip mark needs one
