"""How pytest was called: where the configuration is, what the command line sets in it, what signals mean."""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_cobbler.config import Config
from pytest_cobbler.display import escaped
from pytest_cobbler.errors import UsageProblem

FILE = "configuration.yaml"
_OTHER = "configuration.yml"

_SESSIONS = ("generate", "resume")
_MEANT_FOR = {
    "--cobbler-cycles": _SESSIONS,
    "--cobbler-jobs": _SESSIONS,
    "--cobbler-max-issues": _SESSIONS,
    "--cobbler-budget": _SESSIONS,
    "--cobbler-record": _SESSIONS,
    "--cobbler-red-base": (*_SESSIONS, "regate", "land", "stop", "verify", "doctor"),
    "--cobbler-format": ("list", "switch", "stats", "doctor"),
    "--cobbler-force": ("stop", "clean", "import", "land"),
    "--cobbler-accept-deletions": ("stop",),
    "--cobbler-resolve": ("stop",),
    "--cobbler-live": ("doctor",),
    "--cobbler-attacks": ("doctor",),
}
"""Options that change what others do, and the actions that they change."""

_SELECTING = {"-k": "keyword", "-m": "markexpr", "--deselect": "deselect"}
"""Options of pytest's that choose items, by their names in its configuration."""


def configuration_path(config: pytest.Config, option: str) -> Path:
    """``configuration.yaml``: the one named on the command line, else the nearest one from here upwards.

    With ``--rootdir`` or ``-c``, it is looked for from pytest's root directory upwards.

    Raises:
        UsageProblem: there is none.
    """
    here = config.invocation_params.dir
    if config.args_source is config.ArgsSource.ARGS and config.args:
        named = (here / config.args[0].split("::")[0]).resolve()
        if named.name == FILE:
            return named
    starts = starting_directories(config)
    for start in starts:
        if path := _nearest(start, option):
            return path
    raise UsageProblem(
        f"{option}: no {FILE} was found",
        "Create one: pytest --cobbler-init "
        f"(looked in {' and '.join(map(str, starts))} and the parent directories)",
    )


def _nearest(start: Path, option: str) -> Path | None:
    """The configuration in ``start`` or above it, up to the top of the repository."""
    for directory in (start, *start.parents):
        if (directory / FILE).exists():
            return (directory / FILE).resolve()
        if (directory / _OTHER).exists():
            raise UsageProblem(
                f"{option}: {directory / _OTHER} has another name", f"Rename it: git mv {_OTHER} {FILE}"
            )
        if (directory / ".git").exists():
            break
    return None


def starting_directories(config: pytest.Config) -> list[Path]:
    """The directories from which a project is looked for, in this order."""
    options, here = config.known_args_namespace, config.invocation_params.dir
    if options.rootdir:
        return [config.rootpath]
    # A file of -c need not lie in a project: `-c /dev/null` only turns the project's own off.
    return [config.rootpath, here] if options.inifilename else [here]


def name_project(early_config: pytest.Config) -> None:
    """Let pytest load the conftests of the project that ``--rootdir`` or ``-c`` means, and no others."""
    options = early_config.known_args_namespace
    if not options.file_or_dir and (options.rootdir or options.inifilename):
        options.file_or_dir = [str(path) for path in starting_directories(early_config)]


def project_directory(config: pytest.Config) -> Path:
    """The directory whose repository is meant, if no configuration has to be there."""
    starts = starting_directories(config)
    inside = (one for one in starts if any((path / ".git").exists() for path in (one, *one.parents)))
    return next(inside, starts[-1])


def refuse_idle_options(config: pytest.Config, action: str) -> None:
    """Refuse options on the command line that do not apply to ``action``.

    Options in ``addopts`` are ignored by actions that they do not apply to.

    Raises:
        UsageProblem: there is such an option.
    """
    for option in _given(config):
        if action not in _MEANT_FOR[option]:
            raise UsageProblem(f"{option} does not apply to --cobbler-{action}", _actions_of(option))


def refuse_lone_options(config: pytest.Config) -> None:
    """Refuse cobbler options in an ordinary run, except ``--cobbler-live``, which fixtures use.

    Raises:
        pytest.UsageError: there is such an option.
    """
    for option in _given(config):
        if option != "--cobbler-live":
            raise pytest.UsageError(f"{option} does nothing by itself\n{_actions_of(option)}")


def _given(config: pytest.Config) -> list[str]:
    words = {str(argument).partition("=")[0] for argument in config.invocation_params.args}
    return [option for option in _MEANT_FOR if option in words]


