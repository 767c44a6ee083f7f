"""Targets of make for which a file of the same name would be taken."""

from __future__ import annotations

import pytest

from pytest_cobbler.landing.make_targets import goals_in, made_targets


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
