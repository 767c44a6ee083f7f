"""Failing tests, made to be found wherever a test that exists is found: their names are like its names."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

__all__ = ["PlantedTest", "go_planted", "python_planted"]

_GO_PACKAGE: Final = re.compile(r"^package[ \t]+(\w+)", re.MULTILINE)
_GO_BUILD: Final = re.compile(r"^//(?:go:build|[ \t]*\+build)[ \t].*$", re.MULTILINE)
_LARGEST_HEAD: Final = 64 * 1024
"""Bytes at the beginning of a Go file in which its package is looked for."""

_FUNCTION: Final = """\
def {name}() -> None:
    assert int("{token}", 16) < 0, int("{token}", 16)
"""

_CASE: Final = """\
import unittest


class {case}(unittest.TestCase):
    def {name}(self) -> None:
        self.fail(str(int("{token}", 16)))
"""

_DOCTEST: Final = '''\
"""Shows a number.

>>> int("{token}", 16)
0
>>> int("{token}", 16) < 0
True
"""
'''

_GO: Final = """\
{constraints}package {package}

import "testing"

func {name}(t *testing.T) {{
	t.Fatal(int64(0x{token}))
}}
"""


@dataclass(frozen=True, kw_only=True)
class PlantedTest:
    """A test that fails: the new content of the file ``path``, and the function in it (empty: a doctest).

    ``proof`` is a number that is printed if it fails, and that its text does not have.
    """

    path: str
    content: bytes
    proof: str
    function: str = ""


def python_planted(path: str, content: bytes, functions: Collection[str], token: str) -> PlantedTest:
    """A failing test like those of the file ``path``.

    Args:
        functions: the functions of the file that are run as tests; none if they are doctests.
        token: hexadecimal digits that no name has.
    """
    place, proof = PurePosixPath(path), str(int(token, 16))
    names = sorted(name for name in functions if "::" not in name and name.isidentifier())
    if not functions:
        new = place.with_name(f"{_with_token(place.stem, token)}.py")
        return PlantedTest(path=str(new), content=_DOCTEST.format(token=token).encode(), proof=proof)
    name = _with_token(names[0], token) if names else f"test_{token}"
    text = _FUNCTION.format(name=name, token=token).encode()
    if not names and b"TestCase" in content:  # unittest finds no functions
        case = f"Test_{token}"
        text = _CASE.format(case=case, name=name, token=token).encode()
        name = f"{case}::{name}"
    if "_" not in place.stem:
        # The name is fixed, as that of Django's tests.py: no other file would be found.
        return PlantedTest(path=path, content=content.rstrip() + b"\n\n\n" + text, proof=proof, function=name)
    new = place.with_name(f"{_with_token(place.stem, token)}.py")
    return PlantedTest(path=str(new), content=text, proof=proof, function=name)


def go_planted(path: str, content: bytes, functions: Collection[str], token: str) -> PlantedTest | None:
    """A failing test in the package of the file ``path``; ``None`` if that has no package."""
    text = content[:_LARGEST_HEAD].decode("utf-8", "replace")
    package = _GO_PACKAGE.search(text)
    if package is None:
        return None
    # The beginning of a name decides whether ``-run`` chooses it.
    tests = sorted(name for name in functions if name.startswith("Test") and name != "TestMain")
    name = f"{tests[0] if tests else 'Test'}_{token}"
    constraints = "".join(f"{line}\n" for line in _GO_BUILD.findall(text[: package.start()]))
    source = _GO.format(
        constraints=f"{constraints}\n" if constraints else "", package=package[1], name=name, token=token
    )
    new = PurePosixPath(path).with_name(f"z{token}_test.go")
    return PlantedTest(path=str(new), content=source.encode(), proof=str(int(token, 16)), function=name)


def _with_token(name: str, token: str) -> str:
    """``name`` with a token inside: its beginning and its end, which patterns look at, stay."""
    first, line, rest = name.partition("_")
    return f"{first}_{token}_{rest}" if line and first and rest else f"{name}_{token}"
