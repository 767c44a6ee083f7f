"""A run that is asked to stop: agents end, what they made is kept, everything is reported and released."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from pytest_cobbler.testing.invariants import CheckoutState, check
from pytest_cobbler.testing.project import Project, Running, RunResult
from tests.support.faults import git_that_sends
from tests.support.sessions import by_title

pytestmark = pytest.mark.matrix
INTERRUPTED = pytest.ExitCode.INTERRUPTED


def start_busy(project: Project) -> Running:
    """A run of two jobs in which a task has landed, two agents are at work, and three tasks wait."""
    agent = project.agent
    agent.measure().writes_tasks(
        [
            {"title": "Works on"},
            {"title": "Lands"},
            {"title": "Works too", "dependency": 1},
            {"title": "Waits for its need", "dependency": 0},
            {"title": "Waits for that", "dependency": 2},
            {"title": "Waits for a slot", "dependency": 1},
        ]
    )
    begun = {title: project.directory / title for title in ("Works on", "Works too")}
    agent.task("Lands").writes("landed.txt", "1\n")
    for title, path in begun.items():
        agent.task(title).writes(f"{title} 1.txt", "1\n").runs(f"touch '{path}'").sleeps(300)
        agent.task(title, attempt=2).writes(f"{title} 2.txt", "2\n")
    for title in ("Waits for its need", "Waits for that", "Waits for a slot"):
        agent.task(title).writes(f"{title}.txt", "1\n")
    running = project.start("--cobbler-generate")
    running.wait_until(lambda: all(path.exists() for path in begun.values()))
    return running


BUSY = {
    "cycle-1": ("passed", "proposed"),
    "Lands": ("passed", "landed"),
    "Works on": ("skipped", "cancelled"),
    "Works too": ("skipped", "cancelled"),
    "Waits for its need": ("skipped", "cancelled"),
    "Waits for that": ("skipped", "cancelled"),
    "Waits for a slot": ("skipped", "cancelled"),
}
"""What is reported of each when the run is asked to stop."""


def reported(result: RunResult) -> dict[str, tuple[str, str]]:
    """Title (of a measure: its name) -> outcome of the case, and cobbler's own."""
    return {
        case.properties.get("cobbler_title", name.rpartition("::")[2]): (
            case.outcome,
            case.properties["cobbler_outcome"],
        )
        for name, case in result.junit.items()
    }


def kept(project: Project) -> dict[str, str]:
    """Title -> cause of every kept attempt."""
    form = "--format=%(contents:subject)"
    lines = project.git("for-each-ref", form, "refs/cobbler/attempts").splitlines()
    return {line.partition(": ")[2]: line.partition(": ")[0].partition(", ")[2] for line in lines}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_run_in_order_and_keeps_its_work(
    cobbler_project: Project, number: signal.Signals
) -> None:
    before = CheckoutState.of(cobbler_project)
    running = start_busy(cobbler_project)
    running.send_signal(number)
    result = running.wait(60)

    assert result.ret == INTERRUPTED
    assert reported(result) == BUSY
    assert kept(cobbler_project) == {"Works on": "cancelled", "Works too": "cancelled"}
    assert check(cobbler_project, result, before=before) == []
    result.stdout.fnmatch_lines([f"*{number.name}*"])

    again = cobbler_project.run("--cobbler-generate")
    assert again.ret == 0
    assert check(cobbler_project, again, before=before) == []
    again.stdout.no_fnmatch_line("recovered: *")
    landed = set(cobbler_project.files())
    for title in ("Works on", "Works too"):
        assert {f"{title} 1.txt", f"{title} 2.txt"} <= landed


def test_an_agent_that_ignores_signals_is_killed(cobbler_project: Project) -> None:
    begun = cobbler_project.directory / "begun"
    cobbler_project.agent.measure().writes_tasks([{"title": "Stays"}])
    cobbler_project.agent.task("Stays").writes("it.txt", "1\n").runs(stubborn(begun))
    running = cobbler_project.start("--cobbler-generate")
    running.wait_until(begun.exists)
    running.send_signal(signal.SIGTERM)
    result = running.wait(60)
    assert result.ret == INTERRUPTED
    assert reported(result)["Stays"] == ("skipped", "cancelled")
    assert check(cobbler_project, result) == []
    assert kept(cobbler_project) == {"Stays": "cancelled"}


