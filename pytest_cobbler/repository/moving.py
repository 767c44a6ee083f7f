"""Moving references of the user's repository, each by compare-and-swap, through the door for git."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path

from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.repository.git import Git
from pytest_cobbler.repository.reading import Reading

ZERO = ""
"""The old value of a ref that must not exist. (git's zeros would be forty or sixty-four, by the format.)"""

STALE = 5.0
"""Seconds without a change after which git's lock file on one of our refs belongs to a dead process."""


class Moving(Reading):
    """The references of a repository, to move."""

    @cached_property
    def refs(self) -> Git:
        """git on the repository's own git directory, to move references and for nothing else."""
        return Git(self.common_dir)

    def move_ref(self, ref: str, new: str, old: str, reason: str) -> bool:
        """Compare-and-swap of one ref (``old`` may be ``ZERO``); False if another process moved it."""
        return self.move_refs({ref: (old, new)}, reason)

    def move_refs(self, moves: Mapping[str, tuple[str, str]], reason: str) -> bool:
        """Compare-and-swap of several refs: all move, or none.

        Args:
            moves: ref -> the object id that it must have (``ZERO``: it must not exist), and its new one.

        Returns:
            False if another process moved one of them.

        Raises:
            RepositoryError: git could not move them.
        """
        commands = "".join(
            f"update {ref}\0{new}\0{old}\0" if old else f"create {ref}\0{new}\0"
            for ref, (old, new) in moves.items()
        )
        completion = self.refs.run(
            "update-ref", "-m", reason, "-z", "--stdin", stdin=os.fsencode(commands), accepted=(0, 1, 128)
        )
        if completion.ok:
            return True
        if any(self.read_ref(ref) != (old or None) for ref, (old, _) in moves.items()):
            return False
        raise RepositoryError(
            f"git could not move {', '.join(moves)}",
            f"If no git command is running, remove {' and '.join(str(self._lock_of(ref)) for ref in moves)}",
            completion.errors,
        )

    def set_ref(self, ref: str, new: str) -> None:
        """Point a ref that only this package writes at ``new``."""
        self.set_refs({ref: new})

    def set_refs(self, values: Mapping[str, str]) -> None:
        """Point refs that only this package writes at these objects, all or none."""
        commands = "".join(f"update {ref}\0{new}\0\0" for ref, new in values.items())
        self.refs.run("update-ref", "-z", "--stdin", stdin=os.fsencode(commands))

    def drop_refs(self, refs: Collection[str]) -> None:
        """Delete refs that only this package writes, whatever their values are, all or none."""
        if refs:
            commands = "".join(f"delete {ref}\0\0" for ref in refs)
            self.refs.run("update-ref", "--no-deref", "-z", "--stdin", stdin=os.fsencode(commands))

    def delete_refs(self, refs: Mapping[str, str]) -> tuple[str, ...]:
        """Delete refs that still have these values, in one transaction.

        Args:
            refs: name -> the object id that it must have.

        Returns:
            the names of those that another process moved: they stay.

        Raises:
            RepositoryError: git could not delete them.
        """
        values = self._values(refs)
        while unmoved := {ref: old for ref, old in refs.items() if values.get(ref) == old}:
            commands = "".join(f"delete {ref}\0{old}\0" for ref, old in unmoved.items())
            completion = self.refs.run(
                "update-ref", "--no-deref", "-z", "--stdin", stdin=os.fsencode(commands), accepted=(0, 1, 128)
            )
            if completion.ok:
                break
            before, values = values, self._values(refs)
            if values == before:
                raise RepositoryError(
                    f"git could not delete {', '.join(unmoved)}",
                    "If no git command is running, remove "
                    + ", ".join(str(lock) for ref in unmoved if (lock := self._lock_of(ref)).exists()),
                    completion.errors,
                )
        return tuple(ref for ref, old in refs.items() if values.get(ref, old) != old)

    def _values(self, refs: Collection[str]) -> dict[str, str]:
        """Ref -> object id of those that exist."""
        return self.list_refs(*refs) if refs else {}

    def remove_stale_lock(self, ref: str) -> None:
        """Remove git's lock file on a ref that only we move, unless it goes by itself.

        Call it under the run lock.
        """
        path = self._lock_of(ref)
        with contextlib.suppress(FileNotFoundError):
            first = path.stat()
            time.sleep(min(STALE, max(0.0, STALE - (time.time() - first.st_mtime))))
            now = path.stat()
            if (now.st_ino, now.st_mtime_ns) == (first.st_ino, first.st_mtime_ns):
                path.unlink()

    def _lock_of(self, ref: str) -> Path:
        return self.common_dir / f"{ref}.lock"
