"""Gates and time to land eight changes that wait: `python -m benchmarks.trains [--gate 2] [--json FILE]`.

The gate waits and does not compute, as one that asks other machines. First its runs are counted, with gates
of no time: all changes are green, one is red (in each place), or two fail together (each pair). Then the time
is measured in gates: that of one run of the same gate on the same tree. With `--mergetrain PROGRAM`
(https://pypi.org/project/mergetrain/), that program validates the same branches by the same gate beside it.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pytest_cobbler.landing.blame import RedGates
from pytest_cobbler.landing.candidates import Candidate, Landing
from pytest_cobbler.landing.gate import Gate
from pytest_cobbler.landing.judge import TestJudge
from pytest_cobbler.landing.lane import LandingLane
from pytest_cobbler.landing.policies import make_policy
from pytest_cobbler.landing.tree_gate import GateCheckouts, TreeGate
from pytest_cobbler.landing.tree_records import TreeRecords
from pytest_cobbler.languages import get
from pytest_cobbler.languages.base import Step
from pytest_cobbler.listeners import RunListener
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.checks import Policy
from pytest_cobbler.repository.generations import Changes, create_generation, draft_generation
from pytest_cobbler.repository.identity import Identity, Person
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.trees import edited_tree
from pytest_cobbler.sandbox.base import Network
from pytest_cobbler.sandbox.host import HostSandbox

ADA = Identity.of(Person(name="Ada", email="ada@example.invalid"))
CHANGES = 8
MOST = {"all green": 1, "one red": 6, "a pair": 9}
"""Runs of the gate that a train may take."""
Landings = Literal["each", "train"]


class Ground:
    """A repository with a branch for each change: `t1` adds the file `t1`, and so on."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.root = directory / "repository"
        self.root.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("commit", "--quiet", "--allow-empty", "--message=Begin")
        self.repository = Repository(self.root, directory / "work")
        self.repository.work_dir.mkdir(parents=True, exist_ok=True)
        start = self.repository.head_commit()
        assert start
        draft = draft_generation(
            self.repository,
            prefix="generation-",
            base="main",
            start=start,
            now=datetime.datetime(2026, 1, 1),
            changes=Changes(),
        )
        self.generation = create_generation(self.repository, draft, ADA)
        tree = self.repository.tree_of(self.generation.first)
        self.commits: dict[str, str] = {}
        for number in range(1, CHANGES + 1):
            name = f"t{number}"
            changed = edited_tree(self.repository, tree, [], {name: b""})
            self.commits[name] = self.repository.commit(changed, [self.generation.first], f"{name}\n", ADA)
            self.repository.set_ref(f"refs/heads/{name}", self.commits[name])

    def git(self, *arguments: str) -> None:
        person = ("-c", "user.name=Ada", "-c", "user.email=ada@example.invalid")
        subprocess.run(["git", *person, *arguments], cwd=self.root, check=True, capture_output=True)

    @property
    def runs(self) -> Path:
        return self.directory / "runs"

    def counted(self) -> int:
        """The runs of the gate since the last call."""
        found = len(self.runs.read_text().splitlines()) if self.runs.exists() else 0
        self.runs.unlink(missing_ok=True)
        return found

    def script(self, condition: str, seconds: float) -> str:
        return f"echo run >>{self.runs}; sleep {seconds}; {condition}"

    def lane(self, script: str, landing: Landings, gate_jobs: int) -> LandingLane:
        gate = Gate(
            steps=[Step(name="test", argv=("sh", "-c", script), shown=script)],
            sandbox=HostSandbox(repository="trains", run_id=self.directory.name),
            network=Network.NONE,
            image=None,
            timeout=900,
            environment={},
        )
        checkouts = GateCheckouts(self.repository, self.generation.name, gate.sandbox, gate_jobs)
        directory = self.directory / f"records-{time.monotonic_ns()}"
        tree_gate = TreeGate(gate=gate, places=checkouts, records=TreeRecords(directory))
        language, cancellation = get("none"), Cancellation()
        # As a run does before its first agent, so that the record of the tip is there.
        log = self.directory / "gate.log"
        tree_gate.record(self.repository.tree_of(self.generation.first), log, cancellation)
        self.counted()
        return LandingLane(
            self.repository,
            self.generation,
            ADA,
            tree_gate,
            TestJudge(self.repository, tree_gate, language, cancellation),
            RedGates(tree_gate, self.repository, language, cancellation),
            RunListener(),
            cancellation,
            policy=make_policy(landing, gate_jobs),
        )

    def candidate(self, name: str) -> Candidate:
        commit = self.commits.get(name, self.generation.first)
        return Candidate(
            task_id=name,
            commit=commit,
            policy=Policy(),
            log=self.directory / name / "gate.log",
            message=lambda *_: f"{name}\n\nCobbler-Task: {name}\n",
            on_landed=lambda _commit: None,
        )

    def land(self, lane: LandingLane) -> tuple[Mapping[str, Landing], float]:
        """Land all changes, which wait before the first gate begins; the landings, and the seconds."""
        self.repository.set_ref(self.generation.ref, self.generation.first)
        all_wait = threading.Event()

        def hold() -> None:
            all_wait.wait()

        with ThreadPoolExecutor(CHANGES + 1) as threads:
            threads.submit(lane.land, replace(self.candidate("nothing"), begins=hold))
            landings = {}
            for number, name in enumerate(self.commits, 1):
                while lane.waiting < number:
                    time.sleep(0.001)
                landings[name] = threads.submit(lane.land, self.candidate(name))
            while lane.waiting <= CHANGES:
                time.sleep(0.001)
            began = time.monotonic()
            all_wait.set()
            found = {name: landing.result() for name, landing in landings.items()}
        seconds = time.monotonic() - began
        lane.close()
        return found, seconds


