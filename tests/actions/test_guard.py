"""Which checkouts are not a place to run pytest from, because pytest imports their conftest.py."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_cobbler.errors import CobblerError
from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project

CONFTEST = "raise RuntimeError('it was imported')"


# An agent's conftest.py: it leaves a mark beside itself when it is imported.
TRAP = "import pathlib; pathlib.Path(__file__).with_name('imported').touch()\n"


@pytest.fixture(scope="module")
def trapped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A repository in which one conftest.py of an agent landed and another was kept; to be copied."""
    directory = tmp_path_factory.mktemp("trapped")
    agent = StandInAgent(directory / "agent")
    agent.measure().writes_tasks([{"title": "Land"}, {"title": "Fail"}])
    agent.task("Land").writes("conftest.py", TRAP)
    agent.task("Fail").writes("conftest.py", f"{TRAP}# other\n").writes("bad", "")
    with Project.create(directory / "project", agent) as project:
        project.configure(allow_paths=["conftest.py"], test_command="test ! -e bad", max_attempts=1)
        project.run("--cobbler-generate")
        assert len(project.landed()) == 1
        assert attempt_of(project)
        yield project.path


def attempt_of(project: Project) -> str:
    return project.git("for-each-ref", "--format=%(refname)", "refs/cobbler/attempts").strip()


@pytest.fixture
def trap(cobbler_project: Project, trapped: Path) -> Project:
    shutil.rmtree(cobbler_project.path)
    shutil.copytree(trapped, cobbler_project.path)
    return cobbler_project


def assert_refused(project: Project, message: str = "ERROR: HEAD holds *, an agent's commit*") -> None:
    """An ordinary run imports the agent's conftest.py here, and one of ours refuses before it does."""
    mark = project.path / "imported"
    project.run("--collect-only")
    assert mark.exists()
    mark.unlink()
    result = project.run("--cobbler-list")
    assert result.ret == 4
    result.stderr.fnmatch_lines([message, "*git switch main*"])
    assert not mark.exists()


def assert_trusted(project: Project) -> None:
    result = project.run("--cobbler-list")
    assert result.ret == 0, result.stderr.str()
    assert (project.path / "imported").exists()


