"""What pytest itself spends on agents that print much: CPU for lines on stdout, beside the same on stderr.

    python -m benchmarks.printing [--lines 2000000] [--rounds 3] [--json FILE]

The agent prints short lines as fast as it can, in a session without a sandbox. Taken is the CPU time of the
session without that of its child processes, less that of a session whose agent prints nothing. The
variants take turns, so that a machine that slows down does so for all.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from pathlib import Path

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project

VARIANTS = {"nothing": "true", "stdout": "seq {lines}", "stderr": "seq {lines} >&2"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lines", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures = measured(options.lines, options.rounds)
    for name, seconds in figures.items():
        print(f"{name:>8}: {seconds:.2f}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


def measured(lines: int, rounds: int) -> dict[str, float]:
    """Seconds of CPU for the lines on each stream, and their ratio."""
    taken: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for _ in range(rounds):
        for name, script in VARIANTS.items():
            with tempfile.TemporaryDirectory(prefix="cobbler-printing-") as directory:
                taken[name].append(cpu(Path(directory), script.format(lines=lines)))
    idle = statistics.median(taken["nothing"])
    stdout, stderr = (statistics.median(taken[name]) - idle for name in ("stdout", "stderr"))
    return {"stdout": stdout, "stderr": stderr, "ratio": stdout / stderr}


def cpu(directory: Path, script: str) -> float:
    """Seconds of CPU of a session whose one agent runs ``script``, as the session itself counts them."""
    agent = StandInAgent(directory / "agent")
    agent.measure().writes_tasks([{"index": 0, "title": "Print", "description": "Print much."}])
    agent.otherwise().runs(f'{script}; echo done >"$COBBLER_TASK_ID.txt"')
    with Project.create(directory / "project", agent) as project:
        project.configure(jobs=1)
        project.write({"conftest.py": CONFTEST})
        project.commit("Count the CPU")
        report = directory / "cpu"
        result = project.run("--cobbler-generate", timeout=900, env={"CPU_REPORT": os.fspath(report)})
        assert len(project.landed()) == 1, "\n".join([*result.outlines, *result.errlines])
        return float(report.read_text())


CONFTEST = """\
import atexit, os, time
atexit.register(lambda: open(os.environ["CPU_REPORT"], "w").write(str(time.process_time())))
"""


if __name__ == "__main__":
    main()
