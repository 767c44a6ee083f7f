"""``--cobbler-record`` and ``agent: replay``: a generation is recorded and played again."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.invariants import check
from pytest_cobbler.testing.project import Project, RunResult

pytestmark = pytest.mark.slow

A, B, C = "Add a", "Add b", "Repair c!"

GATE = "! grep -q bad c 2>/dev/null || { echo c is bad after 0.0$$s; exit 1; }"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project with a recording: A and B conflict, C needs A and fails the gate at first."""
    agent = StandInAgent(tmp_path_factory.mktemp("agent"))
    with Project.create(tmp_path_factory.mktemp("recorded"), agent) as project:
        agent.measure().writes_tasks([{"title": A}, {"title": B}, {"title": C, "dependency": 0}])
        together = project.directory / "together"
        together.mkdir()
        meet = 'touch "{0}/$COBBLER_TASK_ID"; until [ $(ls "{0}" | wc -l) -ge 2 ]; do sleep 0.02; done'
        for title, letter in ((A, "a"), (B, "b")):
            agent.task(title).runs(meet.format(together)).writes("x.txt", f"{letter}\n").commits("x")
            agent.task(title, attempt=2).writes("x.txt", "a\nb\n").reports(cost_usd=0.5, tokens_input=7)
        odd = "printf '\\0\\1' >binary; ln -s x.txt link; echo x >program; chmod +x program"
        agent.task(C).writes("c", "bad\n").runs(odd).deletes("README.md")
        agent.task(C, attempt=2).writes("c", "good\n").runs("mv binary moved; rm link")
        project.options = ["-p", "no:hypothesispytest"]
        project.configure(test_command=GATE)
        generate(project, "--cobbler-record", "recordings/one").assert_outcomes(passed=4)
        project.commit("Keep a recording")
        yield project


@pytest.fixture
def clone(recorded: Project, tmp_path: Path) -> Iterator[Project]:
    """A fresh clone that plays the recording."""
    project = Project(tmp_path, recorded.agent)
    subprocess.run(["git", "clone", "-q", recorded.path, project.path], check=True)
    project.git("remote", "remove", "origin")  # it has an active generation
    for name, value in (("user.name", "Test"), ("user.email", "test@example.invalid")):
        project.git("config", name, value)
    project.options = recorded.options
    project.configure(**{**recorded.configuration, "work_dir": str(tmp_path / "work")})
    play(project, "recordings/one")
    yield project
    for running in project._running:
        running.kill()


def play(project: Project, recording: str) -> None:
    project.configure(agent="replay", agent_command=None, recording=recording)


def work(project: Project) -> None:
    """Run with the stand-in agent."""
    project.configure(agent="command", agent_command=project.agent.command, recording=None)


def forget(project: Project) -> None:
    """Remove everything that a generation leaves."""
    project.git("update-ref", "-d", f"refs/heads/{project.generation}")
    for name in (".beads", ".cobbler"):
        shutil.rmtree(project.path / name)


def generate(project: Project, *options: str) -> RunResult:
    return project.run("--cobbler-generate", "-v", *options)


def tip(project: Project) -> dict[str, str]:
    """Path -> mode and object of the tip, without the recording and the configuration."""
    lines = project.git("ls-tree", "-r", "-z", project.generation or "").split("\0")[:-1]
    entries = {path: about for about, _, path in (line.partition("\t") for line in lines)}
    ours = ("recordings/", "configuration.yaml")
    return {path: about for path, about in entries.items() if not path.startswith(ours)}


def outcomes(result: RunResult) -> dict[str, tuple[str, ...]]:
    said = ("cobbler_outcome", "cobbler_attempts", "cobbler_cost_usd", "cobbler_tokens_input")
    cases = [case.properties for case in result.junit.values() if "cobbler_title" in case.properties]
    return {case["cobbler_title"]: tuple(case.get(name, "") for name in said) for case in cases}


def kept(project: Project) -> list[tuple[str, str]]:
    """Title and cause of each attempt that did not land, in order."""
    titles = {task.id: task.title for task in project.tasks()}
    journal = project.path / ".cobbler" / (project.generation or "") / "journal.jsonl"
    events = [json.loads(line) for line in journal.read_text().splitlines()]
    return [(titles[event["task"]], event["cause"]) for event in events if event["event"] == "keep"]


def recording(project: Project) -> Path:
    return project.path / "recordings" / "one"


# -- played again


@pytest.mark.matrix("costly")
def test_a_recording_is_played_to_the_same_commits(recorded: Project, clone: Project) -> None:
    before = RunResult(0, [], [], 0.0, recorded.directory / "run-1" / "junit.xml")

    result = generate(clone)

    result.assert_outcomes(passed=4)
    assert [commit.title for commit in clone.landed()] == [commit.title for commit in recorded.landed()]
    assert tip(clone) == tip(recorded)
    assert outcomes(result) == outcomes(before)
    assert kept(clone) == kept(recorded)
    assert {title for title, cause in kept(clone) if cause == "gate"} == {C}
    assert [cause for title, cause in kept(clone) if title in (A, B)] == ["conflict"]
    assert check(clone, result) == []
    assert {task.id for task in clone.tasks()}.isdisjoint(task.id for task in recorded.tasks())


