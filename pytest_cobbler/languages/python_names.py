"""The names of packages and modules in a directory; a part of the program in ``python_tree``.

So it imports nothing but the standard library, and runs with Python 3.8.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

# fmt: off
NOT_OF_PROJECT = frozenset({
    "test", "tests", "testing", "doc", "docs", "example", "examples", "demo", "demos", "sample", "samples",
    "benchmark", "benchmarks", "vendor", "vendored", "_vendor", "third_party", "thirdparty", "extern",
    "external", "node_modules", "build", "dist", "venv", "env",
})
# fmt: on
"""Directories whose packages are not the project's: their names may be those of installed packages."""

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
