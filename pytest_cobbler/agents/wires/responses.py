"""The Responses API of OpenAI.

A streamed answer has its tokens in its last event, and only there.
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
from pytest_cobbler.agents.wires.base import Call, Fault, Report

__all__ = ["RESPONSES", "Responses"]

_FIELDS: Final = frozenset(
    {"model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "reasoning", "text"}
    | {"stream", "stream_options", "temperature", "top_p", "top_logprobs", "max_output_tokens", "metadata"}
    | {"truncation", "user", "safety_identifier", "prompt_cache_key", "client_metadata"}
    | {"include", "service_tier"}
)
_TOOLS: Final = frozenset({"function", "custom", "local_shell", "apply_patch", "namespace"})
"""Types of tools that run where the agent does."""

_SEARCH: Final = frozenset({"tool_search", "tool_search_call", "tool_search_output"})
"""A search for tools, which the program itself can carry out."""

_ITEMS: Final = frozenset(
    {"message", "reasoning", "function_call", "function_call_output", "custom_tool_call"}
    | {"custom_tool_call_output", "local_shell_call", "local_shell_call_output"}
    | {"apply_patch_call", "apply_patch_call_output", "additional_tools"}
)
_PARTS: Final = frozenset(
    {"input_text", "output_text", "text", "refusal", "summary_text", "reasoning_text", "input_image"}
    | {"input_file"}
)
_BELOW: Final = ("content", "output", "summary")
_ELSEWHERE: Final = ("file_id", "file_url")
_INCLUDED: Final = ("reasoning.encrypted_content", "message.output_text.logprobs")
_ENDS: Final = ("response.completed", "response.incomplete", "response.failed")


class Responses(openai.OpenAi):
    """The wire of the Responses API."""

    name = "responses"
    paths = ("/v1/responses",)
    end_of_stream = b""

    def call(self, path: str) -> Call | None:
        return Call(is_to_model=True, target="/responses") if path in self.paths else None

    def hosted(self, content: Mapping[str, Any]) -> Iterator[str]:
        yield from unlisted(content, _FIELDS)
        yield from searching(content.get("model"))
        if isinstance(content.get("input"), list):
            yield from strangers("input", content["input"])
        if any(name not in _INCLUDED for name in list_of(content.get("include"))):
            yield "include"
        if openai.costs_more(content):
            yield "service_tier"
        items = list_of(content.get("input"))
        more = [item.get("tools") for item in items if isinstance(item, dict)]
        for tool in dicts_in(content.get("tools"), *more, below=["tools", "children"]):
            if tool.get("type") not in _TOOLS and not _is_search_here(tool):
                yield str(tool.get("type"))
        for item in items:
            yield from _unlisted_in(item)

    def prompt(self, content: Mapping[str, Any]) -> Prompt:
        refuse_hosted(self.hosted(content))
        rest = dict(content)
        parts = [openai.part("system", rest.pop("instructions", None), [])]
        parts += [openai.part("frame", tool, []) for tool in list_of(rest.pop("tools", None))]
        for item in list_of(rest.pop("input", None)):
            is_thought = isinstance(item, dict) and item.get("type") == "reasoning"
            blocks = dicts_in(item, below=_BELOW)
            parts.append(openai.part("message", item, blocks, is_thought=is_thought))
        for name in ("stream", "max_output_tokens", "metadata", "client_metadata", "prompt_cache_key"):
            rest.pop(name, None)
        parts.append(openai.part("frame", rest, []))
        return Prompt(parts, is_shortened=content.get("truncation") == "auto")

    def output(self, content: Mapping[str, Any]) -> int | None:
        tokens = number_of(content, "max_output_tokens")
        return int(tokens) if tokens else openai.MOST_OUTPUT

    def prepared(self, content: Mapping[str, Any], tokens: int | None) -> Mapping[str, Any]:
        body = {**content, "store": bool(content.get("store"))}  # the API stores what does not forbid it
        return body if tokens is None else body | openai.lowered(body, ("max_output_tokens",), tokens)

    def event(self, event: Mapping[str, object]) -> Report | None:
        kind = text_of(event, "type")
        if kind in _ENDS:
            return self._report(object_of(event.get("response")))
        return Report(fault=_fault(event)) if kind == "error" else None

    def whole(self, answer: Mapping[str, object]) -> Report:
        return self._report(answer)

    def _report(self, response: Mapping[str, object]) -> Report:
        items = [object_of(item) for item in list_of(response.get("output"))]
        return Report(
            model=text_of(response, "model"),
            usage=openai.usage_of(
                response.get("usage"), "input_tokens", "input_tokens_details", "output_tokens"
            ),
            is_end=True,
            has_extras=any(
                text_of(item, "type") not in _ITEMS and not _is_search_here(item) for item in items
            )
            or openai.costs_more(response),
            fault=openai.fault_of(response.get("error")),
        )


RESPONSES: Final = Responses()


def _fault(event: Mapping[str, object]) -> Fault | None:
    """The error of an event, whose facts are in it or in one of its fields."""
    return openai.fault_of(event.get("error")) or openai.fault_of(
        {"code": event.get("code"), "message": event.get("message")}
    )


def _is_search_here(entry: Mapping[str, Any]) -> bool:
    return entry.get("type") in _SEARCH and entry.get("execution") == "client"


def _unlisted_in(item: Any) -> Iterator[str]:
    if not isinstance(item, dict):
        return
    kind = item.get("type", "message")
    if kind not in _ITEMS and not _is_search_here(item):
        yield str(kind)
    for block in dicts_in(*(item.get(name) for name in _BELOW), below=_BELOW):
        if block.get("type") not in _PARTS:
            yield str(block.get("type"))
        yield from (name for name in _ELSEWHERE if is_set(block.get(name)))
        if elsewhere(block.get("file_data")):
            yield "file_data"
        if block.get("type") == "input_image" and not str(block.get("image_url")).startswith("data:"):
            yield "image_url"
