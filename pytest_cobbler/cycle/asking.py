"""The request that an agent gets, and where its prompt is kept."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pytest_cobbler.agents.base import (
    AgentError,
    AgentRequest,
    AgentResult,
    Beginning,
    OnExchange,
    OnStep,
    Session,
)
from pytest_cobbler.agents.budget import Account
from pytest_cobbler.agents.prices import dollars
from pytest_cobbler.causes import Ending
from pytest_cobbler.cycle.run import Run
from pytest_cobbler.repository.sessions import KeptSession
from pytest_cobbler.sandbox.base import Completed
from pytest_cobbler.sandbox.site import Place
from pytest_cobbler.tracker.base import Task
from pytest_cobbler.wiring.agents import NamedAgent
from pytest_cobbler.wiring.policy import agent_limits, agent_network


@dataclass(frozen=True, kw_only=True)
class Question:
    """The work that an agent is asked to do.

    ``name`` is a task's id or a measure's name. Prompt, transcript and errors are written to ``directory``.
    ``beginning`` is the part of ``prompt`` that is the same for every task of a cycle.
    ``output`` is the path of the file that a measure must write, as the agent sees it. ``session`` is the
    conversation; if an earlier one, ``kept``, goes on, ``turn`` is what the agent is told. ``by``: the agent.
    """

    phase: Literal["measure", "stitch"]
    name: str
    title: str
    attempt: int
    by: NamedAgent
    prompt: str
    directory: Path
    beginning: str = ""
    task: Task | None = None
    output: Path | None = None
    session: Session | None = None
    kept: KeptSession | None = None
    turn: str = ""


def request_of(run: Run, question: Question, place: Place, on_step: OnStep) -> AgentRequest:
    """The request to an agent that works in ``place``."""
    rules = run.view.instructions[question.by.name].given_to(place)
    instructions = instructions_in(place, rules)
    beginning = None
    if question.beginning:
        texts = [rules or b"", question.beginning.encode("utf-8", "replace")]
        file = place.put("beginning.md", b"\n\n".join(filter(None, texts)))
        beginning = Beginning(text=question.beginning, file=str(file))
    config = run.project.config
    task = question.name if question.phase == "stitch" else None
    left = None if question.by.agent.proxied else run.budget.left(task)
    command = functools.partial(run.parts.hooks.command, question.phase, question.task, question.attempt)
    return AgentRequest(
        phase=question.phase,
        task_id=question.name,
        title=question.title,
        attempt=question.attempt,
        agent=question.by.name,
        prompt=question.prompt,
        worktree=place.checkout / place.directory,
        directory=place.directory,
        location=place.location,
        node=place.node,
        mounts=run.parts.gate.caches.mounts,
        system_prompt_file=instructions,
        beginning=beginning,
        network=agent_network(config),
        limits=agent_limits(config),
        transcript=question.directory / "transcript.jsonl",
        errors=question.directory / "stderr.txt",
        output=question.output,
        session=question.session,
        on_step=on_step,
        on_exchange=_logged(run, question),
        health=run.healths[question.by.name],
        account=Account(
            budget=run.budget, task=task, streams=config.streams_per_agent, on_spent=_told(run, question)
        ),
        budget_usd=None if left is None else dollars(left),
        command=command,
    )


def _logged(run: Run, question: Question) -> OnExchange:
    """Writes what leaves through the proxy to the log."""
    item = {"phase": question.phase, "item": question.name, "attempt": question.directory.name}
    return lambda event, facts: run.ledger.log.write(event, {**item, **facts})


def _told(run: Run, question: Question) -> Callable[[int], None]:
    """Tells the listeners of a run what an agent has spent."""
    key = f"{question.phase}::{question.name}"
    return lambda amount: run.listener.spent(key, dollars(amount))


def result_of(error: AgentError) -> AgentResult:
    """The result of an agent that was not run."""
    completed = Completed(status=1, cause=Ending.EXITED, seconds=0.0, stderr="")
    text = "\n".join(part for part in (error.remedy, error.evidence) if part)
    return AgentResult(completed=completed, error=error.cause, text=text)


def instructions_in(place: Place, content: bytes | None) -> str | None:
    """Give the base's instructions for agents, if there are any, to ``place``: their path in the sandbox.

    Agents do not read the file in their worktree, which may be another agent's.
    """
    return None if content is None else str(place.put("instructions.md", content))


def prepare(directory: Path, prompt: str) -> None:
    """Write the prompt to ``directory``, before the agent costs anything."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "prompt.md").write_text(prompt, encoding="utf-8")
