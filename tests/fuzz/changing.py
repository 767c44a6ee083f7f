"""Changes of inputs: at random, to find others, and to smaller ones that still have a property."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

_NUMBERS = (0, 1, -1, 2, 10, 429, 2**31, 2**63, 10**15, 10**400, 0.5, -0.0, 1e308)
_TEXTS = ("", "\0", "\n", "\udcff", "\ud800", "\u202e", "\u2028", "/", "..", "é", "x" * 300, "9" * 20)
_MOST_CHANGES = 4

Path = tuple[Any, ...]


def changed(data: Any, pool: Sequence[Any], words: Sequence[str], source: random.Random) -> Any:
    """``data`` with a few changes; parts of the inputs in ``pool`` and ``words`` are put into it."""
    for _ in range(source.randint(1, _MOST_CHANGES)):
        place = source.choice(list(_places(data)))
        data = _put(data, place, _change(_at(data, place), pool, words, source))
    return data


def reduced(data: Any, has_property: Callable[[Any], bool], most: int) -> Any:
    """A smaller input with the property, after at most so many trials."""
    trials = 0
    found = True
    while found:
        found = False
        for smaller in _smaller(data):
            if trials == most:
                return data
            trials += 1
            if has_property(smaller):
                data, found = smaller, True
                break
    return data


def _places(data: Any, place: Path = ()) -> Iterator[Path]:
    yield place
    for key in _keys(data):
        yield from _places(data[key], (*place, key))


def _keys(data: Any) -> list[Any]:
    if isinstance(data, dict):
        return list(data)
    return list(range(len(data))) if isinstance(data, list) else []


def _at(data: Any, place: Path) -> Any:
    for key in place:
        data = data[key]
    return data


def _put(data: Any, place: Path, value: Any) -> Any:
    """A copy of ``data`` with ``value`` at ``place``."""
    if not place:
        return value
    key, *rest = place
    inner = _put(data[key], tuple(rest), value)
    if isinstance(data, dict):
        return {**data, key: inner}
    return [*data[:key], inner, *data[key + 1 :]]


def _change(value: Any, pool: Sequence[Any], words: Sequence[str], source: random.Random) -> Any:
    if pool and source.random() < 0.25:
        return _of_a_kind(value, source.choice(pool), source)
    if isinstance(value, dict):
        return _changed_object(value, pool, source)
    if isinstance(value, list):
        return _changed_list(value, source)
    if isinstance(value, str):
        return _changed_text(value, words, source)
    if isinstance(value, bool) or value is None:
        return source.choice([True, False, None, 0, "", [], {}])
    near = [value + 1, value - 1, -value, str(value), None]
    return source.choice([*_NUMBERS, *near])


def _of_a_kind(value: Any, other: Any, source: random.Random) -> Any:
    """A part of ``other``, if possible of the type of ``value``."""
    parts = [_at(other, place) for place in _places(other)]
    return source.choice([part for part in parts if type(part) is type(value)] or parts)


def _changed_object(value: dict[str, Any], pool: Sequence[Any], source: random.Random) -> Any:
    keys = list(value)
    if keys and source.random() < 0.5:
        removed = source.choice(keys)
        return {key: item for key, item in value.items() if key != removed}
    if keys and source.random() < 0.5:
        return {**value, source.choice(keys): value[source.choice(keys)]}
    other = _of_a_kind(value, source.choice(pool), source) if pool else {}
    return {**value, **other} if isinstance(other, dict) else value


def _changed_list(value: list[Any], source: random.Random) -> list[Any]:
    if not value:
        return [source.choice(["", 0, None, [], {}])]
    first, other = source.randrange(len(value)), source.randrange(len(value))
    match source.randrange(4):
        case 0:
            return value[:first] + value[first + 1 :]
        case 1:
            return [*value[:first], value[other], *value[first:]]
        case 2:
            return [*value[:first], value[other], *value[first + 1 :]]
        case _:
            return value + value[min(first, other) :]


def _changed_text(value: str, words: Sequence[str], source: random.Random) -> str:
    begin = source.randint(0, len(value))
    end = min(len(value), begin + source.choice([0, 0, 1, 2, 5, 50]))
    new = source.choice([*_TEXTS, *words, *words, value[begin:end] * 2, ""])
    return new if source.random() < 0.2 else value[:begin] + new + value[end:]


def _smaller(data: Any) -> Iterator[Any]:
    """Inputs with a part less, the largest parts first."""
    places = sorted(_places(data), key=len)
    for place in places:
        value = _at(data, place)
        for less in _less(value):
            yield _put(data, place, less)


def _less(value: Any) -> Iterator[Any]:
    if isinstance(value, list) and len(value) > 3:
        yield value[len(value) // 2 :]
        yield value[: len(value) // 2]
    if isinstance(value, dict):
        for key in list(value):
            yield {other: item for other, item in value.items() if other != key}
    elif isinstance(value, list):
        for place in range(len(value)):
            yield value[:place] + value[place + 1 :]
    elif isinstance(value, str) and value:
        for size in sorted({len(value), (len(value) + 1) // 2, (len(value) + 3) // 4}, reverse=True):
            for begin in range(0, len(value), size):
                yield value[:begin] + value[begin + size :]
