"""Languages: detected from the files of a repository, or chosen by the configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.languages.base import Language, LineCount, Step
from pytest_cobbler.languages.go import Go
from pytest_cobbler.languages.none import NoLanguage
from pytest_cobbler.languages.python import Python

__all__ = ["Go", "Language", "LineCount", "Step", "detect", "get"]

_LANGUAGES: Mapping[str, Language] = {"go": Go(), "python": Python(), "none": NoLanguage()}


def get(name: str) -> Language:
    """The language with this name.

    Raises:
        UsageProblem: there is no such language.
    """
    try:
        return _LANGUAGES[name]
    except KeyError:
        raise UsageProblem(f"unknown language {name}; known languages: {', '.join(_LANGUAGES)}") from None


def detect(tracked: Iterable[str]) -> Language:
    """The language of a repository with these tracked files; ``none`` if the files do not show one."""
    paths = frozenset(tracked)
    for name in ("go", "python"):
        if not paths.isdisjoint(get(name).module_files):
            return get(name)
    return get("python" if any(path.endswith(".py") for path in paths) else "none")
