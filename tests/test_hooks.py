"""The answers that hooks of a project may return, and the errors for all other answers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_cobbler.agents.base import Agent, AgentResult
from pytest_cobbler.causes import Ending
from pytest_cobbler.config import load
from pytest_cobbler.errors import HookProblem, OutsideProblem, SandboxError
from pytest_cobbler.hooks import project_hooks
from pytest_cobbler.languages.base import Step
from pytest_cobbler.sandbox.base import Completed
from pytest_cobbler.tracker.base import Claim, NewTask, Task, Tracker
from pytest_cobbler.tracker.embedded import EmbeddedTracker
from pytest_cobbler.wiring.hooks import NO_HOOKS, Hooks

Hooked = Callable[..., Hooks]

BUILD = Step(name="build", argv=("sh", "-c", "make"), shown="make the program")
TEST = Step(name="test", argv=("pytest", "-q"), shown="pytest -q")


@pytest.fixture
def hooked(pytester: pytest.Pytester, tmp_path: Path) -> Hooked:
    """The hooks of a run in which some plugins have implementations."""
    (tmp_path / "configuration.yaml").write_text("sandbox: none\nagent: command\nagent_command: [sh]\n")

    def make(*plugins: dict[str, Any]) -> Hooks:
        config = pytester.parseconfig()
        for implementations in plugins:
            functions = {f"pytest_cobbler_{name}": function for name, function in implementations.items()}
            config.pluginmanager.register(SimpleNamespace(**functions))
        return project_hooks(config, load(tmp_path / "configuration.yaml"))

    return make


def ask(hooks: Hooks, name: str) -> Any:
    """Call one of the hooks with something that it can work on."""
    asked: dict[str, Callable[[], Any]] = {
        "tracker": lambda: hooks.tracker(),
        "agent": lambda: hooks.agent(),
        "gate": lambda: hooks.gate((BUILD, TEST)),
        "take_task": lambda: hooks.takes(Task(id="a", title="A")),
        "choose_agent": lambda: hooks.chooses(Task(id="a", title="A")),
        "prompt": lambda: hooks.prompt("stitch", Task(id="a", title="A"), 1, "Do A."),
        "agent_command": lambda: hooks.command("measure", None, 1, ("sh", "-c", "true")),
    }
    return asked[name]()


EVERY = ("tracker", "agent", "gate", "take_task", "choose_agent", "prompt", "agent_command")


@pytest.mark.parametrize("name", EVERY)
def test_a_hook_without_an_answer_changes_nothing(hooked: Hooked, name: str) -> None:
    assert ask(hooked({name: lambda: None}), name) == ask(hooked(), name) == ask(NO_HOOKS, name)


@pytest.mark.parametrize("name", EVERY)
def test_an_error_in_a_hook_names_the_hook(hooked: Hooked, name: str) -> None:
    def not_today() -> None:
        raise RuntimeError("not today\nnor tomorrow")

    with pytest.raises(HookProblem) as caught:
        ask(hooked({name: not_today}), name)
    assert caught.value.cause == f"hook pytest_cobbler_{name}: RuntimeError: not today"
    assert caught.value.evidence.startswith("nor tomorrow\n")
    assert caught.value.evidence.count("File ") == 1
    assert f'File "{__file__}"' in caught.value.evidence


def test_an_error_that_cannot_be_shown_is_named_by_its_type(hooked: Hooked) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError("no")

    def mute() -> None:
        raise Mute

    with pytest.raises(HookProblem, match=r"^hook pytest_cobbler_gate: Mute\n"):
        ask(hooked({"gate": mute}), "gate")


def test_a_prompt_from_a_hook_can_be_written_to_a_file(hooked: Hooked) -> None:
    assert ask(hooked({"prompt": lambda: "Do A.\udcff"}), "prompt") == "Do A.?"


@pytest.mark.parametrize("way", [pytest.skip, pytest.fail])
def test_an_outcome_of_pytest_in_a_hook_is_an_error(hooked: Hooked, way: Callable[[str], None]) -> None:
    with pytest.raises(HookProblem, match=r"hook pytest_cobbler_gate: .*: not today"):
        ask(hooked({"gate": lambda: way("not today")}), "gate")


def test_a_hook_may_end_the_session(hooked: Hooked) -> None:
    with pytest.raises(pytest.exit.Exception):
        ask(hooked({"gate": lambda: pytest.exit("enough")}), "gate")


@pytest.mark.parametrize("name", EVERY)
def test_sys_exit_in_a_hook_is_an_error_that_names_its_file(hooked: Hooked, name: str) -> None:
    with pytest.raises(HookProblem, match=rf"^hook pytest_cobbler_{name}: sys\.exit\(3\)") as caught:
        ask(hooked({name: lambda: sys.exit(3)}), name)
    assert f"The hook is in {__file__}:" in caught.value.remedy


class Worker:
    """An agent that is as it should be."""

    description = "agent: a worker"
    secrets = ()
    proxied = False

    def preflight(self, sandbox: object) -> None: ...

    def run(self, _request: object, _sandbox: object, _cancellation: object) -> Any:
        return AgentResult(completed=Completed(status=0, cause=Ending.EXITED, seconds=0.0, stderr=""))


def worker(**changes: object) -> object:
    return type("Changed", (Worker,), changes)()


def raises(*_: object) -> None:
    raise ValueError("not today")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            Worker,
            r"gave <class '.*Worker'>, not Agent of pytest-cobbler, but a class: give an instance, Worker",
        ),
        (worker(run=None), r"not Agent of pytest-cobbler: run is not a method"),
        (worker(run=lambda _self, _request: None), r"run does not take \(request, sandbox, cancellation\)"),
        (worker(description=None), "description of Changed gave None, not a text"),
        (worker(secrets="key"), "secrets of Changed gave 'key', not a tuple of texts"),
        (worker(secrets=property(raises)), "secrets of Changed: ValueError: not today"),
    ],
)
def test_an_agent_without_the_protocol_is_refused_before_it_is_used(
    hooked: Hooked, given: object, message: str
) -> None:
    with pytest.raises(HookProblem, match=f"hook pytest_cobbler_agent:? .*{message}"):
        ask(hooked({"agent": lambda: given}), "agent")


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (lambda *_: None, "run of Changed gave None, not an AgentResult"),
        (lambda *_: "done", "run of Changed gave 'done', not an AgentResult"),
        (raises, "run of Changed: ValueError: not today"),
        (lambda *_: sys.exit(), "run of Changed: sys.exit"),
    ],
)
def test_an_agent_that_returns_no_result_is_named(
    hooked: Hooked, run: Callable[..., object], message: str
) -> None:
    agent = ask(hooked({"agent": lambda: worker(run=run)}), "agent")
    with pytest.raises(OutsideProblem, match=message):
        agent.run(None, None, None)


def test_a_sandbox_error_from_an_agent_is_passed_on(hooked: Hooked) -> None:
    def fails(*_: object) -> None:
        raise SandboxError("podman is gone")

    agent = ask(hooked({"agent": lambda: worker(run=fails)}), "agent")
    with pytest.raises(SandboxError, match=r"^podman is gone$"):
        agent.run(None, None, None)


@pytest.mark.parametrize(("name", "protocol"), [("agent", Agent), ("tracker", Tracker)])
def test_a_part_from_a_hook_has_the_protocol_and_nothing_else(
    hooked: Hooked, tmp_path: Path, name: str, protocol: type
) -> None:
    class Generous(EmbeddedTracker):
        budget = 1

    given = {"agent": worker(budget=1), "tracker": Generous(tmp_path, tmp_path)}[name]
    part = ask(hooked({name: lambda: given}), name)
    members = {word for word in vars(protocol) if not word.startswith("_")}
    assert {word for word in dir(part) if not word.startswith("_")} == members
    with pytest.raises(AttributeError, match="budget"):
        _ = part.budget


def test_a_tracker_from_a_hook_is_used_like_any_other(hooked: Hooked, tmp_path: Path) -> None:
    (tmp_path / ".beads").mkdir()
    tracker = ask(hooked({"tracker": lambda: EmbeddedTracker(tmp_path, tmp_path / ".beads")}), "tracker")
    tracker.prepare()
    ids = tracker.create([NewTask(key=key, title=key, description="Do it.") for key in "ab"])
    tracker.claim(ids["a"], Claim(host="h", repository="r", run="1", generation="g"))
    tracker.comment(ids["a"], "half done")
    tracker.release(ids["a"], "stopped")
    tracker.close(ids["b"], "done")
    tracker.reopen(ids["b"], "again")
    assert {task.id: task.status for task in tracker.tasks()} == {ids["a"]: "open", ids["b"]: "open"}
    assert tracker.comments()[ids["a"]] == ("half done", "stopped")


@pytest.mark.parametrize("tasks", [None, ["a"]])
def test_a_tracker_that_returns_no_tasks_is_named(hooked: Hooked, tmp_path: Path, tasks: object) -> None:
    class Empty(EmbeddedTracker):
        def tasks(self) -> Any:
            return tasks

    tracker = ask(hooked({"tracker": lambda: Empty(tmp_path, tmp_path)}), "tracker")
    with pytest.raises(
        OutsideProblem, match=r"hook pytest_cobbler_tracker: tasks of Empty gave .*, not a list"
    ):
        tracker.tasks()


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("tracker", "bd", r"gave 'bd', not Tracker .* has no .*tasks"),
        ("agent", print, r"gave <built-in .*>, not Agent .* has no .*run"),
        ("gate", ["make"], r"gave \['make'\], not names of steps and their commands"),
        ("gate", {"a b": "make"}, "gave 'a b', not a step's name"),
        ("gate", {"test": []}, r"gave \[\], not a command for test"),
        ("gate", {"test": " "}, "gave ' ', not a command for test"),
        ("gate", {"test": ["sh", 1]}, r"gave \['sh', 1\], not a command for test"),
        ("take_task", "no", "gave 'no', not True, False or None"),
        ("choose_agent", "codex", "gave 'codex', not a choice among .*: codex is not in the key agent"),
        ("choose_agent", ("command", "opus"), "gave .*: opus is not a model that configuration.yaml names"),
        ("choose_agent", ["command"], r"gave \['command'\], not the name of an agent, or a tuple"),
        ("choose_agent", ("command", None), "gave .*, not the name of an agent, or a tuple"),
        ("prompt", " ", "gave ' ', not a text"),
        ("prompt", b"x", "gave b'x', not a text"),
        ("agent_command", "claude -p", "gave 'claude -p', not a program"),
        ("agent_command", [], r"gave \[\], not a program"),
        ("agent_command", [""], r"gave \[''\], not a program"),
        ("agent_command", ["sh", "\0"], "gave .*, not a program"),
    ],
)
def test_a_wrong_answer_of_a_hook_is_refused(hooked: Hooked, name: str, given: object, message: str) -> None:
    with pytest.raises(HookProblem, match=f"^hook pytest_cobbler_{name} {message}"):
        ask(hooked({name: lambda: given}), name)


def test_a_hook_chooses_an_agent(hooked: Hooked) -> None:
    assert ask(hooked({"choose_agent": lambda: "command"}), "choose_agent") == ("command", "")
    assert ask(hooked({"choose_agent": lambda: ("", "")}), "choose_agent") == ("", "")


def test_a_step_that_a_hook_returns_unchanged_stays_the_same(hooked: Hooked) -> None:
    def gate(steps: dict[str, Any]) -> dict[str, Any]:
        return {"style": "ruff check", **steps, "test": ["pytest", "-x"]}

    assert ask(hooked({"gate": gate}), "gate") == (
        Step(name="style", argv=("sh", "-c", "ruff check"), shown="ruff check"),
        BUILD,
        Step(name="test", argv=("pytest", "-x"), shown="pytest -x"),
    )


def test_a_gate_from_a_hook_may_be_empty(hooked: Hooked) -> None:
    def no_steps() -> dict[str, str]:
        return {}

    assert ask(hooked({"gate": no_steps}), "gate") == ()


@pytest.mark.parametrize(
    ("answers", "taken"), [([True, False], False), ([None, True], True), ([False, None], False), ([], True)]
)
def test_a_single_false_leaves_a_task_out(hooked: Hooked, answers: list[bool | None], taken: bool) -> None:
    plugins = [{"take_task": lambda answer=answer: answer} for answer in answers]
    assert ask(hooked(*plugins), "take_task") is taken


def test_the_first_of_several_prompts_is_used(hooked: Hooked) -> None:
    plugins = [{"prompt": lambda: "second"}, {"prompt": lambda: "first"}, {"prompt": lambda: None}]
    assert ask(hooked(*plugins), "prompt") == "first"


def test_a_prompt_hook_gets_phase_task_and_attempt(hooked: Hooked) -> None:
    def prompt(settings: Any, phase: str, task: Task, attempt: int, prompt: str) -> str:
        return f"{settings.agent} {phase} {task.id} {attempt} {prompt}"

    assert ask(hooked({"prompt": prompt}), "prompt") == "command stitch a 1 Do A."


def test_hooks_are_asked_only_for_open_tasks(hooked: Hooked) -> None:
    asked = []

    def take(task: Task) -> bool:
        asked.append(task.id)
        return False

    hooks = hooked({"take_task": take})
    tasks = [
        Task(id="open", title="A"),
        Task(id="closed", title="B", status="closed"),
        Task(id="bug", title="C", type="bug"),
    ]
    assert hooks.left_out(tasks) == {"open"}
    assert asked == ["open"]