def clone(project: Project, *options: str) -> None:
    """Replace the repository by a clone of it."""
    origin = project.directory / "origin"
    project.git("clone", "--quiet", *options, project.path.as_uri(), str(origin))
    shutil.rmtree(project.path)
    origin.rename(project.path)


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A repository with one landed task, which is not merged; to be copied."""
    directory = tmp_path_factory.mktemp("generated")
    agent = StandInAgent(directory / "agent")
    agent.measure().writes_tasks([{"title": "Add a file"}])
    agent.task("Add a file").writes("file.txt", "text\n")
    with Project.create(directory / "project", agent) as project:
        assert project.run("--cobbler-generate").ret == 0
        assert project.landed()
        yield project.path


@pytest.fixture
def project(cobbler_project: Project, generated: Path) -> Project:
    shutil.rmtree(cobbler_project.path)
    shutil.copytree(generated, cobbler_project.path)
    return cobbler_project


@pytest.mark.parametrize("action", ["--cobbler-generate", "--cobbler-start"])
def test_a_checkout_of_a_generation_is_refused(project: Project, action: str) -> None:
    project.git("switch", "--quiet", project.generation or "")
    project.write({"conftest.py": CONFTEST})
    result = project.run(action)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: generation-* is checked out*", "*git switch main*"])
    result.stderr.no_fnmatch_line("*it was imported*")


def test_a_branch_with_unmerged_work_is_refused(project: Project) -> None:
    project.git("switch", "--quiet", "--create", "copy", f"{project.generation}")
    project.write({"conftest.py": CONFTEST})
    result = project.run("--cobbler-generate")
    assert result.ret == 4
    result.stderr.no_fnmatch_line("*it was imported*")


def test_a_detached_head_that_holds_unmerged_work_is_refused(project: Project) -> None:
    project.git("switch", "--quiet", "--detach", project.generation or "")
    result = project.run("--cobbler-start")
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        ["ERROR: HEAD holds *, an agent's commit that was not merged*", "*switch main*"]
    )


def test_a_file_argument_in_another_work_tree_with_unmerged_work_is_refused(project: Project) -> None:
    project.git("worktree", "add", "--quiet", "../elsewhere", project.generation or "")
    (project.directory / "elsewhere" / "conftest.py").write_text(CONFTEST)
    for argument in ("../elsewhere/configuration.yaml::stitch", "../elsewhere"):
        result = project.run("--cobbler-generate", argument)
        assert result.ret == 4
        result.stderr.fnmatch_lines(["ERROR: generation-* is checked out*"])
        result.stderr.no_fnmatch_line("*it was imported*")


class TestEveryWayToHoldAnAgentsCommit:
    def test_a_generation(self, trap: Project) -> None:
        trap.git("switch", "--quiet", trap.generation or "")
        assert_refused(trap, "ERROR: generation-* is checked out*")

    def test_a_kept_attempt(self, trap: Project) -> None:
        trap.git("checkout", "--quiet", attempt_of(trap))
        assert_refused(trap)

    def test_a_branch_of_a_kept_attempt_alone(self, trap: Project) -> None:
        trap.git("switch", "--quiet", "--create", "kept", "main")
        trap.git("cherry-pick", attempt_of(trap))
        assert_refused(trap)

    def test_a_cherry_pick(self, trap: Project) -> None:
        trap.git("switch", "--quiet", "--create", "picked", "main")
        trap.git("cherry-pick", trap.landed()[0].commit)
        assert_refused(trap)

    def test_a_cherry_pick_that_conflicts(self, trap: Project) -> None:
        commit = trap.landed()[0].commit
        trap.git("switch", "--quiet", "--create", "picked", "main")
        trap.write({"conftest.py": "# ours\n"})
        trap.commit("Ours")
        with pytest.raises(CobblerError):
            trap.git("cherry-pick", commit)
        trap.git("checkout", "--theirs", "conftest.py")
        assert_refused(trap)

    def test_a_merge_into_another_branch(self, trap: Project) -> None:
        trap.git("switch", "--quiet", "--create", "other", "main")
        trap.commit("Other work")
        trap.git("merge", "--quiet", "--no-edit", trap.generation or "")
        assert_refused(trap)

    def test_a_merge_that_is_not_committed(self, trap: Project) -> None:
        trap.git("merge", "--quiet", "--no-ff", "--no-commit", trap.generation or "")
        assert_refused(trap)

    def test_a_detached_head(self, trap: Project) -> None:
        trap.git("switch", "--quiet", "--detach", trap.generation or "")
        assert_refused(trap)

    def test_a_worktree(self, trap: Project) -> None:
        trap.git("worktree", "add", "--quiet", "--detach", "../tree", trap.generation or "")
        trap.path.rename(trap.directory / "main")
        (trap.directory / "tree").rename(trap.path)
        trap.git(f"--git-dir={trap.directory / 'main' / '.git'}", "worktree", "repair", str(trap.path))
        assert_refused(trap)

    @pytest.mark.parametrize("branch", ["generation", "copy"])
    def test_a_shallow_clone(self, trap: Project, branch: str) -> None:
        generation = trap.generation or ""
        trap.git("branch", "copy", generation)
        clone(trap, "--depth=1", "--branch", generation if branch == "generation" else branch)
        assert_refused(trap, "ERROR: HEAD holds *, of which there is no branch here*")

    def test_a_shallow_clone_that_has_the_base(self, trap: Project) -> None:
        clone(trap, "--depth=1", "--no-single-branch", "--branch", trap.generation or "")
        assert_refused(trap)


class TestWhatTheBaseReachesIsTrusted:
    def test_a_merge(self, trap: Project) -> None:
        trap.git("merge", "--quiet", trap.generation or "")
        assert_trusted(trap)

    def test_a_branch_of_the_merged_base(self, trap: Project) -> None:
        trap.git("merge", "--quiet", trap.generation or "")
        trap.git("switch", "--quiet", "--create", "feature")
        trap.commit("More")
        assert_trusted(trap)

    @pytest.mark.parametrize("how", ["--ff-only", "--no-ff"])
    def test_a_shallow_clone_of_the_base(self, trap: Project, how: str) -> None:
        trap.git("merge", "--quiet", how, trap.generation or "")
        clone(trap, "--depth=1", "--branch=main")
        assert_trusted(trap)

    def test_a_detached_shallow_checkout_of_the_base(self, trap: Project) -> None:
        trap.git("merge", "--quiet", trap.generation or "")
        clone(trap, "--depth=1", "--branch=main")
        trap.git("switch", "--quiet", "--detach")
        trap.git("branch", "--quiet", "--delete", "--force", "main")
        assert_trusted(trap)

    def test_a_branch_without_commits_of_ours(self, trap: Project) -> None:
        assert trap.run("--cobbler-list").ret == 0

    def test_a_stop_into_a_base_that_was_deleted_since(self, cobbler_project: Project) -> None:
        project = cobbler_project
        project.git("switch", "--quiet", "--create", "feature")
        project.agent.measure().writes_tasks([{"title": "Add"}])
        project.agent.task("Add").writes("file", "")
        assert project.run("--cobbler-generate").ret == 0
        assert project.run("--cobbler-stop").ret == 0
        project.git("switch", "--quiet", "main")
        project.git("merge", "--quiet", "feature")
        project.git("branch", "--quiet", "--delete", "feature")
        assert project.run("--cobbler-list").ret == 0  # by its tags
        for tag in project.git("tag").split():
            project.git("tag", "--delete", tag)
        assert project.run("--cobbler-list").ret == 0  # by the merge

    def test_no_stop_that_the_base_has_dropped_again(self, trap: Project) -> None:
        assert trap.run("--cobbler-stop", "--cobbler-force").ret == 0
        trap.git("switch", "--quiet", "--detach", "main")
        trap.git("branch", "--quiet", "--force", "main", "HEAD^")
        assert_refused(trap)


def test_an_ordinary_run_of_pytest_is_allowed(project: Project) -> None:
    project.git("switch", "--quiet", project.generation or "")
    project.write({"test_it.py": "def test_it(): ...\n"})
    project.run("test_it.py").assert_outcomes(passed=1)


def test_merged_work_is_trusted(project: Project) -> None:
    project.git("merge", "--quiet", project.generation or "")
    assert project.run("--cobbler-start").ret == 0


def test_work_that_a_forge_squashed_into_the_base_is_trusted(project: Project) -> None:
    messages = project.git("log", "--reverse", "--format=* %s%n%n%b", f"main..{project.generation}")
    project.git("merge", "--quiet", "--squash", project.generation or "")
    project.git("commit", "--quiet", "--message", f"Generated code (#1)\n\n{messages}")
    assert project.run("--cobbler-start").ret == 0


def test_merged_work_is_trusted_if_the_base_has_only_a_remote_branch(project: Project) -> None:
    project.git("merge", "--quiet", project.generation or "")
    project.git("update-ref", "refs/remotes/origin/main", "main")
    project.git("switch", "--quiet", "--detach", "main")
    project.git("branch", "--quiet", "--delete", "--force", "main")
    result = project.run("--cobbler-generate", "--collect-only")
    result.stderr.no_fnmatch_line("*HEAD holds*")


def test_the_guard_leaves_no_file_in_the_home_directory(project: Project, tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)}
    assert project.run("--cobbler-generate", env=home).ret == 0
    assert list(tmp_path.iterdir()) == []
