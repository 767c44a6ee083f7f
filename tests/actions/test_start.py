"""``--cobbler-start``, and the start within ``--cobbler-generate``: what it makes, what it leaves alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project
from tests.support.generations import NAME, everything, refs
from tests.support.sessions import WRITES_A_FILE, came_to, seed, task

BOTH = pytest.mark.parametrize("action", ["--cobbler-start", "--cobbler-generate"])


@BOTH
def test_a_start_does_not_change_the_checkout(project: Project, action: str) -> None:
    """With changes of every kind in it, and hooks that would tell if git ran them."""
    told = project.directory / "told"
    for hook in ("post-checkout", "pre-commit", "post-commit", "reference-transaction", "post-index-change"):
        project.write({f".git/hooks/{hook}": f"#!/bin/sh\necho {hook} >>{told}\n"})
        (project.path / ".git" / "hooks" / hook).chmod(0o755)
    project.write({"staged.txt": "staged\n", "README.md": "changed\n", "untracked.txt": "x\n"})
    project.git("add", "staged.txt")
    told.unlink(missing_ok=True)
    before = everything(project)
    assert project.run(action).ret == 0
    assert project.generation
    assert everything(project) == before
    assert not told.exists()


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    return cobbler_project


@pytest.mark.quick
def test_a_start_makes_a_branch_with_one_commit_and_a_tag(project: Project) -> None:
    base = project.git("rev-parse", "main").strip()
    result = project.run("--cobbler-start")
    assert result.ret == 0
    name = project.generation or ""
    assert re.fullmatch(NAME, name)
    assert result.outlines == [f"Started {name} from main ({base[:12]}).", "Next: pytest --cobbler-generate"]
    assert refs(project) == {
        "refs/heads/main": base,
        f"refs/heads/{name}": project.git("rev-parse", name).strip(),
        f"refs/tags/{name}-start": base,
    }
    form = "--format=%P%n%an <%ae>%n%cn%n%B"
    assert project.git("log", "-1", form, name).strip().splitlines() == [
        base,
        "Test <test@example.invalid>",
        "Test",
        f"Start generation: {name}",
        "",
        f"Cobbler-Generation: {name}",
        "Cobbler-Base: main",
    ]
    assert project.git("diff", "--stat", "main", name) == ""


def test_generate_continues_the_started_generation(project: Project) -> None:
    project.run("--cobbler-start")
    name = project.generation
    result = project.run("--cobbler-generate")
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"cobbler: {name} on main"])
    assert set(refs(project)) == {"refs/heads/main", f"refs/heads/{name}", f"refs/tags/{name}-start"}


@BOTH
def test_a_generation_starts_from_the_configured_base_branch(project: Project, action: str) -> None:
    project.configure(base_branch="release")
    project.git("branch", "release")
    project.write({"later.txt": ""})
    project.commit("Only on main")
    project.git("checkout", "--quiet", "--detach")
    assert project.run(action).ret == 0
    assert project.git("rev-parse", f"{project.generation}^") == project.git("rev-parse", "release")
    assert "Cobbler-Base: release" in project.git("log", "-1", "--format=%B", project.generation or "")


@pytest.mark.parametrize(
    ("action", "base", "cause", "remedy"),
    [
        (
            "--cobbler-start",
            None,
            "HEAD is detached, so there is no branch to start from",
            "Check out a branch, or set base_branch.",
        ),
        (
            "--cobbler-generate",
            "gone",
            "there is no branch gone to start from",
            "Set base_branch to an existing branch.",
        ),
    ],
)
def test_without_a_base_nothing_is_started(
    project: Project, action: str, base: str | None, cause: str, remedy: str
) -> None:
    project.configure(base_branch=base)
    project.git("checkout", "--quiet", "--detach")
    result = project.run(action)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert [line for line in result.errlines if line] == [f"ERROR: {cause}", remedy]
    assert set(refs(project)) == {"refs/heads/main"}


def test_seed_files_are_written_with_their_placeholders_filled_in(project: Project) -> None:
    project.write({"templates/version.txt": "{{.Version}} of {{ .ModulePath }}, {{.Other}}\n"})
    project.configure(module_path="calculator", seed_files={"src/version.txt": "templates/version.txt"})
    assert project.run("--cobbler-start").ret == 0
    name = project.generation or ""
    assert project.files(name)["src/version.txt"] == f"{name} of calculator, {{{{.Other}}}}\n"
    assert project.git("diff", "--name-only", "main", name) == "src/version.txt\n"
    assert not (project.path / "src").exists()


def test_a_start_names_uncommitted_files_which_agents_do_not_see(project: Project) -> None:
    project.write({".gitignore": "*.log\n", "old name.txt": "", "gone.txt": ""})
    project.commit("More files")
    project.git("mv", "old name.txt", "new name.txt")
    (project.path / "gone.txt").unlink()
    project.write({"README.md": "edited\n", "caf\u00e9/one.py": "", "a\nb": "", "run.log": ""})
    seed(project, task("p-a"))
    (project.path / ".beads" / ".gitignore").unlink()
    result = project.run("--cobbler-start")
    names = "README.md, gone.txt, new name.txt, old name.txt, a\\nb, caf\u00e9/"
    assert result.outlines[1] == f"Not committed, so agents do not see it: {names}"
    for number in range(8):
        project.write({f"many-{number}.txt": ""})
    assert project.run("--cobbler-start").outlines[1].endswith(" and 4 more")


def test_sources_are_reset_only_if_configured_and_only_in_the_source_directories(project: Project) -> None:
    project.python_sample()
    project.write({"tools/release.py": "", "calculator/data.txt": "data\n", "tests/data.json": "{}\n"})
    project.commit("More files")
    project.configure(source_dirs=["calculator", "tests"])
    assert project.run("--cobbler-start").ret == 0
    assert project.git("diff", "--name-only", "main", project.generation or "") == ""

    project.git("branch", "--quiet", "-D", project.generation or "")
    project.configure(reset_sources=True)
    assert project.run("--cobbler-start").ret == 0
    assert project.git("diff", "--name-status", "main", project.generation or "").splitlines() == [
        "D\tcalculator/__init__.py",
        "D\ttests/test_add.py",
    ]
    assert (project.path / "calculator" / "__init__.py").exists()


def test_tasks_of_the_base_count_as_finished_unless_sources_are_reset(
    project: Project, cobbler_agent: StandInAgent
) -> None:
    cobbler_agent.otherwise().runs(WRITES_A_FILE)
    seed(project, task("p-a"))
    project.run("--cobbler-generate", "-k", "p-a")
    project.git("merge", "--quiet", project.generation or "")
    project.git("branch", "--quiet", "-D", project.generation or "")
    seed(project, task("p-a", status="in_progress"), task("p-b", "p-a"))
    result = project.run("--cobbler-generate", "--cobbler-cycles=0")
    assert came_to(result) == {"stitch::p-b": "landed"}


def test_a_generation_can_start_in_a_linked_work_tree(project: Project, cobbler_agent: StandInAgent) -> None:
    project.git("worktree", "add", "--quiet", "-b", "mine", "../linked")
    before = everything(project)
    project.path = project.directory / "linked"
    cobbler_agent.otherwise().runs(WRITES_A_FILE)
    seed(project, task("p-a"))
    result = project.run("--cobbler-generate", "-k", "p-a")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["cobbler: generation-* on mine (started now)"])
    assert [landed.task for landed in project.landed()] == ["p-a"]
    project.path = project.directory / "project"
    assert everything(project) == before


def test_two_generations_without_a_choice_are_an_error_that_names_both(project: Project) -> None:
    assert project.run("--cobbler-start").ret == 0
    first = project.generation or ""
    result = project.run("--cobbler-start")
    second = project.generation or ""
    assert (result.ret, first < second) == (0, True)
    assert result.outlines[1:] == [
        f"Active generations: {first}, {second}.",
        f"Choose the one to work on: pytest --cobbler-switch {second}",
    ]
    result = project.run("--cobbler-generate")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [f"ERROR: several generations are active: {first}, {second}", "*generation_branch: NAME"]
    )
    project.configure(generation_branch=first)
    result = project.run("--cobbler-generate")
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"cobbler: {first} on main"])
    project.configure(generation_branch="generation-1999-01-01-00-00-00")
    result = project.run("--cobbler-generate", "--collect-only")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: generation_branch: no branch generation-1999-*", f"*{first}, {second}*"]
    )


class TestWhereThereIsNothingToStartFrom:
    """The first line says what is wrong and the second what to do."""

    def test_a_directory_without_a_repository_is_an_error(self, project: Project) -> None:
        (project.path / ".git").rename(project.directory / "elsewhere")
        self.assert_refused(
            project, "--cobbler-start", "*project is not in a git repository", "Make one: git init*"
        )

    def test_a_repository_without_a_commit_is_an_error(self, project: Project) -> None:
        project.git("update-ref", "-d", "refs/heads/main")
        self.assert_refused(
            project, "--cobbler-generate", "*project has no commit yet", "Commit something: git add*"
        )

    def test_a_configuration_below_the_top_starts_a_generation_of_its_directory(
        self, project: Project
    ) -> None:
        project.write({"sub/configuration.yaml": (project.path / "configuration.yaml").read_bytes()})
        result = project.run("--cobbler-start", "--rootdir=sub", "sub/configuration.yaml")
        assert result.ret == 0
        result.stdout.fnmatch_lines(["Started sub-generation-* from main *"])
        [branch] = project.git("for-each-ref", "--format=%(refname)", "refs/heads/sub-*").split()
        assert "\nCobbler-Directory: sub\n" in project.git("log", "-1", "--format=%B", branch)

    def test_a_user_without_a_name_is_an_error(self, project: Project, tmp_path: Path) -> None:
        project.git("config", "--unset", "user.email")
        result = project.run(
            "--cobbler-generate", env={"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
        )
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(
            ["ERROR: git user.email is not set*", "Set it: git config --global user.email*"]
        )
        assert project.generation is None

    def assert_refused(self, project: Project, action: str, cause: str, remedy: str) -> None:
        result = project.run(action)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([f"ERROR: {cause}", remedy])


def test_a_start_during_a_run_is_refused(project: Project, cobbler_agent: StandInAgent) -> None:
    at_work = cobbler_agent.directory / "at-work"
    cobbler_agent.task("p-a").runs(f"touch {at_work}; sleep 60")
    seed(project, task("p-a"))
    running = project.start("--cobbler-generate")
    running.wait_until(at_work.exists)
    for action in ("--cobbler-start", "--cobbler-generate"):
        result = project.run(action)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(
            [
                f"ERROR: *pytest --cobbler-generate, process {running.pid} on *",
                "Wait until that run has ended*",
            ]
        )
    looking = project.run("--cobbler-generate", "--collect-only")
    assert looking.ret in (0, pytest.ExitCode.NO_TESTS_COLLECTED)
