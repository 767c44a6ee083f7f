"""What a generation begins without, and with: sources, the module file, seed files."""

from __future__ import annotations

import json

import pytest

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project
from tests.support.sessions import came_to, seed, statuses, task

BOTH = pytest.mark.parametrize("action", ["--cobbler-start", "--cobbler-generate"])
REQUIRES = "\ngo 1.25\n\nrequire example.com/dep v1.2.3\n"


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    return cobbler_project


def started(project: Project, action: str = "--cobbler-start") -> list[str]:
    """What the generation's first commit changes, by kind and path."""
    result = project.run(action)
    assert result.ret == 0, result.errlines
    name = project.generation or ""
    assert project.git("log", "--format=%s", f"main..{name}") == f"Start generation: {name}\n"
    return project.git("diff", "--name-status", "main", name).splitlines()


@BOTH
def test_a_go_generation_starts_without_sources(project: Project, action: str) -> None:
    """Except for magefiles_dir, vendored packages, submodules, and everything that is not a source."""
    project.write(
        {
            "go.mod": f"module old.example/calc\n{REQUIRES}",
            "go.sum": "example.com/dep v1.2.3 h1:x\n",
            "pkg/calc/calc.go": "package calc\n",
            "pkg/calc/calc_test.go": "package calc\n",
            "pkg/calc/table.txt": "1\n",
            "pkg/version/version.go": 'package version\n\nconst Version = "1"\n',
            "pkg/vendor/x/x.go": "package x\n",
            "magefiles/build.go": "package main\n",
            "tools/gen.go": "package main\n",
            "vendor/example.com/dep/dep.go": "package dep\n",
            "templates/main.go.tmpl": "// {{.Version}} of {{.ModulePath}}\npackage main\n",
        }
    )
    (project.path / "pkg" / "sub.go").mkdir()
    project.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},pkg/sub.go")
    project.git("commit", "--quiet", "--message", "A submodule")
    project.configure(
        language=None,
        module_path="example.com/calc",
        go_source_dirs=["pkg", "cmd", "magefiles"],
        seed_files={"cmd/calc/main.go": "templates/main.go.tmpl"},
        version_file="pkg/version/version.go",
    )
    before = project.git("rev-parse", "main", "HEAD"), (project.path / ".git" / "index").read_bytes()

    assert started(project, action) == [
        "A\tcmd/calc/main.go",
        "M\tgo.mod",
        "D\tpkg/calc/calc.go",
        "D\tpkg/calc/calc_test.go",
    ]
    name = project.generation or ""
    show = f"{name}:cmd/calc/main.go"
    assert project.git("show", show) == f"// {name} of example.com/calc\npackage main\n"
    assert project.git("show", f"{name}:go.mod") == f"module example.com/calc\n{REQUIRES}"
    assert "Cobbler-Reset: yes" in project.git("log", "-1", "--format=%B", name)
    assert (
        project.git("rev-parse", "main", "HEAD"),
        (project.path / ".git" / "index").read_bytes(),
    ) == before
    assert (project.path / "pkg" / "calc" / "calc.go").exists()


def test_a_go_generation_without_a_module_file_gets_one(project: Project) -> None:
    project.configure(language="go", module_path="example.com/calc", source_dirs=["."])
    assert started(project) == ["A\tgo.mod"]
    assert project.files()["go.mod"] == "module example.com/calc\n\ngo 1.24\n"


def test_a_seed_file_replaces_the_module_file_and_a_source(project: Project) -> None:
    project.go_sample()
    project.write({"seeds/go.mod": "module {{.ModulePath}}\n", "seeds/main": "package main\n"})
    seeds = {"go.mod": "seeds/go.mod", "cmd/calculator/main.go": "seeds/main"}
    project.configure(reset_sources=None, seed_files=seeds)
    started(project)
    assert project.files()["go.mod"] == "module example.com/calculator\n"
    assert project.files()["cmd/calculator/main.go"] == "package main\n"


def test_a_go_generation_keeps_its_sources_if_configured(project: Project) -> None:
    project.go_sample()
    assert started(project) == []


