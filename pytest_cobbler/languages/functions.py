"""Test functions in source text: their names, what they assert, and whether they ask to be skipped.

They are found by their text alone, in time linear in its length. The text may be an agent's, and in a newer
version of its language than the one that runs here; a parser of that language would fail on both.
"""

from __future__ import annotations

import hashlib
import io
import re
import tokenize
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["TestFunction", "go_functions", "python_functions"]

_LARGEST: Final = 4 * 1024 * 1024
"""Bytes of a file that are looked at."""


@dataclass(frozen=True, kw_only=True)
class TestFunction:
    """A function of a file of tests, or (``name`` is empty) all of the file that is outside of functions.

    ``name`` is as in the ids of tests, without parameters: ``TestA::test_b``. ``digest`` is that of its text
    with its decorators. ``asserts`` and ``skips`` count what checks, and what skips or expects a failure.
    """

    __test__ = False

    name: str
    digest: str
    asserts: int
    skips: int

    @property
    def is_test(self) -> bool:
        """Whether a runner takes the function for a test by its name, and not for a helper."""
        return self.name.rpartition("::")[2].lower().startswith(("test", "example", "fuzz"))


_SLOW: Final = frozenset({"punycode", "idna"})
"""Encodings that take long to read, and that can hide no line."""

# -- Python

_PYTHON_TOKEN = re.compile(r"\\.|\"\"\"|'''|[\"'#\n]", re.DOTALL)
_PYTHON_TEXTS = {'"""': '"""', "'''": "'''", '"': '"', "'": "'", "#": "\n"}
_PYTHON_BLOCK = re.compile(r"([ \t]*)(?:async[ \t]+)?(def|class)[ \t]+(\w+)")
_PYTHON_REPLACED = re.compile(r"(?:(\w+)\.)?(\w+)[ \t]*=(?!=)")
_PYTHON_NAMES = re.compile(r"(?:\b(\w+)\.)?\b(\w+)\b(?![ \t]*\()")
_FORM_FEED = re.compile(r"^[ \t\f]*\f", re.MULTILINE)
_PYTHON_ASSERT = re.compile(r"\bassert\b|\.(?:assert\w+|raises|warns|fail)[ \t]*\(")
_PYTHON_SKIP = re.compile(
    r"\b(?:skip|skipif|xfail|importorskip|skipTest|skipIf|skipUnless|expectedFailure|collect_ignore\w*"
    r"|__test__)\b"
)


def python_functions(content: bytes) -> tuple[TestFunction, ...]:
    """The functions of a Python file that are not inside other functions."""
    text = _as_python_reads(content[:_LARGEST])
    masked = _masked(text, _PYTHON_TOKEN, _PYTHON_TEXTS)
    spans = list(_python_spans(masked.split("\n")))
    return _measured(text.split("\n"), masked.split("\n"), spans, _PYTHON_ASSERT, _PYTHON_SKIP)


def _python_spans(lines: Sequence[str]) -> Iterable[tuple[str, int, int]]:
    """Name, first line and the line after the last one of each function."""
    classes: list[tuple[int, str]] = []
    function: tuple[int, str, int] | None = None
    decorated: int | None = None
    depth = 0
    names: set[str] = set()
    for number, line in enumerate(lines):
        opens = depth == 0
        depth = max(0, depth + _depth_of(line))
        if not opens or not line.strip():
            continue
        indent = len(line) - len(line.lstrip())
        if function and indent <= function[0]:
            yield function[1], function[2], number
            function = None
        while classes and indent <= classes[-1][0]:
            classes.pop()
        if function:
            continue
        if line.lstrip().startswith("@"):
            decorated = number if decorated is None else decorated
            continue
        begins = number if decorated is None else decorated
        decorated = None
        if not (block := _PYTHON_BLOCK.match(line)):
            # What is given the name of a function is run in its place, by whatever statement.
            if name := _replaced(line, [name for _, name in classes], names):
                yield name, number, number + 1
            continue
        if block[2] == "class":
            classes.append((indent, block[3]))
        else:
            function = (indent, "::".join([*(name for _, name in classes), block[3]]), begins)
            names.add(function[1])
    if function:
        yield function[1], function[2], len(lines)


def _replaced(line: str, classes: Sequence[str], names: Collection[str]) -> str:
    """The one of the functions ``names`` to whose name a line in ``classes`` gives something else.

    That is an assignment, or any other line that has the name of a test and does not call it.
    """
    assigned = [_PYTHON_REPLACED.match(line.lstrip())]
    found = [match.groups() for match in assigned if match]
    tests = [pair for pair in _PYTHON_NAMES.findall(line) if pair[1].lower().startswith("test")]
    for owner, name in (*found, *tests):
        full = "::".join([*([owner] if owner else classes), name])
        if full in names:
            return full
    return ""


