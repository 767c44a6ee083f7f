"""One agent run for one task: place, agent, harvest, check."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_cobbler.agents.base import AgentError, AgentRequest, AgentResult, OnStep
from pytest_cobbler.causes import Cause, Ending
from pytest_cobbler.cycle.asking import Question, prepare, request_of, result_of
from pytest_cobbler.cycle.conversation import begun, kept_session
from pytest_cobbler.cycle.outcome import Verdict
from pytest_cobbler.cycle.run import Run
from pytest_cobbler.cycle.starts import Start
from pytest_cobbler.cycle.telling import beginning_of, digest_of, prompt_of, turn_of
from pytest_cobbler.display import named
from pytest_cobbler.errors import (
    CobblerError,
    HookProblem,
    NotStarted,
    OutsideProblem,
    RepositoryError,
    SandboxError,
)
from pytest_cobbler.listeners import AttemptEnd
from pytest_cobbler.recordings.files import place_of_task
from pytest_cobbler.report.journal import keep_in_history
from pytest_cobbler.repository import names, trailers
from pytest_cobbler.repository.checks import can_open
from pytest_cobbler.repository.damage import are_files, is_whole
from pytest_cobbler.repository.harvest import Harvest, harvest
from pytest_cobbler.repository.landing import patch_of
from pytest_cobbler.repository.left_work import KeptWork, keep_left
from pytest_cobbler.repository.moving import ZERO
from pytest_cobbler.sandbox.site import Place
from pytest_cobbler.tracker.base import Task
from pytest_cobbler.wiring.agents import NamedAgent

_NAMED = 10
"""Works beside the files that are named on an item."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """The end of one agent run.

    ``commit`` holds the work, on ``task/<generation>-<id>``. It is empty if there is no work, or if the work
    cannot be imported; ``kept_at`` is then the path of the work. ``cause`` is why the attempt failed,
    ``summary`` the same in one line, ``details`` the evidence; all are empty if the change may land.
    ``is_last``: a further attempt would fail in the same way. ``base`` is that of the start. ``tests`` are
    the tests that the gate ran, for people; empty if it has not run. ``flaky`` are those that have failed and
    passed on the merged tree. ``prompt`` is the sha256 of the prompt.
    ``ignored`` counts the ignored files and directories that are not kept.
    ``left`` are refs of work beside the files.
    ``agent`` is the name of the agent, ``node`` is where it worked; empty for this machine. ``facts`` are the
    trailers of the work, with which a later run can land it; empty if none may.
    """

    number: int
    result: AgentResult
    agent: str = ""
    node: str = ""
    cause: Cause = Cause.NONE
    summary: str = ""
    details: str = ""
    paths: tuple[str, ...] = ()
    commit: str = ""
    base: str = ""
    kept_at: str = ""
    notes: tuple[str, ...] = field(default=())
    is_last: bool = False
    tests: str = ""
    flaky: str = ""
    prompt: str = ""
    ignored: int = 0
    left: tuple[str, ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict)

    @property
    def did_nothing(self) -> bool:
        """Whether there is no work at all, neither in the files nor beside them."""
        return self.cause is Cause.NO_CHANGE and not self.left

    @property
    def headline(self) -> str:
        """``summary`` for people; prompts do not have the refs, which a replay of the agent does not make."""
        if self.cause is Cause.NO_CHANGE and self.left:
            return f"{self.summary} in the files; the work is in git: {named(self.left, 3)}"
        return self.summary

    @property
    def ends_the_item(self) -> bool:
        """Whether a further attempt in the same run would not help."""
        if self.cause is Cause.NO_CHANGE:
            return self.is_last or self.did_nothing  # the next agent can take it from git
        return self.is_last or self.cause.is_final

    @property
    def verdict(self) -> Verdict:
        """How the item ends with this attempt. A task that has used up its own budget fails."""
        if self.cause is Cause.CANCELLED:
            return Verdict.CANCELLED
        if self.cause is Cause.BUDGET:
            return Verdict.LIMITED if self.result.is_out_of_money else Verdict.FAILED
        is_limit = self.cause in (Cause.LIMITED, Cause.ACCESS, Cause.MODEL)
        return Verdict.LIMITED if is_limit else Verdict.FAILED


def run_attempt(
    run: Run,
    task: Task,
    number: int,
    start: Start,
    by: NamedAgent,
    *,
    on_step: OnStep,
    on_result: Callable[[AgentResult, str], None],
) -> Attempt:
    """Let an agent work on ``task`` and take the work out of its place.

    ``on_result`` gets the result and the node as soon as the agent has ended, because its cost is spent
    whatever follows.

    Raises:
        SandboxError: the agent could not be run at all.
        HookProblem: a hook of the project failed before the agent was run, or the agent of a hook failed.
    """
    question = _question(run, task, number, start, by)
    place = _place(run, task, number, start)
    question = begun(question, place)
    request = request_of(run, question, place, on_step)
    run.listener.attempt_begins(request)  # before the directory uses up the number
    prepare(question.directory, question.turn or question.prompt)
    run.listener.agent_starts(request, number, start.parent)
    try:
        result = by.agent.run(request, place.sandbox, run.cancellation)
    except OutsideProblem:
        raise  # the next run finds the work in the place
    except HookProblem:
        place.remove()  # no agent has used it
        raise
    except NotStarted:
        place.remove()
        run.ledger.numbers.forget(task.id, number)
        raise
    except AgentError as error:
        place.remove()
        run.ledger.numbers.forget(task.id, number)
        attempt = scrubbed(run, _not_run(number, by, place.node, error))
        on_result(attempt.result, place.node)
        _tell_end(run, request, start, attempt)
        return attempt
    on_result(result, place.node)
    run.sessions.keep(place)
    run.listener.agent_ended(request, number, result)
    attempt = Attempt(number=number, result=result, agent=by.name, node=place.node, base=start.base)
    attempt = replace(attempt, notes=result.notes, prompt=digest_of(request, result))
    attempt = scrubbed(run, _take(run, task, start, place, attempt))
    _write_result(run, task, attempt)
    _tell_end(run, request, start, attempt)
    return attempt


def _question(run: Run, task: Task, number: int, start: Start, by: NamedAgent) -> Question:
    """What the agent is asked, in a new conversation or in the one that goes on."""
    kept, prompt = kept_session(run, task, start, by), prompt_of(run, task, number, start)
    return Question(
        phase="stitch",
        name=task.id,
        title=task.title,
        attempt=number,
        by=by,
        prompt=prompt,
        beginning=beginning_of(run, task, start, prompt),
        directory=run.ledger.numbers.directory(task.id, number),
        task=task,
        kept=kept,
        turn=turn_of(run, task, number, start) if kept else "",
    )


def _place(run: Run, task: Task, number: int, start: Start) -> Place:
    """The place of an attempt; its git also shows what earlier attempts left."""
    return run.site.open(
        f"{task.id}-{number}",
        parent=start.parent,
        tree=start.tree,
        purpose={"task": task.id, "title": task.title, "number": str(number), "run": run.ledger.claim.run},
        also=[work.commit for work in start.left],
    )


def _not_run(number: int, by: NamedAgent, node: str, error: AgentError) -> Attempt:
    """The attempt of an agent that did nothing."""
    result = result_of(error)
    return Attempt(
        number=number,
        result=result,
        agent=by.name,
        node=node,
        cause=Cause.AGENT,
        summary=result.error,
        details=result.text,
        is_last=True,
    )


def _tell_end(run: Run, request: AgentRequest, start: Start, attempt: Attempt) -> None:
    end = AttemptEnd(
        request=request,
        result=attempt.result,
        tree=start.tree,
        marked=start.marked,
        commit=attempt.commit,
        cause=attempt.cause,
        summary=attempt.summary,
    )
    run.listener.attempt_ended(end)


def scrubbed(run: Run, attempt: Attempt) -> Attempt:
    """The attempt, with credentials removed from its texts."""
    scrub = run.ledger.scrub
    return replace(
        attempt,
        summary=scrub(attempt.summary),
        details=scrub(attempt.details),
        paths=tuple(map(scrub, attempt.paths)),
        notes=tuple(map(scrub, attempt.notes)),
    )


def _take(run: Run, task: Task, start: Start, place: Place, attempt: Attempt) -> Attempt:
    """Harvest a place, however its agent ended, and decide whether the work may land."""
    number, result = attempt.number, attempt.result
    cut, why_cut = _cut_short(result, run.turns.broken_off(place_of_task(task.title) / str(number)))
    try:
        # Not cancelled with the run: it takes a second, and saves the agent's work.
        policy = run.parts.protection.policy(start.marked)
        harvested = harvest(place, run.project.repository, policy)
        left = _keep_left(run, task, number, harvested)
        cause, summary, details = (cut, why_cut, "") if cut else _verdict(result, harvested)
        if harvested.importable and harvested.change:
            attempt = replace(attempt, facts=_facts(attempt) if _may_land(cause, harvested) else {})
            attempt = replace(attempt, commit=_commit(run, task, attempt, harvested))
    except CobblerError as error:
        kept_at = _keep_aside(run, place, error.cause)
        parts = (error.cause if cut else "", error.remedy, error.evidence)
        cause = cut or (Cause.SANDBOX if isinstance(error, SandboxError) else Cause.HARVEST)
        attempt = replace(attempt, cause=cause, summary=why_cut or error.cause, facts={})
        return replace(attempt, details="\n".join(part for part in parts if part), kept_at=kept_at)
    attempt = replace(
        attempt,
        notes=(*attempt.notes, *_notes(harvested, left, result)),
        ignored=harvested.ignored_count,
        paths=tuple(refusal.path for refusal in harvested.refusals if refusal.path),
        left=tuple(work.ref for work in left),
    )
    run.listener.harvested(task.id, number, len(harvested.change.entries), attempt.notes)
    if not harvested.importable:
        return replace(
            attempt,
            cause=cut or Cause.REFUSED,
            summary=why_cut or f"refused: {harvested.refusals[0]}",
            details="\n".join(map(str, harvested.refusals)),
            kept_at=str(place.keep(f"refused: {harvested.refusals[0]}")),
        )
    if harvested.unread:
        why = f"there may be more work in the agent's own git: {harvested.unread}"
        kept = place.keep(why)
        kept_git = kept.with_name("git") if kept.suffix != ".tar" else kept  # an archive has both
        note = f"there may be more work in the agent's own git, {kept_git}: {harvested.unread}"
        attempt = replace(attempt, notes=(*attempt.notes, note))
    elif harvested.ignored and not harvested.change:  # all work is in ignored files
        where = place.keep("all of its work is in ignored files")
        attempt = replace(attempt, kept_at=str(where))
    else:
        place.remove()
    return replace(attempt, cause=cause, summary=summary, details=details)


def _keep_aside(run: Run, place: Place, why: str) -> str:
    """Keep a place that could not be harvested; empty if its files are gone."""
    if place.has_files:
        return str(place.keep(run.ledger.scrub(why), again=True))
    place.remove()
    return ""


def _cut_short(result: AgentResult, broken_off: Cause) -> tuple[Cause, str]:
    """Why the agent had no chance to end its work, and a summary; both are empty if it had.

    This comes before all that is wrong with its work: no task fails of a limit or an interrupt.
    """
    if result.completed.cause == Ending.CANCELLED:
        return Cause.CANCELLED, "cancelled"
    if result.completed.cause == Ending.LOST:
        return Cause.LOST, result.error
    if broken_off:
        return broken_off, result.error or broken_off
    if result.unpaid:
        return Cause.BUDGET, result.error
    if result.limited or result.refused:
        return result.refused or Cause.LIMITED, result.error
    return Cause.NONE, ""


def _verdict(result: AgentResult, harvested: Harvest) -> tuple[Cause, str, str]:
    """Cause, summary and details of an agent that was not cut short; all are empty if its work may land."""
    if error := result.error or ("" if harvested.change else result.doubt):
        return Ending(result.completed.cause).cause, error, result.text or result.completed.stderr
    if refusals := harvested.refusals:
        more = f" (and {len(refusals) - 1} more)" if len(refusals) > 1 else ""
        return Cause.REFUSED, f"refused: {refusals[0]}{more}", "\n".join(map(str, refusals))
    if not harvested.change:
        return Cause.NO_CHANGE, "no change", result.text
    return Cause.NONE, "", ""


def _may_land(cause: Cause, harvested: Harvest) -> bool:
    """Whether a run may land the work without its agent: now, or after ``allow_paths`` was changed."""
    return not cause or (cause is Cause.REFUSED and can_open(harvested.refusals))


def _keep_left(run: Run, task: Task, number: int, harvested: Harvest) -> tuple[KeptWork, ...]:
    """Keep the work beside the files, whatever becomes of the files."""
    return keep_left(
        run.project.repository,
        run.project.generation,
        task.id,
        number,
        works=harvested.left,
        secrets=run.parts.protection.policy().secrets,
        identity=run.project.identity,
    )


def _notes(harvested: Harvest, left: Sequence[KeptWork], result: AgentResult) -> tuple[str, ...]:
    notes = [f"{result.doubt}: its change went to the gate"] if result.doubt and harvested.change else []
    if harvested.removed:
        notes.append(f"removed before harvest: {named(harvested.removed)}")
    if harvested.checkouts:
        notes.append(f"not harvested (checkouts of the agent's own git): {named(harvested.checkouts)}")
    if harvested.ignored and not harvested.change:
        notes.append(f"not harvested (ignored): {named(harvested.ignored)}")
    return (*notes, *left_notes(left))


def left_notes(left: Sequence[KeptWork]) -> list[str]:
    """A note for each work that an agent left beside its files."""
    notes = [f"also left, and kept as {work.ref}: {work.name}" for work in left[:_NAMED]]
    if len(left) > _NAMED:
        notes.append(f"and {len(left) - _NAMED} more, kept beside them")
    return notes


def _facts(attempt: Attempt) -> dict[str, object]:
    """What a later run has to know to land this work without its agent."""
    usage = attempt.result.usage
    return {
        trailers.READY: "yes",
        trailers.PROMPT: attempt.prompt,
        trailers.MODEL: usage.model,
        trailers.AGENT: attempt.agent,
        trailers.NODE: attempt.node,
        trailers.SESSION: attempt.result.session_id,
        **usage.to_trailers(),
    }


def _commit(run: Run, task: Task, attempt: Attempt, harvested: Harvest) -> str:
    """Commit the work on the task branch. From then on the work cannot be lost.

    Raises:
        RepositoryError: the branch exists already, with another user's commit.
    """
    repository, generation = run.project.repository, run.project.generation
    message = trailers.message(
        repository,
        f"Work on {task.id}: {task.title}",
        "",
        {
            trailers.ATTEMPT: f"{task.id} {attempt.number}",
            trailers.GENERATION: generation.name,
            trailers.TARGET: generation.base,
            trailers.RUN: run.ledger.claim.run,
            **attempt.facts,
        },
    )
    commit = repository.commit(harvested.tree, [harvested.parent], message, run.project.identity)
    branch = names.task_branch(generation.name, task.id)
    if not repository.move_ref(names.branch_ref(branch), commit, ZERO, f"cobbler: work on {task.id}"):
        raise RepositoryError(
            f"branch {branch} exists, with a commit that this run did not make",
            f"Rename the branch: git branch --move {branch} NAME",
        )
    # Its tree and its parent have pins.
    if not are_files(repository, [commit]) and not is_whole(
        repository, [commit], [harvested.tree, harvested.parent]
    ):
        raise RepositoryError(f"commit {commit} of the work is missing in the repository")
    return commit


def _write_result(run: Run, task: Task, attempt: Attempt) -> None:
    directory = run.ledger.numbers.directory(task.id, attempt.number)
    if attempt.commit:
        patch = patch_of(run.project.repository, f"{attempt.commit}^", attempt.commit)
        keep_in_history(directory / "change.patch", patch)
    usage = attempt.result.usage
    facts = {
        "task": task.id,
        "title": task.title,
        "attempt": attempt.number,
        "cause": attempt.cause,
        "error": attempt.headline,
        "commit": attempt.commit,
        "kept_at": attempt.kept_at,
        "notes": attempt.notes,
        "ignored": attempt.ignored,
        "session": attempt.result.session_id,
        "seconds": round(attempt.result.completed.seconds, 3),
        "turns": usage.turns,
        "cost_usd": usage.cost_usd,
        "cost_is_partial": usage.cost_is_partial,
        "agent": attempt.agent,
        **({"node": attempt.node} if attempt.node else {}),
        "model": usage.model,
    }
    text = run.ledger.scrub(json.dumps(facts, indent=2, ensure_ascii=False))
    keep_in_history(directory / "result.json", f"{text}\n".encode())
