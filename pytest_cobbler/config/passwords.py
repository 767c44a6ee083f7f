"""Variables that are secret, by their names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final

__all__ = ["secrets_in"]

_NAME: Final = re.compile(r"(?:key|token|secret|password|passwd|credential)s?$", re.IGNORECASE)
_PLAIN: Final = re.compile(r"[!-~]{8,}")
_NAMES_A_PLACE: Final = ("/", "{")
"""How a value begins that is a file, or that names a variable."""


def secrets_in(variables: Mapping[str, str]) -> tuple[str, ...]:
    """The values of variables such as ``MY_KEY`` and ``DB_PASSWORD``, and of such fields in JSON."""
    return tuple(dict.fromkeys(_secrets(variables)))


def _secrets(variables: Mapping[str, str]) -> Iterator[str]:
    for name, value in variables.items():
        if value.lstrip().startswith("{"):
            yield from _in_settings(value)
        elif _is_secret(name, value):
            yield value


def _in_settings(text: str) -> Iterator[str]:
    try:
        waiting = [json.loads(text)]
    except (ValueError, RecursionError):
        return
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield from (one for name, one in value.items() if _is_secret(name, one))
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _is_secret(name: str, value: object) -> bool:
    is_plain = isinstance(value, str) and _PLAIN.fullmatch(value) and not value.startswith(_NAMES_A_PLACE)
    return bool(is_plain and _NAME.search(name))
