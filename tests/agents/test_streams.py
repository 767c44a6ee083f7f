from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.agents.prices import PriceList
from pytest_cobbler.agents.streams.choose import reader_for
from pytest_cobbler.agents.streams.claude import ClaudeReader
from pytest_cobbler.agents.streams.codex import CodexReader
from pytest_cobbler.agents.streams.events import LOG_LINES
from pytest_cobbler.causes import Cause
from pytest_cobbler.display import one_line
from pytest_cobbler.usage import Usage

SAMPLES = Path(__file__).parent.parent / "data" / "claude"


def read(lines: Iterable[bytes], steps: list[str] | None = None) -> ClaudeReader:
    reader = ClaudeReader(steps.append if steps is not None else None)
    for line in lines:
        reader.feed(line)
    return reader


def sample(name: str) -> list[bytes]:
    return (SAMPLES / f"{name}.jsonl").read_bytes().splitlines()


def events(*events: dict[str, Any]) -> ClaudeReader:
    return read(json.dumps(event).encode() for event in events)


def result(**changes: Any) -> dict[str, Any]:
    return {
        "is_error": False,
        "result": "Done.",
        "terminal_reason": "completed",
        "subtype": "success",
        "num_turns": 1,
        "type": "result",
        **changes,
    }


@dataclass(frozen=True, kw_only=True)
class Seen:
    failure: str = ""
    doubt: str = ""
    cause: Cause = Cause.NONE
    turns: int = 1
    cost: float | None = 0.0
    output: int = 0
    text: str = ""


CASES = {
    "success": Seen(turns=3, cost=0.036, output=150, text="It is written."),
    "background": Seen(turns=3, cost=0.036, output=150, text="It is there."),
    "killed": Seen(doubt="no result", turns=2, cost=None, text="I begin."),
    "unauthorized": Seen(failure="API error 401: Invalid API key · Fix external API key", cause=Cause.ACCESS),
    "overloaded": Seen(
        failure="API error 529: overloaded_error. This is a server-side issue",
        cause=Cause.LIMITED,
        turns=3,
        cost=0.024,
        output=100,
    ),
    "rate_limit": Seen(
        failure="API error 429: Request rejected (429) · rate_limit_error", cause=Cause.LIMITED
    ),
    "usage_limit": Seen(
        failure="API error 429: You've hit your 5-hour limit · resets Jan 1, 2100, 12am (UTC)",
        cause=Cause.LIMITED,
    ),
    "no_credit": Seen(failure="API error 400: Credit balance is too low", cause=Cause.LIMITED),
    "max_turns": Seen(
        failure="max turns reached: Reached maximum number of turns (2)",
        doubt="the last message is empty",
        turns=3,
        cost=0.024,
        output=100,
    ),
    "budget": Seen(
        failure="budget reached: Reached maximum budget ($0.02)",
        doubt="the last message is empty",
        turns=2,
        cost=0.024,
        output=100,
    ),
    "refusal": Seen(
        failure="the model refused: Opus 5.5's safeguards flagged this message",
        turns=2,
        cost=0.024,
        output=100,
    ),
    "empty": Seen(doubt="the last message is empty", turns=2, cost=0.024, output=100),
    "interrupted": Seen(
        failure="interrupted", doubt="the last message is empty", turns=3, cost=0.012, output=50
    ),
}


def cause_of(reader: ClaudeReader) -> Cause:
    return reader.trouble.cause if reader.trouble else Cause.NONE


@pytest.mark.parametrize("name", CASES)
def test_a_real_run_is_understood(name: str) -> None:
    reader, seen = read(sample(name)), CASES[name]

    assert reader.failure.startswith(seen.failure)
    assert bool(reader.failure) is bool(seen.failure)
    assert reader.doubt == seen.doubt
    assert cause_of(reader) is seen.cause
    assert reader.usage.turns == seen.turns
    assert reader.usage.cost_usd == (None if seen.cost is None else pytest.approx(seen.cost))
    assert reader.usage.tokens_output == seen.output
    assert reader.usage.model.startswith("claude-")
    assert len(reader.session_id) == 36
    if seen.text:
        assert reader.text == seen.text


def test_every_sample_is_tested() -> None:
    assert {path.stem for path in SAMPLES.glob("*.jsonl")} == set(CASES)


