"""The checkout follows its branch, and comes back from wherever a killed git left it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.repository.follow import Following
from tests.support.repositories import UserRepository


class Move:
    """A checkout at ``old``; ``new`` is a commit beside it that changes files in every way."""

    def __init__(self, user: UserRepository) -> None:
        self.user = user
        user.commit({"gone.txt": "gone\n", "dir/x.txt": "x\n", "file": "file\n", "kept.txt": "kept\n"})
        (user.path / "link").symlink_to("kept.txt")
        self.old = user.commit({"README.md": "old\n"})
        (user.path / "gone.txt").unlink()
        (user.path / "dir" / "x.txt").unlink()
        (user.path / "dir").rmdir()
        (user.path / "file").unlink()
        (user.path / "link").unlink()
        (user.path / "link").symlink_to("README.md")
        user.write({"README.md": "new\n", "dir": "a file now\n", "file/y.txt": "y\n", "a/b/c.txt": "c\n"})
        self.new = user.commit()
        user.git("reset", "--quiet", "--hard", self.old)
        self.following = Following(user.open(), self.old, self.new)
        self.before = self.files()

    def files(self) -> dict[str, bytes]:
        found = {}
        for path in sorted(self.user.path.rglob("*")):
            if ".git" not in path.parts and (path.is_symlink() or path.is_file()):
                content = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
                found[str(path.relative_to(self.user.path))] = content
        return found

    def is_at_old(self) -> bool:
        return self.files() == self.before and self.user.git("status", "--porcelain") == ""

    def index_of(self, commit: str) -> None:
        self.user.git("read-tree", commit)


@pytest.fixture
def move(user: UserRepository) -> Move:
    return Move(user)


def test_a_checkout_moves_to_the_new_commit_and_back(move: Move) -> None:
    move.following.advance()
    assert move.user.git("write-tree") == move.user.git("rev-parse", f"{move.new}^{{tree}}")
    assert move.user.git("diff-files", "--name-only") == ""
    move.following.take_back()
    assert move.is_at_old()


def test_a_move_that_git_left_half_way_is_taken_back(move: Move) -> None:
    """Files gone, new ones there, one of them not whole, the index as before, and its lock."""
    (move.user.path / "gone.txt").unlink()
    (move.user.path / "link").unlink()
    move.user.write({"README.md": "ne", "a/b/c.txt": ""})
    (move.user.path / ".git" / "index.lock").touch()
    move.following.take_back()
    assert move.is_at_old()
    assert not (move.user.path / ".git" / "index.lock").exists()


def test_taking_back_may_itself_end_half_way(move: Move) -> None:
    """The index is back, of the files some are not whole."""
    move.following.advance()
    move.index_of(move.old)
    move.user.write({"README.md": "ol"})
    move.following.take_back()
    assert move.is_at_old()


def test_taking_back_changes_no_file_that_has_not_moved(move: Move) -> None:
    move.following.take_back()
    assert move.is_at_old()


@pytest.mark.parametrize("at", ["old", "new"])
def test_files_that_the_user_changed_since_are_listed_and_stay(move: Move, at: str) -> None:
    move.following.advance()
    if at == "old":
        move.index_of(move.old)
    move.user.write({"README.md": "mine\n", "untracked.txt": "x\n", "file/z.txt": "z\n"})
    before = move.files()
    with pytest.raises(RepositoryError) as caught:
        move.following.take_back()
    assert caught.value.cause.endswith("someone changed README.md, file/z.txt")
    assert move.files() == before


def test_a_file_that_neither_commit_changes_is_ignored(move: Move) -> None:
    move.following.advance()
    move.user.write({"kept.txt": "edited\n"})
    move.following.take_back()
    assert move.files() == move.before | {"kept.txt": b"edited\n"}


def test_nothing_is_written_through_a_link(move: Move, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.txt").write_text("mine\n")
    (move.user.path / "dir" / "x.txt").unlink()
    (move.user.path / "dir").rmdir()
    (move.user.path / "dir").symlink_to(outside)
    with pytest.raises(RepositoryError) as caught:
        move.following.take_back()
    assert caught.value.cause.endswith("someone changed dir")
    assert (outside / "x.txt").read_text() == "mine\n"


def test_line_ends_are_not_a_change_of_the_checkout(user: UserRepository) -> None:
    user.commit({".gitattributes": "*.txt text eol=crlf\n", "a.txt": "1\n2\n"})
    old = user.git("rev-parse", "HEAD")
    new = user.commit({"a.txt": "1\n2\n3\n"})
    user.git("reset", "--quiet", "--hard", old)
    (user.path / "a.txt").write_bytes(b"1\r\n2\r\n3")
    Following(user.open(), old, new).take_back()
    assert (user.path / "a.txt").read_bytes() == b"1\r\n2\r\n"
    assert user.git("status", "--porcelain") == ""


def test_a_lock_that_a_living_git_holds_is_left(move: Move) -> None:
    lock = move.user.path / ".git" / "index.lock"
    script = "import sys; file = open(sys.argv[1], 'w'); print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", script, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(RepositoryError, match=f"process {holder.pid}"):
            move.following.take_back()
    assert lock.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root works in another user's repository")
def test_written_files_do_not_belong_to_root(move: Move) -> None:
    for path in [move.user.path, *move.user.path.rglob("*")]:
        os.chown(path, 1234, 1234, follow_symlinks=False)
    move.following.advance()
    files = [path for path in move.user.path.rglob("*") if ".git" not in path.parts]
    assert {path.lstat().st_uid for path in files} == {1234}
    assert move.user.path / "a" / "b" in files
