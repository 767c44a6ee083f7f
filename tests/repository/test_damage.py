"""What is missing in a repository is seen, with or without a process."""

from __future__ import annotations

import pytest

from pytest_cobbler.repository import damage as module
from pytest_cobbler.repository.damage import are_files, is_whole, new_objects
from pytest_cobbler.repository.repository import Repository
from tests.support.repositories import UserRepository, commit_files

FILES = {
    "new": "1\n",
    "src/app.py": "2\n",
    "d/e/f": "1\n",
    "link": "new",
    "src/util.py": None,
    "README.md/x": "y",
}
MODES = {"link": "120000", "libs": "160000"}


@pytest.fixture
def tip(user: UserRepository) -> str:
    return user.git("rev-parse", "HEAD")


def changed(repository: Repository, tip: str) -> str:
    """The tree of a commit on ``tip``, with a change of each kind."""
    files = {**FILES, "README.md": None, "libs": "1" * 40}
    return repository.tree_of(commit_files(repository, tip, files, modes=MODES))


def test_the_new_objects_of_a_tree_are_those_that_git_lists(repository: Repository, tip: str) -> None:
    tree = changed(repository, tip)
    words = ("rev-list", "--objects", "--no-object-names", tree, "--not", f"{tip}^{{tree}}")
    assert set(new_objects(repository, tree, tip)) == set(repository.objects.text(*words).split())
    assert new_objects(repository, repository.tree_of(tip), tip) == []


def test_of_a_large_change_some_objects_are_listed(
    repository: Repository, tip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_NEW", 2)
    assert len(new_objects(repository, changed(repository, tip), tip)) == 3


def test_an_object_that_is_gone_is_no_file(repository: Repository, user: UserRepository, tip: str) -> None:
    tree = changed(repository, tip)
    known = [f"{tip}^{{tree}}"]
    objects = new_objects(repository, tree, tip)
    assert are_files(repository, objects)
    assert is_whole(repository, [tree], known)
    for one in objects:
        path = repository.object_stores[0] / one[:2] / one[2:]
        content = path.read_bytes()
        path.unlink()
        assert not are_files(repository, objects)
        assert not is_whole(repository, [tree], known)
        path.write_bytes(b"")
        assert not are_files(repository, objects)
        path.unlink()
        path.write_bytes(content)
    user.git("update-ref", "refs/cobbler/x", tree)
    user.git("repack", "-adq")
    assert not are_files(repository, objects), "git itself has to look into the packs"
    assert is_whole(repository, [tree], known)
