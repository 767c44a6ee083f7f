"""Tasks in a store of the ``bd`` program (beads)."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from packaging.version import Version
from pydantic import TypeAdapter, ValidationError

from pytest_cobbler.causes import Ending
from pytest_cobbler.errors import CobblerError, TrackerError
from pytest_cobbler.files import lock, remove_dead_directories, temporary_directory
from pytest_cobbler.process import Cancellation, Completion, host_environment, run
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
from pytest_cobbler.tracker.directory import ISSUES, bd_owns, is_hollow
from pytest_cobbler.tracker.ids import issue_prefix
from pytest_cobbler.tracker.issue import Issue
from pytest_cobbler.versions import find_version

__all__ = ["INSTALL", "OLDEST", "BdTracker"]

OLDEST = Version("1.0.5")
_GUARDS = Version("1.3.0")
"""Since this version ``update`` has ``--if-status`` and ``--if-assignee``, ``close`` checks assignees."""
_GATE_IS_OURS = ".cobbler-gate.lock"
_RETRACTED = {Version("1.2.1")}
_ISSUES = TypeAdapter(list[Issue])
_ROLE_WARNING = re.compile(r"^warning: beads\.role not configured.*\n(?:  (?:Fix|Or): .*\n?)*", re.MULTILINE)

INSTALL = (
    f"install bd {OLDEST} or later: `brew install beads`, or see https://github.com/gastownhall/beads; "
    "to upgrade: `brew upgrade beads`"
)

BOOTSTRAP = "run `bd bootstrap`: after a clone it makes the database from the remote or from issues.jsonl"
LOOK = "see the output of `bd list --all` and `bd doctor`"


class BdTracker:
    """Tasks in the bd store ``beads_dir``. One ``bd`` process runs at a time.

    Args:
        root: the main checkout, where bd runs.
        beads_dir: made by the first ``create`` if it is missing.
        prefix: prefix of the ids of a new store; the name of ``root`` by default.
        program: ``bd``, or the path of one.
        timeout: limit of one call in seconds; bd itself waits for a locked store without limit.
        cancellation: ends a call early.
    """

    def __init__(
        self,
        root: Path,
        beads_dir: Path,
        *,
        prefix: str = "",
        program: str = "bd",
        timeout: float = 60.0,
        cancellation: Cancellation | None = None,
    ) -> None:
        self._root = root
        self._beads_dir = beads_dir.absolute()
        self._prefix = issue_prefix(prefix or root.resolve().name)
        self._program = program
        self._timeout = timeout
        self._cancellation = cancellation
        self._known_version: Version | None = None
        self._known_ids: set[str] = set()

    @property
    def description(self) -> str:
        return f"bd {self._version()} {self._beads_dir}"

    def tasks(self) -> list[Task]:
        self._version()
        if not self._exists():
            return []
        answer = self._bd("list", "--all", "--include-gates", "--include-templates", "--limit", "0")
        issues = answer.issues() if answer.status == 0 else None
        if issues is None:
            raise answer.failure("bd did not list the tasks", LOOK)
        self._known_ids = {issue.id for issue in issues}
        return sorted((issue.task() for issue in issues), key=lambda task: task.id)

    def comments(self) -> dict[str, tuple[str, ...]]:
        self._version()
        if not self._exists():
            return {}
        answer = self._bd("export")  # the one call that has the comments of all issues
        issues = answer.lines() if answer.status == 0 else None
        if issues is None:
            raise answer.failure("bd did not export the comments", LOOK)
        return {issue.id: comments for issue in issues if (comments := issue.comments_of(ACTOR))}

    def prepare(self) -> None:
        self._version()
        if not self._exists():
            self.init()

    def create(self, tasks: Sequence[NewTask]) -> dict[str, str]:
        check_batch(tasks)
        if not tasks:
            return {}
        self.prepare()
        with _file(json.dumps(_plan(tasks))) as plan:
            answer = self._bd("create", "--graph", plan)
        ids = answer.data.get("ids") if isinstance(answer.data, dict) else None
        if not isinstance(ids, dict) or set(ids) != {task.key for task in tasks} or not all(ids.values()):
            raise answer.failure("bd did not create the tasks")
        self._known_ids |= set(ids.values())
        return {key: str(name) for key, name in ids.items()}

    def claim(self, task_id: str, claim: Claim) -> None:
        self._confirm(task_id)
        answer = self._try_to_claim(task_id, claim, "")
        if _is_claimed(answer.issue(task_id), claim):
            return
        task = self._show(task_id)
        if task.status == "open":
            if task.defer_until:  # its status is open for us, and deferred in the store
                self._bd("undefer", task_id)
            # A person may have reopened it and left the assignee.
            answer = self._try_to_claim(task_id, claim, task.assignee if task.assignee == ACTOR else "")
            task = self._show(task_id)
        if _is_claimed(task, claim):
            return
        if task.status == "open" and task.assignee in ("", ACTOR):
            raise answer.failure(f"bd did not claim {task_id}")
        raise AlreadyClaimed(f"{task_id} cannot be claimed: {task.state}")

    def _try_to_claim(self, task_id: str, claim: Claim, assignee: str) -> _Answer:
        record = json.dumps({METADATA: asdict(claim)})
        if self._guards():
            # Not --claim: it succeeds if another run holds the task under the same name, and replaces that
            # run's record. Its lease also ends after five minutes; then `bd reclaim` takes the task.
            guards = ("--if-status", "open", "--if-assignee", assignee)
            changes = ("--status", "in_progress", "--assignee", ACTOR, "--metadata", record)
            return self._bd("update", task_id, *guards, *changes)
        task = self._show(task_id)
        if task.status != "open" and task.claim != claim:
            raise AlreadyClaimed(f"{task_id} cannot be claimed: {task.state}")
        return self._bd("update", task_id, "--claim", "--metadata", record)

    def release(self, task_id: str, comment: str = "", label: str = "") -> None:
        task = self._show(task_id)
        if task.status == "open":
            return
        if task.claim is None:
            raise TrackerError(f"cannot release {task_id}, which this run did not claim: {task.state}")
        guards = ("--if-status", "in_progress", "--if-assignee", ACTOR) if self._guards() else ()
        self._open(task_id, guards, comment, ("--add-label", label) if label else ())

    def reopen(self, task_id: str, comment: str = "") -> None:
        task = self._show(task_id)
        if task.status == "open":
            return
        if task.status != "closed":
            raise TrackerError(f"{task_id} cannot be reopened: {task.state}")
        self._open(task_id, ("--if-status", "closed") if self._guards() else (), comment)

    def comment(self, task_id: str, text: str) -> None:
        self._confirm(task_id)
        with _file(text) as file:
            answer = self._bd("comments", "add", task_id, "--file", file)
        comment = answer.data
        if not isinstance(comment, dict) or comment.get("issue_id") != task_id or not comment.get("id"):
            raise answer.failure(f"bd did not add the comment to {task_id}")

    def close(self, task_id: str, reason: str) -> None:
        self._confirm(task_id)
        if not self._guards():  # an old bd closes tasks of other users, and closes a closed task again
            task = self._show(task_id)
            if task.status == "closed":
                return
            if task.assignee not in ("", ACTOR):
                raise TrackerError(f"cannot close {task_id}: {task.state}")
        with _file(reason) as file:
            answer = self._bd("close", task_id, "--reason-file", file)
        task = answer.issue(task_id) or self._show(task_id)
        if task.status != "closed":
            raise answer.failure(f"bd did not close {task_id}")

    def _open(self, task_id: str, guards: tuple[str, ...], comment: str, more: tuple[str, ...] = ()) -> None:
        changes = ("--status", "open", "--assignee", "", "--unset-metadata", METADATA, *more)
        answer = self._bd("update", task_id, *guards, *changes)
        task = answer.issue(task_id)
        if task is None or task.status != "open" or task.assignee or METADATA in task.metadata:
            raise answer.failure(f"bd did not reopen {task_id}")
        if comment:
            self.comment(task_id, comment)

    def _show(self, task_id: str) -> Task:
        answer = self._bd("show", task_id)
        task = answer.issue(task_id)
        if task is None:
            raise answer.failure(f"there is no task {task_id}")
        self._known_ids.add(task_id)
        return task

    def _confirm(self, task_id: str) -> None:
        """Check that the id is complete: bd takes a part of an id for the issue that it resembles most."""
        if task_id not in self._known_ids:
            self._show(task_id)

    def _exists(self) -> bool:
        """Whether there is a store; False means that its directory is missing or empty."""
        if bd_owns(self._beads_dir):
            if is_hollow(self._beads_dir):
                raise TrackerError(f"{self._beads_dir} belongs to bd, but its database is missing", BOOTSTRAP)
            return True
        if (self._beads_dir / ISSUES).exists():
            raise TrackerError(
                f"{self._beads_dir} contains an embedded store and no store of bd",
                "set `tracker: auto`, or have bd adopt it: "
                f"`bd init --from-jsonl --prefix {self._prefix} --stealth`",
            )
        return self._beads_dir.is_dir() and any(self._beads_dir.iterdir())

    def init(self) -> None:
        """Make a store in a directory beside its place and move it there when it is complete.

        bd init sets git configuration, writes .git/info/exclude or .gitignore of the repository it runs in,
        and may write ~/.config/bd/config.yaml. So it runs outside of a repository, with another home.
        """
        self._beads_dir.parent.mkdir(parents=True, exist_ok=True)
        with (
            temporary_directory() as home,
            temporary_directory(self._beads_dir.parent) as aside,
        ):
            (aside / ".gitignore").write_text("*\n", "utf-8")
            new = aside / self._beads_dir.name
            env = self._environment() | {
                "BEADS_DIR": str(new),
                "HOME": str(home),
                "GIT_CEILING_DIRECTORIES": str(home),
            }
            options = ("--quiet", "--stealth", "--skip-hooks", "--skip-agents", "--non-interactive")
            completion = self._run(("init", "--prefix", self._prefix, *options), env=env, cwd=home)
            if not bd_owns(new):
                raise _Answer(completion).failure("bd init made no store")
            with (new / ".gitignore").open("a", encoding="utf-8") as ignored:
                ignored.write("\n# Added by pytest-cobbler: git ignores this directory.\n*\n")
            new.rename(self._beads_dir)

    def _guards(self) -> bool:
        return self._version() >= _GUARDS

    def _version(self) -> Version:
        """bd's version, read once; fails for a version that cannot be used."""
        if self._known_version is None:
            remove_dead_directories(self._beads_dir.parent)  # of an init that was killed
            completion = self._run(("version", "--json"), env=self._environment(), cwd=self._root)
            text = _version_text(completion)
            version = find_version(text)
            if version is None:
                raise _Answer(completion).failure(f"{self._program} does not print its version")
            if version < OLDEST:
                raise TrackerError(f"bd {text} is too old: {OLDEST} or later is needed", INSTALL)
            if version in _RETRACTED:
                raise TrackerError(f"bd {text} was retracted by its makers: take a later one", INSTALL)
            self._known_version = version
        return self._known_version

    def _bd(self, *words: str | Path) -> _Answer:
        self._version()
        if not self._exists():
            raise TrackerError(f"{self._beads_dir} has no tasks yet")
        with self._without_gate_file():
            completion = self._run(
                (*map(str, words), "--actor", ACTOR, "--json"), env=self._environment(), cwd=self._root
            )
        return _Answer(completion)

    def _run(self, words: Sequence[str], *, env: dict[str, str], cwd: Path) -> Completion:
        try:
            completion = run(
                [self._program, *words],
                env=env,
                cwd=cwd,
                timeout=self._timeout,
                cancellation=self._cancellation,
            )
        except CobblerError as error:
            raise TrackerError(f"the tracker is bd, but bd cannot be run: {error.cause}", INSTALL) from error
        if completion.end == Ending.CANCELLED:
            raise TrackerError(f"bd {words[0]} was stopped")
        if completion.end != Ending.EXITED:
            raise TrackerError(
                f"bd {words[0]} did not answer within {self._timeout:g} s and was ended",
                f"another process may have locked the store: see which has files in {self._beads_dir} open",
                _output(completion),
            )
        return completion

    def _environment(self) -> dict[str, str]:
        # A store on a Dolt server is reached by what these say; no other variable of beads may reach bd.
        server = [name for name in os.environ if name.startswith("BEADS_DOLT_")]
        return host_environment(
            *server,
            BEADS_DIR=str(self._beads_dir),
            BEADS_ACTOR=ACTOR,
            BD_ACTOR=ACTOR,
            BD_NON_INTERACTIVE="1",
            BD_JSON_ENVELOPE="0",
            BD_DISABLE_METRICS="1",
            NO_COLOR="1",
        )

    @contextlib.contextmanager
    def _without_gate_file(self) -> Iterator[None]:
        """Remove the empty lock file that bd 1.3.0 leaves beside its directory, in the user's checkout.

        A file that was there before stays, and so does one that another process has locked. A mark in the
        store says that a call began without the file: after a kill, the next call removes it.
        """
        gate = self._beads_dir.with_name(f"{self._beads_dir.name}.gate.lock")
        mark = self._beads_dir / _GATE_IS_OURS
        before = gate.exists() and not mark.exists()
        with contextlib.suppress(OSError):
            if not before:
                mark.touch()
        try:
            yield
        finally:
            if not before:
                with contextlib.suppress(OSError), gate.open("rb") as file:
                    lock(file)
                    gate.unlink()
                with contextlib.suppress(OSError):
                    if not gate.exists():
                        mark.unlink()


