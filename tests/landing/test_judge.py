"""A green gate counts if the tests of the tip still run: attacks on a real pytest, and good work."""

from __future__ import annotations

import re
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from pytest_cobbler.causes import Cause
from pytest_cobbler.landing.candidates import Candidate, Landing
from pytest_cobbler.landing.gate import Gate, GateResult
from pytest_cobbler.landing.tip import Red, Tip, check_tip
from pytest_cobbler.languages import get
from pytest_cobbler.languages.base import Step
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.checks import Policy
from pytest_cobbler.sandbox.base import Network, Sandbox
from pytest_cobbler.sandbox.podman import PodmanSandbox, job_owner
from tests.support.images import python_image
from tests.support.jobs import own_host
from tests.support.lanes import land_together, make_lane
from tests.support.repositories import UserRepository, commit_files
from tests.support.toolchain import go_cache, go_root

__all__ = ["go_cache", "go_root", "python_image"]

PYTEST = f"{sys.executable} -m pytest -q -p no:cacheprovider --junitxml=$HOME/report.xml"
QUIET = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"}

pytestmark = pytest.mark.slow


@dataclass(frozen=True, kw_only=True)
class CountingGate(Gate):
    """A gate that notes the log of each run."""

    logs: list[str]

    def run(
        self, checkout: Path, log: Path, cancellation: Cancellation, entry: str | None = None
    ) -> GateResult:
        self.logs.append(log.name)
        return super().run(checkout, log, cancellation, entry)


class Bench:
    """A generation whose tip has a feature with a test, and a lane with a real pytest on it."""

    def __init__(self, user: UserRepository, directory: Path, files: dict[str, str]) -> None:
        user.commit(files)
        self.repository = user.open()
        self.generation = user.start()
        self.directory = directory
        self.runs: list[str] = []
        self.make()

    def make(
        self,
        command: str = f"{PYTEST}; status=$?; [ $status = 5 ] || exit $status",
        *,
        refuses_weakened: bool = False,
        allows_red: bool = False,
        unknown: bool = False,
        language: str = "",
        sandbox: Sandbox | None = None,
        environment: Mapping[str, str] = QUIET,
        landing: Literal["each", "train"] = "each",
    ) -> None:
        """A lane with a gate of one shell command, or the test step of ``language``.

        ``unknown``: it leaves no report.
        """
        step = Step(
            name="test",
            argv=("sh", "-c", command),
            shown=command,
            report="" if unknown else "~/report.xml",
        )
        if language:
            [step] = [step for step in get(language).gate() if step.name == "test"]
        gate = CountingGate(
            steps=[step],
            sandbox=sandbox or own_host(),
            network=Network.NONE,
            image=None,
            timeout=60.0,
            environment=environment,
            logs=self.runs,
        )
        self.language = get(language or "python")
        made = make_lane(
            self.repository,
            self.generation,
            gate,
            self.language,
            self.directory,
            allows_red=allows_red,
            refuses_weakened=refuses_weakened,
            landing=landing,
        )
        self.lane, self.tree_gate, self.judge = made.lane, made.gate, made.judge

    def check_tip(self) -> Tip:
        """Run the gate on the tip, as a run does before its first agent."""
        tree, log = self.repository.tree_of(self.tip), self.directory / "gate-tip.log"
        tip = check_tip(self.tree_gate, self.repository, self.language, tree, log, Cancellation())
        if tip.record:
            self.judge.learn(tip.record)
        self.lane.red = tip.red
        return tip

    @property
    def tip(self) -> str:
        tip = self.repository.read_ref(self.generation.ref)
        assert tip is not None
        return tip

    def land(self, files: dict[str, str | None], **changes: Any) -> Landing:
        return self.lane.land(self.candidate(files, **changes))

    def candidate(self, files: dict[str, str | None], **changes: Any) -> Candidate:
        facts: dict[str, Any] = {
            "task_id": "t-1",
            "commit": commit_files(self.repository, self.tip, files),
            "policy": Policy(),
            "log": self.directory / "gate.log",
            "message": lambda notes, *_: "\n".join(["The task\n", *notes]),
            "on_landed": lambda _landed: None,
        }
        return Candidate(**facts | changes)


