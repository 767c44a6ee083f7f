"""``--cobbler-clean nodes``: list what nodes have of the repository, or remove it."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from pytest_cobbler.actions.locked import locked
from pytest_cobbler.config import Config
from pytest_cobbler.display import escaped, named
from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sandbox.site import Unreached
from pytest_cobbler.sites.cleaning import NodeFiles, clean_node, engines_of, files_on, forget_node
from pytest_cobbler.sites.used import UsedNodes
from pytest_cobbler.wiring.parts import nodes_of
from pytest_cobbler.wiring.project import open_repository

__all__ = ["NODES", "clean_nodes", "line_of_unreached", "named_nodes"]

NODES = "nodes"


def named_nodes(repository: Repository) -> Iterator[str]:
    """A line for each engine whose nodes have files of the repository."""
    for engine, nodes in UsedNodes(repository).all().items():
        yield f"Files of this repository on nodes of {escaped(engine)}: {named(map(escaped, nodes), 10)}"
        yield "List or remove them: pytest --cobbler-clean nodes, and with --cobbler-force"


def line_of_unreached(one: Unreached) -> str:
    """The line about work of a generation that has ended."""
    return f"NODE: {one}; to remove it: pytest --cobbler-clean {NODES}/{one.node} --cobbler-force"


def clean_nodes(settings: Config, node: str, *, remove: bool) -> int:
    """List the files on nodes, or remove them. Work goes only from a node that is named.

    Args:
        node: its name; empty for all.

    Returns:
        1 if a node does not answer.

    Raises:
        CobblerError: no node of that name has files, or agents of this configuration work on none.
    """
    repository = open_repository(settings)
    others = engines_of(repository, node)
    if others and settings.sandbox not in others:
        return _forget(settings, repository, node, others, remove=remove)
    used = UsedNodes(repository).all().get(settings.sandbox, [])
    nodes = nodes_of(settings, repository)
    if nodes is None or (node and node not in used):
        raise UsageProblem(
            f"--cobbler-clean: no node {escaped(node)} has files of this repository"
            if nodes
            else f"--cobbler-clean: with sandbox: {settings.sandbox} no nodes are reached",
            "List them: pytest --cobbler-clean",
        )
    silent = False
    with locked(settings, repository, "--cobbler-clean"):
        for one in [node] if node else used:
            files = clean_node(nodes, one, everything=bool(node)) if remove else files_on(nodes, one)
            _say(_removed(repository, settings, files, forced=bool(node)) if remove else _line(files))
            silent = silent or bool(files.silence)
    if not remove:
        _say("Remove them: pytest --cobbler-clean nodes --cobbler-force")
    return int(pytest.ExitCode.TESTS_FAILED if silent else pytest.ExitCode.OK)


def _forget(settings: Config, repository: Repository, node: str, engines: list[str], *, remove: bool) -> int:
    """Forget a node of engines that this configuration does not reach; its files stay there."""
    for engine in engines:
        where = f"{escaped(node)} of {escaped(engine)}, which sandbox: {settings.sandbox} does not reach"
        if not remove:
            _say(f"{where}; forget it: pytest --cobbler-clean {NODES}/{escaped(node)} --cobbler-force")
            continue
        with locked(settings, repository, "--cobbler-clean"):
            forgotten = forget_node(repository, engine, node)
        _say(f"forgot {where}{_of(forgotten)}; its files stay there")
    return int(pytest.ExitCode.OK)


def _removed(repository: Repository, settings: Config, files: NodeFiles, *, forced: bool) -> str:
    """What was done, after the coordinator has forgotten what is gone."""
    if (files.works or files.silence) and not forced:
        how = f"pytest --cobbler-clean nodes/{escaped(files.node)} --cobbler-force"
        return f"left {_line(files)}; remove it: {how}"
    forgotten = forget_node(repository, settings.sandbox, files.node)
    if files.silence:
        return f"forgot {_line(files)}{_of(forgotten)}"
    return f"removed {_line(files)}"


def _line(files: NodeFiles) -> str:
    if files.silence:
        return f"{escaped(files.node)}, which does not answer: {escaped(files.silence)}"
    return f"{escaped(files.node)}: {files.megabytes:.1f} MB{_of(files.works)}"


def _of(works: tuple[str, ...] | list[str]) -> str:
    return f", with work: {named(map(escaped, works), 5)}" if works else ""


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
