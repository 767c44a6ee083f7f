"""The page on security: the tests that it names exist, and its table lists the attacks."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from pytest_cobbler.attacks.attack import every_attack

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")


def names_in(file: str) -> set[str]:
    """``Class::function`` and ``function`` of every test of a file."""
    found = set()
    for node in ast.parse((ROOT / file).read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{one.name}" for one in node.body if isinstance(one, ast.FunctionDef)}
    return found


def test_every_promise_names_a_test_that_exists() -> None:
    section = PAGE.partition("## What is promised")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][1:]
    named = re.findall(r"`(tests/[\w/]+\.py)::([\w:]+)`", section)
    assert len(named) >= len(rows) > 10
    missing = [f"{file}::{test}" for file, test in named if test not in names_in(file)]
    assert missing == []


def test_the_table_lists_every_attack_and_none_that_got_through() -> None:
    rows = [
        line.strip("| ").split(" | ")
        for line in PAGE.partition("<!-- attacks")[2].splitlines()
        if "`" in line
    ]
    expected = [[f"`{attack.name}`", attack.tries, attack.holds] for attack in every_attack()]
    assert [row[:3] for row in rows] == expected, "renew it: python -m pytest -n 0 tests/attacks/table.py"
    assert {status for row in rows for status in row[3:]} <= {"held", "not tried"}


def test_the_table_of_runtimes_counts_every_attack_and_names_those_that_got_through() -> None:
    lines = PAGE.partition("<!-- runtimes")[2].partition("<!-- end of runtimes")[0].splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")][2:]
    assert len({tuple(row[:3]) for row in rows}) == len(rows)
    assert {row[0] for row in rows} == {"runc", "crun", "runsc"}
    for runtime, _, _, held, not_tried, through in rows:
        count, _, names = through.partition(": ")
        total = int(held) + int(not_tried) + int(count)
        assert total == len(every_attack()), "renew it: python -m pytest -n 0 tests/attacks/table.py"
        # The page says what this means.
        assert names in ("", "`control-groups`" if runtime == "crun" else "")


def test_the_page_has_the_scenarios_of_benchmarks_that_are_scripts() -> None:
    listed = re.findall(r"^\* \*(\w+)\*[^:]*: (.+)\.$", PAGE, re.MULTILINE)
    scenarios = [f"{benchmark}: {name}" for benchmark, names in listed for name in names.split(", ")]
    assert sorted(scenarios) == sorted({name for attack in every_attack() for name in attack.like})
