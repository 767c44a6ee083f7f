"""What a change must not contain to be landed: looked at on objects, never on files.

The list of protected paths is the floor of what could run, or change what runs, on the host or in the next gate:
pytest's own configuration, import hooks, the agent program's settings, git's attributes and hooks, CI.
"""

from __future__ import annotations

import base64
import fnmatch
import os
import posixpath
import re
import sys
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_cobbler.repository.git import Git

MOST_FILES = 20_000
LARGEST_CHANGE = 200 * 1024 * 1024
_SCANNED = 5 * 1024 * 1024

PROTECTED = (
    "conftest.py",
    "pytest.ini",
    ".pytest.ini",
    "pytest.toml",
    ".pytest.toml",
    "tox.ini",
    "setup.cfg",
    "**/*.dist-info/**",
    "**/*.egg-info/**",
    "**/*.egg-link",
    "**/*.pth",
    "**/sitecustomize.py",
    "**/usercustomize.py",
    "**/.claude/**",
    "**/.mcp.json",
    "**/CLAUDE.md",
    "**/.gitattributes",
    "**/.gitmodules",
    ".githooks/**",
    ".husky/**",
    ".github/**",
    ".gitlab/**",
    ".gitlab-ci.yml",
    ".circleci/**",
    ".travis.yml",
    ".drone.yml",
    "azure-pipelines.yml",
    "Jenkinsfile",
    ".pre-commit-config.yaml",
    ".beads/**",
    "configuration.yaml",
)
"""Patterns of paths that no change may touch unless the user opts them out by name (``allow_paths``)."""

PROTECTED_TABLE = "pyproject.toml: [tool.pytest*]"
"""How the protected part of pyproject.toml is shown; the rest of that file is free."""

