"""Work that is only in a directory: the next run reads it again, or it is listed with its reason."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.invariants import check
from pytest_cobbler.testing.project import Project
from tests.support.sessions import came_to, seed, task

KEY = "sk-ant-api03-" + "AbC012-456789_xyz" * 5
HOOK = f"""
from pytest_cobbler.agents.command import CommandAgent

class Keeper(CommandAgent):
    secrets = ("{KEY}",)

def pytest_cobbler_agent():
    return Keeper(COMMAND)
"""
AGAIN = (
    "The next run reads the work of unfinished tasks again: first remove what is in its way (a huge file)."
)
DONE = "Remove such a directory when you have what you need of it."


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    cobbler_project.configure(cycles=0, max_attempts=1)
    return cobbler_project


def listed(project: Project) -> list[str]:
    return [
        line
        for line in project.run("--cobbler-list").outlines
        if not line.startswith(f"* {project.generation} ")
    ]


def kept(project: Project, name: str) -> Path:
    [path] = (project.directory / "work").glob(f"*/kept/{project.generation}/{name}")
    return path


def test_work_that_could_not_be_read_goes_on_in_the_next_run_once_that_is_possible(
    project: Project, cobbler_agent: StandInAgent
) -> None:
    seed(project, task("p-a"))
    cobbler_agent.task("p-a").writes("first.txt", "1\n").runs("truncate -s 60M huge.bin")
    cobbler_agent.task("p-a", attempt=2).runs("cat first.txt >second.txt")
    result = project.run("--cobbler-generate")
    assert result.ret == 1
    path = kept(project, "p-a-1.1")
    why = "harvest: larger than 50 MiB: huge.bin"
    where = f"Work that is only in a directory: {path} (attempt 1 at p-a): {why}"
    assert listed(project) == [where, AGAIN, DONE]

    (path / "tree" / "huge.bin").unlink()
    result = project.run("--cobbler-resume")

    ref = f"refs/cobbler/attempts/{project.generation}/p-a/1"
    result.stdout.fnmatch_lines([f"recovered: kept the work on p-a as {ref}"])
    assert came_to(result) == {"stitch::p-a": "landed"}
    assert {"first.txt", "second.txt"} <= set(project.files())
    assert check(project, result) == []
    assert listed(project) == []


def test_work_that_still_cannot_be_read_stays_and_is_in_no_ones_way(
    project: Project, cobbler_agent: StandInAgent
) -> None:
    seed(project, task("p-a"))
    cobbler_agent.task("p-a").runs("truncate -s 60M huge.bin")
    cobbler_agent.task("p-a", attempt=2).writes("second.txt", "2\n")
    project.run("--cobbler-generate")
    path = kept(project, "p-a-1.1")

    result = project.run("--cobbler-resume")

    result.stdout.fnmatch_lines([f"recovered: kept {path}/tree of p-a: harvest: larger than *"])
    assert came_to(result) == {"stitch::p-a": "landed"}
    assert (path / "tree" / "huge.bin").exists()
    # Its task is done: it is only listed from now on.
    project.run("--cobbler-generate").stdout.no_fnmatch_line("recovered: *")
    assert listed(project)[0].startswith(f"Work that is only in a directory: {path} ")


def test_a_task_whose_work_cannot_be_taken_has_not_failed_if_its_agent_was_interrupted(
    project: Project, cobbler_agent: StandInAgent
) -> None:
    (project.path / "conftest.py").write_text(f"COMMAND = {cobbler_agent.command!r}\n{HOOK}")
    seed(project, task("p-large"), task("p-key"))
    works = cobbler_agent.directory / "works"
    works.mkdir()
    cobbler_agent.task("p-large").runs(f"truncate -s 60M huge.bin; touch {works}/1; sleep 60")
    cobbler_agent.task("p-key").writes("key.txt", KEY).runs(f"touch {works}/2; sleep 60")
    running = project.start("--cobbler-generate")
    running.wait_until(lambda: len(list(works.iterdir())) == 2)
    running.send_signal(signal.SIGINT)
    result = running.wait()
    assert came_to(result) == {"stitch::p-large": "cancelled", "stitch::p-key": "cancelled"}
    assert kept(project, "p-large-1.1")
    assert kept(project, "p-key-1.1")


def test_every_way_in_which_work_stays_in_a_directory_is_listed_with_its_reason(
    project: Project, cobbler_agent: StandInAgent
) -> None:
    """Too large, with the key in it, with a git that cannot be read, in ignored files only."""
    project.write({".gitignore": "out/\n"})
    project.commit("Ignore")
    (project.path / "conftest.py").write_text(f"COMMAND = {cobbler_agent.command!r}\n{HOOK}")
    seed(project, *(task(f"p-{name}") for name in ("large", "key", "git", "ignored")))
    cobbler_agent.task("p-large").runs("truncate -s 60M huge.bin")
    cobbler_agent.task("p-key").writes("key.txt", KEY)
    commit = "git -c user.name=a -c user.email=a@example.invalid commit -qm x"
    aside = f"git checkout -qb side; echo {KEY} >key.txt; git add .; {commit}; git checkout -qf work"
    cobbler_agent.task("p-git").runs(f"{aside}; echo 1 >a.txt")
    cobbler_agent.task("p-ignored").writes("out/work.py", "work = 1\n")

    result = project.run("--cobbler-generate")

    lines = listed(project)
    key = "contains the credential"
    expected = {
        "git": f"there may be more work in the agent's own git: *{key}*",
        "ignored": "all of its work is in ignored files",
        "key": f"refused: *{key}*",
        "large": "harvest: larger than 50 MiB: huge.bin",
    }
    patterns = [
        f"Work that is only in a directory: {kept(project, f'p-{name}-1.1')} (attempt 1 at p-{name}): {why}"
        for name, why in expected.items()
    ]
    result.stdout.fnmatch_lines(["To list work that is only in a directory: pytest --cobbler-list"])
    pytest.LineMatcher(lines).fnmatch_lines([*patterns, AGAIN, DONE], consecutive=True)
    assert KEY not in "\n".join(lines)
    found = json.loads("\n".join(project.run("--cobbler-list", "--cobbler-format=json").outlines))
    assert [(one["task"], one["again"]) for one in found["kept_aside"]] == [
        ("p-git", False),
        ("p-ignored", False),
        ("p-key", False),
        ("p-large", True),
    ]
    # The next run reads the large one again, and the others stay as they are.
    again = project.run("--cobbler-resume")
    tree = kept(project, "p-large-1.1") / "tree"
    assert [line for line in again.outlines if line.startswith("recovered: kept ")] == [
        f"recovered: kept {tree} of p-large: {expected['large']}"
    ]
    shutil.rmtree(project.directory / "work")
    assert listed(project) == []
