from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from pytest_cobbler.testing.project import Project, start_afresh
from tests.support import markers, parts
from tests.support.forking import fork_server
from tests.support.toolchain import python_without_plugins


def pytest_configure() -> None:
    markers.settle_seed()


def pytest_report_header() -> str:
    return f"cases of matrices: {markers.SEED}={markers.seed()}"


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Function]) -> None:
    markers.mark(items)
    whole = [Path(argument).name for argument in config.args] == config.getini("testpaths")
    if whole:
        config.stash[markers.COLLECTED] = {
            item.nodeid: {mark.name for mark in item.iter_markers()} for item in items
        }
    if any("::" in argument for argument in config.args):
        return  # a test that is named runs
    left_out = set(markers.left_out(items, markers.seed(), whole=whole))
    if left_out:
        config.hook.pytest_deselected(items=[item for item in items if item in left_out])
        items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    parts.marked = {mark.name for mark in item.iter_markers()}


@pytest.fixture
def points(request: pytest.FixtureRequest) -> Callable[[int], Iterable[int]]:
    """Where a long matrix is tried: all numbers from 1, or a sample of the first so many."""
    return lambda least: markers.points(request.node.nodeid, least)


@pytest.fixture
def some(request: pytest.FixtureRequest) -> Callable[[Sequence[str]], Sequence[str]]:
    """The names at which a long matrix is tried: all, or a sample of them."""
    return lambda names: markers.some(request.node.nodeid, names)


@pytest.fixture
def every_case() -> bool:
    """Whether long matrices are tried as a whole."""
    return markers.seed() == "all"


@pytest.fixture(scope="session", autouse=True)
def forks() -> Iterator[None]:
    """Let every project start pytest by a fork, which takes a tenth of the time."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):  # a run would write to the page of our own job
            patch.delenv(name, raising=False)
        with fork_server() as server:
            patch.setattr(Project, "starter", server.start)
            yield


@pytest.fixture(scope="session", autouse=True)
def quick_bd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let every run start bd by a script that makes it quicker."""
    program = shutil.which("bd")
    with pytest.MonkeyPatch.context() as patch:
        if program:
            script = parts.in_less_time(Path(program).resolve(), tmp_path_factory.mktemp("programs"))
            patch.setenv("PATH", str(script.parent), prepend=os.pathsep)
        yield


@pytest.fixture(scope="session", autouse=True)
def quick_gates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let gates on the host find a Python whose pytest loads no plugins."""
    with pytest.MonkeyPatch.context() as patch:
        program = python_without_plugins(tmp_path_factory.mktemp("python"))
        patch.setenv("PATH", str(program.parent), prepend=os.pathsep)
        yield


@pytest.fixture
def fresh_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the test's projects start pytest as a user does."""
    monkeypatch.setattr(Project, "starter", staticmethod(start_afresh))


@pytest.fixture(scope="session")
def claude_program() -> Path:
    return parts.need("claude")


@pytest.fixture
def cobbler_project(cobbler_project: Project) -> Project:
    """Without Hypothesis, which takes a good part of a short run to load."""
    cobbler_project.options += ["-p", "no:hypothesispytest"]
    return cobbler_project
