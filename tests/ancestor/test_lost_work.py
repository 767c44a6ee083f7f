"""Mistakes of the ancestor by which work was lost or spoiled, or counted as done when it was not."""

from __future__ import annotations

import json
import signal

import pytest

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.invariants import CheckoutState, check
from pytest_cobbler.testing.project import Project
from tests.support.sessions import by_title, came_to, ids_landed, seed, statuses, stitch, task

KEY = "sk-ant-api03-never-to-be-seen"
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


@pytest.mark.matrix("costly")
@pytest.mark.parametrize("where", ["project", "in_podman"])
def test_no_task_is_closed_whose_work_did_not_land(
    request: pytest.FixtureRequest, agent: StandInAgent, where: str
) -> None:
    """Two mistakes. The worktree was mounted alone, its ``.git`` named a place outside, and so no agent could
    commit: the merge said "Already up to date", the work was deleted, and the task closed as done. And no one
    but the agent committed: what it had not committed went the same way, as did a task that changed nothing.
    """
    project: Project = request.getfixturevalue(where)
    kinds = LANDS | LANDS_NOTHING
    records = []
    for number, (title, commands) in enumerate(kinds.items()):
        own = commands.replace("new.txt", f"new-{number}.txt").replace("half.txt", f"half-{number}.txt")
        agent.task(title).runs(own)
        records.append(task(f"p-{number}", title=title))
    project.configure(max_issues=len(records))
    seed(project, *records)
    before = CheckoutState.of(project)

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


def test_no_conflict_is_left_half_done_nor_committed_with_its_markers(
    project: Project, agent: StandInAgent
) -> None:
    """A merge that conflicted was never aborted, and the next command committed all of it, markers and all.

    Here the second attempt finds the markers and leaves them.
    """
    project.configure(max_attempts=2)
    log = f"git --git-dir={project.path}/.git log --branches --format=%s"
    landed = f"until {log} | grep -qx First; do sleep 0.1; done"
    agent.task("First").runs(f"until [ -e {agent.directory}/began ]; do sleep 0.1; done; echo 1 >README.md")
    agent.task("Second").runs(f"touch {agent.directory}/began; {landed}; echo 2 >README.md")
    agent.task("Second", attempt=2).runs("grep -q '<<<<<<<' README.md; echo 3 >more.txt")
    seed(project, task("p-1", title="First"), task("p-2", title="Second"))
    before = CheckoutState.of(project)
    result = project.run("--cobbler-generate", "configuration.yaml::stitch")
    assert came_to(result) == {"stitch::p-1": "landed", "stitch::p-2": "failed"}
    assert "refused: README.md: still has conflict markers" in result.junit[stitch("p-2")].message
    assert project.files()["README.md"] == "1\n"
    assert check(project, result, before=before) == []
    assert not list((project.path / ".git").glob("MERGE_*"))
    assert "<<<<<<<" in project.files(f"refs/cobbler/attempts/{project.generation}/p-2/2")["README.md"]


@pytest.mark.matrix("costly")
def test_no_stop_conflicts_on_recreated_files_or_loses_them(project: Project, agent: StandInAgent) -> None:
    """The base's sources were deleted before the merge. What the generation had made again but for a change
    was a conflict, also of the module file, and no stop after that could be run again; what it had made again
    to the byte was deleted by the merge, and no one was told.
    """
    project.write(
        {"go.mod": "module example.com/old\n\ngo 1.23\n", "same.go": "package a\n", "other.go": "package b\n"}
    )
    project.configure(language="go", module_path="example.com/m", go_source_dirs=["."])
    for number in (1, 2):
        agent.task(f"p-{number}").writes("same.go", "package a\n").writes("other.go", f"package b{number}\n")
        agent.task(f"p-{number}").appends("go.mod", f"\nrequire example.com/dep v1.{number}.0\n")
        seed(project, task(f"p-{number}"))
        assert project.run("--cobbler-generate", "--cobbler-cycles=0").ret == 0
        assert project.run("--cobbler-stop").ret == 0
        files = project.files("main")
        assert (files["same.go"], files["other.go"]) == ("package a\n", f"package b{number}\n")
        assert f"require example.com/dep v1.{number}.0\n" in files["go.mod"]
        assert (project.path / "same.go").read_text() == "package a\n"


