"""What the API proxy lets through, to and fro; the program that asks may be hostile."""

from __future__ import annotations

import base64
import contextlib
import gzip
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.agents.credential import Credential
from pytest_cobbler.agents.health import ApiHealth, Caller
from pytest_cobbler.agents.proxy import ApiProxy
from pytest_cobbler.agents.upstream import LARGEST_BODY
from pytest_cobbler.causes import Cause
from pytest_cobbler.errors import UsageProblem
from tests.support.api_clients import Client
from tests.support.scripted_api import API_KEY, ScriptedApi, error, text, turn

KEY = Credential(kind="api_key", value=API_KEY, source="the test")
LOGIN = Credential(kind="oauth", value="sk-ant-oat01-Zm9vYmFyYmF6cXV4", source="the test")

Play = Callable[[BaseHTTPRequestHandler, bytes], None]


class Upstream:
    """An API that does what ``play`` does, and remembers what it was asked."""

    def __init__(self, play: Play | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                upstream.asked.append((self.path, headers, body))
                (play or answer(b'{"ok": true}'))(self, body)

            do_GET = do_CONNECT = do_POST

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> Upstream:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def answer(body: bytes, status: int = 200, **headers: str) -> Play:
    def play(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return play


def begin_stream(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "text/event-stream; charset=utf-8")
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()


def send_event(handler: BaseHTTPRequestHandler, **event: Any) -> None:
    data = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
    handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))


