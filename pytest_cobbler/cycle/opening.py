"""Wiring: from a configuration to a run that is ready to begin, with every check before anything is spent."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pytest_cobbler.config import Config
from pytest_cobbler.cycle.run import Run
from pytest_cobbler.cycle.slots import Slots
from pytest_cobbler.display import named, shown_path
from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.lifecycle.finished import Finished, finished_tasks
from pytest_cobbler.lifecycle.lines import SourceLines
from pytest_cobbler.lifecycle.recovery import recover, remove_stale_locks
from pytest_cobbler.lifecycle.selection import (
    Selection,
    choose,
    no_generation,
    refuse_unusable_ids,
)
from pytest_cobbler.lifecycle.starting import find_base, start_generation
from pytest_cobbler.process import Cancellation
from pytest_cobbler.recordings.files import order_of, place_of_task
from pytest_cobbler.recordings.interrupted import record_interrupted
from pytest_cobbler.recordings.recorder import Recorder, check_place, refuse_places
from pytest_cobbler.recordings.turns import Turns
from pytest_cobbler.report.journal import Journal, ignore_itself
from pytest_cobbler.repository.attempts import last_numbers
from pytest_cobbler.repository.generations import (
    find_generation,
    refuse_checked_out,
    tip_of,
)
from pytest_cobbler.repository.lock import run_lock
from pytest_cobbler.repository.objects import default_work_dir
from pytest_cobbler.repository.preflight import check_repository
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.worktrees import GateCheckout, Worktrees
from pytest_cobbler.secret_forms import Secrets
from pytest_cobbler.tracker.base import Claim, Task
from pytest_cobbler.tracker.choose import open_tracker
from pytest_cobbler.tracker.lane import DRAIN, TrackerLane
from pytest_cobbler.wiring.hooks import NO_HOOKS, Hooks
from pytest_cobbler.wiring.languages import language_of
from pytest_cobbler.wiring.parts import (
    NESTED,
    credential_of,
    make_agent,
    make_gate,
    make_sandbox,
)
from pytest_cobbler.wiring.preflight import (
    expiring,
    preflight_gate,
    preflight_programs,
    preflight_room,
    preflight_work_dir,
    reserved_modules,
)
from pytest_cobbler.wiring.project import open_repository

INSTRUCTIONS = "CLAUDE.md"
"""The repository's own words to claude."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A run that may begin.

    ``started``: its generation was made just now; ``recovered``: what a dead run left, put in order;
    ``warnings``: what may end it early.
    """

    run: Run
    selection: Selection
    started: bool
    recovered: tuple[str, ...]
    warnings: tuple[str, ...] = ()


@contextlib.contextmanager
def open_run(
    config: Config,
    *,
    freed: Callable[[], None],
    hooks: Hooks = NO_HOOKS,
    command: str = "pytest --cobbler-generate",
    start_new: bool = True,
    record: Path | None = None,
    cancellation: Cancellation | None = None,
) -> Iterator[Opened]:
    """Hold the repository, check everything, find or start the generation, recover, choose the open tasks.

    Args:
        freed: called when a slot for an agent becomes free.
        hooks: what the project changes.
        command: what others are told that wait for this run.
        start_new: start a generation if none is active.
        record: a directory in which to keep what agents do.

    Raises:
        CobblerError: something is missing or wrong; nothing was spent, no generation was started.
    """
    if os.environ.get(NESTED):
        raise UsageProblem("this is a run inside a run", f"Unset {NESTED} if that is meant.")
    repository = open_repository(config)
    with contextlib.ExitStack() as stack:
        if record:
            refuse_places(record, not_for_recordings(config, repository))
        ours = (config.cobbler_dir, config.beads_dir, *_below(repository.root, record))
        stack.enter_context(run_lock(repository.common_dir, command, ours))
        identity = repository.identity()
        generation = find_generation(repository, config.gen_prefix, config.generation_branch)
        if generation is None and not start_new:
            raise no_generation()
        if generation:
            refuse_checked_out(repository, [generation], ", where landings would pull the files away")
            base, begins = None, tip_of(repository, generation)
        else:
            base = find_base(config, repository)
            begins = base.commit
        language = language_of(config, repository)
        run_id = secrets.token_hex(4)
        sandbox = make_sandbox(config, repository, run_id)
        renews = bool(record and config.recording and record.resolve() == config.recording.resolve())
        own_agent = hooks.agent()
        agent = own_agent or make_agent(config, run_id, renew_prompts=renews)
        credential = credential_of(config) if agent.secrets and not own_agent else None
        warnings = (
            preflight_room(repository, config),
            expiring(credential, config),
            _empty_submodules(repository, begins),
        )
        order = order_of(config.recording) if config.recording and not own_agent else ()
        if record:
            check_place(record, generation.name if generation else None, plays=renews)
        gate = make_gate(config, language, sandbox, run_id, hooks.gate, credentials=agent.secrets)
        check_repository(repository, sandbox.owner)
        sandbox.preflight()
        preflight_work_dir(repository, sandbox)
        agent.preflight(sandbox)
        preflight_gate(gate, language)
        preflight_programs(gate, language)
        reserved = reserved_modules(gate, language)
        own_tracker = hooks.tracker()
        tracker = own_tracker or open_tracker(config.tracker, config.root, config.beads_dir)
        lane = TrackerLane(tracker)
        stack.callback(lane.close, DRAIN)
        lane.prepare().result()
        tasks = lane.tasks().result()
        refuse_unusable_ids(tasks)
        if record or config.recording:
            _refuse_same_titles(tasks)
        left_out = hooks.left_out(tasks)
        if generation is None:
            assert base is not None
            generation = start_generation(config, repository, language, base)
        remove_stale_locks(repository)
        ignore_itself(config.cobbler_dir)
        directory = config.cobbler_dir / generation.name
        scrub = Secrets(agent.secrets).scrub_text
        store = tracker.description if own_tracker else f"{config.beads_dir.name}/issues.jsonl"
        by_bd = not own_tracker and tracker.description.startswith("bd ")
        landing = ThreadPoolExecutor(1, thread_name_prefix="cobbler-landing")
        stack.callback(landing.shutdown)
        checkout = GateCheckout(repository, generation.name, sandbox.owner)
        stack.callback(checkout.remove)
        worktrees = Worktrees(repository, generation.name, sandbox.owner)
        stack.callback(worktrees.remove_all)
        tip = tip_of(repository, generation)
        recorder = Recorder(record, generation.name, scrub) if record and not renews else None
        run = Run(
            config=config,
            repository=repository,
            identity=identity,
            generation=generation,
            tracker=lane,
            sandbox=sandbox,
            agent=agent,
            gate=gate,
            language=language,
            reserved=reserved,
            lines=SourceLines(repository, language),
            checkout=checkout,
            worktrees=worktrees,
            journal=Journal(directory / "journal.jsonl", scrub),
            scrub=scrub,
            hooks=hooks,
            close_hint="bd close {}" if by_bd else f"set the status of {{}} to closed in {store}",
            directory=directory,
            claim=Claim(
                host=socket.gethostname(), repository=repository.key, run=run_id, generation=generation.name
            ),
            slots=Slots(config.jobs, freed),
            landing=landing,
            finished=Finished(finished_tasks(repository, generation, tip)),
            cancellation=cancellation or Cancellation(),
            numbers=last_numbers(repository, generation.name),
            instructions=repository.read_file(generation.start, INSTRUCTIONS),
            recorder=recorder,
            turns=Turns(order, recorder.note) if recorder else Turns(order),
            recordings=tuple(path for path in (config.recording, record) if path),
            known_ids={task.id for task in tasks},
        )
        run.journal.write("run", run=run_id, generation=generation.name, tip=tip)
        for landed in run.finished.all():
            run.turns.over(str(place_of_task(landed.title)))
        trees = {worktree.name: worktree.tree_id for worktree in worktrees.leftovers()}
        recovered = recover(run)
        if recorder:
            record_interrupted(repository, generation.name, recorder, tasks, trees)
        if recovered:
            tasks = lane.tasks().result()
            left_out = hooks.left_out(tasks)
        selection = choose(config, repository, tasks, generation, run.finished, left_out)
        run.open_tasks = {task.id for task in selection.taken}
        run.finished.forget(run.open_tasks)
        run.look_around()
        run.turns.on_new_run = run.look_around
        yield Opened(
            run=run,
            selection=selection,
            started=base is not None,
            recovered=tuple(recovered),
            warnings=tuple(filter(None, warnings)),
        )


def not_for_recordings(config: Config, repository: Repository) -> list[Path]:
    """Directories in which git, the tracker, runs and people with a key keep their own."""
    work = config.work_dir or default_work_dir()
    ours = (config.cobbler_dir, config.beads_dir, config.secrets_dir, work)
    return [repository.root / ".git", repository.git_dir, repository.common_dir, *ours]


def _empty_submodules(repository: Repository, commit: str) -> str:
    paths = sorted(shown_path(path) for path in repository.submodules(commit))
    return f"submodules are empty directories for agents and the gate: {named(paths)}" if paths else ""


def _below(root: Path, record: Path | None) -> tuple[Path, ...]:
    """The part of the repository that a recording is in, if it is in the repository."""
    root = root.resolve()
    if record is None or record == root or not record.is_relative_to(root):
        return ()
    return (root / record.relative_to(root).parts[0],)


def _refuse_same_titles(tasks: list[Task]) -> None:
    """Ids are others in every run, so a recording knows tasks by their titles."""
    titles = Counter(task.title for task in tasks if task.type == "task" and task.status == "open")
    if same := [title for title, count in titles.items() if count > 1]:
        raise UsageProblem(
            f"several open tasks are called {same[0]!r}, and recordings know tasks by their titles",
            "Rename or close all but one of them.",
        )
