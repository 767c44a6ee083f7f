"""Checks that a repository is consistent after a run, however the run ended.

The branch, the tracker, the JUnit report, the kept attempts and the journal each say how a task ended.
:func:`check` lists where they differ, and what a run should have removed::

    before = CheckoutState.of(cobbler_project)
    result = cobbler_project.run("--cobbler-generate")
    assert check(cobbler_project, result, before=before) == []
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pytest_cobbler.config import Config, load
from pytest_cobbler.errors import CobblerError
from pytest_cobbler.landing.statements import LARGEST, Statement, read_statement
from pytest_cobbler.landing.tree_records import FAILED
from pytest_cobbler.process import host_environment, run
from pytest_cobbler.repository import names, trailers
from pytest_cobbler.repository.generations import Generation, find_generation
from pytest_cobbler.repository.notes import NOTES, read_note
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.sessions import SESSIONS
from pytest_cobbler.testing.leftovers import leftovers
from pytest_cobbler.testing.project import Case, Project, RunResult
from pytest_cobbler.tracker.base import ACTOR, METADATA
from pytest_cobbler.tracker.directory import bd_owns

__all__ = ["CheckoutState", "check"]

_STITCH = "configuration.yaml::stitch::"


@dataclass(frozen=True, kw_only=True)
class CheckoutState:
    """The state of the user's checkout, which a run must not change: HEAD, index, files, hooks and refs."""

    head: str
    index: str
    status: str
    files: Mapping[str, bytes]
    refs: Mapping[str, str]

    @classmethod
    def of(cls, project: Path | Project) -> CheckoutState:
        """The checkout as it is now."""
        state = _State.of(project)
        git_dir, common = state.repository.git_dir, state.repository.common_dir
        paths = [git_dir / "HEAD", common / "config", common / "info" / "exclude"]
        paths += sorted((common / "hooks").glob("*"))
        return cls(
            head=state.git("rev-parse", "--verify", "--quiet", "HEAD"),
            index=state.git("ls-files", "--stage", "-v", "-z"),
            status=state.git("status", "--porcelain=v2", "--untracked-files=all", "-z"),
            files={str(path.relative_to(common)): path.read_bytes() for path in paths if path.is_file()},
            refs={ref: commit for ref, commit in state.refs.items() if not state.is_ours(ref)},
        )


def check(
    project: Path | Project,
    result: RunResult | Mapping[str, Case] | None = None,
    *,
    before: CheckoutState | None = None,
) -> list[str]:
    """The faults of the active generation, one sentence each; empty if there is none.

    Call it when no run is going on.

    Args:
        project: the project, or the directory of its configuration.yaml.
        result: the last run, or its JUnit cases by node id; they are compared with the branch too.
        before: the checkout as it was before the run.

    Raises:
        CobblerError: there is no repository, or there are several generations and none is chosen.
    """
    cases = result.junit if isinstance(result, RunResult) else result
    state = _State.of(project, cases or {})
    faults = [fault for look in _ALWAYS for fault in look(state)]
    if state.generation:
        faults += [fault for look in _OF_A_GENERATION for fault in look(state)]
    if before is not None:
        faults += _differences(before, CheckoutState.of(project))
    return faults


@dataclass(frozen=True, kw_only=True)
class _Commit:
    id: str
    parents: tuple[str, ...]
    tree: str
    tasks: tuple[str, ...]
    branch: str  # of a person, unknown to the tracker; else empty
    title: str


