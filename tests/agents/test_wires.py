"""Each format of an API through the proxy, over real HTTP; the API is scripted."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pytest_cobbler.agents.budget import Budget, Limits
from pytest_cobbler.agents.prices import picodollars
from pytest_cobbler.agents.rules import EVERYTHING_LOCAL, Rules
from pytest_cobbler.agents.wires.base import Wire
from pytest_cobbler.agents.wires.chat import CHAT
from pytest_cobbler.agents.wires.gemini import GEMINI
from pytest_cobbler.agents.wires.responses import RESPONSES
from pytest_cobbler.causes import Cause
from tests.support.api_clients import Client, Reply, behind
from tests.support.scripted_api import API_KEY, ScriptedApi, error, raw, text, turn

USAGE = {
    "input_tokens": 1_000,
    "output_tokens": 2_000,
    "cache_read_input_tokens": 3_000,
    "cache_creation_input_tokens": 0,
}
TOOL = {"type": "function", "name": "x", "parameters": {}}


@dataclass(frozen=True, kw_only=True)
class Speech:
    """How a program asks in one format. ``cost`` is that of an answer with ``USAGE``, in US dollars."""

    wire: Wire
    path: str
    model: str
    cost: float
    content: Mapping[str, Any]

    @property
    def streaming(self) -> tuple[str, dict[str, Any]]:
        if self.wire is GEMINI:
            return self.path.replace(":generate", ":streamGenerate") + "?alt=sse", {}
        return self.path, {"stream": True}

    def at(self, api: ScriptedApi) -> tuple[str, Wire]:
        """Where the proxy finds the API, and its format."""
        return api.url + self.wire.address.below, self.wire

    def output(self, body: Mapping[str, Any]) -> Any:
        """The most tokens of output that a request asks for."""
        if self.wire is GEMINI:
            return body.get("generationConfig", {}).get("maxOutputTokens")
        return body.get({"chat": "max_completion_tokens"}.get(self.wire.name, "max_output_tokens"))


SPEECHES = [
    Speech(
        wire=RESPONSES,
        path="/v1/responses",
        model="gpt-6-sol",
        cost=0.0226,
        content={"model": "gpt-6-sol", "input": [{"role": "user", "content": "Hi"}], "tools": [TOOL]},
    ),
    Speech(
        wire=CHAT,
        path="/v1/chat/completions",
        model="gpt-6-sol",
        cost=0.0226,
        content={
            "model": "gpt-6-sol",
            "messages": [{"role": "user", "content": "Hi"}],
            "tools": [{"type": "function", "function": {"name": "x"}}],
        },
    ),
    Speech(
        wire=GEMINI,
        path="/v1beta/models/gemini-2.5-pro:generateContent",
        model="gemini-2.5-pro",
        cost=0.021625,
        content={
            "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
            "tools": [{"functionDeclarations": [{"name": "x"}]}],
        },
    ),
]
IDS = [speech.wire.name for speech in SPEECHES]
each = pytest.mark.parametrize("speech", SPEECHES, ids=IDS)
RESPONSES_SPEECH, CHAT_SPEECH, GEMINI_SPEECH = SPEECHES


def ask(client: Client, speech: Speech, *, stream: bool = False, **more: Any) -> Reply:
    path, streamed = speech.streaming if stream else (speech.path, {})
    body = {**speech.content, **streamed, **more}
    return client.post(
        json.dumps(body).encode(), path, Authorization="Bearer stand-in", x_goog_api_key="stand-in"
    )


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    with ScriptedApi() as server:
        yield server
    assert server.failures == []


@each
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_answer_costs_what_the_api_counts_at_the_listed_price(
    api: ScriptedApi, speech: Speech, stream: bool
) -> None:
    api.script("Hi", [turn(text("Hello"), usage=USAGE)])
    with behind(*speech.at(api)) as (client, proxy):
        assert ask(client, speech, stream=stream).status == 200
        usage = proxy.usage
    assert (usage.turns, usage.model, usage.cost_usd) == (1, speech.model, speech.cost)
    assert not usage.cost_is_partial
    assert usage.tokens == {"input": 1_000, "output": 2_000, "cache_read": 3_000, "cache_write": 0}


@each
def test_the_key_takes_the_place_of_the_stand_in(api: ScriptedApi, speech: Speech) -> None:
    api.script("Hi", [turn(text("Hello"))])
    with behind(*speech.at(api)) as (client, _):
        ask(client, speech)
    headers = {name.lower(): value for name, value in api.requests[0].headers.items()}
    assert "stand-in" not in str(headers)
    name, value = (
        ("x-goog-api-key", API_KEY) if speech.wire is GEMINI else ("authorization", f"Bearer {API_KEY}")
    )
    assert headers[name] == value


@each
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_output_is_bounded_by_what_the_budget_leaves(api: ScriptedApi, speech: Speech, stream: bool) -> None:
    api.script("Hi", [turn(text("Hello"), usage=USAGE)])
    budget = Budget(Limits(budget_usd=picodollars(0.2)))
    with behind(*speech.at(api), budget) as (client, _):
        assert ask(client, speech, stream=stream).status == 200
    assert 4_096 <= speech.output(api.requests[0].body) < 20_000
    assert budget.purses[0].spent == picodollars(speech.cost)
    assert budget.purses[0].reserved == 0


@each
def test_a_smaller_output_stays_as_it_was_asked_for(api: ScriptedApi, speech: Speech) -> None:
    api.script("Hi", [turn(text("Hello"), usage=USAGE)])
    fields: dict[str, dict[str, Any]] = {
        "responses": {"max_output_tokens": 9},
        "chat": {"max_completion_tokens": 9},
        "gemini": {"generation_config": {"max_output_tokens": 9}},
    }
    with behind(*speech.at(api), Budget(Limits(budget_usd=picodollars(1)))) as (client, _):
        assert ask(client, speech, **fields[speech.wire.name]).status == 200
    assert speech.output(api.requests[0].body) == 9


@each
def test_an_answer_that_breaks_off_costs_what_was_reserved(api: ScriptedApi, speech: Speech) -> None:
    api.script("Hi", [turn(text("Hello"), usage=USAGE, cut=1)])
    budget = Budget(Limits(budget_usd=picodollars(1)))
    with behind(*speech.at(api), budget) as (client, proxy):
        with contextlib.suppress(http.client.IncompleteRead):
            ask(client, speech, stream=True)
        assert proxy.trouble is not None
    assert budget.purses[0].spent > picodollars(0.1)


def test_a_stream_of_chat_completions_is_asked_for_its_usage(api: ScriptedApi) -> None:
    api.script("Hi", [turn(text("Hello"))])
    with behind(*CHAT_SPEECH.at(api)) as (client, _):
        ask(client, CHAT_SPEECH, stream=True, stream_options={"include_usage": False})
    assert api.requests[0].body["stream_options"] == {"include_usage": True}


def test_no_answer_is_stored(api: ScriptedApi) -> None:
    allowed = Rules(hosted_tools=("store",))
    cases: list[tuple[Rules, dict[str, Any], bool]] = [
        (EVERYTHING_LOCAL, {}, False),
        (EVERYTHING_LOCAL, {"store": None}, False),  # the API would take its default, which stores
        (allowed, {"store": True}, True),
    ]
    api.script("Hi", [turn(text("Hello"))] * len(cases))
    for rules, asked, stored in cases:
        with behind(*RESPONSES_SPEECH.at(api), rules=rules) as (client, _):
            assert ask(client, RESPONSES_SPEECH, **asked).status == 200
        assert api.requests[-1].body["store"] is stored


def test_a_search_for_tools_that_the_program_carries_out_is_served(api: ScriptedApi) -> None:
    """codex has one with some models."""
    search = {"type": "tool_search", "execution": "client", "parameters": {"type": "object"}}
    found = [{"type": "function", "name": "more"}]
    items = [
        {"role": "user", "content": "Hi"},
        {"type": "tool_search_call", "execution": "client", "call_id": "1", "arguments": {"query": "more"}},
        {"type": "tool_search_output", "execution": "client", "call_id": "1", "tools": found},
    ]
    api.script("Hi", [turn(text("Hello"), usage=USAGE)])
    with behind(*RESPONSES_SPEECH.at(api)) as (client, _):
        assert ask(client, RESPONSES_SPEECH, tools=[search], input=items).status == 200
    assert len(api.requests) == 1


IMAGE = {"type": "input_image", "image_url": "https://api.example/?secret"}
FILE = {"fileData": {"fileUri": "https://x/"}}
HOSTED = [
    (RESPONSES_SPEECH, "web_search", {"tools": [{"type": "web_search"}]}),
    (RESPONSES_SPEECH, "mcp", {"tools": [{"type": "mcp", "server_url": "https://mcp.example"}]}),
    (
        RESPONSES_SPEECH,
        "code_interpreter",
        {"tools": [{"type": "namespace", "tools": [{"type": "code_interpreter"}]}]},
    ),
    (RESPONSES_SPEECH, "mcp", {"input": [{"type": "additional_tools", "tools": [{"type": "mcp"}]}]}),
    (RESPONSES_SPEECH, "tool_search", {"tools": [{"type": "tool_search"}]}),
    (RESPONSES_SPEECH, "tool_search_call", {"input": [{"type": "tool_search_call", "execution": "server"}]}),
    (
        RESPONSES_SPEECH,
        "web_search",
        {"input": [{"type": "tool_search_output", "execution": "client", "tools": [{"type": "web_search"}]}]},
    ),
    (RESPONSES_SPEECH, "background", {"background": True}),
    (RESPONSES_SPEECH, "store", {"store": True}),
    (RESPONSES_SPEECH, "previous_response_id", {"previous_response_id": "resp_1"}),
    (RESPONSES_SPEECH, "service_tier", {"service_tier": "priority"}),
    (RESPONSES_SPEECH, "include", {"include": ["file_search_call.results"]}),
    (RESPONSES_SPEECH, "item_reference", {"input": [{"type": "item_reference", "id": "x"}]}),
    (RESPONSES_SPEECH, "image_url", {"input": [{"role": "user", "content": [IMAGE]}]}),
    (
        RESPONSES_SPEECH,
        "file_id",
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]},
    ),
    (CHAT_SPEECH, "web_search_options", {"web_search_options": {"search_context_size": "low"}}),
    (CHAT_SPEECH, "web_search_options", {"web_search_options": {}}),
    (CHAT_SPEECH, "plugins", {"plugins": [{"id": "web"}]}),
    (CHAT_SPEECH, "n", {"n": 5}),
    (
        CHAT_SPEECH,
        "image_url",
        {
            "messages": [
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x/"}}]}
            ]
        },
    ),
    (CHAT_SPEECH, "store", {"store": True}),
    (RESPONSES_SPEECH, "mcp", {"tools": [{"type": "namespace", "children": [{"type": "mcp"}]}]}),
    (
        RESPONSES_SPEECH,
        "file_data",
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_data": "https://x/"}]}]},
    ),
    (CHAT_SPEECH, "web_search", {"model": "gpt-4o-search-preview"}),
    (CHAT_SPEECH, "web_search", {"model": "openai/gpt-5:online"}),
    (CHAT_SPEECH, "audio", {"messages": [{"role": "assistant", "audio": {"id": "x"}}]}),
    (CHAT_SPEECH, "file_id", {"messages": [{"role": "user", "content": [{"type": "file", "file_id": "f"}]}]}),
    (
        CHAT_SPEECH,
        "file_data",
        {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_data": "https://x/"}}]}]},
    ),
    (GEMINI_SPEECH, "googleSearch", {"tools": [{"google_search": {}}]}),
    (GEMINI_SPEECH, "googleSearch", {"tools": [{"googleSearch": {}}], "tools_": []}),
    (GEMINI_SPEECH, "tools", {"tools": [[{"googleSearch": {}}]]}),
    (GEMINI_SPEECH, "cachedContent twice", {"cachedContent": "cachedContents/1", "cached_content": None}),
    (
        GEMINI_SPEECH,
        "generationConfig twice",
        {"generationConfig": {"candidateCount": 8}, "generation_config": {}},
    ),
    (
        GEMINI_SPEECH,
        "maxOutputTokens twice",
        {"generationConfig": {"maxOutputTokens": 60000, "max_output_tokens": 1}},
    ),
    (
        GEMINI_SPEECH,
        "fileData twice",
        {"contents": [{"parts": [{"fileData": {"fileUri": "https://x/"}, "file_data": None}]}]},
    ),
    (GEMINI_SPEECH, "fileData", {"contents": [{"parts": [{"functionResponse": {"parts": [FILE]}}]}]}),
    (GEMINI_SPEECH, "codeExecution", {"tools": [{"functionDeclarations": [], "codeExecution": {}}]}),
    (GEMINI_SPEECH, "cachedContent", {"cached_content": "cachedContents/1"}),
    (GEMINI_SPEECH, "candidateCount", {"generationConfig": {"candidateCount": 8}}),
    (GEMINI_SPEECH, "responseModalities", {"generation_config": {"response_modalities": ["IMAGE"]}}),
    (GEMINI_SPEECH, "fileData", {"contents": [{"parts": [{"file_data": {"file_uri": "https://x/"}}]}]}),
]


@pytest.mark.parametrize(
    ("speech", "name", "more"), HOSTED, ids=[f"{one[0].wire.name} {one[1]}" for one in HOSTED]
)
def test_what_acts_at_the_api_leaves_only_if_it_is_named(
    api: ScriptedApi, speech: Speech, name: str, more: dict[str, Any]
) -> None:
    api.script("", [turn(text("Hello"))])
    with behind(*speech.at(api)) as (client, proxy):
        reply = ask(client, speech, **more)
        assert (reply.status, proxy.refusal.partition(": ")[2]) == (403, f"{name} is not in hosted_tools")
    assert api.requests == []
    with behind(*speech.at(api), rules=Rules(hosted_tools=(name,))) as (
        client,
        proxy,
    ):
        assert (ask(client, speech, **more).status, proxy.refusal) == (200, "")
    with behind(
        *speech.at(api),
        Budget(Limits(budget_usd=1)),
        Rules(hosted_tools=(name,)),
    ) as (client, _):
        assert b"a run with a budget does not allow it" in ask(client, speech, **more).body


@pytest.mark.parametrize(
    ("speech", "name", "more"),
    [
        (RESPONSES_SPEECH, "input", {"input": [["a", {"type": "item_reference", "id": "x"}]]}),
        (CHAT_SPEECH, "messages", {"messages": [[{"role": "user"}]]}),
        (GEMINI_SPEECH, "contents", {"contents": [[{"parts": [FILE]}]]}),
        (GEMINI_SPEECH, "parts", {"contents": [{"parts": [[FILE]]}]}),
    ],
)
def test_what_is_no_object_where_the_format_has_one_does_not_leave(
    api: ScriptedApi, speech: Speech, name: str, more: dict[str, Any]
) -> None:
    with behind(*speech.at(api)) as (client, proxy):
        assert ask(client, speech, **more).status == 403
        assert proxy.refusal.partition(": ")[2] == f"{name} is not in hosted_tools"
    assert api.requests == []


@each
def test_fields_that_are_off_are_not_refused(api: ScriptedApi, speech: Speech) -> None:
    api.script("", [turn(text("Hello"))])
    with behind(*speech.at(api)) as (client, _):
        assert ask(client, speech, background=False, store=None, mcp_servers=[]).status == 200


@each
def test_only_the_models_of_the_project_answer(api: ScriptedApi, speech: Speech) -> None:
    api.script("Hi", [turn(text("Hello"))])
    with behind(*speech.at(api), rules=Rules(models=("other", "g*-none"))) as (client, proxy):
        assert ask(client, speech).status == 403
        assert f"the model {speech.model} is not in models" in proxy.refusal
    with behind(*speech.at(api), rules=Rules(models=("other", "g*"))) as (
        client,
        _,
    ):
        assert ask(client, speech).status == 200


@each
def test_a_websocket_is_refused_and_the_program_may_go_on_without(api: ScriptedApi, speech: Speech) -> None:
    api.script("Hi", [turn(text("Hello"))])
    head = f"GET {speech.path} HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    with behind(*speech.at(api)) as (client, proxy):
        assert client.raw(head).startswith(b"HTTP/1.1 426 ")
        assert proxy.refusal.endswith("no WebSocket is served here")
        assert ask(client, speech).status == 200
        assert proxy.refusal == ""


@each
@pytest.mark.parametrize(
    "path", ["/v1/files", "/v1/models", "/v1beta/cachedContents", "/v1/responses/compact"]
)
def test_other_paths_are_refused_in_the_words_of_the_format(
    api: ScriptedApi, speech: Speech, path: str
) -> None:
    with behind(*speech.at(api)) as (client, _):
        reply = client.post(b"{}", path)
    said = json.loads(reply.body)["error"]
    assert reply.status == 403
    assert "are served here" in said["message"]
    assert said.get("status", "PERMISSION_DENIED") == "PERMISSION_DENIED"


@pytest.mark.parametrize("query", ["?key=mine", "?alt=json", "?alt=sse&key=mine"])
def test_no_other_key_is_in_the_query(api: ScriptedApi, query: str) -> None:
    with behind(*GEMINI_SPEECH.at(api)) as (client, _):
        assert client.post(b"{}", GEMINI_SPEECH.path + query).status == 403
    assert api.requests == []


QUOTA = {"error": {"message": "You exceeded your quota.", "code": "insufficient_quota"}}
LENGTH = {"error": {"message": "Too many tokens.", "code": "context_length_exceeded"}}
GOOGLE_KEY = {"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT"}}


@pytest.mark.parametrize(
    ("speech", "status", "body", "cause", "passes"),
    [
        *((speech, 401, None, Cause.ACCESS, False) for speech in SPEECHES),
        *((speech, 404, None, Cause.MODEL, False) for speech in SPEECHES),
        *((speech, 429, None, Cause.LIMITED, True) for speech in SPEECHES),
        *((speech, 503, None, Cause.LIMITED, True) for speech in SPEECHES),
        (RESPONSES_SPEECH, 429, QUOTA, Cause.LIMITED, False),
        (CHAT_SPEECH, 429, QUOTA, Cause.LIMITED, False),
        (CHAT_SPEECH, 400, LENGTH, Cause.PROMPT, False),
        (GEMINI_SPEECH, 400, GOOGLE_KEY, Cause.ACCESS, False),
    ],
)
def test_a_trouble_is_what_the_api_says(
    api: ScriptedApi, speech: Speech, status: int, body: object, cause: Cause, passes: bool
) -> None:
    line = raw(json.dumps(body), status=status, content_type="application/json") if body else error(status)
    api.script("Hi", [line])
    with behind(*speech.at(api)) as (client, proxy):
        assert ask(client, speech).status == status
        assert proxy.trouble is not None
        assert (proxy.trouble.cause, proxy.trouble.passes) == (cause, passes)


@pytest.mark.parametrize(
    ("delay", "seconds"), [("3600s", 3600), ("34.5s", 34.5), ("9" * 12 + "s", 7 * 24 * 3600), ("soon", None)]
)
def test_google_names_the_end_of_its_limit_in_the_body(
    api: ScriptedApi, delay: str, seconds: float | None
) -> None:
    kind = "type.googleapis.com/google.rpc.RetryInfo"
    limit = {"message": "Slow down.", "status": "RESOURCE_EXHAUSTED"}
    details = [{"@type": "type.googleapis.com/google.rpc.Help"}, {"@type": kind, "retryDelay": delay}]
    body = json.dumps({"error": {**limit, "code": 429, "details": details}})
    api.script("Hi", [raw(body, status=429, content_type="application/json")])
    began = datetime.now(UTC)
    with behind(*GEMINI_SPEECH.at(api)) as (client, proxy):
        assert ask(client, GEMINI_SPEECH).status == 429
        trouble = proxy.trouble
    ended = datetime.now(UTC)
    assert trouble is not None
    assert trouble.passes
    if seconds is None:
        assert trouble.until is None
    else:
        assert trouble.until is not None
        assert began <= trouble.until - timedelta(seconds=seconds) <= ended


def test_an_error_within_a_stream_is_a_trouble(api: ScriptedApi) -> None:
    failed = {"type": "response.failed", "response": {"error": {"code": "server_error", "message": "no"}}}
    api.script("Hi", [raw(f"data: {json.dumps(failed)}\n\n", content_type="text/event-stream")])
    with behind(*RESPONSES_SPEECH.at(api)) as (client, proxy):
        ask(client, RESPONSES_SPEECH, stream=True)
        assert proxy.trouble is not None
        assert (proxy.trouble.cause, proxy.trouble.words) == (Cause.LIMITED, "no")
