"""``--cobbler-import``: the tasks of a file are shown, and created once."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from pytest_cobbler.testing.project import Project, RunResult
from pytest_cobbler.tracker.base import SOURCE
from tests.support.sessions import WRITES_A_FILE, came_to, seed, stitch, task

SPEC = """\
## Phase 1: Setup
- [x] T001 Begin
- [ ] T002 Write one
- [ ] T003 [US1] Write two
"""


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    return cobbler_project


def force(project: Project, name: str) -> RunResult:
    result = project.run("--cobbler-import", name, "--cobbler-force")
    assert result.ret == 0
    return result


def needs(project: Project) -> dict[str, list[str]]:
    titles = {task.id: task.title for task in project.tasks()}
    return {task.title: [titles[need] for need in task.needs] for task in project.tasks()}


def test_tasks_are_shown_before_they_are_created_and_are_created_once(project: Project) -> None:
    project.write({"specs/tasks.md": SPEC})
    result = project.run("--cobbler-import", "specs/tasks.md")
    assert (result.ret, result.outlines) == (
        0,
        [
            "specs/tasks.md: 2 new tasks",
            "  T002 Write one",
            "  T003 Write two [US1]; needs T002",
            "not imported, because it is done: T001 Begin (line 2)",
            "Create them: pytest --cobbler-import specs/tasks.md --cobbler-force",
        ],
    )
    assert project.tasks() == []

    result = force(project, "specs/tasks.md")
    one, two = project.task("T002 Write one"), project.task("T003 Write two")
    assert result.outlines == [
        "specs/tasks.md: 2 new tasks",
        f"created {one.id}: T002 Write one",
        f"created {two.id}: T003 Write two",
        "not imported, because it is done: T001 Begin (line 2)",
        "Do them: pytest --cobbler-generate --cobbler-cycles 0",
    ]
    assert (two.needs, two.labels) == ((one.id,), ("US1",))
    assert one.metadata[SOURCE] == "specs/tasks.md#T002"

    result = force(project, "specs/tasks.md")
    assert result.outlines == [
        "specs/tasks.md: nothing new to import",
        "not imported, because it is done: T001 Begin (line 2)",
        f"imported already as {one.id} (open): T002 Write one",
        f"imported already as {two.id} (open): T003 Write two",
    ]
    assert len(project.tasks()) == 2


def test_only_what_is_new_in_a_file_is_imported_and_waits_for_what_was(project: Project) -> None:
    project.write({"tasks.md": SPEC})
    force(project, "tasks.md")
    project.write({"tasks.md": SPEC.replace("Write one", "Write uno") + "- [ ] T004 Write three\n"})
    lines = force(project, "./tasks.md").outlines
    renamed = project.task("T002 Write one").id
    assert lines[0] == "tasks.md: 1 new task"
    assert f'imported already as {renamed} (open), with the title "T002 Write one": T002 Write uno' in lines
    assert needs(project) == {
        "T002 Write one": [],
        "T003 Write two": ["T002 Write one"],
        "T004 Write three": ["T003 Write two"],
    }


def test_standard_input_is_imported_once_too(project: Project) -> None:
    command = [sys.executable, "-m", "pytest", "--cobbler-import", "-"]
    text = json.dumps(
        [
            {"index": 0, "title": "One", "description": "d"},
            {"index": 1, "title": "Two", "description": "d", "dependencies": [0]},
        ]
    )
    printed = [
        subprocess.run(
            [*command, *more], cwd=project.path, input=text, text=True, capture_output=True, check=True
        ).stdout.splitlines()
        for more in ([], ["--cobbler-force"], [])
    ]
    assert printed[0] == [
        "standard input: 2 new tasks",
        "  0. One",
        "  1. Two; needs 0",
        "Create them: pipe the same text into pytest --cobbler-import - --cobbler-force",
    ]
    assert printed[2][0] == "standard input: nothing new to import"
    assert needs(project) == {"One": [], "Two": ["One"]}


def test_imported_tasks_are_done_by_the_next_run_in_their_order(project: Project) -> None:
    project.configure(cycles=0, task_label="mine")
    project.run("--cobbler-start")
    project.write({"tasks.md": SPEC})
    project.commit("Add tasks")
    force(project, "tasks.md")
    tasks = project.tasks()
    assert {task.labels for task in tasks} == {
        (project.generation, "mine"),
        ("US1", project.generation, "mine"),
    }
    project.agent.otherwise().runs(WRITES_A_FILE)
    result = project.run("--cobbler-resume")
    assert came_to(result) == {f"stitch::{task.id}": "landed" for task in tasks}
    assert [commit.title for commit in project.landed()] == ["T002 Write one", "T003 Write two"]
    assert list(result.junit) == [
        stitch(project.task(name).id) for name in ("T002 Write one", "T003 Write two")
    ]


def test_a_file_with_an_error_changes_nothing(project: Project) -> None:
    seed(project, task("p-1", title="write ONE"))
    project.write({"tasks.md": "- [ ] Write two\n- [ ] Write one!\n"})
    (project.path / "directory").mkdir()
    before = project.tasks()
    result = project.run("--cobbler-import", "tasks.md", "--cobbler-force")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.errlines[:3] == [
        "ERROR: --cobbler-import: tasks.md has 1 error; nothing was imported",
        "Correct the file, and run the same command again.",
        '  line 2: Task 2 ("Write one!") exists already: p-1 ("write ONE", open). '
        "Leave it out, or say in the title what is new.",
    ]
    result = project.run("--cobbler-import")
    assert result.errlines[:2] == [
        "ERROR: --cobbler-import: which file?",
        "Give its path, or - for standard input.",
    ]
    for name, reason in (("missing.md", "No such file or directory"), ("directory", "Is a directory")):
        result = project.run("--cobbler-import", name)
        result.stderr.fnmatch_lines([f"ERROR: --cobbler-import: cannot read *{name}: {reason}"])
    assert project.tasks() == before