@dataclass(kw_only=True)
class _State:
    config: Config
    repository: Repository
    cases: Mapping[str, Case] = field(default_factory=dict)

    @classmethod
    def of(cls, project: Path | Project, cases: Mapping[str, Case] | None = None) -> _State:
        directory = project.path if isinstance(project, Project) else project
        config = load(directory / "configuration.yaml")
        return cls(config=config, repository=Repository(config.root, config.work_dir), cases=cases or {})

    def git(self, *arguments: str) -> str:
        """The output of git in the checkout, changing nothing, not even the times in the index."""
        env = host_environment(GIT_OPTIONAL_LOCKS="0", LC_ALL="C")
        return run(["git", *arguments], env=env, cwd=self.config.root).stdout.decode("utf-8", "replace")

    @cached_property
    def generation(self) -> Generation | None:
        return find_generation(self.repository, self.config.gen_prefix, self.config.generation_branch)

    @cached_property
    def name(self) -> str:
        return self.generation.name if self.generation else ""

    @cached_property
    def refs(self) -> dict[str, str]:
        return self.repository.list_refs("refs/")

    def is_ours(self, ref: str) -> bool:
        prefix = self.config.gen_prefix
        ours = ("refs/cobbler/", NOTES, "refs/heads/task/", f"refs/heads/{prefix}", f"refs/tags/{prefix}")
        return ref.startswith(ours)

    @cached_property
    def commits(self) -> list[_Commit]:
        """From the generation's first commit to its tip, oldest first."""
        assert self.generation is not None
        keys = (trailers.TASK, trailers.BRANCH)
        values = "%x00".join(f"%(trailers:key={key},valueonly,separator=%x01)" for key in keys)
        form = f"%H%x00%P%x00%T%x00{values}%x00%s"
        commits = f"{self.generation.start}..{self.generation.ref}"
        words = self.repository.refs.run(
            "log", "-z", "--reverse", "--first-parent", f"--format={form}", commits
        ).text.split("\0")[:-1]
        rows = [words[at : at + 6] for at in range(0, len(words), 6)]
        return [
            _Commit(
                id=name,
                parents=tuple(parents.split()),
                tree=tree,
                tasks=tuple(task.strip() for task in tasks.split("\x01") if task.strip()),
                branch=branch,
                title=title,
            )
            for name, parents, tree, tasks, branch, title in rows
        ]

    @cached_property
    def landed(self) -> dict[str, str]:
        """Task id -> its (last) commit."""
        return {task: commit.id for commit in self.commits for task in commit.tasks}

    @cached_property
    def issues(self) -> dict[str, Mapping[str, Any]]:
        """Every issue in the tracker's exchange format, with its comments."""
        if bd_owns(self.config.beads_dir):
            exported = self._bd_export()
        else:
            path = self.config.beads_dir / "issues.jsonl"
            exported = path.read_text("utf-8") if path.exists() else ""
        records = [json.loads(line) for line in exported.split("\n") if line.strip()]
        return {record["id"]: record for record in records if record.get("_type", "issue") == "issue"}

    def _bd_export(self) -> str:
        beads = self.config.beads_dir
        gate = beads.with_name(f"{beads.name}.gate.lock")  # bd 1.3.0 leaves it in the checkout
        was_there = gate.exists()
        env = host_environment(BEADS_DIR=str(beads), BD_DISABLE_METRICS="1")
        exported = run(["bd", "export", "--all"], env=env, cwd=self.config.root)
        if not was_there:
            gate.unlink(missing_ok=True)
        if not exported.ok:
            raise CobblerError("bd does not export its issues", evidence=exported.errors)
        return exported.text

    @cached_property
    def of_this_generation(self) -> dict[str, Mapping[str, Any]]:
        return {name: issue for name, issue in self.issues.items() if self.name in issue.get("labels", ())}

    @cached_property
    def attempts(self) -> dict[str, str]:
        """``TASK NUMBER`` -> ref of a kept attempt."""
        prefix = names.attempts_prefix(self.name)
        refs = [ref for ref in self.refs if ref.startswith(prefix)]
        return {" ".join(ref.removeprefix(prefix).rsplit("/", 1)): ref for ref in refs}

    @cached_property
    def journal(self) -> list[Mapping[str, Any]]:
        """Every event; a last line that was cut off is skipped."""
        path = self.config.cobbler_dir / self.name / "journal.jsonl"
        events = []
        for line in path.read_text("utf-8").splitlines() if path.exists() else []:
            with contextlib.suppress(ValueError):
                events.append(json.loads(line))
        return events

    def events(self, *kinds: str) -> list[Mapping[str, Any]]:
        return [event for event in self.journal if event["event"] in kinds]

    @cached_property
    def last_run(self) -> list[Mapping[str, Any]]:
        starts = [at for at, event in enumerate(self.journal) if event["event"] == "run"]
        return self.journal[starts[-1] :] if starts else []


# The branch


def _branch_is_a_line(state: _State) -> Iterator[str]:
    assert state.generation is not None
    tip = state.generation.start
    for commit in state.commits:
        if commit.parents[:1] != (tip,) or (len(commit.parents) > 1 and not commit.tasks):
            yield f"{_of(commit)} has the parents {' '.join(commit.parents)}, not the tip before it, {tip}"
        tip = commit.id


