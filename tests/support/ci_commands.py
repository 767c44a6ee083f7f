"""Lines that a CI system obeys if they are in the output of a job."""

from __future__ import annotations

import re
from collections.abc import Iterable

COMMANDS = (
    "::error file=a::x",
    " \t::add-mask::x",
    "\u3000\u034f::stop-commands::x",
    "##[error]x",
    "words ##vso[task.complete result=Succeeded]",
    "###teamcity[buildStop]",
)


def is_command(line: str) -> bool:
    """Whether GitHub, Azure or TeamCity would obey a line."""
    return bool(re.match(r"[^!-~]*::", line) or re.search(r"##\w*\[", line))


def commands(lines: Iterable[str]) -> list[str]:
    """The lines that are commands."""
    return [part for line in lines for part in re.split("[\r\n\u2028\x85\v\f]", line) if is_command(part)]
