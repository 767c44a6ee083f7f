"""Reads values from untrusted JSON: a value of the wrong type counts as missing."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

__all__ = [
    "CAMEL",
    "SNAKE",
    "blocks_of",
    "event_of",
    "is_object",
    "number_of",
    "object_of",
    "objects_of",
    "plain_object",
    "text_of",
    "tokens_of",
]

_LARGEST = 1e15
"""No count, sum of money or time of a run reaches this."""


def is_object(line: bytes) -> bool:
    """Whether ``line`` begins as a JSON object."""
    return line[:1] == b"{" or line.lstrip()[:1] == b"{"


def event_of(line: bytes) -> Mapping[str, object]:
    """The JSON object in ``line``; empty if the line is not a JSON object."""
    if not is_object(line):
        return {}
    try:
        return object_of(json.loads(line.decode("utf-8", "replace")))
    except (ValueError, RecursionError):
        return {}


def plain_object(text: bytes) -> dict[str, Any] | None:
    """``text`` as a JSON object that all readers read alike: no name is in one object twice. Or ``None``."""
    try:
        value = json.loads(text.decode("utf-8"), object_pairs_hook=_once, parse_constant=_refused)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a name is there twice")
    return value


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def object_of(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def objects_of(value: object) -> Mapping[str, Mapping[str, object]]:
    return {key: object_of(item) for key, item in object_of(value).items()}


def blocks_of(value: object) -> Iterator[Mapping[str, object]]:
    if isinstance(value, list):
        yield from (object_of(block) for block in value)


def text_of(event: Mapping[str, object], key: str) -> str:
    value = event.get(key)
    return value if isinstance(value, str) else ""


def number_of(event: Mapping[str, object], key: str) -> float | None:
    value = event.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if 0 <= number < _LARGEST else None


SNAKE = {
    "tokens_input": "input_tokens",
    "tokens_output": "output_tokens",
    "tokens_cache_read": "cache_read_input_tokens",
    "tokens_cache_write": "cache_creation_input_tokens",
}
CAMEL = {
    "tokens_input": "inputTokens",
    "tokens_output": "outputTokens",
    "tokens_cache_read": "cacheReadInputTokens",
    "tokens_cache_write": "cacheCreationInputTokens",
}


def tokens_of(
    usages: Collection[Mapping[str, object]], names: Mapping[str, str], without: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The fields of a ``Usage`` that count tokens."""
    return {
        ours: sum(int(number_of(usage, theirs) or 0) for usage in usages)
        for ours, theirs in names.items()
        if ours not in without
    }
