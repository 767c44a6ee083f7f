"""Transcripts as conversations."""

from __future__ import annotations

import json
from typing import Any

from pytest_cobbler.publishing.conversation import LONGEST, MOST, conversation


def lines(*events: dict[str, Any]) -> list[bytes]:
    return [json.dumps(event).encode() for event in events]


def message(
    name: str, *blocks: dict[str, Any], time: str = "2026-11-29T10:00:00Z", sent: int = 0
) -> dict[str, Any]:
    content = {"id": name, "content": list(blocks), "usage": {"input_tokens": sent, "output_tokens": 1}}
    return {"type": "assistant", "message": content, "timestamp": time}


def answer(call: str, content: object, **more: Any) -> dict[str, Any]:
    block = {"type": "tool_result", "tool_use_id": call, "content": content, **more}
    return {"type": "user", "message": {"content": [block]}}


def call(name: str, tool: str, **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": name, "name": tool, "input": arguments}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def test_what_an_agent_says_has_its_time_and_the_tokens_of_its_message() -> None:
    steps = conversation(
        lines(
            message("m1", {"type": "thinking", "thinking": "Hm"}, sent=70),
            message("m1", text("I begin"), sent=70),
            message("m2", text("I end"), time="2026-11-29T10:00:12.5Z", sent=90),
        )
    )
    assert steps == [
        {"kind": "thinking", "text": "Hm", "tokens": 70},
        {"kind": "text", "text": "I begin"},
        {"kind": "text", "text": "I end", "time": 12.5, "tokens": 90},
    ]


def test_a_tool_has_its_arguments_and_its_result() -> None:
    steps = conversation(
        lines(
            {"type": "system", "subtype": "init", "cwd": "/work/tree"},
            message(
                "m1", call("c1", "Edit", file_path="/work/tree/src/a.py", old_string="1", new_string="2")
            ),
            answer("c1", [text("no such"), text("file")], is_error=True),
        )
    )
    assert steps == [
        {
            "kind": "tool",
            "text": "src/a.py",
            "name": "Edit",
            "input": "old_string: 1\nnew_string: 2",
            "result": "no such\nfile",
            "failed": True,
        }
    ]


def test_what_codex_did_is_a_conversation_too() -> None:
    command = {"id": "item_0", "type": "command_execution", "command": "/bin/sh -c 'make x'"}
    ended = {**command, "aggregated_output": "no rule", "exit_code": 2, "status": "failed"}
    steps = conversation(
        lines(
            {"type": "thread.started", "thread_id": "t"},
            {"type": "turn.started"},
            {"type": "item.completed", "item": {"id": "item_9", "type": "reasoning", "text": "Hm"}},
            {"type": "item.started", "item": command},
            {"type": "item.completed", "item": ended},
            {"type": "error", "message": "Reconnecting... 1/5"},
            {"type": "item.completed", "item": {"id": "item_1", "type": "agent_message", "text": "Done."}},
            {"type": "turn.completed", "usage": {}},
            {"type": "turn.failed", "error": {"message": "gone"}},
        )
    )
    assert steps == [
        {"kind": "thinking", "text": "Hm"},
        {"kind": "tool", "text": "make x", "name": "command_execution", "result": "no rule", "failed": True},
        {"kind": "note", "text": "Reconnecting... 1/5"},
        {"kind": "text", "text": "Done."},
        {"kind": "note", "text": "ended: gone"},
    ]


def test_what_opencode_did_is_a_conversation_too() -> None:
    state = {"status": "error", "input": {"command": "make x"}, "error": "no rule"}
    steps = conversation(
        lines(
            {"type": "step_start", "part": {}},
            {"type": "reasoning", "part": {"text": "Hm"}},
            {"type": "tool_use", "part": {"tool": "bash", "state": state}},
            {"type": "text", "part": {"text": "Done."}},
            {"type": "step_finish", "part": {}},
            {"type": "error", "error": {"name": "APIError", "data": {"message": "gone"}}},
        )
    )
    assert steps == [
        {"kind": "thinking", "text": "Hm"},
        {"kind": "tool", "text": "make x", "name": "bash", "result": "no rule", "failed": True},
        {"kind": "text", "text": "Done."},
        {"kind": "note", "text": "gone"},
    ]


def test_what_gemini_did_is_a_conversation_too() -> None:
    call = {"tool_id": "1", "tool_name": "run_shell_command", "parameters": {"command": "make x"}}
    steps = conversation(
        lines(
            {"type": "init", "session_id": "s"},
            {"type": "message", "role": "user", "content": "Write it"},
            {"type": "tool_use", **call},
            {"type": "tool_result", "tool_id": "1", "status": "error", "output": "no rule"},
            {"type": "message", "role": "assistant", "content": "It is ", "delta": True},
            {"type": "message", "role": "assistant", "content": "done.", "delta": True},
            {"type": "result", "status": "success"},
            {"type": "result", "status": "error", "error": {"message": "gone"}},
        )
    )
    assert steps == [
        {"kind": "tool", "text": "make x", "name": "run_shell_command", "result": "no rule", "failed": True},
        {"kind": "text", "text": "It is done."},
        {"kind": "note", "text": "ended: gone"},
    ]


def test_what_a_program_prints_itself_is_one_step() -> None:
    steps = conversation([b"first", b"", b"second", *lines(message("m", text("x"))), b"third"])
    assert [(step["kind"], step["text"]) for step in steps] == [
        ("note", "first\nsecond"),
        ("text", "x"),
        ("note", "third"),
    ]


def test_the_end_of_a_run_that_failed_is_a_step() -> None:
    ended = {"type": "result", "subtype": "success", "is_error": True, "result": "API Error: 500"}
    assert conversation(lines(ended)) == [{"kind": "note", "text": "ended: API Error: 500"}]
    assert conversation(lines({"type": "result", "subtype": "success", "result": "Done"})) == []


def test_long_results_and_long_conversations_are_cut() -> None:
    [step] = conversation(
        lines(message("m", call("c", "Bash", command="x")), answer("c", "a" * (LONGEST + 9)))
    )
    assert step["result"].endswith("a\n[... 9 characters left out ...]")
    assert len(conversation(lines(*[message("m", text("x"))] * (MOST + 2)))) == MOST


def test_no_line_is_an_error() -> None:
    values: list[Any] = [1, None, {}, []]
    odd = [{"type": kind, "message": value} for kind in ("assistant", "user") for value in values]
    odd += [message("m", {"type": "tool_use", "input": 7}), answer("c", {"a": 1})]
    odd.append({"type": "result", "subtype": 3})
    half = b'{"type": "user", "message": {"content": "\\ud800"}}'
    steps = conversation([*lines(*odd), b"\xff\xfe", b"{", half])
    assert [step["kind"] for step in steps] == ["tool", "note", "user"]
