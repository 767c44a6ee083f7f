"""The conversation of an attempt: it begins, or goes on where that of the last attempt ended."""

from __future__ import annotations

from dataclasses import replace

from pytest_cobbler.agents.base import ContinuingAgent, Session, SessionPlace
from pytest_cobbler.cycle.asking import Question, prepare
from pytest_cobbler.cycle.run import Run
from pytest_cobbler.cycle.starts import Start
from pytest_cobbler.repository.sessions import KeptSession, prepare_home
from pytest_cobbler.sandbox.site import Place
from pytest_cobbler.tracker.base import Task
from pytest_cobbler.wiring.agents import NamedAgent

__all__ = ["begun", "kept_session"]


def kept_session(run: Run, task: Task, start: Start, by: NamedAgent) -> KeptSession | None:
    """The conversation that goes on, if it is kept, and the agent can: no agent goes on with another's."""
    if start.continued is None or _place(by) is None:
        return None
    kept = run.sessions.find(task.id)
    return kept if kept and (kept.number, kept.agent) == (start.continued.number, by.name) else None


def begun(question: Question, place: Place) -> Question:
    """The question, with its conversation if the agent can go on with one; its home is in ``place``."""
    kept_in = _place(question.by)
    if kept_in is None:
        return question
    session_id = question.kept.id if question.kept else kept_in.new_id()

    def make_home(named: str, kept: KeptSession | None) -> None:
        file, agent = _file(kept_in, named, place, is_new=kept is None), question.by.name
        prepare_home(place, named, file, kept, agent=agent, beside=kept_in.beside, mark=kept_in.mark)

    def restart() -> str:
        new = kept_in.new_id()
        make_home(new, None)
        prepare(question.directory, question.prompt)
        return new

    make_home(session_id, question.kept)
    session = Session(id=session_id, home=place.home, turn=question.turn, restart=restart)
    return replace(question, session=session)


def _place(by: NamedAgent) -> SessionPlace | None:
    return by.agent.sessions if isinstance(by.agent, ContinuingAgent) else None


def _file(kept_in: SessionPlace, session_id: str, place: Place, *, is_new: bool) -> str:
    project = place.checkout / place.directory
    # A program without a sandbox sees the path without links.
    directory = project.resolve() if project == place.location else project
    return kept_in.file(session_id, directory, is_new=is_new)
