"""The names and files of packages and modules; a part of the program in ``python_tree``.

So it imports nothing but the standard library, and runs with Python 3.8.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sysconfig
from collections.abc import Callable, Collection, Iterable, Iterator
from urllib.parse import unquote, urlsplit

# fmt: off
NOT_OF_PROJECT = frozenset({
    "test", "tests", "testing", "doc", "docs", "example", "examples", "demo", "demos", "sample", "samples",
    "benchmark", "benchmarks", "vendor", "vendored", "_vendor", "third_party", "thirdparty", "extern",
    "external", "node_modules", "build", "dist", "venv", "env",
})
# fmt: on
"""Directories whose packages are not the project's: their names may be those of installed packages."""

SUFFIXES = ("/__init__.py", ".py", ".so", ".pyd")
"""What follows the name of a module in that of its file."""

_DEEPEST = 4
_BESIDE = frozenset({"setup", "conftest", "noxfile", "tasks", "__init__", "__main__"})


def modules_below(
    listing: Callable[[str], Iterable[str]],
    is_shared: Callable[[str], bool],
    directory: str,
    package: str = "",
) -> Iterator[str]:
    """The dotted names of the packages and modules that Python finds if ``directory`` is on its path.

    Of a namespace package, they are the packages and modules in it, so that others may share the namespace.

    Args:
        listing: the names in a directory, those of directories with a slash at the end.
        is_shared: whether a package with this ``__init__.py`` shares its name with other distributions.
        package: the namespace package that ``directory`` is, with a dot at the end.
    """
    if package.count(".") > _DEEPEST:
        return
    for entry in sorted(listing(directory)):
        name = entry.rstrip("/").partition(".")[0] if entry.endswith(".py") else entry.rstrip("/")
        if not name.isidentifier() or (not package and name in NOT_OF_PROJECT):
            continue
        below = f"{directory}/{name}" if directory else name
        if not entry.endswith("/"):
            if entry == f"{name}.py" and name not in _BESIDE and not name.startswith("test_"):
                yield package + name
        elif "__init__.py" in listing(below) and not is_shared(f"{below}/__init__.py"):
            yield package + name
        else:
            yield from modules_below(listing, is_shared, below, f"{package}{name}.")


def shares_its_name(text: str) -> bool:
    """Whether a package with this ``__init__.py`` is a namespace package of the older kinds."""
    return "extend_path" in text or "declare_namespace" in text


def normalized(distribution: str) -> str:
    """The name of a distribution as installers compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def files_of(entry: str, module: str) -> list[str]:
    """The files that Python may take for a module in an entry of its path."""
    base = os.path.join(entry, *module.split("."))
    return [base + suffix for suffix in SUFFIXES if os.path.isfile(base + suffix)]


def files_named(top: str, names: Collection[str]) -> Iterator[tuple[str, str]]:
    """The packages and modules below ``top`` that have one of ``names``, wherever they are: name and file."""
    for directory, directories, files in os.walk(top):
        directories[:] = sorted(name for name in directories if not name.startswith("."))
        for file in sorted(files):
            name = os.path.basename(directory) if file == "__init__.py" else file[: -len(".py")]
            if file.endswith(".py") and name in names:
                yield name, os.path.join(directory, file)


def compiled_files(entry: str, module: str) -> Iterator[str]:
    """The files of a module whose names have the version of Python in them."""
    directory, name = os.path.split(os.path.join(entry, *module.split(".")))
    with contextlib.suppress(OSError):
        for file in os.listdir(directory):
            if file.startswith(name + ".") and file.endswith((".so", ".pyd")):
                yield os.path.join(directory, file)


def editable_directory(direct_url: str | None) -> str:
    """The directory of an editable distribution; empty for others."""
    try:
        record = json.loads(direct_url or "{}")
        url = urlsplit(record["url"])
        return unquote(url.path) if record["dir_info"]["editable"] and url.scheme == "file" else ""
    except (ValueError, KeyError, TypeError):
        return ""


def directories_of(*kinds: str) -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    return tuple({os.path.realpath(paths[kind]) + os.sep for kind in kinds if paths.get(kind)})


def beginning() -> float:
    """The time, in nanoseconds, after which the files of the tree were made by the gate itself."""
    try:
        return os.stat("/cobbler/shell").st_ctime_ns  # the first process of a container fills it
    except OSError:
        return float("inf")


def shortest(copies: dict[str, str]) -> dict[str, str]:
    """The copies without those that are inside another one."""
    return {
        name: file
        for name, file in sorted(copies.items())
        if not any(name.startswith(f"{other}.") for other in copies)
    }
