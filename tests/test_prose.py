"""Messages keep to the rules of `.vale/`; vale itself checks pages, comments and docstrings."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.parts import need

ROOT = Path(__file__).parents[1]
RULES = sorted((ROOT / ".vale" / "Plain").glob("*.yml"))


@functools.cache
def phrases() -> re.Pattern[str]:
    """All phrases to avoid, as one pattern."""
    parts: list[str] = []
    for path in RULES:
        rule = yaml.safe_load(path.read_text("utf-8"))
        parts += rule.get("raw", [])
        parts += [rf"\b(?:{phrase})\b" for phrase in rule.get("swap", {})]
    return re.compile("|".join(parts), re.IGNORECASE)


def messages(source: str) -> Iterator[str]:
    """The texts of a module, without its docstrings and the user name that is one of the phrases."""
    tree = ast.parse(source)
    documentation = {
        id(statement.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        for statement in node.body
        if isinstance(statement, ast.Expr)
    }
    texts = (
        node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in documentation
    )
    yield from (text.value for text in texts if isinstance(text.value, str) and text.value != "nobody")


@pytest.mark.slow
def test_messages_avoid_the_phrases_of_the_prose_linter() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {match[0]!r} in {text!r}"
        for path in sorted((ROOT / "pytest_cobbler").rglob("*.py"))
        for text in messages(path.read_text("utf-8"))
        for match in phrases().finditer(text)
    ]
    assert wrong == []


@pytest.mark.parametrize("text", ["it is no address", "Nobody knows", "the doctor says so", "at once"])
def test_a_phrase_is_found(text: str) -> None:
    assert phrases().search(text)


@pytest.mark.parametrize("text", ["there is no address", "it is no longer there", "Understanding in part"])
def test_plain_text_passes(text: str) -> None:
    assert not phrases().search(text)


def test_vale_finds_a_phrase_in_a_page_and_in_a_comment(tmp_path: Path) -> None:
    vale = str(need("vale"))
    page, module = tmp_path / "docs" / "page.md", tmp_path / "tests" / "module.py"
    for path, text in {page: "Nobody knows.\n", module: "# Nobody knows.\nx = 1  # all is well\n"}.items():
        path.parent.mkdir()
        path.write_text(text)
    argv = [vale, "--output=line", f"--config={ROOT / '.vale.ini'}", "docs", "tests"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True)
    found = sorted(line.split(":")[0] for line in done.stdout.splitlines())
    assert (done.returncode, found) == (1, ["docs/page.md", "tests/module.py"]), done.stderr


def test_docstrings_are_left_to_vale() -> None:
    assert list(messages('"""A."""\ndef f():\n    """B."""\n    return "C"\n')) == ["C"]
