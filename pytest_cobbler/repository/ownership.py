"""The owner of the files that root writes in another user's repository."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path


@contextlib.contextmanager
def given_back(common_dir: Path, others: Iterable[Path]) -> Iterator[None]:
    """On exit, give root's files in the git directory and in ``others`` to the owner of the git directory.

    Otherwise the owner's git could not write beside root's objects and refs. The next run gives back the
    files that a killed run left. Links are not followed.
    """
    try:
        yield
    finally:
        status = common_dir.stat()
        if os.geteuid() == 0 and status.st_uid != 0:
            for directory in (common_dir, *others):
                _give(directory, status.st_uid, status.st_gid)


def _give(directory: Path, uid: int, gid: int) -> None:
    for path in (directory, *directory.rglob("*")):
        with contextlib.suppress(FileNotFoundError):
            if path.lstat().st_uid == 0:
                os.chown(path, uid, gid, follow_symlinks=False)
