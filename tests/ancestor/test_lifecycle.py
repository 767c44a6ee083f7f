"""The use case "lifecycle": generations start, are listed, chosen, and end."""

from __future__ import annotations

import re
from datetime import date

import pytest

from pytest_cobbler.testing.invariants import CheckoutState, check
from pytest_cobbler.testing.project import Project
from tests.support.generations import NAME, refs
from tests.support.sessions import seed, task


def started(project: Project) -> str:
    result = project.run("--cobbler-start")
    assert result.ret == 0
    return str(result.outlines[0].split()[1])


def test_a_start_makes_a_branch_and_a_tag_of_its_name(project: Project) -> None:
    base = project.git("rev-parse", "main").strip()
    name = started(project)
    assert re.fullmatch(NAME, name)
    assert refs(project)[f"refs/tags/{name}-start"] == base
    assert project.git("log", "--format=%s", f"main..{name}") == f"Start generation: {name}\n"


def test_uncommitted_changes_are_named_and_left_out(project: Project) -> None:
    """The ancestor's later versions refused to start; here nothing is checked out that they could spoil."""
    project.write({"README.md": "changed\n"})
    before = CheckoutState.of(project)
    result = project.run("--cobbler-start")
    assert result.outlines[1] == "Not committed, so agents do not see it: README.md"
    assert project.files()["README.md"] == "# A project\n"
    assert check(project, before=before) == []


def test_a_start_from_another_branch_remembers_it_as_the_base(project: Project) -> None:
    project.git("switch", "--quiet", "--create", "feature")
    tip = project.commit("On the feature")
    name = started(project)
    assert project.git("rev-parse", f"{name}-start").strip() == tip
    assert "Cobbler-Base: feature" in project.git("log", "-1", "--format=%B", name)
    assert project.git("symbolic-ref", "HEAD") == "refs/heads/feature\n"


def test_the_list_without_a_generation_is_empty(project: Project) -> None:
    assert project.run("--cobbler-list").outlines == ["No generations found."]


def test_generations_have_different_names_and_are_listed_with_how_they_ended(
    project: Project,
) -> None:
    names = []
    for _ in range(2):
        names.append(started(project))
        assert project.run("--cobbler-reset").ret == 0
    names.append(started(project))
    assert len(set(names)) == 3
    listed = [line.split()[:3] for line in project.run("--cobbler-list").outlines]
    assert listed == [[names[0], "abandoned", "0"], [names[1], "abandoned", "0"], ["*", names[2], "active"]]


def test_a_stop_merges_and_tags(project: Project) -> None:
    seed(project, task("p-a"))
    project.run("--cobbler-generate", "--cobbler-cycles=0")
    name = str(project.generation)
    tip = project.git("rev-parse", name).strip()
    before = date.today()
    assert project.run("--cobbler-stop").ret == 0
    found, merge = refs(project), project.git("rev-parse", "main").strip()
    assert found[f"refs/tags/{name}-finished"] == tip
    assert found[f"refs/tags/{name}-merged"] == merge
    days = (before, date.today())  # midnight may have passed
    assert any({f"refs/tags/v{day}-code", f"refs/tags/v{day}-requirements"} <= found.keys() for day in days)
    assert f"refs/heads/{name}" not in found
    assert (project.path / "p-a.txt").read_text() == "1\n"
    assert project.run("--cobbler-list").outlines[0].split()[:2] == [name, "merged"]


def test_without_a_generation_a_stop_has_nothing_to_do(project: Project) -> None:
    before = CheckoutState.of(project)
    result = project.run("--cobbler-stop")
    assert (result.ret, result.outlines[1:]) == (0, ["No generation is active."])
    assert check(project, before=before) == []


def test_a_stop_merges_into_the_branch_that_the_generation_started_from(project: Project) -> None:
    main = project.git("rev-parse", "main")
    project.git("switch", "--quiet", "--create", "feature")
    seed(project, task("p-a"))
    project.run("--cobbler-generate", "--cobbler-cycles=0")
    assert project.run("--cobbler-stop").ret == 0
    assert project.git("rev-parse", "main") == main
    assert project.files("feature")["p-a.txt"] == "1\n"
    assert project.git("symbolic-ref", "HEAD") == "refs/heads/feature\n"


def test_a_stop_keeps_the_files_of_earlier_generations(project: Project) -> None:
    for number in (1, 2):
        seed(project, task(f"p-{number}"))
        project.run("--cobbler-generate", "--cobbler-cycles=0")
        assert project.run("--cobbler-stop").ret == 0
    assert {"p-1.txt", "p-2.txt"} <= project.files("main").keys()


def test_a_switch_chooses_a_generation_and_moves_no_checkout(project: Project) -> None:
    """The ancestor saved the checkout in a commit and checked the generation out."""
    first, second = started(project), started(project)
    project.write({"README.md": "changed\n"})
    before = CheckoutState.of(project)
    for name in (first, second):
        assert project.run(f"--cobbler-switch={name}").ret == 0
        assert project.generation == name
    assert check(project, before=before) == []


def test_actions_are_refused_in_a_checkout_of_a_generation(project: Project) -> None:
    """The ancestor was called there; here it would import what an agent wrote."""
    name = started(project)
    project.git("switch", "--quiet", name)
    for action in ("generate", "reset"):
        result = project.run(f"--cobbler-{action}")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([f"ERROR: {name} is checked out*", "*git switch main*"])


def test_a_reset_leaves_the_base_and_no_generation(project: Project) -> None:
    main = project.git("rev-parse", "main").strip()
    names = [started(project), started(project)]
    assert project.run("--cobbler-reset").ret == 0
    branches = {ref: commit for ref, commit in refs(project).items() if ref.startswith("refs/heads/")}
    assert branches == {"refs/heads/main": main}
    assert {f"refs/tags/{name}-{kind}" for name in names for kind in ("start", "abandoned")} <= refs(
        project
    ).keys()
