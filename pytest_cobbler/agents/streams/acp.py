"""Reads the messages of a program that speaks the Agent Client Protocol: one of JSON-RPC per line.

https://agentclientprotocol.com. Notes on the format:

* ``session/update`` has what the agent does: a piece of a message or of a thought, a tool call, its end;
* the response to ``session/prompt`` is the end of the turn, with the reason;
* a session that is loaded repeats its earlier updates before the response to ``session/load``;
* a response with an ``error`` ends the run. No message has a price, a model or, for certain, tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from pytest_cobbler.agents.base import OnStep
from pytest_cobbler.agents.prices import PriceList
from pytest_cobbler.agents.streams.base import LONGEST_TEXT, Marks
from pytest_cobbler.agents.streams.events import EventReader
from pytest_cobbler.agents.troubles import Trouble
from pytest_cobbler.agents.values import object_of, text_of
from pytest_cobbler.display import one_line
from pytest_cobbler.usage import Usage

__all__ = ["INITIALIZE", "LIST", "LOAD", "NEW", "PROMPT", "AcpReader"]

INITIALIZE: Final = "cobbler-initialize"
NEW: Final = "cobbler-new"
LIST: Final = "cobbler-list"
LOAD: Final = "cobbler-load"
PROMPT: Final = "cobbler-prompt"
"""The ids of our requests."""

_DONE: Final = "end_turn"
_REASONS: Final = {
    "max_tokens": "the limit of tokens was reached",
    "max_turn_requests": "the limit of requests was reached",
    "refusal": "the agent refused",
    "cancelled": "the turn was cancelled",
}


class AcpReader(EventReader):
    """Takes a run's output and returns its result."""

    marks = Marks(answer=(b'"session/update"',), trouble=(b'"error"',))
    waits_for_commands = False
    trouble: Trouble | None = None
    """The protocol does not tell how the API serves the program: the proxy does."""

    def __init__(self, on_step: OnStep | None = None, *, resumes: bool = False) -> None:
        super().__init__(on_step, resumes=resumes)
        self._message = ""
        self._reason = ""
        self._calls: dict[str, str] = {}
        self._is_loading = resumes
        self.answers = 0
        self.session_id = ""
        self.has_begun = False
        self.text = ""
        self.failure = ""

    def _take_event(self, event: Mapping[str, object]) -> bool:
        if text_of(event, "jsonrpc") != "2.0":
            return False
        method = text_of(event, "method")
        if method == "session/update" and not self._is_loading:
            self._take_update(object_of(object_of(event.get("params")).get("update")))
        elif method == "session/request_permission":
            call = object_of(object_of(event.get("params")).get("toolCall"))
            self._end_message()
            self._on_step(one_line(f"allowed: {text_of(call, 'title') or 'a tool'}"))
        elif not method:
            self._take_response(event)
        return True

    def _take_response(self, event: Mapping[str, object]) -> None:
        request, result = text_of(event, "id"), object_of(event.get("result"))
        self._end_message()
        if error := object_of(event.get("error")):
            self.failure, self.is_thinking = one_line(_words_of(error)), False
        elif request == INITIALIZE:
            self.has_begun = True
        elif request == NEW:
            self.session_id, self.is_thinking = one_line(text_of(result, "sessionId")), True
        elif request == LOAD:
            self._is_loading, self.is_thinking = False, True
        elif request == PROMPT:
            self._reason, self.is_thinking = text_of(result, "stopReason"), False
            if self._reason != _DONE:
                self.failure = _REASONS.get(self._reason) or f"the turn ended: {one_line(self._reason)}"

    def _take_update(self, update: Mapping[str, object]) -> None:
        kind = text_of(update, "sessionUpdate")
        if kind == "agent_message_chunk":
            self.answers, self.is_thinking = self.answers + (not self._message), False
            more = text_of(object_of(update.get("content")), "text")
            self._message = (self._message + more)[:LONGEST_TEXT]
            return
        self._end_message()
        self.is_thinking = kind != "tool_call"
        if kind in ("tool_call", "tool_call_update"):
            call, title = text_of(update, "toolCallId"), one_line(text_of(update, "title"))
            self.answers += call not in self._calls
            if title and title != self._calls.get(call):  # it comes before the arguments, and again with them
                self._on_step(title)
            self._calls[call] = title or self._calls.get(call, "")

    def _end_message(self) -> None:
        """Show the message whose pieces have all come."""
        if self._message.strip():
            self.text = self._message.encode("utf-8", "replace").decode()
            self._on_step(one_line(self.text))
        self._message = ""

    @property
    def has_result(self) -> bool:
        """No turn reports what it used."""
        return False

    @property
    def doubt(self) -> str:
        """Why the run may be incomplete although it reported no failure; empty if it is complete."""
        if not self._reason:
            return "no result"
        return "" if self.text.strip() else "the last message is empty"

    @property
    def is_done(self) -> bool:
        """Whether the turn has ended well; nothing of it goes on."""
        return self._reason == _DONE and not self.failure

    @property
    def usage(self) -> Usage:
        """The turns alone; the rest is unknown."""
        return Usage(turns=self.answers)

    def spent(self, prices: PriceList) -> tuple[Literal["usd", "tokens"], int]:  # noqa: ARG002
        """Nothing that is known."""
        return "tokens", 0


def _words_of(error: Mapping[str, object]) -> str:
    """The message of an error, with what its data adds."""
    data = error.get("data")
    more = data if isinstance(data, str) else text_of(object_of(data), "details")
    return ": ".join(filter(None, [text_of(error, "message") or "an error without a message", more]))
