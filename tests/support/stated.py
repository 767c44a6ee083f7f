"""A landing to make statements about."""

from __future__ import annotations

from datetime import UTC, datetime

from pytest_cobbler.landing.statements import Work
from pytest_cobbler.landing.tree_records import CaseResult, Conditions, TestRun, TreeRecord

CONDITIONS = Conditions(
    commands=(("sh", "-c", "true"),),
    environment={"A": "0" * 64},
    image="sha256:" + "1" * 64,
    runtime="runc 1.1.5",
    limits={"wall": 900.0, "memory": None},
)
RECORD = TreeRecord(
    tree="3" * 40,
    conditions=CONDITIONS,
    verdict="passed",
    seconds=1.5,
    made=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    tests=TestRun.of(
        [
            CaseResult(id="tests/test_a.py::test_a", file="tests/test_a.py", passed=1),
            CaseResult(id="tests/test_a.py::test_b", file="tests/test_a.py", skipped=1),
            CaseResult(id="tests/test_ä.py::test_c", file="tests/test_ä.py", passed=1),
        ]
    ),
)
WORK = Work(
    task="t-1",
    title="Add \x1b[31ma\x00 \ud800 title",
    generation="generation-2026",
    base="4" * 40,
    run="0badcafe",
    attempt=2,
    agent="claude:claude-opus-4-5",
    prompt="5" * 64,
    gate=("make test",),
    by="Ada <ada@example.invalid>",
    version="1.2.3",
)
COMMIT, TIP = "6" * 40, "7" * 40
