"""GitPython on the user's repository: it finds the repository and calls git there, to read only.

By itself GitPython starts git with every variable of this process, in its session and without a time limit,
and keeps ``git cat-file`` running. Here its commands run through ``process.run``, as all child processes do.
Its own readers of refs and objects stay unused: they know neither sha256 nor reftable.

Import this module only to open a repository: importing GitPython takes 0.1 s and starts git.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import git

from pytest_cobbler.causes import Ending
from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.process import host_environment, run
from pytest_cobbler.repository.git import ENVIRONMENT, SETTINGS, TIMEOUT, users_configuration

_PEOPLE = tuple(f"GIT_{role}_{part}" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL"))


class Commands(git.Git):
    """git that reads the repository's own configuration only, and ignores replacements and grafts."""

    def execute(self, *arguments: Any, **options: Any) -> Any:
        """Run one command to its end, with those options of ``git.Git.execute`` that reading needs.

        Raises:
            git.GitCommandError: the exit status is not 0, and ``with_exceptions`` is set.
            TypeError: for other options; among them are those that leave a process running.
        """
        return self._execute(*arguments, **options)

    def _execute(
        self,
        command: Sequence[str],
        *,
        with_extended_output: bool = False,
        with_exceptions: bool = True,
        stdout_as_string: bool = True,
        strip_newline_in_stdout: bool = True,
        env: Mapping[str, str] | None = None,
    ) -> Any:
        words = [os.fsdecode(word) for word in command]
        completion = run(
            words, env=self._variables() | dict(env or {}), cwd=Path(str(self.working_dir)), timeout=TIMEOUT
        )
        if completion.end != Ending.EXITED:
            raise RepositoryError(f"git took too long: {' '.join(words)}", evidence=completion.errors)
        if with_exceptions and completion.status:
            raise git.GitCommandError(words, completion.status, completion.stderr, completion.stdout)
        output = completion.stdout.removesuffix(b"\n") if strip_newline_in_stdout else completion.stdout
        result = os.fsdecode(output) if stdout_as_string else output
        return (completion.status, result, completion.errors) if with_extended_output else result

    def _variables(self) -> dict[str, str]:
        # A missing file instead of /dev/null: git gives advice about grafts as soon as it can open the file.
        return host_environment() | ENVIRONMENT | {"GIT_GRAFT_FILE": "/dev/null/none"}


class ConfiguredCommands(Commands):
    """git as the user has configured it, but without hooks and without a file system monitor."""

    def _variables(self) -> dict[str, str]:
        names = (*users_configuration(), *_PEOPLE)
        return host_environment(*names, LC_ALL="C", GIT_OPTIONAL_LOCKS="0", GIT_TERMINAL_PROMPT="0")


class _Repo(git.Repo):
    GitCommandWrapperType = Commands


class Opened:
    """A repository that GitPython has found.

    ``plain`` and ``configured`` are its commands. None of their processes outlives a call.

    Raises:
        RepositoryError: there is no repository at this directory or above it, or it is bare, or unreadable.
    """

    def __init__(self, directory: Path) -> None:
        try:
            repo = _Repo(directory.absolute(), search_parent_directories=True, expand_vars=False)
        except (git.InvalidGitRepositoryError, git.NoSuchPathError) as error:
            raise RepositoryError(
                f"{directory} is not in a git repository",
                "Make one: git init && git add -A && git commit",
            ) from error
        except (configparser.Error, ValueError, OSError) as error:
            raise RepositoryError(f"the git repository of {directory} cannot be read: {error}") from error
        with repo:
            if repo.bare or repo.working_tree_dir is None:
                raise RepositoryError(
                    f"{directory} is a bare repository", "Work in a clone that has its files checked out."
                )
            self.root = Path(repo.working_tree_dir)
            self.git_dir = Path(repo.git_dir).resolve()
        self.plain = Commands(self.root)
        self.plain.set_persistent_git_options(git_dir=self.git_dir, c=_options(SETTINGS))
        self.configured = ConfiguredCommands(self.root)
        settings = {
            "core.fsmonitor": "false",
            "core.hooksPath": "/dev/null",
            "user.useConfigOnly": "true",  # else git makes a name up out of the login name
        }
        self.configured.set_persistent_git_options(
            git_dir=self.git_dir, work_tree=self.root, c=_options(settings)
        )


def _options(settings: dict[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in settings.items()]
