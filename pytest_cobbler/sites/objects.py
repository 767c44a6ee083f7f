"""Objects that travel to a node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, Final

from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sites.frames import Flow

__all__ = ["feed", "write_pack"]

_CHUNK: Final = 256 * 1024
_WHAT: Final = {"commit": ("", "^{tree}"), "tree": ("",)}
"""What a node has that knows an object, by the kind of the object."""


def write_pack(repository: Repository, wanted: Sequence[str], known: Sequence[str], pack: IO[bytes]) -> None:
    """Write a thin pack of ``wanted``, without what a node has that knows ``known`` commits and trees."""
    git = repository.objects
    asked = "".join(f"{one}\n" for one in known).encode()
    lines = git.run("cat-file", "--batch-check", stdin=asked).text.splitlines() if known else []
    kinds = {words[0]: words[1] for words in map(str.split, lines) if words[1:2] != ["missing"]}
    there = [f"^{one}{what}" for one, kind in kinds.items() for what in _WHAT.get(kind, ())]
    revisions = "".join(f"{one}\n" for one in (*wanted, *there)).encode()
    words = ("pack-objects", "--revs", "--thin", "--stdout", "--quiet", "--delta-base-offset")
    git.run(*words, stdin=revisions, stdout=pack)


def feed(flow: Flow, pack: IO[bytes]) -> None:
    """Send a pack, if it has any objects."""
    pack.seek(0)
    if int.from_bytes(pack.read(12)[8:]):
        pack.seek(0)
        while data := pack.read(_CHUNK):
            flow.write(data)
    flow.finish()
