"""A run with claude reaches for its API first, and lets the gate decide after a success that ends badly."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_cobbler.testing.project import Project
from tests.support.scripted_api import API_KEY, ScriptedApi
from tests.support.sessions import seed, stitch, task, words

PROGRAM = """\
#!/bin/sh
[ "$1" != --version ] || exit 0
prompt=$(cat)
echo '{said}'
case $prompt in
*"<title>"*wordless*) echo 1 >wordless.txt; echo '{silent}' ;;
*"<title>"*idle*) echo '{silent}' ;;
*"<title>"*exits*) echo 1 >exits.txt; echo '{result}'; echo no more >&2; exit 1 ;;
esac
"""


def event(**fields: object) -> str:
    return json.dumps(fields)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A script in the place of claude; the directory of it."""
    message = {"id": "m", "model": "claude-x", "content": [{"type": "text", "text": "I work."}], "usage": {}}
    good = {"type": "result", "subtype": "success", "is_error": False, "terminal_reason": "completed"}
    path = tmp_path / "bin" / "claude"
    path.parent.mkdir()
    path.write_text(
        PROGRAM.format(
            said=event(type="assistant", message=message),
            silent=event(**good, result=""),
            result=event(**good, result="Done."),
        )
    )
    path.chmod(0o755)
    return path.parent


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    with ScriptedApi() as api:
        yield api


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    cobbler_project.configure(agent="claude", agent_command=None, cycles=0, max_attempts=1)
    return cobbler_project


def environment(program: Path, address: str) -> dict[str, str]:
    path = f"{program}:{os.environ['PATH']}"
    return {"PATH": path, "ANTHROPIC_API_KEY": API_KEY, "ANTHROPIC_BASE_URL": address}


def test_a_change_after_an_odd_success_goes_to_the_gate(
    project: Project, program: Path, api: ScriptedApi
) -> None:
    seed(project, task("wordless"), task("idle"), task("exits"))
    result = project.run("--cobbler-generate", "-v", "-rf", env=environment(program, api.url))
    assert words(result) == {
        "stitch::wordless": "LANDED",
        "stitch::idle": "FAILED",
        "stitch::exits": "LANDED",
    }
    result.stdout.fnmatch_lines([f"FAILED {stitch('idle')} - agent: the last message is empty"])
    notes = {name: case.properties.get("cobbler_notes", "") for name, case in result.junit.items()}
    assert notes[stitch("wordless")] == "agent: the last message is empty: its change went to the gate"
    assert notes[stitch("exits")] == "agent: exited with 1: no more: its change went to the gate"


def test_an_api_that_cannot_be_reached_is_an_error_before_anything_starts(
    project: Project, program: Path
) -> None:
    seed(project, task("exits"))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        result = project.run("--cobbler-generate", env=environment(program, address))
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(
            ["ERROR: the API's host 127.0.0.1 cannot be reached: Connection refused", "Check the network *"]
        )
        assert project.generation is None
        doctor = project.run("--cobbler-doctor", env=environment(program, address))
        doctor.stdout.fnmatch_lines(["FAILED *network *the API's host 127.0.0.1 cannot be reached: *"])
