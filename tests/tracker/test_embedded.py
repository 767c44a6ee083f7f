from __future__ import annotations

import copy
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_cobbler.errors import TrackerError
from pytest_cobbler.tracker.base import ACTOR, Task
from pytest_cobbler.tracker.directory import bd_owns
from pytest_cobbler.tracker.embedded import EmbeddedTracker
from tests.support.stores import MINE, EmbeddedStore, issue, new


def test_a_new_directory_is_ignored_by_git(place: Path) -> None:
    git = ["git", "-C", str(place)]
    subprocess.run([*git, "init", "--quiet"], check=True)
    EmbeddedTracker(place, place / ".beads").create([new("a")])
    assert sorted(path.name for path in (place / ".beads").iterdir()) == [
        ".gitignore",
        ".jsonl.lock",
        "issues.jsonl",
    ]
    assert subprocess.run([*git, "status", "--porcelain"], check=True, capture_output=True).stdout == b""


def test_a_directory_of_the_user_is_not_ignored_by_git(embedded_store: EmbeddedStore) -> None:
    embedded_store.seed(issue("proj-abc"))
    embedded_store.tracker().comment("proj-abc", "text")
    assert not (embedded_store.file.parent / ".gitignore").exists()


@pytest.mark.parametrize("prefix", ["my-app", "x"])
def test_new_ids_continue_those_of_the_store(embedded_store: EmbeddedStore, prefix: str) -> None:
    embedded_store.seed(issue(f"{prefix}-abc"), issue(f"{prefix}-abd"), issue("other-abc"))
    name = embedded_store.tracker().create([new("a")])["a"]
    assert name.rpartition("-")[0] == prefix


def test_ids_of_a_new_store_are_named_after_the_repository(place: Path) -> None:
    root = place / "My App 2!"
    root.mkdir()
    name = EmbeddedTracker(root, root / ".beads").create([new("a")])["a"]
    assert name.startswith("my_app_2-")


def test_every_write_is_newer_than_the_last_by_a_second(embedded_store: EmbeddedStore) -> None:
    future = "2999-01-01T00:00:00.6Z"
    embedded_store.seed(issue("proj-abc", updated_at=future))
    tracker = embedded_store.tracker()
    seen = [future]
    for _ in range(3):
        tracker.comment("proj-abc", "text")
        seen.append(embedded_store.records()["proj-abc"]["updated_at"])
    assert seen[1:] == ["2999-01-01T00:00:02Z", "2999-01-01T00:00:03Z", "2999-01-01T00:00:04Z"]


@pytest.mark.parametrize(
    "time", ["9999-12-31T23:59:59Z", "9999-12-31T20:00:00-12:00", "0001-01-01T00:00:00+23:59"]
)
def test_a_time_at_an_end_of_the_calendar_does_not_end_a_write(
    embedded_store: EmbeddedStore, time: str
) -> None:
    embedded_store.seed(issue("proj-abc", updated_at=time))
    embedded_store.tracker().comment("proj-abc", "text")
    assert embedded_store.records()["proj-abc"]["updated_at"].startswith("20")


def test_comments_are_numbered_through_the_whole_file(embedded_store: EmbeddedStore) -> None:
    embedded_store.seed(
        issue("proj-abc", comments=[{"id": "41", "text": "a"}], comment_count=1),
        issue("proj-abd", comments=[{"id": "7025462c-a4ff-5f33-82a5-37cb1526d3ea", "text": "b"}]),
    )
    embedded_store.tracker().comment("proj-abd", "text")
    records = embedded_store.records()
    assert [comment["id"] for comment in records["proj-abd"]["comments"]][1] == 42
    assert records["proj-abc"]["comment_count"] == 1


def test_a_lease_ends_with_the_claim(embedded_store: EmbeddedStore) -> None:
    lease = {"lease_expires_at": "2026-01-01T00:00:00Z", "heartbeat_at": "2026-01-01T00:00:00Z"}
    held = {"status": "in_progress", "assignee": ACTOR, "metadata": {"cobbler": MINE.__dict__}}
    embedded_store.seed(issue("proj-abc", **lease, **held), issue("proj-abd", **lease, **held))
    tracker = embedded_store.tracker()
    tracker.release("proj-abc")
    tracker.close("proj-abd", "done")
    for record in embedded_store.records().values():
        assert record.keys().isdisjoint(lease)


@pytest.mark.parametrize(
    "sign",
    [
        lambda beads: (beads / "embeddeddolt").mkdir(),
        lambda beads: (beads / "dolt").mkdir(),
        lambda beads: (beads / "proxieddb").mkdir(),
        lambda beads: (beads / "beads.db").touch(),
        lambda beads: (beads / "redirect").write_text("../elsewhere/.beads"),
        lambda beads: (beads / "metadata.json").write_text('{"backend": "dolt"}'),
        lambda beads: (beads / "metadata.json").write_text('{"database": "dolt"}'),
        lambda beads: (beads / "metadata.json").write_text("{"),
    ],
)
def test_a_store_of_bd_is_neither_read_nor_written(
    embedded_store: EmbeddedStore, sign: Callable[[Path], object]
) -> None:
    embedded_store.seed(issue("proj-abc"))
    sign(embedded_store.file.parent)
    tracker = embedded_store.tracker()
    calls: list[Callable[[], object]] = [
        tracker.tasks,
        lambda: tracker.create([new("a")]),
        lambda: tracker.claim("proj-abc", MINE),
        lambda: tracker.release("proj-abc"),
        lambda: tracker.reopen("proj-abc"),
        lambda: tracker.comment("proj-abc", "text"),
        lambda: tracker.close("proj-abc", "done"),
    ]
    for call in calls:
        with pytest.raises(TrackerError, match="belongs to bd"):
            call()
    assert embedded_store.records() == {"proj-abc": issue("proj-abc")}


