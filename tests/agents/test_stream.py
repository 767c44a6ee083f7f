from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.agents.stream import StreamReader
from pytest_cobbler.causes import Cause
from pytest_cobbler.display import one_line
from pytest_cobbler.usage import Usage

SAMPLES = Path(__file__).parent.parent / "data" / "claude"


def read(lines: Iterable[bytes], steps: list[str] | None = None) -> StreamReader:
    reader = StreamReader(steps.append if steps is not None else None)
    for line in lines:
        reader.feed(line)
    return reader


def sample(name: str) -> list[bytes]:
    return (SAMPLES / f"{name}.jsonl").read_bytes().splitlines()


def events(*events: dict[str, Any]) -> StreamReader:
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


def cause_of(reader: StreamReader) -> Cause:
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


def consume(reader: StreamReader) -> None:
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
