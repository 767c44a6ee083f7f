"""The work in landed commits: task, tokens, money, lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pytest_cobbler.repository import trailers
from pytest_cobbler.repository.landing import Size
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.usage import Usage

_FIELDS = 4


@dataclass(frozen=True, kw_only=True)
class LandedWork:
    """A commit that landed a task.

    ``number`` is that of the attempt, 0 if the commit does not have it. ``usage`` covers all attempts of the
    run that landed it.
    """

    commit: str
    number: int
    task: str
    generation: str
    title: str
    usage: Usage
    size: Size


def landed_work(repository: Repository, tips: Iterable[str]) -> list[LandedWork]:
    """Every landing of the project that the commits ``tips`` reach, oldest first.

    A copy of a landing counts once: a forge that merges by rebasing makes copies.
    """
    revisions = "".join(f"{tip}\n" for tip in dict.fromkeys(tips))
    if not revisions:  # git would take HEAD instead
        return []
    log = repository.objects.run(
        "log",
        "--stdin",
        "--reverse",
        "--topo-order",
        "--numstat",
        "--diff-merges=first-parent",  # what a merge, such as that of a person's branch, brought
        "--no-renames",
        f"--grep=^{trailers.TASK}: ",
        "--format=%x00%H%x00%(trailers:only,unfold)%x00%s%x00",
        stdin=revisions.encode(),
    )
    fields = log.stdout.decode("utf-8", "replace").split("\0")[1:]
    landed: dict[tuple[str, ...], LandedWork] = {}
    for at in range(0, len(fields), _FIELDS):
        commit, lines, title, changes = fields[at : at + _FIELDS]
        pairs = dict(line.split(": ", 1) for line in lines.splitlines() if ": " in line)
        is_own = pairs.get(trailers.DIRECTORY, "") == repository.directory.name
        if is_own and trailers.TASK in pairs and trailers.GENERATION in pairs:
            names = (trailers.GENERATION, trailers.TASK, trailers.RUN, trailers.ATTEMPT)
            same = tuple(pairs.get(name, "") for name in names)
            landed.setdefault(same, _work(commit, pairs, title, changes))
    return list(landed.values())


def _work(commit: str, said: Mapping[str, str], title: str, changes: str) -> LandedWork:
    number = said.get(trailers.ATTEMPT, "")
    return LandedWork(
        commit=commit,
        number=int(number) if number.isascii() and number.isdigit() else 0,
        task=said[trailers.TASK],
        generation=said[trailers.GENERATION],
        title=title,
        usage=Usage.from_trailers(said),
        size=_size(changes),
    )


def _size(numstat: str) -> Size:
    rows = [line.split("\t", 2) for line in numstat.strip().splitlines()]
    lines = [row for row in rows if row[0] != "-"]  # which stands for the lines of a binary file
    return Size(
        files=len(rows),
        insertions=sum(int(row[0]) for row in lines),
        deletions=sum(int(row[1]) for row in lines),
    )
