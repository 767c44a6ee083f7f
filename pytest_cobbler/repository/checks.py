"""The checks of a change before it lands. They read objects, never files.

The list of protected paths is the minimum of what could run, or change what runs, on the host or in the next
gate: pytest's own configuration, import hooks, the agent program's settings, git's attributes and hooks, CI.
"""

from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_cobbler.display import named, shown_path, shown_size
from pytest_cobbler.globs import matches_glob
from pytest_cobbler.repository.git import Git
from pytest_cobbler.repository.large_files import POINTER, kept_outside
from pytest_cobbler.secret_forms import Secrets

MOST_FILES = 20_000
LARGEST_CHANGE = 200 * 1024 * 1024
LONGEST_PATH = 1000
"""Bytes; a path has to fit, below any directory, into what an operating system takes."""

_SCANNED_AT_ONCE = 32 * 1024 * 1024

PROTECTED = (
    "conftest.py",
    # Below the root too: `pytest DIRECTORY` takes its configuration from there.
    "**/pytest.ini",
    "**/.pytest.ini",
    "**/pytest.toml",
    "**/.pytest.toml",
    "**/tox.ini",
    "**/setup.cfg",
    "**/*.dist-info/**",
    "**/*.egg-info/**",
    "**/*.egg-link",
    "**/*.pth",
    # Python may run it in the place of the source beside it.
    "**/__pycache__/**",
    "**/*.pyc",
    "**/*.pyo",
    "**/sitecustomize*",
    "**/usercustomize*",
    "**/.claude/**",
    "**/.mcp.json",
    "**/CLAUDE.md",
    "**/CLAUDE.local.md",
    "**/.gitattributes",
    "**/.gitmodules",
    "**/.lfsconfig",
    ".githooks/**",
    ".husky/**",
    "lefthook.y*ml",
    ".lefthook.y*ml",
    ".pre-commit-config.y*ml",
    ".github/**",
    ".gitea/**",
    ".forgejo/**",
    ".gitlab/**",
    ".gitlab-ci.yml",
    ".circleci/**",
    ".buildkite/**",
    ".woodpecker/**",
    ".woodpecker.y*ml",
    ".travis.yml",
    ".drone.yml",
    ".cirrus.yml",
    "appveyor.yml",
    ".appveyor.yml",
    "bitbucket-pipelines.yml",
    "azure-pipelines.yml",
    "Jenkinsfile",
    ".beads/**",
    "configuration.yaml",
)
"""Patterns of paths that no change may touch unless the user opts them out by name (``allow_paths``)."""

NAMED = ("**/conftest.py",)
"""Patterns of paths that a change may touch, and that its notes name, because they decide what else runs."""

PROTECTED_TABLE = "pyproject.toml: [tool.pytest*]"
"""How the protected part of any pyproject.toml is shown; the rest of such a file is free."""

# Not the row of seven =, which also underlines a heading.
_MARKER = re.compile(rb"^(?:<{7}|>{7}|\|{7}) ", re.MULTILINE)

_PYTEST_MODULES = frozenset({"pytest", "_pytest", "pluggy", "iniconfig", "packaging", "pygments", "py"})
_LIBRARY = sys.stdlib_module_names | _PYTEST_MODULES
"""What `python -m pytest` imports: such a module at the top would be run in place of the tests."""

