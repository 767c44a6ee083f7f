"""An attack: a script that an agent could run, what it tries, what holds it, and the result."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final, Literal

__all__ = ["FAMILIES", "Attack", "Line", "Status", "attacks_of", "every_attack", "helpers"]

Status = Literal["held", "NOT HELD", "not tried"]

FAMILIES: Final = ("inside", "network", "proxy", "landing", "overlay", "measure", "session", "gate", "job")
"""The directories of ``data/attacks``; how each is tried is in the module of the same name."""

_HEAD = re.compile(r"# ([a-z ]+): (.*)")


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One script of ``data/attacks``.

    Args:
        tries: what it tries, in a few words.
        holds: what should hold it.
        like: the published scenarios that it stands for.
        forbidden: paths that must not land; only of the family landing.
        wanted: paths that must land although the script attacks; only of the family landing.
        script: for ``sh``.
    """

    family: str
    name: str
    tries: str
    holds: str
    like: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    wanted: tuple[str, ...] = ()
    script: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """The result of an attack. ``evidence`` is what the host or the script saw, or why it was not tried."""

    attack: Attack
    status: Status
    evidence: str

    @property
    def got_through(self) -> bool:
        return self.status == "NOT HELD"


def attacks_of(family: str) -> tuple[Attack, ...]:
    """The attacks of a family, by name."""
    return tuple(attack for attack in every_attack() if attack.family == family)


@functools.cache
def every_attack() -> tuple[Attack, ...]:
    """All attacks, in the order of the families."""
    return tuple(
        _read(family, file)
        for family in FAMILIES
        for file in sorted((_data() / family).iterdir(), key=lambda file: file.name)
        if file.name.endswith(".sh")
    )


def helpers() -> str:
    """The shell functions that every script may use."""
    return (_data() / "helpers.sh").read_text("utf-8")


def _read(family: str, file: Traversable) -> Attack:
    text = file.read_text("utf-8")
    head: dict[str, str] = {}
    for line in text.splitlines():
        if not (match := _HEAD.fullmatch(line)):
            break
        head[match[1]] = match[2]
    return Attack(
        family=family,
        name=file.name.removesuffix(".sh"),
        tries=head["tries"],
        holds=head["holds"],
        like=tuple(filter(None, head.get("like", "").split("; "))),
        forbidden=tuple(head.get("must not land", "").split()),
        wanted=tuple(head.get("must land", "").split()),
        script=text,
    )


def _data() -> Traversable:
    return resources.files("pytest_cobbler") / "data" / "attacks"
