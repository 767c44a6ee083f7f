"""The text of a ``configuration.yaml`` that has every key, each with what it means."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import groupby
from typing import Any

import yaml

from pytest_cobbler.config.keys import keys
from pytest_cobbler.config.rules import ONLY_GO

REQUIRED = "Required, and not found. "
"""Begins the comment on a key that somebody has to fill in."""

_HEAD = """\
# What pytest-cobbler is to do here; written by `pytest --cobbler-init`.
# A key with nothing behind its colon has its default. Paths are relative to this file.
# Times are 90 (seconds), 90s, 30m or 2h; 0 is no limit.
# docs/configuration.md of pytest-cobbler says more about each key.
"""


def configuration_text(found: Mapping[str, Any], required: Collection[str]) -> str:
    """Every key with a line that says what it is, then its value: the one ``found``, else its default.

    Args:
        found: key -> value, as YAML has it.
        required: keys that the user has to fill in before anything runs.
    """
    is_go = found.get("language") in ("go", None)
    parts = [_HEAD]
    for section, of_section in groupby(keys(), key=lambda key: key.section):
        parts.append(f"\n# ---- {section} ----\n")
        for key in of_section:
            default = None if key.name in ONLY_GO and not is_go else key.default
            mark = REQUIRED if key.name in required else ""
            allowed = f" Allowed: {key.allowed}." if key.allowed else ""
            value = _line(key.name, found.get(key.name, default))
            parts.append(f"# {mark}{key.description}{allowed}\n{value}")
    return "\n".join(parts)


def _line(key: str, value: Any) -> str:
    if value is None:
        return f"{key}:\n"
    return yaml.safe_dump({key: value}, sort_keys=False, allow_unicode=True, width=float("inf"))
