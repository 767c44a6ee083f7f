"""What the plugin does to runs of pytest that are none of its business, and which action it takes.

Every run here starts afresh: a fork has imported all of the plugin, used or not.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.invocation import refuse_arguments, refuse_idle_options
from pytest_cobbler.testing.project import Project

pytestmark = pytest.mark.usefixtures("fresh_start")

LOADED = {"pytest_cobbler", "pytest_cobbler.plugin", "pytest_cobbler.hookspecs"}

ORDINARY = """
import sys

def test_what_is_loaded():
    assert {name for name in sys.modules if name.split(".")[0] == "pytest_cobbler"} == LOADED

def test_two():
    assert 1 + 1 == 3
"""


def test_an_ordinary_run_loads_the_plugin_and_its_hooks_only(cobbler_project: Project) -> None:
    cobbler_project.write({"test_it.py": ORDINARY.replace("LOADED", repr(LOADED))})
    result = cobbler_project.run()
    result.assert_outcomes(passed=1, failed=1)


def test_an_ordinary_run_prints_and_writes_the_same_without_the_plugin(cobbler_project: Project) -> None:
    cobbler_project.write({"test_it.py": ORDINARY.replace("LOADED", repr(LOADED))})
    options = ("-v", "-rA", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-k", "two")
    without = cobbler_project.run(*options, "-p", "no:cobbler")
    files = listing(cobbler_project.directory)
    with_it = cobbler_project.run(*options)
    assert shown(with_it.outlines) == shown(without.outlines)
    assert with_it.errlines == without.errlines == []
    assert with_it.ret == without.ret == 1
    assert listing(cobbler_project.directory) - files == {
        cobbler_project.directory / "run-2" / name for name in ("", "stdout", "stderr", "junit.xml")
    }


LOADERS = """
import atexit, pathlib, sys

@atexit.register
def write():
    ours = [(name, module) for name, module in sys.modules.items() if name.startswith("pytest_cobbler.")]
    lines = [f"{name} {type(module.__loader__).__name__}\\n" for name, module in ours]
    pathlib.Path(__file__).with_name("loaders").write_text("".join(lines))
"""


def test_an_action_imports_what_the_installation_compiled(cobbler_project: Project) -> None:
    """pytest would compile each module again where it cannot write its own bytecode."""
    cobbler_project.write({"conftest.py": LOADERS})
    cobbler_project.commit("Show loaders")
    assert cobbler_project.run("--cobbler-list").ret == 0
    lines = dict(line.split() for line in (cobbler_project.path / "loaders").read_text().splitlines())
    rewritten = {name for name, loader in lines.items() if loader != "SourceFileLoader"}
    # In an editable installation pytest rewrites none.
    assert rewritten <= {f"pytest_cobbler.{name}" for name in ("plugin", "hookspecs", "compiled")}
    assert "pytest_cobbler.repository.repository" in lines


def listing(directory: Path) -> set[Path]:
    return {path for path in directory.rglob("*") if "__pycache__" not in path.parts}


def shown(lines: list[str]) -> list[str]:
    """What was printed, without what differs from run to run."""
    varying = ("plugins:", "generated xml file")
    return [line.partition(" in 0.")[0] for line in lines if not line.strip(" -").startswith(varying)]


def test_importing_the_plugin_imports_nothing_that_pytest_has_not_loaded() -> None:
    program = """
import sys
from _pytest.config import get_config