def _actions_of(option: str) -> str:
    return f"Use it with {' or '.join(f'--cobbler-{name}' for name in _MEANT_FOR[option])}."


def refuse_arguments(config: pytest.Config, action: str) -> None:
    """Refuse arguments that select items, because ``action`` has no items.

    Raises:
        UsageProblem: there is such an argument.
    """
    given = list(config.args) if config.args_source is config.ArgsSource.ARGS else []
    chosen = [f"{argument}{origin_of(config, argument)}" for argument in given if Path(argument).name != FILE]
    words = list(map(str, config.invocation_params.args))
    chosen += [
        option
        for option, name in _SELECTING.items()
        if config.getoption(name, None) and any(word.startswith(option) for word in words)
    ]
    if chosen:
        raise UsageProblem(f"--cobbler-{action} does not take {' '.join(chosen)}", _instead(action))


def _instead(action: str) -> str:
    """What to write instead of the arguments of an action that has no items."""
    if action == "init":
        return f"Name the file that it is to write: DIRECTORY/{FILE}"
    if action == "clean":
        return "Its name comes first: pytest --cobbler-clean NAME --cobbler-force"
    only = f"It accepts only {FILE}."
    is_of_one = action in ("stop", "reset", "list", "stats", "land")
    return f"{only} To choose a generation: pytest --cobbler-switch NAME" if is_of_one else only


def origin_of(config: pytest.Config, argument: str) -> str:
    """The origin of an argument that is not on the command line, for a message; else empty."""
    if argument in map(str, config.invocation_params.args):
        return ""
    if argument in shlex.split(os.environ.get("PYTEST_ADDOPTS", "")):
        return " (from PYTEST_ADDOPTS in the environment)"
    if argument in config.getini("addopts"):
        return " (from addopts in pytest's configuration; not in this run: -o addopts=)"
    return ""


def record_directory(config: pytest.Config) -> Path | None:
    """Where the work of agents is to be recorded, absolute.

    Raises:
        UsageProblem: the option names nothing.
    """
    given: str | None = config.getoption("cobbler_record")
    if given is None:
        return None
    if not given.strip():
        raise UsageProblem(
            "--cobbler-record: the directory is empty", "Give the path of a new or empty directory."
        )
    return (config.invocation_params.dir / given).resolve()


def wants_json(config: pytest.Config) -> bool:
    """Whether a table is to be printed as JSON."""
    return bool(config.getoption("cobbler_format") == "json")


def overrides(config: pytest.Config) -> dict[str, object]:
    """Keys that options set for this run."""
    names = {"cycles": "cobbler_cycles", "jobs": "cobbler_jobs", "max_issues": "cobbler_max_issues"}
    names["budget_usd"] = "cobbler_budget"
    given = {key: config.getoption(option) for key, option in names.items()}
    given["red_base"] = "allow" if config.getoption("cobbler_red_base") else None
    return {key: value for key, value in given.items() if value is not None}


def announcer(config: pytest.Config) -> Callable[[str], None]:
    """Prints a line before a step that takes seconds; with ``-q`` nothing.

    Each line is complete, so that a pipe or a CI log shows it as it is.
    """

    def say(text: str) -> None:
        if config.get_verbosity() >= 0 and not config.pluginmanager.is_blocked("terminal"):
            sys.stdout.write(f"{escaped(text)}\n")
            sys.stdout.flush()

    return say


def warn_uncontained(settings: Config) -> None:
    """Print a line if jobs are not contained, whatever pytest prints: the file may be another person's."""
    if settings.sandbox == "none":
        sys.stdout.write(f"{settings.path.name} has sandbox: none: agents and the gate can do what you can\n")
        sys.stdout.flush()


@contextlib.contextmanager
def escaping_output() -> Iterator[None]:
    """Let standard output escape characters that its encoding does not have: a title may have any.

    Otherwise such a character would be an error, or pytest would escape the whole text, line ends and all.
    """
    output = sys.stdout
    if not isinstance(output, io.TextIOWrapper):
        yield
        return
    before = output.errors
    output.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        output.reconfigure(errors=before)


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let TERM and HUP end what the main thread is doing as an interrupt does: with exit 2."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handler(number: int, _frame: object) -> None:
        raise KeyboardInterrupt(signal.Signals(number).name)

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        for number, old in before.items():
            if old is not signal.SIG_IGN:
                signal.signal(number, handler)
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
