"""From a configuration to a run that is ready to begin. Every check runs before anything is spent."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pytest_cobbler.config import Config
from pytest_cobbler.cycle.opened import Opened
from pytest_cobbler.cycle.recorded import Recordings, below, not_for_recordings, refuse_same_titles
from pytest_cobbler.cycle.run import Run
from pytest_cobbler.cycle.slots import make_slots
from pytest_cobbler.cycle.surroundings import RepositoryView
from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.landing.blame import RedGates
from pytest_cobbler.landing.caches import with_caches
from pytest_cobbler.landing.judge import TestJudge
from pytest_cobbler.landing.lane import LandingLane
from pytest_cobbler.landing.notary import Notary
from pytest_cobbler.landing.policies import make_policy
from pytest_cobbler.landing.tip import Tip
from pytest_cobbler.landing.tree_gate import TreeGate
from pytest_cobbler.landing.tree_records import TreeRecords
from pytest_cobbler.lifecycle.effort import Efforts
from pytest_cobbler.lifecycle.finished import Finished, finished_tasks
from pytest_cobbler.lifecycle.ground import Ground
from pytest_cobbler.lifecycle.killed_runs import report_killed_run
from pytest_cobbler.lifecycle.ledger import Ledger, open_ledger
from pytest_cobbler.lifecycle.lines import SourceLines
from pytest_cobbler.lifecycle.lost import LandingWatch
from pytest_cobbler.lifecycle.named_places import checked_language, empty_submodules, missing_documents
from pytest_cobbler.lifecycle.recovery import Recovery, remove_remains
from pytest_cobbler.lifecycle.selection import choose, no_generation, only_with_work
from pytest_cobbler.lifecycle.spending import budget_of, limits_of
from pytest_cobbler.lifecycle.starting import Base, find_base, removed_sources, unseen_paths
from pytest_cobbler.lifecycle.waiting import finished_work, waiting_work
from pytest_cobbler.listeners import JournalListener, Listeners, LogListener
from pytest_cobbler.process import Cancellation
from pytest_cobbler.recordings.files import order_of, place_of_task
from pytest_cobbler.recordings.interrupted import record_interrupted
from pytest_cobbler.recordings.listener import RecordingListener
from pytest_cobbler.recordings.names import RunNames
from pytest_cobbler.recordings.recorder import Recorder, check_place, refuse_places
from pytest_cobbler.report.journal import ignore_itself
from pytest_cobbler.repository import names
from pytest_cobbler.repository.attempts import KeptAttempt
from pytest_cobbler.repository.elsewhere import refuse_other_start
from pytest_cobbler.repository.gate_checkout import GateCheckout
from pytest_cobbler.repository.generations import (
    Draft,
    Generation,
    create_generation,
    find_generation,
    refuse_checked_out,
    tip_of,
)
from pytest_cobbler.repository.lock import run_lock
from pytest_cobbler.repository.moved import take_over_work
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.sessions import Sessions
from pytest_cobbler.repository.suitability import check_repository
from pytest_cobbler.tracker.base import Task, Tracker
from pytest_cobbler.tracker.choose import open_tracker
from pytest_cobbler.tracker.lane import DRAIN, TrackerLane
from pytest_cobbler.wiring.agents import Agents
from pytest_cobbler.wiring.api import credentials_of, foreign_address, reach_api
from pytest_cobbler.wiring.gate_places import check_gate_nodes, make_gate_places
from pytest_cobbler.wiring.hooks import NO_HOOKS, Hooks
from pytest_cobbler.wiring.parts import (
    NESTED,
    Parts,
    check_nodes,
    make_agents,
    make_gate,
    make_sandbox,
    make_signer,
    make_site,
)
from pytest_cobbler.wiring.policy import protection_of
from pytest_cobbler.wiring.preflight import expiring, preflight, preflight_descriptors, preflight_room
from pytest_cobbler.wiring.project import Project, open_repository
from pytest_cobbler.wiring.telemetry import span_listener


@contextlib.contextmanager
def open_run(
    config: Config,
    *,
    freed: Callable[[], None],
    hooks: Hooks = NO_HOOKS,
    command: str = "pytest --cobbler-generate",
    start_new: bool = True,
    asks_agents: bool = True,
    record: Path | None = None,
    cancellation: Cancellation | None = None,
    say: Callable[[str], object] = lambda _text: None,
    hear: Callable[[str], None] | None = None,
) -> Iterator[Opened]:
    """Hold the repository, check everything, find or start the generation, recover, choose the open tasks.

    Args:
        freed: called when a slot for an agent becomes free.
        hooks: the project's changes to a run.
        command: shown to other commands that wait for this run.
        start_new: start a generation if none is active.
        asks_agents: whether agents may start; else only finished work that is kept goes to its gate.
        record: a directory in which to keep what agents do.
        say: prints a line before a step that takes long.
        hear: called with each line of the journal that this run writes.

    Raises:
        CobblerError: something is missing or wrong. Nothing was spent, and no generation was started.
    """
    if os.environ.get(NESTED):
        raise UsageProblem("this run was started inside another run", f"Unset {NESTED} if that is intended.")
    repository = open_repository(config)
    with contextlib.ExitStack() as stack:
        if record:
            refuse_places(record, not_for_recordings(config, repository))
        ours = (config.cobbler_dir, config.beads_dir, *below(repository.root, record))
        stack.enter_context(run_lock(repository.common_dir, command, ours))
        removed = remove_remains(repository, config.gen_prefix)
        moved = take_over_work(repository)
        generation = find_generation(repository, config.gen_prefix, config.generation_branch)
        if generation is None:
            refuse_other_start(repository, config.gen_prefix)
            if not start_new:
                raise no_generation()
        opening = _Opening(stack, config, repository, hooks, generation, record, say, asks_agents=asks_agents)
        opening.check_parts()
        opening.open_tracker()
        cancellation = cancellation or Cancellation()
        opening.check_tip(cancellation)
        project = opening.start()
        opened = opening.open(project, freed, cancellation, hear)
        yield replace(opened, recovered=(*removed, *moved, *opened.recovered))


class _Opening:
    """The steps of ``open_run``, in their order; each step needs the previous ones."""

    _parts: Parts
    _warnings: tuple[str, ...]
    _tracker: Tracker
    _lane: TrackerLane
    _tasks: list[Task]
    _gate: TreeGate
    _draft: Draft | None = None
    _tip: Tip = Tip()

    def __init__(
        self,
        stack: contextlib.ExitStack,
        config: Config,
        repository: Repository,
        hooks: Hooks,
        generation: Generation | None,
        record: Path | None,
        say: Callable[[str], object],
        *,
        asks_agents: bool,
    ) -> None:
        self._asks_agents = asks_agents
        self._stack = stack
        self._say = say
        self._config = config
        self._repository = repository
        self._hooks = hooks
        self._generation = generation
        self._run_id = secrets.token_hex(4)
        given = hooks.agent()
        self._agents_of_hook = Agents.one(given) if given else None
        self._recordings = Recordings(
            config=config,
            record=record,
            names=RunNames(repository.root, repository.work_dir),
            plays=bool(config.recording) and self._agents_of_hook is None,
        )

    def check_parts(self) -> None:
        """Make sandbox, agent and gate, and try each of them before anything is spent."""
        config, repository, run_id = self._config, self._repository, self._run_id
        recordings, generation = self._recordings, self._generation
        self._identity = repository.identity()
        self._signer = make_signer(config)
        self._base: Base | None = None
        if generation:
            refuse_checked_out(repository, [generation], ", and landings would change its files")
            begins = tip_of(repository, generation)
        else:
            self._base = find_base(config, repository)
            begins = self._base.commit
        # What agents landed since the generation's start is not trusted.
        start = generation.start if generation else begins
        base = repository.read_ref(names.branch_ref(generation.base)) if generation else None
        self._gate_base = base or start
        language = checked_language(config, repository, list(dict.fromkeys((start, begins))))
        sandbox = make_sandbox(config, repository, run_id)
        agents = self._agents_of_hook or make_agents(
            config, run_id, names=recordings.names, renew_prompts=recordings.renews
        )
        preflight_descriptors(config, agents)
        credentials = credentials_of(config) if agents.secrets and not self._agents_of_hook else ()
        self._warnings = (
            preflight_room(repository, config),
            *(expiring(credential, config) for credential in credentials),
            empty_submodules(repository, begins),
        )
        self._order = order_of(config.recording) if config.recording and recordings.plays else ()
        if recordings.record:
            check_place(recordings.record, generation.name if generation else None, plays=recordings.renews)
        place, change, hidden = repository.directory.path, self._hooks.gate, agents.secrets
        gate = make_gate(config, language, sandbox, run_id, change, directory=place, credentials=hidden)
        check_repository(repository, sandbox.owner)
        self._begin_with_tracker()
        self._say("checking the sandbox, the agent and the gate ...")
        findings = preflight(repository, sandbox, gate, language, agents if self._asks_agents else ())
        self._warnings = (*self._warnings, *findings.warnings)
        if self._asks_agents and not self._agents_of_hook:
            reach_api(config)
        protection = protection_of(
            config,
            repository,
            language,
            secrets=agents.secrets,
            reserved=findings.reserved,
            needs=findings.needs,
            steps=gate.steps,
            trusted=(start, *([base] if base else [])),
            recordings=recordings.directories,
        )
        self._parts = Parts(
            sandbox=sandbox,
            agents=agents,
            gate=gate,
            language=language,
            protection=protection,
            hooks=self._hooks,
        )

    def _begin_with_tracker(self) -> None:
        """Let the tracker make its store and read it, which takes bd seconds, beside what comes now."""
        config = self._config
        tracker = self._hooks.tracker()
        self._tracker = tracker or open_tracker(config.tracker, config.root, config.beads_dir)
        self._lane = TrackerLane(self._tracker)
        self._stack.callback(self._lane.close, DRAIN)
        self._prepared, self._read = self._lane.prepare(), self._lane.tasks()
        self._comments = self._lane.comments()

    def open_tracker(self) -> None:
        """Wait until the tracker has its store, and take its tasks."""
        self._prepared.result()
        self._tasks = self._read.result()
        if self._recordings.directories:
            refuse_same_titles(self._tasks)
        self._left_out = self._hooks.left_out(self._tasks)

    def check_tip(self, cancellation: Cancellation) -> None:
        """Run the gate on the tree that agents start from, if agents may start.

        Raises:
            UsageProblem: it fails, and may not.
        """
        config, repository, parts = self._config, self._repository, self._parts
        gate = with_caches(parts.gate, config, repository, self._gate_base, cancellation, self._say)
        self._parts = parts = replace(parts, gate=self._stack.enter_context(gate))
        if self._generation:
            ground = Ground.of(repository, self._generation)
        else:
            assert self._base is not None
            ground = Ground.new(config, repository, parts.language, self._base)
        self._draft = ground.draft
        GateCheckout.remove_all(repository)
        places = make_gate_places(config, repository, ground.name, parts.sandbox, self._run_id)
        self._stack.callback(places.remove)
        records = TreeRecords.of(repository.work_dir)
        self._gate = TreeGate(gate=parts.gate, places=places, records=records)
        if self._may_pay():
            check_nodes(config, repository, parts.sandbox, self._run_id)
            check_gate_nodes(config, repository, parts.sandbox, self._run_id)
            ignore_itself(config.cobbler_dir)
            log = config.cobbler_dir / "gate-tip.log"
            self._tip = ground.check(repository, parts.language, self._gate, log, cancellation, self._say)
            ground.refuse(config, self._tip, log)
            if not self._tip.is_red:
                log.unlink(missing_ok=True)

    def _may_pay(self) -> bool:
        """Whether an agent may start that costs something, or whose prompt names what fails on the tip."""
        config = self._config
        if not self._asks_agents or (self._recordings.plays and config.red_base == "refuse"):
            return False
        has_tasks = any(task.type == "task" and task.status != "closed" for task in self._tasks)
        return has_tasks or bool(config.cycles and config.max_issues)

    def start(self) -> Project:
        """Start the generation if none is active."""
        repository, identity, generation = self._repository, self._identity, self._generation
        if generation is None:
            assert self._draft is not None
            generation = create_generation(repository, self._draft, identity)
        return Project(config=self._config, repository=repository, identity=identity, generation=generation)

    def open(
        self,
        project: Project,
        freed: Callable[[], None],
        cancellation: Cancellation,
        hear: Callable[[str], None] | None,
    ) -> Opened:
        """Wire the run, recover what a dead run left, choose the open tasks."""
        repository, generation = project.repository, project.generation
        tip = tip_of(repository, generation)
        finished = Finished(finished_tasks(repository, generation, tip))
        ledger = open_ledger(project, self._lane, finished, self._run_id, self._parts.agents.secrets)
        recorder = self._recordings.recorder(generation.name, self._tasks, ledger.scrub)
        run = self._wire(project, ledger, recorder, freed, cancellation)
        killed = report_killed_run(project.directory, self._tasks, self._config.path.name, repository.root)
        if hear:
            ledger.journal.follow(hear)
        facts = {"jobs": self._config.jobs, "agents": self._parts.agents.names}
        facts |= {"run": self._run_id, "generation": generation.name, "tip": tip}
        ledger.journal.write("run", **facts, limits=limits_of(run.budget))
        for landed in finished.all():
            run.turns.over(str(place_of_task(landed.title)))
        recovered = self._recover(run, recorder)
        watch = LandingWatch(project, ledger, self._generation, self._tasks)
        missing = missing_documents(self._config, repository, tip)
        unreached = map(str, run.site.unreached())
        run.efforts = Efforts(self._tasks, self._comments.result())
        selection = choose(
            self._config,
            repository,
            self._tasks,
            generation,
            finished,
            self._left_out,
            efforts=run.efforts,
            asks_agents=self._asks_agents,
        )
        run.waiting = self._waiting(generation, (*selection.taken, *selection.left))
        if not self._asks_agents:
            selection = only_with_work(selection, run.waiting)
        run.open_tasks = {task.id for task in selection.taken}
        finished.forget(run.open_tasks)
        run.view.refresh()
        run.turns.on_new_run = run.view.refresh
        return Opened(
            run=run,
            selection=selection,
            started=self._base is not None,
            recovered=(*killed, *recovered),
            warnings=tuple(filter(None, (*self._warnings, missing, *watch.lines(), *unreached))),
            lost=watch.lines,
            address="" if self._agents_of_hook else foreign_address(self._config),
            sources=removed_sources(repository, generation),
            unseen=tuple(unseen_paths(self._config, repository, self._generation)),
            red=self._tip.red,
        )

    def _waiting(self, generation: Generation, tasks: Sequence[Task]) -> dict[str, KeptAttempt]:
        """The kept work that goes to the gate. What a recording holds or gets is the work of agents."""
        if not self._asks_agents:
            return finished_work(self._repository, generation, tasks)
        if self._recordings.directories:
            return {}
        gate, policy = self._gate, self._parts.protection.policy()
        return waiting_work(self._repository, generation, tasks, lambda: gate.conditions().digest, policy)

    def _warn(self, text: str) -> None:
        self._warnings = (*self._warnings, text)

    def _wire(
        self,
        project: Project,
        ledger: Ledger,
        recorder: Recorder | None,
        freed: Callable[[], None],
        cancellation: Cancellation,
    ) -> Run:
        repository, generation = project.repository, project.generation
        parts, config = self._parts, self._config
        # The recording comes first: it must know an attempt before anything else of the attempt exists.
        recording = [RecordingListener(recorder, repository)] if recorder else []
        spans = self._stack.enter_context(span_listener(generation.name, self._warn))
        listener = Listeners([*recording, LogListener(ledger.log), JournalListener(ledger.journal), *spans])
        left = parts.protection.policy().left_out
        site = make_site(repository, generation.name, parts.sandbox, config, self._run_id, left, cancellation)
        self._stack.callback(site.close)
        allows_red = config.red_base == "allow"
        judge = TestJudge(repository, self._gate, parts.language, cancellation, allows_red=allows_red)
        if record := self._tip.record:
            judge.learn(record)
        landing = LandingLane(
            repository,
            generation,
            project.identity,
            self._gate,
            judge,
            RedGates(self._gate, repository, parts.language, cancellation),
            listener,
            cancellation,
            refuses_weakened=config.weakened_tests == "refuse",
            policy=make_policy(config.landing, config.gate_jobs),
        )
        landing.red = self._tip.red
        self._stack.callback(landing.close)
        return Run(
            project=project,
            base=self._gate_base,
            parts=parts,
            ledger=ledger,
            view=RepositoryView(project, ledger.finished, parts.protection.hidden_directories, parts.agents),
            site=site,
            sessions=Sessions(repository, generation.name, parts.agents.secrets),
            landing=landing,
            notary=Notary(ledger.scrub, self._signer, cancellation),
            listener=listener,
            lines=SourceLines(repository, parts.language),
            slots=make_slots(config, parts.agents.names, freed, plays=self._recordings.plays),
            names=self._recordings.names,
            turns=self._recordings.turns(self._order, recorder),
            cancellation=cancellation,
            budget=budget_of(config, repository.work_dir, generation.name),
            asks_agents=self._asks_agents,
        )

    def _recover(self, run: Run, recorder: Recorder | None) -> list[str]:
        recovery = Recovery(
            project=run.project,
            ledger=run.ledger,
            sandbox=run.parts.sandbox,
            site=run.site,
            policy=run.parts.protection.policy(),
        )
        recovered = recovery.run()
        if recorder:
            generation = run.project.generation.name
            record_interrupted(run.project.repository, generation, recorder, self._tasks, recovery.trees)
        if recovered:
            self._tasks = self._lane.tasks().result()
            self._left_out = self._hooks.left_out(self._tasks)
        return recovered
