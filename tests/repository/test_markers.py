"""Markers of our own merges are found again in the files they were left in."""

from __future__ import annotations

import pytest

from pytest_cobbler.repository.landing import merge
from pytest_cobbler.repository.markers import marked_files
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.testing.project import Project

ID = "0123456789abcdef0123456789abcdef01234567"


def commit(project: Project, files: dict[str, str | bytes]) -> str:
    project.write(files)
    return project.commit("Change")


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_markers_of_a_merge_with_conflicts_are_found(cobbler_project: Project, newline: str) -> None:
    lines = [f"{number}{newline}" for number in range(20)]
    base = commit(cobbler_project, {"a ü.txt": "".join(lines), "moved.txt": "".join(lines), "clean.txt": ""})
    ours = commit(
        cobbler_project, {"a ü.txt": "".join([f"ours{newline}", *lines[1:]]), "clean.txt": "ours\n"}
    )
    cobbler_project.git("mv", "moved.txt", "elsewhere.txt")
    ours = commit(cobbler_project, {"elsewhere.txt": "".join([*lines[:-1], f"ours{newline}"])})
    cobbler_project.git("checkout", "-q", "-b", "theirs", base)
    theirs = commit(
        cobbler_project,
        {
            "a ü.txt": "".join([f"theirs{newline}", *lines[1:]]),
            "moved.txt": "".join([*lines[:-1], f"theirs{newline}"]),
        },
    )
    repository = Repository(cobbler_project.path)
    work = repository.commit(repository.tree_of(theirs), [base], "Work\n", repository.identity())
    merged = merge(repository, ours, work)
    assert merged.conflicts == ("a ü.txt", "elsewhere.txt")
    assert marked_files(repository.objects, ours, merged.tree) == ("a ü.txt", "elsewhere.txt")


@pytest.mark.parametrize(
    "content",
    [
        "<<<<<<< HEAD\n=======\n>>>>>>> branch\n",
        f"text <<<<<<< {ID}\n",
        f"<<<<<<<< {ID}\n",
        f"<<<<<<< {ID[1:]}\n",
        "heading\n=======\n",
    ],
)
def test_other_rows_of_signs_are_not_markers(cobbler_project: Project, content: str) -> None:
    before = commit(cobbler_project, {"file": ""})
    after = commit(cobbler_project, {"file": content})
    assert marked_files(Repository(cobbler_project.path).objects, before, after) == ()


def test_only_changed_and_existing_files_are_searched_for_markers(cobbler_project: Project) -> None:
    marked = f"<<<<<<< {ID}\n"
    before = commit(cobbler_project, {"old": marked, "gone": marked, ":(top)new*": ""})
    (cobbler_project.path / "gone").unlink()
    after = commit(
        cobbler_project, {":(top)new*": marked, "new": "clean\n", "binary": b"\0\n" + marked.encode()}
    )
    objects = Repository(cobbler_project.path).objects
    assert marked_files(objects, before, after) == (":(top)new*", "binary")
    assert marked_files(objects, after, after) == ()


def test_more_files_than_fit_on_a_command_line_are_searched_for_markers(cobbler_project: Project) -> None:
    before = commit(cobbler_project, {"old": f"<<<<<<< {ID}\n"})
    files: dict[str, str | bytes] = {f"{number:04}": "clean\n" for number in range(600)}
    after = commit(cobbler_project, files | {"0300": f"1\n>>>>>>> {ID}:path\n2\n"})
    assert marked_files(Repository(cobbler_project.path).objects, before, after) == ("0300",)
