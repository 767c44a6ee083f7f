"""Who may import whom: the contracts in pyproject.toml, and that they can be broken."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

_LINT = """\
import sys
from importlinter.cli import lint_imports
sys.exit(lint_imports(no_cache=True, no_logo=True))
"""
_LOADED = """\
import sys
import pytest_cobbler.plugin
print(*(name for name in sys.modules if name.startswith("pytest_cobbler")))
"""

_FOR_TYPES = "from typing import TYPE_CHECKING\nif TYPE_CHECKING: "


def python(code: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run ``code`` where the package of ``directory`` is found first."""
    return subprocess.run(
        [sys.executable, "-c", code], cwd=directory, capture_output=True, text=True, check=False
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package with its contracts."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "pytest_cobbler", tmp_path / "pytest_cobbler", ignore=ignored)
    return tmp_path


def test_the_package_keeps_its_contracts() -> None:
    linted = python(_LINT, ROOT)
    assert linted.returncode == 0, linted.stdout + linted.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("process", "from pytest_cobbler.sandbox.base import Job", "Rooms"),
        ("sandbox/base", "def late(): import pytest_cobbler.agents.base", "Rooms"),
        ("cycle/stitch", "from pytest_cobbler.session.nodes import StitchItem", "Rooms"),
        ("actions/start", "from pytest_cobbler.session.plugin import register", "Rooms"),
        ("repository/git", "from pytest_cobbler.tracker.base import Task", "Rooms"),
        ("errors", f"{_FOR_TYPES}import pytest_cobbler.config", "Rooms"),
        ("newroom", "", "Rooms"),
        ("session/nodes", "def late(): from pytest_cobbler.api import Task", "Rooms"),
        ("doctor/checks", "from pytest_cobbler.cycle.stitch import Stitching", "Rooms"),
        ("cycle/run", "from pytest_cobbler.doctor.checks import Doctor", "Rooms"),
        ("lifecycle/stopping", "from pytest_cobbler.cycle.run import Run", "Rooms"),
        ("wiring/parts", "from pytest_cobbler.lifecycle.finished import Finished", "Rooms"),
        ("landing/gate", "from pytest_cobbler.wiring.hooks import Hooks", "Rooms"),
        ("recordings/files", "from pytest_cobbler.landing.gate import Gate", "Rooms"),
        ("listeners", "from pytest_cobbler.recordings.files import Head", "Rooms"),
        ("tracker/base", "from pytest_cobbler.landing.gate import Gate", "Rooms"),
        ("agents/base", "from pytest_cobbler.report.journal import Journal", "Rooms"),
        ("languages/base", "from pytest_cobbler.agents.base import Agent", "Rooms"),
        ("report/journal", "from pytest_cobbler.languages import Language", "Rooms"),
        ("config/model", "from pytest_cobbler.sandbox.base import Job", "Rooms"),
        ("hooks", "from pytest_cobbler.actions.start import run", "Rooms"),
        ("invocation", "from pytest_cobbler.testing.steps import prepare", "Rooms"),
        ("hookspecs", "import pytest_cobbler.session.nodes", "Rooms"),
        ("globs", "import pytest_cobbler.errors", "Rooms"),
        ("causes", "from pytest_cobbler.process import Completion", "Rooms"),
        ("usage", "from pytest_cobbler.agents.base import AgentResult", "Rooms"),
        ("files", "import pytest_cobbler.process", "Rooms"),
        ("agents/address", "def late(): import pytest_cobbler.agents.access", "No two files"),
        ("lifecycle/plan", "import pytest", "What a task goes through"),
        ("landing/gate", "def late(): from pytest import fail", "What a task goes through"),
        ("session/nodes", "from _pytest.nodes import Item", "Nobody imports pytest's private modules"),
        ("cycle/attempt", "from pytest_cobbler.sandbox.podman import PodmanSandbox", "Only the parts"),
    ],
)
def test_a_forbidden_import_is_found(copy: Path, module: str, line: str, contract: str) -> None:
    path = copy / "pytest_cobbler" / f"{module}.py"
    with path.open("a") as file:
        file.write(f"\n{line}\n")

    linted = python(_LINT, copy)

    assert linted.returncode == 1, linted.stdout + linted.stderr
    broken = linted.stdout.partition("Broken contracts")[2]
    assert contract in broken, linted.stdout
    assert module.replace("/", ".") in broken or f".{Path(module).name} -> " in broken


def test_every_contract_is_known_to_these_tests() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    assert [contract["id"] for contract in settings["contracts"]] == [
        "layers",
        "circles",
        "pytest",
        "private",
        "seams",
    ]


def test_a_run_that_does_not_use_the_plugin_loads_nothing_else_of_it() -> None:
    loaded = python(_LOADED, ROOT)
    assert set(loaded.stdout.split()) == {"pytest_cobbler", "pytest_cobbler.plugin"}, loaded.stderr
