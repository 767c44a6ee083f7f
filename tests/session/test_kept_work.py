"""Work whose agent had ended well goes to its gate before any agent is asked again."""

from __future__ import annotations

import hashlib
import json
import signal
import uuid
from pathlib import Path

import pytest

from pytest_cobbler.testing.project import Project, RunResult
from tests.support.images import minimal_image, podman
from tests.support.sessions import ids_landed, seed, statuses, stitch, task, words

__all__ = ["minimal_image"]

WORK = 'echo 1 >"$COBBLER_TASK_ID.txt"'


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    """Agents note each of their runs and write a file; the gate of a task waits until ``door`` is there."""
    agent = cobbler_project.agent
    agent.reports(cost_usd=0.25, model="scripted")
    agent.otherwise().runs(f'echo "$COBBLER_TASK_ID $COBBLER_ATTEMPT" >>{asked_at(cobbler_project)}; {WORK}')
    door, begun = door_of(cobbler_project), cobbler_project.directory / "begun"
    cobbler_project.configure(
        cycles=0,
        jobs=1,
        max_attempts=1,
        test_command=f"[ ! -e t-1.txt ] || [ -e {door} ] || {{ touch {begun}; sleep 61; }}",
    )
    return cobbler_project


def asked_at(project: Project) -> Path:
    return project.directory / "asked"


def door_of(project: Project) -> Path:
    return project.directory / "door"


def asked(project: Project) -> list[str]:
    """Task and attempt of each run of an agent."""
    return asked_at(project).read_text().splitlines() if asked_at(project).exists() else []


def attempts(project: Project) -> list[str]:
    refs = project.git("for-each-ref", "--format=%(refname)", "refs/cobbler/attempts").split()
    return [ref.split("/", 4)[4] for ref in refs]


def generate(project: Project, *options: str) -> RunResult:
    return project.run("--cobbler-generate", "-v", *options)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_what_an_interrupt_or_a_crash_left_at_the_gate_lands_without_an_agent(
    project: Project, end: signal.Signals
) -> None:
    seed(project, task("t-1", estimated_minutes=20), task("t-2", estimated_minutes=30))
    running = project.start("--cobbler-generate", "configuration.yaml::stitch::t-1", "-v")
    running.wait_until((project.directory / "begun").exists)
    if end is signal.SIGKILL:
        running.kill()
    else:
        running.send_signal(end)
        stopped = running.wait()
        assert stopped.ret == pytest.ExitCode.INTERRUPTED
        line = "Finished work that waits for its gate: t-1. No agent has to do it again."
        stopped.stdout.fnmatch_lines(["*- next -*", line, "To try again what did not land: *"])
    assert asked(project) == ["t-1 1"]
    door_of(project).touch()
    project.agent.task("t-2").runs(f"test -e t-1.txt; echo t-2 >>{asked_at(project)}; {WORK}")
    result = generate(project)
    assert words(result) == {"stitch::t-1": "LANDED", "stitch::t-2": "LANDED"}
    assert asked(project) == ["t-1 1", "t-2"], "one after what t-1 left had landed"
    journal = (project.path / ".cobbler" / str(project.generation) / "journal.jsonl").read_text().splitlines()
    plan = [event for event in map(json.loads, journal) if event["event"] == "plan"][-1]
    efforts = {item["key"]: item.get("effort") for item in plan["items"]}
    assert efforts == {stitch("t-1").partition("::")[2]: None, stitch("t-2").partition("::")[2]: 1800}
    case = result.junit[stitch("t-1")]
    cost = 1 if end is signal.SIGKILL else 0  # a killed run wrote no record of it
    assert int(case.properties["cobbler_attempts"]) == cost
    first = project.landed()[0]
    assert (first.task, first.trailers["Cobbler-Attempt"]) == ("t-1", "1")
    assert first.trailers["Cobbler-Cost-USD"] == "0.250000"
    stats = project.run("--cobbler-stats", "--cobbler-format=json")
    [counted] = json.loads(stats.stdout.str())["generations"]
    assert (counted["landed"]["cost_usd"], counted["wasted"]["cost_usd"]) == (0.5, 0.0)
    assert first.trailers["Assisted-by"].endswith(":scripted")
    statement = json.loads(project.git("notes", "--ref=cobbler", "show", first.commit))
    needs = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    [prompt] = [need["digest"]["sha256"] for need in needs if need["name"] == "prompt"]
    [written] = project.path.glob(".cobbler/*/attempts/t-1/1/prompt.md")
    assert prompt == hashlib.sha256(written.read_bytes()).hexdigest()
    assert attempts(project) == []
    assert project.git("for-each-ref", "refs/heads/task").split() == []


