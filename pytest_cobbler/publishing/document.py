"""The content of report.json, from which report.html is made too; its schema is published.

Times are seconds since 1970. Texts may be those of agents: nothing in them can be trusted.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from pytest_cobbler.usage import Usage

__all__ = [
    "VERSION",
    "Amount",
    "AttemptPart",
    "Document",
    "GatePart",
    "GenerationPart",
    "ItemPart",
    "PathPart",
    "RunPart",
    "SpanPart",
    "StatementPart",
    "TaskPart",
    "WaitPart",
    "schema_text",
]

VERSION: Final = 1
"""Of the document; a key that changes its meaning or goes away makes it another."""

SCHEMA: Final = Path(__file__).parent.parent / "data" / "report.schema.json"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Amount(_Part):
    """What agents used. ``cost_usd`` is null if it is unknown, and a lower bound if ``cost_is_partial``."""

    attempts: int = 0
    turns: int = 0
    tokens_input: int = 0
    tokens_output: int = 0
    tokens_cache_read: int = 0
    tokens_cache_write: int = 0
    cost_usd: float | None = None
    cost_is_partial: bool = False
    model: str = ""

    @classmethod
    def of(cls, usage: Usage) -> Amount:
        return cls(
            attempts=usage.attempts,
            turns=usage.turns,
            tokens_input=usage.tokens_input,
            tokens_output=usage.tokens_output,
            tokens_cache_read=usage.tokens_cache_read,
            tokens_cache_write=usage.tokens_cache_write,
            cost_usd=None if usage.cost_usd is None else round(usage.cost_usd, 6),
            cost_is_partial=usage.cost_is_partial,
            model=usage.model,
        )

    def plus(self, other: Amount) -> Amount:
        return Amount.of(self._usage + other._usage)

    @property
    def _usage(self) -> Usage:
        return Usage(**self.model_dump())


class GatePart(_Part):
    """A gate that ran on a merged tree."""

    tree: str
    passed: bool
    summary: str = ""
    seconds: float = 0.0
    tests: str = ""
    ended: float | None = None


class StatementPart(_Part):
    """What the statement about a landing says of its gate."""

    verdict: str
    tree: str
    tip: str
    base: str
    image: str = ""
    signed: bool = False
    passed: int | None = None
    failed: int | None = None
    skipped: int | None = None
    results: dict[str, str] = Field(default_factory=dict)


class AttemptPart(_Part):
    """One run of an ``agent``, by the name that the configuration has for it.

    ``run`` is the id of the run that made it, as far as that is known. ``node`` is where the agent worked;
    empty for the machine of the run.

    ``cause`` and ``summary`` say why the work did not land. ``commit`` is the landed commit, ``ref`` the
    reference of work that is kept. ``directory`` has prompt, transcript, change and logs; it is relative to
    the report, and empty if these files are gone.
    """

    number: int
    agent: str = ""
    node: str = ""
    run: str = ""
    began: float | None = None
    seconds: float | None = None
    usage: Amount = Amount()
    outcome: str = ""
    cause: str = ""
    summary: str = ""
    files: int | None = None
    insertions: int | None = None
    deletions: int | None = None
    notes: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    gates: tuple[GatePart, ...] = ()
    session: str = ""
    commit: str = ""
    ref: str = ""
    directory: str = ""


class TaskPart(_Part):
    """A task, or a measure, over all runs of the generation.

    ``outcome`` is that of the latest run in which it was an item: a verdict, ``running``, ``killed``, or
    ``waiting``. ``needs`` are ids of tasks.
    """

    id: str
    kind: str
    title: str = ""
    outcome: str = ""
    cause: str = ""
    summary: str = ""
    commit: str = ""
    needs: tuple[str, ...] = ()
    seconds: float | None = None
    landed: Amount = Amount()
    wasted: Amount = Amount()
    attempts: tuple[AttemptPart, ...] = ()
    statement: StatementPart | None = None


class SpanPart(_Part):
    """A time that an item spent in one phase; ``end`` is null while it is in it."""

    phase: str
    begin: float
    end: float | None = None
    attempt: int = 0


class WaitPart(_Part):
    """A wait: for a ``need``, a ``slot``, the ``lane`` or the ``gate``. ``on`` is the item that ended it."""

    kind: str
    begin: float
    end: float
    on: str = ""


class ItemPart(_Part):
    """A task or a measure in one run; ``key`` is ``stitch::ID`` or ``measure::NAME``."""

    key: str
    title: str = ""
    outcome: str = ""
    cause: str = ""
    summary: str = ""
    needs: tuple[str, ...] = ()
    spans: tuple[SpanPart, ...] = ()
    waits: tuple[WaitPart, ...] = ()
    unblocked: tuple[str, ...] = ()
    usage: Amount = Amount()


class PathPart(_Part):
    """A step of the critical path."""

    key: str
    begin: float
    end: float


class RunPart(_Part):
    """One run. ``state`` is ``running``, ``ended`` or ``killed``; ``facts`` are those of its begin."""

    id: str
    state: str
    began: float
    last: float
    ended: float | None = None
    exit: int | None = None
    tip: str = ""
    facts: dict[str, Any] = Field(default_factory=dict)
    recovered: tuple[str, ...] = ()
    items: tuple[ItemPart, ...] = ()
    critical_path: tuple[PathPart, ...] = ()


class GenerationPart(_Part):
    """The generation. ``tip`` is the head of its branch, or its last commit; empty if it is gone."""

    name: str
    base: str = ""
    tip: str = ""


class Document(_Part):
    """A report of a generation.

    ``made`` is when the report was made, ``program`` the version that made it, ``configuration`` the name of
    the configuration file, as node ids have it. ``lacks`` says what could not be read.
    """

    version: int = VERSION
    made: float
    program: str
    project: str
    configuration: str
    generation: GenerationPart
    tasks: tuple[TaskPart, ...] = ()
    runs: tuple[RunPart, ...] = ()
    landed: Amount = Amount()
    wasted: Amount = Amount()
    measures: Amount = Amount()
    lacks: tuple[str, ...] = ()


def schema_text() -> str:
    """The JSON schema of the document, as it is published."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Document.model_json_schema(),
        "title": "report.json of pytest-cobbler",
    }
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def write_schema() -> None:
    """Bring the published schema up to date."""
    SCHEMA.write_text(schema_text(), encoding="utf-8")


if __name__ == "__main__":
    write_schema()
