"""Whether the host of the API answers, before anything is spent: otherwise each agent retries for minutes."""

from __future__ import annotations

import email.message
import socket
import ssl
import urllib.error
import urllib.request
from typing import IO, Any, Final
from urllib.parse import urlsplit

from pytest_cobbler.agents.address import check_address
from pytest_cobbler.agents.certificates import trusted_certificates
from pytest_cobbler.agents.wires.base import Address
from pytest_cobbler.errors import UsageProblem

__all__ = ["reach"]

_TIMEOUT: Final = 20.0
"""Seconds until the host has to answer."""


class _Stay(urllib.request.HTTPRedirectHandler):
    """Takes a redirection for an answer."""

    def redirect_request(
        self,
        _request: urllib.request.Request,
        _file: IO[bytes],
        _code: int,
        _message: str,
        _headers: email.message.Message,
        _address: str,
    ) -> None:
        return None


def reach(place: Address, given: str | None = None) -> None:
    """Send the host of an API an empty request without a credential. Any answer will do, also an error.

    The environment's ``HTTPS_PROXY``, ``NO_PROXY`` and ``SSL_CERT_FILE`` are honoured, as for the proxy of
    the API.

    Args:
        place: where the API is.
        given: the address that replaces it.

    Raises:
        UsageProblem: the host does not answer, or the address is invalid.
    """
    address = given or place.api
    check_address(place.variable, address, f"an API, such as {place.api}")
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    request = urllib.request.Request(f"{parts.scheme}://{host}/", method="HEAD")
    opener = urllib.request.build_opener(_Stay, urllib.request.HTTPSHandler(context=trusted_certificates()))
    try:
        opener.open(request, timeout=_TIMEOUT).close()
    except urllib.error.HTTPError:
        return
    except OSError as error:
        raise UsageProblem(
            f"the API's host {parts.hostname} cannot be reached: {_why(error)}",
            f"Check the network of this machine, HTTPS_PROXY if it needs a proxy, and {place.variable} if "
            "you set it.",
        ) from error
    except Exception as error:  # what answers does not speak HTTP
        raise UsageProblem(
            f"the API's host {parts.hostname} does not answer as an API: {type(error).__name__}",
            f"Check {place.variable}.",
        ) from error


def _why(error: OSError) -> str:
    reason: Any = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, socket.gaierror):
        return "its name does not resolve"
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"its certificate is not valid here: {reason.verify_message}"
    if isinstance(reason, TimeoutError):
        return f"no answer within {_TIMEOUT:.0f} s"
    return str(getattr(reason, "strerror", "") or reason)
