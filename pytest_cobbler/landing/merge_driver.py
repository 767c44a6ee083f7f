"""``merge_driver``: a program of the user's merges files that git cannot, in a job of its own.

Agents wrote what it reads, so it runs where their code runs: without a network, and on copies. What it makes
of a file is checked and tested as any other change.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pytest_cobbler.display import shown_path
from pytest_cobbler.files import temporary_directory
from pytest_cobbler.landing.gate import Gate
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.blobs import read_blob
from pytest_cobbler.repository.conflicts import Conflict, tree_with
from pytest_cobbler.repository.landing import Merge
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sandbox.base import Job, Limits, Mount, Network
from pytest_cobbler.sandbox.own_programs import mounts_of_programs, path_of_programs

__all__ = ["MergeDriver"]

MOST_FILES: Final = 100
"""A merge with more conflicts is left to the agent."""

_SECONDS: Final = 120.0
_MARKER: Final = "7"
"""Characters of a conflict marker, as in git."""
_RESULT: Final = "result"
_FAILED: Final = b"failed: "
"""Stands in front of the exit status of a command that failed, behind the contents that others have made."""
_SIDES: Final = ("base", "ours", "theirs")


@dataclass(frozen=True, kw_only=True)
class MergeDriver:
    """Merges what git cannot, with ``gate.merge_driver``: the words of a command as in gitattributes(5).

    ``%O``, ``%A`` and ``%B`` are files with the base, ours and theirs, ``%P`` is the path, ``%L`` the size of
    the conflict markers. The command leaves the merged file in ``%A`` and exits with 0; with anything else,
    the conflict stays. Without a command, every conflict stays.
    """

    gate: Gate
    cancellation: Cancellation

    def settle(self, repository: Repository, merged: Merge) -> Merge:
        """``merged`` without its conflicts, if the program settles all of them; else with the reason.

        Raises:
            SandboxError: the job could not be run.
        """
        if not self.gate.merge_driver:
            return merged
        conflicts = merged.settleable
        if not conflicts or len(conflicts) != len(merged.conflicts) or len(conflicts) > MOST_FILES:
            return merged
        with temporary_directory(repository.work_dir) as directory:
            place = directory / "merge"
            self._write(repository, conflicts, place)
            completed = self.gate.sandbox.run(self._job(conflicts, place), self.cancellation)
        contents = list(_contents(completed.collected or b"")) if completed.ok else []
        if len(contents) != len(conflicts):
            _, mark, status = (completed.collected or b"").rpartition(b"\n" + _FAILED)
            how = f" (exit {status.decode()})" if mark and status.isdigit() and len(status) < 4 else ""
            path = shown_path(conflicts[len(contents)].path)
            return replace(merged, unsettled=f"merge_driver did not merge {path}{how}")
        blobs = {
            conflict.path: repository.objects.text("hash-object", "-w", "--stdin", stdin=content)
            for conflict, content in zip(conflicts, contents, strict=True)
        }
        tree = tree_with(repository, merged.tree, conflicts, blobs)
        return replace(merged, tree=tree, conflicts=(), settleable=(), messages="", settled=merged.conflicts)

    def _write(self, repository: Repository, conflicts: Sequence[Conflict], place: Path) -> None:
        place.mkdir()
        owner = self.gate.sandbox.owner
        for number, conflict in enumerate(conflicts):
            side = place / str(number)
            side.mkdir()
            for name in _SIDES:
                (side / name).write_bytes(read_blob(repository.objects, getattr(conflict, name)))
        for path in (place, *place.rglob("*")):
            path.chmod(0o755 if stat.S_ISDIR(path.stat().st_mode) else 0o644)
            if owner:
                os.chown(path, *owner)

    def _job(self, conflicts: Sequence[Conflict], place: Path) -> Job:
        return Job(
            name="merge",
            argv=("sh", "-s"),
            stdin=os.fsencode("\n".join(self._script(conflicts))),
            workdir=str(place),
            environment=dict(self.gate.environment),
            mounts=(
                Mount(source=place, target=str(place), mode="overlay"),
                *mounts_of_programs(self.gate.sandbox),
            ),
            network=Network.NONE,
            limits=Limits(wall=_SECONDS),
            image=self.gate.image,
            arguments=self.gate.arguments,
            collect=_RESULT,
        )

    def _script(self, conflicts: Sequence[Conflict]) -> Iterator[str]:
        """A command for each file, up to the first that fails; then its size in a line, and its content."""
        if setting := path_of_programs(self.gate.sandbox):
            yield setting
        yield f": >{_RESULT}"
        for number, conflict in enumerate(conflicts):
            values = {
                **{f"%{letter}": f"{number}/{name}" for letter, name in zip("OAB", _SIDES, strict=True)},
                "%P": os.fsdecode(conflict.path),
                "%L": _MARKER,
            }
            words = [_filled(word, values) for word in self.gate.merge_driver]
            failed = f"printf '\\n%s%s' {shlex.quote(_FAILED.decode())} $? >>{_RESULT}"
            yield f"{shlex.join(words)} </dev/null >/dev/null 2>&1 || {{ {failed}; exit 0; }}"
            yield f"wc -c <{number}/ours >>{_RESULT} && cat {number}/ours >>{_RESULT} || exit 0"


def _filled(word: str, values: dict[str, str]) -> str:
    """``word`` with its placeholders filled; what a value holds is not looked at again."""
    parts = word.split("%")
    filled = parts[:1]
    for part in parts[1:]:
        name = f"%{part[:1]}"
        filled.append(values[name] + part[1:] if name in values else f"%{part}")
    return "".join(filled)


def _contents(result: bytes) -> Iterator[bytes]:
    """What a job left: each content behind a line with its size. A part that is cut off is left out."""
    while result:
        size, newline, rest = result.partition(b"\n")
        if not newline or not size.strip().isdigit() or len(rest) < int(size):
            return
        yield rest[: int(size)]
        result = rest[int(size) :]
