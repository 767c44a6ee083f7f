"""A throwaway repository on which a test runs ``--cobbler-*`` actions, in the style of pytest's pytester."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, ClassVar, Protocol, Self

import pytest
import yaml

from pytest_cobbler.errors import CobblerError
from pytest_cobbler.process import host_environment
from pytest_cobbler.process import run as run_process
from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.samples import go_sample, python_sample
from pytest_cobbler.tracker.base import Task

__all__ = ["Case", "LandedCommit", "Process", "Project", "RunResult", "Running", "Starter", "start_afresh"]

_NOT_INHERITED = (
    *("PYTEST_", "COBBLER_", "GIT_", "GITHUB_", "OTEL_", "BEADS_", "BD_"),
    *("ANTHROPIC_", "CLAUDE", "OPENAI_", "GEMINI_", "GOOGLE_GEMINI_"),
)
_GIT_CONFIGURATION = """\
[user]
\tname = Test
\temail = test@example.invalid
[commit]
\tgpgsign = false
[gc]
\tauto = 0
"""
_WIDTH = "160"
"""Columns of the terminal: lines that a test looks for are not cut."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One item in the JUnit report: ``outcome`` is passed, failed, error or skipped; ``time`` seconds."""

    outcome: str
    message: str = ""
    time: float = 0.0
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class LandedCommit:
    """A commit of the generation branch that did a task."""

    commit: str
    title: str
    trailers: Mapping[str, str]

    @property
    def task(self) -> str:
        return self.trailers["Cobbler-Task"]


class RunResult:
    """What a run of pytest came to; like pytest's own result of the same name, with the JUnit report."""

    def __init__(
        self, ret: int, outlines: list[str], errlines: list[str], duration: float, report: Path
    ) -> None:
        self._plain = pytest.RunResult(ret, outlines, errlines, duration)
        self.ret = self._plain.ret
        """The exit status."""
        self.outlines = outlines
        self.errlines = errlines
        self.stdout = self._plain.stdout
        """A ``LineMatcher``: ``result.stdout.fnmatch_lines([...])``."""
        self.stderr = self._plain.stderr
        self.duration = duration
        """Seconds."""
        self.junit = _read_junit(report)
        """Node id -> case; empty when no session ran."""

    def outcomes(self) -> dict[str, int]:
        """Plural noun -> count, from the last line of the terminal; empty when there is none."""
        try:
            return self._plain.parseoutcomes()
        except ValueError:
            return {}

    def assert_outcomes(self, **expected: int) -> None:
        """As pytest's ``RunResult.assert_outcomes``."""
        __tracebackhide__ = True
        self._plain.assert_outcomes(**expected)

    def __repr__(self) -> str:
        return f"<RunResult ret={self.ret!s} {self.outcomes()} {self.duration:.2f}s>"


class Process(Protocol):
    """A process that was started, as :class:`subprocess.Popen` shows one."""

    pid: int

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: int) -> None: ...


class Starter(Protocol):
    """Starts a program in a process of its own, with a session and process group of its own."""

    def __call__(
        self, argv: Sequence[str], cwd: Path, env: Mapping[str, str], stdout: IO[bytes], stderr: IO[bytes], /
    ) -> Process: ...


def start_afresh(
    argv: Sequence[str], cwd: Path, env: Mapping[str, str], stdout: IO[bytes], stderr: IO[bytes]
) -> Process:
    """The starter that projects use: a new process, not a fork of this one."""
    # A group of its own: this terminal's interrupts must not reach it, and kill reaches all of it.
    return subprocess.Popen(
        argv,
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )


