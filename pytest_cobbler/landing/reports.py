"""Reads the report that a gate left: JUnit XML, or the events of ``go test -json``.

The code that the gate tests may have written the report. It is read as a stream, without entities and with
bounds, and what cannot be read is a :class:`ReportProblem`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final
from xml.parsers import expat

from pytest_cobbler.landing.go_events import event_of
from pytest_cobbler.landing.places import Place, Places
from pytest_cobbler.landing.tree_records import CaseResult, TestRun

__all__ = ["ReportProblem", "read_report"]

MOST_RESULTS: Final = 200_000
LONGEST_ID: Final = 2_000
"""Characters of an id; the rest of a longer one is replaced by its digest."""

_NOT_RUN: Final = frozenset({"notrun", "skipped", "disabled", "suppressed"})
"""Words of googletest and others for tests that did not run, in the attributes ``status`` and ``result``."""

_PROBLEMS: Final = ("failure", "error")


class ReportProblem(Exception):
    """A report that cannot be read; the message is one line."""


def read_report(content: bytes, places: Places) -> TestRun:
    """The tests in a report; ``places`` finds their files in the tree.

    Raises:
        ReportProblem: ``content`` is neither JUnit XML nor events of ``go test -json``, or has too many
            results.
    """
    start = content[:1000].lstrip()
    if not start:
        raise ReportProblem("the report is empty")
    reader = _GoEvents(places) if start.startswith(b"{") else _JUnit(places)
    reader.read(content)
    return TestRun.of(reader.results)


class _Reader:
    def __init__(self, places: Places) -> None:
        self.places = places
        self.results: list[CaseResult] = []

    def read(self, content: bytes) -> None:
        raise NotImplementedError

    def add(self, name: str, place: Place, **counts: int) -> None:
        if len(self.results) >= MOST_RESULTS:
            raise ReportProblem(f"the report has more than {MOST_RESULTS} results")
        self.results.append(
            CaseResult(id=_bounded(name), file=place.file, function=_bounded(place.function), **counts)
        )


class _JUnit(_Reader):
    """JUnit XML: one result for each ``testcase``, with the file that it or its suites name."""

    def __init__(self, places: Places) -> None:
        super().__init__(places)
        self._case: Mapping[str, str] | None = None
        self._depth = 0
        """Of the current element in its test case."""
        self._outcome = ""
        self._files: list[str] = []
        """The ``file`` of each open element around a test case."""

    def read(self, content: bytes) -> None:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartDoctypeDeclHandler = _refuse_doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        try:
            parser.Parse(content, True)
        except (expat.ExpatError, ValueError, LookupError) as error:
            raise ReportProblem(f"the report is not XML: {_line(error)}") from error
        if not self._is_junit:
            raise ReportProblem("the report is not JUnit XML")

    _is_junit = False

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        tag = name.rpartition(" ")[2]
        if self._case is not None:
            self._depth += 1
            if self._depth == 1:
                self._hear(tag, attributes)
            return
        if not self._files:
            self._is_junit = tag in ("testsuites", "testsuite")
        if tag == "testcase":
            self._case, self._depth = attributes, 0
            not_run = {attributes.get("status", "").lower(), attributes.get("result", "").lower()} & _NOT_RUN
            self._outcome = "skipped" if not_run else "passed"
        else:
            inherited = self._files[-1] if self._files else ""
            self._files.append(attributes.get("file") or attributes.get("filepath") or inherited)

    def _hear(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag in _PROBLEMS:
            self._outcome = "failed"
        elif tag == "skipped" and self._outcome != "failed":
            self._outcome = "xfailed" if attributes.get("type") == "pytest.xfail" else "skipped"

    def _end(self, _name: str) -> None:
        if self._case is None:
            self._files.pop()
        elif self._depth:
            self._depth -= 1
        else:
            self._take(self._case)
            self._case = None

    def _take(self, case: Mapping[str, str]) -> None:
        name, group = case.get("name", ""), case.get("classname", "")
        file = case.get("file") or (self._files[-1] if self._files else "")
        place = self.places.of_junit(group, name, file)
        self.add(place.id, place, **{self._outcome: 1})


class _GoEvents(_Reader):
    """Events of ``go test -json``: one result for each end of a test."""

    _OUTCOMES: Final = {"pass": "passed", "fail": "failed", "skip": "skipped"}

    def read(self, content: bytes) -> None:
        failed: set[str] = set()
        for line in content.split(b"\n"):
            event = event_of(line)
            outcome = self._OUTCOMES.get(str(event.get("Action")))
            package, test = event.get("Package", ""), event.get("Test", "")
            if outcome is None or not isinstance(package, str) or not isinstance(test, str):
                continue
            if test:
                place = self.places.of_go(package, test)
                self.add(place.id, place, **{outcome: 1})
                if outcome == "failed":
                    failed.add(package)
            elif outcome == "failed" and package not in failed:
                # It was not built, or its process ended early: no test of it has to have failed.
                self.add(package, Place(id=package), failed=1)


def _refuse_doctype(*_: object) -> None:
    # Without a document type there are no entities to expand.
    raise ReportProblem("the report has a document type, which is not read")


def _bounded(text: str) -> str:
    data = text.encode("utf-8", "backslashreplace")  # JSON can name half a character
    plain = data.decode()
    if len(plain) <= LONGEST_ID:
        return plain
    return f"{plain[:LONGEST_ID]}~{hashlib.sha256(data).hexdigest()[:16]}"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
