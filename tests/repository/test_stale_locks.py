"""Lock files that a killed git left, and those of a git that works."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.repository.git import SETTINGS
from pytest_cobbler.repository.moving import ZERO
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.stale_locks import UNCHANGED
from tests.support.repositories import UserRepository
from tests.support.stale_locks import git_with_locks, killed_git

REF = "refs/cobbler/attempts/g/t/1"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """git waits no long time for locks; how long this package waits is noted."""
    for setting in ("core.filesRefLockTimeout", "core.packedRefsTimeout"):
        monkeypatch.setitem(SETTINGS, setting, "50")
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    return waited


@pytest.fixture(autouse=True)
def kept(user: UserRepository, repository: Repository) -> str:
    """The commit of a reference that a git tried to delete."""
    commit = user.git("rev-parse", "HEAD")
    repository.set_ref(REF, commit)
    return commit


def locks(repository: Repository) -> set[str]:
    return {str(path.relative_to(repository.common_dir)) for path in repository.common_dir.rglob("*.lock")}


OF_DELETION = {"packed-refs.lock", f"{REF}.lock"}


def test_the_locks_of_a_killed_git_are_removed_and_named(
    repository: Repository, kept: str, patience: list[float]
) -> None:
    killed_git(repository.common_dir, f"delete {REF}")
    assert locks(repository) == OF_DELETION
    lines = repository.remove_stale_locks("refs/cobbler/**/*.lock")
    assert lines == [
        f"removed {repository.common_dir / name}, which a killed git had left"
        for name in ("packed-refs.lock", f"{REF}.lock")
    ]
    assert locks(repository) == set()
    assert all(0 < seconds <= UNCHANGED for seconds in patience)
    assert repository.delete_refs({REF: kept}) == ()


def test_a_move_of_the_checked_out_branch_leaves_a_lock_on_head(
    user: UserRepository, repository: Repository
) -> None:
    killed_git(repository.common_dir, f"update refs/heads/main {user.git('rev-parse', 'HEAD')}")
    assert locks(repository) == {"HEAD.lock", "refs/heads/main.lock"}
    assert len(repository.remove_stale_locks("refs/heads/main.lock")) == 2
    assert locks(repository) == set()


def test_a_half_written_file_of_packed_references_is_removed(repository: Repository, kept: str) -> None:
    repository.refs.run("pack-refs", "--all")
    (repository.common_dir / "packed-refs.new").touch()
    assert repository.delete_refs({REF: kept}) == ()
    assert not (repository.common_dir / "packed-refs.new").exists()


def test_the_locks_of_another_users_branch_stay(repository: Repository, kept: str) -> None:
    lock = repository.common_dir / "refs/heads/theirs.lock"
    lock.touch()
    assert repository.remove_stale_locks("refs/heads/g.lock") == []
    assert repository.move_ref("refs/heads/g", kept, ZERO, "make")
    assert lock.exists()


@pytest.fixture
def living(repository: Repository) -> Iterator[None]:
    """A git that holds its locks."""
    with git_with_locks(repository.common_dir, f"delete {REF}"):
        yield


@pytest.mark.usefixtures("living")
def test_the_locks_of_a_living_git_stay(repository: Repository) -> None:
    assert repository.remove_stale_locks("refs/cobbler/**/*.lock") == []
    assert locks(repository) == OF_DELETION


@pytest.mark.usefixtures("living")
def test_the_lock_of_a_living_git_is_an_error_that_names_it(repository: Repository, kept: str) -> None:
    packed = repository.common_dir / "packed-refs.lock"
    remedy = f"If no git command is running: rm {packed} {repository.common_dir / REF}.lock"
    with pytest.raises(RepositoryError, match=f"could not delete {REF}") as caught:
        repository.delete_refs({REF: kept})
    assert caught.value.remedy == remedy
    with pytest.raises(RepositoryError, match=f"could not move {REF}") as caught:
        repository.move_ref(REF, kept, kept, "move")
    assert caught.value.remedy == remedy
    with pytest.raises(RepositoryError, match=f"could not set {REF}") as caught:
        repository.set_ref(REF, kept)
    assert caught.value.remedy == remedy


def test_the_locks_of_a_git_that_works_in_the_checkout_stay(
    user: UserRepository, repository: Repository
) -> None:
    with git_with_locks(None, f"delete {REF}", where=user.path):
        assert repository.remove_stale_locks() == []
        assert locks(repository) == OF_DELETION


def test_a_git_elsewhere_is_not_the_owner(repository: Repository, tmp_path: Path) -> None:
    other = UserRepository.create(tmp_path / "elsewhere")
    commit = other.commit({"file": ""})
    killed_git(repository.common_dir, f"delete {REF}")
    with git_with_locks(None, f"update refs/heads/new {commit}", where=other.path):
        assert len(repository.remove_stale_locks("refs/cobbler/**/*.lock")) == 2


def test_a_lock_that_goes_or_changes_by_itself_stays(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = repository.common_dir / "packed-refs.lock"
    lock.touch()

    def meanwhile(_seconds: float) -> None:
        lock.unlink()
        lock.write_text("another's")

    monkeypatch.setattr(time, "sleep", meanwhile)
    assert repository.remove_stale_locks() == []
    assert lock.read_text() == "another's"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_an_ordinary_user_leaves_the_lock_of_another_user(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_git(repository.common_dir, f"delete {REF}")
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    assert repository.remove_stale_locks("refs/cobbler/**/*.lock") == []
    with pytest.raises(RepositoryError) as caught:
        repository.drop_refs([REF])
    files = " ".join(str(repository.common_dir / name) for name in ("packed-refs.lock", f"{REF}.lock"))
    assert caught.value.remedy == f"If no git command is running: rm {files}"


def test_a_change_of_references_is_tried_again_without_the_stale_lock(repository: Repository) -> None:
    killed_git(repository.common_dir, f"delete {REF}")
    repository.drop_refs([REF])
    assert repository.read_ref(REF) is None
    assert locks(repository) == set()


def test_our_own_killed_git_is_in_the_way_of_no_other(
    repository: Repository, kept: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is killed where it holds its locks: nothing says how much it has done, so it is not tried again."""
    git = tmp_path / "programs" / "git"
    git.parent.mkdir()
    git.write_text(
        "#!/bin/sh\n"
        f"touch {repository.common_dir}/packed-refs.lock {repository.common_dir}/{REF}.lock\n"
        "kill -9 $$\n"
    )
    git.chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", f"{git.parent}:{os.environ['PATH']}")
        with pytest.raises(RepositoryError, match="git update-ref failed"):
            repository.drop_refs([REF])
    assert locks(repository) == set()
    assert repository.read_ref(REF) == kept


def test_the_users_git_fails_as_long_as_they_are_there(repository: Repository) -> None:
    with git_with_locks(repository.common_dir, f"delete {REF}") as process:
        assert process.poll() is None
    assert process.returncode == -signal.SIGKILL
    failed = subprocess.run(
        ["git", "-C", repository.root, "update-ref", "-d", REF], capture_output=True, text=True
    )
    assert "Another git process seems to be running" in failed.stderr
