"""A service that says its words to everybody, for the loopback of a job."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

from pytest_cobbler.sandbox.base import Loopback

__all__ = ["ASK", "PORT", "Greeter"]

PORT = 8377
ASK = f"exec bash -c 'exec 3<>/dev/tcp/127.0.0.1/{PORT}; cat <&3'"


class Greeter:
    """Says its words to everybody who connects."""

    def __init__(self, words: str = "hello from the host") -> None:
        self._words = words.encode()
        self.listener: socket.socket | None = None
        self.ended = False

    @property
    def network(self) -> Loopback:
        return Loopback(port=PORT, serve=self.serve)

    @contextlib.contextmanager
    def serve(self, listener: socket.socket) -> Iterator[None]:
        self.listener = listener
        thread = threading.Thread(target=self._greet, args=(listener,))
        thread.start()
        try:
            yield
        finally:
            assert listener.fileno() != -1, "it is still open"
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            self.ended = True

    def _greet(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.sendall(self._words)
                connection.close()
