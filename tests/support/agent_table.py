"""Remakes the table of `docs/agents.md` from the reports of the tests with the real programs.

`nox -s agents` runs `python -m tests.support.agent_table DIRECTORY` after the tests.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Collection, Mapping
from pathlib import Path

from tests.support.real_agents import ALL, FACTS

PAGE = Path(__file__).parents[2] / "docs" / "agents.md"
BEGIN = "<!-- agents: nox -s agents -->\n"
END = "<!-- end of agents -->\n"

Seen = dict[str, set[str]]
"""Agent -> facts."""


def shown_in(directory: Path) -> tuple[Seen, Seen]:
    """The facts that the tests in all reports have shown, and those that failed, by agent."""
    shown: Seen = {}
    failed: Seen = {}
    for path in sorted(directory.glob("*.xml")):
        for case in ElementTree.parse(path).iter("testcase"):
            values: dict[str, list[str]] = {}
            for one in case.iter("property"):
                values.setdefault(one.get("name", ""), []).append(one.get("value", ""))
            for agent in values.get("agent", ()):
                shown.setdefault(agent, set()).update(values.get("shown", ()))
                if case.find("failure") is not None or case.find("error") is not None:
                    failed.setdefault(agent, set()).add(case.get("name", ""))
    return shown, failed


def table(shown: Mapping[str, Collection[str]]) -> str:
    """The table in Markdown: a row for each fact, a column for each agent."""
    known = list(ALL)
    agents = sorted(shown, key=lambda name: (known.index(name) if name in known else len(known), name))
    lines = [["", *agents], ["---"] * (len(agents) + 1)]
    lines += [[fact, *(_cell(agent, fact, shown) for agent in agents)] for fact in FACTS]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(agent: str, fact: str, shown: Mapping[str, Collection[str]]) -> str:
    """``yes``, or why no test shows it: there is nothing to show, or another column has shown it."""
    if fact in shown[agent]:
        return "yes"
    one = ALL.get(agent)
    if one is None:
        return ""
    other = fact in shown.get(one.like, ())
    return one.cannot.get(fact, "") or (f"as {one.like}" if other else "")


def rewrite(path: Path, begin: str, end: str, text: str) -> None:
    """Replace what is between two lines of a page."""
    before, _, rest = path.read_text("utf-8").partition(begin)
    _, _, after = rest.partition(end)
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}", "utf-8")


def main(directory: str, page_path: Path = PAGE) -> int:
    """Rewrite the page; 1 if the directory has no results, or some test failed."""
    shown, failed = shown_in(Path(directory))
    if not shown:
        sys.stderr.write("no agent was tried: the table stays as it is\n")
        return 1
    rewrite(page_path, BEGIN, END, table(shown))
    for agent, tests in failed.items():
        sys.stderr.write(f"{agent}: {', '.join(sorted(tests))} failed\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
