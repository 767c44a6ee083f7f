"""What the agent of an attempt is told: the whole prompt, or the next turn of its conversation."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from pytest_cobbler.agents.base import AgentRequest, AgentResult
from pytest_cobbler.cycle.prompts import (
    Feedback,
    StitchFacts,
    stitch_beginning,
    stitch_prompt,
    stitch_turn,
)
from pytest_cobbler.cycle.run import Run
from pytest_cobbler.cycle.starts import Start
from pytest_cobbler.tracker.base import Task

__all__ = ["beginning_of", "digest_of", "prompt_of", "turn_of"]


def _hooked(run: Run, task: Task, number: int, prompt: str) -> str:
    """The prompt as the project changes it."""
    return run.ledger.scrub(run.parts.hooks.prompt("stitch", task, number, prompt))


def prompt_of(run: Run, task: Task, number: int, start: Start) -> str:
    """The prompt of a conversation that begins."""
    template = run.project.config.stitch_prompt
    facts = _facts_for(run, task, number, start, start.feedback)
    prompt = stitch_prompt(template.read_text(encoding="utf-8") if template else None, facts)
    return _hooked(run, task, number, prompt)


def beginning_of(run: Run, task: Task, start: Start, prompt: str) -> str:
    """The beginning of ``prompt`` that is the same for every task of a cycle; empty if a hook changed it."""
    if run.project.config.stitch_prompt:
        return ""
    beginning = run.ledger.scrub(stitch_beginning(_facts_for(run, task, 1, start, None)))
    return beginning if prompt.startswith(beginning) else ""


def turn_of(run: Run, task: Task, number: int, start: Start) -> str:
    """What the agent is told whose conversation goes on."""
    assert start.continued is not None
    facts = _facts_for(run, task, number, start, start.continued.feedback)
    return _hooked(run, task, number, stitch_turn(facts))


def digest_of(request: AgentRequest, result: AgentResult) -> str:
    """The sha256 of what the agent was told."""
    session = request.session
    told = session.turn if session and result.continued else request.prompt
    return hashlib.sha256(told.encode()).hexdigest()


def _facts_for(run: Run, task: Task, number: int, start: Start, feedback: Feedback | None) -> StitchFacts:
    if feedback:
        feedback = replace(feedback, files=run.view.in_project(feedback.files))
    return StitchFacts(
        id=task.id,
        title=task.title,
        type=task.type,
        description=task.description,
        needs=run.view.needs_of(task),
        gate=run.parts.gate.shown,
        gate_is_offline=run.parts.gate.is_offline,
        red=start.red,
        protected=run.parts.protection.shown,
        directory=run.project.repository.directory.path,
        outside=run.parts.protection.outside,
        finished=start.surroundings.finished,
        attempt=number,
        feedback=feedback,
        left=[f"{work.commit[:16]}, attempt {work.number}: {work.name}" for work in start.left],
        documents=start.surroundings.documents,
        files=start.surroundings.files,
    )
