"""Modules that Python would import in the place of a directory with tests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from pytest_cobbler.repository.blobs import all_entries
from pytest_cobbler.repository.git import Git

__all__ = ["COMPILED", "PACKAGE", "taken_directories"]

PACKAGE: Final = re.compile(rb"(.+)/__init__\.[^/]+", re.DOTALL)
"""A file that makes a directory a package; the group is its path."""

COMPILED: Final = re.compile(rb"((?:.*/)?[^/.]+)(?:\.[^/]*)?\.(?:so|pyd)", re.DOTALL)
"""A compiled module; the group is its path without its ending."""

_SOURCE: Final = re.compile(rb"(.+)\.py", re.DOTALL)
_TEST: Final = re.compile(rb"(?:.*/)?(?:test[^/]*|[^/]*_test)\.py", re.DOTALL)


def taken_directories(git: Git, tree: str, changed: Mapping[bytes, str]) -> dict[bytes, bytes]:
    """Directories of ``tree`` with tests that Python does not look into -> the change that is the reason.

    A module is preferred to a directory of its name without ``__init__.py``: with a new ``tests.py``,
    ``tests.test_a`` is what that file names so.

    Args:
        changed: path -> ``A`` or ``D``, for added and deleted files.
    """
    reasons: dict[bytes, bytes] = {}
    for path, status in changed.items():
        if found := _module(path) if status == "A" else PACKAGE.fullmatch(path):
            reasons[found[1]] = path
    if not reasons:
        return {}
    paths = [path for _, _, path in all_entries(git, tree)]
    packages = {found[1] for path in paths if (found := PACKAGE.fullmatch(path))}
    modules = {found[1] for path in paths if (found := _module(path))}
    suspects = (reasons.keys() & modules) - packages
    tests = [path for path in paths if _TEST.fullmatch(path)] if suspects else []
    holders = {path[:end] for path in tests for end in range(len(path)) if path[end : end + 1] == b"/"}
    return {directory: reasons[directory] for directory in sorted(suspects & holders)}


def _module(path: bytes) -> re.Match[bytes] | None:
    return _SOURCE.fullmatch(path) or COMPILED.fullmatch(path)
