"""Generations with commits on them, made without an agent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pytest_cobbler.repository.generations import Changes, create_generation
from pytest_cobbler.repository.repository import Identity, Repository
from pytest_cobbler.testing.project import Project


def generation(project: Project, *landed: Mapping[str, str | None], changes: Changes | None = None) -> str:
    """A generation from what is checked out, with a landed commit for each of ``landed``; its name.

    Task ids are ``p-1``, ``p-2`` and so on.
    """
    repository = Repository(project.path, project.directory / "work")
    start = repository.head_commit()
    assert start is not None
    made = create_generation(
        repository,
        prefix="generation-",
        base=repository.head_branch() or "",
        start=start,
        identity=Identity(name="Test", email="test@example.invalid"),
        now=datetime.now(),
        changes=changes or Changes(),
    )
    for number, files in enumerate(landed, 1):
        trailers = f"Cobbler-Task: p-{number}\nCobbler-Generation: {made.name}\nCobbler-Run: r"
        commit_on(project, made.name, files, f"Task p-{number}\n\n{trailers}")
    return made.name


def commit_on(project: Project, branch: str, files: Mapping[str, str | None], message: str) -> str:
    """Commit files (``None`` removes one) on a branch that is not checked out; the commit."""
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
