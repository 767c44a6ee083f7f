"""The tags of a generation that was merged into its base, and the version that one of them has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from pytest_cobbler.config import Config
from pytest_cobbler.repository import names
from pytest_cobbler.repository.generations import Generation, tag_generation
from pytest_cobbler.repository.moving import ZERO
from pytest_cobbler.repository.repository import Repository

_CODE = re.compile(r"refs/tags/v(\d{4}-\d\d-\d\d)-code((?:-\d+)?)")
_VERSION = re.compile(
    # `const Version string = "1.2"`, `__version__ = '1.2'`, `"version": "1.2"`
    r"""version\w*["']?[ \t]*(?::?[ \t]*\w+[ \t]*)?(?::=|[:=])[ \t]*["'`]([^"'`\n]+)["'`]""",
    re.IGNORECASE,
)
_WORD = re.compile(r"\s*(\S+)\s*")


@dataclass(frozen=True, kw_only=True)
class Tagged:
    """The tags of a merged generation, and a note for each that could not be made."""

    tags: tuple[str, ...]
    notes: tuple[str, ...] = ()


def tag_merged(
    config: Config, repository: Repository, generation: Generation, tip: str, merge: str
) -> Tagged:
    """Make the tags of a generation whose last commit ``tip`` reached its base with commit ``merge``.

    Existing tags stay. Call it under the run lock.

    Raises:
        RepositoryError: another process made one of them at the same time.
    """
    tag_generation(repository, generation, "finished", tip)
    tag_generation(repository, generation, "merged", merge)
    made = [f"{generation.name}-finished", f"{generation.name}-merged"]
    day, number = _day(repository, merge)
    for kind, commit in (("code", merge), ("requirements", generation.start)):
        tag = f"v{day}-{kind}{number}"
        if _is_made(repository, tag, commit):
            made.append(tag)
    notes: list[str] = []
    if config.version_file:
        version = _version(repository, merge, str(config.version_file))
        if version is None:
            notes.append(f"No version tag: {config.version_file} has no version that can be a tag name.")
        elif _is_made(repository, version, merge):
            made.append(version)
        else:
            commit = repository.commit_of(f"refs/tags/{version}")[:12]
            notes.append(f"No version tag: {version} already exists, on {commit}.")
    return Tagged(tags=tuple(made), notes=tuple(notes))


def _day(repository: Repository, merge: str) -> tuple[str, str]:
    """The date in the tags and their suffix: none, or ``-2`` for the second stop on that day."""
    tags = repository.list_refs("refs/tags/v*")
    for tag in sorted(tags):
        if (parts := _CODE.fullmatch(tag)) and repository.commit_of(tag) == merge:
            return parts[1], parts[2]
    today = date.today().isoformat()
    return today, next(
        number
        for number in _numbers()
        if not {f"refs/tags/v{today}-{kind}{number}" for kind in ("code", "requirements")} & tags.keys()
    )


def _numbers() -> Iterator[str]:
    yield ""
    number = 2
    while True:
        yield f"-{number}"
        number += 1


def _is_made(repository: Repository, tag: str, commit: str) -> bool:
    """Make a tag unless it exists; return whether it is on ``commit``."""
    ref = f"refs/tags/{tag}"
    if repository.read_ref(ref) is None:
        return repository.move_ref(ref, commit, ZERO, "cobbler: stop")
    return repository.commit_of(ref) == commit


def _version(repository: Repository, commit: str, path: str) -> str | None:
    content = repository.read_file(commit, path)
    return version_in((content or b"").decode("utf-8", "replace"))


def version_in(text: str) -> str | None:
    """The version that a file names, if it can be a tag."""
    version = _VERSION.search(text) or _WORD.fullmatch(text)
    return version[1] if version and names.is_usable_tag(version[1]) else None
