"""A reverse proxy that serves the API of a model to one job, and keeps the credential on the host.

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
import re
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from pytest_cobbler.agents.base import OnExchange
from pytest_cobbler.agents.budget import Account, Budget, Unpaid
from pytest_cobbler.agents.certificates import trusted_certificates
from pytest_cobbler.agents.clients import PATIENCE, Server, break_off, invite, length_of
from pytest_cobbler.agents.credential import Credential
from pytest_cobbler.agents.echo import EchoFilter, SpreadEcho
from pytest_cobbler.agents.health import ApiHealth, Caller
from pytest_cobbler.agents.metering import Answer, Meter
from pytest_cobbler.agents.prices import BUILT_IN, PriceList
from pytest_cobbler.agents.rules import EVERYTHING_LOCAL, Refused, Rules
from pytest_cobbler.agents.spending import Order, Spender, TooDear
from pytest_cobbler.agents.troubles import Trouble, unreached
from pytest_cobbler.agents.upstream import (
    LARGEST_BODY,
    UNREACHED,
    check_proxy_of,
    checked_base,
    lines_of,
    proxy_for,
    whole,
)
from pytest_cobbler.agents.wires.base import Asked, Call, Wire
from pytest_cobbler.agents.wires.messages import MESSAGES
from pytest_cobbler.display import one_line
from pytest_cobbler.sandbox.base import Loopback
from pytest_cobbler.secret_forms import Secrets
from pytest_cobbler.usage import Usage

__all__ = ["ApiProxy"]

_ROOM: Final = 2 * LARGEST_BODY
"""Bytes of all requests that are being sent to the API at the same time."""

_CONNECT: Final = 30.0
"""Seconds to reach the API; the agent's program limits the time of the response."""

_RETRIED: Final = timedelta(minutes=1)
"""The longest wait for which a program may try again by itself; after a longer one, it is started again."""

_QUERY: Final = re.compile(r"[A-Za-z0-9_=&.-]{0,256}")
_HELD_BACK: Final = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-connection", "trailer", "transfer-encoding"}
    | {"upgrade", "content-length", "content-encoding", "set-cookie", "date", "server"}
)
"""Headers of a response that concern the connection, or that only browsers use."""

_READABLE: Final = ("", "identity", "gzip", "deflate")
"""Encodings of an answer that are undone here, although none is asked for."""


@dataclass(kw_only=True)
class _Exchange:
    """A request, with what is reserved for it, and its answer."""

    call: Call | None
    answer: Answer
    order: Order = field(default_factory=lambda: Order(body=b""))

    @property
    def is_to_model(self) -> bool:
        """Whether a model answers it; counting tokens is free, and has limits of its own."""
        return self.call is not None and self.call.is_to_model


