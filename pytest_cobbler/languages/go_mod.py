"""Syntax checks for ``go.mod``, as many as renaming its module needs."""

from __future__ import annotations

import codecs
import re

from pytest_cobbler.errors import UsageProblem

_TOKEN = re.compile(r'//.*|"[^"]*"|`[^`]*`|[()]|(?:(?!//)[^\s()])+')
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_KNOWN = frozenset(
    {"module", "go", "toolchain", "godebug", "require", "exclude", "replace", "retract", "tool", "ignore"}
)


def check_go_mod(content: bytes) -> None:
    """Check that go can read the file.

    A directive that this module does not know is left to go, if the file names a module.

    Raises:
        UsageProblem: go cannot read it; the message has the line.
    """
    if fault := _Reader().fault(content):
        raise UsageProblem(
            f"go.mod cannot be read: {fault}", "Fix it and commit it (`go mod edit -json` reads it, too)."
        )


class _Reader:
    """Reads the lines of one ``go.mod`` and keeps what later lines depend on."""

    def __init__(self) -> None:
        self._block = ""
        self._block_start = 0
        self._modules = 0
        self._unknown_directive = ""

    def fault(self, content: bytes) -> str:
        """The first fault and its line; empty if there is none."""
        if content.startswith(codecs.BOM_UTF8):
            return "line 1: it begins with a byte order mark"
        for number, line in enumerate(content.decode("utf-8", "replace").split("\n"), 1):
            words = [word for word in _TOKEN.findall(line) if not word.startswith("//")]
            if words and (fault := _line_fault(line, words) or self._read(number, words)):
                return f"line {number}: {fault}"
        if self._block:
            return f"line {self._block_start}: the block has no end"
        return "" if self._modules else self._unknown_directive

    def _read(self, number: int, words: list[str]) -> str:
        if self._block and words == [")"]:
            self._block = ""
            return ""
        if not self._block and words[1:] == ["("]:
            self._block, self._block_start = words[0], number
            return ""
        directive = self._block or words[0]
        arguments = words if self._block else words[1:]
        if not re.fullmatch("[a-z]+", directive):
            return f"unknown directive: {directive}"
        if "(" in arguments or ")" in arguments:
            return "a parenthesis is out of place"
        if directive == "module":
            return self._read_module(arguments)
        if directive not in _KNOWN and not self._unknown_directive:
            self._unknown_directive = f"line {number}: unknown directive: {directive}"
        return ""

    def _read_module(self, arguments: list[str]) -> str:
        self._modules += 1
        if len(arguments) != 1:
            return "a module has one path"
        return "a second module" if self._modules > 1 else ""


def _line_fault(line: str, words: list[str]) -> str:
    if _CONTROL.search(line.rstrip("\r")):
        return "it holds control characters"
    if any(word[0] in '"`' and (len(word) < 2 or word[-1] != word[0]) for word in words):
        return "a quoted word has no end"
    return ""
