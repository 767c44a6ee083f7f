"""One issue in beads' JSON, as ``bd --json`` prints it and ``issues.jsonl`` keeps it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from pytest_cobbler.tracker.base import Task, moment_of

__all__ = ["Comment", "Dependency", "Issue"]

_UNWRITABLE = re.compile("[\0\ud800-\udfff]")
"""Characters that an environment variable or a text file cannot contain."""


class _FromBeads(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:
        if isinstance(data, dict) and None in data.values():
            return {name: value for name, value in data.items() if value is not None}
        return data


class Dependency(_FromBeads):
    """An edge; ``bd show`` prints the whole other issue instead, with a ``dependency_type``."""

    depends_on_id: str = Field(validation_alias=AliasChoices("depends_on_id", "id"))
    type: str = Field("blocks", validation_alias=AliasChoices("dependency_type", "type"))
    metadata: Any = None  # the text of a JSON object

    @property
    def gate(self) -> str:
        """Of a ``waits-for``: whether it waits for ``any-children`` or for all."""
        try:
            data = json.loads(self.metadata) if isinstance(self.metadata, str) else self.metadata
        except (ValueError, RecursionError):
            return ""
        return str(data.get("gate", "")) if isinstance(data, dict) else ""


class Comment(_FromBeads):
    id: int | str = 0
    author: str = ""
    text: str = ""
    created_at: str = ""


class Issue(_FromBeads):
    """The fields of an issue that are read; the others stay as they are."""

    id: str
    title: str = ""
    description: str = ""
    status: str = "open"
    estimated_minutes: int = 0
    priority: int = 0  # the default of bd for a line without a priority
    issue_type: str = "task"
    assignee: str = ""
    created_at: str = ""
    defer_until: str = ""
    pinned: bool = False
    ephemeral: bool = False
    is_template: bool = False
    updated_at: str = ""  # the embedded store reads it from the raw record; the type is checked here
    labels: tuple[str, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    comments: tuple[Comment, ...] = ()
    metadata: Any = None

    @field_validator("title", "description", mode="before")
    @classmethod
    def _is_writable(cls, text: Any) -> Any:
        return _UNWRITABLE.sub("\ufffd", text) if isinstance(text, str) else text

    @field_validator("estimated_minutes", mode="before")
    @classmethod
    def _unusable_is_none(cls, minutes: Any) -> int:
        """An estimate is a hint: no reason to refuse an issue."""
        return minutes if type(minutes) is int and minutes > 0 else 0

    @field_validator("status", "issue_type")
    @classmethod
    def _empty_is_default(cls, text: str, info: ValidationInfo) -> str:
        # bd does not tell an empty text from a missing one.
        default: str = cls.model_fields[info.field_name or ""].default
        return text or default

    def task(self) -> Task:
        return Task(
            id=self.id,
            title=self.title,
            description=self.description,
            status="open" if self._is_awake else self.status,
            type=self.issue_type,
            priority=self.priority,
            minutes=self.estimated_minutes,
            needs=self._ends("blocks", "conditional-blocks"),
            parent=next(iter(self._ends("parent-child")), ""),
            waits_for=self._waits(any_child=False),
            waits_for_any=self._waits(any_child=True),
            labels=tuple(sorted(self.labels)),
            assignee=self.assignee,
            created_at=self.created_at,
            defer_until=self.defer_until,
            is_pinned=self.pinned,
            is_ephemeral=self.ephemeral,
            is_template=self.is_template,
            metadata=self.metadata if isinstance(self.metadata, dict) else {},
        )

    @property
    def _is_awake(self) -> bool:
        """Whether it was deferred to a time that is over: bd opens it when a user looks for work."""
        dated = self.status == "deferred" and self.defer_until
        return bool(dated) and moment_of(self.defer_until) <= datetime.now(UTC)

    def _waits(self, *, any_child: bool) -> tuple[str, ...]:
        return tuple(
            edge.depends_on_id
            for edge in self.dependencies
            if edge.type == "waits-for" and (edge.gate == "any-children") == any_child
        )

    def comments_of(self, author: str) -> tuple[str, ...]:
        """The comments of ``author``, oldest first."""
        by_age = sorted(self.comments, key=lambda comment: comment.created_at)
        return tuple(comment.text for comment in by_age if comment.author == author)

    def _ends(self, *types: str) -> tuple[str, ...]:
        return tuple(edge.depends_on_id for edge in self.dependencies if edge.type in types)
