"""The directory of worktrees is for one user alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.repository.repository import Repository
from tests.support.repositories import UserRepository
from tests.support.repository_fixtures import no_git_of_ours, template, tmp_path, user

__all__ = ["no_git_of_ours", "template", "tmp_path", "user"]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def repository(user: UserRepository, tmp_path: Path) -> Repository:
    return Repository(user.path, tmp_path / "a" / "work")


def test_the_work_dir_is_made_for_its_owner_alone(repository: Repository) -> None:
    _ = repository.objects
    assert mode(repository.work_dir) == 0o700
    assert mode(repository.work_dir.parent) == 0o700


def test_one_that_others_can_read_is_closed(repository: Repository) -> None:
    repository.work_dir.mkdir(parents=True)
    repository.work_dir.chmod(0o777)
    kept = repository.work_dir / "kept"
    kept.mkdir(mode=0o755)
    _ = repository.objects
    assert mode(repository.work_dir) == 0o700
    assert kept.is_dir()


def test_a_directory_that_serves_others_too_stays_as_it_is(repository: Repository) -> None:
    shared = repository.work_dir.parent
    shared.mkdir(parents=True)
    shared.chmod(0o1777)
    _ = repository.objects
    assert mode(shared) == 0o1777


def test_a_link_is_refused(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    repository.work_dir.parent.mkdir(parents=True)
    repository.work_dir.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RepositoryError, match="cannot make"):
        _ = repository.objects


def test_one_that_every_user_can_replace_is_refused(repository: Repository) -> None:
    repository.work_dir.parent.mkdir(parents=True)
    repository.work_dir.parent.chmod(0o777)
    with pytest.raises(RepositoryError, match="every user can replace it"):
        _ = repository.objects


def test_one_of_another_user_is_refused(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    repository.work_dir.mkdir(parents=True)
    other = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: other)
    with pytest.raises(RepositoryError, match="belongs to another user"):
        _ = repository.objects
