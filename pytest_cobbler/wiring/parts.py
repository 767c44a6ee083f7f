"""The parts of a run that the configuration chooses: sandbox, agent, gate."""

from __future__ import annotations

import json
import secrets
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from pytest_cobbler.agents.base import Agent, SessionPlace
from pytest_cobbler.agents.credential import variables_of
from pytest_cobbler.agents.described import DescribedAgent
from pytest_cobbler.agents.descriptions.acp import Acp
from pytest_cobbler.agents.descriptions.base import Description
from pytest_cobbler.agents.descriptions.claude import Claude
from pytest_cobbler.agents.descriptions.codex import Codex
from pytest_cobbler.agents.descriptions.command import Command
from pytest_cobbler.agents.descriptions.gemini import GeminiCli
from pytest_cobbler.agents.descriptions.opencode import OpenCode
from pytest_cobbler.config import Config
from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.landing.gate import Gate
from pytest_cobbler.landing.notary import Signer
from pytest_cobbler.languages import Language
from pytest_cobbler.languages.base import Step
from pytest_cobbler.process import Cancellation
from pytest_cobbler.recordings.names import RunNames
from pytest_cobbler.recordings.replay import ReplayAgent
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sandbox.base import Network, Sandbox
from pytest_cobbler.sandbox.host import HostSandbox
from pytest_cobbler.sandbox.podman import PodmanSandbox, job_owner, local_images
from pytest_cobbler.sandbox.podman_environment import podman_environment
from pytest_cobbler.sandbox.site import Site
from pytest_cobbler.sites.channel import Channel
from pytest_cobbler.sites.cleaning import Nodes
from pytest_cobbler.sites.kubernetes import KubernetesChannel
from pytest_cobbler.sites.local import LocalSite
from pytest_cobbler.sites.overlaying import LARGE
from pytest_cobbler.sites.pods import FILES, OBJECTS, PodSettings
from pytest_cobbler.sites.remote import NodeSandbox, RemoteSite
from pytest_cobbler.sites.slurm import SlurmChannel
from pytest_cobbler.tracker.base import Tracker
from pytest_cobbler.tracker.choose import open_tracker
from pytest_cobbler.wiring.agents import Agents
from pytest_cobbler.wiring.api import access_of, credential_of, stand_in_of, wire_of
from pytest_cobbler.wiring.hooks import NO_HOOKS, Hooks
from pytest_cobbler.wiring.policy import Protection

NESTED = "COBBLER_SESSION"
"""Set for every job, so that a run inside a run can be refused."""

_OTHER_CREDENTIALS = ("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_CUSTOM_HEADERS")


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts that the configuration and the project's hooks choose for a run, checked and ready to use."""

    sandbox: Sandbox
    agents: Agents
    gate: Gate
    language: Language
    protection: Protection
    hooks: Hooks = NO_HOOKS


@dataclass(frozen=True, kw_only=True)
class SandboxSettings:
    """The settings of a sandbox, in a form that can be passed to another process.

    ``image`` is empty for jobs on the host. The fields are the arguments of ``PodmanSandbox``.
    """

    image: str
    repository: str
    run_id: str
    owner: tuple[int, int] | None = None
    program: str = "podman"
    arguments: tuple[str, ...] = ()
    user_namespaces: bool = False
    environment: Mapping[str, str] = field(default_factory=podman_environment)

    def make(self) -> Sandbox:
        if not self.image:
            return HostSandbox(repository=self.repository, run_id=self.run_id)
        return PodmanSandbox(
            self.image,
            repository=self.repository,
            run_id=self.run_id,
            owner=self.owner,
            program=self.program,
            arguments=self.arguments,
            user_namespaces=self.user_namespaces,
            environment=self.environment,
        )

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> SandboxSettings:
        fields = json.loads(text)
        owner = fields["owner"] and tuple(fields["owner"])
        return cls(**fields | {"owner": owner, "arguments": tuple(fields["arguments"])})


