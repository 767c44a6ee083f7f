"""The nodes that a repository has files on, as its coordinator knows them."""

from __future__ import annotations

import contextlib
import json
import threading
from typing import Final

from pytest_cobbler.files import write_atomically
from pytest_cobbler.repository.forsaken import USED_NODES
from pytest_cobbler.repository.repository import Repository

__all__ = ["UsedNodes"]

_LOCK: Final = threading.Lock()


class UsedNodes:
    """The names of nodes by the word of the configuration for their engine."""

    def __init__(self, repository: Repository) -> None:
        self._path = repository.work_dir / USED_NODES

    def all(self) -> dict[str, list[str]]:
        """All of them; those of a file that cannot be read are not known."""
        with contextlib.suppress(OSError, ValueError, AttributeError, TypeError):
            known = json.loads(self._path.read_text("utf-8"))
            return {str(engine): sorted(map(str, nodes)) for engine, nodes in known.items()}
        return {}

    def add(self, engine: str, node: str) -> None:
        """Note a node before anything of a repository is made on it."""
        with _LOCK:
            known = self.all()
            if node not in known.get(engine, []):
                self._write(known | {engine: [*known.get(engine, []), node]})

    def remove(self, engine: str, node: str) -> None:
        """Forget a node that has nothing more."""
        with _LOCK:
            known = self.all()
            known[engine] = [one for one in known.get(engine, []) if one != node]
            self._write({name: nodes for name, nodes in known.items() if nodes})

    def _write(self, known: dict[str, list[str]]) -> None:
        with contextlib.suppress(OSError):
            if known:
                write_atomically(self._path, json.dumps(known).encode())
            else:
                self._path.unlink(missing_ok=True)
