"""The gate runs on the tip before the first agent: a gate that fails anyway costs nothing."""

from __future__ import annotations

import json
import signal

import pytest

from pytest_cobbler.testing.invariants import check
from pytest_cobbler.testing.project import Project
from tests.support.sessions import ids_landed, seed, stitch, task, words

GATE = """\
echo run >>{runs}
failed='<testcase classname="t" name="old"><failure/></testcase>'
[ ! -e repaired.txt ] || failed='<testcase classname="t" name="old"/>'
[ ! -e bad.txt ] || failed="$failed<testcase classname='t' name='new'><failure/></testcase>"
echo "<testsuite>$failed<testcase classname='t' name='fine'/></testsuite>" >report.xml
case $failed in *failure*) ;; *) exit 0 ;; esac
echo "FAILED t::old - ModuleNotFoundError: No module named 'calc._version'"
exit 1
"""


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    """A gate of its own that fails with one test of two, as generated code that is not committed makes it."""
    runs = cobbler_project.directory / "runs"
    cobbler_project.write({"gate.sh": GATE.format(runs=runs)})
    cobbler_project.configure(
        cycles=0, max_attempts=1, jobs=1, test_command="sh gate.sh", gate_report="report.xml"
    )
    cobbler_project.agent.task("fine").writes("fine.txt", "1\n")
    cobbler_project.agent.task("bad").writes("bad.txt", "1\n")
    cobbler_project.agent.task("repair").writes("repaired.txt", "1\n")
    cobbler_project.agent.task("then").writes("bad.txt", "2\n")
    return cobbler_project


def runs(project: Project) -> int:
    path = project.directory / "runs"
    return len(path.read_text().splitlines()) if path.exists() else 0


def prompts(project: Project, name: str) -> str:
    [path] = project.path.glob(f".cobbler/*/attempts/{name}/1/prompt.md")
    return path.read_text()


