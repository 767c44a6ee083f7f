"""Names in prompts and transcripts that differ in every run: paths, ids, the generation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from pytest_cobbler.agents.base import AgentRequest

__all__ = ["RunNames", "steady"]


class RunNames:
    """The names of one run, and their placeholders in recordings; thread-safe.

    Args:
        repository: its top directory.
        work_dir: the directory of worktrees.
    """

    def __init__(self, repository: Path | None = None, work_dir: Path | None = None) -> None:
        self._places = {}
        if work_dir:
            self._places[str(work_dir)] = "[work]"
        if repository:
            self._places[str(repository)] = "[repository]"
        self._ids: frozenset[str] = frozenset()
        self.generation = ""

    def learn(self, task_ids: Iterable[str]) -> None:
        """Add the ids of all tasks in the tracker."""
        self._ids = self._ids.union(task_ids)

    def steady(self, request: AgentRequest, text: str) -> str:
        """A text of an attempt (prompt, transcript), with placeholders for the names of this run."""
        names = {str(request.checkout.parent): "[worktree]", **self._places}
        if self.generation:
            names[self.generation] = "[generation]"
        return steady(text, names | dict.fromkeys(self._ids, "[task]"))


def steady(text: str, names: Mapping[str, str]) -> str:
    """``text``, with placeholders for the names that differ from run to run.

    Args:
        names: names of this run (paths, ids) -> their placeholders.
    """
    if names:
        pattern = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
        text = re.sub(rf"(?:(?<!\w)|(?<=\\[nrt]))(?:{pattern})(?!\w)", lambda match: names[match[0]], text)
    # Tasks of one measure are created in the same second, so their order depends on their ids.
    text = re.sub(
        r"(?:^\[task\]: .*\n)+", lambda match: _sorted(match[0].splitlines(keepends=True)), text, flags=re.M
    )
    return _ISSUES.sub(lambda match: f"[{_sorted(match[1].split(_NEXT), _NEXT)}]", text)


_NEXT = ",\n"
_ISSUES = re.compile(r'\[((?:\{"id": "\[task\]".*,\n)*\{"id": "\[task\]".*\})\]')


def _sorted(lines: Iterable[str], between: str = "") -> str:
    return between.join(sorted(lines))
