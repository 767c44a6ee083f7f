"""``--cobbler-stop --cobbler-resolve agent``: an agent merges the base into the generation, as a task."""

from __future__ import annotations

import pytest

from pytest_cobbler.testing.invariants import check
from pytest_cobbler.testing.project import Project
from pytest_cobbler.tracker.base import Task
from tests.support.generations import generation, refs, stop
from tests.support.images import minimal_image
from tests.support.sessions import came_to, seed, statuses, stitch, task
from tests.support.stores import bd_program, bd_project, bd_template

__all__ = ["bd_program", "bd_project", "bd_template", "minimal_image"]

RESOLVES = "grep -q '<<<<<<<' a.txt && echo both >a.txt"


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    """Generation and base have both changed ``a.txt``; the base has changed what is protected, too."""
    project = cobbler_project
    seed(project)
    project.write({"a.txt": "before\n"})
    project.commit("A file")
    project.agent.otherwise().runs(RESOLVES)
    name = generation(project, {"a.txt": "theirs\n", "b.txt": "b\n"})
    seed(project, task("p-1", status="closed", labels=[name]))
    project.write({"a.txt": "mine\n", "conftest.py": "", "c.txt": "c\n"})
    project.commit("Meanwhile")
    result = stop(project, resolve="agent")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    return project


def the_task(project: Project) -> Task:
    [found] = [one for one in project.tasks() if "cobbler-merge" in one.labels]
    return found


def resume(project: Project) -> dict[str, str]:
    return came_to(project.run("--cobbler-resume", stitch(the_task(project).id)))


def test_a_conflict_creates_one_task_for_an_agent(project: Project) -> None:
    made = the_task(project)
    name = str(project.generation)
    assert made.title == f"Merge main into {name}"
    assert made.labels == ("cobbler-merge", name)
    assert "* a.txt" in made.description
    result = stop(project, resolve="agent")
    result.stdout.fnmatch_lines(
        [
            f"not merged: {name} and main conflict in 1 file; nothing was changed",
            f"{made.id} is the task to do so: pytest --cobbler-resume configuration.yaml::stitch::{made.id}",
            "Then: pytest --cobbler-stop",
        ]
    )
    assert the_task(project) == made


def test_the_task_promises_the_version_of_the_base_where_an_agent_can_read_it(project: Project) -> None:
    made = the_task(project)
    assert "git show HEAD^2:FILE prints that of main" in made.description
    project.agent.task(made.title).runs(f"git show HEAD^2:a.txt >b.txt; {RESOLVES}")
    assert list(resume(project).values()) == ["landed"]
    assert project.files(str(project.generation))["b.txt"] == "mine\n"


def test_the_task_promises_nothing_that_an_agent_without_history_cannot_read(project: Project) -> None:
    seed(project, task("p-1", status="closed", labels=[str(project.generation)]))
    project.configure(agent_history="tip")
    stop(project, resolve="agent")
    assert "HEAD^2" not in the_task(project).description
    assert "that of main cannot be read here" in the_task(project).description
    base = refs(project)["refs/heads/main"]
    project.agent.task(the_task(project).title).runs(
        f"! git cat-file -e {base} 2>&1 && git rev-list --count --all HEAD >b.txt; {RESOLVES}"
    )
    assert list(resume(project).values()) == ["landed"]
    assert project.files(str(project.generation))["b.txt"] == "1\n", "the tip without what was before it"


def test_a_resolution_lands_as_a_merge_and_the_next_stop_has_no_conflict(project: Project) -> None:
    name, base = str(project.generation), refs(project)["refs/heads/main"]
    tip = refs(project)[f"refs/heads/{name}"]
    assert resume(project) == {f"stitch::{the_task(project).id}": "landed"}
    assert project.git("rev-parse", f"{name}^@").split() == [tip, base]
    assert project.files(name)["a.txt"] == "both\n"
    assert project.files(name)["c.txt"] == "c\n"
    assert the_task(project).status == "closed"
    assert not [fault for fault in check(project) if "p-1" not in fault and "gate" not in fault]

    result = stop(project)

    assert result.ret == 0, result.errlines
    assert result.outlines[0].startswith(f"Merged {name}, with 2 tasks, into main")
    assert project.files("main")["a.txt"] == "both\n"
    # Not what Python may have compiled beside the project's files.
    assert project.git("status", "--porcelain", "--", ".", ":!*__pycache__*") == ""


