"""Which new paths a tree's own ``.gitignore`` files ignore, by git itself.

The rules come from trees that the user or the landing lane made, and not from the files of an agent,
who may have changed them. git reads rules from a work tree, so a temporary one gets a copy of them alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from pytest_cobbler.files import temporary_directory
from pytest_cobbler.repository.blobs import DIRECTORY, entries_at, read_small_blobs
from pytest_cobbler.repository.git import Git

_NAME = b".gitignore"
_HERE = b"./"
"""Before a path that begins with a colon, which git would read as a pattern."""
_LARGEST = 16 << 20


def ignored(git: Git, tree: str, paths: Sequence[bytes]) -> set[bytes]:
    """Those of ``paths`` that ``tree`` does not hold and its rules ignore."""
    rules = dict(_rules(git, tree, paths))
    if not rules:
        return set()
    with temporary_directory() as directory:
        work_tree = directory / "tree"
        contents = read_small_blobs(git, rules.values(), _LARGEST)
        for path, blob in rules.items():
            place = work_tree / os.fsdecode(path)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(contents.get(blob, b""))
        answer = git.using(index=Path(directory, "index"), work_tree=work_tree).run(
            *("check-ignore", "-z", "--stdin", "--no-index"),
            stdin=b"".join(_HERE + path + b"\0" for path in paths),
            accepted=(0, 1),
        )
    found = {path.removeprefix(_HERE) for path in answer.stdout.split(b"\0")[:-1]}
    return found - {path for mode, _, path in entries_at(git, tree, found) if mode != DIRECTORY}


def _rules(git: Git, tree: str, paths: Sequence[bytes]) -> Iterator[tuple[bytes, str]]:
    """Path and blob of each ``.gitignore`` in a directory above one of ``paths``; links are not followed."""
    directories = {
        os.fsencode(parent) for path in paths for parent in PurePosixPath(os.fsdecode(path)).parents
    }
    places = sorted(_NAME if name == b"." else name + b"/" + _NAME for name in directories)
    return ((path, blob) for mode, blob, path in entries_at(git, tree, places) if mode.startswith("100"))
