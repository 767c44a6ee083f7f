"""Remakes the table of the crash matrix in `docs/reliability.md` from what its tests wrote.

`nox -s long` runs `python -m tests.support.crash_table DIRECTORY` when all cases have been tried.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN = "<!-- crashes: nox -s long -->\n"
END = "<!-- end of crashes -->\n"
BLOWS = {
    "before": "pytest, before",
    "after": "pytest, after",
    "child": "the child",
    "conmon": "conmon",
    "container": "the container",
}

Result = Mapping[str, object]


def results_in(directory: Path) -> list[Result]:
    """What the tests wrote: one object a case, see ``tests.support.crashes``."""
    lines = [
        line for path in sorted(directory.glob("*.jsonl")) for line in path.read_text("utf-8").splitlines()
    ]
    return [json.loads(line) for line in lines]


def table(results: Iterable[Result]) -> str:
    """The table in Markdown: a row for each command, place and program, a column for each blow."""
    rows: dict[tuple[str, str, str], dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        key = (str(result["scenario"]), str(result["place"]), str(result["program"]))
        rows[key][str(result["blow"])].append(bool(result["held"]))
    head = ["during", "place", "program", *BLOWS.values()]
    lines = [head, ["---"] * len(head)]
    for (scenario, place, program), blows in sorted(rows.items()):
        lines.append(
            [scenario, f"`{place}`", f"`{program}`", *(_cell(blows.get(blow, [])) for blow in BLOWS)]
        )
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(held: list[bool]) -> str:
    if not held:
        return ""
    return str(len(held)) if all(held) else f"{sum(held)} of {len(held)}"


def main(directory: str, page_path: Path = PAGE) -> int:
    """Rewrite the page; 1 if the directory has no results."""
    results = results_in(Path(directory))
    if not results:
        sys.stderr.write("the crash matrix did not run: the table stays as it is\n")
        return 1
    held = sum(bool(result["held"]) for result in results)
    total = f"{len(results)} cases were tried, and {held} of them held.\n"
    page = page_path.read_text("utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    page_path.write_text(f"{before}{BEGIN}\n{total}\n{table(results)}\n{END}{after}", "utf-8")
    sys.stdout.write(total)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
