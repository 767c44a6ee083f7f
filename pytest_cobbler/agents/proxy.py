"""A reverse proxy that serves the Messages API to one job, and keeps the credential on the host.

The client is the agent, and may be hostile. So a request is never passed on as it is: its method, path,
query and headers are checked against lists, its body is read completely, and a new request is made to the one
allowed address. The response is passed on unchanged, with errors, limits and broken streams, except for the
credential, if the API echoes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import io
import logging
import re
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from pytest_cobbler.agents.base import OnExchange
from pytest_cobbler.agents.budget import Account, Budget, Unpaid
from pytest_cobbler.agents.credential import BETA, Credential
from pytest_cobbler.agents.echo import EchoFilter, SpreadEcho
from pytest_cobbler.agents.health import ApiHealth, Caller
from pytest_cobbler.agents.metering import Answer, Meter
from pytest_cobbler.agents.prices import BUILT_IN, PriceList
from pytest_cobbler.agents.spending import Order, Spender, TooDear
from pytest_cobbler.agents.troubles import Trouble, unreached
from pytest_cobbler.agents.upstream import (
    LARGEST_BODY,
    check_proxy_of,
    checked_base,
    lines_of,
    proxy_for,
    whole,
)
from pytest_cobbler.display import shown_size
from pytest_cobbler.sandbox.base import Loopback
from pytest_cobbler.secret_forms import Secrets
from pytest_cobbler.usage import Usage

__all__ = ["ApiProxy"]

MESSAGES: Final = "/v1/messages"
PATHS: Final = (MESSAGES, f"{MESSAGES}/count_tokens")
"""The paths that are served. Batches are not: they outlive the run, and their cost would be unknown."""

_ROOM: Final = 2 * LARGEST_BODY
"""Bytes of all requests that are being sent to the API at the same time."""

_MOST_CONNECTIONS: Final = 64
_CONNECT: Final = 30.0
"""Seconds to reach the API; the agent's program limits the time of the response."""

_PATIENCE: Final = 5.0
"""Seconds to wait for the end."""

_RETRIED: Final = timedelta(minutes=1)
"""The longest wait for which a program may try again by itself; after a longer one, it is started again."""

_LINGERING: Final = 2.0
"""Seconds to read the rest of a refused request; otherwise a client that is sending misses the response."""

_QUERY: Final = re.compile(r"[A-Za-z0-9_=&.-]{0,256}")
_PASSED: Final = re.compile(
    r"accept|accept-language|content-type|user-agent|anthropic-[a-z0-9-]+"
    r"|x-app|x-stainless-[a-z0-9-]+|x-claude-[a-z0-9-]+|x-client-[a-z0-9-]+"
)
"""Headers of a request that reach the API: those that its clients send, and none that would redirect the
request at a gateway."""

_HELD_BACK: Final = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-connection", "trailer", "transfer-encoding"}
    | {"upgrade", "content-length", "content-encoding", "set-cookie", "date", "server"}
)
"""Headers of a response that concern the connection, or that only browsers use."""

_READABLE: Final = ("", "identity", "gzip", "deflate")
"""Encodings of an answer that are undone here, although none is asked for."""

_QUIET: Final = logging.getLogger("pytest_cobbler.agents.proxy")
_QUIET.addHandler(logging.NullHandler())
_QUIET.propagate = False  # errors of a hostile client are not worth a line


