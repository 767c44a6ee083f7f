"""What is bd's own: its versions, its failures, and what it leaves in a checkout."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from pytest_cobbler.errors import TrackerError
from pytest_cobbler.tracker.base import AlreadyClaimed, Tracker
from pytest_cobbler.tracker.bd import BdTracker
from tests.support.processes import is_alive
from tests.support.stores import MINE, BdStore, Record, issue, new

VERSION = '{"schema_version": 1, "version": "%s"}'

Stub = Callable[..., BdTracker]


@pytest.fixture
def stub(place: Path) -> Stub:
    """Makes a tracker whose ``bd`` is a shell script that tells a version and then runs what is given."""
    (place / ".beads" / "embeddeddolt" / "proj" / ".dolt").mkdir(parents=True)

    def make(script: str, *, version: str = VERSION % "1.3.0", timeout: float = 20.0) -> BdTracker:
        program = place / "bd"
        program.write_text(f"#!/bin/sh\nif [ \"$1\" = version ]; then echo '{version}'; exit; fi\n{script}\n")
        program.chmod(0o755)
        return BdTracker(place, place / ".beads", program=str(program), timeout=timeout)

    return make


def every_call(tracker: Tracker) -> list[Callable[[], object]]:
    return [
        tracker.tasks,
        lambda: tracker.create([new("a")]),
        lambda: tracker.claim("proj-abc", MINE),
        lambda: tracker.release("proj-abc"),
        lambda: tracker.reopen("proj-abc"),
        lambda: tracker.comment("proj-abc", "text"),
        lambda: tracker.close("proj-abc", "done"),
        lambda: tracker.description,
    ]


def failures(tracker: Tracker, calls: slice = slice(None)) -> list[TrackerError]:
    """The error of every call; a call without one fails the test."""
    caught = []
    for call in every_call(tracker)[calls]:
        with pytest.raises(TrackerError) as error:
            call()
        caught.append(error.value)
    return caught


def test_a_missing_bd_is_reported_with_the_installation(place: Path) -> None:
    for error in failures(BdTracker(place, place / ".beads", program="bd-that-is-nowhere")):
        assert "cannot run bd-that-is-nowhere: No such file" in error.cause
        assert "brew install beads" in error.remedy
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("version", ["0.49.6", "1.0.4", "1.0.0-rc.1"])
def test_an_old_bd_is_refused_by_its_version(stub: Stub, version: str) -> None:
    for error in failures(stub("exit 9", version=VERSION % version)):
        assert error.cause == f"bd {version} is too old: 1.0.5 or later is needed"
        assert "brew upgrade beads" in error.remedy


def test_the_retracted_bd_is_refused_by_its_version(stub: Stub) -> None:
    for error in failures(stub("exit 9", version=VERSION % "1.2.1")):
        assert error.cause.startswith("bd 1.2.1 was retracted")
        assert "brew upgrade beads" in error.remedy


@pytest.mark.parametrize("version", ["1.0.5", "1.2.2", "1.3.0", "2.0.0", "1.10.0"])
def test_later_versions_are_accepted(stub: Stub, version: str) -> None:
    tracker = stub("echo '[]'", version=VERSION % version)
    assert tracker.tasks() == []
    assert tracker.description.startswith(f"bd {version} ")


@pytest.mark.parametrize("version", ["bd version 1.3.0 (dev)", "", "{}", '{"version": "dev"}', "[]"])
def test_a_bd_without_a_version_is_refused(stub: Stub, version: str) -> None:
    for error in failures(stub("echo '[]'", version=version)):
        assert "does not print its version" in error.cause


@pytest.mark.parametrize(
    "script",
    [
        "exit 0",
        "exit 1",
        "echo 'Segmentation fault' >&2; kill -SEGV $$",
        "echo no JSON at all",
        'echo \'{"error": "database not found"}\'; exit 1',
        'echo \'{"error": "database not found"}\'',
        'echo \'{"error": "database not found"}\' >&2',
        'echo \'[{"id": "proj-abc", "title": "cut',
        "echo '[[]]'",
        "echo '{}'",
        "echo null",
        "echo 3",
        "echo '[]'; echo 'too many rows' >&2; exit 2",
        'echo \'[{"id": "proj-abc", "priority": "high"}]\'',
    ],
)
def test_an_invalid_answer_is_an_error_and_not_an_empty_list(stub: Stub, script: str) -> None:
    for error in failures(stub(script), slice(0, 7)):
        assert "bd did not" in error.cause or "there is no task" in error.cause
        assert not isinstance(error, AlreadyClaimed)


@pytest.mark.parametrize(
    "answer",
    [
        "[]",
        '[{"id": "proj-other", "status": "closed"}]',
        '{"ids": {}}',
        '{"ids": {"a": ""}}',
        '{"ids": {"a": "proj-abc", "b": "proj-abd"}}',
        '{"issue_id": "proj-other", "id": "1"}',
    ],
)
def test_a_success_without_the_printed_issue_is_an_error(stub: Stub, answer: str) -> None:
    tracker = stub(shown(issue("proj-abc")) + f"echo '{answer}'")
    calls: list[tuple[Callable[[], object], str]] = [
        (lambda: tracker.create([new("a")]), "bd did not create the tasks"),
        (lambda: tracker.claim("proj-abc", MINE), "bd did not claim proj-abc"),
        (lambda: tracker.comment("proj-abc", "text"), "bd did not add the comment to proj-abc"),
        (lambda: tracker.close("proj-abc", "done"), "bd did not close proj-abc"),
    ]
    for call, complaint in calls:
        with pytest.raises(TrackerError, match=complaint):
            call()


@pytest.mark.parametrize(
    "answer", ["[]", "kept", '[{"id": "proj-abc", "status": "open", "assignee": "jane"}]']
)
def test_a_task_that_bd_did_not_reopen_is_an_error(stub: Stub, answer: str) -> None:
    held = {"assignee": "cobbler", "metadata": {"cobbler": asdict(MINE)}}
    for status, call in (("in_progress", "release"), ("closed", "reopen")):
        found = issue("proj-abc", status=status, **held)
        tracker = stub(shown(found) + f"echo '{json.dumps([found]) if answer == 'kept' else answer}'")
        with pytest.raises(TrackerError, match="bd did not reopen proj-abc"):
            getattr(tracker, call)("proj-abc")


def shown(found: Record) -> str:
    return f"if [ \"$1\" = show ]; then echo '{json.dumps([found])}'; exit; fi\n"


def test_an_update_without_effect_is_an_error(stub: Stub) -> None:
    held = issue("proj-abc", status="open")
    tracker = stub(f"echo '{json.dumps([held])}'")
    with pytest.raises(TrackerError, match="bd did not claim proj-abc"):
        tracker.claim("proj-abc", MINE)
    with pytest.raises(TrackerError, match="bd did not close proj-abc"):
        tracker.close("proj-abc", "done")


def test_the_error_has_the_reason_and_the_output(stub: Stub) -> None:
    script = """
    echo 'warning: beads.role not configured (GH#2950).' >&2
    echo '  Fix: git config beads.role maintainer' >&2
    echo '  Or:  git config beads.role contributor' >&2
    echo 'Warning: .beads has permissions 0755' >&2
    echo 'Error: no beads database found' >&2
    echo 'Hint: run bd where' >&2
    exit 1"""
    (error,) = failures(stub(script), slice(0, 1))
    assert error.cause == "bd did not list the tasks: Error: no beads database found"
    assert "exit 1" in error.evidence
    assert "Hint: run bd where" in error.evidence
    assert "role" not in str(error)


@pytest.mark.slow
def test_a_hanging_bd_is_ended_and_reported(stub: Stub, place: Path) -> None:
    tracker = stub(
        'echo "waiting for the lock" >&2; echo $$ > pid; trap "" TERM; while :; do sleep 1; done', timeout=0.5
    )
    began = time.monotonic()
    (error,) = failures(tracker, slice(0, 1))
    assert time.monotonic() - began < 10
    assert error.cause == "bd list did not answer within 0.5 s and was ended"
    assert "another process may have locked the store" in error.remedy
    assert "waiting for the lock" in error.evidence
    assert not is_alive(int((place / "pid").read_text()))


def test_a_locked_store_is_an_error(bd_store: BdStore) -> None:
    bd_store.tracker().create([new("a")])
    tracker = BdTracker(bd_store.root, bd_store.root / ".beads", program=str(bd_store.program), timeout=2.0)
    (lock,) = (bd_store.root / ".beads" / "embeddeddolt").glob("*/.dolt/noms/LOCK")
    with lock.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(TrackerError) as caught:
            tracker.tasks()
    assert "did not answer within 2 s" in caught.value.cause
    assert "locked by another" in caught.value.evidence
    assert len(tracker.tasks()) == 1


def test_an_envelope_is_removed(stub: Stub) -> None:
    tracker = stub(f"echo '{json.dumps({'schema_version': 1, 'data': [issue('proj-abc')]})}'")
    assert [task.id for task in tracker.tasks()] == ["proj-abc"]


def test_bd_gets_only_the_environment_that_it_needs(
    stub: Stub, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("BEADS_DB", "BD_DB", "CLAUDE_CODE", "BD_AGENT_MODE", "BEADS_MAX_ROWS", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("BEADS_DIR", "/elsewhere")
    monkeypatch.setenv("BEADS_DOLT_SERVER_HOST", "db.example")
    tracker = stub('env > seen; cat > stdin; pwd > cwd; printf "%s\\n" "$@" > argv; echo "[]"')
    tracker.tasks()
    seen = dict(line.split("=", 1) for line in (place / "seen").read_text().splitlines())
    assert (
        seen.items()
        >= {
            "BEADS_DIR": str(place / ".beads"),
            "BEADS_ACTOR": "cobbler",
            "BD_ACTOR": "cobbler",
            "BD_NON_INTERACTIVE": "1",
            "BD_JSON_ENVELOPE": "0",
            "BEADS_DOLT_SERVER_HOST": "db.example",
        }.items()
    )
    assert seen.keys().isdisjoint({"BEADS_DB", "BD_DB", "CLAUDE_CODE", "BD_AGENT_MODE", "BEADS_MAX_ROWS"})
    assert "ANTHROPIC_API_KEY" not in seen
    assert (place / "stdin").read_bytes() == b""
    assert (place / "cwd").read_text() == f"{place}\n"
    words = (place / "argv").read_text().split()
    every = ["--all", "--include-gates", "--include-templates", "--limit", "0"]
    assert words == ["list", *every, "--actor", "cobbler", "--json"]


UNOPENED = {
    "sqlite": {"beads.db": "SQLite format 3\0"},
    "sqlite, named": {"metadata.json": '{"backend": "sqlite", "database": "beads.db"}', "beads.db": "x"},
    "postgres": {"metadata.json": '{"backend": "postgres", "dolt_mode": "server"}'},
    "a server": {"metadata.json": '{"backend": "dolt", "dolt_mode": "server", "dolt_server_port": 1}'},
    "a Dolt of old": {"dolt/x": ""},
    "elsewhere": {"redirect": "../nowhere/.beads\n"},
    "nothing of bd's": {"README.md": "text"},
    "a clone's": {"metadata.json": '{"backend": "dolt", "dolt_mode": "embedded"}', "issues.jsonl": ""},
    "an empty one": {"embeddeddolt/.keep": ""},
}


@pytest.mark.parametrize("version", ["bd", "old_bd"])
@pytest.mark.parametrize("store", UNOPENED)
def test_a_store_that_bd_cannot_open_is_not_an_empty_one(
    place: Path, request: pytest.FixtureRequest, version: str, store: str
) -> None:
    beads = place / ".beads"
    for name, text in UNOPENED[store].items():
        (beads / name).parent.mkdir(parents=True, exist_ok=True)
        (beads / name).write_text(text)
    before = {path.name: path.read_bytes() for path in beads.iterdir() if path.is_file()}
    tracker = BdTracker(place, beads, program=str(request.getfixturevalue(f"{version}_program")))
    with pytest.raises(TrackerError) as caught:
        tracker.tasks()
    assert any(
        said in caught.value.cause for said in ("bd did not list the tasks: ", "its database is missing")
    )
    assert "`bd " in caught.value.remedy
    assert {name: (beads / name).read_bytes() for name in before} == before


def test_an_embedded_store_is_not_an_empty_store_of_bd(place: Path, bd_program: Path) -> None:
    (place / ".beads").mkdir()
    (place / ".beads" / "issues.jsonl").write_text(json.dumps(issue("proj-abc")))
    for error in failures(BdTracker(place, place / ".beads", program=str(bd_program)), slice(0, 7)):
        assert "contains an embedded store" in error.cause
        assert "--from-jsonl" in error.remedy
    assert [path.name for path in (place / ".beads").iterdir()] == ["issues.jsonl"]


class Checkout:
    """A user's repository, with something of everything that an installer might touch."""

    def __init__(self, root: Path, home: Path) -> None:
        self.root, self.home = root, home
        (home / ".config" / "bd").mkdir(parents=True)
        (home / ".config" / "bd" / "config.yaml").write_text("metrics:\n    disabled: true\n")
        (home / ".gitconfig").write_text("[user]\n\tname = Jane\n\temail = jane@example.org\n")
        self.git("init", "--quiet", "--initial-branch", "main")
        (root / "tracked").write_text("one\n")
        (root / ".gitignore").write_text("*.log\n")
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", "first")
        (root / "tracked").write_text("two\n")
        (root / "staged").write_text("staged\n")
        self.git("add", "staged")
        (root / "untracked").write_text("untracked\n")

    def git(self, *words: str) -> str:
        env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "GIT_OPTIONAL_LOCKS": "0"}
        return subprocess.run(
            ["git", *words], cwd=self.root, env=env, check=True, capture_output=True, text=True
        ).stdout

    def state(self) -> dict[str, bytes | str]:
        files = [path for path in (*self.root.rglob("*"), *self.home.rglob("*")) if path.is_file()]
        # Any call of bd makes ~/.dolt/config_global.json.
        theirs = {self.root / ".beads", self.home / ".dolt"}
        kept = {str(path): path.read_bytes() for path in files if theirs.isdisjoint(path.parents)}
        return kept | {"status": self.git("status", "--porcelain=v2", "--branch", "--untracked-files=all")}


