"""The checks of ``--cobbler-doctor``: those of a run, and proofs on worthless copies."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from pytest_cobbler.agents.base import Agent
from pytest_cobbler.agents.credential import Credential
from pytest_cobbler.config import Config
from pytest_cobbler.display import named
from pytest_cobbler.doctor.agents import answers_of, check_credentials, make_all, try_agents
from pytest_cobbler.doctor.contained import Contained
from pytest_cobbler.doctor.examination import Check, Seen
from pytest_cobbler.doctor.network import NOT_CONTAINED, check_network
from pytest_cobbler.doctor.proofs import (
    ask_once,
    prove_landing,
    prove_lifeline,
    prove_limits,
    prove_tracker,
    scratch_below,
    scratch_repository,
)
from pytest_cobbler.doctor.tip import gate_on_tip
from pytest_cobbler.files import temporary_directory
from pytest_cobbler.landing.gate import Gate
from pytest_cobbler.languages import Language
from pytest_cobbler.lifecycle.named_places import checked_language
from pytest_cobbler.lifecycle.starting import find_base, uncommitted
from pytest_cobbler.process import Cancellation
from pytest_cobbler.report.log import EventLog
from pytest_cobbler.repository.damage import damaged_refs
from pytest_cobbler.repository.elsewhere import refuse_other_start
from pytest_cobbler.repository.generations import find_generation, refuse_checked_out, tip_of
from pytest_cobbler.repository.git import check_git
from pytest_cobbler.repository.names import ATTEMPTS
from pytest_cobbler.repository.objects import default_work_dir
from pytest_cobbler.repository.ownership import given_back
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.suitability import check_repository
from pytest_cobbler.sandbox.base import Capability, Network, Sandbox
from pytest_cobbler.sandbox.escapes import known_escapes
from pytest_cobbler.sandbox.memory import REMEDY
from pytest_cobbler.sandbox.probes import run_probes
from pytest_cobbler.secret_forms import Secrets
from pytest_cobbler.tracker.base import Tracker
from pytest_cobbler.tracker.choose import open_scratch, open_tracker
from pytest_cobbler.wiring.gate_places import check_gate_nodes
from pytest_cobbler.wiring.hooks import Hooks
from pytest_cobbler.wiring.languages import language_of
from pytest_cobbler.wiring.nodes import attacked_nodes
from pytest_cobbler.wiring.parts import (
    check_nodes,
    make_engine,
    make_gate,
    make_sandbox,
    make_signer,
    sandbox_settings,
)
from pytest_cobbler.wiring.policy import agent_network
from pytest_cobbler.wiring.preflight import (
    memory_probes,
    preflight_descriptors,
    preflight_gate,
    preflight_room,
    preflight_work_dir,
)
from pytest_cobbler.wiring.project import open_repository, refuse_empty

_LIVE_LIMIT = 180.0
"""Seconds of the one real turn."""

_GATE_LIMIT = 3600.0
"""Seconds of the gate on the tip, which has a time limit of its own."""


def _off(why: str) -> Seen:
    return Seen(detail=why, status="off")


class Doctor:
    """Everything that a run needs, as checks in the order of their needs; cleans up at the end.

    Args:
        here: where the repository is looked for if there is no configuration.
        load: reads the configuration.
        hooks_of: the project's hooks with that configuration.
        live: whether the agent may be asked one real question.
    """

    # Each is set by the check that finds it, and used by those that need that check.
    _config: Config
    _hooks: Hooks
    _repository: Repository
    _sandbox: Sandbox
    _language: Language
    _scratch: Path
    _worthless: Repository | None = None

    def __init__(
        self, here: Path, load: Callable[[], Config], hooks_of: Callable[[Config], Hooks], *, live: bool
    ) -> None:
        self._here = here
        self._load = load
        self._hooks_of = hooks_of
        self._live = live
        self._stack = contextlib.ExitStack()
        self._cancellation = Cancellation()
        # As _config and _repository, for checks that can do without them.
        self._read: Config | None = None
        self._opened: Repository | None = None
        self._own_agent: Agent | None = None
        self._own_tracker: Tracker | None = None
        self._credentials: dict[str, Credential] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts that must not be shown."""
        of_agent = self._own_agent.secrets if self._own_agent else ()
        return (*of_agent, *(value for one in self._credentials.values() for value in one.secrets()))

    def checks(self) -> list[Check]:
        podman = "podman version"
        return [
            Check(name="git", run=check_git, by_hand="git version"),
            Check(name="configuration", run=self._configuration),
            Check(name="repository", run=self._open, needs=("git",), by_hand="git status"),
            Check(name="identity", run=self._identity, needs=("repository",)),
            Check(name="generation", run=self._generation, needs=("configuration", "repository")),
            Check(name="credential", run=self._check_credential, needs=("configuration",)),
            Check(name="sandbox", run=self._engine, by_hand=podman),
            Check(name="runtime", run=self._runtime, needs=("sandbox",), by_hand="podman info"),
            Check(
                name="image",
                run=self._image,
                needs=("configuration", "repository", "sandbox"),
                by_hand=podman,
            ),
            Check(name="limits", run=self._limits, needs=("image",), by_hand=podman),
            Check(name="files", run=self._files, needs=("image",), by_hand=podman),
            Check(name="agent", run=self._agent, needs=("image",), by_hand=podman),
            Check(name="network", run=self._network, needs=("image",), by_hand=podman),
            Check(name="lifeline", run=self._lifeline, needs=("image",), by_hand=podman),
            Check(name="gate", run=self._check_gate, needs=("image",), by_hand=podman),
            Check(
                name="tip",
                run=self._gate_on_tip,
                needs=("generation", "gate", "files"),
                by_hand=podman,
                limit=_GATE_LIMIT,
            ),
            Check(name="landing", run=self._landing, needs=("files",), by_hand=podman),
            Check(name="nodes", run=self._nodes, needs=("image",), by_hand="srun hostname"),
            Check(name="signature", run=self._signature, needs=("configuration",)),
            Check(name="disk", run=self._disk, needs=("configuration", "repository"), by_hand="df"),
            Check(
                name="tracker",
                run=self._tracker,
                needs=("configuration", "repository"),
                by_hand="bd list",
                aside=self._cancellation,
            ),
            Check(
                name="live",
                run=self._ask,
                needs=("credential", "agent", "landing"),
                limit=_LIVE_LIMIT,
            ),
        ]

    @property
    def contained(self) -> Contained | None:
        """The parts of a run, if their checks have passed and jobs are contained."""
        if not self._worthless or not self._contained:
            return None
        mark = secrets.token_hex(4)
        mortal, witness = (sandbox_settings(self._config, self._repository, name, mark) for name in "ab")
        return Contained(
            config=self._config,
            sandbox=self._sandbox,
            gate=replace(self._gate(), steps=()),
            mortal=mortal,
            witness=witness.make(),
            place=self._stack.enter_context(scratch_below(self._config.work_dir or default_work_dir())),
            shared=self._repository.shared,
            nodes=attacked_nodes(self._config, self._sandbox),
        )

    # -- the repository

    def _configuration(self) -> str:
        config = self._load()
        hooks = self._hooks_of(config)
        self._own_agent, self._own_tracker = hooks.agent(), hooks.tracker()
        self._config, self._hooks, self._read = config, hooks, config
        return str(config.path)

    def _open(self) -> Seen | str:
        # The real work_dir must stay unchanged.
        elsewhere = self._stack.enter_context(temporary_directory())
        if self._read:
            repository = open_repository(self._read, elsewhere)
        else:
            repository = Repository(self._here, elsewhere)
            refuse_empty(repository)
        check_repository(repository, make_engine(self._read, repository.root).owner)
        self._repository = self._opened = repository
        if lost := damaged_refs(repository):
            return Seen(
                detail=f"{repository.root}: objects of kept work are missing: {named(lost)}",
                status="warning",
                remedy="The next run drops these references. `git fsck` shows whether there is more damage.",
            )
        kept = len(repository.list_refs(ATTEMPTS))
        kept_shown = (
            f", {kept} kept attempts in {ATTEMPTS} (git push --mirror publishes them)" if kept else ""
        )
        return f"{repository.root}{kept_shown}"

    def _identity(self) -> str:
        return str(self._repository.identity())

    def _generation(self) -> str:
        config, repository = self._config, self._repository
        generation = find_generation(repository, config.gen_prefix, config.generation_branch)
        if generation:
            refuse_checked_out(repository, [generation], ", and landings would change its files")
            tip = tip_of(repository, generation)
            checked_language(config, repository, (generation.start, tip))
            state = f"{generation.name} on {generation.base}, at {tip[:12]}"
        else:
            refuse_other_start(repository, config.gen_prefix)
            base = find_base(config, repository)
            checked_language(config, repository, (base.commit,))
            state = f"none is active; the next one starts from {base.branch} ({base.commit[:12]})"
        unseen = uncommitted(config, repository)
        return f"{state}. {unseen}" if unseen else state

    # -- the agent's credential

    def _check_credential(self) -> Seen | str:
        return check_credentials(self._config, self._credentials, self._opened, self._own_agent)

    # -- where jobs run

    def _engine(self) -> str:
        return make_engine(self._read, self._here).check_engine()

    def _runtime(self) -> Seen | str:
        runtime = make_engine(self._read, self._here).runtime
        if not runtime:
            return _off("sandbox: none has no container runtime")
        if escapes := known_escapes(runtime):
            names = ", ".join(escape.name for escape in escapes)
            return Seen(
                detail=f"{runtime}: this version had known ways out of a container: {names}",
                status="warning",
                remedy="Update it. A distribution may have fixed them without a new version:\n"
                f"see the changelog of the package, and {escapes[-1].source}",
            )
        return f"{runtime}: no way out of a container is known"

    def _image(self) -> str:
        config = self._config
        self._sandbox = make_sandbox(config, self._repository, secrets.token_hex(4))
        self._language = language_of(config, self._repository)
        self._sandbox.preflight()
        where = config.podman_image if self._contained else "this machine"
        return f"jobs run in {where}, with sh and git"

    @property
    def _contained(self) -> bool:
        return Capability.CONTAINMENT in self._sandbox.capabilities

    def _limits(self) -> Seen | str:
        if not self._contained:
            return NOT_CONTAINED
        if Capability.LIMITS not in self._sandbox.capabilities:
            return Seen(
                detail="memory and processes of jobs are not limited: with cgroup v1 only root can",
                status="warning",
                remedy="Boot the kernel with systemd.unified_cgroup_hierarchy=1, which enables cgroup v2.",
            )
        prove_limits(self._sandbox)
        return "the kernel enforces the limits on memory and processes"

    def _files(self) -> str:
        place = self._config.work_dir or default_work_dir()
        self._scratch = self._stack.enter_context(scratch_below(place))
        preflight_work_dir(Repository(self._config.root, self._scratch), self._sandbox)
        uid = self._sandbox.owner[0] if self._sandbox.owner else os.geteuid()
        return f"files that jobs write in {place} belong to uid {uid}"

    def _agent(self) -> Seen | str:
        agents = make_all(self._config, self._own_agent, self._credentials)
        preflight_descriptors(self._config, agents)
        return try_agents(agents, self._sandbox)

    def _network(self) -> Seen | str:
        return check_network(self._config, self._sandbox, self._own_agent, self._credentials)

    def _lifeline(self) -> Seen | str:
        if not self._contained:
            return NOT_CONTAINED
        mark = secrets.token_hex(4)  # containers of this check only
        mortal, witness = (sandbox_settings(self._config, self._repository, name, mark) for name in "ab")
        prove_lifeline(mortal, witness.make())
        warnings: list[str] = []
        run_probes(self._sandbox, memory_probes(self._sandbox, self._gate(), warnings.append))
        if warnings:
            return Seen(detail=warnings[0], status="warning", remedy=REMEDY)
        return "a job ends when the process that started it is killed, and cannot change its verdict"

    # -- a task's way

    def _check_gate(self) -> Seen | str:
        gate = self._gate()
        preflight_gate(gate, self._language)
        if not gate.steps:
            return Seen(
                detail="none: landed changes are neither built nor tested",
                status="warning",
                remedy="Set test_command.",
            )
        return f"{gate.line}: the programs are installed"

    def _gate_on_tip(self) -> Seen | str:
        return gate_on_tip(self._config, self._scratch, self._language, self._gate(), self._cancellation)

    def _gate(self) -> Gate:
        return make_gate(
            self._config,
            self._language,
            self._sandbox,
            secrets.token_hex(4),
            self._hooks.gate,
            directory=self._repository.directory.path,
            credentials=self.secrets,
        )

    def _landing(self) -> str:
        worthless = scratch_repository(self._scratch, self._repository.shared)
        gate = Gate(
            steps=(),
            sandbox=self._sandbox,
            network=Network(self._config.gate_network),
            image=self._config.gate_image,
            timeout=None,
            environment={},
        )
        prove_landing(worthless, self._sandbox, gate)
        self._worthless = worthless
        return "worktree, harvest, merge, gate and landing work on a scratch repository"

    def _nodes(self) -> Seen | str:
        if self._config.sandbox not in ("slurm", "kubernetes"):
            return _off("agents run on this machine")
        work = Repository(self._config.root, self._config.work_dir)
        run_id = secrets.token_hex(4)
        here = f"a job ran on {check_nodes(self._config, work, self._sandbox, run_id)}"
        return "; ".join(filter(None, (here, check_gate_nodes(self._config, work, self._sandbox, run_id))))

    def _signature(self) -> Seen | str:
        signer = make_signer(self._config)
        if signer is None:
            return _off("statements of landings are not signed: sign_command is not set")
        signer.sign(b"{}", self._cancellation)
        return f"{signer.command[0]} signs"

    def _disk(self) -> Seen | str:
        work = Repository(self._config.root, self._config.work_dir)
        storage = make_engine(self._config, work.root).storage
        if scarce := preflight_room(work, self._config, *([storage] if storage else [])):
            return Seen(detail=scarce, status="warning", remedy="Free some space: podman image prune")
        return "enough space for worktrees, kept files and containers"

    def _tracker(self) -> str:
        config = self._config
        with given_back(self._repository.common_dir, (config.beads_dir,)):
            tracker = self._own_tracker or open_tracker(
                config.tracker, config.root, config.beads_dir, "", self._cancellation
            )
            open_tasks = sum(task.status == "open" for task in tracker.tasks())
        seen = f"{tracker.description}: {open_tasks} open"
        if self._own_tracker:
            return f"{seen} (from a hook; only read, not written)"
        with temporary_directory() as scratch:
            prove_tracker(open_scratch(config.tracker, config.beads_dir, scratch, self._cancellation))
        return f"{seen}; a scratch store keeps written tasks"

    def _ask(self) -> Seen | str:
        if not self._live:
            return _off("not asked; --cobbler-live asks the agent one question, which may cost money")
        if self._config.agent == "replay" and not self._own_agent:
            return _off("a recording cannot answer")
        quickly = {"CLAUDE_CODE_MAX_RETRIES": "1"}
        agents = make_all(self._config, self._own_agent, self._credentials, quickly)
        assert self._worthless
        log = EventLog(self._repository.work_dir, {"item": "doctor"}, Secrets(agents.secrets).scrub_text)
        network, limit = agent_network(self._config), (_LIVE_LIMIT - 30) / len(agents)
        place = self._worthless
        return answers_of(
            agents,
            lambda agent: ask_once(agent, self._sandbox, self._hooks, place, network, limit, log),
        )