def test_the_end_of_a_usage_limit() -> None:
    limit, rate = read(sample("usage_limit")).trouble, read(sample("rate_limit")).trouble
    assert limit is not None
    assert rate is not None
    assert limit.until == datetime(2100, 1, 1, tzinfo=UTC)
    assert (rate.until, rate.passes) == (None, True)


def test_the_steps_of_a_run() -> None:
    steps: list[str] = []

    read(sample("success"), steps)

    assert steps == ["I begin.", "Write hello.txt", "Bash git status --short", "It is written."]


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_run_killed_at_any_moment_is_no_success(name: str) -> None:
    whole = b"\n".join(sample(name))
    end = whole.rindex(b"\n")
    for size in range(0, len(whole), 211):
        reader = read(whole[: min(size, end)].split(b"\n"))
        if name != "background":
            assert reader.doubt == "no result"
        assert reader.usage.tokens_input >= 0
        assert cause_of(reader) in (Cause.NONE, CASES[name].cause)


def test_what_a_killed_run_used_at_least() -> None:
    usage = read(sample("killed")).usage

    assert usage == Usage(
        turns=2,
        tokens_input=200,
        tokens_cache_read=6000,
        tokens_cache_write=4000,
        cost_usd=None,
        model=usage.model,
    )


def test_a_result_that_is_told_twice_counts_once() -> None:
    first = result(total_cost_usd=1.5, num_turns=2, duration_ms=1000, usage={"output_tokens": 7}, uuid="u-1")
    other = {**first, "uuid": "u-2"}
    once = Usage(turns=2, cost_usd=1.5, seconds=1.0, tokens_output=7)
    assert events(first, first).usage == events(first).usage == once
    assert events(first, {**first, "num_turns": 2000}).usage.turns == 2000, "the last one with its name"
    assert events(first, other).usage.turns == 4
    nameless = result(num_turns=3)
    assert events(nameless, nameless).usage.turns == 3


def test_a_run_killed_while_it_waits_for_a_limit_is_limited() -> None:
    retry = {"type": "system", "subtype": "api_retry", "error_status": 429, "error": "rate_limit"}
    message = {"type": "assistant", "message": {"id": "1", "model": "claude", "content": []}}

    assert cause_of(events(retry)) is Cause.LIMITED
    assert not cause_of(events(retry, message))
    assert cause_of(events({**retry, "error_status": 401})) is Cause.ACCESS
    assert cause_of(events({**retry, "error_status": None})) is Cause.LIMITED, "it did not reach the API"


def test_the_last_result_wins() -> None:
    reader = events(result(result="one", is_error=True), result(result="two"))

    assert (reader.text, reader.failure) == ("two", "")


def test_cost_is_a_total_but_turns_and_time_add_up() -> None:
    reader = events(
        result(total_cost_usd=1.5, num_turns=2, duration_ms=1000),
        result(total_cost_usd=2.5, num_turns=3, duration_ms=500),
    )

    assert reader.usage == Usage(turns=5, cost_usd=2.5, seconds=1.5)


def test_tokens_of_all_models_add_up_and_a_fallback_is_named() -> None:
    init = {"type": "system", "subtype": "init", "model": "opus"}
    models = {
        "haiku": {
            "inputTokens": 1,
            "outputTokens": 2,
            "cacheReadInputTokens": 3,
            "cacheCreationInputTokens": 4,
        },
        "sonnet": {"inputTokens": 10, "costUSD": 1.0},
    }

    usage = events(init, result(modelUsage=models)).usage

    assert (usage.tokens_input, usage.tokens_output) == (11, 2)
    assert (usage.tokens_cache_read, usage.tokens_cache_write) == (3, 4)
    assert usage.model == "sonnet"


def test_tokens_without_a_count_by_model() -> None:
    usage = events(
        result(usage={"input_tokens": 1, "output_tokens": 2}), result(usage={"output_tokens": 5})
    ).usage

    assert (usage.tokens_input, usage.tokens_output) == (1, 7)


