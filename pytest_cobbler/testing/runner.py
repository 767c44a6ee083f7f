"""Runs the configured agent and the gate for tests, where a run would run them."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from pytest_cobbler.agents.base import Agent, AgentRequest
from pytest_cobbler.config import Config
from pytest_cobbler.config.go_templates import Phase
from pytest_cobbler.cycle.asking import instructions_in
from pytest_cobbler.cycle.instructions import Instructions, read_instructions
from pytest_cobbler.cycle.measure import OUTPUT, read_answer
from pytest_cobbler.hooks import project_hooks
from pytest_cobbler.landing.gate import Gate, GateResult
from pytest_cobbler.process import Cancellation
from pytest_cobbler.report.log import EventLog
from pytest_cobbler.repository.checks import Policy
from pytest_cobbler.repository.directories import remove_tree
from pytest_cobbler.repository.harvest import Harvest, harvest
from pytest_cobbler.repository.ownership import given_back
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.worktrees import Worktree
from pytest_cobbler.sandbox.base import Sandbox
from pytest_cobbler.sandbox.site import Place
from pytest_cobbler.secret_forms import Secrets
from pytest_cobbler.sites.local import LocalSite
from pytest_cobbler.testing.checkouts import Checkout
from pytest_cobbler.testing.steps import failing_tests
from pytest_cobbler.tracker.base import Task
from pytest_cobbler.usage import Usage
from pytest_cobbler.wiring.hooks import NO_HOOKS, Hooks
from pytest_cobbler.wiring.languages import language_of
from pytest_cobbler.wiring.policy import agent_limits, agent_network, protection_of
from pytest_cobbler.wiring.preflight import loaded_modules, preflight_sandbox

__all__ = ["AgentRun", "Runner", "make_runner"]


@dataclass(frozen=True, kw_only=True)
class AgentRun:
    """The result of an agent run.

    ``error`` is empty exactly when the agent says it is done; ``text`` is its last message, ``usage`` what it
    cost by its own account, ``seconds`` wall time, ``transcript`` a file. ``changed`` are the paths that
    differ from the checkout's commit, ``files`` what those hold that are not gone; ``refusals`` say why it
    could not land. ``answer``: the task file that a measure has written.
    """

    error: str
    text: str
    usage: Usage
    seconds: float
    transcript: Path
    changed: tuple[str, ...]
    files: Mapping[str, str] = field(repr=False)
    refusals: tuple[str, ...]
    answer: str | None

    @property
    def ok(self) -> bool:
        return not self.error


class Runner:
    """Runs agents and the gate on checkouts; a missing part is reported when it is first needed.

    Args:
        directory: for transcripts and logs.
        hooks: only the one for the agent's command line is used.
        refusal: why no agent may run; empty if agents may run.
    """

    def __init__(
        self,
        config: Config,
        repository: Repository,
        sandbox: Sandbox,
        agent: Agent,
        gate: Gate,
        *,
        directory: Path,
        hooks: Hooks = NO_HOOKS,
        refusal: str = "",
    ) -> None:
        self._config = config
        self._repository = repository
        self._sandbox = sandbox
        self._agent = agent
        self._gate = gate
        self._directory = directory
        self._refusal = refusal
        self._hooks = hooks
        self._log = EventLog(repository.work_dir, {"item": "test"}, Secrets(agent.secrets).scrub_text)
        self._checked = False
        self._modules: tuple[frozenset[str], Mapping[str, frozenset[str]]] | None = None
        self._runs = 0

    def agent(
        self, checkout: Checkout, prompt: str, *, title: str = "A test", phase: Phase = "stitch"
    ) -> AgentRun:
        """Let the agent work on a checkout; skips the test if that may cost money and must not.

        Args:
            prompt: the text for the agent, as it is; ``{output}`` of a measure is the file to write.
            title: of the task, for agents that go by it.
        """
        __tracebackhide__ = True  # so pytest reports the line of the test as the place of the skip
        if self._refusal:
            pytest.skip(self._refusal)
        with failing_tests(), given_back(self._repository.common_dir, ()):
            self._check_sandbox()
            self._agent.preflight(self._sandbox)
            worktree = checkout.worktree
            self._prepare(worktree)
            directory = self._next_directory()
            place = self._place(worktree)
            request = self._request(place, prompt, title, phase, directory)
            result = self._agent.run(request, place.sandbox, Cancellation())
            harvested = harvest(place, self._repository, self._policy())
            remove_tree(worktree.tree / ".git")
            answer = read_answer(place)
        return AgentRun(
            error=result.error or ("" if harvested.change or answer is not None else result.doubt),
            text=result.text,
            usage=result.usage,
            seconds=result.completed.seconds,
            transcript=request.transcript,
            changed=tuple(map(self._repository.directory.inward, harvested.change.paths)),
            files=self._files(harvested),
            refusals=tuple(map(str, harvested.refusals)),
            answer=answer.decode("utf-8", "replace") if isinstance(answer, bytes) else None,
        )

    def gate(self, checkout: Checkout) -> GateResult:
        """Build and test the files of a checkout without changing them."""
        with failing_tests():
            self._check_sandbox()
            return self._gate.run(checkout.worktree.tree, self._next_directory() / "gate.log", Cancellation())

    def _check_sandbox(self) -> None:
        if not self._checked:
            preflight_sandbox(self._repository, self._sandbox)
            self._checked = True

    def _next_directory(self) -> Path:
        self._runs += 1
        directory = self._directory / f"run-{self._runs}"
        directory.mkdir()
        return directory

    def _prepare(self, worktree: Worktree) -> None:
        """Give the worktree its git again, and files that a test has written to the agent."""
        gitfile = worktree.tree / ".git"
        remove_tree(gitfile)
        remove_tree(worktree.output / OUTPUT)
        with gitfile.open("x", encoding="utf-8") as file:
            file.write(worktree.gitfile)
        if owner := self._sandbox.owner:
            for base, directories, files in os.walk(worktree.tree):
                for name in (*directories, *files):
                    path = Path(base, name)
                    if path.lstat().st_uid != owner[0]:
                        os.chown(path, *owner, follow_symlinks=False)

    def _place(self, worktree: Worktree) -> Place:
        name = worktree.directory.parent.relative_to(self._repository.work_dir).as_posix()
        return LocalSite(self._repository, name, self._sandbox, at_its_path=True).place(worktree)

    def _request(self, place: Place, prompt: str, title: str, phase: Phase, directory: Path) -> AgentRequest:
        output = place.output / OUTPUT if phase == "measure" else None
        task = Task(id="test", title=title) if phase == "stitch" else None
        head = self._repository.head_commit()
        rules = read_instructions(self._repository, head, self._agent) if head else Instructions()
        return AgentRequest(
            phase=phase,
            task_id="test",
            title=title,
            attempt=1,
            prompt=prompt.replace("{output}", str(output)) if output else prompt,
            worktree=place.checkout / place.directory,
            directory=place.directory,
            location=place.location,
            system_prompt_file=instructions_in(place, rules.given_to(place)),
            network=agent_network(self._config),
            limits=agent_limits(self._config),
            transcript=directory / "transcript.jsonl",
            errors=directory / "stderr.txt",
            output=output,
            command=functools.partial(self._hooks.command, phase, task, 1),
            on_exchange=self._log.write,
        )

    def _policy(self) -> Policy:
        language = language_of(self._config, self._repository)
        if self._modules is None:
            self._modules = loaded_modules(self._gate, language)
        reserved, needs = self._modules
        protection = protection_of(
            self._config,
            self._repository,
            language,
            secrets=self._agent.secrets,
            reserved=reserved,
            needs=needs,
            steps=self._gate.steps,
            trusted=[commit] if (commit := self._repository.head_commit()) else [],
        )
        return protection.policy()

    def _files(self, harvested: Harvest) -> dict[str, str]:
        if not harvested.importable:
            return {}
        contents = {
            entry.shown: self._repository.read_file(harvested.tree, f"/{os.fsdecode(entry.path)}")
            for entry in harvested.change.entries
            if entry.status != "D"
        }
        return {
            self._repository.directory.inward(path): content.decode("utf-8", "surrogateescape")
            for path, content in contents.items()
            if content is not None
        }


def make_runner(request: pytest.FixtureRequest, repository: Repository, directory: Path) -> Runner:
    """The runner of the fixtures that it is made of."""
    config: Config = request.getfixturevalue("cobbler_config")
    agent: Agent = request.getfixturevalue("cobbler_runner_agent")
    gate: Gate = request.getfixturevalue("cobbler_runner_gate")
    spends = request.getfixturevalue("cobbler_runner_spends")
    refusal = f"{agent.description} may cost money; allow it: --cobbler-live"
    return Runner(
        config,
        repository,
        request.getfixturevalue("cobbler_runner_sandbox"),
        agent,
        replace(gate, credentials=tuple(agent.secrets)),
        directory=directory,
        hooks=project_hooks(request.config, config),
        refusal=refusal if spends and not request.config.getoption("cobbler_live") else "",
    )
