"""A transcript as a conversation that people can read: what the agent said, and what its tools did."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from pytest_cobbler.agents.streams.codex import step_of
from pytest_cobbler.agents.values import SNAKE, blocks_of, event_of, object_of, text_of, tokens_of
from pytest_cobbler.display import one_line

__all__ = ["Step", "conversation"]

Step = dict[str, Any]
"""``kind`` (text, thinking, tool, user or note) and ``text``; of a tool ``name``, ``input``, ``result``.

``time`` is in seconds since the first step, ``tokens`` those that the model was sent for it. Empty values are
left out.
"""

LONGEST: Final = 20_000
"""Characters of one text of a tool."""
MOST: Final = 5_000
"""Steps of a conversation."""

_ARGUMENTS = (
    "command",
    "file_path",
    "notebook_path",
    "pattern",
    "path",
    "url",
    "query",
    "description",
    "prompt",
)
"""Arguments that describe a tool call best, in this order."""


_TEXTS = {"agent_message": "text", "reasoning": "thinking", "error": "note"}
"""Kind of an item of codex that is only a text -> kind of the step."""


_SILENT = frozenset(
    {"stream_event", "rate_limit_event", "thread.started", "turn.started", "turn.completed"}
    | {"step_start", "step_finish", "init"}
)
"""Events without a step."""


def conversation(lines: Iterable[bytes]) -> list[Step]:
    """The steps in a transcript. Lines that are not events are what the program printed itself."""
    reader = _Reader()
    for line in lines:
        if len(reader.steps) >= MOST:
            break
        reader.feed(line)
    return [
        {name: value for name, value in step.items() if value not in ("", None, 0)} for step in reader.steps
    ]


class _Reader:
    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._began: float | None = None
        self._calls: dict[str, Step] = {}
        self._message = ""
        self._worktree = ""

    def feed(self, line: bytes) -> None:
        event = event_of(line)
        match text_of(event, "type"):
            case "assistant":
                self._take_message(event)
            case "user":
                self._take_answer(event)
            case "system":
                self._take_system(event)
            case "result":
                self._take_result(event)
            case "item.started" | "item.completed":
                self._take_item(event)
            case "text" | "reasoning" | "tool_use" if "part" in event:
                self._take_part(event, object_of(event.get("part")))
            case "message" | "tool_use" | "tool_result":
                self._take_piece(event)
            case "error":
                error = object_of(object_of(event.get("error")).get("data"))
                self._add(event, "note", one_line(text_of(event, "message") or text_of(error, "message")))
            case "turn.failed":
                self._add(
                    event, "note", one_line(f"ended: {text_of(object_of(event.get('error')), 'message')}")
                )
            case kind if kind in _SILENT:
                pass
            case _:
                self._take_output(line.decode("utf-8", "replace"))

    def _add(self, event: Mapping[str, object], kind: str, text: str, **more: object) -> Step:
        step: Step = {"kind": kind, "text": text, "time": self._time(event), **more}
        self.steps.append(step)
        return step

    def _time(self, event: Mapping[str, object]) -> float | None:
        try:
            moment = datetime.fromisoformat(text_of(event, "timestamp")).timestamp()
        except (ValueError, OverflowError):
            return None
        self._began = moment if self._began is None else self._began
        return round(max(0.0, moment - self._began), 1)

    def _take_message(self, event: Mapping[str, object]) -> None:
        message = object_of(event.get("message"))
        is_next = text_of(message, "id") != self._message  # each block of a message is an event
        self._message = text_of(message, "id")
        usage = tokens_of([object_of(message.get("usage"))], SNAKE, without=("tokens_output",))
        tokens = sum(usage.values()) if is_next else 0
        for block in blocks_of(message.get("content")):
            if text := text_of(block, "text").strip():
                self._add(event, "text", text, tokens=tokens)
            elif text := text_of(block, "thinking").strip():
                self._add(event, "thinking", text, tokens=tokens)
            elif block.get("type") == "tool_use":
                self._calls[text_of(block, "id")] = self._tool(event, block, tokens)
            else:
                continue
            tokens = 0

    def _tool(self, event: Mapping[str, object], block: Mapping[str, object], tokens: int) -> Step:
        arguments = object_of(block.get("input"))
        named = next((name for name in _ARGUMENTS if text_of(arguments, name)), "")
        rest = {name: value for name, value in arguments.items() if name != named or len(str(value)) > 200}
        return self._add(
            event,
            "tool",
            one_line(self._shown(text_of(arguments, named))),
            name=one_line(text_of(block, "name")),
            input=_cut("\n".join(f"{name}: {_plain(value)}" for name, value in rest.items())),
            tokens=tokens,
        )

    def _shown(self, text: str) -> str:
        """Paths relative to the worktree."""
        return text.replace(f"{self._worktree}/", "") if self._worktree else text

    def _take_answer(self, event: Mapping[str, object]) -> None:
        content = object_of(event.get("message")).get("content")
        if isinstance(content, str):
            self._add(event, "user", content.strip())
        for block in blocks_of(content):
            call = self._calls.get(text_of(block, "tool_use_id"))
            if call is not None:
                call["result"] = _cut(_texts(block.get("content")))
                call["failed"] = block.get("is_error") is True
            elif text := text_of(block, "text").strip():
                self._add(event, "user", text)

    def _take_system(self, event: Mapping[str, object]) -> None:
        if text_of(event, "subtype") == "init":
            self._worktree = text_of(event, "cwd")
        elif text_of(event, "subtype") == "api_retry":
            self._add(event, "note", one_line(f"the API failed: {text_of(event, 'error')}; tried again"))

    def _take_result(self, event: Mapping[str, object]) -> None:
        if text_of(event, "status") == "error":  # of gemini
            message = text_of(object_of(event.get("error")), "message")
            self._add(event, "note", one_line(f"ended: {message or 'error'}"))
        elif event.get("is_error") is True or text_of(event, "subtype") not in ("success", ""):
            self._add(
                event, "note", one_line(f"ended: {text_of(event, 'result') or text_of(event, 'subtype')}")
            )

    def _take_item(self, event: Mapping[str, object]) -> None:
        """Take what codex prints of one thing that its model did, when that begins and when it has ended."""
        item = object_of(event.get("item"))
        kind, name = text_of(item, "type"), text_of(item, "id")
        if kind in _TEXTS:
            self._add(event, _TEXTS[kind], text_of(item, "text") or text_of(item, "message"))
            return
        if name not in self._calls:
            shown = step_of(kind, item).removeprefix("$ ")
            self._calls[name] = self._add(event, "tool", shown, name=one_line(kind))
        call = self._calls[name]
        call["result"] = _cut(text_of(item, "aggregated_output"))
        call["failed"] = text_of(item, "status") == "failed"

    def _take_part(self, event: Mapping[str, object], part: Mapping[str, object]) -> None:
        """Take what opencode prints of one part of an answer; a tool has ended by then."""
        if text_of(event, "type") != "tool_use":
            kind = "text" if text_of(event, "type") == "text" else "thinking"
            self._add(event, kind, text_of(part, "text").strip())
            return
        state = object_of(part.get("state"))
        call = self._tool(event, {"name": part.get("tool"), "input": state.get("input")}, 0)
        call["result"] = _cut(text_of(state, "output") or text_of(state, "error"))
        call["failed"] = text_of(state, "status") == "error"

    def _take_piece(self, event: Mapping[str, object]) -> None:
        """Take what gemini prints: a piece of a message, or a tool that begins or has ended."""
        name, last = text_of(event, "tool_id"), self.steps[-1] if self.steps else {}
        match text_of(event, "type"):
            case "tool_use":
                block = {"name": event.get("tool_name"), "input": event.get("parameters")}
                self._calls[name] = self._tool(event, block, 0)
            case "tool_result":
                call = self._calls.get(name, {})
                call["result"] = _cut(text_of(event, "output"))
                call["failed"] = text_of(event, "status") == "error"
            case "message" if text_of(event, "role") == "assistant":
                if last.get("kind") == "text" and event.get("delta") is True:
                    last["text"] += text_of(event, "content")
                else:
                    self._add(event, "text", text_of(event, "content"))

    def _take_output(self, text: str) -> None:
        if not text.strip():
            return
        last = self.steps[-1] if self.steps else {}
        if last.get("kind") == "note" and len(last["text"]) < LONGEST:
            last["text"] += f"\n{_cut(text)}"
        else:
            self._add({}, "note", _cut(text))


def _texts(content: object) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(text_of(block, "text") for block in blocks_of(content))


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _cut(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}\n[... {len(text) - LONGEST} characters left out ...]"
