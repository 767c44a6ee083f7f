"""The ground for attacks: a user's repository, a generation, and a task from its worktree to its landing.

The agent is a shell script in a container, on a worktree, as in a run. The same functions as in a run then
harvest, check, merge, gate and land its work. After each attack everything that it must not touch is checked.
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pytest_cobbler.agents.base import AgentRequest, AgentResult
from pytest_cobbler.agents.command import CommandAgent
from pytest_cobbler.errors import CobblerError
from pytest_cobbler.landing.gate import Gate, GateResult
from pytest_cobbler.languages.base import Step
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository import trailers
from pytest_cobbler.repository.checks import Policy
from pytest_cobbler.repository.harvest import Harvest, harvest
from pytest_cobbler.repository.landing import Merge, land, merge
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.worktrees import GateCheckout, Worktree, Worktrees
from pytest_cobbler.sandbox.base import Limits, Network
from pytest_cobbler.sandbox.podman import PodmanSandbox
from tests.support.repositories import ADA, UserRepository, commit_files, files_in, snapshot

SECRET = "sk-ant-api03-" + "0123456789abcdefghijklmnopqrstuvwxyz_-" * 2
LIMIT = 60.0
"""Seconds for an attack and its landing."""


@dataclass(kw_only=True)
class Outcome:
    """The result of an attack."""

    result: AgentResult
    worktree: Worktree
    harvested: Harvest | None = None
    error: CobblerError | None = None
    merged: Merge | None = None
    gate: GateResult | None = None
    landed: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    """Of the landed commit."""
    transcript: bytes = b""
    stderr: bytes = b""

    @property
    def refused(self) -> list[str]:
        """Paths of the refusals; their reasons where there is no path."""
        return (
            [refusal.path or refusal.reason for refusal in self.harvested.refusals] if self.harvested else []
        )

    @property
    def lines(self) -> list[str]:
        """The lines of the agent's output."""
        return self.transcript.decode("utf-8", "replace").splitlines()


