"""Changes of random trees: refused by the documented rules, and by nothing else.

An input is an object: ``base`` and ``new``, path -> content of two trees (a text, or an object with ``mode``
and ``text``; null in ``new`` removes a path of the base, and paths that are missing stay as they are);
``allowed``, ``gate`` and ``never``, patterns of the policy.
"""

from __future__ import annotations

import atexit
import base64
import hashlib
import json
import os
import shutil
import tempfile
import tomllib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from pytest_cobbler.display import shown_path
from pytest_cobbler.repository.changes import Change
from pytest_cobbler.repository.checks import Policy, check_change, review_notes
from pytest_cobbler.repository.git import Git, init_bare
from tests.fuzz.target import Target, to_bytes

SECRET = "sk-ant-api03-AbC0123456789_-xyz"
LARGEST = 1_000
LINK, SUBMODULE = "120000", "160000"
_MODES = ("100644", "100755", LINK, SUBMODULE)
_MEMORY = Path("/dev/shm")
_COMMIT = "1" * 40
_LIBRARY = ("json", "re", "sys", "pytest", "os")
_NAMES = (
    *(
        "a",
        "b.py",
        "src",
        "tests",
        "README.md",
        "conftest.py",
        "CONFTEST.PY",
        "pytest.ini",
        "tox.ini",
        "x.pth",
        "é",
    ),
    *(
        "pyproject.toml",
        "PyProject.TOML",
        "package.json",
        ".gitignore",
        ".gitattributes",
        ".env",
        ".env.local",
    ),
    *(
        ".claude",
        ".github",
        "CLAUDE.md",
        "HEAD",
        "head",
        "objects",
        "refs",
        "x.log",
        "build",
        "json.py",
        "json",
        "re.so",
    ),
    *(
        "sys.pyc",
        "sitecustomize.py",
        "__init__.py",
        "requirements.txt",
        "run.sh",
        "secret",
        "..a",
        "...",
        "gitx",
        "\\",
    ),
    *(
        "\udcff",
        "\n",
        "\x1b[0m",
        "\u202e",
        ":x",
        "*",
        "[",
        "-x",
        " ",
        "git~1",
        "com1",
        "\u017fitecustomize.py",
    ),
)
_TARGETS = (
    "a",
    "..",
    "../..",
    "../src",
    "src/..",
    "/etc/passwd",
    ".git/config",
    "../.GIT/x",
    ".",
    "",
    "src/a",
    "//",
)
_PYPROJECT = '[tool.pytest.ini_options]\naddopts = "-q"\n'
_CONTENTS = (
    *(
        "",
        "x\n",
        "*.log\n",
        "build/\n",
        "/a\n",
        SECRET,
        SECRET[::-1],
        f"key = {SECRET[:20]}\n{SECRET[20:]}",
        "y" * 1_001,
    ),
    *(
        SECRET.encode().hex(),
        base64.b64encode(SECRET.encode()).decode(),
        base64.b64encode(b"x" + SECRET.encode()).decode(),
    ),
    *(_PYPROJECT, "[tool.ruff]\nx = 1\n", "[tool.pytest]\nx = 1\n", "a = [", "[project]\nname = 'x'\n", "#"),
    *(
        '{"scripts": {"install": "x"}}',
        '{"scripts": {"test": "x"}}',
        '{"name": "x"}',
        '{"scripts": 1}',
        "{",
        "[[[[",
    ),
    *("<<<<<<< HEAD\n", ">>>>>>> x\n", "* filter=lfs\n", "version https://git-lfs.github.com/spec/v1\n"),
)
_WORDS = (*_NAMES, *_TARGETS, *_CONTENTS, *_MODES, "*", "**/a", "src/**", "/")
_PATHS = st.lists(st.sampled_from(_NAMES), min_size=1, max_size=3).map("/".join) | st.sampled_from(_NAMES)
_PLAIN = st.sampled_from(_CONTENTS) | st.text(max_size=8)
_CONTENT = (
    _PLAIN
    | _PLAIN
    | st.fixed_dictionaries({"mode": st.just(LINK), "text": st.sampled_from(_TARGETS) | st.text(max_size=5)})
    | st.fixed_dictionaries({"mode": st.sampled_from(_MODES), "text": _PLAIN})
)
_PATTERNS = st.lists(_PATHS | st.sampled_from(["*", "**/a", "src/**", "**/x.log"]), max_size=1)
INPUTS = st.fixed_dictionaries(
    {
        "base": st.dictionaries(_PATHS, _CONTENT, max_size=5),
        "new": st.dictionaries(_PATHS, _CONTENT | st.none(), max_size=5),
    },
    optional={"allowed": _PATTERNS, "gate": _PATTERNS, "never": _PATTERNS},
)

