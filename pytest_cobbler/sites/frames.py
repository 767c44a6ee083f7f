"""Frames on one stream of bytes between the two halves of a site, and flows of bytes within them.

Whatever may be long is a flow: it has a window, so that one that is not read holds up nothing else.
"""

from __future__ import annotations

import itertools
import json
import struct
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from pytest_cobbler.sites.channel import Stream

__all__ = [
    "ANSWER",
    "BEAT",
    "CALL",
    "CANCEL",
    "CONNECTION",
    "Flow",
    "Link",
    "LinkBroken",
]

_HEAD: Final = struct.Struct("!cII")
"""The kind of a frame, the number of a call or a flow, and the bytes that follow."""
_LARGEST: Final = 64 * 1024
_LARGEST_CALL: Final = 64 * 1024 * 1024
_WINDOW: Final = 1024 * 1024
"""Bytes of a flow that may be under way or unread."""

CALL, ANSWER, CANCEL, BEAT, CONNECTION = b"C", b"A", b"K", b"H", b"N"
_DATA, _END, _CREDIT, _RESET = b"D", b"X", b"W", b"R"


class LinkBroken(OSError):
    """The stream between the two halves has ended, or is not understood."""


class Flow:
    """Bytes in both directions. One thread reads and one writes."""

    def __init__(self, link: Link, number: int) -> None:
        self.number = number
        self._link = link
        self._changed = threading.Condition()
        self._parts: deque[bytes] = deque()
        self._unread = 0
        self._credit = _WINDOW
        self._is_over = False
        self._is_refused = False
        self._is_broken = False

    def write(self, data: bytes, /) -> None:
        """Send ``data``, as the other end takes it.

        Raises:
            LinkBroken: the stream has ended, or the other end reads no more.
        """
        view = memoryview(data)
        while view:
            with self._changed:
                self._changed.wait_for(lambda: self._credit or self._is_refused or self._is_broken)
                if self._is_refused or self._is_broken:
                    raise LinkBroken("nothing reads the flow")
                part = view[: min(self._credit, _LARGEST)]
                self._credit -= len(part)
            self._link.send(_DATA, self.number, bytes(part))
            view = view[len(part) :]

    def finish(self) -> None:
        """Send nothing more."""
        self._link.send(_END, self.number)

    def read(self) -> bytes:
        """The next bytes; empty at the end.

        Raises:
            LinkBroken: the stream has ended before.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._parts or self._is_over or self._is_broken)
            if not self._parts:
                if self._is_over:
                    return b""
                raise LinkBroken("the flow has no end")
            data = b"".join(self._parts)
            self._parts.clear()
            self._unread = 0
        self._link.send(_CREDIT, self.number, struct.pack("!I", len(data)))
        return data

    def close(self) -> None:
        """Read no more, and forget the flow."""
        self._link.forget(self.number)
        if not self._is_over and not self._is_broken:
            self._link.send(_RESET, self.number)

    # Called by the thread that reads the stream.

    def take(self, kind: bytes, data: bytes) -> None:
        with self._changed:
            if kind == _DATA:
                self._unread += len(data)
                if self._unread > _WINDOW:
                    raise LinkBroken("a flow is longer than its window")
                self._parts.append(data)
            elif kind == _CREDIT:
                self._credit = min(self._credit + int.from_bytes(data), _WINDOW)
            elif kind == _END:
                self._is_over = True
            else:
                self._is_refused = True
            self._changed.notify_all()

    def break_off(self) -> None:
        with self._changed:
            self._is_broken = True
            self._changed.notify_all()


class Link:
    """The frames of a stream.

    Args:
        take: gets each frame that does not belong to a flow, in the thread that calls ``pump``.
        first: the number of the first flow that this half makes; its others follow by two.
    """

    def __init__(self, stream: Stream, take: Callable[[bytes, int, bytes], None], first: int) -> None:
        self._stream = stream
        self._take = take
        self._sending = threading.Lock()
        self._flows: dict[int, Flow] = {}
        self._lock = threading.Lock()
        self._numbers = itertools.count(first, 2)
        self._is_broken = False

    def send(self, kind: bytes, number: int = 0, data: bytes = b"") -> None:
        """Send one frame.

        Raises:
            LinkBroken: the stream has ended.
        """
        try:
            with self._sending:
                self._stream.write(_HEAD.pack(kind, number, len(data)) + data)
        except (OSError, ValueError) as error:
            raise LinkBroken(str(error)) from error

    def send_json(self, kind: bytes, number: int, value: Any) -> None:
        """Send a call or an answer."""
        self.send(kind, number, json.dumps(value).encode())

    def flow(self, number: int | None = None) -> Flow:
        """A new flow, or the one that the other half has made."""
        with self._lock:
            flow = Flow(self, next(self._numbers) if number is None else number)
            self._flows[flow.number] = flow
            if self._is_broken:
                flow.break_off()
        return flow

    def forget(self, number: int) -> None:
        """Drop what comes for a flow from now on."""
        with self._lock:
            self._flows.pop(number, None)

    def pump(self, tick: Callable[[], bool], seconds: float, first: bytes = b"") -> None:
        """Read the stream until it ends, or until ``tick``, called each ``seconds``, returns false.

        Args:
            first: bytes of the stream that were read before.

        Raises:
            LinkBroken: it is not understood.
        """
        buffer = bytearray(first)
        try:
            self._deliver(buffer)
            while tick():
                data = self._stream.read(seconds)
                if data == b"":
                    return
                buffer += data or b""
                self._deliver(buffer)
        finally:
            self.break_off()

    def _deliver(self, buffer: bytearray) -> None:
        """Take the whole frames out of ``buffer``."""
        while len(buffer) >= _HEAD.size:
            kind, number, length = _HEAD.unpack_from(buffer)
            if length > (_LARGEST_CALL if kind in (CALL, ANSWER) else _LARGEST):
                raise LinkBroken("a frame is too long")
            if len(buffer) < _HEAD.size + length:
                return
            data = bytes(buffer[_HEAD.size : _HEAD.size + length])
            del buffer[: _HEAD.size + length]
            if kind in (_DATA, _END, _CREDIT, _RESET):
                with self._lock:
                    flow = self._flows.get(number)
                if flow:
                    flow.take(kind, data)
            else:
                self._take(kind, number, data)

    def break_off(self) -> None:
        """Wake all that wait for a flow: nothing comes any more."""
        with self._lock:
            self._is_broken = True
            flows = list(self._flows.values())
        for flow in flows:
            flow.break_off()
