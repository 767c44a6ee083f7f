"""The documents agree with the code: options, keys, outcomes, links, pictures."""

from __future__ import annotations

import ast
import itertools
import re
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from benchmarks.gates import BEGIN, END, GO, PYTHON
from pytest_cobbler.causes import Cause
from pytest_cobbler.config import Config, load
from pytest_cobbler.cycle.outcome import Verdict
from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project
from tests.support.documents import README, ROOT, quoted, rows, section

PACKAGE = ROOT / "pytest_cobbler"
TOP = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]
DOCUMENTS = [*(ROOT / name for name in TOP), *sorted((ROOT / "docs").glob("*.md"))]
OPTIONS = (ROOT / "docs" / "options.md").read_text("utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text("utf-8")

OF_OTHER_PROGRAMS = {
    "module lookup disabled by GOPROXY=off",
    "offline mode (--offline)",
    "credit balance is too low",
    "out of extra usage",
    "prompt is too long",
}
"""Messages in the troubleshooting page that a program of the gate prints, or the API."""

every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


def source(path: str) -> str:
    return (PACKAGE / path).read_text("utf-8")


# -- commands and options


def test_the_tests_are_one_command() -> None:
    [block] = re.findall(r"^<!-- the tests -->\n```sh\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    assert block == "pip install '.[test]' && python -m pytest\n"


def test_the_demo_is_one_command() -> None:
    assert "```sh\npip install . && pytest --cobbler-demo\n```" in README


def test_the_readme_is_short_and_begins_with_what_a_reader_decides_by() -> None:
    lines = README.splitlines()
    assert len(lines) <= 130
    assert re.findall("^## (.*)", README, re.MULTILINE) == [
        "Why not run the agent by hand?",
        "Install",
        "First run",
        "Documentation",
        "Run the tests",
    ]
    assert "(docs/demo.svg)" in "".join(lines[:14]), "the picture is on the first screen"
    assert lines[-1] == "```", "the command of the tests is the last thing"


def test_the_promise_names_its_known_limit() -> None:
    [promise] = [block for block in README.split("\n\n") if block.startswith("**Passed means landed.**")]
    limit = promise.partition("\nThe known limit: ")[2]
    assert "Code that runs in the process of the test runner can make the runner report success." in limit


def test_every_option_is_described() -> None:
    options = set(re.findall(r'"(--cobbler-[a-z-]+)"', source("plugin.py")))
    assert options
    assert {quoted(row[0])[0].split(" ")[0] for row in rows(section("## Options", OPTIONS))} == options


@every_document
def test_options_exist(document: Path) -> None:
    named = set(re.findall(r"--cobbler-[a-z]+(?:-[a-z]+)*", document.read_text("utf-8")))
    assert named <= set(re.findall(r"--cobbler-[a-z]+(?:-[a-z]+)*", source("plugin.py")))


def test_every_fixture_is_described() -> None:
    fixtures = set(re.findall(r"^def (cobbler_\w+)\(", source("plugin.py"), re.MULTILINE))
    described = {row[0].strip("`") for row in rows((ROOT / "docs" / "fixtures.md").read_text("utf-8"))}
    assert {name for name in described if name.startswith("cobbler_")} == fixtures


# -- configuration


def test_the_readme_has_a_configuration(tmp_path: Path) -> None:
    [example] = re.findall(r"^```yaml\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    (tmp_path / "configuration.yaml").write_text(example, encoding="utf-8")
    assert load(tmp_path / "configuration.yaml").podman_image


@every_document
def test_configurations_have_keys_that_exist(document: Path) -> None:
    if document.name == "ci.md":
        return  # those are the forges' own
    for text in re.findall(r"^```yaml\n(.*?)^```$", document.read_text("utf-8"), re.DOTALL | re.MULTILINE):
        if re.match(r"# \w+\.yaml\n", text) and not text.startswith("# configuration.yaml"):
            continue  # another file
        assert set(yaml.safe_load(text)) <= set(Config.model_fields), text


# -- outcomes


def test_every_outcome_is_described() -> None:
    words = {row[0] for row in rows(section("## Outcomes", OPTIONS)) if row[0].isupper()}
    assert words == {str(verdict).upper() for verdict in Verdict} | {"SKIPPED"}


def test_every_cause_of_a_failure_is_described() -> None:
    described = {cause for row in rows(section("## Causes of failures", OPTIONS)) for cause in quoted(row[0])}
    limits = {Cause.LIMITED, Cause.ACCESS, Cause.MODEL}
    skipped = {*limits, Cause.CANCELLED, Cause.CLAIMED, Cause.NEEDS, Cause.NOT_ASKED}
    of_kept_attempts = {Cause.INTERRUPTED, Cause.UNKNOWN}
    assert described == set(Cause) - skipped - of_kept_attempts - {Cause.NONE}


def strings(tree: ast.AST) -> Iterator[str]:
    return (n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str))


def test_every_exit_code_is_described() -> None:
    codes = [int(row[0]) for row in rows(section("## Exit codes", OPTIONS))]
    assert codes == [0, 1, 2, 3, 4, 5]
    assert set(codes) <= {int(code) for code in pytest.ExitCode}


def test_every_junit_property_is_described() -> None:
    page = (ROOT / "docs" / "ci.md").read_text("utf-8")
    described = {word for row in rows(section("## JUnit", page)) for word in quoted(row[0])}
    assert described == set(re.findall(r'"(cobbler_\w+)"', source("session/properties.py")))


# -- the picture

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.slow
def test_the_picture_shows_what_the_demo_prints(tmp_path: Path) -> None:
    docs = ROOT / "docs"
    drawn = tmp_path / "demo.svg"
    subprocess.run([sys.executable, docs / "terminal_picture.py", drawn], check=True, timeout=300)
    for moment in (1, 2):
        lines, committed = shown_in(drawn, moment), shown_in(docs / "demo.svg", moment)
        assert committed == lines, "renew it: python docs/terminal_picture.py"


def shown_in(picture: Path, moment: int) -> list[str]:
    """The lines of a picture, without names, ids and times that differ in every run.

    Of the first moment, the lines before the first task: which tasks work, and what they do, differs too.
    """
    [group] = ElementTree.parse(picture).findall(f".//{SVG}g[@class='moment-{moment}']")
    lines = ["".join(text.itertext()) for text in group.iter(f"{SVG}text")]
    if moment == 1:
        assert re.fullmatch(
            r"(\d+m)?\d+s, \d running, [1-3] landed, .*", lines[-1].replace("\N{NO-BREAK SPACE}", " ")
        )
        lines = lines[: next(number for number, line in enumerate(lines) if "::stitch::" in line)]
    different = (
        *(
            r"generation-[-\d]+",
            r"\b[0-9a-f]{7,12}\b",
            r"(?<=units-)\w+",
            r"(\d+m)?\d+(\.\d+)?\s?s\b(\s\(\d+:\d\d:\d\d\))?",
        ),
        r"\s+|=+|-+",
    )
    return [re.sub("|".join(different), " ", line).strip() for line in lines]


# -- pages


@every_document
def test_links_have_targets(document: Path) -> None:
    text = re.sub(r"^```.*?^```", "", document.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if not target.startswith("https://"):
            path, _, anchor = target.partition("#")
            page = (document.parent / path).resolve() if path else document
            assert page.is_relative_to(ROOT), target
            assert page.exists(), target
            assert not anchor or anchor in anchors(page), target


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_the_readme_links_to_every_page() -> None:
    linked = set(re.findall(r"\]\(([^)#]+\.md)", README))
    assert {str(path.relative_to(ROOT)) for path in DOCUMENTS} - {"README.md", "docs/index.md"} == linked


def test_pages_named_in_messages_exist() -> None:
    named = {
        page for path in PACKAGE.rglob("*.py") for page in re.findall(r"docs/[a-z]+\.md", path.read_text())
    }
    assert {page for page in named if not (ROOT / page).is_file()} == set()


@every_document
def test_no_document_names_a_private_place(document: Path) -> None:
    text = document.read_text("utf-8")
    private = r"/work\b|/home/\w|/root/\w|/tmp/venv|\.cache/|\bshared/|https?://(?:localhost|10\.|192\.168\.)"
    registries = r"docker\.io|quay\.io|ghcr\.io|gcr\.io|registry\.\w|pypi\.|npmjs"
    assert re.findall(f"{private}|{registries}", text) == []


def test_the_accidents_name_tests_that_exist() -> None:
    page = (ROOT / "docs" / "reliability.md").read_text("utf-8")
    named = re.findall(r"`((?:\w+/)+(?:test_\w+\.py)?)(?:::(\w+))?`", page.partition("<!-- crashes")[0])
    tests = {(path, name) for path, name in named if path.endswith(".py") or path == "simulator/"}
    assert len(tests) > 15
    assert {name for _, name in tests} > {""}
    missing = [
        (path, name)
        for path, name in tests
        if not (ROOT / "tests" / path).exists()
        or (name and f"def {name}(" not in (ROOT / "tests" / path).read_text("utf-8"))
    ]
    assert missing == []


# -- architecture


def test_the_architecture_names_files_that_exist() -> None:
    paths = {
        word
        for word in quoted(ARCHITECTURE)
        if re.fullmatch(r"[\w/]+/|[\w/.]+\.(?:py|sh|md|toml|yaml)", word)
    }
    theirs = {
        "configuration.yaml",
        "CLAUDE.md",
        "AGENTS.md",
        ".git",
        "tree/",
        "git/",
        "output/",
        "home/",
        "checkouts/",
        "upper/",
        "work/",
        "worktree.json",
    }
    missing = [p for p in paths - theirs if not ((PACKAGE / p).exists() or (ROOT / p).exists())]
    assert len(paths) > 20
    assert missing == []


def test_the_architecture_draws_every_room() -> None:
    drawing = ARCHITECTURE.split("## Rooms")[1].split("```")[1]
    modules = {path.name for path in PACKAGE.glob("*.py")} - {"__init__.py"}
    rooms = {f"{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")}
    assert {word for word in modules | rooms if word not in drawing} == set()


def test_the_architecture_draws_the_rooms_in_the_order_of_their_layers() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    [layers] = [c["layers"] for c in settings["tool"]["importlinter"]["contracts"] if c["id"] == "layers"]
    drawing = ARCHITECTURE.split("## Rooms")[1].split("```")[1]
    # "these, invocation.py and hooks.py" describes the rooms on the line above.
    lines = [line.partition("these, ")[0] for line in drawing.splitlines()]
    line_of = {
        room: number
        for number, line in enumerate(lines)
        for room in re.findall(r"(\w+)(?:/|\.py)(?= |$)", line)
    }
    places = [sorted({line_of[room] for room in layer.split(" | ")}) for layer in layers]
    for above, below in itertools.pairwise(places):
        assert above[-1] < below[0]


def test_the_architecture_names_code_that_exists() -> None:
    names = [word for word in quoted(ARCHITECTURE) if re.fullmatch(r"_?[A-Za-z]\w*(?:\.\w+)*", word)]
    known = set(definitions())
    programs_and_keys = {
        "bd",
        "flock",
        "tree",
        "git",
        "index",
        "gitfile",
        "output",
        "home",
        "stitch",
        "measure",
        "config",
    }
    unknown = {
        name
        for name in names
        if name.split(".")[-1] not in known
        and name not in programs_and_keys
        and name not in Config.model_fields
        and not hasattr(pytest, name)
        and not re.search(r"\.(?:py|sh|md|json|toml|yaml)$", name)
    }
    assert len(names) > 40
    assert unknown == set()


@pytest.mark.parametrize(("heading", "least"), [("a task", 11), ("a configuration value", 6), ("a cost", 11)])
def test_a_way_in_the_architecture_names_functions_of_the_modules_beside_them(
    heading: str, least: int
) -> None:
    steps = rows(section(f"## The way of {heading}", ARCHITECTURE))
    assert len(steps) >= least
    for *_, functions, module in steps:
        path = PACKAGE / module.strip("`")
        names = {part for name in quoted(functions) for part in name.split(".")}
        assert names, functions
        assert names <= set(definitions(path)), f"{functions} in {module}"


def definitions(*paths: Path) -> Iterator[str]:
    """The names of everything that the package defines, or some of its modules."""
    for path in paths or PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield node.name
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id


# -- installing


@every_document
def test_no_document_installs_the_package_from_an_index(document: Path) -> None:
    requirements = re.findall(r"pip3? (?:install|download) ([^\n`&]*)", document.read_text("utf-8"))
    assert [words for words in requirements if re.search(r"(?<![\w/.-])pytest-cobbler", words)] == []


def test_the_wheel_is_named_without_a_version() -> None:
    page = (ROOT / "docs" / "ci.md").read_text("utf-8")
    assert re.findall(r"pytest_cobbler-\S+\.whl", page) == ["pytest_cobbler-*.whl"]


# -- troubleshooting and cleaning up


def test_troubleshooting_begins_with_what_a_user_sees() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
    headings = {line for line in page.splitlines() if line.startswith("## ")}
    assert {
        "## Every task fails at the gate",
        "## Harvest failed",
        "## Nothing to do (exit code 5)",
    } <= headings


def test_troubleshooting_quotes_messages_of_the_program() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
    tables = re.findall(r"^\| message .*\n\|[-|]+\n((?:\|.*\n)+)", page, re.MULTILINE)
    messages = [
        text for table in tables for line in table.splitlines() for text in quoted(line.split("|")[1])
    ]
    program = "\n".join(
        text for path in PACKAGE.rglob("*.py") for text in strings(ast.parse(path.read_text()))
    )
    assert len(messages) > 30
    parts = [part.strip() for message in messages for part in re.split(r"\.\.\.|\d+", message)]
    assert [part for part in parts if part not in program and part not in OF_OTHER_PROGRAMS] == []


def test_the_clean_up_removes_everything(cobbler_agent: StandInAgent, cobbler_project: Project) -> None:
    page = (ROOT / "docs" / "uninstall.md").read_text("utf-8")
    cobbler_agent.measure().writes_tasks([{"title": "First"}, {"title": "Second"}])
    cobbler_agent.task("First").writes("a.txt", "a\n")
    cobbler_agent.task("Second").fails(1)
    server = cobbler_project.directory / "server.git"
    cobbler_project.git("clone", "--quiet", "--bare", ".", str(server))
    cobbler_project.git("remote", "add", "origin", str(server))
    namespaces = ("refs/heads/", "refs/tags/", "refs/cobbler/", "refs/notes/")
    before = cobbler_project.git("for-each-ref", *namespaces)
    cobbler_project.run("--cobbler-generate")
    cobbler_project.run("--cobbler-switch", cobbler_project.generation or "")
    for pattern in ("refs/heads/*", "refs/tags/*", "refs/cobbler/attempts/*", "refs/notes/*"):
        cobbler_project.git("push", "--quiet", "origin", f"{pattern}:{pattern}")

    commands = re.findall(r"(?<!<!-- not run -->\n)^```sh\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert len(commands) == 4
    for command in commands:
        subprocess.run(["bash", "-eo", "pipefail", "-c", command], cwd=cobbler_project.path, check=True)

    assert cobbler_project.git("for-each-ref", *namespaces) == before
    assert "generation" not in cobbler_project.git("ls-remote", "origin")
    assert "cobbler" not in cobbler_project.git("ls-remote", "origin")
    left = {path.name for path in cobbler_project.path.iterdir()}
    assert left.isdisjoint({".cobbler", ".beads"})
    assert [*(cobbler_project.path / ".git").rglob("cobbler*")] == []


def test_every_real_project_is_green_for_good_work_and_red_for_a_fault() -> None:
    page = (ROOT / "docs" / "gate.md").read_text("utf-8")
    lines = page.partition(BEGIN)[2].partition(END)[0].splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| `")]
    expected = [[f"`{one.name}`", one.version.split("-")[0], one.shape] for one in (*PYTHON, *GO)]
    assert [row[:3] for row in rows] == expected, "renew it: python -m benchmarks.gates DIRECTORY"
    assert {tuple(row[4:]) for row in rows} == {("green", "red")}
    assert all(int(row[3]) > 0 for row in rows)