def test_metadata_of_an_old_bd_without_a_database_is_no_store_of_bd(place: Path) -> None:
    (place / "metadata.json").write_text('{"database": "beads.db", "jsonl_export": "issues.jsonl"}')
    assert bd_owns(place) == ""


def test_a_locked_store_is_an_error(embedded_store: EmbeddedStore) -> None:
    embedded_store.seed(issue("proj-abc"))
    tracker = EmbeddedTracker(embedded_store.root, embedded_store.file.parent, timeout=0.2)
    with (embedded_store.file.parent / ".jsonl.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(TrackerError, match="is locked"):
            tracker.comment("proj-abc", "text")
        assert len(tracker.tasks()) == 1
    tracker.comment("proj-abc", "text")


def test_a_damaged_store_is_not_written(embedded_store: EmbeddedStore) -> None:
    embedded_store.seed(issue("proj-abc"))
    with embedded_store.file.open("a") as file:
        file.write("<<<<<<< HEAD\n")
    before = embedded_store.file.read_bytes()
    for call in (lambda: embedded_store.tracker().comment("proj-abc", "x"), embedded_store.tracker().tasks):
        with pytest.raises(TrackerError, match="line 2 is damaged"):
            call()
    assert embedded_store.file.read_bytes() == before


def test_half_a_character_in_a_store_is_read(embedded_store: EmbeddedStore) -> None:
    embedded_store.file.parent.mkdir()
    comment = r'{"id":1,"author":"cobbler","text":"\ud800"}'
    embedded_store.file.write_text(rf'{{"id":"proj-a","title":"\ud800","comments":[{comment}]}}')
    assert [task.title for task in embedded_store.tracker().tasks()] == ["\ufffd"]
    assert embedded_store.tracker().comments() == {"proj-a": ("\ud800",)}


def test_a_full_disk_is_an_error(embedded_store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    embedded_store.seed(issue("proj-abc"))
    tracker = embedded_store.tracker()
    before = tracker.tasks()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(TrackerError, match="No space left on device"):
            tracker.claim("proj-abc", MINE)
    assert tracker.tasks() == before == embedded_store.tracker().tasks()


WRITER = """
import sys
from pathlib import Path
from pytest_cobbler.tracker.base import NewTask
from pytest_cobbler.tracker.embedded import EmbeddedTracker

root, who, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
tracker = EmbeddedTracker(root, root / ".beads", prefix="proj")
print("ready", flush=True)
for n in range(count):
    name = tracker.create([NewTask(key="k", title=f"{who} {n}", description="x" * 2000)])["k"]
    tracker.comment(name, f"{who} {n}")
    print(name, flush=True)
"""


def writer(root: Path, who: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root), who, str(count)], stdout=subprocess.PIPE, text=True
    )


@pytest.mark.slow
def test_parallel_writers_lose_no_task(embedded_store: EmbeddedStore) -> None:
    writers = [writer(embedded_store.root, who, 40) for who in ("one", "two", "three")]
    reader = embedded_store.tracker()
    while any(process.poll() is None for process in writers):
        reader.tasks()
    for process in writers:
        process.communicate()
        assert process.returncode == 0
    records = embedded_store.records()
    assert sorted(record["title"] for record in records.values()) == sorted(
        f"{who} {n}" for who in ("one", "two", "three") for n in range(40)
    )
    assert all(record["comments"][0]["text"] == record["title"] for record in records.values())
    assert sorted(record["comments"][0]["id"] for record in records.values()) == list(range(1, 121))


@pytest.mark.slow
def test_a_killed_writer_leaves_every_task_that_it_reported(embedded_store: EmbeddedStore) -> None:
    reported: list[str] = []
    for round in range(6):
        process = writer(embedded_store.root, f"round {round}", 10_000)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.05 + 0.013 * round)
        process.send_signal(signal.SIGKILL)
        out, _ = process.communicate()
        reported += out.split("\n")[:-1]
    assert reported
    found = {task.id for task in embedded_store.tracker().tasks()}
    assert found >= set(reported)
    embedded_store.tracker().create([new("after")])
    assert not list(embedded_store.file.parent.glob("*.tmp"))


def test_lines_stay_in_the_order_of_their_ids(embedded_store: EmbeddedStore) -> None:
    embedded_store.seed(issue("proj-c"), issue("proj-a.10"), issue("proj-a.2"), issue("proj-B"))
    embedded_store.tracker().comment("proj-c", "text")
    assert list(embedded_store.records()) == ["proj-B", "proj-a.10", "proj-a.2", "proj-c"]


def test_a_listed_task_does_not_change_with_the_store(embedded_store: EmbeddedStore) -> None:
    tracker = embedded_store.tracker()
    name = tracker.create([new("a", metadata={"x": "1"})])["a"]
    (before,) = tracker.tasks()
    kept: Task = copy.deepcopy(before)
    tracker.claim(name, MINE)
    tracker.close(name, "done")
    assert before == kept


def test_text_is_escaped_as_bd_escapes_it(embedded_store: EmbeddedStore) -> None:
    embedded_store.tracker().create([new("a", description="<ü>&\u2028")])
    assert '"description":"\\u003cü\\u003e\\u0026\\u2028"' in embedded_store.file.read_text()
