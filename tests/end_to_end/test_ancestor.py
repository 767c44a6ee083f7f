"""What the ancestor of this program got wrong and must not come back: a test for each thing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.invariants import Checkout, check
from pytest_cobbler.testing.project import Project
from tests.images import minimal_image
from tests.session.builders import (
    WRITES_A_FILE,
    by_title,
    came_to,
    ids_landed,
    seed,
    statuses,
    stitch,
    task,
)

__all__ = ["minimal_image"]

KEY = "sk-ant-api03-never-to-be-seen"


@pytest.fixture
def agent(cobbler_agent: StandInAgent) -> StandInAgent:
    return cobbler_agent


@pytest.fixture
def project(cobbler_project: Project, agent: StandInAgent) -> Project:
    cobbler_project.configure(max_attempts=1)
    agent.otherwise().runs(WRITES_A_FILE)
    return cobbler_project


@pytest.fixture
def in_podman(project: Project, minimal_image: str) -> Project:
    project.configure(
        sandbox="podman", podman_image=minimal_image, podman_args=project.agent.podman_arguments, jobs=4
    )
    return project


# Only the worktree was mounted, and its .git pointed outside. So the agent could not commit, the merge said
# "Already up to date", the work was deleted and the task closed as done.

GIT = "git -c user.name=a -c user.email=a@example.invalid"
WRITE = "echo new >new.txt"
COMMIT = f"{WRITE} && git add -A && {GIT} commit -q -m new"

LANDS = {
    "commits nothing": WRITE,
    "commits everything": COMMIT,
    "commits half": f"echo half >half.txt && git add -A && {GIT} commit -q -m half && {WRITE}",
    "stages and forgets": f"{WRITE} && git add -A",
    "has no git": f"PATH=/nowhere; git add -A && exit 1; {WRITE}",
    "removes .git": f"{WRITE}; rm -rf .git || true",
    "overwrites .git": f"{WRITE}; {{ echo 'gitdir: /nowhere' >.git; }} 2>/dev/null || true",
    "makes a repository of its own": f"mkdir own && (cd own && git init -q) && {WRITE}",
    "commits on another branch": f"git switch -q -c mine && {COMMIT}",
    "commits on no branch": f"git switch -q --detach && {COMMIT}",
    "amends the tip": f"{COMMIT} --amend",
    "starts a history of its own": f"git checkout -q --orphan mine && {COMMIT}",
    "resets and keeps": f"{COMMIT} && git reset -q --soft HEAD~1",
}
LANDS_NOTHING = {
    "does nothing": ":",
    "undoes its commit": f"{COMMIT} && git reset -q --hard HEAD~1",
    "leaves it on another branch": f"git switch -q -c mine && {COMMIT} && git switch -q -",
    "leaves it in the stash": f"{WRITE} && git add -A && {GIT} stash -q",
}


@pytest.mark.parametrize("where", ["project", "in_podman"])
def test_whatever_an_agent_does_with_git_its_work_lands_or_its_task_stays_open(
    request: pytest.FixtureRequest, agent: StandInAgent, where: str
) -> None:
    project: Project = request.getfixturevalue(where)
    kinds = LANDS | LANDS_NOTHING
    records = []
    for number, (title, commands) in enumerate(kinds.items()):
        own = commands.replace("new.txt", f"new-{number}.txt").replace("half.txt", f"half-{number}.txt")
        agent.task(title).runs(own)
        records.append(task(f"p-{number}", title=title))
    project.configure(max_issues=len(records))
    seed(project, *records)
    before = Checkout.of(project)

    result = project.run("--cobbler-generate", "--cobbler-cycles=0", timeout=300)

    found = {title: case.properties["cobbler_outcome"] for title, case in by_title(result).items()}
    assert found == dict.fromkeys(LANDS, "landed") | dict.fromkeys(LANDS_NOTHING, "failed")
    assert {by_title(result)[title].properties["cobbler_cause"] for title in LANDS_NOTHING} == {"no-change"}
    closed = {name for name, status in statuses(project).items() if status == "closed"}
    assert closed == set(ids_landed(project)) == {f"p-{number}" for number in range(len(LANDS))}
    files = project.files()
    assert {name for name in files if name.startswith("new")} == {f"new-{n}.txt" for n in range(len(LANDS))}
    assert files["half-2.txt"] == "half\n"
    assert files["README.md"] == project.files("main")["README.md"]
    assert check(project, result, before=before) == []


def test_uncommitted_work_of_an_agent_that_failed_is_kept(project: Project, agent: StandInAgent) -> None:
    agent.task("p-a").writes("half.txt", "half\n").fails()
    seed(project, task("p-a"))
    assert project.run("--cobbler-generate").ret == 1
    kept = f"refs/cobbler/attempts/{project.generation}/p-a/1"
    assert project.files(kept)["half.txt"] == "half\n"
    assert project.git("log", "-1", "--format=%an", kept) == "Test\n"


# A conflicting merge was left half done, and later committed with its markers.


def test_a_conflict_leaves_nothing_half_done(project: Project, agent: StandInAgent) -> None:
    """The second attempt, too, which finds the markers and leaves them."""
    project.configure(max_attempts=2)
    log = f"git --git-dir={project.path}/.git log --branches --format=%s"
    landed = f"until {log} | grep -qx First; do sleep 0.1; done"
    agent.task("First").runs(f"until [ -e {agent.directory}/began ]; do sleep 0.1; done; echo 1 >README.md")
    agent.task("Second").runs(f"touch {agent.directory}/began; {landed}; echo 2 >README.md")
    agent.task("Second", attempt=2).runs("grep -q '<<<<<<<' README.md; echo 3 >more.txt")
    seed(project, task("p-1", title="First"), task("p-2", title="Second"))
    before = Checkout.of(project)
    result = project.run("--cobbler-generate", "configuration.yaml::stitch")
    assert came_to(result) == {"stitch::p-1": "landed", "stitch::p-2": "failed"}
    assert "refused: README.md: still has conflict markers" in result.junit[stitch("p-2")].message
    assert project.files()["README.md"] == "1\n"
    assert check(project, result, before=before) == []
    assert not list((project.path / ".git").glob("MERGE_*"))
    assert "<<<<<<<" in project.files(f"refs/cobbler/attempts/{project.generation}/p-2/2")["README.md"]


# `git add -A` swept secrets and unrelated files into commits.


def test_nothing_of_the_checkout_gets_into_a_commit_but_the_agents_change(project: Project) -> None:
    project.write(
        {
            ".secrets/claude.json": json.dumps({"api_key": KEY}),
            ".env": f"KEY={KEY}\n",
            "notes.txt": "mine\n",
            "staged.txt": "mine\n",
            "README.md": "changed by me\n",
        }
    )
    project.git("add", "staged.txt")
    before, status = project.files("main"), project.git("status", "--porcelain")
    seed(project, task("p-a"))
    assert project.run("--cobbler-generate").ret == 0
    assert project.files() == before | {"p-a.txt": "1\n"}
    assert project.git("status", "--porcelain") == status
    assert KEY not in project.git("log", "--all", "--patch")


# A failing `bd` looked like "no tasks": a green run that did nothing.


def test_a_failing_tracker_is_an_error_and_not_an_empty_one(project: Project, tmp_path: Path) -> None:
    bd = tmp_path / "bd"
    version = '{"schema_version": 1, "version": "1.3.0"}'
    bd.write_text(
        f"#!/bin/sh\n[ $1 = version ] && echo '{version}' && exit\necho 'no database' >&2; exit 1\n"
    )
    bd.chmod(0o755)
    project.write(
        {".beads/metadata.json": '{"backend": "dolt"}', ".beads/embeddeddolt/beads/.dolt/noms/x": ""}
    )
    project.configure(tracker="bd")
    for options in ([], ["--collect-only"]):
        result = project.run("--cobbler-generate", *options, env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
        assert result.ret not in (0, pytest.ExitCode.NO_TESTS_COLLECTED)
        result.stderr.fnmatch_lines(["ERROR: *bd*"])
        result.stderr.fnmatch_lines(["*no database*"])
    assert project.generation is None


def test_a_tracker_that_fails_in_the_middle_fails_the_run_and_loses_no_commit(
    project: Project, agent: StandInAgent
) -> None:
    store = project.path / ".beads" / "issues.jsonl"
    agent.task("p-a").runs(f"echo broken >>{store}; {WRITES_A_FILE}")
    seed(project, task("p-a"))
    content = store.read_text()
    result = project.run("--cobbler-generate", "-k", "p-a")
    assert came_to(result) == {"stitch::p-a": "landed"}
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["TRACKER: *issues.jsonl*"])
    assert ids_landed(project) == ["p-a"]
    claimed = store.read_text().replace("broken\n", "")
    assert claimed != content
    store.write_text(claimed)
    again = project.run("--cobbler-generate")
    assert again.ret == 0
    again.stdout.fnmatch_lines(["recovered: closed p-a, which had landed in *"])
    assert (statuses(project), ids_landed(project)) == ({"p-a": "closed"}, ["p-a"])


# One failing task ended the run, and was the first to be picked again. No timeouts.


def test_one_failing_task_does_not_end_the_run_and_is_not_picked_again_in_it(
    project: Project, agent: StandInAgent
) -> None:
    project.configure(jobs=1)
    agent.task("p-bad").runs(f"echo x >>{agent.directory}/tries").fails()
    seed(project, task("p-bad", priority=0), task("p-good"), task("p-better"))
    result = project.run("--cobbler-generate", "--cobbler-cycles=2")
    assert came_to(result) == {
        "stitch::p-bad": "failed",
        "stitch::p-better": "landed",
        "stitch::p-good": "landed",
        "measure::cycle-1": "proposed",
        "measure::cycle-2": "blocked",
    }
    assert (agent.directory / "tries").read_text() == "x\n"


def test_nothing_runs_for_ever(project: Project, agent: StandInAgent) -> None:
    project.configure(
        task_timeout="3s", gate_timeout="4s", test_command="! grep -l slow *.txt || sleep 60", jobs=3
    )
    agent.task("hangs").writes("half.txt", "half\n").sleeps(60)
    agent.task("hangs in the gate").writes("gate.txt", "slow\n")
    seed(project, task("p-1", title="hangs"), task("p-2", title="hangs in the gate"), task("p-3"))
    result = project.run("--cobbler-generate", "configuration.yaml::stitch")
    assert came_to(result) == {"stitch::p-1": "failed", "stitch::p-2": "failed", "stitch::p-3": "landed"}
    result.stdout.fnmatch_lines_random(
        [
            f"FAILED {stitch('p-1')} - agent: timeout after 3s",
            f"FAILED {stitch('p-2')} - gate: test timed out after 4s",
        ]
    )
    assert result.duration < 45


# API keys in podman_args were printed to the log; failed runs left no transcript.


@pytest.mark.parametrize("where", ["project", "in_podman"])
def test_a_key_in_podman_args_is_nowhere_to_be_seen(
    request: pytest.FixtureRequest, agent: StandInAgent, where: str
) -> None:
    project: Project = request.getfixturevalue(where)
    keys = ["-e", f"ANTHROPIC_API_KEY={KEY}", "-e", f"OTHER_TOKEN={KEY[::-1]}"]
    project.configure(
        podman_args=[*project.configuration.get("podman_args", []), *keys], test_command="false"
    )
    seed(project, task("p-a"))
    result = project.run("--cobbler-generate", "-vvv", "-rA", "-s")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["FAILED*gate: test failed*"])
    for said in (result.outlines, result.errlines):
        assert KEY not in "\n".join(said)
        assert KEY[::-1] not in "\n".join(said)
    (project.path / "configuration.yaml").unlink()
    assert (
        list(files_that_hold(project.directory, KEY))
        == list(files_that_hold(project.directory, KEY[::-1]))
        == []
    )


def files_that_hold(directory: Path, text: str) -> Iterator[Path]:
    return (file for file in directory.rglob("*") if file.is_file() and text.encode() in file.read_bytes())


def test_a_failed_agent_leaves_its_prompt_and_its_transcript(project: Project, agent: StandInAgent) -> None:
    agent.task("p-a").prints("I am lost.").runs("echo complaint >&2").fails()
    seed(project, task("p-a", description="Find the way."))
    project.run("--cobbler-generate")
    (attempt,) = project.path.glob(".cobbler/*/attempts/p-a/1")
    assert "Find the way." in (attempt / "prompt.md").read_text()
    assert "I am lost." in (attempt / "transcript.jsonl").read_text()
    assert "complaint" in (attempt / "stderr.txt").read_text()
    assert json.loads((attempt / "result.json").read_text())["cause"] == "agent"


# A task without `dependency` depended on task 0. One measure's cost was counted once per task.


def test_a_proposal_without_a_dependency_needs_nothing_and_a_measures_cost_counts_once(
    project: Project, agent: StandInAgent
) -> None:
    agent.measure().reports(cost_usd=0.75).writes_tasks(
        [{"title": "A"}, {"title": "B"}, {"title": "C", "dependency": 1}]
    )
    result = project.run("--cobbler-generate")
    assert result.ret == 0
    needs = {found.title: found.needs for found in project.tasks()}
    assert needs == {"A": (), "B": (), "C": (project.task("B").id,)}
    costs = [case.properties.get("cobbler_cost_usd") for case in result.junit.values()]
    assert [cost for cost in costs if cost] == ["0.75"]
    result.stdout.fnmatch_lines(["agents: * s, 0.7500 USD"])
    assert [found.get("cost_usd") for found in records(project) if found["caller"] == "measure"] == [0.75]


def records(project: Project) -> list[dict[str, object]]:
    """The invocation records among the comments of all tasks."""
    issues = [
        json.loads(line) for line in (project.path / ".beads" / "issues.jsonl").read_text().splitlines()
    ]
    texts = [comment["text"] for issue in issues for comment in issue.get("comments", [])]
    return [json.loads(text) for text in texts if text.startswith("{")]


# `task/generation-a-*` also matched the tasks of `generation-a-b`.


def test_a_generation_keeps_off_the_tasks_of_one_whose_name_begins_like_its_own(project: Project) -> None:
    assert project.run("--cobbler-start").ret == 0
    name = project.generation or ""
    other = f"{name}-b"
    message = f"Work on p-a: Title\n\nCobbler-Attempt: p-a 1\nCobbler-Generation: {other}\n"
    work = project.git("commit-tree", "main^{tree}", "-p", "main", "-m", message).strip()
    theirs = {f"refs/heads/task/{other}-p-a": work, f"refs/cobbler/attempts/{other}/p-a/1": work}
    for ref, commit in theirs.items():
        project.git("update-ref", ref, commit)
    seed(project, task("p-a"))
    assert project.run("--cobbler-generate", "--cobbler-cycles=0").ret == 0
    left = project.git(
        "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads/task", "refs/cobbler/attempts"
    )
    assert dict(line.split() for line in left.splitlines()) == theirs
    assert ids_landed(project) == ["p-a"]


# Finished work was proposed again.


def test_what_is_there_already_is_not_accepted_again(project: Project, agent: StandInAgent) -> None:
    project.configure(max_attempts=2)
    seed(
        project,
        task("p-done", title="Add the parser", status="closed"),
        task("p-open", title="Add the printer"),
    )
    answer = [
        {"index": n, "title": f"add the {what}.", "description": "x"}
        for n, what in enumerate(("Parser", "Printer"))
    ]
    agent.measure(cycle=1).writes_output(json.dumps(answer))
    agent.measure(cycle=1, attempt=2).writes_output("[]")
    result = project.run("--cobbler-generate", "configuration.yaml::measure")
    assert result.ret == 0
    assert len(project.tasks()) == 2
    (prompt,) = project.path.glob(".cobbler/*/attempts/cycle-1/2/prompt.md")
    assert 'is there already: p-done ("Add the parser", closed)' in prompt.read_text()
    assert 'is there already: p-open ("Add the printer", open)' in prompt.read_text()
