"""What agents used: tokens, turns, time and money, from one run of an agent up to a whole generation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["KINDS", "NOTHING", "Usage"]

KINDS: Final = ("input", "output", "cache_read", "cache_write")
"""The kinds of tokens. ``input`` are those that were not in the cache."""

_COST: Final = "Cobbler-Cost-USD"
_PARTIAL: Final = "Cobbler-Cost-Partial"
_TOKENS: Final = {
    "input": "Cobbler-Tokens-Input",
    "output": "Cobbler-Tokens-Output",
    "cache_read": "Cobbler-Tokens-Cache-Read",
    "cache_write": "Cobbler-Tokens-Cache-Write",
}
"""Kind of tokens -> the trailer of a commit that has their number."""

_NUMBERS: Final = ("attempts", "turns", *(f"tokens_{kind}" for kind in KINDS), "cost_usd", "seconds")
"""The fields of a usage that are numbers, or unknown."""

_LONGEST_COUNT = 15
"""Digits of a count. More than that is not a count."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """The usage of one run of an agent, or the sum over several: then ``attempts`` is their number.

    ``cost_usd`` is an estimate in US dollars, ``None`` if it is unknown. In a sum it is the known part, zero
    if there is none, and ``cost_is_partial`` is set if the cost of a part is unknown: the sum is "at least"
    that much.
    ``seconds`` is ``None`` if it is unknown; in the result of an agent it is the time that the agent reports,
    in records and statistics the wall time of agent, gate and landing. ``model`` is the latest one.

    Raises:
        ValueError: a number is negative or not finite.
    """

    attempts: int = 1
    turns: int = 0
    tokens_input: int = 0
    tokens_output: int = 0
    tokens_cache_read: int = 0
    tokens_cache_write: int = 0
    cost_usd: float | None = None
    cost_is_partial: bool = False
    seconds: float | None = None
    model: str = ""

    def __post_init__(self) -> None:
        for name in _NUMBERS:
            number = getattr(self, name)
            if number is not None and not 0 <= number < math.inf:
                raise ValueError(f"{name} is {number}")

    @property
    def tokens(self) -> dict[str, int]:
        """Kind of tokens -> their number."""
        return {kind: getattr(self, f"tokens_{kind}") for kind in KINDS}

    @property
    def cost_shown(self) -> str:
        """The cost for people: ``0.2500 USD``, ``at least 0.2500 USD``; empty if no agent ran."""
        amount = self.amount_shown("at least ")
        return f"{amount} USD" if amount else ""

    def amount_shown(self, bound: str) -> str:
        """The same without the unit; ``bound`` stands before an amount of which a part is unknown."""
        if not self._was_used and not self.cost_usd:
            return ""
        return f"{bound if self._is_partial else ''}{self.cost_usd or 0.0:.4f}"

    @property
    def cached(self) -> float | None:
        """The part of the input that was read from the API's cache; ``None`` if there was no input."""
        prompts = self.tokens_input + self.tokens_cache_read + self.tokens_cache_write
        return self.tokens_cache_read / prompts if prompts else None

    @property
    def cached_shown(self) -> str:
        """The same for people: ``cached: 83 % of the input``; empty if there is no report of a cache."""
        has_cache = self.tokens_cache_read or self.tokens_cache_write
        return (
            f"cached: {math.floor(100 * self.cached)} % of the input"
            if self.cached is not None and has_cache
            else ""
        )

    @property
    def _was_used(self) -> bool:
        """Whether an agent ran. The gate alone costs nothing."""
        return bool(self.attempts or self.turns or any(self.tokens.values()) or self.cost_is_partial)

    @property
    def _is_partial(self) -> bool:
        """Whether a part of the cost is unknown, or all of it."""
        return self.cost_is_partial or (self.cost_usd is None and self._was_used)

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            attempts=self.attempts + other.attempts,
            turns=self.turns + other.turns,
            tokens_input=self.tokens_input + other.tokens_input,
            tokens_output=self.tokens_output + other.tokens_output,
            tokens_cache_read=self.tokens_cache_read + other.tokens_cache_read,
            tokens_cache_write=self.tokens_cache_write + other.tokens_cache_write,
            cost_usd=(self.cost_usd or 0.0) + (other.cost_usd or 0.0),
            cost_is_partial=self._is_partial or other._is_partial,
            seconds=_sum_of_known(self.seconds, other.seconds),
            model=other.model or self.model,
        )

    def __sub__(self, part: Usage) -> Usage:
        """The rest after ``part`` of this sum is taken out; no number falls below zero."""
        return Usage(
            attempts=max(0, self.attempts - part.attempts),
            turns=max(0, self.turns - part.turns),
            **_fields({kind: max(0, self.tokens[kind] - part.tokens[kind]) for kind in KINDS}),
            cost_usd=None if self.cost_usd is None else max(0.0, self.cost_usd - (part.cost_usd or 0.0)),
            cost_is_partial=self.cost_is_partial,
            seconds=None if self.seconds is None else max(0.0, self.seconds - (part.seconds or 0.0)),
            model=self.model,
        )

    # -- the records in the tracker

    def to_json(self) -> dict[str, object]:
        """The form in the tracker's records."""
        return {
            "duration_s": None if self.seconds is None else round(self.seconds, 1),
            "attempts": self.attempts,
            "tokens": self.tokens,
            "cost_usd": self.cost_usd,
            **({"cost_is_partial": True} if self.cost_is_partial else {}),
        }

    @classmethod
    def from_json(cls, record: Mapping[str, object]) -> Usage:
        """Read a record from the tracker; a value that is missing is zero or unknown.

        Raises:
            ValueError: a value cannot be what a record has there.
        """
        tokens = record.get("tokens", {})
        if not isinstance(tokens, Mapping):
            raise ValueError("tokens is not an object")
        return cls(
            attempts=_count_in(record, "attempts"),
            **_fields({kind: max(0, _count_in(tokens, kind)) for kind in KINDS}),
            cost_usd=_number_in(record, "cost_usd"),
            cost_is_partial=record.get("cost_is_partial") is True,
            seconds=_number_in(record, "duration_s"),
        )

    # -- the trailers of commits

    def to_trailers(self) -> dict[str, str]:
        """Name -> value of the trailers of a commit; what is unknown or zero has none."""
        is_known = self.cost_usd is not None and (self._was_used or self.cost_usd)
        cost = {_COST: f"{self.cost_usd:.6f}"} if is_known else {}
        if self.cost_is_partial:
            cost[_PARTIAL] = "true"
        return cost | {_TOKENS[kind]: str(count) for kind, count in self.tokens.items() if count}

    @classmethod
    def from_trailers(cls, trailers: Mapping[str, str]) -> Usage:
        """Read the trailers of one commit; a value that is not a number is zero or unknown."""
        return cls(
            cost_usd=_money(trailers.get(_COST, "")),
            cost_is_partial=trailers.get(_PARTIAL) == "true",
            **_fields({kind: _count(trailers.get(name, "")) for kind, name in _TOKENS.items()}),
        )


NOTHING: Final = Usage(attempts=0, cost_usd=0.0)
"""The usage of no agent at all, where a sum begins."""


def _fields(tokens: Mapping[str, int]) -> dict[str, Any]:
    return {f"tokens_{kind}": count for kind, count in tokens.items()}


def _sum_of_known(first: float | None, second: float | None) -> float | None:
    known = [value for value in (first, second) if value is not None]
    return sum(known) if known else None


def _count_in(record: Mapping[str, object], name: str) -> int:
    value = record.get(name, 0)
    if not isinstance(value, int):
        raise ValueError(f"{name} is not an integer")
    return value


def _number_in(record: Mapping[str, object], name: str) -> float | None:
    value = record.get(name)
    if value is not None and not isinstance(value, int | float):
        raise ValueError(f"{name} is not a number")
    return value


def _count(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _LONGEST_COUNT else 0


def _money(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
