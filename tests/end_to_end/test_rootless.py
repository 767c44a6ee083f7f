"""A whole generation as an ordinary user with rootless podman.

If the tests do not run as root, every test covers this.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.attacked import PART
from tests.support.images import busybox_image, minimal_image, python_image
from tests.support.ordinary_user import OrdinaryUser, ordinary_user
from tests.support.podmans import own_podman, rootless_podman
from tests.support.real_agents import EVERY

__all__ = [
    "busybox_image",
    "minimal_image",
    "ordinary_user",
    "own_podman",
    "python_image",
    "rootless_podman",
]

TESTS = (
    "test_claude.py::test_a_generation_with_the_real_claude_lands_its_tasks[python-bd]",
    "test_credential.py::test_the_credential_is_used_and_cannot_be_found[key in the environment]",
    "test_conversation.py::test_a_red_gate_is_the_next_turn_of_the_same_conversation",
)
"""A generation with bd; an agent that looks for the key, and the embedded store; one that goes on."""


@pytest.mark.matrix("costly")
def test_an_ordinary_user_can_generate_keep_the_key_and_own_all_files(ordinary_user: OrdinaryUser) -> None:
    """One run, because it takes a while; the functions below check its files."""
    result = ordinary_user.pytest(*(f"tests/end_to_end/{name}" for name in TESTS))
    assert result.returncode == 0, result.stdout
    assert f" {len(TESTS)} passed in " in result.stdout
    directory = ordinary_user.directory / "tests"
    everything_is_the_users(directory, ordinary_user.account.pw_uid)
    the_user_can_remove_everything(directory, ordinary_user)


DOCTORS = (
    "actions/test_doctor.py::TestWhereAllIsWell::test_every_check_passes_with_podman_bd_claude_and_one_real_turn",
    "repository/test_worktrees.py::TestAGitWithTheObjectsOfItsFilesAlone"
    "::test_an_agent_alone_cannot_read_a_stash_or_the_history[podman]",
    "repository/test_suitability.py::test_a_git_directory_that_cannot_be_written_is_an_error",
    "landing/test_own_programs.py::test_a_command_that_says_python_runs_where_only_python3_is",
    "sites/test_overlays.py::test_changes_become_the_same_tree_without_a_look_at_the_rest[podman]",
    "attacks/test_overlays.py::test_attacks_on_the_layers_of_an_overlay_are_held",
    "attacks/test_overlays.py::test_attacks_on_layers_that_are_writable_get_through",
)


def test_the_doctor_of_an_ordinary_user_proves_the_same(ordinary_user: OrdinaryUser) -> None:
    result = ordinary_user.pytest(*(f"tests/{name}" for name in DOCTORS))
    assert result.returncode == 0, result.stdout
    assert f" {len(DOCTORS)} passed in " in result.stdout


PARTS = 6


@pytest.mark.matrix
@pytest.mark.parametrize("part", range(PARTS))
def test_the_attacks_are_held_for_an_ordinary_user(ordinary_user: OrdinaryUser, part: int) -> None:
    test = "tests/attacks/test_suite.py::test_every_attack_is_held"
    result = ordinary_user.pytest(test, environment={PART: f"{part}/{PARTS}"})
    assert result.returncode == 0, result.stdout
    assert " 1 passed in " in result.stdout


def test_the_gate_of_an_ordinary_user_tests_the_tree_and_compares_it_with_the_tip(
    ordinary_user: OrdinaryUser,
) -> None:
    result = ordinary_user.pytest("tests/end_to_end/test_gate.py")
    assert result.returncode == 0, result.stdout
    assert " 1 passed in " in result.stdout


def everything_is_the_users(directory: Path, uid: int) -> None:
    paths = list(directory.rglob("*"))
    names = {path.name for path in paths}
    assert {".git", ".beads", ".cobbler", "work", "issues.jsonl", "transcript.jsonl"} <= names
    assert {path for path in paths if path.lstat().st_uid != uid} == set()


def the_user_can_remove_everything(directory: Path, user: OrdinaryUser) -> None:
    removed = user.run("rm", "-rf", str(directory))
    assert removed.returncode == 0, removed.stdout
    assert not directory.exists()


@pytest.mark.matrix("costly")
@pytest.mark.parametrize("name", list(EVERY))
def test_every_agent_lands_a_task_of_an_ordinary_user(
    ordinary_user: OrdinaryUser, name: str, record_property: Callable[[str, object], None]
) -> None:
    record_property("agent", name)
    test = f"tests/end_to_end/test_every_agent.py::test_a_task_lands_and_costs_what_the_api_counts[{name}]"
    with ordinary_user.with_program(EVERY[name].program):
        result = ordinary_user.pytest(test)
    assert result.returncode == 0, result.stdout
    assert " 1 passed in " in result.stdout
    record_property("shown", "by an ordinary user")
