"""Stores to test on, with direct access to their files."""

from __future__ import annotations

import fcntl
import hashlib
import inspect
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest

from pytest_cobbler.process import host_environment
from pytest_cobbler.testing.project import Project
from pytest_cobbler.tracker.base import Claim, NewTask, Tracker
from pytest_cobbler.tracker.bd import BdTracker
from pytest_cobbler.tracker.embedded import EmbeddedTracker
from tests.support.parts import in_less_time, need, scripts

MINE = Claim(host="here", repository="/repo/.git", run="run-1", generation="generation-1")
THEIRS = Claim(host="there", repository="/repo/.git", run="run-2", generation="generation-1")

Record = dict[str, Any]


def new(key: str, *needs: str, title: str = "", **more: Any) -> NewTask:
    """A task whose title is, if nothing else, its key."""
    return NewTask(key=key, title=title or key, description=more.pop("description", ""), needs=needs, **more)


def issue(name: str, **fields: Any) -> Record:
    """An issue as bd exports it."""
    time = "2026-01-02T03:04:05Z"
    fixed = {
        "_type": "issue",
        "id": name,
        "title": name,
        "status": "open",
        "priority": 2,
        "issue_type": "task",
    }
    closed = {"closed_at": time} if fields.get("status") == "closed" else {}
    return fixed | {"created_at": time, "created_by": "jane", "updated_at": time} | closed | fields


def edge(name: str, needs: str, kind: str = "blocks") -> Record:
    time = "2026-01-02T03:04:05Z"
    ends = {"issue_id": name, "depends_on_id": needs, "type": kind}
    return ends | {"created_at": time, "created_by": "jane", "metadata": "{}"}


def lines(records: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


class Store(Protocol):
    """A store in ``root``, which contains nothing else."""

    root: Path

    def tracker(self) -> Tracker: ...

    def seed(self, *records: Record) -> None:
        """Put issues into the store unchanged."""
        ...

    def records(self) -> dict[str, Record]:
        """The issues as they are stored, by id."""
        ...


class EmbeddedStore:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.file = root / ".beads" / "issues.jsonl"

    def tracker(self) -> EmbeddedTracker:
        return EmbeddedTracker(self.root, self.root / ".beads", prefix="proj", timeout=5.0)

    def seed(self, *records: Record) -> None:
        self.file.parent.mkdir(exist_ok=True)
        self.file.write_text(lines(records))

    def records(self) -> dict[str, Record]:
        records = [json.loads(line) for line in self.file.read_text().split("\n") if line]
        return {record["id"]: record for record in records}


class BdStore:
    def __init__(self, root: Path, program: Path, template: Path | None = None) -> None:
        self.root = root
        self.program = program
        if template is not None:
            shutil.copytree(template / ".beads", root / ".beads")

    def tracker(self) -> BdTracker:
        return BdTracker(self.root, self.root / ".beads", prefix="proj", program=str(self.program))

    def seed(self, *records: Record) -> None:
        file = self.root / "seed.jsonl"
        file.write_text(lines(records))
        self.bd("import", str(file))
        file.unlink()

    def records(self) -> dict[str, Record]:
        records = [json.loads(line) for line in self.bd("export", "--all").split("\n") if line]
        return {record["id"]: record for record in records if record["_type"] == "issue"}

    def bd(self, *words: str) -> str:
        env = host_environment(
            BEADS_DIR=str(self.root / ".beads"), BEADS_ACTOR="jane", BD_DISABLE_METRICS="1"
        )
        home = {"HOME": os.fspath(self.root), "BD_NON_INTERACTIVE": "1"}
        completed = subprocess.run(
            [self.program, *words],
            env=env | home,
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )
        assert completed.returncode == 0, completed.stderr.decode()
        return completed.stdout.decode()


@pytest.fixture(scope="session")
def fast_directory() -> Iterator[Path]:
    """A directory in which many small writes are fast."""
    memory = Path("/dev/shm")
    path = Path(tempfile.mkdtemp(prefix="cobbler-tracker-", dir=memory if memory.is_dir() else None))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def bd_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return in_less_time(need("bd"), tmp_path_factory.mktemp("bd"))


@pytest.fixture(scope="session")
def bd_template(bd_program: Path) -> Path:
    """A directory with an empty bd store, for copies."""
    return empty_store(bd_program)


@pytest.fixture(scope="session")
def old_bd_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The oldest bd that is supported."""
    return in_less_time(need("old-bd"), tmp_path_factory.mktemp("old-bd"))


@pytest.fixture(scope="session")
def old_bd_template(old_bd_program: Path) -> Path:
    return empty_store(old_bd_program)


@pytest.fixture
def bd_project(cobbler_project: Project, bd_program: Path, bd_template: Path) -> Project:
    """The project of ``cobbler_project``, with an empty store of bd."""
    BdStore(cobbler_project.path, bd_program, bd_template)
    cobbler_project.configure(tracker="bd")
    return cobbler_project


def empty_store(program: Path) -> Path:
    """A directory with what the tracker makes by its first call of ``bd init``, which takes seconds.

    It stays in the temporary directory, once for each program and each way to call it.
    """
    program = scripts.get(program, program)
    status = program.stat()
    facts = f"{program} {status.st_size} {status.st_mtime_ns}\n{inspect.getsource(BdTracker.init)}"
    name = f"cobbler-test-bd-{hashlib.sha256(facts.encode()).hexdigest()[:12]}-{os.getuid()}"
    place = Path(tempfile.gettempdir()) / name
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.is_dir():
            with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=place.parent) as directory:
                root = Path(directory) / "store"
                root.mkdir()
                BdStore(root, program).tracker().init()
                root.rename(place)
    return place
