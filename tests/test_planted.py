"""A planted test is found where the tests that it imitates are found."""

from __future__ import annotations

import pytest

from pytest_cobbler.languages import get
from pytest_cobbler.languages.functions import go_functions, python_functions
from pytest_cobbler.languages.planted import PlantedTest

TOKEN = "beef01"


def planted(language: str, path: str, content: str, *functions: str) -> PlantedTest:
    test = get(language).planted(path, content.encode(), functions, TOKEN)
    assert test is not None
    return test


@pytest.mark.parametrize(
    ("path", "functions", "new", "name"),
    [
        ("tests/test_a.py", ["test_b"], "tests/test_beef01_a.py", "test_beef01_b"),
        ("a_test.py", ["TestA::test_b"], "a_beef01_test.py", "test_beef01"),
        ("tests/check_a_b.py", ["check_c"], "tests/check_beef01_a_b.py", "check_beef01_c"),
        ("t/_x.py", ["test"], "t/_x_beef01.py", "test_beef01"),
    ],
)
def test_names_begin_and_end_as_those_of_the_example(
    path: str, functions: list[str], new: str, name: str
) -> None:
    test = planted("python", path, "", *functions)
    assert (test.path, test.function) == (new, name)
    assert [found.name for found in python_functions(test.content)] == ["", name]


def test_a_case_of_unittest_is_imitated_by_one() -> None:
    source = "class TestA(unittest.TestCase):\n    def test_b(self): pass\n"
    test = planted("python", "tests/test_a.py", source, "TestA::test_b")
    assert (test.path, test.function) == ("tests/test_beef01_a.py", "Test_beef01::test_beef01")
    assert [found.name for found in python_functions(test.content)] == ["", "Test_beef01::test_beef01"]


def test_a_file_whose_name_is_fixed_gets_the_test_itself() -> None:
    test = planted("python", "app/tests.py", "def test_a(): pass", "test_a")
    assert test.path == "app/tests.py"
    assert test.content.startswith(b"def test_a(): pass\n\n\ndef test_beef01_a() -> None:\n")


def test_a_file_of_doctests_is_imitated_by_a_doctest() -> None:
    test = planted("python", "src/app/core.py", '"""\n>>> 1\n1\n"""')
    assert (test.path, test.function) == ("src/app/core_beef01.py", "")
    assert b'>>> int("beef01", 16) < 0\nTrue\n' in test.content


@pytest.mark.parametrize(
    ("language", "path", "source", "functions"),
    [
        ("python", "tests/test_a.py", "def test_a(): pass", ["test_a"]),
        ("python", "tests/test_a.py", "class TestA(unittest.TestCase): pass", ["TestA::test_a"]),
        ("python", "src/a.py", "", []),
        ("go", "a_test.go", "package a", ["TestA"]),
    ],
)
def test_only_a_test_that_runs_prints_the_proof_of_its_failure(
    language: str, path: str, source: str, functions: list[str]
) -> None:
    test = planted(language, path, source, *functions)
    assert test.proof == str(0xBEEF01)
    assert test.proof.encode() not in test.content
    assert b"beef01" in test.content


def test_a_go_test_is_in_the_package_of_the_example() -> None:
    source = "//go:build linux\n\n// Package a\npackage a_test\n\nfunc TestA(t *testing.T) {}\n"
    test = planted("go", "pkg/a_test.go", source, "FuzzA", "TestA", "TestMain")
    assert (test.path, test.function) == ("pkg/zbeef01_test.go", "TestA_beef01")
    assert test.content.startswith(b"//go:build linux\n\npackage a_test\n")
    assert [found.name for found in go_functions(test.content)] == ["", "TestA_beef01"]
    assert planted("go", "a_test.go", "package a", "ExampleA").function == "Test_beef01"


@pytest.mark.parametrize(
    ("language", "path", "source", "functions"),
    [
        ("python", "tests/test_a.py", "# Mine\ndef test_a(): pass\n", ["test_a"]),
        ("python", "tests/test_a.py", "class TestA(unittest.TestCase): pass", ["TestA::test_a"]),
        ("python", "src/a.py", "# Mine\n", []),
        ("go", "a_test.go", 'package a\n\nimport "testing"\n', ["TestA"]),
    ],
)
def test_a_test_can_be_planted_in_the_file_of_the_example(
    language: str, path: str, source: str, functions: list[str]
) -> None:
    test = get(language).planted(path, source.encode(), functions, TOKEN, inside=True)
    assert test is not None
    assert test.path == path
    assert test.content.startswith(source.rstrip().encode() + b"\n\n")


def test_a_go_test_is_not_planted_in_a_file_that_does_not_import_what_it_needs() -> None:
    test = get("go").planted("a_test.go", b"package a\n", ["ExampleA"], TOKEN, inside=True)
    assert test is not None
    assert test.path == f"z{TOKEN}_test.go"


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize(
    ("path", "source", "functions", "options"),
    [
        ("test_a.py", "", ["test_a"], []),
        ("test_a.py", "import unittest\n\nclass TestA(unittest.TestCase): pass", ["TestA::test_a"], []),
        ("a.py", "", [], ["--doctest-modules"]),
    ],
)
def test_the_failing_form_fails_with_its_proof_and_the_other_passes(
    pytester: pytest.Pytester, path: str, source: str, functions: list[str], options: list[str], inside: bool
) -> None:
    test = get("python").planted(path, source.encode(), functions, TOKEN, inside=inside)
    assert test is not None
    for content, failed in ((test.content, True), (test.passing, False)):
        (pytester.path / test.path).write_bytes(content)
        result = pytester.runpytest_inprocess("-p", "no:cacheprovider", *options, test.path)
        assert result.parseoutcomes() == {"failed" if failed else "passed": 1}
        assert (test.proof in result.stdout.str()) == failed


@pytest.mark.parametrize("content", [b"", b"\xff\x00", b"package", b"// package a"])
def test_a_go_file_without_a_package_is_not_imitated(content: bytes) -> None:
    assert get("go").planted("a_test.go", content, ("TestA",), TOKEN) is None


def test_without_a_language_nothing_is_planted() -> None:
    assert get("none").planted("test_a.py", b"", ("test_a",), TOKEN) is None
