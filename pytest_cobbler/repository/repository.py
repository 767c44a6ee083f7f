"""The user's repository: found by GitPython, read and moved through the one door for git."""

from __future__ import annotations

import configparser
import contextlib
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import git as gitpython
import platformdirs
from packaging.version import Version

from pytest_cobbler.causes import Ending
from pytest_cobbler.errors import CobblerError, RepositoryError
from pytest_cobbler.process import Completion, host_environment, run
from pytest_cobbler.repository.git import TIMEOUT, Git, init_bare
from pytest_cobbler.sandbox.base import Mount
from pytest_cobbler.versions import find_version

ZERO = ""
"""The old value of a ref that must not exist. (Zeros would be forty or sixty-four, by the format.)"""

OLDEST_GIT = Version("2.38")
"""``git merge-tree --write-tree`` came with 2.38."""

STALE = 5.0
"""Seconds for which a lock file of git on one of our refs must have been the same to be a dead process's."""

_INSTALL_GIT = f"Install git {OLDEST_GIT} or newer."
_READ_AT_ONCE = 500
_USER_CONFIGURATION = re.compile(r"GIT_CONFIG_\w+|XDG_CONFIG_HOME")


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who landings are by."""

    name: str
    email: str

    @property
    def environment(self) -> dict[str, str]:
        return {
            f"GIT_{role}_{part}": value
            for role in ("AUTHOR", "COMMITTER")
            for part, value in (("NAME", self.name), ("EMAIL", self.email))
        }


def default_work_dir() -> Path:
    """The user's state directory; for root one that others can reach: images close ``/root``."""
    return Path("/var/lib/cobbler") if os.geteuid() == 0 else platformdirs.user_state_path("cobbler")


