"""The user's repository: what it says, its references, its objects, its checkout."""

from __future__ import annotations

import os
from pathlib import Path

from pytest_cobbler.process import Completion, run
from pytest_cobbler.repository.git import TIMEOUT, users_configuration
from pytest_cobbler.repository.moving import Moving
from pytest_cobbler.repository.objects import Objects

_NEAR = 20
"""First parents that are looked at before git itself is asked."""


class Repository(Objects, Moving):
    """One repository of a user.

    It is read through GitPython (``reading``); its references are moved (``moving``) and its objects are read
    and written (``objects``) through the door for git.
    """

    def reaches(self, commit: str, other: str) -> bool:
        """Whether ``other`` is in the history of ``commit``."""
        # Most often it is one of the last landings, which takes no process to find.
        found, steps = commit, 0
        while found != other and steps < _NEAR and (parent := self.objects.reader.find(f"{found}^")):
            found, steps = parent.id, steps + 1
        return (found == other and steps > 0) or super().reaches(commit, other)

    def in_checkout(
        self, *arguments: str | bytes, stdin: bytes = b"", where: Path | None = None
    ) -> Completion:
        """Run git on the user's index and files, as the user has configured it, but without hooks.

        Its conversions of files (LFS, line ends) run as they would for the user's own command, in the user's
        environment except variables of git. No agent can have changed that configuration.

        Args:
            where: another worktree of the user.
        """
        kept = users_configuration()
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
