"""What the two APIs of OpenAI have in common."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pytest_cobbler.agents.bounds import Part
from pytest_cobbler.agents.credential import Credential
from pytest_cobbler.agents.values import number_of, object_of, text_of
from pytest_cobbler.agents.wires.base import Address, Fault, Terms

__all__ = ["MOST_OUTPUT", "OpenAi", "costs_more", "fault_of", "lowered", "part", "usage_of"]

_PASSED: Final = re.compile(
    r"accept|accept-language|content-type|user-agent|originator|session[_-]id|conversation[_-]id"
    r"|x-stainless-[a-z0-9-]+|x-client-request-id"
)
"""Not ``openai-organization`` and ``openai-project``: they choose who pays."""

MOST_OUTPUT: Final = 128_000
"""Tokens of output of a request that names no limit."""

_TIERS: Final = ("auto", "default", "flex")
"""Tiers of service that cost at most the listed price."""

_IMAGE: Final = 16_000
"""The most tokens of an image, however few bytes it has."""

_DOCUMENT: Final = 1_100_000
"""Tokens of a document or a sound: more than fit into a prompt."""

_MEDIA: Final = {
    "input_image": _IMAGE,
    "image_url": _IMAGE,
    "input_file": _DOCUMENT,
    "file": _DOCUMENT,
    "input_audio": _DOCUMENT,
}

_TOO_LONG: Final = "context_length_exceeded"
_TOO_LARGE: Final = 413

_KINDS: Final = {
    "insufficient_quota": "billing_error",
    "billing_hard_limit_reached": "billing_error",
    "billing_not_active": "billing_error",
    "usage_limit_reached": "billing_error",
    "invalid_api_key": "authentication_error",
    _TOO_LONG: "request_too_large",
    "rate_limit_exceeded": "rate_limit_error",
    "server_is_overloaded": "overloaded_error",
    "slow_down": "overloaded_error",
    "server_error": "api_error",
}
"""Code of an error -> its type in the Messages API."""


class OpenAi:
    """What is the same in both wires."""

    address = Address(
        variable="OPENAI_BASE_URL", key="OPENAI_API_KEY", api="https://api.openai.com/v1", below="/v1"
    )
    query = re.compile(r"")
    passed = _PASSED

    def login(self, credential: Credential, _sent: Iterable[tuple[str, str]]) -> dict[str, str]:
        return {"authorization": f"Bearer {credential.value}"}

    def models(self, _content: Mapping[str, Any]) -> tuple[str, ...]:
        return ()

    def terms(self, _content: Mapping[str, Any]) -> Terms:
        return Terms(writes_cache=True)  # without being asked to

    def error(self, kind: str, message: str) -> dict[str, object]:
        return {"error": {"message": message, "type": kind, "param": None, "code": kind}}


def costs_more(facts: Mapping[str, Any]) -> bool:
    """Whether the tier of service of a request or an answer may cost more than the listed price."""
    return facts.get("service_tier") not in (None, *_TIERS)


def fault_of(error: object) -> Fault | None:
    """The error in an answer or an event."""
    facts = object_of(error)
    if not facts:
        return None
    code = text_of(facts, "code") or text_of(facts, "type")
    message = text_of(facts, "message")
    return Fault(
        kind=_KINDS.get(code) or _KINDS.get(text_of(facts, "type"), code),
        message=message or code,
        status=_TOO_LARGE if code == _TOO_LONG else 0,
    )


def usage_of(usage: object, whole: str, details: str, output: str) -> dict[str, object]:
    """The tokens of an answer; those of the cache are a part of the ``whole`` input here."""
    facts = object_of(usage)
    total, given = number_of(facts, whole), number_of(facts, output)
    if total is None and given is None:
        return {}
    parts = object_of(facts.get(details))
    read = min(number_of(parts, "cached_tokens") or 0, total or 0)
    written = min(number_of(parts, "cache_write_tokens") or 0, (total or 0) - read)
    return {
        "input_tokens": int((total or 0) - read - written),
        "cache_read_input_tokens": int(read),
        "cache_creation_input_tokens": int(written),
        "output_tokens": int(given or 0),
    }


def lowered(content: Mapping[str, Any], names: tuple[str, ...], tokens: int) -> dict[str, int]:
    """The fields for the most tokens of output: those given, at most ``tokens`` each, or the first."""
    given = {name: number_of(content, name) for name in names if content.get(name) is not None}
    return {name: min(int(most), tokens) if most else tokens for name, most in given.items()} or {
        names[0]: tokens
    }


def part(kind: Any, value: Any, blocks: Iterable[Mapping[str, Any]], *, is_thought: bool = False) -> Part:
    """A part of a prompt that has these ``blocks`` of content."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False).encode("utf-8", "replace")
    media = sum(_MEDIA.get(str(block.get("type")), 0) for block in blocks)
    return Part(kind=kind, text=text, media=media, thoughts=len(text) if is_thought else 0)
