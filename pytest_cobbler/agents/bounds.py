"""The most tokens that the prompt of a request can have, before the API has counted them.

A token has at least one byte. What an earlier answer counted is known: the parts of a prompt (blocks of the
system prompt, tools, messages) that were in a counted one have no more tokens than that in all.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from typing import Any, Final

__all__ = ["KnownPrompts", "Prompt", "Unbounded"]

_OVERHEAD: Final = 4096
"""Tokens that the API itself adds: how to call tools, and the frame of each message."""

_IMAGE: Final = 5_000
"""The most tokens of an image, however few bytes it has; claude 2.1.330 knows a model with 4,784."""

_DOCUMENT: Final = 50
"""Tokens for a byte of a PDF document: its pages count as text and as images, and may be compressed."""

_REMEMBERED: Final = 128
"""Prompts that are remembered of a run: the last ones of each conversation."""

_LOCAL_TOOLS: Final = ("bash_", "text_editor_", "computer_", "memory_", "tool_search_tool_")
"""Types of tools that do not let the API fetch anything into the prompt; those of the agent have no type."""


class Unbounded(Exception):
    """The request lets the API itself add to the prompt, so that no bound is known; the text says how."""


class Prompt:
    """The parts of a request that the model reads. ``size`` is that of the others, in bytes.

    Raises:
        Unbounded: its size is unknown before it is answered.
    """

    def __init__(self, body: Mapping[str, Any]) -> None:
        self.parts: Counter[bytes] = Counter()
        self._tokens: dict[bytes, int] = {}
        _check(body)
        for part in _parts(body):
            text = json.dumps(part, sort_keys=True, ensure_ascii=False).encode("utf-8", "replace")
            digest = hashlib.sha256(text).digest()
            self.parts[digest] += 1
            self._tokens[digest] = len(text) + _media(part)

    def bound(self, known: Counter[bytes], counted: int) -> int:
        """The most tokens, if ``counted`` is the number of those of the ``known`` parts."""
        new = self.parts - known
        return counted + sum(self._tokens[part] * number for part, number in new.items())


class KnownPrompts:
    """The prompts of a run whose tokens the API has counted; agents have much in common. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: deque[tuple[str, Counter[bytes], int]] = deque(maxlen=_REMEMBERED)

    def bound(self, model: str, prompt: Prompt) -> int:
        """The most tokens of ``prompt``; models count differently."""
        with self._lock:
            known = [(parts, tokens) for name, parts, tokens in self._known if name == model]
        counts = [prompt.bound(parts, tokens) for parts, tokens in known]
        return min([prompt.bound(Counter(), _OVERHEAD), *counts])

    def learn(self, model: str, prompt: Prompt, tokens: int) -> None:
        """The API has counted ``tokens`` of ``prompt``, from the cache or not."""
        with self._lock:
            self._known.append((model, prompt.parts, tokens))


def _check(body: Mapping[str, Any]) -> None:
    for name in ("mcp_servers", "container"):
        if body.get(name):
            raise Unbounded(f"{name} runs at the API")
    for tool in _list(body.get("tools")):
        kind = tool.get("type") if isinstance(tool, dict) else None
        if isinstance(kind, str) and kind != "custom" and not kind.startswith(_LOCAL_TOOLS):
            raise Unbounded(f"the tool {kind} runs at the API")
    for block in _blocks(body):
        source = block.get("source")
        is_elsewhere = isinstance(source, dict) and source.get("type") in ("url", "file")
        if is_elsewhere or block.get("type") == "container_upload":
            raise Unbounded("the API would fetch a file")


def _parts(body: Mapping[str, Any]) -> Iterator[Any]:
    rest = dict(body)
    for name in ("system", "tools", "messages"):
        for part in _list(rest.pop(name, None)):
            yield _unmarked(part)
    for name in ("stream", "max_tokens", "metadata"):
        rest.pop(name, None)
    yield rest


def _unmarked(part: Any) -> Any:
    """A part without marks for the cache, which move on with each request and have no tokens."""
    if not isinstance(part, dict):
        return part
    part = {name: value for name, value in part.items() if name != "cache_control"}
    content = part.get("content")
    if isinstance(content, list):
        part["content"] = [_unmarked(block) for block in content]
    return part


def _media(part: Any) -> int:
    """Tokens beyond the bytes."""
    tokens = 0
    for block in _blocks({"messages": [part]}):
        kind, source = block.get("type"), block.get("source")
        if kind == "image":
            tokens += _IMAGE
        elif kind == "document" and isinstance(source, dict) and source.get("type") == "base64":
            tokens += _DOCUMENT * len(str(source.get("data")))
    return tokens


def _blocks(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The blocks of all messages, and those inside of blocks."""
    waiting = [*_list(body.get("messages")), *_list(body.get("system"))]
    while waiting:
        block = waiting.pop()
        if isinstance(block, dict):
            yield block
            waiting += _list(block.get("content"))
            source = block.get("source")
            waiting += _list(source.get("content")) if isinstance(source, dict) else []


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
