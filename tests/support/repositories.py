"""Repositories and generations in three lines, and queries that tests need."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pytest_cobbler.repository.checks import Policy
from pytest_cobbler.repository.generations import Changes, Generation, create_generation, draft_generation
from pytest_cobbler.repository.harvest import Harvest, harvest
from pytest_cobbler.repository.identity import Identity, Person
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.worktrees import Worktree, Worktrees
from pytest_cobbler.sandbox.base import Job, Sandbox
from pytest_cobbler.sites.local import LocalPlace, LocalSite
from tests.support.object_files import ObjectFiles, put

__all__ = ["ADA", "NOW", "Bench", "UserRepository", "commit_files", "files_in", "identity_of", "snapshot"]

ADA = Identity.of(Person(name="Ada", email="ada@example.invalid"))
NOW = datetime(2026, 2, 10, 15, 23, 11)
_ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "LC_ALL": "C",
    "PATH": os.environ["PATH"],
}

Content = str | bytes


class UserRepository:
    """A user's checkout, with the user's git."""

    def __init__(self, path: Path, work_dir: Path) -> None:
        self.path = path
        self.work_dir = work_dir

    @classmethod
    def create(cls, directory: Path, *arguments: str, name: str = "project") -> UserRepository:
        """A repository below ``directory`` with nothing in it; ``arguments`` of ``git init``."""
        repository = cls(directory / name, directory / "work")
        repository.path.mkdir(parents=True)
        with tempfile.TemporaryDirectory(dir=directory) as template:
            config = f"[user]\n\tname = {ADA.author.name}\n\temail = {ADA.author.email}\n[gc]\n\tauto = 0\n"
            (Path(template) / "config").write_text(config)
            repository.git("init", "--quiet", f"--template={template}", "--initial-branch=main", *arguments)
        return repository

    def copy(self, directory: Path) -> UserRepository:
        """The same repository below another ``directory``; faster than making it again."""
        copy = UserRepository(directory / self.path.name, directory / "work")
        shutil.copytree(self.path, copy.path, symlinks=True)
        copy.git("update-index", "-q", "--refresh")
        return copy

    def clone(self, path: Path, *arguments: str) -> UserRepository:
        """A clone of it at ``path``."""
        source = str(self.path) if "--shared" in arguments else self.path.as_uri()
        subprocess.run(
            ["git", "clone", "--quiet", *arguments, source, path],
            env=_ENVIRONMENT,
            check=True,
            capture_output=True,
        )
        clone = UserRepository(path, path.parent / f"{path.name}-work")
        clone.configure({"user.name": ADA.author.name, "user.email": ADA.author.email})
        return clone

    def git(self, *arguments: str, env: Mapping[str, str] | None = None, stdin: bytes = b"") -> str:
        """The output of git in the checkout, without its last newline."""
        completed = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            env=_ENVIRONMENT | dict(env or {}),
            input=stdin,
            capture_output=True,
        )
        assert completed.returncode == 0, (arguments, completed.stderr.decode("utf-8", "replace"))
        return os.fsdecode(completed.stdout).removesuffix("\n")

    def configure(self, settings: Mapping[str, str]) -> None:
        for name, value in settings.items():
            self.git("config", name, value)

    def write(self, files: Mapping[str, Content]) -> None:
        for name, content in files.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, files: Mapping[str, Content] | None = None, message: str = "Change") -> str:
        """Write ``files`` and commit everything; return the commit."""
        self.write(files or {})
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def open(self) -> Repository:
        return Repository(self.path, self.work_dir)

    def start(self, changes: Changes | None = None, *, prefix: str = "generation-") -> Generation:
        """A generation from what is checked out."""
        repository = self.open()
        start = repository.head_commit()
        assert start is not None
        return create_generation(
            repository,
            draft_generation(
                repository,
                prefix=prefix,
                base=repository.head_branch() or "",
                start=start,
                now=NOW,
                changes=changes or Changes(),
            ),
            ADA,
        )


def snapshot(user: UserRepository, *, but: Sequence[str] = ()) -> dict[str, bytes]:
    """Every file of the checkout and its git directory, except objects and paths that begin like ``but``."""
    files = {}
    for path in sorted(user.path.rglob("*")):
        name = os.fsencode(path.relative_to(user.path)).decode("utf-8", "backslashreplace")
        if path.is_file() and not name.startswith((".git/objects/", *but)):
            files[name] = path.read_bytes()
    return files


def files_in(repository: Repository, tree: str) -> dict[str, bytes]:
    """Path -> content of a tree or commit; of a link its target."""
    files = {}
    for line in repository.objects.fields("ls-tree", "-r", "-z", tree):
        facts, _, path = line.partition(b"\t")
        mode, _, blob = facts.decode().split(" ")
        content = b"" if mode == "160000" else repository.objects.run("cat-file", "blob", blob).stdout
        files[os.fsdecode(path)] = content
    return files


def commit_files(
    repository: Repository,
    parent: str,
    files: Mapping[str, Content | None],
    message: str = "Work\n",
    *,
    modes: Mapping[str, str] | None = None,
) -> str:
    """A commit on ``parent`` that differs from it by ``files`` (``None``: removed), made from objects only.

    ``modes``: path -> mode; the content of a link is its target, that of a submodule its commit.
    """
    store = ObjectFiles(repository)
    entries = store.entries(repository.tree_of(parent))
    for path, content in files.items():
        mode = (modes or {}).get(path, "100644")
        raw = content.encode() if isinstance(content, str) else content
        if raw is None:
            put(entries, os.fsencode(path), None)
        else:
            name = raw.decode() if mode == "160000" else store.write("blob", raw)
            put(entries, os.fsencode(path), (mode, name))
    return store.commit(store.tree(entries), parent, message, f"{ADA.author.name} <{ADA.author.email}>")


def identity_of(repository: Repository, commit: str, role: str = "a") -> str:
    """``Name <email>`` of a commit's author (``a``) or committer (``c``)."""
    return repository.objects.text("show", "-s", f"--format=%{role}n <%{role}e>", commit)