class Project:
    """A git repository on branch ``main`` with a ``configuration.yaml`` that needs no podman, bd or key.

    ``path`` is its directory; ``options`` are given to every run, before its own. The configuration has
    ``sandbox: none``, the stand-in ``agent``, the embedded tracker, a gate that always passes, and its
    worktrees beside the repository.
    """

    starter: ClassVar[Starter] = staticmethod(start_afresh)
    """How pytest is started."""

    def __init__(self, directory: Path, agent: StandInAgent) -> None:
        self.directory = directory.resolve()
        self.path = self.directory / "project"
        self.agent = agent
        self.options: list[str] = []
        self._runs = 0
        self._running: list[Running] = []
        self._configuration: dict[str, Any] = {
            "sandbox": "none",
            "agent": "command",
            "agent_command": agent.command,
            "tracker": "embedded",
            "language": "none",
            "build_command": "true",
            "test_command": "true",
            "jobs": 2,
            "work_dir": str(self.directory / "work"),
        }

    @classmethod
    @contextlib.contextmanager
    def create(cls, directory: Path, agent: StandInAgent) -> Iterator[Self]:
        """A project in ``directory``; what was started in it and still runs is killed at the end."""
        project = cls(directory, agent)
        try:
            project._create()
            yield project
        finally:
            for running in project._running:
                running.kill()

    def _create(self) -> None:
        self.path.mkdir(parents=True)
        self.git("init", "--quiet", "--template=", "--initial-branch=main")
        with (self.path / ".git" / "config").open("a", encoding="utf-8") as file:
            file.write(_GIT_CONFIGURATION)  # git itself would be started for each value
        self.write({"README.md": "# A project\n"})
        self._write_configuration()
        self.commit("First commit")

    # what it holds

    @property
    def configuration(self) -> Mapping[str, Any]:
        return dict(self._configuration)

    def configure(self, **keys: Any) -> None:
        """Set keys of ``configuration.yaml`` (``None`` takes a key out) and commit it."""
        merged = self._configuration | keys
        self._configuration = {key: value for key, value in merged.items() if value is not None}
        self._write_configuration()
        self.commit("Configure")

    def _write_configuration(self) -> None:
        self.write(
            {"configuration.yaml": yaml.safe_dump(self._configuration, sort_keys=False, allow_unicode=True)}
        )

    def write(self, files: Mapping[str, str | bytes]) -> None:
        """Write files of the checkout, by path; nothing is committed."""
        for name, content in files.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def commit(self, message: str) -> str:
        """Commit everything in the checkout; the id of the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD").strip()

    def python_sample(self) -> None:
        """Make it a small Python package with a test, both run by the interpreter that runs this test."""
        self.write(python_sample())
        pytest_command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        self.configure(
            language="python",
            build_command=None,
            test_command=pytest_command,
            spec_globs={"vision": "docs/*.md"},
        )

    def go_sample(self) -> None:
        """Make it a small Go module with a program and a test; the gate is Go's own."""
        self.write(go_sample())
        self.configure(
            language="go",
            module_path="example.com/calculator",
            source_dirs=["."],
            main_package="cmd/calculator",
            reset_sources=False,
            build_command=None,
            test_command=None,
            spec_globs={"vision": "docs/*.md"},
        )

    def git(self, *arguments: str) -> str:
        """The output of git in the checkout.

        Raises:
            CobblerError: it failed.
        """
        env = host_environment(GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_NOSYSTEM="1", LC_ALL="C")
        completion = run_process(["git", *arguments], env=env, cwd=self.path, timeout=60)
        if not completion.ok:
            raise CobblerError(f"git {' '.join(arguments)} failed", evidence=completion.errors)
        return completion.stdout.decode("utf-8", "surrogateescape")

    # its result

    @property
    def generation(self) -> str | None:
        """The active generation: the chosen one, else the newest that has a branch."""
        from pytest_cobbler.config.paths import prefix_of

        prefix = self._configuration.get("gen_prefix") or prefix_of(self.path)
        names = self.git("for-each-ref", "--format=%(refname:lstrip=2)", f"refs/heads/{prefix}*").split()
        choices = ("refs/cobbler/active", "refs/cobbler/active-in")
        chosen = self.git("for-each-ref", "--format=%(symref:lstrip=2)", *choices).split()
        return max(set(chosen) & set(names) or names, default=None)

    def landed(self) -> list[LandedCommit]:
        """The commits of the active generation (without one: of HEAD) that did tasks, oldest first."""
        form = "--format=%H%x00%s%x00%(trailers:only,unfold)%x00"
        fields = self.git("log", "--reverse", form, self._tip).split("\0")
        found = []
        for commit, title, lines in zip(fields[::3], fields[1::3], fields[2::3], strict=False):
            trailers = dict(line.split(": ", 1) for line in lines.splitlines() if ": " in line)
            if "Cobbler-Task" in trailers:
                found.append(LandedCommit(commit=commit.strip(), title=title, trailers=trailers))
        return found

    def files(self, revision: str = "") -> dict[str, str]:
        """Path in the repository -> content at ``revision``, by default the tip of the generation or HEAD."""
        tree = revision or self._tip
        paths = self.git("ls-tree", "-r", "-z", "--full-tree", "--name-only", tree).split("\0")[:-1]
        return {path: self.git("cat-file", "blob", f"{tree}:{path}") for path in paths}

    @property
    def _tip(self) -> str:
        return self.generation or "HEAD"

    def tasks(self) -> list[Task]:
        """All tasks of the tracker, closed ones too."""
        from pytest_cobbler.tracker.choose import open_tracker

        beads = self.path / self._configuration.get("beads_dir", ".beads")
        return open_tracker(self._configuration.get("tracker", "auto"), self.path, beads).tasks()

    def task(self, title: str) -> Task:
        """The task with this title.

        Raises:
            LookupError: there is none, or more than one.
        """
        from pytest_cobbler.testing.facts import Tasks

        return Tasks("", tuple(self.tasks())).titled(title)

    # running

    def run(self, *arguments: str, env: Mapping[str, str] | None = None, timeout: float = 120) -> RunResult:
        """Run ``pytest`` with ``arguments`` in the checkout, in a process of its own.

        Args:
            env: more variables; nothing of this test's own pytest, git or cobbler variables is inherited.
            timeout: seconds.

        Raises:
            TimeoutError: it did not end in time; it was killed.
        """
        return self.start(*arguments, env=env).wait(timeout)

    def start(self, *arguments: str, env: Mapping[str, str] | None = None) -> Running:
        """Start what :meth:`run` runs, for a test that sends it signals or looks on."""
        self._runs += 1
        base = self.directory / f"run-{self._runs}"
        base.mkdir()
        options = ["--junit-xml", str(base / "junit.xml"), "--basetemp", str(base / "tmp")]
        argv = [sys.executable, "-m", "pytest", *options, *self.options, *arguments]
        began = time.monotonic()
        with (base / "stdout").open("wb") as stdout, (base / "stderr").open("wb") as stderr:
            process = self.starter(argv, self.path, _environment(env or {}), stdout, stderr)
        running = Running(process, base, began)
        self._running.append(running)
        return running


