"""Trees made of objects alone: another tree with other files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_cobbler.repository.repository import Repository

OF_A_MOMENT = ("edit-", "patch-")
"""Beginnings of the names of temporary directories below ``work_dir``."""


def edited_tree(repository: Repository, tree: str, remove: Sequence[str], write: Mapping[str, bytes]) -> str:
    """``tree`` without the paths ``remove`` of the project, and with the files ``write``."""
    if not remove and not write:
        return tree
    with tempfile.TemporaryDirectory(prefix="edit-", dir=repository.work_dir) as place:
        git = repository.objects.using(index=Path(place) / "index")
        git.run("read-tree", tree)
        nothing, outward = "0" * len(tree), repository.directory.outward
        lines = [f"0 {nothing}\t".encode() + os.fsencode(outward(path)) for path in remove]
        for path, content in write.items():
            blob = git.text("hash-object", "-w", "--stdin", stdin=content)
            lines.append(f"100644 {blob}\t".encode() + os.fsencode(outward(path)))
        git.run("update-index", "-z", "--index-info", stdin=b"".join(line + b"\0" for line in lines))
        return git.text("write-tree")
