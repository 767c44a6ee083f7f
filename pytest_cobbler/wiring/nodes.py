"""Nodes for a repository that is not the user's, such as that of the attacks."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from pytest_cobbler.config import Config
from pytest_cobbler.repository.objects import default_work_dir
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sandbox.base import Sandbox
from pytest_cobbler.sandbox.site import Site
from pytest_cobbler.sites.cleaning import Nodes, clean_node
from pytest_cobbler.sites.used import UsedNodes
from pytest_cobbler.wiring.parts import make_site

__all__ = ["attacked_nodes"]


def attacked_nodes(
    config: Config, sandbox: Sandbox
) -> Callable[[Repository], AbstractContextManager[Site]] | None:
    """The nodes of a repository, for a block; ``None`` if agents work on this machine.

    After the block, they keep nothing of the repository.
    """
    if config.sandbox != "slurm":
        return None

    @contextlib.contextmanager
    def made(repository: Repository) -> Iterator[Site]:
        directory = (config.work_dir or default_work_dir()) / "nodes"
        run_id = secrets.token_hex(4)
        site = make_site(repository, "doctor", sandbox, config, run_id, directory=directory)
        try:
            yield site
        finally:
            assert isinstance(site, Nodes)
            for node in UsedNodes(repository).all().get(config.sandbox, []):
                clean_node(site, node, everything=True)

    return made
