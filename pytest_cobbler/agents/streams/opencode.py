"""Reads the output of ``opencode run --format json``: one event per line.

Notes on the format:

* every event has ``sessionID``, which opencode chooses, and most have a ``part`` of an answer;
* an answer begins with ``step_start`` and ends with ``step_finish``, which has its tokens. Its ``reason`` is
  ``tool-calls`` if the model wants to go on; there is no event for the end of a run;
* a ``tool_use`` comes when the tool has ended;
* what a sub-agent does is not in the output, and neither are its tokens;
* the cost is that of opencode's own price list, and 0 for a model that it does not know.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from pytest_cobbler.agents.base import OnStep
from pytest_cobbler.agents.streams.base import LONGEST_TEXT, Marks
from pytest_cobbler.agents.streams.tokens import TokenReader
from pytest_cobbler.agents.troubles import reported_trouble, unreached
from pytest_cobbler.agents.values import number_of, object_of, text_of
from pytest_cobbler.display import one_line
from pytest_cobbler.usage import Usage

__all__ = ["EVENTS", "OpenCodeReader", "step_of"]

EVENTS: Final = frozenset({"step_start", "step_finish", "tool_use", "text", "reasoning"})
"""The types of its events, beside ``error``."""

_GOES_ON: Final = ("tool-calls", "unknown", "")
_ARGUMENTS: Final = ("command", "filePath", "pattern", "path", "url", "query", "description", "name")


class OpenCodeReader(TokenReader):
    """Takes a run's output and returns its result.

    Args:
        model: the one that opencode was told to use; no event names it.
    """

    marks = Marks(
        cost=(b'"step_finish"',),
        answer=(b'"step_start"', b'"text"', b'"tool_use"'),
        trouble=(b'"error"',),
    )

    def __init__(self, on_step: OnStep | None = None, *, resumes: bool = False, model: str = "") -> None:
        super().__init__(on_step, resumes=resumes, model=model)
        self._tokens: Counter[str] = Counter()
        self.answers = 0

    def _take_event(self, event: Mapping[str, object]) -> bool:
        kind, part = text_of(event, "type"), object_of(event.get("part"))
        if kind == "error":
            self._fail(object_of(event.get("error")))
            return True
        if kind not in EVENTS:
            return False
        self.has_begun = True
        self.session_id = one_line(text_of(event, "sessionID"))
        self.trouble, self.failure = None, ""
        self.is_thinking = kind in ("step_start", "reasoning", "tool_use")
        match kind:
            case "step_start":
                self.answers, self.has_result, self.text = self.answers + 1, False, ""
            case "step_finish":
                self._tokens.update(_tokens(object_of(part.get("tokens"))))
                self.has_result = text_of(part, "reason") not in _GOES_ON
                self.is_thinking = not self.has_result
            case "text":
                self.text = text_of(part, "text")[:LONGEST_TEXT].encode("utf-8", "replace").decode()
        if step := step_of(kind, part):
            self._on_step(step)
        return True

    @property
    def usage(self) -> Usage:
        """The usage of the run, without its cost and that of sub-agents."""
        tokens: dict[str, Any] = dict(self._tokens)
        return Usage(turns=self.answers, model=self._model, **tokens)

    def _fail(self, error: Mapping[str, object]) -> None:
        facts = object_of(error.get("data"))
        words = text_of(facts, "message") or text_of(error, "name") or "the run failed"
        status = int(number_of(facts, "statusCode") or 0)
        self.failure = one_line(f"API error {status}: {words}" if status else words)
        self.is_thinking = self.has_result = False
        if text_of(error, "name") == "APIError" and not status:
            self.trouble = unreached(one_line(words))
        else:
            self.trouble = reported_trouble(status, (), words)


def step_of(kind: str, part: Mapping[str, object]) -> str:
    """One line of text for a part of an answer; empty if there is nothing to show."""
    if kind == "text":
        return one_line(text_of(part, "text"))
    if kind != "tool_use":
        return ""
    name = text_of(part, "tool")
    given = object_of(object_of(part.get("state")).get("input"))
    shown = next((text_of(given, key) for key in _ARGUMENTS if text_of(given, key)), "")
    return one_line(f"$ {shown}" if name == "bash" else f"{name} {shown}".rstrip())


def _tokens(tokens: Mapping[str, object]) -> dict[str, int]:
    cache = object_of(tokens.get("cache"))
    return {
        "tokens_input": int(number_of(tokens, "input") or 0),
        "tokens_output": int((number_of(tokens, "output") or 0) + (number_of(tokens, "reasoning") or 0)),
        "tokens_cache_read": int(number_of(cache, "read") or 0),
        "tokens_cache_write": int(number_of(cache, "write") or 0),
    }
