"""What a script runs or reads without a word of its own for each file: lists, directories, modules.

Read as a person would skim it, as in ``command_words``.
"""

from __future__ import annotations

import itertools
import json
import posixpath
import re
from collections.abc import Collection, Iterator, Sequence

from pytest_cobbler.landing.command_words import imported

__all__ = [
    "imported_files",
    "is_for_tools",
    "is_test",
    "is_tool",
    "listed_files",
    "run_together",
    "strings_in",
]

_TOOLS = re.compile(r"\.?(?:bin|build|checks?|ci|dev|gate|hack|lint|scripts?|tools?|utils?)|.*\.d")
_TOOL = re.compile(r"(?:.*_)?(?:checks?|checkers?|ci|gate|lint|linters?)(?:_.*)?")
_TEST = re.compile(r"(?:test|spec)(?!$)|.*[._-](?:test|spec)s?|tests?|specs?", re.IGNORECASE)
_TEST_DIRECTORIES = frozenset({"test", "tests", "spec", "specs", "__tests__"})
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*$", re.MULTILINE)
_READERS = r"(?:cat|grep|sed|awk|head|tail|sort|tr|cut|uniq|tac)"
_READS = re.compile(rf"(?<![\w.-]){_READERS}\s([^|()`]+)\Z")
_RUNNER = re.compile(r"\s*(?:xargs|parallel|while|(?:ba|da|z|k)?sh|sudo|env|python[\d.]*)\b")
# A variable that no loop goes through and no runner gets does not hold a list: VERSION=$(cat VERSION).
_SUBSTITUTION = re.compile(
    r"(?:(?<!\w)(\w{1,99})(?:=|[ \t]*[:?+]{0,3}=[ \t]*)[\"']?)?"
    rf"(?:\$\((?:shell\s)?|`)\s*(?:{_READERS}\s|file\s*<)([^)`$]{{0,500}})[)`]"
)
_VARIABLE = re.compile(r"\$[({]?(\w{1,99})")
_ARGUMENT_FILE = re.compile(
    r"\b(?:xargs|parallel)\b[^\n;&|]{0,300}?(?:\s-a\s*|\s--arg-file[= ]\s*|::::\s+)([^\s;&|]{1,300})"
)
# The limits keep the time short for any text.
_LOOP = re.compile(
    r"(?<![\w-])for\s+(\w+)\s+in\s+([^\n;]{0,1000})[\s;]+do\b(.{0,2000}?)(?<![\w-])done\b", re.DOTALL
)
_LOOPED = re.compile(r"(?<![\w-])in\s([^\n;]{1,500})")
_RUN_PARTS = re.compile(r"(?<![\w-])run-parts((?:\s+[^\s;&|)]{1,300}){1,20})")
_FIND = re.compile(
    r"(?<![\w-])(?:find|ls)((?:\s+-[LH1a])*(?:\s+[^-\s;&|()!][^\s;&|()]{0,300}){1,20})[^\n;&|]{0,500}"
    r"(?:-exec(?:dir)?\s+(?:\w*sh\b|env\b|\{\})"
    r"|\|[^\n;&]{0,500}?(?:xargs\b[^\n;&|]{0,300}?\b\w*sh\b|\bwhile\b))"
)
_RUNS = r"(?:^|[;&|{(]|\b(?:\w*sh|source|exec|then|do|else|time|env)|(?<!\S)\.)\s*(?:-(?!n\b)\w+\s+)*"
_LONGEST = 2000
_MOST_LOOPS = 200
_WORD = re.compile(r"[^\s\"'`;&|()<>]+")
_JAVASCRIPT = re.compile(r"\.[cm]?[jt]sx?\Z")
_REQUIRED = re.compile(r"(?:\brequire\(\s*|\bfrom\s+|\bimport\s*\(?\s*)[\"'](\.{1,2}/[^\"'\n]{1,300})[\"']")
_REQUIRED_BY_RUBY = re.compile(r"\brequire_relative[\s(]+[\"']([^\"'\n]+)[\"']")
_ENDS: tuple[str, ...] = ("", ".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".json", "/index.js")


def listed_files(text: str, runners: Collection[str] = ()) -> set[str]:
    """The words that may be files from which a text takes the names of what it runs.

    Args:
        runners: programs that run the files that they are given.
    """
    text = _plain(text)
    looped = {name for words in _LOOPED.findall(text) for name in _VARIABLE.findall(words)}
    for line in text.splitlines():
        if not {word.rpartition("/")[2] for word in _WORD.findall(line[:_LONGEST])}.isdisjoint(runners):
            looped.update(_VARIABLE.findall(line[:_LONGEST]))
    found = [words for name, words in _SUBSTITUTION.findall(text) if not name or name in looped]
    found += [words for pipe in re.split(r"[\n;&]+", text) for words in _piped(pipe.split("|"))]
    return set(_words(" ".join([*found, *_ARGUMENT_FILE.findall(text)])))


def _piped(stages: Sequence[str]) -> Iterator[str]:
    """What the first stage of a pipe reads, if a later one runs it."""
    if any(map(_RUNNER.match, stages[1:])):
        yield from _READS.findall(stages[0][:_LONGEST])


def run_together(text: str) -> set[str]:
    """The files, directories and patterns of files all of which a text runs."""
    text = _plain(text)
    found = {word.rstrip("/") for words in _RUN_PARTS.findall(text) for word in _words(words)}
    searched = {
        word.rstrip("/*")
        for line in text.splitlines()
        for words in _FIND.findall(line[:_LONGEST])
        for word in _words(words)
    }
    found |= {f"{word}/**" for word in searched if is_for_tools(word)}
    for variable, words, body in itertools.islice(_LOOP.findall(text), _MOST_LOOPS):
        if re.search(rf"{_RUNS}[\"']?\${{?{variable}\b", body, re.MULTILINE):
            found.update(_words(words))
    return {word for word in found if not word.startswith("-")}


def is_for_tools(directory: str) -> bool:
    """Whether the name of a directory says that its files are tools, and not what they work on."""
    return _TOOLS.fullmatch(posixpath.basename(directory)) is not None


def is_tool(module: str) -> bool:
    """Whether the name of a module says that it is a tool of a gate."""
    return _TOOL.fullmatch(posixpath.basename(module).partition(".")[0]) is not None


def is_test(path: str) -> bool:
    """Whether a file that is run is a test itself, and not a program that runs tests."""
    *directories, name = path.split("/")
    stem = name.rpartition(".")[0]
    if stem.lower().startswith("run"):
        return False
    return bool(_TEST.fullmatch(stem)) or not _TEST_DIRECTORIES.isdisjoint(directories)


def imported_files(path: str, text: str) -> set[str]:
    """Where the modules may be that a script imports from beside it, whether they are there or not."""
    directory = posixpath.dirname(path)
    if path.endswith(".py"):
        names = {posixpath.join(directory, name) for name in imported(text)}
        return {f"{name}{end}" for name in names for end in (".py", "")}
    if _JAVASCRIPT.search(path):
        relative, ends = _REQUIRED.findall(text), _ENDS
    elif path.endswith(".rb"):
        relative, ends = _REQUIRED_BY_RUBY.findall(text), ("", ".rb")
    else:
        return set()
    places = {posixpath.normpath(posixpath.join(directory, name)) for name in relative}
    return {f"{p}{end}" for p, end in itertools.product(places, ends) if not p.startswith(("/", ".."))}


def strings_in(values: object) -> str:
    """The strings in the values of a configuration, a line each."""
    return "\n".join(re.findall(r'"((?:[^"\\]|\\.)*)"', json.dumps(values, default=str)))


def _plain(text: str) -> str:
    return _COMMENT.sub("", text).replace("\\\n", " ")


def _words(text: str) -> Iterator[str]:
    yield from (word for word in _WORD.findall(text) if not word.startswith(("-", "$")) or "/" in word)
