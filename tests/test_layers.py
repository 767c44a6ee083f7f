"""Which room may import which: the contracts in pyproject.toml, and that they can be broken."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

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


FORBIDDEN = [
    ("process", "from pytest_cobbler.sandbox.base import Job", "Rooms"),
    ("compiled", "import pytest_cobbler.files", "Rooms"),
    ("kept_process", "from pytest_cobbler.sandbox.base import Job", "Rooms"),
    ("sandbox/base", "def late(): import pytest_cobbler.agents.base", "Rooms"),
    ("cycle/stitch", "from pytest_cobbler.session.nodes import StitchItem", "Rooms"),
    ("actions/start", "from pytest_cobbler.session.plugin import register", "Rooms"),
    ("repository/git", "from pytest_cobbler.tracker.base import Task", "Rooms"),
    ("errors", f"{_FOR_TYPES}import pytest_cobbler.config", "Rooms"),
    ("session/nodes", "def late(): from pytest_cobbler.api import Task", "Rooms"),
    ("doctor/checks", "from pytest_cobbler.cycle.stitch import Stitching", "Rooms"),
    ("cycle/run", "from pytest_cobbler.doctor.checks import Doctor", "Rooms"),
    ("lifecycle/stopping", "from pytest_cobbler.cycle.run import Run", "Rooms"),
    ("wiring/parts", "from pytest_cobbler.lifecycle.finished import Finished", "Rooms"),
    ("landing/gate", "from pytest_cobbler.wiring.hooks import Hooks", "Rooms"),
    ("recordings/files", "from pytest_cobbler.landing.gate import Gate", "Rooms"),
    ("sites/local", "from pytest_cobbler.landing.gate import Gate", "Rooms"),
    ("repository/harvest", "from pytest_cobbler.sites.packing import run_job", "Rooms"),
    ("listeners", "from pytest_cobbler.recordings.files import Head", "Rooms"),
    ("story/fold", "from pytest_cobbler.landing.gate import Gate", "Rooms"),
    ("telemetry", "from pytest_cobbler.story.fold import fold", "Rooms"),
    ("tracker/base", "from pytest_cobbler.landing.gate import Gate", "Rooms"),
    ("agents/base", "from pytest_cobbler.report.journal import Journal", "Rooms"),
    ("languages/base", "from pytest_cobbler.agents.base import Agent", "Rooms"),
    ("report/journal", "from pytest_cobbler.languages import Language", "Rooms"),
    ("config/model", "from pytest_cobbler.sandbox.base import Job", "Rooms"),
    ("hooks", "from pytest_cobbler.actions.start import run", "Rooms"),
    ("invocation", "from pytest_cobbler.testing.steps import prepare", "Rooms"),
    ("hookspecs", "import pytest_cobbler.session.nodes", "Rooms"),
    ("globs", "import pytest_cobbler.errors", "Rooms"),
    ("lines", "import pytest_cobbler.errors", "Rooms"),
    ("causes", "from pytest_cobbler.process import Completion", "Rooms"),
    ("usage", "from pytest_cobbler.agents.base import AgentResult", "Rooms"),
    ("files", "import pytest_cobbler.process", "Rooms"),
    ("attacks/attack", "import pytest_cobbler.hooks", "Rooms"),
    ("intake/reading", "import pytest_cobbler.attacks.attack", "Rooms"),
    ("publishing/page", "import pytest_cobbler.cycle.run", "Rooms"),
    ("testing/project", "import pytest_cobbler.session.nodes", "Rooms"),
    ("view/lines", "import pytest_cobbler.cycle.run", "Rooms"),
    ("api", "def late(): import pytest_cobbler.plugin", "Rooms"),
    ("streams", "import pytest_cobbler.process", "Rooms"),
    ("display", "import pytest_cobbler.usage", "Rooms"),
    ("output", "import pytest_cobbler.files", "Rooms"),
    ("secret_forms", "import pytest_cobbler.files", "Rooms"),
    ("versions", "import pytest_cobbler.process", "Rooms"),
    ("agents/address", "def late(): import pytest_cobbler.agents.access", "No two files"),
    ("lifecycle/plan", "import pytest", "What a task goes through"),
    ("landing/gate", "def late(): from pytest import fail", "What a task goes through"),
    ("session/nodes", "import _pytest", "Nobody imports pytest's private modules"),
    ("session/ending", "from pytest_cobbler.story.fold import take", "A run is told once"),
    ("view/news", "def late(): from pytest_cobbler.story.fold import fold", "A run is told once"),
    ("cycle/attempt", "from pytest_cobbler.sandbox.podman import PodmanSandbox", "Only the parts"),
    ("cycle/run", "from pytest_cobbler.sites.local import LocalSite", "Only the parts"),
]
"""Module, a line that it may not have, and the first words of the contract that says so."""


def python(code: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run ``code`` where the package of ``directory`` is found first."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=directory,
        env={**os.environ, "COLUMNS": "300"},
        capture_output=True,
        text=True,
        check=False,
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


def _rooms() -> list[str]:
    """The rooms, from the top to the bottom."""
    return [room for layer in _contracts()[0]["layers"] for room in re.split(r"\W+", layer)]


def _contracts() -> list[dict[str, Any]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    contracts: list[dict[str, Any]] = settings["contracts"]
    return contracts


def test_each_forbidden_import_is_found(copy: Path) -> None:
    for module, line, _ in FORBIDDEN:
        with (copy / "pytest_cobbler" / f"{module}.py").open("a") as file:
            file.write(f"\n{line}\n")

    linted = python(_LINT, copy)

    assert linted.returncode == 1, linted.stdout + linted.stderr
    broken = linted.stdout.partition("Broken contracts")[2]
    sections = re.split(r"^(.+)\n-{9,}$", broken, flags=re.MULTILINE)
    found = dict(zip(sections[1::2], sections[2::2], strict=True))
    for module, line, contract in FORBIDDEN:
        (section,) = [text for title, text in found.items() if title.startswith(contract)]
        imported = line.rpartition(": ")[2].split()[1]
        name = f"pytest_cobbler.{module.replace('/', '.')}"
        short = name.rpartition(".")[2]
        assert re.search(rf"({name}|\.{short}) -> [\w.]*{imported.rpartition('.')[2]}\b", section), (
            f"{module}: {line}\n{section}"
        )


def test_a_room_that_is_in_no_layer_is_found(copy: Path) -> None:
    (copy / "pytest_cobbler" / "newroom.py").write_text("")
    linted = python(_LINT, copy)
    assert linted.returncode == 1
    assert "newroom" in linted.stdout.partition("Broken contracts")[2]


def test_each_room_is_among_the_forbidden_imports() -> None:
    tried = {module.partition("/")[0] for module, _, contract in FORBIDDEN if contract == "Rooms"}
    assert tried == set(_rooms()[1:]), "the top room may import every other one"


def test_every_contract_is_known_to_these_tests() -> None:
    assert [contract["id"] for contract in _contracts()] == [
        "layers",
        "circles",
        "pytest",
        "private",
        "story",
        "seams",
    ]


def test_a_run_that_does_not_use_the_plugin_loads_nothing_else_of_it() -> None:
    loaded = python(_LOADED, ROOT)
    assert set(loaded.stdout.split()) == {"pytest_cobbler", "pytest_cobbler.plugin"}, loaded.stderr
