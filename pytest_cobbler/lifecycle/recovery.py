"""What a run that died left behind, found by comparing two truths: the repository and the tracker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from pytest_cobbler.config import Config
from pytest_cobbler.errors import CobblerError, TrackerError
from pytest_cobbler.lifecycle.finished import Finished
from pytest_cobbler.lifecycle.records import Record
from pytest_cobbler.report.journal import Journal
from pytest_cobbler.repository import names, trailers
from pytest_cobbler.repository.attempts import INTERRUPTED, drop_attempts, keep_attempt
from pytest_cobbler.repository.checks import Policy
from pytest_cobbler.repository.generations import Generation, active_generations, complete_start
from pytest_cobbler.repository.harvest import harvest
from pytest_cobbler.repository.identity import Identity
from pytest_cobbler.repository.landing import size_of
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.trailers import Landed
from pytest_cobbler.repository.worktrees import Worktree, Worktrees
from pytest_cobbler.sandbox.base import Sandbox
from pytest_cobbler.tracker.base import Claim, Task
from pytest_cobbler.tracker.lane import TrackerLane
from pytest_cobbler.usage import Usage


class Recoverable(Protocol):
    """A generation, and the means to put in order what a dead run left of it; a ``Run`` is one."""

    @property
    def config(self) -> Config: ...
    @property
    def repository(self) -> Repository: ...
    @property
    def identity(self) -> Identity: ...
    @property
    def generation(self) -> Generation: ...
    @property
    def tracker(self) -> TrackerLane: ...
    @property
    def sandbox(self) -> Sandbox: ...
    @property
    def worktrees(self) -> Worktrees: ...
    @property
    def journal(self) -> Journal: ...
    @property
    def finished(self) -> Finished: ...
    @property
    def claim(self) -> Claim: ...
    @property
    def scrub(self) -> Callable[[str], str]: ...
    def policy(self) -> Policy: ...


def recover(run: Recoverable) -> list[str]:
    """Bring repository and tracker to a state from which a run can begin; what was done, a line each.

    Nothing an agent made is dropped: what lies in a worktree becomes an attempt ref. Needs the run lock.
    """
    done = [f"ended job {name}" for name in run.sandbox.sweep()]
    complete_start(run.repository, run.generation)
    done += _worktrees(run)
    done += _task_branches(run)
    done += _claims(run)
    done = [run.scrub(line) for line in done]
    for line in done:
        run.journal.write("recovered", what=line)
    return done


def remove_stale_locks(repository: Repository) -> None:
    """Remove a dead process's lock files on refs that only we write; call it under the run lock."""
    for place in ("refs/cobbler", "refs/heads/task"):
        for path in sorted((repository.common_dir / place).rglob("*.lock")):
            repository.remove_stale_lock(str(path.relative_to(repository.common_dir).with_suffix("")))


def _worktrees(run: Recoverable) -> Iterator[str]:
    for worktree in run.worktrees.leftovers():
        task_id = worktree.purpose.get("task", "")
        if task_id and not run.finished.landed_by(worktree.purpose.get("run", ""), task_id):
            yield _salvage(run, worktree, task_id)
        else:
            run.worktrees.remove(worktree)
            yield f"removed worktree {worktree.name}"


def _salvage(run: Recoverable, worktree: Worktree, task_id: str) -> str:
    """Take the work out of a dead run's worktree."""
    try:
        found = harvest(worktree, run.repository, run.sandbox, run.policy(), run.sandbox.owner)
    except CobblerError as error:
        return f"kept {run.worktrees.keep(worktree)} of {task_id}: {error.cause}"
    if not found.importable:
        return f"kept {run.worktrees.keep(worktree)} of {task_id}: {found.refusals[0]}"
    said = f"removed worktree {worktree.name}, which had no change"
    if found.change:
        title = worktree.purpose.get("title", "")
        commit = run.repository.commit(found.tree, [found.parent], f"Work on {task_id}\n", run.identity)
        said = _keep(run, task_id, int(worktree.purpose["number"]), commit, title)
    run.worktrees.remove(worktree)  # only now: this run may be killed too
    return said


def _keep(run: Recoverable, task_id: str, number: int, commit: str, title: str) -> str:
    ref = keep_attempt(
        run.repository,
        run.generation.name,
        task_id,
        number,
        commit=commit,
        title=title,
        cause=INTERRUPTED,
        evidence="The run that made it ended before it could be landed.",
        identity=run.identity,
    )
    return f"kept the work on {task_id} as {ref}"


def _task_branches(run: Recoverable) -> Iterator[str]:
    """Branches of tasks whose landing never ended; whose they are says the commit, not the name."""
    for ref, commit in run.repository.list_refs(f"refs/heads/task/{run.generation.name}-*").items():
        said = trailers.read_trailers(run.repository, commit)
        task_id, _, number = said.get(trailers.ATTEMPT, "").partition(" ")
        if said.get(trailers.GENERATION) != run.generation.name or not number.isdigit():
            continue
        if ref != names.branch_ref(names.task_branch(run.generation.name, task_id)):
            continue
        if run.finished.landed_by(said.get(trailers.RUN, ""), task_id):
            drop_attempts(run.repository, run.generation.name, task_id)
        else:
            title = run.repository.objects.text("show", "-s", "--format=%s", commit)
            yield _keep(run, task_id, int(number), commit, title.partition(": ")[2])
        if run.repository.delete_refs({ref: commit}):
            yield f"left branch {ref.removeprefix('refs/heads/')}, which another process moved"


def _claims(run: Recoverable) -> Iterator[str]:
    """Tasks that a dead run held: closed where their commit is there, released where it is not.

    In the order in which they landed: no task can be closed before what it needs. Those of another active
    generation are left to its own next run, which knows whether they landed.
    """
    places = {landed.task: place for place, landed in enumerate(run.finished.all())}
    foreign = active_generations(run.repository, run.config.gen_prefix).keys() - {run.generation.name}
    for task in sorted(run.tracker.tasks().result(), key=lambda task: places.get(task.id, len(places))):
        claim = task.claim
        if claim is None or (claim.host, claim.repository) != (run.claim.host, run.claim.repository):
            continue
        if claim.run == run.claim.run or claim.generation in foreign:
            continue
        try:
            yield _settle(run, task, claim)
        except TrackerError as error:  # a person who reopened what it needs, for example
            yield f"left {task.id} in progress: {error.cause}"


def _settle(run: Recoverable, task: Task, claim: Claim) -> str:
    landed = run.finished.landed_by(claim.run, task.id)
    if landed is None:
        run.tracker.release(task.id, "released: the run that had it ended").result()
        return f"released {task.id}"
    record = _record(run.repository, landed).as_json(
        "recovery", commit=landed.commit, generation=run.generation.name
    )
    run.tracker.comment(task.id, record)
    run.tracker.close_task(task.id, f"landed in {landed.commit}").result()
    return f"closed {task.id}, which had landed in {landed.commit[:12]}"


def _record(repository: Repository, landed: Landed) -> Record:
    """What the commit itself says of what it cost."""
    size = size_of(repository, f"{landed.commit}^", landed.commit)
    return Record(
        usage=Usage.from_trailers(trailers.read_trailers(repository, landed.commit)),
        files=size.files,
        insertions=size.insertions,
        deletions=size.deletions,
    )
