"""Files of the checkout that the user's own configuration of git names, and git runs or reads."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from pytest_cobbler.repository.repository import Repository

__all__ = ["named_by_git"]

_HOOKS = "core.hookspath"
_INCLUDED = re.compile(r"include(?:if\..*)?\.path")
_WORD = re.compile(r"[^\s\"'`;&|()<>=!]+")


def named_by_git(repository: Repository) -> tuple[str, ...]:
    """Paths of such files and directories, from the top of the repository.

    Those are the directory of hooks and files that are included, also if they are missing, and files that
    other settings name: programs of filters, aliases and the like.
    """
    return tuple(dict.fromkeys(_paths(repository.root.resolve(), _places(repository))))


def _places(repository: Repository) -> Iterator[Path]:
    root = repository.root.resolve()
    for name, value in repository.settings():
        # The home of an unknown user, a name that is too long: git could not use such a value either.
        with contextlib.suppress(OSError, RuntimeError, ValueError):
            if name == _HOOKS:
                yield root / Path(value).expanduser()
            elif _INCLUDED.fullmatch(name):
                yield repository.git_dir / Path(value).expanduser()
            else:
                named = (root / word for word in _WORD.findall(value[:1000]) if "/" in word)
                yield from (place for place in named if place.is_file())


def _paths(root: Path, places: Iterable[Path]) -> Iterator[str]:
    for place in places:
        path = os.path.normpath(place)
        inside = os.path.relpath(path, root)
        if inside != "." and not inside.startswith(("..", ".git/")):
            yield inside
