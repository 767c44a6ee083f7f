"""The Gemini API of Google: ``generateContent`` and ``streamGenerateContent``.

Each event of a stream has all tokens so far. Names may be written as in ``generationConfig`` and as in
``generation_config``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pytest_cobbler.agents.bounds import Part, Prompt
from pytest_cobbler.agents.credential import Credential
from pytest_cobbler.agents.values import number_of, object_of, text_of
from pytest_cobbler.agents.wires.allowing import (
    camel,
    dicts_in,
    list_of,
    refuse_hosted,
    spelled_twice,
    strangers,
    unlisted,
)
from pytest_cobbler.agents.wires.base import Address, Call, Fault, Report, Terms

__all__ = ["GEMINI", "Gemini"]

_PATH: Final = re.compile(r"/(v1|v1beta)/models/([A-Za-z0-9][A-Za-z0-9._-]*):([A-Za-z]+)")
_METHODS: Final = {"generateContent": True, "streamGenerateContent": True, "countTokens": False}
"""Method -> whether a model answers."""

_FIELDS: Final = frozenset(
    {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "safetySettings"}
)
_CONFIGURATION: Final = frozenset(
    {"temperature", "topP", "topK", "maxOutputTokens", "stopSequences", "responseMimeType", "responseSchema"}
    | {"responseJsonSchema", "seed", "presencePenalty", "frequencyPenalty", "thinkingConfig"}
    | {"candidateCount", "mediaResolution", "responseLogprobs", "logprobs"}
)
_PARTS: Final = frozenset(
    {"text", "thought", "thoughtSignature", "inlineData", "functionCall", "functionResponse"}
    | {"mediaResolution", "partMetadata"}
)
_TURN: Final = frozenset({"role", "parts"})
_PASSED: Final = re.compile(r"accept|accept-language|content-type|user-agent|x-goog-api-client")

_MOST_OUTPUT: Final = 65_536
"""Tokens of output of a request that names no limit: no model has more."""

_DELAY: Final = re.compile(r"(\d{1,12}(?:\.\d{1,12})?)s")
_WEEK: Final = 7 * 24 * 3600.0

_IMAGE: Final = 16_000
_OTHER_MEDIA: Final = 2_000_000
"""Tokens of a document, a sound or a film: more than fit into a prompt."""

_KINDS: Final = {
    "UNAUTHENTICATED": "authentication_error",
    "PERMISSION_DENIED": "permission_error",
    "RESOURCE_EXHAUSTED": "rate_limit_error",
    "UNAVAILABLE": "overloaded_error",
    "INTERNAL": "api_error",
    "DEADLINE_EXCEEDED": "timeout_error",
}
"""Status of an error -> its type in the Messages API."""


class Gemini:
    """The wire of the Gemini API."""

    name = "gemini"
    address = Address(
        variable="GOOGLE_GEMINI_BASE_URL",
        key="GEMINI_API_KEY",
        api="https://generativelanguage.googleapis.com",
    )
    paths = ("/v1beta/models/MODEL:generateContent", "/v1beta/models/MODEL:streamGenerateContent?alt=sse")
    query = re.compile(r"(alt=sse)?")
    passed = _PASSED
    end_of_stream = b""

    def call(self, path: str) -> Call | None:
        match = _PATH.fullmatch(path)
        if match is None or match[3] not in _METHODS:
            return None
        return Call(is_to_model=_METHODS[match[3]], target=path, model=match[2])

    def login(self, credential: Credential, _sent: Iterable[tuple[str, str]]) -> dict[str, str]:
        return {"x-goog-api-key": credential.value}

    def hosted(self, content: Mapping[str, Any]) -> Iterator[str]:
        body = _plain(content)
        yield from spelled_twice(content)
        yield from unlisted(body, _FIELDS)
        for name in ("contents", "tools", "systemInstruction", "generationConfig"):
            yield from strangers(name, body.get(name))
        given = object_of(body.get("generationConfig"))
        configuration = _plain(given)
        yield from spelled_twice(given)
        yield from unlisted(configuration, _CONFIGURATION)
        if configuration.get("candidateCount") not in (None, 1):
            yield "candidateCount"
        for tool in dicts_in(body.get("tools"), below=[]):
            yield from spelled_twice(tool)
            yield from (camel(name) for name in tool if camel(name) != "functionDeclarations")
        for turn in dicts_in(body.get("contents"), body.get("systemInstruction"), below=[]):
            yield from unlisted(turn, _TURN)
            yield from strangers("parts", turn.get("parts"))
        for part in _parts_of(body):
            plain = _plain(part)
            yield from spelled_twice(part)
            yield from unlisted(plain, _PARTS)
            yield from spelled_twice(object_of(plain.get("inlineData")))
            yield from strangers("parts", object_of(plain.get("functionResponse")).get("parts"))

    def models(self, _content: Mapping[str, Any]) -> tuple[str, ...]:
        return ()

    def prompt(self, content: Mapping[str, Any]) -> Prompt:
        refuse_hosted(self.hosted(content))
        rest = _plain(content)
        parts = [_part("system", rest.pop("systemInstruction", None))]
        parts += [_part("frame", tool) for tool in list_of(rest.pop("tools", None))]
        parts += [_part("message", turn) for turn in list_of(rest.pop("contents", None))]
        configuration = _plain(object_of(rest.pop("generationConfig", None)))
        configuration.pop("maxOutputTokens", None)
        return Prompt([*parts, _part("frame", [rest, configuration])])

    def terms(self, _content: Mapping[str, Any]) -> Terms:
        return Terms()

    def output(self, content: Mapping[str, Any]) -> int | None:
        configuration = _plain(object_of(_plain(content).get("generationConfig")))
        tokens = number_of(configuration, "maxOutputTokens")
        return int(tokens) if tokens else _MOST_OUTPUT

    def prepared(self, content: Mapping[str, Any], tokens: int | None) -> Mapping[str, Any]:
        if tokens is None:
            return dict(content)
        body = _plain(content)
        configuration = _plain(object_of(body.get("generationConfig")))
        return {**body, "generationConfig": {**configuration, "maxOutputTokens": tokens}}

    def event(self, event: Mapping[str, object]) -> Report | None:
        first = next(dicts_in(event.get("candidates"), below=[]), {})
        is_blocked = bool(object_of(event.get("promptFeedback")).get("blockReason"))
        return self._report(event, is_end=bool(first.get("finishReason")) or is_blocked)

    def whole(self, answer: Mapping[str, object]) -> Report:
        return self._report(answer, is_end=True)

    def error(self, kind: str, message: str) -> dict[str, object]:
        status = next((name for name, ours in _KINDS.items() if ours == kind), "INVALID_ARGUMENT")
        return {"error": {"code": 0, "message": message, "status": status}}

    def _report(self, answer: Mapping[str, object], *, is_end: bool) -> Report:
        return Report(
            model=text_of(answer, "modelVersion"),
            usage=_usage(object_of(answer.get("usageMetadata"))),
            is_end=is_end,
            has_extras=bool(number_of(object_of(answer.get("usageMetadata")), "toolUsePromptTokenCount")),
            fault=_fault(object_of(answer.get("error"))),
        )


GEMINI: Final = Gemini()


def _plain(content: Mapping[str, Any]) -> dict[str, Any]:
    return {camel(name): value for name, value in content.items()}


def _parts_of(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The parts of all turns, and those in the answers of functions."""
    for turn in dicts_in(body.get("contents"), body.get("systemInstruction"), below=[]):
        for part in dicts_in(turn.get("parts"), below=[]):
            yield part
            yield from dicts_in(object_of(_plain(part).get("functionResponse")).get("parts"), below=[])


