"""The id of a repository, and the work that it left under another path."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pytest_cobbler.repository.own_id import own_id


def test_the_id_stays_when_the_repository_moves(tmp_path: Path) -> None:
    (tmp_path / "git").mkdir()
    name = own_id(tmp_path / "git")
    (tmp_path / "git").rename(tmp_path / "moved")
    assert own_id(tmp_path / "moved") == name == own_id(tmp_path / "moved")


def test_a_copy_gets_an_id_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "git").mkdir()
    name = own_id(tmp_path / "git")
    shutil.copytree(tmp_path / "git", tmp_path / "copy")
    assert own_id(tmp_path / "copy") != name
    assert own_id(tmp_path / "git") == name


def test_a_clone_of_ci_that_gets_the_bare_id_has_it_and_a_copy_of_the_clone_does_not(tmp_path: Path) -> None:
    (tmp_path / "git").mkdir()
    name = own_id(tmp_path / "git")
    (tmp_path / "clone").mkdir()
    (tmp_path / "clone" / "cobbler.id").write_text(f"{name}\n")
    assert own_id(tmp_path / "clone") == name
    shutil.copytree(tmp_path / "clone", tmp_path / "copy")
    assert own_id(tmp_path / "copy") != name


@pytest.mark.parametrize("content", ["", "\n\n", "not an id\n1 2\n", "\udce4"])
def test_a_file_that_is_not_an_id_is_replaced(tmp_path: Path, content: str) -> None:
    (tmp_path / "cobbler.id").write_bytes(content.encode("utf-8", "surrogateescape"))
    assert own_id(tmp_path) == own_id(tmp_path)
