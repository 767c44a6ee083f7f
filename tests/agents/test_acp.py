"""The Agent Client Protocol: the client in the container, and the reader of what the program says."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import pytest

from pytest_cobbler.agents.access import Access
from pytest_cobbler.agents.described import DescribedAgent
from pytest_cobbler.agents.descriptions.acp import Acp
from pytest_cobbler.agents.streams.acp import INITIALIZE, LIST, LOAD, NEW, PROMPT, AcpReader
from pytest_cobbler.agents.streams.choose import reader_for
from tests.support.workplaces import Workplace

CLIENT = resources.files("pytest_cobbler").joinpath("data/acp.sh").read_text("utf-8")
QUESTION = 'Say "@session@ \\\\n" and é'

PROGRAM = r"""
import json, sys, time

spaces = SPACES

def say(**message):
    print(json.dumps({"jsonrpc": "2.0", **message}, separators=spaces), flush=True)

for line in sys.stdin:
    message = json.loads(line)
    match message.get("method"):
        case "initialize":
            say(id=message["id"], result={"protocolVersion": 1, "authMethods": [{"id": "login"}]})
        case "session/new":
            say(id=message["id"], result={"sessionId": "ses-1_x"})
        case "session/list":
            say(id=message["id"], result={"sessions": SESSIONS})
        case "session/load":
            update = {"sessionUpdate": "agent_message_chunk", "content": {"text": "Of before."}}
            say(method="session/update", params={"update": update})
            say(id=message["id"], result={"loaded": message["params"]["sessionId"]})
        case "session/cancel":
            open("cancelled", "w").write(message["params"]["sessionId"])
        case "session/prompt":
            prompt = message
            open("asked", "w").write(json.dumps(message["params"]))
            ACTS
        case None:
            answers = open("answers", "a")
            answers.write(json.dumps(message) + "\n")
            answers.close()
            if message["id"] == LAST:
                say(id=prompt["id"], result={"stopReason": "end_turn"})
"""


def client(
    directory: Path, acts: str, last: str = "0", *, spaces: str = "None", sessions: str | None = None
) -> subprocess.Popen[str]:
    """The client, with a program that ends its turn after the answer to its request ``last``.

    With ``sessions``, it goes on with the first of these.
    """
    script = directory / "program.py"
    content = PROGRAM.replace("ACTS", acts).replace("LAST", last).replace("SPACES", spaces)
    script.write_text(content.replace("SESSIONS", sessions or "[]"))
    process = subprocess.Popen(
        ["sh", "-c", CLIENT, "acp", sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=directory,
    )
    blocks = [{"type": "text", "text": QUESTION}]
    where = {"cwd": str(directory), "mcpServers": []}
    lines = [request(INITIALIZE, "initialize", {"protocolVersion": 1})]
    if sessions is None:
        lines += [request(NEW, "session/new", where), ""]
    else:
        lines += [request(LIST, "session/list", {"cwd": str(directory)})]
        lines += [request(LOAD, "session/load", {"sessionId": "@session@", **where})]
    lines += [request(PROMPT, "session/prompt", {"sessionId": "@session@", "prompt": blocks})]
    assert process.stdin
    process.stdin.write("".join(f"{line}\n" for line in lines))
    process.stdin.close()
    process.stdin = None
    return process


def request(name: str, method: str, params: object) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": name, "method": method, "params": params})


@pytest.mark.parametrize("spaces", ["None", "(',', ':')"], ids=["spaces", "close"])
def test_the_client_answers_the_requests_of_the_program(tmp_path: Path, spaces: str) -> None:
    acts = """
            say(method="session/update", params={"update": {"sessionUpdate": "plan", "id": 9}})
            say(id=41, method="fs/read_text_file", params={"path": "/etc/passwd"})
            options = [{"optionId": "no", "kind": "reject_once"}, {"kind": "allow_always", "optionId": "all"},
                       {"optionId": "yes 1", "name": "Yes", "kind": "allow_once"}]
            ask = "session/request_permission"
            say(id="p-1", method=ask, params={"toolCall": {"id": 5}, "options": options})
            say(id="p-2", method=ask, params={"options": options[:2]})
            say(id=7, method=ask, params={"options": options[:1]})
