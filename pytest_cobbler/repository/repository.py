"""The user's repository, read by GitPython and by the one door for git."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import git as gitpython
import platformdirs

from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.repository.git import Git, init_bare

ZERO = "0" * 40
OLDEST_GIT = (2, 38)
"""``git merge-tree --write-tree`` came with 2.38."""


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


class Repository:
    """One repository: where its parts lie, its refs, its objects.

    ``refs`` is git on the repository's own git directory and is used to read and move refs, nothing else;
    ``objects`` is git on a scratch directory that shares the object store.
    """

    def __init__(self, root: Path, work_dir: Path | None = None) -> None:
        """``root``: a directory of the checkout.

        Raises:
            RepositoryError: there is no repository, it is bare, or git is too old.
        """
        try:
            found = gitpython.Repo(root, search_parent_directories=True)
        except (gitpython.InvalidGitRepositoryError, gitpython.NoSuchPathError) as error:
            raise RepositoryError(
                f"{root} is not in a git repository", "Make one: git init && git add -A && git commit"
            ) from error
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
        self._check_version()

    def _check_version(self) -> None:
        said = self.refs.text("version")
        found = re.search(r"(\d+)\.(\d+)", said)
        if not found or (int(found[1]), int(found[2])) < OLDEST_GIT:
            raise RepositoryError(f"{said} is too old", "Install git 2.38 or newer.")

    @cached_property
    def key(self) -> str:
        """Names this repository in labels and directories: its directory's name and a hash of its git directory."""
        name = re.sub(r"[^A-Za-z0-9_.-]", "-", self.root.name).strip("-.") or "repository"
        return f"{name[:40]}-{hashlib.sha256(os.fsencode(self.common_dir)).hexdigest()[:10]}"

    @cached_property
    def work_dir(self) -> Path:
        """Where worktrees lie: outside the repository, ours alone."""
        parent = self._work_dir or platformdirs.user_state_path("cobbler")
        return parent / self.key

    @cached_property
    def object_format(self) -> str:
        return self.refs.text("rev-parse", "--show-object-format")

    @cached_property
    def object_stores(self) -> tuple[Path, ...]:
        """Every directory that holds objects of the repository, its own first."""
        own = self.common_dir / "objects"
        found, queue = [own], [own]
        while queue:
            directory = queue.pop()
            alternates = directory / "info" / "alternates"
            if not alternates.is_file():
                continue
            for line in alternates.read_text().splitlines():
                store = (directory / line).resolve()
                if line and not line.startswith("#") and store not in found:
                    found.append(store)
                    queue.append(store)
        return tuple(found)

    @cached_property
    def objects(self) -> Git:
        scratch = self.work_dir / "scratch.git"
        if not (scratch / "HEAD").is_file():
            self.work_dir.mkdir(parents=True, exist_ok=True, mode=0o755)
            init_bare(scratch, object_format=self.object_format, alternates=())
        return Git(scratch, objects=self.object_stores[0])

    def identity(self) -> Identity:
        """The user's, as git itself would take it.

        Raises:
            RepositoryError: none is configured.
        """
        with gitpython.Repo(self.root) as repo, repo.config_reader() as reader:
            values = {
                part: os.environ.get(f"GIT_COMMITTER_{part.upper()}")
                or os.environ.get(f"GIT_AUTHOR_{part.upper()}")
                or str(reader.get_value("user", part, ""))
                for part in ("name", "email")
            }
        for part, value in values.items():
            if not value:
                raise RepositoryError(
                    f"git has no user.{part} to sign landings with",
                    f"Set it: git config --global user.{part} ...",
                )
        return Identity(**values)

    def head_branch(self) -> str | None:
        """The branch checked out, ``None`` when HEAD is detached."""
        with gitpython.Repo(self.root) as repo:
            return None if repo.head.is_detached else str(repo.head.reference.name)

    def head_commit(self) -> str | None:
        with gitpython.Repo(self.root) as repo:
            return repo.head.commit.hexsha if repo.head.is_valid() else None

    def checked_out(self) -> dict[str, Path]:
        """Branch ref -> the work tree that has it checked out, over all work trees of the repository."""
        found: dict[str, Path] = {}
        path = Path()
        for field in self.refs.fields("worktree", "list", "--porcelain", "-z"):
            word, _, value = os.fsdecode(field).partition(" ")
            if word == "worktree":
                path = Path(value)
            elif word == "branch":
                found[value] = path
        return found

    # -- refs

    def list_refs(self, *patterns: str) -> dict[str, str]:
        """Ref -> object id of every ref that a pattern of ``for-each-ref`` matches."""
        lines = self.refs.text("for-each-ref", "--format=%(refname) %(objectname)", *patterns).splitlines()
        return dict(line.rsplit(" ", 1) for line in lines)

    def read_ref(self, ref: str) -> str | None:
        return self.refs.resolve(ref)

    def move_ref(self, ref: str, new: str, old: str, reason: str) -> bool:
        """Compare-and-swap of one ref; ``old`` of ``ZERO``: it must not exist. False: somebody else moved it."""
        completion = self.refs.run("update-ref", "-m", reason, ref, new, old, accepted=(0, 1, 128))
        if completion.ok:
            return True
        if self.read_ref(ref) != (None if set(old) == {"0"} else old):
            return False
        raise RepositoryError(
            f"git could not move {ref}",
            f"If no git command is running, remove {self.common_dir / ref}.lock",
            completion.errors,
        )

    def set_ref(self, ref: str, new: str) -> None:
        """Point a ref that only we write at ``new``."""
        self.refs.run("update-ref", ref, new)

    def delete_refs(self, refs: Mapping[str, str] | Sequence[str]) -> None:
        for ref in refs:
            self.refs.run("update-ref", "-d", ref)

    # -- objects

    def tree_of(self, revision: str) -> str:
        return self.objects.text("rev-parse", "--verify", "--end-of-options", f"{revision}^{{tree}}")

    def files(self, tree: str) -> list[str]:
        """Paths of a tree, undecodable bytes escaped."""
        return [os.fsdecode(path) for path in self.objects.fields("ls-tree", "-r", "-z", "--name-only", tree)]

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
            "commit-tree", tree, *arguments, stdin=message.encode(), environment=identity.environment
        )
        return completion.text.strip()
