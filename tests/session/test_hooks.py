"""The project's hooks: their effects, and how a run ends if one is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project, RunResult
from tests.support.sessions import (
    WRITES_A_FILE,
    came_to,
    ids_landed,
    measure,
    seed,
    statuses,
    stitch,
    task,
)

SESSION_WIDE = {
    "pytest_cobbler_tracker": "settings",
    "pytest_cobbler_agent": "config",
    "pytest_cobbler_gate": "steps",
    "pytest_cobbler_take_task": "task",
}


@pytest.fixture
def project(cobbler_project: Project, cobbler_agent: StandInAgent) -> Project:
    """Tasks a and b are open; both are easy."""
    cobbler_agent.otherwise().runs(WRITES_A_FILE)
    cobbler_project.configure(cycles=0)
    seed(cobbler_project, task("a"), task("b"))
    return cobbler_project


def run(project: Project, conftest: str, *options: str) -> RunResult:
    project.write({"conftest.py": conftest})
    project.commit("Hooks")
    return project.run("--cobbler-generate", *options)


def raising(hook: str, argument: str, condition: str = "True") -> str:
    return f"""
def {hook}({argument}):
    if {condition}:
        raise RuntimeError("not today")
"""


def nothing_of_ours(result: RunResult) -> bool:
    """Whether no line of this package or of pluggy is shown as part of a traceback."""
    text = "\n".join([*result.outlines, *result.errlines])
    return not any(f"{name}/" in text for name in ("pytest_cobbler", "pluggy", "_pytest"))


# -- before a run


@pytest.mark.parametrize(("hook", "argument"), SESSION_WIDE.items())
def test_a_hook_that_raises_before_a_run_is_an_error_and_nothing_is_started(
    project: Project, hook: str, argument: str
) -> None:
    result = run(project, raising(hook, argument))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: hook {hook}: RuntimeError: not today", "*conftest.py*"])
    assert nothing_of_ours(result)
    assert project.generation is None
    assert statuses(project) == {"a": "open", "b": "open"}


def test_a_hook_that_does_not_exist_is_an_error(project: Project) -> None:
    result = run(project, "def pytest_cobbler_promt(prompt): ...\n")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: unknown hook 'pytest_cobbler_promt'*"])
    assert project.generation is None


@pytest.mark.parametrize("options", [["--cobbler-generate"], ["--cobbler-list"], []])
def test_an_argument_that_a_hook_does_not_have_is_an_error(project: Project, options: list[str]) -> None:
    project.write({"conftest.py": "def pytest_cobbler_prompt(tsk): ...\n"})
    result = project.run(*options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            "ERROR: Plugin '*/conftest.py' for hook 'pytest_cobbler_prompt'",
            "Argument(s) {'tsk'} are declared*",
            "Its arguments are: settings, phase, task, attempt, prompt.",
        ]
    )
    assert "Traceback" not in "\n".join(result.errlines)
    assert project.generation is None


WORKER = """
class Worker:
    description, secrets, proxied = "agent: a worker", (), False
    def preflight(self, sandbox): ...
    def run(self, request, sandbox, cancellation):
        (request.worktree / "done.txt").write_text(f"{request.account.streams} streams")