def stubborn(begun: Path) -> str:
    """A command that nothing but SIGKILL ends."""
    return f"trap '' TERM INT HUP; touch {begun}; while :; do sleep 1; done"


def test_a_second_interrupt_leaves_no_agent_and_loses_no_work_and_no_report(cobbler_project: Project) -> None:
    before = CheckoutState.of(cobbler_project)
    begun = cobbler_project.directory / "begun"
    agent = cobbler_project.agent
    agent.measure().writes_tasks([{"title": "Stays"}, {"title": "Waits", "dependency": 0}])
    agent.task("Stays").writes("it 1.txt", "1\n").runs(stubborn(begun))
    agent.task("Stays", attempt=2).writes("it 2.txt", "2\n")
    agent.task("Waits").writes("waits.txt", "1\n")
    running = cobbler_project.start("--cobbler-generate")
    running.wait_until(begun.exists)
    running.send_signal(signal.SIGINT)
    running.wait_until(lambda: has_been_asked_to_end(begun))
    running.send_signal(signal.SIGINT)
    result = running.wait(60)
    assert result.ret == INTERRUPTED
    outcomes = {title: case.properties["cobbler_outcome"] for title, case in by_title(result).items()}
    assert outcomes == {"Stays": "cancelled", "Waits": "cancelled"}
    assert not [fault for fault in check(cobbler_project) if "process" in fault]

    again = cobbler_project.run("--cobbler-generate")
    assert again.ret == 0
    assert check(cobbler_project, again, before=before) == []
    assert {"it 1.txt", "it 2.txt", "waits.txt"} <= set(cobbler_project.files())


def has_been_asked_to_end(begun: Path) -> bool:
    """Whether the stubborn command's shell has seen SIGTERM; it says nothing, so look a little later."""
    return time.time() > begun.stat().st_mtime + 1


def test_a_signal_while_the_gate_runs_ends_the_run_in_order(cobbler_project: Project) -> None:
    begun = cobbler_project.directory / "begun"
    cobbler_project.configure(
        test_command=f"[ ! -e it.txt ] || [ -e {begun} ] || {{ touch {begun}; sleep 300; }}"
    )
    cobbler_project.agent.measure().writes_tasks([{"title": "Add it"}])
    cobbler_project.agent.task("Add it").writes("it.txt", "1\n")
    cobbler_project.agent.task("Add it", attempt=2)
    running = cobbler_project.start("--cobbler-generate")
    running.wait_until(begun.exists)
    running.send_signal(signal.SIGINT)
    result = running.wait(60)
    assert result.ret == INTERRUPTED
    assert reported(result)["Add it"] == ("skipped", "cancelled")
    assert check(cobbler_project, result) == []
    assert kept(cobbler_project) == {"Add it": "cancelled"}
    # The work is done: the next attempt has nothing to add to it.
    assert cobbler_project.run("--cobbler-generate").ret == 0
    assert cobbler_project.files()["it.txt"] == "1\n"


def test_a_signal_during_a_measure_ends_the_run_in_order(cobbler_project: Project) -> None:
    begun = cobbler_project.directory / "begun"
    cobbler_project.agent.measure().runs(f"touch {begun}").sleeps(300)
    running = cobbler_project.start("--cobbler-generate", "--cobbler-cycles", "2")
    running.wait_until(begun.exists)
    running.send_signal(signal.SIGINT)
    result = running.wait(60)
    assert result.ret == INTERRUPTED
    assert reported(result) == {"cycle-1": ("skipped", "cancelled"), "cycle-2": ("skipped", "cancelled")}
    assert check(cobbler_project, result) == []
    assert cobbler_project.tasks() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("call", [1, 3, 5])
def test_a_signal_before_the_first_item_ends_the_run_in_order(
    cobbler_project: Project, number: signal.Signals, call: int
) -> None:
    before = CheckoutState.of(cobbler_project)
    cobbler_project.agent.measure().writes_tasks([{"title": "Add it"}])
    cobbler_project.agent.task("Add it").writes("it.txt", "1\n")
    result = cobbler_project.run(
        "--cobbler-generate", env=git_that_sends(number, cobbler_project.directory / "bin", call)
    )
    assert result.ret in (INTERRUPTED, -number)
    again = cobbler_project.run("--cobbler-generate")
    again.assert_outcomes(passed=2)
    assert check(cobbler_project, again, before=before) == []
