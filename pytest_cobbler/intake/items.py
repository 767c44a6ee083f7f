"""The items of a Markdown check list: boxes, texts, and the phases in which they stand."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["Item", "read_items"]

_ITEM = re.compile(
    r"(?P<indent>[ \t]*)(?:[-*+]|\d{1,9}[.)])[ \t]+\[(?P<box>[^\[\]]?)\](?:[ \t]+(?P<text>.*))?"
)
_MARKER = re.compile(r"[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]")
_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(?P<text>.*)")
_PHASE = re.compile(r"\W*phase\b", re.IGNORECASE)
_FENCE = re.compile(r"[ \t]*(?P<fence>`{3,}|~{3,})")
_ID = re.compile(r"(?P<mark>\*{0,2}|`?)(?P<id>T\d{1,6}[a-z]?)(?P=mark)[:.]?(?:[ \t]+|$)")

_OPEN, _DONE = " ", "xX"
_HALF = "-~/>!?"
"""Other boxes that some programs write; a box with a letter is a part of a text."""


@dataclass(kw_only=True)
class Item:
    """One item: ``line`` is its number, ``text`` is without box and ``id``, ``body`` the lines below it.

    ``phase`` counts the headings of phases above it, and ``heading`` is the last of them.
    """

    line: int
    text: str
    is_done: bool
    id: str = ""
    phase: int = 0
    heading: str = ""
    indent: int = 0
    body: list[str] = field(default_factory=list)

    @property
    def details(self) -> str:
        """The lines below the item, without their common indentation."""
        return textwrap.dedent("\n".join(self.body)).strip("\n")


def read_items(text: str) -> tuple[Sequence[Item], Sequence[str]]:
    """The items of a text in their order, and an error for each line that looks like one and is none."""
    reader = _Reader()
    for number, line in enumerate(text.split("\n"), 1):
        reader.read(number, line.rstrip("\r").expandtabs(4))
    return reader.items, reader.errors


class _Reader:
    """Reads line by line. An item has the lines below it that are indented more, or go on with its text."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.errors: list[str] = []
        self._item: Item | None = None
        self._phase, self._heading = 0, ""
        self._fence = ""
        self._in_comment = False

    def read(self, number: int, line: str) -> None:
        if self._is_comment(line):
            return
        if self._is_code(line):
            self._add(line)
        elif found := _HEADING.match(line):
            self._item = None
            if _PHASE.match(found["text"]):
                self._phase, self._heading = self._phase + 1, found["text"].strip()
        elif (match := _ITEM.fullmatch(line)) and not self._is_nested(match):
            self._begin(number, match)
        elif self._goes_on(line):
            self._add(line)
        else:
            self._item = None

    def _is_comment(self, line: str) -> bool:
        if not self._in_comment and (self._fence or not line.lstrip().startswith("<!--")):
            return False
        self._in_comment = "-->" not in line
        return True

    def _is_code(self, line: str) -> bool:
        """Whether a line is in a fenced block, or begins or ends one."""
        match = _FENCE.match(line)
        if self._fence:
            if match and match["fence"].startswith(self._fence) and not line.strip(" `~"):
                self._fence = ""
            return True
        self._fence = match["fence"] if match else ""
        return bool(match)

    def _is_nested(self, match: re.Match[str]) -> bool:
        """Whether an item is a part of the one above it: it is indented more and has no id of its own."""
        above = self._item
        return (
            above is not None
            and len(match["indent"]) > above.indent + 1
            and not _ID.match(match["text"] or "")
        )

    def _goes_on(self, line: str) -> bool:
        if self._item is None:
            return False
        if not line.strip() or len(line) - len(line.lstrip()) > self._item.indent:
            return True
        is_after_text = not self._item.body or bool(self._item.body[-1].strip())
        return is_after_text and not _MARKER.match(line)

    def _add(self, line: str) -> None:
        if self._item:
            self._item.body.append(line)

    def _begin(self, number: int, match: re.Match[str]) -> None:
        box, text = match["box"], (match["text"] or "").strip()
        if box and box not in _OPEN + _DONE + _HALF:
            return
        self._item = None
        if not box or box in _HALF:
            self.errors.append(
                f"line {number}: the box [{box}] is neither open nor done. Write [ ] for open, [x] for done."
            )
            return
        found = _ID.match(text)
        text = text[found.end() :] if found else text
        if not text:
            self.errors.append(f"line {number}: the item has no text. Write the task behind the box.")
            return
        self._item = Item(
            line=number,
            text=text,
            is_done=box in _DONE,
            id=found["id"] if found else "",
            phase=self._phase,
            heading=self._heading,
            indent=len(match["indent"]),
        )
        self.items.append(self._item)
