"""What an item used, as a comment in the tracker has it: written here, and read again for statistics."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pytest_cobbler.agents.base import AgentResult
from pytest_cobbler.languages import LineCount
from pytest_cobbler.usage import NOTHING, Usage


@dataclass(frozen=True, kw_only=True)
class Record:
    """What an item used, over all its attempts; seconds are wall time.

    ``queue_seconds``: waiting for a slot, the tracker or the landing lane. ``usage`` is that of all attempts,
    ``earlier`` that of all but the last one. ``kept``: that of the attempt of an earlier run whose work goes
    to the gate; the record of that run has it too. ``lines_before``, ``lines_after``: of the sources on the
    branch, if the item got so far.
    """

    agent_seconds: float = 0.0
    gate_seconds: float = 0.0
    landing_seconds: float = 0.0
    queue_seconds: float = 0.0
    usage: Usage = NOTHING
    earlier: Usage = NOTHING
    kept: Usage = NOTHING
    insertions: int = 0
    deletions: int = 0
    files: int = 0
    lines_before: LineCount | None = None
    lines_after: LineCount | None = None
    started_at: str = ""
    transcript: str = ""

    @property
    def seconds(self) -> float:
        """The time of agent, gate and landing, without the waiting in between."""
        return self.agent_seconds + self.gate_seconds + self.landing_seconds

    @property
    def attempts(self) -> int:
        """Runs of the agent."""
        return self.usage.attempts

    @property
    def whole(self) -> Usage:
        """The usage with the time of agent, gate and landing."""
        return replace(self.usage, seconds=self.seconds)

    def with_attempt(self, result: AgentResult, transcript: Path) -> Record:
        """The record with one more attempt of an agent."""
        return replace(
            self,
            earlier=self.whole,
            usage=self.usage + replace(result.usage, attempts=1),
            agent_seconds=self.agent_seconds + result.completed.seconds,
            transcript=str(transcript),
        )

    def as_json(self, caller: str, **more: object) -> str:
        """The record as it becomes a comment in the tracker."""
        return json.dumps(
            {
                "caller": caller,
                "started_at": self.started_at,
                **self.whole.to_json(),
                **({"earlier": self.earlier.to_json()} if self.attempts > 1 else {}),
                **({"kept": self.kept.to_json()} if self.kept != NOTHING else {}),
                "model": self.usage.model,
                "diff": {"files": self.files, "insertions": self.insertions, "deletions": self.deletions},
                **self._lines(),
                **more,
            },
            ensure_ascii=False,
        )

    def _lines(self) -> dict[str, object]:
        counts = {"loc_before": self.lines_before, "loc_after": self.lines_after}
        return {name: asdict(count) for name, count in counts.items() if count}


@dataclass(frozen=True, kw_only=True)
class WrittenRecord:
    """A record among the comments of a task. ``commit`` is empty if the task did not land."""

    task: str
    caller: str
    generation: str
    commit: str
    usage: Usage
    earlier: Usage
    kept: Usage


_CALLERS = ("stitch", "measure", "recovery")


def read_records(task: str, comments: Iterable[str]) -> Iterator[WrittenRecord]:
    """The records among the comments of ``task``, as ``Record.as_json`` writes them.

    The record is the last line of its comment. Other comments are passed over.
    """
    for comment in comments:
        try:
            yield _read(task, json.loads(comment.rpartition("\n")[2]))
        except (ValueError, RecursionError):
            continue


def _read(task: str, record: object) -> WrittenRecord:
    if not isinstance(record, Mapping) or record.get("caller") not in _CALLERS:
        raise ValueError("not a record")
    return WrittenRecord(
        task=task,
        caller=record["caller"],
        generation=_text(record.get("generation")),
        commit=_text(record.get("commit", "")),
        usage=Usage.from_json(record),
        earlier=_part(record, "earlier"),
        kept=_part(record, "kept"),
    )


def _part(record: Mapping[str, object], name: str) -> Usage:
    part = record.get(name)
    return Usage.from_json(part) if isinstance(part, Mapping) else NOTHING


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("not a text")
    return value
