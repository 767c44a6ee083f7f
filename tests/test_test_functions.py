"""Test functions are found in source text, trusted or not."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cobbler.languages import get
from pytest_cobbler.languages.functions import TestFunction, go_functions, python_functions

PYTHON = '''\
"""def test_in_a_docstring(): ..."""
import pytest
# def test_in_a_comment(): assert False
pytestmark = pytest.mark.skipif(False, reason="x")


@pytest.mark.parametrize(
    "value",
    [
        1,
        2,
    ],
)
@pytest.mark.xfail(reason="assert")
def test_decorated(value):
    assert value == 1, "skip"
    with pytest.raises(ValueError):
        int("x")


async def test_long(
    one,
    two,
):
    text = """
assert in a string
def test_in_a_string(): ...
"""
    def test_inner():
        assert text

    assert one


class TestA:
    limit = 3

    def test_b(self): assert self.limit

    class TestC:
        def test_d(self) -> None:
            self.assertEqual(1, 1)
            self.skipTest("no")

    def helper(self):
        return "a"""  "

def helper(): return 1
class Last(Base):
    def test_e(self):
        pass
'''

GO = """\
//go:build linux

package a

// func TestInComment(t *testing.T) {
/* func TestInBlock(t *testing.T) {
*/
var raw = `
func TestInString(t *testing.T) {
}
`

func TestA(t *testing.T) {
	if 1 != 1 {
		t.Fatalf("t.Skip() // %s", '"')
	}
	require.Equal(t, 1, 1)
}

func helper() {
}

func TestSkips(t *testing.T) { t.Skip("no") }

func ExampleA() {
	// Output:
}

func FuzzA(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		t.Error()
	})
}
"""


def counts(functions: tuple[TestFunction, ...]) -> dict[str, tuple[int, int]]:
    return {function.name: (function.asserts, function.skips) for function in functions}


def test_the_functions_of_a_python_file() -> None:
    assert counts(python_functions(PYTHON.encode())) == {
        "": (0, 1),
        "test_decorated": (2, 1),
        "test_long": (2, 0),
        "TestA::test_b": (1, 0),
        "TestA::TestC::test_d": (1, 1),
        "TestA::helper": (0, 0),
        "helper": (0, 0),
        "Last::test_e": (0, 0),
    }


def test_the_functions_of_a_go_file() -> None:
    assert counts(go_functions(GO.encode())) == {
        "": (0, 1),
        "TestA": (2, 0),
        "TestSkips": (0, 1),
        "ExampleA": (0, 0),
        "FuzzA": (1, 0),
    }


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("value == 1", "value == 2", {"test_decorated"}),
        ("        2,\n", "", {"test_decorated"}),
        ('@pytest.mark.xfail(reason="assert")\n', "", {"test_decorated"}),
        ("assert in a string", "assert  in a string", {"test_long"}),
        ("limit = 3", "limit = 4", {""}),
        ("def helper(): return 1", "def helper(): return 2", {"helper"}),
        ("# def test_in_a_comment(): assert False\n", "", {""}),
        ("async def test_long(", "\n\n\nasync def test_long(", set()),
        ("return 1", "return 1  ", set()),
    ],
)
def test_a_digest_changes_with_the_text_of_its_function_alone(old: str, new: str, changed: set[str]) -> None:
    assert old in PYTHON
    before = {function.name: function.digest for function in python_functions(PYTHON.encode())}
    after = {
        function.name: function.digest for function in python_functions(PYTHON.replace(old, new).encode())
    }
    assert before.keys() == after.keys()
    assert {name for name in before if before[name] != after[name]} == changed


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("test_a", "test_a = lambda: None"),
        ("TestB::test_b", "TestB.test_b=print"),
        ("TestB::test_b", "class TestB(TestB):\n    test_b = None"),
        ("test_a", "test_a: object = print"),
        ("test_a", "if x:\n    test_a = print"),
        ("test_a", "for test_a in [print]: pass"),
        ("test_a", "from helpers import x as test_a"),
        ("test_a", "_, test_a = 1, print"),
        ("test_a", "# nothing\rtest_a = print"),
        ("test_a", " \ftest_a = print"),
    ],
)
def test_what_is_assigned_to_a_function_counts_in_its_place(name: str, line: str) -> None:
    text = "def test_a():\n    assert 1\n\n\nclass TestB:\n    def test_b(self):\n        assert 1\n\n\n"
    before = {function.name: function for function in python_functions(text.encode())}
    after = {function.name: function for function in python_functions(f"{text}x = 1\n{line}\n".encode())}
    assert (before[name].asserts, after[name].asserts) == (1, 0)
    assert before.keys() == after.keys()
    assert {key for key in before if key and before[key].digest != after[key].digest} == {name}


def test_a_comment_that_is_code_in_the_encoding_of_the_file_is_code() -> None:
    text = b"# coding: utf-7\ndef test_a():\n    assert 1\n\n\n# +AAo-test_a = print\n"
    assert {function.name: function.asserts for function in python_functions(text)} == {"": 0, "test_a": 0}
    for coding in (b"punycode", b"rot13", b"no such"):
        plain = python_functions(text.replace(b"utf-7", coding))
        assert {function.name: function.asserts for function in plain} == {"": 0, "test_a": 1}


def test_a_test_that_a_file_calls_is_not_replaced() -> None:
    text = b"def test_a():\n    assert 1\n\n\nif __name__ == '__main__':\n    test_a()\n"
    assert {function.name: function.asserts for function in python_functions(text)} == {"": 0, "test_a": 1}


@pytest.mark.parametrize(
    ("language", "path", "content", "holds"),
    [
        ("python", "test_a.py", b"def test_a(): pass", True),
        ("python", "tests/a_test.py", b"class A(TestCase):\n  def testA(self): pass", True),
        ("python", "tests/conftest.py", b"def test_a(): pass", False),
        ("python", "tests/test_a.py", b"# def test_a(): pass", False),
        ("python", "tests/data.py", b"def test_a(): pass", False),
        ("go", "a_test.go", b"func TestA(t *testing.T) {\n}", True),
        ("go", "a_test.go", b"func BenchmarkA(b *testing.B) {\n}", False),
        ("go", "a.go", b"func TestA(t *testing.T) {\n}", False),
        ("go", "testdata/a_test.go", b"func TestA(t *testing.T) {\n}", False),
        ("none", "test_a.py", b"def test_a(): pass", False),
    ],
)
def test_which_files_hold_tests(language: str, path: str, content: bytes, holds: bool) -> None:
    assert get(language).holds_tests(PurePosixPath(path), content) is holds


WORDS = ["def test_a():", "class A:", "@x", "assert"]
MARKS = ["    ", "\n", '"', '"""', "'", "'''", "\\", "(", ")", "#", "`", "/*"]


@given(st.lists(st.sampled_from(WORDS + MARKS), max_size=60).map("".join) | st.binary(max_size=200).map(repr))
def test_no_text_is_too_strange(text: str) -> None:
    for find in (python_functions, go_functions):
        functions = find(text.encode("utf-8", "replace"))
        assert functions[0].name == ""
        assert functions == find(text.encode("utf-8", "replace"))


@pytest.mark.parametrize(
    "piece", ['"""\\', "'\\", "(", "@a\n", "class A:\n def a():\n", "/*", "`\\", "\\\n#"]
)
def test_a_large_hostile_file_takes_no_longer_than_its_length_asks_for(piece: str) -> None:
    """In quadratic time it would not end."""
    text = (piece * (200_000 // len(piece))).encode()
    assert python_functions(text)[0].name == ""
    assert go_functions(text)[0].name == ""
