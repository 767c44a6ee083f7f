"""The values of Go's keys."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

MODULE_PATH = re.compile(r"[A-Za-z0-9._~-]+(?:/[A-Za-z0-9._~-]+)*")
"""The names that a module may have in a ``go.mod`` (https://go.dev/ref/mod#go-mod-file-ident)."""


def main_directory(main_package: str | None, module_path: str | None) -> PurePosixPath | None:
    """The directory of the program, written as a directory, as its ``main.go`` or as an import path."""
    if main_package is None:
        return None
    path = PurePosixPath(main_package)
    if module_path and path.is_relative_to(module_path):
        path = path.relative_to(module_path)
    return path.parent if path.suffix == ".go" else path


def main_fault(main_package: str, module_path: str | None) -> str:
    """The reason why ``main_package`` is not a directory of the repository; empty if it is."""
    path = main_directory(main_package, module_path)
    if path is None or path.is_absolute() or ".." in path.parts or not main_package.isprintable():
        return "is not in the repository"
    # The first element of an import path has a dot, unless it is the standard library's.
    if path.parts and "." in path.parts[0].lstrip("."):
        return f"is not a package of the module {module_path}"
    return ""
