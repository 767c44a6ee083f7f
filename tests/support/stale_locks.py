"""A git that holds the locks of a change of references, and is killed there."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

__all__ = ["git_with_locks", "killed_git"]


@contextlib.contextmanager
def git_with_locks(
    git_dir: Path | None, *commands: str, where: Path | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A ``git update-ref`` that has prepared ``commands``, and neither commits nor aborts them.

    At the end it is killed, and leaves its locks.
    """
    place = [f"--git-dir={git_dir}"] if git_dir else []
    words = ["git", *place, "update-ref", "--stdin"]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True, cwd=where or "/") as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write("".join(f"{command}\n" for command in ("start", *commands, "prepare")))
        process.stdin.flush()
        assert [process.stdout.readline() for _ in range(2)] == ["start: ok\n", "prepare: ok\n"]
        try:
            yield process
        finally:
            process.kill()


def killed_git(git_dir: Path, *commands: str) -> None:
    """What a git leaves that was killed while it held the locks that ``commands`` need."""
    with git_with_locks(git_dir, *commands):
        pass
