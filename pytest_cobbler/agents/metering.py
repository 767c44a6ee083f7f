"""The usage of a run, read from the responses of the Messages API as they pass the proxy.

A streamed response has its tokens in two places: ``message_start`` holds those of the input,
``message_delta`` the whole of the output so far. An answer that was cut, or whose reader was killed, is
counted as far as it came.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pytest_cobbler.agents.prices import cost_of
from pytest_cobbler.agents.values import SNAKE, event_of, number_of, object_of, text_of, tokens_of
from pytest_cobbler.display import one_line
from pytest_cobbler.usage import NOTHING, Usage

__all__ = ["Answer", "Meter"]

_TOO_MANY_REQUESTS = 429
_LONGEST = 1024 * 1024
"""Bytes of a line; the events that report tokens are far shorter."""


class Answer:
    """One response of the API, with the tokens that it has reported so far."""

    def __init__(self) -> None:
        self._model = ""
        self._reported: dict[str, object] = {}

    @property
    def usage(self) -> Usage:
        """The usage of this response, as a part of a run."""
        if not self._reported:
            return NOTHING
        return Usage(
            attempts=0,
            turns=1,
            cost_usd=cost_of(self._model, self._reported),
            model=self._model,
            **tokens_of([self._reported], SNAKE),
        )

    def take_line(self, line: bytes) -> None:
        """Take one line of an event stream."""
        if not line.startswith(b"data:") or len(line) > _LONGEST:
            return
        event = event_of(line.removeprefix(b"data:"))
        match text_of(event, "type"):
            case "message_start":
                message = object_of(event.get("message"))
                self._take(message, without=("output_tokens",))  # a placeholder there
            case "message_delta":
                self._take(event)
            case _:
                pass

    def take_body(self, body: bytes) -> None:
        """Take a response that is not a stream."""
        self._take(event_of(body))

    def _take(self, message: Mapping[str, object], without: tuple[str, ...] = ()) -> None:
        self._model = one_line(text_of(message, "model")) or self._model
        usage = object_of(message.get("usage"))
        for name in SNAKE.values():
            if name not in without and number_of(usage, name) is not None:
                self._reported[name] = usage[name]
        if isinstance(usage.get("cache_creation"), dict):
            self._reported["cache_creation"] = usage["cache_creation"]


class Meter:
    """Adds up the responses of one run.

    ``limit_ends``: when the limit that the last response reported ends, if it reported one.
    """

    def __init__(self) -> None:
        self._answers: list[Answer] = []
        self.limit_ends: datetime | None = None

    def answer(self, status: int, headers: Mapping[str, str]) -> Answer:
        """A new response."""
        self.limit_ends = _end_of_limit(headers) if status == _TOO_MANY_REQUESTS else None
        self._answers.append(Answer())
        return self._answers[-1]

    @property
    def usage(self) -> Usage:
        """The usage of the run. Its cost is known only if every model has a price.

        Each response is a turn. The model is the one with the most responses.
        """
        answers = [answer.usage for answer in self._answers]
        total = sum(answers, NOTHING)
        models = Counter(usage.model for usage in answers if usage.model)
        return replace(
            total,
            attempts=1,
            cost_usd=None if total.cost_is_partial else total.cost_usd,
            cost_is_partial=False,
            model=next((model for model, _ in models.most_common(1)), ""),
        )


def _end_of_limit(headers: Mapping[str, str]) -> datetime | None:
    """When a usage limit ends: the time that the API names, else now and its seconds to wait."""
    with contextlib.suppress(ValueError, OverflowError, OSError):
        if moment := headers.get("anthropic-ratelimit-unified-reset"):
            return datetime.fromtimestamp(int(moment), UTC)
        if seconds := headers.get("retry-after"):
            return datetime.now(UTC) + timedelta(seconds=float(seconds))
    return None
