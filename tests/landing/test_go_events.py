"""Events of ``go test -json`` as the log that ``go test`` prints."""

from __future__ import annotations

import json

import pytest

from pytest_cobbler.landing import go_events
from pytest_cobbler.landing.go_events import GoLog


def shown(*events: dict[str, object] | bytes) -> list[str]:
    lines: list[bytes] = []
    log = GoLog(lines.append)
    for event in events:
        log(event if isinstance(event, bytes) else json.dumps(event).encode())
    log.close()
    return [line.decode() for line in lines]


Event = dict[str, object]


def output(text: str, test: str = "", package: str = "p") -> Event:
    event: Event = {"Action": "output", "Package": package, "Output": text}
    return {**event, "Test": test} if test else event


def end(action: str, test: str = "", package: str = "p") -> Event:
    event: Event = {"Action": action, "Package": package}
    return {**event, "Test": test} if test else event


def test_of_a_package_that_passed_only_the_last_line_is_shown() -> None:
    events = (output("=== RUN   T\n", "T"), output("noise\n", "T"), end("pass", "T"))
    assert shown(*events, output("PASS\n"), output("ok  \tp\t0.1s\n"), end("pass")) == ["ok  \tp\t0.1s"]
    assert shown(output("?   \tp\t[no test files]\n"), end("skip")) == ["?   \tp\t[no test files]"]


def test_of_a_package_that_failed_the_tests_that_passed_are_left_out() -> None:
    found = shown(
        output("=== RUN   Good\n", "Good"),
        output("of the good one\n", "Good"),
        end("pass", "Good"),
        output("=== RUN   Bad\n", "Bad"),
        output("half a ", "Bad"),
        output("line\n", "Bad"),
        output("--- FAIL: Bad (0.00s)\n", "Bad"),
        end("fail", "Bad"),
        output("FAIL\n"),
        end("fail"),
    )
    assert found == ["half a line", "--- FAIL: Bad (0.00s)", "FAIL"]


def test_packages_that_run_at_the_same_time_are_not_mixed() -> None:
    found = shown(
        output("a1\n", "A", "a"),
        output("b1\n", "B", "b"),
        output("a2\n", "A", "a"),
        end("fail", package="b"),
        end("fail", package="a"),
    )
    assert found == ["b1", "a1", "a2"]


def test_other_lines_and_builds_are_shown_immediately() -> None:
    build: dict[str, object] = {"Action": "build-output", "ImportPath": "q", "Output": "# q\n"}
    assert shown(output("x\n"), b"vet: bad", build, b"{", b'{"a": 1}', b"[]") == [
        "vet: bad",
        "# q",
        "{",
        '{"a": 1}',
        "[]",
        "x",
    ]


def test_the_output_of_a_run_that_was_ended_is_shown() -> None:
    assert shown(output("begun\n", "T"), output("no newline", "T")) == ["begun", "no newline"]


def test_output_that_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(go_events, "MOST_HELD", 100)
    lines: list[bytes] = []
    log = GoLog(lines.append)
    for number in range(1000):
        log(json.dumps(output("x" * 30 + "\n", f"T{number}", f"p{number % 7}")).encode())
    assert len(lines) > 990
