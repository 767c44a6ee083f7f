"""The suite itself: what its marks select, and that a sample can be drawn again."""

from __future__ import annotations

import ast
import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import markers

ROOT = Path(__file__).parents[1]
ROOMS = sorted(path.parent.name for path in (ROOT / "pytest_cobbler").glob("*/__init__.py"))
LISTER = """\
import json, os

def pytest_collection_finish(session):
    marks = {item.nodeid: [mark.name for mark in item.iter_markers()] for item in session.items}
    with open(os.environ["LISTING"], "w") as file:
        json.dump(marks, file)
"""


@pytest.fixture(scope="module")
def tests(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Node id -> marks, of every test; a run of the whole suite has collected them already."""
    if request.config.stash.get(markers.COLLECTED, None):
        return request.config.stash[markers.COLLECTED]
    directory = tmp_path_factory.mktemp("listing")
    (directory / "lister.py").write_text(LISTER)
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    env |= {"PYTHONPATH": str(directory), "LISTING": str(directory / "listing"), markers.SEED: "all"}
    argv = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "lister", "-p", "no:cacheprovider"]
    done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    listing: dict[str, list[str]] = json.loads((directory / "listing").read_text())
    return {test: set(marks) for test, marks in listing.items()}


def imported(module: Path) -> list[str]:
    """The modules from which a module imports."""
    return [
        name
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
        )
    ]


def rooms_of(module: Path) -> set[str]:
    """The rooms of the package from which a test module imports."""
    return {name.split(".")[1] for name in imported(module) if name.startswith("pytest_cobbler.")}


@pytest.mark.slow
def test_tests_share_through_support_only() -> None:
    """No test module imports another one, and helpers are in one place."""
    paths = (ROOT / "tests").rglob("*.py")
    others = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in paths
        for name in imported(path)
        if name.split(".")[0] == "tests" and not name.startswith("tests.support")
        # The fuzzers and the simulator are programs of their own, which test modules run.
        if not any(
            name.startswith(f"tests.{program}") and path.parent.is_relative_to(ROOT / "tests" / program)
            for program in ("fuzz", "simulator")
        )
    }
    assert others == set()


@pytest.mark.slow
def test_the_quick_selection_covers_every_room(tests: dict[str, set[str]]) -> None:
    left_out = {*markers.PARTS, "slow"}
    quick = {test for test, marks in tests.items() if "quick" in marks or not marks & left_out}
    modules = {test.partition("::")[0] for test in quick}
    covered = {Path(module).parts[1] for module in modules}
    covered.update(*(rooms_of(ROOT / module) for module in modules))
    assert set(ROOMS) <= covered
    assert 0 < len(quick) < len(tests)


@pytest.mark.slow
@pytest.mark.parametrize("mark", [*markers.PARTS, "slow", "quick", "every_run", "matrix"])
def test_every_mark_is_on_some_tests(tests: dict[str, set[str]], mark: str) -> None:
    marked = [test for test, marks in tests.items() if mark in marks]
    assert 0 < len(marked) < len(tests) / 2


@pytest.mark.slow
def test_the_quick_selection_needs_no_part(tests: dict[str, set[str]]) -> None:
    assert [test for test, marks in tests.items() if "quick" in marks and marks & {*markers.PARTS}] == []


@pytest.mark.slow
def test_a_quick_test_would_be_slow_otherwise(tests: dict[str, set[str]]) -> None:
    assert [test for test, marks in tests.items() if "quick" in marks and "slow" not in marks] == []


REASONS = {
    "needs podman: apt install podman": True,
    "gVisor does not start a container here: no cgroups": True,
    "cannot run a container": True,
    "needs an older kernel": False,
}


@pytest.mark.parametrize("reason", REASONS)
def test_ci_fails_if_a_test_of_a_program_that_is_there_skips(tmp_path: Path, reason: str) -> None:
    functions = (ROOT / ".ci" / "run").read_text("utf-8")
    body = functions.partition("nothing_real_was_skipped() {\n")[2].partition("\n}\n")[0]
    (tmp_path / "tests").write_text(f"SKIPPED [1] tests/test_a.py:1: {reason}\n")
    done = subprocess.run(
        ["bash", "-c", f"work=$1\n{body}", "bash", str(tmp_path)], stdout=subprocess.DEVNULL
    )
    assert (done.returncode != 0) is REASONS[reason]


class TestSample:
    @pytest.fixture(autouse=True)
    def a_seed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(markers.SEED, "12")

    def test_the_points_are_the_same_for_the_same_seed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        drawn = list(markers.points("a", 20))
        assert drawn == list(markers.points("a", 20))
        assert set(drawn) <= set(range(1, 21))
        others = []
        for number in range(20):
            monkeypatch.setenv(markers.SEED, str(number))
            others.append(list(markers.points("a", 20)))
        assert {point for others_of in others for point in others_of} > set(drawn)

    def test_a_short_matrix_has_a_point(self) -> None:
        assert len(list(markers.points("a", 1))) == 1

    def test_some_names_are_drawn_in_their_order(self, monkeypatch: pytest.MonkeyPatch) -> None:
        names = [*"abcdefghijklmnopqrstuvwxyz"]
        drawn = markers.some("a", names)
        assert drawn == markers.some("a", names) == [name for name in names if name in drawn]
        assert len(drawn) == -(-len(names) // markers.DRAWN)
        monkeypatch.setenv(markers.SEED, "all")
        assert markers.some("a", names) == names

    def test_all_are_all(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(markers.SEED, "all")
        assert list(itertools.islice(markers.points("a", 2), 5)) == [1, 2, 3, 4, 5]


MATRIX = """\
import pytest

pytestmark = pytest.mark.matrix

@pytest.mark.parametrize("case", range(12))
def test_many(case): ...

def test_one(): ...

@pytest.mark.matrix("pair")
def test_here(): ...

@pytest.mark.matrix("pair")
def test_there(): ...
"""


def cases(directory: Path, seed: str, *arguments: str) -> list[str]:
    """The tests that a run below this suite's conftest would have."""
    directory.mkdir(exist_ok=True)
    (directory / "conftest.py").write_text("from tests.conftest import *\n")
    (directory / "test_matrix.py").write_text(MATRIX)
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    env |= {"PYTHONPATH": str(ROOT), markers.SEED: seed}
    argv = [sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider"]
    done = subprocess.run([*argv, "-vv", *arguments], cwd=directory, env=env, capture_output=True, text=True)
    assert f"COBBLER_TEST_SEED={seed}\n" in done.stdout
    return [line.strip() for line in done.stdout.splitlines() if "<Function" in line]


@pytest.mark.slow
def test_a_run_has_a_sample_of_each_matrix(tmp_path: Path) -> None:
    drawn = cases(tmp_path, "5")
    assert drawn == cases(tmp_path, "5")
    assert len([case for case in drawn if "test_many" in case]) == -(-12 // markers.DRAWN)
    assert "<Function test_one>" in drawn
    assert len({"<Function test_here>", "<Function test_there>"} & set(drawn)) == 1
    assert len(cases(tmp_path, "all")) == 15
    assert len(cases(tmp_path, "5", "test_matrix.py::test_many")) == 12, "what is named is not left out"


SLOW = """\
import pytest

@pytest.mark.slow
@pytest.mark.parametrize("case", range(9))
def test_slow(case): ...

@pytest.mark.slow
@pytest.mark.quick
@pytest.mark.parametrize("case", range(4))
def test_quick(case): ...

@pytest.mark.slow
@pytest.mark.every_run
@pytest.mark.parametrize("case", range(4))
def test_promised(case): ...

def test_short(): ...
"""


@pytest.mark.slow
def test_a_run_of_the_whole_suite_has_half_of_the_slow_tests(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_slow.py").write_text(SLOW)
    (tmp_path / "pytest.ini").write_text("[pytest]\ntestpaths = tests\n")
    whole = cases(tmp_path, "5")
    assert len([case for case in whole if "test_slow" in case]) == 5
    assert len([case for case in whole if "test_quick" in case or "test_promised" in case]) == 8
    assert "<Function test_short>" in whole
    assert whole != cases(tmp_path, "6"), "another seed draws others"
    assert len(cases(tmp_path, "5", "tests/test_slow.py")) == 18
    assert len(cases(tmp_path, "all")) == 18


WORKER = """\
import os

def test_it(): assert int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1)) == eval(os.environ["EXPECTED"])
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("-p xdist", "os.cpu_count() + 1"),
        ("-p xdist -n 0", "1"),
        ("-p xdist tests", "1"),
        ("", "1"),
    ],
)
def test_all_tests_run_in_several_processes_if_none_are_named(
    tmp_path: Path, arguments: str, expected: str
) -> None:
    (tmp_path / "conftest.py").write_text((ROOT / "conftest.py").read_text())
    (tmp_path / "pytest.ini").write_text("[pytest]\ntestpaths = tests\n")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_it.py").write_text(WORKER)
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    env |= {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_XDIST_AUTO_NUM_WORKERS": "1",
        "EXPECTED": expected,
    }
    argv = [sys.executable, "-m", "pytest", "-q", *arguments.split()]
    done = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert "1 passed" in done.stdout, done.stdout


def of_all_modules(found: Callable[[str], list[str]]) -> list[str]:
    """What is found in the test modules, each with its file."""
    return [
        f"{path.relative_to(ROOT)}: {what}"
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for what in found(path.read_text("utf-8"))
    ]


def test_the_name_of_a_test_names_its_subject() -> None:
    empty = re.compile(r"^ *def (test_(?:it|that)_\w+)", re.MULTILINE)
    assert empty.findall("def test_it_works() -> None:")
    assert of_all_modules(empty.findall) == []


def names_of_jobs(text: str) -> list[str]:
    """The names that are written out where a module makes a sandbox on the host."""
    if "HostSandbox(" not in text:
        return []
    names = [
        ast.unparse(argument.value)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "HostSandbox"
        for argument in node.keywords
        if argument.arg == "repository"
    ]
    return [name for name in names if name.startswith(("'", '"'))]


def test_no_two_tests_share_the_name_of_their_jobs() -> None:
    """Jobs of one repository and run are ended together: tests side by side would end each other's."""
    assert names_of_jobs('HostSandbox(repository="r")') == ["'r'"]
    assert of_all_modules(names_of_jobs) == []
