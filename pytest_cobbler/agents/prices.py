"""Prices of tokens: what an answer of an API cost, and the most that a request may cost.

Money is a whole number of picodollars (10^-12 US dollars) wherever it is added up, so that sums are exact.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

import yaml

from pytest_cobbler.agents.values import number_of, object_of, text_of
from pytest_cobbler.display import escaped
from pytest_cobbler.errors import UsageProblem

__all__ = ["BUILT_IN", "FILE", "Price", "PriceList", "Rates", "dollars", "picodollars", "read_prices"]

FILE: Final = Path(__file__).parent.parent / "data" / "prices.json"
"""The built-in list, made by ``python -m tests.support.take_in_prices``.

For claude-haiku-5-5 it has five times the price above 100,000 tokens of prompt, which an earlier table
did not have. The list in the program claude 2.1.330 has the same step.
"""

_NAMES: Final = (
    *("input", "output", "cache_read", "cache_write", "cache_write_1h"),
    *("above", "fast", "web_search", "window"),
)
_REMEDY: Final = (
    "Write for each model its prices, in US dollars per million tokens:\n"
    "  my-model: {input: 3, output: 15, cache_read: 0.3, cache_write: 3.75}"
)

_PICO: Final = 10**12
_MILLION: Final = 10**6
_DATE = re.compile(r"-\d{8}$")

_US_ONLY = (11, 10)
"""The factor on all prices where the answer was computed in the United States only (``inference_geo``)."""


def picodollars(amount: float) -> int:
    return round(amount * _PICO)


def dollars(amount: int) -> float:
    return amount / _PICO


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Picodollars per token. ``cache_write`` is for five minutes, ``cache_write_1h`` for an hour."""

    input: int
    output: int
    cache_read: int
    cache_write: int
    cache_write_1h: int

    @classmethod
    def of(cls, prices: Mapping[str, object]) -> Rates:
        """Read US dollars per million tokens. Missing prices of the cache follow from that of the input.

        Raises:
            ValueError: a price is missing or not a number.
        """
        given = {field.name: prices.get(field.name) for field in fields(cls)}
        for name, price in given.items():
            is_number = number_of(given, name) is not None
            if not is_number and (price is not None or name in ("input", "output")):
                raise ValueError(f"{name} is {'missing' if price is None else 'not a price'}")
        input_price = number_of(given, "input") or 0.0
        factors = {"cache_read": 1.0, "cache_write": 1.25, "cache_write_1h": 2.0}
        known = {name: number_of(given, name) for name in given}
        return cls(
            **{
                name: round((factors.get(name, 1.0) * input_price if price is None else price) * _MILLION)
                for name, price in known.items()
            }
        )

    def dearest_input(self, cached: bool, for_an_hour: bool) -> int:
        """The most that a token of a prompt costs, if it may be written to the cache, for an hour or less."""
        written = [self.cache_write, *([self.cache_write_1h] if for_an_hour else [])] if cached else []
        return max(self.input, self.cache_read, *written)


