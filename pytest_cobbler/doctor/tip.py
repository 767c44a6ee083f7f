"""The check of ``--cobbler-doctor`` that runs the gate as a run does before its first agent."""

from __future__ import annotations

from pathlib import Path

from pytest_cobbler.config import Config
from pytest_cobbler.display import named
from pytest_cobbler.doctor.examination import Seen
from pytest_cobbler.landing.caches import with_caches
from pytest_cobbler.landing.gate import Gate
from pytest_cobbler.landing.tree_gate import GateCheckouts, TreeGate
from pytest_cobbler.landing.tree_records import TreeRecords
from pytest_cobbler.languages import Language
from pytest_cobbler.lifecycle.ground import Ground
from pytest_cobbler.lifecycle.starting import find_base
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.generations import find_generation
from pytest_cobbler.repository.names import branch_ref
from pytest_cobbler.repository.repository import Repository

__all__ = ["gate_on_tip"]


def gate_on_tip(
    config: Config, scratch: Path, language: Language, gate: Gate, cancellation: Cancellation
) -> Seen | str:
    """Run the gate on the tree that the next agents start from, unless it is known to pass.

    Args:
        scratch: a directory for everything that is written.

    Raises:
        UsageProblem: the gate fails, and ``red_base`` does not allow that.
    """
    if not gate.steps:
        return Seen(detail="there is no gate to run", status="off")
    repository = Repository(config.root, scratch)
    repository.make_work_dir()
    generation = find_generation(repository, config.gen_prefix, config.generation_branch)
    if generation:
        ground = Ground.of(repository, generation)
    else:
        ground = Ground.new(config, repository, language, find_base(config, repository))
    project = Repository(config.root, config.work_dir)
    if generation:
        base = project.read_ref(branch_ref(generation.base)) or generation.start
    else:
        base = find_base(config, project).commit
    with with_caches(gate, config, project, base, cancellation) as cached:
        return _gate_on(
            ground, config, repository, TreeRecords.of(project.work_dir), language, cached, cancellation
        )


def _gate_on(
    ground: Ground,
    config: Config,
    repository: Repository,
    real: TreeRecords,
    language: Language,
    gate: Gate,
    cancellation: Cancellation,
) -> Seen | str:
    """Run the gate on ``ground``, unless ``real``, the project's records, say that it passes."""
    checkouts = GateCheckouts(repository, ground.name, gate.sandbox)
    if record := TreeGate(gate=gate, places=checkouts, records=real).passed(ground.tree):
        return f"the gate passed on {ground.where}, as it is: {record.summary}"
    records = TreeRecords.of(repository.work_dir)
    tree_gate = TreeGate(gate=gate, places=checkouts, records=records)
    tip = ground.check(repository, language, tree_gate, repository.work_dir / "gate-tip.log", cancellation)
    ground.refuse(config, tip)
    if tip.red:
        detail = f"the gate fails on {ground.where} as it is (red_base: allow): {named(tip.red.lines)}"
        return Seen(detail=detail, status="warning", remedy=ground.fix)
    if tip.record is None:
        return Seen(detail="agents start without sources: there is nothing to test yet", status="off")
    return f"the gate passes on {ground.where}: {tip.record.summary}"
