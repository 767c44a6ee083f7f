"""Simulate runs: ``python -m tests.simulator --schedules 100000``; ``--replay NUMBER`` prints one."""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections import Counter

from tests.simulator.replacements import installed
from tests.simulator.runner import Finding, numbers_of, play


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    parser.add_argument("--schedules", type=int, default=2_000, help="how many to play")
    parser.add_argument("--seed", default=str(secrets.randbelow(1_000_000)), help="which ones: any text")
    parser.add_argument("--replay", type=int, metavar="NUMBER", help="play one, and print its steps")
    arguments = parser.parse_args()
    with installed():
        if arguments.replay is not None:
            return _replay(arguments.replay)
        return _simulate(arguments.seed, arguments.schedules)


def _replay(number: int) -> int:
    played = play(number, trace=print)
    if played.finding is None:
        print(f"every invariant held, in {played.steps} steps")
        return 0
    print(f"{played.finding.where}\n{played.finding.why}")
    return 1


def _simulate(seed: str, schedules: int) -> int:
    begin, cpu = time.monotonic(), time.process_time()
    counts: Counter[str] = Counter()
    steps = turns = 0
    findings: list[Finding] = []
    print(f"{schedules} schedules of the seed {seed}", flush=True)
    for place, number in enumerate(numbers_of(seed, schedules)):
        if place and place % 5_000 == 0:
            print(f"{place} played, {time.monotonic() - begin:.0f} s", flush=True)
        played = play(number)
        counts += played.counts
        steps, turns = steps + played.steps, turns + played.turns
        if played.finding:
            findings.append(played.finding)
            print(f"{played.finding.why}\n  {played.finding.again}", flush=True)
    seconds, cpu = time.monotonic() - begin, time.process_time() - cpu
    print(f"{schedules} schedules, {steps} steps, {turns} turns in {seconds:.1f} s, {cpu:.1f} s of CPU")
    for what, count in sorted(counts.items()):
        print(f"{count:9} {what}")
    print(f"{len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
