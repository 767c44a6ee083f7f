"""Failing tests, made to be found wherever a test that exists is found: their names are like its names."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

__all__ = ["PlantedTest", "go_planted", "python_planted"]

_GO_PACKAGE: Final = re.compile(r"^package[ \t]+(\w+)", re.MULTILINE)
_GO_BUILD: Final = re.compile(r"^//(?:go:build|[ \t]*\+build)[ \t].*$", re.MULTILINE)
_GO_TESTING: Final = re.compile(r'^(?:import)?[ \t(]*"testing"', re.MULTILINE)
_LARGEST_HEAD: Final = 64 * 1024
"""Bytes at the beginning of a Go file in which its package is looked for."""

_FUNCTION: Final = """\
def {name}() -> None:
    assert int("{token}", 16) {fails}, int("{token}", 16)
"""

_CASE: Final = """\
import unittest


class {case}(unittest.TestCase):
    def {name}(self) -> None:
        if int("{token}", 16) {passes}:
            self.fail(str(int("{token}", 16)))
"""

_DOCTEST: Final = '''\
"""Shows a number.

>>> int("{token}", 16) if int("{token}", 16) {passes} else 0
0
>>> int("{token}", 16) {fails}
True
"""
'''

_GO: Final = """\
func {name}(t *testing.T) {{
	if n := int64(0x{token}); n {passes} {{
		t.Fatal(n)
	}}
}}
"""
_GO_HEAD: Final = """\
{constraints}package {package}

import "testing"

"""
_FAILS: Final = {"fails": "< 0", "passes": "> 0"}
_PASSES: Final = {"fails": "> 0", "passes": "< 0"}


@dataclass(frozen=True, kw_only=True)
class PlantedTest:
    """A test that fails: the new content of the file ``path``, and the function in it (empty: a doctest).

    ``proof`` is a number that is printed if it fails, and that its text does not have. ``passing`` is the
    same content, but for a comparison: its test passes.
    """

    path: str
    content: bytes
    passing: bytes
    proof: str
    function: str = ""


def python_planted(
    path: str, content: bytes, functions: Collection[str], token: str, inside: bool = False
) -> PlantedTest:
    """A failing test like those of the file ``path``.

    Args:
        functions: the functions of the file that are run as tests; none if they are doctests.
        token: hexadecimal digits that no name has.
        inside: whether it is at the end of the file, and not in a new one beside it.
    """
    place = PurePosixPath(path)
    names = sorted(name for name in functions if "::" not in name and name.isidentifier())
    name = _with_token(names[0], token) if names else f"test_{token}"
    function, text = name, _FUNCTION
    if not functions:
        function, text = "", _inside(token, _DOCTEST) if inside else _DOCTEST
    elif not names and b"TestCase" in content:  # unittest finds no functions
        function, text = f"Test_{token}::{name}", _CASE
    # If the name is fixed, as that of Django's tests.py, no other file would be found.
    inside = inside or ("_" not in place.stem and bool(functions))
    head = content.rstrip() + b"\n\n\n" if inside and content.strip() else b""

    def filled(operators: Mapping[str, str]) -> bytes:
        return head + text.format(name=name, case=f"Test_{token}", token=token, **operators).encode()

    new = place if inside else place.with_name(f"{_with_token(place.stem, token)}.py")
    return PlantedTest(
        path=str(new),
        content=filled(_FAILS),
        passing=filled(_PASSES),
        proof=str(int(token, 16)),
        function=function,
    )


def go_planted(
    path: str, content: bytes, functions: Collection[str], token: str, inside: bool = False
) -> PlantedTest | None:
    """A failing test in the package of the file ``path``; ``None`` if that has no package.

    Args:
        inside: whether it is at the end of the file, if that imports what it needs.
    """
    text = content[:_LARGEST_HEAD].decode("utf-8", "replace")
    package = _GO_PACKAGE.search(text)
    if package is None:
        return None
    # The beginning of a name decides whether ``-run`` chooses it.
    tests = sorted(name for name in functions if name.startswith("Test") and name != "TestMain")
    name = f"{tests[0] if tests else 'Test'}_{token}"
    constraints = "".join(f"{line}\n" for line in _GO_BUILD.findall(text[: package.start()]))
    new = PurePosixPath(path).with_name(f"z{token}_test.go")
    head = _GO_HEAD.format(constraints=f"{constraints}\n" if constraints else "", package=package[1]).encode()
    if inside and _GO_TESTING.search(text):
        new, head = PurePosixPath(path), content.rstrip() + b"\n\n"

    def filled(operators: Mapping[str, str]) -> bytes:
        return head + _GO.format(name=name, token=token, **operators).encode()

    return PlantedTest(
        path=str(new),
        content=filled(_FAILS),
        passing=filled(_PASSES),
        proof=str(int(token, 16)),
        function=name,
    )


def _inside(token: str, doctest: str) -> str:
    """A function with this doctest."""
    lines = "".join(f"    {line}\n" if line else "\n" for line in doctest.splitlines())
    return f"def shown_{token}() -> None:\n{lines}"


def _with_token(name: str, token: str) -> str:
    """``name`` with a token inside: its beginning and its end, which patterns look at, stay."""
    first, line, rest = name.partition("_")
    return f"{first}_{token}_{rest}" if line and first and rest else f"{name}_{token}"
