"""A branch that a person moved, and a tracker that a person restored: nothing is lost or paid for twice."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from pytest_cobbler.testing.project import Project, RunResult
from tests.support.sessions import ids_landed, seed, statuses, task, words

COUNTS = 'echo "$COBBLER_TASK_ID" >>{asked}; echo 1 >"$COBBLER_TASK_ID.txt"'


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    """Three tasks of a chain have landed; ``asked`` names the tasks of agents."""
    cobbler_project.configure(cycles=0, max_attempts=1)
    cobbler_project.agent.otherwise().runs(COUNTS.format(asked=cobbler_project.directory / "asked"))
    seed(cobbler_project, task("t-1"), task("t-2", "t-1"), task("t-3", "t-2"))
    assert cobbler_project.run("--cobbler-generate").ret == 0
    assert asked(cobbler_project) == ["t-1", "t-2", "t-3"]
    return cobbler_project


def asked(project: Project) -> list[str]:
    return (project.directory / "asked").read_text().split()


def resume(project: Project, *options: str) -> RunResult:
    return project.run("--cobbler-resume", "-v", *options)


def add(project: Project, name: str) -> None:
    """A further task, in the tracker as it is."""
    store = project.path / ".beads" / "issues.jsonl"
    before = store.read_text()
    seed(project, task(name))
    store.write_text(before + store.read_text())


def test_landings_that_a_person_took_off_the_branch_are_named_with_the_command_that_restores_them(
    project: Project,
) -> None:
    generation, commits = str(project.generation), [landed.commit for landed in project.landed()]
    project.git("update-ref", f"refs/heads/{generation}", commits[0])
    project.git("gc", "--quiet", "--prune=now")
    result = resume(project)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    restore = f"git update-ref refs/heads/{generation} {commits[2]} {commits[0]}"
    lines = [
        f"LOST: closed as landed, but neither {generation} nor main has the commit: t-2, t-3",
        f"To restore the branch: {restore}",
        'To do it again: set the status of ID to open, and its assignee to "", in .beads/issues.jsonl',
        f"To leave it out for good: git update-ref -d refs/cobbler/landed/{generation}/ID",
    ]
    result.stdout.fnmatch_lines([f"warning: {line}" for line in lines])
    result.stdout.fnmatch_lines(lines)
    assert statuses(project) == dict.fromkeys(("t-1", "t-2", "t-3"), "closed")
    assert asked(project) == ["t-1", "t-2", "t-3"], "nothing opens by itself"

    project.git(*restore.split()[1:])
    assert resume(project).ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert ids_landed(project) == ["t-1", "t-2", "t-3"]


def test_a_branch_that_is_moved_back_during_a_run_makes_it_fail_and_what_was_left_out_is_quiet(
    project: Project,
) -> None:
    generation, commits = str(project.generation), [landed.commit for landed in project.landed()]
    add(project, "t-4")
    back = f"git -C {project.path} update-ref refs/heads/{generation} {commits[1]}"
    project.agent.task("t-4").runs(f"{back}; echo 1 >t-4.txt")
    result = resume(project)
    assert words(result) == {"stitch::t-4": "LANDED"}
    assert {"t-2.txt", "t-4.txt"} <= project.files().keys()
    assert "t-3.txt" not in project.files(), "t-4, which began with it, has brought it back"
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            f"LOST: closed as landed, but neither {generation} nor main has the commit: t-3",
            f"The branch went on without it. To see the work: git log -p *..{commits[2][:12]}",
            "To do it again: *t-3*",
            f"To leave it out for good: git update-ref -d refs/cobbler/landed/{generation}/t-3",
        ]
    )
    project.git("update-ref", "-d", f"refs/cobbler/landed/{generation}/t-3")
    assert resume(project).ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_a_branch_that_a_person_deleted_is_named_by_the_run_that_starts_another(project: Project) -> None:
    generation, tip = str(project.generation), project.landed()[-1].commit
    project.git("update-ref", "-d", f"refs/heads/{generation}")
    result = project.run("--cobbler-generate")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            f"LOST: closed as landed, but neither {generation} nor main has the commit: t-1, t-2, t-3",
            f"To restore the branch: git update-ref refs/heads/{generation} {tip}",
        ]
    )


@pytest.mark.parametrize("way", ["squash", "rebase", "shallow"])
def test_a_merge_by_squash_or_rebase_and_a_shallow_clone_lose_nothing(project: Project, way: str) -> None:
    generation = str(project.generation)
    bodies = project.git("log", "--reverse", "--format=%B", f"{generation}~3..{generation}")
    project.write({"mine.txt": "mine\n"})
    project.commit("Mine")
    if way != "rebase":
        project.git("merge", "--quiet", "--squash", generation)
        project.git("commit", "--quiet", "-m", f"All\n\n{bodies}")
        project.git("update-ref", f"refs/heads/{generation}", f"{generation}~3")
    else:
        project.git("cherry-pick", f"{generation}~3..{generation}")
        project.git("update-ref", f"refs/heads/{generation}", f"{generation}~3")
    if way == "shallow":  # cut off after the commit that has the work
        project.git("commit", "--quiet", "--allow-empty", "-m", "More")
        clone = project.directory / "clone"
        project.git("clone", "--quiet", "--depth=1", "--branch=main", f"file://{project.path}", str(clone))
        store = (project.path / ".beads" / "issues.jsonl").read_text()
        source, project.path = project.path, clone
        for key, value in (("user.name", "Test"), ("user.email", "test@example.invalid")):
            project.git("config", key, value)
        specs = [f"+{refs}:{refs}" for refs in (f"refs/heads/{generation}", "refs/cobbler/*", "refs/tags/*")]
        project.git("fetch", "--quiet", "--depth=1", "origin", *specs)
        seed(project)
        refused = resume(project)
        assert refused.ret == pytest.ExitCode.USAGE_ERROR
        refused.stderr.fnmatch_lines(
            [f"ERROR: the history of branch {generation} is cut off: *", "*git fetch --unshallow*"]
        )
        project.git("fetch", "--quiet", "--depth=2", "origin", specs[0])
        (project.path / ".beads" / "issues.jsonl").write_text(store)
        assert source != project.path
    result = resume(project)
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED, result.errlines
    result.stdout.no_fnmatch_line("*LOST*")


def test_after_the_tracker_was_restored_from_an_older_state_landed_tasks_are_closed_and_not_paid_again(
    project: Project,
) -> None:
    commits = {landed.task: landed.commit[:12] for landed in project.landed()}
    seed(project, task("t-1"), task("t-2", "t-1"), task("t-3", "t-2"))
    plan = resume(project, "--collect-only")
    plan.stdout.no_fnmatch_line("*stitch::t-*")
    result = resume(project)
    result.stdout.fnmatch_lines(
        [
            f"recovered: closed {name}, which had landed in {commits[name]}, unknown to the tracker"
            for name in commits
        ]
    )
    assert statuses(project) == dict.fromkeys(("t-1", "t-2", "t-3"), "closed")
    assert asked(project) == ["t-1", "t-2", "t-3"]


KILLED_BEFORE_A_CLOSE = """\
import os, signal
from pytest_cobbler.tracker.embedded import EmbeddedTracker

