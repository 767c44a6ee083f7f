"""Services of the host that no attack may reach, and the API behind the proxy, which sees what reaches it."""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from typing import Final, Self

__all__ = ["Listener", "Upstream"]

_PATIENCE: Final = 2.0
"""Seconds for a client that connects and sends nothing."""

_LARGEST: Final = 1 << 20


class Listener:
    """Keeps what its clients send, and closes the connection."""

    def __init__(self, listener: socket.socket, shown: str) -> None:
        self._listener = listener
        self.shown = shown
        self.received: list[bytes] = []
        self.connections = 0
        self._thread = threading.Thread(target=self._accept, name="cobbler-attacks", daemon=True)

    @classmethod
    def on_address(cls, address: str) -> Listener:
        listener = socket.create_server((address, 0))
        return cls(listener, "a port of the host")

    @classmethod
    def on_path(cls, path: str) -> Listener:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        return cls(listener, "a socket of the host")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A thread in accept() does not notice that its socket is closed.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(_PATIENCE)
        self._listener.close()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def name(self) -> str:
        """The name of an abstract socket."""
        return bytes(self._listener.getsockname()[1:]).decode()

    def heard(self, text: str) -> bool:
        return any(text.encode() in data for data in self.received)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            # Each client in a thread of its own: one may be slow on purpose.
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(_PATIENCE)
            data = b""
            try:
                while (
                    len(data) < _LARGEST and not self._is_complete(data) and (part := connection.recv(65536))
                ):
                    data += part
                self.received.append(data)
                connection.sendall(self._answer(data))
            except OSError:
                self.received.append(data)

    def _is_complete(self, data: bytes) -> bool:
        return b"\n" in data

    def _answer(self, request: bytes) -> bytes:
        return b"reached\n" if request else b""


class Upstream(Listener):
    """An API that answers every request with what it received, the key included."""

    def __init__(self) -> None:
        super().__init__(socket.create_server(("127.0.0.1", 0)), "the API")

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _is_complete(self, data: bytes) -> bool:
        head, end, body = data.partition(b"\r\n\r\n")
        if not end:
            return False
        lengths = [
            line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
        ]
        return not lengths or not lengths[0].strip().isdigit() or len(body) >= int(lengths[0])

    def _answer(self, request: bytes) -> bytes:
        head = [
            b"HTTP/1.1 200 OK",
            b"Content-Type: text/plain",
            b"X-Echo: " + b" ".join(request.split())[:1000],
            b"Connection: close",
            b"Content-Length: %d" % len(request),
        ]
        return b"\r\n".join([*head, b"", request])
