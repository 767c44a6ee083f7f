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


_GO_VISION = """\
# Calculator

A program `calculator` that computes with whole numbers, and a package `internal/arithmetic` that it uses.

1. `Add(a, b)`: the sum. Done.
2. `Subtract(a, b)`: the difference.
3. `Multiply(a, b)`: the product.
4. `Divide(a, b)`: the quotient, and an error when it is divided by zero.
"""

_GO_PACKAGE = """\
// Package arithmetic computes with whole numbers.
package arithmetic

// Add is the sum.
func Add(a, b int) int {
	return a + b
}
"""

_GO_TEST = """\
package arithmetic

import "testing"

func TestAdd(t *testing.T) {
	if got := Add(2, 3); got != 5 {
		t.Errorf("Add(2, 3) = %d", got)
	}
}
"""

_GO_MAIN = """\
package main

import (
	"errors"
	"fmt"
	"os"

	"example.com/calculator/internal/arithmetic"
)

var errUsage = errors.New("usage: calculator")

func main() {
	if len(os.Args) > 1 {
		fmt.Fprintln(os.Stderr, errUsage)
		os.Exit(2)
	}
	fmt.Println(arithmetic.Add(2, 3))
}
"""


def go_sample() -> dict[str, str]:
    """Path -> content of the calculator in Go: a program, a package with a test, and the document."""
    return {
        "docs/VISION.md": _GO_VISION,
        "go.mod": "module example.com/calculator\n\ngo 1.24\n",
        "cmd/calculator/main.go": _GO_MAIN,
        "internal/arithmetic/arithmetic.go": _GO_PACKAGE,
        "internal/arithmetic/add_test.go": _GO_TEST,
    }
