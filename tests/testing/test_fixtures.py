"""The fixtures for projects' own tests: when they skip, when they fail, what an agent can do by them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_cobbler.config import load
from pytest_cobbler.sandbox.base import Job
from pytest_cobbler.testing.facts import Tasks
from pytest_cobbler.testing.project import Project
from pytest_cobbler.testing.steps import make_runner_sandbox
from pytest_cobbler.tracker.base import Task
from pytest_cobbler.wiring.parts import make_sandbox
from pytest_cobbler.wiring.project import open_repository
from tests.support.images import claude_volume, minimal_image
from tests.support.scripted_api import ScriptedApi, text, tool, turn
from tests.support.sessions import seed, task

__all__ = ["claude_volume", "minimal_image"]

LOOKING = ("repository", "tracker", "generation", "worktree", "runner")
EACH = "\n".join(f"def test_{name}(cobbler_{name}): ..." for name in LOOKING)


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    cobbler_project.options += ["-p", "no:cacheprovider", "-rs"]
    return cobbler_project


# -- without a project


def test_fixtures_skip_without_a_configuration(project: Project) -> None:
    (project.path / "configuration.yaml").unlink()
    project.write({"test_it.py": EACH})
    result = project.run()
    result.assert_outcomes(skipped=len(LOOKING))
    result.stdout.fnmatch_lines([f"SKIPPED * {project.path}/configuration.yaml does not exist"])


def test_fixtures_skip_outside_of_a_git_repository(project: Project) -> None:
    (project.path / ".git").rename(project.directory / "not-git")
    project.write({"test_it.py": EACH})
    result = project.run()
    result.assert_outcomes(skipped=len(LOOKING))
    result.stdout.fnmatch_lines([f"SKIPPED * {project.path} is not in a git repository"])


def test_fixtures_skip_in_a_job_of_a_run(project: Project) -> None:
    project.write({"test_it.py": EACH})
    result = project.run(env={"COBBLER_SESSION": "1"})
    result.assert_outcomes(skipped=len(LOOKING))
    result.stdout.fnmatch_lines(["SKIPPED * this is a job of a run (COBBLER_SESSION is set)*"])


# -- something wrong


def test_a_wrong_configuration_fails_with_its_message(project: Project) -> None:
    project.write({"configuration.yaml": "jobz: 2\n", "test_it.py": EACH})
    result = project.run()
    result.assert_outcomes(errors=len(LOOKING))
    result.stdout.fnmatch_lines(["configuration.yaml:1: jobz: unknown key; did you mean jobs?"])
    assert "Traceback" not in "\n".join(result.outlines)
    assert not [line for line in result.outlines if "steps.py" in line]


def test_several_generations_are_listed(project: Project) -> None:
    project.run("--cobbler-start")
    project.run("--cobbler-start")
    project.write({"test_it.py": "def test_it(cobbler_generation): ..."})
    result = project.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["several generations are active: *", "*generation_branch: NAME"])


# -- the tracker and the generation


def test_tasks_are_values() -> None:
    tasks = Tasks("a tracker", (Task(id="a", title="A"), Task(id="b", title="B")))
    assert [one.id for one in tasks] == ["a", "b"]
    assert (tasks["b"].title, tasks.titled("A").id, len(tasks)) == ("B", "a", 2)
    with pytest.raises(KeyError):
        tasks["c"]
    with pytest.raises(LookupError, match="0 tasks 'C'"):
        tasks.titled("C")
    public = {name for name in dir(tasks) if not name.startswith("_")}
    assert public == {"all", "description", "titled"}
    with pytest.raises(AttributeError):
        tasks.all = ()  # type: ignore[misc]


GENERATION = """
def test_it(cobbler_generation, cobbler_tracker):
    assert {task.id for task in cobbler_generation.tasks} == {"done", "open"}
    assert {task.id for task in cobbler_tracker} == {"done", "open", "old", "bug", "theirs"}
    assert [(one.task, one.title) for one in cobbler_generation.landed] == [("done", "done")]
    assert cobbler_generation.landed[-1].commit == cobbler_generation.tip
    assert cobbler_generation.start != cobbler_generation.tip
"""


def test_a_generation_has_its_tasks_and_no_others(project: Project) -> None:
    project.agent.otherwise().runs("echo >$COBBLER_TASK_ID")
    project.configure(cycles=0, max_issues=1)
    seed(project, task("done", priority=0), task("open"))
    project.run("--cobbler-generate").assert_outcomes(passed=1)
    generation = project.generation
    assert generation is not None
    other = "generation-2020-01-01-00-00-00"
    project.git("branch", other)
    project.git("symbolic-ref", "refs/cobbler/active", f"refs/heads/{generation}")
    theirs = task("theirs", labels=[other])
    done = task("done", status="closed")
    seed(project, done, task("open"), task("old", status="closed"), task("bug", issue_type="bug"), theirs)
    project.write({"test_it.py": GENERATION})
    project.run().assert_outcomes(passed=1)


# -- the runner


HOSTILE = """
import os
import pytest

def test_it(cobbler_runner, cobbler_worktree):
    checkout = cobbler_worktree("HEAD")
    run = cobbler_runner.agent(checkout, "Do your worst.")
    assert run.ok, run.error
    assert "out" in run.changed
    assert [text for text in run.refusals if text.startswith("out: ")]
    assert [text for text in run.refusals if text.startswith("conftest.py: ")]
    assert not os.path.lexists(checkout.path / ".git")
    again = cobbler_runner.agent(checkout, "And again.")
    assert again.ok, again.error

