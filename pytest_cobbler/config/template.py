"""The text of a ``configuration.yaml`` that has every key, each with what it means."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from pathlib import PurePath
from typing import Any

import yaml

from pytest_cobbler.config.model import Config
from pytest_cobbler.config.podman import PodmanArguments
from pytest_cobbler.config.rules import ONLY_GO

REQUIRED = "Required, and not found. "
"""Begins the comment on a key that somebody has to fill in."""

_HEAD = """\
# What pytest-cobbler is to do here; written by `pytest --cobbler-init`.
# A key with nothing behind its colon has its default. docs/configuration.md says more about each.
"""


def configuration_text(found: Mapping[str, Any], required: Collection[str]) -> str:
    """Every key with a line that says what it is, then its value: the one ``found``, else its default.

    Args:
        found: key -> value, as YAML has it.
        required: keys that somebody has to fill in before anything runs.
    """
    is_go = found.get("language") in ("go", None)
    parts = [_HEAD]
    for key, field in Config.model_fields.items():
        default = None if key in ONLY_GO and not is_go else _plain(field.default)
        mark = REQUIRED if key in required else ""
        parts.append(f"# {mark}{field.description}\n{_line(key, found.get(key, default))}")
    return "\n".join(parts)


def _line(key: str, value: Any) -> str:
    if value is None:
        return f"{key}:\n"
    return yaml.safe_dump({key: value}, sort_keys=False, allow_unicode=True, width=float("inf"))


def _plain(default: Any) -> Any:
    """A key's default as somebody would write it."""
    if isinstance(default, PodmanArguments):
        return []
    if isinstance(default, PurePath):
        return str(default)
    if isinstance(default, tuple):
        return shlex.join(default) if default else []
    if isinstance(default, float):  # seconds
        return f"{default / 60:g}m"
    return default
