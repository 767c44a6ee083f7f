"""Where gates run: on this machine, or on the nodes of ``gate_site``."""

from __future__ import annotations

from pytest_cobbler.config import Config
from pytest_cobbler.landing.tree_gate import GateCheckouts
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sandbox.base import Sandbox
from pytest_cobbler.sandbox.gate_places import GatePlaces
from pytest_cobbler.sites.gate_nodes import GateNodes, Reaches
from pytest_cobbler.wiring.parts import make_site

__all__ = ["check_gate_nodes", "make_gate_places"]


def make_gate_places(
    config: Config, repository: Repository, generation: str, sandbox: Sandbox, run_id: str
) -> GatePlaces:
    """The places of the gates of a run, as many as may run beside each other."""
    if not config.gate_site:
        return GateCheckouts(repository, generation, sandbox, config.gate_jobs)
    return _gate_nodes(config, repository, generation, sandbox, run_id)


def check_gate_nodes(config: Config, repository: Repository, sandbox: Sandbox, run_id: str) -> str:
    """Try each node of ``gate_site``. Returns a line for people, empty if there is none.

    Raises:
        SandboxError: with the cause and the remedy.
    """
    if not config.gate_site:
        return ""
    _gate_nodes(config, repository, "check", sandbox, run_id).check()
    return f"gates run on {', '.join(config.gate_site)}"


def _gate_nodes(
    config: Config, repository: Repository, generation: str, sandbox: Sandbox, run_id: str
) -> GateNodes:
    site = make_site(repository, generation, sandbox, config, run_id)
    assert isinstance(site, Reaches)
    return GateNodes(repository, site, config.gate_site, config.gate_jobs)
