"""The parts of a run that the configuration chooses: sandbox, agent, gate."""

from __future__ import annotations

import json
import os
import re
import secrets
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Literal

from pytest_cobbler.agents.access import Access
from pytest_cobbler.agents.base import Agent
from pytest_cobbler.agents.claude import ClaudeAgent
from pytest_cobbler.agents.command import CommandAgent
from pytest_cobbler.agents.credential import Credential, find_credential
from pytest_cobbler.agents.prices import PriceList, read_prices
from pytest_cobbler.agents.wires.messages import MESSAGES
from pytest_cobbler.config import Config
from pytest_cobbler.config.addresses import VARIABLE, is_anthropics, shown_address
from pytest_cobbler.display import escaped
from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.landing.gate import Gate
from pytest_cobbler.landing.notary import Signer
from pytest_cobbler.languages import Language
from pytest_cobbler.languages.base import Step
from pytest_cobbler.recordings.names import RunNames
from pytest_cobbler.recordings.replay import ReplayAgent
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sandbox.base import Network, Sandbox
from pytest_cobbler.sandbox.host import HostSandbox
from pytest_cobbler.sandbox.podman import PodmanSandbox, job_owner, local_images, podman_environment
from pytest_cobbler.tracker.base import Tracker
from pytest_cobbler.tracker.choose import open_tracker
from pytest_cobbler.wiring.hooks import NO_HOOKS, Hooks
from pytest_cobbler.wiring.policy import Protection

NESTED = "COBBLER_SESSION"
"""Set for every job, so that a run inside a run can be refused."""

STAND_IN = Credential(kind="api_key", value="", source="").stand_in()
"""A worthless credential."""

_OTHER_CREDENTIALS = ("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_CUSTOM_HEADERS")


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts that the configuration and the project's hooks choose for a run, checked and ready to use."""

    sandbox: Sandbox
    agent: Agent
    gate: Gate
    language: Language
    protection: Protection
    hooks: Hooks = NO_HOOKS

    def assistant(self, model: str) -> str:
        """The agent, as the trailer ``Assisted-by`` names it: ``claude:claude-opus-4-5``, or ``agent.sh``."""
        words = self.agent.description.removeprefix("agent:").replace(",", " ").split()
        name = re.sub(r"[^\w.+-]", "-", PurePosixPath(words[0]).name if words else "") or "agent"
        return f"{name}:{model}" if model else name


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


def credential_of(config: Config) -> Credential | None:
    """The credential of the configured agent; ``None`` if there is none or the agent needs none.

    Raises:
        UsageProblem: it cannot be used.
    """
    if config.agent == "replay":
        return None
    return find_credential(os.environ, config.token_path, config.lifted_credentials)


def access_of(config: Config, credential: Credential | None) -> Access:
    """How the configured agent reaches the API. Behind the proxy, its credential stays on the host.

    The proxy needs a credential to serve, and a sandbox to keep the credential out of.
    """
    return Access(
        credential=credential,
        base_url=_address(config),
        proxied=config.agent_network == "proxy" and config.sandbox == "podman" and credential is not None,
        prices=make_prices(config),
    )


def make_prices(config: Config) -> PriceList:
    """The prices of models, with those of the configured file.

    Raises:
        UsageProblem: the file has something else.
    """
    return PriceList(read_prices(config.prices) if config.prices else {})


def foreign_address(config: Config) -> str:
    """The address of the API and its place, for people; empty if it is Anthropic's."""
    address = _address(config)
    if not address or is_anthropics(address) or config.agent == "replay":
        return ""
    is_assigned = config.container_environment.get(VARIABLE) and VARIABLE in config.podman_args.assigned
    return f"{escaped(shown_address(address))}, from {config.path.name if is_assigned else 'the environment'}"


def reach_api(config: Config) -> None:
    """Check that the host of the API answers, if claude will ask it.

    Raises:
        UsageProblem: it does not.
    """
    is_offline = config.agent_network == "none" and config.sandbox == "podman"
    if config.agent == "claude" and not is_offline:
        from pytest_cobbler.agents.reach import reach  # not every run needs its libraries

        reach(MESSAGES.address, _address(config))


def _address(config: Config) -> str | None:
    return config.container_environment.get(VARIABLE) or os.environ.get(VARIABLE)


def make_agent(
    config: Config,
    run_id: str,
    *,
    names: RunNames | None = None,
    renew_prompts: bool = False,
    stand_in: bool = False,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Agent:
    """The configured agent.

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
    access = access_of(config, STAND_IN if stand_in else credential_of(config))
    variables = {**config.container_environment, **environment, NESTED: run_id}
    handed = [name for name in _OTHER_CREDENTIALS if name in variables]
    if access.proxied and handed:
        raise UsageProblem(
            f"podman_args: {handed[0]} would be visible to the agent, and the proxy does not forward it",
            "Remove it and set ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN; or set agent_network: open.",
        )
    if config.agent == "command":
        assert config.agent_command is not None
        return CommandAgent(
            config.agent_command,
            environment=variables,
            credential=access.credential if access.proxied else None,
            base_url=access.base_url if access.proxied else None,
            proxied=access.proxied,
            prices=access.prices,
        )
    return ClaudeAgent(
        config.claude_args,
        model=config.model,
        credential=access.credential,
        base_url=access.base_url,
        proxied=access.proxied,
        prices=access.prices,
        environment=variables,
    )


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
