"""The note of a landed commit moves together with the branch, and git shows it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.repository.landing import land, merge
from pytest_cobbler.repository.notes import NOTES, add_note, read_note
from pytest_cobbler.repository.repository import Repository
from tests.support.repositories import ADA, UserRepository, commit_files

LARGEST = 1000


@pytest.fixture
def repository(user: UserRepository) -> Repository:
    return user.open()


def land_with_note(user: UserRepository, name: str, statement: Callable[[str], bytes]) -> str | None:
    """Land a new file ``name`` on the one active generation, which is started if there is none."""
    repository = user.open()
    heads = repository.list_refs("refs/heads/generation-*")
    ref = next(iter(heads), "") or user.start().ref
    tip = repository.read_ref(ref)
    assert tip is not None
    merged = merge(repository, tip, commit_files(repository, tip, {name: "1\n"}))
    return land(repository, ref, merged, f"Add {name}\n", ADA, statement=statement)


def shown(user: UserRepository, commit: str) -> str:
    return user.git("notes", "--ref=cobbler", "show", commit)


def test_a_landed_commit_has_its_note(user: UserRepository) -> None:
    first = land_with_note(user, "a.txt", lambda commit: f"landed {commit}\n".encode())
    second = land_with_note(user, "b.txt", lambda commit: f"landed {commit}\n".encode())
    assert first
    assert second
    for commit in (first, second):
        assert shown(user, commit).strip() == f"landed {commit}"
        assert read_note(user.open(), commit, LARGEST) == f"landed {commit}\n".encode()
    assert read_note(user.open(), user.open().objects.text("rev-parse", f"{first}^"), LARGEST) is None


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_note_is_read_however_git_files_it(repository: Repository, depth: int) -> None:
    head = repository.head_commit()
    assert head is not None
    git = repository.objects
    blob = git.text("hash-object", "-w", "--stdin", stdin=b"mine\n")
    entry = f"100644 blob {blob}\t{head[2 * depth :]}\0"
    for level in reversed(range(depth)):
        tree = git.text("mktree", "-z", stdin=entry.encode())
        entry = f"040000 tree {tree}\t{head[2 * level : 2 * level + 2]}\0"
    tree = git.text("mktree", "-z", stdin=entry.encode())
    repository.set_ref(NOTES, repository.commit(tree, [], "Notes\n", ADA))
    assert read_note(repository, head, LARGEST) == b"mine\n"


@pytest.mark.slow
def test_many_notes_stay_readable_for_git(user: UserRepository, repository: Repository) -> None:
    """Git changes how it files notes by their number; 300 of ours, then one of its own."""
    head = repository.head_commit()
    assert head is not None
    notes = ""
    for number in range(300):
        commit = f"{number * 7919 % 2**32:08x}".ljust(len(head), "0")
        notes = add_note(repository, notes, commit, f"{number}\n".encode(), ADA)
    repository.set_ref(NOTES, notes)
    user.git("notes", "--ref=cobbler", "add", "-m", "by git", head)
    again = repository.read_ref(NOTES)
    assert again is not None
    other = "ff" * (len(head) // 2)
    repository.set_ref(NOTES, add_note(repository, again, other, b"after git\n", ADA))
    assert read_note(repository, head, LARGEST) == b"by git\n"
    assert read_note(repository, other, LARGEST) == b"after git\n"
    assert len(user.git("notes", "--ref=cobbler", "list").splitlines()) == 302


def test_foreign_files_among_the_notes_do_not_stop_a_landing(user: UserRepository) -> None:
    """Everyone who can push can put any file there."""
    repository = user.open()
    git = repository.objects
    blob = git.text("hash-object", "-w", "--stdin", stdin=b"mine\n")
    names = [b"\xff", *(b"%02x" % number for number in range(256))]
    entries = b"".join(b"100644 blob %s\t%s\0" % (blob.encode(), name) for name in names)
    tree = git.text("mktree", "-z", stdin=entries)
    repository.set_ref(NOTES, repository.commit(tree, [], "Notes\n", ADA))
    commit = land_with_note(user, "a.txt", lambda _: b"ours\n")
    assert commit
    assert read_note(repository, commit, LARGEST) == b"ours\n"


def test_a_huge_note_is_not_read(user: UserRepository, repository: Repository) -> None:
    commit = land_with_note(user, "a.txt", lambda _: b"x" * (LARGEST + 1))
    assert commit
    with pytest.raises(RepositoryError, match="has more than 1000 bytes"):
        read_note(repository, commit, LARGEST)


def test_notes_that_someone_else_moved_meanwhile_are_kept(user: UserRepository) -> None:
    head = user.open().head_commit()
    assert head is not None
    moved = False
    repository = user.open()
    generation = user.start()
    tip = repository.read_ref(generation.ref)
    assert tip is not None
    merged = merge(repository, tip, commit_files(repository, tip, {"a.txt": "1\n"}))
    move = repository.move_refs

    def move_late(moves: dict[str, tuple[str, str]], reason: str) -> bool:
        nonlocal moved
        if not moved:
            moved = True
            subprocess.run(
                ["git", "notes", "--ref=cobbler", "add", "-m", "theirs", head], cwd=user.path, check=True
            )
        return move(moves, reason)

    repository.move_refs = move_late  # type: ignore[method-assign,assignment]
    commit = land(repository, generation.ref, merged, "Add\n", ADA, statement=lambda _: b"ours\n")
    assert commit is not None
    assert shown(user, commit).strip() == "ours"
    assert shown(user, head).strip() == "theirs"


def test_no_note_without_the_branch(user: UserRepository) -> None:
    """The branch was moved meanwhile: neither moves."""
    repository, generation = user.open(), user.start()
    tip = repository.read_ref(generation.ref)
    assert tip is not None
    merged = merge(repository, tip, commit_files(repository, tip, {"a.txt": "1\n"}))
    other = commit_files(repository, tip, {"b.txt": "1\n"})
    repository.set_ref(generation.ref, other)
    assert land(repository, generation.ref, merged, "Add\n", ADA, statement=lambda _: b"ours\n") is None
    assert repository.read_ref(NOTES) is None
    assert repository.read_ref(generation.ref) == other
