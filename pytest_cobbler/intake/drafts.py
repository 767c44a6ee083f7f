"""What a file with tasks holds, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_cobbler.cycle.proposals import Proposal, normalised

__all__ = ["STDIN", "Draft", "Source"]

STDIN = "-"
"""The name of a source that is read from standard input."""


class Draft(Proposal):
    """A task in a file.

    ``line`` is where it begins; ``key`` its id there, such as T001, or empty; ``labels`` are those that it
    gets in the tracker.
    """

    line: int
    key: str = ""
    labels: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"line {self.line}: {super().name}"

    def identity(self, source: str) -> str:
        """The name by which the tracker knows that the task was imported.

        An id counts in its file only, so a title has to tell tasks apart that came by standard input.
        """
        return f"{source}#{self.key if self.key and source != STDIN else normalised(self.title)}"


@dataclass(frozen=True, kw_only=True)
class Source:
    """A file that was read: its open tasks, and the tasks that are done, for display."""

    name: str
    drafts: tuple[Draft, ...] = ()
    done: tuple[str, ...] = ()
