"""What a coordinator writes down of each place on a node, for the run after a dead one."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.files import write_atomically
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sandbox.site import Unreached

__all__ = ["PlaceRecord", "PlaceRecords", "places_on_nodes"]

NODES: Final = "nodes"
"""The directory of the records below the work directory."""


@dataclass(frozen=True, kw_only=True)
class PlaceRecord:
    """A place. ``engine`` is the word of the configuration for that of its node.

    ``aside``: its files were moved aside, and its harvest is to be tried again. ``is_over``: no job of an
    earlier run can be at work in it, whether its node answers or not.
    """

    name: str
    node: str
    parent: str
    tree_id: str
    purpose: Mapping[str, str]
    engine: str = ""
    aside: bool = False
    is_over: bool = False

    def unreached(self, why: str = "which this configuration does not reach") -> Unreached:
        """The place as one whose node cannot be reached."""
        task, number = self.purpose.get("task"), self.purpose.get("number")
        what = f"the work on {task} (attempt {number})" if task else f"the place {self.name}"
        return Unreached(what=what, node=self.node, engine=self.engine, why=why)


def places_on_nodes(repository: Repository, generation: str) -> PlaceRecords:
    """The places of a generation that nodes have."""
    return PlaceRecords(repository.work_dir / NODES / generation)


class PlaceRecords:
    """The places of one generation that nodes have."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.json"

    def create(self, name: str) -> None:
        """Take a name, which no other place may have.

        Raises:
            RepositoryError: one has it, or the disk failed.
        """
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self._path(name), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except OSError as error:
            raise RepositoryError(f"cannot make place {self._path(name)}: {error.strerror}") from error

    def write(self, record: PlaceRecord) -> None:
        """Write a place down, before anything is made on its node."""
        write_atomically(self._path(record.name), json.dumps(asdict(record)).encode())

    def remove(self, name: str) -> None:
        """Forget a place."""
        self._path(name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._directory.rmdir()
            self._directory.parent.rmdir()

    def all(self) -> list[PlaceRecord]:
        """All places, by name. Those that were never made on a node are forgotten."""
        records = []
        for path in sorted(self._directory.glob("*.json")):
            try:
                records.append(PlaceRecord(**json.loads(path.read_text("utf-8"))))
            except (OSError, ValueError, TypeError):
                path.unlink(missing_ok=True)
        return records
