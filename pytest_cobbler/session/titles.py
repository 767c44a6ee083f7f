"""Titles of tasks beside their ids, in what pytest prints and in the JUnit report. Node ids stay as they are.

A title reaches the reporters in the location of an item, after the names of its node id (``SessionItem``).
"""

from __future__ import annotations

import copy
import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final

import pytest

from pytest_cobbler.config import Config
from pytest_cobbler.config.paths import repository_of
from pytest_cobbler.display import below, cut
from pytest_cobbler.files import write_atomically

__all__ = ["labelled", "show_titles"]

_WORD: Final = len(" CANCELLED [100%]")
"""Columns that a line of ``-v`` keeps for the outcome and the progress."""

_LEAST: Final = 8
"""Columns of a title that is cut; less of it is not worth showing."""

_SHARE: Final = 4
"""A title has one in so many columns of the short summary, so that the cause of a failure has room."""


def show_titles(config: pytest.Config, settings: Config) -> None:
    """Let this session show the titles of its items."""
    config.pluginmanager.register(_ShownTitles(config), "cobbler-titles")
    if given := config.getoption("xmlpath", None):
        path = Path.cwd() / Path(os.path.expandvars(given)).expanduser()  # as pytest does
        config.pluginmanager.register(_Cases(path, settings), "cobbler-junit")


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

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(trylast=True)  # after pytest has printed the node id
    def pytest_runtest_logstart(self, nodeid: str, location: tuple[str, int | None, str]) -> None:
        title = _title_of(nodeid, location)
        reporter: Any = self._config.pluginmanager.get_plugin("terminalreporter")
        verbosity = self._config.get_verbosity(pytest.Config.VERBOSITY_TEST_CASES)
        # Another reporter may print a line of its own, with the title in it.
        if not title or verbosity <= 0 or not _stands_at(reporter, nodeid):
            return
        room = reporter._tw.fullwidth - reporter._tw.width_of_current_line - _WORD
        shown = title if verbosity > 1 else _shortened(title, room)
        if shown == title or room >= _LEAST:
            reporter.write(f"{shown} ")

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


def _shortened(title: str, columns: int) -> str:
    return title if cut(title, columns) == title else f"{cut(title, columns - 1)}…"


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
    short = title if most is None else _shortened(title, most)
    # pytest 9.2 takes brackets in a node id for parameters.
    shown.nodeid = f"{report.nodeid} {short}".replace("[", "(").replace("]", ")")
    return shown


class _Cases:
    """Gives each case of the JUnit report its title as the name, and the file that it is about.

    Programs that show a report know a case by its name, and look for its file in this attribute. pytest
    writes the names from node ids, so the report is changed after it is written.
    """

    def __init__(self, report: Path, settings: Config) -> None:
        self._report = report
        self._settings = settings

    @pytest.hookimpl(wrapper=True, trylast=True)  # just around pytest's own writing
    def pytest_sessionfinish(self) -> Generator[None, object, object]:
        result = yield
        if self._report.is_file():
            self._rewrite()
        return result

    def _rewrite(self) -> None:
        tree = ElementTree.parse(self._report)
        file = below(self._settings.path, repository_of(self._settings.root))
        for case in tree.iter("testcase"):
            properties = {entry.get("name", ""): entry.get("value", "") for entry in case.iter("property")}
            if "cobbler_outcome" not in properties:
                continue
            case.set("file", file)
            name, title = case.get("name", ""), properties.get("cobbler_title", "")
            if self._settings.junit_name == "title" and title not in ("", name):
                case.set("name", f"{title} ({name})")
        text = ElementTree.tostring(tree.getroot(), encoding="utf-8", xml_declaration=True)
        write_atomically(self._report, text)