_LINK = "120000"
SUBMODULE = "160000"
_MODULE = re.compile(r"\.(?:py|pyc|pyd|so)\Z")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One changed path: ``status`` A, M, D or T; modes as git prints them."""

    path: bytes
    status: str
    old_mode: str
    new_mode: str
    old: str
    new: str

    @property
    def shown(self) -> str:
        return shown_path(self.path)


@dataclass(frozen=True, kw_only=True)
class Change:
    """The paths that differ between a parent and a tree."""

    entries: tuple[Entry, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.entries)

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(entry.shown for entry in self.entries)


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A reason why a change cannot land. ``poisonous``: its objects must not reach the repository at all."""

    reason: str
    path: str = ""
    poisonous: bool = False

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" if self.path else self.reason


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The rules for a change.

    ``protected``, ``allowed`` and ``named`` are patterns in the language of ``globs``; a change may touch the
    ``named`` ones, and its notes list them. ``secrets`` are the values that must not be committed; ``marked``
    the files into which we put conflict markers;
    ``reserved`` names that no new module at the top may have;
    ``left_out`` directories whose new files a harvest does not take.
    """

    protected: tuple[str, ...] = PROTECTED
    allowed: tuple[str, ...] = ()
    named: tuple[str, ...] = NAMED
    secrets: tuple[str, ...] = ()
    largest_file: int = 50 * 1024 * 1024
    marked: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    reserved: frozenset[str] = frozenset()


def read_change(git: Git, old: str, new: str) -> Change:
    """The differences between two trees or commits, without renames."""
    fields = git.fields("diff-tree", "-r", "-z", "--raw", "--no-renames", "--end-of-options", old, new)
    if fields and not fields[0].startswith(b":"):
        fields = fields[1:]
    entries = []
    for facts, path in zip(fields[::2], fields[1::2], strict=True):
        old_mode, new_mode, before, after, status = facts[1:].decode().split(" ")
        entries.append(
            Entry(path=path, status=status[:1], old_mode=old_mode, new_mode=new_mode, old=before, new=after)
        )
    return Change(entries=tuple(entries))


def check_change(git: Git, parent: str, tree: str, policy: Policy) -> tuple[Change, tuple[Refusal, ...]]:
    """Check the change from ``parent`` to ``tree`` against ``policy``."""
    change = read_change(git, parent, tree)
    if len(change.entries) > MOST_FILES:
        reason = f"changes {len(change.entries)} files; at most {MOST_FILES}"
        return change, (Refusal(reason=reason, poisonous=True),)
    refusals = [
        *_check_kinds(git, change),
        *_check_protected(git, change, parent, policy),
        *_check_sizes(git, change, policy),
    ]
    if not any(refusal.poisonous for refusal in refusals):
        refusals += _check_large_files(git, change, tree, policy)
        refusals += _check_contents(git, change, policy)
    return change, tuple(refusals)


def review_notes(change: Change, policy: Policy) -> tuple[str, ...]:
    """The note that names the paths of a change that a person should review; none if it has no such path."""
    patterns = (*policy.named, *policy.protected)  # protected paths are here only where they are allowed
    paths = [entry.shown for entry in change.entries if _matches(os.fsdecode(entry.path), patterns)]
    return (f"review these: {named(paths)}",) if paths else ()


def _check_kinds(git: Git, change: Change) -> Iterable[Refusal]:
    for entry in change.entries:
        if entry.new_mode == SUBMODULE:
            yield Refusal(reason="a nested repository (submodule)", path=entry.shown)
        elif entry.old_mode == SUBMODULE:
            yield Refusal(reason="a submodule, which no change may remove", path=entry.shown)
        elif entry.new_mode == _LINK and entry.new != entry.old:
            target = git.run("cat-file", "blob", entry.new).stdout
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


def _check_protected(git: Git, change: Change, parent: str, policy: Policy) -> Iterable[Refusal]:
    # A project may be a plugin of pytest itself.
    top = git.fields("ls-tree", "-z", "--name-only", parent) if policy.reserved else []
    modules = {os.fsdecode(name).partition(".")[0] for name in top}
    for entry in change.entries:
        path = os.fsdecode(entry.path)
        if _matches(path, policy.allowed):
            continue
        module = _module_at_top(path, entry.new_mode)
        if _matches(path, policy.protected) or module in _LIBRARY:
            yield Refusal(reason="a protected path", path=entry.shown)
        elif module in policy.reserved and module not in modules:
            yield Refusal(reason=f"takes the place of {module}, which pytest loads", path=entry.shown)
        elif path.rpartition("/")[2].lower() == "pyproject.toml" and not _same_pytest_tables(git, entry):
            yield Refusal(reason="the [tool.pytest] table is protected", path=entry.shown)


def _matches(path: str, patterns: Sequence[str]) -> bool:
    """Whether one of ``patterns`` covers ``path``, on a file system that folds case too."""
    return any(matches_glob(path, pattern, fold_case=True) for pattern in patterns)


def _module_at_top(path: str, mode: str) -> str | None:
    """The name by which `python -m pytest` would import the file, if it belongs to a module at the top.

    A directory without code is not a package that Python would prefer.
    """
    first, _, below = path.partition("/")
    may_be_directory = mode == _LINK and not below
    return first.partition(".")[0] if may_be_directory or _MODULE.search(below or first) else None


def _same_pytest_tables(git: Git, entry: Entry) -> bool:
    if entry.new_mode == _LINK:
        return False  # it would be read through the link
    return bool(_pytest_tables(git, entry.old) == _pytest_tables(git, entry.new))


def _pytest_tables(git: Git, blob: str) -> Any:
    """The pytest tables of a pyproject.toml; its bytes where it cannot be read."""
    if set(blob) == {"0"}:
        return {}
    content = git.run("cat-file", "blob", blob).stdout
    try:
        tool = tomllib.loads(content.decode()).get("tool", {})
        return {name: table for name, table in tool.items() if name.startswith("pytest")}
    except (ValueError, AttributeError, RecursionError):
        return content


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
        if not git.run("cat-file", "blob", files[path].new).stdout.startswith(POINTER):
            yield Refusal(reason="content where git-lfs keeps a pointer", path=files[path].shown)


def _sizes(git: Git, change: Change) -> list[tuple[Entry, int]]:
    """Every changed file or link with the bytes of its new content."""
    entries = [entry for entry in change.entries if entry.new_mode.startswith(("100", "120"))]
    asked = "".join(f"{entry.new}\n" for entry in entries).encode()
    answer = git.run("cat-file", "--batch-check=%(objectsize)", stdin=asked).text if entries else ""
    return list(zip(entries, map(int, answer.split()), strict=True))


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
    """The new content of changed files, a few at a time."""
    wanted = [(entry, size) for entry, size in _sizes(git, change) if everything or entry.shown in marked]
    while wanted:
        taken, room = [wanted.pop()], _SCANNED_AT_ONCE
        while wanted and (room := room - taken[-1][1]) > 0:
            taken.append(wanted.pop())
        asked = "".join(f"{entry.new}\n" for entry, _ in taken).encode()
        answer = git.run("cat-file", "--batch=%(objectsize)", stdin=asked).stdout
        start = 0
        for entry, size in taken:
            start = answer.index(b"\n", start) + 1
            yield entry, answer[start : start + size]
            start += size + 1
