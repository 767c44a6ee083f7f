"""The crash matrix: a command is recorded, struck at each of its points, and run once more.

The points are those that :mod:`crasher` notes, so a new call of a child process is in the matrix by itself.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_cobbler.testing.invariants import CheckoutState, check
from pytest_cobbler.testing.project import Project, RunResult

RESULTS = "COBBLER_TEST_CRASHES"
"""Environment variable: a directory to which each case that was tried is written."""

PLUGINS = Path(__file__).with_name("plugins")
KILLED = -signal.SIGKILL
OF_PYTEST = ("before", "after")
READERS = {
    f"git-{verb}"
    for verb in (
        *("for-each-ref", "rev-parse", "ls-tree", "ls-files", "cat-file", "log", "show", "rev-list"),
        *("diff-tree", "grep", "config", "var", "symbolic-ref", "status", "merge-base", "worktree"),
        "interpret-trailers",
    )
}
"""Programs that change nothing where they are started with these commands.

Before and after them, all is as it was after the last change; they are only killed themselves, to see what
the caller does.
"""
OF_CONTAINERS = ("conmon", "container")
_PATIENCE = 300.0
_TRIES = 3


@dataclass(frozen=True, kw_only=True)
class Case:
    """A point, and what is struck there."""

    point: str
    blow: str
    seconds: float = field(default=0.0, compare=False)

    def __str__(self) -> str:
        return f"{self.blow} at {self.point}"

    @property
    def program(self) -> str:
        return self.point.split()[1]

    @property
    def kind(self) -> tuple[str, str]:
        """The same for all points of one place that start the same program."""
        return self.point.rpartition(" ")[0], self.blow


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A command, and the state in which it begins.

    ``judge`` lists the faults after the second run; ``keeps_checkout``: the command must not change it;
    ``is_checked``: there is one generation, or none, and a configuration. ``until`` is the beginning of the
    first point at which nothing is struck any more. ``programs``: all that is on PATH, if not everything.
    """

    name: str
    command: tuple[str, ...]
    prepare: Callable[[Project], None]
    judge: Callable[[Project, Mapping[str, str]], list[str]] = lambda _project, _settled: []
    statuses: tuple[int, ...] = (0,)
    keeps_checkout: bool = True
    is_checked: bool = True
    until: str = "end"
    programs: tuple[str, ...] = ()