def test_a_new_store_does_not_change_the_checkout_and_the_home(
    place: Path, bd_program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "home").mkdir()
    (place / "repository").mkdir()
    monkeypatch.setenv("HOME", str(place / "home"))
    checkout = Checkout(place / "repository", place / "home")
    before = checkout.state()

    tracker = BdTracker(checkout.root, checkout.root / ".beads", prefix="My App", program=str(bd_program))
    name = tracker.create([new("a")])["a"]
    tracker.claim(name, MINE)
    tracker.comment(name, "text")
    tracker.close(name, "done")
    tracker.tasks()

    assert name.startswith("my_app-")
    assert checkout.state() == before


def test_a_failing_init_leaves_no_files(place: Path, stub: Stub) -> None:
    shutil.rmtree(place / ".beads")
    tracker = stub('mkdir "$BEADS_DIR"; echo "no space left on device" >&2; exit 1')
    with pytest.raises(TrackerError, match="bd init made no store: no space left"):
        tracker.create([new("a")])
    assert [path.name for path in place.iterdir()] == ["bd"]


def test_a_lock_file_that_was_there_before_stays(bd_store: BdStore) -> None:
    gate = bd_store.root / ".beads.gate.lock"
    bd_store.tracker().tasks()
    assert not gate.exists()
    gate.touch()
    bd_store.tracker().tasks()
    assert gate.exists()