def _start_is_tagged(state: _State) -> Iterator[str]:
    assert state.generation is not None
    tag = names.tag_ref(state.name, "start")
    if state.refs.get(tag) != state.generation.start:
        yield f"{tag} is {state.refs.get(tag, 'missing')}, not the start {state.generation.start}"


def _tasks_landed_once(state: _State) -> Iterator[str]:
    for commit in state.commits:
        if len(commit.tasks) > 1:
            yield f"{_of(commit)} names several tasks: {', '.join(commit.tasks)}"
    of_agents = [commit for commit in state.commits if not commit.branch]
    for task, count in Counter(task for commit in of_agents for task in commit.tasks).items():
        if count > 1:
            yield f"task {task} landed {count} times"


def _commits_passed_the_gate(state: _State) -> Iterator[str]:
    assert state.generation is not None
    gates = state.events("gate")
    passed = {event["tree"] for event in gates if event.get("passed")}
    failed = {event["tree"] for event in gates} - passed
    trees = {commit.id: commit.tree for commit in state.commits}
    for commit in state.commits:
        stated = _statement(state, commit)
        train = stated.train if stated else None
        tree = trees.get(train.commit, "") if train else commit.tree
        # A change that leaves the failures of the tip lands with red_base: allow, and the verdict failed.
        is_red = tree in failed and stated is not None and stated.verdict == FAILED
        if commit.id != state.generation.first and tree not in passed and not is_red:
            yield f"{_of(commit)}: the journal has no passed gate for its tree {tree}"


def _statement(state: _State, commit: _Commit) -> Statement | None:
    try:
        note = read_note(state.repository, commit.id, LARGEST)
        return read_statement(note) if note is not None else None
    except CobblerError:
        return None


def _landed_commits_have_statements(state: _State) -> Iterator[str]:
    for commit in state.commits:
        if not commit.tasks:
            continue
        try:
            note = read_note(state.repository, commit.id, LARGEST)
            stated = read_statement(note) if note is not None else None
        except CobblerError as error:
            yield f"{_of(commit)} has a note that is not a statement: {error.cause}"
        else:
            if stated is None:
                yield f"{_of(commit)} has no statement"
            elif (stated.commit, stated.tree, stated.tip) != (commit.id, commit.tree, commit.parents[0]):
                yield f"{_of(commit)} has the statement of {stated.commit}"


# The tracker


def _landed_tasks_are_closed(state: _State) -> Iterator[str]:
    of_persons = {commit.id for commit in state.commits if commit.branch}
    for task, commit in state.landed.items():
        issue = state.issues.get(task)
        if commit in of_persons:
            continue
        if issue is None:
            yield f"task {task} landed in {commit}, but the tracker has no such issue"
        elif issue.get("status") != "closed":
            yield f"task {task} landed in {commit}, but is {issue.get('status')}"
        else:
            if issue.get("close_reason") != f"landed in {commit}":
                yield f"task {task} was closed as {issue.get('close_reason')!r}, but landed in {commit}"
            if commit not in _recorded(issue):
                yield f"task {task} has no comment with the record of {commit}"


def _recorded(issue: Mapping[str, Any]) -> set[str]:
    """The commits of which an issue has a record."""
    commits = set()
    for comment in issue.get("comments") or ():
        with contextlib.suppress(ValueError, AttributeError):
            commits.add(str(json.loads(comment["text"]).get("commit", "")))
    return commits


def _closed_tasks_landed(state: _State) -> Iterator[str]:
    for task, issue in state.of_this_generation.items():
        if issue.get("status") == "closed" and task not in state.landed:
            yield f"task {task} is closed as {issue.get('close_reason')!r}, but did not land"


def _nothing_is_claimed(state: _State) -> Iterator[str]:
    for task, issue in state.issues.items():
        held = issue.get("assignee") == ACTOR or METADATA in (issue.get("metadata") or {})
        if issue.get("status") == "in_progress" and (held or task in state.of_this_generation):
            yield f"task {task} is still in progress, claimed by {issue.get('assignee') or 'no one'}"
        elif issue.get("status") != "closed" and held:
            yield f"task {task} is {issue.get('status')}, but still has a claim"


# Work that did not land


