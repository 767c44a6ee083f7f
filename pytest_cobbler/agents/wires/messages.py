"""The Messages API of Anthropic.

A streamed answer has its tokens in two places: ``message_start`` holds those of the input,
``message_delta`` the whole of the output so far.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pytest_cobbler.agents.bounds import Prompt
from pytest_cobbler.agents.credential import BETA, Credential
from pytest_cobbler.agents.values import SNAKE, number_of, object_of, text_of
from pytest_cobbler.agents.wires.allowing import dicts_in, list_of, unlisted
from pytest_cobbler.agents.wires.base import Address, Call, Fault, Report, Terms
from pytest_cobbler.agents.wires.messages_prompt import BELOW, is_local, prompt_of

__all__ = ["MESSAGES", "Messages"]

_PATH: Final = "/v1/messages"
_COUNTING: Final = f"{_PATH}/count_tokens"

_PASSED: Final = re.compile(
    r"accept|accept-language|content-type|user-agent|anthropic-[a-z0-9-]+"
    r"|x-app|x-stainless-[a-z0-9-]+|x-claude-[a-z0-9-]+|x-client-[a-z0-9-]+"
)

_CONDITIONS: Final = ("cache_creation", "server_tool_use", "speed", "inference_geo")
"""What a usage says beside tokens, on which its price depends."""

_PRICED_TOOLS: Final = ("web_search_requests", "web_fetch_requests")
"""Uses of the API's tools that the price list knows; a fetch costs only its tokens."""

_LEAST_THINKING: Final = 1024
"""The fewest tokens that the API accepts as a budget for thinking."""


_FIELDS: Final = frozenset(
    {"model", "messages", "max_tokens", "system", "tools", "tool_choice", "metadata", "stop_sequences"}
    | {"stream", "temperature", "top_k", "top_p", "thinking", "service_tier", "context_management"}
    | {"output_config", "output_format", "cache_control", "speed", "inference_geo", "fallbacks"}
    | {"diagnostics"}
)

_DATE: Final = re.compile(r"_\d{8}$")


class Messages:
    """The wire of Anthropic's models."""

    name = "messages"
    address = Address(variable="ANTHROPIC_BASE_URL", key="ANTHROPIC_API_KEY", api="https://api.anthropic.com")
    query = re.compile(r"[A-Za-z0-9_=&.-]{0,256}")
    end_of_stream = b""
    paths = (_PATH, _COUNTING)
    """Batches are not served: they outlive the run, and their cost would be unknown."""

    passed = _PASSED

    def call(self, path: str) -> Call | None:
        return Call(is_to_model=path == _PATH, target=path) if path in self.paths else None

    def login(self, credential: Credential, sent: Iterable[tuple[str, str]]) -> dict[str, str]:
        return credential.headers(value for name, value in sent if name.lower() == BETA)

    def hosted(self, content: Mapping[str, Any]) -> Iterator[str]:
        yield from unlisted(content, _FIELDS)
        for tool in list_of(content.get("tools")):
            if not is_local(tool):
                yield _DATE.sub("", str(tool.get("type")))
        for block in dicts_in(content.get("messages"), content.get("system"), below=BELOW):
            if block.get("type") in ("container_upload", "url", "file"):
                yield str(block["type"])

    def models(self, content: Mapping[str, Any]) -> tuple[str, ...]:
        others = list_of(content.get("fallbacks"))
        return tuple(text_of(one, "model") if isinstance(one, dict) else str(one) for one in others)

    def prompt(self, content: Mapping[str, Any]) -> Prompt:
        return prompt_of(content)

    def terms(self, content: Mapping[str, Any]) -> Terms:
        text = json.dumps(content)
        return Terms(
            is_fast=text_of(content, "speed") == "fast",
            writes_cache='"cache_control"' in text,
            for_an_hour='"1h"' in text,
            is_regional=True,  # a setting of the account may choose the place
        )

    def output(self, content: Mapping[str, Any]) -> int | None:
        tokens = number_of(content, "max_tokens")
        return int(tokens) if tokens else None

    def prepared(self, content: Mapping[str, Any], tokens: int | None) -> Mapping[str, Any]:
        if tokens is None:
            return content
        body = {**content, "max_tokens": tokens}
        body.pop("fallbacks", None)
        thinking = object_of(content.get("thinking"))
        budget = number_of(thinking, "budget_tokens")
        if budget is not None and budget >= tokens:  # it has to stay below the output
            body["thinking"] = {**thinking, "budget_tokens": max(_LEAST_THINKING, tokens - _LEAST_THINKING)}
        return body

    def event(self, event: Mapping[str, object]) -> Report | None:
        match text_of(event, "type"):
            case "message_start":
                # Its tokens of output are a placeholder.
                return _report(object_of(event.get("message")), without="output_tokens")
            case "message_delta":
                return _report(event)
            case "message_stop":
                return Report(is_end=True)
            case "error":
                return Report(fault=_fault(event))
            case _:
                return None

    def whole(self, answer: Mapping[str, object]) -> Report:
        return _report(answer, is_end=True, fault=_fault(answer))

    def error(self, kind: str, message: str) -> dict[str, object]:
        return {"type": "error", "error": {"type": kind, "message": message}}


MESSAGES: Final = Messages()


def _report(
    message: Mapping[str, object], *, without: str = "", is_end: bool = False, fault: Fault | None = None
) -> Report:
    usage = object_of(message.get("usage"))
    tokens = {
        name: usage[name] for name in SNAKE.values() if name != without and number_of(usage, name) is not None
    }
    conditions = {name: usage[name] for name in _CONDITIONS if isinstance(usage.get(name), dict | str)}
    tools = object_of(usage.get("server_tool_use"))  # which may have prices of their own
    uses = any(number_of(tools, name) and name not in _PRICED_TOOLS for name in tools)
    rounds = usage.get("iterations")
    is_repeated = isinstance(rounds, list) and any(
        text_of(object_of(one), "type") != "message" for one in rounds
    )
    edits = object_of(message.get("context_management")).get("applied_edits")
    return Report(
        model=text_of(message, "model"),
        usage=tokens | conditions,
        is_end=is_end,
        has_extras=uses or is_repeated,
        is_shortened=is_repeated or bool(edits),
        fault=fault,
    )


def _fault(answer: Mapping[str, object]) -> Fault | None:
    error = object_of(answer.get("error"))
    return Fault(kind=text_of(error, "type"), message=text_of(error, "message")) if error else None