def test_a_go_module_that_differs_from_the_configuration_is_an_error(project: Project) -> None:
    project.go_sample()
    project.configure(language=None, source_dirs=None, main_package=None)
    for action in ("--cobbler-start", "--cobbler-generate"):
        result = project.run(action)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        assert [line for line in result.errlines if line] == [
            "ERROR: go.mod: this is a Go module, but configuration.yaml is not set up for Go",
            'source_dirs: required for Go: the directories of its sources (".": all)',
            "Or set another language: `language: python`, or `none` with your own gate.",
        ]
    assert project.generation is None


def test_an_unreadable_module_file_is_an_error_and_nothing_is_started(project: Project) -> None:
    project.go_sample()
    project.configure(reset_sources=True)
    project.write({"go.mod": "\ufeffmodule example.com/calculator\n"})
    project.commit("An editor's mark")
    for action in ("--cobbler-start", "--cobbler-generate"):
        result = project.run(action)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(
            ["ERROR: go.mod cannot be read: line 1: it begins with a byte order mark"]
        )
    assert project.generation is None


# What is finished


@pytest.mark.matrix("costly")
def test_tasks_of_earlier_generations_are_proposed_again_after_a_reset_of_sources(
    project: Project, cobbler_agent: StandInAgent
) -> None:
    project.python_sample()
    project.configure(reset_sources=True, test_command="true", build_command="true")
    cobbler_agent.otherwise().runs("echo done >>work.txt")
    seed(project, task("p-a", title="Paint the fence"), task("p-b"))
    assert project.run("--cobbler-generate", "--cobbler-cycles=0", "-k", "p-a").ret == 0
    project.git("merge", "--quiet", project.generation or "")
    project.git("branch", "--quiet", "-D", project.generation or "")
    assert statuses(project)["p-a"] == "closed"

    # Closed, it may be proposed again, and is not told to be done.
    cobbler_agent.measure().writes_tasks([{"index": 0, "title": "Paint the fence", "description": "Again."}])
    result = project.run("--cobbler-generate", "configuration.yaml::measure", "-o", "addopts=")
    assert came_to(result) == {"measure::cycle-1": "proposed"}
    [prompt] = (project.path / ".cobbler" / (project.generation or "")).glob("attempts/cycle-1/1/prompt.md")
    assert "Paint the fence" not in prompt.read_text()

    # Open, as another user left it, it is done again.
    seed(project, task("p-a", title="Paint the fence"))
    result = project.run("--cobbler-generate", "--cobbler-cycles=0")
    assert came_to(result) == {"stitch::p-a": "landed"}


# Lines


@pytest.mark.parametrize(
    ("sample", "source", "lines"),
    [
        ("python_sample", "tests/test_more.py", ({"production": 8, "test": 5}, {"production": 8, "test": 6})),
        ("go_sample", "more_test.go", ({"production": 26, "test": 9}, {"production": 26, "test": 10})),
        (None, "more.py", ({"production": 0, "test": 0}, {"production": 0, "test": 0})),
    ],
)
def test_records_have_the_line_counts_of_the_sources(
    project: Project, cobbler_agent: StandInAgent, sample: str | None, source: str, lines: object
) -> None:
    if sample:
        getattr(project, sample)()
    project.configure(test_command="true", build_command="true", reset_sources=None if not sample else False)
    cobbler_agent.measure().writes_tasks([{"index": 0, "title": "More", "description": "d"}])
    cobbler_agent.task("More").writes(source, "# one\n")
    assert project.run("--cobbler-generate").ret == 0
    [issue] = [
        json.loads(line) for line in (project.path / ".beads" / "issues.jsonl").read_text().splitlines()
    ]
    records = {r["caller"]: r for r in (json.loads(comment["text"]) for comment in issue["comments"])}
    before, after = records["stitch"]["loc_before"], records["stitch"]["loc_after"]
    assert (before, after) == lines
    assert records["measure"]["loc_before"] == records["measure"]["loc_after"] == before
