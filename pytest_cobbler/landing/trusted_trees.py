"""The trees whose files say what a gate runs: commits of the user, or that the gate has passed."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pytest_cobbler.repository.blobs import entries_at, entries_in, read_small_blobs
from pytest_cobbler.repository.repository import Repository

__all__ = ["TrustedTrees"]

_LARGEST = 256 << 10
"""Bytes of a file of which the text is read."""


@dataclass(frozen=True)
class TrustedTrees:
    """Paths are the repository's."""

    repository: Repository
    trees: tuple[str, ...]

    def regular(self, paths: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Those of ``paths`` that are regular files, with their modes."""
        wanted = [os.fsencode(path) for path in sorted(set(paths))]
        for tree in self.trees:
            for mode, _, path in entries_at(self.repository.objects, tree, wanted):
                if mode.startswith("100"):
                    yield os.fsdecode(path), mode

    def existing(self, paths: Iterable[str]) -> Iterator[str]:
        """Those of ``paths`` that a tree has, of whatever kind."""
        wanted = [os.fsencode(path) for path in paths]
        for tree in self.trees:
            for _, _, path in entries_at(self.repository.objects, tree, wanted):
                yield os.fsdecode(path)

    def names_in(self, directory: str) -> Iterator[str]:
        """The paths of what a directory holds."""
        for tree in self.trees:
            for name in entries_in(self.repository.objects, tree, directory):
                yield posixpath.join(directory, os.fsdecode(name))

    def texts(self, paths: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Those of ``paths`` that are regular files and not too large, with their texts, in each tree."""
        git = self.repository.objects
        for tree in self.trees:
            entries = list(entries_at(git, tree, map(os.fsencode, paths)))
            blobs = {os.fsdecode(path): blob for mode, blob, path in entries if mode.startswith("100")}
            contents = read_small_blobs(git, blobs.values(), _LARGEST)
            for path, blob in blobs.items():
                yield path, contents.get(blob, b"").decode("utf-8", "replace")
