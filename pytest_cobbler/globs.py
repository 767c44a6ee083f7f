"""The language of path patterns in the configuration."""

from __future__ import annotations

import fnmatch


def matches_glob(path: str, pattern: str) -> bool:
    """``*`` within a name, ``**`` across directories."""
    parts = pattern.removeprefix("./").split("/")
    return _match(path.split("/"), parts)


def _match(names_left: list[str], parts: list[str]) -> bool:
    if not parts:
        return not names_left
    if parts[0] == "**":
        return any(_match(names_left[i:], parts[1:]) for i in range(len(names_left) + 1))
    return (
        bool(names_left)
        and fnmatch.fnmatchcase(names_left[0], parts[0])
        and _match(names_left[1:], parts[1:])
    )
