"""Which files of a package go builds for Linux: by their names and their build constraints."""

from __future__ import annotations

import platform
import re
from pathlib import PurePosixPath
from typing import Final

__all__ = ["is_built"]

# fmt: off
_SYSTEMS: Final = frozenset({
    "aix", "android", "darwin", "dragonfly", "freebsd", "hurd", "illumos", "ios", "js", "linux", "nacl",
    "netbsd", "openbsd", "plan9", "solaris", "wasip1", "windows", "zos",
})
_MACHINES: Final = frozenset({
    "386", "amd64", "amd64p32", "arm", "arm64", "arm64be", "armbe", "loong64", "mips", "mips64", "mips64le",
    "mips64p32", "mips64p32le", "mipsle", "ppc", "ppc64", "ppc64le", "riscv", "riscv64", "s390", "s390x",
    "sparc", "sparc64", "wasm",
})
# fmt: on
_MACHINE: Final = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
_TRUE: Final = frozenset({"linux", "unix", "gc", "cgo", _MACHINE})

_CONSTRAINT = re.compile(rb"^//go:build[ \t]+([^\n]*)", re.MULTILINE)
_OLD_CONSTRAINT = re.compile(rb"^//[ \t]*\+build[ \t]", re.MULTILINE)
_PACKAGE = re.compile(rb"^package[ \t]", re.MULTILINE)
_LONGEST: Final = 1000

_TAG = re.compile(r"[\w.]+")
_STEPS: Final = (
    (re.compile(r"!([01])"), lambda found: "10"[int(found[1])]),
    (re.compile(r"\(([01])\)"), lambda found: found[1]),
    (re.compile(r"(?<!!)([01])&&([01])"), lambda found: min(found[1], found[2])),
    (re.compile(r"(?<![!&])([01])\|\|([01])(?!&&)"), lambda found: max(found[1], found[2])),
)


def is_built(path: str, content: bytes) -> bool:
    """Whether go builds the file without tags of the project's own."""
    if not _fits(PurePosixPath(path).name):
        return False
    package = _PACKAGE.search(content)
    head = content[: package.start()] if package else content
    if constraint := _CONSTRAINT.search(head):
        return _holds(constraint[1].decode("utf-8", "replace"))
    return _OLD_CONSTRAINT.search(head) is None


def _fits(name: str) -> bool:
    """Whether the end of a name, such as ``_windows_test.go`` or ``_linux_arm64.go``, is that of Linux."""
    words = name.partition(".")[0].split("_")[1:]
    if words and words[-1] == "test":
        words.pop()
    machine = words.pop() if words and words[-1] in _MACHINES else _MACHINE
    system = words.pop() if words and words[-1] in _SYSTEMS else "linux"
    return machine == _MACHINE and system == "linux"


def _holds(expression: str) -> bool:
    """Whether a constraint such as ``linux && !cgo`` is true; one that cannot be read is not."""
    text = "".join(_TAG.sub(lambda tag: str(int(_is_true(tag[0]))), expression).split())
    before = ""
    while text != before and len(text) <= _LONGEST:
        before = text
        for pattern, replacement in _STEPS:
            text = pattern.sub(replacement, text)
    return text == "1"


def _is_true(tag: str) -> bool:
    return tag in _TRUE or re.fullmatch(r"go1\.\d+", tag) is not None
