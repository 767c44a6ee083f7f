"""This machine as a site: checkouts in the work directory, jobs in its sandbox."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO, Self

from pytest_cobbler.errors import CobblerError, SandboxError
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.bases import Bases
from pytest_cobbler.repository.directories import chown_tree, remove_tree
from pytest_cobbler.repository.kept_aside import take_back
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.worktrees import Worktree, Worktrees, write_facts
from pytest_cobbler.sandbox.base import Capability, Completed, Engine, Job, Mount, Network, Sandbox
from pytest_cobbler.sandbox.collecting import CollectedFile, NotTaken, first_match, read_file
from pytest_cobbler.sandbox.overlays import unmount_below
from pytest_cobbler.sandbox.site import Unreached
from pytest_cobbler.sites.flattening import flattened
from pytest_cobbler.sites.overlaying import LARGE, can_overlay
from pytest_cobbler.sites.packing import packing_afterwards, run_job
from pytest_cobbler.sites.records import places_on_nodes

__all__ = ["INSIDE", "LocalPlace", "LocalSite"]

INSIDE = Path("/cobbler/task")
"""Where a container has the directory of its worktree: the same for every task, as prompts name it."""


class LocalSite:
    """The worktrees of one generation, and the sandbox of their jobs.

    Args:
        alone: agents read the objects of their files only, and none that only the history has, or no ref.
        left_out: directories whose new files a harvest will not pack.
        at_its_path: jobs see each worktree at its path on this machine, also in containers.
        large: files from which on worktrees lie over a shared checkout, if the sandbox can do that; ``None``
            for never.

    Raises:
        RepositoryError: no job could work on this repository.
    """

    def __init__(
        self,
        repository: Repository,
        generation: str,
        sandbox: Sandbox,
        *,
        alone: bool = False,
        left_out: Sequence[str] = (),
        at_its_path: bool = False,
        large: int | None = LARGE,
    ) -> None:
        is_contained = Capability.CONTAINMENT in sandbox.capabilities
        inside = INSIDE if is_contained and not at_its_path else None
        self._bases = Bases(repository, sandbox.owner, large, lambda: can_overlay(repository, sandbox))
        self.worktrees = Worktrees(
            repository, generation, sandbox.owner, alone=alone, inside=inside, bases=self._bases
        )
        self._repository = repository
        self._generation = generation
        self._sandbox = sandbox
        self._left_out = tuple(left_out)
        self._on_nodes = places_on_nodes(repository, generation)

    def open(
        self,
        name: str,
        *,
        parent: str,
        tree: str,
        purpose: Mapping[str, str],
        also: Sequence[str] = (),
        packs_early: bool = True,
    ) -> LocalPlace:
        worktree = self.worktrees.create(name, parent=parent, tree=tree, purpose=dict(purpose), also=also)
        return self.place(worktree, packs_early=packs_early)

    def place(self, worktree: Worktree, *, packs_early: bool = True) -> LocalPlace:
        """The place of one of the worktrees."""
        left_out = self._left_out if packs_early else None
        return LocalPlace(
            worktree, self.worktrees, self._repository, self._generation, self._sandbox, left_out
        )

    def leftovers(self) -> list[LocalPlace]:
        return [self.place(worktree) for worktree in self.worktrees.leftovers()]

    def unreached(self) -> list[Unreached]:
        return [record.unreached() for record in self._on_nodes.all()]

    def take_back(self, is_done: Callable[[str], bool]) -> set[str]:
        return take_back(self._repository, self._generation, is_done)

    def release_pins(self) -> None:
        self.worktrees.release_pins([record.name for record in self._on_nodes.all()])

    def sweep(self) -> list[str]:
        swept = self._sandbox.sweep()
        # Without a sandbox, jobs write through overlays of this machine until they have ended.
        with contextlib.suppress(OSError):  # the next job in such a place tries it again
            unmount_below(self._repository.work_dir)
        return swept

    def close(self) -> None:
        self.worktrees.remove_all()


class LocalPlace:
    """A worktree on this machine, and the sandbox of its jobs.

    Args:
        left_out: directories whose new files will not be packed; ``None``: nothing is packed early.
    """

    def __init__(
        self,
        worktree: Worktree,
        worktrees: Worktrees,
        repository: Repository,
        generation: str,
        sandbox: Sandbox,
        left_out: tuple[str, ...] | None,
    ) -> None:
        self.worktree = worktree
        self.generation = generation
        self._worktrees = worktrees
        self._repository = repository
        self._sandbox = sandbox
        self._left_out = left_out
        self._given: dict[str, Mount] = {}
        self._is_packed = False
        """Whether the last job was followed by a harvest in its container."""

    @property
    def name(self) -> str:
        return self.worktree.name

    @property
    def parent(self) -> str:
        return self.worktree.parent

    @property
    def tree_id(self) -> str:
        return self.worktree.tree_id

    @property
    def purpose(self) -> Mapping[str, str]:
        return self.worktree.purpose

    @property
    def node(self) -> str:
        return ""

    @property
    def location(self) -> Path:
        return self.worktree.project

    @property
    def checkout(self) -> Path:
        return self._seen(self.worktree.tree)

    @property
    def directory(self) -> str:
        return self.worktree.below.path

    @property
    def output(self) -> Path:
        return self._seen(self.worktree.output)

    @property
    def home(self) -> Path:
        return self._seen(self.worktree.home)

    def _seen(self, path: Path) -> Path:
        return self.worktree.seen(path)

    @property
    def sandbox(self) -> Sandbox:
        return _PlacedSandbox(self._sandbox, self._run)

    @property
    def _harvest(self) -> Path:
        """The directory of a harvest: its git, and what it has packed."""
        return self.worktree.directory / "harvest"

    @property
    def _pack(self) -> Path:
        return self.worktree.directory / "pack"

    def _run(self, job: Job, cancellation: Cancellation | None) -> Completed:
        mounts = (*self.worktree.mounts(self._repository), *self._given.values(), *job.mounts)
        job = replace(job, mounts=mounts)
        self._is_packed = False
        if not self._can_go_on(job):
            return self._sandbox.run(job, cancellation)
        # Not around the job: an error of its own output is not one of this directory.
        with contextlib.ExitStack() as stack:
            with self._written():
                stack.enter_context(self._harvesting())
                output = stack.enter_context(_Spool(self._pack))
                afterwards = packing_afterwards(
                    self.worktree,
                    self._repository,
                    self._sandbox,
                    self._harvest,
                    output,
                    self._left_out or (),
                )

            def prepare() -> None:
                with self._written():
                    afterwards.prepare()

            afterwards_job = replace(job, afterwards=replace(afterwards, prepare=prepare))
            completed = self._sandbox.run(afterwards_job, cancellation)
        self._is_packed = completed.went_on and output.is_whole
        return completed

    @contextlib.contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SandboxError(f"cannot write {self.worktree.directory}: {error.strerror}") from error

    def _can_go_on(self, job: Job) -> bool:
        """Whether the harvest may follow ``job`` in its container; if not, it has a job of its own.

        A job that reaches other machines is one that they reach. Its git must have the repository's objects.
        """
        is_contained = Capability.CONTAINMENT in self._sandbox.capabilities
        is_isolated = job.network is not Network.OPEN and not self.worktree.alone
        return is_contained and is_isolated and self._left_out is not None and not job.collect

    @contextlib.contextmanager
    def _harvesting(self) -> Iterator[None]:
        """The directories of a harvest are there, empty; afterwards only checkouts that it has moved."""
        checkouts = self.worktree.checkouts
        remove_tree(self._harvest)
        try:
            self._harvest.mkdir(mode=0o700)
            checkouts.mkdir(mode=0o700, exist_ok=True)
            yield
        finally:
            remove_tree(self._harvest)
            with contextlib.suppress(OSError):
                checkouts.rmdir()

    @property
    def has_files(self) -> bool:
        return self.worktree.written.is_dir()

    def put(self, name: str, content: bytes) -> Path:
        path = self.worktree.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        if content.startswith(b"#!"):
            path.chmod(0o755)
        top = PurePosixPath(name).parts[0]
        given = self.worktree.directory / top
        self._given[top] = Mount(source=given, target=str(self._seen(given)))
        return self._seen(path)

    def take(self, path: str, most: int) -> bytes:
        place = PurePosixPath(path)
        if ".." in place.parts:
            raise NotTaken("is not in the place")
        directory = str(self.worktree.directory)
        return read_file(CollectedFile(base=directory, directory=str(place.parent), name=place.name), most)

    def find(self, pattern: str) -> str:
        return first_match(self.worktree.directory, PurePosixPath(pattern).parts)

    def renew_home(self, notes: Mapping[str, str], files: Mapping[str, bytes]) -> None:
        self.worktree.purpose.update(notes)
        write_facts(self.worktree)
        home = self.worktree.home
        remove_tree(home)
        home.mkdir()
        for name, content in files.items():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_bytes(content)
        if self.worktree.owner:
            chown_tree(home, self.worktree.owner)

    def pack(
        self, output: IO[bytes], left_out: Sequence[str], cancellation: Cancellation | None = None
    ) -> None:
        self._worktrees.renew_base(self.worktree)
        if self._is_packed and tuple(left_out) == self._left_out:
            with self._pack.open("rb") as packed:
                shutil.copyfileobj(packed, output)
            return
        with self._harvesting():
            run_job(
                self.worktree,
                self._repository,
                self._sandbox,
                self._harvest,
                output,
                left_out,
                cancellation,
            )

    def keep(self, why: str, *, again: bool = False) -> Path:
        with contextlib.suppress(CobblerError, OSError):  # the disk may be full; then it stays an overlay
            self.worktree = flattened(self.worktree, self._worktrees, self._sandbox)
        return self._worktrees.keep(self.worktree, why, again=again)

    def remove(self) -> None:
        self._worktrees.remove(self.worktree)


class _Spool:
    """A file for what a harvest packs. A disk that is full does not end the job."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self.is_whole = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._file.close()
        except OSError:
            self.is_whole = False

    def write(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError:
            self.is_whole = False


@dataclass(frozen=True)
class _PlacedSandbox:
    """A sandbox whose jobs run in a place."""

    sandbox: Sandbox
    runner: Callable[[Job, Cancellation | None], Completed]

    @property
    def description(self) -> str:
        return self.sandbox.description

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self.sandbox.capabilities

    @property
    def owner(self) -> tuple[int, int] | None:
        return self.sandbox.owner

    @property
    def storage(self) -> Path | None:
        return self.sandbox.storage

    @property
    def runtime(self) -> str:
        return self.sandbox.runtime

    def check_engine(self) -> str:
        return self.sandbox.check_engine()

    def engine(self, image: str | None) -> Engine:
        return self.sandbox.engine(image)

    def preflight(self) -> None:
        self.sandbox.preflight()

    def run(self, job: Job, cancellation: Cancellation | None = None) -> Completed:
        return self.runner(job, cancellation)

    def left(self) -> list[str]:
        return self.sandbox.left()

    def sweep(self) -> list[str]:
        return self.sandbox.sweep()
