"""The table of ratios: `python -m benchmarks [ROW ...] [--quick] [--image NAME] [--json FILE]`.

Each row is measured by the program of its name, and compares with something that runs beside it: a ratio
says the same on every machine, seconds do not. Without names, all rows. ``--quick`` takes smaller numbers:
to see that the programs work. Of podman there is only what ``--image`` (an image with git and sh) allows.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import order, overhead, printing, sizes, startup


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A line of the table: ``value`` is to be at most ``goal``, if there is one."""

    row: str
    measure: str
    value: float
    unit: str = "x"
    goal: float | None = None


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line asks for."""

    quick: bool
    image: str | None


def order_row(options: Options) -> Iterator[Figure]:
    """The order by estimates, beside list scheduling by true times."""
    table = order.measure(10 if options.quick else 200)
    for name, goals in (("estimates", (1.02, 1.08)), ("by count", (None, None))):
        for found, goal in zip(("mean", "worst"), goals, strict=True):
            value = table[f"{name}, all"][found]
            yield Figure(row="order", measure=f"{name}: {found}", value=value, goal=goal)


def overhead_row(options: Options) -> Iterator[Figure]:
    """A task beside its agent, beside a shell loop with plain git."""
    count, rounds = (4, 1) if options.quick else (12, 3)
    variants: dict[str, Callable[[Path], dict[str, float]]] = {
        "shell": lambda base: overhead.shell_loop(base, count),
        "none": lambda base: overhead.generation(base, count, tracker="embedded"),
    }
    if image := options.image:
        variants["runs"] = lambda _base: overhead.bare_runs(image, count)
        variants["podman"] = lambda base: overhead.generation(base, count, tracker="embedded", image=image)
    taken: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, measure in variants.items():
            with tempfile.TemporaryDirectory(prefix="cobbler-benchmark-") as base:
                taken[name].append(measure(Path(base))["per task"])
    seconds = {name: statistics.median(values) for name, values in taken.items()}
    yield Figure(
        row="overhead", measure="no sandbox / shell loop", value=seconds["none"] / seconds["shell"], goal=2.2
    )
    if "podman" in seconds:
        by_hand = seconds["shell"] + seconds["runs"] * 2 / 3
        measure_name = "podman / shell loop with two podman run"
        yield Figure(row="overhead", measure=measure_name, value=seconds["podman"] / by_hand, goal=1.1)


def printing_row(options: Options) -> Iterator[Figure]:
    """An agent that prints much."""
    found = printing.measured(100_000 if options.quick else 2_000_000, 1 if options.quick else 3)
    yield Figure(row="printing", measure="CPU of pytest: stdout / stderr", value=found["ratio"], goal=1.0)


def startup_row(options: Options) -> Iterator[Figure]:
    """Commands that have nothing to do, or much to collect."""
    found = startup.measured(1 if options.quick else 3, options.image)
    bare = found["bare pytest"]
    value = found["rerun, none"] / bare
    yield Figure(row="startup", measure="rerun, nothing to do / bare pytest", value=value, goal=1.9)
    for name, more in (("podman", 0.5), ("bd and podman", 1.0)):
        if (seconds := found.get(f"rerun, {name}")) is not None:
            yield Figure(
                row="startup",
                measure=f"rerun, nothing to do: more with {name}",
                value=seconds - found["rerun, none"],
                unit="s",
                goal=more,
            )
    more = found["list, no bytecode"] - found["list"]
    yield Figure(row="startup", measure="more without bytecode", value=more, unit="s", goal=0.2)
    few, many = (found[f"collect {size}"] for size in startup.SIZES)
    yield Figure(row="startup", measure="collect 10,000 / 1,000 tasks", value=many / few, goal=2.0)


def sizes_row(options: Options) -> Iterator[Figure]:
    """Large repositories and many agents."""
    rows = sizes.by_files((20, 500) if options.quick else (20, 5_000, 50_000), options.image)
    few = next(iter(rows.values()))
    for files, found in rows.items():
        goal = 0.3 if files == 50_000 else None
        measure = f"{files:,} files, no sandbox / shell loop"
        yield Figure(row="sizes", measure=measure, value=found["ratio"], goal=goal)
        if "podman" in found and found is not few:
            goal = 2.0 if files == 50_000 else None
            measure = f"{files:,} files / {next(iter(rows))}, podman"
            yield Figure(row="sizes", measure=measure, value=found["podman"] / few["podman"], goal=goal)
    for jobs, found in sizes.by_jobs((1, 4) if options.quick else (1, 4, 16, 64, 256)).items():
        yield Figure(row="sizes", measure=f"{jobs} jobs / 1 job, a task", value=found["ratio"])


ROWS: dict[str, Callable[[Options], Iterator[Figure]]] = {
    "order": order_row,
    "overhead": overhead_row,
    "printing": printing_row,
    "startup": startup_row,
    "sizes": sizes_row,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--image", help="an image with git and sh; without it podman is left out")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.rows if name not in ROWS]:
        parser.error(f"there is no row {unknown[0]}: {', '.join(ROWS)}")
    options = Options(quick=arguments.quick, image=arguments.image)
    figures: list[Figure] = []
    for name in arguments.rows or ROWS:
        for figure in ROWS[name](options):
            figures.append(figure)
            print(shown(figure), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(figure) for figure in figures], indent=2) + "\n")


def shown(figure: Figure) -> str:
    """A line of the table."""
    goal = "" if figure.goal is None else f"  (goal {figure.goal:g}{figure.unit})"
    return f"{figure.row:<10} {figure.measure:<60} {figure.value:7.2f}{figure.unit}{goal}"


if __name__ == "__main__":
    main()
