"""Refuses to run pytest in a checkout of an agent's unmerged work, before any conftest is imported."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest

from pytest_cobbler.display import escaped_lines
from pytest_cobbler.errors import CobblerError, RepositoryError
from pytest_cobbler.repository import trailers
from pytest_cobbler.repository.repository import Repository

_BASE = re.compile(rf"^{trailers.BASE}: (\S+)[ ]*$", re.MULTILINE)


def refuse_untrusted_checkout(config: pytest.Config) -> None:
    """Refuse to run where HEAD holds landed work that its base does not reach.

    Raises:
        pytest.UsageError: HEAD holds such work; the message says how to switch back.
    """
    for directory in _directories_of_conftests(config):
        # The configuration says where to work, and is not read yet.
        with tempfile.TemporaryDirectory(prefix="cobbler-") as work_dir:
            try:
                repository = Repository(directory, Path(work_dir))
            except RepositoryError:
                continue  # an action that needs a repository fails with a message of its own
            try:
                reason = untrusted(repository)
            except CobblerError as error:
                raise pytest.UsageError(escaped_lines(str(error))) from error
        if reason:
            raise pytest.UsageError(reason)


def _directories_of_conftests(config: pytest.Config) -> list[Path]:
    """The directories whose conftests pytest will import: this one and those of its arguments."""
    here = config.invocation_params.dir
    paths = [here / argument.split("::")[0] for argument in config.known_args_namespace.file_or_dir]
    return list(dict.fromkeys([here, *(path if path.is_dir() else path.parent for path in paths)]))


def untrusted(repository: Repository) -> str:
    """Why HEAD cannot be trusted; empty if it can."""
    head = repository.head_commit()
    if head is None:
        return ""
    # By line, not by trailer: a forge that squashes a merge joins messages, trailers and all.
    fields = repository.objects.fields(
        "log", "-z", f"--grep=^{trailers.BASE}: ", "--format=%s%x00%B", "--end-of-options", head
    )
    if not fields:
        return ""
    subjects = {subject.decode("utf-8", "replace") for subject in fields[::2]}
    bases = {name for body in fields[1::2] for name in _BASE.findall(body.decode("utf-8", "replace"))}
    branch = repository.head_branch()
    if branch and f"Start generation: {branch}" in subjects:
        return _refusal(f"{branch} is checked out; it is a generation branch, with an agent's code", bases)
    patterns = [pattern for base in bases for pattern in (f"refs/heads/{base}", f"refs/remotes/*/{base}")]
    unmerged = repository.objects.text(
        "log",
        "--max-count=1",
        f"--grep=^{trailers.TASK}: ",
        "--format=%H",
        head,
        "--not",
        *repository.list_refs(*patterns).values(),
    )
    if unmerged:
        return _refusal(
            f"HEAD holds {unmerged[:12]}, an agent's commit that was not merged into its base", bases
        )
    return ""


def _refusal(cause: str, bases: set[str]) -> str:
    base = next(iter(sorted(bases)), "main")
    return (
        f"{cause}; pytest would import its conftest.py here\nSwitch to code that you trust: git switch {base}"
    )
