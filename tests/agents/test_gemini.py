"""gemini: how it is started, and what its output means."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_cobbler.agents.base import Session
from pytest_cobbler.agents.descriptions.gemini import GeminiCli
from pytest_cobbler.agents.prices import PriceList
from pytest_cobbler.agents.streams.choose import reader_for
from pytest_cobbler.agents.streams.gemini import GeminiReader
from pytest_cobbler.causes import Cause
from tests.support.workplaces import Workplace

ID = "0b1f9e6e-2c5b-4b5e-9a53-0d8f6f2b7f11"
STATS = {"total_tokens": 3000, "input_tokens": 2800, "output_tokens": 198, "cached": 800, "input": 2000}


def event(kind: str, **facts: Any) -> bytes:
    return json.dumps({"type": kind, "timestamp": "2026-11-30T19:48:47.728Z", **facts}).encode()


RUN = [
    event("init", session_id=ID, model="gemini-2.5-pro"),
    event("message", role="user", content="Write hello.txt\n"),
    event("tool_use", tool_name="run_shell_command", tool_id="1", parameters={"command": "echo hello"}),
    event("tool_result", tool_id="1", status="success", output=""),
    event("message", role="assistant", content="It is ", delta=True),
    event("message", role="assistant", content="done.", delta=True),
    event("result", status="success", stats=STATS),
]


def read(*lines: bytes, steps: list[str] | None = None) -> GeminiReader:
    reader = GeminiReader(steps.append if steps is not None else None)
    for line in lines:
        reader.feed(line)
    return reader


def test_a_whole_run_is_understood() -> None:
    steps: list[str] = []
    reader = read(*RUN, steps=steps)

    assert steps == ["$ echo hello", "It is"]
    assert (reader.is_done, reader.failure, reader.doubt, reader.text) == (True, "", "", "It is done.")
    assert reader.session_id == ID
    assert reader.usage.tokens == {"input": 2000, "output": 200, "cache_read": 800, "cache_write": 0}
    assert (reader.usage.turns, reader.usage.model) == (2, "gemini-2.5-pro")
    assert reader.spent(PriceList())[0] == "usd"
    assert reader_for(b"\n".join(RUN)) is GeminiReader


def test_a_run_without_an_end_is_not_done() -> None:
    reader = read(*RUN[:-1])
    assert (reader.is_done, reader.doubt) == (False, "no result")


@pytest.mark.parametrize(
    ("message", "failure", "cause"),
    [
        (
            '{"error": {"code": 401, "message": "bad key", "status": "UNAUTHENTICATED"}}',
            "API error 401: bad key",
            Cause.ACCESS,
        ),
        ("got status: 429 Too Many Requests.", "API error 429", Cause.LIMITED),
        (
            "[API Error: slow down]\nPlease wait and try again later. To increase your limits, request a "
            "quota increase through AI Studio, or switch to another /auth method",
            "API error 429: slow down",
            Cause.LIMITED,
        ),
        ("[API Error: bad key]", "bad key", None),
        ("TypeError: fetch failed", "TypeError: fetch failed", Cause.LIMITED),
        ("", "the run failed", None),
    ],
)
def test_an_error_is_the_end(message: str, failure: str, cause: Cause | None) -> None:
    reader = read(*RUN[:3], event("result", status="error", error={"type": "Error", "message": message}))
    assert not reader.is_done
    assert reader.failure.startswith(failure)
    assert (reader.trouble.cause if reader.trouble else None) is cause


def test_a_conversation_has_an_id_of_ours(workplace: Workplace) -> None:
    agent, request = GeminiCli(model="gemini-2.5-pro"), workplace.request(system_prompt_file="/rules.md")
    begun = agent.begin(request, ID)
    assert begun.argv[:4] == ("gemini", "--skip-trust", "--output-format", "stream-json")
    assert begun.argv[-2:] == ("--session-id", ID)
    assert begun.home is not None
    assert [*begun.home.files.values()] == ["/rules.md"]
    settings = json.loads(begun.home.texts[".gemini/settings.json"])
    assert settings["security"]["auth"]["selectedType"] == "gemini-api-key"
    assert json.loads(begun.home.texts[".gemini/projects.json"]) == {
        "projects": {str(request.worktree): "task"}
    }
    gone_on = agent.go_on(request, Session(id=ID, home=workplace.directory, turn="On.", restart=lambda: ""))
    assert gone_on.argv[-2:] == ("--resume", ID)
    place = agent.sessions
    assert place is not None
    file = place.file(ID, workplace.worktree, is_new=True)
    assert file == ".gemini/tmp/task/chats/session-*-0b1f9e6e.jsonl"
    assert place.file(ID, workplace.worktree) == file.replace("*", "2026-01-01T00-00")
    assert GeminiCli(arguments=["--resume", "latest"]).sessions is None
