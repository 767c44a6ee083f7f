"""What a task costs beside its agent: seconds per task, and where they go.

    python benchmarks/overhead.py [--tasks 20] [--json FILE] [--image NAME]

Twenty independent tasks, one at a time, with a stand-in agent that writes one file and a gate that is `true`;
without a sandbox, and in podman (with ``--image``: an image with git and sh), with the embedded store and
with bd where it is installed. Beside them, in the same run: three bare ``podman run`` (as many as a task
needs) and a shell loop that does a task by hand with plain git. The variants take turns, so that a machine
that slows down does so for all.
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
from pathlib import Path

from pytest_cobbler.sandbox.podman_environment import podman_environment
from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project

SHELL_LOOP = """
set -e
for i in $(seq "$1"); do
  git worktree add -q -b "task-$i" "$2/$i" generation
  ( cd "$2/$i" && echo "$i" > "$i.txt" && git add -A && git commit -qm "task $i" )
  tree=$(git merge-tree --write-tree generation "task-$i")
  commit=$(git commit-tree "$tree" -p generation -m "task $i")
  git update-ref refs/heads/generation "$commit"
  git worktree remove --force "$2/$i" && git branch -qD "task-$i"
done
"""

PHASES = (
    ("claim and worktree", "", "attempt"),
    ("agent's container", "attempt", "agent"),
    ("harvest", "agent", "harvest"),
    ("merge", "harvest", "merge"),
    ("gate", "merge", "gate"),
    ("landing", "gate", "land"),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--image", help="an image with git and sh; without it podman is left out")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    variants: dict[str, Callable[[Path], dict[str, float]]] = {
        "shell loop, plain git": lambda base: shell_loop(base, options.tasks),
        "embedded, no sandbox": lambda base: generation(base, options.tasks, tracker="embedded"),
    }
    if options.image:
        variants["three bare podman runs"] = lambda _base: bare_runs(options.image, options.tasks)
        variants["embedded, podman"] = lambda base: generation(
            base, options.tasks, tracker="embedded", image=options.image
        )
        if shutil.which("bd"):
            variants["bd, podman"] = lambda base: generation(
                base, options.tasks, tracker="bd", image=options.image
            )
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in variants}
    for _ in range(options.rounds):
        for name, variant in variants.items():
            with tempfile.TemporaryDirectory(prefix="cobbler-benchmark-") as base:
                measured[name].append(variant(Path(base)))
    medians = {name: _medians(rounds) for name, rounds in measured.items()}
    print(_table(medians))
    if options.json:
        options.json.write_text(json.dumps(medians, indent=2) + "\n")


def generation(
    base: Path, count: int, *, tracker: str, image: str | None = None, jobs: int = 1, files: int = 0
) -> dict[str, float]:
    """Seconds per task of a whole session, of its phases, and of an idle slot.

    Args:
        files: that the repository has besides its few own ones.
    """
    base.chmod(0o755)
    agent = StandInAgent(base / "agent")
    agent.measure().writes_tasks(
        [{"index": i, "title": f"Task {i}", "description": f"Write file {i}."} for i in range(count)]
    )
    agent.otherwise().runs('echo done >"$COBBLER_TASK_ID.txt"')
    with Project.create(base / "project", agent) as project:
        fill(project, files)
        project.configure(jobs=jobs, max_issues=count, tracker=tracker)
        if image:
            project.configure(
                sandbox="podman", podman_image=image, podman_args=agent.podman_arguments, agent_network="none"
            )
        result = project.run("--cobbler-generate", timeout=900)
        assert len(project.landed()) == count, "\n".join(result.outlines)
        (journal,) = (project.path / ".cobbler").glob("*/journal.jsonl")
        return _from_journal([json.loads(line) for line in journal.read_text().splitlines()], count)


def _from_journal(events: list[dict[str, str]], count: int) -> dict[str, float]:
    times: dict[tuple[str, str], float] = {}
    for event in events:
        times[event.get("task", ""), event["event"]] = datetime.fromisoformat(event["time"]).timestamp()
    tasks = [event["task"] for event in events if event["event"] == "land"]
    began = times["", "proposed"]
    ended = max(times[task, "land"] for task in tasks)
    agents = sum(times[task, "agent"] - times[task, "attempt"] for task in tasks)
    last_agent = max(times[task, "agent"] for task in tasks)
    figures = {"per task": (ended - began) / count, "slot idle": (last_agent - began - agents) / count}
    previous = began
    for task in tasks:
        times[task, ""] = previous
        previous = times[task, "agent"]
    for name, before, after in PHASES:
        figures[name] = statistics.median(times[task, after] - times[task, before] for task in tasks)
    return figures


def bare_runs(image: str, count: int) -> dict[str, float]:
    """Seconds of three runs of ``true`` in containers."""
    command = ["podman", "run", "--rm", "--network=none", "--pull=never", image, "true"]
    began = time.monotonic()
    for _ in range(count * 3):
        subprocess.run(command, check=True, env=podman_environment(), stdout=subprocess.DEVNULL)
    return {"per task": (time.monotonic() - began) / count}


def fill(project: Project, files: int) -> None:
    """Commit ``files`` small files, a hundred in each directory."""
    for number in range(files):
        path = project.path / f"filled/{number // 100}/{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{number}\n" * 20)
    if files:
        project.commit("Fill the repository")


def shell_loop(base: Path, count: int, files: int = 0) -> dict[str, float]:
    """Seconds per task of the same work by hand: no tracker, no gate, no sandbox, nothing checked."""
    with Project.create(base / "project", StandInAgent(base / "agent")) as project:
        fill(project, files)
        project.git("branch", "generation")
        began = time.monotonic()
        subprocess.run(
            ["sh", "-c", SHELL_LOOP, "sh", str(count), str(base / "worktrees")],
            check=True,
            cwd=project.path,
            stdout=subprocess.DEVNULL,
        )
        return {"per task": (time.monotonic() - began) / count}


def _medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(figures[name] for figures in rounds) for name in rounds[0]}


def _table(medians: dict[str, dict[str, float]]) -> str:
    columns = ("per task", "slot idle", *(name for name, _, _ in PHASES))
    width = max(map(len, medians))
    lines = [" " * width + "".join(f"{column:>20}" for column in columns)]
    for name, figures in medians.items():
        cells = (f"{figures[column]:.3f}" if column in figures else "" for column in columns)
        lines.append(f"{name:<{width}}" + "".join(f"{cell:>20}" for cell in cells))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
