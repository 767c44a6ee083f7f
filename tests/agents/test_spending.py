"""The proxy pays for requests out of the budget of a run; the API is scripted."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_cobbler.agents.bounds import KnownPrompts, Unbounded
from pytest_cobbler.agents.budget import LEAST, Account, Budget, Limits
from pytest_cobbler.agents.credential import Credential
from pytest_cobbler.agents.metering import Answer
from pytest_cobbler.agents.prices import BUILT_IN, picodollars
from pytest_cobbler.agents.proxy import ApiProxy
from pytest_cobbler.agents.rules import Rules
from pytest_cobbler.agents.spending import Order, Spender
from pytest_cobbler.agents.wires.messages import MESSAGES
from pytest_cobbler.agents.wires.messages_prompt import prompt_of
from tests.support.api_clients import Client, Reply
from tests.support.scripted_api import API_KEY, Request, ScriptedApi, Turn, error, hang, text, turn

OPUS = "claude-opus-5-5"
PRICE = {"input_tokens": 1_000, "output_tokens": 2_000} | dict.fromkeys(
    ("cache_read_input_tokens", "cache_creation_input_tokens"), 0
)
HOSTED = ("web_search", "code_execution", "mcp_servers", "url", "file")
COST = picodollars(0.044)
"""Of one answer with ``PRICE``."""


def body(prompt: str = "hello", model: str = OPUS, max_tokens: int = 128_000, **more: Any) -> bytes:
    messages = [{"role": "user", "content": prompt}]
    asked = {"model": model, "stream": True, "tools": [{"name": "x"}], "messages": messages}
    return json.dumps({**asked, "max_tokens": max_tokens, **more}).encode()


class Told:
    def __init__(self) -> None:
        self.events: list[tuple[str, Mapping[str, object]]] = []

    def __call__(self, event: str, facts: Mapping[str, object]) -> None:
        self.events.append((event, facts))

    def of(self, event: str, name: str) -> list[object]:
        return [facts.get(name) for what, facts in self.events if what == event]


@contextlib.contextmanager
def paying(
    api: ScriptedApi, budget: Budget, task: str | None = "t", streams: int = 8, told: Told | None = None
) -> Iterator[tuple[Client, ApiProxy]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        account = Account(budget=budget, task=task, streams=streams)
        key = Credential(kind="api_key", value=API_KEY, source="the test")
        proxy = ApiProxy(key, api.url, port, told, account=account, rules=Rules(hosted_tools=HOSTED))
        with proxy.serve(listener):
            yield Client(port), proxy


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    with ScriptedApi() as server:
        yield server


def dollars_of(**limits: float) -> Budget:
    return Budget(Limits(**{name: picodollars(amount) for name, amount in limits.items()}))


def test_output_is_lowered_and_the_rest_arrives_as_it_was(api: ScriptedApi) -> None:
    api.script("", [turn(text("Hi"), usage=PRICE)] * 2)
    budget, told = dollars_of(budget_usd=0.6), Told()
    thinking = {"type": "enabled", "budget_tokens": 100_000}
    with paying(api, budget, told=told) as (client, _):
        assert client.post(body("grüße 😀", thinking=thinking, metadata={"user": 1})).status == 200
        assert client.post(body("small", max_tokens=10)).status == 200
    first, second = (request.body for request in api.requests)
    expected = json.loads(body("grüße 😀", metadata={"user": 1}))
    lowered = first["max_tokens"]
    assert LEAST < lowered < 30_000
    assert first == {
        **expected,
        "max_tokens": lowered,
        "thinking": {**thinking, "budget_tokens": lowered - 1024},
    }
    assert second == json.loads(body("small", max_tokens=10))
    assert budget.purses[0].spent == 2 * COST
    assert budget.purses[0].reserved == 0
    reserved, charged = told.of("request", "reserved_usd"), told.of("answer", "charged_usd")
    assert charged == [0.044, 0.044]
    assert all(isinstance(amount, float) and amount <= 0.6 for amount in reserved)


TWICE = b'"max_tokens": 128000'


@pytest.mark.parametrize(
    "written",
    [
        body().replace(TWICE, b'"max_tokens": 128000, "max_tokens": 5'),
        body().replace(TWICE, b'"max_tokens": 5, "max_tokens": 128000'),
        body().replace(TWICE, b'"max\\u005ftokens": 128000, "max_tokens": 5'),
        body(max_tokens=5).replace(b"5}", b"5} {}"),
        body().replace(TWICE, b'"max_tokens": 1.28e5'),
        *(
            body().replace(b"128000", value)
            for value in (b"-1", b"1e999", b"NaN", b'"128000"', b"[9]", b"true")
        ),
        body().decode().encode("utf-16"),
        body().decode().encode("utf-32"),
        b"\xef\xbb\xbf" + body(),
        b"[" + body() + b"]",
        body().replace(b'"model"', b'"model": "claude-haiku-5-5", "model"'),
        body(model="claude-haiku-5-5").replace(b'"stream"', b'"model": "%s", "stream"' % OPUS.encode()),
    ],
)
def test_no_way_to_write_a_request_asks_for_more_than_is_reserved(api: ScriptedApi, written: bytes) -> None:
    """The API may read a text in another way than the proxy, so it gets what the proxy has read."""
    api.script("", [turn(text("Hi"), usage=PRICE)])
    budget, told = dollars_of(budget_usd=0.6), Told()
    with paying(api, budget, told=told) as (client, _):
        status = client.post(written).status
    if not api.requests:
        assert (status in (400, 403), budget.purses[0].spent) == (True, 0)
        return
    [request], [model] = api.requests, told.of("request", "model")
    assert request.body["model"] == model
    assert type(request.body["max_tokens"]) is int
    assert request.body["max_tokens"] < 30_000
    plain = json.dumps(request.body, ensure_ascii=False, separators=(",", ":")).encode()
    assert told.of("request", "bytes") == [len(plain)], "nothing in it is there twice"


def test_without_a_budget_a_request_is_passed_on_byte_by_byte(api: ScriptedApi) -> None:
    api.script("", [turn(text("Hi"), usage=PRICE)])
    with paying(api, Budget()) as (client, proxy):
        client.post(body(max_tokens=128_000))
        assert proxy.unpaid is None
    assert api.requests[0].body["max_tokens"] == 128_000


def test_what_is_left_and_does_not_suffice_is_an_error_and_the_reason_is_kept(api: ScriptedApi) -> None:
    api.script("", [turn(text("Hi"), usage=PRICE)] * 9)
    budget = dollars_of(budget_usd=0.25)
    with paying(api, budget) as (client, proxy):
        replies = [client.post(body()) for _ in range(6)]
        assert proxy.unpaid
        assert proxy.unpaid.reason.startswith("budget_usd: 0.")
        assert " of 0.2500 USD are spent, and the next request may take 0." in proxy.unpaid.reason
    statuses = [reply.status for reply in replies]
    assert statuses == sorted(statuses)
    assert set(statuses) == {200, 403}
    assert budget.purses[0].spent == COST * len(api.requests) <= picodollars(0.25)
    assert json.loads(replies[-1].body)["error"]["type"] == "permission_error"
    assert b"the budget is used up (budget_usd" in replies[-1].body


def test_requests_of_several_agents_wait_for_each_other_and_stay_within_the_limit(api: ScriptedApi) -> None:
    budget, most = dollars_of(budget_usd=1.0), [0]

    def line(_: Request) -> Turn:
        run = budget.purses[0]
        most[0] = max(most[0], run.spent + run.reserved)
        return turn(text("Hi"), usage=PRICE)

    api.script("", [line] * 100)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(paying(api, budget, f"t{place}"))[0] for place in range(8)]
        with ThreadPoolExecutor(8) as pool:
            replies: list[Reply] = list(pool.map(lambda place: clients[place % 8].post(body()), range(40)))
    assert Counter(reply.status for reply in replies).keys() == {200, 403}
    assert budget.purses[0].spent == COST * len(api.requests)
    assert picodollars(0.8) < budget.purses[0].spent <= picodollars(1.0)
    assert most[0] <= picodollars(1.0)


@pytest.mark.parametrize("answer", [turn(text("cut " * 30), cut=4), hang()], ids=["cut", "not awaited"])
def test_an_answer_that_was_cut_costs_what_was_reserved(api: ScriptedApi, answer: Turn) -> None:
    asked = threading.Event()

    def line(_: Request) -> Turn:
        asked.set()
        return answer

    api.script("", [line])
    budget, told = dollars_of(budget_usd=1), Told()
    with paying(api, budget, told=told) as (client, _):
        asking = threading.Thread(target=_try, args=(client,))
        asking.start()
        assert asked.wait(30)
        if answer.cut is not None:
            asking.join()
    asking.join()
    assert told.of("answer", "charged_usd") == told.of("request", "reserved_usd")
    assert budget.purses[0].spent == picodollars(float(str(told.of("request", "reserved_usd")[0])))


def _try(client: Client) -> None:
    with contextlib.suppress(Exception):
        client.post(body())


def test_a_request_whose_connection_is_reset_costs_what_was_reserved(api: ScriptedApi) -> None:
    """The API may have it, and may charge it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        api.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=_resets, args=(listener,))
        thread.start()
        budget, told = dollars_of(budget_usd=10), Told()
        with paying(api, budget, told=told) as (client, proxy):
            assert client.post(body("the end")).status == 502
            assert proxy.usage.cost_usd is None
        thread.join()
    assert told.of("answer", "charged_usd") == told.of("request", "reserved_usd") != []
    assert budget.purses[0].spent > 0


