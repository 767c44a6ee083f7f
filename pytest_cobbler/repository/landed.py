"""What landed commits say of the work in them: task, tokens, money, lines."""

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
    """A commit that did a task. ``usage`` is that of all attempts of the run that landed it."""

    commit: str
    task: str
    generation: str
    title: str
    usage: Usage
    size: Size


def landed_work(repository: Repository, tips: Iterable[str]) -> list[LandedWork]:
    """Every landing that the commits ``tips`` reach, oldest first.

    One that was copied, as a forge does when it merges by rebasing, is one all the same.
    """
    revisions = "".join(f"{tip}\n" for tip in dict.fromkeys(tips))
    if not revisions:  # git would take HEAD instead
        return []
    said = repository.objects.run(
        "log",
        "--stdin",
        "--reverse",
        "--topo-order",
        "--numstat",
        "--no-renames",
        f"--grep=^{trailers.TASK}: ",
        "--format=%x00%H%x00%(trailers:only,unfold)%x00%s%x00",
        stdin=revisions.encode(),
    )
    fields = said.stdout.decode("utf-8", "replace").split("\0")[1:]
    found: dict[tuple[str, ...], LandedWork] = {}
    for at in range(0, len(fields), _FIELDS):
        commit, lines, title, changes = fields[at : at + _FIELDS]
        pairs = dict(line.split(": ", 1) for line in lines.splitlines() if ": " in line)
        if trailers.TASK in pairs and trailers.GENERATION in pairs:
            names = (trailers.GENERATION, trailers.TASK, trailers.RUN, trailers.ATTEMPT)
            same = tuple(pairs.get(name, "") for name in names)
            found.setdefault(same, _work(commit, pairs, title, changes))
    return list(found.values())


def _work(commit: str, said: Mapping[str, str], title: str, changes: str) -> LandedWork:
    return LandedWork(
        commit=commit,
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
