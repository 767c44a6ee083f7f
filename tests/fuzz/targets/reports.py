"""Reports of the gate, and the output of ``go test -json``: counted as they are, or refused.

An input is an object: ``report``, the file (text; a list of events, one for each line; or an element of XML
as an object with ``tag``, ``attributes`` and ``children``); ``files``, the paths of the tree with their
contents.
"""

from __future__ import annotations

import json
import tempfile
import xml.etree.ElementTree as Tree
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from hypothesis import strategies as st

from pytest_cobbler.landing.go_events import GoLog
from pytest_cobbler.landing.places import Places
from pytest_cobbler.landing.reports import LONGEST_ID, ReportProblem, read_report
from pytest_cobbler.landing.tree_records import PASSED, Conditions, TestRun, TreeRecord, TreeRecords
from tests.fuzz.target import Target, to_bytes, to_text

_MADE = datetime(2026, 1, 2, tzinfo=UTC)
_GO = "module example.com/m\n\ngo 1.24\n"
_TAGS = ("testsuites", "testsuite", "testcase", "failure", "error", "skipped", "properties", "system-out")
_ATTRIBUTES = ("name", "classname", "file", "filepath", "status", "result", "type")
_WORDS = (
    *(
        "a.py",
        "b/a.py",
        "tests/test_a.py",
        "test_a.py",
        "go.mod",
        "nested/go.mod",
        "m_test.go",
        "nested/s/a_test.go",
    ),
    *(
        "com/example/FooTest.java",
        "com.example.FooTest",
        "tests.test_a.TestA",
        "test_b[1]",
        "x::y",
        "/builds/a.py",
    ),
    *(
        "example.com/m",
        "example.com/m/nested/s",
        "TestM",
        "TestM/sub#01",
        "../..",
        "..",
        ".",
        "notrun",
        "pytest.xfail",
    ),
    *(
        "<testsuites>",
        "</testsuites>",
        "<testsuite>",
        "</testsuite>",
        "<testcase/>",
        "<testcase>",
        "</testcase>",
    ),
    *("<failure/>", "<skipped/>", "&#0;", "&lt;", "<![CDATA[", "]]>", "<!--", "-->", "<?xml version='1.0'?>"),
    *(
        "<!DOCTYPE x>",
        "<!DOCTYPE x [<!ENTITY a 'b'>]>",
        "&a;",
        "\ufeff",
        "xmlns='urn:x'",
        "encoding='utf-16'",
        "{}\n",
    ),
    *(
        '{"Action":"pass","Package":"example.com/m","Test":"TestM"}\n',
        '{"Action":"fail","Package":"p"}\n',
        "{",
    ),
    *(
        "output",
        "build-output",
        "pass",
        "fail",
        "skip",
        "=== RUN x",
        "ok  \tp",
        "\\",
        "func TestM(",
        "//go:build x\n",
    ),
)
_TEXTS = st.sampled_from(_WORDS) | st.text(max_size=6)
_OUTCOMES = st.sampled_from(
    [
        {"tag": "failure"},
        {"tag": "error"},
        {"tag": "skipped"},
        {"tag": "skipped", "attributes": {"type": "pytest.xfail"}},
        {"tag": "properties", "children": [{"tag": "failure"}]},
    ]
)
_CASE = st.fixed_dictionaries(
    {"tag": st.just("testcase"), "children": st.lists(_OUTCOMES, max_size=3)},
    optional={"attributes": st.dictionaries(st.sampled_from(_ATTRIBUTES), _TEXTS, max_size=3)},
)
_SUITE = st.fixed_dictionaries({"tag": st.just("testsuite"), "children": st.lists(_CASE, max_size=4)})
_ELEMENT = st.recursive(
    st.fixed_dictionaries(
        {"tag": st.sampled_from(_TAGS)},
        optional={"attributes": st.dictionaries(st.sampled_from(_ATTRIBUTES), _TEXTS, max_size=3)},
    ),
    lambda inner: st.fixed_dictionaries(
        {"tag": st.sampled_from(_TAGS[:3]), "children": st.lists(inner | _TEXTS, max_size=4)},
        optional={"attributes": st.dictionaries(st.sampled_from(_ATTRIBUTES), _TEXTS, max_size=3)},
    ),
    max_leaves=8,
)
_EVENT = st.fixed_dictionaries(
    {"Action": st.sampled_from(["pass", "fail", "skip", "output", "build-output", "run"]) | st.integers()},
    optional={
        "Package": st.sampled_from(["p", "example.com/m", "example.com/m/nested/s"])
        | st.integers()
        | st.text(max_size=3),
        "Test": st.sampled_from(["TestM", "TestM/sub", "TestX"]) | st.text(max_size=3) | st.none(),
        "Output": st.sampled_from(["=== RUN   T\n", "ok  \tp\t0.1s\n", "FAIL\n", "half "])
        | st.text(max_size=5),
        "ImportPath": st.text(max_size=3),
    },
)
_REPORT = (
    _ELEMENT
    | _SUITE
    | st.lists(_EVENT | _TEXTS, max_size=8)
    | st.lists(_TEXTS, max_size=12).map("".join)
    | st.binary(max_size=60).map(to_text)
)
_CONTENTS = st.sampled_from(
    [_GO, "func TestM(t *testing.T) {}\n", "//go:build never\n\nfunc TestM(t) {}\n", ""]
)
_FILES = st.dictionaries(
    st.sampled_from(_WORDS[:9]) | st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=6),
    _CONTENTS,
    max_size=6,
)
INPUTS = st.fixed_dictionaries({"report": _REPORT, "files": _FILES})


