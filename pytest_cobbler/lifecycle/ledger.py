"""What is written down of a generation: tracker, finished tasks, attempts, journal."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pytest_cobbler.lifecycle.finished import Finished
from pytest_cobbler.lifecycle.numbers import AttemptNumbers
from pytest_cobbler.report.journal import Journal, ignore_itself
from pytest_cobbler.report.log import EventLog
from pytest_cobbler.repository.attempts import used_numbers
from pytest_cobbler.repository.own_id import own_id
from pytest_cobbler.secret_forms import Secrets
from pytest_cobbler.tracker.base import Claim
from pytest_cobbler.tracker.hints import how_to_set
from pytest_cobbler.tracker.lane import TrackerLane
from pytest_cobbler.wiring.project import Project


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """The records of one generation, as one run keeps them. ``log`` is not only for this generation.

    ``claim`` is what the run writes on tasks that it takes; ``scrub`` removes credentials from a text, since
    an agent may write them anywhere, into names and titles too; ``close_hint`` and ``open_hint`` are how a
    person closes a task in this tracker, and how they open it again, where ``{}`` is its id.
    """

    tracker: TrackerLane
    finished: Finished
    numbers: AttemptNumbers
    journal: Journal
    log: EventLog
    claim: Claim
    scrub: Callable[[str], str]
    close_hint: str
    open_hint: str


def open_ledger(
    project: Project, lane: TrackerLane, finished: Finished, run_id: str, secrets: Iterable[str]
) -> Ledger:
    """The ledger of a run, with its directory made.

    Args:
        secrets: values that no record may hold.
    """
    generation = project.generation.name
    ignore_itself(project.config.cobbler_dir)
    scrub = Secrets(tuple(secrets)).scrub_text
    return Ledger(
        tracker=lane,
        finished=finished,
        numbers=AttemptNumbers(project.directory, used_numbers(project.repository, generation)),
        journal=Journal(project.directory / "journal.jsonl", scrub),
        log=EventLog(project.repository.work_dir, {"run": run_id, "generation": generation}, scrub),
        claim=Claim(
            host=socket.gethostname(),
            repository=project.repository.key,
            run=run_id,
            generation=generation,
            repository_id=own_id(project.repository.common_dir),
        ),
        scrub=scrub,
        close_hint=how_to_set("closed", lane.description),
        open_hint=how_to_set("open", lane.description),
    )