def _as_python_reads(content: bytes) -> str:
    """The text in the encoding that it declares, in which what looks like a comment may be code."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        text = content.decode("utf-8" if encoding in _SLOW else encoding, "replace")
    except (SyntaxError, LookupError, UnicodeError):
        text = content.decode("utf-8", "replace")
    # A form feed begins the count of columns again.
    return _FORM_FEED.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def _depth_of(line: str) -> int:
    """How many more brackets a line opens than it closes."""
    return sum(map(line.count, "([{")) - sum(map(line.count, ")]}"))


# -- Go

_GO_TOKEN = re.compile(r"\\.|//(?!go:build)|/\*|\*/|[`\"'\n]", re.DOTALL)
_GO_TEXTS = {"`": "`", '"': '"', "'": "'", "//": "\n", "/*": "*/"}
_GO_BEGIN = re.compile(r"func[ \t]+((?:Test|Example|Fuzz|Benchmark)\w*)[ \t]*\(")
_GO_ASSERT = re.compile(r"\.(?:Errorf?|Fatalf?|FailNow|Fail)\(|\b(?:assert|require|is)\.\w+\(")
_GO_SKIP = re.compile(r"\.(?:Skipf?|SkipNow)\(|^//go:build\b", re.MULTILINE)


def go_functions(content: bytes) -> tuple[TestFunction, ...]:
    """The tests, examples, fuzz tests and benchmarks of a Go file."""
    text = content[:_LARGEST].decode("utf-8", "replace")
    masked = _masked(text, _GO_TOKEN, _GO_TEXTS)
    spans = list(_go_spans(masked.split("\n")))
    return _measured(text.split("\n"), masked.split("\n"), spans, _GO_ASSERT, _GO_SKIP)


def _go_spans(lines: Sequence[str]) -> Iterable[tuple[str, int, int]]:
    begun: tuple[str, int] | None = None
    for number, line in enumerate(lines):
        if found := _GO_BEGIN.match(line):
            begun = (found[1], number)
        if begun and (line.startswith("}") or (found and line.rstrip().endswith("}"))):
            yield begun[0], begun[1], number + 1
            begun = None


# -- both


def _masked(text: str, tokens: re.Pattern[str], texts: Mapping[str, str]) -> str:
    """``text`` with as many lines, and without what its strings and comments say.

    Args:
        texts: what begins a string or comment -> what ends it.
    """
    kept: list[str] = []
    at, closing = 0, ""
    for match in tokens.finditer(text):
        token = match[0]
        if not closing:
            kept.append(text[at : match.start()])
            closing = texts.get(token, "")
            kept.append(token if not closing else "" if closing == "\n" else '""')
        else:
            kept.append("\n" * token.count("\n"))
            closing = "" if _closes(token, closing) else closing
        at = match.end()
    if not closing:
        kept.append(text[at:])
    return "".join(kept)


def _closes(token: str, closing: str) -> bool:
    if closing in ("`", "*/", "\n"):  # no escapes
        return token.endswith(closing)
    # A string of one line ends with its line; three quotes are its end and an empty string.
    return token == closing or (len(closing) == 1 and token in ("\n", closing * 3))


def _measured(
    lines: Sequence[str],
    masked: Sequence[str],
    spans: Sequence[tuple[str, int, int]],
    asserts: re.Pattern[str],
    skips: re.Pattern[str],
) -> tuple[TestFunction, ...]:
    functions: list[TestFunction] = []
    outside: list[int] = []
    at = 0
    for name, first, end in spans:
        functions.append(_function(name, lines[first:end], masked[first:end], asserts, skips))
        outside += range(at, first)
        at = end
    outside += range(at, len(lines))
    rest = _function("", [lines[n] for n in outside], [masked[n] for n in outside], asserts, skips)
    return (rest, *functions)


def _function(
    name: str,
    lines: Iterable[str],
    masked: Iterable[str],
    asserts: re.Pattern[str],
    skips: re.Pattern[str],
) -> TestFunction:
    text = "\n".join(line.rstrip() for line in lines).strip()
    code = "\n".join(masked)
    return TestFunction(
        name=name,
        digest=hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
        asserts=len(asserts.findall(code)),
        skips=len(skips.findall(code)),
    )
