"""The parts of a request to the Messages API that the model reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from pytest_cobbler.agents.bounds import Part, Prompt, Unbounded
from pytest_cobbler.agents.wires.allowing import dicts_in, list_of

__all__ = ["BELOW", "is_local", "prompt_of"]

_IMAGE: Final = 5_000
"""The most tokens of an image, however few bytes it has; claude 2.1.330 knows a model with 4,784."""

_DOCUMENT: Final = 1_100_000
"""Tokens of a PDF document: more than fit into a prompt. Its pages count as text and as images, and may be
compressed or shown many times, so that a few hundred bytes may fill any window."""

_LOCAL_TOOLS: Final = ("bash_", "text_editor_", "computer_", "memory_", "tool_search_tool_")
"""Types of tools that do not let the API fetch anything into the prompt; those of the agent have no type."""


BELOW: Final = ("content", "source")
"""Where blocks have others."""

_CLEARING: Final = "clear_"
"""How the names of edits begin that only make a prompt shorter. A summary of it costs a further answer."""

_THOUGHTS: Final = ("thinking", "redacted_thinking")

_NAMED: Final[Mapping[str, Literal["system", "frame", "message"]]] = {
    "system": "system",
    "tools": "frame",
    "messages": "message",
}


def prompt_of(body: Mapping[str, Any]) -> Prompt:
    """The prompt of a request.

    Raises:
        Unbounded: its size is unknown before it is answered.
    """
    _check(body)
    is_shortened = any(block.get("type") == "compaction" for block in _blocks(body))
    return Prompt(_parts(body), is_shortened=is_shortened)


def is_local(tool: Any) -> bool:
    """Whether a tool runs where the agent does."""
    kind = tool.get("type") if isinstance(tool, dict) else None
    return not isinstance(kind, str) or kind == "custom" or kind.startswith(_LOCAL_TOOLS)


def _check(body: Mapping[str, Any]) -> None:
    for name in ("mcp_servers", "container"):
        if body.get(name):
            raise Unbounded(f"{name} runs at the API")
    for tool in list_of(body.get("tools")):
        if not is_local(tool):
            raise Unbounded(f"the tool {tool['type']} runs at the API")
    managed = body.get("context_management")
    for edit in list_of(managed.get("edits") if isinstance(managed, dict) else None):
        kind = edit.get("type") if isinstance(edit, dict) else None
        if not str(kind).startswith(_CLEARING):
            raise Unbounded(f"the API would do {kind} with the prompt")
    for block in _blocks(body):
        source = block.get("source")
        is_elsewhere = isinstance(source, dict) and source.get("type") in ("url", "file")
        if is_elsewhere or block.get("type") == "container_upload":
            raise Unbounded("the API would fetch a file")


def _parts(body: Mapping[str, Any]) -> Iterator[Part]:
    """The parts; all that has no name of its own is one."""
    rest = dict(body)
    for name, kind in _NAMED.items():
        for value in list_of(rest.pop(name, None)):
            part = _unmarked(value)
            yield Part(
                kind=kind,
                text=_text(part),
                media=_media(part),
                thoughts=_thoughts(part),
                is_deferred=name == "tools" and isinstance(part, dict) and bool(part.get("defer_loading")),
            )
    for name in ("stream", "max_tokens", "metadata"):
        rest.pop(name, None)
    yield Part(kind="frame", text=_text(rest), media=_media(rest), thoughts=_thoughts(rest))


def _unmarked(part: Any) -> Any:
    """A part without marks for the cache, which move on with each request and have no tokens."""
    if not isinstance(part, dict):
        return part
    part = {name: value for name, value in part.items() if name != "cache_control"}
    content = part.get("content")
    if isinstance(content, list):
        part["content"] = [_unmarked(block) for block in content]
    return part


def _thoughts(message: Any) -> int:
    """Bytes of a message that the API may leave out."""
    blocks = [block for block in _blocks({"messages": [message]}) if block.get("type") in _THOUGHTS]
    return sum(len(_text(block)) for block in blocks)


def _text(part: Any) -> bytes:
    return json.dumps(part, sort_keys=True, ensure_ascii=False).encode("utf-8", "replace")


def _media(part: Any) -> int:
    """Tokens beyond the bytes."""
    tokens = 0
    for block in _blocks({"messages": [part]}):
        kind, source = block.get("type"), block.get("source")
        if kind == "image":
            tokens += _IMAGE
        elif kind == "document" and isinstance(source, dict) and source.get("type") == "base64":
            tokens += _DOCUMENT
    return tokens


def _blocks(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The blocks of all messages, and those inside of blocks."""
    return dicts_in(body.get("messages"), body.get("system"), below=BELOW)
