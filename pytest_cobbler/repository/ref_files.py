"""References read from git's own files (gitrepository-layout(5)), which takes no process.

Whatever is not plain is left to git: symbolic references, broken ones, and repositories with reftable.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

__all__ = ["read_head_file", "read_ref_files"]

_SHARED = ("refs/heads/", "refs/tags/", "refs/notes/", "refs/cobbler/")
"""Other references may belong to one worktree alone."""
_PLAIN = re.compile(r"\w[\w+=@,-]*(?:\.[\w+=@,-]+)*(?:/\w[\w+=@,-]*(?:\.[\w+=@,-]+)*)*")
"""Names that are surely valid by git-check-ref-format(1). It refuses dots at either end of a part."""
_OBJECT_ID = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64})\n?")
_PACKED = re.compile(rb"(?:(?:[#^].*|(?:[0-9a-f]{40}|[0-9a-f]{64}) .+)?\n)*")
"""The whole of ``packed-refs``: comments, references, and what annotated tags name."""


class _NotPlain(Exception):
    """Git itself has to read the references."""


def read_ref_files(common_dir: Path, names: tuple[str, ...]) -> dict[str, str] | None:
    """Ref -> object id of the references ``names`` and those below them, sorted.

    Args:
        common_dir: the git directory that all worktrees share.

    Returns:
        ``None`` if git itself has to read them.
    """
    if not names or not all(f"{name}/".startswith(_SHARED) and _PLAIN.fullmatch(name) for name in names):
        return None
    if (common_dir / "reftable").exists():
        return None
    try:
        # In this order: `git pack-refs` writes a reference there before it removes the loose one.
        loose = {ref: value for name in names for ref, value in _loose(common_dir, name)}
        # Nothing is below a reference, so there is no more to find if each name is a loose one.
        packed = {} if loose.keys() >= set(names) else dict(_packed(common_dir, names))
    except (_NotPlain, OSError):
        return None
    every = packed | loose
    # Files with other names may not be references: for example those of a program that copies directories.
    return dict(sorted(every.items())) if all(map(_PLAIN.fullmatch, every)) else None


def read_head_file(git_dir: Path) -> str | None:
    """The branch that HEAD names, as a ref; ``None`` if git itself has to read it, or HEAD names none."""
    try:
        kind, _, ref = (git_dir / "HEAD").read_text("utf-8", "surrogateescape").partition(" ")
    except OSError:
        return None
    ref = ref.strip()
    is_branch = kind == "ref:" and ref.startswith("refs/heads/") and _PLAIN.fullmatch(ref)
    return ref if is_branch and not (git_dir / "reftable").exists() else None


def _loose(common_dir: Path, name: str) -> Iterator[tuple[str, str]]:
    place = common_dir / name
    if not place.is_dir():
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            yield name, _value(place)
        return
    for directory, _, files in os.walk(place, onerror=_leave_to_git):
        for file in files:
            path = Path(directory, file)
            with contextlib.suppress(FileNotFoundError):  # it was deleted or packed meanwhile
                if not file.endswith(".lock"):
                    yield path.relative_to(common_dir).as_posix(), _value(path)


def _leave_to_git(error: OSError) -> NoReturn:
    raise _NotPlain from error


def _value(path: Path) -> str:
    found = _OBJECT_ID.fullmatch(path.read_bytes())
    if not found or not found[1].strip(b"0"):
        raise _NotPlain
    return found[1].decode()


def _packed(common_dir: Path, names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    try:
        content = (common_dir / "packed-refs").read_bytes()
    except FileNotFoundError:
        return
    if not _PACKED.fullmatch(content):
        raise _NotPlain
    wanted = b"|".join(re.escape(os.fsencode(name)) for name in names)
    for found in re.finditer(rb"^([0-9a-f]+) ((?:%s)(?:/.*)?)$" % wanted, content, re.MULTILINE):
        yield os.fsdecode(found[2]), found[1].decode()