@pytest.mark.parametrize(
    ("changes", "failure"),
    [
        ({"is_error": True, "result": ""}, "error: completed"),
        ({"is_error": True, "result": "Out of cheese"}, "error: Out of cheese"),
        ({"subtype": "error_new", "result": None, "errors": ["a", "b"]}, "error_new: a; b"),
        ({"terminal_reason": "hook_stopped"}, "ended early: hook_stopped"),
        (
            {"terminal_reason": "api_error", "api_error": "connection_failed", "result": None},
            "API error: connection_failed",
        ),
        ({"api_error_status": 402, "is_error": True, "result": None}, "API error 402"),
        ({"api_error_status": 400, "result": "API Error: 400 bad request"}, "API error 400: bad request"),
        ({"terminal_reason": "aborted_tools", "subtype": "error_during_execution"}, "interrupted"),
        ({"subtype": None}, "error: Done."),
    ],
)
def test_causes_of_failure(changes: dict[str, Any], failure: str) -> None:
    assert events(result(**changes)).failure == failure


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -1, True, "3", None, [], 10**400, 1e300])
def test_numbers_that_cannot_be_are_unknown(number: Any) -> None:
    models = {"": {"inputTokens": number, "costUSD": number}}

    reader = events(result(num_turns=number, duration_ms=number, total_cost_usd=number, modelUsage=models))

    assert reader.usage == Usage()


def test_a_local_command_is_no_work_of_the_model() -> None:
    without_reason = result(result="## Context usage")
    del without_reason["terminal_reason"]
    message = {"type": "assistant", "message": {"id": "1", "model": "claude", "content": []}}

    assert events(without_reason).doubt.startswith("the model was not asked")
    assert events(message, without_reason).doubt == ""  # an older program


def test_old_and_new_ways_to_say_that_a_limit_is_reached() -> None:
    old = events(result(is_error=True, result="Claude AI usage limit reached|1893456000"))

    assert old.trouble is not None
    assert old.trouble.until == datetime(2030, 1, 1, tzinfo=UTC)
    for words in (
        "You've hit your weekly limit",
        "You've hit your 5-hour limit",
        "Weekly limit reached",
        "5-hour limit reached ∙ resets 3pm",
        "Opus limit reached",
        "You're out of extra usage",
    ):
        limit = events(result(is_error=True, result=words)).trouble
        assert limit is not None, words
        assert (limit.cause, limit.passes) == (Cause.LIMITED, False), words
    assert cause_of(events(result(is_error=True, api_error_status=402))) is Cause.LIMITED
    assert not cause_of(events(result(result="I documented the usage limit of the API.")))
    assert not cause_of(events(result(is_error=True, result="Out of cheese")))


def test_ways_to_say_that_the_credential_is_refused_or_the_prompt_too_long() -> None:
    for words in ("Not logged in · Please run /login", "oauth_org_not_allowed", "Invalid API key"):
        assert cause_of(events(result(is_error=True, result=words))) is Cause.ACCESS, words
    long = result(terminal_reason="prompt_too_long", is_error=True, result="Prompt is too long")
    assert cause_of(events(long)) is Cause.PROMPT
    assert not cause_of(events(result(is_error=True, result="I think the prompt is too long for me.")))


def test_a_limit_that_was_lifted_has_no_end() -> None:
    def status(status: str) -> dict[str, Any]:
        return {"type": "rate_limit_event", "rate_limit_info": {"status": status, "resetsAt": 1893456000}}

    error = result(is_error=True, api_error_status=429)

    rejected = events(status("rejected"), error).trouble
    lifted = events(status("rejected"), status("allowed"), error).trouble
    assert rejected is not None
    assert lifted is not None
    assert rejected.until is not None
    assert lifted.until is None


def test_lines_that_are_no_events_are_log_text_and_steps() -> None:
    steps: list[str] = []

    reader = read([b"compiling", b"", b"  ", b'{"level": "error"}', b"\xff\x1b[2J!"], steps)

    assert steps == ["compiling", "\ufffd\\x1b[2J!"]
    assert reader.last_log == "\ufffd\\x1b[2J!"
    assert reader.doubt == "no result"


