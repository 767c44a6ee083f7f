"""A tracker that was there before, as a whole session meets it: what is another user's stays as it is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from pytest_cobbler.testing.invariants import CheckoutState
from pytest_cobbler.testing.project import Project
from tests.support.sessions import WRITES_A_FILE, came_to, ids_landed, statuses
from tests.support.stores import BdStore, edge, issue, lines

TASKS = [
    issue("proj-free"),
    issue("proj-first"),
    issue("proj-after", dependencies=[edge("proj-after", "proj-first")]),
    issue("proj-either", dependencies=[edge("proj-either", "proj-first", "conditional-blocks")]),
    issue("proj-epic.1", dependencies=[edge("proj-epic.1", "proj-epic", "parent-child")]),
    issue("proj-related", dependencies=[edge("proj-related", "proj-bug", "related")]),
    issue("proj-found", dependencies=[edge("proj-found", "proj-bug", "discovered-from")]),
    issue("proj-gathers", dependencies=[edge("proj-gathers", "proj-epic", "waits-for")]),
]
"""Those that a session can do, in an order in which it may."""

OTHERS = [
    issue("proj-epic", issue_type="epic", dependencies=[edge("proj-epic", "proj-first")]),
    issue("proj-bug", issue_type="bug"),
    issue("proj-trial", issue_type="experiment", labels=["ours"]),
    issue("proj-gate", issue_type="gate"),
    issue("proj-janes", assignee="jane", status="in_progress"),
    issue("proj-hers", assignee="jane"),
    issue("proj-later", status="deferred"),
    issue("proj-review", status="review"),
    issue("proj-done", status="closed", close_reason="by hand"),
    issue("proj-gated", dependencies=[edge("proj-gated", "proj-gate")]),
    issue("proj-bugged", dependencies=[edge("proj-bugged", "proj-bug")]),
    issue("proj-theme", issue_type="epic", dependencies=[edge("proj-theme", "proj-janes")]),
    issue("proj-theme.1", dependencies=[edge("proj-theme.1", "proj-theme", "parent-child")]),
    issue("proj-whole", dependencies=[edge("proj-whole", "proj-theme", "waits-for")]),
]


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    cobbler_project.agent.otherwise().runs(WRITES_A_FILE)
    cobbler_project.configure(tracker="auto", max_issues=20, cycles=0)
    return cobbler_project


@pytest.fixture
def store(project: Project, bd_program: Path, bd_template: Path) -> BdStore:
    """A store of the real bd in the project, where the one of the template is."""
    return BdStore(project.path, bd_program, bd_template)


def test_only_the_free_tasks_of_a_team_are_done(project: Project, store: BdStore) -> None:
    store.bd("config", "set", "status.custom", "review")
    store.bd("config", "set", "types.custom", "experiment")
    store.seed(*TASKS, *OTHERS)
    store.bd("create", "A wisp", "--ephemeral")
    before = store.records()

    result = project.run("--cobbler-generate")

    assert result.ret == 0, "\n".join(result.outlines)
    assert came_to(result) == {f"stitch::{task['id']}": "landed" for task in TASKS}
    landed = ids_landed(project)
    for task in ("proj-after", "proj-either", "proj-epic.1"):
        assert landed.index("proj-first") < landed.index(task)
    assert landed.index("proj-epic.1") < landed.index("proj-gathers")
    after = store.records()
    assert {name for name in after if after[name]["status"] == "closed"} == {*landed, "proj-done"}
    assert [name for name in after if after[name] != before[name]] == sorted(landed)
    result.stdout.fnmatch_lines(["waiting: proj-theme.1: waits for proj-janes"])


@pytest.mark.parametrize("kind", ["embedded", "bd"])
def test_issues_tracked_by_git_are_changed_only_on_the_host(
    project: Project, kind: str, request: pytest.FixtureRequest
) -> None:
    issues = ".beads/issues.jsonl"
    project.write({issues: lines([issue("proj-a"), issue("proj-b")])})
    project.write({".beads/.gitignore": ".jsonl.lock\n.issues.jsonl.tmp\n"})  # as docs/tracker.md says
    if kind == "bd":
        request.getfixturevalue("in_git")
    project.commit("Keep the issues in git")
    project.agent.task("proj-b").runs(f"echo >>{issues}; echo >file")
    project.configure(max_attempts=1)
    head, mine = project.git("rev-parse", "HEAD"), CheckoutState.of(project)

    result = project.run("--cobbler-generate")

    assert came_to(result) == {"stitch::proj-a": "landed", "stitch::proj-b": "failed"}
    assert f"refused: {issues}: a protected path" in result.stdout.str()
    assert statuses(project) == {"proj-a": "closed", "proj-b": "open"}
    changed = project.git("diff", "--name-only", head.strip(), project.generation or "").split()
    assert changed == ["proj-a.txt"]
    now = CheckoutState.of(project)
    assert (now.head, now.index, now.refs, now.files) == (mine.head, mine.index, mine.refs, mine.files)
    touched = {line.split(" ", 8)[-1] for line in now.status.split("\0") if line}
    assert touched <= {issues}


@pytest.fixture
def in_git(project: Project, bd_template: Path, bd_program: Path) -> None:
    """A store of bd, of which git has what it has at bd's users."""
    issues = project.path / ".beads" / "issues.jsonl"
    kept = issues.read_text()
    issues.unlink()
    found = BdStore(project.path, bd_program)
    shutil.copytree(bd_template / ".beads", project.path / ".beads", dirs_exist_ok=True)
    ignored = project.path / ".beads" / ".gitignore"
    ignored.write_text(ignored.read_text().removesuffix("*\n"))
    issues.write_text(kept)
    found.bd("import", str(issues))


def test_a_tracker_directory_of_another_name_is_hidden_from_agents_too(project: Project) -> None:
    project.write({"issues/issues.jsonl": lines([issue("proj-a")])})
    project.configure(beads_dir="issues", max_attempts=1)
    project.agent.task("proj-a").appends("issues/issues.jsonl", "\n")
    result = project.run("--cobbler-generate")
    assert result.ret == 1
    assert "refused: issues/issues.jsonl: a protected path" in result.stdout.str()


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("", "bd is not on PATH"),
        ("0.49.6", "bd 0.49.6 is too old: 1.0.5 or later is needed"),
        ("1.2.1", "bd 1.2.1 was retracted by its makers"),
        ("1.3.0", "bd did not list the tasks: Error: database schema is newer than this bd"),
    ],
)
def test_an_unusable_bd_ends_the_run_before_it_starts(
    project: Project, tmp_path: Path, version: str, said: str
) -> None:
    (project.path / ".beads" / "embeddeddolt" / "proj" / ".dolt").mkdir(parents=True)
    path = os.environ["PATH"].split(":")
    path = [str(tmp_path), *(place for place in path if not (Path(place) / "bd").exists())]
    if version:
        program = tmp_path / "bd"
        program.write_text(
            f"""#!/bin/sh
            if [ "$1" = version ]; then echo '{{"version": "{version}"}}'; exit; fi
            echo 'Error: database schema is newer than this bd' >&2; exit 1"""
        )
        program.chmod(0o755)
    for more in ([], ["--collect-only"]):
        result = project.run("--cobbler-generate", *more, env={"PATH": ":".join(path)})
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        assert said in result.stderr.str()
        assert "brew" in result.stderr.str() or "`bd doctor`" in result.stderr.str()
    assert project.generation is None
