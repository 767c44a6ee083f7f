"""A program in a job that asks the API, as the proxy sees it, and the proxy."""

from __future__ import annotations

import contextlib
import http.client
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from typing import Any

from pytest_cobbler.agents.budget import Account, Budget
from pytest_cobbler.agents.credential import Credential
from pytest_cobbler.agents.proxy import ApiProxy
from pytest_cobbler.agents.rules import EVERYTHING_LOCAL, Rules
from pytest_cobbler.agents.wires.base import Wire
from pytest_cobbler.agents.wires.messages import MESSAGES
from tests.support.scripted_api import API_KEY


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

    def half(self, request: str) -> bytes:
        """As ``raw``, from a client that says at the end of its request that it will send no more."""
        return self.raw(request, is_half=True)

    def raw(self, request: str, *, is_half: bool = False) -> bytes:
        """All that comes back for the bytes of ``request``; HOST in it is the proxy's own."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(request.replace("HOST", f"127.0.0.1:{self.port}").encode())
            if is_half:
                connection.shutdown(socket.SHUT_WR)
            found = b""
            with contextlib.suppress(ConnectionError):
                while chunk := connection.recv(65536):
                    found += chunk
            return found


@contextlib.contextmanager
def behind(
    url: str, wire: Wire = MESSAGES, budget: Budget | None = None, rules: Rules = EVERYTHING_LOCAL
) -> Iterator[tuple[Client, ApiProxy]]:
    """A client behind the proxy of the API at ``url``."""
    key = Credential(kind="api_key", value=API_KEY, source="the test")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        account = Account(budget=budget or Budget(), task="t")
        proxy = ApiProxy(key, url, port, account=account, wire=wire, rules=rules)
        with proxy.serve(listener):
            yield Client(port), proxy
