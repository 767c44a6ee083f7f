"""The projects of a Python repository: the names of their distributions and modules, from their settings."""

from __future__ import annotations

import configparser
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from pytest_cobbler.languages.python_modules import (
    NOT_OF_PROJECT,
    modules_below,
    normalized,
    shares_its_name,
)

_MOST_MANIFESTS = 200
_MOST_MODULES = 1000
_MANIFESTS = frozenset({"pyproject.toml", "setup.cfg", "setup.py"})

# setup.py is not run. A name or directory that it computes is not found.
_SETUP_NAME = re.compile(r"""\bname\s*=\s*(["'])([A-Za-z0-9._-]+)\1""")
_SETUP_ROOT = re.compile(
    r"""package_dir\s*=\s*\{\s*["']{2}\s*:\s*["']([^"']+)["']"""
    r"""|find(?:_namespace)?_packages\(\s*(?:where\s*=\s*)?["']([^"']+)["']"""
)
_PACKAGED_BY = ("project", "build-system", "tool.poetry", "tool.flit")
_TABLES_OF_NAMES = (
    "project.name",
    "tool.poetry.name",
    "tool.flit.metadata.dist-name",
    "tool.flit.module.name",
)
_TABLES_OF_ROOTS = (
    "tool.setuptools.packages.find.where",
    "tool.setuptools.package-dir.",
    "tool.pdm.build.package-dir",
    "tool.uv.build-backend.module-root",
    "tool.maturin.python-source",
    "tool.hatch.build.dev-mode-dirs",
    "tool.hatch.build.sources",
    "tool.hatch.build.targets.wheel.sources",
)
_TABLES_OF_PACKAGES = (
    "tool.hatch.build.packages",
    "tool.hatch.build.targets.wheel.packages",
    "tool.scikit-build.wheel.packages",
)


@dataclass(frozen=True, kw_only=True)
class Projects:
    """What a tree says of its projects.

    ``distributions`` are normalized names, ``modules`` dotted ones. ``roots`` are directories with modules,
    without the top directory; ``sources`` are those of the project at the top. ``places`` are the modules as
    paths without their endings, wherever the tree has one of their names: ``src/calc``, ``tests/calc``.
    """

    distributions: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    roots: tuple[str, ...] = ("src",)
    sources: tuple[str, ...] = ()
    places: tuple[str, ...] = ()


def find_projects(paths: Iterable[str], read: Callable[[str], bytes | None]) -> Projects:
    """The projects of a tree.

    Args:
        paths: the files of the tree.
        read: the content of a file.
    """
    paths = tuple(paths)
    listing = _listing_of(paths)

    def text(path: str) -> str:
        return (read(path) or b"").decode("utf-8", "replace")

    def is_shared(path: str) -> bool:
        return shares_its_name(text(path))

    names: set[str] = set()
    roots, sources = ["", "src"], [""]
    packaged = False
    for path in _manifests(listing):
        directory = str(PurePosixPath(path).parent)
        settings = _read_manifest(PurePosixPath(path).name, text(path))
        if settings is None:
            continue
        packaged = True
        names.update(normalized(name) for name in settings.names)
        inside = [directory, f"{directory}/src", *(f"{directory}/{root}" for root in settings.roots)]
        cleaned = [root for root in map(_cleaned, inside) if root is not None]
        roots += cleaned
        sources += cleaned if directory == "." else []
    packages = {directory for directory in listing if directory and "__init__.py" in listing[directory]}
    roots = [root for root in dict.fromkeys(roots) if root == "src" or root in listing.keys() - packages]
    modules = {
        module
        for root in roots
        if root not in packages
        for module in modules_below(lambda directory: listing.get(directory, []), is_shared, root)
    }
    if packaged and not names:  # for example computed in setup.py
        names.update(normalized(module.partition(".")[0]) for module in modules)
    return Projects(
        distributions=tuple(sorted(names)),
        modules=tuple(sorted(modules))[:_MOST_MODULES],
        roots=tuple(root for root in roots if root),
        sources=tuple(root for root in roots if root and root in sources),
        places=tuple(sorted(_places(paths, modules)))[:_MOST_MODULES],
    )


