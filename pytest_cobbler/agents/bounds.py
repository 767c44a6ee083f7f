"""The most tokens that the prompt of a request can have, before the API has counted them.

A token has at least one byte. What an earlier answer counted is known: the parts of a prompt (blocks of the
system prompt, tools, messages) that were in a counted one have no more tokens than that in all.

The API does not count everything: it may leave out thinking of earlier turns, tools whose loading is
deferred, and what it was asked to clear. What it left out once, it may count the next time.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["KnownPrompts", "Part", "Prompt", "Unbounded"]

_OVERHEAD: Final = 4096
"""Tokens that the API itself adds: how to call tools, and the frame of each message."""

_REMEMBERED: Final = 128
"""Prompts that are remembered of a run: the last ones of each conversation."""


class Unbounded(Exception):
    """The request lets the API itself add to the prompt, so that no bound is known; the text says how."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a request that the model reads, as ``text`` in one fixed way to write it.

    ``media`` are tokens beyond its bytes, ``thoughts`` the bytes that the API may leave out. A tool that
    ``is_deferred`` is read only when it is asked for. The ``frame`` is what precedes the messages, and
    changes how they are read.
    """

    kind: Literal["system", "frame", "message"]
    text: bytes
    media: int = 0
    thoughts: int = 0
    is_deferred: bool = False


class Prompt:
    """The parts of a request that the model reads.

    Args:
        is_shortened: the API leaves out what is before a summary.
    """

    def __init__(self, parts: Iterable[Part], *, is_shortened: bool = False) -> None:
        self.parts: Counter[bytes] = Counter()
        self.is_shortened = is_shortened
        self._tokens: dict[bytes, int] = {}
        self._thoughts: dict[bytes, int] = {}
        self._frame: list[bytes] = []
        self._messages: list[bytes] = []
        self._deferred = 0
        for part in parts:
            if part.is_deferred:
                self._deferred += len(part.text)
                continue
            digest = hashlib.sha256(part.text).digest()
            self.parts[digest] += 1
            self._tokens[digest] = len(part.text) + part.media
            self._thoughts[digest] = part.thoughts
            if part.kind != "system":
                (self._messages if part.kind == "message" else self._frame).append(digest)

    def bound(self, known: Prompt | None = None, counted: int = 0) -> int:
        """The most tokens, if ``counted`` is the number of those of the ``known`` prompt."""
        new = self.parts - known.parts if known else self.parts
        tokens = counted + self._deferred + sum(self._tokens[part] * number for part, number in new.items())
        if any(part in new for part in self._frame):
            tokens += _OVERHEAD
        if known and not self._goes_on(known):
            tokens += sum(self._thoughts[part] * number for part, number in (self.parts - new).items())
        return tokens

    def _goes_on(self, known: Prompt) -> bool:
        """Whether this only adds messages, so that the API leaves out all that it left out of ``known``."""
        return self._frame == known._frame and self._messages[: len(known._messages)] == known._messages


class KnownPrompts:
    """The prompts of a run whose tokens the API has counted; agents have much in common. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: deque[tuple[str, Prompt, int]] = deque(maxlen=_REMEMBERED)

    def bound(self, model: str, prompt: Prompt) -> int:
        """The most tokens of ``prompt``; models count differently."""
        with self._lock:
            known = [(other, tokens) for name, other, tokens in self._known if name == model]
        counts = [prompt.bound(other, tokens) for other, tokens in known]
        return min([prompt.bound(), *counts])

    def learn(self, model: str, prompt: Prompt, tokens: int) -> None:
        """The API has counted ``tokens`` of ``prompt``, from the cache or not, and all of it."""
        if prompt.is_shortened:
            return
        with self._lock:
            self._known.append((model, prompt, tokens))
