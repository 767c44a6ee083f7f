"""The usage of a run, read from the responses of the API as they pass the proxy.

An answer that was cut, or whose reader was killed, is counted as far as it came.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pytest_cobbler.agents.prices import PriceList, dollars
from pytest_cobbler.agents.troubles import Trouble, end_of_wait, trouble_of
from pytest_cobbler.agents.values import SNAKE, event_of, tokens_of
from pytest_cobbler.agents.wires.base import Report, Wire
from pytest_cobbler.display import one_line
from pytest_cobbler.usage import NOTHING, Usage

__all__ = ["Answer", "Meter"]

_LEAST_ERROR = 400
_LONGEST = 1024 * 1024
"""Bytes of a line; the events that report tokens are far shorter."""


class Answer:
    """One request to the API and its response, with the tokens that it has reported so far.

    ``number`` counts the requests of a run that were sent; ``status`` and ``received`` (bytes) are those of
    the response so far.
    ``is_whole``: nothing is missing. A request that was sent may cost money although its response was cut, or
    never read. ``trouble`` is why the API did not serve it, if that may concern all requests.

    Args:
        prices: the price list, by which it costs.
        wire: how the API writes it.
    """

    def __init__(self, prices: PriceList, wire: Wire) -> None:
        self._prices = prices
        self._wire = wire
        self.number = 0
        self.status = 0
        self.received = 0
        self.model = ""
        self.is_whole = False
        self.asked = datetime.now(UTC)
        self.trouble: Trouble | None = None
        self._until: datetime | None = None
        self._reported: dict[str, object] = {}
        self._has_extras = False
        self.is_shortened = False
        """Whether the API left out a part of the prompt, or counted more than one answer."""

    @property
    def usage(self) -> Usage:
        """The usage of this response, as a part of a run."""
        if not self._reported:
            return NOTHING
        cost = self.cost
        return Usage(
            attempts=0,
            turns=1,
            cost_usd=None if cost is None else dollars(cost),
            cost_is_partial=cost is not None and self._has_extras,
            model=self.model,
            **tokens_of([self._reported], SNAKE),
        )

    @property
    def counted(self) -> bool:
        """Whether the API has reported tokens."""
        return bool(self._reported)

    @property
    def is_free(self) -> bool:
        """Whether it cost nothing: the request was not sent, or the response is an error."""
        return self.is_whole and (self.status == 0 or self.status >= _LEAST_ERROR)

    @property
    def prompt_tokens(self) -> int:
        """The tokens of the prompt, cached or not."""
        return sum(tokens_of([self._reported], SNAKE, without=("tokens_output",)).values())

    @property
    def tokens(self) -> int:
        """All its tokens."""
        return sum(tokens_of([self._reported], SNAKE).values())

    @property
    def cost(self) -> int | None:
        """What it cost so far, in picodollars; ``None`` if its model has no price."""
        price = self._prices.find(self.model)
        return None if price is None else price.cost(self._reported)

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Take the head of the response. An error costs nothing."""
        self.status = status
        self.is_whole = status >= _LEAST_ERROR
        self._until = end_of_wait(headers, datetime.now(UTC))
        self.trouble = trouble_of(status, until=self._until)

    def drop(self) -> None:
        """The request was not sent."""
        self.is_whole = True

    def take_line(self, line: bytes) -> None:
        """Take one line of an event stream."""
        if not line.startswith(b"data:") or len(line) > _LONGEST:
            return
        data = line.removeprefix(b"data:").strip()
        if data == self._wire.end_of_stream:
            self.is_whole = True
        elif report := self._wire.event(event_of(data)):
            self._take(report)

    def take_body(self, body: bytes) -> None:
        """Take a response that is not a stream."""
        self.is_whole = True
        self._take(self._wire.whole(event_of(body)))

    def _take(self, report: Report) -> None:
        self.model = one_line(report.model) or self.model
        self._reported |= report.usage
        self.is_whole = self.is_whole or report.is_end
        self._has_extras = self._has_extras or report.has_extras
        self.is_shortened = self.is_shortened or report.is_shortened
        if fault := report.fault:
            until = self._until
            if until is None and fault.wait is not None:
                until = datetime.now(UTC) + timedelta(seconds=fault.wait)
            self.trouble = trouble_of(fault.status or self.status, fault.kind, fault.message, until)


class Meter:
    """Adds up the requests of one run."""

    def __init__(self) -> None:
        self._answers: list[Answer] = []
        self._last: Answer | None = None

    def ask(self, answer: Answer) -> None:
        """A request to the model is about to be sent."""
        self._answers.append(answer)

    def begin(self, answer: Answer) -> None:
        """The response to it begins."""
        self._last = answer

    @property
    def trouble(self) -> Trouble | None:
        """Why the API did not serve the last request."""
        return self._last.trouble if self._last is not None else None

    @property
    def usage(self) -> Usage:
        """The usage of the run. Its cost is a lower bound if a model has no price or a response was cut.

        Each response is a turn, and errors cost nothing. The model is the one with the most output.
        """
        total = sum((answer.usage for answer in self._answers), NOTHING)
        output: Counter[str] = Counter()
        for answer in self._answers:
            output[answer.model] += answer.usage.tokens_output + 1
        output.pop("", None)
        is_whole = all(answer.is_whole for answer in self._answers)
        counted = [answer.usage for answer in self._answers if answer.counted]
        is_known = any(usage.cost_usd is not None for usage in counted) if counted else is_whole
        cost = total.cost_usd if is_known else None
        return replace(
            total,
            attempts=1,
            cost_usd=cost,
            cost_is_partial=cost is not None and (total.cost_is_partial or not is_whole),
            model=next((model for model, _ in output.most_common(1)), ""),
        )