def run(data: Any) -> None:
    if not isinstance(data, dict):
        return
    files = data.get("files")
    tree = (
        {name: text for name, text in files.items() if isinstance(text, str)}
        if isinstance(files, dict)
        else {}
    )
    places = Places(tree, lambda path: to_bytes(tree[path]))
    content = content_of(data.get("report"))
    tests, problem = None, ""
    try:
        tests = read_report(content, places)
    except ReportProblem as error:
        problem = str(error)
    if tests is None:
        assert "\n" not in problem
        assert expected(content) is None, f"refused: {problem}"
    else:
        check_tests(tests, tree)
        check_counts(tests, content)
        check_record(tests)
    check_log(content.split(b"\n"))


def content_of(report: Any) -> bytes:
    if isinstance(report, str):
        return to_bytes(report)
    if isinstance(report, list):
        return b"\n".join(
            to_bytes(line) if isinstance(line, str) else json.dumps(line).encode() for line in report
        )
    return to_bytes(element(report)) if isinstance(report, dict) else json.dumps(report).encode()


def element(part: Any) -> str:
    """An element, or text, as XML."""
    if not isinstance(part, dict):
        return escape(part) if isinstance(part, str) else ""
    tag, attributes, children = part.get("tag"), part.get("attributes"), part.get("children")
    name = tag if isinstance(tag, str) else "testsuite"
    given = attributes.items() if isinstance(attributes, dict) else ()
    words = "".join(f" {key}={quoteattr(text)}" for key, text in given if isinstance(text, str))
    inside = "".join(map(element, children)) if isinstance(children, list) else ""
    return f"<{name}{words}>{inside}</{name}>"


def check_tests(tests: TestRun, tree: Mapping[str, str]) -> None:
    """Ids are different, bounded and text; files are those of the tree."""
    ids = [result.id for result in tests.results]
    assert len(set(ids)) == len(ids)
    for result in tests.results:
        assert result.file == "" or result.file in tree, result
        assert result.file or not result.function, result
        for text in (result.id, result.function):
            text.encode()
            assert len(text) <= LONGEST_ID + 20
        assert result.passed + result.failed + result.skipped + result.xfailed > 0
    assert sum(counts.ran for counts in tests.by_file.values()) == tests.counts.ran
    assert tests.summary.isprintable()


