"""Conflict markers that our own merges left in the files of an attempt, searched in the files themselves.

An attempt may go on from one that did not clear them, in the same run or in one that knows nothing of the
merge. ``git merge-tree`` puts the ids of the two commits behind them, so no other rows of signs are meant.
"""

from __future__ import annotations

from pytest_cobbler.display import shown_path
from pytest_cobbler.repository.changes import read_change
from pytest_cobbler.repository.git import Git

# After the id a path, where the sides have different ones; a carriage return as such: grep names none.
_OURS = "^(<{7}|>{7}) ([0-9a-f]{40}|[0-9a-f]{64})(:.*)?\r?$"
_MOST_PATHS = 500
"""More are not named on a command line."""


def marked_files(git: Git, old: str, new: str) -> tuple[str, ...]:
    """Files that differ between two commits or trees and in the second have markers of ours."""
    paths = [entry.path for entry in read_change(git, old, new).entries if entry.status != "D"]
    if not paths:
        return ()
    named = paths if len(paths) <= _MOST_PATHS else []
    options = ("--files-with-matches", "-z", "--text", "-E", "-e", _OURS)
    grep = git.run("--literal-pathspecs", "grep", *options, new, "--", *named, accepted=(0, 1))
    matches = grep.stdout.split(b"\0")[:-1]
    prefix = f"{new}:".encode()
    return tuple(
        shown_path(path) for path in sorted({name.removeprefix(prefix) for name in matches} & set(paths))
    )
