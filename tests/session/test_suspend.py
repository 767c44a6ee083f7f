"""A machine that sleeps while agents work: time limits mean working time, ends of limits the time of day."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pytest_cobbler.testing.project import Project
from tests.support.sessions import ids_landed, seed, stitch, task

SOURCE = Path(__file__).parents[1] / "support" / "suspend.c"


@pytest.fixture
def suspend(tmp_path: Path) -> Path:
    """A library that moves the time of day by eight hours once a file is there."""
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    library = tmp_path / "suspend.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"], check=True)
    return library


def test_an_agent_that_worked_before_and_after_a_sleep_is_not_timed_out(
    cobbler_project: Project, suspend: Path
) -> None:
    project, woken = cobbler_project, cobbler_project.directory / "woken"
    project.configure(cycles=0, task_timeout="60s", idle_timeout="60s", gate_timeout="60s")
    project.agent.task("a").runs(f"touch {woken}; sleep 2; echo done >a.txt")
    seed(project, task("a"))
    result = project.run(
        "--cobbler-generate", env={"LD_PRELOAD": str(suspend), "SUSPEND_FILE": str(woken)}, timeout=60
    )
    assert result.ret == 0
    assert ids_landed(project) == ["a"]
    [journal] = project.path.glob(".cobbler/*/journal.jsonl")
    times = [datetime.fromisoformat(json.loads(line)["time"]) for line in journal.read_text().splitlines()]
    assert times[-1] - times[0] > timedelta(hours=8), "the time of day moved"
    assert float(result.junit[stitch("a")].properties["cobbler_agent_seconds"]) < 60


WAITS = """\
import sys
from datetime import timedelta
from pathlib import Path
from pytest_cobbler.agents.health import ApiHealth, utc_now
from pytest_cobbler.agents.troubles import Trouble
from pytest_cobbler.causes import Cause

health = ApiHealth(patience=1200)
until = utc_now() + timedelta(minutes=10)
health.met(Trouble(cause=Cause.LIMITED, passes=True, until=until), "a", is_sure=True)
before = health.may_start(0)
Path(sys.argv[1]).touch()
print(before, health.may_start(0))
"""


def test_a_wait_for_the_api_ends_at_the_time_of_day(tmp_path: Path, suspend: Path) -> None:
    woken = tmp_path / "woken"
    env = os.environ | {"LD_PRELOAD": str(suspend), "SUSPEND_FILE": str(woken)}
    done = subprocess.run(
        [sys.executable, "-c", WAITS, woken], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "True"]
