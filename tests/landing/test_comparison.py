"""What a change hides is refused; what it weakens is one note for each file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import PurePosixPath

import pytest

from pytest_cobbler.landing.comparison import Comparison, Tree, compare
from pytest_cobbler.landing.tree_records import CaseResult, TestRun
from pytest_cobbler.languages import get

PYTHON = get("python")


def run_of(ids: str) -> TestRun:
    """The run of these ids.

    They passed; after ``-`` they were skipped, after ``!`` they failed, after ``?``
    they failed as expected."""
    results = []
    for word in ids.split():
        outcome = {"-": "skipped", "!": "failed", "?": "xfailed"}.get(word[0], "passed")
        name = word.lstrip("-!?")
        file, _, function = name.partition("::")
        results.append(CaseResult(id=name, file=file, function=function.partition("[")[0], **{outcome: 1}))
    return TestRun.of(results)


def tree(files: Mapping[str, str], ids: str | None) -> Tree:
    return Tree(
        blobs={path: hashlib.sha1(text.encode()).hexdigest() for path, text in files.items()},
        functions=lambda path: PYTHON.functions(PurePosixPath(path), files[path].encode()),
        is_test=lambda path: PYTHON.is_test(PurePosixPath(path)),
        run=None if ids is None else run_of(ids),
    )


A = "tests/test_a.py"
ONE = "def test_one():\n    assert f() == 1\n    assert g() == 2\n"
TWO = "def test_two():\n    assert h() == 1\n"
BOTH = f"{A}::test_one {A}::test_two"
TIP = {"a.py": "def f(): return 1\n", A: ONE + TWO}


def compared(
    files: Mapping[str, str | None],
    after: str | None,
    *,
    tip: Mapping[str, str] = TIP,
    before: str | None = BOTH,
) -> Comparison:
    """The comparison after a change of ``files`` (``None`` removes one)."""
    merged = {path: text for path, text in {**tip, **files}.items() if text is not None}
    return compare(tree(tip, before), tree(merged, after))


@pytest.mark.parametrize(
    ("files", "after", "reason"),
    [
        ({"pkg/pyvenv.cfg": ""}, "", f"{A}: 2 tests of this file ran on the tip, and none runs now"),
        ({"conftest.py": "collect_ignore = []"}, f"-{A}::test_one -{A}::test_two", "2 tests of this file"),
        ({A: "pytest.skip(allow_module_level=True)\n" + ONE + TWO}, f"-{A}", "2 tests of this file"),
        ({A: "# nothing\n"}, "", "2 tests of this file"),
        ({"tests/conftest.py": "del items[0]"}, f"{A}::test_two", f"{A}: as it was on the tip, where it ran"),
        ({A: "__test__ = 1\n" + ONE + TWO}, f"{A}::test_two -{A}::test_one", "does not run now: test_one"),
        (
            {"tests/conftest.py": "xfail"},
            f"{A}::test_two ?{A}::test_one",
            "passed, and may fail now: test_one",
        ),
        (
            {A: "pytestmark = xfail\n" + ONE + TWO},
            f"?{A}::test_one ?{A}::test_two",
            "may fail now: test_one, t",
        ),
        (
            # With an autouse fixture that has a parameter.
            {A: "pytestmark = xfail\n" + ONE + TWO},
            f"?{A}::test_one[0] ?{A}::test_two[0]",
            "may fail now: test_one, t",
        ),
        ({A: None, "tests/test_b.py": ONE + TWO}, "", "test_one was moved to tests/test_b.py"),
        ({A: TWO, "tests/old/test_a.py": ONE}, f"{A}::test_two", "test_one was moved to tests/old/test_a.py"),
    ],
)
def test_tests_that_are_there_and_do_not_run_are_hidden(
    files: dict[str, str | None], after: str, reason: str
) -> None:
    [found] = compared(files, after).hidden
    assert reason in found


@pytest.mark.parametrize(
    ("files", "after"),
    [
        ({"a.py": "def f(): return 2\n"}, f"!{A}::test_one {A}::test_two"),
        ({A: ONE + TWO + "def test_three(): pass\n"}, f"{BOTH} {A}::test_three"),
        ({A: None, "tests/test_b.py": ONE + TWO}, "tests/test_b.py::test_one tests/test_b.py::test_two"),
        ({A: TWO, "tests/test_b.py": ONE}, f"{A}::test_two tests/test_b.py::test_one"),
        ({A: (ONE + TWO).replace("g() == 2", "g() == 3")}, BOTH),
        ({"tests/conftest.py": "x = 1"}, BOTH),
        ({"README.md": "x"}, BOTH),
    ],
)
def test_good_work_is_neither_refused_nor_noted(files: dict[str, str | None], after: str) -> None:
    assert compared(files, after) == Comparison()


@pytest.mark.parametrize(
    ("files", "after", "note"),
    [
        ({A: None}, "", "2 tests removed, with the file (test_one, test_two)"),
        ({A: ONE}, f"{A}::test_one", "1 test removed (test_two)"),
        ({A: ONE.replace("one", "uno") + TWO}, f"{A}::test_uno {A}::test_two", "1 test removed (test_one)"),
        ({A: ONE.replace("    assert g() == 2\n", "") + TWO}, BOTH, "fewer asserts in test_one"),
        ({A: "@pytest.mark.xfail\n" + ONE + TWO}, BOTH, "new skip or xfail in test_one"),
        (
            {A: "@pytest.mark.skip\n" + ONE + TWO},
            f"-{A}::test_one {A}::test_two",
            "new skip or xfail in test_one",
        ),
        ({A: "pytestmark = pytest.mark.xfail\n" + ONE + TWO}, BOTH, "new skip or xfail in the file itself"),
        ({A: "@xfail\n" + ONE + TWO}, f"?{A}::test_one {A}::test_two", "new skip or xfail in test_one"),
    ],
)
def test_weaker_tests_are_one_note_for_each_file(files: dict[str, str | None], after: str, note: str) -> None:
    assert compared(files, after) == Comparison(weakened=(f"tests changed in {A}: {note}",))
    assert compared(files, None, before=None).weakened == (f"tests changed in {A}: {note}",)


def test_all_of_a_file_is_in_its_one_note() -> None:
    weaker = "@pytest.mark.skip\n" + ONE.replace("    assert g() == 2\n", "")
    assert compared({A: weaker}, None).weakened == (
        f"tests changed in {A}: 1 test removed (test_two); fewer asserts in test_one; "
        "new skip or xfail in test_one",
    )


CASES = "tests/test_cases.py"
FROM_DATA = {CASES: "@cases\ndef test_case(value): assert value\n", "tests/cases.json": "[1, 2, 3]"}


def test_fewer_cases_of_a_test_that_is_parametrised_from_data_are_no_refusal() -> None:
    before = f"{CASES}::test_case[1] {CASES}::test_case[2] {CASES}::test_case[3]"
    fewer = Comparison(weakened=(f"tests changed in {CASES}: test_case ran with 1 of 3 cases",))
    found = compared({"tests/cases.json": "[1]"}, f"{CASES}::test_case[1]", tip=FROM_DATA, before=before)
    assert found == fewer
    text = FROM_DATA[CASES].replace("@cases", "@cases([1])")
    found = compared({CASES: text}, f"{CASES}::test_case[1]", tip=FROM_DATA, before=before)
    assert found == fewer


def test_a_case_that_was_expected_to_fail_may_go_on_failing() -> None:
    before = f"{A}::test_one[a] ?{A}::test_one[b] {A}::test_two"
    after = f"{A}::test_one[a] ?{A}::test_one[b] ?{A}::test_one[c] {A}::test_two"
    assert compared({"a.py": "x"}, after, before=before) == Comparison()


def test_a_changed_function_that_no_longer_runs_is_noted() -> None:
    changed = {A: (ONE + TWO).replace("g() == 2", "g() == 3")}
    found = compared(changed, f"{A}::test_two")
    assert found == Comparison(weakened=(f"tests changed in {A}: test_one does not run now",))


DOCTEST = {"a.py": "def f():\n    '''\n    >>> f()\n    1\n    '''\n"}


def test_a_doctest_may_go_with_its_source_and_not_without() -> None:
    before = "a.py::a.f"
    assert compared({"a.py": "def f(): ...\n"}, "", tip=DOCTEST, before=before).hidden == ()
    [reason] = compared({"conftest.py": "x"}, "", tip=DOCTEST, before=before).hidden
    assert reason.startswith("a.py: 1 test of this file ran on the tip")


def test_inherited_tests_are_told_by_their_file_alone() -> None:
    tip = {"tests/base.py": "class Base:\n    def test_x(self): assert 1\n", A: "class TestB(Base): ...\n"}
    before = f"{A}::TestB::test_x {A}::TestB::test_y"
    assert compared({}, f"{A}::TestB::test_x", tip=tip, before=before) == Comparison()
    assert len(compared({"x.cfg": ""}, "", tip=tip, before=before).hidden) == 1


def test_without_a_run_of_both_nothing_is_hidden() -> None:
    assert compared({"pyvenv.cfg": ""}, None).hidden == ()
    assert compared({"pyvenv.cfg": ""}, "", before=None).hidden == ()
