"""The events of ``go test -json``: one of a line, and all of them as the log that ``go test`` prints."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["GoLog", "event_of"]

MOST_HELD: Final = 4 * 1024 * 1024
"""Characters of output that wait for the end of their packages."""

_ENDS: Final = frozenset({"pass", "fail", "skip"})
_FRAMING: Final = ("=== RUN ", "=== PAUSE ", "=== CONT ", "=== NAME ")
_VERDICTS: Final = ("ok  \t", "?   \t")


def event_of(line: bytes) -> Mapping[str, Any]:
    """The event of a line; empty if it is none. go prints other lines between them."""
    if not line.startswith(b"{"):
        return {}
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return event if isinstance(event, dict) else {}


@dataclass
class _Package:
    """Output of a package that has not ended: the test that printed it, and the text."""

    output: list[tuple[str, str]] = field(default_factory=list)
    passed: set[str] = field(default_factory=set)
    size: int = 0


class GoLog:
    """Turns lines of ``go test -json`` into those of ``go test``; other lines are passed on as they are.

    Of a package that passed, only go's last line is printed; of one that failed, all output but that of its
    tests that passed.

    Args:
        take: takes each line.
    """

    def __init__(self, take: Callable[[bytes], object]) -> None:
        self._take = take
        self._packages: dict[str, _Package] = {}
        self._size = 0

    def __call__(self, line: bytes) -> None:
        event = event_of(line)
        action = event.get("Action")
        name, test, text = (str(event.get(key, "")) for key in ("Package", "Test", "Output"))
        if not isinstance(action, str):
            self._take(line)
        elif action == "build-output":
            self._print([text])
        elif action == "output":
            self._hold(name, test, text)
        elif action in _ENDS and test:
            if action != "fail" and name in self._packages:
                self._packages[name].passed.add(test)
                self._grow(name, len(test))
        elif action in _ENDS:
            self._end(name, has_failed=action == "fail")

    def close(self) -> None:
        """Print the output of packages that have not ended."""
        for name in list(self._packages):
            self._end(name, has_failed=True)

    def _hold(self, name: str, test: str, text: str) -> None:
        self._packages.setdefault(name, _Package()).output.append((test, text))
        self._grow(name, len(test) + len(text))

    def _grow(self, name: str, size: int) -> None:
        self._packages[name].size += size
        self._size += size
        while self._size > MOST_HELD:
            self._end(next(iter(self._packages)), has_failed=True)

    def _end(self, name: str, *, has_failed: bool) -> None:
        package = self._packages.pop(name, _Package())
        self._size -= package.size
        self._print(list(_shown(package, has_failed)))

    def _print(self, texts: list[str]) -> None:
        for line in "".join(texts).removesuffix("\n").split("\n") if any(texts) else ():
            self._take(line.encode("utf-8", "replace"))


def _shown(package: _Package, has_failed: bool) -> Iterator[str]:
    for test, text in package.output:
        if has_failed:
            if test not in package.passed and not text.startswith(_FRAMING):
                yield text
        elif not test and text.startswith(_VERDICTS):
            yield text
