"""The language of path patterns, against another implementation of git's."""

from __future__ import annotations

import pathspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_cobbler.globs import GlobError, compile_glob, escape_glob, matches_any, matches_glob

MATCHING = [
    ("README.md", "README.md"),
    ("*.md", "README.md"),
    ("./docs/*.md", "docs/a.md"),
    ("docs/**/*.md", "docs/a.md"),
    ("docs/**/*.md", "docs/a/b/c.md"),
    ("docs", "docs/a/b.md"),
    ("docs/", "docs/a.md"),
    ("docs/**", "docs/a/b.md"),
    ("docs/*", "docs/a/b.md"),
    ("**/deep", "a/b/deep/c"),
    ("**", "a/b"),
    ("a?c", "abc"),
    ("tests/[ab].py", "tests/a.py"),
    ("[a-c]x", "bx"),
    ("[!a-c]x", "dx"),
    ("[^a-c]x", "dx"),
    ("[]x]", "]"),
    ("[a-]", "-"),
    ("[[]1[]]", "[1]"),
    ("[*]", "*"),
    ("./!a", "!a"),
    ("./#a", "#a"),
    ("a\\b", "a\\b"),
    ("*", "new\nline"),
]

OTHERS = [
    ("*.md", "docs/README.md"),
    ("docs/*.md", "docs/a/b.md"),
    ("docs", "documents"),
    ("deep", "a/deep"),
    ("a?c", "a/c"),
    ("a*c", "a/c"),
    ("a**c", "a/c"),
    ("[+-9]", "/"),
    ("a[+-9]c", "a/c"),
    ("a[!b]c", "a/c"),
    ("tests/[ab].py", "tests/c.py"),
    ("tests/[ab].py", "tests/[ab].py"),
    ("[!a-c]x", "ax"),
    ("[*]", "a"),
    ("README.md", "readme.md"),
    ("[a-c]x", "BX"),
]


@pytest.mark.parametrize(("pattern", "path"), MATCHING)
def test_a_pattern_matches_a_path(pattern: str, path: str) -> None:
    assert matches_glob(path, pattern)


@pytest.mark.parametrize(("pattern", "path"), OTHERS)
def test_a_pattern_does_not_match_another_path(pattern: str, path: str) -> None:
    assert not matches_glob(path, pattern)


@pytest.mark.parametrize(
    ("pattern", "path"), [("readme.md", "README.MD"), ("[a-c]x", "BX"), (".github", ".GitHub/x")]
)
def test_case_is_folded_on_request(pattern: str, path: str) -> None:
    assert matches_glob(path, pattern, fold_case=True)


@pytest.mark.parametrize(
    "path",
    [
        *(".vscode./tasks.json", ".vscode . /tasks.json", ".vs\u200ccode/tasks.json", "a/.vscode::$DATA"),
        *("AGENTS.md.", "AGENTS.md ", "a/agents.md...", "AGENTS.md:stream", "\ufeffAGENTS.md"),
    ],
)
def test_a_name_that_another_file_system_takes_for_another_is_matched_on_request(path: str) -> None:
    patterns = ("**/.vscode/**", "**/AGENTS.md")
    assert matches_any(path, patterns, fold_case=True)
    assert not matches_any(path, patterns)


@pytest.mark.parametrize("path", ["...", ". ./x", ":x", "a/ /AGENTS", "AGENTS.md x", "x:AGENTS.md"])
def test_odd_names_that_are_no_other_are_not_matched(path: str) -> None:
    assert not matches_any(path, ("**/AGENTS.md", "x/AGENTS.md"), fold_case=True)


def test_a_negated_class_folds_case_too() -> None:
    assert not matches_glob("A", "[!a]", fold_case=True)


@pytest.mark.parametrize(
    "pattern", ["!a", "#a", "[", "[a", "[]", "[!]", "a/[b/c]", "[b-a]", "[[:alpha:]]", "", ".", "./"]
)
def test_a_malformed_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(GlobError):
        compile_glob(pattern)


names = st.text("ab.", min_size=1, max_size=3).filter(lambda name: name not in (".", ".."))
paths = st.lists(names, min_size=1, max_size=5).map("/".join)
pieces = st.sampled_from(["a", "b", ".", "*", "?", "[a]", "[ab]", "[!a]", "[a-b]"])
patterns = st.lists(
    st.just("**") | st.lists(pieces, min_size=1, max_size=4).map("".join), min_size=1, max_size=5
).map("/".join)


@given(pattern=patterns, path=paths)
@example(pattern="**/a/**/b", path="b/a/a/b/b")
@example(pattern="*a*b*a", path="abbaba")
@example(pattern="*", path="a/a")
def test_patterns_mean_what_they_mean_in_git(pattern: str, path: str) -> None:
    """At the top: a pattern of git's is anchored by a slash before it."""
    if any(name in (".", "..") for name in pattern.split("/")) or ("[!" in pattern and "/" in path):
        return  # pathspec lets [!a] match a slash, git does not
    shorter = pattern
    while shorter.endswith("/**"):
        shorter = shorter.removesuffix("/**")  # here the directory itself is covered as well
    git = pathspec.GitIgnoreSpec.from_lines([f"/{shorter}"])

    assert matches_glob(path, pattern) == git.match_file(path)


@given(path=st.lists(st.text("a*?[]!#^-\\. ", min_size=1, max_size=4), min_size=1, max_size=3), other=paths)
def test_an_escaped_path_matches_itself_and_no_other(path: list[str], other: str) -> None:
    whole = "/".join(name for name in path if name != ".") or "a"
    assert matches_glob(whole, escape_glob(whole))
    assert matches_glob(other, escape_glob(whole)) == (other == whole or other.startswith(f"{whole}/"))


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("**/" * 8 + "b", "/".join("a" * 25)),
        ("**/a/" * 12 + "b", "/".join("a" * 1000)),
        ("**/*a*/" * 12 + "b", "/".join(["aaaa"] * 300)),
        ("*a" * 12 + "b", "a" * 1000),
        ("**/" + "*a" * 12 + "b", "/".join(["a" * 300] * 4)),
        ("*[ab]?" * 12 + "c", "ab" * 500),
    ],
)
def test_patterns_that_would_be_tried_in_every_way_end_soon(pattern: str, path: str) -> None:
    """A matcher that backtracks takes minutes for the first, and years for the others."""
    assert not matches_glob(path, pattern)