def test_steps_tell_the_argument_that_matters_relative_to_the_worktree() -> None:
    steps: list[str] = []
    call = {
        "type": "tool_use",
        "name": "Bash",
        "input": {"description": "Run", "command": "cat\n /src/a/b.py"},
    }
    unknown = {"type": "tool_use", "name": "Frob", "input": {"frob": "x"}}

    read(
        [
            json.dumps({"type": "system", "subtype": "init", "cwd": "/src"}).encode(),
            json.dumps({"type": "assistant", "message": {"content": [call, unknown]}}).encode(),
        ],
        steps,
    )

    assert steps == ["Bash cat a/b.py", "Frob"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("  a\n\tb  ", "a b"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("safe\u202egnp.exe", "safe\\u202egnp.exe"),
        ("lone \ud800", "lone \\ud800"),
        ("naïve 漢字", "naïve 漢字"),
        ("x" * 300, "x" * 199 + "…"),
        ("", ""),
    ],
)
def test_one_line(text: str, line: str) -> None:
    assert one_line(text) == line


def consume(reader: ClaudeReader) -> None:
    """Ask for everything."""
    assert all(step.isprintable() for step in (reader.failure, reader.session_id, reader.usage.model))
    assert reader.doubt.isprintable()
    reader.text.encode()
    assert reader.trouble is None or reader.trouble.shown.isprintable()
    assert reader.usage.turns >= 0


def test_nesting_without_end() -> None:
    consume(read([b'{"type": "result", "result": ' + b"[" * 100_000]))


def test_a_very_long_line() -> None:
    text = "x" * 3_000_000

    reader = events(result(result=text))

    assert reader.failure == ""
    assert 1000 < len(reader.text) < 100_000


def test_every_line_of_log_text_is_a_step_if_they_are_read() -> None:
    steps: list[str] = []

    ClaudeReader(steps.append).feed(b"".join(b"line %d\n" % number for number in range(1000)))

    assert steps == [f"line {number}" for number in range(1000)]


def test_of_log_text_that_arrives_together_only_the_last_lines_are_steps_if_no_one_reads_them() -> None:
    steps: list[str] = []

    def behind(step: str) -> bool:
        steps.append(step)
        return len(steps) < 3

    reader = ClaudeReader(behind)
    reader.feed(b"".join(b"line %d\n\n" % number for number in range(1000)))

    assert steps == [f"line {number}" for number in (0, 1, 2, *range(1000 - LOG_LINES, 1000))]
    assert reader.last_log == "line 999"


def test_events_among_log_text_are_taken_one_by_one() -> None:
    reader, seen = ClaudeReader(), []
    answers = [json.dumps({"type": "assistant", "message": {"id": name}}).encode() for name in "ab"]

    reader.feed(
        b"log\n" * 50 + answers[0] + b"\nlog\n  " + answers[1] + b"\n",
        [lambda _: seen.append(reader.answers)],
    )

    assert seen == [1, 2]
    assert reader.last_log == "log"


def codex(*events: dict[str, Any], resumes: bool = False, steps: list[str] | None = None) -> CodexReader:
    reader = CodexReader(steps.append if steps is not None else None, resumes=resumes, model="gpt-6-sol")
    for event in events:
        reader.feed(json.dumps(event).encode())
    return reader


def item(kind: str, name: str = "item_0", end: str = "completed", **fields: Any) -> dict[str, Any]:
    return {"type": f"item.{end}", "item": {"id": name, "type": kind, **fields}}


BEGUN = ({"type": "thread.started", "thread_id": "t-1"}, {"type": "turn.started"})
TOKENS = {
    "input_tokens": 2_600,
    "cached_input_tokens": 600,
    "cache_write_input_tokens": 400,
    "output_tokens": 200,
    "reasoning_output_tokens": 50,
}
COMPLETED = {"type": "turn.completed", "usage": TOKENS}


def failed(message: str) -> dict[str, Any]:
    return {"type": "turn.failed", "error": {"message": message}}