get_config()
before = set(sys.modules)
import pytest_cobbler.plugin
print(*sorted(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["pytest_cobbler", "pytest_cobbler.plugin"]


def test_the_help_shows_the_options_in_a_group_of_their_own(cobbler_project: Project) -> None:
    result = cobbler_project.run("--help")
    start = result.outlines.index("AI code generation:")
    group = result.outlines[start + 1 : result.outlines.index("", start + 1)]
    named = {line.split()[0].partition("=")[0] for line in group if line.startswith("  --")}
    assert {"--cobbler-start", "--cobbler-generate", "--cobbler-demo", "--cobbler-jobs"} <= named
    assert all(name.startswith("--cobbler-") for name in named)


def test_a_conftest_may_have_cobbler_hooks_and_markers_in_any_run(cobbler_project: Project) -> None:
    cobbler_project.write(
        {
            "conftest.py": "def pytest_cobbler_outcome(item, outcome): ...\n",
            "test_it.py": "import pytest\n\n@pytest.mark.cobbler_stitch(task='x')\ndef test_it(): ...\n",
        }
    )
    cobbler_project.run("--strict-markers").assert_outcomes(passed=1)


@pytest.mark.parametrize("others", [["--cobbler-start"], ["--cobbler-demo"]])
def test_two_actions_on_a_command_line_are_refused(cobbler_project: Project, others: list[str]) -> None:
    result = cobbler_project.run("--cobbler-generate", *others)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --cobbler-* and --cobbler-*: one action at a time"])
    assert cobbler_project.generation is None


@pytest.mark.parametrize(
    "options",
    [
        ("--cobbler-start", "--help"),
        ("--cobbler-start", "--fixtures"),
        ("--cobbler-generate", "--help"),
        ("--cobbler-generate", "--fixtures"),
        ("--cobbler-generate", "--markers"),
        ("--cobbler-generate", "--cache-show"),
    ],
)
def test_a_request_for_information_runs_no_action(cobbler_project: Project, options: tuple[str, str]) -> None:
    result = cobbler_project.run(*options)
    assert (result.ret, result.errlines) == (0, [])
    assert cobbler_project.generation is None
    assert not (cobbler_project.path / ".cobbler").exists()


def test_an_action_needs_a_configuration(cobbler_project: Project) -> None:
    (cobbler_project.path / "configuration.yaml").unlink()
    for action in ("--cobbler-start", "--cobbler-generate"):
        result = cobbler_project.run(action)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(
            [f"ERROR: {action}: no configuration.yaml was found", "*pytest --cobbler-init *"]
        )


def test_an_action_needs_git(cobbler_project: Project, tmp_path: Path) -> None:
    for action in ("--cobbler-start", "--cobbler-generate"):
        result = cobbler_project.run(action, env={"PATH": str(tmp_path)})
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(["ERROR: git is not on PATH", "Install git*"])


def test_a_wrong_configuration_is_one_clear_error(cobbler_project: Project) -> None:
    cobbler_project.write({"configuration.yaml": "sandbox: none\njobz: 2\n"})
    result = cobbler_project.run("--cobbler-generate")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: configuration.yaml:2: jobz: unknown key; did you mean jobs[?]"])
    assert result.outlines == []


def test_a_wrong_value_names_its_option(cobbler_project: Project) -> None:
    result = cobbler_project.run("--cobbler-generate", "--cobbler-jobs=0")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *--cobbler-jobs*"])


@pytest.mark.parametrize(
    ("option", "meant"),
    [
        ("--cobbler-cycles=1", {"generate", "resume"}),
        ("--cobbler-jobs=1", {"generate", "resume"}),
        ("--cobbler-max-issues=1", {"generate", "resume"}),
        ("--cobbler-record=recording", {"generate", "resume"}),
        ("--cobbler-red-base", {"generate", "resume", "doctor"}),
        ("--cobbler-format=json", {"list", "doctor"}),
        ("--cobbler-force", set()),
        ("--cobbler-accept-deletions", set()),
        ("--cobbler-resolve=hand", set()),
        ("--cobbler-live", {"doctor"}),
        ("--cobbler-attacks", {"doctor"}),
    ],
)
def test_an_option_that_does_not_apply_to_the_action_is_refused(
    pytester: pytest.Pytester, option: str, meant: set[str]
) -> None:
    config = pytester.parseconfig("--cobbler-list", option)
    name = option.partition("=")[0]
    for action in ("generate", "resume", "start", "list", "doctor", "demo"):
        if action in meant:
            refuse_idle_options(config, action)
            continue
        with pytest.raises(UsageProblem, match=f"^{name} does not apply to --cobbler-{action}\n"):
            refuse_idle_options(config, action)


def test_an_option_in_addopts_is_ignored_by_actions_it_does_not_apply_to(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\naddopts = --cobbler-jobs=4 --cobbler-format=json")
    for action in ("generate", "list"):
        refuse_idle_options(pytester.parseconfig(f"--cobbler-{action}"), action)


@pytest.mark.parametrize(
    "option", ["--cobbler-record=recording", "--cobbler-cycles=3", "--cobbler-force", "--cobbler-format=json"]
)
def test_an_option_without_an_action_is_refused(pytester: pytest.Pytester, option: str) -> None:
    pytester.makepyfile("def test_one(): pass")
    result = pytester.runpytest(option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    name = option.partition("=")[0]
    result.stderr.fnmatch_lines([f"ERROR: {name} does nothing by itself", "Use it with --cobbler-*"])


def test_an_ordinary_run_of_tests_accepts_cobbler_live(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_one(): pass")
    assert pytester.runpytest("--cobbler-live").ret == 0


@pytest.mark.parametrize(
    "arguments", [("generation-a",), ("configuration.yaml::stitch::p-1",), ("-k", "one"), ("-m", "slow")]
)
def test_an_action_without_items_refuses_a_selection_of_items(
    pytester: pytest.Pytester, arguments: tuple[str, ...]
) -> None:
    """Who names a generation must not have another one stopped."""
    config = pytester.parseconfig("--cobbler-list", *arguments)
    for action in ("stop", "reset", "start", "list", "stats", "init", "doctor", "demo"):
        with pytest.raises(UsageProblem, match=f"^--cobbler-{action} does not take "):
            refuse_arguments(config, action)


@pytest.mark.parametrize("arguments", [(), ("configuration.yaml",), ("below/configuration.yaml",)])
def test_an_action_accepts_a_configuration_file(
    pytester: pytest.Pytester, arguments: tuple[str, ...]
) -> None:
    pytester.makeini("[pytest]\ntestpaths = tests")
    refuse_arguments(pytester.parseconfig("--cobbler-stop", *arguments), "stop")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (
            ("--cobbler-init", "docs"),
            ("--cobbler-init does not take docs", "Name the file * DIRECTORY/configuration.yaml"),
        ),
        (
            ("--cobbler-init", "doc/configuration.yaml"),
            ("there is no directory */doc", "Make it first, or correct its name."),
        ),
        (
            ("--cobbler-clean", "--cobbler-force", "x"),
            ("--cobbler-clean does not take x", "Its name comes first: pytest --cobbler-clean NAME *"),
        ),
        (
            ("--cobbler-doctor", "docs"),
            ("--cobbler-doctor does not take docs", "It accepts only configuration.yaml."),
        ),
    ],
)
def test_an_argument_that_an_action_does_not_take_names_the_right_one(
    cobbler_project: Project, arguments: tuple[str, ...], error: tuple[str, str]
) -> None:
    cobbler_project.write({"docs/x.md": ""})
    result = cobbler_project.run(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {error[0]}", error[1]])


def test_a_stop_with_the_name_of_a_generation_changes_nothing(cobbler_project: Project) -> None:
    cobbler_project.run("--cobbler-start")
    name = str(cobbler_project.generation)
    for action in ("--cobbler-stop", "--cobbler-reset"):
        result = cobbler_project.run(action, name)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([f"ERROR: {action} does not take {name}", "*--cobbler-switch NAME"])
    assert cobbler_project.generation == name


@pytest.mark.parametrize(
    ("action", "option"),
    [("--cobbler-generate", "--cobbler-format=json"), ("--cobbler-start", "--cobbler-jobs=2")],
)
def test_a_refused_option_changes_nothing(cobbler_project: Project, action: str, option: str) -> None:
    result = cobbler_project.run(action, option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {option.partition('=')[0]} does not apply to {action}"])
    assert cobbler_project.generation is None
