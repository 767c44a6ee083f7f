"""Targets of make for which a file of the same name would be taken."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from pytest_cobbler.globs import matches_any
from pytest_cobbler.landing.make_targets import goals_in, made_targets, needed_files, sources_of
from tests.support.parts import need


@pytest.mark.parametrize(
    ("text", "goals", "expected"),
    [
        ("test:\n\tpytest\n", {"test"}, {"test"}),
        (".PHONY: test\ntest:\n\tpytest\n", {"test"}, set()),
        ("test:\n\tpytest\n.PHONY: all test\n", {"test"}, set()),
        ("all:\n\tcc\ntest:\n\tpytest\n", set(), {"all"}),
        ("all:\n\tcc\ntest:\n\tpytest\n", {"other", "test"}, {"test"}),
        # What is needed first is made each time, so what needs it is, too.
        ("test: build\n\tpytest\nbuild:\n\tcc\n", {"test"}, {"build"}),
        ("test: FORCE\n\tpytest\nFORCE:\n", {"test"}, {"FORCE"}),
        (".PHONY: test\ntest: lint app\n\t./app\napp: src/a.c\n\tcc\nlint: ; ruff .\n", {"test"},
         {"app", "lint"}),
        ("test: | app\n\t./app\napp: a.c\n\tcc\n", {"test"}, {"test", "app"}),
        ("BIN = out/app\ntest: $(BIN)\n\t$(BIN)\n${BIN}: a.c $(OBJS)\n\tcc\n", {"test"}, {"out/app"}),
        ("check:\n\t$(MAKE) -C sub unit\nunit:\n\tpytest\n", {"check"}, {"check", "unit"}),
        ("docs:\n\tsphinx\ntest:\n\tpytest\n", {"test"}, {"test"}),
        ("a b: \\\n c\n\tx\nc:\n\ty\n", {"b"}, {"c"}),
        ("X := 1\nY ?= a:b\nt: X = 2\nt:\n\tx\n", {"t"}, {"t"}),
        ("%.o: %.c\n\tcc\n", set(), set()),
        ("", {"test"}, set()),
        # Targets that functions compute.
        ("T := $(patsubst tests/%.sh,out/%.ok,$(wildcard tests/*.sh))\ntest: $(T)\n"
         "out/%.ok: tests/%.sh\n\tsh $< >$@\n", {"test"}, {"out/*.ok"}),
        ("S = $(wildcard src/*.c src/*/*.c)\nO = $(S:.c=.o)\napp: $(O)\n\tcc\n%.o: %.c\n\tcc\n", {"app"},
         {"src/*.o", "src/*/*.o"}),
        ("S = $(shell find src -type f -name '*.c')\n$(S:%.c=out/%.o): out/%.o: %.c\n\tcc\n"
         "t: $(S:%.c=out/%.o)\n", {"t"}, {"out/src/**/*.o"}),
        ("N = b a\nt: $(addsuffix .ok,$(addprefix out/,$(sort $(N))))\n%.ok:\n\tx\n", {"t"},
         {"out/a.ok", "out/b.ok"}),
        ("t: $(notdir $(basename $(filter %.c,src/a.c b.h))).x\n%.x: %.y\n\tx\n%.y:\n\ty\n", {"t"}, {"a.y"}),
        ("t: $(subst .c,.o,$(strip a.c)) $(dir src/x)y.o\n%.o:\n\tx\n", {"t"}, {"a.o", "src/y.o"}),
        # Files that it looks for are there, and `%` alone says nothing.
        ("S = $(wildcard *.c)\nt: $(S) x $(shell ls) $(foreach f,a b,$(f).o)\n%.c: %.y\n\tyacc\n%: %.sh\n",
         {"t"}, {"t"}),
    ],
)  # fmt: skip
def test_a_target_that_is_made_only_while_it_is_missing(
    text: str, goals: set[str], expected: set[str]
) -> None:
    assert made_targets([text], goals, lambda _: set()) == expected


def test_what_exists_is_left_out() -> None:
    assert made_targets(["test: app\n\t./app\napp: a.c\n\tcc\n"], {"test"}, {"app"}.intersection) == {"test"}


def test_the_words_after_each_call_of_make_are_goals() -> None:
    text = "cd sub && make -j2 CC=gcc lint test; $(MAKE) \\\n more # no\nmakefile other"
    assert goals_in(text) == {"lint", "test", "more"}


def test_any_number_of_references_is_read_in_time() -> None:
    text = "A = " + "$(A) " * 50 + "\nt: $(A)\n\tx\n"
    assert made_targets([text], {"t"}, lambda _: set()) == {"t"}


def make(directory: Path, *arguments: str) -> str:
    completed = subprocess.run([need("make"), *arguments], cwd=directory, capture_output=True, text=True)
    return completed.stdout


def test_these_are_the_files_from_which_make_makes_any_file(tmp_path: Path) -> None:
    rules = re.findall(r"^%::? (\S*%\S*)$", make(tmp_path, "-p", "-f", os.devnull), re.MULTILINE)
    assert {"%.sh", "%.c", "SCCS/s.%"} <= set(rules)
    for rule in rules:
        assert matches_any("sub/" + rule.replace("%", "a.mk"), sources_of("sub/a.mk"), fold_case=True), rule
    assert not matches_any("sub/Makefile.in", sources_of("sub/Makefile"), fold_case=True)


@pytest.mark.parametrize("file", ["Makefile", "more.inc", "check"])
def test_make_makes_what_decides_in_it_from_a_newer_file(file: str, tmp_path: Path) -> None:
    rules = "include more.inc\ntest: check\n\t@sh check\n.PHONY: test\n"
    for name, content in {"Makefile": rules, "more.inc": "", "check": "echo run\n"}.items():
        (tmp_path / name).write_text(content)
        os.utime(tmp_path / name, (0, 0))
    assert make(tmp_path, "test") == "run\n"
    (tmp_path / f"{file}.sh").write_text("echo forged\n" if file == "check" else "$(info forged)\n")
    assert "forged\n" in make(tmp_path, "test")


def test_what_make_needs_for_a_goal() -> None:
    text = "test: check | deep\n\tsh check\ndeep: a.txt\n\tx\nother: b.txt\n.PHONY: deep\n"
    assert needed_files([text], {"test"}) == {"check", "a.txt"}
