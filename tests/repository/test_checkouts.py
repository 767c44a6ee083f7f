"""Checkouts for tests are what was committed, and vanish."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import pytest

from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.repository.checkouts import checkouts, resolve
from pytest_cobbler.repository.repository import Repository
from tests.support.repositories import UserRepository

FILES = {"README.md", "src/app.py", "src/util.py"}


@pytest.fixture
def repository(user: UserRepository) -> Repository:
    return Repository(user.path, user.work_dir)


def files(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if not path.is_dir()}


def place(repository: Repository) -> list[str]:
    return sorted(path.name for path in (repository.work_dir / "checkouts").iterdir())


def test_a_checkout_holds_the_committed_files_and_is_removed_at_the_end(
    repository: Repository, user: UserRepository
) -> None:
    user.write({"untracked": "x", "src/app.py": "changed"})
    before = (user.git("worktree", "list"), user.git("status", "--porcelain"))
    with checkouts(repository, None) as made:
        one, two = made.create(resolve(repository, "main")), made.create(resolve(repository, "HEAD"))
        assert files(one.tree) == files(two.tree) == FILES
        assert (one.tree / "src/app.py").read_text() == "print('app')\n"
        assert one.tree != two.tree
        assert (user.git("worktree", "list"), user.git("status", "--porcelain")) == before
    assert not one.directory.exists()
    assert not two.directory.exists()
    assert place(repository) == []


def test_checkouts_are_removed_after_an_error(repository: Repository) -> None:
    def fail_with_a_checkout() -> None:
        with checkouts(repository, None) as made:
            made.create(resolve(repository, "HEAD"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_with_a_checkout()
    assert place(repository) == []


def test_no_filter_of_the_user_runs(repository: Repository, user: UserRepository, tmp_path: Path) -> None:
    user.commit({".gitattributes": "* filter=canary\n"})
    user.configure({"filter.canary.smudge": f"touch {tmp_path / 'ran'}; cat"})
    with checkouts(repository, None) as made:
        assert files(made.create(resolve(repository, "HEAD")).tree) == FILES | {".gitattributes"}
    assert not (tmp_path / "ran").exists()


def test_checkouts_of_a_killed_process_are_removed_by_the_next(
    repository: Repository, user: UserRepository
) -> None:
    killed = multiprocessing.get_context("spawn").Process(target=_die, args=(user.path, user.work_dir))
    killed.start()
    killed.join(60)
    assert len(place(repository)) == 2
    with checkouts(repository, None):
        assert len(place(repository)) == 1
    assert place(repository) == []


def _die(path: Path, work_dir: Path) -> None:
    repository = Repository(path, work_dir)
    with checkouts(repository, None) as made:
        made.create(resolve(repository, "HEAD"))
        os._exit(1)


def test_checkouts_of_a_living_process_stay(repository: Repository) -> None:
    with checkouts(repository, None) as first:
        one = first.create(resolve(repository, "HEAD"))
        with checkouts(repository, None) as second:
            second.create(resolve(repository, "HEAD"))
        assert files(one.tree) == FILES


@pytest.mark.parametrize("revision", ["main", "HEAD", "v1", "HEAD~0", "refs/heads/main"])
def test_a_revision_is_any_expression_that_git_accepts(
    repository: Repository, user: UserRepository, revision: str
) -> None:
    user.git("tag", "--annotate", "--message=1", "v1")
    assert resolve(repository, revision) == user.git("rev-parse", "HEAD")


def test_head_is_the_head_of_this_checkout(user: UserRepository, tmp_path: Path) -> None:
    first = user.git("rev-parse", "HEAD")
    user.commit({"more": "x"})
    user.git("worktree", "add", "-q", "--detach", str(tmp_path / "linked"), first)
    assert resolve(Repository(tmp_path / "linked", user.work_dir), "HEAD") == first


@pytest.mark.parametrize("revision", ["nothing", "HEAD~99", "--all", "", "HEAD:README.md"])
def test_an_unknown_revision_is_an_error(repository: Repository, revision: str) -> None:
    with pytest.raises(RepositoryError, match="there is no revision"):
        resolve(repository, revision)
