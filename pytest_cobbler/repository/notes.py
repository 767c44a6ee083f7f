"""Git notes on landed commits, made of objects alone: the ref moves together with the branch."""

from __future__ import annotations

import os

from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.repository.blobs import DIRECTORY, all_entries, entries_at, entries_of, read_small_blobs
from pytest_cobbler.repository.identity import Identity
from pytest_cobbler.repository.object_writer import tree_content
from pytest_cobbler.repository.repository import Repository

NOTES = "refs/notes/cobbler"
"""``git notes --ref=cobbler show COMMIT`` prints the note of a commit."""


def add_note(repository: Repository, notes: str, commit: str, content: bytes, identity: Identity) -> str:
    """The commit of notes ``notes`` (empty: none yet) with one more note; no ref moves.

    The note lies in a directory named by the first two digits of the commit, as git itself files many notes.
    So the cost of a note does not grow with their number.
    """
    git = repository.objects
    directory, name = commit[:2].encode(), commit[2:].encode()
    above = entries_of(git, notes) if notes else {}
    mode, held = above.get(directory, ("", ""))
    below = entries_of(git, held) if mode == DIRECTORY else {}
    below[name] = ("100644", git.writer.write("blob", content))
    above[directory] = (DIRECTORY, git.writer.write("tree", tree_content(below)))
    tree = git.writer.write("tree", tree_content(above))
    message = f"Notes added by 'pytest --cobbler' for {commit}\n"
    return repository.commit(tree, [notes] if notes else [], message, identity)


def noted(repository: Repository) -> set[str]:
    """The objects that have notes."""
    notes = repository.read_ref(NOTES)
    paths = [path for _, _, path in all_entries(repository.objects, notes)] if notes else []
    return {os.fsdecode(path).replace("/", "") for path in paths}


def read_note(repository: Repository, commit: str, largest: int) -> bytes | None:
    """The note of a commit, or ``None``. ``commit`` is a full object id.

    Raises:
        RepositoryError: the note has more than ``largest`` bytes.
    """
    notes = repository.read_ref(NOTES)
    if notes is None:
        return None
    # Git files few notes at the top, many in directories, and changes to the other way by itself.
    paths = ["/".join((*_pairs(commit, depth), commit[2 * depth :])).encode() for depth in range(3)]
    blobs = [blob for mode, blob, _ in entries_at(repository.objects, notes, paths) if mode.startswith("100")]
    if not blobs:
        return None
    contents = read_small_blobs(repository.objects, blobs[:1], largest)
    if not contents:
        raise RepositoryError(f"the note of {commit[:12]} has more than {largest} bytes")
    return contents[blobs[0]]


def _pairs(commit: str, depth: int) -> list[str]:
    return [commit[at : at + 2] for at in range(0, 2 * depth, 2)]
