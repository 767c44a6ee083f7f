"""What the tools of a gate import: a module of the tree with such a name could be imported in its place.

``python -m mypy`` looks for the modules of mypy's dependencies where it runs, and then where they are
installed. Which those are, only the image knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from pytest_cobbler.landing.gate import Gate
from pytest_cobbler.languages import Language

__all__ = ["LISTS_NEEDS", "has_tools", "read_needs"]

# For Python 3.8 or newer. Names that a badly packed distribution installs at the top are left out: they are
# directories of nearly every project, and no tool imports them.
_LIST: Final = r"""
import importlib.metadata, re

left_out = {"benchmarks", "doc", "docs", "examples", "scripts", "test", "tests"}
held, wanted, plugins = {}, {}, []

def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()

for found in importlib.metadata.distributions():
    name = plain(found.metadata["Name"] or "")
    tops = set((found.read_text("top_level.txt") or "").split())
    for file in found.files or ():
        match = re.match(r"(\w+)(?:/.*|\.[^/]*)?\.(?:py|so)$", str(file))
        tops |= {match[1]} if match else set()
    held[name] = {top for top in tops if top.isidentifier()} - left_out
    wanted[name] = {plain(re.match(r"[\w.-]*", line)[0]) for line in found.requires or ()}
    plugins += [(point.group, name) for point in found.entry_points]

for name, tops in held.items():
    for tool in sorted(tops):
        waiting = {name} | {plugin for group, plugin in plugins if group.startswith(tool)}
        needed = set()
        while waiting:
            needed |= waiting
            waiting = {other for one in waiting for other in wanted[one] if other in held} - needed
        print(tool, *sorted({top for one in needed for top in held[one]} - {tool}))
"""

LISTS_NEEDS: Final = (
    *("sh", "-c", 'python=$(command -v python3 || command -v python) && exec "$python" -I -c "$1"', "sh"),
    _LIST,
)
"""The command that prints, a line each, the modules of a tool and those that it may import."""


def has_tools(gate: Gate, language: Language) -> bool:
    """Whether the gate has commands of the project's own, which may run tools written in Python."""
    return any(step not in language.gate() for step in gate.steps)


def read_needs(lines: Iterable[bytes]) -> Mapping[str, frozenset[str]]:
    """Module of a tool -> modules that it may import, from what ``LISTS_NEEDS`` prints."""
    rows = [line.decode("utf-8", "replace").split() for line in lines]
    return {row[0]: frozenset(row[1:]) for row in rows if row}