def test_no_reset_makes_a_commit_unreachable(project: Project) -> None:
    """An unmerged generation lost its branch, and its only tag was on the commit that it began at."""
    seed(project, task("p-a"), task("p-b"))
    project.run("--cobbler-generate", "configuration.yaml::stitch")
    name, landed = project.generation, project.landed()
    assert len(landed) == 2
    assert project.run("--cobbler-reset").ret == 0
    assert project.generation is None
    for done in landed:
        assert project.git("tag", "--contains", done.commit).split() == [f"{name}-abandoned"]


def test_no_reset_removes_a_file_of_the_user(project: Project) -> None:
    """Source and other directories of the configuration were removed with whatever untracked was in them."""
    project.configure(language="go", module_path="example.com/m", go_source_dirs=["src"], binary_dir="out")
    files = {"src/mine.txt": "mine", "src/mine.go": "package mine", "out/program": "built"}
    assert project.run("--cobbler-start").ret == 0
    project.write(files)
    assert project.run("--cobbler-reset").ret == 0
    assert {name: (project.path / name).read_text() for name in files} == files


def test_no_directory_outside_the_repository_is_taken_from_the_configuration(project: Project) -> None:
    """A reset removed them too, wherever they were, and so did a stop."""
    outside = ["../mine", "/mine", "src/../../mine"]
    project.configure(
        language="go", module_path="example.com/m", go_source_dirs=[*outside], cleanup_dirs=[*outside]
    )
    result = project.run("--cobbler-reset")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    for place, directory in enumerate(outside):
        for key in ("go_source_dirs", "cleanup_dirs"):
            result.stderr.fnmatch_lines_random([f'*{key}?{place}?: "{directory}" leaves *'])


def test_no_link_leads_the_cleanup_out_of_the_repository(project: Project) -> None:
    """What a configured directory linked to was removed like a directory."""
    project.write({"../mine/file.txt": "mine\n", "out/own.txt": "x\n"})
    project.configure(cleanup_dirs=["out", "link"])
    for link in ("link", "out/link"):
        (project.path / link).symlink_to(project.directory / "mine")
    project.git("rm", "--quiet", "--cached", "-r", "--ignore-unmatch", "out", "link")
    project.git("commit", "--quiet", "--message", "Out")
    assert project.run("--cobbler-start").ret == 0
    assert project.run("--cobbler-reset").ret == 0
    assert not (project.path / "out" / "own.txt").exists()
    assert (project.directory / "mine" / "file.txt").read_text() == "mine\n"


@pytest.mark.matrix("costly")
def test_no_action_commits_files_of_the_checkout(project: Project) -> None:
    """Each of them added everything, secrets and unrelated files too, and committed it."""
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
    before, checkout = project.files("main"), CheckoutState.of(project)
    seed(project, task("p-a"))
    assert project.run("--cobbler-generate").ret == 0
    assert project.files() == before | {"p-a.txt": "1\n"}
    for action in ("start", f"switch={project.generation}", "resume", "reset", "start"):
        assert project.run(f"--cobbler-{action}").ret == 0, action
    assert check(project, before=checkout) == []
    project.git("stash", "--quiet")
    assert project.run("--cobbler-stop", "--cobbler-force").ret == 0
    assert KEY not in project.git("log", "--all", "--patch")
    assert "notes.txt" not in project.git("log", "--all", "--name-only")


@pytest.mark.parametrize("end", ["failed", "was killed"])
def test_no_work_is_lost_however_its_agent_ends(project: Project, agent: StandInAgent, end: str) -> None:
    """What an agent had made was removed by the next recovery, and nothing kept it."""
    steps = agent.task("p-a").writes("half.txt", "half\n")
    seed(project, task("p-a"))
    if end == "failed":
        steps.fails()
        assert project.run("--cobbler-generate").ret == 1
    else:
        steps.runs(f"touch {agent.directory}/begun").sleeps(300)
        running = project.start("--cobbler-generate")
        running.wait_until((agent.directory / "begun").exists)
        running.send_signal(signal.SIGKILL)
        running.wait()
        project.run("--cobbler-resume", "configuration.yaml::measure")
    kept = f"refs/cobbler/attempts/{project.generation}/p-a/1"
    assert project.files(kept)["half.txt"] == "half\n"
    assert project.git("log", "-1", "--format=%an", kept) == "Test\n"
