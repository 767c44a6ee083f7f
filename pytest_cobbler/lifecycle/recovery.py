"""Recovers what a dead run left behind, by comparing the repository with the tracker."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from pytest_cobbler.causes import Cause
from pytest_cobbler.display import named
from pytest_cobbler.errors import CobblerError, TrackerError
from pytest_cobbler.files import remove_dead_directories
from pytest_cobbler.lifecycle.finished import Finished
from pytest_cobbler.lifecycle.forgotten import forgotten_landings
from pytest_cobbler.lifecycle.ledger import Ledger, open_ledger
from pytest_cobbler.lifecycle.records import Record
from pytest_cobbler.lifecycle.spending import UNSEEN, usage_of_attempts
from pytest_cobbler.repository import names, trailers
from pytest_cobbler.repository.attempts import drop_attempts, keep_attempt, last_numbers
from pytest_cobbler.repository.checks import Policy
from pytest_cobbler.repository.damage import damaged_refs
from pytest_cobbler.repository.generations import active_generations, complete_start
from pytest_cobbler.repository.harvest import harvest
from pytest_cobbler.repository.landing import size_of
from pytest_cobbler.repository.left_work import keep_left
from pytest_cobbler.repository.notes import NOTES
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.sessions import Sessions
from pytest_cobbler.repository.trailers import Landed, landed_tasks
from pytest_cobbler.sandbox.base import Sandbox
from pytest_cobbler.sandbox.site import Place, Site
from pytest_cobbler.tracker.base import AlreadyClaimed, Claim, Task
from pytest_cobbler.tracker.lane import TrackerLane
from pytest_cobbler.usage import Usage
from pytest_cobbler.wiring.agents import Agents
from pytest_cobbler.wiring.hooks import Hooks
from pytest_cobbler.wiring.parts import make_agents, make_sandbox, make_site
from pytest_cobbler.wiring.project import Project

_OF_TASK_BRANCH = (trailers.ATTEMPT, trailers.GENERATION, trailers.TARGET, trailers.RUN)
"""Trailers that a kept attempt has anyway, or does not have."""


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """Brings repository and tracker into a state from which a run, a stop or a reset can begin.

    No work of an agent is lost: the content of a worktree becomes an attempt ref. ``policy`` decides which
    files may become git objects. Needs the run lock. ``trees``: name of a place that the last run left -> the
    tree that was checked out there; filled by :meth:`run`.
    """

    project: Project
    ledger: Ledger
    sandbox: Sandbox
    site: Site
    policy: Policy
    trees: dict[str, str] = field(default_factory=dict)

    @property
    def sessions(self) -> Sessions:
        """The conversations of agents."""
        return Sessions(self.project.repository, self.project.generation.name, self.policy.secrets)

    def run(self) -> list[str]:
        """Recover; return one line for each step."""
        lines = [f"ended job {name}" for name in self.site.sweep()]
        complete_start(self.project.repository, self.project.generation)
        lines += self._drop_damaged()
        tasks = self.ledger.tracker.tasks().result()  # with bd, reading them takes a good part of a second
        lines += self._recover_places({task.id for task in tasks})
        self.site.release_pins()
        lines += self._recover_task_branches()
        self._drop_landed_attempts(tasks)
        claims = list(self._recover_claims(tasks))
        lines += claims
        lines += self._close_forgotten(self.ledger.tracker.tasks().result() if claims else tasks)
        lines = [self.ledger.scrub(line) for line in lines]
        for line in lines:
            self.ledger.journal.write("recovered", what=line)
        return lines

    def _drop_damaged(self) -> Iterator[str]:
        """Drop the refs of kept work whose objects are missing: every git that reads them fails."""
        for ref, commit in damaged_refs(self.project.repository).items():
            self.project.repository.drop_refs([ref])
            yield f"dropped {ref}: objects of its commit {commit} are missing{self._patch_of(ref)}"

    def _patch_of(self, ref: str) -> str:
        """Where the change of a kept attempt is as a patch, if it is."""
        generation, _, attempt = ref.removeprefix(names.ATTEMPTS).partition("/")
        patch = self.project.config.cobbler_dir / generation / "attempts" / attempt / "change.patch"
        is_kept = ref.startswith(names.ATTEMPTS) and patch.is_file()
        return f"; its change is in {patch}" if is_kept else ""

    def _recover_places(self, known: Collection[str]) -> Iterator[str]:
        """Keep the work in the places of dead runs; ``known`` are the tasks that the tracker has."""
        counted = self.site.take_back(lambda task_id: task_id in self.ledger.finished)
        for place in self.site.leftovers():
            if place.name not in counted:
                self.trees[place.name] = place.tree_id
            task_id = place.purpose.get("task", "")
            run_id = place.purpose.get("run", "")
            if task_id and not self.ledger.finished.landed_by(run_id, task_id):
                self.sessions.keep(place)
                yield self._salvage(place, task_id)
                if task_id in known and place.name not in counted:
                    self._count_killed(task_id, int(place.purpose["number"]))
            else:
                place.remove()
                yield f"removed worktree {place.name}"

    def _count_killed(self, task_id: str, number: int) -> None:
        """Write the record of an attempt whose run could not: what the proxy saw of it."""
        repository, generation = self.project.repository, self.project.generation.name
        commit = repository.read_ref(names.branch_ref(names.task_branch(generation, task_id)))
        values = trailers.read_trailers(repository, commit) if commit else {}
        if values.get(trailers.ATTEMPT) == f"{task_id} {number}":
            return  # the work had become a commit, which has the cost
        usage = self._usages.get((task_id, number), UNSEEN)
        text = Record(usage=usage).as_json("recovery", generation=generation)
        self.ledger.tracker.comment(task_id, text)

    @cached_property
    def _usages(self) -> dict[tuple[str, int], Usage]:
        """What the proxy saw of earlier attempts: the log of a night has a line for each request."""
        return usage_of_attempts(self.project.repository.work_dir, self.project.generation.name)

    def _salvage(self, place: Place, task_id: str) -> str:
        """Keep the work in a dead run's place."""
        repository = self.project.repository
        try:
            harvested = harvest(place, repository, self.policy)
        except CobblerError as error:
            why = self.ledger.scrub(error.cause)
            return f"kept {place.keep(why, again=True)} of {task_id}: {why}"
        number = int(place.purpose["number"])
        left = keep_left(
            repository,
            self.project.generation,
            task_id,
            number,
            works=harvested.left,
            secrets=self.policy.secrets,
            identity=self.project.identity,
        )
        if not harvested.importable:
            why = self.ledger.scrub(str(harvested.refusals[0]))
            return f"kept {place.keep(why)} of {task_id}: {why}"
        line = f"removed worktree {place.name}, which had no change"
        if harvested.change:
            message = f"Work on {task_id}\n"
            commit = repository.commit(harvested.tree, [harvested.parent], message, self.project.identity)
            line = self._keep(task_id, number, commit, place.purpose.get("title", ""))
        if left:
            line += f", and what it had left beside its files as {named([work.ref for work in left])}"
        if harvested.unread:
            why = f"there may be more work in the agent's own git: {harvested.unread}"
            return f"{line}, and {place.keep(why)}: {harvested.unread}"
        place.remove()  # only after the work is kept: this run may be killed too
        return line

    def _keep(
        self, task_id: str, number: int, commit: str, title: str, facts: Mapping[str, str] | None = None
    ) -> str:
        ref = keep_attempt(
            self.project.repository,
            self.project.generation,
            task_id,
            number,
            commit=commit,
            title=title,
            cause=Cause.INTERRUPTED,
            details="Its run ended before the work could land.",
            identity=self.project.identity,
            facts=facts or {},
        )
        return f"kept the work on {task_id} as {ref}"

    def _recover_task_branches(self) -> Iterator[str]:
        """Keep task branches whose landing did not end. The commit's trailers name the task."""
        repository, generation = self.project.repository, self.project.generation.name
        for ref, commit in repository.list_refs(f"refs/heads/task/{generation}-*").items():
            trailer = trailers.read_trailers(repository, commit)
            task_id, _, number = trailer.get(trailers.ATTEMPT, "").partition(" ")
            if trailer.get(trailers.GENERATION) != generation or not number.isdigit():
                continue
            if ref != names.branch_ref(names.task_branch(generation, task_id)):
                continue
            if self.ledger.finished.landed_by(trailer.get(trailers.RUN, ""), task_id):
                drop_attempts(repository, generation, task_id)
            else:
                subject = repository.objects.text("show", "-s", "--format=%s", commit)
                facts = {name: value for name, value in trailer.items() if name not in _OF_TASK_BRANCH}
                yield self._keep(task_id, int(number), commit, subject.partition(": ")[2], facts)
            if repository.delete_refs({ref: commit}):
                yield f"left branch {ref.removeprefix('refs/heads/')}, which another process moved"

    def _drop_landed_attempts(self, tasks: Iterable[Task]) -> None:
        """Delete the attempts of tasks that landed in a run which could not do it any more."""
        for task in tasks:
            if task.status != "open" and self.ledger.finished.get(task.id):  # it was not opened again
                self.sessions.drop(task.id)
        repository, generation = self.project.repository, self.project.generation.name
        for task_id in last_numbers(repository, generation):
            if landed := self.ledger.finished.get(task_id):
                drop_attempts(repository, generation, task_id, before=landed.commit)

    def _recover_claims(self, tasks: Iterable[Task]) -> Iterator[str]:
        """Close the tasks of dead runs if they landed, else release them.

        They are closed in the order in which they landed, because a task cannot be closed before its
        dependencies. Tasks of another active generation are left to its next run, which knows whether they
        landed.
        """
        ledger, project = self.ledger, self.project
        places = {landed.task: place for place, landed in enumerate(ledger.finished.all())}
        active = active_generations(project.repository, project.config.gen_prefix)
        foreign = active.keys() - {project.generation.name}
        ours = ledger.claim
        for task in sorted(tasks, key=lambda task: places.get(task.id, len(places))):
            claim = task.claim
            if claim is None or not claim.is_of_same_repository(ours):
                continue
            if claim.run == ours.run or claim.generation in foreign:
                continue
            try:
                yield self._close_or_release(task, claim)
            except TrackerError as error:  # a person reopened a dependency, for example
                yield self._left(task.id, error)

    def _left(self, task_id: str, error: TrackerError) -> str:
        free = self.ledger.open_hint.format(task_id)
        return f"left {task_id} in progress, its run has ended: {error.cause}; to free it: {free}"

    def _close_forgotten(self, tasks: Iterable[Task]) -> Iterator[str]:
        """Close open tasks whose landing the tracker does not know: it was restored from an older state.

        Each is claimed first, in the name of the run that landed it: an open task with the record of its
        landing is one that a person has opened again, and this run may be killed before it has closed it.

        Raises:
            TrackerError: one could not be claimed, so that this run would do it again.
        """
        generation, tracker = self.project.generation, self.ledger.tracker
        landed = landed_tasks(self.project.repository, f"{generation.first}..{self.project.tip()}")
        for one in forgotten_landings(tasks, landed, lambda: tracker.comments().result()):
            try:
                tracker.claim(one.task, replace(self.ledger.claim, run=one.run)).result()
            except AlreadyClaimed:  # by a person, just now
                continue
            try:
                self._close(one)
            except TrackerError as error:  # a dependency is open
                yield self._left(one.task, error)
            else:
                yield f"closed {one.task}, which had landed in {one.commit[:12]}, unknown to the tracker"

    def _close_or_release(self, task: Task, claim: Claim) -> str:
        """Close the task of a dead run if it landed, else release it."""
        landed = self.ledger.finished.landed_by(claim.run, task.id)
        if landed is None:
            self.ledger.tracker.release(task.id, "released: its run has ended").result()
            return f"released {task.id}"
        self._close(landed)
        return f"closed {task.id}, which had landed in {landed.commit[:12]}"

    def _close(self, landed: Landed) -> None:
        """Close the task of a landing, with its record."""
        record = _record(self.project.repository, landed).as_json(
            "recovery", commit=landed.commit, generation=self.project.generation.name
        )
        self.ledger.tracker.close_task(landed.task, f"landed in {landed.commit}", record).result()