class _Answer:
    """The output of bd; the printed JSON is decisive, not the exit status."""

    def __init__(self, completion: Completion) -> None:
        self._completion = completion
        self.status = completion.status
        self.data = _data(completion.text)

    def issues(self) -> list[Issue] | None:
        """The issues that bd printed; None if it printed something else."""
        try:
            return _ISSUES.validate_python([self.data] if isinstance(self.data, dict) else self.data)
        except ValidationError:
            return None

    def lines(self) -> list[Issue] | None:
        """The issues that bd printed one a line; None if it printed something else."""
        try:
            return [Issue.model_validate_json(line) for line in self._completion.text.split("\n") if line]
        except ValidationError:
            return None

    def issue(self, task_id: str) -> Task | None:
        """The issue ``task_id`` if bd printed it."""
        issues = [issue for issue in self.issues() or () if issue.id == task_id]
        return issues[0].task() if len(issues) == 1 else None

    def failure(self, what: str, remedy: str = "") -> TrackerError:
        call = " ".join(self._completion.argv[:3])
        return TrackerError(
            f"{what}: {self._reason()}", remedy, f"`{call}`, exit {self.status}\n{_output(self._completion)}"
        )

    def _reason(self) -> str:
        if isinstance(self.data, dict) and "error" in self.data:
            return str(self.data["error"])
        lines = [line.strip() for line in _output(self._completion).splitlines()]
        errors = [line for line in lines if line.startswith("Error:")]
        reasons = errors or [line for line in lines if line and not line.lower().startswith("warning:")]
        return reasons[0][:200] if reasons else "bd printed nothing"