EmbeddedTracker.close = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_while_a_restored_tracker_is_repaired_lets_no_task_be_paid_again(
    project: Project, tmp_path: Path
) -> None:
    seed(project, task("t-1"), task("t-2", "t-1"), task("t-3", "t-2"))
    (tmp_path / "kills.py").write_text(KILLED_BEFORE_A_CLOSE)
    killed = project.run("--cobbler-resume", "-p", "kills", env={"PYTHONPATH": str(tmp_path)})
    assert killed.ret == -signal.SIGKILL
    resume(project)
    assert statuses(project) == dict.fromkeys(("t-1", "t-2", "t-3"), "closed")
    assert asked(project) == ["t-1", "t-2", "t-3"]


NO_CLAIM = """\
from pytest_cobbler.errors import TrackerError
from pytest_cobbler.tracker.embedded import EmbeddedTracker

def fail(*_):
    raise TrackerError("the disk is full")

EmbeddedTracker.claim = fail
"""


def test_a_restored_tracker_that_cannot_be_repaired_ends_the_run_before_a_task_is_paid_again(
    project: Project, tmp_path: Path
) -> None:
    seed(project, task("t-1"))
    (tmp_path / "no_claim.py").write_text(NO_CLAIM)
    result = project.run("--cobbler-resume", "-p", "no_claim", env={"PYTHONPATH": str(tmp_path)})
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: the disk is full"])


