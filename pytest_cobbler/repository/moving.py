"""Moving references of the user's repository, each by compare-and-swap, through the door for git."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from pathlib import Path

from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.process import Completion
from pytest_cobbler.repository.git import Git
from pytest_cobbler.repository.reading import Reading
from pytest_cobbler.repository.stale_locks import remove_if_stale

ZERO = ""
"""The old value of a ref that must not exist. (git's zeros would be forty or sixty-four, by the format.)"""

_SHARED = ("packed-refs.lock", "packed-refs.new", "HEAD.lock", "reftable/*.lock")
"""Files in the git directory that git makes to change any reference, and removes again."""


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
        completion = self._update(moves, commands, "-m", reason)
        if completion.ok:
            return True
        if any(self.read_ref(ref) != (old or None) for ref, (old, _) in moves.items()):
            return False
        raise self._failure("move", moves, completion)

    def set_ref(self, ref: str, new: str) -> None:
        """Point a ref that only this package writes at ``new``."""
        self.set_refs({ref: new})

    def set_refs(self, values: Mapping[str, str]) -> None:
        """Point refs that only this package writes at these objects, all or none.

        Raises:
            RepositoryError: git could not do it.
        """
        commands = "".join(f"update {ref}\0{new}\0\0" for ref, new in values.items())
        if not (completion := self._update(values, commands)).ok:
            raise self._failure("set", values, completion)

    def drop_refs(self, refs: Collection[str]) -> None:
        """Delete refs that only this package writes, whatever their values are, all or none.

        Raises:
            RepositoryError: git could not do it.
        """
        if refs:
            commands = "".join(f"delete {ref}\0\0" for ref in refs)
            if not (completion := self._update(refs, commands, "--no-deref")).ok:
                raise self._failure("delete", refs, completion)

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
            completion = self._update(unmoved, commands, "--no-deref")
            if completion.ok:
                break
            before, values = values, self._values(refs)
            if values == before:
                raise self._failure("delete", unmoved, completion)
        return tuple(ref for ref, old in refs.items() if values.get(ref, old) != old)

    def _values(self, refs: Collection[str]) -> dict[str, str]:
        """Ref -> object id of those that exist."""
        return self.list_refs(*refs) if refs else {}

    def _update(self, refs: Collection[str], commands: str, *options: str) -> Completion:
        """Carry out commands of ``git update-ref``; once more if a lock of a dead process was in the way."""
        locks = [f"{ref}.lock" for ref in refs]
        words, stdin = ("update-ref", *options, "-z", "--stdin"), os.fsencode(commands)
        try:
            completion = self.refs.run(*words, stdin=stdin, accepted=(0, 1, 128))
        except RepositoryError:  # it was killed, and its locks would be in the way of all that follow
            self.remove_stale_locks(*locks)
            raise
        if not completion.ok and self.remove_stale_locks(*locks):
            completion = self.refs.run(*words, stdin=stdin, accepted=(0, 1, 128))
        return completion

    def _failure(self, what: str, refs: Collection[str], completion: Completion) -> RepositoryError:
        locks = " ".join(map(str, self._locks(*(f"{ref}.lock" for ref in refs))))
        remedy = f"If no git command is running: rm {locks}" if locks else ""
        return RepositoryError(f"git could not {what} {', '.join(refs)}", remedy, completion.errors)

    def remove_stale_locks(self, *patterns: str) -> list[str]:
        """Remove lock files that a killed git left, unless they go by themselves; a line for each.

        Call it under the run lock.

        Args:
            patterns: of paths in the git directory, beside the locks that are not those of one reference.
        """
        return [
            f"removed {lock}, which a killed git had left"
            for lock in self._locks(*patterns)
            if remove_if_stale(lock, [self.common_dir, self.root, *self._checkouts()])
        ]

    def _locks(self, *patterns: str) -> list[Path]:
        found = (path for pattern in (*_SHARED, *patterns) for path in sorted(self.common_dir.glob(pattern)))
        return list(dict.fromkeys(found))

    def _checkouts(self) -> Iterator[Path]:
        """The main checkout and the other ones that git knows."""
        yield self.common_dir.parent
        for file in self.common_dir.glob("worktrees/*/gitdir"):
            yield Path(os.fsdecode(file.read_bytes().strip())).parent
