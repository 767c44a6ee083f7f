"""Conflicts before and after a merge driver: `python -m benchmarks.conflicts [COMMAND ...]`.

Each file of `benchmarks/merges` has a base, two changes of it and what a person would make of them; without
that, the two contradict each other, and the conflict has to stay. git finds a conflict in all of them. The
command is that of `merge_driver`; by default the one of docs/gate.md.

A merge is right if it has the lines of the expected one in any order, without blank ones.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

MERGES = Path(__file__).parent / "merges"
MERGIRAF = ("mergiraf", "merge", "--git", "%O", "%A", "%B", "-p", "%P", "-l", "%L")
_SIDES = {"%O": "base", "%A": "ours", "%B": "theirs"}


def parts_of(path: Path) -> dict[str, str]:
    """The contents in a file, by their names: each begins below a line `==== NAME`."""
    parts: dict[str, str] = {}
    for part in path.read_text("utf-8").split("==== ")[1:]:
        name, _, content = part.partition("\n")
        parts[name] = content
    return parts


def merged_by(command: Sequence[str], parts: dict[str, str], name: str, directory: Path) -> str | None:
    """What a merge driver makes of three versions of a file; `None` if the conflict stays."""
    for side in _SIDES.values():
        (directory / side).write_text(parts[side], "utf-8")
    values = {**_SIDES, "%P": name, "%L": "7"}
    completed = subprocess.run(
        [values.get(word, word) for word in command], cwd=directory, capture_output=True, check=False
    )
    return None if completed.returncode else (directory / "ours").read_text("utf-8")


def judged(merged: str | None, expected: str | None) -> str:
    """The result of a merge in a word or two."""
    if merged is None:
        return "conflict"
    if expected is not None and _lines(merged) == _lines(expected):
        return "right"
    return "WRONG"


def _lines(text: str) -> list[str]:
    return sorted(line.rstrip() for line in text.splitlines() if line.strip())


def measure(command: Sequence[str]) -> dict[str, str]:
    """File -> how its merge ended."""
    results = {}
    with tempfile.TemporaryDirectory() as place:
        for path in sorted(MERGES.iterdir()):
            parts = parts_of(path)
            merged = merged_by(command, parts, path.stem, Path(place))
            results[path.stem] = judged(merged, parts.get("merged"))
    return results


def main() -> None:
    plain = measure(("git", "merge-file", "-q", "%A", "%O", "%B"))
    driven = measure(tuple(sys.argv[1:]) or MERGIRAF)
    for name, result in driven.items():
        print(f"{name:32} git: {plain[name]:10} driver: {result}")
    for who, results in (("git", plain), ("driver", driven)):
        counts = Counter(results.values())
        print(f"{who}: " + ", ".join(f"{count} {result}" for result, count in sorted(counts.items())))


if __name__ == "__main__":
    main()
