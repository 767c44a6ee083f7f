"""The one door for git on the host, except to read the user's repository (see ``reading``).

Every call names its git directory, works in a directory that no agent can write, inherits no ``GIT_*``
variable and reads no system or global configuration. Objects are handled through a *scratch* git
directory that shares the repository's object store but not its configuration: no filter, merge driver, hook
or ``core.fsmonitor`` of the repository takes part, whatever attributes a tree carries.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import IO

from packaging.version import Version

from pytest_cobbler.causes import Ending
from pytest_cobbler.errors import CobblerError, RepositoryError
from pytest_cobbler.kept_process import KeptProcess
from pytest_cobbler.process import Completion, host_environment, run
from pytest_cobbler.repository.object_reader import ObjectReader
from pytest_cobbler.repository.object_writer import ObjectWriter
from pytest_cobbler.versions import find_version

TIMEOUT = 600.0
"""Seconds after which a git command is given up."""

OLDEST_GIT = Version("2.38")
"""``git merge-tree --write-tree`` came with 2.38."""

_INSTALL_GIT = f"Install git {OLDEST_GIT} or newer."
_USER_CONFIGURATION = re.compile(r"GIT_CONFIG_\w+|XDG_CONFIG_HOME")

SETTINGS = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.autocrlf": "false",
    "core.safecrlf": "false",
    "core.excludesFile": "/dev/null",
    "core.attributesFile": "/dev/null",
    "core.logAllRefUpdates": "false",
    # By default git moves a reference to a new commit before the commit is on the disk.
    "core.fsync": "committed",
    # The user's own git may hold a lock for a moment, `git gc` for longer.
    "core.filesRefLockTimeout": "5000",
    "core.packedRefsTimeout": "30000",
    "commit.gpgsign": "false",
    "protocol.allow": "never",
    "submodule.recurse": "false",
    "log.showSignature": "false",
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


class Git:
    """git on one git directory.

    Args:
        git_dir: its ``--git-dir``.
        objects: another object store than the git directory's own.
        shallow: the file that lists where the history of that store is cut off; it need not exist.
        settings: more settings than ``SETTINGS``.
        index: another index.
        work_tree: for the few commands that write one; never a directory that an agent can write.
    """

    def __init__(
        self,
        git_dir: Path,
        *,
        objects: Path | None = None,
        shallow: Path | None = None,
        settings: Mapping[str, str] | None = None,
        index: Path | None = None,
        work_tree: Path | None = None,
    ) -> None:
        self.git_dir = git_dir
        self._objects = objects
        self._shallow = shallow
        self._settings = dict(settings or {})
        self._index = index
        self._work_tree = work_tree

    def using(
        self, *, index: Path | None = None, work_tree: Path | None = None, git_dir: Path | None = None
    ) -> Git:
        """The same objects and settings with another index, a work tree, or another git directory."""
        return Git(
            git_dir or self.git_dir,
            objects=self._objects,
            shallow=self._shallow,
            settings=self._settings,
            index=index,
            work_tree=work_tree,
        )

    def run(
        self,
        *arguments: str | bytes | Path,
        stdin: bytes | IO[bytes] = b"",
        environment: Mapping[str, str] | None = None,
        accepted: Sequence[int] = (0,),
        stdout: IO[bytes] | None = None,
    ) -> Completion:
        """Run one command.

        Raises:
            RepositoryError: its exit status is not one of ``accepted``.
        """
        words = self._words
        if self._work_tree:
            words.append(f"--work-tree={self._work_tree}")
        completion = run(
            [*words, *(os.fsdecode(a) for a in arguments)],
            env=self._environment | dict(environment or {}),
            cwd=self._work_tree or self.git_dir,
            stdin=stdin,
            stdout=stdout,
            timeout=TIMEOUT,
        )
        if completion.end != Ending.EXITED or completion.status not in accepted:
            what = os.fsdecode(arguments[0])
            how = completion.end if completion.end != Ending.EXITED else f"exit {completion.status}"
            raise RepositoryError(f"git {what} failed ({how})", evidence=completion.errors)
        return completion

    @property
    def _words(self) -> list[str]:
        return ["git", f"--git-dir={self.git_dir}", *_arguments(SETTINGS | self._settings)]

    @property
    def _environment(self) -> dict[str, str]:
        env = host_environment() | ENVIRONMENT
        if self._objects:
            env["GIT_OBJECT_DIRECTORY"] = str(self._objects)
        if self._shallow:
            env["GIT_SHALLOW_FILE"] = str(self._shallow)
        if self._index:
            env["GIT_INDEX_FILE"] = str(self._index)
        return env

    @cached_property
    def reader(self) -> ObjectReader:
        """Reads objects by a process that stays until ``reader.close()``, or until nothing refers to it."""
        return ObjectReader(self._kept("cat-file", "--batch-command"))

    @cached_property
    def writer(self) -> ObjectWriter:
        """Writes objects by processes that stay, as that of ``reader`` does."""
        options = ("-w", "--no-filters", "--stdin-paths")
        return ObjectWriter(lambda kind: self._kept("hash-object", "-t", kind, *options))

    def _kept(self, *arguments: str) -> KeptProcess:
        words = [*self._words, *arguments]
        return KeptProcess(words, env=self._environment, cwd=self.git_dir, timeout=TIMEOUT)

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


def init_bare(
    directory: Path,
    *,
    object_format: str,
    alternates: Sequence[Path],
    shallow: Path | None = None,
    settings: Mapping[str, str] | None = None,
) -> None:
    """Make an empty git directory that reads the object stores in ``alternates`` too.

    Written by hand (gitrepository-layout(5)) and not by ``git init``: a task needs three of them.

    Args:
        shallow: the file that lists where the history in those stores is cut off; it need not exist.
        settings: more of its configuration; ``core.bare`` is true unless they change it.

    Raises:
        RepositoryError: the file system refuses.
    """
    version = {"core.repositoryFormatVersion": "0" if object_format == "sha1" else "1"}
    extensions = {} if object_format == "sha1" else {"extensions.objectFormat": object_format}
    configuration = version | {"core.bare": "true"} | extensions | dict(settings or {})
    try:
        for name in ("objects/info", "refs/heads"):
            (directory / name).mkdir(parents=True)
        alternate_lines = b"".join(os.fsencode(path) + b"\n" for path in alternates)
        (directory / "objects" / "info" / "alternates").write_bytes(alternate_lines)
        if shallow and shallow.is_file():
            shutil.copyfile(shallow, directory / "shallow")
        lines = [_setting(name, value) for name, value in configuration.items()]
        (directory / "config").write_bytes(os.fsencode("".join(lines)))
        (directory / "HEAD").write_text("ref: refs/heads/work\n", "utf-8")
    except OSError as error:
        raise RepositoryError(f"cannot make {directory}: {error.strerror}") from error


def _setting(name: str, value: str) -> str:
    """A setting as a configuration file has it."""
    section, _, key = name.partition(".")
    quoted = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'[{section}]\n\t{key} = "{quoted}"\n'


def _arguments(settings: Mapping[str, str]) -> list[str]:
    return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]


def users_configuration() -> list[str]:
    """Variables of the environment that locate the user's configuration of git."""
    return [name for name in os.environ if _USER_CONFIGURATION.fullmatch(name)]


@cache
def check_git() -> str:
    """The version that git prints.

    Raises:
        RepositoryError: git is not installed, or too old.
    """
    try:
        output = run(["git", "version"], env=host_environment(LC_ALL="C"), timeout=TIMEOUT).text.strip()
    except CobblerError as error:
        raise RepositoryError("git is not on PATH", _INSTALL_GIT) from error
    version = find_version(output)
    if version is None or version < OLDEST_GIT:
        raise RepositoryError(f"{output} is too old", _INSTALL_GIT)
    return output