@contextlib.contextmanager
def proxied(url: str, credential: Credential = KEY) -> Iterator[tuple[Client, ApiProxy]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        proxy = ApiProxy(credential, url, port)
        with proxy.serve(listener):
            yield Client(port), proxy
    assert not [thread for thread in threading.enumerate() if thread.name == "cobbler-api-proxy"]


class TestTheCredential:
    def test_a_key_takes_the_place_of_whatever_the_agent_sends(self) -> None:
        with Upstream() as upstream, proxied(upstream.url) as (client, _):
            response = client.post(b'{"top_k": 1}', x_api_key="stand-in", Authorization="Bearer stand-in")
            assert (response.status, json.loads(response.body)) == (200, {"ok": True})
        ((path, headers, body),) = upstream.asked
        assert (path, body) == ("/v1/messages?beta=true", b'{"top_k": 1}')
        assert headers["x-api-key"] == API_KEY
        assert "authorization" not in headers

    def test_a_login_is_a_bearer(self) -> None:
        with Upstream() as upstream, proxied(upstream.url, LOGIN) as (client, _):
            client.post(x_api_key="stand-in", Authorization="Bearer stand-in")
        ((_, headers, _),) = upstream.asked
        assert headers["authorization"] == f"Bearer {LOGIN.value}"
        assert "x-api-key" not in headers

    @pytest.mark.parametrize(
        ("asked", "sent"),
        [
            ({}, "oauth-2025-04-20"),
            ({"Anthropic_Beta": "one, two"}, "one,two,oauth-2025-04-20"),
            ({"anthropic_beta": "oauth-2025-04-20,one"}, "oauth-2025-04-20,one"),
        ],
    )
    def test_no_agent_makes_a_login_invalid_by_what_it_leaves_out(
        self, asked: dict[str, str], sent: str
    ) -> None:
        with Upstream() as upstream, proxied(upstream.url, LOGIN) as (client, _):
            client.post(**asked)
        ((_, headers, _),) = upstream.asked
        assert headers.get("anthropic-beta") == sent

    def test_an_echo_of_it_is_taken_out(self) -> None:
        def echo(handler: BaseHTTPRequestHandler, _: bytes) -> None:
            said = f"you sent {handler.headers['x-api-key']}, {base64.b64encode(API_KEY.encode()).decode()}"
            answer(said.encode(), 401, x_echo=API_KEY, Location=f"http://x/?{API_KEY}")(handler, b"")

        with Upstream(echo) as upstream, proxied(upstream.url) as (client, _):
            response = client.post()
            seen = f"{response.headers}{response.body.decode()}"
        assert "you sent [credential]" in seen
        assert API_KEY not in seen
        assert base64.b64encode(API_KEY.encode()).decode()[:-4] not in seen

    def test_an_echo_in_a_stream_is_taken_out_even_in_pieces(self) -> None:
        def echo(handler: BaseHTTPRequestHandler, _: bytes) -> None:
            begin_stream(handler)
            for piece in (b"data: " + API_KEY.encode()[:20], API_KEY.encode()[20:] + b"\n\n"):
                handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                handler.wfile.flush()
            handler.wfile.write(b"0\r\n\r\n")

        with Upstream(echo) as upstream, proxied(upstream.url) as (client, _):
            assert client.post().body == b"data: [credential]\n\n"

    @pytest.mark.parametrize("width", [1, 7, 20, 60])
    @pytest.mark.parametrize("kind", ["text", "partial_json", "thinking"])
    def test_an_echo_that_is_spread_over_events_is_not_completed(self, kind: str, width: int) -> None:
        text = f"The key is {API_KEY}."

        def echo(handler: BaseHTTPRequestHandler, _: bytes) -> None:
            begin_stream(handler)
            for start in range(0, len(text), width):
                delta = {"type": f"{kind}_delta", kind: text[start : start + width]}
                send_event(handler, type="content_block_delta", index=0, delta=delta)
            handler.wfile.write(b"0\r\n\r\n")

        with Upstream(echo) as upstream, proxied(upstream.url) as (client, _):
            try:
                body = client.post().body
            except http.client.IncompleteRead as error:
                body = error.partial
        events = [json.loads(line[6:]) for line in body.splitlines() if line.startswith(b"data: ")]
        seen = "".join(event["delta"][kind] for event in events)
        assert seen == "The key is [credential]." or "The key is ".startswith(seen[:11]), seen
        assert API_KEY[:16] not in seen

    def test_text_that_only_begins_like_it_arrives_whole(self) -> None:
        pieces = ["It begins with ", API_KEY[:14], ", I think", "; or ", API_KEY[:20]]

        def begin(handler: BaseHTTPRequestHandler, _: bytes) -> None:
            begin_stream(handler)
            for piece in pieces:
                delta = {"type": "text_delta", "text": piece}
                send_event(handler, type="content_block_delta", index=0, delta=delta)
            send_event(handler, type="message_stop")
            handler.wfile.write(b"0\r\n\r\n")

        with Upstream(begin) as upstream, proxied(upstream.url) as (client, _):
            body = client.post().body
        assert body.count(b"event: ") == len(pieces) + 1
        assert all(json.dumps(piece).encode() in body for piece in pieces)

    @pytest.mark.parametrize("encoding", ["compress", "x-unknown", "gzip, gzip"])
    def test_an_answer_in_an_encoding_that_hides_an_echo_is_not_passed_on(self, encoding: str) -> None:
        content = gzip.compress(gzip.compress(API_KEY.encode()))
        with (
            Upstream(answer(content, 200, Content_Encoding=encoding)) as upstream,
            proxied(upstream.url) as (client, _),
            contextlib.suppress(http.client.HTTPException, ConnectionError),
        ):
            reply = client.post()
            assert content not in reply.body
            assert API_KEY.encode() not in reply.body
            assert reply.status == 502

    def test_a_compressed_echo_is_taken_out(self) -> None:
        play = answer(gzip.compress(API_KEY.encode()), 400, Content_Encoding="gzip")
        with Upstream(play) as upstream, proxied(upstream.url) as (client, _):
            assert client.post().body == b"[credential]"


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        "line",
        [
            "GET /v1/messages",
            "PUT /v1/messages",
            "POST /",
            "POST /v1/models",
            "POST /v1/messages/batches",
            "POST /v1/messages/",
            "POST //v1/messages",
            "POST /v1/messages/../files",
            "POST /v1/files?/v1/messages",
            "POST /v1/%6dessages",
            "POST /v1/messages%2f..%2ffiles",
            "POST /v1/messages?x=http://elsewhere/",
            "POST /v1/messages?a=b#/v1/files",
            "POST http://192.0.2.1/v1/messages",
            "POST http://HOST/v1/messages",
            "POST @192.0.2.1/v1/messages",
            "CONNECT 192.0.2.1:443",
            "OPTIONS *",
        ],
    )
    def test_other_places(self, line: str) -> None:
        with Upstream() as upstream, proxied(upstream.url) as (client, _):
            said = client.raw(f"{line} HTTP/1.1\r\nHost: HOST\r\nContent-Length: 2\r\n\r\n{{}}")
        assert upstream.asked == []
        assert said == b"" or said.split(b" ")[1] in (b"403", b"400")  # some get no answer at all
        if b"403" in said[:20]:
            error = json.loads(said.partition(b"\r\n\r\n")[2])["error"]
            assert error["type"] == "permission_error"
            assert "served here" in error["message"]

    @pytest.mark.parametrize("host", ["Host: api.example", "Host: HOST\r\nHost: api.example", "X: y"])
    def test_other_hosts(self, host: str) -> None:
        with Upstream() as upstream, proxied(upstream.url) as (client, _):
            said = client.raw(f"POST /v1/messages HTTP/1.1\r\n{host}\r\nContent-Length: 2\r\n\r\n{{}}")
        assert upstream.asked == []
        assert said.split(b" ")[1] in (b"403", b"400")

    @pytest.mark.parametrize(
        "framing",
        [
            "Transfer-Encoding: chunked",
            "Content-Length: 2\r\nTransfer-Encoding: chunked",
            "Content-Length: 2\r\nContent-Length: 50",
            "Content-Length: 2, 50",
            "Content-Length: +2",
            "Content-Length: -2",
            "Content-Length: 0x2",
            "Content-Length : 2",
            " Content-Length: 2",
            "Content-Encoding: gzip\r\nContent-Length: 2",
            "X: y",
        ],
    )
    def test_bodies_whose_end_is_in_doubt(self, framing: str) -> None:
        second = "POST /v1/messages HTTP/1.1\r\nHost: HOST\r\nx-api-key: smuggled\r\n\r\n"
        with Upstream() as upstream, proxied(upstream.url) as (client, _):
            said = client.raw(
                f"POST /v1/messages HTTP/1.1\r\nHost: HOST\r\n{framing}\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n{second}"
            )
        assert upstream.asked == []
        assert said.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4"))

    def test_a_request_within_a_body_stays_one(self) -> None:
        body = json.dumps({"system": "POST /v1/files HTTP/1.1\r\nHost: x\r\n\r\n"}).encode()
        with Upstream() as upstream, proxied(upstream.url) as (client, _):
            client.post(body)
        assert [(path, body) for path, _, body in upstream.asked] == [("/v1/messages?beta=true", body)]

    def test_an_empty_body_is_answered_as_the_api_does(self) -> None:
        with Upstream() as upstream, proxied(upstream.url) as (client, _):
            reply = client.post(b"", Content_Length="0")
        assert upstream.asked == []
        assert reply.status == 400
        said = json.loads(reply.body)
        assert (said["type"], said["error"]["type"]) == ("error", "invalid_request_error")

    def test_a_client_that_waits_to_be_asked_for_its_body_is_asked(self) -> None:
        with (
            Upstream() as upstream,
            proxied(upstream.url) as (client, _),
            socket.create_connection(("127.0.0.1", client.port), timeout=30) as connection,
        ):
            head = f"POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1:{client.port}\r\nContent-Length: 2\r\n"
            connection.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
            assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
            assert upstream.asked == []
            connection.sendall(b"{}")
            assert connection.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")

    @pytest.mark.slow
    def test_a_client_is_not_asked_for_a_body_that_is_refused(self) -> None:
        head = "POST /v1/files HTTP/1.1\r\nHost: HOST\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        with Upstream() as upstream, proxied(upstream.url) as (client, _):
            assert client.raw(head).startswith(b"HTTP/1.1 403 ")

    def test_headers_that_are_none_of_the_apis(self) -> None:
        with Upstream() as upstream, proxied(upstream.url) as (client, _):
            client.post(
                anthropic_beta="one,two",
                anthropic_version="2023-06-01",
                User_Agent="claude-cli",
                X_Stainless_Lang="js",
                Cookie="a=b",
                X_Forwarded_Host="elsewhere",
                X_Portkey_Custom_Host="http://192.0.2.1",
                Proxy_Authorization="Basic x",
                X_HTTP_Method_Override="GET",
                Connection="keep-alive, anthropic-version",
                Expect="nothing",
            )
        ((_, headers, _),) = upstream.asked
        assert set(headers) == {
            *("host", "content-length", "accept-encoding", "x-api-key"),
            *("anthropic-beta", "anthropic-version", "user-agent", "x-stainless-lang"),
        }
        assert headers["accept-encoding"] == "identity"

    @pytest.mark.slow
    def test_a_body_that_is_too_large_is_not_even_read(self) -> None:
        head = f"POST /v1/messages HTTP/1.1\r\nHost: HOST\r\nContent-Length: {LARGEST_BODY + 1}\r\n\r\n"
        with Upstream() as upstream, proxied(upstream.url) as (client, _):
            assert client.raw(head).startswith(b"HTTP/1.1 413 ")
            reply = client.post(b"x" * (LARGEST_BODY + 1))  # sent as a whole, before the answer is looked for
        assert (reply.status, json.loads(reply.body)["error"]["type"]) == (413, "request_too_large")
        assert upstream.asked == []

    def test_large_bodies_at_once_are_bounded(self) -> None:
        head = f"POST /v1/messages HTTP/1.1\r\nHost: HOST\r\nContent-Length: {LARGEST_BODY}\r\n\r\n{{"
        with (
            Upstream() as upstream,
            proxied(upstream.url) as (client, _),
            contextlib.ExitStack() as stack,
        ):
            for _ in range(2):
                hanging = stack.enter_context(socket.create_connection(("127.0.0.1", client.port)))
                hanging.sendall(head.replace("HOST", f"127.0.0.1:{client.port}").encode())
            while (response := client.post()).status == 200:  # until both have begun
                pass
        assert response.status == 529
        assert json.loads(response.body)["error"]["type"] == "overloaded_error"

    def test_a_crowd_takes_a_bounded_number_of_files(self) -> None:
        with Upstream() as upstream, proxied(upstream.url) as (client, _):
            with contextlib.ExitStack() as stack:
                for _ in range(150):
                    stack.enter_context(socket.create_connection(("127.0.0.1", client.port)))
                ours = 150
                assert len(list(Path("/proc/self/fd").iterdir())) < ours + 64 + 40
            assert client.post().status == 200

    def test_requests_before_their_turn_are_not_piled_up(self) -> None:
        hung, released = threading.Event(), threading.Event()

        def hang(_handler: BaseHTTPRequestHandler, _: bytes) -> None:
            hung.set()
            released.wait(60)

        with Upstream(hang) as upstream, proxied(upstream.url) as (client, _):
            head = f"POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1:{client.port}\r\n"
            with socket.create_connection(("127.0.0.1", client.port)) as connection:
                connection.sendall(f"{head}Content-Length: 2\r\n\r\n{{}}".encode())
                assert hung.wait(30)
                connection.settimeout(1)
                with pytest.raises(TimeoutError):
                    connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 1_200_000)
            released.set()


