"""What the user's repository says, read through GitPython: references, tags, commits, status, configuration.

Moving references is in ``moving``, objects that agents made are in ``objects``.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.repository.git import check_git
from pytest_cobbler.repository.identity import Identity, Person
from pytest_cobbler.repository.ref_files import read_head_file, read_ref_files
from pytest_cobbler.repository.subdirectory import Subdirectory

if TYPE_CHECKING:
    from pytest_cobbler.repository.gitpython import Commands

_PERSON = re.compile(rb"(.*) <(.*)> \d+ [+-]\d+\n")


class Reading:
    """The user's repository and its checkout, to read."""

    def __init__(self, directory: Path) -> None:
        """Find the repository of ``directory``, the directory of the project in its checkout.

        Raises:
            RepositoryError: there is no repository, it is bare, or git is too old or cannot read it.
        """
        check_git()
        from pytest_cobbler.repository.gitpython import Opened

        opened = Opened(directory)
        self.root = opened.root
        self.directory = _below(opened.root, directory)
        self.git_dir = opened.git_dir
        """The git directory of this checkout; of a linked worktree it is below ``common_dir``."""
        self._plain = opened.plain
        self._configured = opened.configured
        facts = self._ask(
            self._plain, "rev-parse", "--path-format=absolute", "--show-object-format", "--git-common-dir"
        )
        object_format, _, common_dir = os.fsdecode(facts).removesuffix("\n").partition("\n")
        self.object_format = object_format
        """``sha1`` or ``sha256``."""
        self.common_dir = Path(common_dir).resolve()
        """The git directory that all worktrees share."""

    # -- references and tags

    def list_refs(self, *patterns: str) -> dict[str, str]:
        """Ref -> object id of every ref that a pattern of ``for-each-ref`` matches."""
        read = read_ref_files(self.common_dir, patterns)
        if read is not None:
            return read
        listed = self._ask(self._plain, "for-each-ref", "--format=%(objectname) %(refname)", *patterns)
        pairs = (os.fsdecode(line).split(" ", 1) for line in listed.split(b"\n") if line)
        return {ref: object_id for object_id, ref in pairs}

    def read_ref(self, ref: str) -> str | None:
        """The object id of the ref with exactly this name."""
        return self.list_refs(ref).get(ref)

    def target_of(self, ref: str) -> str | None:
        """The ref that a symbolic ref names, existing or not; ``None`` if there is no such symbolic ref."""
        target = self._ask(self._plain, "symbolic-ref", "--quiet", ref, accepted=(0, 1))
        return os.fsdecode(target).removesuffix("\n") or None

    def head_branch(self) -> str | None:
        """The branch that is checked out, ``None`` if HEAD is detached."""
        target = self.target_of("HEAD")
        return target.removeprefix("refs/heads/") if target else None

    def head_commit(self) -> str | None:
        """The commit that is checked out, ``None`` before the first commit."""
        return self.resolve("HEAD^{commit}")

    def heads(self) -> list[str]:
        """The commits whose files are checked out: HEAD, and what is being merged or picked into it."""
        merging: list[str] = []
        with contextlib.suppress(OSError):  # no merge is going on
            merging = (self.git_dir / "MERGE_HEAD").read_text("ascii", "replace").split()
        named = [self.resolve(f"{name}^{{commit}}") for name in ("HEAD", "CHERRY_PICK_HEAD", *merging)]
        return [commit for commit in named if commit]

    def checked_out(self) -> dict[str, Path]:
        """Branch ref -> the worktree that has the branch checked out or rebases it, of all worktrees."""
        worktree_of: dict[str, Path] = {}
        worktrees: list[Path] = []
        for worktree, branch in self._worktrees():
            worktrees.append(worktree)
            if branch:
                worktree_of[branch] = worktree
        for worktree in worktrees:
            for state in ("rebase-merge", "rebase-apply"):
                with contextlib.suppress(OSError):  # no rebase, or the worktree is gone
                    head_name = _git_dir_of(worktree) / state / "head-name"
                    branch = head_name.read_text("utf-8", "replace").strip()
                    worktree_of.setdefault(branch, worktree)
        return worktree_of

    def _worktrees(self) -> Iterator[tuple[Path, str]]:
        """Each worktree with the ref of its branch; the branch is empty if HEAD is detached."""
        is_only_one = self.git_dir == self.common_dir and not (self.common_dir / "worktrees").exists()
        if is_only_one and (branch := read_head_file(self.git_dir)):
            yield self.root, branch
            return
        worktree, branch = self.root, ""
        for field in self._ask(self._plain, "worktree", "list", "--porcelain", "-z").split(b"\0"):
            word, _, value = os.fsdecode(field).partition(" ")
            if word == "worktree":
                path, branch = Path(value), ""
                # Of a submodule git lists its git directory.
                worktree = self.root if path == self.common_dir == self.git_dir else path
            elif word == "branch":
                branch = value
            elif not word:  # an empty line ends each worktree
                yield worktree, branch

    # -- commits

    def resolve(self, revision: str) -> str | None:
        """The object id of ``revision``, or ``None``."""
        words = ("--verify", "--quiet", "--end-of-options", revision)
        return self._ask(self._plain, "rev-parse", *words, accepted=(0, 1)).decode().strip() or None

    def commit_of(self, ref: str) -> str:
        """The commit of a ref, also of an annotated tag; empty if the ref does not lead to a commit."""
        return self.resolve(f"{ref}^{{commit}}") or ""

    def reaches(self, commit: str, other: str) -> bool:
        """Whether ``other`` is in the history of ``commit``."""
        words = ("--is-ancestor", "--end-of-options", other, commit)
        return self._status(self._plain, "merge-base", *words, accepted=(0, 1)) == 0

    def merge_base(self, commit: str, other: str) -> str:
        """The newest commit that is in the history of both; empty if there is none."""
        words = ("--end-of-options", commit, other)
        return self._ask(self._plain, "merge-base", *words, accepted=(0, 1)).decode().strip()

    def time_of(self, commit: str) -> float:
        """The committer's date, in seconds since the epoch."""
        return float(self._ask(self._plain, "show", "-s", "--format=%ct", "--end-of-options", commit))

    # -- status and configuration

    def uncommitted(self, *, new: bool = True, only: str = "") -> list[bytes]:
        """Paths of the checkout that differ from HEAD, and directories of new files, without ignored ones.

        git reads a file that may have changed through the user's filters.

        Args:
            new: include untracked files.
            only: a path of the repository; all others are left out.
        """
        listed = self._ask(
            self._configured,
            "status",
            "--porcelain",
            "-z",
            "--no-renames",
            "--ignore-submodules=dirty",
            f"--untracked-files={'normal' if new else 'no'}",
            *(("--", f":(top,literal){only}") if only else ()),
        )
        return [entry[3:] for entry in listed.split(b"\0") if entry]

    @property
    def shared(self) -> str:
        """``core.sharedRepository`` of the repository, which says who may read new files; may be empty."""
        value = self._ask(self._plain, "config", "--get", "core.sharedRepository", accepted=(0, 1))
        return value.decode("utf-8", "replace").strip()

    def settings(self) -> list[tuple[str, str]]:
        """Names (in small letters) and values of the user's configuration of git, with repetitions."""
        listed = self._ask(self._configured, "config", "--list", "-z", "--includes")
        entries = (entry.decode("utf-8", "surrogateescape") for entry in listed.split(b"\0") if entry)
        return [(name.lower(), value) for name, _, value in (entry.partition("\n") for entry in entries)]

    def identity(self) -> Identity:
        """The author and the committer, as git takes them from the environment and the configuration.

        Raises:
            RepositoryError: one of them has no name or no email address.
        """
        return Identity(
            author=self._person("GIT_AUTHOR_IDENT"), committer=self._person("GIT_COMMITTER_IDENT")
        )

    def _person(self, variable: str) -> Person:
        role = variable.removesuffix("_IDENT")
        person = self._git_var(variable)
        if person == "email" and (email := os.environ.get("EMAIL")):
            # To git this variable is a guess, and guesses are switched off.
            person = self._git_var(variable, {f"{role}_EMAIL": email})
        if isinstance(person, Person):
            return person
        raise RepositoryError(
            f"git user.{person} is not set (needed to create commits)",
            f"Set it: git config --global user.{person} {person.upper()}",
        )

    def _git_var(
        self, variable: str, environment: Mapping[str, str] | None = None
    ) -> Person | Literal["name", "email"]:
        """The person that git takes, or which part of one is not set.

        Raises:
            RepositoryError: something that is set is not valid.
        """
        status, line, errors = self._configured.var(variable, env=environment, **_EXTENDED)
        if person := _PERSON.fullmatch(line):
            # Empty: git guesses nothing for the author if the committer has an address, and vice versa.
            name, email = os.fsdecode(person[1]), os.fsdecode(person[2])
            return Person(name=name, email=email) if email else "email"
        if "no email was given" in errors:
            return "email"
        if "no name was given" in errors or "empty ident name" in errors:
            return "name"
        raise RepositoryError(
            f"git var {variable} failed (exit {status})", "Correct user.name or user.email.", errors
        )

    # -- GitPython

    def _ask(self, git: Commands, command: str, *arguments: str, accepted: tuple[int, ...] = (0,)) -> bytes:
        """The output of a git command.

        Raises:
            RepositoryError: its exit status is not one of ``accepted``.
        """
        return self._run(git, command, arguments, accepted)[1]

    def _status(self, git: Commands, command: str, *arguments: str, accepted: tuple[int, ...]) -> int:
        return self._run(git, command, arguments, accepted)[0]

    def _run(
        self, git: Commands, command: str, arguments: tuple[str, ...], accepted: tuple[int, ...]
    ) -> tuple[int, bytes]:
        status, output, errors = getattr(git, command)(*arguments, **_EXTENDED)
        if status not in accepted:
            raise RepositoryError(f"git {command} failed in {self.root} (exit {status})", evidence=errors)
        return status, output


_EXTENDED = {
    "with_extended_output": True,
    "with_exceptions": False,
    "stdout_as_string": False,
    "strip_newline_in_stdout": False,
}
"""Options of GitPython: return status, output as bytes, and errors as text."""


def _below(root: Path, directory: Path) -> Subdirectory:
    root, directory = root.resolve(), directory.resolve()
    inside = directory != root and directory.is_relative_to(root)
    return Subdirectory(directory.relative_to(root).as_posix() if inside else "")


def _git_dir_of(worktree: Path) -> Path:
    path = worktree / ".git"
    if path.is_dir():
        return path
    return worktree / os.fsdecode(path.read_bytes()).removeprefix("gitdir: ").removesuffix("\n")
