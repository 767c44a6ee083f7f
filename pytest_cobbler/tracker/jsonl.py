"""``issues.jsonl``: beads' exchange format, one JSON object a line, read and replaced as a whole.

Unknown content survives byte for byte: lines of other kinds, lines that did not change, and in a changed line
every value that was not replaced.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pytest_cobbler.errors import TrackerError
from pytest_cobbler.files import write_atomically
from pytest_cobbler.tracker.base import Task
from pytest_cobbler.tracker.issue import Issue

__all__ = ["FIELDS", "IssueFile", "Line", "Record", "encode"]

_ORDER = """
_type id title description design acceptance_criteria notes spec_id status priority issue_type assignee owner
estimated_minutes created_at created_by updated_at started_at closed_at close_reason closed_by_session
lease_expires_at heartbeat_at lease_granted_node due_at defer_until external_ref source_system metadata
compaction_level compacted_at compacted_at_commit original_size labels dependencies comments sender ephemeral
no_history wisp_type storage_class pinned is_template bonded_from await_type await_id timeout waiters
source_formula source_location mol_type work_type event_kind actor target payload dependency_count
dependent_count comment_count parent wisp_plane
"""
FIELDS = tuple(_ORDER.split())
"""The order in which bd 1.3.0 writes the fields of an issue."""

_PLACE = {name: place for place, name in enumerate(FIELDS)}
_ESCAPES = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}
_SURROGATE = re.compile("[\ud800-\udfff]")
_SPACE = re.compile(r"[ \t\r\n]*")


def encode(value: Any) -> str:
    """``value`` as Go's encoding/json writes it: compact, non-ASCII raw, the characters of HTML escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return _SURROGATE.sub("\ufffd", text).translate(_ESCAPES)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_decoder = json.JSONDecoder(parse_constant=_refuse_constant)


class Record:
    """A JSON object whose values keep their text until they are replaced."""

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        self._raw = {name: encode(value) for name, value in (values or {}).items()}

    @classmethod
    def parse(cls, text: str) -> Record:
        """Parse ``text``, which must be one JSON object."""
        record = cls()
        at = _past(text, 0) + 1
        while text[at := _past(text, at)] != "}":
            if text[at] == ",":
                at = _past(text, at + 1)
            name, at = _decoder.raw_decode(text, at)
            begin = _past(text, _past(text, at) + 1)
            _, at = _decoder.raw_decode(text, begin)
            record._raw[name] = text[begin:at]
        return record

    def __contains__(self, name: str) -> bool:
        return name in self._raw

    def get(self, name: str, default: Any = None) -> Any:
        return json.loads(self._raw[name]) if name in self._raw else default

    def set(self, name: str, value: Any) -> None:
        """Replace a value, or add it in the position in which bd writes it."""
        self._put(name, encode(value))

    def edit(self, name: str, changes: Mapping[str, Any], without: Iterable[str] = ()) -> None:
        """Change members of the object under ``name``; an empty object is removed."""
        inner = Record.parse(self._raw[name]) if self._raw.get(name, "").startswith("{") else Record()
        inner.remove(*without)
        for member, value in changes.items():
            inner.set(member, value)
        if inner._raw:
            self._put(name, str(inner))
        else:
            self.remove(name)

    def append(self, name: str, item: Any) -> None:
        """Add ``item`` to the array under ``name``."""
        items = self._raw.get(name, "null").strip()
        inside = items[1:-1].strip() if items.startswith("[") else ""
        self._put(name, f"[{inside}{',' if inside else ''}{encode(item)}]")

    def remove(self, *names: str) -> None:
        for name in names:
            self._raw.pop(name, None)

    def _put(self, name: str, raw: str) -> None:
        if name in self._raw or name not in _PLACE:
            self._raw[name] = raw
            return
        later = [other for other in self._raw if _PLACE.get(other, -1) > _PLACE[name]]
        moved = {other: self._raw.pop(other) for other in _from(self._raw, later[:1])}
        self._raw |= {name: raw, **moved}

    def __str__(self) -> str:
        return "{" + ",".join(f"{encode(name)}:{raw}" for name, raw in self._raw.items()) + "}"


