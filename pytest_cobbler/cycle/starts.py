"""What an attempt starts from: the tip, earlier work merged with it, or the base merged with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from pytest_cobbler.causes import Cause
from pytest_cobbler.cycle.prompts import Feedback
from pytest_cobbler.cycle.surroundings import Surroundings
from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.landing.tip import Red
from pytest_cobbler.lifecycle.joining import joins_base
from pytest_cobbler.report.evidence import informative
from pytest_cobbler.repository import names, trailers
from pytest_cobbler.repository.attempts import kept_attempts
from pytest_cobbler.repository.landing import Merge, merge, merge_change
from pytest_cobbler.repository.left_work import KeptWork, kept_left
from pytest_cobbler.repository.markers import marked_files
from pytest_cobbler.repository.sessions import Sessions
from pytest_cobbler.tracker.base import Task
from pytest_cobbler.wiring.project import Project


@dataclass(frozen=True, kw_only=True)
class Continued:
    """The attempt whose conversation goes on, and what its agent is told."""

    number: int
    feedback: Feedback


@dataclass(frozen=True, kw_only=True)
class Start:
    """What an attempt starts from.

    ``tree`` is checked out; ``parent`` becomes the parent of the harvested commit. ``marked`` are the files
    in which we left conflict markers. ``base`` is the commit of the base to merge, if that is the task.
    ``left`` is the work that earlier attempts left beside their files. ``surroundings`` are the current ones,
    ``red`` is what fails on the tip. ``continued`` is the attempt whose conversation goes on if it is kept
    and the agent can; else a new one begins, with ``feedback``.
    """

    parent: str
    tree: str
    marked: tuple[str, ...] = ()
    base: str = ""
    feedback: Feedback | None = None
    left: tuple[KeptWork, ...] = ()
    surroundings: Surroundings = field(default_factory=Surroundings)
    red: Red | None = None
    continued: Continued | None = None


class Starts:
    """Makes the starts of the attempts at one task, each from the current tip."""

    def __init__(self, project: Project, task: Task, sessions: Sessions | None = None) -> None:
        self._project = project
        self._sessions = sessions
        self._repository = project.repository
        self._task = task

    def first(self) -> Start:
        """The tip, merged with work that an earlier run kept, or with the base if that is the task."""
        if joins_base(self._task):
            return self._with_base()
        earlier = kept_attempts(self._repository, self._project.generation.name, self._task.id)
        last = earlier[-1] if earlier else None
        if last and last.cause.continues:
            feedback = _feedback(last.cause, f"an earlier attempt ended: {last.cause}", last.details)
            start = _continuing(self._from(last.commit, feedback), last.number)
        else:
            start = self._from_tip()
        session = self._sessions.find(self._task.id) if self._sessions else None
        if session and session.number > (last.number if last else 0):  # it had changed nothing yet
            return cut_off(lambda: start, session.number, "the run ended")
        return start

    def after(
        self,
        commit: str,
        base: str,
        *,
        cause: Cause,
        summary: str,
        details: str,
        number: int = 0,
        paths: tuple[str, ...] = (),
    ) -> Start:
        """The start after an attempt of this run that did not land.

        Args:
            commit: its work; empty if there is no work to continue from.
            base: the commit of the base to merge, if that is the task.
            cause, summary, details, paths: why it did not land.
            number: that of the attempt.
        """
        feedback = _feedback(cause, summary, details, paths)
        if commit:
            return _continuing(self._from(commit, feedback, base), number)
        afresh = replace(feedback, continues=False)
        return _continuing(self._with_base(afresh) if base else self._from_tip(afresh), number)

    def left(self) -> tuple[KeptWork, ...]:
        """The work that all earlier attempts left beside their files."""
        return tuple(kept_left(self._repository, self._project.generation.name, self._task.id))

    def _from_tip(self, feedback: Feedback | None = None) -> Start:
        tip = self._project.tip()
        return Start(parent=tip, tree=self._repository.tree_of(tip), feedback=feedback)

    def _with_base(self, feedback: Feedback | None = None) -> Start:
        """The current base, merged with the tip."""
        base = self._project.generation.base
        commit = self._repository.read_ref(names.branch_ref(base))
        if commit is None:
            raise RepositoryError(f"there is no branch {base} to merge")
        return self._from(commit, feedback, commit)

    def _from(self, commit: str, feedback: Feedback | None, base: str = "") -> Start:
        """Earlier work, or the base, merged with the current tip. Conflict markers stay in."""
        tip = self._project.tip()
        if base:
            merged = merge(self._repository, tip, commit, attributes=(tip, base))
        else:
            merged = merge_change(self._repository, tip, commit)
        parent = merged.tip
        if base:  # the agent's change is the difference from the merge, and only that is checked
            generation, identity = self._project.generation, self._project.identity
            values = {trailers.GENERATION: generation.name, trailers.TARGET: generation.base}
            message = trailers.message(self._repository, "The merge that is to be resolved", "", values)
            parent = self._repository.commit(merged.tree, [merged.tip, base], message, identity)
        # Not only this merge's markers: the work may still have markers from an earlier start.
        with_markers = marked_files(self._repository.objects, merged.tip, merged.tree)
        if merged.conflicts and feedback:
            feedback = self._about_conflict(feedback, commit, merged, with_markers)
        marked = {*merged.conflicts, *with_markers}
        return Start(
            parent=parent, tree=merged.tree, marked=tuple(sorted(marked)), base=base, feedback=feedback
        )

    def _about_conflict(
        self, feedback: Feedback, commit: str, merged: Merge, with_markers: Sequence[str]
    ) -> Feedback:
        landed = trailers.landed_tasks(self._repository, f"{commit}^..{merged.tip}")
        feedback = replace(
            feedback,
            files=tuple(path for path in merged.conflicts if path in with_markers),
            unmarked=tuple(path for path in merged.conflicts if path not in with_markers),
            theirs=tuple(task.title for task in landed.values()),
        )
        if feedback.kind is Cause.CONFLICT:
            return feedback
        summary = f"{feedback.summary}; since then the work conflicts with what landed"
        return replace(feedback, kind=Cause.CONFLICT, summary=summary)


def cut_off(make_start: Callable[[], Start], number: int, summary: str) -> Start:
    """The same start, for an agent that was cut off in the attempt ``number`` before it changed a file."""
    start = make_start()
    has_work = start.feedback is not None and start.feedback.continues
    feedback = Feedback(kind=Cause.AGENT, summary=summary, continues=has_work)
    return replace(start, continued=Continued(number=number, feedback=feedback))


def _continuing(start: Start, number: int) -> Start:
    assert start.feedback is not None
    return replace(start, continued=Continued(number=number, feedback=start.feedback))


def _feedback(cause: Cause, summary: str, details: str, paths: tuple[str, ...] = ()) -> Feedback:
    return Feedback(kind=cause.feedback, summary=summary, details=informative(details), files=paths)
