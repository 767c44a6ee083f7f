"""The tree that the next agents start from, and the gate on it before any of them is paid."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pytest_cobbler.config import Config
from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.landing.tip import Tip, check_tip
from pytest_cobbler.landing.tree_gate import TreeGate
from pytest_cobbler.languages import Language
from pytest_cobbler.lifecycle.starting import Base, draft
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.generations import Draft, Generation, tip_of
from pytest_cobbler.repository.repository import Repository

_FURTHER = (
    "If the image lacks a program or a package, add it there.",
    "If git ignores a file that a tool generates, let build_command make it.",
)
_OFFLINE = (
    (
        re.compile(r"GOPROXY=off"),
        "The gate fetches no Go modules: commit them (go mod vendor), or add them to the image.",
    ),
    (
        re.compile(r"you're using offline mode \(--offline\)"),
        "cargo fetches no crates in the gate: commit them (cargo vendor, and the .cargo/config.toml that it "
        "prints), or add them to the image.",
    ),
    (
        re.compile(
            r"could not resolve host|no such host|failure in name resolution|network is unreachable",
            re.IGNORECASE,
        ),
        "The gate has no network: leave out tests that need one (for Go: GOFLAGS=-short in podman_args), "
        "or set gate_network: open.",
    ),
)
"""What programs print that miss the network, and the fix."""

_FIX_GATE = "Fix what the gate needs: its commands, its image, or what it reaches."


@dataclass(frozen=True, kw_only=True)
class Ground:
    """A tree and the generation that it belongs to; ``draft`` is set if that is not created yet.

    ``where`` is the branch that a person knows it by, ``fix`` how to fix it there.
    """

    name: str
    tree: str
    where: str
    fix: str
    draft: Draft | None = None

    @classmethod
    def of(cls, repository: Repository, generation: Generation) -> Ground:
        """The tip of a generation."""
        tip = tip_of(repository, generation)
        fix = _FIX_GATE
        if tip == generation.first:  # nothing has landed that would be given up
            fix += f"\nOr fix it on {generation.base}, commit that, and begin again: pytest --cobbler-reset"
        return cls(name=generation.name, tree=repository.tree_of(tip), where=generation.name, fix=fix)

    @classmethod
    def new(cls, config: Config, repository: Repository, language: Language, base: Base) -> Ground:
        """The first commit of a generation that would be started now."""
        drafted = draft(config, repository, language, base)
        fix = f"Fix it, and commit that on {base.branch}."
        return cls(name=drafted.name, tree=drafted.tree, where=base.branch, fix=fix, draft=drafted)

    def check(
        self,
        repository: Repository,
        language: Language,
        gate: TreeGate,
        log: Path,
        cancellation: Cancellation,
        say: Callable[[str], object] = lambda _text: None,
    ) -> Tip:
        """Run the gate on the tree, unless its record says that it passes.

        Args:
            log: the file of the gate's output.
            say: prints a line before the gate runs.
        """
        announcement = f"gate: {gate.gate.line}, on {self.where} before any agent starts"
        return check_tip(gate, repository, language, self.tree, log, cancellation, lambda: say(announcement))

    def refuse(self, config: Config, tip: Tip, log: Path | None = None) -> None:
        """Check that the gate does not fail, unless it may.

        Args:
            log: the file of the gate's output, if it stays.

        Raises:
            UsageProblem: the gate fails, and ``red_base`` does not allow that.
        """
        if config.red_base == "allow" or not tip.is_red or tip.result is None:
            return
        ways = [
            self.fix,
            *_FURTHER,
            *(line for sign, line in _OFFLINE if sign.search(tip.result.output)),
            f"Or work on it as it is: red_base: allow in {config.path.name}, or --cobbler-red-base",
        ]
        raise UsageProblem(
            f"the gate fails on {self.where} as it is: {tip.why}",
            "\n".join([*ways, *([f"The whole output: {log}"] if log else [])]),
            "\n".join(tip.evidence),
        )
