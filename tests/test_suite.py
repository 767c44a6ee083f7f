"""The suite itself: what its marks select, and that a sample can be drawn again."""

from __future__ import annotations

import ast
import itertools
import json
import os
import subprocess
import sys
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
@pytest.mark.parametrize("mark", [*markers.PARTS, "slow", "quick", "matrix"])
def test_every_mark_is_on_some_tests(tests: dict[str, set[str]], mark: str) -> None:
    marked = [test for test, marks in tests.items() if mark in marks]
    assert 0 < len(marked) < len(tests) / 2


@pytest.mark.slow
def test_the_quick_selection_needs_no_part(tests: dict[str, set[str]]) -> None:
    assert [test for test, marks in tests.items() if "quick" in marks and marks & {*markers.PARTS}] == []


@pytest.mark.slow
def test_a_quick_test_would_be_slow_otherwise(tests: dict[str, set[str]]) -> None:
    assert [test for test, marks in tests.items() if "quick" in marks and "slow" not in marks] == []


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
        names = ["one", "two", "three", "four", "five", "six"]
        drawn = markers.some("a", names)
        assert drawn == markers.some("a", names) == [name for name in names if name in drawn]
        assert len(drawn) == 2
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
    assert len([case for case in drawn if "test_many" in case]) == 12 / markers.DRAWN
    assert "<Function test_one>" in drawn
    assert len({"<Function test_here>", "<Function test_there>"} & set(drawn)) == 1
    assert len(cases(tmp_path, "all")) == 15
    assert len(cases(tmp_path, "5", "test_matrix.py::test_many")) == 12, "what is named is not left out"


WORKER = """\
import os

def test_it(): assert ("PYTEST_XDIST_WORKER" in os.environ) == (os.environ["EXPECTED"] == "several")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("-p xdist", "several"),
        ("-p xdist -n 0", "one"),
        ("-p xdist tests", "one"),
        ("", "one"),
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