def test_measure(cobbler_runner, cobbler_worktree):
    run = cobbler_runner.agent(cobbler_worktree("HEAD"), "Write {output}", phase="measure")
    assert run.answer.startswith("[]")

def test_failure(cobbler_runner, cobbler_worktree):
    run = cobbler_runner.agent(cobbler_worktree("HEAD"), "Fail.", title="Fail")
    assert (run.ok, run.error) == (False, "agent: exited with 3: no")
"""


def test_an_agent_run_reports_odd_files_as_they_are(
    project: Project, minimal_image: str, tmp_path: Path
) -> None:
    agent = project.agent
    canary = tmp_path / "canary"
    worst = f"rm -rf .git out; ln -s /etc/passwd out; echo 'open({str(canary)!r}, \"w\")' >conftest.py"
    hook = f"mkdir -p .git/hooks; printf '#!/bin/sh\\ntouch {canary}\\n' >.git/hooks/post-index-change"
    agent.otherwise().runs(f"{worst}; {hook} 2>/dev/null; true")
    agent.task("Fail").runs("echo no >&2; exit 3")
    project.configure(
        sandbox="podman", podman_image=minimal_image, podman_args=agent.podman_arguments, agent_network="none"
    )
    before = (project.git("status", "--porcelain", "--", ".", ":!*__pycache__*"), project.git("for-each-ref"))
    project.write({"test_it.py": HOSTILE})
    project.run().assert_outcomes(passed=3)
    assert not canary.exists()
    (project.path / "test_it.py").unlink()
    assert (
        project.git("status", "--porcelain", "--", ".", ":!*__pycache__*"),
        project.git("for-each-ref"),
    ) == before


RESERVED = """
def test_it(cobbler_runner, cobbler_worktree):
    run = cobbler_runner.agent(cobbler_worktree("HEAD"), "Shadow the gate's own modules.")
    assert run.ok, run.error
    [refusal] = run.refusals
    assert refusal.startswith("pytest_cobbler.py: ")
"""


def test_an_agent_run_refuses_modules_that_the_gate_imports(project: Project) -> None:
    project.python_sample()
    project.agent.otherwise().writes("pytest_cobbler.py", "")
    project.write({"test_it.py": RESERVED})
    project.run("test_it.py").assert_outcomes(passed=1)


LIVE = """
def test_agent(cobbler_runner, cobbler_worktree):
    checkout = cobbler_worktree("HEAD")
    run = cobbler_runner.agent(checkout, "Write hello to greeting.txt.")
    assert run.ok, run.error
    assert run.files == {"greeting.txt": "hello"}
    assert run.usage.cost_usd > 0 and run.usage.tokens_input > 0 and run.text == "Written."
    assert "Written." in run.transcript.read_text()

def test_gate(cobbler_runner, cobbler_worktree):
    assert cobbler_runner.gate(cobbler_worktree("HEAD")).passed
"""


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    with ScriptedApi() as server:
        yield server
    assert not server.failures


def test_claude_runs_only_if_it_may_cost_money(
    project: Project, minimal_image: str, claude_volume: tuple[str, str], api: ScriptedApi
) -> None:
    command = "printf hello >greeting.txt"
    lines = [turn(tool("Bash", command=command, description="Write")), turn(text("Written."))]
    api.script("greeting.txt", lines)
    project.configure(
        sandbox="podman",
        podman_image=minimal_image,
        podman_args=[*claude_volume],
        agent="claude",
        agent_command=None,
    )
    project.write({"test_it.py": LIVE})
    result = project.run(env=api.environment)
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED * agent: claude may cost money; allow it: --cobbler-live"])
    assert api.requests == []
    project.run("--cobbler-live", env=api.environment).assert_outcomes(passed=2)


def test_a_starting_run_does_not_end_the_jobs_of_tests(project: Project, tmp_path: Path) -> None:
    config = load(project.path / "configuration.yaml")
    repository = open_repository(config)
    swept: list[str] = []

    def begin_a_run(_line: bytes) -> None:
        swept.extend(make_sandbox(config, repository, "later").sweep())
        (tmp_path / "go").touch()

    wait = 'echo begun; until [ -e "$1" ]; do sleep 0.05; done'
    job = Job(name="x", argv=("sh", "-c", wait, "sh", str(tmp_path / "go")), workdir="/", on_line=begin_a_run)
    assert make_runner_sandbox(repository, config).run(job).ok
    assert swept == []


def test_an_agent_of_a_hook_runs_only_if_it_may_cost_money(project: Project) -> None:
    hook = """
class Mine:
    description, secrets, proxied = "agent: mine", (), False
    def preflight(self, sandbox): raise AssertionError
    def run(self, request, sandbox, cancellation): raise AssertionError

def pytest_cobbler_agent(): return Mine()
"""
    test = (
        "def test_it(cobbler_runner, cobbler_worktree): cobbler_runner.agent(cobbler_worktree('HEAD'), 'x')\n"
    )
    project.write({"conftest.py": hook, "test_it.py": test})
    result = project.run()
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(
        ["SKIPPED [[]1] test_it.py:1: agent: mine may cost money; allow it: --cobbler-live"]
    )
