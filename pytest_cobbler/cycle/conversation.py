"""The conversation of an attempt: it begins, or goes on where that of the last attempt ended."""

from __future__ import annotations

import uuid
from dataclasses import replace

from pytest_cobbler.agents.base import ContinuingAgent, Session, SessionPlace
from pytest_cobbler.cycle.asking import Question, prepare
from pytest_cobbler.cycle.run import Run
from pytest_cobbler.cycle.starts import Start
from pytest_cobbler.repository.sessions import KeptSession, prepare_home
from pytest_cobbler.repository.worktrees import Worktree
from pytest_cobbler.tracker.base import Task

__all__ = ["begun", "kept_session"]


def kept_session(run: Run, task: Task, start: Start) -> KeptSession | None:
    """The conversation that goes on, if it is kept, and the agent can."""
    if start.continued is None or _place(run) is None:
        return None
    kept = run.sessions.find(task.id)
    return kept if kept and kept.number == start.continued.number else None


def begun(run: Run, question: Question, worktree: Worktree) -> Question:
    """The question, with its conversation if the agent can go on with one; its home is in ``worktree``."""
    place = _place(run)
    if place is None:
        return question
    session_id = question.kept.id if question.kept else str(uuid.uuid4())

    def restart() -> str:
        new = str(uuid.uuid4())
        prepare_home(worktree, new, _file(place, new, worktree))
        prepare(question.directory, question.prompt)
        return new

    prepare_home(worktree, session_id, _file(place, session_id, worktree), question.kept)
    home = worktree.seen(worktree.home)
    return replace(question, session=Session(id=session_id, home=home, turn=question.turn, restart=restart))


def _place(run: Run) -> SessionPlace | None:
    agent = run.parts.agent
    return agent.sessions if isinstance(agent, ContinuingAgent) else None


def _file(place: SessionPlace, session_id: str, worktree: Worktree) -> str:
    project = worktree.seen(worktree.project)
    # A program without a sandbox sees the path without links.
    return place.file(session_id, project if worktree.inside else project.resolve())
