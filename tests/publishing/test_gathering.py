"""The content of report.json, from what remains of a generation."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.config import Config
from pytest_cobbler.publishing.document import SCHEMA, Document, schema_text
from pytest_cobbler.publishing.gathering import gather, generations_known
from pytest_cobbler.publishing.tasks import Tracked
from pytest_cobbler.repository.git import Git
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.tracker.base import Task
from tests.support.reported import BEGAN, GENERATION, MadeUp

NOW = BEGAN + 9000


@pytest.fixture
def made(tmp_path: Path) -> tuple[Config, Repository]:
    return MadeUp(tasks=6).make(tmp_path)


def home(made: tuple[Config, Repository]) -> Path:
    return made[0].cobbler_dir / GENERATION


def test_the_published_schema_is_that_of_the_document() -> None:
    """To bring it up to date: python -m pytest_cobbler.publishing.document"""
    assert SCHEMA.read_text("utf-8") == schema_text()


def test_a_document_is_what_its_schema_allows(made: tuple[Config, Repository]) -> None:
    document = gather(*made, GENERATION, Tracked(), NOW)
    assert Document.model_validate_json(document.model_dump_json()) == document
    assert set(json.loads(SCHEMA.read_text())["properties"]) == set(document.model_dump())


def test_each_task_has_its_outcome_its_attempts_and_its_cost(made: tuple[Config, Repository]) -> None:
    document = gather(*made, GENERATION, Tracked(), NOW)
    assert [task.outcome for task in document.tasks] == ["landed"] * 4 + ["failed", "landed"]
    assert [len(task.attempts) for task in document.tasks] == [1, 2, 1, 1, 2, 1]
    twice = document.tasks[1]
    assert [attempt.cause for attempt in twice.attempts] == ["gate", ""]
    assert [attempt.outcome for attempt in twice.attempts] == ["failed", "landed"]
    assert twice.attempts[1].commit == twice.commit != ""
    assert twice.landed.cost_usd == twice.wasted.cost_usd
    assert (twice.landed.attempts, twice.wasted.attempts) == (1, 1)
    assert document.tasks[3].needs == ("t-000",)
    assert document.landed.attempts + document.wasted.attempts == 8
    assert document.lacks == ()
    assert twice.attempts[0].directory == "attempts/t-001/1"


def test_landed_tasks_are_read_without_a_git_for_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report is written again and again while a run goes on."""
    calls: list[object] = []
    real = Git.run

    def counted(self: Git, *arguments: Any, **options: Any) -> Any:
        calls.append(arguments[0])
        return real(self, *arguments, **options)

    counts = []
    for tasks in (2, 4):
        made = MadeUp(tasks=tasks).make(tmp_path / str(tasks))
        monkeypatch.setattr(Git, "run", counted)
        calls.clear()
        document = gather(*made, GENERATION, Tracked(), NOW)
        monkeypatch.undo()
        assert [task.outcome for task in document.tasks] == ["landed"] * tasks
        counts.append(len(calls))
    assert counts[0] == counts[1] > 0


def test_a_run_has_its_items_their_phases_and_waits(made: tuple[Config, Repository]) -> None:
    [run] = gather(*made, GENERATION, Tracked(), NOW).runs
    assert (run.state, run.exit, run.facts["command"]) == (
        "ended",
        1,
        "pytest --cobbler-generate --cobbler-jobs 4",
    )
    item = next(item for item in run.items if item.key == "stitch::t-003")
    assert (item.waits[0].kind, item.waits[0].on) == ("need", "stitch::t-000")
    assert "stitch::t-003" in next(item for item in run.items if item.key == "stitch::t-000").unblocked
    assert all(span.end is not None for item in run.items for span in item.spans)
    assert run.critical_path[-1].end <= run.last


def test_a_run_without_an_end_was_killed(tmp_path: Path) -> None:
    made = MadeUp(tasks=12).make(tmp_path)
    journal = home(made) / "journal.jsonl"
    lines = journal.read_text().splitlines()
    cut = next(at for at, line in enumerate(lines) if '"land"' in line)
    journal.write_text("\n".join(lines[:cut]) + '\n{"time": "20')
    document = gather(*made, GENERATION, Tracked(), NOW)
    [run] = document.runs
    assert run.state == "killed"
    assert "killed" in {item.outcome for item in run.items}
    assert "not started" in {item.outcome for item in run.items}
    assert all(span.end is not None for item in run.items for span in item.spans)
    assert document.tasks[0].outcome == "landed"  # git has it


def test_without_a_journal_git_and_the_tracker_are_left(made: tuple[Config, Repository]) -> None:
    shutil.rmtree(made[0].cobbler_dir)
    record = {"caller": "stitch", "generation": GENERATION, "attempts": 2, "cost_usd": 1.5, "tokens": {}}
    tracked = Tracked(
        tasks=[Task(id="t-004", title="Sort it", needs=("t-001",))], comments={"t-004": [json.dumps(record)]}
    )
    document = gather(*made, GENERATION, tracked, NOW)
    tasks = {task.id: task for task in document.tasks}
    assert [tasks[name].outcome for name in ("t-000", "t-004")] == ["landed", "open"]
    assert tasks["t-004"].title == "Sort it"
    assert (tasks["t-004"].wasted.attempts, tasks["t-004"].wasted.cost_usd) == (2, 1.5)
    assert tasks["t-001"].attempts[0].number == 2
    assert document.runs == ()
    assert len(document.lacks) == 2


def test_generations_are_known_by_their_journal_or_by_git(made: tuple[Config, Repository]) -> None:
    assert generations_known(*made, Tracked()) == [GENERATION]
    shutil.rmtree(made[0].cobbler_dir)
    assert generations_known(*made, Tracked()) == [GENERATION]
    (made[0].cobbler_dir / "generation-1999").mkdir(parents=True)
    (made[0].cobbler_dir / "generation-1999" / "journal.jsonl").touch()
    assert generations_known(*made, Tracked()) == ["generation-1999", GENERATION]
