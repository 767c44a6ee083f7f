"""The story of real runs, read while they run and afterwards."""

from __future__ import annotations

import json
import time
from pathlib import Path

from pytest_cobbler.causes import Cause
from pytest_cobbler.story.events import GrowingFile
from pytest_cobbler.story.fold import read_story
from pytest_cobbler.story.following import Follower
from pytest_cobbler.story.model import Phase
from pytest_cobbler.story.waits import WaitKind, Waits
from pytest_cobbler.testing.project import Project
from tests.support.sessions import WRITES_A_FILE, measure, seed, task


def test_the_story_of_a_real_run(cobbler_project: Project) -> None:
    project = cobbler_project
    project.configure(cycles=0, max_attempts=2, jobs=1, budget_usd=1.5)
    project.agent.otherwise().runs(WRITES_A_FILE)
    project.agent.task("Fails").fails()
    project.agent.task("Fails", attempt=2).fails()
    seed(project, task("a", title="Lands"), task("b", "a", title="Fails"), task("c", "b", title="Blocked"))
    project.run("--cobbler-generate")
    [journal] = project.path.glob(".cobbler/*/journal.jsonl")
    run = read_story(journal).run
    assert run is not None
    assert (run.is_over, run.jobs, run.limits) == (True, 1, {"budget_usd": 1.5})
    items = [run.items[f"stitch::{name}"] for name in "abc"]
    assert [(item.title, item.outcome) for item in items] == [
        ("Lands", "landed"),
        ("Fails", "failed"),
        ("Blocked", "blocked"),
    ]
    assert [item.commit for item in items] == [project.landed()[0].commit, "", ""]
    assert [span.phase for span in items[0].spans] == [
        Phase.WAITING,
        Phase.STARTING,
        Phase.AGENT,
        Phase.CHECKING,
        Phase.QUEUED,
        Phase.MERGING,
        Phase.GATE,
        Phase.LANDING,
    ]
    assert [attempt.cause for attempt in items[1].attempts] == [Cause.AGENT] * 2
    assert items[1].needs == ("stitch::a",)
    waits = Waits(run, run.last).of(items[1].key)
    assert [wait.kind for wait in waits if wait.on == items[0].key][:1] == [WaitKind.NEED]
    assert items[2].cause is Cause.NEEDS


def test_a_run_is_followed_while_it_works(cobbler_project: Project) -> None:
    project, begun = cobbler_project, cobbler_project.directory / "begun"
    project.configure(cycles=0, max_attempts=1)
    project.agent.otherwise().prints("I look around\n").runs(f"touch {begun}").sleeps(300)
    seed(project, task("a", title="Works"))
    running = project.start("--cobbler-generate")
    running.wait_until(begun.exists)
    [directory] = (path.parent for path in project.path.glob(".cobbler/*/journal.jsonl"))
    follower = Follower(directory, GrowingFile(directory / "journal.jsonl"))
    follower.refresh(time.time())
    run = follower.story.run
    assert run is not None
    [item] = run.running
    assert (item.title, item.phase) == ("Works", Phase.AGENT)

    def has_spoken() -> bool:
        follower.refresh(time.time())
        return follower.doing(item) is not None

    running.wait_until(has_spoken)
    running.kill()


def test_a_measure_is_an_item_of_the_story(cobbler_project: Project) -> None:
    project = cobbler_project
    project.configure(cycles=1, max_issues=1, max_attempts=1)
    project.agent.measure().writes_output("no JSON")
    project.run("--cobbler-generate", measure())
    [journal] = project.path.glob(".cobbler/*/journal.jsonl")
    run = read_story(journal).run
    assert run is not None
    item = run.items["measure::cycle-1"]
    assert (item.kind, item.name, item.outcome) == ("measure", "cycle-1", "failed")
    assert [span.phase for span in item.spans][:2] == [Phase.WAITING, Phase.AGENT]


def test_an_agent_thinks_after_the_result_of_a_tool(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    events: list[dict[str, object]] = [
        {"event": "run", "run": "r"},
        {"event": "claim", "task": "a"},
        {"event": "attempt", "task": "a", "attempt": 1},
    ]
    moment = "2027-01-15T08:00:00+00:00"
    journal.write_text("".join(f"{json.dumps({'time': moment, **event})}\n" for event in events), "utf-8")
    place = tmp_path / "attempts" / "a" / "1"
    place.mkdir(parents=True)
    follower = Follower(tmp_path, GrowingFile(journal))

    def doing(event: object) -> tuple[str, bool, int]:
        with (place / "transcript.jsonl").open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps(event)}\n" if event else "plain text\n")
        follower.refresh(5.0)
        assert follower.story.run is not None
        now = follower.doing(follower.story.run.items["stitch::a"])
        assert now is not None
        return now.step, now.is_thinking, now.tokens

    call = {"type": "tool_use", "name": "Read", "input": {"file_path": "/w/src/a.py"}}
    usage = {"input_tokens": 100, "cache_read_input_tokens": 20, "output_tokens": 1}
    thought = {"type": "thinking", "thinking": "Hm"}
    assert doing({"type": "system", "subtype": "init", "cwd": "/w"}) == ("", True, 0)
    message = {"type": "assistant", "message": {"id": "m", "content": [call], "usage": usage}}
    assert doing(message) == ("Read src/a.py", False, 120)
    assert doing({"type": "user", "message": {"content": []}}) == ("Read src/a.py", True, 120)
    counted = {"type": "system", "subtype": "thinking_tokens", "estimated_tokens": 450}
    assert doing(counted) == ("Read src/a.py", True, 450)
    message = {"type": "assistant", "message": {"id": "n", "content": [thought]}}
    assert doing(message) == ("Read src/a.py", True, 450)
    message = {"type": "assistant", "message": {"id": "n", "content": [{"type": "text", "text": "Done"}]}}
    assert doing(message)[:2] == ("Done", False)
    assert doing({"type": "user"})[:2] == ("Done", True)
    assert doing(None)[:2] == ("plain text", False)
