"""Finished work of an earlier run, as an attempt that can be landed."""

from __future__ import annotations

from pytest_cobbler.agents.base import AgentResult
from pytest_cobbler.causes import Ending
from pytest_cobbler.cycle.attempt import Attempt
from pytest_cobbler.repository import trailers
from pytest_cobbler.repository.attempts import KeptAttempt
from pytest_cobbler.sandbox.base import Completed
from pytest_cobbler.usage import Usage

_FACTS = (trailers.READY, trailers.PROMPT, trailers.MODEL, trailers.AGENT, trailers.NODE, trailers.SESSION)


def attempt_of(kept: KeptAttempt) -> Attempt:
    """The attempt, as it was when its agent had ended."""
    values = kept.trailers
    usage = Usage.from_trailers(values)
    completed = Completed(status=0, cause=Ending.EXITED, seconds=0.0, stderr="")
    return Attempt(
        number=kept.number,
        agent=values.get(trailers.AGENT, ""),
        node=values.get(trailers.NODE, ""),
        result=AgentResult(
            completed=completed,
            usage=Usage(model=values.get(trailers.MODEL, "")),
            session_id=values.get(trailers.SESSION, ""),
        ),
        commit=kept.commit,
        notes=(f"the work of attempt {kept.number} of an earlier run: no agent was asked",),
        prompt=values.get(trailers.PROMPT, ""),
        facts={trailers.READY: "yes"}
        | {name: values[name] for name in _FACTS if name in values}
        | usage.to_trailers(),
    )
