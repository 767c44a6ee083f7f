"""The embedded store: ``issues.jsonl`` in bd's own line format, without bd.

``bd init --from-jsonl`` turns such a store into one of bd; ``bd export`` writes one.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

from pytest_cobbler.errors import TrackerError
from pytest_cobbler.files import lock
from pytest_cobbler.tracker.base import (
    ACTOR,
    METADATA,
    ORDER,
    AlreadyClaimed,
    Claim,
    NewTask,
    Task,
    check_batch,
)
from pytest_cobbler.tracker.directory import ISSUES, bd_owns
from pytest_cobbler.tracker.ids import issue_prefix, new_ids, prefix_in_use
from pytest_cobbler.tracker.jsonl import IssueFile, Line, Record

__all__ = ["EmbeddedTracker", "bd_owns"]

_HELD = ("lease_expires_at", "heartbeat_at", "lease_granted_node")
_IGNORE_ALL = "# Made by pytest-cobbler: git ignores this directory. See docs/tracker.md to track it.\n*\n"


class EmbeddedTracker:
    """Tasks in ``beads_dir/issues.jsonl``.

    Args:
        root: the main checkout; its name is the prefix of ids if there is no ``prefix``.
        beads_dir: made by the first write if it is missing, and then ignored by git.
        prefix: prefix of the first ids; later ids take that of the present issues.
        timeout: seconds to wait for another writer.
    """

    def __init__(self, root: Path, beads_dir: Path, *, prefix: str = "", timeout: float = 60.0) -> None:
        self._beads_dir = beads_dir
        self._prefix = issue_prefix(prefix or root.resolve().name)
        self._timeout = timeout
        self._file = IssueFile(beads_dir / ISSUES)

    @property
    def description(self) -> str:
        return f"embedded store {self._file.path}"

    def tasks(self) -> list[Task]:
        self._refuse_bd()
        return [line.task for line in self._file.issues().values() if line.task]

    def comments(self) -> dict[str, tuple[str, ...]]:
        self._refuse_bd()
        issues = (line.issue for line in self._file.issues().values() if line.task)
        return {issue.id: comments for issue in issues if (comments := issue.comments_of(ACTOR))}

    def prepare(self) -> None:
        self._refuse_bd()
        _make_directory(self._beads_dir)
        with self._changing():
            pass

    def create(self, tasks: Sequence[NewTask]) -> dict[str, str]:
        check_batch(tasks)
        if not tasks:
            return {}
        self.prepare()
        with self._changing() as issues:
            for task_id in (need for task in tasks for need in task.existing_needs):
                _find(issues, task_id)
            # Each a microsecond later, so that the ids of equal tasks differ.
            now = _now()
            times = {task.key: now + timedelta(microseconds=place) for place, task in enumerate(tasks)}
            ids = new_ids(tasks, times, prefix_in_use(issues) or self._prefix, issues)
            waiting = Counter(need for task in tasks for need in set(task.needs))
            self._file.write(
                _new_issue(task, place, times[task.key], ids, waiting[task.key])
                for place, task in enumerate(tasks)
            )
        return ids

    def claim(self, task_id: str, claim: Claim) -> None:
        with self._changing() as issues:
            task = _find(issues, task_id)
            if task.claim == claim:
                return
            if task.status != "open" or task.assignee not in ("", ACTOR):
                raise AlreadyClaimed(f"{task_id} cannot be claimed: {task.state}")
            record, now = _touch(issues[task_id])
            record.set("status", "in_progress")
            record.set("assignee", ACTOR)
            if "started_at" not in record:
                record.set("started_at", now)
            record.edit("metadata", {METADATA: asdict(claim)})
            self._file.write([record])

    def release(self, task_id: str, comment: str = "", label: str = "") -> None:
        with self._changing() as issues:
            task = _find(issues, task_id)
            if task.status == "open":
                return
            if task.claim is None:
                raise TrackerError(f"cannot release {task_id}, which this run did not claim: {task.state}")
            self._open(issues, task_id, comment, label)

    def reopen(self, task_id: str, comment: str = "") -> None:
        with self._changing() as issues:
            task = _find(issues, task_id)
            if task.status == "open":
                return
            if task.status != "closed":
                raise TrackerError(f"{task_id} cannot be reopened: {task.state}")
            self._open(issues, task_id, comment)

    def comment(self, task_id: str, text: str) -> None:
        with self._changing() as issues:
            _find(issues, task_id)
            record, now = _touch(issues[task_id])
            _add_comment(record, task_id, _next_comment(issues), text, now)
            self._file.write([record])

    def close(self, task_id: str, reason: str) -> None:
        with self._changing() as issues:
            task = _find(issues, task_id)
            if task.status == "closed":
                return
            if task.assignee not in ("", ACTOR):
                raise TrackerError(f"cannot close {task_id}: {task.state}")
            # As in bd, where a pinned issue is never closed and blocks no other.
            met = ("closed", "pinned")
            waiting = [
                need for need in task.needs if need in issues and _find(issues, need).status not in met
            ]
            if waiting:
                raise TrackerError(f"{task_id} cannot be closed: it is blocked by {', '.join(waiting)}")
            record, now = _touch(issues[task_id])
            record.set("status", "closed")
            record.set("closed_at", now)
            record.set("close_reason", reason)
            record.remove(*_HELD)
            self._file.write([record])

    def _open(self, issues: Mapping[str, Line], task_id: str, comment: str, label: str = "") -> None:
        record, now = _touch(issues[task_id])
        if label:
            record.set("labels", sorted({*record.get("labels", []), label}))
        record.set("status", "open")
        record.remove("assignee", "closed_at", "close_reason", "closed_by_session", *_HELD)
        record.edit("metadata", {}, without=[METADATA])
        if comment:
            _add_comment(record, task_id, _next_comment(issues), comment, now)
        self._file.write([record])

    @contextlib.contextmanager
    def _changing(self) -> Iterator[Mapping[str, Line]]:
        """The issues as they are, locked against changes by other processes."""
        self._refuse_bd()
        try:
            lock_file = (self._beads_dir / ".jsonl.lock").open("ab")
        except FileNotFoundError:
            raise TrackerError(f"{self._beads_dir} has no tasks yet") from None
        except OSError as error:
            raise TrackerError(f"cannot write in {self._beads_dir}: {error.strerror}") from error
        with lock_file:
            self._lock(lock_file)
            self._refuse_bd()
            yield self._file.issues()

    def _lock(self, lock_file: IO[bytes]) -> None:
        try:
            lock(lock_file, patience=self._timeout)
        except BlockingIOError:
            raise TrackerError(
                f"{self._file.path} is locked by another process (waited {self._timeout:g} s)",
                f"`fuser {self._beads_dir / '.jsonl.lock'}` shows that process",
            ) from None

    def _refuse_bd(self) -> None:
        sign = bd_owns(self._beads_dir)
        if sign:
            raise TrackerError(
                f"{self._beads_dir} belongs to bd ({sign} shows it); {ISSUES} is only an export there",
                "set `tracker: bd` or `tracker: auto`, and install bd on PATH",
            )


def _make_directory(beads_dir: Path) -> None:
    try:
        beads_dir.mkdir(parents=True, exist_ok=True)
        if not any(beads_dir.iterdir()):
            (beads_dir / ".gitignore").write_text(_IGNORE_ALL, "utf-8")
    except OSError as error:
        raise TrackerError(f"cannot make {beads_dir}: {error.strerror}") from error


def _find(issues: Mapping[str, Line], task_id: str) -> Task:
    line = issues.get(task_id)
    if line is None or line.task is None:
        raise TrackerError(f"there is no task {task_id}")
    return line.task


def _touch(line: Line) -> tuple[Record, str]:
    """The issue with a later ``updated_at``, and that time.

    bd rounds to seconds, and its import skips an issue that is not newer by a second.
    """
    record = Record.parse(line.text)
    now = _now()
    # Another program may have written a time without a zone, or one at the end of the calendar.
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        before = datetime.fromisoformat(record.get("updated_at"))
        now = max(now, (before + timedelta(seconds=1.5)).replace(microsecond=0)).astimezone(UTC)
    record.set("updated_at", _rfc3339(now))
    return record, _rfc3339(now)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".") + "Z"


def _next_comment(issues: Mapping[str, Line]) -> int:
    return 1 + max(line.last_comment for line in issues.values())


def _add_comment(record: Record, task_id: str, number: int, text: str, now: str) -> None:
    # Numbers, though bd itself writes UUIDs: bd 0.49 cannot read those, every later version reads both.
    comment = {"id": number, "issue_id": task_id, "author": ACTOR, "text": text, "created_at": now}
    record.append("comments", comment)
    if "comment_count" in record:
        record.set("comment_count", len(record.get("comments")))


def _new_issue(
    task: NewTask, place: int, created: datetime, ids: Mapping[str, str], dependents: int
) -> Record:
    now = _rfc3339(created)
    edges = [
        {
            "issue_id": ids[task.key],
            "depends_on_id": need,
            "type": "blocks",
            "created_at": now,
            "created_by": ACTOR,
            "metadata": "{}",
        }
        for need in dict.fromkeys((*(ids[key] for key in task.needs), *task.existing_needs))
    ]
    values: dict[str, Any] = {
        "_type": "issue",
        "id": ids[task.key],
        "title": task.title,
        "description": task.description,
        "status": "open",
        "priority": task.priority,
        "issue_type": "task",
        "estimated_minutes": task.minutes,
        "created_at": now,
        "created_by": ACTOR,
        "updated_at": now,
        "metadata": {**task.metadata, ORDER: str(place)},
        "labels": sorted(set(task.labels)),
        "dependencies": edges,
        "dependency_count": len(edges),
        "dependent_count": dependents,
        "comment_count": 0,
    }
    optional = ("description", "estimated_minutes", "metadata", "labels", "dependencies")
    return Record({name: value for name, value in values.items() if value or name not in optional})
