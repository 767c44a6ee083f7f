"""Files that outlive their pod: an archive in the coordinator's work directory."""

from __future__ import annotations

import contextlib
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, cast

from pytest_cobbler.errors import SandboxError
from pytest_cobbler.repository.worktrees import REASON, Worktree, write_facts
from pytest_cobbler.sites.records import PlaceRecord

__all__ = ["FILES", "keep_archive", "write_archive"]

FILES = "files.tar"


def write_archive(worktree: Worktree, output: Any) -> None:
    """Write the files of a worktree, and its git, as a tar archive. What cannot be read is left out.

    Args:
        output: has ``write``.
    """
    # The agent's processes have ended; it may have made anything, but nothing changes meanwhile.
    with tarfile.open(fileobj=cast("IO[bytes]", output), mode="w|") as archive:
        for top in (worktree.tree, worktree.git):
            _add(archive, top, top.name)


def _add(archive: tarfile.TarFile, path: Path, name: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        member = archive.gettarinfo(path, name)
        if member.isreg():
            with path.open("rb") as content:
                archive.addfile(member, content)
        else:
            archive.addfile(member)
        if member.isdir():
            for one in sorted(os.listdir(path)):  # noqa: PTH208
                _add(archive, path / one, f"{name}/{one}")


def keep_archive(directory: Path, record: PlaceRecord, why: str, fetch: Callable[[IO[bytes]], None]) -> Path:
    """Keep the archive that ``fetch`` writes as a worktree is kept that was moved aside to ``directory``.

    Raises:
        SandboxError: it could not be fetched, or the disk failed.
    """
    number = 1
    try:
        while True:
            target = directory / f"{record.name}.{number}"
            with contextlib.suppress(FileExistsError):
                target.mkdir(parents=True, mode=0o700)
                break
            number += 1
        with (target / FILES).open("wb") as output:
            fetch(output)
        write_facts(
            Worktree(
                directory=target,
                name=record.name,
                parent=record.parent,
                tree_id=record.tree_id,
                purpose=dict(record.purpose),
            )
        )
        (target / REASON).write_text(json.dumps({"why": why, "again": False}), "utf-8")
    except OSError as error:
        raise SandboxError(f"cannot keep the files of {record.name}: {error.strerror}") from error
    return target / FILES
