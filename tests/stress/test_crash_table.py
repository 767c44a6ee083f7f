"""The table of crashes in the documentation, made of the results of the matrix."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.crash_table import BEGIN, END, main


def test_the_table_counts_what_held_and_what_did_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"Before.\n\n{BEGIN}old\n{END}\nAfter.\n")
    where = {"scenario": "stop", "place": "repository/moving.py:f", "program": "git-update-ref"}
    blows = [("before", True), ("before", True), ("child", True), ("child", False)]
    results = [where | {"blow": blow, "held": held} for blow, held in blows]
    (tmp_path / "1.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in results))

    assert main(str(tmp_path), page) == 0

    assert page.read_text() == (
        f"Before.\n\n{BEGIN}\n"
        "4 cases were tried, and 3 of them held.\n\n"
        "| during | place | program | pytest, before | pytest, after | the child | conmon | the container |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |\n"
        "| stop | `repository/moving.py:f` | `git-update-ref` | 2 |  | 1 of 2 |  |  |\n"
        f"\n{END}\nAfter.\n"
    )
    assert capsys.readouterr().out == "4 cases were tried, and 3 of them held.\n"


def test_without_results_the_table_stays(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("as it was")
    assert main(str(tmp_path), page) == 1
    assert page.read_text() == "as it was"