def _part(kind: Any, value: Any) -> Part:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False).encode("utf-8", "replace")
    media = 0
    for part in _parts_of({"contents": value}):
        data = object_of(_plain(part).get("inlineData"))
        if data:
            is_image = text_of(_plain(data), "mimeType").startswith("image/")
            media += _IMAGE if is_image else _OTHER_MEDIA
    return Part(kind=kind, text=text, media=media)


def _usage(facts: Mapping[str, object]) -> dict[str, object]:
    """The tokens of an answer; those of thoughts are output, and those of the cache a part of the prompt."""
    whole = number_of(facts, "promptTokenCount")
    if whole is None:
        return {}
    read = min(number_of(facts, "cachedContentTokenCount") or 0, whole)
    spoken = number_of(facts, "candidatesTokenCount") or 0
    return {
        "input_tokens": int(whole - read),
        "cache_read_input_tokens": int(read),
        "output_tokens": int(spoken + (number_of(facts, "thoughtsTokenCount") or 0)),
    }


def _fault(error: Mapping[str, object]) -> Fault | None:
    if not error:
        return None
    message = text_of(error, "message")
    if "API key not valid" in message:  # with status 400
        return Fault(kind="authentication_error", message=message, status=401)
    status = text_of(error, "status")
    return Fault(kind=_KINDS.get(status, status), message=message, wait=_wait(error))


def _wait(error: Mapping[str, object]) -> float | None:
    """The seconds that an error has in its details, such as ``"retryDelay": "34.5s"``; at most a week."""
    for detail in dicts_in(error.get("details"), below=[]):
        if match := _DELAY.fullmatch(text_of(detail, "retryDelay")):
            return min(float(match[1]), _WEEK)
    return None
