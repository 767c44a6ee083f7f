"""A project with a gate, and changes of the files that its gate uses."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

import pytest

from pytest_cobbler.landing.gate_files import GateFiles, find_gate_files
from pytest_cobbler.languages import Step, get
from pytest_cobbler.repository.checks import Policy, check_change
from pytest_cobbler.repository.path_table import built_in_keys
from pytest_cobbler.repository.repository import Repository
from tests.support.repositories import Content, UserRepository, commit_files


class Bench:
    """A project with a gate, and changes of its files."""

    def __init__(self, repository: Repository, base: str) -> None:
        self.repository = repository
        self.base = base

    def refused(
        self,
        files: Mapping[str, Content],
        gate: str | Sequence[str] | Step,
        *,
        language: str = "none",
        sources: Sequence[str] = (),
        changed: Mapping[str, Content] | None = None,
        modes: Mapping[str, str] | None = None,
    ) -> set[str]:
        """The paths that no change may touch, of ``changed``, else of all ``files`` of the project."""
        base = commit_files(self.repository, self.base, files, modes=modes)
        found = self.find(base, gate, language=language, sources=sources)
        policy = Policy(
            protected=(),
            keys=(*built_in_keys(), *found.keys),
            gate=found.patterns,
            run=found.modules,
            places=found.places,
        )
        new = changed or {path: f"{content!r}-changed" for path, content in files.items()}
        tree = self.repository.tree_of(commit_files(self.repository, base, new))
        _, refusals = check_change(self.repository.objects, base, tree, policy)
        return {refusal.path for refusal in refusals}

    def find(
        self,
        tree: str,
        gate: str | Sequence[str] | Step,
        *,
        language: str = "none",
        sources: Sequence[str] = (),
    ) -> GateFiles:
        if not isinstance(gate, Step):
            argv = ("sh", "-c", gate) if isinstance(gate, str) else tuple(gate)
            gate = Step(name="test", argv=argv, shown=shlex.join(argv))
        return find_gate_files(self.repository, [tree], [gate], get(language), sources)


@pytest.fixture(scope="module")
def bench(template: UserRepository, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    user = template.copy(tmp_path_factory.mktemp("gate-files"))
    return Bench(user.open(), user.git("rev-parse", "HEAD"))