def sandbox_settings(config: Config, repository: Repository, run_id: str, mark: str = "") -> SandboxSettings:
    """The settings of the configured sandbox.

    Args:
        mark: a prefix for the repository's name on jobs, so that a run does not end them as a dead run's.
    """
    name = mark + repository.key.rpartition("-")[2]
    if config.sandbox == "none":
        return SandboxSettings(image="", repository=name, run_id=run_id)
    assert config.podman_image
    return SandboxSettings(
        image=config.podman_image,
        repository=name,
        run_id=run_id,
        owner=job_owner(repository.root),
        arguments=config.podman_arguments,
        user_namespaces=config.job_userns,
    )


def make_sandbox(config: Config, repository: Repository, run_id: str, mark: str = "") -> Sandbox:
    """The configured sandbox; ``mark`` as for :func:`sandbox_settings`."""
    return sandbox_settings(config, repository, run_id, mark).make()


def make_site(
    repository: Repository,
    generation: str,
    sandbox: Sandbox,
    config: Config,
    run_id: str,
    left_out: Sequence[str] = (),
    cancellation: Cancellation | None = None,
    directory: Path | None = None,
) -> Site:
    """Where the agents of a generation work: this machine, whose ``sandbox`` runs the gate, or nodes.

    Args:
        left_out: as for ``LocalSite``.
        cancellation: ends the waiting for a node.
        directory: where nodes keep files; by default beside the work directory.

    Raises:
        RepositoryError: no job could work on this repository.
    """
    alone = config.agent_history == "tip"
    here = local_site(repository, generation, sandbox, alone=alone, left_out=left_out)
    if config.sandbox not in ("slurm", "kubernetes"):
        return here
    directory = directory or repository.work_dir.parent / "nodes"
    channel, on_nodes, place = _nodes(config, sandbox_settings(config, repository, run_id), directory)
    return RemoteSite(
        repository,
        generation,
        channel,
        on_nodes,
        place,
        engine=config.sandbox,
        here=here,
        alone=alone,
        left_out=left_out,
        cancellation=cancellation,
    )


def _nodes(config: Config, settings: SandboxSettings, directory: Path) -> tuple[Channel, NodeSandbox, Path]:
    """The channel to nodes, the sandbox there, and where they keep objects and files: ``directory``.

    Pods have a directory of their own for that.
    """
    on_nodes = NodeSandbox(image=settings.image, repository=settings.repository, run_id=settings.run_id)
    if config.sandbox == "kubernetes":
        pod = PodSettings(
            image=settings.image,
            carrier=config.kubernetes_carrier or settings.image,
            disk=config.job_disk,
            own=config.kubernetes_pod,
        )
        channel = KubernetesChannel(pod)
        return channel, replace(on_nodes, files=FILES, forbidden=(channel.address,)), Path(OBJECTS)
    on_nodes = replace(on_nodes, arguments=settings.arguments, user_namespaces=settings.user_namespaces)
    return SlurmChannel(config.slurm_args, config.gate_site), on_nodes, directory


def check_nodes(config: Config, repository: Repository, sandbox: Sandbox, run_id: str) -> str:
    """Try a node, if agents run on nodes: its engine, and a job in the image. Returns a line for people.

    Raises:
        SandboxError: with the cause and the remedy.
    """
    site = make_site(repository, "check", sandbox, config, run_id)
    return site.check() if isinstance(site, RemoteSite) else ""


def nodes_of(config: Config, repository: Repository) -> Nodes | None:
    """The nodes that keep files of agents; ``None`` if none does."""
    run_id = secrets.token_hex(4)
    site = make_site(repository, "clean", make_sandbox(config, repository, run_id), config, run_id)
    return site if isinstance(site, RemoteSite) and site.archives is None else None