def _resets(listener: socket.socket) -> None:
    """Read a request, and reset its connection."""
    connection, _ = listener.accept()
    read = b""
    while b"the end" not in read:
        read += connection.recv(65536)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.mark.parametrize("answer", [error(529), error(400)])
def test_an_error_costs_nothing(api: ScriptedApi, answer: Turn) -> None:
    api.script("", [answer])
    budget = dollars_of(budget_usd=1)
    with paying(api, budget) as (client, _):
        client.post(body())
    assert (budget.purses[0].spent, budget.purses[0].reserved) == (0, 0)


def test_a_job_that_ends_gives_back_what_it_waits_for(api: ScriptedApi) -> None:
    budget = dollars_of(budget_usd=0.5)
    asked = threading.Event()

    def line(_: Request) -> Turn:
        asked.set()
        return hang()

    api.script("", [line], [turn(text("Hi"), usage=PRICE)])
    with paying(api, budget) as (first, _):
        holding = threading.Thread(target=_try, args=(first,))
        holding.start()
        assert asked.wait(30)
        with paying(api, budget) as (second, _):
            waiting = threading.Thread(target=_try, args=(second,))
            waiting.start()
            while not budget.waiting:
                pass
        waiting.join()
        assert budget.waiting == 0
    holding.join()
    assert budget.purses[0].reserved == 0


