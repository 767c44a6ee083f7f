"""The order in which ready tasks start, in simulated time: `python -m benchmarks.order [GRAPHS]`.

Each graph is like a real generation: 92 tasks, 62 needs, at most one a task, durations in seconds drawn from
a lognormal distribution (mu 4.95, sigma 0.9). In half of the graphs, tasks that others need take longer.
The plan of the product gets estimates in minutes that are wrong by a factor of up to three, or none.
The anchor is the same plan with the true durations: list scheduling by critical path.

Prints the ratios of the whole times, mean and worst, and writes them as JSON.
"""

from __future__ import annotations

import heapq
import json
import math
import random
import statistics
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from pytest_cobbler.lifecycle.effort import Efforts
from pytest_cobbler.lifecycle.plan import Plan, State
from pytest_cobbler.tracker.base import Task

TASKS, NEEDS = 92, 62
MU, SIGMA = 4.95, 0.9
WRONG_BY = 3.0
SLOWER = 10
"""So much longer than an agent takes a developer, whose minutes are estimated."""
JOBS = (2, 4, 8)


@dataclass(frozen=True)
class Graph:
    """Needs (task -> the one that it needs) and durations in seconds."""

    needs: Mapping[str, str]
    seconds: Mapping[str, float]


def draw(rng: random.Random, *, correlated: bool) -> Graph:
    names = [f"task-{number:02}" for number in range(TASKS)]
    needs = {
        names[number]: names[rng.randrange(number)] for number in sorted(rng.sample(range(1, TASKS), NEEDS))
    }
    seconds = [rng.lognormvariate(MU, SIGMA) for _ in names]
    if correlated:
        needed = {name: sum(name == need for need in needs.values()) for name in names}
        names.sort(key=lambda name: (-needed[name], rng.random()))
        seconds.sort(reverse=True)
    return Graph(needs, dict(zip(names, seconds, strict=True)))


def whole_time(graph: Graph, efforts: Mapping[str, float], jobs: int) -> float:
    """The simulated seconds until all tasks have landed, in the order of the plan by ``efforts``."""
    plan = Plan()
    for age, name in enumerate(sorted(graph.seconds)):
        needs = [graph.needs[name]] if name in graph.needs else []
        plan.add(name, needs=needs, effort=efforts[name], age=(age,))
    now, running = 0.0, list[tuple[float, str]]()
    while True:
        for name in plan.ready()[: jobs - len(running)]:
            plan.mark(name, State.RUNNING)
            heapq.heappush(running, (now + graph.seconds[name], name))
        if not running:
            return now
        now, name = heapq.heappop(running)
        plan.mark(name, State.DONE)


def estimated(rng: random.Random, graph: Graph) -> dict[str, float]:
    """What the product expects of tasks whose estimates are ``WRONG_BY`` times too long or short at most."""
    wrong = {
        name: seconds * math.pow(WRONG_BY, rng.uniform(-1, 1)) for name, seconds in graph.seconds.items()
    }
    tasks = [
        Task(id=name, title="", minutes=max(1, round(SLOWER * seconds / 60)))
        for name, seconds in wrong.items()
    ]
    efforts = Efforts(tasks)
    return {task.id: efforts.of(task) for task in tasks}


def measure(graphs: int) -> dict[str, dict[str, float]]:
    ratios: dict[str, list[float]] = {}
    for number in range(graphs):
        rng = random.Random(number)
        correlated = bool(number % 2)
        graph = draw(rng, correlated=correlated)
        estimates = estimated(rng, graph)
        alike = dict.fromkeys(graph.seconds, 1.0)
        for jobs in JOBS:
            anchor = whole_time(graph, graph.seconds, jobs)
            kind = f"{'correlated' if correlated else 'independent'}, jobs {jobs}"
            for name, efforts in (("estimates", estimates), ("by count", alike)):
                ratio = whole_time(graph, efforts, jobs) / anchor
                ratios.setdefault(f"{name}, {kind}", []).append(ratio)
                ratios.setdefault(f"{name}, all", []).append(ratio)
    return {
        kind: {"mean": statistics.fmean(some), "worst": max(some)} for kind, some in sorted(ratios.items())
    }


def main() -> None:
    table = measure(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
    for kind, row in table.items():
        print(f"{kind:40} mean {row['mean']:.3f}  worst {row['worst']:.3f}")
    print(json.dumps(table))


if __name__ == "__main__":
    main()