"""


def test_an_agent_that_is_a_class_is_an_error_and_nothing_is_started(project: Project) -> None:
    result = run(project, f"{WORKER}\ndef pytest_cobbler_agent(): return Worker\n")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*but a class: give an instance, Worker(...)", "The hook is in */conftest.py:*"]
    )
    assert project.generation is None


def test_an_agent_that_returns_no_result_fails_its_item_and_its_work_is_kept(project: Project) -> None:
    seed(project, task("a"))
    project.configure(streams_per_agent=3)
    result = run(project, f"{WORKER}\ndef pytest_cobbler_agent(): return Worker()\n")
    assert came_to(result) == {"stitch::a": "failed"}
    case = result.junit[stitch("a")]
    assert case.properties["cobbler_cause"] == "hook"
    assert case.message.startswith("hook pytest_cobbler_agent: run of Worker gave None, not an AgentResult")
    assert nothing_of_ours(result)
    assert statuses(project) == {"a": "open"}
    run(project, "").assert_outcomes(passed=1)
    assert project.files()["done.txt"] == "3 streams", "what the request told the agent"


def test_an_agent_that_raises_before_the_run_is_an_error_and_nothing_is_started(project: Project) -> None:
    worker = WORKER.replace("def preflight(self, sandbox): ...", "def preflight(self, sandbox): 1 / 0")
    result = run(project, f"{worker}\ndef pytest_cobbler_agent(): return Worker()\n")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: hook pytest_cobbler_agent: preflight of Worker: ZeroDivisionError: *"]
    )
    assert nothing_of_ours(result)
    assert project.generation is None


def test_the_gate_of_a_hook_is_used(project: Project) -> None:
    result = run(project, "def pytest_cobbler_gate(steps): return {**steps, 'shape': 'test ! -e b.txt'}\n")
    assert came_to(result) == {"stitch::a": "landed", "stitch::b": "failed"}
    assert "shape failed (exit 1)" in result.junit[stitch("b")].message
    result.stdout.fnmatch_lines(["gate: true; true; test ! -e b.txt"])


def test_the_gate_of_a_hook_replaces_a_missing_configuration(project: Project) -> None:
    project.configure(build_command=None, test_command=None)
    result = run(project, "def pytest_cobbler_gate(): return {'test': ['test', '-e', 'README.md']}\n")
    result.assert_outcomes(passed=2)


# -- which tasks


def test_an_excluded_task_and_its_dependants_wait(project: Project) -> None:
    seed(project, task("a"), task("b", "a"), task("c"))
    hook = "def pytest_cobbler_take_task(task): return task.id != 'a'\n"
    planned = run(project, hook, "--collect-only", "-q")
    assert [line for line in planned.outlines if "::" in line] == [stitch("c")]
    result = run(project, hook)
    assert result.ret == 0
    assert came_to(result) == {"stitch::c": "landed"}
    result.stdout.fnmatch_lines(["waiting: a: left out by a hook", "waiting: b: waits for a"])
    assert statuses(project) == {"a": "open", "b": "open", "c": "closed"}


def test_a_filter_adds_no_tasks(project: Project) -> None:
    held = task("held", status="in_progress", assignee="jane")
    seed(project, task("a"), task("later", status="deferred"), held, task("other", issue_type="bug"))
    result = run(project, "def pytest_cobbler_take_task(task): return True\n")
    assert came_to(result) == {"stitch::a": "landed"}


def test_the_filter_also_sees_proposed_tasks(project: Project, cobbler_agent: StandInAgent) -> None:
    cobbler_agent.measure().writes_tasks(
        [{"title": "First"}, {"title": "Second", "dependency": 0}, {"title": "Third"}]
    )
    project.configure(cycles=1)
    seed(project)
    result = run(project, "def pytest_cobbler_take_task(task): return task.title != 'First'\n")
    result.assert_outcomes(passed=2)
    assert {one.title: one.status for one in project.tasks()} == {
        "First": "open",
        "Second": "open",
        "Third": "closed",
    }
    first = project.task("First").id
    result.stdout.fnmatch_lines([f"waiting: {first}: left out by a hook", f"waiting: *: waits for {first}"])


def test_a_filter_that_raises_on_a_proposed_task_fails_the_measure(
    project: Project, cobbler_agent: StandInAgent
) -> None:
    cobbler_agent.measure().writes_tasks([{"title": "First"}])
    project.configure(cycles=1)
    seed(project)
    result = run(project, raising("pytest_cobbler_take_task", "task"))
    assert result.ret == 1
    assert "1 task proposed; its call failed:" in result.junit[measure()].message
    assert nothing_of_ours(result)
    assert project.task("First").status == "open"


# -- prompt and command line


def test_a_choice_that_the_configuration_does_not_have_fails_that_task_alone(project: Project) -> None:
    choice = """