Files = dict[bytes, tuple[str, bytes]]
"""Path -> mode and content."""


def run(data: Any) -> None:
    if not isinstance(data, dict):
        return
    base = files_of(data.get("base"), {})
    new = files_of(data.get("new"), base)
    policy = Policy(
        allowed=patterns_of(data.get("allowed")),
        gate=patterns_of(data.get("gate")),
        never=patterns_of(data.get("never")),
        secrets=(SECRET,),
        largest_file=LARGEST,
        marked=("src/a", "a"),
    )
    with Objects() as objects:
        change, refusals = check_change(objects.git, objects.tree(base), objects.tree(new), policy)
    changed = {path for path in base.keys() | new.keys() if base.get(path) != new.get(path)}
    assert {entry.path for entry in change.entries} == changed
    assert len(change.entries) == len(changed)
    oracle = Oracle(base, new, sorted(changed), policy)
    must, may = oracle.must(), oracle.may()
    refused = {refusal.path for refusal in refusals}
    assert must <= refused, f"not refused: {must - refused}"
    assert refused <= may, f"refused: {refused - may}: {refusals}"
    for refusal in refusals:
        assert str(refusal).isprintable()
    poisoned = {refusal.path for refusal in refusals if refusal.poisonous}
    assert oracle.too_large() <= poisoned
    if not refusals:
        check_on_disk(new, {path for path in changed if not covered(os.fsdecode(path), policy.allowed)})
        check_notes(change, policy)


# Trees


def files_of(given: Any, start: Files) -> Files:
    """``start`` with some changes, without paths that no tree can have."""
    files = dict(start)
    for name, content in given.items() if isinstance(given, dict) else ():
        path = to_bytes(name)
        if not is_possible(path):
            continue
        if content is None:
            files.pop(path, None)
            continue
        for other in [other for other in files if lies_below(other, path) or lies_below(path, other)]:
            del files[other]
        files[path] = content_of(content)
    return files


def is_possible(path: bytes) -> bool:
    """Whether ``git index-pack --strict`` lets a path in."""
    parts = path.split(b"/")
    if b"\0" in path or len(path) > 300 or not all(parts):
        return False
    return not any(part in (b".", b"..") or part.lower() in (b".git", b"git~1") for part in parts)


def lies_below(path: bytes, directory: bytes) -> bool:
    return path.startswith(directory + b"/")


def content_of(content: Any) -> tuple[str, bytes]:
    if isinstance(content, str):
        return "100644", to_bytes(content)
    if not isinstance(content, dict):
        return "100644", json.dumps(content).encode()
    mode, text = content.get("mode"), content.get("text")
    raw = to_bytes(text) if isinstance(text, str) else b""
    if mode == LINK:
        return LINK, raw.replace(b"\0", b"") or b"a"
    if mode == SUBMODULE:
        # All submodules are at the same commit, so a text would be a change that git does not see.
        return SUBMODULE, b""
    return (mode, raw) if mode in _MODES else ("100644", raw)


def patterns_of(given: Any) -> tuple[str, ...]:
    """Patterns that the configuration accepts, of characters without another meaning than * and **."""
    texts = [text for text in given if isinstance(text, str)] if isinstance(given, list) else []
    plain = [text for text in texts if text.replace("/", "").isascii() and not set(text) & set("[]!#?\\\n\0")]
    return tuple(text for text in plain if any(part not in ("", ".") for part in text.split("/")))


@cache
def repository() -> tuple[Path, Git]:
    directory = Path(tempfile.mkdtemp(prefix="cobbler-fuzz-", dir=_MEMORY if _MEMORY.is_dir() else None))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    store = directory / "store"
    (store / "pack").mkdir(parents=True)
    init_bare(directory / "git", object_format="sha1", alternates=[store])
    return store, Git(directory / "git")


