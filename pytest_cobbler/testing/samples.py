"""Small projects to try cobbler on."""

from __future__ import annotations

_VISION = """\
# Calculator

A package `calculator` that computes with whole numbers and fractions.

1. `add(a, b)`: the sum. Done.
2. `subtract(a, b)`: the difference.
3. `multiply(a, b)`: the product.
4. `divide(a, b)`: the quotient; dividing by zero raises `ValueError`.
"""

_MODULE = '''\
"""Arithmetic."""

from __future__ import annotations


def add(a: float, b: float) -> float:
    """The sum."""
    return a + b
'''

_TEST = """\
from calculator import add


def test_add() -> None:
    assert add(2, 3) == 5
"""

_PROJECT = """\
[project]
name = "calculator"
version = "0.1.0"
requires-python = ">=3.11"
"""


def python_sample() -> dict[str, str]:
    """Path -> content of a calculator: one function with a test, and a document that asks for more."""
    return {
        ".gitignore": "__pycache__/\n",
        "docs/VISION.md": _VISION,
        "pyproject.toml": _PROJECT,
        "calculator/__init__.py": _MODULE,
        "tests/test_add.py": _TEST,
    }
