"""Which requests of an agent leave; the agent may be hostile, and the API is scripted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pytest_cobbler.agents.rules import Rules
from tests.support.api_clients import Client, behind
from tests.support.scripted_api import ScriptedApi, text, turn

PATHS = ("/v1/messages", "/v1/messages/count_tokens")
CONTENT = {
    "model": "claude-opus-5-5",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "Hi"}],
    "tools": [{"name": "x"}],
}


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    with ScriptedApi() as server:
        yield server
    assert server.failures == []


def ask(client: Client, path: str = PATHS[0], **more: Any) -> int:
    """The status of the answer to a request with ``more`` in it."""
    return client.post(json.dumps({**CONTENT, **more}).encode(), path).status


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("web_search", {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
        ("code_execution", {"tools": [{"type": "code_execution_20250522", "name": "x"}]}),
        ("mcp_servers", {"mcp_servers": [{"url": "https://mcp.example"}]}),
        ("container", {"container": "c"}),
        ("url", {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "url"}}]}]}),
        ("file", {"system": [{"type": "document", "source": {"type": "file"}}]}),
        ("Tools", {"Tools": [{"type": "web_search"}]}),
    ],
)
def test_what_acts_at_anthropic_leaves_only_if_it_is_named(
    api: ScriptedApi, name: str, more: dict[str, Any]
) -> None:
    api.script("", [turn(text("Hello"))] * 2)
    with behind(api.url) as (client, proxy):
        for path in PATHS:
            assert ask(client, path, **more) == 403
            assert proxy.refusal == f"POST {path}: {name} is not in hosted_tools"
    assert api.requests == []
    with behind(api.url, rules=Rules(hosted_tools=(name,))) as (client, _):
        assert ask(client, **more) in (200, 400)


def test_no_fallback_goes_around_the_models(api: ScriptedApi) -> None:
    api.script("Hi", [turn(text("Hello"))] * 9)
    rules = Rules(models=("claude-opus-5-5",))
    with behind(api.url, rules=rules) as (client, _):
        assert ask(client) == 200
        assert ask(client, model="claude-opus-5-5-20260101") == 200
        assert ask(client, fallbacks=[{"model": "claude-fable-5"}]) == 403
        assert ask(client, fallbacks="default") == 403


@pytest.mark.parametrize(
    "body",
    [
        b'{"tools": [{"type": "web_search"}], "tools": []}',
        b'{"tools": [{"type": "web_search", "type": "custom"}]}',
        b'{"t\\u006fols": [], "tools": []}',
        b"{}{}",
        b"[{}]",
        b"no JSON",
        b'\xef\xbb\xbf{"a": 1}',
        '{"tools": []}'.encode("utf-16"),
        b'{"temperature": NaN}',
        b'{"a": "\xff"}',
        b"[" * 100_000,
    ],
)
def test_a_body_that_readers_may_understand_differently_is_refused(api: ScriptedApi, body: bytes) -> None:
    with behind(api.url) as (client, _):
        reply = client.post(body)
    assert (reply.status, json.loads(reply.body)["error"]["type"]) == (400, "invalid_request_error")
    assert api.requests == []
