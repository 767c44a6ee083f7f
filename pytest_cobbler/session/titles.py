"""Titles of tasks beside their ids, in what pytest prints. Node ids stay as they are.

A title reaches the reporters in the location of an item, after the names of its node id (``SessionItem``).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator
from typing import Any, Final

import pytest

from pytest_cobbler.display import shortened

__all__ = ["labelled", "show_titles"]

_WORD: Final = len(" CANCELLED [100%]")
"""Columns that a line of ``-v`` keeps for the outcome and the progress."""

_LEAST: Final = 8
"""Columns of a title that is cut; less of it is not worth showing."""

_SHARE: Final = 4
"""A title has one in so many columns of the short summary, so that the cause of a failure has room."""


def show_titles(config: pytest.Config, took: Callable[[str], str] = lambda _key: "") -> None:
    """Let this session show the titles of its items.

    Args:
        took: returns what an item took, which a line of ``-v`` shows behind the title; empty if that is
            unknown.
    """
    config.pluginmanager.register(_ShownTitles(config, took), "cobbler-titles")


def labelled(name: str, title: str) -> str:
    """The name of an item and its title, for a list: ``p-1 Add the store``."""
    return f"{name} {title}" if title and title != name else name


def _title_of(nodeid: str, location: tuple[str, int | None, str] | None) -> str:
    """The title that the item of ``nodeid`` has in its location; empty if it only repeats the id."""
    names = nodeid.partition("::")[2]
    if not names or location is None:
        return ""
    title = location[2].removeprefix(f"{names} ")
    return "" if title in (location[2], names.rpartition("::")[2]) else title


class _ShownTitles:
    """Adds titles to the lines of ``-v``, to the short summary and to the durations."""

    def __init__(self, config: pytest.Config, took: Callable[[str], str]) -> None:
        self._config = config
        self._took = took

    @pytest.hookimpl(trylast=True)  # after pytest has printed the node id
    def pytest_runtest_logstart(self, nodeid: str, location: tuple[str, int | None, str]) -> None:
        title = _title_of(nodeid, location)
        reporter: Any = self._config.pluginmanager.get_plugin("terminalreporter")
        verbosity = self._config.get_verbosity(pytest.Config.VERBOSITY_TEST_CASES)
        # Another reporter may print a line of its own, with the title in it.
        if verbosity <= 0 or not _stands_at(reporter, nodeid):
            return
        took = self._took(nodeid.partition("::")[2])
        took = f"({took}) " if took else ""
        room = reporter._tw.fullwidth - reporter._tw.width_of_current_line - _WORD - len(took)
        shown = title if verbosity > 1 else shortened(title, room)
        if title and (shown == title or room >= _LEAST):
            reporter.write(f"{shown} ")
        if verbosity > 1 or room >= 0:
            reporter.write(took)

    @pytest.hookimpl(wrapper=True, tryfirst=True)  # around pytest's own summaries
    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter
    ) -> Generator[None, object, object]:
        stats = terminalreporter.stats
        before = dict(stats)
        most = terminalreporter._tw.fullwidth // _SHARE if self._config.get_verbosity() < 2 else None
        for kind, reports in before.items():
            stats[kind] = [_titled(report, most) for report in reports]
        try:
            return (yield)
        finally:
            stats.update(before)


def _stands_at(reporter: Any, nodeid: str) -> bool:
    """Whether the cursor stands behind the node id."""
    names = nodeid.partition("::")[2]
    return names in str(getattr(reporter, "currentfspath", None))


def _titled(report: Any, most: int | None) -> Any:
    """A copy of the report of a test with a title in its node id; any other report itself."""
    title = _title_of(report.nodeid, report.location) if isinstance(report, pytest.TestReport) else ""
    if not title:
        return report
    shown = copy.copy(report)
    short = title if most is None else shortened(title, most)
    # pytest 9.2 takes brackets in a node id for parameters.
    shown.nodeid = f"{report.nodeid} {short}".replace("[", "(").replace("]", ")")
    return shown