def test_remaining_markers_are_refused_and_the_next_attempt_lands_as_a_merge(
    project: Project,
) -> None:
    base = refs(project)["refs/heads/main"]
    project.agent.task(the_task(project).title).runs(
        f'if [ "$COBBLER_ATTEMPT" = 1 ]; then echo more >>a.txt; else {RESOLVES}; fi'
    )
    assert list(resume(project).values()) == ["landed"]
    assert project.git("rev-parse", f"{project.generation}^2").strip() == base
    assert project.files(str(project.generation))["a.txt"] == "both\n"


def test_protected_paths_come_from_the_base_and_not_from_an_agent(project: Project) -> None:
    project.agent.task(the_task(project).title).runs(f"{RESOLVES}; echo x >>conftest.py")
    tip = refs(project)[f"refs/heads/{project.generation}"]
    result = project.run("--cobbler-resume", stitch(the_task(project).id))
    assert list(came_to(result).values()) == ["failed"]
    result.stdout.fnmatch_lines(["*conftest.py*protected*"])
    assert refs(project)[f"refs/heads/{project.generation}"] == tip


def test_a_resolution_that_keeps_nothing_of_the_base_lands_too(cobbler_project: Project) -> None:
    project = cobbler_project
    seed(project)
    project.write({"a.txt": "before\n"})
    project.commit("A file")
    project.agent.otherwise().runs("echo theirs >a.txt")
    generation(project, {"a.txt": "theirs\n"})
    seed(project, task("p-1", status="closed"))
    project.write({"a.txt": "mine\n"})
    base = project.commit("Meanwhile")
    stop(project, resolve="agent")
    assert list(resume(project).values()) == ["landed"]
    assert project.git("rev-parse", f"{project.generation}^2").strip() == base
    assert stop(project).ret == 0
    assert project.files("main")["a.txt"] == "theirs\n"


def test_tasks_that_land_meanwhile_are_merged_with_the_resolution(project: Project) -> None:
    """With what the base has changed of what is protected."""
    other = task("p-other", labels=[project.generation])
    merge = the_task(project)
    again = task(merge.id, title=merge.title, description=merge.description, labels=list(merge.labels))
    seed(project, other, again)
    project.agent.task("p-other").runs("echo other >other.txt")
    show = f"git --git-dir={project.path}/.git show {project.generation}:other.txt"
    wait = f"while ! {show}; do sleep 0.05; done"
    project.agent.task(merge.title).runs(f"{wait} >/dev/null 2>&1; {RESOLVES}")
    result = project.run("--cobbler-resume", "configuration.yaml::stitch")
    assert set(came_to(result).values()) == {"landed"}, result.outlines
    files = project.files(str(project.generation))
    assert (files["a.txt"], files["other.txt"], files["c.txt"]) == ("both\n", "other\n", "c\n")
    assert len(project.git("rev-parse", f"{project.generation}^@").split()) == 2


def test_a_reset_closes_the_task_of_a_resolution(project: Project) -> None:
    assert project.run("--cobbler-reset").ret == 0
    assert the_task(project).status == "closed"


def test_a_reset_does_not_reopen_the_task_of_a_landed_resolution(project: Project) -> None:
    resume(project)
    result = project.run("--cobbler-reset")
    assert (result.ret, result.outlines[1:]) == (0, ["Open again: p-1 p-1"])
    assert statuses(project) == {"p-1": "open", the_task(project).id: "closed"}


def test_a_stop_that_needs_no_resolution_closes_its_task(project: Project) -> None:
    project.write({"a.txt": "theirs\n"})
    project.commit("As the generation has it")
    assert stop(project).ret == 0
    assert the_task(project).status == "closed"


@pytest.mark.matrix("costly")
def test_an_agent_resolves_a_conflict_with_bd_and_podman(bd_project: Project, minimal_image: str) -> None:
    project, agent = bd_project, bd_project.agent
    project.write({"a.txt": "before\n"})
    project.commit("A file")
    agent.measure().writes_tasks([{"title": "One"}])
    agent.task("One").runs("echo theirs >a.txt")
    agent.otherwise().runs(RESOLVES)
    project.configure(sandbox="podman", podman_image=minimal_image, podman_args=agent.podman_arguments)
    assert project.run("--cobbler-generate").ret == 0
    project.write({"a.txt": "mine\n"})
    project.commit("Meanwhile")

    assert project.run("--cobbler-stop", "--cobbler-resolve=agent").ret == pytest.ExitCode.TESTS_FAILED
    assert "landed" in came_to(project.run("--cobbler-resume", "--cobbler-cycles=0")).values()
    result = project.run("--cobbler-stop")

    assert result.ret == 0, result.errlines
    assert project.files("main")["a.txt"] == "both\n"
    assert (project.path / "a.txt").read_text() == "both\n"
    assert set(statuses(project).values()) == {"closed"}
