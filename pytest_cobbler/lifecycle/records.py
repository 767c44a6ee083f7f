"""What an item used, as a comment in the tracker has it: written here, and read again for statistics."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
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
    branch, if the item got so far. ``agents``: the usage of each agent, by its name. ``nodes``: where they
    worked, without this machine.
    """

    agent_seconds: float = 0.0
    gate_seconds: float = 0.0
    landing_seconds: float = 0.0
    queue_seconds: float = 0.0
    usage: Usage = NOTHING
    earlier: Usage = NOTHING
    kept: Usage = NOTHING
    agents: Mapping[str, Usage] = field(default_factory=dict)
    nodes: tuple[str, ...] = ()
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

    def with_attempt(self, result: AgentResult, transcript: Path, agent: str, node: str) -> Record:
        """The record with one more attempt, of the agent with that name.

        Args:
            node: where it worked; empty for this machine.
        """
        usage = replace(result.usage, attempts=1)
        return replace(
            self,
            earlier=self.whole,
            usage=self.usage + usage,
            agents={**self.agents, agent: self.agents.get(agent, NOTHING) + usage},
            nodes=tuple(dict.fromkeys([*self.nodes, *filter(None, [node])])),
            agent_seconds=self.agent_seconds + result.completed.seconds,
            transcript=str(transcript),
        )

    def counting(self, **seconds: float) -> Record:
        """The record with more of some times."""
        return replace(self, **{name: getattr(self, name) + value for name, value in seconds.items()})

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
                **(
                    {"agents": {name: one.to_json() for name, one in self.agents.items()}}
                    if self.agents
                    else {}
                ),
                **({"nodes": self.nodes} if self.nodes else {}),
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
    agents: Mapping[str, Usage] = field(default_factory=dict)


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
        agents=dict(_agents(record)),
    )


def _agents(record: Mapping[str, object]) -> Iterator[tuple[str, Usage]]:
    agents = record.get("agents")
    for name, usage in agents.items() if isinstance(agents, Mapping) else ():
        if isinstance(usage, Mapping):
            yield str(name), Usage.from_json(usage)


def _part(record: Mapping[str, object], name: str) -> Usage:
    part = record.get(name)
    return Usage.from_json(part) if isinstance(part, Mapping) else NOTHING


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("not a text")
    return value