@pytest.mark.matrix("costly")
def test_a_recording_is_played_with_any_number_of_agents(clone: Project) -> None:
    generate(clone, "--cobbler-jobs=1").assert_outcomes(passed=4)
    assert [cause for title, cause in kept(clone) if title in (A, B)] == ["conflict"]


def test_a_recorded_task_that_is_not_selected_holds_up_no_other(clone: Project) -> None:
    """The others waited for it until 20 seconds had passed without anything."""
    hook = (
        f"def pytest_collection_modifyitems(items):\n    items[:] = [i for i in items if i.title != {B!r}]\n"
    )
    clone.write({"conftest.py": hook})
    result = clone.run("--cobbler-generate", "-v")
    assert [commit.title for commit in clone.landed()] == [A, C], "\n".join(result.outlines)


def test_the_header_names_the_recording(clone: Project) -> None:
    result = clone.run("--cobbler-generate")
    result.stdout.fnmatch_lines(["agent: replay of recordings/one (its costs are shown*network none"])


@pytest.mark.matrix("costly")
def test_all_runs_of_a_generation_make_one_recording(clone: Project) -> None:
    work(clone)
    generate(clone, "--cobbler-record", "two").assert_outcomes(passed=4)
    generate(clone, "--cobbler-record", "two").assert_outcomes(passed=1)
    assert (clone.path / "two" / "measure" / "cycle-1" / "2" / "tasks.json").read_text() == "[]\n"
    forget(clone)
    play(clone, "two")

    generate(clone).assert_outcomes(passed=4)
    generate(clone).assert_outcomes(passed=1)


NEW_FILE = "diff --git a/{0} b/{0}\nnew file mode 100644\n--- /dev/null\n+++ b/{0}\n@@ -0,0 +1 @@\n+{0}\n"
MORE_OF_IT = "diff --git a/first b/first\n--- a/first\n+++ b/first\n@@ -1 +1,2 @@\n first\n+second\n"


def write_by_hand(project: Project, order: tuple[str, ...], second: str) -> None:
    """A recording of two tasks, First and Second, which do not need each other."""
    tasks = [{"index": n, "title": title, "description": "-"} for n, title in enumerate(("First", "Second"))]
    head = {"format": "pytest-cobbler recording", "version": 1, "generation": "by hand", "order": order}
    files = {
        "recording.json": json.dumps(head),
        "measure/cycle-1/1/result.json": '{"title": "measure cycle-1"}',
        "measure/cycle-1/1/tasks.json": json.dumps(tasks),
        "stitch/first/1/result.json": '{"title": "First"}',
        "stitch/first/1/change.patch": NEW_FILE.format("first"),
        "stitch/second/1/result.json": '{"title": "Second"}',
        "stitch/second/1/change.patch": second,
    }
    project.write({f"mine/{name}": content for name, content in files.items()})
    play(project, "mine")
    project.configure(recording_prompts="ignore")


def test_landings_are_in_the_order_of_the_recording(cobbler_project: Project) -> None:
    order = ("begin stitch/first/1", "begin stitch/second/1", "land stitch/second/1", "land stitch/first/1")
    write_by_hand(cobbler_project, order, NEW_FILE.format("second"))

    generate(cobbler_project, "--cobbler-jobs=1").assert_outcomes(passed=3)

    assert [commit.title for commit in cobbler_project.landed()] == ["Second", "First"]


def test_an_attempt_starts_from_the_same_commit_as_when_it_was_recorded(cobbler_project: Project) -> None:
    order = ("begin stitch/first/1", "land stitch/first/1", "begin stitch/second/1", "land stitch/second/1")
    write_by_hand(cobbler_project, order, MORE_OF_IT)

    generate(cobbler_project).assert_outcomes(passed=3)

    assert cobbler_project.files()["first"] == "first\nsecond\n"


# -- what a recording holds


def test_a_recording_does_not_mention_the_machine_or_the_run(recorded: Project) -> None:
    files = {
        str(path.relative_to(recording(recorded)))
        for path in recording(recorded).rglob("*")
        if path.is_file()
    }
    [repair] = {name.split("/")[1] for name in files if name.startswith("stitch/repair-c-")}
    assert {
        f"stitch/{repair}/{n}/{name}" for n in (1, 2) for name in ("prompt.md", "change.patch", "result.json")
    } <= files
    assert {"recording.json", "measure/cycle-1/1/tasks.json", "stitch/add-a/1/change.patch"} <= files
    everything = "\n".join(path.read_text() for path in recording(recorded).rglob("*") if path.is_file())
    assert str(recorded.directory) not in everything
    assert not [task.id for task in recorded.tasks() if task.id in everything]
    assert everything.count(recorded.generation or "") == 1  # in recording.json


