"""The merge of a generation into its base, made on objects alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath

from pytest_cobbler.display import shown_path
from pytest_cobbler.errors import CobblerError
from pytest_cobbler.files import temporary_directory
from pytest_cobbler.repository.landing import Merge, merge
from pytest_cobbler.repository.repository import Repository


class NotMerged(CobblerError):
    """A generation conflicts with its base, or the merge fails the gate. Nothing was changed."""


def merge_into_base(repository: Repository, base: str, tip: str, tracker: PurePosixPath) -> Merge:
    """Merge commit ``tip`` into commit ``base``; nothing moves.

    The attributes of the base take precedence, as in a merge by git, then those of the generation count.

    Args:
        tracker: the directory of the tracker. It is taken from the base: no generation changes it.
    """
    merged = merge(repository, base, tip, attributes=(base, tip))
    tracker_path = shown_path(tracker)
    conflicts = tuple(
        path for path in merged.conflicts if path != tracker_path and not path.startswith(f"{tracker_path}/")
    )
    return replace(merged, tree=_with(repository, merged.tree, base, tracker), conflicts=conflicts)


def _with(repository: Repository, tree: str, commit: str, directory: PurePosixPath) -> str:
    """``tree`` with a directory taken from ``commit``."""
    subtree = repository.objects.resolve(f"{commit}:{directory}")
    if subtree == repository.objects.resolve(f"{tree}:{directory}"):
        return tree
    with temporary_directory(repository.work_dir) as place:
        git = repository.objects.using(index=place / "index", work_tree=place)
        git.run("read-tree", tree)
        listed = git.run("ls-files", "-z", "--", f":(top,literal){directory}").stdout
        git.run("update-index", "--force-remove", "-z", "--stdin", stdin=listed)
        if subtree:
            git.run("read-tree", f"--prefix={directory}/", f"{commit}:{directory}")
        return git.text("write-tree")


def merged_at(repository: Repository, base: str, tip: str) -> str:
    """The commit that brought ``tip`` into ``base``: a merge, or ``tip`` itself. ``base`` reaches ``tip``."""
    listed = repository.objects.text("rev-list", "--first-parent", "--reverse", base, f"^{tip}").split()
    if not listed or repository.objects.resolve(f"{listed[0]}^1") == tip:
        return tip
    low, high = 0, len(listed) - 1
    while low < high:
        middle = (low + high) // 2
        if repository.reaches(listed[middle], tip):
            high = middle
        else:
            low = middle + 1
    return listed[low]
