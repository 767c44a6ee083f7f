"""The module that every pytest run loads: options, markers, one ``if``, and fixtures that import lazily.

PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pluggy import PluginValidationError

if TYPE_CHECKING:
    from pytest_cobbler.agents.base import Agent
    from pytest_cobbler.config import Config
    from pytest_cobbler.landing.gate import Gate
    from pytest_cobbler.repository.repository import Repository
    from pytest_cobbler.sandbox.base import Sandbox
    from pytest_cobbler.testing.agent import StandInAgent
    from pytest_cobbler.testing.checkouts import Checkout
    from pytest_cobbler.testing.facts import ActiveGeneration, Tasks
    from pytest_cobbler.testing.project import Project
    from pytest_cobbler.testing.runner import Runner

ACTIONS = (
    *("init", "start", "generate", "resume", "regate", "stop", "reset"),
    *("import", "land"),
    *("list", "switch", "show", "watch", "stats", "report", "verify", "clean", "doctor", "demo"),
)
"""The names of ``--cobbler-ACTION``; a command line has at most one."""

SESSIONS = (["generate"], ["resume"], ["regate"], ["verify"])
"""The actions that run items, as a pytest session."""

READING = (["list"], ["show"], ["watch"], ["stats"], ["report"], ["doctor"])
"""The actions whose result is their output."""

_FLAG: dict[str, Any] = {"action": "store_true"}
_NUMBER: dict[str, Any] = {"type": int, "metavar": "N"}

OPTIONS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("--cobbler-init", _FLAG, "Write configuration.yaml with every key, filled in from the repository."),
    ("--cobbler-start", _FLAG, "Tag the base and create a generation branch with its first commit."),
    (
        "--cobbler-generate",
        _FLAG,
        "Finish open tasks, then run measure and stitch cycles; start a generation if none is active.",
    ),
    (
        "--cobbler-resume",
        _FLAG,
        "Like --cobbler-generate, but fail if there is no generation instead of starting one.",
    ),
    (
        "--cobbler-regate",
        _FLAG,
        "Take kept work whose agent had ended well to the gate again, and land it; no agent is asked.",
    ),
    ("--cobbler-stop", _FLAG, "Merge the generation into its base, tag both, and delete its branch."),
    (
        "--cobbler-force",
        _FLAG,
        "With --cobbler-stop: merge although tasks are unfinished; they stay open. "
        "With --cobbler-clean: remove the directories. With --cobbler-import: create the tasks. "
        "With --cobbler-land: let protected paths change.",
    ),
    (
        "--cobbler-accept-deletions",
        _FLAG,
        "With --cobbler-stop: merge although sources were not written again, which deletes them.",
    ),
    (
        "--cobbler-resolve",
        {"choices": ("agent", "hand")},
        "With --cobbler-stop, on conflicts: create a task for an agent, or prepare a directory for you.",
    ),
    (
        "--cobbler-import",
        {"nargs": "?", "const": "", "metavar": "FILE"},
        "Show the tasks of a file (spec-kit's tasks.md, a Markdown check list, or JSON; -: standard input); "
        "with --cobbler-force, create those that are new.",
    ),
    (
        "--cobbler-land",
        {"nargs": "?", "const": "", "metavar": "BRANCH"},
        "Land the commits of your branch on the generation, with the checks and the gate of agents' work.",
    ),
    (
        "--cobbler-reset",
        _FLAG,
        "Abandon the active generations: tag their last commits and reopen their tasks.",
    ),
    ("--cobbler-list", _FLAG, "List the generations with their state, tasks, age and cost."),
    (
        "--cobbler-switch",
        {"nargs": "?", "const": "", "metavar": "NAME"},
        "Choose the generation that commands work on; without a name, list the generations.",
    ),
    (
        "--cobbler-show",
        {"nargs": "?", "const": "", "metavar": "ID"},
        "Print prompt, steps, diff and gate log of each attempt at a task or measure; or list their names.",
    ),
    (
        "--cobbler-watch",
        {"nargs": "?", "const": "", "metavar": "NAME"},
        "Show the run that is at work in another terminal, of a generation or of any, until it ends.",
    ),
    (
        "--cobbler-stats",
        _FLAG,
        "Print lines of code, words of the documents, and attempts, time, tokens and cost of each task.",
    ),
    (
        "--cobbler-report",
        {"nargs": "?", "const": "", "metavar": "NAME"},
        "Make the report of a generation again, from what still exists (report.html, .json, trace.json).",
    ),
    (
        "--cobbler-verify",
        {"nargs": "?", "const": "", "metavar": "COMMIT|RANGE"},
        "Run the base's gate again on landed commits, and compare with the statements about them.",
    ),
    (
        "--cobbler-clean",
        {"nargs": "?", "const": "", "metavar": "NAME"},
        "List the directories in work_dir whose repository is gone, and kept work; with --cobbler-force, "
        "remove them (kept work only by its ref).",
    ),
    (
        "--cobbler-doctor",
        _FLAG,
        "Check that everything a run needs is installed and working; suggest a fix for each problem.",
    ),
    (
        "--cobbler-demo",
        _FLAG,
        "Run a whole cycle with recorded agents on a sample project; needs no key, podman or bd.",
    ),
    ("--cobbler-cycles", _NUMBER, "Number of cycles (0: only finish open tasks)."),
    ("--cobbler-jobs", _NUMBER, "Number of agents that work in parallel."),
    (
        "--cobbler-budget",
        {"type": float, "metavar": "USD"},
        "What all agents of this run may spend together, in US dollars (budget_usd).",
    ),
    (
        "--cobbler-format",
        {"choices": ("table", "json")},
        "Output of --cobbler-list, --cobbler-stats and --cobbler-doctor: a table (default) or JSON.",
    ),
    (
        "--cobbler-record",
        {"metavar": "DIR"},
        "Record the agents of this run in a directory; `agent: replay` replays it at no cost.",
    ),
    (
        "--cobbler-red-base",
        _FLAG,
        "Work although the gate fails as it is: a change may leave exactly these failures (red_base: allow).",
    ),
    ("--cobbler-max-issues", _NUMBER, "Maximum number of tasks per measure and per cycle."),
    (
        "--cobbler-live",
        _FLAG,
        "Allow --cobbler-doctor and the fixture cobbler_runner to run an agent that costs money.",
    ),
    (
        "--cobbler-attacks",
        _FLAG,
        "With --cobbler-doctor: also attack the image, the container runtime and the settings, "
        "and print which attacks were held.",
    ),
)
"""Name, settings and help of each option, in the order of ``--help``."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("cobbler", "AI code generation")
    for name, settings, words in OPTIONS:
        group.addoption(name, **settings, help=words)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    from pytest_cobbler import hookspecs

    with wrong_hooks_reported():
        pluginmanager.add_hookspecs(hookspecs)


