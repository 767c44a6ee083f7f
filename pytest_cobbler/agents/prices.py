"""Prices of tokens, to estimate the cost of runs that ended before they reported it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from pytest_cobbler.agents.values import number_of, object_of

__all__ = ["PRICES", "cost_of"]


class Price(NamedTuple):
    """US dollars per million tokens."""

    input: float
    output: float
    cache_read: float
    cache_write: float

    @property
    def long_cache_write(self) -> float:
        """The price of tokens that are cached for an hour instead of five minutes."""
        return 2 * self.input


PRICES: Final[Mapping[str, Price]] = {
    "claude-opus-5-5": Price(4, 20, 0.2, 5),
    "claude-sonnet-5-5": Price(2, 10, 0.1, 2.5),
    "claude-haiku-5-5": Price(0.1, 0.5, 0.01, 0.125),
    "claude-fable-5-2": Price(8, 40, 0.2, 10),
}
"""The list of claude 2.1.330, to which the tests compare it."""

_DATE = re.compile(r"-\d{8}$")
_MILLION = 1_000_000


def cost_of(model: str, usage: Mapping[str, object]) -> float | None:
    """What an answer with the API's own ``usage`` cost, in US dollars; ``None`` if the model has no price."""
    price = PRICES.get(_DATE.sub("", model))
    if price is None:
        return None
    written = _count(usage, "cache_creation_input_tokens")
    for_long = min(written, _count(object_of(usage.get("cache_creation")), "ephemeral_1h_input_tokens"))
    return (
        _count(usage, "input_tokens") * price.input
        + _count(usage, "output_tokens") * price.output
        + _count(usage, "cache_read_input_tokens") * price.cache_read
        + (written - for_long) * price.cache_write
        + for_long * price.long_cache_write
    ) / _MILLION


def _count(usage: Mapping[str, object], name: str) -> float:
    return number_of(usage, name) or 0.0
