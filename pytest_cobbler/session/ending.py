"""The end of a run: its table on the terminal."""

from __future__ import annotations

import pytest

from pytest_cobbler.session.table import table
from pytest_cobbler.story.ends import Row

__all__ = ["print_table"]


def print_table(rows: list[Row], reporter: pytest.TerminalReporter) -> None:
    """Print the table of a run."""
    verbosity = reporter.config.get_verbosity()
    for line in table(rows, reporter._tw.fullwidth, verbosity):
        reporter.write(line.before)
        reporter.write(line.word, **line.markup)
        reporter.write_line(line.after)
