"""What a task costs by the size of the repository and by the number of agents.

    python -m benchmarks.sizes [--files 20,5000,50000] [--jobs 1,4,16,64,256] [--image NAME] [--json FILE]

Sizes: seconds per task at one job, beside a shell loop that does the same with plain git in a repository of
that size. Jobs: seconds per task of stand-in agents that write one file, as many tasks as jobs (at least
eight), beside the same with one job.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks.overhead import generation, shell_loop

LEAST = 8
"""Tasks of a run."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", default="20,5000,50000")
    parser.add_argument("--jobs", default="1,4,16,64,256")
    parser.add_argument("--image", help="an image with git and sh; without it podman is left out")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures = {
        "files": by_files([int(size) for size in options.files.split(",") if size], options.image),
        "jobs": by_jobs([int(jobs) for jobs in options.jobs.split(",") if jobs]),
    }
    for kind, rows in figures.items():
        for number, row in rows.items():
            print(f"{kind} {number:>6}: " + ", ".join(f"{name} {value:.3f}" for name, value in row.items()))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


def by_files(sizes: Sequence[int], image: str | None = None, count: int = 4) -> dict[int, dict[str, float]]:
    """Number of files -> seconds per task, and the ratio to the shell loop's."""
    rows = {}
    for size in sizes:
        shell = _in_place(partial(shell_loop, count=count, files=size))
        own = _in_place(partial(generation, count=count, tracker="embedded", files=size))
        rows[size] = {"shell loop": shell, "none": own, "ratio": own / shell}
        if image:
            contained = partial(generation, count=count, tracker="embedded", image=image, files=size)
            rows[size]["podman"] = _in_place(contained)
    return rows


def by_jobs(numbers: Sequence[int]) -> dict[int, dict[str, float]]:
    """Number of jobs -> seconds per task, and the ratio to those of the first number."""
    rows: dict[int, dict[str, float]] = {}
    for jobs in numbers:
        measure = partial(generation, count=max(LEAST, jobs), tracker="embedded", jobs=jobs)
        seconds = _in_place(measure)
        first = next(iter(rows.values()))["none"] if rows else seconds
        rows[jobs] = {"none": seconds, "ratio": seconds / first}
    return rows


def _in_place(measure: Callable[[Path], dict[str, float]]) -> float:
    """Seconds per task."""
    with tempfile.TemporaryDirectory(prefix="cobbler-sizes-") as base:
        return measure(Path(base))["per task"]


if __name__ == "__main__":
    main()