def _work_is_kept(state: _State) -> Iterator[str]:
    kept = state.repository.work_dir / "kept" / state.name
    for event in state.events("harvest"):
        task, number = event["task"], event["attempt"]
        if not event.get("files") or task in state.landed or f"{task} {number}" in state.attempts:
            continue
        if not list(kept.glob(f"{task}-{number}.*")):
            yield f"the work of attempt {number} at {task} was neither landed nor kept"


def _conversations_end_with_their_tasks(state: _State) -> Iterator[str]:
    for task in state.landed:
        place = state.repository.work_dir / SESSIONS / state.name / task
        if place.exists() and state.issues.get(task, {}).get("status") == "closed":
            yield f"the conversation about {task}, which landed, is left in {place}"


def _kept_attempts_say_what_they_are(state: _State) -> Iterator[str]:
    for attempt, ref in state.attempts.items():
        fields = trailers.read_trailers(state.repository, state.refs[ref])
        task = attempt.partition(" ")[0]
        if fields.get(trailers.ATTEMPT) != attempt or fields.get(trailers.GENERATION) != state.name:
            attempt_shown, generation = fields.get(trailers.ATTEMPT), fields.get(trailers.GENERATION)
            yield f"{ref} says it is attempt {attempt_shown} of {generation}"
        if not fields.get(trailers.CAUSE):
            yield f"{ref} does not say why it did not land"
        if trailers.TASK in fields:
            yield f"{ref} says that its task landed"
        if task in state.landed:
            yield f"{ref} is kept, but {task} landed in {state.landed[task]}"
        if task not in state.issues:
            yield f"{ref} is kept, but the tracker has no issue {task}"


# The report


def _report_agrees_with_the_branch(state: _State) -> Iterator[str]:
    for name, case in state.cases.items():
        task = case.properties.get("cobbler_task", "")
        if not name.startswith(_STITCH) or not task:
            continue
        outcome, commit = case.properties.get("cobbler_outcome"), case.properties.get("cobbler_commit", "")
        landed = state.landed.get(task, "")
        if (outcome == "landed") != bool(landed) or commit != landed:
            on_branch = landed or "no commit for it"
            yield f"the report has {task} as {outcome} {commit}, the branch has {on_branch}"
        if case.outcome == "passed" and outcome != "landed":
            yield f"the report has {task} as passed, but its outcome is {outcome}"


def _report_is_complete(state: _State) -> Iterator[str]:
    if not state.cases:
        return
    reported = {case.properties.get("cobbler_task", "") for case in state.cases.values()}
    for task in dict.fromkeys(event["task"] for event in state.last_run if event["event"] == "claim"):
        if task not in reported:
            yield f"the last run claimed {task}, but its report has no case for it"


# Remains of a run


def _no_task_branches(state: _State) -> Iterator[str]:
    for ref in state.refs:
        if ref.startswith("refs/heads/task/"):
            yield f"branch {ref.removeprefix('refs/heads/')} is left"


def _no_leftovers(state: _State) -> Iterator[str]:
    yield from leftovers(state.config, state.repository)


def _differences(before: CheckoutState, after: CheckoutState) -> Iterator[str]:
    for what in ("head", "index", "status"):
        old, new = getattr(before, what), getattr(after, what)
        if old != new:
            yield f"the checkout's {what} was {_shown(old)}, but is {_shown(new)}"
    for what in ("files", "refs"):
        old, new = getattr(before, what), getattr(after, what)
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) != new.get(name):
                yield f"{name} has changed"


def _shown(text: str) -> str:
    return repr(text if len(text) <= 300 else f"{text[:300]}...")


def _of(commit: _Commit) -> str:
    return f"commit {commit.id[:12]} ({commit.title})"


_ALWAYS: Sequence[Callable[[_State], Iterator[str]]] = (
    _nothing_is_claimed,
    _no_task_branches,
    _no_leftovers,
)

_OF_A_GENERATION: Sequence[Callable[[_State], Iterator[str]]] = (
    _branch_is_a_line,
    _start_is_tagged,
    _tasks_landed_once,
    _commits_passed_the_gate,
    _landed_commits_have_statements,
    _landed_tasks_are_closed,
    _closed_tasks_landed,
    _work_is_kept,
    _conversations_end_with_their_tasks,
    _kept_attempts_say_what_they_are,
    _report_agrees_with_the_branch,
    _report_is_complete,
)
