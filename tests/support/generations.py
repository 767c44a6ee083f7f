"""Generations with commits, made without an agent; and stopping them without another pytest."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Mapping
from datetime import datetime

import pytest

from pytest_cobbler.actions.stop import carry_out
from pytest_cobbler.config import load
from pytest_cobbler.errors import CobblerError
from pytest_cobbler.lifecycle.stopping import Resolve
from pytest_cobbler.repository.generations import Changes, create_generation, draft_generation
from pytest_cobbler.repository.identity import Identity, Person
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.testing.project import Project
from pytest_cobbler.wiring.hooks import NO_HOOKS

NAME = r"generation-\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d"
"""A pattern of the names of generations."""


def generation(project: Project, *landed: Mapping[str, str | None], changes: Changes | None = None) -> str:
    """Create a generation from the checkout, with a landed commit for each of ``landed``; return its name.

    Task ids are ``p-1``, ``p-2`` and so on.
    """
    repository = Repository(project.path, project.directory / "work")
    start = repository.head_commit()
    assert start is not None
    generation = create_generation(
        repository,
        draft_generation(
            repository,
            prefix="generation-",
            base=repository.head_branch() or "",
            start=start,
            now=datetime.now(),
            changes=changes or Changes(),
        ),
        Identity.of(Person(name="Test", email="test@example.invalid")),
    )
    for number, files in enumerate(landed, 1):
        trailers = f"Cobbler-Task: p-{number}\nCobbler-Generation: {generation.name}\nCobbler-Run: r"
        commit_on(project, generation.name, files, f"Task p-{number}\n\n{trailers}")
    return generation.name


def commit_on(project: Project, branch: str, files: Mapping[str, str | None], message: str) -> str:
    """Commit files (``None`` removes one) on a branch that is not checked out; return the commit."""
    where = project.directory / "elsewhere"
    project.git("worktree", "add", "--quiet", "--detach", str(where), branch)
    for name, content in files.items():
        path = where / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.unlink()
        else:
            path.write_text(content)
    project.git("-C", str(where), "add", "--all", "--force")
    project.git("-C", str(where), "commit", "--quiet", "--allow-empty", "--message", message)
    commit = project.git("-C", str(where), "rev-parse", "HEAD").strip()
    project.git("update-ref", f"refs/heads/{branch}", commit)
    project.git("worktree", "remove", "--force", str(where))
    return commit


def stop(
    project: Project,
    *,
    force: bool = False,
    accept_deletions: bool = False,
    resolve: Resolve | None = None,
) -> pytest.RunResult:
    """Run ``pytest --cobbler-stop`` in this process, which is many times faster."""
    output = io.StringIO()
    errors = ""
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(output):
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        try:
            settings = load(project.path / "configuration.yaml")
            ret = carry_out(
                settings, NO_HOOKS, force=force, accept_deletions=accept_deletions, resolve=resolve
            )
        except CobblerError as error:
            ret, errors = int(pytest.ExitCode.USAGE_ERROR), f"ERROR: {error}"
    return pytest.RunResult(ret, output.getvalue().splitlines(), errors.splitlines(), 0.0)


def everything(project: Project) -> dict[str, bytes]:
    """The checkout's exact content, with git's index, HEAD, configuration and hooks, without our files."""
    ours = {".cobbler", ".beads", ".pytest_cache"}
    parts = [path for path in project.path.iterdir() if path.name not in {".git", *ours}]
    git = [
        project.path / ".git" / name for name in ("HEAD", "index", "config", "hooks", "info", "packed-refs")
    ]
    files = [file for part in [*parts, *git] for file in (part, *part.rglob("*")) if file.is_file()]
    return {str(file.relative_to(project.path)): file.read_bytes() for file in files}


def refs(project: Project) -> dict[str, str]:
    lines = project.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    return dict(line.split() for line in lines)
