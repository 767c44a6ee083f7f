"""The gate's place on a node: a checkout, and what it holds by its files."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.directories import remove_tree
from pytest_cobbler.repository.gate_checkout import GateCheckout, first_entry, gates
from pytest_cobbler.repository.git import Git
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sandbox.base import Completed, Job, Mount, Sandbox
from pytest_cobbler.sandbox.own_programs import SOURCE, mounts_of_programs

__all__ = ["GateOnNode", "Runner"]


class Runner(Protocol):
    """Runs jobs."""

    def run(self, job: Job, cancellation: Cancellation | None = None) -> Completed: ...


class GateOnNode:
    """One checkout that goes from tree to tree, and the sandbox whose jobs see it."""

    def __init__(self, repository: Repository, sandbox: Sandbox, run_id: str) -> None:
        for directory in gates(repository).glob("*"):
            if not directory.name.startswith(run_id):  # that of a dead run
                remove_tree(directory)
        for program in SOURCE.iterdir():
            program.chmod(0o755)  # which the way here has not kept
        self._repository = repository
        self._sandbox = sandbox
        self._checkout = GateCheckout(repository, f"{run_id}-{os.getpid()}", sandbox.owner)

    def write(self, tree: str) -> dict[str, str]:
        """Write exactly ``tree``.

        Returns:
            its path, the id of the tree that the files there make, and the name of an entry of the project.
        """
        path = self._checkout.move(tree)
        return {
            "path": str(path),
            "tree": self._tree_of_files(path, tree),
            "entry": first_entry(path, self._repository.directory),
        }

    def _tree_of_files(self, path: Path, tree: str) -> str:
        """The tree that git makes of the files, all of which it reads: its index here knows none of them.

        The index begins with ``tree``: submodules are empty directories, and only named there. Ends of lines
        that attributes of a later commit would change do not count.
        """
        with tempfile.TemporaryDirectory(dir=self._repository.work_dir) as directory:
            git = self._repository.objects.using(index=Path(directory) / "index", work_tree=path)
            git.run("read-tree", tree)
            git.run("add", "--all", "--force", "--", ".")
            if same := self._only_converted(git, path, tree):
                git.run("update-index", "-z", "--index-info", stdin=b"".join(same))
            return git.run("write-tree").text.strip()

    @staticmethod
    def _only_converted(git: Git, path: Path, tree: str) -> list[bytes]:
        """The entries of ``tree`` that git would change, though the files are as it has written them."""
        changed = git.run("diff-index", "--cached", "-z", "--diff-filter=M", tree).stdout.split(b"\0")
        same = []
        for facts, name in zip(changed[::2], changed[1::2], strict=False):
            mode, _, blob, _, _ = facts.removeprefix(b":").split()
            file = path / os.fsdecode(name)
            if file.is_file() and not file.is_symlink():
                written = git.run("cat-file", "--filters", f"--path={os.fsdecode(name)}", blob)
                if file.read_bytes() == written.stdout:
                    same.append(b"%b %b\t%b\0" % (mode, blob, name))
        return same

    def run(self, job: Job, cancellation: Cancellation | None = None) -> Completed:
        """Run a job that sees the files through an overlay, and this package's programs."""
        path = self._checkout.path
        seen = Mount(source=path, target=str(path), mode="overlay")
        mounts = (seen, *mounts_of_programs(self._sandbox))
        name = f"{job.name}-{os.getpid()}"  # another node's half of the run may be on this machine
        return self._sandbox.run(replace(job, name=name, mounts=mounts), cancellation)

    def remove(self) -> None:
        self._checkout.remove()
