"""The one door for git on the host.

Every call names its git directory, works in an empty directory of ours, inherits no ``GIT_*`` variable and
reads nobody's system or global configuration. Objects are handled through a *scratch* git directory that
shares the repository's object store but not its configuration: no filter, merge driver, hook or
``core.fsmonitor`` of the repository takes part, whatever attributes a tree carries.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.process import Completion, host_environment, run

TIMEOUT = 600.0
"""Seconds after which a git command is given up."""

SETTINGS = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.autocrlf": "false",
    "core.safecrlf": "false",
    "core.excludesFile": "/dev/null",
    "core.attributesFile": "/dev/null",
    "core.logAllRefUpdates": "false",
    "commit.gpgsign": "false",
    "protocol.allow": "never",
    "submodule.recurse": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "advice.detachedHead": "false",
}

ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_ATTR_NOSYSTEM": "1",
    "LC_ALL": "C",
}


def settings_arguments() -> list[str]:
    """``-c name=value`` for each of ``SETTINGS``."""
    return [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]


class Git:
    """git on one git directory.

    Args:
        git_dir: its ``--git-dir``.
        objects: another object store than the git directory's own.
        index: another index.
        work_tree: for the few commands that write one; never a directory that an agent can write.
    """

    def __init__(
        self,
        git_dir: Path,
        *,
        objects: Path | None = None,
        index: Path | None = None,
        work_tree: Path | None = None,
        program: str = "git",
    ) -> None:
        self.git_dir = git_dir
        self._program = program
        self._objects = objects
        self._index = index
        self._work_tree = work_tree

    def using(self, *, index: Path, work_tree: Path | None = None) -> Git:
        """The same git directory with another index and, maybe, a work tree."""
        return Git(
            self.git_dir, objects=self._objects, index=index, work_tree=work_tree, program=self._program
        )

    def run(
        self,
        *arguments: str | bytes | Path,
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
        accepted: Sequence[int] = (0,),
        stdout: IO[bytes] | None = None,
    ) -> Completion:
        """Run one command.

        Raises:
            RepositoryError: its exit status is not one of ``accepted``.
        """
        env = host_environment() | ENVIRONMENT | dict(environment or {})
        if self._objects:
            env["GIT_OBJECT_DIRECTORY"] = str(self._objects)
        if self._index:
            env["GIT_INDEX_FILE"] = str(self._index)
        words = [self._program, f"--git-dir={self.git_dir}", *settings_arguments()]
        if self._work_tree:
            words.append(f"--work-tree={self._work_tree}")
        completion = run(
            [*words, *(os.fsdecode(a) for a in arguments)],
            env=env,
            cwd=self._work_tree or self.git_dir,
            stdin=stdin,
            stdout=stdout,
            timeout=TIMEOUT,
        )
        if completion.end != "exited" or completion.status not in accepted:
            what = os.fsdecode(arguments[0])
            how = completion.end if completion.end != "exited" else f"exit {completion.status}"
            raise RepositoryError(f"git {what} failed ({how})", evidence=completion.errors)
        return completion

    def text(self, *arguments: str | bytes | Path, stdin: bytes = b"") -> str:
        """The output of a command, without its last newline."""
        return self.run(*arguments, stdin=stdin).text.removesuffix("\n")

    def fields(self, *arguments: str | bytes | Path, stdin: bytes = b"") -> list[bytes]:
        """The NUL-terminated fields that a command prints (pass ``-z``)."""
        return self.run(*arguments, stdin=stdin).stdout.split(b"\0")[:-1]

    def resolve(self, revision: str) -> str | None:
        """The id of ``revision``, or ``None``."""
        completion = self.run(
            "rev-parse", "--verify", "--quiet", "--end-of-options", revision, accepted=(0, 1)
        )
        return completion.text.strip() or None


def init_bare(directory: Path, *, object_format: str, alternates: Sequence[Path]) -> None:
    """Make an empty git directory that reads the object stores in ``alternates`` too."""
    run_init = run(
        [
            "git",
            "init",
            "--quiet",
            "--bare",
            "--template=",
            "--initial-branch=work",
            f"--object-format={object_format}",
            directory,
        ],
        env=host_environment() | ENVIRONMENT,
        timeout=TIMEOUT,
    )
    if not run_init.ok:
        raise RepositoryError(f"git init failed in {directory}", evidence=run_init.errors)
    info = directory / "objects" / "info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "alternates").write_text("".join(f"{path}\n" for path in alternates))
