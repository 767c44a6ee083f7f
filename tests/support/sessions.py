"""Projects with open tasks, and the outcomes of runs as small mappings."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pytest_cobbler.lifecycle.setting_aside import failed_runs
from pytest_cobbler.testing.project import Case, Project, RunResult
from tests.support.stores import Record, edge, issue, lines

FILE = "configuration.yaml"

WORDS = (
    "LANDED",
    "PROPOSED",
    "FAILED",
    "BLOCKED",
    "LIMITED",
    "CANCELLED",
    "SKIPPED",
    "PASSED",
    "XFAIL",
    "ERROR",
)
"""The words of a verbose run."""

WRITES_A_FILE = 'echo "$COBBLER_ATTEMPT" >"$COBBLER_TASK_ID.txt"'
"""A command for an agent that adds a file, for any task."""


def task(name: str, *needs: str, **fields: Any) -> Record:
    """An open task as the tracker stores it; its id is its title unless one is given."""
    return issue(name, dependencies=[edge(name, need) for need in needs], **fields)


def seed(project: Project, *records: Record) -> None:
    """Make these issues the content of the tracker."""
    store = project.path / ".beads"
    store.mkdir(exist_ok=True)
    (store / ".gitignore").write_text("*\n")
    (store / "issues.jsonl").write_text(lines(records))


def stitch(name: str) -> str:
    """The node id of a task's item."""
    return f"{FILE}::stitch::{name}"


def measure(cycle: int = 1) -> str:
    """The node id of a cycle's measure."""
    return f"{FILE}::measure::cycle-{cycle}"


def came_to(result: RunResult) -> dict[str, str]:
    """``stitch::ID`` or ``measure::cycle-N`` -> the outcome that its JUnit case names."""
    return {
        name.removeprefix(f"{FILE}::"): case.properties.get("cobbler_outcome", "")
        for name, case in result.junit.items()
    }


def by_title(result: RunResult) -> Mapping[str, Case]:
    """The stitches of a run by the titles of their tasks."""
    return {
        case.properties["cobbler_title"]: case
        for case in result.junit.values()
        if "cobbler_title" in case.properties
    }


def words(result: RunResult) -> dict[str, str]:
    """Node id without the file -> the word that a verbose run prints, behind the title."""
    line = re.compile(rf"{FILE}::(\S+) (?:.* )?({'|'.join(WORDS)})\b")
    return {found[1]: found[2] for found in map(line.match, result.outlines) if found}


def statuses(project: Project) -> dict[str, str]:
    """Task id -> its status in the tracker."""
    return {task.id: task.status for task in project.tasks()}


def charged(project: Project) -> dict[str, int]:
    """Task id -> the runs in which it failed, as ``max_failures`` counts them; without those of none."""
    issues = map(json.loads, (project.path / ".beads" / "issues.jsonl").read_text().splitlines())
    texts = {one["id"]: [comment["text"] for comment in one.get("comments", [])] for one in issues}
    runs = {name: failed_runs(comments) for name, comments in texts.items()}
    return {name: count for name, count in runs.items() if count}


def ids_landed(project: Project) -> list[str]:
    """Tasks with commits on the generation branch, oldest first."""
    return [commit.task for commit in project.landed()]


def records(project: Project) -> list[dict[str, object]]:
    """The invocation records among the comments of all tasks."""
    issues = [
        json.loads(line) for line in (project.path / ".beads" / "issues.jsonl").read_text().splitlines()
    ]
    texts = [comment["text"] for issue in issues for comment in issue.get("comments", [])]
    return [json.loads(text) for text in texts if text.startswith("{")]
