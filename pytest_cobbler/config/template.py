"""The text of a ``configuration.yaml`` with every key and its description."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import groupby
from types import MappingProxyType
from typing import Any

import yaml

from pytest_cobbler.config.keys import keys
from pytest_cobbler.config.rules import ONLY_GO

REQUIRED = "Required, and not found. "
"""Begins the comment on a key that the user has to fill in."""

_HEAD = """\
# Configuration of pytest-cobbler; written by `pytest --cobbler-init`.
# A key without a value has its default. Paths are relative to this file.
# Times are 90 (seconds), 90s, 30m or 2h; 0 means no limit.
# docs/configuration.md of pytest-cobbler describes each key.
"""


def configuration_text(
    found: Mapping[str, Any], required: Collection[str], remarks: Mapping[str, str] = MappingProxyType({})
) -> str:
    """Every key with its description and its value: the one in ``found``, else the default.

    Args:
        found: key -> value, as YAML has it.
        required: keys that the user has to fill in before anything runs.
        remarks: key -> a line about it in this project.
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
            remark = f"# {remarks[key.name]}\n" if key.name in remarks else ""
            parts.append(f"# {mark}{key.description}{allowed}\n{remark}{value}")
    return "\n".join(parts)


def _line(key: str, value: Any) -> str:
    if value is None:
        return f"{key}:\n"
    return yaml.safe_dump({key: value}, sort_keys=False, allow_unicode=True, width=float("inf"))
