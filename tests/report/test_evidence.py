"""The lines of a program's output that say why it failed."""

from __future__ import annotations

import pytest

from pytest_cobbler.report.evidence import excerpt, failing_line, telling_line

PYTEST = """\
============================= test session starts ==============================
collected 0 items / 1 error

==================================== ERRORS ====================================
______________________ ERROR collecting test_words.py __________________________
ImportError while importing test module '/x/test_words.py'.
E   ModuleNotFoundError: No module named 'words'
=========================== short test summary info ============================
ERROR test_words.py
"""
ASSERTION = """\
    def test_sum():
>       assert 1 + 1 == 3
E       assert (1 + 1) == 3
FAILED test_sum.py::test_sum - assert (1 + 1) == 3
"""
GO_WITHOUT_A_MODULE = """\
go: downloading golang.org/x/tools v0.52.0
go: can't load test package: zip/zip_test.go:33:2: module lookup disabled by GOPROXY=off
# golang.org/x/mod/zip
zip/zip_test.go:33:2: module lookup disabled by GOPROXY=off
FAIL\tgolang.org/x/mod/zip [setup failed]
ok  \tgolang.org/x/mod/semver\t0.013s
"""


@pytest.mark.parametrize(
    ("output", "line"),
    [
        (PYTEST, "ModuleNotFoundError: No module named 'words'"),
        (ASSERTION, "test_sum.py::test_sum - assert (1 + 1) == 3"),
        ("=== RUN   TestAdd\n--- FAIL: TestAdd (0.00s)\nFAIL\texample.com/x\t0.01s\n", "TestAdd"),
        ("ok\n./main.go:3:2: undefined: x\n", "./main.go:3:2: undefined: x"),
        (GO_WITHOUT_A_MODULE, "zip/zip_test.go:33:2: module lookup disabled by GOPROXY=off"),
        ("\x1b[31msh: make: cannot execute\x1b[0m\nbye\n", "sh: make: cannot execute"),
        ("a.txt\n", ""),
        ("", ""),
    ],
)
def test_the_line_that_names_the_failure(output: str, line: str) -> None:
    assert telling_line(output) == line


def test_without_a_telling_line_the_last_one_counts() -> None:
    assert failing_line("one\ntwo\n\n") == "two"
    assert failing_line("\n") == ""


@pytest.mark.parametrize("at", [0, 1, 15, 50, 97, 99])
@pytest.mark.parametrize("most", [20, 21])
def test_an_excerpt_has_the_first_error_the_end_and_not_more_lines(at: int, most: int) -> None:
    lines = [f"line {number}" for number in range(100)]
    lines[at] = "ValueError: x"
    shown = excerpt("\n".join(lines), most).split("\n")
    assert len(shown) <= most
    assert "ValueError: x" in shown
    assert shown[-1] == lines[-1]
    left_out = sum(int(line.split()[1]) for line in shown if "left out" in line)
    assert left_out + sum("left out" not in line for line in shown) == 100


def test_a_short_output_is_shown_whole() -> None:
    assert excerpt("a\nb") == "a\nb"