def test_an_agent_gets_a_bounded_number_of_answers_concurrently(api: ScriptedApi) -> None:
    lock, running, most = threading.Lock(), [0], [0]
    go = threading.Event()

    def line(_: Request) -> Turn:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
            if running[0] == 2:
                go.set()
        go.wait(30)
        with lock:
            running[0] -= 1
        return turn(text("Hi"), usage=PRICE)

    api.script("", [line] * 12)
    with paying(api, Budget(), streams=2) as (client, _), ThreadPoolExecutor(12) as pool:
        replies = list(pool.map(lambda _: client.post(body()), range(12)))
    assert [reply.status for reply in replies] == [200] * 12
    assert most[0] <= 2


def test_counting_tokens_is_free(api: ScriptedApi) -> None:
    with paying(api, dollars_of(budget_usd=0.000001)) as (client, proxy):
        assert client.post(body(), path="/v1/messages/count_tokens").status == 200
        assert proxy.unpaid is None


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 8}]},
        {"tools": [{"type": "code_execution_20250522", "name": "x"}]},
        {"mcp_servers": [{"url": "https://mcp.example"}]},
        {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "url"}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "document", "source": {"type": "file"}}]}]},
        {"context_management": {"edits": [{"type": "compact_20260112"}]}},
        {"max_tokens": "many"},
        {"model": 3},
    ],
)
def test_a_request_without_a_bound_is_refused_only_under_a_budget(
    api: ScriptedApi, more: dict[str, Any]
) -> None:
    api.script("", [turn(text("Hi"))])
    with paying(api, dollars_of(budget_usd=1)) as (client, proxy):
        reply = client.post(body(**more))
        assert reply.status == 403
        assert b"a run with a budget does not allow it" in reply.body
        assert proxy.unpaid is None
    assert api.requests == []
    with paying(api, Budget()) as (client, _):
        assert client.post(body(**more)).status in (200, 400)


