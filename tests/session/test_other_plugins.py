"""Common plugins of users' test suites: a run has the same outcomes with each, and starts no agent twice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from pytest_cobbler.testing.project import Project, RunResult
from tests.support.parts import surroundings
from tests.support.sessions import WRITES_A_FILE, came_to, ids_landed, seed, statuses, stitch, task

PLUGINS = {
    "allure_pytest": ["--alluredir=allure"],
    "asyncio": ["-o", "asyncio_mode=auto"],
    "pytest_cov": ["--cov=.", "--cov-fail-under=90"],
    "html": ["-p", "html_fixtures", "-p", "metadata", "--html=report.html"],
    "flaky": ["--force-flaky", "--max-runs=3"],
    "pytest_jsonreport": ["-p", "metadata", "--json-report", "--json-report-file=report.json"],
    "randomly": ["-p", "randomly"],
    "pytest_reportlog": ["--report-log=log.jsonl"],
    "pytest-retry": ["--retries=2"],
    "rerunfailures": ["--reruns=2"],
    "sugar": ["--force-sugar"],
    "timeout": ["--timeout=1"],
    "xdist": ["-n", "2"],
}
"""Name of the entry point -> what switches it on."""

SAMPLED = {name: pytest.mark.matrix for name in PLUGINS if name != "pytest-retry"}
"""All but the one that ended a session with an internal error."""

EXPECTED = {
    "stitch::p-a": "landed",
    "stitch::p-b": "landed",
    "stitch::p-c": "landed",
    "stitch::p-bad": "failed",
    "stitch::p-after": "blocked",
    "measure::cycle-1": "proposed",
}


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    """A chain of three tasks in reverse order, a task that fails, and one that needs the failed task."""
    agent = cobbler_project.agent
    notes = f'echo "$COBBLER_TASK_ID" >>{agent.directory}/started'
    agent.otherwise().runs(f"{notes}; {WRITES_A_FILE}")
    agent.task("p-a").runs(f"{notes}; sleep 1.2; {WRITES_A_FILE}")  # longer than a test may take
    agent.task("p-bad").runs(f"{notes}; exit 3")
    seed(
        cobbler_project,
        task("p-after", "p-bad"),
        task("p-bad"),
        task("p-c", "p-b"),
        task("p-b", "p-a"),
        task("p-a"),
    )
    cobbler_project.configure(max_attempts=1)
    return cobbler_project


def run(project: Project, *options: str, only: Sequence[str] = ()) -> RunResult:
    """A session with every plugin, or with ``only`` these."""
    env = {"PYTHONPATH": str(surroundings())}
    names = []
    if only:
        env["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        project.options = []
        names = [word for name in ("cobbler", *only) for word in ("-p", name)]
    return project.run(*names, "--cobbler-generate", *options, env=env)


def started(project: Project) -> list[str]:
    return sorted((project.agent.directory / "started").read_text().split())


def assert_as_without(project: Project, result: RunResult) -> None:
    assert result.ret == 1, "\n".join([*result.outlines, *result.errlines])
    assert came_to(result) == EXPECTED
    assert started(project) == ["p-a", "p-b", "p-bad", "p-c"]
    assert ids_landed(project) == ["p-a", "p-b", "p-c"]
    assert {name for name, status in statuses(project).items() if status == "closed"} == {"p-a", "p-b", "p-c"}


@pytest.mark.parametrize("name", [pytest.param(name, marks=SAMPLED.get(name, ())) for name in PLUGINS])
def test_a_run_has_the_same_outcomes_with_each_plugin(project: Project, name: str) -> None:
    result = run(project, *PLUGINS[name], only=[name])
    assert_as_without(project, result)
    assert "rerun" not in result.outcomes()


@pytest.mark.matrix("costly")
def test_a_run_has_the_same_outcomes_with_all_plugins_and_is_in_their_reports(project: Project) -> None:
    options = [option for given in PLUGINS.values() for option in given]
    result = run(project, *options)
    assert_as_without(project, result)
    known = {stitch("p-a"): "passed", stitch("p-bad"): "failed", stitch("p-after"): "skipped"}
    assert json_report(project.path / "report.json").items() >= known.items()
    assert report_log(project.path / "log.jsonl").items() >= known.items()
    page = (project.path / "report.html").read_text()
    assert all(name in page for name in known)
    cases = [json.loads(path.read_text()) for path in (project.path / "allure").glob("*-result.json")]
    assert {"p-a", "p-bad", "p-after"} <= {case["name"].split("::")[-1].split(" ")[0] for case in cases}

    seed(project, task("p-good"))
    good = run(project, *options, "--cobbler-cycles=0")
    assert (good.ret, came_to(good)) == (0, {"stitch::p-good": "landed"})


def json_report(path: Path) -> dict[str, str]:
    return {test["nodeid"]: test["outcome"] for test in json.loads(path.read_text())["tests"]}


def report_log(path: Path) -> dict[str, str]:
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    reports = [entry for entry in entries if entry["$report_type"] == "TestReport"]
    return {
        one["nodeid"]: one["outcome"]
        for one in reports
        if one["when"] == "call" or one["outcome"] != "passed"
    }


RUNS_THE_PROTOCOL_AGAIN = """
from _pytest.runner import runtestprotocol

