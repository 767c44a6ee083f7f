"""Reads the output of claude with ``--output-format stream-json``: one event per line, as JSON.

Notes on the format:

* a run may have several ``result`` events (one for each wake-up by a background task): the last one counts;
  its cost and ``modelUsage`` are totals, its turns, tokens and time are its own; the same result again, as
  from a program that copies its output, is not another one;
* in a conversation that goes on, these totals include those of earlier runs. What each result adds to them is
  in ``model_usage_since_last_result``;
* ``"subtype": "success"`` does not mean success: failures of the API have it too, with ``is_error``;
* a killed run has no result, and a run killed while it writes ends with half a line;
* ``output_tokens`` of ``assistant`` events are a placeholder.

Lines that are not an event of a known type are kept as log text. No input makes the reader raise.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

from pytest_cobbler.agents.base import OnStep
from pytest_cobbler.agents.prices import PriceList, picodollars
from pytest_cobbler.agents.streams.base import LONGEST_TEXT, Marks
from pytest_cobbler.agents.streams.events import EventReader
from pytest_cobbler.agents.troubles import Trouble, reported_trouble, trouble_of, unreached
from pytest_cobbler.agents.values import (
    CAMEL,
    SNAKE,
    blocks_of,
    number_of,
    object_of,
    objects_of,
    text_of,
    tokens_of,
)
from pytest_cobbler.display import one_line
from pytest_cobbler.usage import Usage

__all__ = ["ClaudeReader"]

_RESET_IN_TEXT = re.compile(r"limit reached\|(\d{10})\b")
_API_ERROR_PREFIX = re.compile(r"^API Error:?\s*(\d{3}\b)?:?\s*", re.IGNORECASE)

_TELLING = ("file_path", "notebook_path", "command", "pattern", "path", "url", "query", "description")
"""Arguments that describe a tool call best, in this order."""

_ADDED = "model_usage_since_last_result"
_SILENT = "the last message is empty"
_COMMAND = "local_bash"
"""The type of a command in the background."""

_FAILURES = {
    "error_max_turns": "max turns reached",
    "error_max_budget_usd": "budget reached",
    "error_max_structured_output_retries": "no valid structured output",
    "error_during_execution": "error during execution",
}


class ClaudeReader(EventReader):
    """Takes a run's output and returns its result."""

    marks = Marks(
        cost=(b'"usage"', b'"total_cost_usd"'),
        answer=(b'"init"', b'"assistant"'),
        trouble=(b'"api_retry"', b'"result"'),
    )

    def __init__(self, on_step: OnStep | None = None, *, resumes: bool = False) -> None:
        super().__init__(on_step, resumes=resumes)
        self._init: Mapping[str, object] = {}
        self._message_usage: dict[str, Mapping[str, object]] = {}
        self._last_message = ""
        self._error_kind = ""
        self._trouble: Trouble | None = None
        self._rejection: Mapping[str, object] = {}
        self._result: Mapping[str, object] | None = None
        self._results: dict[str, Mapping[str, object]] = {}
        self._is_over = False
        self._background: list[str] = []

    def _take_event(self, event: Mapping[str, object]) -> bool:
        match text_of(event, "type"):
            case "system":
                self._take_system(event)
            case "assistant":
                self._is_over = False
                self._take_message(event)
            case "result":
                self._take_result(event)
            case "rate_limit_event":
                self._take_rate_limit(event)
            case "user":
                self.is_thinking, self.thought = True, 0
            case "stream_event":
                pass
            case _:
                return False
        return True

    @property
    def session_id(self) -> str:
        return one_line(text_of(self._result or {}, "session_id") or text_of(self._init, "session_id"))

    @property
    def has_result(self) -> bool:
        """Whether the run reported its result and cost."""
        return self._result is not None

    @property
    def text(self) -> str:
        """The agent's last message."""
        text = text_of(self._result or {}, "result") or self._last_message
        return text[:LONGEST_TEXT].encode("utf-8", "replace").decode()

    @property
    def failure(self) -> str:
        """The error of the last result, in one line; empty if it has none."""
        return one_line(_failure(self._result)) if self._result is not None else ""

    @property
    def doubt(self) -> str:
        """Why the run may be incomplete although it reported no failure; empty if it is complete."""
        if self._result is None:
            return "no result"
        if not self._message_usage and "terminal_reason" not in self._result:
            return "the model was not asked: the prompt ran as a local command"
        return "" if text_of(self._result, "result").strip() else _SILENT

    @property
    def is_done(self) -> bool:
        """Whether the last event of a turn reported success, and nothing is running that starts another turn.

        The last message may be empty.
        """
        return self._has_succeeded and not self._background

    @property
    def waits_for_commands(self) -> bool:
        """As ``is_done``, but commands are running in the background, such as a server that never ends.

        A sub-agent in the background may still change files.
        """
        return self._has_succeeded and {*self._background} == {_COMMAND}

    @property
    def _has_succeeded(self) -> bool:
        return self._is_over and not self.failure and self.doubt in ("", _SILENT)

    @property
    def has_begun(self) -> bool:
        """Whether the program has reported its start."""
        return bool(self._init)

    @property
    def answers(self) -> int:
        """The number of answers of the model so far."""
        return len(self._message_usage)

    @property
    def trouble(self) -> Trouble | None:
        """Why the API does not serve the program, by its last report: while it tries again, or at its end."""
        if self._result is None:
            return self._trouble
        if not self.failure:
            return None
        result, status = self._result, self._result.get("api_error_status")
        kinds = (text_of(result, "api_error_type"), self._error_kind, text_of(result, "api_error"))
        number = status if type(status) is int else 0
        return reported_trouble(number, kinds, _explanation(result), self._end_of_limit)

    @property
    def _end_of_limit(self) -> datetime | None:
        in_text = _RESET_IN_TEXT.search(self.text[:1000])
        return _moment(in_text[1] if in_text else self._rejection.get("resetsAt"))

    def spent(self, prices: PriceList) -> tuple[Literal["usd", "tokens"], int]:
        """What the run says that it spent so far, in picodollars; in tokens if there is no price."""
        if (cost := self._cost) is not None:
            return "usd", picodollars(cost)
        messages = self._message_usage.values()
        if price := prices.find(self._model):
            return "usd", sum(price.cost(usage) for usage in messages)
        return "tokens", sum(self.usage.tokens.values())

    @property
    def usage(self) -> Usage:
        """The usage of the run; without a result, its minimum."""
        if self._result is None:
            return Usage(
                turns=len(self._message_usage),
                model=self._model,
                **tokens_of(self._message_usage.values(), SNAKE, without=("tokens_output",)),
            )
        results = self._results.values()
        per_model = self._parts if self._resumes else objects_of(self._result.get("modelUsage")).values()
        usages = [object_of(result.get("usage")) for result in results]
        return Usage(
            turns=sum(int(number_of(result, "num_turns") or 0) for result in results),
            cost_usd=self._cost,
            seconds=sum(number_of(result, "duration_ms") or 0.0 for result in results) / 1000 or None,
            model=self._model,
            **(tokens_of(per_model, CAMEL) if per_model else tokens_of(usages, SNAKE)),
        )

    @property
    def _parts(self) -> list[Mapping[str, object]]:
        """What each result of a run that resumes adds to the usage of each model."""
        return [
            usage for result in self._results.values() for usage in objects_of(result.get(_ADDED)).values()
        ]

    @property
    def _cost(self) -> float | None:
        """What the run reports that it cost."""
        if not self._resumes or self._result is None:
            return number_of(self._result or {}, "total_cost_usd")
        if not any(_ADDED in result for result in self._results.values()):
            return None  # a total that includes earlier runs
        return sum(number_of(usage, "costUSD") or 0.0 for usage in self._parts)

    @property
    def _model(self) -> str:
        """The model that did most of the work: the one asked for, unless a fallback took over."""
        asked = text_of(self._init, "model")
        per_model = objects_of((self._result or {}).get("modelUsage"))
        if asked in per_model or not per_model:
            return one_line(asked)
        return one_line(max(per_model, key=lambda name: number_of(per_model[name], "costUSD") or 0.0))

    def _take_system(self, event: Mapping[str, object]) -> None:
        match text_of(event, "subtype"):
            case "init":
                self._is_over = False
                self.is_thinking = True
                self._init = event
            case "thinking_tokens":
                self.is_thinking = True
                self.thought = int(number_of(event, "estimated_tokens") or 0)
            case "background_tasks_changed":
                self._background = [text_of(task, "task_type") for task in blocks_of(event.get("tasks"))]
            case "api_retry":
                self._trouble = _retried(event)
                self._on_step(_retry_step(event))
            case _:
                pass

    def _take_message(self, event: Mapping[str, object]) -> None:
        message = object_of(event.get("message"))
        self._error_kind = text_of(event, "error")
        if not self._error_kind and message.get("model") != "<synthetic>":
            self._trouble = None
            self._message_usage[text_of(message, "id")] = object_of(message.get("usage"))
        blocks = list(blocks_of(message.get("content")))
        self.is_thinking = any(block.get("type") == "thinking" for block in blocks)
        for block in blocks:
            if text := text_of(block, "text").strip():
                self._last_message = text
                self._on_step(one_line(text))
            elif block.get("type") == "tool_use":
                self._on_step(self._tool_step(block))

    def _tool_step(self, block: Mapping[str, object]) -> str:
        name = text_of(block, "name")
        arguments = object_of(block.get("input"))
        argument = next((text for key in _TELLING if (text := text_of(arguments, key))), "")
        worktree = text_of(self._init, "cwd")
        return one_line(f"{name} {argument.replace(worktree + '/', '') if worktree else argument}")

    def _take_result(self, event: Mapping[str, object]) -> None:
        self._result = event
        self._is_over = True
        identity = text_of(event, "uuid") or json.dumps(event, sort_keys=True)
        self._results[hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()] = {
            name: event[name] for name in ("num_turns", "duration_ms", "usage", _ADDED) if name in event
        }

    def _take_rate_limit(self, event: Mapping[str, object]) -> None:
        information = object_of(event.get("rate_limit_info"))
        self._rejection = information if information.get("status") == "rejected" else {}