def test_under_a_budget_no_second_model_answers(api: ScriptedApi) -> None:
    """What another model costs is not in the reservation."""
    api.script("", [turn(text("Hi"))] * 2)
    for budget, expected in ((dollars_of(budget_usd=1), None), (Budget(), "default")):
        with paying(api, budget) as (client, _):
            assert client.post(body(fallbacks="default")).status == 200
        assert api.requests[-1].body.get("fallbacks") == expected


def test_a_model_without_a_price_is_counted_in_tokens(api: ScriptedApi) -> None:
    api.script("", [turn(text("Hi"), usage=PRICE)] * 9)
    budget = Budget(Limits(budget_tokens=20_000))
    with paying(api, budget) as (client, proxy):
        replies = [client.post(body(model="ours")) for _ in range(9)]
        assert proxy.unpaid
        assert proxy.unpaid.reason.startswith("budget_tokens: ")
    landed = len([reply for reply in replies if reply.status == 200])
    assert budget.purses[2].spent == 3_000 * landed <= 20_000
    assert budget.unpriced == {"ours": 3_000 * landed}


def test_a_budget_in_dollars_does_not_pay_for_a_model_without_a_price(api: ScriptedApi) -> None:
    with paying(api, dollars_of(budget_usd=1)) as (client, proxy):
        assert client.post(body(model="ours")).status == 403
        assert proxy.unpaid
        assert proxy.unpaid.reason.startswith("no price is known for ours")
        assert not proxy.unpaid.is_of_task


def test_the_budget_of_a_task_is_its_own(api: ScriptedApi) -> None:
    api.script("", [turn(text("Hi"), usage=PRICE)] * 9)
    budget = dollars_of(task_budget_usd=0.2)
    with paying(api, budget, "a") as (client, proxy):
        while client.post(body()).status == 200:
            pass
        assert proxy.unpaid
        assert proxy.unpaid.is_of_task
    with paying(api, budget, "b") as (client, proxy):
        assert client.post(body()).status == 200


# -- bounds


BLOCKS = st.fixed_dictionaries({"type": st.just("text"), "text": st.text(max_size=20)})
CONVERSATIONS = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant"]), "content": st.lists(BLOCKS, max_size=3)}
    ),
    max_size=5,
)


def counted(messages: list[dict[str, Any]]) -> int:
    """An API that counts a token for each byte of text: nothing has more."""
    return sum(len(block["text"].encode()) for message in messages for block in message["content"])


@settings(max_examples=200, deadline=None)
@given(st.lists(CONVERSATIONS, min_size=1, max_size=6))
def test_a_bound_is_never_below_the_count(prompts: list[list[dict[str, Any]]]) -> None:
    known = KnownPrompts()
    for messages in prompts:
        prompt = prompt_of({"messages": messages})
        bound = known.bound("m", prompt)
        assert bound >= counted(messages)
        known.learn("m", prompt, counted(messages))
        assert known.bound("m", prompt) <= bound


def test_a_conversation_that_goes_on_costs_its_known_part_and_the_new_bytes() -> None:
    known, words = KnownPrompts(), {"type": "text", "text": "x" * 9_000}
    first = {"role": "user", "content": [words]}
    tools = [{"name": "t", "description": "d" * 40_000}]
    known.learn("m", prompt_of({"tools": tools, "messages": [first]}), 12_000)
    marked = {**first, "content": [{**words, "cache_control": {"type": "ephemeral"}}]}
    second = prompt_of({"tools": tools, "messages": [marked, {"role": "user", "content": "y" * 100}]})
    assert 12_100 <= known.bound("m", second) < 12_300
    assert known.bound("other", second) > 49_000
    other = prompt_of({"tools": tools, "messages": [{"role": "user", "content": "another task"}]})
    assert known.bound("m", other) < 12_200


