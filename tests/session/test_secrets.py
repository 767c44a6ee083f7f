"""A gate that prints the agent's credential: nothing that is kept of the run has it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import quote

import pytest

from pytest_cobbler.secret_forms import PLACEHOLDER, Secrets
from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project
from tests.support.pages import blocks
from tests.support.sessions import came_to, seed, task

KEY = "sk-ant-api03-" + "AbC012/456789_-xyz" * 5
HOOK = f"""
from pytest_cobbler.agents.command import CommandAgent

class Keeper(CommandAgent):
    secrets = ("{KEY}",)

def pytest_cobbler_agent():
    return Keeper(COMMAND)
"""

FORMS = {
    "plain": KEY.encode(),
    "base64": base64.encodebytes(b"the key: " + KEY.encode()),
    "url-safe base64": base64.urlsafe_b64encode(KEY.encode()),
    "hex": KEY.encode().hex().encode(),
    "URL": b"https://example.org/?key=" + quote(KEY, safe="").encode(),
    "over lines": KEY[:40].encode() + b"\n" + KEY[40:].encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_credential_that_the_gate_prints_is_kept_nowhere(
    cobbler_project: Project, cobbler_agent: StandInAgent, tmp_path: Path, form: str
) -> None:
    project = cobbler_project
    printed = project.directory / "printed"
    printed.write_bytes(FORMS[form])
    cobbler_agent.otherwise().runs('echo "$COBBLER_ATTEMPT" >work.txt')
    project.configure(cycles=0, max_attempts=2, test_command=f"cat {printed}; test ! -e work.txt")
    seed(project, task("a"))
    (project.path / "conftest.py").write_text(f"COMMAND = {cobbler_agent.command!r}\n{HOOK}")
    recording = tmp_path / "recording"

    result = project.run("--cobbler-generate", f"--cobbler-record={recording}", "-v")
    [report] = project.directory.glob("run-*/junit.xml")

    assert came_to(result) == {"stitch::a": "failed"}
    log = next(project.path.glob(".cobbler/*/attempts/a/1/gate.log")).read_bytes()
    prompt = next(project.path.glob(".cobbler/*/attempts/a/2/prompt.md")).read_text()
    assert PLACEHOLDER.encode() in log, "it was printed"
    assert PLACEHOLDER in prompt, "the next attempt was told"
    secrets = Secrets([KEY])
    assert not secrets.are_in("\n".join(result.outlines + result.errlines).encode())
    kept = [project.path / ".cobbler", project.path / ".beads", recording, report]
    for place in kept:
        for path in place.rglob("*") if place.is_dir() else [place]:
            assert path.is_dir() or not secrets.are_in(path.read_bytes()), path
    [page] = project.path.glob(".cobbler/*/report.html")
    unpacked = json.dumps(blocks(page.read_text("utf-8")), ensure_ascii=False)
    assert PLACEHOLDER in unpacked, "the page has the log"
    assert not secrets.are_in(unpacked.encode())
    commits = project.git("log", "--all", "--format=%B").encode()
    assert commits
    assert not secrets.are_in(commits)


def test_a_credential_in_a_description_is_neither_in_the_prompt_nor_in_the_commit(
    cobbler_project: Project, cobbler_agent: StandInAgent
) -> None:
    project = cobbler_project
    cobbler_agent.otherwise().runs('echo "$COBBLER_ATTEMPT" >work.txt')
    project.configure(cycles=0)
    seed(project, task("a", description=f"Use {KEY}."))
    (project.path / "conftest.py").write_text(f"COMMAND = {cobbler_agent.command!r}\n{HOOK}")

    result = project.run("--cobbler-generate")

    assert came_to(result) == {"stitch::a": "landed"}
    [prompt] = project.path.glob(".cobbler/*/attempts/a/1/prompt.md")
    assert f"Use {PLACEHOLDER}." in prompt.read_text()
    assert f"Use {PLACEHOLDER}." in project.git("log", "--all", "--format=%B")
    assert not Secrets([KEY]).are_in(project.git("log", "--all", "--format=%B").encode())
