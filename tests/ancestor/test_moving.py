"""docs/moving.md: what it says to do, done on a repository as the ancestor left it in the middle of a run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pytest_cobbler.config.reference import ANCESTOR
from pytest_cobbler.process import host_environment
from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project
from tests.support.ancestor import CONFIGURATION
from tests.support.documents import ROOT, quoted, rows, section
from tests.support.sessions import statuses

PAGE = (ROOT / "docs" / "moving.md").read_text("utf-8")
OLDER = "generation-2026-02-10-10-00-00"
HERE = {"sandbox": "none", "agent": "command", "build_command": "true", "test_command": "true"}
"""What the test adds, so that it costs nothing."""


@pytest.fixture
def project(cobbler_project: Project, cobbler_agent: StandInAgent) -> Project:
    """Of three tasks one was merged; one was being done in a worktree, one was lost by a recovery."""
    keys = dict.fromkeys(cobbler_project.configuration) | yaml.safe_load(CONFIGURATION) | HERE
    work = cobbler_project.configuration["work_dir"]
    cobbler_project.write(
        {
            "go.mod": "module example.com/org/calc\n\ngo 1.24\n",
            "cmd/calc/main.go": "package main\n\nfunc main() {}\n",
            "templates/version.go.tmpl": "package version\n",
            ".gitignore": ".beads/*.db\n",
        }
    )
    cobbler_project.configure(**keys | {"agent_command": cobbler_agent.command, "work_dir": work})
    git = cobbler_project.git
    git("tag", f"{OLDER}-start")
    git("switch", "--quiet", "--create", OLDER)
    git("rm", "--quiet", "cmd/calc/main.go")
    cobbler_project.commit(f"Start generation: {OLDER}\n\nDelete Go code, initialize module.")
    cobbler_project.write(
        {"pkg/a/a.go": "package a\n", ".beads/issues.jsonl": tasks(), ".beads/beads.db": "SQLite"}
    )
    cobbler_project.commit("calc-1: Add a")
    git("branch", f"task/{OLDER}-calc-2")
    worktree = cobbler_project.directory / "calc-worktrees" / "calc-2"
    git("worktree", "add", "--quiet", str(worktree), f"task/{OLDER}-calc-2")
    cobbler_project.write({".cobbler/proposed-issues-20260210-100000.json": "[]"})
    return cobbler_project


def tasks() -> str:
    stati = {"calc-1": "closed", "calc-2": "in_progress", "calc-3": "ready", "calc-4": "open"}
    moment = "2026-02-10T10:00:00Z"
    issues = [
        {
            "id": name,
            "title": f"Write {name}",
            "description": "It is to be there.",
            "status": status,
            "priority": 2,
            "issue_type": "task",
            "created_at": moment,
            "updated_at": moment,
            **({"closed_at": moment} if status == "closed" else {}),
        }
        for name, status in stati.items()
    ]
    return "".join(json.dumps(issue, separators=(",", ":")) + "\n" for issue in issues)


def steps() -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```$", section("## Step by step", PAGE), re.DOTALL | re.MULTILINE)


def shell(project: Project, script: str) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=project.path,
        env=host_environment(PATH=path, GIT_CONFIG_GLOBAL=os.devnull, HOME=str(project.directory)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.matrix("costly")
def test_the_steps_lead_from_a_generation_of_the_older_tool_to_landed_work(
    project: Project, cobbler_agent: StandInAgent
) -> None:
    for number in (2, 3, 4):
        path = f"pkg/b/b{number}.go"
        cobbler_agent.task(f"Write calc-{number}").writes(path, "package b\n")
    left = project.git("rev-parse", OLDER, f"task/{OLDER}-calc-2")
    refused = project.run("--cobbler-generate", "--collect-only")
    refused.stderr.fnmatch_lines(["ERROR: branch * is not a generation: *", "*docs/moving.md*"])

    outputs = [shell(project, step) for step in steps()]

    assert len(outputs) == 6
    assert "calc-worktrees/calc-2" in outputs[0]
    assert project.git("rev-parse", f"older/{OLDER}", f"older/task/{OLDER}-calc-2") == left
    assert "4 tests collected" in outputs[4]
    assert statuses(project) == dict.fromkeys(["calc-1", "calc-2", "calc-3", "calc-4"], "closed")
    assert sorted(landed.title for landed in project.landed()) == [
        "Write calc-2",
        "Write calc-3",
        "Write calc-4",
    ]
    assert {"pkg/b/b2.go", "pkg/b/b3.go", "pkg/b/b4.go"} <= project.files().keys()
    listed = project.run("--cobbler-list").outlines
    assert [line.replace("*", "").split()[:2] for line in listed] == [
        [OLDER, "gone"],
        [project.generation, "active"],
    ]
    assert project.git("rev-parse", "--abbrev-ref", "HEAD") == "main\n"


def test_the_page_describes_the_change_of_every_key() -> None:
    keys = [key for row in rows(section("## Keys", PAGE)) for key in quoted(row[0])]
    assert sorted(keys) == sorted(ANCESTOR)


def test_the_page_describes_the_change_of_every_command() -> None:
    commands = {target for row in rows(section("## Commands", PAGE)) for target in quoted(row[0])}
    words = ("init", "start", "run", "resume", "stop", "reset", "list", "switch")
    generator = {f"generator:{word}" for word in words}
    cobbler = {"cobbler:measure", "cobbler:stitch", "cobbler:reset", "beads:init", "beads:reset"}
    assert commands == generator | cobbler | {"init", "reset", "stats"}
