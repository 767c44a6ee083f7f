"""Trees made of objects alone: another tree with other files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from pytest_cobbler.files import temporary_directory
from pytest_cobbler.repository.repository import Repository


def edited_tree(repository: Repository, tree: str, remove: Sequence[str], write: Mapping[str, bytes]) -> str:
    """``tree`` without the paths ``remove`` of the project, and with the files ``write``."""
    if not remove and not write:
        return tree
    with temporary_directory(repository.work_dir) as place:
        git = repository.objects.using(index=place / "index")
        git.run("read-tree", tree)
        nothing, outward = "0" * len(tree), repository.directory.outward
        lines = [f"0 {nothing}\t".encode() + os.fsencode(outward(path)) for path in remove]
        for path, content in write.items():
            blob = git.text("hash-object", "-w", "--stdin", stdin=content)
            lines.append(f"100644 {blob}\t".encode() + os.fsencode(outward(path)))
        git.run("update-index", "-z", "--index-info", stdin=b"".join(line + b"\0" for line in lines))
        return git.text("write-tree")
