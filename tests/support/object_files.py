"""Git objects, written without git: the tests make thousands of commits, of five processes of git each."""

from __future__ import annotations

import hashlib
import os
import time
import zlib
from collections.abc import Mapping

from pytest_cobbler.repository.object_reader import tree_entries
from pytest_cobbler.repository.repository import Repository

__all__ = ["ObjectFiles", "put"]

Entry = tuple[str, str]
"""Mode, as git prints it, and object id."""


class ObjectFiles:
    """Writes objects into the store of a repository, as files of their own."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._store = repository.object_stores[0]
        self._digits = 64 if repository.object_format == "sha256" else 40

    def write(self, kind: str, content: bytes) -> str:
        """The id of an object, which is there now."""
        raw = f"{kind} {len(content)}\0".encode() + content
        name = hashlib.new(self._repository.object_format, raw).hexdigest()
        path = self._store / name[:2] / name[2:]
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            draft = path.with_name(f"tmp_obj_{os.getpid()}")
            draft.write_bytes(zlib.compress(raw, 1))
            draft.chmod(0o444)
            draft.rename(path)
        return name

    def entries(self, tree: str) -> dict[bytes, Entry]:
        """Path -> entry of all that is not a directory."""
        entries: dict[bytes, Entry] = {}
        trees = [(b"", tree)]
        while trees:
            below, name = trees.pop()
            found = self._repository.objects.reader.read(name)
            assert found is not None, name
            for mode, inner, path in tree_entries(found[1], self._digits):
                if mode == "040000":
                    trees.append((below + path + b"/", inner))
                else:
                    entries[below + path] = (mode, inner)
        return entries

    def tree(self, entries: Mapping[bytes, Entry]) -> str:
        """The tree with these entries."""
        lines: dict[bytes, dict[bytes, bytes]] = {b"": {}}
        for path, (mode, name) in entries.items():
            directory, _, last = path.rpartition(b"/")
            lines.setdefault(directory, {})[last] = _line(mode, last, name)
        for directory in [*lines]:
            while directory := directory.rpartition(b"/")[0]:
                lines.setdefault(directory, {})
        for directory in sorted(lines, key=lambda path: (bool(path), path.count(b"/")), reverse=True):
            # git sorts a directory as if its name ended with a slash.
            tree = self.write("tree", b"".join(line for _, line in sorted(lines[directory].items())))
            if directory:
                above, _, last = directory.rpartition(b"/")
                lines[above][last + b"/"] = _line("40000", last, tree)
        return tree

    def commit(self, tree: str, parent: str, message: str, who: str) -> str:
        """A commit of ``who`` (``Name <email>``), now."""
        signed = f"{who} {int(time.time())} +0000"
        head = f"tree {tree}\nparent {parent}\nauthor {signed}\ncommitter {signed}\n\n"
        text = message.encode("utf-8", "replace")
        return self.write("commit", head.encode() + text + (b"" if text.endswith(b"\n") else b"\n"))


def _line(mode: str, name: bytes, of: str) -> bytes:
    return mode.encode() + b" " + name + b"\0" + bytes.fromhex(of)


def put(entries: dict[bytes, Entry], path: bytes, entry: Entry | None) -> None:
    """Put an entry at a path, or nothing; a file goes where a directory comes, and the other way round."""
    entries.pop(path, None)
    if entry is not None:
        in_the_way = [one for one in entries if one.startswith(path + b"/") or path.startswith(one + b"/")]
        for one in in_the_way:
            del entries[one]
        entries[path] = entry