def local_site(
    repository: Repository,
    generation: str,
    sandbox: Sandbox,
    *,
    alone: bool = False,
    left_out: Sequence[str] = (),
    at_its_path: bool = False,
    large: int | None = LARGE,
) -> LocalSite:
    """This machine as a site; the arguments are those of ``LocalSite``.

    Raises:
        RepositoryError: no job could work on this repository.
    """
    return LocalSite(
        repository, generation, sandbox, alone=alone, left_out=left_out, at_its_path=at_its_path, large=large
    )


def images_of_podman() -> list[str]:
    """The names of the images on this machine, newest first.

    Raises:
        SandboxError: podman is missing, or fails.
    """
    return local_images()


def sandbox_of_image(image: str, repository: Repository) -> Sandbox:
    """A sandbox to try out an image of this machine that no configuration names."""
    owner = job_owner(repository.root)
    return PodmanSandbox(image, repository="survey", run_id=secrets.token_hex(4), owner=owner)


def make_engine(config: Config | None, root: Path) -> Sandbox:
    """The engine for jobs on the repository at ``root``. It has no image, so it cannot run a job.

    It is podman, unless the configuration chooses otherwise.
    """
    if config and config.sandbox == "none":
        return HostSandbox(repository="", run_id="")
    return PodmanSandbox("", repository="", run_id="", owner=job_owner(root))


def make_tracker(config: Config, hooks: Hooks = NO_HOOKS) -> Tracker:
    """The tracker of a hook; without one, the repository's.

    Raises:
        CobblerError: a hook failed, or the repository's tracker cannot be opened.
    """
    return hooks.tracker() or open_tracker(config.tracker, config.root, config.beads_dir)


def make_agents(config: Config, run_id: str, **settings: Any) -> Agents:
    """The configured agents, each made by :func:`make_agent`."""
    refuse_seen_keys(config)
    configs = {one.agents[0]: one for one in config.each_agent}

    def make(name: str, model: str) -> Agent:
        return make_agent(configs[name].model_copy(update={"model": model}), run_id, **settings)

    return Agents({name: make_agent(one, run_id, **settings) for name, one in configs.items()}, make)


def refuse_seen_keys(config: Config) -> None:
    """Check that no agent would see the key of another one.

    Raises:
        UsageProblem: one would.
    """
    keys = {wire_of(one).address.key for one in config.each_agent if one.agent != "replay"}
    handed = next((name for name in sorted(keys) if name in config.container_environment), "")
    if len(config.agents) > 1 and handed:
        raise UsageProblem(
            f"podman_args: {handed} would be visible to all agents",
            "Remove it, and set it in the environment.",
        )


