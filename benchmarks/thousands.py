"""Which part holds up very many agents, in simulated time: `python -m benchmarks.thousands [--json FILE]`.

Plan and policy of the landing lane are those of the product; agents and gates only take time. An agent takes
15 minutes (drawn from a lognormal distribution, sigma 0.6), a gate 60 seconds, and a change passes on a tip
that its agent did not see with a chance of 0.95 (`--chance`); if not, another attempt follows. What the
product itself needs for a landing, and for a call of the tracker, is measured here first, on a small
repository: without containers, with a gate of no time. An hour is simulated after an hour of warming up.

It prints, for each number of agents and policy, the tasks that land in an hour, and how busy each part is.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from benchmarks.trains import CHANGES, Ground
from pytest_cobbler.landing.policies import LandingPolicy, make_policy
from pytest_cobbler.lifecycle.plan import Plan, State
from pytest_cobbler.tracker.base import Claim, NewTask
from pytest_cobbler.tracker.embedded import EmbeddedTracker

AGENT, SIGMA, GATE = 900.0, 0.6, 60.0
HOUR = 3600.0
CALLS = 4
"""Of the tracker for a task: claim, comment, close, and the tasks read again."""
AHEAD = 5
"""Tasks for each agent that are at work or wait for the gate, as in a run."""
FULL = 0.9
"""A part that is busy for more of the time holds the others up."""
TASKS_IN_STORE = 1000
CLAIM = Claim(host="here", repository="benchmark", run="run", generation="generation")
SIZES = (15, 200, 2000)
POLICIES: dict[str, LandingPolicy] = {
    "each": make_policy("each", 1),
    "each, 8 gates": make_policy("each", 8),
    "each, 32 gates": make_policy("each", 32),
    "train": make_policy("train", 1),
    "train, 8 gates": make_policy("train", 8),
}


@dataclass(frozen=True)
class Costs:
    """Seconds that the product itself needs; ``call`` is one of the tracker."""

    landing: float
    call: float


@dataclass
class Busy:
    """Seconds in which a part was at work."""

    agents: float = 0.0
    gates: float = 0.0
    lane: float = 0.0
    tracker: float = 0.0
    plan: float = 0.0
    """Real seconds of this program in the plan."""


@dataclass
class Simulation:
    """Agents, the window of the lane, and the gates, in simulated time."""

    agents: int
    policy: LandingPolicy
    costs: Costs
    chance: float
    draw: random.Random
    now: float = 0.0
    window: list[str] = field(default_factory=list)
    passes: dict[str, bool] = field(default_factory=dict)
    gates: dict[tuple[str, ...], float] = field(default_factory=dict)
    """Prefix -> when its gate ends."""
    again: list[str] = field(default_factory=list)
    """Tasks whose change did not pass, and which need another attempt."""
    red: tuple[str, ...] = ()
    landed: list[float] = field(default_factory=list)
    busy: Busy = field(default_factory=Busy)

    def __post_init__(self) -> None:
        self.plan = Plan()
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.number = itertools.count()
        self.working = 0
        self.in_flight = 0
        self.lane_free = self.tracker_free = 0.0
        self.is_counted = False

    def at(self, moment: float, what: Callable[[], None]) -> None:
        heapq.heappush(self.events, (moment, next(self.number), what))

    def run(self) -> None:
        for number in range(self.agents * 2 * AHEAD + 8 * self.agents):
            self.plan.add(f"t{number}", effort=AGENT, age=(number,))
        self.fill()
        while self.events and self.now < 2 * HOUR:
            self.now, _, what = heapq.heappop(self.events)
            if self.now >= HOUR and not self.is_counted:
                self.is_counted = True
                self.busy.plan = 0.0
                self.landed.clear()
            what()

    # -- agents

    def fill(self) -> None:
        """Give free agents the next tasks of the plan."""
        began = time.perf_counter()
        free = self.agents - self.working
        repaired, self.again = self.again[:free], self.again[free:]
        room = min(free - len(repaired), AHEAD * self.agents - self.in_flight)
        names = self.plan.ready()[: max(0, room)]
        for name in names:
            self.plan.mark(name, State.RUNNING)
        self.busy.plan += time.perf_counter() - began
        self.in_flight += len(names)
        for name in (*repaired, *names):
            self.begin(name)

    @staticmethod
    def counted(begin: float, end: float) -> float:
        """The part of a time that is in the hour that counts."""
        return max(0.0, min(end, 2 * HOUR) - max(begin, HOUR))

    def begin(self, name: str) -> None:
        """An agent works on a task once the tracker has its claim."""
        self.working += 1
        seconds = AGENT * self.draw.lognormvariate(-SIGMA * SIGMA / 2, SIGMA)
        claimed = self.track()
        self.busy.agents += self.counted(claimed, claimed + seconds)
        self.at(claimed + seconds, lambda: self.end(name))

    def track(self, calls: int = 1) -> float:
        """When calls of the tracker are over, which come one after the other."""
        self.tracker_free = max(self.now, self.tracker_free) + calls * self.costs.call
        self.busy.tracker += self.counted(self.tracker_free - calls * self.costs.call, self.tracker_free)
        return self.tracker_free

    def end(self, name: str) -> None:
        self.working -= 1
        self.passes[name] = self.draw.random() < self.chance
        self.window.append(name)
        self.look()
        self.fill()

    # -- the lane

    def look(self) -> None:
        """Start the gates that the policy asks for, and decide on the first prefix when its gate is over."""
        chain = self.window[: self.policy.reach]
        if not chain:
            return
        red = len(self.red) if self.red and tuple(chain[: len(self.red)]) == self.red else 0
        prefixes = [tuple(chain[:length]) for length in self.policy.prefixes(len(chain), red)]
        self.keep({prefix: end for prefix, end in self.gates.items() if prefix in prefixes})
        for prefix in prefixes:
            at_work = sum(end > self.now for end in self.gates.values())
            if prefix not in self.gates and at_work < self.policy.gate_jobs:
                self.gates[prefix] = self.now + GATE
                self.at(self.now + GATE, self.look)
        first = prefixes[0]
        if self.gates.get(first, self.now + 1) <= self.now:
            self.decide(first)

    def keep(self, gates: dict[tuple[str, ...], float]) -> None:
        """End all gates except these, of which some may have other names."""
        kept = list(gates.values())
        for end in self.gates.values():
            if end in kept:
                kept.remove(end)
            else:
                self.busy.gates += self.counted(end - GATE, min(end, self.now))
        self.gates = gates

    def decide(self, prefix: Sequence[str]) -> None:
        if self.lane_free > self.now:  # the thread of the lane is at work on the landing before it
            self.at(self.lane_free, self.look)
            return
        is_green = all(self.passes[name] for name in prefix)
        if not is_green and len(prefix) > 1:
            self.red = tuple(prefix)
            self.look()
            return
        del self.window[: len(prefix)]
        # Verdicts on longer prefixes stay if this one has landed, as it is then a part of the tip.
        rest = {
            longer[len(prefix) :]: end
            for longer, end in self.gates.items()
            if is_green and len(longer) > len(prefix)
        }
        self.keep(rest)
        self.red = self.red[len(prefix) :] if is_green and self.red[: len(prefix)] == tuple(prefix) else ()
        if is_green:
            self.lane_free = self.now + len(prefix) * self.costs.landing
            self.busy.lane += self.counted(self.now, self.lane_free)
            self.track((CALLS - 1) * len(prefix))
            for name in prefix:
                self.landed.append(self.now)
                self.plan.mark(name, State.DONE)
                self.in_flight -= 1
        else:
            self.again.append(prefix[0])
        self.at(max(self.now, self.lane_free), self.look)
        self.fill()


def costs(directory: Path) -> Costs:
    """Measure a landing with a gate of no time, and a call of the embedded tracker with 1,000 tasks."""
    ground = Ground(directory)
    found, seconds = ground.land(ground.lane("true", "each", 1))
    assert all(one.commit for one in found.values())
    gates = sum(one.gate_seconds for one in found.values())
    store = directory / "tracker"
    store.mkdir()
    tracker = EmbeddedTracker(store, store / ".beads")
    tasks = [
        NewTask(key=str(number), title=f"Task {number}", description="") for number in range(TASKS_IN_STORE)
    ]
    ids = [*tracker.create(tasks).values()][:CHANGES]
    began = time.monotonic()
    for one in ids:
        tracker.claim(one, CLAIM)
        tracker.comment(one, "A comment.")
    call = (time.monotonic() - began) / len(ids) / 2
    return Costs(landing=(seconds - gates) / CHANGES, call=call)


def simulated(size: int, policy: str, known: Costs, chance: float) -> dict[str, float]:
    """Landings in an hour, and how busy each part is: the part of the hour, for agents and gates of each."""
    simulation = Simulation(size, POLICIES[policy], known, chance, random.Random(1))
    simulation.run()
    busy, gate_jobs = simulation.busy, POLICIES[policy].gate_jobs
    return {
        "landed in an hour": len(simulation.landed),
        "agents": busy.agents / HOUR / size,
        "gates": busy.gates / HOUR / gate_jobs,
        "lane": busy.lane / HOUR,
        "tracker": busy.tracker / HOUR,
        "plan": busy.plan / HOUR,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--chance", type=float, default=0.95)
    parser.add_argument("--call", type=float, help="seconds of a call of the tracker, such as 0.4 for bd")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cobbler-benchmark-") as directory:
        known = costs(Path(directory))
    if options.call:
        known = replace(known, call=options.call)
    print(f"a landing takes the lane {known.landing:.3f} s, a call of the tracker {known.call:.3f} s")
    table = {}
    for size, policy in itertools.product(SIZES, POLICIES):
        row = table[f"{size} agents, {policy}"] = simulated(size, policy, known, options.chance)
        parts = {name: value for name, value in row.items() if name != "landed in an hour"}
        shown = "  ".join(f"{name} {value:6.1%}" for name, value in parts.items())
        most = max((name for name in parts if name != "agents"), key=parts.__getitem__)
        word = most if parts[most] > FULL else "agents" if parts["agents"] > FULL else "-"
        print(f"{size:5} agents, {policy:15} {row['landed in an hour']:6.0f}/h  {shown}  full: {word}")
    if options.json:
        options.json.write_text(json.dumps({"costs": asdict(known), "table": table}, indent=2) + "\n")


if __name__ == "__main__":
    main()