def pytest_cobbler_choose_agent(task):
    return "codex" if task.title == "a" else None
"""
    result = run(project, choice)
    assert came_to(result) == {"stitch::a": "failed", "stitch::b": "landed"}
    result.stdout.fnmatch_lines(["*hook pytest_cobbler_choose_agent gave 'codex', not a choice among those*"])
    assert statuses(project) == {"a": "open", "b": "closed"}


def test_a_task_whose_label_names_another_agent_waits(project: Project) -> None:
    seed(project, task("a", labels=["agent:codex"]), task("b", labels=["agent:command"]))
    result = run(project, "")
    assert came_to(result) == {"stitch::b": "landed"}
    result.stdout.fnmatch_lines(["waiting: a: label: codex is not in the key agent of configuration.yaml"])


def test_the_prompt_of_a_hook_is_used_as_it_is(project: Project) -> None:
    hook = "def pytest_cobbler_prompt(task, prompt): return f'{{.Title}} {len(prompt) > 100} {task.id}'\n"
    run(project, hook).assert_outcomes(passed=2)
    [kept] = (project.path / ".cobbler").glob("*/attempts/a/1/prompt.md")
    assert kept.read_text() == "{.Title} True a"


@pytest.mark.usefixtures("cobbler_agent")
@pytest.mark.parametrize("hook", ["pytest_cobbler_prompt", "pytest_cobbler_agent_command"])
def test_a_hook_that_raises_for_a_task_fails_that_task_alone(project: Project, hook: str) -> None:
    result = run(project, raising(hook, "task", "task.id == 'a'"))
    assert came_to(result) == {"stitch::a": "failed", "stitch::b": "landed"}
    case = result.junit[stitch("a")]
    assert case.properties["cobbler_cause"] == "hook"
    assert case.message.startswith(f"hook {hook}: RuntimeError: not today")
    assert nothing_of_ours(result)
    assert statuses(project) == {"a": "open", "b": "closed"}
    assert worktrees(project) == []
    result = run(project, "")
    assert came_to(result) == {"stitch::a": "landed"}


def test_a_hook_that_raises_for_a_measure_fails_it(project: Project) -> None:
    project.configure(cycles=1)
    result = run(project, raising("pytest_cobbler_agent_command", "phase", "phase == 'measure'"))
    assert came_to(result) == {"stitch::a": "landed", "stitch::b": "landed", "measure::cycle-1": "failed"}
    assert result.junit[measure()].properties["cobbler_cause"] == "hook"
    assert worktrees(project) == []


def test_a_hook_that_fails_the_second_attempt_keeps_the_work_of_the_first(project: Project) -> None:
    project.configure(test_command="! [ -e a.txt ]", max_attempts=2)
    seed(project, task("a"))
    result = run(project, raising("pytest_cobbler_prompt", "attempt", "attempt == 2"))
    case = result.junit[stitch("a")]
    assert case.properties["cobbler_attempts"] == "1"
    generation = project.generation
    kept = project.git("for-each-ref", "--format=%(refname)", "refs/cobbler/attempts").split()
    assert kept == [f"refs/cobbler/attempts/{generation}/a/1"]
    project.configure(test_command="true")
    run(project, "").assert_outcomes(passed=1)
    assert project.files()["a.txt"] == "1\n"


# -- before and after


def test_an_item_that_a_hook_stops_starts_no_agent(project: Project) -> None:
    project.configure(jobs=1)
    seed(project, task("a"), task("b", "a"), task("c"))
    result = run(project, raising("pytest_cobbler_begin", "item", "item.task_id == 'a'"))
    assert came_to(result) == {"stitch::a": "failed", "stitch::b": "blocked", "stitch::c": "landed"}
    assert result.junit[stitch("a")].message.startswith("hook pytest_cobbler_begin: RuntimeError: not today")
    assert result.junit[stitch("a")].properties["cobbler_attempts"] == "0"
    assert statuses(project) == {"a": "open", "b": "open", "c": "closed"}


def test_every_item_begins_once_and_is_reported_after_its_outcome(project: Project) -> None:
    project.configure(jobs=1)
    hooks = """