class Running:
    """A pytest that was started; its output lies in files beside the project."""

    def __init__(self, process: Process, base: Path, began: float) -> None:
        self._base = base
        self._began = began
        self._process = process
        self.pid = process.pid

    @property
    def output(self) -> str:
        """Standard output so far."""
        return (self._base / "stdout").read_text("utf-8", "replace")

    def poll(self) -> int | None:
        """The exit status, ``None`` while it runs."""
        return self._process.poll()

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to pytest itself, not to what it started."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it immediately, as ``kill -9`` of its process group does."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()

    def wait_until(self, condition: Callable[[], bool], timeout: float = 60) -> None:
        """Wait until something has happened, for example until an agent has made a file.

        Raises:
            TimeoutError: it has not within ``timeout`` seconds, or pytest ended before.
        """
        deadline = time.monotonic() + timeout
        while not condition():
            if self.poll() is not None:
                raise TimeoutError(f"pytest ended first, with {self.poll()}:\n{self.output}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {timeout} s:\n{self.output}")
            time.sleep(0.02)

    def wait(self, timeout: float = 120) -> RunResult:
        """Wait for its end.

        Raises:
            TimeoutError: it did not end within ``timeout`` seconds; it was killed.
        """
        try:
            status = self._process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise TimeoutError(f"pytest did not end within {timeout} s:\n{self.output}") from error
        errors = (self._base / "stderr").read_text("utf-8", "replace")
        duration = time.monotonic() - self._began
        lines = self.output.splitlines()
        return RunResult(status, lines, errors.splitlines(), duration, self._base / "junit.xml")


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
    own = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "COLUMNS": _WIDTH}
    return inherited | own | dict(more)


_OUTCOMES = {"failure": "failed", "error": "error", "skipped": "skipped"}
_FILE = "configuration.yaml"


def _read_junit(report: Path) -> dict[str, Case]:
    if not report.exists():
        return {}
    return {_node_id(case): _case(case) for case in ElementTree.parse(report).getroot().iter("testcase")}


def _node_id(case: ElementTree.Element) -> str:
    """JUnit has no node ids: pytest writes all but the last part as the class, with dots."""
    parents = case.get("classname", "")
    if parents.startswith(f"{_FILE}."):
        parents = f"{_FILE}::{parents.removeprefix(f'{_FILE}.')}"
    name = case.get("name", "")
    title = _case(case).properties.get("cobbler_title", "")
    if name.startswith(f"{title} ("):  # TITLE (ID)
        name = name.removeprefix(f"{title} (").removesuffix(")")
    return f"{parents}::{name}"


def _case(case: ElementTree.Element) -> Case:
    verdict = next((child for child in case if child.tag in _OUTCOMES), None)
    properties = {entry.get("name", ""): entry.get("value", "") for entry in case.iter("property")}
    return Case(
        outcome="passed" if verdict is None else _OUTCOMES[verdict.tag],
        message="" if verdict is None else verdict.get("message", ""),
        time=float(case.get("time", "0")),
        properties=properties,
    )
