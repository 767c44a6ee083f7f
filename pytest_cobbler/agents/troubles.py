"""Why the API does not serve an agent: the one list for what the proxy sees and what a program reports."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from pytest_cobbler.causes import Cause
from pytest_cobbler.display import one_line

__all__ = ["Trouble", "end_of_wait", "reported_trouble", "trouble_of", "unreached"]

_LEAST_ERROR: Final = 400
_NO_ACCESS: Final = (401, 403)
_NO_CREDIT: Final = 402
_NO_MODEL: Final = 404
_TOO_LARGE: Final = 413
_TOO_MANY: Final = 429
_BROKEN: Final = 500
"""This status and all above it are faults of the API; 529 is an overload."""

_NO_STATUS: Final = 600

_KINDS: Final[Mapping[str, int]] = {
    "authentication_error": 401,
    "authentication_failed": 401,
    "billing_error": 402,
    "permission_error": 403,
    "oauth_org_not_allowed": 403,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit": 429,
    "api_error": 500,
    "connection_failed": 502,
    "timeout_error": 504,
    "stream_idle_timeout": 504,
    "overloaded_error": 529,
}
"""Type of an error, by the API or by claude -> the status that it stands for where none is reported."""

_SPENT: Final = re.compile(
    r"(your |you're |you are )?(credit balance is too low|out of (extra usage|usage credits))[^:]*",
    re.IGNORECASE,
)
"""The whole message of the API. An error that quotes the request has a colon after the quoted name."""

_TOO_LONG: Final = re.compile(r"(the )?(prompt|input) is too long\b[^\"']*", re.IGNORECASE)

_WORDS_OF_LIMITS: Final = re.compile(
    r"usage limit|hit your [\w -]*limit|(weekly|5-hour|session|opus|sonnet) limit reached"
    r"|credit balance is too low|out of (usage credits|extra usage)",
    re.IGNORECASE,
)
"""Words of claude's last message, by its versions, when it reports an error."""

_WORDS_OF_ACCESS: Final = re.compile(
    r"oauth_org_not_allowed|invalid api key|not logged in|please run /login"
    r"|oauth (token|session|authentication) \S* ?(expired|revoked|not allowed|not supported)",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """One refusal or failure of the API.

    ``cause`` is ``access``, ``model``, ``prompt`` or ``limited``; what ``passes`` is a rate limit or a fault,
    and no limit that lasts for an unknown time. ``until``: when it ends, if that is reported. ``status`` is 0
    if there was no response. ``words`` are those of the API.
    """

    cause: Cause
    passes: bool = False
    status: int = 0
    words: str = ""
    until: datetime | None = None

    @property
    def shown(self) -> str:
        """One line for people."""
        error = f"API error {self.status}" if self.status else "API error"
        return one_line(f"{error}: {self.words}" if self.words else error)

    @property
    def is_refusal(self) -> bool:
        """Whether the API refuses all agents of the run, however long they wait."""
        return self.cause in (Cause.ACCESS, Cause.MODEL)


def trouble_of(
    status: int, kind: str = "", message: str = "", until: datetime | None = None
) -> Trouble | None:
    """The trouble that a response is; ``None`` if there is none, or one of this request alone.

    Args:
        status: the HTTP status; 0 if it is unknown.
        kind, message: type and text of the error in the response.
        until: see :func:`end_of_wait`.
    """
    number = status if _LEAST_ERROR <= status < _NO_STATUS else _KINDS.get(kind, 0)
    words = one_line(message or kind)
    if number == _NO_CREDIT or kind == "billing_error" or _SPENT.fullmatch(message):
        return Trouble(cause=Cause.LIMITED, status=number, words=words, until=until)
    if number == _TOO_LARGE or (number == _LEAST_ERROR and _TOO_LONG.fullmatch(message)):
        return Trouble(cause=Cause.PROMPT, status=number, words=words)
    if number in _NO_ACCESS:
        return Trouble(cause=Cause.ACCESS, status=number, words=words)
    if number == _NO_MODEL:
        return Trouble(cause=Cause.MODEL, status=number, words=words)
    if number == _TOO_MANY:
        passes = until is not None or not _WORDS_OF_LIMITS.search(message[:1000])
        return Trouble(cause=Cause.LIMITED, passes=passes, status=number, words=words, until=until)
    if number >= _BROKEN:
        return Trouble(cause=Cause.LIMITED, passes=True, status=number, words=words, until=until)
    return None


def reported_trouble(
    status: int, kinds: tuple[str, ...], message: str, until: datetime | None = None
) -> Trouble | None:
    """The trouble that a program reports with its error; programs have words of their own for it.

    Args:
        kinds: the types of the error that it names; the first known one counts.
    """
    words = message[:1000]
    if _WORDS_OF_ACCESS.search(words) and status < _BROKEN:
        return Trouble(cause=Cause.ACCESS, status=status, words=one_line(message))
    if re.fullmatch(r"prompt is too long\W*", words, re.IGNORECASE):
        return Trouble(cause=Cause.PROMPT, status=status, words=one_line(message))
    kind = next((kind for kind in kinds if kind in _KINDS), "")
    if found := trouble_of(status, kind, message, until):
        return found
    if _WORDS_OF_LIMITS.search(words):
        passes = until is not None
        return Trouble(
            cause=Cause.LIMITED, passes=passes, status=status, words=one_line(message), until=until
        )
    return None


def unreached(words: str) -> Trouble:
    """There was no response, or it broke off."""
    return Trouble(cause=Cause.LIMITED, passes=True, words=words)


def end_of_wait(headers: Mapping[str, str], now: datetime) -> datetime | None:
    """When the API serves again: the end of a usage limit, else the time in ``retry-after``."""
    is_rejected = headers.get("anthropic-ratelimit-unified-status", "rejected") == "rejected"
    reset, seconds = headers.get("anthropic-ratelimit-unified-reset"), headers.get("retry-after", "")
    try:
        if reset and is_rejected:
            return datetime.fromtimestamp(int(reset), UTC)
        if seconds.replace(".", "", 1).isdecimal():
            return now + timedelta(seconds=float(seconds))
        return parsedate_to_datetime(seconds).astimezone(UTC) if seconds else None
    except (ValueError, OverflowError, OSError, TypeError, IndexError):
        return None
