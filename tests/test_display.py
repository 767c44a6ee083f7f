"""Text as people are shown it."""

from __future__ import annotations

import json
from pathlib import PurePosixPath

import pytest

from pytest_cobbler.display import (
    counted,
    escaped,
    escaped_lines,
    named,
    quoted,
    short_time,
    shown_duration,
    shown_json,
    shown_path,
    shown_size,
)
from tests.support.ci_commands import COMMANDS, commands


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("ü 日本", "ü 日本"),
        ("a\nb\t\x1b[0m", r"a\nb\t\x1b[0m"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_does_not_print_is_escaped(text: str, shown: str) -> None:
    assert escaped(text) == shown


def test_lines_stay_lines() -> None:
    assert escaped_lines("one\n\ttwo\x1b[0m\r\n") == "one\n\ttwo\\x1b[0m\\r\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_no_text_is_a_command_of_a_ci_system(command: str) -> None:
    for text in (command, f"one\n{command}", f"one\r{command}\u2028{command}"):
        for shown in (escaped(text), escaped_lines(text), quoted(text)):
            assert commands([shown]) == []
            assert escaped_lines(shown) == shown, "it is escaped once"
        assert commands([shown_json([text])]) == []
        assert json.loads(shown_json({text: text})) == {text: text}


def test_a_command_is_broken_by_an_escape_and_other_text_stays() -> None:
    assert escaped("::error::x") == r"\x3a:error::x"
    assert escaped_lines("a\n  ::error::x") == "a\n  \\x3a:error::x"
    assert escaped("a ##vso[b]") == r"a \x23#vso[b]"
    for text in ("a::b", "tests/a.py::test_b[##]", "## heading", "#[derive]", "x ::y::"):
        assert escaped(text) == text


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0.0s"), (9.94, "9.9s"), (83, "83s"), (119.6, "2m"), (11100, "3h05m")]
)
def test_times_in_a_table_are_short(seconds: float, shown: str) -> None:
    assert short_time(seconds) == shown


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (b"plain/file.py", "plain/file.py"),
        (b"\xff\xfe", r"\xff\xfe"),
        ("a\udcff", r"a\xff"),
        (PurePosixPath("a\nb"), r"a\nb"),
    ],
)
def test_paths_may_be_bytes_texts_or_paths(path: bytes | str | PurePosixPath, shown: str) -> None:
    assert shown_path(path) == shown


def test_the_first_names_are_listed_and_the_others_counted() -> None:
    assert named([]) == ""
    assert named(["a", "b"], 2) == "a, b"
    assert named((name for name in "abcde"), 2) == "a, b and 3 more"


def test_a_count_has_its_plural() -> None:
    assert [counted(number, "task") for number in (0, 1, 2)] == ["0 tasks", "1 task", "2 tasks"]


def test_sizes_are_in_mebibytes() -> None:
    assert shown_size(216 << 20) == "216 MiB"


@pytest.mark.parametrize(("seconds", "shown"), [(90.0, "90s"), (1800, "30m"), (7200, "2h"), (1.5, "1.5s")])
def test_durations_are_written_as_in_the_configuration(seconds: float, shown: str) -> None:
    assert shown_duration(seconds) == shown
