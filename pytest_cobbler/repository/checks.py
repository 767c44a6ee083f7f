"""The checks of a change before it lands. They read objects, never files.

``path_table`` lists the paths that no change may touch in any project, and those that its notes name.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from pytest_cobbler.display import named, shown_path, shown_size
from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.globs import matches_any
from pytest_cobbler.repository.blobs import entries_at, entries_in, read_blob, read_small_blobs
from pytest_cobbler.repository.changes import SUBMODULE, Change, Entry, read_change
from pytest_cobbler.repository.git import Git
from pytest_cobbler.repository.ignoring import ignored
from pytest_cobbler.repository.large_files import POINTER, kept_outside
from pytest_cobbler.repository.module_places import COMPILED, PACKAGE, taken_directories
from pytest_cobbler.repository.path_table import (
    Row,
    built_in_keys,
    built_in_patterns,
    changed_keys,
    named_patterns,
)
from pytest_cobbler.repository.subdirectory import Subdirectory
from pytest_cobbler.secret_forms import Secrets

MOST_FILES = 20_000
LARGEST_CHANGE = 200 * 1024 * 1024
LONGEST_PATH = 1000
"""Bytes; a path has to fit, below any directory, into what an operating system takes."""

PROTECTED = "a protected path"

_READ_AT_ONCE = 100
_LARGEST_READ = 1 << 20
"""Bytes of a file that is read for its keys; of a larger one every change counts."""

# Not the row of seven =, which also underlines a heading.
_MARKER = re.compile(rb"^(?:<{7}|>{7}|\|{7}) ", re.MULTILINE)

_PYTEST_MODULES = frozenset({"pytest", "_pytest", "pluggy", "iniconfig", "packaging", "pygments", "py"})
_LIBRARY = sys.stdlib_module_names | _PYTEST_MODULES
"""What `python -m pytest` imports: such a module at the top would be run in place of the tests."""

_NEVER_NEW = ("**/.env",)
"""A merge by a person would overwrite the file of the checkout, which git usually ignores."""

_OF_A_REPOSITORY = {b"head": b"HEAD", b"objects": b"objects", b"refs": b"refs"}

_LINK = "120000"
_MODULE = re.compile(r"\.(?:py|pyc|pyd|so)\Z")


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A reason why a change cannot land.

    ``poisonous``: its objects must not reach the repository at all. ``can_open``: ``allow_paths`` can allow
    the change.
    """

    reason: str
    path: str = ""
    poisonous: bool = False
    can_open: bool = False

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" if self.path else self.reason


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The rules for a change.

    ``protected``, ``allowed`` and ``named`` are patterns in the language of ``globs``; a change may touch the
    ``named`` ones, and its notes list them. ``asked`` are those of ``protected`` that a key of the
    configuration asks for -> that key. ``gate`` are those of the files that decide in the gate, protected
    like ``protected``. ``never`` are those that no ``allowed`` one opens.
    ``keys`` are rows of files of which a key is protected. ``trusted`` are commits beside the parent whose
    ``.gitignore`` files count.
    ``secrets`` are the values that must not be committed; ``marked`` the files into which we put conflict
    markers;
    ``reserved`` names that no new module at the top may have, because pytest loads them, and ``run`` because
    the gate runs them; ``places`` are directories, besides the top, in which Python looks for modules then;
    ``left_out`` directories whose new files a harvest does not take.
    All paths are the repository's. A change outside of ``directory`` has to match ``outside``, which opens
    nothing else that is protected.
    """

    protected: tuple[str, ...] = field(default_factory=built_in_patterns)
    asked: Mapping[str, str] = field(default_factory=dict, hash=False)
    keys: tuple[Row, ...] = field(default_factory=built_in_keys)
    allowed: tuple[str, ...] = ()
    gate: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()
    named: tuple[str, ...] = field(default_factory=named_patterns)
    secrets: tuple[str, ...] = ()
    largest_file: int = 50 * 1024 * 1024
    marked: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    reserved: frozenset[str] = frozenset()
    run: frozenset[str] = frozenset()
    places: tuple[str, ...] = ()
    directory: Subdirectory = field(default_factory=Subdirectory)
    outside: tuple[str, ...] = ()


def can_open(refusals: Iterable[Refusal]) -> bool:
    """Whether ``allow_paths`` can allow all of it."""
    return all(refusal.can_open for refusal in refusals)


def check_change(git: Git, parent: str, tree: str, policy: Policy) -> tuple[Change, tuple[Refusal, ...]]:
    """Check the change from ``parent`` to ``tree`` against ``policy``."""
    change = read_change(git, parent, tree, MOST_FILES)
    if len(change.entries) > MOST_FILES:
        reason = f"changes more than {MOST_FILES} files"
        return change, (Refusal(reason=reason, poisonous=True),)
    refusals = [
        *_check_kinds(git, change),
        *_check_directory(change, policy),
        *_check_protected(git, change, parent, policy),
        *_check_keys(git, change, policy),
        *_check_ignored(git, change, parent, policy),
        *_check_modules(git, change, parent, tree, policy),
        *_check_directories(git, change, tree, policy),
        *_check_repositories(git, change, tree, policy),
        *_check_sizes(git, change, policy),
    ]
    if not any(refusal.poisonous for refusal in refusals):
        refusals += _check_large_files(git, change, tree, policy)
        refusals += _check_contents(git, change, policy)
    return change, tuple(refusals)


def review_notes(change: Change, policy: Policy) -> tuple[str, ...]:
    """The note that names the paths of a change that a person should review; none if it has no such path."""
    # Those of the gate and the protected ones are in such a change only where they are allowed.
    patterns = (*policy.named, *policy.gate, *policy.protected)
    paths = [entry.shown for entry in change.entries if _matches(os.fsdecode(entry.path), patterns)]
    return (f"review these: {named(paths)}",) if paths else ()


def _check_kinds(git: Git, change: Change) -> Iterable[Refusal]:
    for entry in change.entries:
        if entry.new_mode == SUBMODULE:
            yield Refusal(reason="a nested repository (submodule)", path=entry.shown)
        elif entry.old_mode == SUBMODULE:
            yield Refusal(reason="a submodule, which no change may remove", path=entry.shown)
        elif entry.new_mode == _LINK and entry.new != entry.old:
            target = read_blob(git, entry.new)
            if _leads_out(entry.path, target):
                yield Refusal(
                    reason=f"a link out of the repository, to {shown_path(target)}", path=entry.shown
                )
        if entry.status != "D" and len(entry.path) > LONGEST_PATH:
            yield Refusal(reason=f"a path longer than {LONGEST_PATH} bytes", path=f"{entry.shown[:60]}…")


def _leads_out(path: bytes, target: bytes) -> bool:
    """Whether a link may lead out: ``..`` is counted only in front, since what follows may be links again."""
    parts = [part for part in target.split(b"/") if part not in (b"", b".")]
    climbs = next((index for index, part in enumerate(parts) if part != b".."), len(parts))
    return (
        target.startswith(b"/")
        or climbs > path.count(b"/")
        or b".." in parts[climbs:]
        or any(part.lower() == b".git" for part in parts)
    )


def _check_directory(change: Change, policy: Policy) -> Iterable[Refusal]:
    """Check that a change stays in the directory of the project, and leaves it a directory."""
    directory = policy.directory
    for entry in change.entries if directory.path else ():
        path = os.fsdecode(entry.path)
        if entry.status != "D" and directory.is_replaced_by(path):
            # A link here would lead the next attempt, which starts from this one, to another place.
            reason = f"takes the place of {directory.path}, the directory of the project"
            yield Refusal(reason=reason, path=entry.shown, poisonous=True)
        elif not directory.holds(path) and not _matches(path, policy.outside):
            yield Refusal(
                reason=f"outside of {directory.path}, the directory of the project",
                path=entry.shown,
                can_open=True,
            )


def _why_protected(path: str, policy: Policy) -> str:
    """The reason of a refusal, with the key of the configuration that names the path, if there is one."""
    key = next((key for pattern, key in policy.asked.items() if key and _matches(path, (pattern,))), "")
    return f"{PROTECTED} ({key})" if key else PROTECTED


def _check_protected(git: Git, change: Change, parent: str, policy: Policy) -> Iterable[Refusal]:
    # A project may be a plugin of pytest itself.
    taken = dict.fromkeys(policy.run, "the gate runs") | dict.fromkeys(policy.reserved, "pytest loads")
    modules = _modules_in(git, parent, policy.directory.path) if taken else set()
    for entry in change.entries:
        path = os.fsdecode(entry.path)
        never = (*policy.never, *_NEVER_NEW) if entry.status == "A" else policy.never
        if _matches(path, never):
            yield Refusal(reason="may never land", path=entry.shown)
            continue
        if _matches(path, policy.allowed):
            continue
        module = _module_at_top(policy.directory.inward(path).lstrip("/"), entry.new_mode)
        if _matches(path, policy.gate):
            yield Refusal(reason=f"{PROTECTED}: the gate uses it", path=entry.shown, can_open=True)
        elif _matches(path, policy.protected) or module in _LIBRARY:
            yield Refusal(reason=_why_protected(path, policy), path=entry.shown, can_open=True)
        elif module in taken and module not in modules:
            yield _taking_place(module, taken[module], entry)
    taken = dict.fromkeys(_LIBRARY, "Python loads") | taken
    for place in policy.places:
        inside = [entry for entry in change.entries if entry.path.startswith(os.fsencode(f"{place}/"))]
        modules = _modules_in(git, parent, place) if inside else set()
        for entry in inside:
            path = os.fsdecode(entry.path)
            module = _module_at_top(path.removeprefix(f"{place}/"), entry.new_mode)
            if module in taken and module not in modules and not _matches(path, policy.allowed):
                yield _taking_place(module, taken[module], entry)


def _taking_place(module: str, user: str, entry: Entry) -> Refusal:
    return Refusal(reason=f"takes the place of {module}, which {user}", path=entry.shown, can_open=True)


def _modules_in(git: Git, tree: str, directory: str) -> set[str]:
    """The names of what a directory of a tree holds, without their endings."""
    return {os.fsdecode(name).partition(".")[0] for name in entries_in(git, tree, directory)}


def _matches(path: str, patterns: tuple[str, ...]) -> bool:
    """Whether one of ``patterns`` covers ``path``, on a file system that folds case too."""
    return matches_any(path, patterns, fold_case=True)


def _check_keys(git: Git, change: Change, policy: Policy) -> Iterable[Refusal]:
    """Check the keys of files that are free otherwise."""
    files = tuple(row.pattern for row in policy.keys)
    decided = (*policy.allowed, *policy.protected)
    found = [
        (entry, [row for row in policy.keys if _matches(path, (row.pattern,))])
        for entry in change.entries
        if _matches(path := os.fsdecode(entry.path), files) and not _matches(path, decided)
    ]
    for first in range(0, len(found), _READ_AT_ONCE):
        some = found[first : first + _READ_AT_ONCE]
        blobs = {blob for entry, _ in some for blob in (entry.old, entry.new)}
        contents = read_small_blobs(git, blobs, _LARGEST_READ)
        for entry, rows in some:
            if {_LINK, SUBMODULE} & {entry.old_mode, entry.new_mode}:  # it would be read through the link
                yield Refusal(reason="not a plain file, and a part of it is protected", path=entry.shown)
                continue
            old, new = (_content(contents, blob) for blob in (entry.old, entry.new))
            for row in changed_keys(os.fsdecode(entry.path), old, new, rows):
                yield Refusal(reason=f"{row.key} is protected", path=entry.shown, can_open=True)


def _content(contents: Mapping[str, bytes], blob: str) -> bytes | None:
    """The content of a blob: ``None`` if there is none, its id where it is too large to read."""
    return None if set(blob) == {"0"} else contents.get(blob, blob.encode())


def _check_ignored(git: Git, change: Change, parent: str, policy: Policy) -> Iterable[Refusal]:
    """Check new paths: a merge by a person overwrites files of the checkout that git ignores."""
    new = {
        entry.path: entry
        for entry in change.entries
        if entry.status == "A" and not _matches(os.fsdecode(entry.path), policy.allowed)
    }
    found: set[bytes] = set()
    for tree in dict.fromkeys((parent, *policy.trusted)):
        found |= ignored(git, tree, sorted(new.keys() - found))
    for path in sorted(found):
        yield Refusal(reason="ignored by a .gitignore", path=new[path].shown, can_open=True)


def _check_modules(git: Git, change: Change, parent: str, tree: str, policy: Policy) -> Iterable[Refusal]:
    """Find packages, and compiled modules, that Python would import in the place of a file that is there.

    An empty package ``tests/test_a/`` would keep the tests of ``tests/test_a.py`` from running.
    """
    taken: dict[bytes, Entry] = {}
    for entry in change.entries:
        if entry.status == "A" and not _matches(os.fsdecode(entry.path), policy.allowed):
            found = PACKAGE.fullmatch(entry.path) or COMPILED.fullmatch(entry.path)
            if found or entry.new_mode == _LINK:
                taken[(found[1] if found else entry.path) + b".py"] = entry
    for old in (parent, tree) if taken else ():
        there = {path for _, _, path in entries_at(git, old, taken)}
        taken = {path: entry for path, entry in taken.items() if path in there}
    for path, entry in taken.items():
        yield Refusal(reason=f"Python would import it in the place of {shown_path(path)}", path=entry.shown)


def _check_directories(git: Git, change: Change, tree: str, policy: Policy) -> Iterable[Refusal]:
    """Find modules that Python would import in the place of a directory with tests."""
    changed = {
        entry.path: entry
        for entry in change.entries
        if entry.status in ("A", "D") and not _matches(os.fsdecode(entry.path), policy.allowed)
    }
    taken = taken_directories(git, tree, {path: entry.status for path, entry in changed.items()})
    for directory, path in taken.items():
        reason = f"Python would import a module in the place of {shown_path(directory)}/, which has tests"
        yield Refusal(reason=reason, path=changed[path].shown)


def _check_repositories(git: Git, change: Change, tree: str, policy: Policy) -> Iterable[Refusal]:
    """Find directories that git takes for repositories: any git command there follows their settings."""
    found: dict[bytes, set[bytes]] = {}
    for entry in change.entries:
        *directories, name = entry.path.split(b"/")
        for number, part in enumerate([*directories, name]):
            if part.lower() in _OF_A_REPOSITORY and not _matches(os.fsdecode(entry.path), policy.allowed):
                found.setdefault(b"/".join(directories[:number]), set())
    if not found:
        return
    places = sorted(
        b"/".join(filter(None, (top, name))) for top in found for name in _OF_A_REPOSITORY.values()
    )
    for _, _, path in entries_at(git, tree, places):
        top, _, name = path.rpartition(b"/")
        found[top].add(name)
    for top, names in sorted(found.items()):
        if names == set(_OF_A_REPOSITORY.values()):
            yield Refusal(
                reason="a git repository, whose settings git would follow", path=shown_path(top) or "."
            )


def _module_at_top(path: str, mode: str) -> str | None:
    """The name by which `python -m pytest` would import the file, if it belongs to a module at the top.

    A directory without code is not a package that Python would prefer.
    """
    first, _, below = path.partition("/")
    may_be_directory = mode == _LINK and not below
    return first.partition(".")[0] if may_be_directory or _MODULE.search(below or first) else None


def _check_sizes(git: Git, change: Change, policy: Policy) -> Iterable[Refusal]:
    total = 0
    for entry, size in _sizes(git, change):
        total += size
        if size > policy.largest_file:
            reason = f"{shown_size(size)}; at most {shown_size(policy.largest_file)}"
            yield Refusal(reason=reason, path=entry.shown, poisonous=True)
    if total > LARGEST_CHANGE:
        reason = f"{shown_size(total)} in all; at most {shown_size(LARGEST_CHANGE)}"
        yield Refusal(reason=reason, poisonous=True)


def _check_large_files(git: Git, change: Change, tree: str, policy: Policy) -> Iterable[Refusal]:
    files = {
        entry.path: entry
        for entry in change.entries
        if entry.new_mode.startswith("100") and not _matches(os.fsdecode(entry.path), policy.allowed)
    }
    for path in sorted(kept_outside(git, tree, tuple(files))):
        if not read_blob(git, files[path].new).startswith(POINTER):
            yield Refusal(reason="content where git-lfs keeps a pointer", path=files[path].shown)


def _sizes(git: Git, change: Change) -> Iterator[tuple[Entry, int]]:
    """Every changed file or link with the bytes of its new content."""
    entries = [entry for entry in change.entries if entry.new_mode.startswith(("100", "120"))]
    for entry, found in zip(entries, git.reader.find_all([entry.new for entry in entries]), strict=True):
        if found is None:
            raise RepositoryError(f"git has no blob {entry.new}")
        yield entry, found.size


def _check_contents(git: Git, change: Change, policy: Policy) -> Iterable[Refusal]:
    secrets = Secrets(policy.secrets)
    marked = set(policy.marked)
    for entry in change.entries:
        if entry.status != "D" and secrets.are_in(entry.path):
            yield Refusal(reason="its name contains the credential", poisonous=True)
    for entry, content in _contents(git, change, everything=bool(secrets), marked=marked):
        if secrets.are_in(content):
            yield Refusal(reason="contains the credential", path=entry.shown, poisonous=True)
        if entry.shown in marked and _MARKER.search(content):
            yield Refusal(reason="still has conflict markers", path=entry.shown)


def _contents(
    git: Git, change: Change, *, everything: bool, marked: set[str]
) -> Iterator[tuple[Entry, bytes]]:
    """The new content of changed files."""
    for entry in change.entries:
        if entry.new_mode.startswith(("100", "120")) and (everything or entry.shown in marked):
            yield entry, read_blob(git, entry.new)
