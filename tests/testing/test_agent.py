"""The stand-in agent, run by the shell of the host."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_cobbler.cycle.prompts import MeasureFacts, measure_prompt
from pytest_cobbler.errors import CobblerError
from pytest_cobbler.process import Completion, host_environment, run
from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project
from pytest_cobbler.tracker.base import Task


@pytest.fixture
def agent(tmp_path: Path) -> StandInAgent:
    return StandInAgent(tmp_path / "an agent's directory")


@pytest.fixture
def worktree(tmp_path: Path) -> Path:
    path = tmp_path / "worktree"
    path.mkdir()
    return path


def stitch(agent: StandInAgent, worktree: Path, title: str, attempt: int = 1, prompt: str = "") -> Completion:
    env = host_environment(COBBLER_PHASE="stitch", COBBLER_TASK_TITLE=title, COBBLER_ATTEMPT=str(attempt))
    return run(agent.command, env=env, cwd=worktree, stdin=prompt.encode(), timeout=30)


def measure(agent: StandInAgent, worktree: Path, cycle: int = 1, attempt: int = 1, prompt: str = "") -> str:
    output = worktree / "proposals.json"
    env = host_environment(
        COBBLER_PHASE="measure",
        COBBLER_TASK_ID=f"cycle-{cycle}",
        COBBLER_TASK_TITLE=f"cycle-{cycle}",
        COBBLER_ATTEMPT=str(attempt),
        COBBLER_OUTPUT=str(output),
    )
    completion = run(agent.command, env=env, cwd=worktree, stdin=prompt.encode(), timeout=30)
    assert completion.ok, completion.errors
    return output.read_text()


def test_steps_are_taken_in_order(agent: StandInAgent, worktree: Path) -> None:
    agent.task("Add").writes("src/deep/a.txt", "one\n").appends("src/deep/a.txt", "two\n").writes(
        "b", b"\0\xff"
    )
    assert stitch(agent, worktree, "Add").ok
    assert (worktree / "src/deep/a.txt").read_text() == "one\ntwo\n"
    assert (worktree / "b").read_bytes() == b"\0\xff"


@pytest.mark.parametrize(
    "title",
    [
        "plain",
        "it's",
        'say "hi"',
        "$(touch pwned) `id` \\",
        "two\nlines",
        "glob * [a-z] ?",
        "Größe 漢字 🧵",
        "-n",
        ";;",
    ],
)
def test_any_title_is_taken_literally(agent: StandInAgent, worktree: Path, title: str) -> None:
    agent.task("other").fails()
    agent.task(title).writes("seen", title)
    assert stitch(agent, worktree, title).ok
    assert (worktree / "seen").read_text() == title
    assert not (worktree / "pwned").exists()


@pytest.mark.parametrize("name", ["-r", "a b", "it's", "ü/漢", "a\nb", "$HOME"])
def test_any_path_is_taken_literally(agent: StandInAgent, worktree: Path, name: str) -> None:
    agent.task("t").writes(name, "x").edits(name, "x", "y").appends(name, "z")
    assert stitch(agent, worktree, "t").ok
    assert (worktree / name).read_text() == "yz"


@pytest.mark.parametrize(
    ("text", "old", "new", "result"),
    [
        ("a*b*c\n\n", "*", "?", "a?b*c\n\n"),
        ("it's\n", "it's", '"$x"', '"$x"\n'),
        ("one\ntwo\nthree", "one\ntwo", "", "\nthree"),
        ("[a-z]\\n %s", "[a-z]\\n", "%d", "%d %s"),
    ],
)
def test_edits_replaces_the_first_occurrence(
    agent: StandInAgent, worktree: Path, text: str, old: str, new: str, result: str
) -> None:
    (worktree / "f").write_text(text)
    agent.task("t").edits("f", old, new)
    assert stitch(agent, worktree, "t").ok
    assert (worktree / "f").read_text() == result


def test_edits_fails_if_the_text_is_not_found(agent: StandInAgent, worktree: Path) -> None:
    (worktree / "f").write_text("text")
    agent.task("t").edits("f", "absent", "x").writes("after", "")
    completion = stitch(agent, worktree, "t")
    assert completion.status == 1
    assert "does not contain" in completion.errors
    assert (worktree / "f").read_text() == "text"
    assert not (worktree / "after").exists()


def test_a_failing_step_ends_the_agent_with_its_status(agent: StandInAgent, worktree: Path) -> None:
    agent.task("t").runs("exit 7").writes("after", "")
    agent.task("u").writes("before", "").fails(3).writes("after", "")
    assert stitch(agent, worktree, "t").status == 7
    assert stitch(agent, worktree, "u").status == 3
    assert (worktree / "before").exists()
    assert not (worktree / "after").exists()


def test_a_file_that_cannot_be_written_ends_the_agent(agent: StandInAgent, worktree: Path) -> None:
    (worktree / "file").touch()
    agent.task("t").writes("file/below", "").writes("after", "")
    assert stitch(agent, worktree, "t").status != 0
    assert not (worktree / "after").exists()


def test_the_agent_deletes_files_and_prints_text(agent: StandInAgent, worktree: Path) -> None:
    (worktree / "d").mkdir()
    agent.task("t").deletes("d").prints("it's %s \\n").sleeps(0.01)
    assert stitch(agent, worktree, "t").text == "it's %s \\n\n"
    assert not (worktree / "d").exists()


def test_a_command_reads_the_prompt(agent: StandInAgent, worktree: Path) -> None:
    agent.task("t").runs("true").runs("cat > prompt")
    assert stitch(agent, worktree, "t", prompt="Do 'it' %s \\n.\n").ok
    assert (worktree / "prompt").read_text() == "Do 'it' %s \\n.\n"


def test_a_later_attempt_uses_the_last_steps_defined_before_it(agent: StandInAgent, worktree: Path) -> None:
    agent.task("t").writes("n", "first")
    agent.task("t", attempt=3).writes("n", "third")
    seen = []
    for attempt in (1, 2, 3, 4, 10):
        assert stitch(agent, worktree, "t", attempt).ok
        seen.append((worktree / "n").read_text())
    assert seen == ["first", "first", "third", "third", "third"]


def test_attempts_before_the_first_defined_one_use_the_default_steps(
    agent: StandInAgent, worktree: Path
) -> None:
    agent.task("t", attempt=2).writes("n", "second")
    agent.otherwise().writes("other", "")
    assert stitch(agent, worktree, "t", 1).ok
    assert [path.name for path in worktree.iterdir()] == ["other"]


def test_an_unknown_task_changes_nothing(agent: StandInAgent, worktree: Path) -> None:
    assert stitch(agent, worktree, "unknown").ok
    assert list(worktree.iterdir()) == []


def test_steps_for_the_same_task_add_up(agent: StandInAgent, worktree: Path) -> None:
    agent.task("t").writes("a", "")
    agent.task("t").writes("b", "")
    assert stitch(agent, worktree, "t").ok
    assert sorted(path.name for path in worktree.iterdir()) == ["a", "b"]


def test_the_agent_commits_without_an_identity_in_git(agent: StandInAgent, worktree: Path) -> None:
    git = ["git", "-C", str(worktree)]
    subprocess.run([*git, "init", "-q"], check=True)
    agent.task("t").writes("a", "").commits("it's done")
    assert stitch(agent, worktree, "t").ok
    log = subprocess.run(
        [*git, "log", "--format=%s", "--name-only"], check=True, capture_output=True, text=True
    )
    assert log.stdout == "it's done\n\na\n"


def test_measures_answer_in_the_order_of_their_cycles(agent: StandInAgent, worktree: Path) -> None:
    agent.measure().writes_tasks([{"title": "One"}, {"title": "Zwei ü", "dependency": 0, "description": "D"}])
    agent.measure().writes_tasks([{"index": 7, "title": "Three"}])
    agent.measure(cycle=1, attempt=2).writes_output("not JSON")
    assert json.loads(measure(agent, worktree)) == [
        {"index": 0, "title": "One", "description": "One"},
        {"index": 1, "title": "Zwei ü", "description": "D", "dependency": 0},
    ]
    assert measure(agent, worktree, 1, 2) == "not JSON"
    assert json.loads(measure(agent, worktree, 2)) == [{"index": 7, "title": "Three", "description": "Three"}]
    assert json.loads(measure(agent, worktree, 2, 2)) == []
    assert json.loads(measure(agent, worktree, 3)) == []


@pytest.mark.parametrize("template", [None, "{{.ExistingIssues}} {{.OutputPath}}"])
@pytest.mark.parametrize("title", ['Add it\'s "parser"', "Größe * [a]"])
def test_a_measure_does_not_propose_its_tasks_twice(
    agent: StandInAgent, worktree: Path, title: str, template: str | None
) -> None:
    agent.measure().writes_tasks([{"title": "Other"}, {"title": title}])
    agent.measure(cycle=2).writes_output(json.dumps([{"title": title}]))
    facts = MeasureFacts(
        limit=1,
        output_path="out",
        lines_min=1,
        lines_max=2,
        finished_tasks=[Task(id="x-1", title=f"{title} more")],
    )
    assert len(json.loads(measure(agent, worktree, prompt=measure_prompt(template, facts)))) == 2
    facts = replace(facts, open_tasks=[Task(id="x-2", title=title)])
    prompt = measure_prompt(template, facts)
    assert json.loads(measure(agent, worktree, prompt=prompt)) == []
    assert len(json.loads(measure(agent, worktree, 2, prompt=prompt))) == 1


def test_usage_is_reported_as_a_stream_json_result(agent: StandInAgent, worktree: Path) -> None:
    agent.reports(cost_usd=0.5)
    agent.task("t").reports(cost_usd=0.25, tokens_output=12, model="m")
    lines = [json.loads(line) for line in stitch(agent, worktree, "t").text.splitlines()]
    assert [line["total_cost_usd"] for line in lines] == [0.5, 0.25]
    assert lines[1]["usage"]["output_tokens"] == lines[1]["modelUsage"]["m"]["outputTokens"] == 12
    assert json.loads(stitch(agent, worktree, "other").text)["total_cost_usd"] == 0.5


def test_a_container_can_read_the_script(agent: StandInAgent) -> None:
    agent.task("t").writes("a", "x")
    directory = Path(agent.command[1]).parent
    assert agent.podman_arguments == ["-v", f"{directory}:{directory}:ro"]
    assert directory.stat().st_mode & 0o005 == 0o005
    assert all(path.stat().st_mode & 0o004 for path in directory.iterdir())


# -- recordings


@pytest.fixture
def recording(cobbler_agent: StandInAgent, cobbler_project: Project) -> Path:
    """Of a task that fails the gate at first, and of one whose agent fails."""
    cobbler_agent.measure().writes_tasks([{"title": "Repair it"}, {"title": "Give up"}])
    cobbler_agent.task("Repair it").writes("repaired", "bad\n")
    cobbler_agent.task("Repair it", attempt=2).writes("repaired", b"good\0\n").reports(cost_usd=0.25)
    cobbler_agent.task("Give up").prints("I try.").runs("echo too hard >&2").fails(3)
    cobbler_project.configure(test_command="! grep -q bad repaired 2>/dev/null")
    cobbler_project.run("--cobbler-generate", "--cobbler-record=../recording")
    forget(cobbler_project)
    return cobbler_project.directory / "recording"


def forget(project: Project) -> None:
    project.git("update-ref", "-d", f"refs/heads/{project.generation}")
    for name in (".beads", ".cobbler"):
        shutil.rmtree(project.path / name)
    refs = project.git("for-each-ref", "--format=delete %(refname)", "refs/cobbler/")
    for line in refs.splitlines():
        project.git("update-ref", "-d", line.removeprefix("delete "))


def test_the_agent_replays_a_recording(recording: Path, cobbler_project: Project, tmp_path: Path) -> None:
    cobbler_project.configure(agent_command=StandInAgent(tmp_path).replays(recording).command)

    result = cobbler_project.run("--cobbler-generate")

    result.assert_outcomes(passed=2, failed=1)
    cases = {case.properties.get("cobbler_title"): case for case in result.junit.values()}
    assert cases["Repair it"].properties["cobbler_attempts"] == "2"
    assert float(cases["Repair it"].properties["cobbler_cost_usd"]) == 0.25
    assert cobbler_project.files()["repaired"] == "good\0\n"
    assert "agent: exited with 3: " in cases["Give up"].message
    assert "too hard" in cases["Give up"].message


def test_an_attempt_that_was_not_recorded_fails_and_names_the_file(
    recording: Path, cobbler_project: Project, tmp_path: Path
) -> None:
    shutil.rmtree(recording / "stitch" / "repair-it" / "2")
    cobbler_project.configure(agent_command=StandInAgent(tmp_path).replays(recording).command)

    result = cobbler_project.run("--cobbler-generate")

    assert f"there is no {recording}/stitch/repair-it/2/result.json" in "\n".join(result.outlines)


def test_a_directory_without_a_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CobblerError, match="there is no recording"):
        StandInAgent(tmp_path / "agent").replays(tmp_path)
