"""The clients of the proxy: their connections, and the requests that it reads."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any, Final

from aiohttp import web

from pytest_cobbler.agents.rules import Refused
from pytest_cobbler.agents.upstream import LARGEST_BODY
from pytest_cobbler.display import shown_size

__all__ = ["PATIENCE", "Server", "break_off", "invite", "length_of"]

PATIENCE: Final = 5.0
"""Seconds to wait for the end."""

_MOST_CONNECTIONS: Final = 64

_LINGERING: Final = 2.0
"""Seconds to read the rest of a refused request; otherwise a client that is sending misses the response."""

_QUIET: Final = logging.getLogger("pytest_cobbler.agents.proxy")
_QUIET.addHandler(logging.NullHandler())
_QUIET.propagate = False  # errors of a hostile client are not worth a line


class Server(web.Server):
    """Accepts connections from a listener, a limited number at a time."""

    def __init__(self, handler: Any) -> None:
        super().__init__(
            handler,
            handler_cancellation=True,
            access_log=None,
            logger=_QUIET,
            lingering_time=_LINGERING,
        )
        self._free = asyncio.Semaphore(_MOST_CONNECTIONS)

    async def accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        listener.setblocking(False)
        while True:
            await self._free.acquire()
            try:
                connection, _ = await loop.sock_accept(listener)
                await loop.connect_accepted_socket(self, connection)
            except OSError:  # perhaps too many files are open
                self._free.release()
                await asyncio.sleep(0.1)

    def connection_lost(self, handler: Any, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        self._free.release()

    async def end(self) -> None:
        for connection in self.connections:
            if connection.transport is not None:
                connection.transport.abort()  # which cancels its request
        await self.shutdown(PATIENCE)


def length_of(request: web.BaseRequest) -> int:
    """The number of bytes of the body.

    Raises:
        Refused: it is not certain, or too large.
    """
    if "Transfer-Encoding" in request.headers or "Content-Encoding" in request.headers:
        raise Refused(400, "invalid_request_error", "send the body unencoded, with a Content-Length")
    length = request.content_length
    if length is None:
        raise Refused(411, "invalid_request_error", "send a Content-Length")
    if not length:
        raise Refused(400, "invalid_request_error", "the body is empty")
    if length > LARGEST_BODY:
        raise Refused(413, "request_too_large", f"the body is larger than {shown_size(LARGEST_BODY)}")
    return length


def invite(request: web.BaseRequest) -> None:
    """Tell a client that waits for 100 Continue to send its body."""
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def break_off(request: web.BaseRequest) -> None:
    """Close the connection of a client in the middle of its answer."""
    if request.transport is not None:
        request.transport.close()  # after the data that has been written
