"""Putting a prompt to the agent in a worktree, and keeping what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pytest_cobbler.agents.base import AgentRequest, AgentResult
from pytest_cobbler.cycle.run import Run
from pytest_cobbler.repository.worktrees import Worktree


@dataclass(frozen=True, kw_only=True)
class Question:
    """What an agent is asked.

    ``name`` is a task's id or a measure's name, ``directory`` where prompt, transcript and errors are kept,
    ``output`` the file that a measure must write, as the agent sees it.
    """

    phase: Literal["measure", "stitch"]
    name: str
    title: str
    attempt: int
    prompt: str
    directory: Path
    output: Path | None = None


def ask(run: Run, question: Question, worktree: Worktree, on_step: Callable[[str], None]) -> AgentResult:
    """Run the agent to its end, whatever that is.

    Raises:
        SandboxError: it could not be run at all.
    """
    mounts, instructions = run.system_prompt(worktree)
    return run.agent.run(
        AgentRequest(
            phase=question.phase,
            task_id=question.name,
            title=question.title,
            attempt=question.attempt,
            prompt=question.prompt,
            worktree=worktree.tree,
            mounts=(*worktree.mounts(run.repository), *mounts),
            system_prompt_file=instructions,
            network=run.network,
            limits=run.agent_limits,
            transcript=question.directory / "transcript.jsonl",
            errors=question.directory / "stderr.txt",
            output=question.output,
            on_step=on_step,
        ),
        run.sandbox,
        run.cancellation,
    )


def prepare(directory: Path, prompt: str) -> None:
    """Write the prompt where people look for it, before anything is spent on it."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "prompt.md").write_text(prompt, encoding="utf-8")
