"""Recovery of a dead run's leftovers, by comparing the repository with the tracker."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.repository.own_id import own_id
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.invariants import check
from pytest_cobbler.testing.project import Project, RunResult
from tests.support.generations import generation
from tests.support.sessions import seed, task
from tests.support.stale_locks import killed_git

TITLES = [f"Step {word}" for word in ("one", "two", "three", "four")]


@pytest.fixture
def chain(cobbler_project: Project, cobbler_agent: StandInAgent) -> Project:
    """A chain of four tasks that have all landed."""
    cobbler_agent.measure().writes_tasks(
        [{"title": title, "dependency": place - 1} for place, title in enumerate(TITLES)]
    )
    for title in TITLES:
        cobbler_agent.task(title).writes(f"{title}.txt", "done\n").reports(cost_usd=0.25, tokens_output=7)
    assert cobbler_project.run("--cobbler-generate").ret == 0
    return cobbler_project


def held_by_a_dead_run(project: Project, *titles: str, **claim: str) -> None:
    """Reset the tracker to the state in which these tasks were claimed and had not ended."""
    generation = project.generation
    assert generation
    own_claim = {
        "host": _hostname(),
        "repository": Repository(project.path).key,
        "run": project.git("log", "-1", "--format=%(trailers:key=Cobbler-Run,valueonly)", generation).strip(),
        "generation": generation,
    }
    changes = {"status": "in_progress", "assignee": "cobbler", "metadata": {"cobbler": own_claim | claim}}
    change_issues(project, *titles, **changes)


def change_issues(project: Project, *titles: str, **changes: Any) -> None:
    store = project.path / ".beads" / "issues.jsonl"
    records = [json.loads(line) for line in store.read_text().splitlines()]
    for record in records:
        if record["title"] in titles:
            for name in ("closed_at", "close_reason"):
                record.pop(name, None)
            if changes.get("status") != "open":  # a person who opens a task again leaves its comments
                record.pop("comments", None)
            record.update(changes)
    store.write_text("".join(f"{json.dumps(record)}\n" for record in records))


def _hostname() -> str:
    import socket

    return socket.gethostname()


def generate(project: Project) -> RunResult:
    return project.run("--cobbler-generate", "--cobbler-cycles", "0")


def records(project: Project, title: str) -> list[dict[str, Any]]:
    """The records among the comments on a task."""
    store = project.path / ".beads" / "issues.jsonl"
    (issue,) = (one for one in map(json.loads, store.read_text().splitlines()) if one["title"] == title)
    return [json.loads(comment["text"]) for comment in issue.get("comments", ())]


def test_landed_tasks_are_closed_needs_first_whatever_their_ids(chain: Project) -> None:
    held_by_a_dead_run(chain, *TITLES)
    result = generate(chain)
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert check(chain) == []
    for commit in chain.landed():
        result.stdout.fnmatch_lines(
            [f"recovered: closed {commit.task}, which had landed in {commit.commit[:12]}"]
        )


def test_the_record_of_a_landing_is_taken_from_its_commit(chain: Project) -> None:
    held_by_a_dead_run(chain, TITLES[0])
    generate(chain)
    (record,) = records(chain, TITLES[0])
    assert record["commit"] == chain.landed()[0].commit
    assert (record["caller"], record["cost_usd"], record["tokens"]["output"]) == ("recovery", 0.25, 7)
    assert record["diff"] == {"files": 1, "insertions": 1, "deletions": 0}


def test_a_task_whose_need_was_reopened_does_not_stop_the_run(chain: Project) -> None:
    change_issues(chain, TITLES[0], status="open", assignee="")
    held_by_a_dead_run(chain, TITLES[1])
    result = generate(chain)
    task = chain.task(TITLES[1]).id
    hint = 'set the status of * to open, and its assignee to "", in .beads/issues.jsonl'
    result.stdout.fnmatch_lines(
        [
            f"recovered: left {task} in progress, its run has ended: *"
            f"blocked by {chain.task(TITLES[0]).id}*; to free it: {hint}"
        ]
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert chain.task(TITLES[1]).status == "in_progress"


@pytest.mark.parametrize("other", [{"host": "elsewhere"}, {"repository": "another"}])
def test_claims_of_others_are_left_alone(chain: Project, other: dict[str, str]) -> None:
    held_by_a_dead_run(chain, TITLES[3], **other)
    result = generate(chain)
    result.stdout.no_fnmatch_line("recovered: *")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert chain.task(TITLES[3]).status == "in_progress"


def test_a_claim_of_this_repository_is_freed_whatever_host_and_path_it_names(chain: Project) -> None:
    name = own_id(chain.path / ".git")
    held_by_a_dead_run(chain, TITLES[3], host="elsewhere", repository="another", repository_id=name)
    result = generate(chain)
    result.stdout.fnmatch_lines([f"recovered: closed {chain.task(TITLES[3]).id}, *"])
    assert chain.task(TITLES[3]).status == "closed"


def test_in_a_repository_that_was_moved_the_work_of_a_killed_run_lands(
    chain: Project, cobbler_agent: StandInAgent
) -> None:
    change_issues(chain, TITLES[1], status="open", assignee="")
    at_work = cobbler_agent.directory / "at-work"
    cobbler_agent.task(TITLES[1], attempt=2).runs(f"echo half >half.txt; touch {at_work}; sleep 60")
    running = chain.start("--cobbler-generate", "--cobbler-cycles", "0")
    running.wait_until(at_work.exists)
    running.kill()
    aside = chain.directory / "work" / "other-0123456789" / "kept"
    aside.mkdir(parents=True)
    chain.path = chain.path.rename(chain.directory / "renamed")
    cobbler_agent.task(TITLES[1], attempt=3).runs("cat half.txt >again.txt")
    result = generate(chain)
    result.stdout.fnmatch_lines(
        [
            f"recovered: moved the work of this repository from {chain.directory}/work/project-*",
            f"recovered: kept the work on {chain.task(TITLES[1]).id} as *",
            f"recovered: released {chain.task(TITLES[1]).id}",
        ]
    )
    assert chain.files()["again.txt"] == "half\n"
    assert sorted(path.name.split("-")[0] for path in (chain.directory / "work").iterdir()) == [
        "other",
        "renamed",
    ]


def test_a_claim_of_another_active_generation_waits_for_its_own_next_run(chain: Project) -> None:
    first = chain.generation
    assert first
    held_by_a_dead_run(chain, TITLES[3])
    assert chain.run("--cobbler-start").ret == 0
    second = max(chain.git("for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads/generation-*").split())
    assert second != first

    chain.configure(generation_branch=second)
    generate(chain).stdout.no_fnmatch_line("recovered: *")
    assert chain.task(TITLES[3]).status == "in_progress"

    chain.configure(generation_branch=first)
    generate(chain).stdout.fnmatch_lines([f"recovered: closed {chain.task(TITLES[3]).id}, *"])


def test_a_claim_of_a_generation_that_is_gone_is_released(chain: Project) -> None:
    held_by_a_dead_run(chain, TITLES[3], generation="generation-2001-01-01-00-00-00")
    change_issues(chain, TITLES[3], labels=[])
    chain.git("update-ref", f"refs/heads/{chain.generation}", f"{chain.generation}~1")
    result = chain.run("--cobbler-generate", "--cobbler-cycles", "0")
    result.stdout.fnmatch_lines([f"recovered: released {chain.task(TITLES[3]).id}"])
    result.assert_outcomes(passed=1)


def test_a_task_that_a_person_reopened_is_done_again(chain: Project, cobbler_agent: StandInAgent) -> None:
    change_issues(chain, TITLES[1], status="open", assignee="")
    cobbler_agent.task(TITLES[1], attempt=2).writes("again.txt", "done again\n")
    result = generate(chain)
    result.assert_outcomes(passed=1)
    assert "again.txt" in chain.files()
    assert chain.task(TITLES[1]).status == "closed"


def test_work_of_a_dead_run_on_a_reopened_task_is_kept(chain: Project, cobbler_agent: StandInAgent) -> None:
    change_issues(chain, TITLES[1], status="open", assignee="")
    at_work = cobbler_agent.directory / "at-work"
    stash = "echo aside >aside.txt; git stash push --quiet --include-untracked"
    cobbler_agent.task(TITLES[1], attempt=2).runs(f"{stash}; echo half >half.txt; touch {at_work}; sleep 60")
    running = chain.start("--cobbler-generate", "--cobbler-cycles", "0")
    running.wait_until(at_work.exists)
    running.kill()
    task = chain.task(TITLES[1])
    assert task.status == "in_progress"
    cobbler_agent.task(TITLES[1], attempt=3).fails()

    result = generate(chain)

    result.stdout.fnmatch_lines(
        [f"recovered: kept the work on {task.id} as *", f"recovered: released {task.id}"]
    )
    assert chain.task(TITLES[1]).status == "open"
    assert "half.txt" in chain.files(f"refs/cobbler/attempts/{chain.generation}/{task.id}/2")
    assert "aside.txt" in chain.files(f"refs/cobbler/left/{chain.generation}/{task.id}/2/1")


def test_attempts_of_a_landed_task_are_removed_unless_they_began_from_its_landing(chain: Project) -> None:
    """A run that was killed after a landing could not remove them; a person may reopen a task later."""
    attempts = f"refs/cobbler/attempts/{chain.generation}/{chain.task(TITLES[1]).id}"
    before, after = chain.landed()[0].commit, chain.landed()[-1].commit
    chain.git("update-ref", f"{attempts}/1", before)
    chain.git("update-ref", f"{attempts}/2", after)
    chain.run("--cobbler-generate")
    assert chain.git("for-each-ref", "--format=%(refname)", attempts).split() == [f"{attempts}/2"]


def test_the_checkout_of_a_gate_is_removed_whose_generation_was_never_started(chain: Project) -> None:
    """A run that was killed in the gate on the first tree of a new generation leaves it."""
    work_dir = Repository(chain.path, chain.directory / "work").work_dir
    left = work_dir / "gate" / "generation-2020-01-02-03-04-05"
    (left / "tree").mkdir(parents=True)
    chain.run("--cobbler-generate")
    assert not left.exists()


def test_a_lock_of_git_on_our_own_refs_is_removed(chain: Project) -> None:
    change_issues(chain, TITLES[3], status="open", assignee="")
    chain.git("update-ref", f"refs/heads/{chain.generation}", f"{chain.generation}~1")
    task = chain.task(TITLES[3]).id
    git = chain.path / ".git"
    locks = [
        git / f"refs/heads/{chain.generation}.lock",
        git / f"refs/heads/task/{chain.generation}-{task}.lock",
        git / f"refs/cobbler/attempts/{chain.generation}/{task}/1.lock",
        git / "refs/heads/generation-2026-01-01-00-00-00.lock",  # of a start that was killed
        git / "refs/tags/generation-2026-01-01-00-00-00-start.lock",
        git / "packed-refs.lock",
        git / "HEAD.lock",
    ]
    for lock in locks:
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
        os.utime(lock, (0, 0))
    result = generate(chain)
    result.assert_outcomes(passed=1)
    assert check(chain, result) == []
    assert not any(lock.exists() for lock in locks)
    for lock in locks:
        assert f"recovered: removed {lock}, which a killed git had left" in result.outlines


ACTIONS = ("--cobbler-generate", "--cobbler-start", "--cobbler-stop", "--cobbler-reset", "--cobbler-switch")


@pytest.mark.parametrize("action", ACTIONS)
def test_a_git_that_was_killed_with_its_locks_is_in_no_ones_way(
    cobbler_project: Project, action: str
) -> None:
    project = cobbler_project
    seed(project, task("p-1", title="One"))
    project.agent.task("One").writes("one.txt", "1\n")
    first = generation(project, {"a.txt": "a\n"})
    git = project.path / ".git"
    killed_git(git, f"delete refs/tags/{first}-start", f"update refs/heads/main {first}")
    left = {path.name for path in git.rglob("*.lock")}
    for path in git.rglob("*.lock"):
        os.utime(path, (0, 0))  # else the command waits to see that it does not change
    assert {"packed-refs.lock", "HEAD.lock", f"{first}-start.lock", "main.lock"} <= left

    result = project.run(*((action, first) if action == "--cobbler-switch" else (action,)))

    assert result.ret == 0, result.outlines + result.errlines
    for name in ("packed-refs.lock", "HEAD.lock"):
        assert f"recovered: removed {git / name}, which a killed git had left" in result.outlines
    left = {path.name for path in git.rglob("*.lock")} - {"cobbler.lock"}
    assert left == (set() if action == "--cobbler-stop" else {"main.lock"}), "main is the user's"


# Markers of conflicts that we put there ourselves


def conflicting(project: Project, tmp_path: Path, **configuration: Any) -> StandInAgent:
    """Two tasks that change the same line; the second one's first attempt ends after the first has landed."""
    landed = tmp_path / "landed"
    agent = project.agent
    agent.measure().writes_tasks([{"title": "Theirs"}, {"title": "Ours"}])
    agent.task("Theirs").writes("list.txt", "theirs\n")
    agent.task("Ours").writes("list.txt", "ours\n").runs(f"until [ -e {landed} ]; do sleep 0.05; done")
    project.configure(
        test_command=f"[ -e list.txt ] && [ ! -e {landed} ] || exit 0; trap 'touch {landed}' EXIT",
        **configuration,
    )
    return agent


