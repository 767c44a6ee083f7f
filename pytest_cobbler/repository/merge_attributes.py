"""How the attributes of a tree (gitattributes(5)) say to merge files, for git's own drivers only.

The directory in which git merges objects has no work tree, so git reads no ``.gitattributes`` there. Git
itself is asked what those of a tree say about the files that both sides changed; the answer becomes a file
``info/attributes`` with one line for each file. A driver that a configuration defines is not in that file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from pytest_cobbler.files import temporary_directory
from pytest_cobbler.repository.blobs import entries_at
from pytest_cobbler.repository.git import Git

_NAME = b".gitattributes"
_DRIVERS = {b"unset": b"-merge", b"binary": b"merge=binary", b"union": b"merge=union"}
"""The values with which git does not merge line by line, and how to write them."""

_SPECIAL = re.compile(rb"[\\*?\[]")
_QUOTED = re.compile(rb'[\\"\x00-\x1f\x7f]')


def merge_attributes(git: Git, trees: Sequence[str], paths: Sequence[bytes]) -> dict[bytes, bytes]:
    """The lines of ``info/attributes`` for a merge of ``paths``, by path; none for the usual merge.

    Args:
        trees: trees or commits with ``.gitattributes`` files. What the first says about a file counts; where
            it says nothing, the next.
    """
    lines: dict[bytes, bytes] = {}
    unspecified = list(dict.fromkeys(paths))
    for tree in trees:
        values = _values(git, tree, unspecified)
        lines |= {path: _line(path, _DRIVERS[value]) for path, value in values.items() if value in _DRIVERS}
        unspecified = [path for path in unspecified if path not in values]
    return lines


def _values(git: Git, tree: str, paths: Sequence[bytes]) -> dict[bytes, bytes]:
    """Path -> value of ``merge``, for those of ``paths`` for which ``tree`` specifies it."""
    directories = {
        os.fsencode(parent) for path in paths for parent in PurePosixPath(os.fsdecode(path)).parents
    }
    places = sorted(_NAME if name == b"." else name + b"/" + _NAME for name in directories)
    entries = [
        f"{mode} {blob}\t".encode() + path + b"\0"
        for mode, blob, path in entries_at(git, tree, places)
        if mode.startswith("100")  # git follows no link there
    ]
    if not entries:
        return {}
    with temporary_directory() as directory:
        indexed = git.using(index=directory / "index")
        indexed.run("update-index", "-z", "--index-info", stdin=b"".join(entries))
        fields = indexed.fields(
            "check-attr", "--cached", "-z", "--stdin", "merge", stdin=b"".join(path + b"\0" for path in paths)
        )
    found = zip(fields[::3], fields[2::3], strict=True)
    return {path: value for path, value in found if value != b"unspecified"}


def _line(path: bytes, attribute: bytes) -> bytes:
    """A line for exactly this file: its path from the top, as a pattern in quotation marks."""
    pattern = b"/" + _SPECIAL.sub(rb"\\\g<0>", path)
    quoted = _QUOTED.sub(lambda match: b"\\%03o" % match[0][0], pattern)
    return b'"' + quoted + b'" ' + attribute + b"\n"
