"""Paths of a project and of its repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.globs import matches_any
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.subdirectory import Subdirectory
from tests.support.repositories import UserRepository

TOP, API = Subdirectory(), Subdirectory("services/api")
ODD = Subdirectory("services/[a]*")


@pytest.mark.parametrize(
    ("directory", "inside", "outside"),
    [
        (TOP, "src/a.py", "src/a.py"),
        (API, "src/a.py", "services/api/src/a.py"),
        (API, "/shared/a.py", "shared/a.py"),
        (API, "/services/api-2/a.py", "services/api-2/a.py"),
        (API, "/services/api", "services/api"),
    ],
)
def test_paths_are_translated_in_both_directions(directory: Subdirectory, inside: str, outside: str) -> None:
    assert directory.outward(inside) == outside
    assert directory.inward(outside) == inside


def test_files_in_the_place_of_the_directory_are_known() -> None:
    paths = ("services", "services/api", "services/ap", "s")
    assert [path for path in paths if API.is_replaced_by(path)] == ["services", "services/api"]
    assert not TOP.is_replaced_by("services")


def test_patterns_begin_in_the_directory_and_with_a_slash_at_the_top() -> None:
    for directory in (API, ODD):
        pattern = directory.pattern("docs/*.md")
        assert matches_any(f"{directory.path}/docs/a.md", (pattern,))
        assert not matches_any("docs/a.md", (pattern,))
        assert not matches_any("services/a/docs/a.md", (pattern,))
        assert matches_any("docs/a.md", (directory.pattern("/docs/*.md"),))
    assert TOP.pattern("docs/*.md") == "docs/*.md"


@pytest.mark.parametrize(
    ("pattern", "covered"),
    [
        ("conftest.py", {"conftest.py", "services/api/conftest.py"}),
        ("**/conftest.py", {"conftest.py", "services/api/conftest.py", "services/conftest.py"}),
        ("/conftest.py", {"conftest.py"}),
    ],
)
def test_files_that_programs_find_by_themselves_count_at_the_top_too(pattern: str, covered: set[str]) -> None:
    paths = ("conftest.py", "services/conftest.py", "services/api/conftest.py")
    assert {path for path in paths if matches_any(path, API.everywhere(pattern))} == covered
    assert TOP.everywhere(pattern) == (pattern,)


def test_the_directory_is_not_made_through_a_link(tmp_path: Path) -> None:
    assert API.make_below(tmp_path) == [tmp_path / "services", tmp_path / "services/api"]
    assert API.make_below(tmp_path) == []
    elsewhere, top = tmp_path / "elsewhere", tmp_path / "top"
    elsewhere.mkdir()
    top.mkdir()
    (top / "services").symlink_to(elsewhere)
    with pytest.raises(RepositoryError, match="is not a directory"):
        API.make_below(top)
    assert not list(elsewhere.iterdir())


def test_the_files_of_a_project_are_those_of_its_directory(user: UserRepository) -> None:
    base = user.commit({"src/deep/b.py": "b\n", "docs": "no directory\n"})
    (user.path / "docs").unlink()
    (user.path / "docs").mkdir()
    repository = Repository(user.path / "src", user.work_dir)
    assert sorted(repository.files(base)) == ["app.py", "deep/b.py", "util.py"]
    assert repository.blobs(base).keys() == {"app.py", "deep/b.py", "util.py"}
    assert repository.read_file(base, "deep/b.py") == b"b\n"
    assert repository.read_file(base, "README.md") is None
    assert repository.read_file(base, "/README.md") == b"# Project\n"
    without = Repository(user.path / "docs", user.work_dir)
    assert without.files(base) == []
    assert without.blobs(base) == {}