class _Refused(Exception):
    """A request that is not passed on; ``kind`` is an error type of the API."""

    def __init__(self, status: int, kind: str, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.kind = kind


@dataclass(kw_only=True)
class _Exchange:
    """A request, with what is reserved for it, and its answer."""

    answer: Answer
    order: Order = field(default_factory=lambda: Order(body=b""))


class ApiProxy:
    """Serves the API at ``base_url`` on a job's loopback, with ``credential``; for one job.

    The environment's ``HTTPS_PROXY``, ``NO_PROXY`` and ``SSL_CERT_FILE`` are honoured.

    Args:
        prices: by which the answers are counted.
        account: pays for the requests; ``None``: there is no limit.
        caller: is told of answers and troubles of the API.
        on_exchange: called in the proxy's thread with ``request`` and its facts before a request is sent, and
            with ``answer`` and its facts when no more of the answer will come.

    Raises:
        UsageProblem: ``base_url`` or the address of the proxy on the way to it is invalid.
    """

    def __init__(
        self,
        credential: Credential,
        base_url: str,
        port: int,
        on_exchange: OnExchange | None = None,
        prices: PriceList = BUILT_IN,
        account: Account | None = None,
        caller: Caller | None = None,
    ) -> None:
        self._credential = credential
        self._prices = prices
        account = account or Account(budget=Budget())
        self._spender = Spender(account, self._prices)
        self._streams = asyncio.Semaphore(account.streams)
        self._base = checked_base(base_url)
        check_proxy_of(URL(self._base))
        self._port = port
        self._secrets = Secrets(credential.secrets())
        self._meter = Meter()
        self._caller = caller or Caller(ApiHealth(), "", is_seen=True)
        self._on_exchange = on_exchange or (lambda _event, _facts: None)
        self._sent = 0
        self._room = _ROOM
        self._certificates = ssl.create_default_context()

    @property
    def network(self) -> Loopback:
        """The network of the job."""
        return Loopback(port=self._port, serve=self.serve)

    @property
    def usage(self) -> Usage:
        """The usage of the job so far."""
        return self._meter.usage

    @property
    def unpaid(self) -> Unpaid | None:
        """Why the budget did not pay for a request, if it refused one."""
        return self._spender.unpaid

    @property
    def trouble(self) -> Trouble | None:
        """Why the API did not serve the job's last request."""
        return self._meter.trouble

    @contextlib.contextmanager
    def serve(self, listener: socket.socket) -> Iterator[None]:
        """Answer every client of ``listener``, in a thread, until the context is left."""
        loop = asyncio.new_event_loop()
        stop = asyncio.Event()
        thread = threading.Thread(
            target=lambda: loop.run_until_complete(self._serve(listener, stop)),
            name="cobbler-api-proxy",
            daemon=True,
        )
        thread.start()
        try:
            yield
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join(_PATIENCE)
            if not thread.is_alive():
                loop.close()

    async def _serve(self, listener: socket.socket, stop: asyncio.Event) -> None:
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._certificates, limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT),
            skip_auto_headers=("Accept", "Content-Type", "User-Agent"),
        ) as session:
            server = _Server(functools.partial(self._answer, session))
            accepting = asyncio.create_task(server.accept(listener))
            await stop.wait()
            accepting.cancel()
            await server.end()
            await asyncio.wait({accepting})

    async def _answer(self, session: aiohttp.ClientSession, request: web.BaseRequest) -> web.StreamResponse:
        exchange = _Exchange(answer=Answer(self._prices))
        is_to_model = request.path == MESSAGES
        try:
            async with self._streams if is_to_model else contextlib.nullcontext():
                return await self._exchange(session, request, exchange)
        except _Refused as refused:
            return _error(refused.status, refused.kind, str(refused))
        finally:
            if exchange.answer.number:
                self._tell_answer(exchange)
            if exchange.answer.trouble and is_to_model:
                self._caller.met(exchange.answer.trouble)
            elif exchange.answer.is_whole and exchange.answer.counted:
                self._caller.answered(exchange.answer.asked)

    async def _exchange(
        self, session: aiohttp.ClientSession, request: web.BaseRequest, exchange: _Exchange
    ) -> web.StreamResponse:
        upstream = await self._ask(session, request, exchange)
        async with upstream:
            _refuse_hidden(upstream)
            try:
                return await self._pass_on(request, upstream, exchange.answer)
            except (aiohttp.ClientError, OSError, SpreadEcho) as error:
                if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ServerDisconnectedError):
                    exchange.answer.trouble = unreached(f"{upstream.host} broke off its answer")
                # A response that the API breaks off is broken off here too; the agent's program handles that.
                _break_off(request)
                raise

    def _tell_request(self, request: web.BaseRequest, exchange: _Exchange) -> None:
        self._sent += 1
        exchange.answer.number = self._sent
        order = exchange.order
        self._on_exchange(
            "request",
            {
                "number": self._sent,
                "api": self._base,
                "method": request.method,
                "path": request.raw_path,
                "model": order.model,
                "bytes": len(order.body),
                **order.facts,
            },
        )

    def _tell_answer(self, exchange: _Exchange) -> None:
        answer, charged = exchange.answer, self._spender.settle(exchange.order, exchange.answer)
        facts = {"number": answer.number, "status": answer.status, "model": answer.model}
        tokens = {kind: count for kind, count in answer.usage.tokens.items() if count}
        cut = {} if answer.is_whole else {"cut": True}
        self._on_exchange("answer", {**facts, "bytes": answer.received, "tokens": tokens, **charged, **cut})

    async def _ask(
        self, session: aiohttp.ClientSession, request: web.BaseRequest, exchange: _Exchange
    ) -> aiohttp.ClientResponse:
        """Send the request to the API, if it is valid."""
        url = URL(self._base + self._target(request), encoded=True)
        length = _length(request)
        async with self._reserve(length):
            _invite(request)
            answer, body = exchange.answer, await request.content.readexactly(length)
            is_to_model = request.path == MESSAGES  # counting tokens is free, and has limits of its own
            exchange.order = await self._afford(body) if is_to_model else Order.free(body)
            if is_to_model:
                self._meter.ask(answer)
            self._tell_request(request, exchange)
            body, exchange.order.body = exchange.order.body, b""
            try:
                upstream = await session.post(
                    url,
                    data=io.BytesIO(body),
                    headers=self._headers(request),
                    allow_redirects=False,
                    proxy=proxy_for(url),
                )
            except (aiohttp.ClientError, OSError, ValueError) as error:
                why = getattr(error, "strerror", None) or type(error).__name__
                is_reached = isinstance(error, aiohttp.ServerDisconnectedError | ConnectionResetError)
                if not is_reached:
                    answer.drop()
                outcome = (
                    "closed the connection without a response" if is_reached else f"cannot be reached: {why}"
                )
                answer.trouble = unreached(f"{url.host} {outcome}")
                self._meter.begin(answer)
                raise _Refused(502, "api_error", f"{url.host} {outcome}") from None
            answer.begin(upstream.status, upstream.headers)
            if is_to_model:
                self._meter.begin(answer)
                self._caller.was_answered = self._caller.was_answered or upstream.ok
            return upstream

    async def _afford(self, body: bytes) -> Order:
        try:
            return await self._spender.afford(body)
        except TooDear as reason:
            raise _Refused(403, "permission_error", str(reason)) from None  # which claude does not try again

    def _target(self, request: web.BaseRequest) -> str:
        """Path and query of the request, as they are in its first line."""
        path, _, query = request.raw_path.partition("?")
        hosts = {f"{host}:{self._port}" for host in ("127.0.0.1", "localhost")}
        if request.headers.getall("Host", []) not in [[host] for host in hosts]:
            raise _Refused(403, "permission_error", f"only the host {min(hosts)} is served here")
        if path not in PATHS or not _QUERY.fullmatch(query):
            raise _Refused(403, "permission_error", f"only {' and '.join(PATHS)} are served here")
        if request.method != "POST":
            raise _Refused(403, "permission_error", "only POST is served here")
        return request.raw_path

    @contextlib.asynccontextmanager
    async def _reserve(self, length: int) -> AsyncIterator[None]:
        """Reserve memory for a body; the total for concurrent requests of a job is limited."""
        if length > self._room:
            raise _Refused(529, "overloaded_error", "too many large requests in parallel")
        self._room -= length
        try:
            yield
        finally:
            self._room += length

    def _headers(self, request: web.BaseRequest) -> dict[str, str]:
        kept = {name: value for name, value in request.headers.items() if _PASSED.fullmatch(name.lower())}
        login = self._credential.headers(request.headers.getall(BETA, []))
        kept = {name: value for name, value in kept.items() if name.lower() not in login}
        return {**kept, **login, "Accept-Encoding": "identity"}

    def _is_hopeless(self, trouble: Trouble) -> bool:
        """Whether the program would only waste time if it tried again by itself."""
        if trouble.passes:
            return trouble.until is not None and trouble.until - self._caller.health.now > _RETRIED
        return True

    async def _pass_on(
        self, request: web.BaseRequest, upstream: aiohttp.ClientResponse, answer: Answer
    ) -> web.StreamResponse:
        headers = CIMultiDict(
            (name, self._secrets.scrub_text(value))
            for name, value in upstream.headers.items()
            if name.lower() not in _HELD_BACK
        )
        if upstream.content_type != "text/event-stream":
            body = await whole(upstream)
            answer.received = len(body)
            body = self._secrets.scrub(body)
            answer.take_body(body)
            if answer.trouble and self._is_hopeless(answer.trouble):
                headers["x-should-retry"] = "false"
            return web.Response(status=upstream.status, headers=headers, body=body)
        response = web.StreamResponse(status=upstream.status, headers=headers)
        await response.prepare(request)
        echo = EchoFilter(self._secrets)
        async for lines in lines_of(upstream):
            answer.received += len(lines)
            for line in lines.splitlines():
                answer.take_line(self._secrets.scrub(line) if b'"error"' in line else line)
            await response.write(echo.take(lines))
        await response.write(echo.rest())
        await response.write_eof()
        return response


