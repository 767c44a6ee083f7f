"""Hooks that a project may implement; known to pytest in every run, so that a conftest with them is never an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from pytest_cobbler.cycle.outcome import Outcome


def pytest_cobbler_outcome(item: pytest.Item, outcome: Outcome) -> None:
    """An item has come to ``outcome``; called in the main thread, just before pytest reports the item."""