def make_agent(
    config: Config,
    run_id: str,
    *,
    names: RunNames | None = None,
    renew_prompts: bool = False,
    stand_in: bool = False,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Agent:
    """The first agent of the configuration.

    Args:
        names: names in prompts that differ in every run, for a replay.
        renew_prompts: a replay writes the current prompts into its recording.
        stand_in: use a worthless credential, so that everything except a run can be tried without a real one.
        environment: more variables.
    """
    if config.agent == "replay":
        assert config.recording is not None
        prompts = "accept" if renew_prompts else config.recording_prompts
        return ReplayAgent(config.recording, root=config.root, prompts=prompts, names=names)
    access = access_of(config, stand_in_of(config) if stand_in else credential_of(config))
    variables = {**config.container_environment, **environment, NESTED: run_id}
    key = access.wire.address.key
    handed = [name for name in (*_OTHER_CREDENTIALS, key) if name in variables]
    if access.proxied and handed:
        raise UsageProblem(
            f"podman_args: {handed[0]} would be visible to the agent, and the proxy does not forward it",
            f"Remove it and set {' or '.join(variables_of(key))}; or set agent_network: open.",
        )
    if config.agent in ("command", "acp"):
        assert config.agent_command is not None
        if not access.proxied:
            access = replace(access, credential=None, base_url=None)
        kind = partial(Acp, continues=config.is_contained) if config.agent == "acp" else Command
        return DescribedAgent(kind(command=config.agent_command, variables=variables), access)
    if config.agent == "codex":
        codex = Codex(
            arguments=config.codex_args,
            address=access.address,
            model=config.model_of("codex"),
            variables=variables,
        )
        return DescribedAgent(codex, access)
    if config.agent == "opencode":
        opencode = OpenCode(
            arguments=config.opencode_args,
            wire=access.wire,
            address=access.address,
            model=config.model_of("opencode"),
            continues=config.is_contained,
            variables=variables,
        )
        return DescribedAgent(opencode, access)
    if config.agent == "gemini":
        gemini = GeminiCli(arguments=config.gemini_args, model=config.model_of("gemini"), variables=variables)
        return DescribedAgent(gemini, access)
    claude = Claude(arguments=config.claude_args, model=config.model_of("claude"), variables=variables)
    return DescribedAgent(claude, access)


def session_places() -> dict[str, SessionPlace]:
    """Where each agent that is built in keeps its conversations, by its name."""
    described: Mapping[str, Description] = {
        "claude": Claude(),
        "codex": Codex(),
        "opencode": OpenCode(),
        "gemini": GeminiCli(),
    }
    return {name: one.sessions for name, one in described.items() if one.sessions}


def make_signer(config: Config) -> Signer | None:
    """The program that signs statements; ``None`` if they are not signed.

    Raises:
        UsageProblem: there is no such program.
    """
    if config.sign_command is None:
        return None
    signer = Signer(command=config.sign_command, directory=config.root)
    signer.check()
    return signer


def make_gate(
    config: Config,
    language: Language,
    sandbox: Sandbox,
    run_id: str,
    change: Callable[[tuple[Step, ...]], tuple[Step, ...] | None] = lambda _steps: None,
    *,
    directory: str = "",
    credentials: Sequence[str] = (),
) -> Gate:
    """The configured gate, or the language's; ``change`` may return other steps instead.

    ``directory`` is where in the tree it runs; ``credentials`` are removed from its output.

    Raises:
        UsageProblem: the configuration neither names a gate nor turns the gate off.
    """
    steps = tuple(
        step
        for step in (
            _step("build", config.build_command, language.default_build()),
            _step("test", config.test_command, language.default_test()),
        )
        if step
    )
    changed = change(steps)
    if changed is not None:
        steps = changed
    elif not steps and config.build_command is None and config.test_command is None:
        raise UsageProblem(
            f"there is no gate: language {language.name} has no default commands",
            "Set build_command and test_command in configuration.yaml (false: land without that step).",
        )
    return Gate(
        steps=_with_notes(steps, language),
        sandbox=sandbox,
        network=Network(config.gate_network),
        image=config.gate_image,
        timeout=config.gate_timeout,
        disk=config.job_disk,
        environment={**config.container_environment, NESTED: run_id},
        credentials=tuple(credentials),
        directory=directory,
        report=str(config.gate_report or ""),
        keeps_services=config.build_services,
        merge_driver=config.merge_driver or (),
        passing=frozenset({NESTED}),
    )


def _with_notes(steps: tuple[Step, ...], language: Language) -> tuple[Step, ...]:
    """``steps``, the last one with the language's notes on tests by commands of the project."""
    defaults = language.gate()
    if all(step in defaults for step in steps) or language.default_test() in steps:
        return steps
    return (*steps[:-1], replace(steps[-1], notes=language.notes_on_commands()))


def _step(
    name: Literal["build", "test"], command: tuple[str, ...] | Literal[False] | None, default: Step | None
) -> Step | None:
    if command is None:
        return default
    if command is False:
        return None
    shown = command[2] if command[:2] == ("sh", "-c") and len(command) == 3 else shlex.join(command)
    return Step(name=name, argv=command, shown=shown)
