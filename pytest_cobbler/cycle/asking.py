"""What an agent is asked, and where the answer is kept."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pytest_cobbler.agents.base import AgentRequest
from pytest_cobbler.cycle.run import Run
from pytest_cobbler.repository.worktrees import Worktree
from pytest_cobbler.sandbox.base import Mount
from pytest_cobbler.tracker.base import Task


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
    number: int = 0
    """As that of ``AgentRequest``."""
    task: Task | None = None
    output: Path | None = None


def request_of(
    run: Run, question: Question, worktree: Worktree, on_step: Callable[[str], None]
) -> AgentRequest:
    """The question as the agent gets it in ``worktree``."""
    mounts, instructions = instructions_in(worktree, run.instructions)
    return AgentRequest(
        phase=question.phase,
        task_id=question.name,
        title=question.title,
        attempt=question.attempt,
        number=question.number,
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
        command=functools.partial(run.hooks.command, question.phase, question.task, question.attempt),
        volatile=run.volatile(worktree),
    )


def instructions_in(worktree: Worktree, said: bytes | None) -> tuple[tuple[Mount, ...], str | None]:
    """The mount and the path inside of the base's instructions for agents, if it has any.

    Agents do not read the file in their worktree, which may be another agent's.
    """
    if said is None:
        return (), None
    path = worktree.directory / "instructions.md"
    path.write_bytes(said)
    return (Mount(source=path, target=str(path)),), str(path)


def prepare(directory: Path, prompt: str) -> None:
    """Write the prompt where people look for it, before anything is spent on it."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "prompt.md").write_text(prompt, encoding="utf-8")
