"""A merge that a person resolves, in a worktree of its own outside the repository."""

from __future__ import annotations

import os
from pathlib import Path

from pytest_cobbler.display import shown_path
from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.repository.directories import chown_tree, remove_tree
from pytest_cobbler.repository.generations import Generation
from pytest_cobbler.repository.merging import NotMerged
from pytest_cobbler.repository.repository import Repository


class Resolution:
    """The worktree in which a person merges a generation with its base; it need not be there.

    It is a registered worktree with a detached HEAD. The user commits there with their own git and editor.
    """

    def __init__(self, repository: Repository, generation: Generation) -> None:
        self._repository = repository
        self._generation = generation
        self.path = repository.work_dir / "resolving" / generation.name

    @property
    def what_next(self) -> str:
        """The steps that a person has to take there."""
        return f"Resolve it, commit it there (git -C {self.path} commit), then: pytest --cobbler-stop"

    def begin(self, base: str, tip: str) -> None:
        """Check commit ``base`` out, and begin the merge with ``tip``.

        Raises:
            RepositoryError: git failed.
        """
        self.remove()
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        added = self._repository.in_checkout("worktree", "add", "--quiet", "--detach", str(self.path), base)
        if not added.ok:
            raise RepositoryError(f"git cannot make a worktree in {self.path}", evidence=added.errors)
        begun = self._repository.in_checkout("merge", "--no-commit", "--no-ff", tip, where=self.path)
        if self._is_clean():
            raise RepositoryError(f"git cannot begin the merge in {self.path}", evidence=begun.errors)
        owner = self._repository.root.stat()
        if os.geteuid() != owner.st_uid:
            chown_tree(self.path, (owner.st_uid, owner.st_gid))

    def commit(self, base: str, tip: str) -> str | None:
        """The commit in the worktree that contains ``tip``; ``None`` if there is no such worktree.

        Raises:
            NotMerged: the merge is unfinished, or is the merge of an older commit.
        """
        if not self.path.exists():
            return None
        head = self._text("rev-parse", "--verify", "HEAD^{commit}")
        if head and not self._is_clean():
            unmerged = self._git("diff", "-z", "--name-only", "--diff-filter=U").split(b"\0")
            raise NotMerged(
                f"not merged: the merge in {self.path} is not committed",
                "\n".join(
                    [
                        *(f"  {shown_path(path)}" for path in sorted(set(unmerged) - {b""})),
                        self.what_next,
                        f"Or give it up: git worktree remove --force {self.path}",
                    ]
                ),
            )
        if not head or self._repository.reaches(base, head):
            self.remove()  # the worktree was unfinished, or the merge was given up
            return None
        if not self._repository.reaches(head, tip):
            raise NotMerged(
                f"not merged: since the merge in {self.path}, {self._generation.name} has moved",
                f"Merge it there again: git -C {self.path} merge {self._generation.name}",
            )
        return head

    def remove(self) -> None:
        """Remove the worktree, uncommitted changes included."""
        # git may know of one that is gone, and may know nothing of one that was being made.
        self._repository.in_checkout("worktree", "remove", "--force", "--force", str(self.path))
        remove_tree(self.path)

    def _is_clean(self) -> bool:
        git_dir = Path(self._text("rev-parse", "--absolute-git-dir"))
        status = self._git("status", "--porcelain", "--untracked-files=no", "--ignore-submodules=dirty")
        return not status and not (git_dir / "MERGE_HEAD").exists()

    def _git(self, *arguments: str) -> bytes:
        return self._repository.in_checkout(*arguments, where=self.path).stdout

    def _text(self, *arguments: str) -> str:
        return os.fsdecode(self._git(*arguments)).strip()
