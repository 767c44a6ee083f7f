"""The form of ``go.mod``, as far as one must know it to name another module in it."""

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
    """See that go could read it.

    Words that are not known here are go's affair, where the file names a module.

    Raises:
        UsageProblem: it could not, with the line.
    """
    if fault := _fault(content):
        raise UsageProblem(
            f"go.mod cannot be read: {fault}", "Mend it and commit it (`go mod edit -json` reads it, too)."
        )


def _fault(content: bytes) -> str:
    if content.startswith(codecs.BOM_UTF8):
        return "line 1: it begins with a byte order mark"
    verb, opened, modules, unknown = "", 0, 0, ""
    for number, line in enumerate(content.decode("utf-8", "replace").split("\n"), 1):
        words = [word for word in _TOKEN.findall(line) if not word.startswith("//")]
        if not words:
            continue
        if _CONTROL.search(line.rstrip("\r")):
            return f"line {number}: it holds control characters"
        if any(word[0] in '"`' and (len(word) < 2 or word[-1] != word[0]) for word in words):
            return f"line {number}: a quoted word has no end"
        if verb and words == [")"]:
            verb = ""
            continue
        if not verb and words[1:] == ["("]:
            verb, opened = words[0], number
            continue
        statement = verb or words[0]
        arguments = words if verb else words[1:]
        if not re.fullmatch("[a-z]+", statement):
            return f"line {number}: unknown directive: {statement}"
        if "(" in arguments or ")" in arguments:
            return f"line {number}: a parenthesis is out of place"
        if statement == "module":
            modules += 1
            if len(arguments) != 1:
                return f"line {number}: a module has one path"
            if modules > 1:
                return f"line {number}: a second module"
        elif statement not in _KNOWN:
            unknown = unknown or f"line {number}: unknown directive: {statement}"
    if verb:
        return f"line {opened}: the block has no end"
    return "" if modules else unknown