def _retry_step(event: Mapping[str, object]) -> str:
    status = event.get("error_status")
    error = f"API error {status}" if type(status) is int else "API error"
    seconds = (number_of(event, "retry_delay_ms") or 0.0) / 1000
    return one_line(f"{error} ({text_of(event, 'error')}), next try in {seconds:.0f} s")


def _retried(event: Mapping[str, object]) -> Trouble | None:
    """The trouble after which claude tries again. Without a status, it did not reach the API."""
    status, kind = event.get("error_status"), text_of(event, "error")
    return trouble_of(status, kind) if type(status) is int else unreached(one_line(kind))


def _failure(result: Mapping[str, object]) -> str:
    subtype = text_of(result, "subtype")
    reason = text_of(result, "terminal_reason")
    explanation = _API_ERROR_PREFIX.sub("", _explanation(result))
    status = result.get("api_error_status")
    if reason.startswith("aborted"):
        return "interrupted"
    if result.get("stop_reason") == "refusal":
        return _joined("the model refused", explanation)
    if type(status) is int:
        return _joined(f"API error {status}", explanation)
    if reason == "api_error":
        return _joined("API error", explanation)
    if subtype in _FAILURES:
        return _joined(_FAILURES[subtype], explanation)
    if subtype != "success" or result.get("is_error"):
        return _joined("error" if subtype == "success" else subtype or "error", explanation or reason)
    return "" if reason in ("", "completed") else f"ended early: {reason}"


def _explanation(result: Mapping[str, object]) -> str:
    errors = result.get("errors")
    messages = [error for error in errors if isinstance(error, str)] if isinstance(errors, list) else []
    return text_of(result, "result") or "; ".join(messages) or text_of(result, "api_error")


def _joined(cause: str, detail: str) -> str:
    return f"{cause}: {detail}" if detail else cause


def _moment(seconds: object) -> datetime | None:
    """The time that is ``seconds`` after 1970; ``None`` if the value is invalid."""
    try:
        return datetime.fromtimestamp(float(seconds), UTC)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, OSError):
        return None