def test_a_run_of_codex_is_understood() -> None:
    steps: list[str] = []
    line = "/bin/bash -lc \"printf 'a b' >x\""
    command = item("command_execution", end="started", command=line)
    changes = [{"path": "a.py", "kind": "add"}, {"path": "b.py", "kind": "update"}]
    reader = codex(
        *BEGUN,
        command,
        item("command_execution", command=line, exit_code=0),
        item("file_change", "item_1", changes=changes),
        item("mcp_tool_call", "item_2", server="docs", tool="find"),
        item("todo_list", "item_3", items=[]),
        item("agent_message", "item_4", text="Done."),
        COMPLETED,
        steps=steps,
    )
    assert steps == ["$ printf 'a b' >x", "edit a.py b.py", "docs find", "Done."]
    assert (reader.session_id, reader.has_begun, reader.answers) == ("t-1", True, 5)
    assert (reader.text, reader.failure, reader.doubt, reader.is_done) == ("Done.", "", "", True)
    tokens = {"input": 1_600, "output": 200, "cache_read": 600, "cache_write": 400}
    assert (reader.usage.tokens, reader.usage.cost_usd) == (tokens, None)
    named = {
        "input_tokens": 1_600,
        "output_tokens": 200,
        "cache_read_input_tokens": 600,
        "cache_creation_input_tokens": 400,
    }
    unit, amount = reader.spent(PriceList())
    assert unit == "usd"
    assert amount / 1e12 == pytest.approx(PriceList().cost_of("gpt-6-sol", named))
    assert CodexReader().spent(PriceList()) == ("tokens", 0)


def test_codex_counts_a_conversation_as_a_whole_so_that_one_that_goes_on_is_unknown() -> None:
    usage = codex(*BEGUN, item("agent_message", text="x"), COMPLETED, resumes=True).usage
    assert (usage.turns, sum(usage.tokens.values())) == (1, 0)


def test_codex_thinks_until_something_of_the_model_comes() -> None:
    seen = []
    reader = CodexReader()
    for event in (
        *BEGUN,
        item("reasoning", "item_0", text="hm"),
        item("command_execution", "item_1", end="started", command="true"),
        item("command_execution", "item_1", command="true"),
        item("agent_message", "item_2", text="Done."),
        COMPLETED,
    ):
        reader.feed(json.dumps(event).encode())
        seen.append(reader.is_thinking)
    assert seen == [False, True, True, False, True, False, False]


@pytest.mark.parametrize(
    ("message", "shown", "cause"),
    [
        (
            "unexpected status 401 Unauthorized: bad key, url: http://127.0.0.1/v1",
            "API error 401: bad key",
            Cause.ACCESS,
        ),
        (
            "exceeded retry limit, last status: 429 Too Many Requests",
            "API error 429: Too Many Requests",
            Cause.LIMITED,
        ),
        (
            "unexpected status 529 <unknown status code>: busy: wait, url: x",
            "API error 529: busy: wait",
            Cause.LIMITED,
        ),
        ("unexpected status 404 Not Found: no model", "API error 404: no model", Cause.MODEL),
        (
            "stream disconnected before completion: gone",
            "stream disconnected before completion: gone",
            Cause.LIMITED,
        ),
        ('{"error": {"message": "weird", "type": "x"}}', "weird", Cause.NONE),
        ("", "the turn failed", Cause.NONE),
    ],
)
def test_an_error_of_codex_says_how_the_api_serves_it(message: str, shown: str, cause: Cause) -> None:
    reader = codex(*BEGUN, failed(message))
    assert (reader.failure, reader.doubt, reader.is_done) == (shown, "no result", False)
    assert (reader.trouble.cause if reader.trouble else Cause.NONE) is cause


def test_codex_that_tries_again_has_a_trouble_until_it_is_served() -> None:
    steps: list[str] = []
    report = {"type": "error", "message": "Reconnecting... 1/5 (unexpected status 503 Unavailable: later)"}
    waiting = codex(*BEGUN, report, steps=steps)
    assert steps == ["API error 503: later, trying again"]
    assert waiting.trouble is not None
    assert (waiting.trouble.status, waiting.trouble.passes, waiting.failure) == (503, True, "")
    assert codex(*BEGUN, report, item("agent_message", text="Done."), COMPLETED).trouble is None


def test_a_transcript_is_read_by_what_it_has() -> None:
    lines = b"log\n" + json.dumps(item("agent_message", text="Hello.")).encode() + b"\n"
    for text, words in ((lines, ["log", "Hello."]), (b"log\n" + b"\n".join(sample("killed")), ["log"])):
        steps: list[str] = []
        reader_for(text)(steps.append).feed(text)
        assert steps[: len(words)] == words
    assert (reader_for(lines), reader_for(b"\n".join(sample("killed")))) == (CodexReader, ClaudeReader)
    assert reader_for(b"words") is ClaudeReader