def _places(paths: Iterable[str], modules: set[str]) -> Iterator[str]:
    """The files and directories that have the name of one of ``modules``, without endings."""
    deepest = max((module.count(".") + 1 for module in modules), default=0)
    for path in paths:
        place = path.removesuffix(".py").removesuffix("/__init__")
        parts = place.split("/")
        if path.endswith(".py") and any(
            ".".join(parts[-count:]) in modules for count in range(1, deepest + 1) if count <= len(parts)
        ):
            yield place


def _listing_of(paths: Iterable[str]) -> dict[str, list[str]]:
    """The names in each directory, those of directories with a slash at the end."""
    listing: dict[str, dict[str, None]] = {"": {}}
    for path in paths:
        directory, _, name = path.rpartition("/")
        while name not in listing.setdefault(directory, {}):
            listing[directory][name] = None
            if not directory:
                break
            directory, _, last = directory.rpartition("/")
            name = f"{last}/"
    return {directory: list(names) for directory, names in listing.items()}


def _manifests(listing: Mapping[str, list[str]]) -> Iterator[str]:
    """The paths of settings for build backends, but not in vendored packages or examples."""
    count = 0
    for directory in sorted(listing, key=lambda path: (path.count("/"), path)):
        parts = PurePosixPath(directory).parts
        if any(part in NOT_OF_PROJECT or part.startswith(".") for part in parts):
            continue
        for name in sorted(_MANIFESTS.intersection(listing[directory])):
            count += 1
            if count > _MOST_MANIFESTS:
                return
            yield f"{directory}/{name}" if directory else name


def _cleaned(path: str) -> str | None:
    """A directory of the tree, empty for the top directory; ``None`` if it is not in the tree."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return None if ".." in parts or path.startswith("/") else "/".join(parts)


@dataclass(frozen=True, kw_only=True)
class _Settings:
    """The names of distributions and the directories of packages that the settings of a backend have."""

    names: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()


def _read_manifest(name: str, text: str) -> _Settings | None:
    """The settings for a build backend in a file; ``None`` if it has none."""
    if name == "pyproject.toml":
        return _read_pyproject(text)
    if name == "setup.cfg":
        return _read_setup_cfg(text)
    return _Settings(
        names=tuple(match[2] for match in _SETUP_NAME.finditer(text)),
        roots=tuple(match[1] or match[2] for match in _SETUP_ROOT.finditer(text)),
    )


def _read_pyproject(text: str) -> _Settings | None:
    try:
        table: Any = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return _Settings()  # a backend may read it differently
    if all(_value(table, key) is None for key in _PACKAGED_BY):
        return None
    names = [name for key in _TABLES_OF_NAMES for name in _texts(_value(table, key))]
    roots = [root for key in _TABLES_OF_ROOTS for root in _texts(_value(table, key))]
    packages = [path for key in _TABLES_OF_PACKAGES for path in _texts(_value(table, key))]
    directories = _value(table, "tool.setuptools.package-dir")
    if isinstance(directories, dict):
        packages += [path for package, path in directories.items() if package and isinstance(path, str)]
    included = _value(table, "tool.poetry.packages")
    rows = included if isinstance(included, list) else []
    roots += [row["from"] for row in rows if isinstance(row, dict) and isinstance(row.get("from"), str)]
    return _Settings(names=tuple(names), roots=(*roots, *(path.rpartition("/")[0] for path in packages)))


def _value(table: Any, key: str) -> Any:
    for part in key.split("."):
        table = table.get(part) if isinstance(table, dict) else None
    return table


def _texts(value: Any) -> list[str]:
    """The texts in a setting: one, a list, or the values of a table."""
    if isinstance(value, dict):
        value = [*value.values()]
    if isinstance(value, str):
        value = [value]
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _read_setup_cfg(text: str) -> _Settings | None:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error:
        return _Settings()
    if not (parser.has_section("metadata") or parser.has_section("options")):
        return None
    names = [parser.get("metadata", "name", fallback="")]
    roots = parser.get("options.packages.find", "where", fallback="").split()
    for line in parser.get("options", "package_dir", fallback="").splitlines():
        package, equals, path = (part.strip() for part in line.partition("="))
        if equals:
            roots.append(path if not package else path.rpartition("/")[0])
    return _Settings(names=tuple(name for name in names if name and ":" not in name), roots=tuple(roots))
