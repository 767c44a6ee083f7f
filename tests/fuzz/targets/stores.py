"""Tracker stores that other programs wrote, and calls of a run on them.

An input is an object: ``lines``, those of ``issues.jsonl`` (text, or an issue); ``calls``, each a list: the
method of the tracker, the number of the task among those of the store, and a text.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from pytest_cobbler.errors import TrackerError
from pytest_cobbler.lifecycle.records import read_records
from pytest_cobbler.lifecycle.selection import select_tasks
from pytest_cobbler.tracker.base import ACTOR, METADATA, TITLE_LIMIT, NewTask, Task
from pytest_cobbler.tracker.embedded import EmbeddedTracker
from tests.fuzz.target import Target, to_bytes, to_text
from tests.support.stores import MINE, THEIRS

_MEMORY = Path("/dev/shm")
_IDS = ("proj-a", "proj-b", "proj-c", "other-1", "proj-a.1", "x", "ü", "")
_STATUSES = ("open", "in_progress", "closed", "deferred", "blocked", "pinned")
_FIELDS = (
    *(
        "_type",
        "_schema",
        "id",
        "title",
        "description",
        "status",
        "priority",
        "issue_type",
        "assignee",
        "created_at",
    ),
    *(
        "updated_at",
        "metadata",
        "labels",
        "dependencies",
        "comments",
        "comment_count",
        "closed_at",
        "close_reason",
    ),
    *("started_at", "lease_expires_at", "x_unknown"),
)
_CLAIM = {METADATA: dict(MINE.__dict__)}
_RECORD = '{"caller": "stitch", "generation": "g", "attempts": 1, "tokens": {"input": 3}, "cost_usd": 0.5}'
_WORDS = (
    *_IDS,
    *_STATUSES,
    *_FIELDS,
    *(
        ACTOR,
        METADATA,
        "jane",
        "task",
        "epic",
        "blocks",
        "conditional-blocks",
        "parent-child",
        "waits-for",
        "NaN",
    ),
    *(
        "2026-01-02T03:04:05Z",
        "9999-12-31T23:59:59Z",
        "0001-01-01T00:00:00+23:59",
        "generation-x",
        "1e400",
        "2.50",
    ),
    *(
        _RECORD,
        '{"caller":"stitch"}',
        "<<<<<<< HEAD",
        "\\u00fc",
        " ",
        "<&>",
        "\u2028",
        "12345678901234567890123",
    ),
)
_TEXTS = st.sampled_from(_WORDS) | st.text(max_size=5)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=4,
)
_NAMES = st.sampled_from(_IDS[:3]) | st.sampled_from(_IDS)
_BLOCKS = st.fixed_dictionaries({"depends_on_id": st.sampled_from(_IDS[:3])})
_EDGES = st.fixed_dictionaries(
    {"depends_on_id": _NAMES},
    optional={
        "type": st.sampled_from(["blocks", "parent-child", "waits-for"]),
        "id": _TEXTS,
    },
)
_COMMENTS = st.fixed_dictionaries(
    {"text": _TEXTS | st.just(_RECORD)},
    optional={
        "id": st.integers(0, 50) | _TEXTS,
        "author": st.sampled_from([ACTOR, "jane"]),
        "created_at": _TEXTS,
    },
)
_GOOD = st.fixed_dictionaries(
    {"id": _NAMES},
    optional={
        "title": _TEXTS,
        "status": st.sampled_from(_STATUSES[:3]) | st.sampled_from(_STATUSES),
        "assignee": st.sampled_from([ACTOR, "jane", ""]),
        "priority": st.integers(0, 4),
        "metadata": st.just(_CLAIM) | _VALUES,
        "dependencies": st.lists(_BLOCKS, max_size=3) | st.lists(_EDGES, max_size=3),
        "comments": st.lists(_COMMENTS, max_size=2),
        "labels": st.lists(_TEXTS, max_size=2),
        "updated_at": _TEXTS,
    },
)
_ISSUE = st.builds(
    lambda good, strange: {**good, **strange},
    _GOOD,
    st.dictionaries(st.sampled_from(_FIELDS), _VALUES, max_size=2),
)
_CALLS = (
    "create",
    "claim",
    "claim_theirs",
    "release",
    "reopen",
    "comment",
    "close",
    "another",
    "again",
    "edit",
)
_CALL = st.tuples(st.sampled_from(_CALLS) | st.just("close"), st.integers(0, 6), _TEXTS).map(list)
INPUTS = st.fixed_dictionaries(
    {
        "lines": st.lists(_GOOD, max_size=5, unique_by=lambda issue: str(issue["id"]))
        | st.lists(_ISSUE | _TEXTS | st.binary(max_size=9).map(to_text), max_size=4),
        "calls": st.lists(_CALL, max_size=8),
    }
)

Issues = dict[str, dict[str, Any]]


class Store:
    """A tracker, and what its file has to contain by a model of the documented rules."""

    def __init__(self, root: Path, lines: list[bytes]) -> None:
        self.root = root
        self.file = root / ".beads" / "issues.jsonl"
        self.file.parent.mkdir()
        self.file.write_bytes(b"\n".join(lines))
        self.tracker = self.another()

    def another(self) -> EmbeddedTracker:
        """A tracker of another process."""
        return EmbeddedTracker(self.root, self.file.parent, prefix="proj", timeout=5.0)

    def edit(self, text: str) -> None:
        """Add an issue, as another program does."""
        issue = {
            "id": f"edited-{self.file.stat().st_size}",
            "title": text,
            "status": "deferred",
        }
        with self.file.open("a") as file:
            file.write(f"\n{json.dumps(issue)}")

    def issues(self) -> Issues:
        """The issues in the file by another reader, with numbers as they are written."""
        found: Issues = {}
        for line in self.file.read_bytes().split(b"\n"):
            if line.strip():
                issue = json.loads(line, parse_float=str, parse_int=str)
                if issue.get("_type", "issue") == "issue" and "_schema" not in issue:
                    assert issue["id"] not in found
                    found[issue["id"]] = issue
        return found

    def other_lines(self, name: str) -> list[bytes]:
        """The lines of the file, without those of one issue, in the order of their bytes."""
        lines = [line for line in self.file.read_bytes().split(b"\n") if line.strip()]
        return sorted(line for line in lines if json.loads(line).get("id") != name)


def run(data: Any) -> None:
    if not isinstance(data, dict):
        return
    given, calls = data.get("lines"), data.get("calls")
    lines = [
        (
            to_bytes(line)
            if isinstance(line, str)
            else json.dumps(line, ensure_ascii=bool(number % 2)).encode("utf-8", "replace")
        )
        for number, line in enumerate(given if isinstance(given, list) else ())
    ]
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as directory:
        store = Store(Path(directory), [line.replace(b"\n", b"") for line in lines])
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, list):
                make(store, [*call, None, None, None][:3])
        check_reading(store)


def make(store: Store, call: list[Any]) -> None:
    """Make one call, and compare the file with the one before."""
    if call[0] == "edit":
        store.edit(call[2] if isinstance(call[2], str) else "")
        return
    before = store.file.read_bytes()
    try:
        tasks = {task.id: task for task in store.tracker.tasks()}
    except TrackerError:
        tasks = {}
    issues = store.issues() if tasks else {}
    name, text = chosen(tasks, call[1]), call[2] if isinstance(call[2], str) else ""
    others = store.other_lines(name) if tasks else []
    allowed = is_allowed(call[0], tasks.get(name), tasks, text)
    try:
        created = carry_out(store, call[0], name, text)
    except TrackerError:
        assert allowed is not True, (call, "refused")
        assert store.file.read_bytes() == before, "an error has changed the file"
        return
    assert allowed is not False, (call, "not refused")
    if created or store.file.read_bytes() != before:
        check_write(store, call[0], name, text, issues, others, created)


def chosen(tasks: Mapping[str, Task], number: Any) -> str:
    names = sorted(tasks)
    return names[number % len(names)] if names and type(number) is int else "proj-none"


def is_allowed(method: Any, task: Task | None, tasks: Mapping[str, Task], text: str) -> bool | None:
    """Whether the protocol allows a call; ``None``: that depends on what is not modelled here."""
    if method == "create":
        size = len(f"t{text}".encode("utf-8", "replace"))
        return None if not tasks else size <= TITLE_LIMIT
    if method not in _CALLS or method in ("another", "again"):
        return None
    if task is None:
        return False
    held = task.status == "in_progress" and task.claim is not None
    match method:
        case "claim" | "claim_theirs":
            claim = MINE if method == "claim" else THEIRS
            return task.claim == claim or (task.status == "open" and task.assignee in ("", ACTOR))
        case "release":
            return task.status == "open" or held
        case "reopen":
            return task.status in ("open", "closed")
        case "close":
            met = ("closed", "pinned")
            waits = any(need in tasks and tasks[need].status not in met for need in task.needs)
            return task.status == "closed" or (task.assignee in ("", ACTOR) and not waits)
    return True


def carry_out(store: Store, method: Any, name: str, text: str) -> set[str]:
    """Make a call; the ids of new tasks."""
    tracker = store.tracker
    match method:
        case "create":
            batch = [
                NewTask(key="a", title=f"t{text}", description=text),
                NewTask(
                    key="b",
                    title="b",
                    description="",
                    needs=("a",),
                    labels=("generation-x",),
                ),
            ]
            return set(tracker.create(batch).values())
        case "claim":
            tracker.claim(name, MINE)
        case "claim_theirs":
            tracker.claim(name, THEIRS)
        case "release":
            tracker.release(name, text)
        case "reopen":
            tracker.reopen(name, text)
        case "comment":
            tracker.comment(name, text)
        case "close":
            tracker.close(name, text)
        case "another":
            store.tracker = store.another()
        case "again":
            tracker.tasks()
    return set()


def check_write(
    store: Store,
    method: str,
    name: str,
    text: str,
    issues: Issues,
    others: list[bytes],
    created: set[str],
) -> None:
    """The call changed the fields of its task that it has to change, and no other byte of a line."""
    found = store.issues()
    assert found.keys() == issues.keys() | created
    assert store.file.read_bytes().endswith(b"\n")
    assert len(created) == (2 if method == "create" else 0)
    if method == "create":
        assert created.isdisjoint(issues)
        return
    assert store.other_lines(name) == others, "another line has changed"
    old, new = issues[name], found[name]
    changed = {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
    fields = {
        "updated_at",
        "comments",
        "comment_count",
        "metadata",
        "status",
        "assignee",
        "started_at",
    }
    fields |= {
        "closed_at",
        "close_reason",
        "closed_by_session",
        "lease_expires_at",
        "heartbeat_at",
        "lease_granted_node",
    }
    assert changed <= fields, changed
    status = {
        "claim": "in_progress",
        "claim_theirs": "in_progress",
        "close": "closed",
    }.get(method, "open")
    assert method == "comment" or new["status"] == status
    if method in ("release", "reopen", "comment") and (text or method == "comment"):
        assert (
            new["comments"][-1]["text"] == text.encode("utf-8", "replace").decode()
            or "\ufffd" in new["comments"][-1]["text"]
        )
        assert len(new["comments"]) == len(old.get("comments") or []) + 1
    if method in ("close", "release", "reopen"):
        assert ("closed_at" in new) == (method == "close")
    numbers = [
        comment["id"]
        for issue in found.values()
        for comment in issue.get("comments") or ()
        if "id" in comment
    ]
    if len(new.get("comments") or ()) > len(old.get("comments") or ()):
        assert numbers.count(new["comments"][-1]["id"]) == 1
    metadata = old.get("metadata")
    if isinstance(metadata, dict):
        kept = {key: value for key, value in metadata.items() if key != METADATA}
        assert {key: value for key, value in (new.get("metadata") or {}).items() if key != METADATA} == kept


def check_reading(store: Store) -> None:
    """Another process reads the same; a store that cannot be read is an error for each of them."""
    fresh = store.another()
    try:
        tasks = store.tracker.tasks()
    except TrackerError:
        for read in (fresh.tasks, fresh.comments):
            try:
                read()
            except TrackerError:
                continue
            raise AssertionError("a damaged store was read") from None
        return
    assert fresh.tasks() == tasks
    assert [task.id for task in tasks] == sorted(store.issues() if store.file.exists() else ())
    comments = fresh.comments()
    assert store.tracker.comments() == comments
    for name, texts in comments.items():
        for record in read_records(name, texts):
            assert all(count >= 0 for count in record.usage.tokens.values())
            assert (record.usage.cost_usd or 0.0) >= 0
    check_selection(tasks)


def check_selection(tasks: list[Task]) -> None:
    """A session does each of its open tasks once, after its needs, or says why not."""
    chosen = select_tasks(
        tasks,
        finished=(),
        foreign_labels=frozenset({"generation-x"}),
        task_label=None,
        limit=3,
    )
    names = [task.id for task in (*chosen.taken, *chosen.left)]
    assert len(set(names)) == len(names)
    assert len(chosen.taken) <= 3
    assert chosen.waiting.keys().isdisjoint(names)
    by_id = {task.id: task for task in tasks}
    for place, name in enumerate(names):
        assert by_id[name].status in ("open", "in_progress")
        assert "generation-x" not in by_id[name].labels
        for need in by_id[name].needs:
            if need in by_id and by_id[need].status not in ("closed", "pinned"):
                assert need in names[:place], (name, need)


TARGET = Target(name="stores", inputs=INPUTS, run=run, words=_WORDS, steps=(60_000, 300))