"""
    process = client(tmp_path, acts, "7", spaces=spaces)
    out, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert json.loads((tmp_path / "asked").read_text()) == {
        "sessionId": "ses-1_x",
        "prompt": [{"type": "text", "text": QUESTION}],
    }
    answers = [json.loads(line) for line in (tmp_path / "answers").read_text().splitlines()]
    assert [answer["id"] for answer in answers] == [41, "p-1", "p-2", 7]
    assert answers[0]["error"]["code"] == -32601
    outcomes = [answer["result"]["outcome"] for answer in answers[1:]]
    assert [outcome.get("optionId") for outcome in outcomes] == ["yes 1", "all", None]
    assert outcomes[2] == {"outcome": "cancelled"}
    reader = AcpReader()
    reader.feed(out.encode())
    assert (reader.is_done, reader.session_id) == (True, "ses-1_x")


def test_a_session_that_is_loaded_goes_on_and_its_earlier_steps_are_not_shown_again(tmp_path: Path) -> None:
    acts = 'say(id=prompt["id"], result={"stopReason": "end_turn"})'
    process = client(tmp_path, acts, sessions='[{"sessionId": "ses-2"}, {"sessionId": "ses-1"}]')
    out, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert json.loads((tmp_path / "asked").read_text())["sessionId"] == "ses-2"
    assert '"loaded": "ses-2"' in out
    steps: list[str] = []
    reader = AcpReader(steps.append, resumes=True)
    reader.feed(out.encode())
    assert (reader.is_done, steps, reader.text) == (True, [], "")


def test_a_session_that_is_not_there_cannot_go_on(tmp_path: Path) -> None:
    process = client(tmp_path, "pass", sessions="[]")
    out, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (1, "")
    reader = AcpReader(resumes=True)
    reader.feed(out.encode())
    assert (reader.is_done, reader.answers) == (False, 0)


def test_a_program_that_ends_before_its_turn_has_failed(tmp_path: Path) -> None:
    process = client(tmp_path, "sys.exit(0)")
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (1, "the program ended before its turn did\n")


def test_a_program_that_ends_before_it_reads_anything_has_failed(workplace: Workplace) -> None:
    result = workplace.run(DescribedAgent(Acp(command=["true"]), Access()))
    assert result.error == "agent: exited with 1: the program ended before its turn did"


def test_a_run_that_is_stopped_cancels_the_turn_of_the_program(tmp_path: Path) -> None:
    process = client(tmp_path, 'say(method="session/update", params={})')
    with process:
        assert process.stdout
        lines = iter(process.stdout.readline, "")
        assert any("session/update" in line for line in lines)
        process.terminate()
        assert process.wait(60) == 143
    assert (tmp_path / "cancelled").read_text() == "ses-1_x"


def said(*messages: Mapping[str, object]) -> tuple[AcpReader, list[str]]:
    steps: list[str] = []
    reader = AcpReader(steps.append)
    for message in messages:
        reader.feed(json.dumps({"jsonrpc": "2.0", **message}).encode())
    return reader, steps


def update(kind: str, **facts: object) -> dict[str, object]:
    return {"method": "session/update", "params": {"update": {"sessionUpdate": kind, **facts}}}


def piece(text: str) -> dict[str, object]:
    return update("agent_message_chunk", content={"type": "text", "text": text})


END = {"id": PROMPT, "result": {"stopReason": "end_turn"}}


def test_the_steps_are_whole_messages_and_the_titles_of_tools() -> None:
    reader, steps = said(
        {"id": INITIALIZE, "result": {}},
        update("agent_thought_chunk", content={"type": "text", "text": "hm"}),
        piece("I wr"),
        piece("ite."),
        update("tool_call", toolCallId="1", title="bash"),
        update("tool_call_update", toolCallId="1", title="echo \x1b[1m"),
        update("tool_call_update", toolCallId="1", title="echo \x1b[1m", status="completed"),
        {"id": 1, "method": "session/request_permission", "params": {"toolCall": {"title": "rm x"}}},
        piece("Done."),
        END,
    )
    assert steps == ["I write.", "bash", r"echo \x1b[1m", "allowed: rm x", "Done."]
    assert (reader.has_begun, reader.is_done, reader.failure, reader.doubt) == (True, True, "", "")
    assert (reader.text, reader.answers) == ("Done.", 3)
    assert reader_for(json.dumps({"jsonrpc": "2.0", **END}).encode()) is AcpReader


@pytest.mark.parametrize(
    ("message", "failure", "doubt"),
    [
        ({"id": PROMPT, "result": {"stopReason": "refusal"}}, "the agent refused", ""),
        ({"id": PROMPT, "result": {"stopReason": "max_tokens"}}, "the limit of tokens was reached", ""),
        ({"id": PROMPT, "result": {"stopReason": "\x1b"}}, r"the turn ended: \x1b", ""),
        ({"id": NEW, "error": {"message": "no", "data": {"details": "login"}}}, "no: login", "no result"),
        ({"id": NEW, "error": {"code": 1}}, "an error without a message", "no result"),
        ({"id": NEW, "result": []}, "", "no result"),
    ],
)
def test_an_end_that_is_not_the_end_of_a_turn_is_a_failure(
    message: dict[str, object], failure: str, doubt: str
) -> None:
    reader, _ = said(piece("x"), message)
    assert (reader.failure, reader.doubt, reader.is_done) == (failure, doubt, False)
