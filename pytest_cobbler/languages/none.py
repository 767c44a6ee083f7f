"""No language in particular: nothing is counted, and the gate is what the configuration says."""

from __future__ import annotations

from pytest_cobbler.languages.base import NamedSources


class NoLanguage(NamedSources):
    name = "none"
    module_files: tuple[str, ...] = ()
