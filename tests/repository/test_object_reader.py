"""Objects read one by one from a git process that stays."""

from __future__ import annotations

import os

import pytest

from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.repository.blobs import DIRECTORY, entries_at, entries_in, read_blob, read_small_blobs
from pytest_cobbler.repository.git import Git
from pytest_cobbler.repository.object_reader import Found
from tests.support.repositories import UserRepository

FILES = {
    "a": "x",
    "dir/b": "yy",
    "dir/deep/c": "",
    "dir.txt": "1",
    "with space/new\nline": "2",
    "dir/ü": "3",
    "*": "4",
}


@pytest.fixture(params=["sha1", "sha256"])
def user(request: pytest.FixtureRequest, tmp_path: object) -> UserRepository:
    made = UserRepository.create(tmp_path, f"--object-format={request.param}")  # type: ignore[arg-type]
    made.commit(dict(FILES))
    return made


@pytest.fixture
def git(user: UserRepository) -> Git:
    return Git(user.path / ".git")


def test_what_a_name_names(user: UserRepository, git: Git) -> None:
    names = ["HEAD", "HEAD^{tree}", "HEAD:dir/b", "0" * 40, "HEAD^", "HEAD:gone", "HEAD^{tag}"]
    found = list(git.reader.find_all(names))
    assert found == [git.reader.find(name) for name in names]
    ids = [user.git("rev-parse", name) for name in names[:3]]
    sizes = [int(user.git("cat-file", "-s", name)) for name in names[:3]]
    kinds = ["commit", "tree", "blob"]
    assert found[:3] == [Found(*facts) for facts in zip(ids, kinds, sizes, strict=True)]
    assert found[3:] == [None] * 4


def test_many_names_are_answered_in_their_order(git: Git) -> None:
    names = [name for number in range(500) for name in ("HEAD:a", f"HEAD:gone-{number}", "HEAD^{tree}")]
    kinds = [found and found.kind for found in git.reader.find_all(names)]
    assert kinds == ["blob", None, "tree"] * 500


def test_the_entries_of_a_tree_are_those_that_git_lists(user: UserRepository, git: Git) -> None:
    for path in ("", "dir", "dir/deep", "with space"):
        listed = user.git("ls-tree", "-z", f"HEAD:{path}").split("\0")[:-1]
        expected = {
            name: tuple(facts.split()[::2]) for facts, _, name in (one.partition("\t") for one in listed)
        }
        assert {os.fsdecode(name): entry for name, entry in entries_in(git, "HEAD", path).items()} == expected
    assert entries_in(git, "HEAD", "gone/below") == entries_in(git, "HEAD", "a") == {}


def test_the_entries_at_paths(git: Git) -> None:
    asked = [*map(os.fsencode, FILES), b"dir", b"dir/gone", b"a/below", b"gone/x", b"dir", b"d*", b"dir/"]
    found = {path: mode for mode, _, path in entries_at(git, "HEAD", asked)}
    assert found == {**{os.fsencode(path): "100644" for path in FILES}, b"dir": DIRECTORY}
    assert list(found) == sorted(found)


def test_small_blobs_are_read_and_others_left_out(user: UserRepository, git: Git) -> None:
    names = {path: user.git("rev-parse", f"HEAD:{path}") for path in ("a", "dir/b", "dir/deep/c", "dir")}
    read = read_small_blobs(git, [*names.values(), "0" * 40], 1)
    assert read == {names["a"]: b"x", names["dir/deep/c"]: b""}


def test_objects_that_are_missing_are_an_error(user: UserRepository, git: Git) -> None:
    with pytest.raises(RepositoryError, match="no tree"):
        list(entries_at(git, "0" * 40, [b"a"]))
    with pytest.raises(RepositoryError, match="no blob"):
        read_blob(git, user.git("rev-parse", "HEAD:dir"))
    for name in ("", "a\nb"):
        with pytest.raises(RepositoryError, match="cannot look for"):
            git.reader.find(name)


def test_objects_that_came_later_are_found(user: UserRepository, git: Git) -> None:
    assert git.reader.find("HEAD:later") is None
    later = user.commit({"later": "z"})
    user.git("gc", "--quiet", "--prune=now")
    assert git.reader.find(f"{later}:later")
    assert read_blob(git, user.git("rev-parse", "HEAD:later")) == b"z"


def test_a_damaged_object_is_an_error_and_others_can_be_read(user: UserRepository, git: Git) -> None:
    blob = user.git("rev-parse", "HEAD:dir/b")
    path = user.path / ".git/objects" / blob[:2] / blob[2:]
    path.chmod(0o644)
    path.write_bytes(b"no object")
    with pytest.raises(RepositoryError, match=f"no blob {blob}"):
        read_blob(git, blob)
    assert read_blob(git, user.git("rev-parse", "HEAD:a")) == b"x"
