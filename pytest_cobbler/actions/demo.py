"""``--cobbler-demo``: a whole cycle on a sample project in a temporary directory.

It runs ``pytest --cobbler-generate`` in a separate process. Two things differ from a real run:
a recording is replayed, and the sandbox is this machine. The current directory is not used.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import site
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest
import yaml

from pytest_cobbler.causes import Cause, Ending
from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.process import Cancellation, host_environment
from pytest_cobbler.process import run as run_process
from pytest_cobbler.recordings.files import read_result, recorded_attempts
from pytest_cobbler.repository.git import ENVIRONMENT, check_git

_DATA = Path(__file__).parent.parent / "data" / "demo"
_RECORDING = _DATA / "recording"

_STOP_GRACE = 30.0
"""Seconds that a stopped run has to put things in order."""

_CONFIGURATION = """\
# For the demo. In a real project, instead of sandbox, agent, recording, recording_prompts and work_dir:
#   podman_image: an image with claude, git, Python and pytest
"""

# The run gets this terminal itself, for its colours, its width and its status line.
_ON_OUR_OUTPUT = """\
import os, sys
out, error, *command = sys.argv[1:]
os.dup2(int(out), 1)
os.dup2(int(error), 2)
os.execv(command[0], command)
"""

_TERMINAL = ("TERM", "COLORTERM", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "PY_COLORS")

_REASONS: Mapping[str, str] = {
    Cause.CONFLICT: "a conflict with what had landed meanwhile",
    Cause.GATE: "a failing test",
}


def run(config: pytest.Config) -> int:
    """Run the demo; 0 only if every task landed.

    Raises:
        CobblerError: git is missing, too old or fails.
    """
    check_git()
    demo = Demo(Path(tempfile.mkdtemp(prefix="cobbler-demo-")).resolve())
    demo.create()
    _say(_opening(demo))
    status = demo.generate(color=config.getoption("color", "auto"))
    tasks = demo.tasks() if demo.junit.exists() else []
    _say(_closing(demo, tasks))
    if status == 0 and {task.title for task in tasks if task.commit} != demo.titles:
        return pytest.ExitCode.TESTS_FAILED
    return status


@dataclass(frozen=True, kw_only=True)
class DoneTask:
    """The end of a task: ``commit`` is where it landed, ``earlier`` why earlier attempts did not land."""

    title: str
    commit: str
    earlier: tuple[str, ...]


class Demo:
    """The directory of a demo: the sample project, its agents, their work and the report."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.repository = directory / "units"
        self.junit = directory / "junit.xml"
        self._programs = directory / "bin"

    def create(self) -> None:
        """Write the sample project and commit it, with the recording of its agents."""
        self._write_python()
        for path, content in _project().items():
            self._write(self.repository / path, content)
        shutil.copytree(_RECORDING, self.repository / "recording")
        self._write(self.repository / "configuration.yaml", self._configuration())
        self.git("init", "--quiet", "--template=", "--initial-branch=main")
        self.git("config", "user.name", "Cobbler Demo")
        self.git("config", "user.email", "demo@example.invalid")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "Convert times")

    def _write_python(self) -> None:
        """Let ``python3`` be this Python with all its packages, whatever home directory a job has."""
        user_site = f"PYTHONUSERBASE={shlex.quote(site.getuserbase())} " if site.ENABLE_USER_SITE else ""
        program = self._programs / "python3"
        self._write(program, f'#!/bin/sh\n{user_site}exec {shlex.quote(sys.executable)} "$@"\n')
        program.chmod(0o755)

    def _configuration(self) -> str:
        keys = {
            "sandbox": "none",
            "agent": "replay",
            "recording": "recording",
            "recording_prompts": "ignore",  # they hold what this pytest and this Python print
            "work_dir": str(self.directory / "work"),
            "tracker": "embedded",
            "language": "python",
            "jobs": 2,
            "spec_globs": {"specification": "SPECIFICATION.md"},
        }
        return _CONFIGURATION + yaml.safe_dump(keys, sort_keys=False, allow_unicode=True, width=1000)

    def _write(self, path: Path, content: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")

    @property
    def titles(self) -> set[str]:
        """The tasks that the recording has."""
        stitches = [
            path for path in recorded_attempts(_RECORDING) if path.is_relative_to(_RECORDING / "stitch")
        ]
        return {read_result(path, str(path)).title for path in stitches}

    def git(self, *arguments: str) -> str:
        """The output of git in the sample project.

        Raises:
            RepositoryError: it failed.
        """
        completion = run_process(
            ["git", *arguments], env=host_environment() | ENVIRONMENT, cwd=self.repository, timeout=60
        )
        if not completion.ok:
            raise RepositoryError(
                f"git {arguments[0]} failed in {self.repository}", evidence=completion.errors
            )
        return completion.text

    def generate(self, *, color: str) -> int:
        """Run ``pytest --cobbler-generate`` on the sample project, on this terminal; its exit status."""
        # The last lines of this action take the place of those of the run.
        options = ["-v", f"--color={color}", f"--junit-xml={self.junit}", "-p", "no:cobbler-next"]
        with _outputs() as outputs, _cancelled_by_signals() as cancellation:
            launcher = [sys.executable, "-I", "-S", "-c", _ON_OUR_OUTPUT, *map(str, outputs)]
            completion = run_process(
                [*launcher, sys.executable, "-m", "pytest", "--cobbler-generate", *options],
                env=self._environment(),
                cwd=self.repository,
                pass_fds=outputs,
                grace=_STOP_GRACE,
                cancellation=cancellation,
            )
        ended = completion.end == Ending.EXITED and completion.status >= 0
        return completion.status if ended else pytest.ExitCode.INTERRUPTED

    def _environment(self) -> dict[str, str]:
        """An environment without the caller's pytest, git and cobbler variables."""
        environment = host_environment("PYTHONUSERBASE", *_TERMINAL)
        path = (str(self._programs), str(Path(sys.executable).parent), environment.get("PATH", ""))
        return environment | {
            "PATH": ":".join(filter(None, path)),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
        }

    # the result

    @cached_property
    def generation(self) -> str:
        """The branch that the run made; empty when it made none."""
        return self.git("for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads/generation-*").strip()

    def tasks(self) -> list[DoneTask]:
        """The tasks in the report, in its order."""
        cases = [
            {entry.get("name", ""): entry.get("value", "") for entry in case.iter("property")}
            for case in ElementTree.parse(self.junit).getroot().iter("testcase")
        ]
        earlier = self._failed_attempts()
        return [
            DoneTask(
                title=case["cobbler_title"],
                commit=case.get("cobbler_commit", ""),
                earlier=tuple(earlier.get(case["cobbler_task"], ())),
            )
            for case in cases
            if case.get("cobbler_task")
        ]

    def _failed_attempts(self) -> dict[str, list[str]]:
        """Task id -> why its attempts did not land, according to the journal."""
        causes: dict[str, list[str]] = {}
        journal = self.repository / ".cobbler" / self.generation / "journal.jsonl"
        for line in journal.read_text(encoding="utf-8").splitlines():
            event = json.loads(line)
            if event["event"] == "keep":
                causes.setdefault(event["task"], []).append(event["cause"])
        return causes


@contextlib.contextmanager
def _outputs() -> Iterator[tuple[int, int]]:
    """Duplicates of this process's standard output and error, to be handed on."""
    sys.stdout.flush()
    outputs = os.dup(1), os.dup(2)
    try:
        yield outputs
    finally:
        for output in outputs:
            os.close(output)


@contextlib.contextmanager
def _cancelled_by_signals() -> Iterator[Cancellation]:
    """Signals of this process end the run in order; the run does not get the terminal's signals."""
    cancellation = Cancellation()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    with contextlib.ExitStack() as stack:
        for number in numbers:
            old = signal.signal(number, lambda *_: cancellation.cancel())
            stack.callback(signal.signal, number, old)
        yield cancellation


def _project() -> dict[str, str]:
    """Path -> content."""
    loaded: dict[str, str] = yaml.safe_load((_DATA / "project.yaml").read_text(encoding="utf-8"))
    return loaded


def _opening(demo: Demo) -> list[str]:
    return [
        "Recorded agents build a sample project. This needs no key, podman or network, and costs nothing.",
        f"Everything is in {demo.directory}.",
        "",
    ]


def _closing(demo: Demo, tasks: Sequence[DoneTask]) -> list[str]:
    if not any(task.commit for task in tasks):  # it was interrupted
        return ["", f"The sample project is {demo.repository}", f"Remove it: rm -r {demo.directory}"]
    return [
        "",
        *(f"* {line}" for line in _log(demo, tasks)),
        "",
        f"repository: {demo.repository}",
        f"JUnit file: {demo.junit}",
        "(Replaying a recording costs nothing; its tokens are estimated from the length of the texts.)",
        "",
        "Look at it:",
        f"  cd {demo.repository}",
        f"  git log --patch main..{demo.generation}",
        "  less .cobbler/*/attempts/*/2/prompt.md   # the prompts of the second attempts",
        f"Remove it: rm -r {demo.directory}",
        "Use it on your own repository:",
        "  pytest --cobbler-init       # writes configuration.yaml and lists what to fill in",
        "  pytest --cobbler-generate",
    ]


def _log(demo: Demo, tasks: Sequence[DoneTask]) -> Iterator[str]:
    """The commits of the generation, newest first, with the failed attempts before each."""
    by_commit = {task.commit: task for task in tasks}
    for line in demo.git("log", "--format=%H %h %s", demo.generation).splitlines():
        commit, _, shown = line.partition(" ")
        yield shown + (_story(by_commit[commit]) if commit in by_commit else "")


def _story(task: DoneTask) -> str:
    reasons = [_REASONS.get(cause, cause) for cause in task.earlier]
    return f" (attempt {len(reasons) + 1}, after {' and '.join(reasons)})" if reasons else ""


def _say(lines: Sequence[str]) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
