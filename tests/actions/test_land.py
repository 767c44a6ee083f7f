"""``--cobbler-land``: a person's branch lands as the work of an agent does, or is refused with a reason."""

from __future__ import annotations

import json
import signal

import pytest

from pytest_cobbler.testing.invariants import CheckoutState, check
from pytest_cobbler.testing.project import Project, RunResult

GATE = ["sh", "-c", "! test -e broken || { echo 'error: it is broken'; exit 1; }"]


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    """A project with a generation, and a branch with nothing of its own."""
    cobbler_project.configure(test_command=GATE, protected_paths=["secure"])
    assert cobbler_project.run("--cobbler-start").ret == 0
    cobbler_project.git("branch", "login")
    return cobbler_project


def commit_on(project: Project, branch: str, files: dict[str, str], message: str = "Work") -> str:
    """Commit files on a branch by another author, and return to main; the id of the commit."""
    project.git("switch", "--quiet", branch)
    project.write(files)
    project.git("add", "--all")
    author = "--author=Jane <jane@example.invalid>"
    project.git("commit", "--quiet", "--allow-empty", author, "--message", message)
    commit = project.git("rev-parse", "HEAD").strip()
    project.git("switch", "--quiet", "main")
    return commit


def tip(project: Project) -> str:
    assert project.generation
    return project.git("rev-parse", project.generation).strip()


def land(project: Project, *options: str) -> RunResult:
    return project.run("--cobbler-land", "login", *options)


@pytest.mark.slow
def test_a_branch_lands_with_its_commits_and_the_checkout_stays(project: Project) -> None:
    before = tip(project)
    project.write({"secure/key": "of the base\n"})
    project.commit("Change the base")
    project.git("branch", "--force", "login", "main")
    commit_on(project, "login", {"one.txt": "1\n"}, "Add one")
    head = commit_on(project, "login", {"two.txt": "2\n"}, "Add two")
    project.write({"README.md": "# Edited\n", "new.txt": "new\n"})
    checkout = CheckoutState.of(project)

    result = land(project)
    landed = tip(project)
    assert result.ret == 0, result.outlines
    assert result.outlines[-3:] == [
        f"LANDED login, with 2 commits, on {project.generation}: {landed[:12]}",
        "tests: what ran is unknown",
        f"report: {project.path}/.cobbler/{project.generation}/report.html",
    ]
    assert project.git("rev-parse", f"{landed}^1", f"{landed}^2").split() == [before, head]
    assert {"one.txt", "two.txt", "secure/key"} <= project.files(landed).keys()
    assert project.git("log", "-2", "--format=%an %s", head).splitlines() == ["Jane Add two", "Jane Add one"]
    (commit,) = project.landed()
    assert (commit.task, commit.title) == ("branch.login", "Merge branch 'login'")
    assert (commit.trailers["Cobbler-Branch"], commit.trailers["Cobbler-Attempt"]) == ("login", "1")
    assert "Assisted-by" not in commit.trailers
    assert "* Add one (Jane)\n* Add two (Jane)\n" in project.git("show", "-s", "--format=%b", landed)
    note = json.loads(project.git("notes", "--ref=cobbler", "show", landed))
    dependencies = note["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert {"name": "branch", "digest": {"gitCommit": head}} in dependencies
    assert "prompt" not in {one["name"] for one in dependencies}
    assert check(project, before=checkout) == []

    again = land(project)
    assert again.ret == pytest.ExitCode.USAGE_ERROR
    assert again.errlines[:2] == [
        f"ERROR: --cobbler-land: login has landed already: {project.generation} has its commit {head[:12]}",
        "Commit to it, or name another branch.",
    ]
    project.git("stash", "--include-untracked", "--quiet")
    nothing = project.run("--cobbler-verify", "-k", "no-such-name")
    nothing.stdout.fnmatch_lines(["1 commit to verify, 0 verified"])
    verified = project.run("--cobbler-verify", "-k", "branch.login")
    verified.assert_outcomes(passed=1)
    document = json.loads((project.path / f".cobbler/{project.generation}/report.json").read_text("utf-8"))
    (part,) = document["tasks"]
    assert (part["id"], part["outcome"], part["commit"]) == ("branch.login", "landed", landed)
    assert project.run("--cobbler-list").ret == 0
    project.run("--cobbler-stats").stdout.fnmatch_lines(["  branch.login Merge branch 'login' * +3 -0"])
    assert project.run("--cobbler-stop").ret == 0
    assert {"one.txt", "two.txt"} <= project.files("main").keys()


def test_a_protected_path_is_refused_unless_forced(project: Project) -> None:
    before = tip(project)
    root = project.git("rev-list", "--max-parents=0", "main").strip()
    project.git("branch", "--force", "login", root)
    commit_on(project, "login", {"secure/door": "open\n", "free.txt": "1\n"})
    result = land(project)
    assert (result.ret, tip(project)) == (1, before)
    result.stdout.fnmatch_lines(
        [
            "FAILED login: refused after the merge: secure/door: a protected path (protected_paths)",
            "To land it in spite of that: pytest --cobbler-land login --cobbler-force",
        ]
    )
    assert land(project, "--cobbler-force").ret == 0
    assert project.files()["secure/door"] == "open\n"
    (commit,) = project.landed()
    commit_on(project, "login", {"more.txt": "1\n"})
    assert land(project, "--cobbler-force").ret == 0
    assert check(project) == []
    assert (commit.trailers["Cobbler-Attempt"], commit.trailers["Cobbler-Cost-USD"]) == ("2", "0.000000")
    refused = "secure/door: a protected path (protected_paths)"
    project.run("--cobbler-verify").stdout.fnmatch_lines(
        [f"*: DIFFERS: a task may not do this by *: {refused}*"]
    )


@pytest.mark.slow
def test_a_red_gate_or_a_conflict_moves_nothing(project: Project) -> None:
    before = tip(project)
    head = commit_on(project, "login", {"broken": "yes\n", "README.md": "# Mine\n"})
    result = land(project)
    assert (result.ret, tip(project)) == (1, before)
    result.stdout.fnmatch_lines(
        [
            "FAILED login: gate: error: it is broken*",
            "| *error: it is broken",
            f"The whole output of the gate: {project.path}/.cobbler/*/attempts/branch.login/1/gate.log",
        ]
    )
    project.git("branch", "other", "main")
    commit_on(project, "other", {"README.md": "# Theirs\n"})
    assert project.run("--cobbler-land", "other").ret == 0
    result = land(project)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["FAILED login: conflict with the tip in README.md", f"Merge {project.generation} *"]
    )
    assert project.git("rev-parse", "login").strip() == head


