"""What an agent prints, and what the API answered it: the reader, the proxy's count, and the result of both.

An input is an object: ``agent``, the lines that the agent printed (text, or an event); ``api``, the answers
of the API as the proxy saw them, or null where there is no proxy; ``status``, the agent's exit status.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from pytest_cobbler.agents.base import AgentResult
from pytest_cobbler.agents.claims import LONGEST_LIMIT
from pytest_cobbler.agents.launch import Launched
from pytest_cobbler.agents.metering import Answer, Meter
from pytest_cobbler.agents.prices import PriceList
from pytest_cobbler.agents.streams.base import LONGEST_TEXT, Reader
from pytest_cobbler.agents.streams.choose import reader_for
from pytest_cobbler.agents.streams.claude import ClaudeReader
from pytest_cobbler.agents.streams.codex import CodexReader
from pytest_cobbler.agents.streams.gemini import GeminiReader
from pytest_cobbler.agents.streams.opencode import OpenCodeReader
from pytest_cobbler.agents.wires.messages import MESSAGES
from pytest_cobbler.causes import Ending
from pytest_cobbler.sandbox.base import Completed, Limits
from pytest_cobbler.secret_forms import LineScrubber, Secrets
from pytest_cobbler.usage import Usage
from tests.fuzz.target import Target, to_bytes, to_text

SECRET = "sk-ant-api03-abcdefghijklmnop"
_LONGEST_LINE = 200
_PRICES = PriceList()
_PRICES.find("gpt-6-sol")  # reads the list, which is not a step of an input
_COUNTS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
_EVENTS = (
    *("system", "assistant", "user", "result", "rate_limit_event", "stream_event"),
    *("step_start", "step_finish", "text", "tool_use", "init", "message", "error", "tool_result"),
    *("thread.started", "turn.started", "item.started", "item.completed", "turn.completed", "turn.failed"),
)
_API_EVENTS = ("message_start", "message_delta", "message_stop", "error")
_KEYS = (
    *_COUNTS,
    *(
        "type",
        "subtype",
        "message",
        "content",
        "usage",
        "text",
        "id",
        "uuid",
        "model",
        "name",
        "input",
        "command",
    ),
    *("errors", "result", "is_error", "terminal_reason", "api_error_status", "api_error_type", "api_error"),
    *(
        "num_turns",
        "duration_ms",
        "total_cost_usd",
        "modelUsage",
        "cwd",
        "session_id",
        "error_status",
        "error",
    ),
    *(
        "retry_delay_ms",
        "rate_limit_info",
        "status",
        "resetsAt",
        "stop_reason",
        "inputTokens",
        "outputTokens",
    ),
    *(
        "costUSD",
        "cache_creation",
        "ephemeral_1h_input_tokens",
        "server_tool_use",
        "web_search_requests",
        "usage",
    ),
)
_WORDS = (
    *_EVENTS,
    *_API_EVENTS,
    *_KEYS,
    *(
        "init",
        "api_retry",
        "success",
        "completed",
        "aborted_tools",
        "error_max_turns",
        "api_error",
        "refusal",
    ),
    *(
        "claude-opus-5-5",
        "claude-haiku-5-5-20260101",
        "<synthetic>",
        "rejected",
        "rate_limit",
        "billing_error",
    ),
    *(
        "rate_limit_error",
        "credit balance is too low",
        "Your credit balance is too low",
        "limit reached|9999999999",
    ),
    *(
        "usage limit",
        "hit your 5-hour limit",
        "API Error: 429 x",
        "tool_use",
        "text",
        '{"type":"result"}',
        "[[[[",
    ),
    *(SECRET, SECRET[:9], SECRET[9:], SECRET[::-1], "retry-after", "anthropic-ratelimit-unified-reset"),
)
_MODELS = st.sampled_from(["claude-opus-5-5", "claude-haiku-5-5-20260101", "unknown", ""])
_NUMBERS = st.integers(-1, 10**7) | st.floats() | st.sampled_from([10**400, 429, 402, 529, 1893456000])
_VALUES = st.recursive(
    st.none() | st.booleans() | _NUMBERS | st.sampled_from(_WORDS) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=4),
    max_leaves=4,
)
_USAGE = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(_COUNTS, _NUMBERS),
        "cache_creation": st.fixed_dictionaries({"ephemeral_1h_input_tokens": _NUMBERS}),
        "server_tool_use": st.fixed_dictionaries({"web_search_requests": _NUMBERS}),
    },
)
_BLOCK = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["text", "tool_use"]),
        "text": st.text(max_size=20),
        "name": st.text(max_size=10),
        "input": st.dictionaries(
            st.sampled_from(["command", "file_path", "description"]), _VALUES, max_size=2
        ),
    },
)
_MESSAGE = st.fixed_dictionaries(
    {},
    optional={
        "id": st.text("ab", max_size=1),
        "model": _MODELS,
        "usage": _USAGE,
        "content": st.lists(_BLOCK),
    },
)
_EVENT = st.builds(
    lambda kind, strange, rest: {**strange, **rest, "type": kind},
    st.sampled_from(_EVENTS) | _VALUES,
    st.dictionaries(st.sampled_from(_KEYS), _VALUES, max_size=4),
    st.fixed_dictionaries(
        {},
        optional={
            "message": _MESSAGE | _VALUES,
            "usage": _USAGE,
            "result": st.text(max_size=20),
            "uuid": st.text("ab", max_size=1),
            "subtype": st.sampled_from(["init", "api_retry", "success", "error_max_turns"]) | _VALUES,
            "num_turns": st.integers(0, 9),
            "total_cost_usd": _NUMBERS,
        },
    ),
)
_LINE = st.binary(max_size=60).map(to_text) | st.sampled_from(_WORDS) | _EVENT
_API_EVENT = st.builds(
    lambda kind, rest: {**rest, "type": kind},
    st.sampled_from(_API_EVENTS),
    st.fixed_dictionaries(
        {}, optional={"message": _MESSAGE, "usage": _USAGE, "model": _MODELS, "error": _VALUES}
    ),
)
_ANSWER = st.fixed_dictionaries(
    {"status": st.sampled_from([200, 200, 400, 402, 429, 529])},
    optional={
        "headers": st.dictionaries(
            st.sampled_from(["retry-after", "anthropic-ratelimit-unified-reset"]),
            st.text("0123456789.-en", max_size=12),
        ),
        "lines": st.lists(_API_EVENT | st.sampled_from(_WORDS), max_size=5),
        "body": _API_EVENT | st.text(max_size=10),
        "is_sent": st.booleans(),
    },
)
INPUTS = st.fixed_dictionaries(
    {
        "agent": st.lists(_LINE, max_size=6),
        "api": st.none() | st.lists(_ANSWER, max_size=4),
        "status": st.sampled_from([0, 0, 1, 137]),
    }
)


def run(data: Any) -> None:
    """Read the output twice and in another form, count the answers, and join both to a result."""
    if not isinstance(data, dict):
        return
    lines = scrubbed([line_of(item) for item in listed(data.get("agent"))])
    reader = read(lines)
    check_reader(reader, lines)
    check_other_forms(reader, lines)
    check_others(lines)
    api = data.get("api")
    answers = [answer for answer in api if isinstance(answer, dict)] if isinstance(api, list) else None
    meter = None if answers is None else metered(answers)
    status = data.get("status")
    launched = Launched(
        completed=Completed(
            status=status if type(status) is int else 0, cause=Ending.EXITED, seconds=1.0, stderr=""
        ),
        limits=Limits(),
        reader=reader,
        metered=meter.usage if meter else None,
        seen=meter.trouble if meter else None,
    )
    result = launched.result(launched.error())
    check_limit(result)
    if meter is not None and answers is not None:
        check_metered(result, meter, answers)


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def line_of(item: Any) -> bytes:
    return (to_bytes(item) if isinstance(item, str) else json.dumps(item).encode()).replace(b"\n", b"")


def scrubbed(lines: Sequence[bytes]) -> list[bytes]:
    """The lines as they reach the reader and the transcript: without the credential."""
    kept: list[bytes] = []
    with LineScrubber(Secrets([SECRET]), kept.append) as take:
        for line in lines:
            take(line)
    whole = b"\n".join(kept)
    for form in (SECRET, SECRET[::-1]):
        assert form.encode() not in whole
        assert form.encode() not in whole.replace(b"\n", b"")
    if SECRET[1:-1].encode() not in b"".join(lines):
        assert len(kept) <= len(lines)
    return kept


def read(lines: Sequence[bytes]) -> ClaudeReader:
    steps: list[str] = []
    reader = ClaudeReader(steps.append)
    for line in lines:
        reader.feed(line)
    for step in steps:
        check_line(step)
    return reader


def check_line(text: str) -> None:
    """A text that the terminal shows is one line without control characters, and not long."""
    assert text.isprintable(), text
    assert len(text) <= _LONGEST_LINE, text


def check_reader(reader: ClaudeReader, lines: Sequence[bytes]) -> None:
    usage = reader.usage
    for text in (reader.failure, reader.doubt, reader.session_id, reader.last_log, usage.model):
        check_line(text)
    assert len(reader.text) <= LONGEST_TEXT
    reader.text.encode()
    for number in (usage.turns, usage.cost_usd or 0.0, usage.seconds or 0.0, *usage.tokens.values()):
        assert math.isfinite(number)
        assert number >= 0
    Usage.from_json(json.loads(json.dumps(usage.to_json())))
    has_result = any(event.get("type") == "result" for event in map(event_in, lines))
    assert reader.has_result is has_result
    assert has_result or (reader.doubt == "no result" and usage.cost_usd is None and not reader.failure)


def check_others(lines: Sequence[bytes]) -> None:
    """The other readers take the same lines."""
    steps: list[str] = []
    readers: list[Reader] = [
        CodexReader(steps.append, model="gpt-6-sol"),
        OpenCodeReader(steps.append, model="gpt-6-sol"),
        GeminiReader(steps.append),
    ]
    for reader in readers:
        reader.feed(b"\n".join(lines))
        for text in (reader.failure, reader.doubt, reader.session_id, reader.last_log):
            check_line(text)
        assert len(reader.text) <= LONGEST_TEXT
        reader.text.encode()
        assert all(number >= 0 for number in (reader.answers, *reader.usage.tokens.values()))
        assert reader.spent(_PRICES)[1] >= 0
    for step in steps:
        check_line(step)
    made = reader_for(b"\n".join(lines))()
    assert isinstance(made, ClaudeReader | CodexReader | OpenCodeReader | GeminiReader)


def event_in(line: bytes) -> Mapping[str, Any]:
    try:
        event = json.loads(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return {}
    return event if isinstance(event, dict) else {}


def check_other_forms(reader: ClaudeReader, lines: Sequence[bytes]) -> None:
    """The same output told twice, or with log text between its lines, means the same."""
    noisy = [line for event in lines for line in (b"compiling", event, b"{")]
    for same in (read([*lines, *lines]), read(noisy)):
        assert same.usage == reader.usage
        assert (same.failure, same.text) == (reader.failure, reader.text)
        assert same.session_id == reader.session_id


def metered(answers: Sequence[Mapping[str, Any]]) -> Meter:
    """The count of the proxy that saw these answers."""
    meter = Meter()
    for facts in answers:
        answer = Answer(PriceList(), MESSAGES)
        meter.ask(answer)
        if facts.get("is_sent") is False:
            answer.drop()
            continue
        meter.begin(answer)
        status, headers = facts.get("status"), facts.get("headers")
        texts = headers.items() if isinstance(headers, dict) else ()
        answer.begin(
            status if type(status) is int else 200,
            {name: text for name, text in texts if isinstance(text, str)},
        )
        if "body" in facts:
            answer.take_body(line_of(facts["body"]))
        for item in listed(facts.get("lines")):
            answer.take_line(b"data: " + line_of(item))
    return meter


def check_limit(result: AgentResult) -> None:
    """A limit ends in the next days, and there is none without an error."""
    now = datetime.now(UTC)
    if result.limited_until is not None:
        assert result.limited
        assert now - timedelta(minutes=5) < result.limited_until <= now + LONGEST_LIMIT
    assert not result.limited or result.error
    for note in result.notes:
        assert "\n" not in note
    assert result.error.isprintable()


def check_metered(result: AgentResult, meter: Meter, answers: Sequence[Mapping[str, Any]]) -> None:
    """Where the proxy saw the API, the words of the agent change neither money nor limits."""
    silent = Launched(
        completed=result.completed,
        limits=Limits(),
        reader=ClaudeReader(),
        metered=meter.usage,
        seen=meter.trouble,
    ).result("")
    assert result.usage.tokens == silent.usage.tokens == meter.usage.tokens
    assert (result.usage.cost_usd, result.usage.turns) == (meter.usage.cost_usd, meter.usage.turns)
    assert result.usage.cost_is_partial == meter.usage.cost_is_partial
    assert not result.limit_is_claimed
    sent = [answer for answer in answers if answer.get("is_sent") is not False]
    assert not result.limited or meter.trouble
    assert not result.refused or (meter.trouble and meter.trouble.cause is result.refused)
    assert sent or not meter.trouble
    least = sum(output_of(answer) for answer in sent)
    assert meter.usage.tokens_output >= least


def output_of(answer: Mapping[str, Any]) -> int:
    """The output tokens of an answer: those of its last event that tells a number, counted by hand."""
    events = [event_in(line_of(answer["body"]))] if "body" in answer else []
    told = [event_in(line_of(item)) for item in listed(answer.get("lines"))]
    events += [event for event in told if event.get("type") == "message_delta"]
    counts = [event["usage"].get("output_tokens") for event in events if isinstance(event.get("usage"), dict)]
    numbers = [count for count in counts if type(count) in (int, float) and 0 <= count < 1e15]
    return int(numbers[-1]) if numbers else 0


TARGET = Target(name="stream", inputs=INPUTS, run=run, words=_WORDS, steps=(5_000, 40))
