"""The host of the API has to answer, in whatever way, before anything is spent."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pytest

from pytest_cobbler.agents.reach import reach
from pytest_cobbler.agents.wires.messages import MESSAGES
from pytest_cobbler.errors import UsageProblem


class Answers(BaseHTTPRequestHandler):
    status: ClassVar = 200
    seen: ClassVar[list[tuple[str, dict[str, str]]]] = []

    def do_HEAD(self) -> None:
        self.seen.append((self.path, dict(self.headers)))
        self.send_response(self.status)
        self.send_header("Location", "http://elsewhere.invalid/")
        self.end_headers()

    def log_message(self, _format: str, *_arguments: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    Answers.seen.clear()
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("status", [200, 307, 404, 407, 503])
def test_any_answer_will_do(server: str, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    monkeypatch.setattr(Answers, "status", status)
    reach(MESSAGES.address, f"{server}/some/path?key=1")
    [(path, headers)] = Answers.seen
    assert path == "/", "nothing of the address but its host"
    assert not {"x-api-key", "authorization"} & {name.lower() for name in headers}


def test_the_proxy_of_the_environment_is_asked(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", server)
    reach(MESSAGES.address, "http://api.invalid")  # a name that only the proxy may know
    assert [path for path, _ in Answers.seen] == ["http://api.invalid/"]


@pytest.mark.usefixtures("server")
def test_a_name_that_does_not_resolve_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(UsageProblem) as problem:
        reach(MESSAGES.address, "https://api.typo.example")
    assert problem.value.cause == (
        "the API's host api.typo.example cannot be reached: its name does not resolve"
    )
    assert "HTTPS_PROXY" in problem.value.remedy


def test_a_host_that_refuses_or_speaks_something_else_is_an_error(server: str) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(UsageProblem, match=r"the API's host 127\.0\.0\.1 cannot be reached: Connection"):
            reach(MESSAGES.address, f"http://127.0.0.1:{closed.getsockname()[1]}")
    with pytest.raises(UsageProblem, match="cannot be reached"):
        reach(MESSAGES.address, server.replace("http:", "https:"))
    with socket.create_server(("127.0.0.1", 0)) as other:

        def talk() -> None:
            connection, _ = other.accept()
            connection.sendall(b"SSH-2.0-other\r\n")
            connection.close()

        thread = threading.Thread(target=talk)
        thread.start()
        with pytest.raises(UsageProblem, match=r"(does not answer as an API|cannot be reached)"):
            reach(MESSAGES.address, f"http://127.0.0.1:{other.getsockname()[1]}")
        thread.join()