def test_work_that_a_red_gate_kept_lands_when_the_gate_has_changed(project: Project) -> None:
    project.configure(test_command="! [ -e t-1.txt ]")
    seed(project, task("t-1"))
    assert words(generate(project)) == {"stitch::t-1": "FAILED"}
    assert words(generate(project)) == {"stitch::t-1": "FAILED"}
    assert asked(project) == ["t-1 1", "t-1 2"], "nothing had changed: the agent was asked"
    project.configure(test_command="! [ -e t-9.txt ]")
    result = generate(project)
    assert words(result) == {"stitch::t-1": "LANDED"}
    assert asked(project) == ["t-1 1", "t-1 2"]
    assert result.junit[stitch("t-1")].properties["cobbler_attempts"] == "0"
    assert project.landed()[0].trailers["Cobbler-Attempt"] == "2"


def test_work_that_a_red_gate_kept_lands_when_the_image_has_changed(
    project: Project, minimal_image: str
) -> None:
    """The tag stays the same: a person has added a tool that the gate needs."""
    name = f"cobbler-gate-{uuid.uuid4().hex[:12]}"
    image = f"localhost/{name}"
    project.configure(
        sandbox="podman",
        podman_image=minimal_image,
        podman_args=project.agent.podman_arguments,
        gate_image=image,
        test_command="[ ! -e t-1.txt ] || [ -e /tool ]",
    )
    project.agent.otherwise().runs(WORK)
    seed(project, task("t-1"))
    podman("tag", minimal_image, image)
    try:
        failed = generate(project)
        assert words(failed) == {"stitch::t-1": "FAILED"}
        assert failed.junit[stitch("t-1")].properties["cobbler_cause"] == "gate"
        podman("run", f"--name={name}", "--pull=never", "--network=none", minimal_image, "touch", "/tool")
        podman("commit", "--quiet", name, image)
        result = generate(project)
    finally:
        podman("rm", "--force", "--ignore", name)
        podman("rmi", image)
    assert words(result) == {"stitch::t-1": "LANDED"}
    assert result.junit[stitch("t-1")].properties["cobbler_attempts"] == "0"


def test_work_that_a_red_gate_kept_lands_when_the_tip_has_changed(project: Project) -> None:
    project.configure(test_command="! [ -e t-1.txt ] || [ -e t-2.txt ]")
    seed(project, task("t-1"), task("t-2"))
    assert words(generate(project, stitch("t-1"))) == {"stitch::t-1": "FAILED"}
    assert words(generate(project, stitch("t-2"))) == {"stitch::t-2": "LANDED"}
    assert words(generate(project)) == {"stitch::t-1": "LANDED"}
    assert asked(project) == ["t-1 1", "t-2 1"]


def test_work_whose_gate_is_red_again_goes_on_with_an_agent(project: Project) -> None:
    project.configure(test_command="! [ -e t-1.txt ]", max_attempts=2)
    project.agent.task("t-1", attempt=3).runs(f"rm t-1.txt; echo x >t-3.txt; echo 3 >>{asked_at(project)}")
    seed(project, task("t-1"))
    assert words(generate(project)) == {"stitch::t-1": "FAILED"}
    project.configure(test_command="! [ -e t-1.txt ] || exit 3")
    result = generate(project)
    assert words(result) == {"stitch::t-1": "LANDED"}
    assert asked(project) == ["t-1 1", "t-1 2", "3"]
    assert result.junit[stitch("t-1")].properties["cobbler_attempts"] == "1"
    [path] = project.path.glob(".cobbler/*/attempts/t-1/3/prompt.md")
    assert "gate: test failed (exit 3)" in path.read_text(), "what the second run of the gate said"


