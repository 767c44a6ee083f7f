"""The way to the API: its address, a proxy before it, and reading what it sends."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import AsyncIterator
from typing import Final

import aiohttp
from yarl import URL

from pytest_cobbler.agents.address import check_address
from pytest_cobbler.agents.wires.base import Address
from pytest_cobbler.errors import UsageProblem

__all__ = ["LARGEST_BODY", "UNREACHED", "check_proxy_of", "checked_base", "lines_of", "proxy_for", "whole"]

LARGEST_BODY: Final = 32 * 1024 * 1024
"""Bytes of a request, as the API allows, and of a response that is not a stream."""

UNREACHED: Final = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientHttpProxyError,
    ValueError,
)
"""Errors before anything of a request was sent. After any other one, the API may have it, and charge it."""

_LONGEST_LINE: Final = 8 * 1024 * 1024
"""Bytes of a line of an event stream."""


def checked_base(base_url: str, address: Address) -> str:
    check_address(address.variable, base_url, f"an API, such as {address.api}")
    url = URL(base_url)
    if url.user or url.password or url.query_string or url.fragment:
        raise UsageProblem(
            f"{address.variable} has more than a host, a port and a path",
            "agent_network: proxy uses only the credential of the agent.",
        )
    return str(url).rstrip("/")


def check_proxy_of(url: URL) -> None:
    if value := proxy_for(url):
        names = (f"{url.scheme}_proxy", f"{url.scheme}_proxy".upper())
        name = next((name for name in names if os.environ.get(name) == value), names[1])
        check_address(name, value, "a proxy, such as http://proxy.example:3128")


def proxy_for(url: URL) -> str | None:
    """The proxy for ``url`` from the environment."""
    if urllib.request.proxy_bypass(f"{url.host}:{url.port}"):
        return None
    return urllib.request.getproxies().get(url.scheme)


async def whole(upstream: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in upstream.content.iter_any():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise aiohttp.ClientPayloadError("too large")
    return bytes(body)


async def lines_of(upstream: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The response in complete lines, so that the credential is found in each."""
    rest = b""
    async for chunk in upstream.content.iter_any():
        complete, newline, rest = (rest + chunk).rpartition(b"\n")
        if newline:
            yield complete + newline
        if len(rest) > _LONGEST_LINE:
            raise aiohttp.ClientPayloadError("a line is too long")
    if rest:
        yield rest