def _is_claimed(task: Task | None, claim: Claim) -> bool:
    return task is not None and task.claim == claim


def _data(text: str) -> Any:
    """The JSON in ``text``, without the envelope that some versions put around it; None if there is none."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(data, dict) and "schema_version" in data and "data" in data:
        return data["data"]
    return data


def _version_text(completion: Completion) -> str:
    data = _data(completion.text)
    return str(data.get("version", "")) if isinstance(data, dict) else ""


def _output(completion: Completion) -> str:
    text = _ROLE_WARNING.sub("", completion.errors) + completion.text
    return text[-4000:]


def _plan(tasks: Sequence[NewTask]) -> dict[str, Any]:
    nodes = [
        {
            "key": task.key,
            "title": task.title,
            "type": "task",
            "description": task.description,
            "priority": task.priority,
            **({"estimated_minutes": task.minutes} if task.minutes else {}),
            "labels": sorted(set(task.labels)),
            "metadata": {**task.metadata, ORDER: str(place)},
        }
        for place, task in enumerate(tasks)
    ]
    edges = [
        {"from_key": task.key, to: need, "type": "blocks"}
        for task in tasks
        for to, needs in (("to_key", task.needs), ("to_id", task.existing_needs))
        for need in dict.fromkeys(needs)
    ]
    return {"nodes": nodes, "edges": edges}


@contextlib.contextmanager
def _file(text: str) -> Iterator[Path]:
    """A file with ``text``: an argument is limited to 128 KiB and cannot contain every character."""
    with temporary_directory() as directory:
        path = directory / "text"
        path.write_bytes(text.encode("utf-8", "replace"))
        yield path