import threading

def told(what, item):
    assert threading.current_thread() is threading.main_thread()
    with open("hooks.txt", "a") as file:
        print(what, item.name, file=file)

def pytest_cobbler_begin(item): told("begin", item)
def pytest_cobbler_outcome(item, outcome): told(outcome.verdict, item)
def pytest_runtest_logfinish(nodeid): open("hooks.txt", "a").write("reported\\n")
def pytest_cobbler_reported(item, outcome): told("after", item)
"""
    run(project, hooks).assert_outcomes(passed=2)
    lines = (project.path / "hooks.txt").read_text().splitlines()
    assert [line for line in lines if "begin" not in line] == [
        line.format(name) for name in ("a", "b") for line in ("landed {}", "reported", "after {}")
    ]
    assert lines.count("begin a") == lines.count("begin b") == 1
    assert lines.index("begin b") < lines.index("landed b")


def test_a_hook_that_fails_an_outcome_leaves_the_task_landed(project: Project) -> None:
    result = run(project, raising("pytest_cobbler_outcome", "item", "item.task_id == 'a'"))
    result.assert_outcomes(passed=1, failed=1)
    message = result.junit[stitch("a")].message
    assert message.startswith("LANDED in ")
    assert "hook pytest_cobbler_outcome: RuntimeError" in message
    assert nothing_of_ours(result)
    assert sorted(ids_landed(project)) == ["a", "b"]
    assert statuses(project) == {"a": "closed", "b": "closed"}


def test_a_hook_that_raises_after_the_report_appears_in_the_summary(project: Project) -> None:
    result = run(project, raising("pytest_cobbler_reported", "item", "item.task_id == 'a'"))
    result.assert_outcomes(passed=2)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["HOOK: hook pytest_cobbler_reported: RuntimeError: not today"])


@pytest.mark.parametrize(
    ("hook", "arguments"),
    [("begin", "item"), ("outcome", "item, outcome"), ("prompt", "phase"), ("agent_command", "phase")],
)
def test_a_hook_may_end_the_session(project: Project, hook: str, arguments: str) -> None:
    project.configure(jobs=1)
    result = run(project, f"import pytest\n\ndef pytest_cobbler_{hook}({arguments}): pytest.exit('enough')\n")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    done = "landed" if hook == "outcome" else "cancelled"
    assert came_to(result) == {"stitch::a": done, "stitch::b": "cancelled"}
    result.stdout.fnmatch_lines(["*enough*"])
    assert statuses(project) == {"a": "closed" if hook == "outcome" else "open", "b": "open"}


@pytest.mark.parametrize("hook", ["begin", "outcome", "reported", "prompt"])
def test_sys_exit_in_a_hook_fails_only_that_item(project: Project, hook: str) -> None:
    seed(project, task("a"))
    arguments = {"begin": "item", "prompt": "prompt"}.get(hook, "item, outcome")
    result = run(project, f"import sys\n\ndef pytest_cobbler_{hook}({arguments}): sys.exit(3)\n")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    output = "\n".join([*result.outlines, result.junit[stitch("a")].message])
    assert f"hook pytest_cobbler_{hook}: sys.exit(3) was called; pytest.exit('why') ends a session" in output
    assert "INTERNALERROR" not in output


def worktrees(project: Project) -> list[Path]:
    """The agents' directories that are left over."""
    assert project.generation is not None
    return list((project.directory / "work").glob(f"*/{project.generation}/*"))