def test_conflict_markers_are_refused_in_every_attempt(cobbler_project: Project, tmp_path: Path) -> None:
    agent = conflicting(cobbler_project, tmp_path, max_attempts=4)
    agent.task("Ours", attempt=2).writes("other.txt", "done\n")
    agent.task("Ours", attempt=3).writes("more.txt", "done\n")
    agent.task("Ours", attempt=4).writes("last.txt", "done\n")
    result = cobbler_project.run("--cobbler-generate")
    assert "<<<<<<<" not in cobbler_project.files()["list.txt"]
    task = cobbler_project.task("Ours").id
    case = result.junit[f"configuration.yaml::stitch::{task}"]
    assert (case.outcome, case.properties["cobbler_cause"]) == ("failed", "refused"), case.message
    assert case.properties["cobbler_attempts"] == "4"


def test_work_lands_once_its_conflict_markers_are_resolved(cobbler_project: Project, tmp_path: Path) -> None:
    agent = conflicting(cobbler_project, tmp_path, max_attempts=3)
    agent.task("Ours", attempt=2).writes("other.txt", "done\n")
    agent.task("Ours", attempt=3).writes("list.txt", "theirs\nours\n")
    result = cobbler_project.run("--cobbler-generate")
    result.assert_outcomes(passed=3)
    assert cobbler_project.files()["list.txt"] == "theirs\nours\n"


def test_conflict_markers_in_the_work_of_a_dead_run_are_refused(
    cobbler_project: Project, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    agent = conflicting(cobbler_project, tmp_path)
    agent.task("Ours", attempt=2).writes("other.txt", "done\n").runs(f"touch {begun}").sleeps(300)
    agent.task("Ours", attempt=3).writes("more.txt", "done\n")
    running = cobbler_project.start("--cobbler-generate")
    running.wait_until(begun.exists)
    running.kill()

    result = cobbler_project.run("--cobbler-generate")
    assert "<<<<<<<" not in cobbler_project.files()["list.txt"]
    task = cobbler_project.task("Ours").id
    assert result.junit[f"configuration.yaml::stitch::{task}"].properties["cobbler_cause"] == "refused"
    assert check(cobbler_project, result) == []