class ApiProxy:
    """Serves the API at ``base_url`` on a job's loopback, with ``credential``; for one job.

    The environment's ``HTTPS_PROXY``, ``NO_PROXY`` and ``SSL_CERT_FILE`` are honoured.

    Args:
        prices: by which the answers are counted.
        account: pays for the requests; ``None``: there is no limit.
        caller: is told of answers and troubles of the API.
        wire: the format of the API.
        rules: the requests that it may serve.
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
        wire: Wire = MESSAGES,
        rules: Rules = EVERYTHING_LOCAL,
    ) -> None:
        self._credential = credential
        self._wire = wire
        self._rules = rules
        self._prices = prices
        account = account or Account(budget=Budget())
        self._spender = Spender(account, self._prices, wire)
        self._streams = asyncio.Semaphore(account.streams)
        self._base = checked_base(base_url, wire.address)
        check_proxy_of(URL(self._base))
        self._port = port
        self._secrets = Secrets(credential.secrets())
        self._meter = Meter()
        self._caller = caller or Caller(ApiHealth(), "", is_seen=True)
        self._on_exchange = on_exchange or (lambda _event, _facts: None)
        self._sent = 0
        self.refusal = ""
        """The last request that the proxy refused itself, and why, if the API has served none since."""
        self._room = _ROOM
        self._certificates = trusted_certificates()

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
            thread.join(PATIENCE)
            if not thread.is_alive():
                loop.close()

    async def _serve(self, listener: socket.socket, stop: asyncio.Event) -> None:
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._certificates, limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT),
            skip_auto_headers=("Accept", "Content-Type", "User-Agent"),
        ) as session:
            server = Server(functools.partial(self._answer, session))
            accepting = asyncio.create_task(server.accept(listener))
            await stop.wait()
            accepting.cancel()
            await server.end()
            await asyncio.wait({accepting})

    async def _answer(self, session: aiohttp.ClientSession, request: web.BaseRequest) -> web.StreamResponse:
        path = request.raw_path.partition("?")[0]
        exchange = _Exchange(call=self._wire.call(path), answer=Answer(self._prices, self._wire))
        is_to_model = exchange.is_to_model
        try:
            async with self._streams if is_to_model else contextlib.nullcontext():
                return await self._exchange(session, request, exchange)
        except Refused as refused:
            if refused.status < 500:
                self.refusal = one_line(f"{request.method} {path}: {refused}")
            return self._error(refused)
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
                break_off(request)
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
        url = URL(self._base + self._target(request, exchange.call), encoded=True)
        length = length_of(request)
        async with self._reserve(length):
            invite(request)
            answer = exchange.answer
            asked = Asked.of(await request.content.readexactly(length), exchange.call)
            self._rules.check(self._wire, asked)
            exchange.order = await self._afford(asked) if exchange.is_to_model else Order.free(asked)
            if exchange.is_to_model:
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
                is_reached = not isinstance(error, UNREACHED)
                if not is_reached:
                    answer.drop()
                outcome = (
                    "closed the connection without a response" if is_reached else f"cannot be reached: {why}"
                )
                answer.trouble = unreached(f"{url.host} {outcome}")
                self._meter.begin(answer)
                raise Refused(502, "api_error", f"{url.host} {outcome}") from None
            answer.begin(upstream.status, upstream.headers)
            if exchange.is_to_model:
                self._meter.begin(answer)
                self._caller.was_answered = self._caller.was_answered or upstream.ok
                self.refusal = "" if upstream.ok else self.refusal
            return upstream

    async def _afford(self, asked: Asked) -> Order:
        try:
            return await self._spender.afford(asked)
        except TooDear as reason:
            raise Refused(403, "permission_error", str(reason)) from None  # which claude does not try again

    def _target(self, request: web.BaseRequest, call: Call | None) -> str:
        """Path and query of the request below the address of the API."""
        query = request.raw_path.partition("?")[2]
        hosts = {f"{host}:{self._port}" for host in ("127.0.0.1", "localhost")}
        if request.headers.getall("Host", []) not in [[host] for host in hosts]:
            raise Refused(403, "permission_error", f"only the host {min(hosts)} is served here")
        if "websocket" in request.headers.get("Upgrade", "").lower():
            raise Refused(426, "invalid_request_error", "no WebSocket is served here")
        if call is None or not self._wire.query.fullmatch(query):
            served = " and ".join(self._wire.paths)
            raise Refused(403, "permission_error", f"only {served} are served here")
        if request.method != "POST":
            raise Refused(403, "permission_error", "only POST is served here")
        return f"{call.target}?{query}" if query else call.target

    @contextlib.asynccontextmanager
    async def _reserve(self, length: int) -> AsyncIterator[None]:
        """Reserve memory for a body; the total for concurrent requests of a job is limited."""
        if length > self._room:
            raise Refused(529, "overloaded_error", "too many large requests in parallel")
        self._room -= length
        try:
            yield
        finally:
            self._room += length

    def _headers(self, request: web.BaseRequest) -> dict[str, str]:
        passed = self._wire.passed
        kept = {name: value for name, value in request.headers.items() if passed.fullmatch(name.lower())}
        login = self._wire.login(self._credential, request.headers.items())
        kept = {name: value for name, value in kept.items() if name.lower() not in login}
        return {**kept, **login, "Accept-Encoding": "identity"}

    def _error(self, refused: Refused) -> web.Response:
        body = self._wire.error(refused.kind, f"pytest-cobbler's proxy: {refused}")
        response = web.json_response(body, status=refused.status)
        response.force_close()
        return response

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
                headers.popall("retry-after", None)  # codex would wait for so long
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


def _refuse_hidden(upstream: aiohttp.ClientResponse) -> None:
    """Refuse an answer in which the credential could not be found."""
    encoding = upstream.headers.get("Content-Encoding", "identity")
    if encoding.strip().lower() not in _READABLE:
        raise Refused(502, "api_error", "the API's answer has an encoding that was not asked for")