def test_a_lock_file_stays_while_it_is_locked(stub: Stub, place: Path) -> None:
    hold = "(flock --shared 9; exec sleep 2) 9>.beads.gate.lock >/dev/null 2>&1 &"
    stub(f"{hold} sleep 0.3; echo '[]'").tasks()
    assert (place / ".beads.gate.lock").exists()


def test_a_lock_file_of_a_call_whose_caller_was_killed_is_removed_by_the_next_call(bd_store: BdStore) -> None:
    def status() -> set[str]:
        words = ["git", "status", "--porcelain", "--ignored", "--untracked-files=all"]
        lines = subprocess.check_output(words, cwd=bd_store.root, text=True).splitlines()
        return {line for line in lines if ".beads.gate" in line or "cobbler" in line}

    ignored = bd_store.root / ".beads" / ".gitignore"  # as bd itself writes it
    ignored.write_text(ignored.read_text().partition("\n# Added by pytest-cobbler")[0])
    subprocess.run(["git", "init", "--quiet"], cwd=bd_store.root, check=True)
    gate, killer = bd_store.root / ".beads.gate.lock", bd_store.root / "killer"
    killer.write_text(f'#!/bin/sh\n[ "$1" = version ] || kill -9 $PPID\nexec {bd_store.program} "$@"\n')
    killer.chmod(0o755)
    call = f"""
from pathlib import Path
from pytest_cobbler.tracker.bd import BdTracker
root = Path({str(bd_store.root)!r})
BdTracker(root, root / ".beads", program={str(killer)!r}).tasks()
"""
    killed = subprocess.run([sys.executable, "-c", call])
    assert killed.returncode == -signal.SIGKILL
    while not gate.exists():  # bd goes on without its caller
        time.sleep(0.01)
    with gate.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
    assert status() == {"?? .beads.gate.lock", "!! .beads/.cobbler-gate.lock"}

    bd_store.tracker().tasks()

    assert status() == set()
