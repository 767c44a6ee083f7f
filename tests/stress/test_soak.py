"""A long generation with many faults: nothing is lost, and the run holds no more at its end."""

from __future__ import annotations

import json
import os
import random
import signal
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from pytest_cobbler.testing.invariants import CheckoutState, check
from pytest_cobbler.testing.project import Project
from tests.support.sessions import came_to, seed, task

KINDS = {
    # kind of the agent of a task: how often
    "lands": 80,
    "prints": 4,
    "fails": 3,
    "dies": 3,
    "hangs": 2,
    "conflicts": 8,
}
PLUGINS = Path(__file__).parents[1] / "support" / "plugins"
KILLED = -signal.SIGKILL
MOST_A_TASK = 40
"""KiB of memory a task, for its reports: docs/reliability.md promises it."""

WINDOW = 50
"""Items whose measures make one value, by their median."""


@pytest.mark.matrix("soak")
def test_a_long_generation_loses_nothing_and_holds_no_more_at_its_end(
    cobbler_project: Project, every_case: bool
) -> None:
    """Of all cases 1,000 tasks in the last run, which no kill cuts short; else enough to take part."""
    tasks, kills = (1100, 8) if every_case else (60, 2)
    dice = random.Random(7)
    kinds = dice.choices(list(KINDS), list(KINDS.values()), k=tasks)
    project = cobbler_project
    plant(project, kinds, jobs=8, most=1000)
    before = CheckoutState.of(project)
    for _ in range(kills):
        killed_at_random(project, dice, least=3, most=16)
    meter = project.directory / "meter"
    plugin = {"METER": str(meter), "PYTHONPATH": str(PLUGINS)}
    last = project.run("--cobbler-generate", "-p", "meter", env=plugin, timeout=3600)

    assert int(last.ret) == 1
    assert check(project, last, before=before) == []
    assert project.git("fsck", "--no-dangling", "--no-progress") == ""
    landed = {commit.task for commit in project.landed()}
    outcomes = {name.removeprefix("stitch::"): outcome for name, outcome in came_to(last).items()}
    sure = {f"p-{number}" for number, kind in enumerate(kinds) if kind in ("lands", "prints", "dies")}
    assert sure & outcomes.keys() <= landed
    assert landed.isdisjoint(f"p-{number}" for number, kind in enumerate(kinds) if kind in ("fails", "hangs"))
    held = [json.loads(line) for line in meter.read_text().splitlines()]
    report(held)
    if every_case:
        assert len(held) >= 1000
        assert_flat(held, first=100)


def plant(project: Project, kinds: Sequence[str], *, jobs: int, most: int) -> None:
    """Independent tasks whose agents behave by their kind, which is in the title."""
    seed(project, *(task(f"p-{at}", title=f"{kind} {at}") for at, kind in enumerate(kinds)))
    project.write({"shared.txt": "".join(f"line {at}\n" for at in range(20))})
    project.configure(
        cycles=0, jobs=jobs, max_issues=most, max_attempts=2, max_failures=100, idle_timeout="2s"
    )
    project.agent.otherwise().runs(AGENT)


AGENT = """\
number=${COBBLER_TASK_ID#p-}
mkdir -p "files/$((number / 50))"
echo "$COBBLER_ATTEMPT" >"files/$((number / 50))/$number.txt"
case $COBBLER_TASK_TITLE in
fails*) exit $((number % 100 + 1)) ;; # with a number of its own: three alike end a run
hangs*) sleep 60 ;;
dies*) [ "$COBBLER_ATTEMPT" -gt 1 ] || kill -9 $$ ;;
prints*) yes 'a line of output that goes on and on' | head -c 3000000 ;;
conflicts*) [ "$COBBLER_ATTEMPT" -gt 1 ] || sleep 0.2; echo "$number" >"shared-$((number % 3)).txt" ;;
esac
"""


def killed_at_random(project: Project, dice: random.Random, *, least: int, most: int) -> None:
    """A run that gets SIGKILL after a random number of landings, wherever it is then."""
    wanted = landings(project) + dice.randint(least, most)
    running = project.start("--cobbler-generate")
    running.wait_until(lambda: landings(project) >= wanted, 300)
    os.kill(running.pid, signal.SIGKILL)
    assert running.wait().ret == KILLED


def landings(project: Project) -> int:
    journals = project.path.glob(".cobbler/*/journal.jsonl")
    return sum(path.read_text().count('"event": "land"') for path in journals)


def value(held: Sequence[Mapping[str, int]], what: str, end: int) -> float:
    return statistics.median(entry[what] for entry in held[max(0, end - WINDOW) : end])


def report(held: Sequence[Mapping[str, int]]) -> None:
    for what in held[0]:
        places = [at for at in (100, 250, 500, 750, len(held)) if at <= len(held)]
        values = ", ".join(f"{value(held, what, at):g} after {at}" for at in places)
        sys.stdout.write(f"{what}: {values}\n")


def assert_flat(held: Sequence[Mapping[str, int]], first: int) -> None:
    for what in ("files", "threads"):
        early, late = value(held, what, first), value(held, what, len(held))
        assert late <= 1.1 * early, f"{what} has grown from {early} to {late}"
    growth = (value(held, "memory", len(held)) - value(held, "memory", first)) / (len(held) - first)
    assert growth < MOST_A_TASK, f"memory grows by {growth:.1f} KiB a task"
