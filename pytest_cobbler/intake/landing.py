"""The branch of a person, landed on the active generation by the lane that lands the work of agents."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version

from pytest_cobbler.agents.base import AgentResult
from pytest_cobbler.causes import Cause, Ending
from pytest_cobbler.config import Config
from pytest_cobbler.cycle.attempt import Attempt, scrubbed
from pytest_cobbler.cycle.opening import open_run
from pytest_cobbler.cycle.run import Run
from pytest_cobbler.cycle.stated import trailers_of
from pytest_cobbler.cycle.unlanded import failure_of, not_landed
from pytest_cobbler.intake.branches import Branch, find_branch, refused_commits
from pytest_cobbler.landing.candidates import Candidate, Landing, Train
from pytest_cobbler.landing.statements import Work
from pytest_cobbler.landing.tree_records import TreeRecord
from pytest_cobbler.lifecycle.selection import no_generation
from pytest_cobbler.listeners import ItemEnd, PlannedItem
from pytest_cobbler.process import Cancellation
from pytest_cobbler.publishing.writing import report_line
from pytest_cobbler.repository import trailers
from pytest_cobbler.repository.checks import Policy, can_open
from pytest_cobbler.repository.generations import find_generation
from pytest_cobbler.repository.trailers import Landed
from pytest_cobbler.sandbox.base import Completed
from pytest_cobbler.tracker.base import Task
from pytest_cobbler.usage import Usage
from pytest_cobbler.wiring.hooks import Hooks
from pytest_cobbler.wiring.project import open_repository

__all__ = ["BranchEnd", "land_branch"]

_ANYTHING = ("**",)
_FREE = Usage(cost_usd=0.0)
"""No agent is paid: without a cost in the commit, it would count as unknown."""


@dataclass(frozen=True, kw_only=True)
class BranchEnd:
    """How the landing of a branch ended.

    ``commit`` is the landed commit; empty if it did not land. Then ``cause`` and ``summary`` say why,
    ``details`` are the evidence, and ``can_force``: only protected paths stand against it. ``log`` is the
    file of the gate's output. ``failures`` are what else went wrong, a line each; ``report`` is the line with
    the path of the report.
    """

    branch: Branch
    generation: str
    commit: str = ""
    cause: Cause = Cause.NONE
    summary: str = ""
    details: str = ""
    tests: str = ""
    notes: tuple[str, ...] = ()
    can_force: bool = False
    log: str = ""
    failures: tuple[str, ...] = ()
    report: str = ""

    @property
    def exit(self) -> int:
        """0 if it landed and all is written down, 2 if it was cancelled, else 1."""
        if self.cause is Cause.CANCELLED:
            return 2
        return 0 if self.commit and not self.failures else 1


def land_branch(
    config: Config,
    hooks: Hooks,
    name: str,
    *,
    force: bool,
    say: Callable[[str], None],
    tell: Callable[[str], None],
) -> BranchEnd:
    """Land the branch ``name`` on the active generation.

    Args:
        force: protected paths may change.
        say: prints a line before a step that takes long.
        tell: prints a line that matters: what was recovered, and warnings.

    Raises:
        CobblerError: the branch cannot land, or the run cannot begin. Nothing was changed.
        KeyboardInterrupt: before the landing began.
    """
    repository = open_repository(config)
    generation = find_generation(repository, config.gen_prefix, config.generation_branch)
    if generation is None:
        raise no_generation()
    find_branch(repository, generation, config.gen_prefix, name)  # an error comes before the checks of a run
    cancellation = Cancellation()
    opening = open_run(
        config,
        freed=lambda: None,
        hooks=hooks,
        command="pytest --cobbler-land",
        start_new=False,
        asks_agents=False,
        cancellation=cancellation,
        say=say,
    )
    with opening as opened:
        run = opened.run
        for line in (*(f"recovered: {line}" for line in opened.recovered), *opened.warnings):
            tell(line)
        branch = find_branch(repository, run.project.generation, config.gen_prefix, name)
        say(f"landing {branch.name} on {run.project.generation.name} ...")
        end = _BranchLanding(run, branch, force=force).carry_out(cancellation)
    failures = (
        *(f"TRACKER: {failure.call}: {failure.error}" for failure in run.ledger.tracker.failures),
        *run.listener.failures(),
        *(f"SIGNATURE: {failure}" for failure in run.notary.failures),
    )
    end = replace(end, failures=failures)
    run.ledger.journal.write("end", exit=end.exit)
    return replace(end, report=report_line(config, repository, end.generation))


class _BranchLanding:
    """One landing of a branch: the candidate and its end."""

    def __init__(self, run: Run, branch: Branch, *, force: bool) -> None:
        self._run = run
        self._branch = branch
        self._force = force
        self._task = Task(id=branch.task_id, title=branch.title, description=branch.description)
        self._number = run.ledger.numbers.next(branch.task_id)
        self._directory = run.ledger.numbers.directory(branch.task_id, self._number)
        self._unsigned: tuple[str, ...] = ()

    def carry_out(self, cancellation: Cancellation) -> BranchEnd:
        """Land the branch, or say why it does not land."""
        run, key = self._run, f"stitch::{self._task.id}"
        self._directory.mkdir(parents=True, exist_ok=True)
        run.listener.planned([PlannedItem(key=key, title=self._task.title)])
        refusals = refused_commits(run.project.repository, self._branch, self._policy.secrets)
        refused = Landing(cause=Cause.REFUSED, refusals=refusals)
        end = self._end(refused if refusals else self._land(cancellation))
        outcome = "landed" if end.commit else "cancelled" if end.cause is Cause.CANCELLED else "failed"
        run.listener.item_ended(
            ItemEnd(key=key, outcome=outcome, cause=end.cause, summary=end.summary, commit=end.commit)
        )
        return end

    @property
    def _policy(self) -> Policy:
        """The policy for the work of agents. With force it opens what ``allow_paths`` could open."""
        policy = self._run.parts.protection.policy()
        return replace(policy, allowed=_ANYTHING, outside=_ANYTHING) if self._force else policy

    def _land(self, cancellation: Cancellation) -> Landing:
        """Wait for the landing lane. An interrupt ends the gate; what has landed by then has landed."""
        run, branch = self._run, self._branch
        candidate = Candidate(
            task_id=self._task.id,
            commit=branch.commit,
            base=branch.base,
            of_person=True,
            policy=self._policy,
            log=self._directory / "gate.log",
            message=self._message,
            statement=partial(run.notary.state, self._work()),
            on_landed=self._note_landed,
        )
        run.listener.queued(self._task.id, self._number)
        with ThreadPoolExecutor(1, thread_name_prefix="cobbler-branch") as pool:
            landing = pool.submit(run.landing.land, candidate)
            try:
                return landing.result()
            except KeyboardInterrupt:
                cancellation.cancel()
                return landing.result()

    def _note_landed(self, commit: str) -> None:
        task, ledger = self._task, self._run.ledger
        ledger.finished.add(Landed(commit=commit, task=task.id, title=task.title, run=ledger.claim.run))
        self._unsigned = self._run.notary.landed(task.id, commit)

    def _message(self, notes: tuple[str, ...], record: TreeRecord | None, train: Train | None) -> str:
        run, task = self._run, self._task
        values = trailers_of(run, task, self._number, record, train) | {trailers.BRANCH: self._branch.name}
        values |= _FREE.to_trailers()
        repository = run.project.repository
        return run.ledger.scrub(
            trailers.message(repository, task.title, task.description, values, notes=notes)
        )

    def _work(self) -> Work:
        run = self._run
        return Work(
            task=self._task.id,
            title=self._task.title,
            generation=run.project.generation.name,
            base=run.base,
            run=run.ledger.claim.run,
            attempt=self._number,
            agent="",
            prompt="",
            gate=run.parts.gate.shown,
            by=str(run.project.identity.committer),
            version=version("pytest-cobbler"),
            branch=self._branch.commit,
        )

    def _end(self, landing: Landing) -> BranchEnd:
        run, record = self._run, landing.record
        end = BranchEnd(
            branch=self._branch,
            generation=run.project.generation.name,
            commit=landing.commit,
            tests=record.summary if record else "",
            notes=tuple(map(run.ledger.scrub, (*landing.notes, *self._unsigned))),
            log=str(self._directory / "gate.log") if landing.gate else "",
        )
        if landing.commit:
            return end
        completed = Completed(status=0, cause=Ending.EXITED, seconds=0.0, stderr="")
        attempt = Attempt(number=self._number, result=AgentResult(completed=completed))
        attempt = scrubbed(run, not_landed(attempt, landing))
        run.listener.not_landed(failure_of(self._task, attempt))
        return replace(
            end,
            cause=attempt.cause,
            summary=attempt.summary,
            details=attempt.details,
            can_force=bool(landing.refusals) and can_open(landing.refusals) and not self._force,
        )