class TestWhatComesBack:
    @pytest.mark.parametrize(
        ("status", "headers"),
        [
            (401, {"x-should-retry": "false"}),
            (429, {"retry-after": "30"}),
            (429, {"anthropic-ratelimit-unified-reset": "1799999999"}),
            (529, {}),
            (500, {}),
        ],
    )
    def test_errors_pass_as_they_are(self, status: int, headers: dict[str, str]) -> None:
        body = json.dumps({"type": "error", "error": {"type": "x", "message": "m"}}).encode()
        play = answer(body, status, Content_Type="application/json", request_id="req_1", **headers)
        with Upstream(play) as upstream, proxied(upstream.url) as (client, _):
            response = client.post()
            assert (response.status, response.body) == (status, body)
        for name, value in {**headers, "Content-Type": "application/json", "request-id": "req_1"}.items():
            assert response.headers[name] == value

    def test_a_redirection_is_not_followed(self) -> None:
        with Upstream() as elsewhere:
            play = answer(b"", 307, Location=f"{elsewhere.url}/v1/messages")
            with Upstream(play) as upstream, proxied(upstream.url) as (client, _):
                assert client.post().status == 307
        assert elsewhere.asked == []

    def test_events_arrive_as_they_are_sent(self) -> None:
        seen = threading.Event()

        def play(handler: BaseHTTPRequestHandler, _: bytes) -> None:
            begin_stream(handler)
            send_event(handler, type="ping")
            assert seen.wait(30)
            send_event(handler, type="message_stop")
            handler.wfile.write(b"0\r\n\r\n")

        with (
            Upstream(play) as upstream,
            proxied(upstream.url) as (client, _),
            client.streaming() as response,
        ):
            assert response.readline() == b"event: ping\n"
            seen.set()
            assert response.read().count(b"message_stop") == 2

    def test_a_stream_that_breaks_off_does_not_end_well(self) -> None:
        with ScriptedApi() as api, proxied(api.url) as (client, proxy):
            api.script("", [turn(text("lost " * 30), cut=4)])
            with pytest.raises(http.client.IncompleteRead) as caught:
                client.post(request_body("hello"))
            assert b"message_start" in caught.value.partial
        assert (proxy.usage.tokens_input, proxy.usage.tokens_output) == (100, 0)

    def test_an_answer_that_breaks_off_is_none(self) -> None:
        def play(handler: BaseHTTPRequestHandler, _: bytes) -> None:
            handler.send_response(200)
            handler.send_header("Content-Length", "100")
            handler.end_headers()
            handler.wfile.write(b'{"half')
            handler.close_connection = True

        with (
            Upstream(play) as upstream,
            proxied(upstream.url) as (client, _),
            pytest.raises(http.client.RemoteDisconnected),
        ):
            client.post()

    def test_an_api_that_is_not_there(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        with proxied(f"http://127.0.0.1:{port}") as (client, _):
            response = client.post()
            said = json.loads(response.body)["error"]["message"]
        assert response.status == 502
        assert said.startswith("pytest-cobbler's proxy: 127.0.0.1 cannot be reached: ")

    def test_a_name_that_stops_resolving_in_a_run(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The program has its answer, which does not keep it from trying again: networks come back."""

        def without_a_network(host: Any, *arguments: Any, **more: Any) -> Any:
            if host == "api.example":
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return resolve(host, *arguments, **more)

        resolve, health = socket.getaddrinfo, ApiHealth()
        monkeypatch.setattr(socket, "getaddrinfo", without_a_network)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            proxy = ApiProxy(KEY, "http://api.example", port, caller=Caller(health, "p-a", is_seen=True))
            with proxy.serve(listener):
                response = Client(port).post(request_body("hello"))
        assert (response.status, response.headers.get("x-should-retry")) == (502, None)
        assert b"api.example cannot be reached: " in response.body
        assert proxy.trouble
        assert (proxy.trouble.cause, proxy.trouble.passes) == (Cause.LIMITED, True)
        assert (proxy.usage.cost_usd, proxy.usage.cost_is_partial) == (0.0, False)
        assert (health.seen, health.last, health.stop) == ({0: 1}, proxy.trouble, None), "the run waits"

    def test_the_end_waits_for_no_client(self) -> None:
        hung, released = threading.Event(), threading.Event()

        def hang(_handler: BaseHTTPRequestHandler, _: bytes) -> None:
            hung.set()
            released.wait(60)

        with Upstream(hang) as upstream:
            with proxied(upstream.url) as (client, _):
                waiting = socket.create_connection(("127.0.0.1", client.port))
                head = f"POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1:{client.port}\r\n"
                waiting.sendall(f"{head}Content-Length: 2\r\n\r\n{{}}".encode())
                assert hung.wait(30)
            with contextlib.suppress(ConnectionError):
                assert waiting.recv(1) == b""
            waiting.close()
            released.set()


def request_body(prompt: str, stream: bool = True) -> bytes:
    messages = [{"role": "user", "content": prompt}]
    return json.dumps({"model": "claude-x", "stream": stream, "tools": [{}], "messages": messages}).encode()


class TestTheMeter:
    @pytest.mark.parametrize("stream", [True, False])
    def test_every_answer_is_counted_once(self, stream: bool) -> None:
        with ScriptedApi() as api, proxied(api.url) as (client, proxy):
            api.script("", [turn(text("one")), error(529), turn(text("two"))])
            for _ in range(3):
                client.post(request_body("hello", stream))
            client.post(b"{}", path="/v1/messages/count_tokens")
        usage = proxy.usage
        assert (usage.turns, usage.model) == (2, "claude-x")
        assert (usage.tokens_input, usage.tokens_output) == (200, 100)
        assert (usage.tokens_cache_read, usage.tokens_cache_write) == (6000, 4000)

    def test_output_is_counted_as_far_as_it_was_told(self) -> None:
        def play(handler: BaseHTTPRequestHandler, _: bytes) -> None:
            begin_stream(handler)
            message = {"model": "m", "usage": {"input_tokens": 7, "output_tokens": 1}}
            send_event(handler, type="message_start", message=message)
            for told in (5, 12):
                send_event(handler, type="message_delta", usage={"output_tokens": told})
            handler.wfile.write(b"1a\r\ndata: {broken\n\ndata: [1]\n\n\r\n")
            handler.close_connection = True

        with (
            Upstream(play) as upstream,
            proxied(upstream.url) as (client, proxy),
            pytest.raises(http.client.IncompleteRead),
        ):
            client.post()
        assert (proxy.usage.tokens_input, proxy.usage.tokens_output) == (7, 12)

    def test_an_answer_that_no_one_reads_to_its_end_makes_the_cost_a_lower_bound(self) -> None:
        """The API charges for what it has written, but reports it only at the end."""
        read, gone = threading.Event(), threading.Event()

        def play(handler: BaseHTTPRequestHandler, _: bytes) -> None:
            begin_stream(handler)
            message = {"model": "claude-opus-5-5", "usage": {"input_tokens": 1_000_000, "output_tokens": 1}}
            send_event(handler, type="message_start", message=message)
            send_event(handler, type="content_block_delta", delta={"type": "text_delta", "text": "all"})
            read.set()
            gone.wait(30)

        with Upstream(play) as upstream, proxied(upstream.url) as (client, proxy):
            with client.streaming() as response:
                while response.readline() != b"event: content_block_delta\n":
                    pass
            gone.set()
        assert read.is_set()
        assert (proxy.usage.cost_usd, proxy.usage.cost_is_partial) == (4.0, True)
        assert proxy.usage.cost_shown == "at least 4.0000 USD"

    def test_a_request_whose_answer_is_not_awaited_may_have_cost_something(self) -> None:
        asked, gone = threading.Event(), threading.Event()

        def play(handler: BaseHTTPRequestHandler, body: bytes) -> None:
            if b"wait" in body:
                asked.set()
                gone.wait(30)
            answer(b'{"model": "claude-opus-5-5", "usage": {"input_tokens": 1000000}}')(handler, body)

        with Upstream(play) as upstream, proxied(upstream.url) as (client, proxy):
            assert proxy.usage.cost_usd == 0, "nothing was asked"
            with socket.create_connection(("127.0.0.1", client.port)) as connection:
                head = f"POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1:{client.port}\r\n"
                connection.sendall(f"{head}Content-Length: 17\r\n\r\n".encode() + b'{"system":"wait"}')
                assert asked.wait(30)
            assert proxy.usage.cost_usd is None
            client.post()
            assert (proxy.usage.cost_usd, proxy.usage.cost_is_partial) == (4.0, True)
            gone.set()

    def test_clients_that_close_their_half_are_charged_and_keep_no_place(self) -> None:
        head = "POST /v1/messages HTTP/1.1\r\nHost: HOST\r\nContent-Length: 11\r\n\r\n"
        body = '{"top_k":1}'
        with Upstream() as upstream, proxied(upstream.url) as (client, proxy):
            for begun in ("", "POST /v1/mess", head, f"{head}{body[:-1]}"):
                for _ in range(70):  # more than are served at a time
                    assert client.half(begun) == b""
            assert proxy.usage.cost_usd == 0, "nothing was asked"
            client.half(f"{head}{body}")
            assert client.post().status == 200
            assert {path for path, _, _ in upstream.asked} <= {"/v1/messages", "/v1/messages?beta=true"}
        assert proxy.usage.cost_usd is None, "a request may have left"

    def test_an_api_that_cannot_be_reached_costs_nothing(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        with proxied(f"http://127.0.0.1:{port}") as (client, proxy):
            client.post()
        assert (proxy.usage.cost_usd, proxy.usage.cost_is_partial) == (0.0, False)

    def test_a_model_and_a_tool_without_a_price_make_the_cost_a_lower_bound(self) -> None:
        usages: list[dict[str, Any]] = [
            {"model": "claude-opus-5-5", "usage": {"input_tokens": 1_000_000}},
            {"model": "unknown", "usage": {"input_tokens": 1_000_000}},
        ]
        search = {"input_tokens": 0, "server_tool_use": {"web_search_requests": 100}}
        other = {"input_tokens": 0, "server_tool_use": {"code_execution_requests": 1}}

        def play(handler: BaseHTTPRequestHandler, body: bytes) -> None:
            answer(json.dumps(usages[json.loads(body)["top_k"]]).encode())(handler, body)

        with Upstream(play) as upstream, proxied(upstream.url) as (client, proxy):
            client.post(b'{"top_k": 0}')
            assert (proxy.usage.cost_usd, proxy.usage.cost_is_partial) == (4.0, False)
            client.post(b'{"top_k": 1}')
            assert (proxy.usage.cost_usd, proxy.usage.cost_is_partial) == (4.0, True)
        for usage, expected in ((search, (5.0, False)), (other, (4.0, True))):
            usages[1] = {"model": "claude-opus-5-5", "usage": usage}
            with Upstream(play) as upstream, proxied(upstream.url) as (client, proxy):
                client.post(b'{"top_k": 0}')
                client.post(b'{"top_k": 1}')
                assert (proxy.usage.cost_usd, proxy.usage.cost_is_partial) == expected


def failure(kind: str, message: str) -> bytes:
    return json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()


NO_CREDIT = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing."


def test_all_that_leaves_is_told_before_it_does() -> None:
    told: list[tuple[str, Mapping[str, object]]] = []
    seen_first: list[bool] = []

    def play(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        seen_first.append(told[-1][0] == "request")
        answer(b'{"model": "claude-x", "usage": {"output_tokens": 3}}')(handler, body)

    with Upstream(play) as upstream, socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        proxy = ApiProxy(KEY, upstream.url, port, lambda event, facts: told.append((event, facts)))
        with proxy.serve(listener):
            client = Client(port)
            client.post(b'{"model": "claude-y\\u001b"}')
            client.raw("GET /v1/messages HTTP/1.1\r\nHost: HOST\r\n\r\n")  # does not leave
            client.post(path="/v1/messages/count_tokens")

    assert seen_first == [True, True]
    assert [event for event, _ in told] == ["request", "answer", "request", "answer"]
    first = {"number": 1, "api": upstream.url, "method": "POST", "path": "/v1/messages?beta=true"}
    assert told[0][1] == {**first, "model": "claude-y\\x1b", "bytes": 27}
    assert told[1][1] == {
        "number": 1,
        "status": 200,
        "model": "claude-x",
        "bytes": 52,
        "tokens": {"output": 3},
    }
    assert told[2][1]["path"] == "/v1/messages/count_tokens"


class TestTroubles:
    @pytest.mark.parametrize(
        ("status", "body", "cause"),
        [
            (429, failure("rate_limit_error", "slow down"), Cause.LIMITED),
            (429, b"<html>", Cause.LIMITED),
            (402, failure("billing_error", "pay"), Cause.LIMITED),
            (400, failure("invalid_request_error", NO_CREDIT), Cause.LIMITED),
            (400, failure("invalid_request_error", "You're out of extra usage."), Cause.LIMITED),
            (400, failure("invalid_request_error", f"{NO_CREDIT}: Extra inputs are not permitted"), None),
            (400, failure("invalid_request_error", f"messages.0.role: {NO_CREDIT!r} is not a role"), None),
            (400, failure("invalid_request_error", "prompt is too long: 2 tokens > 1 maximum"), Cause.PROMPT),
            (413, failure("request_too_large", "Request exceeds the maximum size"), Cause.PROMPT),
            (401, failure("authentication_error", "invalid x-api-key"), Cause.ACCESS),
            (403, b"<html>", Cause.ACCESS),
            (404, failure("not_found_error", "model: credit balance is too low"), Cause.MODEL),
            (529, failure("overloaded_error", "busy"), Cause.LIMITED),
            (500, b"", Cause.LIMITED),
            (200, b'{"content": [{"type": "text", "text": "429 rate_limit_error"}]}', None),
            (200, failure("overloaded_error", "busy"), Cause.LIMITED),
        ],
    )
    def test_a_trouble_is_what_the_api_says(self, status: int, body: bytes, cause: Cause | None) -> None:
        with Upstream(answer(body, status)) as upstream, proxied(upstream.url) as (client, proxy):
            client.post()
            assert (proxy.trouble and proxy.trouble.cause) == cause

    @pytest.mark.parametrize("stream", [False, True])
    def test_the_words_of_a_trouble_never_have_the_credential_not_even_a_part_of_it(
        self, stream: bool
    ) -> None:
        body = failure("authentication_error", "x" * 150 + f" {KEY.value} is invalid")
        sent = f"event: error\ndata: {body.decode()}\n\n".encode() if stream else body
        kind = "text/event-stream" if stream else "application/json"
        reply = answer(sent, 200 if stream else 401, Content_Type=kind)
        with Upstream(reply) as upstream, proxied(upstream.url) as (client, proxy):
            client.post()
            assert proxy.trouble is not None
            assert proxy.trouble.cause is Cause.ACCESS
            assert KEY.value[:8] not in proxy.trouble.shown

    @pytest.mark.parametrize("was_answered", [False, True])
    def test_an_unknown_model_ends_the_run_only_before_the_first_answer(self, was_answered: bool) -> None:
        health, refused = ApiHealth(), threading.Event()
        caller = Caller(health, "p-a", is_seen=True, refused=refused.set)
        with ScriptedApi() as api, socket.create_server(("127.0.0.1", 0)) as listener:
            api.script("", [*[turn(text("one"))] * was_answered, error(404, "model: claude-none")])
            port = listener.getsockname()[1]
            proxy = ApiProxy(KEY, api.url, port, caller=caller)
            with proxy.serve(listener):
                for _ in range(1 + was_answered):
                    Client(port).post(request_body("hello"))
        caller.ended()
        assert (health.stop is None, refused.is_set()) == (was_answered, not was_answered)
        assert health.answers == was_answered

    def test_a_trouble_that_is_over_is_none(self) -> None:
        with ScriptedApi() as api, proxied(api.url) as (client, proxy):
            api.script("", [error(429, headers={"retry-after": "60"}), turn(text("two")), error(429)])
            seen = []
            for _ in range(3):
                client.post(request_body("hello"))
                seen.append((proxy.trouble is not None, bool(proxy.trouble and proxy.trouble.until)))
        assert seen == [(True, True), (False, False), (True, False)]

    def test_a_limit_of_counting_tokens_is_none_of_the_model(self) -> None:
        with Upstream(answer(b"{}", 429)) as upstream, proxied(upstream.url) as (client, proxy):
            client.post(path="/v1/messages/count_tokens")
            assert proxy.trouble is None

    def test_its_own_refusals_are_no_troubles_of_the_api_and_a_broken_connection_is_one(self) -> None:
        with Upstream(answer(b"{}")) as upstream, proxied(upstream.url) as (client, proxy):
            client.post(path="/v1/files")
            assert proxy.trouble is None
            assert proxy.refusal.startswith("POST /v1/files: only /v1/messages and")
            client.post(path="/v1/messages/count_tokens")
            assert proxy.refusal
            client.post()
            assert proxy.refusal == "", "the agent went on"
        with proxied(upstream.url) as (client, proxy):
            client.post()
            assert proxy.trouble is not None
            assert (proxy.trouble.status, proxy.trouble.passes) == (0, True)

    @pytest.mark.parametrize(
        ("status", "wait", "advice"),
        [(401, "", "false"), (404, "", "false"), (429, "30", ""), (429, "90", "false"), (529, "", "")],
    )
    def test_a_program_is_told_where_trying_again_is_of_no_use(
        self, status: int, wait: str, advice: str
    ) -> None:
        headers = {"retry-after": wait} if wait else {}
        with ScriptedApi() as api, proxied(api.url) as (client, _):
            api.script("", [error(status, headers=headers)])
            told = client.post(request_body("hello")).headers
        assert told.get("x-should-retry", "") == advice
        assert told.get("retry-after", "") == ("" if advice else wait), "some programs wait, however long"


class TestTheWayOut:
    @pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY"])
    @pytest.mark.parametrize(
        "value", ["proxy.example:3128", "socks5://proxy.example", "http://a:word@", "///"]
    )
    def test_a_proxy_variable_that_holds_no_address(
        self, monkeypatch: pytest.MonkeyPatch, name: str, value: str
    ) -> None:
        monkeypatch.setenv(name, value)
        with pytest.raises(UsageProblem, match=f"^{name} is '.*', not an address") as caught:
            ApiProxy(KEY, "https://api.example", 1)
        assert "http://proxy.example:3128, or unset it" in caught.value.remedy
        assert "word" not in str(caught.value)

    def test_a_proxy_variable_that_is_not_used_may_hold_anything(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")
        monkeypatch.setenv("NO_PROXY", "api.example")
        ApiProxy(KEY, "https://api.example", 1)
        ApiProxy(KEY, "http://127.0.0.1:1", 1)

    @pytest.mark.parametrize(
        "url",
        [
            *("", "api.example", "ftp://api.example", "http://", "https://api.example/?a=b"),
            *("https://user:word@api.example", "https://api.example/#x", "http://[broken"),
            *("http://api.example:99999", "http://api example"),
        ],
    )
    def test_an_address_that_is_none(self, url: str) -> None:
        with pytest.raises(UsageProblem, match="ANTHROPIC_BASE_URL"):
            ApiProxy(KEY, url, 1)

    def test_an_api_below_a_path(self) -> None:
        with Upstream() as upstream, proxied(f"{upstream.url}/gateway/") as (client, _):
            client.post()
        assert upstream.asked[0][0] == "/gateway/v1/messages?beta=true"

    def test_the_proxy_of_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("http_proxy", "no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        with Upstream() as way, proxied("http://api.example:8080") as (client, _):
            monkeypatch.setenv("HTTP_PROXY", way.url.replace("//", "//user:word@"))
            assert client.post().status == 200
            monkeypatch.setenv("NO_PROXY", "api.example:8080")
            assert client.post().status == 502
        ((path, headers, _),) = way.asked
        assert path == "http://api.example:8080/v1/messages?beta=true"
        assert headers["proxy-authorization"].startswith("Basic ")

    def test_certificates_are_checked_against_those_of_the_environment(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if not shutil.which("openssl"):
            pytest.skip("needs openssl: apt-get install openssl")
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=api"),
                *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "own.pem"),
            ],
            cwd=tmp_path,
            env=dict(os.environ),
            capture_output=True,
            check=True,
        )
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(tmp_path / "own.pem", tmp_path / "key.pem")
        with Upstream(tls=tls) as upstream:
            with proxied(upstream.url) as (client, _):
                assert client.post().status == 502
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "own.pem"))
            with proxied(upstream.url) as (client, _):
                assert client.post().status == 200
        assert len(upstream.asked) == 1
