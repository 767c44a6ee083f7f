"""The default gate of Python and its judge on podman, on a project of src layout whose tests are doctests."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.invariants import check
from pytest_cobbler.testing.project import Project
from tests.support.images import python_image
from tests.support.podmans import open_to_others
from tests.support.sessions import by_title, seed, task

__all__ = ["python_image"]

SETTINGS = """\
[project]
name = "calc"
version = "1"

[tool.pytest.ini_options]
addopts = "--doctest-modules"
"""
CORE = '''\
def total(*numbers):
    """
    >>> total(1, 2)
    3
    """
    return sum(numbers)
'''
FURTHER = '''

def double(number):
    """
    >>> double(2)
    4
    """
    return 2 * number
'''
TEST = "from calc.core import total\n\n\ndef test_total():\n    assert total(1, 2, 3) == 6\n"
IN_IMAGE = "/opt/installed"
"""A copy of the project in the image, which has all that the project ever has."""


@pytest.fixture
def project(
    cobbler_project: Project, cobbler_agent: StandInAgent, python_image: str, tmp_path: Path
) -> Project:
    copy = tmp_path / "installed" / "calc"
    copy.mkdir(parents=True)
    for name in ("__init__.py", "core.py", "sums.py"):
        (copy / name).write_text(CORE + FURTHER if name != "__init__.py" else "")
    open_to_others(tmp_path)
    cobbler_project.write({"pyproject.toml": SETTINGS, "src/calc/__init__.py": "", "src/calc/core.py": CORE})
    cobbler_project.configure(
        language="python",
        sandbox="podman",
        podman_image=python_image,
        podman_args=[
            *cobbler_agent.podman_arguments,
            *("-v", f"{copy.parent}:{IN_IMAGE}:ro", "-e", f"PYTHONPATH={IN_IMAGE}"),
        ],
        build_command=None,
        test_command=None,
        max_attempts=1,
        cycles=0,
        jobs=1,
    )
    cobbler_project.commit("A project without any file of tests")
    return cobbler_project


@pytest.mark.matrix("costly")
def test_good_work_lands_and_faults_do_not_though_the_image_has_a_good_copy(
    project: Project, cobbler_agent: StandInAgent
) -> None:
    core, renamed = "src/calc/core.py", "src/calc/sums.py"
    agent = cobbler_agent
    agent.task("Add a doctest").appends(core, FURTHER)
    agent.task("Break a doctest").runs("sed -i 's/sum(numbers)/max(numbers)/' src/calc/[cs]*.py")
    agent.task("Add a test").writes("tests/test_core.py", TEST)
    agent.task("Rename a module").runs(
        f"git mv {core} {renamed} && git mv tests/test_core.py tests/test_sums.py"
        " && sed -i s/calc.core/calc.sums/ tests/test_sums.py"
    )
    agent.task("Remove a module").deletes(renamed)
    agent.task("Add a dependency").edits("pyproject.toml", "[tool", "dependencies = []\n\n[tool")
    seed(
        project,
        task("p-1", title="Add a doctest"),
        task("p-2", "p-1", title="Add a test"),
        task("p-3", "p-2", title="Rename a module"),
        task("p-4", "p-3", title="Break a doctest"),
        task("p-5", "p-3", title="Remove a module"),
        task("p-6", "p-3", title="Add a dependency"),
    )

    result = project.run("--cobbler-generate", "-rf", timeout=240)

    assert check(project, result) == []
    assert {title: case.properties["cobbler_outcome"] for title, case in by_title(result).items()} == {
        "Add a doctest": "landed",
        "Break a doctest": "failed",
        "Add a test": "landed",
        "Rename a module": "landed",
        "Remove a module": "failed",
        "Add a dependency": "landed",
    }, result.outlines
    tests = {commit.title: commit.trailers["Cobbler-Tests"] for commit in project.landed()}
    assert tests == {
        "Add a doctest": "2 passed",
        "Add a test": "3 passed",
        "Rename a module": "3 passed",
        "Add a dependency": "3 passed",
    }
    assert "tests changed" not in project.git("log", "--format=%B", project.generation or "")
    verified = project.run("--cobbler-verify", project.landed()[-1].commit)
    verified.stdout.fnmatch_lines(["* Add a dependency: verified: 3 passed, not signed"])
    shown = "\n".join(result.outlines)
    assert f"calc.sums is not in the tree: only an installed copy has it ({IN_IMAGE}/calc/sums.py)." in shown
