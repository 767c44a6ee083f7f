"""What a request may have: everything that is not on a list could act at the API, or cost money unseen.

The names that these functions return are those that ``hosted_tools`` can allow.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from pytest_cobbler.agents.bounds import Unbounded

__all__ = [
    "camel",
    "dicts_in",
    "elsewhere",
    "is_set",
    "list_of",
    "refuse_hosted",
    "searching",
    "spelled_twice",
    "strangers",
    "unlisted",
]

_SEARCHING: Final = re.compile(r"-search\b|:online\b|deep-research|\bsonar\b")


def is_set(value: object) -> bool:
    """Whether a field asks for something: an empty list, or one that is off, does not.

    An empty object does: it is a tool with its defaults.
    """
    return value is not None and value is not False and value not in ([], "")


def unlisted(content: Mapping[str, Any], listed: Collection[str]) -> Iterator[str]:
    """The names of the fields that are set and not in the list."""
    yield from (name for name, value in content.items() if name not in listed and is_set(value))


def refuse_hosted(names: Iterator[str]) -> None:
    """See that nothing of a request acts at the API, where its cost would have no bound.

    Raises:
        Unbounded: one of these names does.
    """
    name = next(names, None)
    if name is not None:
        raise Unbounded(f"{name} acts at the API")


def list_of(value: Any) -> list[Any]:
    """``value`` as a list: a single one, or none, may stand for it."""
    return value if isinstance(value, list) else [] if value is None else [value]


def dicts_in(*values: Any, below: Collection[str]) -> Iterator[Mapping[str, Any]]:
    """The objects in ``values``, and those in their fields with a name in ``below``, at any depth."""
    waiting = [one for value in values for one in list_of(value)]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            waiting += [one for name in below if name in value for one in list_of(value[name])]


def strangers(name: str, value: Any) -> Iterator[str]:
    """``name``, if ``value`` is not an object, or a list of objects: an API may read more into it."""
    if any(not isinstance(one, dict) for one in list_of(value)):
        yield name


def searching(model: object) -> Iterator[str]:
    """The name of the search that a model makes at the API by itself; its price is not that of tokens."""
    if _SEARCHING.search(str(model).lower()):
        yield "web_search"


def elsewhere(data: object) -> bool:
    """Whether the data of a file are an address, which the API would fetch."""
    return ":" in str(data) and not str(data).startswith("data:")


def spelled_twice(content: Mapping[str, Any]) -> Iterator[str]:
    """The names that two spellings of :func:`camel` have in an object: an API may take either of them."""
    counts = Counter(map(camel, content))
    yield from (f"{name} twice" for name, count in counts.items() if count > 1)


def camel(name: str) -> str:
    """``generation_config`` as ``generationConfig``: some APIs take both."""
    first, *others = name.split("_")
    if not first or "" in others:
        return name
    return first + "".join(word[:1].upper() + word[1:] for word in others)
