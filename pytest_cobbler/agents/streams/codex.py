"""Reads the output of ``codex exec --json``: one event per line.

Notes on the format:

* ``thread.started`` has the id of the conversation, which codex chooses;
* an ``item`` is something that the model did: a message, a thought, a command. A command is an item when it
  starts, and again when it has ended;
* ``error`` is a report, also of a request that codex sends again; ``turn.failed`` is the end;
* the tokens come with ``turn.completed``, at the end. They are those of the whole conversation, so those of
  one that goes on are not of this run. No event has a price, or the name of the model.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from pytest_cobbler.agents.base import OnStep
from pytest_cobbler.agents.streams.base import LONGEST_TEXT, Marks
from pytest_cobbler.agents.streams.tokens import TokenReader
from pytest_cobbler.agents.troubles import Trouble, reported_trouble, unreached
from pytest_cobbler.agents.values import blocks_of, event_of, number_of, object_of, text_of
from pytest_cobbler.display import one_line
from pytest_cobbler.usage import Usage

__all__ = ["CodexReader", "step_of"]

_STATUS = re.compile(
    r"(?:unexpected|last) status:? (?P<status>\d{3}) (?P<name>[^:]*)"
    r"(?:: (?P<words>.*?))?(?:, url: \S+)?\)?$",
    re.DOTALL,
)
_AGAIN = re.compile(r"Reconnecting\.\.\. \d+/\d+ \(")
_SHELL = re.compile(r"\S*/(?:ba|z|da)?sh -l?c ")
_CUT = ("stream disconnected", "error sending request", "connection failed", "idle timeout")
_LONGEST_COMMAND = 4_000
_TOKENS = ("input_tokens", "output_tokens", "cached_input_tokens", "cache_write_input_tokens")


class CodexReader(TokenReader):
    """Takes a run's output and returns its result.

    Args:
        model: the one that codex was told to use; no event names it.
    """

    marks = Marks(
        cost=(b'"turn.completed"',),
        answer=(b'"thread.started"', b'"item.'),
        trouble=(b'"error"', b'"turn.failed"'),
    )

    def __init__(self, on_step: OnStep | None = None, *, resumes: bool = False, model: str = "") -> None:
        super().__init__(on_step, resumes=resumes, model=model)
        self._items: set[str] = set()
        self._tokens: Mapping[str, object] = {}

    def _take_event(self, event: Mapping[str, object]) -> bool:
        match text_of(event, "type"):
            case "thread.started":
                self.has_begun = True
                self.session_id = one_line(text_of(event, "thread_id"))
            case "turn.started":
                self.has_result, self.failure, self.is_thinking = False, "", True
            case "item.started" | "item.updated" | "item.completed" as kind:
                self._take_item(object_of(event.get("item")), is_new=kind == "item.started")
            case "turn.completed":
                self.has_result, self.is_thinking = True, False
                self._tokens = object_of(event.get("usage"))
            case "turn.failed":
                self._fail(text_of(object_of(event.get("error")), "message") or "the turn failed")
            case "error":
                self._take_error(text_of(event, "message"))
            case _:
                return False
        return True

    @property
    def answers(self) -> int:
        """The number of things that the model did so far."""
        return len(self._items)

    @property
    def usage(self) -> Usage:
        """The usage of the run, without its cost; of a conversation that goes on, it is unknown."""
        known = {} if self._resumes else self._tokens
        whole, output, read, written = (int(number_of(known, name) or 0) for name in _TOKENS)
        return Usage(
            turns=self.answers,
            model=self._model,
            tokens_input=max(whole - read - written, 0),  # codex counts all of the input
            tokens_output=output,
            tokens_cache_read=read,
            tokens_cache_write=written,
        )

    def _take_item(self, item: Mapping[str, object], *, is_new: bool) -> None:
        kind = text_of(item, "type")
        if kind == "error":
            self._on_step(one_line(text_of(item, "message")))
            return
        self.trouble = None
        is_first = text_of(item, "id") not in self._items
        self._items.add(text_of(item, "id"))
        self.is_thinking = kind == "reasoning" or not (is_new or kind == "agent_message")
        if kind == "agent_message":
            self.text = text_of(item, "text")[:LONGEST_TEXT].encode("utf-8", "replace").decode()
        if is_first and (step := step_of(kind, item)):
            self._on_step(step)

    def _take_error(self, message: str) -> None:
        words = _AGAIN.sub("", message)
        self.trouble = _trouble(words)
        if words != message:
            self._on_step(one_line(f"{_shown(words)}, trying again"))

    def _fail(self, message: str) -> None:
        self.failure, self.is_thinking = one_line(_shown(message)), False
        self.trouble = _trouble(message)


def step_of(kind: str, item: Mapping[str, object]) -> str:
    """One line of text for an item; empty if there is nothing to show."""
    match kind:
        case "agent_message":
            return one_line(text_of(item, "text"))
        case "command_execution":
            return one_line(f"$ {_command(text_of(item, 'command'))}")
        case "file_change":
            paths = [text_of(change, "path") for change in blocks_of(item.get("changes"))]
            return one_line(f"edit {' '.join(paths)}")
        case "mcp_tool_call":
            return one_line(f"{text_of(item, 'server')} {text_of(item, 'tool')}")
        case "web_search":
            return one_line(f"web_search {text_of(item, 'query')}")
        case _:
            return ""


def _command(line: str) -> str:
    """The command in ``line``, without the shell that runs it."""
    line = line[:_LONGEST_COMMAND]
    if _SHELL.match(line):
        try:
            return shlex.split(line)[2]
        except (ValueError, IndexError):
            return line
    return line


def _status(message: str) -> tuple[int, str]:
    """The status of the API's answer that a message reports, and the words of the API; 0: there is none."""
    if found := _STATUS.search(message):
        return int(found["status"]), found["words"] or found["name"]
    error = object_of(event_of(message.encode("utf-8", "replace")).get("error"))
    return 0, text_of(error, "message") or message


def _shown(message: str) -> str:
    status, words = _status(message)
    return f"API error {status}: {words}" if status else words


def _trouble(message: str) -> Trouble | None:
    status, words = _status(message)
    if not status and message.startswith(_CUT):
        return unreached(one_line(words))
    return reported_trouble(status, (), words)
