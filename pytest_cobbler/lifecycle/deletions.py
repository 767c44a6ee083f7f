"""The sources that a generation was to write again, and did not: no stop deletes them unasked."""

from __future__ import annotations

from pytest_cobbler.display import counted, shown_path
from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.wiring.project import Project

_MOST = 200
"""Paths that are listed; further ones are counted."""


def refuse_deletions(project: Project, base: str, tree: str) -> None:
    """Check that ``tree``, the merge with commit ``base``, has every file that the generation began without.

    A project that says ``reset_sources: true`` wants them gone. For Go that is the default, which a user may
    not know of.

    Raises:
        UsageProblem: the merge would delete such files; lists them.
    """
    repository, generation = project.repository, project.generation
    if not generation.reset or project.config.reset_sources:
        return
    # What the first commit has was deleted by a task.
    there = {*repository.files(generation.first), *repository.files(tree)}
    gone = [path for path in repository.files(base) if path not in there]
    if not gone:
        return
    names = [f"  {shown_path(path)}" for path in gone[:_MOST]]
    if len(gone) > _MOST:
        names.append(f"  and {len(gone) - _MOST} more")
    raise UsageProblem(
        f"{counted(len(gone), 'file')} of {generation.base} not written again by {generation.name}, "
        "which began without its sources: merged, it would delete them; nothing was changed",
        "\n".join(
            [
                *names,
                "Have them written again: pytest --cobbler-generate",
                "Or keep them: pytest --cobbler-reset, and reset_sources: false for the next generation",
                "Or delete them: pytest --cobbler-stop --cobbler-accept-deletions",
                "reset_sources: true in the configuration says that they may always be deleted.",
            ]
        ),
    )
