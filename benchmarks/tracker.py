"""What a task costs in a tracker that holds many issues.

    python benchmarks/tracker.py [--sizes 10,1000,10000] [--rounds 3] [--json FILE]

For the embedded store, and for bd where it is installed: the seconds of each call, and of a task in a
generation of five, one at a time, with an agent and a gate that take no time. All issues but those five are a
team's: closed tasks, bugs and epics, most of which wait for another. The sizes take turns, so that a machine
that slows down does so for all; ``ratio`` is a figure against that of the smallest store in the same run.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from pytest_cobbler.process import host_environment
from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project
from pytest_cobbler.tracker.base import Claim, NewTask
from pytest_cobbler.tracker.bd import BdTracker
from pytest_cobbler.tracker.choose import Kind, open_tracker

TASKS = 5
COLUMNS = ("list", "create", "claim", "comment", "close", "a task in a generation")
CLAIM = Claim(host="here", repository="benchmark", run="run", generation="generation")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default="10,1000,10000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]

    kinds: list[Kind] = ["embedded", "bd"] if shutil.which("bd") else ["embedded"]
    with tempfile.TemporaryDirectory(prefix="cobbler-benchmark-") as directory:
        stores = {(kind, size): store(Path(directory), kind, size) for kind in kinds for size in sizes}
        measured: dict[tuple[Kind, int], list[dict[str, float]]] = {key: [] for key in stores}
        for number in range(options.rounds):
            for (kind, size), template in stores.items():
                base = Path(directory) / f"{kind}-{size}-{number}"
                figures = calls(base / "calls", kind, template) | generation(base, kind, template)
                measured[kind, size].append(figures)
                shutil.rmtree(base)
    medians = {
        f"{kind}, {size} issues": {name: statistics.median(one[name] for one in rounds) for name in COLUMNS}
        for (kind, size), rounds in measured.items()
    }
    ratios = {
        name: {
            column: figure / medians[f"{kind}, {sizes[0]} issues"][column] for column, figure in of.items()
        }
        for (kind, _), (name, of) in zip(measured, medians.items(), strict=True)
    }
    print(table("seconds", medians, 3))
    print(table("ratio", ratios, 1))
    if options.json:
        options.json.write_text(json.dumps({"seconds": medians, "ratios": ratios}, indent=2) + "\n")


def store(directory: Path, kind: Kind, size: int) -> Path:
    """A tracker directory with ``size`` issues, to be copied."""
    root = directory / f"store-{kind}-{size}"
    beads = root / ".beads"
    root.mkdir()
    lines = "".join(json.dumps(issue) + "\n" for issue in issues(size))
    if kind == "embedded":
        beads.mkdir()
        (beads / "issues.jsonl").write_text(lines)
        (beads / ".gitignore").write_text("*\n")
        return beads
    BdTracker(root, beads, prefix="p").init()
    (root / "lines").write_text(lines)
    env = host_environment(BEADS_DIR=str(beads), BEADS_ACTOR="jane", BD_DISABLE_METRICS="1")
    subprocess.run(["bd", "import", str(root / "lines")], env=env, cwd=root, check=True, capture_output=True)
    return beads


def issues(size: int) -> list[dict[str, Any]]:
    """As bd exports them: five open tasks, and a team's issues."""
    found: list[dict[str, Any]] = []
    for number in range(size):
        kind = "task" if number < TASKS else ("task", "bug", "epic", "chore")[number % 4]
        closed = number >= TASKS and kind == "task"
        name = f"p-{number:06x}"
        found.append(
            {"id": name, "title": f"Issue {number}", "description": "What there is to say of it. " * 10}
            | {"status": "closed" if closed else "open", "priority": 2, "issue_type": kind}
            | {
                "created_at": "2026-01-02T03:04:05Z",
                "created_by": "jane",
                "updated_at": "2026-01-02T03:04:05Z",
            }
            | ({"closed_at": "2026-01-02T03:04:05Z"} if closed else {})
        )
        if number > 2 * TASKS:
            ends = {"issue_id": name, "depends_on_id": f"p-{number // 2:06x}", "type": "blocks"}
            found[-1]["dependencies"] = [ends | {"created_at": "2026-01-02T03:04:05Z", "created_by": "jane"}]
    return found


def calls(root: Path, kind: Kind, template: Path) -> dict[str, float]:
    """Seconds of each call, the first of all apart."""
    root.mkdir(parents=True)
    shutil.copytree(template, root / ".beads")
    tracker = open_tracker(kind, root, root / ".beads", "p")
    tracker.tasks()
    name = ""

    def create() -> None:
        nonlocal name
        new = NewTask(key="new", title="A new task", description="What is to be done.")
        name = tracker.create([new])["new"]

    steps: list[tuple[str, Callable[[], object]]] = [
        ("list", tracker.tasks),
        ("create", create),
        ("claim", lambda: tracker.claim(name, CLAIM)),
        ("comment", lambda: tracker.comment(name, "A record of it. " * 20)),
        ("close", lambda: tracker.close(name, "landed")),
    ]
    return {step: _seconds(call) for step, call in steps}


def _seconds(call: Callable[[], object]) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began


def generation(base: Path, kind: Kind, template: Path) -> dict[str, float]:
    """Seconds from one landing to the next."""
    agent = StandInAgent(base / "agent")
    agent.otherwise().runs('echo done >"$COBBLER_TASK_ID.txt"')
    with Project.create(base / "project", agent) as project:
        project.configure(jobs=1, max_issues=TASKS, cycles=0, tracker=kind)
        shutil.copytree(template, project.path / ".beads")
        result = project.run("--cobbler-generate", timeout=900)
        assert len(project.landed()) == TASKS, "\n".join([*result.outlines, *result.errlines])
        (journal,) = (project.path / ".cobbler").glob("*/journal.jsonl")
        events = [json.loads(line) for line in journal.read_text().splitlines()]
    landed = [
        datetime.fromisoformat(event["time"]).timestamp() for event in events if event["event"] == "land"
    ]
    return {COLUMNS[-1]: statistics.median(later - earlier for earlier, later in pairwise(landed))}


def table(title: str, rows: dict[str, dict[str, float]], digits: int) -> str:
    width = max(map(len, rows))
    lines = [f"{title:<{width}}" + "".join(f"{column:>24}" for column in COLUMNS)]
    for name, figures in rows.items():
        cells = (f"{figures[column]:.{digits}f}" for column in COLUMNS)
        lines.append(f"{name:<{width}}" + "".join(f"{cell:>24}" for cell in cells))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