def pytest_runtest_protocol(item, nextitem):
    for _ in range(3):
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        for report in reports:
            item.ihook.pytest_runtest_logreport(report=report)
    return True
"""
RUNS_THE_CALL_AGAIN = """
import pytest

@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call" and call.excinfo:
        item.ihook.pytest_runtest_teardown(item=item, nextitem=item)
        item._initrequest()
        pytest.CallInfo.from_call(lambda: item.ihook.pytest_runtest_setup(item=item), when="setup")
        again = pytest.CallInfo.from_call(lambda: item.ihook.pytest_runtest_call(item=item), when="call")
        outcome.force_result(pytest.TestReport.from_item_and_call(item, again))
"""


@pytest.mark.parametrize("conftest", [RUNS_THE_PROTOCOL_AGAIN, RUNS_THE_CALL_AGAIN])
def test_a_project_that_runs_its_flaky_tests_again_does_no_task_again(
    project: Project, conftest: str
) -> None:
    """The session ended with an internal error at the first task that failed, or reported it three times."""
    project.write({"conftest.py": conftest})
    result = project.run("--cobbler-generate")
    assert_as_without(project, result)
    result.assert_outcomes(passed=4, failed=1, skipped=1)
    result.stdout.fnmatch_lines(["ignored, because they run tests again: *conftest.py"])


@pytest.mark.matrix("costly")
def test_a_conftest_that_only_watches_the_items_still_sees_them(project: Project) -> None:
    hook = """
        import pytest

        @pytest.hookimpl(hookwrapper=True)
        def pytest_runtest_makereport(item, call):
            outcome = yield
            outcome.get_result().sections.append(("Captured stdout seen", item.name))
    """
    project.write({"conftest.py": "\n".join(line[8:] for line in hook.splitlines())})
    result = project.run("--cobbler-generate", "-rP")
    result.stdout.fnmatch_lines(["*Captured stdout seen*", "p-a"])
    result.stdout.no_fnmatch_line("ignored, because*")


@pytest.mark.matrix("costly")
@pytest.mark.parametrize("names", [["timeout", "rerunfailures"], ["pytest_timeout", "pytest_rerunfailures"]])
def test_settings_for_tests_do_not_apply_to_agents(project: Project, names: list[str]) -> None:
    project.write(
        {
            "pytest.ini": "[pytest]\ntimeout = 0.2\ntimeout_method = thread\nsession_timeout = 0.5\n"
            "reruns = 2\naddopts = --strict-markers --force-reruns=2\nfilterwarnings = error\n",
            "conftest.py": "import time\n\ndef pytest_runtest_call(item):\n    time.sleep(0.4)\n",
        }
    )
    result = run(project, only=names)
    assert_as_without(project, result)
    assert "rerun" not in result.outcomes()
    result.stdout.fnmatch_lines(
        [
            "session_timeout is ignored: *task_timeout*",
            "ignored, because they run tests again: *rerunfailures",
        ]
    )


@pytest.mark.parametrize("strict", ["filterwarnings = error", "strict_config = true"])
def test_an_option_of_a_plugin_that_is_not_installed_is_an_error_before_anything_starts(
    project: Project, strict: str
) -> None:
    project.write({"pytest.ini": f"[pytest]\n{strict}\nasyncio_default_loop = function\n"})
    project.commit("Use a plugin")
    for action in ("--cobbler-generate", "--cobbler-verify"):
        result = project.run(action)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(
            [
                f"ERROR: Unknown config option: asyncio_default_loop (in {project.path}/pytest.ini, where *",
                "Install the plugin that it belongs to beside pytest-cobbler, *",
            ]
        )
    assert project.generation is None
    assert (
        project.run("--cobbler-generate", "--collect-only", "-o", "strict_config=false", "-W", "default").ret
        == 0
    )


def test_a_session_timeout_on_the_command_line_ends_the_run(project: Project) -> None:
    result = run(project, "--session-timeout=0.2", only=["timeout"])
    assert result.ret == 1
    assert came_to(result)["stitch::p-c"] == "cancelled"
