"""The Chat Completions API of OpenAI, which many others serve too.

A streamed answer has its tokens only if it is asked for them, in a last event of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pytest_cobbler.agents.bounds import Prompt
from pytest_cobbler.agents.values import number_of, object_of, text_of
from pytest_cobbler.agents.wires import openai
from pytest_cobbler.agents.wires.allowing import (
    dicts_in,
    elsewhere,
    is_set,
    list_of,
    refuse_hosted,
    searching,
    strangers,
    unlisted,
)
from pytest_cobbler.agents.wires.base import Call, Report

__all__ = ["CHAT", "Chat"]

_FIELDS: Final = frozenset(
    {"model", "messages", "tools", "tool_choice", "parallel_tool_calls", "functions", "function_call"}
    | {"stream", "stream_options", "temperature", "top_p", "top_k", "max_tokens", "max_completion_tokens"}
    | {"stop", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs", "seed"}
    | {"response_format", "user", "safety_identifier", "prompt_cache_key", "reasoning_effort", "verbosity"}
    | {"metadata", "n", "service_tier", "thinking", "reasoning"}
)
_TOOLS: Final = frozenset({"function", "custom"})
_PARTS: Final = frozenset({"text", "refusal", "image_url", "file", "thinking"})
_OUTPUT: Final = ("max_completion_tokens", "max_tokens")
_ONE: Final = (None, 1)


class Chat(openai.OpenAi):
    """The wire of Chat Completions."""

    name = "chat"
    paths = ("/v1/chat/completions",)
    end_of_stream = b"[DONE]"

    def call(self, path: str) -> Call | None:
        return Call(is_to_model=True, target="/chat/completions") if path in self.paths else None

    def hosted(self, content: Mapping[str, Any]) -> Iterator[str]:
        yield from unlisted(content, _FIELDS)
        yield from searching(content.get("model"))
        yield from strangers("messages", content.get("messages"))
        if any(is_set(message.get("audio")) for message in dicts_in(content.get("messages"), below=[])):
            yield "audio"
        if openai.costs_more(content):
            yield "service_tier"
        if content.get("n") not in _ONE:
            yield "n"
        for tool in list_of(content.get("tools")):
            if not isinstance(tool, dict) or tool.get("type") not in _TOOLS:
                yield str(tool.get("type") if isinstance(tool, dict) else tool)
        for block in _blocks(content.get("messages")):
            yield from _unlisted_in(block)

    def prompt(self, content: Mapping[str, Any]) -> Prompt:
        refuse_hosted(self.hosted(content))
        rest = dict(content)
        tools = [*list_of(rest.pop("tools", None)), *list_of(rest.pop("functions", None))]
        parts = [openai.part("frame", tool, []) for tool in tools]
        for message in list_of(rest.pop("messages", None)):
            parts.append(openai.part("message", message, _blocks(message)))
        for name in ("stream", "stream_options", *_OUTPUT, "metadata", "prompt_cache_key"):
            rest.pop(name, None)
        return Prompt([*parts, openai.part("frame", rest, [])])

    def output(self, content: Mapping[str, Any]) -> int | None:
        given = [number_of(content, name) for name in _OUTPUT]
        return min((int(tokens) for tokens in given if tokens), default=openai.MOST_OUTPUT)

    def prepared(self, content: Mapping[str, Any], tokens: int | None) -> Mapping[str, Any]:
        body = dict(content)
        if body.get("stream"):
            body["stream_options"] = {**object_of(body.get("stream_options")), "include_usage": True}
        return body if tokens is None else body | openai.lowered(body, _OUTPUT, tokens)

    def event(self, event: Mapping[str, object]) -> Report | None:
        return self._report(event, is_end=False)

    def whole(self, answer: Mapping[str, object]) -> Report:
        return self._report(answer, is_end=True)

    def _report(self, answer: Mapping[str, object], *, is_end: bool) -> Report:
        return Report(
            model=text_of(answer, "model"),
            usage=openai.usage_of(
                answer.get("usage"), "prompt_tokens", "prompt_tokens_details", "completion_tokens"
            ),
            is_end=is_end,
            has_extras=openai.costs_more(answer),
            fault=openai.fault_of(answer.get("error")),
        )


CHAT: Final = Chat()


def _blocks(messages: Any) -> Iterator[Mapping[str, Any]]:
    """The blocks of content in messages."""
    for message in dicts_in(messages, below=[]):
        yield from dicts_in(message.get("content"), below=[])


def _unlisted_in(block: Mapping[str, Any]) -> Iterator[str]:
    kind = block.get("type")
    if kind not in _PARTS:
        yield str(kind)
    image = block.get("image_url")
    url = image.get("url") if isinstance(image, dict) else image
    if image is not None and not str(url).startswith("data:"):
        yield "image_url"
    for place in (block, object_of(block.get("file"))):
        yield from (name for name in ("file_id", "file_url") if is_set(place.get(name)))
        if elsewhere(place.get("file_data")):
            yield "file_data"
