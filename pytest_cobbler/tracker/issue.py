"""One issue in beads' JSON, as ``bd --json`` prints it and ``issues.jsonl`` keeps it."""

from __future__ import annotations

import re
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

from pytest_cobbler.tracker.base import Task

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
    priority: int = 0  # the default of bd for a line without a priority
    issue_type: str = "task"
    assignee: str = ""
    created_at: str = ""
    updated_at: str = ""  # the embedded store reads it from the raw record; the type is checked here
    labels: tuple[str, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    comments: tuple[Comment, ...] = ()
    metadata: Any = None

    @field_validator("title", "description", mode="before")
    @classmethod
    def _is_writable(cls, text: Any) -> Any:
        return _UNWRITABLE.sub("\ufffd", text) if isinstance(text, str) else text

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
            status=self.status,
            type=self.issue_type,
            priority=self.priority,
            needs=self._ends("blocks", "conditional-blocks"),
            parent=next(iter(self._ends("parent-child")), ""),
            waits_for=self._ends("waits-for"),
            labels=tuple(sorted(self.labels)),
            assignee=self.assignee,
            created_at=self.created_at,
            metadata=self.metadata if isinstance(self.metadata, dict) else {},
        )

    def comments_of(self, author: str) -> tuple[str, ...]:
        """The comments of ``author``, oldest first."""
        by_age = sorted(self.comments, key=lambda comment: comment.created_at)
        return tuple(comment.text for comment in by_age if comment.author == author)

    def _ends(self, *types: str) -> tuple[str, ...]:
        return tuple(edge.depends_on_id for edge in self.dependencies if edge.type in types)