@dataclass(frozen=True)
class Bench:
    """A generation in a repository, and a sandbox in which its worktrees are harvested."""

    user: UserRepository
    repository: Repository
    generation: Generation
    sandbox: Sandbox
    alone: bool = False

    @property
    def tip(self) -> str:
        tip = self.repository.read_ref(self.generation.ref)
        assert tip is not None
        return tip

    @property
    def worktrees(self) -> Worktrees:
        return Worktrees(self.repository, self.generation.name, self.sandbox.owner, alone=self.alone)

    def worktree(self, name: str = "t-1", *, parent: str = "", tree: str = "") -> Worktree:
        """A worktree of the tip, or of ``tree`` on ``parent``."""
        parent = parent or self.tip
        return self.worktrees.create(
            name,
            parent=parent,
            tree=tree or self.repository.tree_of(parent),
            purpose={"task": "t", "number": "1"},
        )

    def work(self, worktree: Worktree, script: str) -> str:
        """Let a shell script work in the worktree as an agent does; its output."""
        with tempfile.TemporaryFile() as output:
            completed = self.sandbox.run(
                Job(
                    name="work",
                    argv=("bash", "-euc", script),
                    workdir=str(worktree.tree),
                    environment=_ENVIRONMENT | {"GIT_ATTR_NOSYSTEM": "1"},
                    mounts=worktree.mounts(self.repository),
                    stdout=output,
                )
            )
            assert completed.ok, completed.stderr
            output.seek(0)
            return os.fsdecode(output.read())

    def place(self, worktree: Worktree, sandbox: Sandbox | None = None) -> LocalPlace:
        """A worktree as a run sees it."""
        site = LocalSite(self.repository, self.generation.name, sandbox or self.sandbox, at_its_path=True)
        return site.place(worktree)

    def take(self, worktree: Worktree, policy: Policy | None = None) -> Harvest:
        """Harvest a worktree."""
        return harvest(self.place(worktree), self.repository, policy or Policy())

    def harvested(self, script: str, policy: Policy | None = None) -> Harvest:
        """Run ``script`` on a worktree of the tip and harvest it."""
        worktree = self.worktree()
        self.work(worktree, script)
        return self.take(worktree, policy)
