"""What a scripted API reads and writes in the formats of OpenAI and Google.

A turn is scripted by blocks of the Messages API, and its usage has the names of that API.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Final

__all__ = ["Chat", "Format", "Gemini", "Responses", "format_of"]

_OPENAI: Final = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}
_GOOGLE: Final = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}


class Format:
    """One format; each method takes what the scripted API knows in the names of the Messages API."""

    def messages(self, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The texts of a request, as messages of the Messages API."""
        raise NotImplementedError

    def streams(self, _path: str, body: Mapping[str, Any]) -> bool:
        return bool(body.get("stream"))

    def whole(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """An answer that is not a stream."""
        raise NotImplementedError

    def events(self, message: Mapping[str, Any], body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The events of a stream."""
        raise NotImplementedError

    def end(self) -> bytes:
        """What is behind the last event."""
        return b""

    def error(self, status: int, message: str) -> dict[str, Any]:
        code = _OPENAI.get(status, "server_error")
        return {"error": {"message": message, "type": code, "param": None, "code": code}}


class Responses(Format):
    def messages(self, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        given = body.get("input")
        items = given if isinstance(given, list) else [{"role": "user", "content": given}]
        found = [
            {"role": item.get("role"), "content": _texts(item.get("content"))}
            for item in items
            if item.get("type", "message") == "message"
        ]
        # What a program says of its surroundings comes before the prompt.
        return [one for one in found if not str(one["content"]).lstrip().startswith(("<", "# AGENTS.md"))]

    def whole(self, message: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "id": f"resp_{uuid.uuid4().hex}",
            "object": "response",
            "created_at": 1,
            "model": message["model"],
            "status": "completed",
            "output": [_item(block) for block in message["content"]],
            "usage": _openai_usage(message["usage"], "input", "output"),
        }

    def events(self, message: Mapping[str, Any], _body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        whole = self.whole(message)
        yield {"type": "response.created", "response": {**whole, "output": [], "usage": None}}
        for index, item in enumerate(whole["output"]):
            place = {"output_index": index, "item_id": item["id"]}
            empty: dict[str, Any] = {"arguments": ""} if "arguments" in item else {"content": []}
            yield {"type": "response.output_item.added", "output_index": index, "item": {**item, **empty}}
            if "arguments" in item:
                delta = {"type": "response.function_call_arguments.delta", "delta": item["arguments"]}
            else:
                delta = {
                    "type": "response.output_text.delta",
                    "content_index": 0,
                    "delta": item["content"][0]["text"],
                }
            yield {**delta, **place}
            yield {"type": "response.output_item.done", "output_index": index, "item": item}
        yield {"type": "response.completed", "response": whole}


class Chat(Format):
    def messages(self, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [
            {"role": message.get("role"), "content": _texts(message.get("content"))}
            for message in body.get("messages") or ()
        ]

    def whole(self, message: Mapping[str, Any]) -> dict[str, Any]:
        words = "".join(block["text"] for block in message["content"] if block["type"] == "text")
        calls = [_call(block) for block in message["content"] if block["type"] == "tool_use"]
        said = {"role": "assistant", "content": words, **({"tool_calls": calls} if calls else {})}
        choice = {"index": 0, "message": said, "finish_reason": "tool_calls" if calls else "stop"}
        usage = _openai_usage(message["usage"], "prompt", "completion")
        return {**_of_chat(message), "object": "chat.completion", "choices": [choice], "usage": usage}

    def events(self, message: Mapping[str, Any], body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        whole = self.whole(message)
        base = {**_of_chat(message), "object": "chat.completion.chunk"}
        [choice] = whole["choices"]
        delta = dict(choice["message"])
        if "tool_calls" in delta:
            delta["tool_calls"] = [{"index": n, **call} for n, call in enumerate(delta["tool_calls"])]
        yield {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        end = {"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}
        yield {**base, "choices": [end]}
        if (body.get("stream_options") or {}).get("include_usage"):
            yield {**base, "choices": [], "usage": whole["usage"]}

    def end(self) -> bytes:
        return b"data: [DONE]\n\n"


class Gemini(Format):
    def messages(self, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [
            {"role": turn.get("role"), "content": _texts(turn.get("parts"))}
            for turn in body.get("contents") or ()
        ]

    def streams(self, path: str, _body: Mapping[str, Any]) -> bool:
        return ":stream" in path

    def whole(self, message: Mapping[str, Any]) -> dict[str, Any]:
        parts = [
            {"text": block["text"]}
            if block["type"] == "text"
            else {"functionCall": {"name": block["name"], "args": block["input"]}}
            for block in message["content"]
        ]
        usage = message["usage"]
        read, whole = (
            usage["cache_read_input_tokens"],
            usage["input_tokens"] + usage["cache_read_input_tokens"],
        )
        return {
            "candidates": [
                {"index": 0, "content": {"role": "model", "parts": parts}, "finishReason": "STOP"}
            ],
            "modelVersion": message["model"],
            "usageMetadata": {
                "promptTokenCount": whole,
                "cachedContentTokenCount": read,
                "candidatesTokenCount": usage["output_tokens"] - 1,
                "thoughtsTokenCount": 1,
                "totalTokenCount": whole + usage["output_tokens"],
            },
        }

    def events(self, message: Mapping[str, Any], _body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        whole = self.whole(message)
        [candidate] = whole["candidates"]
        usage = {**whole["usageMetadata"], "candidatesTokenCount": 1}
        early = {name: value for name, value in candidate.items() if name != "finishReason"}
        yield {**whole, "candidates": [early], "usageMetadata": usage}
        last = {"index": 0, "content": {"role": "model", "parts": []}, "finishReason": "STOP"}
        yield {**whole, "candidates": [last]}

    def error(self, status: int, message: str) -> dict[str, Any]:
        return {
            "error": {"code": status, "message": message, "status": _GOOGLE.get(status, "INVALID_ARGUMENT")}
        }


def format_of(path: str) -> Format | None:
    """The format of requests for ``path``; ``None``: that of the Messages API."""
    if path.endswith("/responses"):
        return Responses()
    if path.endswith("/chat/completions"):
        return Chat()
    return Gemini() if path.endswith("enerateContent") else None


def _texts(content: object) -> str:
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else []
    return "\n".join(str(block.get("text", "")) for block in blocks if isinstance(block, dict))


def _item(block: Mapping[str, Any]) -> dict[str, Any]:
    if block["type"] == "text":
        text = {"type": "output_text", "text": block["text"], "annotations": []}
        head = {"type": "message", "id": f"msg_{uuid.uuid4().hex}", "role": "assistant"}
        return {**head, "status": "completed", "content": [text]}
    return {
        "type": "function_call",
        "id": f"fc_{uuid.uuid4().hex}",
        "call_id": f"call_{uuid.uuid4().hex}",
        "name": block["name"],
        "arguments": json.dumps(block["input"]),
        "status": "completed",
    }


def _call(block: Mapping[str, Any]) -> dict[str, Any]:
    function = {"name": block["name"], "arguments": json.dumps(block["input"])}
    return {"id": f"call_{uuid.uuid4().hex}", "type": "function", "function": function}


def _of_chat(message: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": 1, "model": message["model"]}


def _openai_usage(usage: Mapping[str, Any], read: str, written: str) -> dict[str, Any]:
    cached, kept = usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]
    whole = usage["input_tokens"] + cached + kept
    return {
        f"{read}_tokens": whole,
        f"{read}_tokens_details": {"cached_tokens": cached, "cache_write_tokens": kept},
        f"{written}_tokens": usage["output_tokens"],
        "total_tokens": whole + usage["output_tokens"],
    }