class Objects:
    """Writes loose objects, and removes them at the end."""

    def __init__(self) -> None:
        self.store, self.git = repository()
        self._written: set[Path] = set()

    def __enter__(self) -> Objects:
        return self

    def __exit__(self, *exception: object) -> None:
        for path in self._written:
            path.unlink()

    def tree(self, files: Files) -> str:
        """The id of a tree with these files."""
        entries: dict[bytes, tuple[bytes, str]] = {}
        below: dict[bytes, Files] = {}
        for path, (mode, content) in files.items():
            first, _, rest = path.partition(b"/")
            if rest:
                below.setdefault(first, {})[rest] = mode, content
            else:
                name = _COMMIT if mode == SUBMODULE else self._write(b"blob", content)
                entries[first] = mode.encode() + b" " + first, name
        for first, inner in below.items():
            entries[first + b"/"] = b"40000 " + first, self.tree(inner)
        ordered = (entries[key] for key in sorted(entries))
        return self._write(b"tree", b"".join(words + b"\0" + bytes.fromhex(name) for words, name in ordered))

    def _write(self, kind: bytes, content: bytes) -> str:
        data = b"%b %d\0%b" % (kind, len(content), content)
        name = hashlib.sha1(data).hexdigest()
        path = self.store / name[:2] / name[2:]
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(zlib.compress(data, 1))
        self._written.add(path)
        return name


# What the documentation says


class Oracle:
    """The paths that have to be refused, and those that may be, by another reading of docs/safety.md."""

    def __init__(self, base: Files, new: Files, changed: Sequence[bytes], policy: Policy) -> None:
        self.base, self.new, self.changed, self.policy = base, new, changed, policy

    def must(self) -> set[str]:
        found = {shown_path(path) for path in self.changed if self._must(path)}
        if not self.too_large():
            found |= set(self._secret_paths(certain=True))
        return found

    def may(self) -> set[str]:
        found = {shown_path(path) for path in self.changed if self._must(path) or self._may(path)}
        return found | set(self._secret_paths(certain=False)) | set(self._repositories())

    def too_large(self) -> set[str]:
        return {
            shown_path(path)
            for path in self.changed
            if path in self.new and self.new[path][0] != SUBMODULE and len(self.new[path][1]) > LARGEST
        }

    def _must(self, path: bytes) -> bool:
        old, new = self.base.get(path, ("", b"")), self.new.get(path, ("", b""))
        name = os.fsdecode(path)
        if SUBMODULE in (old[0], new[0]) or (new[0] == LINK and old != new and leads_out(path, new[1])):
            return True
        if new[0] and len(new[1]) > LARGEST:
            return True
        if covered(name, self.policy.never) or (not old[0] and path.split(b"/")[-1].lower() == b".env"):
            return True
        if covered(name, self.policy.allowed):
            return False
        protected = covered(name, self.policy.gate) or covered(name, self.policy.protected)
        return protected or self._key_changed(path, old, new) or self._is_ignored(path)

    def _may(self, path: bytes) -> bool:
        """Rules with exceptions: modules, links, rules for ignoring, attributes, keys, markers."""
        new, name = self.new.get(path, ("", b"")), os.fsdecode(path)
        first = name.partition("/")[0].partition(".")[0]
        has_rules = any(other.endswith(b".gitignore") for other in self.base)
        has_attributes = any(other.endswith(b".gitattributes") for other in self.new)
        return (
            (new[0] == LINK and (b".." in new[1] or b"/" in new[1]))
            or first in _LIBRARY
            or (path not in self.base and has_rules)
            or has_attributes
            or is_marked(name, new[1])
            or not {"pyproject.toml", "package.json"}.isdisjoint(name.lower().split("/"))
            or covered(name.casefold(), self.policy.protected)
        )

    def _key_changed(self, path: bytes, old: tuple[str, bytes], new: tuple[str, bytes]) -> bool:
        """Whether pytest's tables, or the scripts that an installation runs, differ."""
        last = path.split(b"/")[-1].lower()
        if LINK in (old[0], new[0]) or last not in (b"pyproject.toml", b"package.json"):
            return last in (b"pyproject.toml", b"package.json")
        try:
            if last == b"pyproject.toml":
                return bool(tables(old[1]) != tables(new[1]))
            return bool(scripts(old) != scripts(new))
        except (ValueError, RecursionError):
            return old != new

    def _is_ignored(self, path: bytes) -> bool:
        """By the rules that are easy to say, at the root."""
        rules = self.base.get(b".gitignore", ("", b""))
        others = [other for other in self.base if other.endswith(b"/.gitignore")]
        if path in self.base or not rules[0].startswith("100") or others:
            return False
        parts = path.split(b"/")
        match rules[1]:
            case b"*.log\n":
                return any(part.endswith(b".log") for part in parts)
            case b"build/\n":
                return b"build" in parts[:-1]
            case b"/a\n":
                return parts[0] == b"a"
        return False

    def _secret_paths(self, *, certain: bool) -> Iterator[str]:
        for path in self.changed:
            mode, content = self.new.get(path, ("", b""))
            if mode and has_secret(path, certain=certain):
                yield ""
            if mode.startswith(("100", "120")) and has_secret(content, certain=certain):
                yield shown_path(path)

    def _repositories(self) -> Iterator[str]:
        for path in self.changed:
            parts = path.split(b"/")
            for number, part in enumerate(parts):
                if part.lower() in (b"head", b"objects", b"refs"):
                    yield shown_path(b"/".join(parts[:number])) or "."