class Repository:
    """One repository: where its parts lie, its refs, its objects.

    ``refs`` is git on the repository's own git directory and is used to read and move refs, nothing else;
    ``objects`` is git on a scratch directory that shares the object store.
    """

    def __init__(self, root: Path, work_dir: Path | None = None) -> None:
        """``root``: a directory of the checkout.

        Raises:
            RepositoryError: there is no repository, it is bare, or git is too old or cannot read it.
        """
        try:
            found = gitpython.Repo(root, search_parent_directories=True)
        except (gitpython.InvalidGitRepositoryError, gitpython.NoSuchPathError) as error:
            raise RepositoryError(
                f"{root} is not in a git repository", "Make one: git init && git add -A && git commit"
            ) from error
        except (configparser.Error, ValueError, OSError) as error:
            raise RepositoryError(f"the git repository of {root} cannot be read: {error}") from error
        with found:
            if found.bare or found.working_tree_dir is None:
                raise RepositoryError(
                    f"{root} is a bare repository", "Work in a clone that has its files checked out."
                )
            self.root = Path(found.working_tree_dir)
            self.git_dir = Path(found.git_dir).resolve()
            self.common_dir = Path(found.common_dir).resolve()
        self._work_dir = work_dir
        self.refs = Git(self.common_dir)
        check_git()
        self.object_format = self.refs.text("rev-parse", "--show-object-format")
        """``sha1`` or ``sha256``."""

    @cached_property
    def key(self) -> str:
        """Names this repository in labels and directories: its name and a hash of its git directory."""
        name = re.sub(r"[^A-Za-z0-9_.-]", "-", self.root.name).strip("-.") or "repository"
        return f"{name[:40]}-{hashlib.sha256(os.fsencode(self.common_dir)).hexdigest()[:10]}"

    @cached_property
    def work_dir(self) -> Path:
        """Where worktrees lie: outside the repository, ours alone."""
        return (self._work_dir or default_work_dir()) / self.key

    @cached_property
    def object_stores(self) -> tuple[Path, ...]:
        """Every directory that holds objects of the repository, its own first."""
        own = self.common_dir / "objects"
        found, queue = [own], [own]
        while queue:
            directory = queue.pop(0)
            with contextlib.suppress(FileNotFoundError):
                for line in (directory / "info" / "alternates").read_bytes().split(b"\n"):
                    store = (directory / os.fsdecode(line)).resolve()
                    if line and not line.startswith(b"#") and store.is_dir() and store not in found:
                        found.append(store)
                        queue.append(store)
        return tuple(found)

    def object_mounts(self, owner: tuple[int, int] | None) -> tuple[Mount, ...]:
        """The object stores as jobs see them: where they are or, for another user's jobs, below ``/cobbler``.

        A store may lie below a directory that an image closes to others, as it does ``/root``.
        """
        return tuple(
            Mount(source=store, target=f"/cobbler/objects/{number}" if owner else str(store))
            for number, store in enumerate(self.object_stores)
        )

    @property
    def shallow(self) -> Path:
        """The file that lists where a shallow clone's history is cut off; it need not exist."""
        return self.common_dir / "shallow"

    @cached_property
    def objects(self) -> Git:
        scratch = self.work_dir / f"scratch-{self.object_format}.git"
        if not scratch.is_dir():
            self._make_scratch(scratch)
        return Git(
            scratch,
            objects=self.object_stores[0],
            shallow=self.shallow,
            settings={"core.sharedRepository": self.shared} if self.shared else {},
        )

    def _make_scratch(self, scratch: Path) -> None:
        """Make it whole or not at all: a process may be killed here, and another may be as far."""
        try:
            self.work_dir.mkdir(parents=True, exist_ok=True, mode=0o755)
            with tempfile.TemporaryDirectory(prefix="scratch-", dir=self.work_dir) as directory:
                made = Path(directory) / "git"
                init_bare(made, object_format=self.object_format, alternates=())
                made.rename(scratch)
        except OSError as error:
            if not scratch.is_dir():
                raise RepositoryError(
                    f"cannot make {scratch}: {error.strerror}", "Set work_dir to a directory you can write."
                ) from error

    @cached_property
    def shared(self) -> str:
        """Who may read what is written into the repository: ``core.sharedRepository``, or nothing."""
        return self.refs.run("config", "--get", "core.sharedRepository", accepted=(0, 1)).text.strip()

    def identity(self) -> Identity:
        """The user's, as git itself would take it.

        Raises:
            RepositoryError: none is configured.
        """
        said = self._user_configuration()
        values = {part: _first_said(part, said) for part in ("name", "email")}
        for part, value in values.items():
            if not value:
                raise RepositoryError(
                    f"git has no user.{part} to sign landings with",
                    f"Set it: git config --global user.{part} ...",
                )
        return Identity(**values)

    def _user_configuration(self) -> dict[str, str]:
        """``user.name`` and the like, lower case."""
        completion = self._by_users_configuration(
            "config", "--includes", "--null", "--get-regexp", r"^(user|author|committer)\.(name|email)$"
        )
        if completion.end != Ending.EXITED or completion.status not in (0, 1):
            raise RepositoryError("git cannot read its configuration", evidence=completion.errors)
        pairs = (field.partition("\n") for field in completion.text.split("\0") if field)
        return {name: value.strip() for name, _, value in pairs}

    def _by_users_configuration(self, *arguments: str) -> Completion:
        """git as the user has configured it, on the checkout; only to ask, nothing is written."""
        return run(
            ["git", f"--git-dir={self.git_dir}", *arguments],
            env=host_environment(*_names_of_configuration(), LC_ALL="C", GIT_OPTIONAL_LOCKS="0"),
            cwd=self.root,
            timeout=TIMEOUT,
        )

    def in_checkout(
        self, *arguments: str | bytes, stdin: bytes = b"", where: Path | None = None
    ) -> Completion:
        """git on the user's index and files, as the user has configured it, but without hooks.

        What it converts files with (LFS, line ends) runs as it would at the user's own command, with the
        user's environment but for variables of git's. No agent may have had a say in that configuration.

        Args:
            where: another work tree of the user's.
        """
        kept = _names_of_configuration()
        env = {name: value for name, value in os.environ.items() if name in kept or name[:4] != "GIT_"}
        settings = ("core.hooksPath=/dev/null", "core.fsmonitor=false", "submodule.recurse=false")
        words = [word for setting in settings for word in ("-c", setting)]
        if where is None:
            words += [f"--git-dir={self.git_dir}", f"--work-tree={self.root}"]
        return run(
            ["git", *words, *map(os.fsdecode, arguments)],
            env=env | {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"},
            cwd=where or self.root,
            stdin=stdin,
            timeout=TIMEOUT,
        )

    def head_branch(self) -> str | None:
        """The branch checked out, ``None`` when HEAD is detached."""
        said = Git(self.git_dir).run("symbolic-ref", "--quiet", "HEAD", accepted=(0, 1))
        return os.fsdecode(said.stdout).strip().removeprefix("refs/heads/") or None

    def head_commit(self) -> str | None:
        return Git(self.git_dir).resolve("HEAD^{commit}")

    def checked_out(self) -> dict[str, Path]:
        """Branch ref -> the work tree that has it checked out, or rebases it, of all of the repository."""
        found: dict[str, Path] = {}
        trees: list[Path] = []
        for field in self.refs.fields("worktree", "list", "--porcelain", "-z"):
            word, _, value = os.fsdecode(field).partition(" ")
            if word == "worktree":
                path = Path(value)
                # Of a submodule git lists its git directory.
                trees.append(self.root if path == self.common_dir == self.git_dir else path)
            elif word == "branch":
                found[value] = trees[-1]
        for tree in trees:
            for state in ("rebase-merge", "rebase-apply"):
                with contextlib.suppress(OSError):  # there is none, or the work tree is gone
                    branch = (_git_dir_of(tree) / state / "head-name").read_text("utf-8", "replace").strip()
                    found.setdefault(branch, tree)
        return found

    def uncommitted(self, *, new: bool = True) -> list[bytes]:
        """Paths of the checkout that differ from HEAD, and directories of new files; not what git ignores.

        Args:
            new: also what git does not track.
        """
        said = self._by_users_configuration(
            "-c",
            "core.fsmonitor=false",
            f"--work-tree={self.root}",
            "status",
            "--porcelain",
            "-z",
            "--no-renames",
            "--ignore-submodules=dirty",
            f"--untracked-files={'normal' if new else 'no'}",
        )
        if not said.ok:
            raise RepositoryError(f"git cannot tell what is changed in {self.root}", evidence=said.errors)
        return [entry[3:] for entry in said.stdout.split(b"\0") if entry]

    # -- refs

    def list_refs(self, *patterns: str) -> dict[str, str]:
        """Ref -> object id of every ref that a pattern of ``for-each-ref`` matches."""
        completion = self.refs.run("for-each-ref", "--format=%(objectname) %(refname)", *patterns)
        pairs = (os.fsdecode(line).split(" ", 1) for line in completion.stdout.split(b"\n") if line)
        return {ref: commit for commit, ref in pairs}

    def read_ref(self, ref: str) -> str | None:
        """What the ref of exactly this name points at."""
        return self.list_refs(ref).get(ref)

    def move_ref(self, ref: str, new: str, old: str, reason: str) -> bool:
        """Compare-and-swap of one ref (``old`` may be ``ZERO``); False: another process moved it."""
        completion = self.refs.run("update-ref", "-m", reason, ref, new, old, accepted=(0, 1, 128))
        if completion.ok:
            return True
        if self.read_ref(ref) != (old or None):
            return False
        raise RepositoryError(
            f"git could not move {ref}",
            f"If no git command is running, remove {self._lock_of(ref)}",
            completion.errors,
        )

    def set_ref(self, ref: str, new: str) -> None:
        """Point a ref that only we write at ``new``."""
        self.refs.run("update-ref", ref, new)

    def delete_refs(self, refs: Mapping[str, str]) -> tuple[str, ...]:
        """Delete refs that still have these values, in one transaction.

        Args:
            refs: name -> the object id that it must have.

        Returns:
            the names of those that another process moved: they stay.

        Raises:
            RepositoryError: git could not delete them.
        """
        values = self._values(refs)
        while unmoved := {ref: old for ref, old in refs.items() if values.get(ref) == old}:
            commands = "".join(f"delete {ref}\0{old}\0" for ref, old in unmoved.items())
            completion = self.refs.run(
                "update-ref", "--no-deref", "-z", "--stdin", stdin=os.fsencode(commands), accepted=(0, 1, 128)
            )
            if completion.ok:
                break
            before, values = values, self._values(refs)
            if values == before:
                raise RepositoryError(
                    f"git could not delete {', '.join(unmoved)}",
                    "If no git command is running, remove "
                    + ", ".join(str(lock) for ref in unmoved if (lock := self._lock_of(ref)).exists()),
                    completion.errors,
                )
        return tuple(ref for ref, old in refs.items() if values.get(ref, old) != old)

    def _values(self, refs: Collection[str]) -> dict[str, str]:
        """Ref -> object id of those that exist."""
        return self.list_refs(*refs) if refs else {}

    def remove_stale_lock(self, ref: str) -> None:
        """Remove git's lock file on a ref that only we move, unless it goes by itself.

        Call it under the run lock.
        """
        path = self._lock_of(ref)
        with contextlib.suppress(FileNotFoundError):
            first = path.stat()
            time.sleep(min(STALE, max(0.0, STALE - (time.time() - first.st_mtime))))
            now = path.stat()
            if (now.st_ino, now.st_mtime_ns) == (first.st_ino, first.st_mtime_ns):
                path.unlink()

    def _lock_of(self, ref: str) -> Path:
        return self.common_dir / f"{ref}.lock"

    # -- objects

    def commit_of(self, ref: str) -> str:
        """The commit of a ref; of a tag with a message, the one that it is on. Empty: it is on none."""
        return self.refs.resolve(f"{ref}^{{commit}}") or ""

    def reaches(self, commit: str, other: str) -> bool:
        """Whether ``other`` is in the history of ``commit``."""
        return self.objects.run("merge-base", "--is-ancestor", other, commit, accepted=(0, 1)).ok

    def time_of(self, commit: str) -> float:
        """When it was made, in seconds since the epoch."""
        return float(self.objects.text("show", "-s", "--format=%ct", "--end-of-options", commit))

    def tree_of(self, revision: str) -> str:
        return self.objects.text("rev-parse", "--verify", "--end-of-options", f"{revision}^{{tree}}")

    def files(self, tree: str) -> list[str]:
        """Paths of a tree, undecodable bytes escaped."""
        return [os.fsdecode(path) for path in self.objects.fields("ls-tree", "-r", "-z", "--name-only", tree)]

    def submodules(self, tree: str) -> set[str]:
        """Paths of a tree where other repositories lie."""
        return {path for mode, _, path in self._entries(tree) if mode == "160000"}

    def blobs(self, tree: str) -> dict[str, str]:
        """Path -> object id of every regular file of a tree."""
        return {path: blob for mode, blob, path in self._entries(tree) if mode.startswith("100")}

    def _entries(self, tree: str) -> Iterator[tuple[str, str, str]]:
        """Mode, object id and path."""
        for entry in self.objects.fields("ls-tree", "-r", "-z", "--full-tree", tree):
            facts, _, path = entry.partition(b"\t")
            mode, _, name = facts.decode().split(" ")
            yield mode, name, os.fsdecode(path)

    def read_blobs(self, blobs: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Each blob with its content, a few at a time."""
        for first in range(0, len(blobs), _READ_AT_ONCE):
            asked = "".join(f"{blob}\n" for blob in blobs[first : first + _READ_AT_ONCE]).encode()
            answer = self.objects.run("cat-file", "--batch=%(objectname) %(objectsize)", stdin=asked).stdout
            start = 0
            while start < len(answer):
                end = answer.index(b"\n", start)
                blob, size = answer[start:end].decode().split(" ")
                start = end + 1 + int(size) + 1
                yield blob, answer[end + 1 : start - 1]

    def read_file(self, revision: str, path: str) -> bytes | None:
        """The content of a regular file at ``revision``, or ``None``."""
        listed = self.objects.fields("ls-tree", "-z", revision, "--", path)
        if len(listed) != 1 or not listed[0].startswith(b"100"):
            return None
        blob = listed[0].split(b"\t", 1)[0].split()[2].decode()
        return self.objects.run("cat-file", "blob", blob).stdout

    def commit(self, tree: str, parents: Sequence[str], message: str, identity: Identity) -> str:
        arguments = [word for parent in parents for word in ("-p", parent)]
        completion = self.objects.run(
            "commit-tree",
            tree,
            *arguments,
            stdin=message.encode("utf-8", "replace"),
            environment=identity.environment,
        )
        return completion.text.strip()


def _git_dir_of(work_tree: Path) -> Path:
    own = work_tree / ".git"
    if own.is_dir():
        return own
    return work_tree / os.fsdecode(own.read_bytes()).removeprefix("gitdir: ").removesuffix("\n")


def _names_of_configuration() -> list[str]:
    """Variables of the environment that say where the user's configuration of git is."""
    return [name for name in os.environ if _USER_CONFIGURATION.fullmatch(name)]


def _first_said(part: str, configured: Mapping[str, str]) -> str:
    """What git's own order of places says of ``part``: name or email."""
    variables = (f"GIT_COMMITTER_{part.upper()}", f"GIT_AUTHOR_{part.upper()}")
    settings = (f"committer.{part}", f"author.{part}", f"user.{part}")
    last = os.environ.get("EMAIL", "") if part == "email" else ""
    said = (*(os.environ.get(name) for name in variables), *(configured.get(name) for name in settings), last)
    return next((value for value in said if value), "")


@cache
def check_git() -> str:
    """What git says its version is.

    Raises:
        RepositoryError: there is no git, or it is too old.
    """
    try:
        said = run(["git", "version"], env=host_environment(LC_ALL="C"), timeout=TIMEOUT).text.strip()
    except CobblerError as error:
        raise RepositoryError("git is not on PATH", _INSTALL_GIT) from error
    version = find_version(said)
    if version is None or version < OLDEST_GIT:
        raise RepositoryError(f"{said} is too old", _INSTALL_GIT)
    return said
