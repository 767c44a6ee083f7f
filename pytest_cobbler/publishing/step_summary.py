"""A run in Markdown, as GitHub shows it on the page of a job. No text of an agent is markup there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from pytest_cobbler.display import one_line, short_time
from pytest_cobbler.story.ends import Row, counts_of, rows_of, totals_of
from pytest_cobbler.story.model import Run

__all__ = ["LARGEST", "step_summary"]

LARGEST: Final = 1 << 20
"""Bytes; GitHub drops the whole summary of a step that is larger."""

_TITLE: Final = 120
_SUMMARY: Final = 300
"""Characters of a title and of a reason; they are cut."""
_MOST_REASONS: Final = 100
_MOST_BARS: Final = 100
"""Items in the timeline: GitHub draws none of more than 50,000 characters."""
_BAR_TITLE: Final = 60
_SIGNS: Final = {"landed": "✅", "proposed": "✅", "failed": "❌"}
_PUNCTUATION: Final = re.compile(r"[!-/:-@\[-`{-~]")
_LINKING: Final = re.compile(r"(?<=[@#:])(?=\S)")
"""Behind what GitHub makes mentions, references, emojis and links of."""


def step_summary(run: Run, generation: str, report: str, room: int = LARGEST) -> str:
    """The table of the items, causes of failures and a timeline, in at most ``room`` bytes.

    Args:
        report: the line with the path of the report.

    Returns:
        Markdown; empty if there is not even room for its head.
    """
    rows = sorted(rows_of(run), key=lambda row: row.is_success)
    shown = totals_of(rows).shown
    head = f"### {_plain(generation)}: {', '.join(counts_of(rows)) or 'no task'}\n\n"
    end = "".join(
        [
            f"\n{_plain(f'Cost: {shown}')}\n" if shown else "",
            "".join(_reasons(rows)),
            "".join(_timeline(rows)),
            f"\n{_plain(report)}\n\n",
        ]
    )
    heading = (
        "| task | outcome | attempts | time | USD | cause |\n| :--- | :--- | ---: | ---: | ---: | :--- |\n"
    )
    left_out = f"\n{len(rows)} more items are in the report.\n"
    room -= sum(len(part.encode()) for part in (head, end, heading, left_out))
    if room < 0:
        return ""
    lines = list(_fitting(map(_line, rows), room))
    more = f"\n{len(rows) - len(lines)} more items are in the report.\n" if len(lines) < len(rows) else ""
    return "".join([head, heading if lines else "", *lines, more, end])


def _fitting(lines: Iterable[str], room: int) -> Iterator[str]:
    for line in lines:
        room -= len(line.encode())
        if room < 0:
            return
        yield line


def _line(row: Row) -> str:
    cells = [
        _labelled(row),
        f"{_SIGNS.get(row.outcome, '⏸️')} {row.outcome}",
        str(row.attempts or ""),
        "" if row.seconds is None else short_time(row.seconds),
        row.paid.amount_shown("≥ "),
        row.commit[:12] if row.is_success else _plain(row.cause),
    ]
    return f"| {' | '.join(cells)} |\n"


def _labelled(row: Row) -> str:
    title = one_line(row.title, _TITLE)
    return _plain(f"{row.name} {title}" if title else row.name)


def _reasons(rows: Sequence[Row]) -> Iterator[str]:
    """Why items did not succeed, by their causes."""
    told = [row for row in rows if not row.is_success and row.cause]
    if not told:
        return
    yield "\n#### Causes\n"
    by_cause: dict[str, list[Row]] = {}
    for row in told[:_MOST_REASONS]:
        by_cause.setdefault(str(row.cause), []).append(row)
    for cause, its_rows in by_cause.items():
        yield f"\n**{_plain(cause)}**\n\n"
        for row in its_rows:
            yield f"* {_labelled(row)}: {_plain(one_line(row.summary, _SUMMARY))}\n"
    if len(told) > _MOST_REASONS:
        yield f"\n{len(told) - _MOST_REASONS} more\n"


def _timeline(rows: Sequence[Row]) -> Iterator[str]:
    """A bar for each item that started, from its begin to its end."""
    began = sorted(
        ((row.began, row) for row in rows if row.began is not None), key=lambda pair: (pair[0], pair[1].key)
    )
    if not began:
        return
    yield "\n#### Timeline\n\n```mermaid\ngantt\n  dateFormat x\n  axisFormat %H:%M:%S\n"
    for start, row in began[:_MOST_BARS]:
        tag = "done, " if row.is_success else "crit, " if row.outcome == "failed" else ""
        sign = "✓" if row.is_success else "✗"
        label = _letters(f"{row.name} {row.title}")
        end = max(row.ended, start + 0.001)
        yield f"  {sign} {label} :{tag}{start * 1000:.0f}, {end * 1000:.0f}\n"
    yield "```\n"
    if len(began) > _MOST_BARS:
        yield f"\nThe timeline has the first {_MOST_BARS} of {len(began)} items.\n"


def _letters(text: str) -> str:
    """What Mermaid takes as a name: nothing in it has a meaning there."""
    return " ".join("".join(char if char.isalnum() or char in "-_." else " " for char in text).split())[
        :_BAR_TITLE
    ]


def _plain(text: str) -> str:
    """``text`` so that it is only text in Markdown and HTML: no markup, no link, no mention, no emoji."""
    apart = _LINKING.sub("\N{WORD JOINER}", text)
    return _PUNCTUATION.sub(lambda match: f"&#{ord(match[0])};", apart)
