"""A repository on which no job could work is refused before anything is spent."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.suitability import check_repository
from tests.support.repositories import UserRepository

OTHER = (60989, 60989)
MINE = (os.getuid(), os.getgid())


def test_an_ordinary_repository_passes(repository: Repository) -> None:
    check_repository(repository, None)
    check_repository(repository, OTHER)


def test_an_object_that_another_git_just_writes_is_no_error(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """git renames its draft of an object, and removes the directories of objects that it packs."""
    draft = repository.object_stores[0] / "00" / "tmp_obj_draft"
    draft.parent.mkdir()
    scandir = os.scandir

    @contextlib.contextmanager
    def then_renamed(place: Path) -> Iterator[Iterable[os.DirEntry[str]]]:
        with scandir(place) as entries:
            yield list(entries)
        if Path(place) == draft.parent:
            draft.unlink()
            draft.parent.rmdir()

    draft.touch()
    monkeypatch.setattr(os, "scandir", then_renamed)
    check_repository(repository, OTHER)
    assert not draft.exists()


def test_a_branch_that_prevents_task_branches_is_an_error(
    user: UserRepository, repository: Repository
) -> None:
    user.git("branch", "task")
    with pytest.raises(RepositoryError, match="the branch task prevents") as caught:
        check_repository(repository, None)
    assert "git branch --move task" in caught.value.remedy


def test_a_partial_clone_is_an_error(user: UserRepository, tmp_path: Path) -> None:
    user.configure({"uploadpack.allowFilter": "true"})
    clone = user.clone(tmp_path / "clone", "--filter=blob:none")
    with pytest.raises(RepositoryError, match="partial clone"):
        check_repository(clone.open(), None)


@pytest.fixture
def read_only(user: UserRepository) -> Iterator[UserRepository]:
    """A repository whose git directory cannot be written, not even by root."""
    git_dir = str(user.path / ".git")
    if os.geteuid() != 0:
        subprocess.run(["chmod", "-R", "a-w", git_dir], check=True)
        yield user
        subprocess.run(["chmod", "-R", "u+w", git_dir], check=True)
        return
    mounted = subprocess.run(["mount", "--bind", git_dir, git_dir], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"needs the right to mount: {mounted.stderr.decode()}")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", git_dir], check=True)
        yield user
    finally:
        subprocess.run(["umount", "--lazy", git_dir], check=True)


def test_a_git_directory_that_cannot_be_written_is_an_error(read_only: UserRepository) -> None:
    with pytest.raises(RepositoryError, match="the repository cannot be written: ") as caught:
        check_repository(read_only.open(), None)
    assert caught.value.remedy in (
        "Mount the file system that it is on writable.",
        f"Give yourself the right to: chmod -R u+rwX {read_only.path}/.git",
    )


class TestObjectsThatJobsCannotRead:
    """Another user's jobs need what git, under a umask of 077, writes for one user alone."""

    @pytest.fixture
    def private(self, tmp_path: Path) -> UserRepository:
        before = os.umask(0o077)
        try:
            user = UserRepository.create(tmp_path, name="private")
            user.commit({"file": "x"})
        finally:
            os.umask(before)
        return user

    def test_objects_that_jobs_cannot_read_are_an_error_with_a_remedy(self, private: UserRepository) -> None:
        with pytest.raises(RepositoryError, match=r"uid 60989, which cannot read .*objects") as caught:
            check_repository(private.open(), OTHER)
        assert f"chmod -R a+rX {private.path}/.git/objects" in caught.value.remedy

    def test_closed_objects_are_accepted_if_jobs_run_as_the_same_user(self, private: UserRepository) -> None:
        check_repository(private.open(), None)
        check_repository(private.open(), MINE)

    @pytest.mark.parametrize("pack", [False, True])
    def test_an_object_that_jobs_cannot_read_is_found_among_others(
        self, user: UserRepository, pack: bool
    ) -> None:
        if pack:
            user.git("repack", "-a", "-d", "--quiet")
        objects = user.path / ".git" / "objects"
        file = next(path for path in objects.rglob("*") if path.is_file() and path.suffix != ".idx")
        file.chmod(0o400)
        with pytest.raises(RepositoryError, match=str(file)):
            check_repository(user.open(), OTHER)

    def test_a_umask_that_closes_new_objects_to_jobs_is_an_error(self, repository: Repository) -> None:
        before = os.umask(0o077)
        try:
            with pytest.raises(RepositoryError, match="umask 0077"):
                check_repository(repository, OTHER)
            check_repository(repository, None)
        finally:
            os.umask(before)

    def test_a_shared_repository_needs_no_other_umask(self, user: UserRepository) -> None:
        user.configure({"core.sharedRepository": "0644"})
        before = os.umask(0o077)
        try:
            repository = user.open()
            check_repository(repository, OTHER)
            blob = repository.objects.text("hash-object", "-w", "--stdin", stdin=b"new")
            check_repository(repository, OTHER)
            file = repository.common_dir / "objects" / blob[:2] / blob[2:]
            assert file.stat().st_mode & 0o004
        finally:
            os.umask(before)