def test_a_base_that_fails_its_gate_is_an_error_before_anything_is_spent(project: Project) -> None:
    seed(project, task("fine"))
    result = project.run("--cobbler-generate", "--cobbler-jobs=2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    log = project.path / ".cobbler" / "gate-tip.log"
    result.stdout.fnmatch_lines(["gate: true; sh gate.sh, on main before any agent starts"])
    result.stderr.fnmatch_lines(
        [
            "ERROR: the gate fails on main as it is: t::old - ModuleNotFoundError: No module named "
            "'calc._version'",
            "Fix it, and commit that on main.",
            "If the image lacks a program or a package, add it there.",
            "If git ignores a file that a tool generates, let build_command make it.",
            "Or work on it as it is: red_base: allow in configuration.yaml, or --cobbler-red-base",
            f"The whole output: {log}",
            "  test failed (exit 1)",
            "  FAILED t::old - *",
        ]
    )
    assert "== test ==" in log.read_text()
    assert project.generation is None, "no branch is left"
    assert project.git("tag").split() == []
    assert not (project.path / ".cobbler" / "generation").exists()
    assert [entry.status for entry in project.tasks()] == ["open"]


def test_a_generation_that_was_started_on_a_red_base_names_the_way_to_another_one(project: Project) -> None:
    """What is committed on the base does not reach it."""
    seed(project, task("fine"))
    assert project.run("--cobbler-start").ret == 0
    result = project.run("--cobbler-generate")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    begin = "Or fix it on main, commit that, and begin again: pytest --cobbler-reset"
    result.stderr.fnmatch_lines(
        [f"ERROR: the gate fails on {project.generation} as it is: *", "Fix *", begin]
    )
    project.write({"repaired.txt": "1\n"})
    project.commit("Repair it")
    assert project.run("--cobbler-reset").ret == 0
    assert project.run("--cobbler-generate").ret == 0


def test_a_new_generation_is_judged_by_its_first_commit_and_not_by_the_base(project: Project) -> None:
    """Seed files, and sources that it begins without, make the two differ."""
    project.write({"template.txt": "1\n"})
    project.configure(seed_files={"repaired.txt": "template.txt"})
    seed(project, task("fine"), task("then"))
    assert project.run("--cobbler-generate", "-k", "fine").ret == 0, "only the base is red"
    assert project.run("--cobbler-reset").ret == 0
    project.write({"repaired.txt": "1\n"})
    project.configure(seed_files={"bad.txt": "template.txt"})
    before = runs(project)
    result = project.run("--cobbler-generate", "-k", "then")
    assert result.ret == pytest.ExitCode.USAGE_ERROR, "the base is green"
    result.stderr.fnmatch_lines(["ERROR: the gate fails on main as it is: *"])
    assert (runs(project), project.generation) == (before + 1, None)


NO_HOST = "FAIL\\tx: dial tcp: lookup example.com: no such host"
NO_CRATE = (
    "error: no matching package named x found\\nAs a reminder, you're using offline mode (--offline) ..."
)


@pytest.mark.parametrize(
    ("output", "cause", "fix"),
    [
        (NO_HOST, "FAIL x: dial tcp: lookup example.com: *", "The gate has no network: * (for Go: GOFLAGS=*"),
        (NO_CRATE, "error: no matching package named x found", "cargo fetches no crates *: commit them *"),
    ],
)
def test_a_gate_that_misses_the_network_is_told_how_to_do_without(
    project: Project, output: str, cause: str, fix: str
) -> None:
    project.write({"gate.sh": f'printf "{output}\\n"; exit 1'})
    project.commit("Fetch it")
    result = project.run("--cobbler-doctor")
    result.stdout.fnmatch_lines([f"FAILED *tip * the gate fails on main as it is: {cause}", f"* {fix}"])


def test_the_tip_is_tested_once_as_long_as_it_stays_the_same(project: Project) -> None:
    project.write({"repaired.txt": "1\n"})
    project.commit("Repair it")
    seed(project, task("fine"))
    assert project.run("--cobbler-generate").ret == 0
    assert runs(project) == 2, "the tip and the change"
    project.configure(cycles=1)  # a measure, on the tip that passed when it landed
    assert project.run("--cobbler-generate").ret == 0
    assert runs(project) == 2
    seed(project)
    project.configure(cycles=0)
    assert project.run("--cobbler-generate").ret == pytest.ExitCode.NO_TESTS_COLLECTED
    project.configure(test_command="sh gate.sh && true")
    seed(project, task("bad"))
    project.run("--cobbler-generate")
    # Another gate knows nothing of what the old one passed: the tip, the change, the tip before it is blamed.
    assert runs(project) == 2 + 3


def test_with_leave_what_fails_already_is_told_and_changes_are_judged_by_it(project: Project) -> None:
    seed(project, task("fine"), task("bad", "fine"), task("repair", "fine"), task("then", "repair"))
    result = project.run("--cobbler-generate", "--cobbler-red-base", "-v", "-rP")
    result.stdout.fnmatch_lines(
        [
            "gate: fails on the tip as it is (red_base: allow): t::old",
            "*Captured stdout notes call*",
            "tests: 1 failed, 1 passed",
        ]
    )
    assert "gate: what ran is unknown" not in result.stdout.str()
    assert words(result) == {
        "stitch::fine": "LANDED",
        "stitch::bad": "FAILED",
        "stitch::repair": "LANDED",
        "stitch::then": "FAILED",
    }
    assert ids_landed(project) == ["fine", "repair"]
    assert check(project, result) == []
    fine, repair = project.landed()
    assert fine.trailers["Cobbler-Tests"] == "1 failed, 1 passed"
    assert repair.trailers["Cobbler-Tests"] == "2 passed"
    note = "the gate fails as it did on the tip (red_base: allow): t::old"
    assert note in project.git("log", "-1", "--format=%B", fine.commit)
    case = result.junit[stitch("fine")]
    assert (case.outcome, case.properties["cobbler_tests"]) == ("passed", "1 failed, 1 passed")
    told = "<known-failures>\nt::old\n</known-failures>"
    assert told in prompts(project, "fine")
    assert told in prompts(project, "repair")
    assert "known-failures" not in prompts(project, "then"), "it was repaired"
    statement = json.loads(project.git("notes", "--ref=cobbler", "show", fine.commit))
    [gate, _] = statement["predicate"]["runDetails"]["byproducts"]
    assert gate["annotations"]["verdict"] == "failed"
    assert gate["annotations"]["results"] == {"t::fine": "passed", "t::old": "failed"}
    assert_verified_with_leave_only(project)


def assert_verified_with_leave_only(project: Project) -> None:
    result = project.run("--cobbler-verify", "--cobbler-red-base")
    assert result.ret == 0, result.outlines
    result = project.run("--cobbler-verify")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["*verdict: not passed, and the base's configuration has no red_base: allow*"]
    )


