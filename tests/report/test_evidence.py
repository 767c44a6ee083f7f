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

GO_TEST = """\
== build ==
== test ==
--- FAIL: TestOdd (0.00s)
    odd_test.go:7: Odd(3) is false
FAIL
FAIL\texample.com/gods/utils\t0.016s
?   \texample.com/gods/utils/late\t[no test files]
ok  \texample.com/gods/utils/slow\t0.044s
FAIL
"""


@pytest.mark.parametrize(
    ("output", "line"),
    [
        (PYTEST, "ModuleNotFoundError: No module named 'words'"),
        (ASSERTION, "test_sum.py::test_sum - assert (1 + 1) == 3"),
        ("=== RUN   TestAdd\n--- FAIL: TestAdd (0.00s)\nFAIL\texample.com/x\t0.01s\n", "TestAdd"),
        (GO_TEST, "TestOdd: odd_test.go:7: Odd(3) is false"),
        ("ok\n./main.go:3:2: undefined: x\n", "./main.go:3:2: undefined: x"),
        (
            'INTERNALERROR> Traceback (most recent call last):\nINTERNALERROR>   File "x.py", line 1, in x\n'
            "INTERNALERROR> pytest.PytestConfigWarning: Unknown config option: x\n== no tests ran in 1s ==\n",
            "pytest.PytestConfigWarning: Unknown config option: x",
        ),
        (GO_WITHOUT_A_MODULE, "zip/zip_test.go:33:2: module lookup disabled by GOPROXY=off"),
        ("\x1b[31msh: make: cannot execute\x1b[0m\nbye\n", "sh: make: cannot execute"),
        ("a.txt\n", ""),
        ("", ""),
    ],
)
def test_the_line_that_names_the_failure(output: str, line: str) -> None:
    assert telling_line(output) == line


@pytest.mark.parametrize(
    ("output", "line"),
    [
        (
            "cc a.c\nmake: cc: No such file or directory\nmake: *** [Makefile:6: test] Error 127\n",
            "make: cc: No such file or directory",
        ),
        ("sh: 1: cmake: not found\n", "sh: 1: cmake: not found"),
        (
            "/usr/bin/bash: line 1: tsc: command not found\nmake[1]: *** [Makefile:2: all] Error 127\n",
            "/usr/bin/bash: line 1: tsc: command not found",
        ),
        (
            "a.c: In 'main':\na.c:3:5: error: unknown type name 'in'\nmake: *** [<builtin>: a.o] Error 1\n",
            "a.c:3:5: error: unknown type name 'in'",
        ),
        (
            "PASSED: 3 FAILED: 1\nFAILED: parse (at line 12)\nmake: *** [Makefile:6: test] Error 1\n",
            "PASSED: 3 FAILED: 1",
        ),
        (
            "ok 1 - adds\nnot ok 2 - subtracts\n# fail 1\nnpm ERR! Test failed.  See above.\n",
            "subtracts",
        ),
        ("\u2714 adds (1ms)\n\u2716 subtracts (1ms)\n\u2716 failing tests:\n", "subtracts (1ms)"),
        ("make: *** No rule to make target 'test'.  Stop.\n", ""),
    ],
)
def test_a_person_reads_what_failed_and_not_that_make_or_npm_passes_it_on(output: str, line: str) -> None:
    assert telling_line(output) == line


def test_a_missing_target_is_what_make_says_itself() -> None:
    output = "make: *** No rule to make target 'test'.  Stop.\n"
    assert failing_line(output) == "make: *** No rule to make target 'test'. Stop."


def test_of_a_wrong_command_the_line_after_its_usage_counts() -> None:
    usage = "ERROR: usage: __main__.py [options] [file_or_dir]"
    output = f"{usage}\n__main__.py: error: unrecognized arguments: --cov\n"
    assert failing_line(output) == "__main__.py: error: unrecognized arguments: --cov"


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


def test_a_short_excerpt_has_what_follows_the_first_error() -> None:
    assert "    odd_test.go:7: Odd(3) is false" in excerpt(GO_TEST, 8).split("\n")