PROTECTED = "pkg/tests/test_core.py"
CORE = "def double(n):\n    return 2 * n\n"
TEST = "from pkg.core import double\n\n\ndef test_double():\n    assert double(2) == 4\n"
OTHER = "def test_other():\n    assert 1 + 1 == 2\n"
PROJECT = {
    "pkg/__init__.py": "",
    "pkg/core.py": CORE,
    "pkg/tests/__init__.py": "",
    PROTECTED: TEST,
    "tests/test_other.py": OTHER,
}
BROKEN = {"pkg/core.py": "def double(n):\n    return 3 * n\n"}
CLEAR = "def pytest_collection_modifyitems(items):\n    items.clear()\n"
SKIP = "import pytest\n\npytest.skip('no', allow_module_level=True)\n"


@pytest.fixture
def bench(user: UserRepository, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(user, tmp_path, PROJECT)
    yield bench
    bench.lane.close()


ATTACKS: dict[str, dict[str, str | None]] = {
    "a directory that looks like a virtual environment": {"pkg/pyvenv.cfg": "home = /usr/bin\n"},
    "a hook in another directory": {"zz/conftest.py": CLEAR, "zz/test_z.py": "def test_z(): pass\n"},
    "collect_ignore": {"pkg/tests/conftest.py": "collect_ignore = ['test_core.py']\n"},
    "a skip of the module": {PROTECTED: SKIP + TEST},
    "pytestmark": {PROTECTED: "import pytest\npytestmark = pytest.mark.skip\n" + TEST},
    "an expected failure": {
        "zz/conftest.py": "def pytest_collection_modifyitems(items):\n"
        "    [item.add_marker('xfail') for item in items if item.name == 'test_double']\n",
        "zz/test_z.py": "def test_z(): pass\n",
    },
    "__test__": {PROTECTED: TEST + "\n\n__test__ = False\n"},
}


def test_a_change_that_hides_the_test_of_what_it_breaks_does_not_land(bench: Bench) -> None:
    tip = bench.tip
    for name, attack in ATTACKS.items():
        landing = bench.land({**BROKEN, **attack})
        assert (landing.commit, landing.cause, bench.tip) == ("", Cause.GATE, tip), name
        assert landing.gate is not None
        assert landing.gate.passed, f"{name}: without the judge it would land"
        assert any(PROTECTED in reason for reason in landing.hidden), (name, landing.hidden)
    assert set(bench.runs) == {"gate.log", "gate-tip.log", "gate-again.log"}
    assert bench.runs.count("gate-tip.log") == 1


def test_a_test_that_loses_its_prefix_is_noted_and_can_be_refused(bench: Bench) -> None:
    change = {PROTECTED: TEST.replace("test_double", "check_double") + "\n\ndef test_no(): pass\n"}
    bench.make(refuses_weakened=True)
    landing = bench.land({**BROKEN, **change})
    assert (landing.commit, landing.cause) == ("", Cause.REFUSED)
    note = f"tests changed in {PROTECTED}: 1 test removed (test_double)"
    assert [str(refusal) for refusal in landing.refusals] == [note]
    bench.make()
    landing = bench.land({**BROKEN, **change})
    assert landing.commit
    assert landing.notes == (note,)
    assert note in bench.repository.objects.text("log", "-1", "--format=%B", landing.commit)


GOOD: dict[str, dict[str, str | None]] = {
    "a source": {"pkg/core.py": CORE + "\n\ndef triple(n):\n    return 3 * n\n"},
    "a test moves": {PROTECTED: None, "pkg/tests/test_moved.py": TEST},
    "a test moves to a class": {
        "tests/test_other.py": "class TestOther:\n    def test_other(self):\n        assert 1 + 1 == 2\n"
    },
    "a fixture": {"tests/conftest.py": "import pytest\n\n@pytest.fixture\ndef one(): return 1\n"},
    "tests from data": {
        "tests/data.json": "[1, 2, 3]\n",
        "tests/test_data.py": "import json, pathlib, pytest\n"
        "NUMBERS = json.loads(pathlib.Path(__file__).with_name('data.json').read_text())\n\n"
        "@pytest.mark.parametrize('n', NUMBERS)\ndef test_data(n): assert n\n",
    },
    "fewer data": {"tests/data.json": "[3]\n"},
    "an inherited test": {
        "tests/base.py": "class Base:\n    def test_inherited(self): assert 1\n",
        "tests/test_base.py": "from base import Base\n\nclass TestB(Base):\n    pass\n",
    },
    "a feature goes with its tests": {
        "pkg/tests/test_moved.py": None,
        "pkg/core.py": None,
        "pkg/tests/__init__.py": None,
        "pkg/__init__.py": None,
    },
}


def test_good_work_lands(bench: Bench) -> None:
    for name, good in GOOD.items():
        landing = bench.land(good)
        assert landing.commit, (name, landing.hidden, landing.gate)


def test_the_gate_runs_no_more_often_than_needed(bench: Bench) -> None:
    assert not bench.check_tip().is_red
    assert bench.land({"pkg/new.py": "x = 1\n"}).commit
    assert bench.land({"README.md": "More.\n"}).commit
    assert bench.runs == ["gate-tip.log", "gate.log", "gate.log"], "the tip once, then each change"
    assert bench.land({"data.json": "[]\n"}).commit
    assert bench.runs[3:] == ["gate.log", "gate-planted.log"]
    runs = len(bench.runs)
    assert not bench.check_tip().is_red
    assert bench.runs[runs:] == [], "a landed tree is known to pass"


def test_a_test_that_skips_itself_now_and_then_lands(bench: Bench) -> None:
    counter = bench.directory / "count"
    flaky = f"""
import pathlib, pytest

def test_flaky():
    counter = pathlib.Path({str(counter)!r})
    runs = len(counter.read_text()) if counter.exists() else 0
    counter.write_text("x" * (runs + 1))
    if runs % 2:
        pytest.skip("not now")
"""
    assert bench.land({"tests/test_flaky.py": flaky}).commit
    landing = bench.land({"pkg/new.py": "x = 1\n"})
    assert landing.commit, landing.hidden
    assert bench.runs[-1] == "gate-again.log"


def test_no_test_at_all_is_accepted_only_where_no_file_holds_tests(
    user: UserRepository, tmp_path: Path
) -> None:
    bench = Bench(user, tmp_path, {"src/a.py": "x = 1\n"})
    assert bench.land({"src/b.py": "y = 1\n"}).commit
    landing = bench.land({"pyvenv.cfg": "", "tests/pyvenv.cfg": "", "tests/test_b.py": OTHER})
    assert landing.hidden == ("no test ran, and these files hold tests: tests/test_b.py",)
    assert bench.land({"tests/test_b.py": OTHER}).commit
    landing = bench.land({"tests/test_b.py": None})
    assert (landing.commit, landing.cause) == ("", Cause.GATE)
    assert landing.gate is not None
    assert landing.gate.passed, "without the judge it would land"
    assert landing.hidden == ("no test ran, and these files hold tests: tests/test_b.py",)
    bench.lane.close()


@pytest.mark.parametrize("unknown", [True, False])
def test_a_gate_that_a_change_keeps_from_failing_is_found_by_a_planted_test(
    bench: Bench, unknown: bool
) -> None:
    bench.make(f"{PYTEST}; status=$?; [ -f off ] || exit $status", unknown=unknown)
    landing = bench.land({"off": "", **BROKEN})
    assert (landing.commit, landing.cause) == ("", Cause.GATE)
    assert landing.hidden


def test_a_planted_test_that_is_not_in_the_report_is_found(bench: Bench) -> None:
    bench.make(f"files=; [ ! -f off ] || files='{PROTECTED} tests'; {PYTEST} $files")
    landing = bench.land({"off": "", "pkg/core.py": CORE + "\n"})
    assert (landing.commit, landing.cause) == ("", Cause.GATE)
    assert landing.hidden == ("failing tests were added, and did not fail: pkg/tests/; cause: off",)


def test_a_conftest_alone_has_planted_tests_of_random_names(bench: Bench) -> None:
    bench.make(OWN, unknown=True)
    names = []
    for content in ("x = 1\n", "x = 2\n"):
        assert bench.land({"tests/conftest.py": content}).commit
        output = (bench.directory / "gate-planted.log").read_text()
        names.append(set(re.findall(r"^FAILED \S+::test_([a-f][0-9a-f]{8})_", output, re.MULTILINE)))
    assert bench.runs == ["gate.log", "gate-planted.log"] * 2
    assert [len(one) for one in names] == [2, 2], "one in each directory with tests"
    assert names[0].isdisjoint(names[1])
    hides = "def pytest_sessionfinish(session):\n    session.exitstatus = 0\n"
    landing = bench.land({"tests/conftest.py": hides, **BROKEN})
    assert (landing.commit, landing.cause) == ("", Cause.GATE)
    [reason] = landing.hidden
    assert reason.endswith("did not fail: pkg/tests/, tests/; cause: tests/conftest.py")


@pytest.mark.matrix
@pytest.mark.parametrize("options", ["", "-x", "-x --tb=no -rN"])
def test_a_directory_whose_tests_are_off_is_found_beside_others_without_a_report(
    bench: Bench, options: str
) -> None:
    bench.make(f"{sys.executable} -m pytest -q -p no:cacheprovider {options}", unknown=True)
    moved = {"test/test_core.py": TEST, "pkg/tests/test_core.py": None, "pkg/tests/__init__.py": None}
    off = "conda-meta/history"  # pytest takes the directory for an environment
    attacks: list[dict[str, str | None]] = [
        {f"pkg/tests/{off}": ""},
        {**moved, f"test/{off}": "", "test2/test_other.py": OTHER, "tests/test_other.py": None},
    ]
    for attack in attacks:
        landing = bench.land({**BROKEN, **attack})
        assert (landing.commit, landing.cause) == ("", Cause.GATE)
        assert landing.gate is not None
        assert landing.gate.passed
        [reason] = landing.hidden
        assert "failing tests were added, and did not fail" in reason
        assert reason.endswith(off)
    del bench.runs[:]
    assert bench.land({"pkg/tests/data.json": "[]\n"}).commit
    assert bench.runs == ["gate.log", *["gate-planted.log"] * (4 if "N" in options else 2 if options else 1)]


OWN = f"{sys.executable} -m pytest -q -p no:cacheprovider"
HEADS = "! grep -rL '^# Mine' pkg/tests tests --include=test_*.py | grep ."


def headed(files: Mapping[str, str]) -> dict[str, str | None]:
    return {path: f"# Mine\n{text}" for path, text in files.items() if "test_" in path}


def test_a_gate_that_refuses_added_files_before_it_runs_them_is_no_proof(bench: Bench) -> None:
    assert bench.land(headed(PROJECT)).commit
    bench.make(f"{HEADS} && {OWN}", unknown=True)
    off = "pkg/tests/conda-meta/history"
    landing = bench.land({**BROKEN, off: ""})
    assert (landing.commit, landing.cause) == ("", Cause.GATE)
    assert landing.gate is not None
    assert landing.gate.passed
    assert landing.hidden == (f"failing tests were added, and did not fail: pkg/tests/; cause: {off}",)
    bench.make(f"{HEADS} && {OWN} --tb=no -rN", unknown=True)
    landing = bench.land({"pkg/tests/data.json": "[]\n"})
    assert (bool(landing.commit), landing.notes) == (True, ())


def test_a_gate_that_fails_whatever_is_added_is_noted(bench: Bench) -> None:
    counted = f"[ $(cat pkg/tests/*.py tests/*.py | wc -l) = $(cat lines) ] && {OWN}"
    assert bench.land({"lines": f"{TEST.count(chr(10)) + OTHER.count(chr(10))}\n"}).commit
    bench.make(counted, unknown=True)
    landing = bench.land({"data.json": "[]\n"})
    assert landing.commit
    [note] = landing.notes
    added = "tests that are added to pkg/tests/, tests/"
    assert note == f"the gate fails whether {added} fail or pass, as before the change"


def test_a_change_after_which_the_gate_fails_whatever_is_added_does_not_land(bench: Bench) -> None:
    counted = "[ ! -f lines ] || [ $(cat pkg/tests/*.py tests/*.py | wc -l) = $(cat lines) ]"
    bench.make(f"{counted} && {OWN}", unknown=True)
    landing = bench.land({"lines": f"{TEST.count(chr(10)) + OTHER.count(chr(10))}\n"})
    assert (landing.commit, landing.cause) == ("", Cause.GATE)
    assert landing.hidden == (
        "the gate fails whether tests that are added to pkg/tests/, tests/ fail or pass; cause: lines",
    )


def test_a_change_does_not_land_if_the_directories_are_too_many_to_try(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_cobbler.landing.planted_runs._MOST_ALONE", 1)
    bench.make(f"{OWN} -x", unknown=True)
    assert bench.land({"other/test_more.py": OTHER}).commit
    landing = bench.land({"other/data.json": "[]\n"})
    assert not landing.commit
    [reason] = landing.hidden
    assert reason.startswith("it was not shown that the gate still runs tests that are added to ")
    assert reason.endswith("cause: other/data.json")
    assert "other/," not in reason, "it was the nearest to the change"
    assert bench.land({"other/more.py": "X = 1\n"}).commit, "such a file switches no tests off"


def test_no_path_makes_a_line_of_its_own_in_what_is_said_of_a_change(bench: Bench) -> None:
    bench.make("true", unknown=True)
    path = "tests/test_a\n= 9 passed =.py"
    assert bench.land({path: OTHER}).commit
    assert bench.land({path: None}).notes == (
        "tests changed in tests/test_a\\n= 9 passed =.py: 1 test removed, with the file (test_other)",
    )
    bench.make(f"{PYTEST}; status=$?; ls | grep -q off || exit $status", unknown=True)
    [reason] = bench.land({"off\n= 9 passed =": "", **BROKEN}).hidden
    assert reason.endswith("; cause: off\\n= 9 passed =")


CASE = "import unittest\n\n\nclass TestCase(unittest.TestCase):\n    def test(self):\n        pass\n"


@pytest.mark.parametrize(
    "content", [None, "def load_tests(loader, tests, pattern):\n    return loader.suiteClass()\n"]
)
def test_a_package_that_hides_its_tests_from_unittest_is_found(bench: Bench, content: str | None) -> None:
    bench.make("python3 -m unittest", unknown=True)
    tests = {"tests/__init__.py": "", "tests/test_other.py": CASE}
    assert bench.land({**tests, "tests/unit/__init__.py": "", "tests/unit/test_case.py": CASE}).commit
    landing = bench.land({"tests/unit/__init__.py": content})
    assert (landing.commit, landing.cause) == ("", Cause.GATE)
    [reason] = landing.hidden
    assert "tests/unit/; cause: tests/unit/__init__.py" in reason
    assert bench.land({"tests/unit/__init__.py": "x = 1\n"}).commit


def test_a_gate_that_never_ran_the_planted_tests_is_noted(bench: Bench) -> None:
    bench.make("true", unknown=True)
    landing = bench.land({"data.json": "[]"})
    assert landing.commit
    assert landing.notes == (
        "the gate does not run tests that are added to pkg/tests/, tests/, as before the change",
    )


FAILING = "def test_known():\n    assert False\n\n\ndef test_fine():\n    pass\n"
KNOWN = "tests/test_known.py::test_known"


class TestRedTip:
    """The tip fails, and the user allows that."""

    @pytest.fixture
    def bench(self, user: UserRepository, tmp_path: Path) -> Iterator[Bench]:
        bench = Bench(user, tmp_path, {**PROJECT, "tests/test_known.py": FAILING})
        bench.make(allows_red=True)
        tip = bench.check_tip()
        assert (tip.is_red, tip.red) == (True, Red(lines=(KNOWN,), are_tests=True))
        yield bench
        bench.lane.close()

    def test_a_change_that_leaves_exactly_its_failures_lands_and_says_so(self, bench: Bench) -> None:
        landing = bench.land({"pkg/new.py": "x = 1\n"})
        assert landing.commit
        assert landing.record is not None
        assert (landing.record.verdict, landing.record.summary) == ("failed", "1 failed, 3 passed")
        note = f"the gate fails as it did on the tip (red_base: allow): {KNOWN}"
        assert landing.notes == (note,)
        assert note in bench.repository.objects.text("log", "-1", "--format=%B", landing.commit)
        assert bench.lane.red == Red(lines=(KNOWN,), are_tests=True)
        assert bench.runs == ["gate-tip.log", "gate.log"]

    def test_a_change_that_repairs_it_lands_and_from_then_on_red_is_red(self, bench: Bench) -> None:
        assert bench.land({"tests/test_known.py": FAILING.replace("False", "True")}).commit
        assert bench.lane.red is None
        landing = bench.land({"tests/test_known.py": FAILING})
        assert (landing.commit, landing.cause) == ("", Cause.GATE)

    CHANGES: Mapping[str, dict[str, str | None]] = {
        "it breaks another test": {**BROKEN},
        "it breaks another test and repairs the known one": {**BROKEN, "tests/test_known.py": None},
        "the runner itself fails": {"tests/conftest.py": "import nothing_of_that_name\n"},
        "another test is skipped by the file": {PROTECTED: SKIP + TEST},
        "the tests of a directory do not run": {"pkg/pyvenv.cfg": "home = /usr/bin\n"},
    }

    def test_a_change_that_makes_anything_worse_does_not_land(self, bench: Bench) -> None:
        for name, change in self.CHANGES.items():
            landing = bench.land(change)
            assert (landing.commit, landing.cause) == ("", Cause.GATE), name

    def test_without_leave_or_a_report_only_a_green_change_lands(self, bench: Bench) -> None:
        bench.make()
        assert bench.land({"pkg/new.py": "x = 1\n"}).cause == Cause.LANDING
        bench.make(allows_red=True, unknown=True)
        bench.check_tip()
        assert bench.land({"pkg/new.py": "x = 1\n"}).cause == Cause.GATE
        assert bench.land({"tests/test_known.py": None}).commit

    def test_a_file_that_cannot_be_imported_keeps_no_other_test_from_deciding(self, bench: Bench) -> None:
        bench.make(language="python", allows_red=True)
        landing = bench.land({"tests/test_known.py": None, "pkg/new.py": "x = 1\n"})
        assert landing.commit
        bench.repository.move_ref(
            bench.generation.ref,
            commit_files(bench.repository, bench.tip, {"tests/test_bad.py": "import nothing_of_that_name\n"}),
            bench.tip,
            "a red tip",
        )
        assert bench.check_tip().red == Red(lines=("tests/test_bad.py",), are_tests=True)
        assert bench.land({"pkg/new.py": "x = 2\n"}).commit
        assert bench.land({**BROKEN}).cause == Cause.GATE

    def test_a_runner_that_stops_at_the_first_failure_runs_the_other_tests(self, bench: Bench) -> None:
        bench.make(language="python", allows_red=True)
        files = {"pytest.ini": "[pytest]\naddopts = -x\n", "a/test_first.py": "def test_first(): assert 0\n"}
        bench.repository.move_ref(
            bench.generation.ref, commit_files(bench.repository, bench.tip, files), bench.tip, "a red tip"
        )
        assert bench.check_tip().red == Red(lines=("a/test_first.py::test_first", KNOWN), are_tests=True)
        assert bench.land({**BROKEN}).cause == Cause.GATE
        assert bench.land({"pkg/new.py": "x = 2\n"}).commit

    def test_a_red_record_is_not_enough(self, bench: Bench) -> None:
        runs = len(bench.runs)
        assert bench.check_tip().is_red
        assert len(bench.runs) == runs + 1


def test_a_tree_without_tests_is_not_red(user: UserRepository, tmp_path: Path) -> None:
    bench = Bench(user, tmp_path, {"src/a.py": "x = 1\n"})
    bench.make(PYTEST)
    tip = bench.check_tip()
    assert (tip.is_red, tip.result and tip.result.status) == (False, 5)
    bench.lane.close()


def test_further_runs_count_as_time_of_the_gate(bench: Bench) -> None:
    landing = bench.land({"data.json": "[]\n"})
    assert landing.gate is not None
    assert landing.gate_seconds > landing.gate.seconds


def test_the_base_may_switch_tests_off(bench: Bench) -> None:
    base = commit_files(bench.repository, bench.tip, {"pkg/pyvenv.cfg": ""})
    commit = commit_files(bench.repository, base, {"pkg/new.py": ""})
    landing = bench.land({}, commit=commit, base=base)
    assert landing.commit, landing.hidden


def test_the_default_gate_in_a_container_is_judged(
    user: UserRepository, tmp_path: Path, python_image: str
) -> None:
    bench = Bench(user, tmp_path, PROJECT)
    owner = job_owner(tmp_path)
    podman = PodmanSandbox(python_image, repository=uuid.uuid4().hex, run_id="test", owner=owner)
    bench.make(language="python", sandbox=podman)
    for attack in ({"pkg/pyvenv.cfg": "home = /usr/bin\n"}, {"zz/conftest.py": CLEAR}):
        landing = bench.land({**BROKEN, **attack})
        assert (landing.commit, landing.cause) == ("", Cause.GATE)
        assert landing.gate is not None
        assert landing.gate.passed
        assert any(PROTECTED in reason for reason in landing.hidden)
    landing = bench.land({"tests/conftest.py": "", "tests/data.json": "[]\n"})
    assert landing.commit, (landing.hidden, landing.gate)
    assert bench.runs == ["gate.log", "gate-tip.log", "gate.log", "gate.log", "gate-planted.log"]
    bench.lane.close()


GO_MOD = "module example.com/m\n\ngo 1.21\n"
GO_SOURCE = "package pkg\n\nfunc Double(n int) int { return 2 * n }\n"
GO_TEST = """\
package pkg

import "testing"

func TestDouble(t *testing.T) {
	if Double(2) != 4 {
		t.Fatal("wrong")
	}
}
"""


def test_go_tests_in_a_module_of_their_own_are_hidden(
    user: UserRepository, tmp_path: Path, go_cache: Path
) -> None:
    bench = Bench(user, tmp_path, {})
    bench.make(language="go", environment={"COBBLER_GOCACHE": str(go_cache), "CGO_ENABLED": "0"})
    assert bench.check_tip() == Tip(), "there are no sources to test"
    first: dict[str, str | None] = {"go.mod": GO_MOD, "pkg/a.go": GO_SOURCE, "pkg/a_test.go": GO_TEST}
    landing = bench.land(first)
    assert landing.commit, "the first task of a generation that began without sources"
    wrong = GO_SOURCE.replace("2 * n", "3 * n")
    landing = bench.land({"pkg/a.go": wrong, "pkg/go.mod": "module example.com/pkg\n"})
    assert (landing.commit, landing.cause) == ("", Cause.GATE)
    assert landing.gate is not None
    assert landing.gate.passed
    assert any("pkg/a_test.go" in reason for reason in landing.hidden)
    landing = bench.land({"pkg/data.json": "[]\n"})
    assert landing.commit, (landing.hidden, landing.gate)
    planted = ["gate.log", "gate-planted.log"]  # go.mod may switch tests off, too
    assert bench.runs == [*planted, "gate.log", *planted]
    bench.lane.close()


class TestTrains:
    """Changes that land together are judged as if each had landed by itself."""

    NEW: dict[str, str | None] = {"tests/test_new.py": "def test_new():\n    assert 1 + 1 == 2\n"}  # noqa: RUF012
    HIDES = "def pytest_collection_modifyitems(items):\n    items[:] = [i for i in items if i.name != '{}']\n"

    def land(self, bench: Bench, *changes: dict[str, str | None], **options: Any) -> list[Landing]:
        bench.make(landing="train", **options)
        bench.check_tip()
        candidates = [
            bench.candidate(files, task_id=f"t-{number}", log=bench.directory / str(number) / "gate.log")
            for number, files in enumerate(changes, 1)
        ]
        return land_together(bench.lane, bench.candidate({}), candidates)

    def test_a_test_of_one_change_that_another_hides_is_found(self, bench: Bench) -> None:
        hides: dict[str, str | None] = {"tests/conftest.py": self.HIDES.format("test_new")}
        new, hiding = self.land(bench, self.NEW, hides)
        assert new.commit
        assert (hiding.commit, hiding.cause) == ("", Cause.GATE)
        assert "tests/test_new.py" in hiding.hidden[0]

    def test_a_test_of_the_tip_that_one_of_them_hides_is_found(self, bench: Bench) -> None:
        hides: dict[str, str | None] = {"tests/conftest.py": self.HIDES.format("test_other")}
        landings = self.land(bench, self.NEW, hides, {"other.txt": ""})
        assert [bool(landing.commit) for landing in landings] == [True, False, True]
        assert "tests/test_other.py" in landings[1].hidden[0]

    def test_each_commit_has_the_notes_on_its_own_change(self, bench: Bench) -> None:
        removes: dict[str, str | None] = {"tests/test_other.py": None}
        landings = self.land(bench, self.NEW, removes, {"other.txt": ""})
        assert [landing.train.size if landing.train else 0 for landing in landings] == [3, 3, 3]
        assert (landings[0].notes, landings[2].notes) == ((), ())
        assert "tests changed in tests/test_other.py: 1 test removed" in landings[1].notes[-1]

    def test_a_weakened_test_is_refused_in_a_train(self, bench: Bench) -> None:
        removes: dict[str, str | None] = {"tests/test_other.py": None}
        landings = self.land(bench, self.NEW, removes, {"other.txt": ""}, refuses_weakened=True)
        assert [landing.cause for landing in landings] == ["", Cause.REFUSED, ""]
