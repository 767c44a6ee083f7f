"""Languages: found out from a repository's files, or by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.languages.base import Language, LineCount, Step
from pytest_cobbler.languages.none import NoLanguage
from pytest_cobbler.languages.python import Python

__all__ = ["Language", "LineCount", "Step", "detect", "get"]

_LANGUAGES: Mapping[str, Language] = {"python": Python(), "none": NoLanguage()}


def get(name: str) -> Language:
    """The language called ``name``.

    Raises:
        UsageProblem: there is none.
    """
    try:
        return _LANGUAGES[name]
    except KeyError:
        raise UsageProblem(f"language: {name} is not known; known: {', '.join(_LANGUAGES)}") from None


def detect(tracked: Iterable[str]) -> Language:
    """The language of a repository with the files ``tracked`` (git's paths); ``none`` if nothing tells.

    Raises:
        UsageProblem: it is a Go module, which needs a word of the configuration.
    """
    paths = frozenset(tracked)
    if "go.mod" in paths:
        raise UsageProblem(
            "go.mod: this is a Go module, and the language go is planned, not available in this version",
            "Set in configuration.yaml `language: none` with build_command and test_command, for example "
            "`go build ./...` and `go test ./...`; or `language: python` if that is what is to be generated.",
        )
    python = get("python")
    if not paths.isdisjoint(python.module_files) or any(path.endswith(".py") for path in paths):
        return python
    return get("none")