def test_a_landing_that_a_restored_tracker_cannot_close_yet_is_not_paid_again(project: Project) -> None:
    store = project.path / ".beads" / "issues.jsonl"
    first, *_ = (json.loads(line) for line in store.read_text().splitlines())
    assert first.pop("close_reason").startswith("landed in ")
    seed(project, {**first, "status": "open"}, task("t-2", "t-1"), task("t-3", "t-2"))
    project.agent.task("t-1").runs(f"echo t-1 >>{project.directory / 'asked'}; echo 2 >t-1.txt")
    result = resume(project)
    result.stdout.fnmatch_lines(["recovered: left t-2 in progress, its run has ended: *blocked by t-1*"])
    assert words(result) == {"stitch::t-1": "LANDED"}, "a person has opened it again"
    resume(project)
    assert statuses(project) == dict.fromkeys(("t-1", "t-2", "t-3"), "closed")
    assert asked(project) == ["t-1", "t-2", "t-3", "t-1"]


NO_COMMENT = """\
from pytest_cobbler.errors import TrackerError
from pytest_cobbler.tracker.embedded import EmbeddedTracker

def fail(*_):
    raise TrackerError("the disk is full")

EmbeddedTracker.comment = fail
"""


def test_a_task_whose_record_could_not_be_written_can_be_opened_again_by_a_person(
    project: Project, tmp_path: Path
) -> None:
    """Closed without its record, it would be taken for one that a restored tracker does not know."""
    add(project, "t-4")
    (tmp_path / "no_comment.py").write_text(NO_COMMENT)
    result = project.run("--cobbler-resume", "-p", "no_comment", env={"PYTHONPATH": str(tmp_path)})
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["TRACKER: close t-4: the disk is full"])
    assert statuses(project)["t-4"] == "in_progress"
    resume(project).stdout.fnmatch_lines(["recovered: closed t-4, which had landed in *"])

    store = project.path / ".beads" / "issues.jsonl"
    *others, last = (json.loads(line) for line in store.read_text().splitlines())
    seed(project, *others, {**last, "status": "open"})
    project.agent.task("t-4").writes("t-4.txt", "again\n")
    assert words(resume(project)) == {"stitch::t-4": "LANDED"}


def test_a_branch_that_is_checked_out_during_a_run_ends_the_landings_with_that_cause(
    project: Project,
) -> None:
    for name in ("t-4", "t-5", "t-6"):
        add(project, name)
    project.configure(jobs=1)
    aside = project.directory / "aside"
    checkout = f"git -C {project.path} worktree add --quiet {aside} {project.generation}"
    project.agent.task("t-4").runs(f"{checkout}; echo 1 >t-4.txt")
    result = resume(project)
    assert words(result)["stitch::t-4"] == "FAILED"
    assert result.ret == pytest.ExitCode.INTERRUPTED, "landings stop, so no further agent starts"
    assert set(words(result).values()) == {"FAILED", "CANCELLED"}
    assert "t-6" not in asked(project), "one more agent may have started before the landing"
    result.stdout.fnmatch_lines(
        [
            f"*landing: branch {project.generation} is checked out in {aside}, "
            "and landings would change its files*"
        ]
    )
    project.git("worktree", "remove", str(aside))
    assert words(resume(project)) == {f"stitch::{name}": "LANDED" for name in ("t-4", "t-5", "t-6")}
    assert sorted(asked(project)) == ["t-1", "t-2", "t-3", "t-5", "t-6"], "kept work landed without an agent"
