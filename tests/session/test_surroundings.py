"""The user's pytest plugins and settings neither break a run nor start further agents."""

from __future__ import annotations

import os
from textwrap import dedent

import pytest

from pytest_cobbler.testing.project import Project
from tests.support.sessions import WRITES_A_FILE, came_to, ids_landed, seed, task


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    """Two open tasks; every agent records its start."""
    agent = cobbler_project.agent
    agent.otherwise().runs(f'{WRITES_A_FILE}; echo "$COBBLER_TASK_ID" >>{agent.directory}/started')
    seed(cobbler_project, task("p-a"), task("p-b"))
    return cobbler_project


def started(project: Project) -> list[str]:
    return sorted((project.agent.directory / "started").read_text().split())


@pytest.mark.parametrize("where", ["command line", "addopts"])
def test_xdist_starts_no_second_agent(project: Project, where: str) -> None:
    pytest.importorskip("xdist")
    options = ["-n", "2"]
    if where == "addopts":
        project.write({"pytest.ini": "[pytest]\naddopts = -n 4 --dist loadfile\n"})
        options = []
    result = project.run("--cobbler-generate", *options)
    assert result.ret == 0
    assert started(project) == ["p-a", "p-b"]
    assert list(came_to(result).values()).count("landed") == 2
    result.stdout.fnmatch_lines(["-n is ignored: jobs or --cobbler-jobs sets the number of agents"])
    result.stdout.no_fnmatch_line("*workers*")


def test_a_repository_that_is_a_package_is_not_imported(project: Project) -> None:
    project.write({"__init__.py": "import a_module_that_is_only_there_in_production\n"})
    result = project.run("--cobbler-generate", "-k", "p-a")
    assert (result.ret, came_to(result)) == (0, {"stitch::p-a": "landed"})


def test_a_coverage_threshold_does_not_fail_a_good_run(project: Project) -> None:
    pytest.importorskip("pytest_cov")
    project.write({"pytest.ini": "[pytest]\naddopts = --cov=. --cov-fail-under=90\n", ".coverage": "mine"})
    result = project.run("--cobbler-generate")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["--cov is ignored: no test runs in this process"])
    result.stdout.no_fnmatch_line("*Required test coverage*")
    assert (project.path / ".coverage").read_text() == "mine"


def test_a_timeout_for_tests_does_not_apply_to_agents(project: Project) -> None:
    pytest.importorskip("pytest_timeout")
    conftest = """
        import time

        def pytest_runtest_call(item):
            time.sleep(0.4)
    """
    project.write(
        {
            "pytest.ini": "[pytest]\ntimeout = 0.2\naddopts = --strict-markers\n",
            "conftest.py": dedent(conftest),
        }
    )
    result = project.run("--cobbler-generate", "-k", "p-a")
    assert (result.ret, came_to(result)) == (0, {"stitch::p-a": "landed"})


READS = """
    import pytest

    def read(item):
        for name in ("fixturenames", "module", "cls", "function", "obj", "instance", "originalname",
                     "path", "fspath", "location", "nodeid", "keywords", "own_markers", "funcargs",
                     "user_properties"):
            getattr(item, name)
        getattr(item, "callspec", None)
        assert not item.get_closest_marker("slow") and not list(item.iter_markers("slow"))
        assert item.listchain() and item.location[2] and item.parent.name and str(item.path)
        if "db" in item.fixturenames or (item.cls and item.cls.__name__ == "TestDb"):
            item.add_marker("db")

    def pytest_itemcollected(item):
        read(item)

    def pytest_collection_modifyitems(items):
        for item in items:
            read(item)
            item.fixturenames.insert(0, "quiet")
        items.sort(key=lambda item: (item.module is None, getattr(item, "originalname", None) or item.name))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(item, call):
        report = yield
        read(item)
        report.sections.append(("suite", f"{item.function} {item.location}"))
        return report

    @pytest.fixture(autouse=True)
    def quiet(request):
        raise AssertionError("no fixture of tests is for agents")

    def pytest_runtest_setup(item):
        read(item)

    def pytest_runtest_logfinish(nodeid, location):
        assert location[0] == "configuration.yaml"
"""


