"""Imports of this package from the bytecode that its installation made.

pytest rewrites the assertions of a plugin and its whole distribution. It has bytecode of its own for that, so
where it can write none (PYTHONDONTWRITEBYTECODE, a read-only image, each new job of CI), it compiles
every module again: a second for each command. No assertion of this package is one that a test shows.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

__all__ = ["import_compiled"]


class _Compiled:
    """Finds the modules of this package before pytest does."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return PathFinder.find_spec(name, path, target) if name.startswith("pytest_cobbler.") else None


def import_compiled() -> None:
    """Import the rest of this package as Python itself does."""
    if _Compiled not in sys.meta_path:
        sys.meta_path.insert(0, _Compiled)
