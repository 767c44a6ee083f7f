"""The description of each key, for the schema, ``--cobbler-init`` and the reference."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from pytest_cobbler.config.model import Config
from pytest_cobbler.config.podman import PodmanArguments
from pytest_cobbler.config.sections import SECTIONS
from pytest_cobbler.config.values import Allowed


@dataclass(frozen=True, kw_only=True)
class Key:
    """One key. ``default`` is the text to write for it, ``None`` if it cannot be written.

    ``allowed``: what it accepts, in words, where that is not plain from the description; else empty.
    """

    name: str
    section: str
    description: str
    default: Any
    allowed: str


def keys() -> Iterator[Key]:
    """Every key, in the model's order."""
    section = ""
    for name, field in Config.model_fields.items():
        section = SECTIONS.get(name, section)
        yield Key(
            name=name,
            section=section,
            description=field.description or "",
            default=_as_written(field.default),
            allowed=next((words.words for words in field.metadata if isinstance(words, Allowed)), ""),
        )


def _as_written(default: Any) -> Any:
    if isinstance(default, PodmanArguments):
        return []
    if isinstance(default, PurePath):
        return str(default)
    if isinstance(default, tuple):
        return shlex.join(default) if default else []
    if isinstance(default, float):  # seconds
        return f"{default / 60:g}m"
    if isinstance(default, int) and default >= 1 << 30:  # bytes
        return f"{default >> 30}g"
    return default