@pytest.hookimpl(wrapper=True, tryfirst=True)  # before what other plugins do here
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, object, object]:
    """Refuse to import a conftest that an agent may have written."""
    actions = chosen_actions(early_config.known_args_namespace)
    if actions:
        from pytest_cobbler.compiled import import_compiled

        import_compiled()
    if actions and actions not in READING:
        from pytest_cobbler.output import outlive_output

        early_config.add_cleanup(outlive_output())
    if actions == ["demo"]:
        early_config.known_args_namespace.noconftest = True  # the demo does not use the current directory
    elif actions == ["doctor"] and shutil.which("git") is None:
        early_config.known_args_namespace.noconftest = True  # without git, its author is unknown
    elif actions and shutil.which("git") is None:
        raise pytest.UsageError("git is not on PATH\nInstall git 2.38 or newer.")
    elif actions:
        from pytest_cobbler.actions.guard import refuse_untrusted_checkout
        from pytest_cobbler.invocation import name_project

        name_project(early_config)
        refuse_untrusted_checkout(early_config)
    if actions in SESSIONS:
        from pytest_cobbler.session.other_plugins import stop_coverage

        stop_coverage(early_config)
    with wrong_hooks_reported():
        return (yield)


@pytest.hookimpl(tryfirst=True)  # before xdist (trylast) decides to distribute
def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "cobbler_measure: an item in which an agent proposes tasks.")
    config.addinivalue_line("markers", "cobbler_stitch(task): an item in which an agent does a task.")
    actions = chosen_actions(config.option)
    if actions in SESSIONS and not only_asks(config.option):
        if actions == ["verify"]:
            from pytest_cobbler.session.verification import register_verification

            register_verification(config)
        else:
            from pytest_cobbler.session.plugin import register

            register(config, actions[0])


def pytest_cmdline_main(config: pytest.Config) -> int | None:
    actions = chosen_actions(config.option)
    if only_asks(config.option):
        return None
    if not actions and any(str(word).startswith("--cobbler-") for word in config.invocation_params.args):
        from pytest_cobbler.invocation import refuse_lone_options

        refuse_lone_options(config)
    if not actions or actions in SESSIONS:
        return None
    from pytest_cobbler.actions import run

    return run(config, actions)


@contextlib.contextmanager
def wrong_hooks_reported() -> Iterator[None]:
    """Report a cobbler hook with unknown arguments as a usage error instead of a traceback."""
    try:
        yield
    except PluginValidationError as error:
        import inspect
        import re

        from pytest_cobbler import hookspecs

        found = re.search(r"'(pytest_cobbler_\w+)'", str(error))
        if not found or not hasattr(hookspecs, found[1]):
            raise
        arguments = ", ".join(inspect.signature(getattr(hookspecs, found[1])).parameters)
        raise pytest.UsageError(f"{error}\nIts arguments are: {arguments}.") from None


def chosen_actions(options: argparse.Namespace) -> list[str]:
    """The actions on the command line; before all options are parsed, pass ``known_args_namespace``."""
    return [action for action in ACTIONS if getattr(options, f"cobbler_{action}", None) not in (None, False)]


