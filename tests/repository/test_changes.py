"""The paths in which trees differ are those that git lists."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest

from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.repository import changes as module
from pytest_cobbler.repository.changes import Entry, read_change
from pytest_cobbler.repository.git import Git
from tests.support.repositories import UserRepository

NAMES = ("a", "a.b", "a-b", "b", "A", "\n", "é", "0")
MODES = ("100644", "100755", "120000", "160000")


@pytest.fixture(params=["sha1", "sha256"])
def user(request: pytest.FixtureRequest, tmp_path: object) -> UserRepository:
    return UserRepository.create(tmp_path, f"--object-format={request.param}")  # type: ignore[arg-type]


@pytest.fixture
def git(user: UserRepository) -> Iterator[Git]:
    git = Git(user.path / ".git")
    yield git
    git.reader.close()


def listed(git: Git, old: str, new: str) -> tuple[Entry, ...]:
    """The differences as git lists them."""
    fields = git.fields("diff-tree", "-r", "-z", "--raw", "--no-renames", old, new)
    entries = []
    for facts, path in zip(fields[::2], fields[1::2], strict=True):
        old_mode, new_mode, before, after, status = facts[1:].decode().split(" ")
        entries.append(
            Entry(path=path, status=status, old_mode=old_mode, new_mode=new_mode, old=before, new=after)
        )
    return tuple(entries)


def random_tree(git: Git, draw: random.Random, blobs: list[str], depth: int) -> str:
    """A tree with a few entries, some of which are directories."""
    lines = []
    for name in draw.sample(NAMES, draw.randint(1, 4)):
        if depth and draw.random() < 0.5:
            lines.append(f"040000 tree {random_tree(git, draw, blobs, depth - 1)}\t{name}\0")
        else:
            mode, blob = draw.choice(MODES), draw.choice(blobs)
            what = f"commit {'1' * len(blob)}" if mode == "160000" else f"blob {blob}"
            lines.append(f"{mode} {what}\t{name}\0")
    return git.text("mktree", "-z", "--missing", stdin="".join(lines).encode())


def test_random_trees_differ_as_git_says(git: Git) -> None:
    draw = random.Random(13)
    blobs = [git.text("hash-object", "-w", "--stdin", stdin=content) for content in (b"1", b"2")]
    trees = [random_tree(git, draw, blobs, 2) for _ in range(9)]
    kinds = set()
    for old in trees:
        for new in trees:
            entries = read_change(git, old, new).entries
            assert entries == listed(git, old, new)
            kinds |= {entry.status for entry in entries}
    assert kinds == set("ADMT")


def raw_tree(git: Git, *entries: tuple[bytes, bytes, str]) -> str:
    """A tree that git itself would not write."""
    content = b"".join(mode + b" " + name + b"\0" + bytes.fromhex(one) for mode, name, one in entries)
    return git.text("hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=content)


@pytest.mark.parametrize("mode", ["100664", "100600", "100777", "40755", "140000", "0", "20000100644"])
def test_modes_that_git_does_not_write_are_read_as_git_reads_them(git: Git, mode: str) -> None:
    """What git takes for a submodule must not pass for a file."""
    blob = git.text("hash-object", "-w", "--stdin", stdin=b"1")
    below = raw_tree(git, (b"100644", b"x", blob))
    empty = raw_tree(git)
    new = raw_tree(git, (mode.encode(), b"odd", below if mode.startswith("4") else blob))
    assert read_change(git, empty, new).entries == listed(git, empty, new) != ()


def test_what_is_no_mode_is_an_error(git: Git) -> None:
    broken = raw_tree(git, (b"100_644", b"odd", "0" * len(raw_tree(git))))
    with pytest.raises(RepositoryError, match="100_644"):
        read_change(git, raw_tree(git), broken)


def test_trees_that_hold_each_other_in_countless_ways_are_an_error(
    git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some hundred bytes of trees can have more directories than anything could read."""
    tree = empty = raw_tree(git)
    for _ in range(20):
        tree = raw_tree(git, *((b"40000", os.fsencode(f"{number}"), tree) for number in range(10)))
    monkeypatch.setattr(module, "_MOST_DIRECTORIES", 1000)
    with pytest.raises(RepositoryError, match="too many directories"):
        read_change(git, empty, tree)
    blob = git.text("hash-object", "-w", "--stdin", stdin=b"1")
    files = raw_tree(git, *((b"100644", os.fsencode(f"{number}"), blob) for number in range(10)))
    for _ in range(20):
        files = raw_tree(git, *((b"40000", os.fsencode(f"{number}"), files) for number in range(10)))
    assert 100 < len(read_change(git, empty, files, most=100).entries) < 200


def test_a_path_of_too_many_directories_is_an_error(git: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = empty = raw_tree(git)
    monkeypatch.setattr(module, "_LONGEST", 50)
    for _ in range(30):
        tree = raw_tree(git, (b"40000", b"d", tree))
    with pytest.raises(RepositoryError, match="too many directories"):
        read_change(git, empty, tree)
