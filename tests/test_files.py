"""Atomic writes, locks and the end of long output."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_cobbler.files import (
    Tail,
    lock,
    read_tail,
    remove_dead_directories,
    temporary_directory,
    write_atomically,
)


class TestAtomicWrite:
    def test_a_reader_never_sees_a_part(self, tmp_path: Path) -> None:
        path = tmp_path / "facts"
        contents = (b"a" * 300_000, b"b" * 300_000)
        write_atomically(path, contents[0])
        stop = threading.Event()

        def replace_it_again_and_again() -> None:
            while not stop.is_set():
                for content in contents:
                    write_atomically(path, content)

        writer = threading.Thread(target=replace_it_again_and_again)
        writer.start()
        try:
            assert {path.read_bytes() for _ in range(300)} <= set(contents)
        finally:
            stop.set()
            writer.join()

    def test_the_status_is_that_of_the_new_file(self, tmp_path: Path) -> None:
        status = write_atomically(tmp_path / "new", b"content", durable=True)
        found = (tmp_path / "new").stat()
        assert (status.st_ino, status.st_size) == (found.st_ino, 7)

    def test_the_mode_of_the_old_file_is_kept(self, tmp_path: Path) -> None:
        path = tmp_path / "private"
        path.touch(mode=0o640)
        path.chmod(0o640)
        write_atomically(path, b"new")
        assert stat.S_IMODE(path.stat().st_mode) == 0o640

    def test_a_mode_that_is_given_takes_precedence(self, tmp_path: Path) -> None:
        path = tmp_path / "script"
        path.touch(mode=0o600)
        write_atomically(path, b"#!/bin/sh\n", mode=0o755)
        assert stat.S_IMODE(path.stat().st_mode) == 0o755

    def test_a_write_that_fails_leaves_the_old_content(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(_descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        path = tmp_path / "facts"
        path.write_bytes(b"old")
        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="No space left"):
            write_atomically(path, b"new", durable=True)
        assert path.read_bytes() == b"old"

    def test_the_draft_of_a_killed_writer_is_overwritten(self, tmp_path: Path) -> None:
        (tmp_path / ".facts.tmp").write_bytes(b"a long half of something")
        write_atomically(tmp_path / "facts", b"whole")
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"facts": b"whole"}


class TestLock:
    _HOLDER = """
import sys
from pathlib import Path
from pytest_cobbler.files import lock
with Path(sys.argv[1]).open("ab") as file:
    lock(file)
    print("held", flush=True)
    sys.stdin.read()
"""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "file.lock"

    @pytest.fixture
    def holder(self, path: Path) -> Iterator[subprocess.Popen[bytes]]:
        """Another process that holds the lock."""
        command = [sys.executable, "-c", self._HOLDER, str(path)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path.cwd()
        ) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            yield holder
            holder.kill()

    @pytest.mark.usefixtures("holder")
    @pytest.mark.parametrize("patience", [0.0, 0.05])
    def test_a_lock_that_another_process_holds_is_refused(self, path: Path, patience: float) -> None:
        with path.open("ab") as file, pytest.raises(BlockingIOError):
            lock(file, patience=patience)

    def test_a_killed_process_releases_it(self, path: Path, holder: subprocess.Popen[bytes]) -> None:
        holder.kill()
        holder.wait()
        with path.open("ab") as file:
            lock(file)

    def test_patience_outlasts_a_holder_that_ends(self, path: Path, holder: subprocess.Popen[bytes]) -> None:
        threading.Timer(0.1, holder.kill).start()
        with path.open("ab") as file:
            lock(file, patience=60)

    def test_closing_the_file_releases_it(self, path: Path) -> None:
        for _ in range(2):
            with path.open("ab") as file:
                lock(file)


class TestTail:
    def test_a_tail_keeps_everything_up_to_the_limit(self) -> None:
        tail = Tail(10)
        for chunk in (b"ab\n", b"cdef\n"):
            tail.add(chunk)
        assert tail.data == b"ab\ncdef\n"
        assert tail.whole_lines == "ab\ncdef"

    def test_a_tail_keeps_the_end_of_more(self) -> None:
        tail = Tail(10)
        for number in range(100):
            tail.add(b"line %d\n" % number)
        assert tail.data == b"8\nline 99\n"
        assert tail.text == "8\nline 99\n"
        assert tail.whole_lines == "line 99"

    def test_a_line_that_begins_just_at_the_limit_may_be_cut_and_is_left_out(self) -> None:
        tail = Tail(4)
        tail.add(b"abcd\n")
        assert tail.data == b"bcd\n"
        assert tail.whole_lines == ""

    def test_of_a_file_it_is_the_last_bytes(self, tmp_path: Path) -> None:
        (tmp_path / "log").write_bytes(b"0123456789\xff")
        assert read_tail(tmp_path / "log", 3) == "89\ufffd"
        assert read_tail(tmp_path / "log") == "0123456789\ufffd"

    def test_of_a_file_that_is_not_there_it_is_empty(self, tmp_path: Path) -> None:
        assert read_tail(tmp_path / "nothing") == ""


MAKES_ONE = """
import sys, time
from pathlib import Path
from pytest_cobbler.files import temporary_directory
with temporary_directory(Path(sys.argv[1])) as directory:
    (directory / "content").write_text("x")
    print(directory, flush=True)
    time.sleep(300)
"""


class TestTemporaryDirectories:
    def test_one_of_a_killed_process_is_removed_and_those_of_living_ones_stay(self, tmp_path: Path) -> None:
        argv = [sys.executable, "-c", MAKES_ONE, str(tmp_path)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            theirs = Path(process.stdout.readline().strip())
            with temporary_directory(tmp_path) as ours:
                remove_dead_directories(tmp_path)
                assert {*tmp_path.iterdir()} == {theirs, ours}
                process.kill()
                os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it stays a zombie
                remove_dead_directories(tmp_path)
                assert {*tmp_path.iterdir()} == {ours}
        assert list(tmp_path.iterdir()) == []

    def test_one_that_is_locked_stays_though_no_process_here_has_its_id(self, tmp_path: Path) -> None:
        """As that of a process in a container that shares the directory."""
        with temporary_directory(tmp_path) as directory:
            elsewhere = tmp_path / directory.name.replace(str(os.getpid()), str(2**22 + 1))
            directory.rename(elsewhere)
            remove_dead_directories(tmp_path)
            assert elsewhere.is_dir()
            elsewhere.rename(directory)

    def test_a_link_and_other_names_are_not_followed(self, tmp_path: Path) -> None:
        content = tmp_path / "mine"
        content.mkdir()
        (content / "file").touch()
        link = tmp_path / f"cobbler-of-{2**22 + 1}-x"
        link.symlink_to(content)
        (tmp_path / "cobbler-of-x").mkdir()
        remove_dead_directories(tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == {"mine", link.name, "cobbler-of-x"}
        assert (content / "file").exists()
