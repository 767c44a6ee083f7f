"""The recipes of docs/ci.md, run word by word: a job in a fresh clone goes on from what the last one left."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_cobbler.process import host_environment
from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project
from tests.support.documents import ROOT, section
from tests.support.sessions import statuses

PAGE = (ROOT / "docs" / "ci.md").read_text("utf-8")
INSTALLS = ("sudo ", "pip ", "podman ", "python3 -m venv ")
"""Commands that get what a runner lacks; the rest of a recipe is run here."""
KILL = """
up=$$
until tr '\\0' ' ' </proc/$up/cmdline | grep -q '[j]unit-xml'; do
  up=$(awk '/^PPid/ {print $2}' /proc/$up/status)
done
kill -KILL $up
"""
"""An agent of no sandbox that kills the pytest it belongs to."""


def recipe(title: str) -> Any:
    [text] = re.findall(r"^```yaml\n(.*?)^```$", section(title, PAGE), re.DOTALL | re.MULTILINE)
    return yaml.safe_load(text)


class Runner:
    """A runner of a forge: ``remote`` is the repository there, and each job has a clone of its own."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.remote = project.directory / "remote.git"
        self.can_fetch = True
        self._origin = project.path
        self._jobs = 0

    def clone(self) -> None:
        """A job begins: everything that a forge's checkout brings."""
        self._jobs += 1
        clone = self.project.directory / f"job-{self._jobs}"
        self.project.path = self._origin
        self.project.git("clone", "--quiet", f"file://{self.remote}", str(clone))
        self.project.path = clone
        if not self.can_fetch:
            self.project.git("remote", "set-url", "--push", "origin", f"file://{self.remote}")
            self.project.git("remote", "set-url", "origin", f"file://{self.remote}.gone")

    def shell(self, script: str, *options: str) -> int:
        programs = Path(sys.executable).parent
        done = subprocess.run(
            ["bash", *options, "-c", f'PATH="{programs}:$PATH"\n{script}'],
            cwd=self.project.path,
            env=host_environment(
                GIT_CONFIG_GLOBAL="/dev/null",
                GIT_CONFIG_NOSYSTEM="1",
                PUSH_URL=f"file://{self.remote}",
                CI_COMMIT_REF_NAME="main",
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        sys.stdout.write(done.stdout)
        return done.returncode

    def job(self) -> int:
        """Run all of the recipe that installs nothing; the exit code."""
        raise NotImplementedError

    def artifacts(self) -> list[str]:
        """Paths of the recipe that the forge keeps."""
        raise NotImplementedError


class GitHub(Runner):
    def job(self) -> int:
        self.clone()
        steps = [step for step in recipe("## GitHub Actions")["jobs"]["generate"]["steps"] if "run" in step]
        assert is_installation(steps[0]["run"].splitlines())
        failed, succeeded = 0, set()
        for step in steps[1:]:
            condition = step.get("if")
            assert condition in (None, "always() && steps.restore.outcome == 'success'")
            if "restore" in succeeded if condition else not failed:
                status = self.shell(step["run"], "-e")
                failed = status or failed
                succeeded |= set() if status else {step.get("id")}
        return failed

    def artifacts(self) -> list[str]:
        upload = recipe("## GitHub Actions")["jobs"]["generate"]["steps"][-1]
        assert upload["if"] == "always()"
        return str(upload["with"]["path"]).split()


class GitLab(Runner):
    def job(self) -> int:
        self.clone()
        self.project.git("checkout", "--quiet", "--detach")
        job = recipe("## GitLab CI")["generate"]
        assert is_installation(job["before_script"])
        return self.shell("\n".join(job["script"]), "-e", "-o", "pipefail")

    def artifacts(self) -> list[str]:
        kept = recipe("## GitLab CI")["generate"]["artifacts"]
        assert kept["when"] == "always"
        return [*kept["paths"], kept["reports"]["junit"]]


def is_installation(commands: Sequence[str]) -> bool:
    return all(command.startswith(INSTALLS) for command in commands)


@pytest.fixture(params=[pytest.param(forge, marks=pytest.mark.matrix) for forge in (GitHub, GitLab)])
def runner(request: pytest.FixtureRequest, cobbler_project: Project, cobbler_agent: StandInAgent) -> Runner:
    """One task lands; of the other, the gate refuses the first attempt, and the second goes on from it."""
    cobbler_project.configure(max_attempts=1, test_command="! grep -r wrong lib")
    cobbler_agent.measure().writes_tasks([{"title": "Good"}, {"title": "Slow"}])
    cobbler_agent.task("Good").writes("lib/good.txt", "right\n")
    cobbler_agent.task("Slow").writes("lib/slow.txt", "wrong\n")
    cobbler_agent.task("Slow", attempt=2).edits("lib/slow.txt", "wrong", "right")
    runner: Runner = request.param(cobbler_project)
    cobbler_project.git("clone", "--quiet", "--bare", str(cobbler_project.path), str(runner.remote))
    return runner


def kept(project: Project) -> list[str]:
    return project.git("for-each-ref", "--format=%(refname)", "refs/cobbler/attempts").split()


@pytest.mark.matrix("costly")
def test_a_fresh_clone_goes_on_from_what_a_red_job_has_pushed(runner: Runner) -> None:
    project = runner.project
    # Another person pushes a note while the second job works.
    git = f"git --git-dir={runner.remote} -c user.name=B -c user.email=b@example.invalid"
    project.agent.task("Slow", attempt=2).runs(f"{git} notes --ref=cobbler add -m theirs main")
    assert runner.job() == pytest.ExitCode.TESTS_FAILED
    assert [path for path in runner.artifacts() if not (project.path / path).exists()] == []
    generation, slow = project.generation, project.task("Slow").id
    assert [commit.title for commit in project.landed()] == ["Good"]

    own_id, place = (project.path / ".git" / "cobbler.id").read_text().split("\n")[:2]
    runner.clone()
    assert project.generation is None, "a checkout brings no generation"

    assert runner.job() == pytest.ExitCode.OK
    again, elsewhere = (project.path / ".git" / "cobbler.id").read_text().split("\n")[:2]
    assert (again, elsewhere == place) == (own_id, False), "its claims are those of the first clone"
    assert project.generation == generation
    assert [commit.title for commit in project.landed()] == ["Good", "Slow"]
    assert project.landed()[1].trailers["Cobbler-Attempt"].endswith("2")
    assert statuses(project) == {project.task("Good").id: "closed", slow: "closed"}
    assert kept(project) == []

    project.path = runner.remote
    assert [commit.title for commit in project.landed()] == ["Good", "Slow"]
    assert kept(project) == [], "an attempt that has landed goes from the remote, too"
    assert "closed" in project.files("refs/cobbler/tracker")["issues.jsonl"]
    for commit in project.landed():
        assert commit.commit in project.git("notes", "--ref=cobbler", "show", commit.commit)
    assert project.git("notes", "--ref=cobbler", "show", "main") == "theirs\n"


def test_a_fresh_clone_goes_on_from_what_a_killed_pytest_had_made(
    runner: Runner, cobbler_agent: StandInAgent
) -> None:
    project = runner.project
    cobbler_agent.task("Slow").runs(KILL)
    assert runner.job() == 128 + signal.SIGKILL
    assert project.task("Slow").status == "open"

    assert runner.job() == pytest.ExitCode.OK
    assert sorted(commit.title for commit in project.landed()) == ["Good", "Slow"]


def test_jobs_without_a_task_are_green(runner: Runner) -> None:
    runner.project.agent.measure(cycle=1).writes_tasks([])
    assert runner.job() == pytest.ExitCode.OK
    assert runner.job() == pytest.ExitCode.OK


def saved(runner: Runner) -> list[str]:
    """What the forge has beside the base, by object and name."""
    refs = subprocess.run(
        ["git", "for-each-ref", "--format=%(objectname) %(refname)"],
        cwd=runner.remote,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    return [ref for ref in refs if not ref.endswith(" refs/heads/main")]


def test_the_first_job_of_a_repository_has_nothing_to_restore_and_goes_on(runner: Runner) -> None:
    assert saved(runner) == []
    assert runner.job() == pytest.ExitCode.TESTS_FAILED  # of the gate, on one of two tasks
    assert [commit.title for commit in runner.project.landed()] == ["Good"]
    kinds = {"/".join(ref.split(" ")[1].split("/")[:3]) for ref in saved(runner)}
    generation = runner.project.generation
    assert kinds == {
        f"refs/heads/{generation}",
        f"refs/tags/{generation}-start",
        "refs/cobbler/tracker",
        "refs/cobbler/id",
        "refs/cobbler/landed",
        "refs/cobbler/attempts",
        "refs/notes/cobbler",
    }


def test_a_job_that_cannot_restore_is_red_and_takes_nothing_away(runner: Runner) -> None:
    runner.job()
    before = saved(runner)
    runner.can_fetch = False
    assert runner.job() != pytest.ExitCode.OK
    assert runner.project.generation is None, "it began nothing of its own"
    assert saved(runner) == before

    runner.can_fetch = True
    assert runner.job() == pytest.ExitCode.OK
    assert [commit.title for commit in runner.project.landed()] == ["Good", "Slow"]
