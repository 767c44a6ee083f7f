"""How long a Ctrl-C takes, beside `podman kill` of as many agents: the ratio of the two.

    python -m benchmarks.interrupt --image NAME [--agents 32] [--rounds 3] [--json FILE]

A run has so many agents at work in podman (an image with git and sh) that each has written a file and sleeps.
In one half of a round the run gets SIGINT, and its time until it has ended is taken: its agents are ended,
and their work is kept. In the other half, `podman kill` ends the same agents of another run. The halves take
turns, so that a machine that slows down does so for both.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sandbox.podman import LABEL_REPOSITORY
from pytest_cobbler.sandbox.podman_environment import podman_environment
from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project, Running

LONG = 3600.0
"""Seconds that an agent sleeps."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--image", required=True, help="an image with git and sh")
    parser.add_argument("--agents", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    pairs = []
    for number in range(options.rounds):
        with tempfile.TemporaryDirectory(prefix="cobbler-interrupt-") as directory:
            place = Path(directory)
            place.chmod(0o755)
            halves = {"kill": by_podman, "interrupt": by_signal}
            seconds = {}
            for name in sorted(halves, reverse=bool(number % 2)):
                agent = StandInAgent(place / name / "agent")
                with Project.create(place / name, agent) as project:
                    running = at_work(project, options.image, options.agents)
                    seconds[name] = halves[name](project, running, options.agents)
            pairs.append(seconds)
            print(f"interrupt {seconds['interrupt']:.2f} s, podman kill {seconds['kill']:.2f} s")
    ratio = statistics.median(pair["interrupt"] / pair["kill"] for pair in pairs)
    print(f"{options.agents} agents: a Ctrl-C takes {ratio:.2f} times as long as podman kill (median)")
    if options.json:
        options.json.write_text(json.dumps({"agents": options.agents, "pairs": pairs, "ratio": ratio}))


def at_work(project: Project, image: str, agents: int) -> Running:
    """A run all of whose agents are at work."""
    tasks = [{"title": f"Task {number}"} for number in range(agents)]
    project.agent.measure().writes_tasks(tasks)
    project.agent.otherwise().writes("it.txt", "1\n").sleeps(LONG)
    project.configure(
        sandbox="podman",
        podman_image=image,
        podman_args=project.agent.podman_arguments,
        jobs=agents,
        max_issues=agents,
        max_attempts=1,
    )
    running = project.start("--cobbler-generate")
    running.wait_until(lambda: written(project) == agents, timeout=600)
    return running


def written(project: Project) -> int:
    """The agents that have written their file."""
    return len(list((project.directory / "work").glob("*/*/*/tree/it.txt")))


def by_signal(project: Project, running: Running, agents: int) -> float:
    """Seconds from SIGINT to the end of the run."""
    began = time.monotonic()
    running.send_signal(signal.SIGINT)
    result = running.wait(600)
    seconds = time.monotonic() - began
    assert result.ret == 2, result.outlines
    refs = project.git("for-each-ref", "--format=%(refname)", "refs/cobbler/attempts").split()
    assert len(refs) == agents, "the work of each agent is kept"
    return seconds


def by_podman(project: Project, running: Running, agents: int) -> float:
    """Seconds that ``podman kill`` of all agents takes."""
    env = podman_environment()
    key = Repository(project.path, project.directory / "work").key.rpartition("-")[2]
    command = ["podman", "ps", "--format={{.Names}}", f"--filter=label={LABEL_REPOSITORY}={key}"]
    listed = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    names = listed.stdout.split()
    assert len(names) == agents, names
    running.send_signal(signal.SIGSTOP)  # its own end of the agents must not take part
    began = time.monotonic()
    subprocess.run(["podman", "kill", *names], env=env, capture_output=True, check=True)
    seconds = time.monotonic() - began
    running.send_signal(signal.SIGCONT)
    running.send_signal(signal.SIGINT)
    running.wait(600)
    return seconds


if __name__ == "__main__":
    main()