def test_items_have_the_attributes_that_a_conftest_reads_from_tests(project: Project) -> None:
    project.write({"conftest.py": dedent(READS)})
    project.agent.measure().writes_tasks([{"title": "Another"}])
    project.agent.task("p-b").fails()
    project.configure(max_attempts=1)
    result = project.run("--cobbler-generate")
    assert result.ret == 1
    assert sorted(came_to(result).values()) == ["failed", "landed", "landed", "proposed"]


@pytest.mark.parametrize(
    "addopts",
    [
        "-q --tb=short -ra --strict-markers --strict-config --import-mode=importlib --doctest-modules",
        "-v -n auto --cov --cov-fail-under=100 --timeout 1 --durations=3 -p no:cacheprovider -W error",
        "-qq --no-header --no-summary --tb=no --color=yes -s --setup-show --ff --nf",
        "-m 'not slow' -k 'not slow' --maxfail=5 --log-cli-level=DEBUG --showlocals -rA",
    ],
)
def test_addopts_change_no_outcome(project: Project, addopts: str) -> None:
    ini = f"""
        [pytest]
        addopts = {addopts}
        filterwarnings = error
        xfail_strict = true
        markers = slow
        python_files = *.py
        testpaths = nowhere
        usefixtures = missing
    """
    project.write({"pytest.ini": dedent(ini), "test_fails.py": "assert False\n", "nowhere/.keep": ""})
    project.agent.task("p-b").fails()
    project.configure(max_attempts=1)
    result = project.run("--cobbler-generate")
    assert result.ret == 1, "\n".join([*result.outlines, *result.errlines])
    assert came_to(result) == {
        "stitch::p-a": "landed",
        "stitch::p-b": "failed",
        "measure::cycle-1": "proposed",
    }


@pytest.mark.matrix("costly")
def test_jobs_inherit_nothing_of_pytest(project: Project) -> None:
    """A pytest in an agent or a gate starts no generation run, whatever the variables of this one."""
    project.configure(test_command="[ ! -e agent-environment ] || { env | sort; false; }", max_attempts=1)
    project.agent.task("p-a").runs("env | sort >agent-environment")
    result = project.run(
        "-k", "p-a", env={"PYTEST_ADDOPTS": "--cobbler-generate -p no:cacheprovider", "COV_CORE_SOURCE": "x"}
    )
    assert came_to(result) == {"stitch::p-a": "failed"}
    agents = project.files(f"refs/cobbler/attempts/{project.generation}/p-a/1")["agent-environment"]
    (log,) = project.path.glob(".cobbler/*/attempts/p-a/1/gate.log")
    for environment in (agents, log.read_text()):
        assert "COBBLER_SESSION=" in environment
        names = {line.partition("=")[0] for line in environment.splitlines()}
        assert not {name for name in names if name.startswith(("PYTEST_", "COV_", "GIT_"))}


def test_a_run_inside_a_run_is_refused(project: Project) -> None:
    result = project.run("--cobbler-generate", env={"COBBLER_SESSION": "1a2b3c"})
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: this run was started inside another run*"])
    assert project.generation is None


def test_a_plugin_that_reports_items_without_running_them_lands_nothing(project: Project) -> None:
    conftest = """
        import pytest

        @pytest.hookimpl(tryfirst=True)
        def pytest_sessionstart(session):
            session.config.pluginmanager.register(OtherLoop(), "other-loop")

        class OtherLoop:
            @pytest.hookimpl(tryfirst=True)
            def pytest_runtestloop(self, session):
                for item in session.items:
                    item.ihook.pytest_runtest_protocol(item=item, nextitem=None)
                return True
    """
    project.write({"conftest.py": dedent(conftest)})
    result = project.run("--cobbler-generate", "-k", "p-a")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["not started: another plugin runs the items"])
    assert ids_landed(project) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root works in somebody else's repository")
def test_root_leaves_no_files_of_root_in_another_users_repository(project: Project) -> None:
    somebody = 12345
    for path in (project.path, *project.path.rglob("*")):
        os.chown(path, somebody, somebody, follow_symlinks=False)

    result = project.run("--cobbler-generate", "--cobbler-record=recordings/one")

    assert result.ret == 0
    assert set(came_to(result).values()) == {"landed", "proposed"}
    places = [project.path / name for name in (".git", ".beads", ".cobbler", "recordings")]
    owned_by_root = [
        path for place in places for path in (place, *place.rglob("*")) if path.lstat().st_uid == 0
    ]
    assert owned_by_root == []