class _Server(web.Server):
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
        await self.shutdown(_PATIENCE)


def _length(request: web.BaseRequest) -> int:
    if "Transfer-Encoding" in request.headers or "Content-Encoding" in request.headers:
        raise _Refused(400, "invalid_request_error", "send the body unencoded, with a Content-Length")
    length = request.content_length
    if length is None:
        raise _Refused(411, "invalid_request_error", "send a Content-Length")
    if not length:
        raise _Refused(400, "invalid_request_error", "the body is empty")
    if length > LARGEST_BODY:
        raise _Refused(413, "request_too_large", f"the body is larger than {shown_size(LARGEST_BODY)}")
    return length


def _invite(request: web.BaseRequest) -> None:
    """Tell a client that waits for 100 Continue to send its body."""
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def _refuse_hidden(upstream: aiohttp.ClientResponse) -> None:
    """Refuse an answer in which the credential could not be found."""
    encoding = upstream.headers.get("Content-Encoding", "identity")
    if encoding.strip().lower() not in _READABLE:
        raise _Refused(502, "api_error", "the API's answer has an encoding that was not asked for")


def _break_off(request: web.BaseRequest) -> None:
    if request.transport is not None:
        request.transport.close()  # after the data that has been written


def _error(status: int, kind: str, why: str) -> web.Response:
    body = {"type": "error", "error": {"type": kind, "message": f"pytest-cobbler's proxy: {why}"}}
    response = web.json_response(body, status=status)
    response.force_close()
    return response
