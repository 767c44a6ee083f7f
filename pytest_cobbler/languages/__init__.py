"""Languages: detected from the files of a repository, or chosen by the configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.languages.base import Language, LineCount, Step
from pytest_cobbler.languages.go import Go
from pytest_cobbler.languages.none import NoLanguage
from pytest_cobbler.languages.python import Python

__all__ = ["Go", "Language", "LineCount", "Step", "detect", "get", "language_names"]

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


def language_names() -> tuple[str, ...]:
    """The names of all languages; of those that a repository may show, the first one wins."""
    return tuple(_LANGUAGES)


def detect(tracked: Iterable[str]) -> Language:
    """The language of a repository with these tracked files; ``none`` if the files do not show one."""
    paths = frozenset(tracked)
    for language in _LANGUAGES.values():
        if not paths.isdisjoint(language.module_files):
            return language
    return get("python" if any(path.endswith(".py") for path in paths) else "none")