def recovery_without_agent(project: Project, lane: TrackerLane, hooks: Hooks, finished: Finished) -> Recovery:
    """The recovery for actions that run no agent, such as stop and reset.

    Nothing will land, so the policy only refuses what must not become an object.
    """
    run_id = secrets.token_hex(4)
    sandbox = make_sandbox(project.config, project.repository, run_id)
    given = hooks.agent()
    agents = Agents.one(given) if given else make_agents(project.config, run_id)
    return Recovery(
        project=project,
        ledger=open_ledger(project, lane, finished, run_id, agents.secrets),
        sandbox=sandbox,
        site=make_site(project.repository, project.generation.name, sandbox, project.config, run_id),
        policy=Policy(secrets=tuple(agents.secrets)),
    )


def remove_remains(repository: Repository, prefix: str) -> list[str]:
    """Remove what a dead process left: git's lock files, and temporary directories; a line for each lock.

    Call it under the run lock, before anything is written.

    Args:
        prefix: that of the names of generations.
    """
    ours = ("refs/cobbler/**/*.lock", "refs/heads/task/**/*.lock", f"{NOTES}.lock")
    lines = repository.remove_stale_locks(
        *ours, f"refs/heads/{prefix}*.lock", f"refs/tags/{prefix}*.lock", "refs/tags/v*.lock"
    )
    remove_dead_directories(repository.work_dir)
    return lines


def _record(repository: Repository, landed: Landed) -> Record:
    """The cost of a landed task, from its commit's trailers."""
    size = size_of(repository, f"{landed.commit}^", landed.commit)
    return Record(
        usage=Usage.from_trailers(trailers.read_trailers(repository, landed.commit)),
        files=size.files,
        insertions=size.insertions,
        deletions=size.deletions,
    )