def only_asks(options: argparse.Namespace) -> bool:
    """Whether the command line only asks for information, such as ``--help``; then no action runs."""
    questions = ("help", "version", "markers", "showfixtures", "show_fixtures_per_test", "cacheshow")
    return any(getattr(options, question, False) for question in questions)


@pytest.fixture(scope="session")
def cobbler_config_path(pytestconfig: pytest.Config) -> Path:
    """The configuration file of the project under test, in pytest's root directory."""
    return pytestconfig.rootpath / "configuration.yaml"


@pytest.fixture(scope="session")
def cobbler_config(cobbler_config_path: Path) -> Config:
    """The validated ``configuration.yaml`` of the project under test."""
    from pytest_cobbler.testing.steps import read_config

    return read_config(cobbler_config_path)


@pytest.fixture(scope="session")
def cobbler_repository(request: pytest.FixtureRequest, cobbler_config_path: Path) -> Repository:
    """The git repository of the project under test; skips if there is none."""
    from pytest_cobbler.testing.steps import open_project

    return open_project(request, cobbler_config_path)


@pytest.fixture(scope="session")
def cobbler_tracker(request: pytest.FixtureRequest) -> Tasks:
    """The tasks of the project under test, read once; read-only."""
    from pytest_cobbler.testing.steps import read_tasks

    return read_tasks(request)


@pytest.fixture(scope="session")
def cobbler_generation(
    cobbler_repository: Repository, cobbler_config: Config, cobbler_tracker: Tasks
) -> ActiveGeneration:
    """The active generation of the project under test; skips if there is none."""
    from pytest_cobbler.testing.steps import read_active_generation

    return read_active_generation(cobbler_repository, cobbler_config, cobbler_tracker)


@pytest.fixture
def cobbler_worktree(
    request: pytest.FixtureRequest,
    cobbler_repository: Repository,  # first: it skips where there is no project
    cobbler_config: Config,
    cobbler_runner_sandbox: Sandbox,
) -> Iterator[Callable[[str], Checkout]]:
    """Make clean checkouts of the generation or any revision; they are removed after the test."""
    from pytest_cobbler.testing.checkouts import factory

    alone = cobbler_config.agent_history == "tip"
    with factory(request, cobbler_repository, cobbler_runner_sandbox.owner, alone) as make:
        yield make


@pytest.fixture(scope="session")
def cobbler_runner_sandbox(cobbler_repository: Repository, cobbler_config: Config) -> Sandbox:
    """The configured sandbox, in which ``cobbler_runner`` runs agents and the gate."""
    from pytest_cobbler.testing.steps import make_runner_sandbox

    return make_runner_sandbox(cobbler_repository, cobbler_config)


@pytest.fixture(scope="session")
def cobbler_runner_agent(pytestconfig: pytest.Config, cobbler_config: Config) -> Agent:
    """The agent of ``cobbler_runner``: the configured one, or one from a hook."""
    from pytest_cobbler.testing.steps import make_runner_agent

    return make_runner_agent(pytestconfig, cobbler_config)


@pytest.fixture(scope="session")
def cobbler_runner_spends(pytestconfig: pytest.Config, cobbler_config: Config) -> bool:
    """Whether the agent may cost money; such an agent runs only with ``--cobbler-live``."""
    from pytest_cobbler.testing.steps import may_cost

    return may_cost(pytestconfig, cobbler_config)


@pytest.fixture(scope="session")
def cobbler_runner_gate(
    pytestconfig: pytest.Config,
    cobbler_repository: Repository,
    cobbler_config: Config,
    cobbler_runner_sandbox: Sandbox,
) -> Gate:
    """The gate of ``cobbler_runner``: the configured one, with changes by hooks."""
    from pytest_cobbler.testing.steps import make_runner_gate

    return make_runner_gate(pytestconfig, cobbler_repository, cobbler_config, cobbler_runner_sandbox)


@pytest.fixture(scope="session")
def cobbler_runner(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, cobbler_repository: Repository
) -> Runner:
    """Run the configured agent and the gate in the sandbox; spends only with ``--cobbler-live``."""
    from pytest_cobbler.testing.runner import make_runner

    return make_runner(request, cobbler_repository, tmp_path_factory.mktemp("cobbler-runner"))


@pytest.fixture
def cobbler_agent(tmp_path_factory: pytest.TempPathFactory) -> StandInAgent:
    """A stand-in agent at no cost, scripted step by step or replaying a recording."""
    from pytest_cobbler.testing.agent import StandInAgent

    return StandInAgent(tmp_path_factory.mktemp("cobbler-agent"))


@pytest.fixture
def cobbler_project(
    tmp_path_factory: pytest.TempPathFactory, cobbler_agent: StandInAgent
) -> Iterator[Project]:
    """A throwaway git repository with a configuration, to run ``--cobbler-*`` actions on."""
    from pytest_cobbler.testing.project import Project

    with Project.create(tmp_path_factory.mktemp("cobbler-project"), cobbler_agent) as project:
        yield project