def test_without_a_report_only_a_green_change_lands(project: Project) -> None:
    project.configure(gate_report=None, red_base="allow")
    seed(project, task("fine"), task("repair"))
    result = project.run("--cobbler-generate", "-v")
    result.stdout.fnmatch_lines(["gate: fails on the tip as it is (red_base: allow): test failed (exit 1)"])
    assert words(result) == {"stitch::fine": "FAILED", "stitch::repair": "LANDED"}
    prompt = prompts(project, "fine")
    assert "Only a change with which they succeed is taken." in prompt
    assert "No module named 'calc._version'" in prompt


@pytest.mark.matrix("costly")
def test_a_generation_on_a_red_base_can_be_merged(project: Project) -> None:
    project.configure(red_base="allow")
    seed(project, task("fine"))
    assert project.run("--cobbler-generate").ret == 0
    project.write({"other.txt": "1\n"})
    project.commit("Go on with the base")
    result = project.run("--cobbler-stop")
    assert result.ret == 0, result.outlines
    assert "Cobbler-Tests: 1 failed, 1 passed" in project.git("log", "-1", "--format=%B")
    project.configure(red_base=None)
    seed(project, task("fine"))
    project.agent.task("fine").writes("more.txt", "1\n")
    assert project.run("--cobbler-generate", "--cobbler-red-base").ret == 0
    project.write({"bad.txt": "1\n"})
    project.commit("Break the base")
    result = project.run("--cobbler-stop")
    assert result.ret == pytest.ExitCode.TESTS_FAILED, "the merge fails, and that was not allowed"
    assert project.run("--cobbler-stop", "--cobbler-red-base").ret == 0


def test_an_interrupt_while_the_tip_is_tested_ends_the_run(project: Project) -> None:
    begun = project.directory / "begun"
    project.configure(test_command=f"touch {begun}; sleep 61")
    seed(project, task("fine"))
    running = project.start("--cobbler-generate")
    running.wait_until(begun.exists)
    running.send_signal(signal.SIGINT)
    result = running.wait()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert project.generation is None
    assert [entry.status for entry in project.tasks()] == ["open"]


@pytest.mark.matrix("costly")
def test_the_doctor_names_a_base_that_fails_its_gate(project: Project) -> None:
    result = project.run("--cobbler-doctor")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["FAILED *tip * the gate fails on main as it is: t::old - ModuleNotFound*"])
    result = project.run("--cobbler-doctor", "--cobbler-red-base")
    result.stdout.fnmatch_lines(["warning *tip * the gate fails on main as it is (red_base: allow): t::old"])
    project.write({"repaired.txt": "1\n"})
    project.commit("Repair it")
    result = project.run("--cobbler-doctor")
    result.stdout.fnmatch_lines(["ok *tip * the gate passes on main: 2 passed"])
    before = runs(project)
    seed(project, task("fine"))
    assert project.run("--cobbler-generate").ret == 0
    assert runs(project) == before + 2, "what the doctor finds out is not kept"