def leads_out(path: bytes, target: bytes) -> bool:
    """Whether a link certainly leads out of the tree, or into a git directory."""
    place = os.path.normpath(os.path.join(b"/tree", os.path.dirname(path), target))  # noqa: PTH118, PTH120
    inside = place == b"/tree" or place.startswith(b"/tree/")
    return not inside or target.startswith(b"/") or b".git" in target.lower().split(b"/")


def covered(path: str, patterns: Sequence[str]) -> bool:
    return any(covers(pattern_parts(pattern), path.split("/")) for pattern in patterns)


@cache
def pattern_parts(pattern: str) -> tuple[str, ...]:
    return tuple(part.lower() for part in pattern.split("/") if part not in ("", "."))


def covers(pattern: Sequence[str], path: Sequence[str]) -> bool:
    if not pattern:
        return True
    if pattern[0] == "**":
        return covers(pattern[1:], path) or (bool(path) and covers(pattern, path[1:]))
    return bool(path) and fnmatchcase(path[0].lower(), pattern[0]) and covers(pattern[1:], path[1:])


def tables(content: bytes) -> Any:
    tool = tomllib.loads(content.decode()).get("tool")
    return (
        {name: table for name, table in tool.items() if name.startswith("pytest")}
        if isinstance(tool, dict)
        else {}
    )


def scripts(file: tuple[str, bytes]) -> Any:
    document = json.loads(file[1].decode()) if file[0] else {}
    found = document.get("scripts") if isinstance(document, dict) else None
    names = ("preinstall", "install", "postinstall", "prepare", "preprepare", "postprepare")
    return {name: text for name, text in found.items() if name in names} if isinstance(found, dict) else {}


def is_marked(name: str, content: bytes) -> bool:
    lines = content.splitlines() if name in ("a", "src/a") else []
    return any(line.startswith((b"<<<<<<< ", b">>>>>>> ")) for line in lines)


def has_secret(content: bytes, *, certain: bool) -> bool:
    """Whether a content has the secret as it is or in base64; otherwise, whether it has a good part of it."""
    raw = SECRET.encode()
    if certain:
        return any(
            form in content for form in (raw, raw[::-1], base64.b64encode(raw)[:-4], raw.hex().encode())
        )
    return len(content) >= len(raw)


# What was accepted, on a disk


def check_on_disk(new: Files, changed: set[bytes]) -> None:
    """Links stay inside, no module is replaced, and there is no git repository."""
    links = {path for path in changed if path in new and new[path][0] == LINK}
    tops = {path.split(b"/")[0] for path in changed if path in new}
    modules = {os.fsdecode(top).partition(".")[0] for top in tops} & set(_LIBRARY)
    if not links and not modules and not any(b"HEAD" in path for path in new):
        return
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as directory:
        root = os.fsencode(os.path.realpath(directory))
        write(root, new)
        for path in links:
            end = os.path.realpath(root + b"/" + path)
            assert end == root or end.startswith(root + b"/"), (path, end)
        for name in modules:
            found = PathFinder.find_spec(name, [os.fsdecode(root)])
            assert found is None or found.loader is None or not is_new(found.origin, root, changed), name


def is_new(origin: str | None, root: bytes, changed: set[bytes]) -> bool:
    return origin is not None and os.fsencode(origin).removeprefix(root + b"/") in changed


def write(root: bytes, files: Mapping[bytes, tuple[str, bytes]]) -> None:
    for path, (mode, content) in files.items():
        place = Path(os.fsdecode(root + b"/" + path))
        place.parent.mkdir(parents=True, exist_ok=True)
        if mode == LINK:
            os.symlink(content, os.fsencode(place))  # noqa: PTH211 - bytes
        elif mode == SUBMODULE:
            place.mkdir()
        else:
            place.write_bytes(content)


def check_notes(change: Change, policy: Policy) -> None:
    """The notes name every path that a person should see."""
    notes = review_notes(change, policy)
    patterns = (*policy.named, *policy.gate, *policy.protected)
    named = [entry.shown for entry in change.entries if covered(os.fsdecode(entry.path), patterns)]
    assert bool(notes) == bool(named) or any(not entry.shown.isascii() for entry in change.entries)
    for name in named[:10]:
        assert name in notes[0]


TARGET = Target(name="trees", inputs=INPUTS, run=run, words=_WORDS, steps=(200_000, 1_000))
