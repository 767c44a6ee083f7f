"""``python -m tests.fuzz TARGET``: fuzz a target for a while, and keep the inputs that reached new code.

``python -m tests.fuzz TARGET FILE...`` runs single inputs again.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import time
from pathlib import Path

from tests.fuzz import corpus
from tests.fuzz.fuzzer import Fuzzing, seconds
from tests.fuzz.target import Target, execute
from tests.fuzz.targets import TARGETS

_EVERY = 60.0
"""Seconds between two lines of progress."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.partition("\n")[0])
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("files", nargs="*", type=Path, help="run these inputs, and nothing else")
    parser.add_argument("--seconds", type=_duration, default=900.0, help="how long (default: %(default)g)")
    parser.add_argument("--seed", type=int, help="repeats a run (default: a random one)")
    options = parser.parse_args()
    target = TARGETS[options.target]
    for path in options.files:
        if not path.is_file():
            parser.error(f"{path}: no such file")
        execute(target, corpus.read(path))
    if options.files:
        return 0
    return fuzz(target, options.seconds, random.randrange(10**6) if options.seed is None else options.seed)


def _duration(text: str) -> float:
    """Seconds of an option: more than none, and with an end."""
    value = float(text)
    if not 0 < value < math.inf:
        raise ValueError(text)
    return value


def fuzz(target: Target, limit: float, number: int) -> int:
    """Fuzz and keep the corpus; 1 if there was a finding."""
    fuzzing = Fuzzing(target, list(corpus.load(target.name).values()), number)
    start = shown = time.monotonic()

    def progress() -> str:
        passed = time.monotonic() - start
        return f"{passed:5.0f} s {fuzzing.executions} executions {len(fuzzing.arcs)} arcs"

    def note() -> None:
        nonlocal shown
        if time.monotonic() - shown >= _EVERY:
            shown = time.monotonic()
            print(progress(), flush=True)

    print(f"{target.name}: --seed {number}, {len(fuzzing.inputs)} inputs in the corpus", flush=True)
    finding = fuzzing.until(seconds(limit), note)
    if finding is None:
        corpus.replace(target.name, map(json.loads, corpus.chosen(fuzzing.reached)))
    print(f"{progress()}, {len(corpus.load(target.name))} inputs kept")
    if finding is None:
        return 0
    path = corpus.write(corpus.FOUND / target.name, finding.data)
    print(f"{finding.why}\nfound after {time.monotonic() - start:.0f} s. To repeat it:")
    print(f"python -m tests.fuzz {target.name} {path}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
