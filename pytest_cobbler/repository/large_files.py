"""Files that a repository keeps outside of git (https://git-lfs.com): what git itself has is a pointer.

No filter takes part in a checkout or a harvest, so agents see the pointers and what they write is taken as it
is. Content in the place of a pointer would be in the history for ever, and git-lfs would complain of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytest_cobbler.files import temporary_directory
from pytest_cobbler.repository.blobs import DIRECTORY, entries_at, read_small_blobs
from pytest_cobbler.repository.git import Git

POINTER = b"version https://git-lfs.github.com/spec/"
"""What a pointer begins with, by the specification of git-lfs."""

_NAME = b".gitattributes"
_FILTER = b"filter=lfs"
_LARGEST = 100 << 20
"""Bytes of a file with attributes that git reads."""


def kept_outside(git: Git, tree: str, paths: Sequence[bytes]) -> set[bytes]:
    """Those of ``paths`` that the attributes in ``tree`` give to git-lfs."""
    if not any(_FILTER in content for content in _attributes(git, tree, paths)):
        return set()
    with temporary_directory() as directory:
        indexed = git.using(index=directory / "index")
        indexed.run("read-tree", tree)
        fields = indexed.fields(
            "check-attr", "--cached", "-z", "--stdin", "filter", stdin=b"\0".join(paths) + b"\0"
        )
    return {path for path, value in zip(fields[::3], fields[2::3], strict=True) if value == b"lfs"}


def _attributes(git: Git, tree: str, paths: Sequence[bytes]) -> Iterable[bytes]:
    """The content of each file with attributes in the directories above ``paths``."""
    directories = {path[:at] for path in paths for at in _slashes(path)}
    places = (directory + _NAME for directory in directories)
    blobs = [blob for mode, blob, _ in entries_at(git, tree, places) if mode != DIRECTORY]
    return read_small_blobs(git, blobs, _LARGEST).values()


def _slashes(path: bytes) -> list[int]:
    """Where the names of directories above ``path`` end, that of the top included."""
    return [0, *(at + 1 for at, byte in enumerate(path) if byte == ord("/"))]