@dataclass(frozen=True, kw_only=True)
class Price:
    """The price of one model.

    ``above``: a number of tokens, and the rates of a whole request whose prompt has more; ascending.
    ``fast``: the rates of fast mode. ``search`` is in picodollars. ``window`` is the most tokens of a prompt.
    """

    base: Rates
    above: tuple[tuple[int, Rates], ...] = ()
    fast: Rates | None = None
    search: int = 0
    window: int | None = None

    @classmethod
    def of(cls, facts: Mapping[str, object]) -> Price:
        """Read an entry of a price list.

        Raises:
            ValueError: a price is missing or not a number.
        """
        steps = facts.get("above")
        above = [object_of(step) for step in steps] if isinstance(steps, list) else []
        fast = object_of(facts.get("fast"))
        window = number_of(facts, "window")
        return cls(
            base=Rates.of(facts),
            above=tuple(sorted((_tokens(step), Rates.of(step)) for step in above)),
            fast=Rates.of(fast) if fast else None,
            search=round((number_of(facts, "web_search") or 0.0) * _PICO / 1000),
            window=int(window) if window else None,
        )

    def rates(self, prompt: int, *, fast: bool = False) -> Rates:
        """The rates of a request with ``prompt`` tokens of input, cached or not."""
        if fast and self.fast:
            return self.fast
        return next((rates for tokens, rates in reversed(self.above) if prompt > tokens), self.base)

    def cost(self, usage: Mapping[str, object]) -> int:
        """What an answer with the API's own ``usage`` cost, in picodollars."""
        read = _count(usage, "cache_read_input_tokens")
        written = _count(usage, "cache_creation_input_tokens")
        for_long = min(written, _count(object_of(usage.get("cache_creation")), "ephemeral_1h_input_tokens"))
        fresh = _count(usage, "input_tokens")
        rates = self.rates(fresh + read + written, fast=text_of(usage, "speed") == "fast")
        tokens = (
            fresh * rates.input
            + _count(usage, "output_tokens") * rates.output
            + read * rates.cache_read
            + (written - for_long) * rates.cache_write
            + for_long * rates.cache_write_1h
        )
        if text_of(usage, "inference_geo") == "us":
            tokens = with_geography(tokens)
        searches = _count(object_of(usage.get("server_tool_use")), "web_search_requests")
        return tokens + searches * self.search


def with_geography(amount: int) -> int:
    """``amount`` for an answer that may be computed in the United States only; rounded up."""
    times, by = _US_ONLY
    return -(-amount * times // by)


@dataclass(frozen=True)
class PriceList:
    """The built-in prices of models. ``own`` are those of the user, by the exact name; they come first.

    The built-in list is read when a price is looked up: most runs of a gate or a script need none.
    """

    own: Mapping[str, Price] = field(default_factory=dict)

    def find(self, model: str) -> Price | None:
        """The price of a model; ``None`` if it is unknown. A date at the end of a name is left out."""
        for name in (model, _DATE.sub("", model)):
            if name in self.own:
                return self.own[name]
        for pattern, price in _built_in() if model else ():
            if pattern.search(model):
                return price
        return None

    def cost_of(self, model: str, usage: Mapping[str, object]) -> float | None:
        """What an answer with the API's own ``usage`` cost, in US dollars; ``None`` without a price."""
        price = self.find(model)
        return None if price is None else dollars(price.cost(usage))


BUILT_IN: Final = PriceList()


def read_prices(path: Path) -> dict[str, Price]:
    """The prices in a file of a user: model -> input, output and more, as YAML or JSON.

    Raises:
        UsageProblem: the file has something else.
    """
    try:
        models = yaml.safe_load(path.read_text("utf-8"))
        if not isinstance(models, dict) or not models:
            raise ValueError("there is no model in it")
        return {str(model): _own_price(str(model), facts) for model, facts in models.items()}
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        why = escaped(" ".join(str(error).split()))
        raise UsageProblem(f"prices: {path.name}: {why}", _REMEDY) from None


def _own_price(model: str, facts: object) -> Price:
    if not isinstance(facts, dict):
        raise ValueError(f"{model} has no prices")
    if unknown := [str(name) for name in facts if name not in _NAMES]:
        raise ValueError(f"{model}: {unknown[0]} is not the name of a price")
    try:
        return Price.of(facts)
    except ValueError as error:
        raise ValueError(f"{model}: {error}") from None


@functools.cache
def _built_in() -> tuple[tuple[re.Pattern[str], Price], ...]:
    models: Iterable[dict[str, Any]] = json.loads(FILE.read_bytes())["models"]
    return tuple((re.compile(model["match"]), Price.of(model)) for model in models)


def _tokens(step: Mapping[str, object]) -> int:
    tokens = number_of(step, "tokens")
    if tokens is None:
        raise ValueError("tokens is missing")
    return int(tokens)


def _count(usage: Mapping[str, object], name: str) -> int:
    return int(number_of(usage, name) or 0)
