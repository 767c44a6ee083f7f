"""Whether worktrees can be overlays here: it depends on kernel, file system, sandbox and user."""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path

from pytest_cobbler.errors import CobblerError
from pytest_cobbler.files import temporary_directory
from pytest_cobbler.repository.directories import chown_tree, remove_tree
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sandbox.base import Job, Limits, Mount, Sandbox
from pytest_cobbler.sandbox.overlays import UNMOUNTABLE

__all__ = ["LARGE", "can_overlay"]

LARGE = 5_000
"""Files from which on a tree is large: checking a smaller one out costs less than a base."""

_FIRST = """
test "$(echo *)" = "dir kept laid"
test "$(cat dir/file kept laid | tr -d '\\n')" = filekeptlaid
rm kept
mv dir moved
echo new >new
"""
_SECOND = """
test "$(echo *)" = "laid moved new"
test "$(cat laid moved/file new | tr -d '\\n')" = laidfilenew
"""


def can_overlay(repository: Repository, sandbox: Sandbox) -> bool:
    """Whether jobs find exactly what the host laid over a base and what they left, and the base stays."""
    if UNMOUNTABLE.search(str(repository.work_dir)):
        return False
    try:
        with temporary_directory(repository.work_dir) as directory:
            try:
                return _try(directory, sandbox)
            finally:
                # In it the kernel leaves a directory that a rootless user cannot read, but can remove.
                remove_tree(directory / "work")
    except (CobblerError, OSError):
        return False


def _try(directory: Path, sandbox: Sandbox) -> bool:
    base, upper, work, target = (directory / name for name in ("base", "upper", "work", "tree"))
    files = {"kept": "kept\n", "hidden": "hidden\n", "dir/file": "file\n"}
    for path in (base / "dir", upper, work, target):
        path.mkdir(parents=True)
    for name, content in files.items():
        (base / name).write_text(content, "utf-8")
    (upper / "laid").write_text("laid\n", "utf-8")
    os.mknod(upper / "hidden", stat.S_IFCHR)
    if sandbox.owner:
        chown_tree(directory, sandbox.owner)
    mount = Mount(source=base, target=str(target), mode="overlay", upper=upper, work=work)
    for script in (_FIRST, _SECOND):
        argv = ("sh", "-euc", f"cd {shlex.quote(str(target))}\n{script}")
        job = Job(name="overlay", argv=argv, workdir="/", mounts=(mount,), limits=Limits(wall=120))
        if not sandbox.run(job).ok:
            return False
    is_same = all((base / name).read_text("utf-8") == content for name, content in files.items())
    owner = sandbox.owner[0] if sandbox.owner else os.geteuid()
    # The upper directory has all that is not where the base has it, and whiteouts as the kernel makes them.
    is_plain = (upper / "moved" / "file").is_file() and all(
        map(_is_whiteout, (upper / "kept", upper / "dir"))
    )
    return is_same and is_plain and (upper / "new").lstat().st_uid == owner


def _is_whiteout(path: Path) -> bool:
    status = path.lstat()
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0
