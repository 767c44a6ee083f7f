"""How many child processes a task costs."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from pytest_cobbler.testing.project import Project
from tests.support.sessions import WRITES_A_FILE, seed, task

MOST = 35
"""Child processes of a task, with four of the agent and the gate; docs/performance.md has the number."""

COUNTING = """\
#!/bin/sh
name=${0##*/}
echo "$name" >>"@LOG@"
exec "$(PATH=@PATH@ && command -v "$name")" "$@"
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with a line for each program that is started by its name."""
    log, programs = tmp_path / "log", tmp_path / "programs"
    programs.mkdir()
    path = os.environ["PATH"]
    counting = programs / ".counting"
    counting.write_text(COUNTING.replace("@LOG@", str(log)).replace("@PATH@", f"'{path}'"))
    counting.chmod(0o755)
    for directory in path.split(os.pathsep):
        for program in Path(directory).glob("*") if directory else ():
            if not (programs / program.name).is_symlink() and shutil.which(program):
                (programs / program.name).symlink_to(counting)
    monkeypatch.setenv("PATH", str(programs))
    return log


@pytest.mark.slow
def test_a_task_without_a_sandbox_costs_few_processes(cobbler_project: Project, log: Path) -> None:
    cobbler_project.configure(jobs=1)
    cobbler_project.agent.otherwise().runs(WRITES_A_FILE)
    started: list[Counter[str]] = []
    numbers = iter(range(100))
    for count in (1, 1, 5):  # the first run starts the generation
        ids = [f"p-{next(numbers)}" for _ in range(count)]
        seed(cobbler_project, *(task(one, title=f"Task {one}") for one in ids))
        log.write_text("")
        result = cobbler_project.run("--cobbler-generate", "--cobbler-cycles", "0")
        assert result.outcomes() == {"passed": count}, "\n".join(result.outlines)
        started.append(Counter(log.read_text().split()))
    few, many = started[1:]
    each = {name: (many[name] - few[name]) / 4 for name in many}
    assert each["git"] > 0
    assert sum(each.values()) <= MOST, each
