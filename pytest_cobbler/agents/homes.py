"""The directory for a program's own files, made in its job before it starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources

__all__ = ["Home"]


@dataclass(frozen=True, kw_only=True)
class Home:
    """A directory that has nothing but what is put into it.

    The ``variable`` of the program's environment names it, for the files of a conversation. Otherwise it is
    ``directory`` in the home of the job. ``files`` are copied into it: name -> a file, as the job sees it.
    ``texts`` are written into it: name -> content. ``further`` are more variables of the environment -> the
    directories in it that they name. ``hidden`` are settings of codex that turn off skills of the worktree:
    name -> the directories that have them.
    """

    variable: str
    directory: str
    files: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    further: Mapping[str, str] = field(default_factory=dict)
    hidden: Mapping[str, str] = field(default_factory=dict)

    def around(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """The command line that makes the directory and starts ``argv``."""
        script = resources.files("pytest_cobbler").joinpath("data/home.sh").read_text("utf-8")
        return ("sh", "-c", script, "home", self.variable, self.directory, *self._words(), "--", *argv)

    def _words(self) -> Iterator[str]:
        kinds = {"copy": self.files, "write": self.texts, "name": self.further, "hide": self.hidden}
        for how, given in kinds.items():
            for name, value in given.items():
                yield from (how, name, value)
