"""The protocol of a site: where checkouts lie and their jobs run, on this machine or another one.

Checkout, job and harvest belong together: a job needs the files of its checkout, and so does the harvest.
Across the seam go commits, trees, packs and lines. Paths are those that a job sees, or are for people.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox.base import Sandbox

__all__ = ["Place", "Site", "Unreached"]


@dataclass(frozen=True, kw_only=True)
class Unreached:
    """A place of an earlier run on a node that cannot be reached, with the reason.

    ``engine`` is the word of the configuration for that of the node.
    """

    what: str
    node: str
    engine: str
    why: str

    def __str__(self) -> str:
        return f"{self.what} is on node {self.node} of {self.engine}, {self.why}"


class Place(Protocol):
    """One checkout, for one agent. ``parent`` becomes the parent of the harvested commit."""

    @property
    def name(self) -> str: ...

    @property
    def generation(self) -> str:
        """The generation, or another name, whose pins hold the objects of the place."""
        ...

    @property
    def parent(self) -> str: ...

    @property
    def tree_id(self) -> str:
        """The tree that was checked out."""
        ...

    @property
    def purpose(self) -> Mapping[str, str]:
        """What the place is for. A later run reads it if this one is killed."""
        ...

    @property
    def node(self) -> str:
        """The node that has it; empty for this machine."""
        ...

    @property
    def location(self) -> Path:
        """Where the project lies, for people."""
        ...

    @property
    def checkout(self) -> Path:
        """The directory with all files, as jobs see it."""
        ...

    @property
    def directory(self) -> str:
        """The path of the project in ``checkout``."""
        ...

    @property
    def output(self) -> Path:
        """The directory where an agent may leave a file, as jobs see it."""
        ...

    @property
    def home(self) -> Path:
        """The directory for the files of the agent's own program, as jobs see it."""
        ...

    @property
    def sandbox(self) -> Sandbox:
        """Runs jobs in the place: they see its files without a mount."""
        ...

    @property
    def has_files(self) -> bool:
        """Whether the checkout is still there."""
        ...

    def put(self, name: str, content: bytes) -> Path:
        """Give jobs a file that they can read and not change; returns its path as they see it.

        The first name of ``name`` is not the one of anything that jobs write. A script can be run.
        """
        ...

    def take(self, path: str, most: int) -> bytes:
        """The content of a file in ``output`` or ``home``, whose names begin the path. It is not trusted.

        Raises:
            NotTaken: there is no such regular file, links lead to it, or it has more than ``most`` bytes.
        """
        ...

    def find(self, pattern: str) -> str:
        """The path, for ``take``, of the first file by name that a pattern matches; empty: there is none.

        A ``*`` in the pattern is any part of one name. The file is not trusted, nor is its name.
        """
        ...

    def renew_home(self, notes: Mapping[str, str], files: Mapping[str, bytes]) -> None:
        """Add ``notes`` to the purpose, then empty ``home`` except for ``files`` (path -> content)."""
        ...

    def pack(
        self, output: IO[bytes], left_out: Sequence[str], cancellation: Cancellation | None = None
    ) -> None:
        """Write the records and the packs of ``data/harvest.sh`` to ``output``. They are not trusted.

        Args:
            left_out: directories whose new files are not packed.

        Raises:
            HarvestError: the files could not be packed.
            SandboxError: the job could not be run.
        """
        ...

    def keep(self, why: str, *, again: bool = False) -> Path:
        """Move the files aside, because they cannot become objects; returns where they lie, for people.

        Args:
            why: for people.
            again: whether the next run shall try to harvest them.
        """
        ...

    def remove(self) -> None:
        """Remove a place whose work is safe, or that has none."""
        ...


class Site(Protocol):
    """Makes the places of one generation; thread-safe."""

    def open(
        self,
        name: str,
        *,
        parent: str,
        tree: str,
        purpose: Mapping[str, str],
        also: Sequence[str] = (),
        packs_early: bool = True,
    ) -> Place:
        """Check ``tree`` out into a new place.

        Args:
            also: commits that its git can read, whatever else it can.
            packs_early: whether its files may be packed as soon as a job in it has ended.

        Raises:
            RepositoryError: it exists already, or git or the disk failed.
        """
        ...

    def leftovers(self) -> Sequence[Place]:
        """The places that earlier runs left; call ``sweep`` first, so that no job of them works there."""
        ...

    def unreached(self) -> list[Unreached]:
        """The places of earlier runs that cannot be reached; call ``leftovers`` first."""
        ...

    def take_back(self, is_done: Callable[[str], bool]) -> set[str]:
        """Put places back that were moved aside, and whose harvest is to be tried again.

        Call it under the run lock.

        Args:
            is_done: whether a task is done. Its places stay aside.

        Returns:
            the names of those that are back.
        """
        ...

    def release_pins(self) -> None:
        """Release the objects of places that are gone, and those that a dead run was landing."""
        ...

    def sweep(self) -> list[str]:
        """End the jobs of other runs on this repository, assuming that they are dead; returns the names."""
        ...

    def close(self) -> None:
        """Remove the directory of the places if it is empty."""
        ...
