"""No language: no lines are counted, and the gate has only the commands of the configuration."""

from __future__ import annotations

from pytest_cobbler.languages.base import NamedSources


class NoLanguage(NamedSources):
    name = "none"
    module_files: tuple[str, ...] = ()
