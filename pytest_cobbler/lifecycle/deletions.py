"""The sources that a generation was to write again, and did not: no stop deletes them unasked or unsaid."""

from __future__ import annotations

from collections.abc import Callable

from pytest_cobbler.display import counted, named, shown_path
from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.wiring.project import Project

_FEW = 5
_MOST = 200
"""Paths that are listed; further ones are counted."""


def check_deletions(
    project: Project, base: str, tree: str, say: Callable[[str], object], *, accept: bool
) -> None:
    """Check that ``tree``, the merge with commit ``base``, has every file that the generation began without.

    A project that says ``reset_sources: true`` wants them gone. For Go that is the default, which a user may
    not know of.

    Args:
        say: prints a line on the files if they may be deleted.
        accept: they may.

    Raises:
        UsageProblem: the merge would delete such files; lists them.
    """
    repository, generation = project.repository, project.generation
    if not generation.reset:
        return
    # What the first commit has was deleted by a task.
    there = {*repository.files(generation.first), *repository.files(tree)}
    gone = [path for path in repository.files(base) if path not in there]
    if not gone:
        return
    if accept or project.config.reset_sources:
        say(
            f"{counted(len(gone), 'file')} of {generation.base} not written again, and deleted by the merge: "
            f"{named(map(shown_path, gone), _FEW)}"
        )
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