def test_what_cannot_land_is_told_before_anything_starts(project: Project) -> None:
    assert project.generation
    before = project.git("for-each-ref")
    errors = {
        "nowhere": ["there is no branch nowhere", "Branches: login."],
        "": ["which branch?", "Branches: login."],
        project.generation: [f"{project.generation} is a generation", "Name a branch of your own."],
        "login": [
            "main has all of login, so it brings nothing",
            f"pytest --cobbler-stop merges {project.generation} with main.",
        ],
        "main": [
            f"main is the base of {project.generation}, whose commits need no landing",
            f"pytest --cobbler-stop merges {project.generation} with main.",
        ],
    }
    for name, lines in errors.items():
        result = project.run("--cobbler-land", *([name] if name else []))
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        assert result.errlines[:2] == [f"ERROR: --cobbler-land: {lines[0]}", lines[1]]
    assert project.git("for-each-ref") == before

    project.git("switch", "--quiet", "--orphan", "alone")
    project.commit("Alone")
    project.git("switch", "--quiet", "main")
    result = project.run("--cobbler-land", "alone")
    assert result.errlines[0].endswith(f"alone and {project.generation} have no commit in common")
    head = commit_on(project, "login", {}, "Work\n\nCobbler-Task: p-1")
    result = land(project)
    assert f"trailer such as Cobbler-Task in the message: {head[:12]}" in result.errlines[0]
    assert tip(project) in before
    assert not (project.path / ".cobbler").exists()

    project.run("--cobbler-reset")
    assert land(project).errlines[0] == "ERROR: no generation is active"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ended_by", "status"), [(signal.SIGKILL, -9), (signal.SIGTERM, 2)], ids=["killed", "ended"]
)
def test_a_landing_that_is_ended_in_the_gate_begins_anew(
    project: Project, ended_by: signal.Signals, status: int
) -> None:
    waits = "test -e ../go || { touch ../here; sleep 60; }"
    project.configure(test_command=["sh", "-c", waits.replace("../", f"{project.directory}/")])
    before = tip(project)
    commit_on(project, "login", {"one.txt": "1\n"})
    running = project.start("--cobbler-land", "login")
    running.wait_until((project.directory / "here").exists)
    if ended_by is signal.SIGKILL:
        running.kill()
    else:
        running.send_signal(ended_by)
    result = running.wait()
    assert (result.ret, tip(project)) == (status, before)
    (project.directory / "go").touch()
    assert land(project).ret == 0
    assert "one.txt" in project.files()
    assert [commit.task for commit in project.landed()] == ["branch.login"]
