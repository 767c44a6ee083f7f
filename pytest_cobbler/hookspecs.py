"""Hooks that a project may implement; pytest knows them in every run, so a conftest may always have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from pytest_cobbler.cycle.outcome import Outcome


def pytest_cobbler_outcome(item: pytest.Item, outcome: Outcome) -> None:
    """An item has come to ``outcome``; called in the main thread, just before pytest reports the item.

    An exception fails the item, and no other; a task that has landed stays landed.
    """
