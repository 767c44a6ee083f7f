"""A project in a directory of a larger repository, beside others."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project, RunResult
from tests.support.monorepos import move_to
from tests.support.sessions import came_to, ids_landed, seed, stitch, task

DIRECTORY = "services/api"


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    """``services/api``, beside ``services/web``, whose files no gate would pass."""
    cobbler_project.write(
        {
            "CLAUDE.md": "Rule of all.\n",
            "services/web/app.py": "def (\n",
            "services/web/tests/test_app.py": "def test_app() -> None:\n    raise SystemExit(0)\n",
            "shared/version.txt": "1\n",
        }
    )
    move_to(cobbler_project, DIRECTORY)
    cobbler_project.configure(max_attempts=1, cycles=0)
    return cobbler_project


@pytest.fixture
def agent(project: Project) -> StandInAgent:
    return project.agent


def prompt_of(project: Project, item: str, number: int = 1) -> str:
    [path] = project.path.glob(f".cobbler/*/attempts/{item}/{number}/prompt.md")
    return path.read_text()


def generate(project: Project, *options: str) -> RunResult:
    return project.run("--cobbler-generate", *options)


def test_tasks_are_measured_tested_and_landed_in_the_directory_alone(
    project: Project, agent: StandInAgent
) -> None:
    project.python_sample()
    project.configure(test_command=None, cycles=1)
    agent.measure().writes_tasks([{"title": "Subtract"}])
    agent.task("Subtract").appends(
        "calculator/__init__.py", "\n\ndef subtract(a: float, b: float) -> float:\n    return a - b\n"
    ).writes(
        "tests/test_subtract.py",
        "from calculator import subtract\n\n\ndef test_subtract() -> None:\n    assert subtract(3, 2) == 1\n",
    )

    project.write({".secrets/notes": "", "../web/configuration.yaml": ""})  # which stay uncommitted
    result = generate(project, "-v")

    assert result.ret == 0
    assert [line for line in result.outlines if line.startswith("warning: ")] == [
        "warning: not committed, so agents do not see it: services/web/configuration.yaml"
    ]
    new = project.task("Subtract").id
    assert came_to(result) == {"measure::cycle-1": "proposed", f"stitch::{new}": "landed"}
    [report] = project.directory.glob("run-*/junit.xml")
    cases = ElementTree.parse(report).iter("testcase")
    assert {case.get("file") for case in cases} == {f"{DIRECTORY}/configuration.yaml"}
    transcripts = {case.properties["cobbler_transcript"] for case in result.junit.values()}
    assert all(path.startswith(f"{DIRECTORY}/.cobbler/") for path in transcripts)
    assert f"{DIRECTORY}/tests/test_subtract.py" in project.files()
    [landed] = project.landed()
    assert landed.trailers["Cobbler-Tests"] == "2 passed"
    assert "services/web/tests/test_app.py" in project.files()
    for prompt in (prompt_of(project, "cycle-1"), prompt_of(project, new)):
        assert f"The current directory is {DIRECTORY} of a larger repository" in prompt
        assert "\ncalculator/__init__.py\n" in prompt
        assert "subtract(a, b)`: the difference." in prompt
        assert "services/web" not in prompt
        assert "shared" not in prompt


def test_a_change_outside_of_the_directory_is_refused_with_its_reason(
    project: Project, agent: StandInAgent
) -> None:
    agent.task("web").writes("fine.txt", "fine\n").runs("echo >../web/x.py")
    agent.task("removes").runs("rm ../web/app.py")
    agent.task("link").runs("cd .. && mv api elsewhere && ln -s elsewhere api")
    agent.task("near").runs("mkdir ../api-2 && echo >../api-2/x.py")
    agent.task("own").writes("fine.txt", "fine\n")
    names = ("web", "removes", "link", "near", "own")
    seed(project, *map(task, names))

    result = generate(project, "-rfs")

    assert came_to(result) == {f"stitch::{name}": "landed" if name == "own" else "failed" for name in names}
    short = [line for line in result.outlines if line.startswith("FAILED")]
    outside = f"outside of {DIRECTORY}, the directory of the project"
    assert {line for line in short if "::link" not in line} == {
        f"FAILED {stitch('web')} - refused: services/web/x.py: {outside}",
        f"FAILED {stitch('removes')} - refused: services/web/app.py: {outside}",
        f"FAILED {stitch('near')} - refused: services/api-2/x.py: {outside}",
    }
    hint = f"*: allow_paths in configuration.yaml (outside of {DIRECTORY} with / in front), and pytest *"
    result.stdout.fnmatch_lines([hint])
    assert any("takes the place of services/api, the directory of the project" in line for line in short)
    assert ids_landed(project) == ["own"]
    assert "Nothing outside of the current directory may be changed." in prompt_of(project, "own")


def test_allow_paths_open_places_outside_but_not_what_is_protected_there(
    project: Project, agent: StandInAgent
) -> None:
    project.configure(allow_paths=["/services/web/**", "/shared/pytest.ini"])
    agent.task("web").runs("echo >../web/x.py; echo >x.py")
    agent.task("named").runs("printf '[pytest]\\n' >../../shared/pytest.ini")
    agent.task("instructs").runs("echo >../web/CLAUDE.md")
    agent.task("hooks").runs("mkdir ../../.github && echo >../../.github/x.yml")
    agent.task("secret").runs("mkdir ../web/.secrets && echo >../web/.env")
    agent.task("configures").runs("echo 'sandbox: none' >../web/configuration.yaml")
    names = ("web", "named", "instructs", "hooks", "secret", "configures")
    seed(project, *map(task, names))

    result = generate(project, "-rfs")

    landed = {"web", "named"}
    assert came_to(result) == {f"stitch::{name}": "landed" if name in landed else "failed" for name in names}
    short = {line.partition(" - ")[2] for line in result.outlines if line.startswith("FAILED")}
    outside = f"outside of {DIRECTORY}, the directory of the project"
    assert short == {
        "refused: services/web/CLAUDE.md: a protected path",
        f"refused: .github/x.yml: {outside} (and 1 more)",
        "refused: services/web/.env: may never land",
        "refused: services/web/configuration.yaml: sandbox is protected",
    }
    assert {"services/web/x.py", "services/api/x.py", "shared/pytest.ini"} <= project.files().keys()
    prompt = prompt_of(project, "web")
    assert "Outside of the current directory only these paths may be changed:" in prompt
    assert "\n/services/web/**\n/shared/pytest.ini\n" in prompt


def test_the_protected_paths_are_those_of_the_directory_and_of_the_top(
    project: Project, agent: StandInAgent
) -> None:
    project.write(
        {
            "prompts/stitch.md": "Do {{.Title}}.\n",
            "tools/check": "sh ../../shared/check\n",
            "../../shared/check": "true\n",
        }
    )
    project.configure(
        stitch_prompt="prompts/stitch.md",
        test_command="sh tools/check",
        protected_paths=["docs/*.md"],
        allow_paths=["/shared/**"],
    )
    refused = {
        "conftest": "conftest.py",
        "configuration": "configuration.yaml",
        "template": "prompts/stitch.md",
        "script": "tools/check",
        "own": "docs/a.md",
        "beads": ".beads/x",
        "library": "json.py",
    }
    for name, path in refused.items():
        agent.task(name).writes(path, "")
    agent.task("docs").runs("mkdir docs; echo >../../shared/other").writes("docs/deep/a.md", "")
    agent.task("shared").runs("echo exit >../../shared/check")
    seed(project, *map(task, (*refused, "docs", "shared")))
    result = generate(project, "-rfs")
    result.stdout.fnmatch_lines(
        ["directory: services/api; tasks may change nothing else but /shared/[*][*] (allow_paths)"]
    )
    short = {line.partition(" - ")[2] for line in result.outlines if line.startswith("FAILED")}
    gate = ": the gate uses it"
    keys = {"template": "stitch_prompt", "own": "protected_paths", "beads": "beads_dir"}
    why = {"script": gate} | {name: f" ({key})" for name, key in keys.items()}
    assert short == {
        f"refused: {DIRECTORY}/{path}: a protected path{why.get(name, '')}" for name, path in refused.items()
    } | {f"refused: shared/check: a protected path{gate}"}
    assert ids_landed(project) == ["docs"]


def test_the_last_attempt_is_told_by_paths_of_the_directory(project: Project, agent: StandInAgent) -> None:
    project.configure(max_attempts=2)
    agent.task("a").writes("conftest.py", "").runs("echo >../web/x.py")
    agent.task("a", attempt=2).deletes("conftest.py").runs("rm ../web/x.py").writes("a.txt", "a\n")
    seed(project, task("a"))
    assert came_to(generate(project)) == {"stitch::a": "landed"}
    assert "<paths>\n/services/web/x.py\nconftest.py\n</paths>" in prompt_of(project, "a", 2)


def test_agents_get_the_instructions_of_the_top_and_of_the_directory(
    project: Project, agent: StandInAgent
) -> None:
    project.write({"CLAUDE.md": "Rule of the api.\n"})
    project.configure()
    agent.task("a").runs("{ cat ../../../instructions.md; pwd; git status; } >a.txt")
    seed(project, task("a"))
    assert came_to(generate(project)) == {"stitch::a": "landed"}
    text = project.files()[f"{DIRECTORY}/a.txt"]
    assert "Rule of all.\n\n\nRule of the api.\n" in text
    assert f"/tree/{DIRECTORY}\n" in text
    assert "On branch work" in text


@pytest.fixture
def web(project: Project) -> Project:
    """The project in ``services/web``, which may have the same agent, since titles tell tasks apart."""
    other = Project(project.directory / "web", project.agent)
    other.directory.mkdir()
    other.path = project.path.parent / "web"
    other.configure(**project.configuration)
    return other


@pytest.mark.matrix("costly")
def test_two_projects_have_generations_of_their_own(
    project: Project, web: Project, agent: StandInAgent
) -> None:
    agent.task("a").writes("a.txt", "a\n")
    agent.task("b").writes("b.txt", "b\n")
    seed(project, task("t-1", title="a"))
    seed(web, task("t-1", title="b"))

    assert came_to(generate(project)) == {"stitch::t-1": "landed"}
    assert came_to(generate(web)) == {"stitch::t-1": "landed"}

    generations = {one.path.name: one.generation or "" for one in (project, web)}
    for name, generation in generations.items():
        assert generation.startswith(f"services-{name}-generation-")
    for one, other in (("api", "web"), ("web", "api")):
        listed = "\n".join((project if one == "api" else web).run("--cobbler-list").outlines)
        assert generations[one] in listed
        assert generations[other] not in listed
    assert web.run("--cobbler-stop").ret == 0
    assert web.generation is None
    # The base has moved, and holds a landed task of another project with the same id.
    seed(project, task("t-1", title="a", status="closed"), task("t-2", title="c"))
    agent.task("c").writes("c.txt", "c\n")
    assert came_to(generate(project)) == {"stitch::t-2": "landed"}
    assert project.run("--cobbler-stop").ret == 0
    names = project.files("main").keys()
    assert {f"{DIRECTORY}/a.txt", f"{DIRECTORY}/c.txt", "services/web/b.txt"} <= names
    merged = project.git("log", "-1", "--format=%B", "main")
    assert "* a\n* c\n" in merged
    assert "* b" not in merged


def test_each_project_keeps_the_generation_that_was_chosen_for_it(project: Project, web: Project) -> None:
    chosen = {}
    for one in (project, web):
        assert [one.run("--cobbler-start").ret for _ in "12"] == [0, 0]
        prefix = f"services-{one.path.name}-generation-"
        first, second = one.git("for-each-ref", "--format=%(refname:short)", f"refs/heads/{prefix}*").split()
        assert one.run("--cobbler-switch", first).ret == 0
        chosen[one.path.name] = first
        assert one.generation == first != second

    for one in (project, web):
        line = f"cobbler: {chosen[one.path.name]}, nothing is started"
        one.run("--cobbler-generate", "--collect-only").stdout.fnmatch_lines([line])
    assert web.run("--cobbler-reset").ret == 0
    assert project.generation == chosen["api"]
    assert project.run("--cobbler-reset").ret == 0
    assert project.git("for-each-ref", "refs/cobbler/active", "refs/cobbler/active-in") == ""


def test_a_generation_of_another_project_is_not_continued(project: Project, web: Project) -> None:
    for one in (project, web):
        one.configure(gen_prefix="generation-")
    assert project.run("--cobbler-start").ret == 0
    result = web.run("--cobbler-generate")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            "ERROR: generation-* is a generation of the project in services/api, "
            "and not of the one in services/web",
            "Work in services/api; or, if both have the same gen_prefix, set another one in one of them.",
        ]
    )


def test_tests_are_known_where_pytest_begins_at_the_top(project: Project, agent: StandInAgent) -> None:
    project.write(
        {
            "../../pytest.ini": "[pytest]\n",
            "tests/test_one.py": "def test_one() -> None:\n    assert True\n",
            "tests/test_two.py": "def test_two() -> None:\n    assert True\n",
        }
    )
    project.configure(language="python", build_command=None, test_command=None)
    agent.task("hides").writes("tests/conftest.py", 'collect_ignore = ["test_two.py"]\n')
    agent.task("adds").writes("tests/test_new.py", "def test_new() -> None:\n    assert True\n")
    seed(project, task("hides"), task("adds"))
    result = generate(project, "-rfs")
    outcomes = {name.rpartition(".")[2]: outcome for name, outcome in came_to(result).items()}
    assert outcomes == {"stitch::hides": "failed", "stitch::adds": "landed"}
    result.stdout.fnmatch_lines(
        ["FAILED *hides - gate: passed without tests of the tip: tests/test_two.py: 1 test of this file ran*"]
    )


def test_a_generation_removes_and_writes_files_of_the_directory_alone(project: Project) -> None:
    project.write({"src/a.py": "a = 1\n", "templates/about": "{{.Version}}\n"})
    project.configure(
        language="python",
        source_dirs=["src"],
        reset_sources=True,
        seed_files={"src/about.txt": "templates/about"},
        test_command="true",
    )
    before = project.files("main").keys()
    assert project.run("--cobbler-start").ret == 0
    after = project.files()
    assert before - after.keys() == {f"{DIRECTORY}/src/a.py"}
    assert after.keys() - before == {f"{DIRECTORY}/src/about.txt"}
    assert after[f"{DIRECTORY}/src/about.txt"] == f"{project.generation}\n"


def test_init_writes_the_configuration_of_the_directory(project: Project) -> None:
    project.git("rm", "--quiet", "configuration.yaml")
    project.write({"pyproject.toml": '[project]\nname = "api"\n', "api/__init__.py": "", "docs/a.md": "A\n"})
    project.commit("No configuration")
    project.path /= "api"
    result = project.run("--cobbler-init")
    project.path = project.path.parent
    assert result.ret == 0
    text = (project.path / "configuration.yaml").read_text()
    assert "module_path: api\n" in text
    assert "source_dirs:\n- api\n" in text
    assert "docs: docs/**/*.md\n" in text
    assert "web" not in text
    assert not (project.path.parent.parent / "configuration.yaml").exists()


def test_a_statement_names_the_directory_and_is_verified_there(
    project: Project, web: Project, agent: StandInAgent
) -> None:
    for one in (project, web):
        agent.task(one.path.name).writes("a.txt", "a\n")
        seed(one, task(one.path.name))
        assert came_to(generate(one)) == {f"stitch::{one.path.name}": "landed"}
    note = project.git("notes", "--ref=cobbler", "show", project.generation or "")
    assert f'"directory": "{DIRECTORY}"' in note
    assert project.run("--cobbler-stop").ret == 0
    assert web.run("--cobbler-stop").ret == 0
    for one in (project, web):
        result = one.run("--cobbler-verify")
        result.assert_outcomes(passed=1)


def test_a_recording_is_played_in_the_directory(project: Project, agent: StandInAgent) -> None:
    agent.task("a").writes("a.txt", "a\n")
    seed(project, task("a"))
    assert came_to(generate(project, "--cobbler-record=recording")) == {"stitch::a": "landed"}
    assert project.run("--cobbler-reset").ret == 0
    project.configure(agent="replay", agent_command=None, recording="recording")
    seed(project, task("a"))
    assert came_to(generate(project)) == {"stitch::a": "landed"}
    assert project.files()[f"{DIRECTORY}/a.txt"] == "a\n"
