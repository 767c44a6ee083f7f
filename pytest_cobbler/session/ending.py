"""The end of a run: its table on the terminal, and what GitHub shows of it."""

from __future__ import annotations

import os
from typing import Final

import pytest

from pytest_cobbler.config import Config
from pytest_cobbler.config.paths import repository_of
from pytest_cobbler.display import below, escaped
from pytest_cobbler.session.table import table
from pytest_cobbler.session.titles import labelled
from pytest_cobbler.story.ends import Row
from pytest_cobbler.story.model import Run

__all__ = ["append_step_summary", "error_annotations", "print_table"]

_MOST_ANNOTATIONS: Final = 10
"""GitHub keeps as many of a step."""


def print_table(rows: list[Row], reporter: pytest.TerminalReporter) -> None:
    """Print the table of a run."""
    verbosity = reporter.config.get_verbosity()
    for line in table(rows, reporter._tw.fullwidth, verbosity):
        reporter.write(line.before)
        reporter.write(line.word, **line.markup)
        reporter.write_line(line.after)


def error_annotations(rows: list[Row], settings: Config) -> list[str]:
    """Commands for GitHub, a line for each item that failed; none elsewhere."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return []
    file = below(settings.path, repository_of(settings.root))
    return [
        f"::error file={_property(file)},title={_property(escaped(labelled(row.name, row.title)))}::"
        f"{_data(escaped(row.summary or row.cause))}"
        for row in rows
        if row.outcome == "failed"
    ][:_MOST_ANNOTATIONS]


def append_step_summary(run: Run, generation: str, report: str) -> str:
    """Append the run to the summary of a step of GitHub's, if there is one.

    Args:
        report: the line with the path of the report.

    Returns:
        why it cannot be written; else empty.
    """
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return ""
    from pytest_cobbler.publishing.step_summary import LARGEST, step_summary

    try:
        with open(path, "ab") as file:  # noqa: PTH123 - it may be a pipe
            room = LARGEST - file.tell()
            file.write(step_summary(run, generation, report, room).encode("utf-8", "replace"))
    except OSError as error:
        return escaped(f"step summary: it cannot be written: {error.strerror}: {path}")
    return ""


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
