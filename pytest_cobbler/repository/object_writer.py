"""Objects written one by one by git processes that stay: one for each kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from pytest_cobbler.errors import CobblerError, RepositoryError
from pytest_cobbler.files import temporary_directory
from pytest_cobbler.kept_process import Answer, KeptProcess

__all__ = ["Kind", "ObjectWriter", "tree_content"]

Kind = Literal["blob", "tree", "commit"]


class ObjectWriter:
    """``git hash-object -w --stdin-paths``: it checks what it writes, and waits for the disk. Thread-safe.

    Args:
        start: makes the process for a kind of objects.
    """

    def __init__(self, start: Callable[[Kind], KeptProcess]) -> None:
        self._processes = {kind: start(kind) for kind in ("blob", "tree", "commit")}

    def write(self, kind: Kind, content: bytes) -> str:
        """Write an object, and return its id.

        Raises:
            RepositoryError: git or the disk refuses it.
        """
        try:
            with temporary_directory() as directory:
                path = directory / "object"
                path.write_bytes(content)
                return self._processes[kind].ask([bytes(path)], Answer.line)[0].decode()
        except (CobblerError, OSError) as error:
            evidence = error.evidence or error.cause if isinstance(error, CobblerError) else str(error)
            raise RepositoryError(f"git could not write a {kind}", evidence=evidence) from error

    def close(self) -> None:
        """End the processes. The next object starts another one."""
        for process in self._processes.values():
            process.close()


def tree_content(entries: Mapping[bytes, tuple[str, str]]) -> bytes:
    """A tree as git stores it.

    Args:
        entries: name -> mode, as git prints it, and object id.
    """
    in_order = sorted(entries.items(), key=lambda one: one[0] + (b"/" if one[1][0] == _DIRECTORY else b""))
    return b"".join(
        mode.lstrip("0").encode() + b" " + name + b"\0" + bytes.fromhex(object_id)
        for name, (mode, object_id) in in_order
    )


_DIRECTORY = "040000"