class Ground:
    """One repository under attack.

    ``canary`` is a directory outside all mounts. Every user may write there; no attack must succeed in it.
    """

    def __init__(self, user: UserRepository, sandbox: PodmanSandbox) -> None:
        self.user = user
        self.sandbox = sandbox
        self.directory = user.path.parent
        self.canary = self.directory / "canary"
        self.canary.mkdir()
        self.canary.chmod(0o777)
        user.configure({"http.extraHeader": "AUTHORIZATION: basic PRIVATE"})
        user.git("branch", "private")
        self.repository: Repository = user.open()
        self.generation = user.start()
        self._ours = (f".git/refs/heads/{self.generation.name}", ".git/cobbler.lock")
        self._number = 0

    @property
    def tip(self) -> str:
        tip = self.repository.read_ref(self.generation.ref)
        assert tip is not None
        return tip

    @property
    def worktrees(self) -> Worktrees:
        return Worktrees(self.repository, self.generation.name, self.sandbox.owner)

    def base_with(self, files: dict[str, str | bytes | None], **modes: str) -> None:
        """Land files before the attack, unchecked."""
        commit = commit_files(self.repository, self.tip, files, modes=modes)
        assert self.repository.move_ref(self.generation.ref, commit, self.tip, "test")

    def attack(
        self,
        script: str,
        *,
        policy: Policy | None = None,
        gate: str = "",
        limits: Limits | None = None,
        limit: float = LIMIT,
    ) -> Outcome:
        """Run ``script`` as the agent and land its work.

        Args:
            script: for bash; CANARY in it is a file that only the host could make.
            policy: the policy for the change.
            gate: a shell script to run on the merged tree; without it there is no gate.
            limits: of the agent's job.
            limit: seconds for the attack and its landing.
        """
        before = snapshot(self.user, but=self._ours)
        other_refs = self._refs_of_others()
        started = time.monotonic()
        outcome = self.run_agent(script.replace("CANARY", f"{self.canary}/proof"), limits)
        try:
            outcome.harvested = harvest(
                outcome.worktree,
                self.repository,
                self.sandbox,
                policy or Policy(secrets=(SECRET,)),
                self.sandbox.owner,
            )
        except CobblerError as error:
            outcome.error = error
        if (
            outcome.harvested
            and outcome.harvested.importable
            and outcome.harvested.change
            and not outcome.refused
        ):
            self._land(outcome, gate.replace("CANARY", f"{self.canary}/proof"))
        seconds = time.monotonic() - started
        assert seconds < limit, f"took {seconds:.0f} s"
        self.assert_unharmed(before, other_refs)
        return outcome

    def run_agent(self, script: str, limits: Limits | None = None) -> Outcome:
        """Run ``script`` as the agent; leave its work in the worktree."""
        self._number += 1
        worktree = self.worktrees.create(
            f"t-{self._number}",
            parent=self.tip,
            tree=self.repository.tree_of(self.tip),
            purpose={"task": "t", "title": "Attack", "number": str(self._number)},
        )
        transcript = self.directory / f"transcript-{self._number}"
        errors = self.directory / f"errors-{self._number}"
        agent = CommandAgent(["bash", "-c", script])
        result = agent.run(
            AgentRequest(
                phase="stitch",
                task_id="t",
                title="Attack",
                attempt=self._number,
                prompt="PROMPT",
                worktree=worktree.tree,
                mounts=worktree.mounts(self.repository),
                network=Network.NONE,
                limits=limits or Limits(wall=30),
                transcript=transcript,
                errors=errors,
            ),
            self.sandbox,
            Cancellation(),
        )
        return Outcome(
            result=result,
            worktree=worktree,
            transcript=transcript.read_bytes(),
            stderr=errors.read_bytes(),
        )

    def _land(self, outcome: Outcome, gate: str) -> None:
        assert outcome.harvested is not None
        harvested = outcome.harvested
        commit = self.repository.commit(harvested.tree, [harvested.parent], "Work\n", ADA)
        outcome.merged = merge(self.repository, self.tip, commit)
        if outcome.merged.conflicts:
            return
        if gate:
            outcome.gate = self.run_gate(outcome.merged.tree, gate)
            if not outcome.gate.passed:
                return
        values = {trailers.TASK: f"t-{self._number}", trailers.GENERATION: self.generation.name}
        message = trailers.message(self.repository, "Attack", "", values)
        outcome.landed = land(self.repository, self.generation.ref, outcome.merged, message, ADA) or ""
        outcome.files = files_in(self.repository, outcome.landed)

    def run_gate(self, tree: str, script: str, image: str | None = None) -> GateResult:
        """Run a gate on a tree, which stays unchanged."""
        checkout = GateCheckout(self.repository, self.generation.name, self.sandbox.owner)
        gate = Gate(
            steps=[Step(name="test", argv=("sh", "-c", script), shown=script)],
            sandbox=self.sandbox,
            network=Network.NONE,
            image=image,
            timeout=30.0,
            environment={},
        )
        try:
            path = checkout.move(tree)
            before = sorted((entry, entry.lstat().st_mtime_ns) for entry in path.rglob("*"))
            result = gate.run(path, self.directory / "gate.log", Cancellation())
            assert sorted((entry, entry.lstat().st_mtime_ns) for entry in path.rglob("*")) == before
            return result
        finally:
            checkout.remove()

    def _refs_of_others(self) -> dict[str, str]:
        refs = self.repository.list_refs()
        return {ref: commit for ref, commit in refs.items() if ref != self.generation.ref}

    def assert_unharmed(self, before: dict[str, bytes], other_refs: dict[str, str]) -> None:
        """Check the canary, the user's checkout, refs and objects, and that another task still lands."""
        assert list(self.canary.iterdir()) == [], "code of the agent ran on the host"
        assert snapshot(self.user, but=self._ours) == before
        assert self._refs_of_others() == other_refs
        assert self.user.git("fsck", "--strict", "--no-dangling") == ""
        tip = self.tip
        commit = commit_files(self.repository, tip, {f"after-{self._number}": "x"})
        assert land(self.repository, self.generation.ref, merge(self.repository, tip, commit), "After\n", ADA)
        assert self.user.git("rev-list", "--merges", self.generation.name) == ""

    def has_object(self, content: bytes) -> bool:
        """Whether a blob is in the user's store."""
        blob = self.repository.objects.text("hash-object", "--stdin", "--no-filters", stdin=content)
        return self.repository.objects.run("cat-file", "-e", blob, accepted=(0, 1)).status == 0


def host_programs(canary: Path, names: Sequence[str]) -> dict[str, str]:
    """Name -> text of a program that leaves a proof if the host runs it."""
    return {name: f"#!/bin/sh\ntouch {shlex.quote(os.fspath(canary))}/{name}\n" for name in names}
