"""The sample project of the documentation: its own tests use every fixture."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project
from tests.support.documents import examples
from tests.support.images import minimal_image

pytestmark = pytest.mark.slow

__all__ = ["minimal_image"]

EXAMPLE = Path(__file__).parents[2] / "docs" / "example"
TESTS = (EXAMPLE / "tests" / "test_generation.py").read_text("utf-8")
PUBLIC = {"config", "generation", "worktree", "tracker", "runner", "agent", "project"}


@pytest.fixture
def example(tmp_path: Path) -> Iterator[Project]:
    """The sample project, committed."""
    with Project.create(tmp_path / "example", StandInAgent(tmp_path / "agent")) as project:
        shutil.copytree(EXAMPLE, project.path, dirs_exist_ok=True)
        project.write({".gitignore": ".cobbler/\n.beads/\n__pycache__/\n.pytest_cache/\n"})
        project.commit("The sample")
        project.options += ["-p", "no:hypothesispytest", "-p", "no:cacheprovider", "-rs"]
        yield project


def test_the_example_uses_every_fixture() -> None:
    used = {
        name
        for line in re.findall(r"^def test_\w+\((.*)\):", TESTS, re.MULTILINE)
        for name in line.split(", ")
    }
    assert used == {f"cobbler_{name}" for name in PUBLIC}


def test_the_example_passes_before_and_after_a_generation(example: Project, tmp_path: Path) -> None:
    example.write(
        {"configuration.yaml": (EXAMPLE / "configuration.yaml").read_text() + f"work_dir: {tmp_path}/work\n"}
    )
    example.commit("Keep the worktrees here")
    before = example.git("worktree", "list")

    result = example.run()
    result.assert_outcomes(passed=5, skipped=3)
    result.stdout.fnmatch_lines(["SKIPPED * no generation is active; start one: pytest --cobbler-start"])

    example.run("--cobbler-generate").assert_outcomes(passed=2)
    example.run().assert_outcomes(passed=8)
    assert example.git("worktree", "list") == before
    assert example.git("status", "--porcelain") == ""
    assert list((tmp_path / "work").glob("*/checkouts/*")) == []


def test_the_example_passes_in_containers(example: Project, tmp_path: Path, minimal_image: str) -> None:
    text = (
        (EXAMPLE / "configuration.yaml")
        .read_text()
        .replace("sandbox: none", f"podman_image: {minimal_image}")
    )
    example.write({"configuration.yaml": f"{text}work_dir: {tmp_path}/work\n"})
    example.commit("Contain it")
    example.run("--cobbler-generate").assert_outcomes(passed=2)
    example.run().assert_outcomes(passed=8)


def test_the_examples_of_the_fixtures_pass(example: Project, tmp_path: Path) -> None:
    blocks = [block for block in examples("fixtures.md", "python") if not block.startswith("# conftest.py")]
    text = (EXAMPLE / "configuration.yaml").read_text()
    example.write({"configuration.yaml": f"{text}work_dir: {tmp_path}/work\n"})
    example.write({f"tests/test_example_{number}.py": block for number, block in enumerate(blocks)})
    (example.path / "tests" / "test_generation.py").unlink()
    example.commit("The examples")
    example.run("--cobbler-generate").assert_outcomes(passed=2)
    example.run().assert_outcomes(passed=len(blocks))
    asked = {name for block in blocks for name in re.findall(r"cobbler_\w+", block)}
    assert asked >= {f"cobbler_{name}" for name in PUBLIC}


OVERRIDDEN = """
def test_it(cobbler_config, cobbler_runner, cobbler_worktree, cobbler_runner_gate):
    checkout = cobbler_worktree("main")
    assert cobbler_runner.agent(checkout, "Greet.").files == {"greeting.txt": "hello, world\\n"}
    assert cobbler_config.task_timeout == cobbler_runner_gate.timeout == 60
    assert checkout.path.joinpath("README.md").exists()
"""


def test_every_step_can_be_overridden(example: Project, tmp_path: Path) -> None:
    [conftest] = [block for block in examples("fixtures.md", "python") if block.startswith("# conftest.py")]
    plugin = (EXAMPLE.parents[1] / "pytest_cobbler" / "plugin.py").read_text("utf-8")
    steps = set(re.findall(r"^def (cobbler_\w+)\(", plugin, re.MULTILINE)) - {f"cobbler_{n}" for n in PUBLIC}
    assert set(re.findall(r"^def (\w+)", conftest, re.MULTILINE)) == steps | {"cobbler_config"}
    service = example.path / "service"  # a repository of its own below pytest's root directory
    shutil.copytree(example.path, service)
    text = (EXAMPLE / "configuration.yaml").read_text()
    (service / "configuration.yaml").write_text(f"{text}work_dir: {tmp_path}/work\n")
    (example.path / "configuration.yaml").write_text("nothing of use")
    example.write({"tests/conftest.py": conftest, "tests/test_generation.py": OVERRIDDEN})
    example.run().assert_outcomes(passed=1)