class Ground:
    """A project in the state in which a scenario begins, again and again.

    Attributes:
        cases: what is struck: of each place that starts a program, its first time and its last.
        settled: the state after that run.
    """

    def __init__(self, project: Project, scenario: Scenario) -> None:
        self.project = project
        self._scenario = scenario
        self._log = project.directory / "points"
        self._temporary = project.directory / "tmp"
        self._saved = project.directory.with_name(f"{project.directory.name}-saved")
        self._temporary.mkdir()
        for name in scenario.programs:
            (project.directory / "programs").mkdir(exist_ok=True)
            (project.directory / "programs" / name).symlink_to(str(shutil.which(name)))
        scenario.prepare(project)
        names = project.git("for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads/generation-*").split()
        self._command = [word.format(oldest=names[0]) if names else word for word in scenario.command]
        shutil.copytree(project.directory, self._saved, symlinks=True)
        result = self._run(CRASH_AT="")
        assert int(result.ret) in scenario.statuses, result.outlines + result.errlines
        self.settled = settled(project)
        points: dict[str, dict[str, Any]] = {}
        for entry in self._noted():
            points.setdefault(entry["point"], {}).update(entry)
        entries = itertools.takewhile(lambda e: not e["point"].startswith(scenario.until), points.values())
        cases = [case for entry in entries for case in _cases(entry)]
        self.cases = list(_first_and_last(cases))

    def strike(self, case: Case) -> list[str]:
        """Strike once, run the command once more, and list the faults."""
        delay = case.seconds / 2
        for number in range(_TRIES):
            self._restore()
            before = CheckoutState.of(self.project) if self._scenario.keeps_checkout else None
            struck = self._run(CRASH_AT=f"{case.point}\t{case.blow}", CRASH_DELAY=f"{delay:f}")
            if any(entry.get("struck") for entry in self._noted()):
                break
            delay = delay / 4 if number == 0 else 0.0  # the child had already ended
        else:
            return ["was not struck"]
        self._wait_for_children()
        faults = list(_of_first_run(struck, case))
        again = self.project.run(*self._command, env=self._environment, timeout=_PATIENCE)
        if int(again.ret) not in self._scenario.statuses:
            faults.append(f"the next run ended with {again.ret}: {_last(again)}")
        if self._scenario.is_checked:
            faults += check(self.project, again if again.junit else None, before=before)
        faults += _more_faults(self.project, self._temporary)
        faults += self._scenario.judge(self.project, self.settled)
        return faults

    @property
    def _environment(self) -> dict[str, str]:
        only = {"PATH": str(self.project.directory / "programs")} if self._scenario.programs else {}
        return {"TMPDIR": str(self._temporary), **only}

    def _run(self, **env: str) -> RunResult:
        self._log.write_text("")
        plugin = {"PYTHONPATH": str(PLUGINS), "CRASH_LOG": str(self._log)}
        environment = self._environment | plugin | env
        return self.project.run(*self._command, "-p", "crasher", env=environment, timeout=_PATIENCE)

    def _noted(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def _restore(self) -> None:
        shutil.rmtree(self.project.directory)
        shutil.copytree(self._saved, self.project.directory, symlinks=True)
        self.project.git("update-index", "-q", "--refresh")

    def _wait_for_children(self) -> None:
        """Until no child of a killed run works any more: it does what its command says."""
        mark = f"TMPDIR={self._temporary}".encode()
        while any(mark in environment.split(b"\0") for environment in environments()):
            signal.sigtimedwait([], 0.05)


def environments() -> Iterator[bytes]:
    """Those of all processes that can be read."""
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            yield path.read_bytes()
        except OSError:
            continue


def _first_and_last(cases: Sequence[Case]) -> Iterator[Case]:
    """The cases of the first and the last time that a place starts a program; of readers, the first."""
    for kind in dict.fromkeys(case.kind for case in cases):
        times = [case for case in cases if case.kind == kind]
        yield times[0]
        yield from times[1:][-1:] if times[0].program not in READERS else ()


def first_of_each_kind(cases: Sequence[Case], program: str) -> list[Case]:
    """The cases of one program, each place and blow once."""
    found: dict[tuple[str, str], Case] = {}
    for case in cases:
        if case.program.startswith(program):
            found.setdefault(case.kind, case)
    return list(found.values())


def write_result(scenario: Scenario, case: Case, faults: Sequence[str]) -> None:
    """Keep the result of a case for the table, if this run makes it."""
    if directory := os.environ.get(RESULTS):
        place, _, program = case.kind[0].partition(" ")
        facts = {"scenario": scenario.name, "place": place, "program": program, "blow": case.blow}
        with Path(directory, f"{os.getpid()}.jsonl").open("a") as file:
            file.write(f"{json.dumps(facts | {'held': not faults, 'faults': list(faults)})}\n")


def settled(project: Project) -> dict[str, str]:
    """Refs with their trees, the state of the checkout, and the tasks: what a command changes for good."""
    form = "--format=%(refname)%00%(tree)%00%(*tree)%00%(symref)"
    places = ("refs/heads", "refs/tags", "refs/cobbler")
    refs = [line.split("\0") for line in project.git("for-each-ref", form, *places).splitlines()]
    return {
        **{name: " ".join(filter(None, rest)) for name, *rest in refs},
        "checkout": project.git("status", "--porcelain", "--untracked-files=all"),
        "HEAD": project.git("rev-parse", "HEAD^{tree}"),
        **{f"task {task.id}": task.status for task in project.tasks()},
    }


def differs(project: Project, expected: Mapping[str, str]) -> list[str]:
    """Where the state is not that after an undisturbed run."""
    now = settled(project)
    return [
        f"{name} is {now.get(name, 'missing')!r}, not {expected.get(name, 'missing')!r}"
        for name in sorted(now.keys() | expected.keys())
        if now.get(name) != expected.get(name)
    ]


def _cases(entry: Mapping[str, Any]) -> Iterator[Case]:
    point = str(entry["point"])
    program = point.split()[1]
    blows = [*OF_PYTEST] if program not in READERS else []
    if not point.startswith("journal "):
        blows.append("child")
        if program in ("podman-run", "podman-start"):
            blows += OF_CONTAINERS
    for blow in blows:
        yield Case(point=point, blow=blow, seconds=entry.get("seconds", 0.0))


def _of_first_run(result: RunResult, case: Case) -> Iterator[str]:
    output = "\n".join((*result.outlines, *result.errlines))
    if case.blow in OF_PYTEST:
        if result.ret != KILLED:
            yield f"the run was not killed, but ended with {result.ret}"
    elif int(result.ret) not in (0, 1, 2, 4):
        yield f"the run ended with {result.ret}: {_last(result)}"
    elif "Traceback (most recent call last)" in output or "INTERNALERROR" in output:
        yield f"the run printed a traceback: {_last(result)}"


def _last(result: RunResult) -> str:
    return " / ".join([*result.outlines, *result.errlines][-6:])


def _more_faults(project: Project, temporary: Path) -> Iterator[str]:
    """What :func:`check` does not look at."""
    problems = project.git("fsck", "--full", "--strict", "--no-dangling", "--no-progress").strip()
    if problems:
        yield f"git fsck: {problems}"
    for ref in project.git("for-each-ref", "--format=%(refname)", "refs/cobbler").splitlines():
        worktree = ref.split("/")[4] if ref.startswith("refs/cobbler/pins/") else ""
        is_kept = any((project.directory / "work").glob(f"*/kept/*/{worktree}.*"))
        if ref.startswith("refs/cobbler/stopping/") or (worktree and not is_kept):
            yield f"{ref} is left"
    base = set(project.files("main"))
    for ref in project.git("for-each-ref", "--format=%(refname)", "refs/cobbler/attempts").split():
        if not base <= set(project.files(ref)):
            yield f"{ref} lacks files that no agent has removed"
    yield from (f"{path} is left" for path in sorted(temporary.iterdir()))
    known = {path.partition("/")[0] for path in base}
    strange = {path.name for path in project.path.iterdir()} - known - _EXPECTED
    yield from (f"{name} is left in the checkout" for name in sorted(strange))
    yield from (
        f"{path} is left" for path in (project.path / ".git").rglob("*.lock") if path.name != RUN_LOCK
    )
    yield from _unreported(project)


RUN_LOCK = "cobbler.lock"
_EXPECTED = {".git", ".beads", ".cobbler", ".pytest_cache", "configuration.yaml", "d", "left.txt"}


def _unreported(project: Project) -> Iterator[str]:
    """Killed runs whose JUnit file the next run has not completed."""
    for journal in sorted((project.path / ".cobbler").glob("*/journal.jsonl")):
        events = [json.loads(line) for line in journal.read_text().splitlines()]
        starts = [at for at, event in enumerate(events) if event["event"] == "run"]
        for begin, end in itertools.pairwise(starts):
            run = events[begin:end]
            items = {event["task"] for event in run if event["event"] == "claim"}
            items |= {event["item"] for event in run if event["event"] == "measure"}
            if items and run[-1]["event"] != "end":
                report = journal.with_name(f"junit-{run[0]['run']}.xml")
                if not report.exists():
                    yield f"the run {run[0]['run']} was killed and has no report"
                    continue
                cases = ElementTree.parse(report).getroot().iter("testcase")
                names = " ".join(case.get("name", "") for case in cases)
                yield from (f"{report.name} has no case for {item}" for item in items if item not in names)
