"""Agents on nodes of Slurm, as their coordinator feels them: `python -m benchmarks.nodes [--agents 200]`.

First many stand-in agents at the same time, without podman: each prints a line twice a second, like an agent
that works, and leaves a file, which is harvested. It measures memory and CPU of the coordinator, and how late
the lines come. Then, with `--image NAME` (an image with git and sh), jobs of no time in podman: on a node,
and in turns with them on this machine.

Slurm is that of `SLURM_CONF`; without it, a cluster of three nodes is started on this machine (as root).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from benchmarks.trains import Ground
from pytest_cobbler.repository.checks import Policy
from pytest_cobbler.repository.harvest import harvest
from pytest_cobbler.sandbox.base import Job, Limits
from pytest_cobbler.sandbox.podman import PodmanSandbox, job_owner
from pytest_cobbler.sandbox.site import Place, Site
from pytest_cobbler.sites.local import LocalSite
from pytest_cobbler.sites.patience import Patience
from pytest_cobbler.sites.remote import NodeSandbox, RemoteSite
from pytest_cobbler.sites.slurm import SlurmChannel
from tests.support.slurm import Cluster

EVERY = 0.5
"""Seconds between two lines of an agent."""
AGENT = f"""
import os, sys, time
print("begun", flush=True)
while not os.path.exists(sys.argv[1]):
    time.sleep({EVERY})
open(sys.argv[2], "w").write("work")
for _ in range(int(sys.argv[3])):
    print(time.time(), flush=True)
    time.sleep({EVERY})
"""
"""One process without children, because all agents share this machine."""
PATIENT = Patience(silence=240.0, lease=300.0, start=400.0)
"""For nodes that all share this machine."""
MEGABYTE = 1e6


@dataclass
class Agents:
    """What agents that work at the same time have told."""

    began: threading.Semaphore
    go: Path
    lags: list[float] = field(default_factory=list)
    right: int = 0

    def work(self, site: Site, ground: Ground, number: int, seconds: float) -> None:
        """Open a place, work there until ``seconds`` after all others have begun, and harvest."""
        place = opened(site, ground, f"agent-{number}")
        ended = place.sandbox.run(
            Job(
                name=f"agent-{number}",
                argv=("python3", "-ISc", AGENT, str(self.go), f"new-{number}", str(round(seconds / EVERY))),
                workdir=str(place.checkout),
                limits=Limits(wall=900),
                on_line=self.take,
            )
        )
        change = harvest(place, ground.repository, Policy()).change
        self.right += ended.ok and change.paths == (f"new-{number}",)
        place.remove()

    def take(self, line: bytes) -> None:
        if line == b"begun":
            self.began.release()
        else:
            self.lags.append(time.time() - float(line))


def opened(site: Site, ground: Ground, name: str) -> Place:
    first = ground.generation.first
    return site.open(name, parent=first, tree=ground.repository.tree_of(first), purpose={"task": name})


def memory(process: int | str) -> float:
    """Bytes of a process, with its part of what it shares."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return float(line.split()[1]) * 1024
    return 0.0


def children() -> list[str]:
    """The processes that reach nodes."""
    mine, found = str(os.getpid()), []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (path / "stat").read_text().rpartition(")")[2].split()[1] == mine:
                found.append(path.name)
    return found


def many(site: Site, ground: Ground, count: int, seconds: float, opening: int) -> dict[str, float]:
    """Figures of ``count`` agents that all work for ``seconds`` at the same time."""
    agents = Agents(threading.Semaphore(0), ground.directory / "go")
    before, begin = memory("self"), time.monotonic()
    with ThreadPoolExecutor(count) as threads:
        ends = []
        for number in range(count):
            ends.append(threads.submit(agents.work, site, ground, number, seconds))
            if number >= opening:  # no more at the same time: nodes and coordinator share this machine
                agents.began.acquire()
        for _ in range(min(opening, count)):
            agents.began.acquire()
        started = time.monotonic() - begin
        agents.go.touch()
        time.sleep(seconds * 0.2)
        cpu, lines = time.process_time(), len(agents.lags)
        time.sleep(seconds * 0.6)
        cpu, lines = time.process_time() - cpu, len(agents.lags) - lines
        here, sruns = memory("self"), sum(map(memory, children()))
        for end in ends:
            end.result()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    lags = sorted(agents.lags)
    return {
        "agents": count,
        "results that are right": agents.right,
        "lines that came, of those printed": len(lags) / (count * round(seconds / EVERY)),
        "all began after, s": started,
        "lag of a line, median, s": statistics.median(lags),
        "lag of a line, 99 %, s": lags[len(lags) * 99 // 100],
        "memory of pytest's process for each agent, MB": (here - before) / count / MEGABYTE,
        "memory of srun for each agent, MB": sruns / count / MEGABYTE,
        "lines in a second": lines / (seconds * 0.6),
        "processors for all agents that work": cpu / (seconds * 0.6),
        "CPU of child processes for each agent, s": (used.ru_utime + used.ru_stime) / count,
    }


def one_job(site: Site, ground: Ground) -> float:
    """Seconds of a job that does nothing, from its checkout to the removal of its place."""
    began = time.monotonic()
    place = opened(site, ground, f"job-{uuid4().hex[:8]}")
    assert place.sandbox.run(Job(name="job", argv=("true",), workdir=str(place.checkout))).ok
    harvest(place, ground.repository, Policy())
    place.remove()
    return time.monotonic() - began


def overhead(ground: Ground, image: str, rounds: int) -> dict[str, float]:
    """Seconds that a node adds to a job in podman."""
    run_id = uuid4().hex[:8]
    podman = PodmanSandbox(image, repository="bench", run_id=run_id, owner=job_owner(ground.root))
    sites: dict[str, Site] = {
        "podman on this machine": LocalSite(ground.repository, "bench", podman),
        "podman on a node": nodes(ground, image),
    }
    taken: dict[str, list[float]] = {name: [] for name in sites}
    for number in range(rounds + 1):
        for name, site in sites.items():
            seconds = one_job(site, ground)
            if number:  # the first one makes the repository on the node
                taken[name].append(seconds)
    here, there = (statistics.median(values) for values in taken.values())
    return {
        "a job on this machine, s": here,
        "a job on a node, s": there,
        "a node adds, s": there - here,
    }


def nodes(ground: Ground, image: str = "") -> RemoteSite:
    settings = NodeSandbox(image=image, repository="bench", run_id=uuid4().hex[:8])
    channel = SlurmChannel(["--mem=20"])
    directory = ground.directory / "nodes"
    return RemoteSite(
        ground.repository, ground.generation.name, channel, settings, directory, patience=PATIENT
    )


@contextlib.contextmanager
def slurm(directory: Path, count: int) -> Iterator[None]:
    """The cluster of the environment, or one on this machine."""
    if "SLURM_CONF" in os.environ:
        yield
        return
    place = directory / "slurm"
    place.mkdir()
    cluster = Cluster(place, processors=count // 3 + 2)
    os.environ["SLURM_CONF"] = str(cluster.configuration)
    try:
        cluster.start()
        yield
    finally:
        cluster.stop()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--agents", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--opening", type=int, default=16, help="agents that may start at the same time")
    parser.add_argument("--image")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cobbler-benchmark-") as base:
        Path(base).chmod(0o755)
        ground = Ground(Path(base))
        with slurm(Path(base), options.agents):
            figures = overhead(ground, options.image, options.rounds) if options.image else {}
            figures |= many(nodes(ground), ground, options.agents, options.seconds, options.opening)
    for name, value in figures.items():
        print(f"{name:<50} {value:10.3f}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
