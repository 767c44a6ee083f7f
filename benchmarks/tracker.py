"""What a task costs in a tracker that holds many issues.

    python benchmarks/tracker.py [--sizes 10,1000,10000] [--bd-sizes 10,1000] [--rounds 2] [--json FILE]

For the embedded store, and for bd where it is installed: the seconds of each call, and of a task in a
generation of five, one at a time, with an agent and a gate that take no time. All issues but those five are a
team's: closed tasks, bugs and epics, a quarter of which wait for another. The sizes take turns, so that a
machine that slows down does so for all; ``ratio`` is a figure against that of the smallest store in the same
run.

bd takes half a minute to import 1,000 issues, and more than ten to import 10,000, which are therefore to be
asked for. Its stores are made once for each version of bd, and kept in ``~/.cache/cobbler-benchmark``; the
figures are those of copies.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
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
    parser.add_argument("--bd-sizes", default="10,1000")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    asked: dict[Kind, str] = {"embedded": options.sizes}
    if shutil.which("bd"):
        asked["bd"] = options.bd_sizes
    sizes = {kind: [int(size) for size in text.split(",")] for kind, text in asked.items()}

    with tempfile.TemporaryDirectory(prefix="cobbler-benchmark-") as directory:
        stores = {(kind, n): store(Path(directory), kind, n) for kind in sizes for n in sizes[kind]}
        measured: dict[tuple[Kind, int], list[dict[str, float]]] = {key: [] for key in stores}
        for number in range(options.rounds):
            for (kind, size), template in stores.items():
                say(f"round {number + 1}: {kind}, {size} issues")
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
            column: figure / medians[f"{kind}, {sizes[kind][0]} issues"][column]
            for column, figure in of.items()
        }
        for (kind, _), (name, of) in zip(measured, medians.items(), strict=True)
    }
    print(table("seconds", medians, 3))
    print(table("ratio", ratios, 1))
    if options.json:
        options.json.write_text(json.dumps({"seconds": medians, "ratios": ratios}, indent=2) + "\n")


def store(directory: Path, kind: Kind, size: int) -> Path:
    """A tracker directory with ``size`` issues, to be copied."""
    lines = "".join(json.dumps(issue) + "\n" for issue in issues(size))
    if kind == "bd":
        return bd_store(lines, size)
    beads = directory / f"store-{size}" / ".beads"
    beads.mkdir(parents=True)
    (beads / "issues.jsonl").write_text(lines)
    (beads / ".gitignore").write_text("*\n")
    return beads


def bd_store(lines: str, size: int) -> Path:
    """The one that is kept for this version of bd, else a new one."""
    said = subprocess.run(["bd", "version"], check=True, capture_output=True, text=True).stdout
    name = f"{hashlib.sha256((said + lines).encode()).hexdigest()[:16]}-{size}"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cobbler-benchmark"
    kept = cache / name / ".beads"
    if kept.exists():
        return kept
    cache.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=cache) as directory:
        root = Path(directory) / "root"
        beads = root / ".beads"
        root.mkdir()
        BdTracker(root, beads, prefix="p").init()
        (root / "lines").write_text(lines)
        env = host_environment(BEADS_DIR=str(beads), BEADS_ACTOR="jane", BD_DISABLE_METRICS="1")
        for command in (["import", str(root / "lines")], ["gc", "--force", "--skip-decay"]):
            subprocess.run(["bd", *command], env=env, cwd=root, check=True, capture_output=True)
        root.rename(cache / name)
    say(f"made a store of bd with {size} issues in {time.monotonic() - began:.0f} s")
    return kept


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


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
        if number > 2 * TASKS and number % 4 == 0:
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
