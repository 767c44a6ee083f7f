"""One agent run for one task: worktree, agent, harvest, check."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from pytest_cobbler.agents.base import AgentRequest, AgentResult
from pytest_cobbler.cycle.asking import Question, prepare, request_of
from pytest_cobbler.cycle.prompts import Feedback, StitchFacts, stitch_prompt
from pytest_cobbler.cycle.run import Run, Surroundings
from pytest_cobbler.display import named
from pytest_cobbler.errors import CobblerError, HookProblem, OutsideProblem, RepositoryError
from pytest_cobbler.recordings.files import place_of
from pytest_cobbler.recordings.recorder import Recorder
from pytest_cobbler.repository import names, trailers
from pytest_cobbler.repository.harvest import Harvest, harvest, set_aside
from pytest_cobbler.repository.landing import ExactPatch, exact_patch_of, patch_of
from pytest_cobbler.repository.moving import ZERO
from pytest_cobbler.repository.worktrees import Worktree
from pytest_cobbler.tracker.base import Task


@dataclass(frozen=True, kw_only=True)
class Start:
    """What an attempt starts from.

    ``tree`` is checked out, ``parent`` becomes the parent of what is harvested; ``marked`` are the files in
    which we left conflict markers; ``surroundings`` are those of the moment.
    """

    parent: str
    tree: str
    marked: tuple[str, ...] = ()
    feedback: Feedback | None = None
    surroundings: Surroundings = field(default_factory=Surroundings)


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """The result of one agent run.

    ``commit`` holds the work, on ``task/<generation>-<id>``; empty when there is none or it cannot be
    imported, then ``kept_at`` says where it lies. ``error`` is the cause of a failure in a line, ``cause``
    in a word; both are empty when the change may be landed.
    """

    number: int
    result: AgentResult
    cause: str = ""
    error: str = ""
    evidence: str = ""
    paths: tuple[str, ...] = ()
    commit: str = ""
    kept_at: str = ""
    notes: tuple[str, ...] = field(default=())


def run_attempt(
    run: Run,
    task: Task,
    number: int,
    start: Start,
    *,
    on_step: Callable[[str], None],
    on_result: Callable[[AgentResult], None],
) -> Attempt:
    """Let the agent work on ``task`` and take what it made.

    ``on_result`` is told what the agent used as soon as it has ended: whatever comes then, it is spent.

    Raises:
        SandboxError: the agent could not be run at all.
        HookProblem: a hook of the project failed before the agent was run; or the agent of one did.
    """
    directory = run.attempt_directory(task.id, number)
    prompt = run.scrub(run.hooks.prompt("stitch", task, number, _prompt(run, task, number, start)))
    worktree = run.worktrees.create(
        f"{task.id}-{number}",
        parent=start.parent,
        tree=start.tree,
        purpose={"task": task.id, "title": task.title, "number": str(number), "run": run.claim.run},
    )
    question = Question(
        phase="stitch",
        name=task.id,
        title=task.title,
        attempt=number,
        prompt=prompt,
        directory=directory,
        task=task,
    )
    request = request_of(run, question, worktree, on_step)
    if run.recorder:
        run.recorder.begin(request)  # before the number is taken
    prepare(directory, prompt)
    run.journal.write("attempt", task=task.id, attempt=number, worktree=worktree.tree, parent=start.parent)
    try:
        result = run.agent.run(request, run.sandbox, run.cancellation)
    except OutsideProblem:
        raise  # what it did lies in the worktree, where the next run finds it
    except HookProblem:
        run.worktrees.remove(worktree)  # which no agent has seen
        raise
    on_result(result)
    run.journal.write(
        "agent", task=task.id, attempt=number, seconds=round(result.completed.seconds, 3), error=result.error
    )
    attempt = scrubbed(run, _take(run, task, number, start, worktree, result))
    _write_result(run, task, attempt)
    if result.final:
        run.forget(task.id, number)
    if run.recorder:
        _record(run, run.recorder, request, start, attempt)
    return attempt


def _record(run: Run, recorder: Recorder, request: AgentRequest, start: Start, attempt: Attempt) -> None:
    change, withheld = ExactPatch(), ""
    if attempt.commit:
        try:
            # Markers name commits, which are others in every run.
            change = exact_patch_of(run.repository, start.tree, attempt.commit, replacing=start.marked)
        except CobblerError as error:
            withheld = error.cause
            recorder.failures.append(f"{place_of(request)}: {error}")
    elif attempt.cause in ("harvest", "refused") and attempt.result.completed.cause != "cancelled":
        withheld = attempt.error
    recorder.attempt(
        request, attempt.result, change=change.content, replaced=change.replaced, withheld=withheld
    )


def scrubbed(run: Run, attempt: Attempt) -> Attempt:
    """An attempt whose texts are fit for reports, commits and prompts."""
    return replace(
        attempt,
        error=run.scrub(attempt.error),
        evidence=run.scrub(attempt.evidence),
        paths=tuple(map(run.scrub, attempt.paths)),
        notes=tuple(map(run.scrub, attempt.notes)),
    )


def _prompt(run: Run, task: Task, number: int, start: Start) -> str:
    template = run.config.stitch_prompt
    return stitch_prompt(
        template.read_text(encoding="utf-8") if template else None,
        StitchFacts(
            id=task.id,
            title=task.title,
            type=task.type,
            description=task.description,
            needs=run.needs_of(task),
            gate=run.gate.shown,
            gate_is_offline=run.gate.is_offline,
            protected=run.protected_shown,
            finished=start.surroundings.finished,
            attempt=number,
            feedback=start.feedback,
            documents=start.surroundings.documents,
            files=start.surroundings.files,
        ),
    )


def _take(
    run: Run, task: Task, number: int, start: Start, worktree: Worktree, result: AgentResult
) -> Attempt:
    """Harvest a worktree, however its agent ended, and say what may become of it."""
    try:
        # Not cancelled with the run: what an agent made so far is worth a second.
        found = harvest(worktree, run.repository, run.sandbox, run.policy(start.marked), run.sandbox.owner)
        aside = (
            set_aside(worktree, run.repository, run.sandbox, run.sandbox.owner) if not found.change else ()
        )
        commit = (
            _commit(run, task, number, found)
            if found.importable and found.change and not result.final
            else ""
        )
    except CobblerError as error:
        kept = run.worktrees.keep(worktree)
        return Attempt(
            number=number,
            result=result,
            cause="harvest",
            error=error.cause,
            evidence="\n".join(part for part in (error.remedy, error.evidence) if part),
            kept_at=str(kept),
        )
    notes = _notes(found)
    run.journal.write("harvest", task=task.id, attempt=number, files=len(found.change.entries), notes=notes)
    if not found.importable:
        kept = run.worktrees.keep(worktree)
        return Attempt(
            number=number,
            result=result,
            cause="refused",
            error=f"refused: {found.refusals[0]}",
            evidence="\n".join(map(str, found.refusals)),
            paths=tuple(refusal.path for refusal in found.refusals if refusal.path),
            kept_at=str(kept),
            notes=notes,
        )
    kept_at = ""
    if (found.ignored or aside) and not found.change:  # all that was made is where no harvest looks
        kept = run.worktrees.keep(worktree)
        kept_at = str(kept)
        if aside:
            notes += (f"left aside in the agent's own git, {kept.with_name('git')}: {named(aside)}",)
    else:
        run.worktrees.remove(worktree)
    cause, said, evidence = _verdict(result, found)
    return Attempt(
        number=number,
        result=result,
        cause=cause,
        error=said,
        evidence=evidence,
        paths=tuple(r.path for r in found.refusals if r.path),
        commit=commit,
        kept_at=kept_at,
        notes=notes,
    )


def _verdict(result: AgentResult, found: Harvest) -> tuple[str, str, str]:
    """Cause in a word, in a line, and the evidence; all empty when the change may be landed."""
    if result.completed.cause == "cancelled":
        return "cancelled", "cancelled", ""
    if result.broken_off:
        return result.broken_off, result.error or result.broken_off, ""
    if result.limited:
        return "limited", result.error, ""
    if result.error:
        cause = result.completed.cause if result.completed.cause in ("timeout", "idle", "killed") else "agent"
        return cause, result.error, result.text or result.completed.stderr
    if found.refusals:
        more = f" (and {len(found.refusals) - 1} more)" if len(found.refusals) > 1 else ""
        return "refused", f"refused: {found.refusals[0]}{more}", "\n".join(map(str, found.refusals))
    if not found.change:
        return "no-change", "no change", result.text
    return "", "", ""


def _notes(found: Harvest) -> tuple[str, ...]:
    notes = []
    if found.removed:
        notes.append(f"removed before harvest: {named(found.removed)}")
    if found.ignored:
        notes.append(f"not taken (ignored): {named(found.ignored)}")
    return tuple(notes)


def _commit(run: Run, task: Task, number: int, found: Harvest) -> str:
    """Commit the work on the task branch: from here on it cannot be lost.

    Raises:
        RepositoryError: the branch exists already, with another user's commit.
    """
    message = trailers.message(
        run.repository,
        f"Work on {task.id}: {task.title}",
        "",
        {
            trailers.ATTEMPT: f"{task.id} {number}",
            trailers.GENERATION: run.generation.name,
            trailers.RUN: run.claim.run,
        },
    )
    commit = run.repository.commit(found.tree, [found.parent], message, run.identity)
    branch = names.task_branch(run.generation.name, task.id)
    if not run.repository.move_ref(names.branch_ref(branch), commit, ZERO, f"cobbler: work on {task.id}"):
        raise RepositoryError(
            f"branch {branch} exists, with a commit that this run did not make",
            f"Rename the branch: git branch --move {branch} NAME",
        )
    return commit


def _write_result(run: Run, task: Task, attempt: Attempt) -> None:
    directory = run.attempt_directory(task.id, attempt.number)
    if attempt.commit:
        patch = patch_of(run.repository, f"{attempt.commit}^", attempt.commit)
        (directory / "change.patch").write_bytes(patch)
    usage = attempt.result.usage
    facts = {
        "task": task.id,
        "title": task.title,
        "attempt": attempt.number,
        "cause": attempt.cause,
        "error": attempt.error,
        "commit": attempt.commit,
        "kept_at": attempt.kept_at,
        "notes": attempt.notes,
        "session": attempt.result.session_id,
        "seconds": round(attempt.result.completed.seconds, 3),
        "turns": usage.turns,
        "cost_usd": usage.cost_usd,
        "model": usage.model,
    }
    text = run.scrub(json.dumps(facts, indent=2, ensure_ascii=False))
    (directory / "result.json").write_text(f"{text}\n")