def count_runs(ground: Ground, landing: Landings) -> dict[str, int]:
    """The most runs of the gate for each kind of trouble."""
    names = list(ground.commits)
    cases: dict[str, list[tuple[str, ...]]] = {
        "all green": [()],
        "one red": [(name,) for name in names],
        "a pair": list(itertools.combinations(names, 2)),
    }
    most: dict[str, int] = {}
    for kind, troubles in cases.items():
        for trouble in troubles if landing == "train" else troubles[-1:]:
            together = " && ".join(f"test -e {name}" for name in trouble) or "false"
            found, _ = ground.land(ground.lane(ground.script(f"! {{ {together}; }}", 0), landing, 1))
            most[kind] = max(most.get(kind, 0), ground.counted())
            failed = [name for name, one in found.items() if not one.commit]
            assert failed == list(trouble[-1:]), (kind, trouble, failed)
            partner = found[failed[0]].partner if landing == "train" and len(trouble) == 2 else None
            assert len(trouble) < 2 or landing == "each" or (partner and partner.task == trouble[0])
    return most


def measure(ground: Ground, seconds: float) -> dict[str, float]:
    """Landing and jobs -> the time of all landings, in gates."""
    script = ground.script("true", seconds)
    began = time.monotonic()
    subprocess.run(["sh", "-c", script], cwd=ground.root, check=True)
    gate = time.monotonic() - began
    rows: dict[str, float] = {}
    variants: Sequence[tuple[Landings, int]] = (("each", 1), ("each", 4), ("train", 1))
    for landing, gate_jobs in variants:
        found, taken = ground.land(ground.lane(script, landing, gate_jobs))
        assert all(one.commit for one in found.values())
        rows[f"{landing}, gate_jobs {gate_jobs}"] = taken / gate
    return rows


def run_mergetrain(program: str, seconds: float) -> dict[str, object]:
    """Its runs of the gate, and its time in gates, to validate the same changes."""
    rows: dict[str, object] = {}
    conditions = {
        "all green": "true",
        "one red": "test ! -e t6",
        "a pair": "! { test -e t3 && test -e t7; }",
    }
    for kind, condition in conditions.items():
        with tempfile.TemporaryDirectory() as temporary:
            ground = Ground(Path(temporary))
            script = ground.script(condition, seconds if kind == "all green" else 0)
            gates = [{"name": "tests", "run": f"sh -c '{script}'"}]
            configuration = {"version": 2, "project": {"name": "trains"}, "gates": gates}
            (ground.root / ".mergetrain.yaml").write_text(json.dumps(configuration))
            ground.git("add", "--all")
            ground.git("commit", "--quiet", "--message=Configure")
            ground.git("clone", "--quiet", "--bare", ".", str(ground.directory / "remote"))
            ground.git("remote", "add", "origin", str(ground.directory / "remote"))
            ground.git("fetch", "--quiet", "origin")
            environment = {"PATH": os.environ["PATH"], "HOME": temporary}
            for role in ("AUTHOR", "COMMITTER"):
                environment |= {f"GIT_{role}_NAME": "Ada", f"GIT_{role}_EMAIL": "ada@example.invalid"}
            for name in ground.commits:
                place = ground.directory / f"worktree-{name}"
                ground.git("worktree", "add", "--quiet", str(place), name)
                command = [program, "enqueue", "--task", name, "--branch", name]
                subprocess.run(command, cwd=place, env=environment, check=True, capture_output=True)
            began = time.monotonic()
            ended = subprocess.run(
                [program, "validate", "--json"],
                cwd=ground.root,
                env=environment,
                capture_output=True,
                check=False,
            )
            taken = time.monotonic() - began
            rows[f"{kind}: gates"] = ground.counted() or ended.stderr.decode()[-300:]
            if kind == "all green":
                rows["time in gates"] = round(taken / seconds, 2)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gate", type=float, default=10.0, help="seconds that the gate waits")
    parser.add_argument("--mergetrain", metavar="PROGRAM", help="the program to compare with")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        ground = Ground(Path(temporary))
        runs = {"each": count_runs(ground, "each"), "train": count_runs(ground, "train")}
        for kind, most in MOST.items():
            print(f"{kind}: each {runs['each'][kind]} gates, train {runs['train'][kind]} (at most {most})")
        times = measure(ground, arguments.gate)
        for name, gates in times.items():
            print(f"{name}: {gates:.2f} gates' time", flush=True)
    other = run_mergetrain(arguments.mergetrain, arguments.gate) if arguments.mergetrain else {}
    for name, value in other.items():
        print(f"mergetrain, {name}: {value}")
    if arguments.json:
        document = {"gate_seconds": arguments.gate, "runs": runs, "times": times, "mergetrain": other}
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