def test_work_that_may_no_longer_land_does_not(project: Project) -> None:
    project.configure(test_command="! [ -e t-1.txt ]")
    seed(project, task("t-1"))
    generate(project)
    project.configure(test_command="true", protected_paths=["t-1.txt"])
    project.agent.task("t-1").runs("rm -f t-1.txt; echo 1 >fine.txt")
    result = generate(project)
    assert words(result) == {"stitch::t-1": "LANDED"}
    assert "t-1.txt" not in project.files()


def test_refused_work_lands_without_an_agent_once_its_paths_are_allowed(project: Project) -> None:
    project.configure(test_command="true", protected_paths=["t-1.txt", "t-2.txt"])
    # t-2 has something else that nothing allows.
    project.agent.task("t-2").runs(f"echo t-2 >>{asked_at(project)}; {WORK}; ln -s /etc out")
    seed(project, task("t-1"), task("t-2"))
    result = generate(project)
    assert words(result) == {"stitch::t-1": "FAILED", "stitch::t-2": "FAILED"}
    result.stdout.fnmatch_lines(
        ["If tasks may change it: allow_paths in *, and pytest --cobbler-regate lands this work*"]
    )
    before = asked(project)
    project.run("--cobbler-regate", "-v").stdout.fnmatch_lines(
        ["refused: t-1.txt: a protected path (protected_paths)"]
    )
    project.configure(allow_paths=["*.txt"])
    result = generate(project, stitch("t-1"))
    assert words(result) == {"stitch::t-1": "LANDED"}
    assert asked(project) == before
    result = project.run("--cobbler-regate")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines([f"{project.generation}: no finished work to land; tip *"])


def test_regate_lands_what_is_kept_and_asks_no_agent(project: Project) -> None:
    outside = project.directory / "outside"
    project.configure(test_command=f"[ ! -e t-1.txt ] && [ ! -e t-2.txt ] || [ -e {outside} ]")
    project.agent.task("t-3").runs(f"{WORK}; exit 3")
    seed(project, *(task(f"t-{number}") for number in range(1, 5)), task("t-5", "t-4"))
    select = [stitch(f"t-{number}") for number in range(1, 4)]
    assert set(words(generate(project, *select)).values()) == {"FAILED"}
    before = asked(project)
    result = project.run("--cobbler-regate", "-v")
    assert words(result) == {"stitch::t-1": "FAILED", "stitch::t-2": "FAILED"}
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    outside.touch()
    result = project.run("--cobbler-regate", "--collect-only")
    result.stdout.fnmatch_lines(["*StitchItem t-1: t-1>", "*StitchItem t-2: t-2>"])
    result = project.run("--cobbler-regate", "-v")
    assert words(result) == {"stitch::t-1": "LANDED", "stitch::t-2": "LANDED"}
    result.stdout.fnmatch_lines(
        [
            "agent: none is asked; finished work that is kept goes to its gate",
            "waiting: t-4, t-3: no finished work is kept",
            "waiting: t-5: waits for t-4",
        ]
    )
    assert result.ret == 0
    assert "To do the open tasks: pytest --cobbler-resume" in result.outlines
    assert not [line for line in result.outlines if "--cobbler-stop" in line], "it would refuse"
    assert asked(project) == before
    assert attempts(project) == ["t-3/1"]
    assert set(ids_landed(project)) == {"t-1", "t-2"}
    assert statuses(project)["t-3"] == "open"
    report = json.loads((project.path / ".cobbler" / str(project.generation) / "report.json").read_bytes())
    assert [report[sort]["attempts"] for sort in ("landed", "wasted")] == [2, 1]
    assert project.run("--cobbler-regate").ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_regate_starts_no_generation_and_needs_no_key(project: Project) -> None:
    result = project.run("--cobbler-regate")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: no generation is active"])
    project.configure(test_command="! [ -e t-1.txt ]")
    seed(project, task("t-1"))
    generate(project)
    project.configure(agent="claude", agent_command=None, test_command="true")
    result = project.run("--cobbler-regate", "-v")
    assert words(result) == {"stitch::t-1": "LANDED"}
