"""A program in a job that asks the API, as the proxy sees it."""

from __future__ import annotations

import contextlib
import http.client
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from typing import Any


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Message
    body: bytes


class Client:
    """A program in the job; ``port`` is that of the proxy."""

    def __init__(self, port: int) -> None:
        self.port = port

    @contextlib.contextmanager
    def streaming(
        self, body: bytes = b"{}", path: str = "/v1/messages?beta=true", **headers: str
    ) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request("POST", path, body, named)
            with connection.getresponse() as response:
                yield response

    def post(self, *arguments: Any, **more: Any) -> Reply:
        with self.streaming(*arguments, **more) as response:
            return Reply(response.status, response.headers, response.read())

    def raw(self, request: str) -> bytes:
        """All that comes back for the bytes of ``request``; HOST in it is the proxy's own."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(request.replace("HOST", f"127.0.0.1:{self.port}").encode())
            found = b""
            with contextlib.suppress(ConnectionError):
                while chunk := connection.recv(65536):
                    found += chunk
            return found
