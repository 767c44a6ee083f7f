"""The words of a live view: times, amounts, labels, and texts that fit."""

from __future__ import annotations

from pytest_cobbler.display import cut, escaped, one_line, shortened, width
from pytest_cobbler.story.model import Attempt, Item, Run

__all__ = ["fitted", "label_of", "shown_seconds", "spent_by", "wrapped"]


def label_of(item: Item) -> str:
    """The name and the title of an item: ``p-1 Add the store``."""
    title = one_line(item.title)
    return f"{escaped(item.name)} {title}" if title and title != item.name else escaped(item.name)


def shown_seconds(seconds: float) -> str:
    """``7s``, ``3m07s``, ``2h05m``."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    return f"{whole // 3600}h{whole // 60 % 60:02}m"


def spent_by(one: Attempt | Item | Run, bound: str = "at least ") -> str:
    """``0.12``, in US dollars; of small amounts more digits. Empty if nothing is known to be spent.

    ``bound`` stands before an amount of which a part is unknown.
    """
    if not one.spent:
        return ""
    digits = 2 if one.spent >= 0.1 else 4
    return f"{bound if one.is_spent_partial else ''}{one.spent:.{digits}f}"


def fitted(text: str, columns: int) -> str:
    """``text`` in exactly so many columns: filled up with spaces, or cut, which an ellipsis shows."""
    text = shortened(text, columns) if columns > 0 else ""
    return text + " " * (columns - width(text))


def wrapped(text: str, columns: int) -> list[str]:
    """``text`` in lines of at most so many columns; nothing of it is lost."""
    lines = []
    while width(text) > columns:
        line = cut(text, columns) or text[:1]
        lines.append(line)
        text = text[len(line) :]
    return [*lines, text]
