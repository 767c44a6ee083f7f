"""What an item used, as it is written into the tracker."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from pytest_cobbler.agents.base import AgentResult, Usage
from pytest_cobbler.languages import LineCount
from pytest_cobbler.repository.trailers import TOKENS


@dataclass(frozen=True, kw_only=True)
class Record:
    """What an item used, over all its attempts; seconds are wall time.

    ``queue_seconds``: waiting for a slot, the tracker or the landing lane. ``earlier`` and
    ``earlier_seconds``: of the attempts before the last one. ``lines_before``, ``lines_after``: of the
    sources on the branch, where the item came so far.
    """

    attempts: int = 0
    agent_seconds: float = 0.0
    gate_seconds: float = 0.0
    landing_seconds: float = 0.0
    queue_seconds: float = 0.0
    usage: Usage = field(default_factory=Usage)
    earlier: Usage = field(default_factory=Usage)
    earlier_seconds: float = 0.0
    insertions: int = 0
    deletions: int = 0
    files: int = 0
    lines_before: LineCount | None = None
    lines_after: LineCount | None = None
    started_at: str = ""
    transcript: str = ""

    @property
    def seconds(self) -> float:
        """What the item is said to have taken: agent, gate and landing, not the waiting between."""
        return self.agent_seconds + self.gate_seconds + self.landing_seconds

    def with_attempt(self, result: AgentResult, transcript: Path) -> Record:
        """With one more attempt of an agent, which ended so."""
        usage = result.usage
        costs = [cost for cost in (self.usage.cost_usd, usage.cost_usd) if cost is not None]
        return replace(
            self,
            earlier=self.usage,
            earlier_seconds=self.seconds,
            usage=Usage(
                turns=self.usage.turns + usage.turns,
                tokens_input=self.usage.tokens_input + usage.tokens_input,
                tokens_output=self.usage.tokens_output + usage.tokens_output,
                tokens_cache_read=self.usage.tokens_cache_read + usage.tokens_cache_read,
                tokens_cache_write=self.usage.tokens_cache_write + usage.tokens_cache_write,
                cost_usd=sum(costs) if costs else None,
                model=usage.model or self.usage.model,
            ),
            attempts=self.attempts + 1,
            agent_seconds=self.agent_seconds + result.completed.seconds,
            transcript=str(transcript),
        )

    def as_json(self, caller: str, **more: object) -> str:
        """The invocation record that becomes a comment in the tracker."""
        return json.dumps(
            {
                "caller": caller,
                "started_at": self.started_at,
                "duration_s": round(self.seconds, 1),
                "attempts": self.attempts,
                "tokens": _tokens(self.usage),
                "cost_usd": self.usage.cost_usd,
                **self._earlier(),
                "model": self.usage.model,
                "diff": {"files": self.files, "insertions": self.insertions, "deletions": self.deletions},
                **self._lines(),
                **more,
            },
            ensure_ascii=False,
        )

    def _earlier(self) -> dict[str, object]:
        """What of it went into attempts that did not end it."""
        if self.attempts < 2:
            return {}
        spent = {"duration_s": round(self.earlier_seconds, 1), "attempts": self.attempts - 1}
        return {"earlier": {**spent, "tokens": _tokens(self.earlier), "cost_usd": self.earlier.cost_usd}}

    def _lines(self) -> dict[str, object]:
        counted = {"loc_before": self.lines_before, "loc_after": self.lines_after}
        return {name: asdict(count) for name, count in counted.items() if count}


def _tokens(usage: Usage) -> dict[str, int]:
    kinds = asdict(usage)
    return {kind: kinds[f"tokens_{kind}"] for kind in TOKENS}