def test_the_recording_of_another_generation_is_never_overwritten(clone: Project) -> None:
    work(clone)
    result = generate(clone, "--cobbler-record", "recordings/one")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "it contains the recording of another generation" in "\n".join(result.errlines)
    assert clone.generation is None
    assert clone.git("status", "--porcelain", "recordings") == ""


def test_recordings_are_not_in_prompts_and_no_task_changes_them(clone: Project) -> None:
    work(clone)
    shutil.rmtree(recording(clone))
    clone.agent.otherwise().writes("recordings/one/stitch/add-a/1/change.patch", "")
    line = {
        "_type": "issue",
        "title": "Lie",
        "status": "open",
        "priority": 2,
        "issue_type": "task",
        "id": "t-1",
    }
    (clone.path / ".beads").mkdir()
    (clone.path / ".beads" / "issues.jsonl").write_text(json.dumps(line) + "\n")

    result = generate(clone, "--cobbler-record", "recordings/one", "configuration.yaml::stitch")

    [case] = result.junit.values()
    assert case.properties["cobbler_cause"] == "refused"
    [first] = recording(clone).glob("stitch/*/1/prompt.md")
    assert "recordings/" not in first.read_text()


# -- what does not fit


@pytest.mark.matrix("costly")
def test_another_prompt_fails_and_shows_the_difference_until_it_is_accepted(clone: Project) -> None:
    clone.configure(user_prompt="Write tests.")
    result = generate(clone)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*the prompt differs from recordings/one/measure/cycle-1/1/prompt.md",
            "*--cobbler-record recordings/one*",
            "*+Write tests.",
        ]
    )

    generate(clone, "--cobbler-record", "recordings/one").assert_outcomes(passed=4)

    assert "Write tests." in (recording(clone) / "measure" / "cycle-1" / "1" / "prompt.md").read_text()


def test_another_prompt_can_be_ignored(clone: Project) -> None:
    clone.configure(user_prompt="Write tests.", recording_prompts="ignore")
    generate(clone).assert_outcomes(passed=4)


def test_a_missing_attempt_is_named_and_tried_once(clone: Project) -> None:
    shutil.rmtree(recording(clone) / "stitch" / "add-b")
    result = generate(clone)
    case = next(c for c in result.junit.values() if c.properties.get("cobbler_title") == B)
    assert "there is no recordings/one/stitch/add-b/1/result.json" in case.message
    assert case.properties["cobbler_attempts"] == "1"


@pytest.mark.matrix("costly")
def test_a_missing_further_attempt_is_named_and_can_be_added(clone: Project) -> None:
    [place] = (recording(clone) / "stitch").glob("repair-c-*")
    (place / "2").rename(place / "later")
    result = generate(clone)
    case = next(c for c in result.junit.values() if c.properties.get("cobbler_title") == C)
    assert f"there is no recordings/one/stitch/{place.name}/2/result.json" in case.message
    (place / "later").rename(place / "2")
    clone.configure(recording_prompts="ignore")  # another run says less of what went wrong
    assert "1 landed" in generate(clone, "configuration.yaml::stitch").stdout.str()
    assert clone.files()["c"] == "good\n"


# -- wrong from the beginning


def test_a_directory_that_cannot_be_written_is_rejected(cobbler_project: Project) -> None:
    cobbler_project.write({"notes/notes.txt": ""})
    result = cobbler_project.run("--cobbler-generate", "--cobbler-record=notes")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "it contains other files: notes.txt" in "\n".join(result.errlines)
    assert cobbler_project.generation is None


@pytest.mark.parametrize("place", [".git/x", ".cobbler/x", ".beads", ".secrets/x"])
def test_a_directory_with_another_purpose_is_rejected(cobbler_project: Project, place: str) -> None:
    result = cobbler_project.run("--cobbler-generate", f"--cobbler-record={place}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "recordings cannot be kept in" in "\n".join(result.errlines)
    assert not (cobbler_project.path / place).exists()
    assert cobbler_project.generation is None


def test_a_recording_with_an_invalid_order_is_rejected_before_the_run(cobbler_project: Project) -> None:
    write_by_hand(cobbler_project, ("start stitch/first/1",), NEW_FILE.format("second"))
    result = generate(cobbler_project)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "'start stitch/first/1' is not 'begin'" in "\n".join(result.errlines)
    assert cobbler_project.generation is None


def test_a_directory_without_a_recording_is_rejected(cobbler_project: Project) -> None:
    cobbler_project.configure(agent="replay", agent_command=None, recording="nowhere")
    result = cobbler_project.run("--cobbler-generate")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "there is no recording in" in "\n".join(result.errlines)
    assert cobbler_project.generation is None


def test_tasks_with_the_same_title_are_rejected(clone: Project) -> None:
    line = {"_type": "issue", "title": "Twice", "status": "open", "priority": 2, "issue_type": "task"}
    store = clone.path / ".beads" / "issues.jsonl"
    store.parent.mkdir(exist_ok=True)
    store.write_text("".join(json.dumps(line | {"id": f"t-{n}"}) + "\n" for n in (1, 2)))
    result = generate(clone)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "several open tasks have the title 'Twice'" in "\n".join(result.errlines)