_MARKER = re.compile(rb"^(?:<{7}|={7}|>{7}|\|{7})(?: .*)?\r?$", re.MULTILINE)


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
        return shown(self.path)


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
    """Why a change cannot land. ``poisonous``: its objects must not reach the repository at all."""

    reason: str
    path: str = ""
    poisonous: bool = False

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" if self.path else self.reason


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What to hold a change to.

    ``protected`` and ``allowed`` are patterns (``*`` within a name, ``**`` across directories); ``secrets`` the values
    that must not be committed; ``marked`` the files into which we put conflict markers.
    """

    protected: tuple[str, ...] = PROTECTED
    allowed: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    largest_file: int = 50 * 1024 * 1024
    marked: tuple[str, ...] = ()


def shown(path: bytes) -> str:
    """A path for people: control characters and undecodable bytes escaped."""
    text = path.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def read_change(git: Git, old: str, new: str) -> Change:
    """What differs between two trees or commits, without renames."""
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
    """Hold the change from ``parent`` to ``tree`` to ``policy``."""
    change = read_change(git, parent, tree)
    if len(change.entries) > MOST_FILES:
        return change, (Refusal(reason=f"changes {len(change.entries)} files; at most {MOST_FILES}"),)
    refusals = [
        *_check_kinds(git, change),
        *_check_protected(git, change, policy),
        *_check_sizes(git, change, policy),
    ]
    if not any(refusal.poisonous for refusal in refusals):
        refusals += _check_contents(git, change, policy)
    return change, tuple(refusals)


def _check_kinds(git: Git, change: Change) -> Iterable[Refusal]:
    for entry in change.entries:
        if entry.new_mode == "160000":
            yield Refusal(reason="a nested repository (submodule)", path=entry.shown)
        elif entry.new_mode == "120000" and entry.new != entry.old:
            target = git.run("cat-file", "blob", entry.new).stdout
            if _leads_out(entry.path, target):
                yield Refusal(reason=f"a link out of the repository, to {shown(target)}", path=entry.shown)


def _leads_out(path: bytes, target: bytes) -> bool:
    if target.startswith(b"/"):
        return True
    reached = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    return reached == b".." or reached.startswith(b"../") or reached.split(b"/")[0].lower() == b".git"


def _check_protected(git: Git, change: Change, policy: Policy) -> Iterable[Refusal]:
    for entry in change.entries:
        path = os.fsdecode(entry.path)
        if _matches(path, policy.allowed):
            continue
        if _matches(path, policy.protected) or _shadows_standard_library(path):
            yield Refusal(reason="a protected path", path=entry.shown)
        elif path.lower() == "pyproject.toml" and _pytest_tables(git, entry.old) != _pytest_tables(
            git, entry.new
        ):
            yield Refusal(reason="the [tool.pytest] table is protected", path=entry.shown)


def _matches(path: str, patterns: Sequence[str]) -> bool:
    return any(_pattern(pattern).fullmatch(path) for pattern in patterns)


def _pattern(pattern: str) -> re.Pattern[str]:
    """``**/`` is any number of directories, ``*`` anything in a name; a name alone protects what is below it too."""
    parts = re.split(r"(\*\*/|/\*\*$|\*|\?)", pattern.removeprefix("./").rstrip("/"))
    kinds = {"**/": "(?:.*/)?", "/**": "(?:/.*)?", "*": "[^/]*", "?": "[^/]"}
    # Case is folded: a file system that does so would take .GitHub for .github.
    return re.compile("".join(kinds.get(part, re.escape(part)) for part in parts) + "(?:/.*)?", re.IGNORECASE)


def _shadows_standard_library(path: str) -> bool:
    first, _, rest = path.partition("/")
    name = first.removesuffix(".py") if not rest else first
    is_module = first.endswith(".py") if not rest else rest.endswith(".py")
    return is_module and name in sys.stdlib_module_names


def _pytest_tables(git: Git, blob: str) -> Any:
    """The pytest tables of a pyproject.toml; its bytes where it cannot be read."""
    if set(blob) == {"0"}:
        return {}
    content = git.run("cat-file", "blob", blob).stdout
    try:
        tool = tomllib.loads(content.decode()).get("tool", {})
        return {name: table for name, table in tool.items() if fnmatch.fnmatch(name, "pytest*")}
    except (ValueError, AttributeError, RecursionError):
        return content


def _check_sizes(git: Git, change: Change, policy: Policy) -> Iterable[Refusal]:
    blobs = {entry.new: entry for entry in change.entries if entry.new_mode.startswith("100")}
    if not blobs:
        return
    asked = "".join(f"{blob}\n" for blob in blobs).encode()
    answer = git.run("cat-file", "--batch-check=%(objectname) %(objectsize)", stdin=asked).text
    total = 0
    for line in answer.splitlines():
        blob, _, size = line.partition(" ")
        total += int(size)
        if int(size) > policy.largest_file:
            reason = f"{int(size) >> 20} MiB; at most {policy.largest_file >> 20}"
            yield Refusal(reason=reason, path=blobs[blob].shown, poisonous=True)
    if total > LARGEST_CHANGE:
        yield Refusal(reason=f"{total >> 20} MiB in all; at most {LARGEST_CHANGE >> 20}", poisonous=True)


def _check_contents(git: Git, change: Change, policy: Policy) -> Iterable[Refusal]:
    secrets = _forms(policy.secrets)
    marked = set(policy.marked)
    for entry in change.entries:
        if not entry.new_mode.startswith(("100", "120")) or not (secrets or entry.shown in marked):
            continue
        content = git.run("cat-file", "blob", entry.new).stdout
        if any(form in content for form in secrets):
            yield Refusal(reason="contains the credential", path=entry.shown, poisonous=True)
        if entry.shown in marked and _MARKER.search(content[:_SCANNED]):
            yield Refusal(reason="still has conflict markers", path=entry.shown)


def _forms(secrets: Sequence[str]) -> tuple[bytes, ...]:
    """A secret as it is and in base64; short values would be found everywhere."""
    raw = [secret.encode() for secret in secrets if len(secret) >= 8]
    return (*raw, *(base64.b64encode(value).rstrip(b"=")[:-1] for value in raw))
