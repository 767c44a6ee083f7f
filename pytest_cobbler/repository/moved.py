"""Work of this repository below an old name: its work directory is named after the path of the repository."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.files import write_atomically
from pytest_cobbler.repository.directories import remove_tree
from pytest_cobbler.repository.forsaken import is_made_again
from pytest_cobbler.repository.objects import OWN_ID, PLACE
from pytest_cobbler.repository.own_id import own_id
from pytest_cobbler.repository.repository import Repository


def take_over_work(repository: Repository) -> list[str]:
    """Move what an earlier place of this repository has into its work directory; a line for each place.

    Call it under the run lock.

    Raises:
        RepositoryError: a directory cannot be moved or written.
    """
    repository.make_work_dir()
    name, here = own_id(repository.common_dir), repository.work_dir
    lines = []
    try:
        for place in _places(here.parent):
            if place != here and _is_ours(place, name, repository.common_dir):
                for entry in place.iterdir():
                    if not is_made_again(entry.name):
                        _merge(entry, here / entry.name)
                lines.append(f"moved the work of this repository from {place}")
                if all(is_made_again(entry.name) for entry in place.iterdir()):
                    remove_tree(place)
        if _read(here / OWN_ID) != name.encode():
            write_atomically(here / OWN_ID, name.encode())
    except OSError as error:
        raise RepositoryError(f"cannot take over the work in {here.parent}: {error}") from error
    return lines


def _places(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except PermissionError:  # others' work directories are there too, and may not be listed
        return []


def _is_ours(place: Path, name: str, common_dir: Path) -> bool:
    """Whether a work directory is of the repository with this id, which is no longer at the old path."""
    if place.is_symlink() or _read(place / OWN_ID) != name.encode():
        return False
    old = Path(os.fsdecode(_read(place / PLACE)))
    try:
        return old.samefile(common_dir)
    except OSError:
        return True


def _merge(old: Path, new: Path) -> None:
    """Move a file or directory; what is there already stays, and so does the old one beside it."""
    if not os.path.lexists(new):
        old.rename(new)
    elif old.is_dir() and new.is_dir() and not old.is_symlink() and not new.is_symlink():
        for entry in old.iterdir():
            _merge(entry, new / entry.name)
        with contextlib.suppress(OSError):
            old.rmdir()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
