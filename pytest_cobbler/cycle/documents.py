"""Documents of a repository that agents are pointed to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

_PROSE = (".md", ".rst", ".adoc", ".txt")
_DATA = (".yaml", ".yml")
_DOCUMENTS = frozenset({"docs", "doc", "documentation", "design"})
_SPECIFICATIONS = frozenset({"spec", "specs", "specification", "specifications", "requirements"})
_ROOT_DOCUMENTS = frozenset(
    {"readme", "vision", "architecture", "design", "requirements", "roadmap", "spec", "specification"}
)
_PACKAGES = re.compile(r"(?:.*[-_.])?(?:requirements|constraints)(?:[-_.].*)?\.txt|CMakeLists\.txt")
"""Lists of packages, and descriptions of a build, that are not prose although they are named like it."""

PYTHON_FILES = frozenset({"requirements.txt", "Pipfile", "poetry.lock", "uv.lock", "environment.yml"})
"""Files that mark a Python project, even before it has any Python sources."""


def documents(files: list[PurePosixPath]) -> dict[str, str]:
    """Label -> glob of the documents that specify the project."""
    return dict(_documents(files))


def _documents(files: list[PurePosixPath]) -> Iterator[tuple[str, str]]:
    for path in files:
        is_named = len(path.parts) == 1 and path.stem.lower() in _ROOT_DOCUMENTS
        if is_named and path.suffix in _PROSE and str(path) not in PYTHON_FILES:
            yield path.stem.lower(), str(path)
    kinds = {
        (path.parts[0], path.suffix)
        for path in files
        if len(path.parts) > 1 and _is_document(path) and not re.search(r"[*?\[]", path.parts[0])
    }
    for directory, suffix in sorted(kinds):
        alone = len([kind for kind in kinds if kind[0] == directory]) == 1
        label = directory if alone else f"{directory}-{suffix[1:]}"
        yield label, f"{directory}/**/*{suffix}"


def _is_document(path: PurePosixPath) -> bool:
    top = path.parts[0].lower()
    if _PACKAGES.fullmatch(path.name):
        return False
    if path.suffix in _PROSE:
        return top in _DOCUMENTS | _SPECIFICATIONS
    # Beside prose they configure the documentation tool; in directories below, they specify.
    return path.suffix in _DATA and (top in _SPECIFICATIONS or (top in _DOCUMENTS and len(path.parts) > 2))