def _past(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _from(names: Iterable[str], first: list[str]) -> list[str]:
    ordered = list(names)
    return ordered[ordered.index(first[0]) :] if first else []


@dataclass(frozen=True, slots=True)
class Line:
    """A line; ``task`` is None if the line is not an issue."""

    text: str
    task: Task | None = None
    last_comment: int = 0

    @property
    def issue(self) -> Issue:
        """Everything that is read of an issue, with its comments."""
        # By the parser that accepted the line: pydantic's own one refuses half a character.
        return Issue.model_validate(_decoder.decode(self.text))

    @classmethod
    def of(cls, text: str) -> Line:
        """Parse a line.

        Raises:
            ValueError: the line is damaged.
        """
        data = _decoder.decode(text)
        if not isinstance(data, dict):
            raise ValueError("not a JSON object")
        if data.get("_type", "issue") != "issue" or "_schema" in data:
            return cls(text)
        try:
            issue = Issue.model_validate(data)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        numbers = (int(comment.id) for comment in issue.comments if str(comment.id).isdecimal())
        return cls(text, issue.task(), max(numbers, default=0))


class IssueFile:
    """The lines of a file, parsed again when the file changes. The caller locks the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int, int] | None = None
        self._issues: dict[str, Line] = {}
        self._head: list[str] = []
        self._tail: list[str] = []
        self._written = b""  # begins with a newline, so that every line is between two newlines

    def issues(self) -> Mapping[str, Line]:
        """The issues by id, sorted; empty if there is no file."""
        if self.path.is_symlink():
            raise TrackerError(
                f"{self.path} is a symbolic link", "replace the link by the file; links are not followed"
            )
        try:
            with self.path.open("rb") as file:
                seen = _identity(os.fstat(file.fileno()))
                if seen != self._seen:
                    self._parse(file.read())
                    self._seen = seen
        except FileNotFoundError:
            self._parse(b"")
        except OSError as error:
            raise TrackerError(f"cannot read {self.path}: {error.strerror}") from error
        return self._issues

    def write(self, changed: Iterable[Record]) -> None:
        """Replace or add issues; after an error the file has none of them."""
        lines = dict(_named(Line.of(str(record))) for record in changed)
        issues = self._issues | lines
        if len(issues) > len(self._issues):
            issues = dict(sorted(issues.items()))
            data = self._whole(issues)
        else:
            data = self._spliced(lines) or self._whole(issues)
        try:
            seen = _identity(write_atomically(self.path, memoryview(data)[1:], durable=True))
        except OSError as error:
            raise TrackerError(f"cannot write {self.path}: {error.strerror}") from error
        self._seen, self._issues, self._written = seen, issues, data

    def _whole(self, issues: Mapping[str, Line]) -> bytes:
        texts = ["", *self._head, *(line.text for line in issues.values()), *self._tail, ""]
        return "\n".join(texts).encode()

    def _spliced(self, lines: Mapping[str, Line]) -> bytes:
        """The last written content with some lines replaced; empty if that is not possible.

        With ten thousand issues this takes a third of the time of joining and encoding all lines.
        """
        data = self._written
        for name, line in lines.items():
            before = f"\n{self._issues[name].text}\n".encode()
            if before not in data:
                return b""
            data = data.replace(before, f"\n{line.text}\n".encode(), 1)
        return data

    def _parse(self, data: bytes) -> None:
        self._seen, self._written = None, b""
        issues: dict[str, tuple[int, Line]] = {}
        head: list[str] = []
        tail: list[str] = []
        for number, raw in enumerate(data.split(b"\n"), 1):
            if not raw.strip():
                continue
            line = self._line(number, raw)
            if line.task is None:
                (tail if issues else head).append(line.text)
            elif line.task.id in issues:
                raise self._damaged(
                    number, f"{line.task.id} is already on line {issues[line.task.id][0]}", raw
                )
            else:
                issues[line.task.id] = number, line
        self._issues = {name: issues[name][1] for name in sorted(issues)}
        self._head, self._tail = head, tail

    def _line(self, number: int, raw: bytes) -> Line:
        try:
            return Line.of(raw.decode())
        except (ValueError, RecursionError) as error:
            raise self._damaged(number, str(error), raw) from None

    def _damaged(self, number: int, what: str, raw: bytes) -> TrackerError:
        return TrackerError(
            f"{self.path}, line {number} is damaged: {what}",
            "fix or remove that line; nothing was changed",
            raw[:200].decode("utf-8", "replace"),
        )


def _named(line: Line) -> tuple[str, Line]:
    assert line.task is not None
    return line.task.id, line


def _identity(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_mtime_ns, status.st_size, status.st_ino
