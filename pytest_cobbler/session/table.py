"""The items of a run as a table for a terminal of any width."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from pytest_cobbler.display import cut, escaped, short_time, shortened, width
from pytest_cobbler.session.titles import labelled
from pytest_cobbler.story.ends import Row

__all__ = ["Line", "table"]

_MOST: Final = 40
"""Rows; with -v all of them."""
_MOST_QUIET: Final = 10
_LEAST: Final = 16
"""Columns of a title, before other parts of the table are given up for it."""
_WIDE: Final = 80
"""Columns of a terminal from which on the table has headings."""
_END: Final = "cause/commit"
_GIVEN_UP: Final = ("commit", "attempts", "time", _END, "USD", "outcome")
"""What a narrow terminal goes without, in this order."""
_NO_COST: Final = ("", "0.0000", ">=0.0000")
"""That nothing is known of any cost is told once, below the table."""
_TO_THE_RIGHT: Final = frozenset({"attempts", "time", "USD"})
_MARKUP: Final[Mapping[str, dict[str, bool]]] = {
    "landed": {"green": True},
    "proposed": {"green": True},
    "failed": {"red": True},
    "not ended": {"red": True},
}
_YELLOW: Final = {"yellow": True}


class Line(NamedTuple):
    """A line of the table: ``word`` has a markup of pytest's, the text before and after it has none."""

    before: str
    word: str = ""
    markup: Mapping[str, bool] = {}
    after: str = ""


def table(rows: Sequence[Row], columns: int, verbosity: int) -> Iterator[Line]:
    """The lines of the table, each of at most ``columns``; titles are cut.

    With ``-q`` it has only items that did not succeed. If there are too many rows, those come first.
    """
    chosen = [row for row in rows if not row.is_success] if verbosity < 0 else list(rows)
    most = _MOST_QUIET if verbosity < 0 else _MOST
    left_out = 0
    if verbosity <= 0 and len(chosen) > most:
        left_out = len(chosen) - most
        chosen = sorted(chosen, key=lambda row: row.is_success)[:most]
    if not chosen:
        return
    yield from _lines(chosen, columns)
    if left_out:
        yield Line(cut(f"and {left_out} more, see the report", columns))


def _lines(rows: Sequence[Row], columns: int) -> Iterator[Line]:
    cells, widths, gap = _fitted(rows, columns)
    if columns >= _WIDE:
        yield Line(gap.join(_padded(name, name, size) for name, size in widths.items()).rstrip())
    for row, its_cells in zip(rows, cells, strict=True):
        padded = {name: _padded(its_cells[name], name, size) for name, size in widths.items()}
        title, outcome = padded.pop("title"), padded.pop("outcome", "")
        if not outcome:
            yield Line(gap.join((title, *padded.values())).rstrip())
            continue
        word = outcome.rstrip()
        behind = gap.join((outcome.removeprefix(word), *padded.values())).rstrip()
        yield Line(title + gap, word, _MARKUP.get(row.outcome, _YELLOW), behind)


def _fitted(rows: Sequence[Row], columns: int) -> tuple[list[dict[str, str]], dict[str, int], str]:
    """The cells of the rows, the widths of their columns, and the gap between two columns."""
    for number in range(len(_GIVEN_UP) + 1):
        cells = [_cells(row, _GIVEN_UP[:number]) for row in rows]
        names = [name for name in cells[0] if any(one[name] not in _NO_COST for one in cells)]
        heads = names if columns >= _WIDE else []
        widths = {name: max(width(one[name]) for one in cells) for name in names}
        widths |= {name: max(width(name), widths[name]) for name in heads}
        for gap in ("  ", " "):
            room = columns - sum(len(gap) + size for name, size in widths.items() if name != "title")
            if room >= min(_LEAST, widths["title"]):
                return cells, {**widths, "title": min(room, widths["title"])}, gap
    return cells, {"title": columns}, gap


def _cells(row: Row, without: Sequence[str]) -> dict[str, str]:
    commit = "" if "commit" in without else row.commit[:12]
    cells = {
        "title": labelled(row.name, escaped(row.title)),
        "outcome": row.outcome.upper(),
        "attempts": str(row.attempts) if row.attempts else "",
        "time": "" if row.seconds is None else short_time(row.seconds),
        "USD": row.paid.amount_shown(">="),
        _END: commit if row.is_success else str(row.cause),
    }
    return {name: cell for name, cell in cells.items() if name not in without}


def _padded(text: str, name: str, room: int) -> str:
    text = shortened(text, room)
    space = " " * (room - width(text))
    return space + text if name in _TO_THE_RIGHT else text + space
