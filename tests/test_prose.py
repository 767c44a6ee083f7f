"""Messages keep to the rules of `.vale/`; vale itself checks pages, comments and docstrings."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

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
    """The texts of a module, without its docstrings and the name of the user `nobody`."""
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


def test_docstrings_are_left_to_vale() -> None:
    assert list(messages('"""A."""\ndef f():\n    """B."""\n    return "C"\n')) == ["C"]