def test_an_image_counts_more_than_its_bytes() -> None:
    source = {"type": "base64", "data": "AAAA"}
    image = {"type": "image", "source": source}
    nested = [{"type": "tool_result", "content": [image]}]
    bound = KnownPrompts().bound("m", prompt_of({"messages": [{"role": "user", "content": nested}]}))
    assert bound > 9_000
    with pytest.raises(Unbounded):
        prompt_of({"messages": [{"role": "user", "content": [{"type": "container_upload"}]}]})


def test_a_document_of_any_size_may_fill_the_window() -> None:
    block = {"type": "document", "source": {"type": "base64", "data": "JVBERi0xLjcK"}}
    prompt = prompt_of({"messages": [{"role": "user", "content": [block]}]})
    assert KnownPrompts().bound("m", prompt) > 1_000_000


def says(words: str, role: str = "user", **more: Any) -> dict[str, Any]:
    return {"role": role, "content": [{"type": "text", "text": words, **more}]}


LONG = "x" * 100_000
THOUGHT = {"role": "assistant", "content": [{"type": "thinking", "thinking": LONG, "signature": "s"}]}
SUMMARY = {"role": "assistant", "content": [{"type": "compaction", "content": "short"}]}
DEFERRED = {"name": "t", "description": LONG, "defer_loading": True}
LOADED = {"role": "user", "content": [{"type": "tool_reference", "tool_name": "t"}]}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"messages": [says(LONG), SUMMARY]}, {"messages": [says(LONG)]}),
        ({"messages": [says("a"), THOUGHT, says("b")]}, {"messages": [says("a"), THOUGHT]}),
        ({"messages": [THOUGHT]}, {"messages": [THOUGHT], "thinking": {"type": "adaptive"}}),
        ({"tools": [DEFERRED], "messages": []}, {"tools": [DEFERRED], "messages": [LOADED]}),
    ],
    ids=["summary", "thinking", "mode of thinking", "deferred tool"],
)
def test_what_the_api_left_out_of_a_prompt_counts_in_the_next(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    known = KnownPrompts()
    known.learn("m", prompt_of(first), 10)
    assert known.bound("m", prompt_of(second)) > len(LONG)


def test_thinking_counts_once_in_a_conversation_that_goes_on() -> None:
    known = KnownPrompts()
    known.learn("m", prompt_of({"messages": [says("a"), THOUGHT]}), 40_000)
    assert known.bound("m", prompt_of({"messages": [says("a"), THOUGHT, says("b")]})) < 41_000


def test_instructions_that_come_with_tools_count_with_the_first_tool() -> None:
    known = KnownPrompts()
    known.learn("m", prompt_of({"messages": [says("a")]}), 10)
    tool = {"type": "text_editor_20250728", "name": "editor"}
    assert known.bound("m", prompt_of({"messages": [says("a")], "tools": [tool]})) > 1_000


@pytest.mark.parametrize(
    "more",
    [
        {"context_management": {"applied_edits": [{"type": "clear_tool_uses_20250919"}]}},
        {"usage": {**PRICE, "iterations": [{"type": "compaction"}, {"type": "message"}]}},
    ],
    ids=["cleared", "summarized"],
)
def test_a_count_of_a_shortened_prompt_teaches_nothing(more: dict[str, Any]) -> None:
    budget, prompt = Budget(), prompt_of({"messages": [says(LONG)]})
    spender = Spender(Account(budget=budget), BUILT_IN, MESSAGES)
    for whole in (False, True):
        answer = Answer(BUILT_IN, MESSAGES)
        answer.take_body(json.dumps({"model": OPUS, "usage": PRICE, **({} if whole else more)}).encode())
        spender.settle(Order(body=b"", model="m", prompt=prompt), answer)
        assert (budget.known.bound("m", prompt) < len(LONG)) is whole


def test_the_cost_of_further_answers_is_not_known() -> None:
    answer = Answer(BUILT_IN, MESSAGES)
    rounds = [{"type": "message"}, {"type": "fallback_message"}]
    answer.take_body(json.dumps({"model": OPUS, "usage": {**PRICE, "iterations": rounds}}).encode())
    assert answer.usage.cost_is_partial
