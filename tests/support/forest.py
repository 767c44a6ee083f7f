"""A random generation: tasks in a DAG, and a stand-in agent that succeeds, fails, or does nothing."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_cobbler.testing.agent import Script, StandInAgent
from pytest_cobbler.testing.project import Project

KINDS: Mapping[str, tuple[int, int | None]] = {
    # kind: how often, and the attempt that may land (None: none ever does)
    "plain": (14, 1),
    "commits": (8, 1),
    "commits half": (4, 1),
    "edits a line": (10, 1),
    "appends": (14, 1),
    "fails once": (4, 2),
    "fails twice": (4, 3),
    "fails always": (3, None),
    "breaks the gate": (4, 2),
    "breaks the gate always": (3, None),
    "does nothing": (3, None),
}

GATE = """\
set -eu
if [ -e bad ]; then echo "bad: $(ls bad)"; exit 1; fi
if grep -rn -e '^<<<<<<< ' -e '^>>>>>>> ' src shared; then echo "conflict markers"; exit 1; fi
for file in src/*.txt; do
    [ -e "$file" ] || continue # there is none yet
    while read -r need; do
        [ -e "$need" ] || { echo "$file needs $need"; exit 1; }
    done <"$file"
done
"""
"""The check that every commit must pass: above all, that the needs of each task have landed."""

_STRIP = "sed -i -e '/^<<<<<<< /d' -e '/^=======$/d' -e '/^>>>>>>> /d' shared/*.txt"


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A task, its needs (by number), and how its agent behaves."""

    number: int
    kind: str
    needs: tuple[int, ...]
    seconds: float

    @property
    def title(self) -> str:
        return f"Task {self.number:02}: {self.kind}"

    @property
    def file(self) -> str:
        return f"src/{self.number:02}.txt"

    @property
    def lands_at(self) -> int | None:
        return KINDS[self.kind][1]


def grow(seed: int, count: int, *, longest: float = 0.3) -> list[Planned]:
    """``count`` tasks, each needing at most three earlier ones; the same for the same seed.

    Tasks that never land are in the last third only, because they block their dependents.
    """
    dice = random.Random(seed)
    able = [kind for kind, (_, lands_at) in KINDS.items() if lands_at]
    return [
        Planned(
            number=number,
            kind=_drawn(dice, able if 3 * number < 2 * count else list(KINDS)),
            needs=_some_before(dice, number),
            seconds=round(dice.uniform(0, longest), 2),
        )
        for number in range(count)
    ]


def _drawn(dice: random.Random, kinds: Sequence[str]) -> str:
    return dice.choices(kinds, [KINDS[kind][0] for kind in kinds])[0]


def _some_before(dice: random.Random, number: int) -> tuple[int, ...]:
    count = dice.choices((0, 1, 2, 3), (5, 4, 2, 1))[0]
    return tuple(sorted(dice.sample(range(number), min(number, count))))


def plant(project: Project, tasks: Sequence[Planned], **configuration: object) -> None:
    """Configure ``project`` so that its measure proposes ``tasks`` and its agent does them."""
    project.write(
        {
            "check.sh": GATE,
            "src/.keep": "",
            "shared/list.txt": "first\n",
            "shared/lines.txt": "".join(f"line {number:02}.\n\n\n\n" for number in range(len(tasks))),
        }
    )
    project.configure(
        build_command="true", test_command="sh check.sh", max_issues=len(tasks), **configuration
    )
    project.agent.measure().writes_tasks(
        [{"title": task.title, "dependencies": list(task.needs)} for task in tasks]
    )
    for task in tasks:
        _Steps(project.agent, task, tasks).write()


@dataclass(frozen=True)
class _Steps:
    agent: StandInAgent
    task: Planned
    tasks: Sequence[Planned]

    def write(self) -> None:
        first = self._attempt(1)
        match self.task.kind:
            case "plain":
                self._work(first)
            case "commits":
                self._work(first).commits("Done")
            case "commits half":
                first.writes(f"{self.task.file}.half", "").commits("Half of it")
                self._work(first)
            case "edits a line":
                line = f"line {self.task.number:02}"
                first.edits("shared/lines.txt", f"{line}.", f"{line} done.")
                self._work(first)
            case "appends":
                number, name = self.task.number, "shared/list.txt"
                self._work(first).appends(name, f"{number:02}\n")
                second = self._attempt(2).runs(
                    f"{_STRIP}\ngrep -qx {number:02} {name} || echo {number:02} >>{name}"
                )
                self._work(second)
            case "fails once":
                first.writes(f"{self.task.file}.half", "").fails()
                self._work(self._attempt(2))
            case "fails twice":
                first.writes(f"{self.task.file}.half", "").fails(3)
                self._work(self._attempt(3))
            case "fails always":
                first.fails(7)
            case "breaks the gate":
                self._work(first).writes(f"bad/{self.task.number:02}", "")
                self._work(self._attempt(2).runs("rm -rf bad"))
            case "breaks the gate always":
                self._work(first).writes(f"bad/{self.task.number:02}", "")
            case "does nothing":
                pass

    def _attempt(self, number: int) -> Script:
        return self.agent.task(self.task.title, attempt=number).sleeps(self.task.seconds)

    def _work(self, script: Script) -> Script:
        needs = "".join(f"{self.tasks[need].file}\n" for need in self.task.needs)
        return script.writes(self.task.file, needs)


def titles_that_can_land(tasks: Iterable[Planned]) -> set[str]:
    """The tasks that can land: some attempt succeeds, for the task and for all of its needs."""
    able: dict[int, str] = {}
    for task in tasks:
        if task.lands_at is not None and all(need in able for need in task.needs):
            able[task.number] = task.title
    return set(able.values())


def gate_of_every_commit(project: Project, directory: Path) -> dict[str, str]:
    """Commit -> output of its gate on a checkout of the commit; commits that pass are left out."""
    from pytest_cobbler.process import host_environment, run

    failures = {}
    for landed in project.landed():
        place = directory / landed.commit
        place.mkdir()
        archive = place.with_suffix(".tar")
        project.git("archive", f"--output={archive}", landed.commit)
        run(["tar", "-xf", archive, "-C", place], env=host_environment())
        gate = run(["sh", "-c", "true && sh check.sh"], env=host_environment(), cwd=place)
        if not gate.ok:
            failures[landed.commit] = gate.text + gate.errors
    return failures