def expected(content: bytes) -> Counter[str] | None:
    """The counts by another reader; ``None``: the report has to be refused."""
    text = content[:1000].lstrip()
    if not text:
        return None
    return expected_of_go(content) if text.startswith(b"{") else expected_of_xml(content)


def expected_of_go(content: bytes) -> Counter[str]:
    counts: Counter[str] = Counter()
    failed: set[str] = set()
    for event in map(event_in, content.split(b"\n")):
        action, package, test = event.get("Action"), event.get("Package", ""), event.get("Test", "")
        if (
            action not in ("pass", "fail", "skip")
            or not isinstance(package, str)
            or not isinstance(test, str)
        ):
            continue
        if test or (action == "fail" and package not in failed):
            counts[{"pass": "passed", "fail": "failed", "skip": "skipped"}[action]] += 1
        if test and action == "fail":
            failed.add(package)
    return counts


def event_in(line: bytes) -> Mapping[str, Any]:
    try:
        event = json.loads(line) if line.startswith(b"{") else {}
    except (ValueError, RecursionError):
        return {}
    return event if isinstance(event, dict) else {}


def expected_of_xml(content: bytes) -> Counter[str] | None:
    if b"<!DOCTYPE" in content:
        return None
    try:
        root = Tree.fromstring(content)
    except (Tree.ParseError, ValueError, LookupError):
        return None
    if tag_of(root) not in ("testsuite", "testsuites"):
        return None
    return Counter(outcome_of(case) for case in cases_in(root))


def tag_of(part: Tree.Element) -> str:
    return str(part.tag).rpartition("}")[2]


def cases_in(part: Tree.Element) -> Iterator[Tree.Element]:
    """The test cases that are not within another one."""
    for child in part:
        if tag_of(child) == "testcase":
            yield child
        else:
            yield from cases_in(child)


def outcome_of(case: Tree.Element) -> str:
    tags = [tag_of(child) for child in case]
    if "failure" in tags or "error" in tags:
        return "failed"
    if "skipped" in tags:
        last = [child for child in case if tag_of(child) == "skipped"][-1]
        return "xfailed" if last.get("type") == "pytest.xfail" else "skipped"
    words = {case.get("status", "").lower(), case.get("result", "").lower()}
    return "skipped" if words & {"notrun", "skipped", "disabled", "suppressed"} else "passed"


def check_counts(tests: TestRun, content: bytes) -> None:
    counts = expected(content)
    assert counts is not None, "not refused"
    for outcome in ("passed", "failed", "skipped", "xfailed"):
        assert getattr(tests.counts, outcome) == counts[outcome], outcome


def check_log(lines: list[bytes]) -> None:
    """Of go's events, a log without any line that is not in them, and with each line that is not an event."""
    shown: list[bytes] = []
    log = GoLog(shown.append)
    for line in lines:
        log(line)
    log.close()
    assert not any(b"\n" in line for line in shown)
    events = [event_in(line) for line in lines]
    other = [
        line for line, event in zip(lines, events, strict=True) if not isinstance(event.get("Action"), str)
    ]
    remaining = iter(shown)
    assert all(line in remaining for line in other), "a line that is no event is missing, or has moved"
    output = "".join(str(event.get("Output", "")) for event in events if isinstance(event.get("Action"), str))
    assert len(b"".join(shown)) <= len(output.encode("utf-8", "replace")) + sum(map(len, other))


def check_record(tests: TestRun) -> None:
    """A record that was kept is found again as it was."""
    conditions = Conditions(commands=(("pytest",),))
    record = TreeRecord(tree="t", conditions=conditions, verdict=PASSED, seconds=1.0, tests=tests, made=_MADE)
    with tempfile.TemporaryDirectory() as directory:
        records = TreeRecords(Path(directory))
        records.keep(record)
        assert records.find("t", conditions) == record


TARGET = Target(name="reports", inputs=INPUTS, run=run, words=_WORDS, steps=(10_000, 100))
