"""Reads the output of ``gemini --output-format stream-json``: one event per line.

Notes on the format:

* ``init`` has the id of the conversation and the name of the model;
* a ``message`` of the assistant comes in pieces; those of the user are the prompt;
* ``tool_use`` comes before a tool runs, and ``tool_result`` when it has ended;
* ``error`` is a report; ``result`` is the end, with the status and the tokens of the run. Its output does not
  have the tokens of thoughts, which are only in the total. There is no price.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from pytest_cobbler.agents.base import OnStep
from pytest_cobbler.agents.streams.base import LONGEST_TEXT, Marks
from pytest_cobbler.agents.streams.tokens import TokenReader
from pytest_cobbler.agents.troubles import Trouble, reported_trouble, unreached
from pytest_cobbler.agents.values import event_of, number_of, object_of, text_of
from pytest_cobbler.display import one_line
from pytest_cobbler.usage import Usage

__all__ = ["EVENTS", "GeminiReader", "step_of"]

EVENTS: Final = frozenset({"init", "message", "tool_use", "tool_result", "result"})
"""The types of its events, beside ``error``."""

_ARGUMENTS: Final = ("command", "file_path", "pattern", "dir_path", "path", "query", "description", "name")
_STATUS: Final = re.compile(r"(?:status:? |\"code\": ?|code: )(?P<status>[45]\d\d)\b")
_WORDS: Final = re.compile(r"\"message\": ?\"(?P<words>[^\"\\]*)")
_SHOWN: Final = re.compile(r"\[API Error: (?P<words>.*?)\](?P<limit>.*quota increase)?", re.DOTALL)
"""What it makes of an error in the end: without its status, and with advice if it is a limit."""

_CUT: Final = ("fetch failed", "terminated", "socket hang up")


class GeminiReader(TokenReader):
    """Takes a run's output and returns its result."""

    marks = Marks(
        cost=(b'"result"',), answer=(b'"message"', b'"tool_use"'), trouble=(b'"error"', b'"result"')
    )

    def __init__(self, on_step: OnStep | None = None, *, resumes: bool = False) -> None:
        super().__init__(on_step, resumes=resumes)
        self._stats: Mapping[str, object] = {}
        self._model = ""
        self._is_speaking = False
        self.answers = 0

    def _take_event(self, event: Mapping[str, object]) -> bool:
        kind = text_of(event, "type")
        speaks, self._is_speaking = self._is_speaking, False
        match kind:
            case "init":
                self.has_begun, self.is_thinking = True, True
                self.session_id = one_line(text_of(event, "session_id"))
                self._model = one_line(text_of(event, "model"))
                self.has_result, self._stats, self.failure = False, {}, ""
            case "message":
                self._take_message(event, goes_on=speaks)
            case "tool_use":
                self.answers, self.text = self.answers + 1, ""
                self.trouble, self.is_thinking = None, False
                self._on_step(step_of(event))
            case "tool_result":
                self.is_thinking = True
            case "error":
                self._take_error(text_of(event, "message"))
            case "result":
                self._take_end(event)
            case _:
                return False
        return True

    @property
    def usage(self) -> Usage:
        """The usage of the run, without its cost."""
        names = ("total_tokens", "input_tokens", "output_tokens", "cached")
        total, whole, spoken, read = (int(number_of(self._stats, name) or 0) for name in names)
        return Usage(
            turns=self.answers,
            model=self._model,
            tokens_input=max(whole - read, 0),
            tokens_output=max(total - whole, spoken),
            tokens_cache_read=read,
        )

    def _take_message(self, event: Mapping[str, object], *, goes_on: bool) -> None:
        if text_of(event, "role") != "assistant":
            return
        words = text_of(event, "content")
        self._is_speaking, self.is_thinking, self.trouble = True, False, None
        if not goes_on:
            self.answers, self.text = self.answers + 1, ""
            if step := one_line(words):
                self._on_step(step)
        self.text = (self.text + words)[:LONGEST_TEXT].encode("utf-8", "replace").decode()

    def _take_error(self, message: str) -> None:
        self.trouble = _trouble(message)
        if step := one_line(_shown(message)):
            self._on_step(step)

    def _take_end(self, event: Mapping[str, object]) -> None:
        self.has_result, self._stats, self.is_thinking = True, object_of(event.get("stats")), False
        if text_of(event, "status") != "success":
            message = text_of(object_of(event.get("error")), "message") or "the run failed"
            self.failure, self.trouble = one_line(_shown(message)), _trouble(message)


def step_of(event: Mapping[str, object]) -> str:
    """One line of text for the call of a tool."""
    name, given = text_of(event, "tool_name"), object_of(event.get("parameters"))
    shown = next((text_of(given, key) for key in _ARGUMENTS if text_of(given, key)), "")
    return one_line(f"$ {shown}" if name == "run_shell_command" else f"{name} {shown}".rstrip())


def _status(message: str) -> tuple[int, str]:
    """The status of the API's answer that a message reports, and the words of the API; 0: there is none."""
    if shown := _SHOWN.match(message):
        return (429 if shown["limit"] else 0), shown["words"]
    start = message.find("{")
    error = object_of(event_of(message[start:].encode("utf-8", "replace")).get("error")) if start >= 0 else {}
    words = text_of(error, "message")
    if code := number_of(error, "code"):
        return int(code), words or message
    found, quoted = _STATUS.search(message), _WORDS.search(message)
    return (int(found["status"]) if found else 0), (quoted["words"] if found and quoted else message)


def _shown(message: str) -> str:
    status, words = _status(message)
    return f"API error {status}: {words}" if status else words


def _trouble(message: str) -> Trouble | None:
    status, words = _status(message)
    if not status and any(cut in message for cut in _CUT):
        return unreached(one_line(words))
    return reported_trouble(status, (), words)
