"""A state machine of commands and of acts of people, on real git with the embedded store."""

from __future__ import annotations

import contextlib
import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project, RunResult
from pytest_cobbler.tracker.base import NewTask
from pytest_cobbler.tracker.choose import open_tracker

__all__ = ["Commands"]

_PLUGINS = Path(__file__).parents[1] / "support" / "plugins"
_INTERNAL_ERROR = 3

_AGENT = """\
case $COBBLER_TASK_TITLE in
plain*) echo "$COBBLER_TASK_TITLE" >"$COBBLER_TASK_ID.txt" ;;
shared*) echo "$COBBLER_TASK_TITLE" >>shared.txt ;;
red*) echo "$COBBLER_TASK_TITLE" >"red-$COBBLER_TASK_ID.txt" ;;
fails*) echo half >"$COBBLER_TASK_ID.txt"; exit 1 ;;
esac
"""
"""What the agent does, by the title of its task; other tasks are not changed at all."""

_GATE = "! ls red-* 2>/dev/null && ! grep -q '^<<<<<<<' *.txt"
_KINDS = ("plain", "plain", "shared", "red", "fails", "nothing")


class Commands(RuleBasedStateMachine):
    """Each rule is a command of the plugin, or what a person does with git or the tracker."""

    def __init__(self) -> None:
        super().__init__()
        self._stack = contextlib.ExitStack()
        directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="commands-")))
        agent = StandInAgent(directory / "agent")
        agent.otherwise().runs(_AGENT)
        self._project = self._stack.enter_context(Project.create(directory / "p", agent))
        self._project.options += ["-p", "no:hypothesispytest"]
        self._project.write({"shared.txt": "first\n"})
        self._project.configure(cycles=0, test_command=_GATE, max_attempts=2, jobs=3)
        self._made = 0

    def teardown(self) -> None:
        self._stack.close()

    # -- commands

    @initialize(kinds=st.lists(st.sampled_from(_KINDS), min_size=2, max_size=4))
    def tasks(self, kinds: list[str]) -> None:
        for kind in kinds:
            self.add(kind)

    @rule()
    def generate(self) -> None:
        self._says_what_is_lost(self._run("--cobbler-generate"))

    @rule(line=st.integers(1, 20))
    def generate_and_die(self, line: int) -> None:
        environment = {"KILL_AFTER": f"*:{line}", "PYTHONPATH": str(_PLUGINS)}
        self._project.run("--cobbler-generate", "-p", "killer", env=environment)

    @precondition(lambda self: self._generations())
    @rule()
    def stop(self) -> None:
        self._run("--cobbler-stop")

    @precondition(lambda self: self._generations())
    @rule()
    def reset(self) -> None:
        self._run("--cobbler-reset")

    @precondition(lambda self: len(self._generations()) < 2)
    @rule()
    def start(self) -> None:
        self._run("--cobbler-start")

    @precondition(lambda self: len(self._generations()) > 1)
    @rule(place=st.integers(0, 1))
    def switch(self, place: int) -> None:
        self._run("--cobbler-switch", self._generations()[place])

    # -- people

    @rule(kind=st.sampled_from(_KINDS))
    def add(self, kind: str) -> None:
        self._made += 1
        title = f"{kind} {self._made}"
        self._tracker.create([NewTask(key="one", title=title, description="")])

    @rule(place=st.integers(0, 20))
    def close(self, place: int) -> None:
        if task := self._some_task(place, "open"):
            with contextlib.suppress(Exception):  # it may wait for another one
                self._tracker.close(task, "by a person")

    @rule(place=st.integers(0, 20))
    def reopen(self, place: int) -> None:
        if task := self._some_task(place, "closed"):
            self._tracker.reopen(task)

    @precondition(lambda self: self._issues())
    @rule(place=st.integers(0, 20))
    def delete(self, place: int) -> None:
        lines = self._store.read_text("utf-8").splitlines(keepends=True)
        del lines[place % len(lines)]
        self._store.write_text("".join(lines), "utf-8")

    @rule()
    def commit_on_the_base(self) -> None:
        self._made += 1
        self._project.write({f"by-a-person-{self._made}.txt": "text\n", "shared.txt": f"{self._made}\n"})
        self._project.commit("By a person")

    @precondition(lambda self: self._generations())
    @rule(back=st.integers(1, 2))
    def rewind(self, back: int) -> None:
        name = self._generations()[-1]
        commits = self._git("rev-list", "--first-parent", f"{name}-start..{name}").split()
        if back < len(commits):
            self._git("update-ref", f"refs/heads/{name}", commits[back])

    @rule()
    def collect_garbage(self) -> None:
        self._git("gc", "--quiet", "--prune=now")

    # -- what holds after each of them

    @invariant()
    def the_repository_is_sound(self) -> None:
        self._git("fsck", "--no-progress", "--no-dangling", "--strict")

    @invariant()
    def every_task_can_be_read(self) -> None:
        assert len(self._project.tasks()) == len(self._issues())

    @invariant()
    def every_commit_of_a_generation_did_a_task(self) -> None:
        for name in self._generations():
            form = "--format=%s%x00%(trailers:key=Cobbler-Task,valueonly,separator=%x2C)"
            log = self._git("log", "--reverse", "--first-parent", form, f"{name}-start..{name}")
            first, *others = log.splitlines()
            assert first.startswith(f"Start generation: {name}")
            tasks = [line.partition("\0")[2].strip() for line in others]
            assert all(tasks), log

    @invariant()
    def what_is_closed_as_landed_has_its_commit(self) -> None:
        """On a branch, or held by a reference if a person took it off."""
        there = set(self._git("rev-list", "--all").split())
        assert there >= set(self._landed().values())

    # -- helpers

    @property
    def _tracker(self) -> Any:
        tracker = open_tracker("embedded", self._project.path, self._project.path / ".beads")
        tracker.prepare()
        return tracker

    @property
    def _store(self) -> Path:
        return self._project.path / ".beads" / "issues.jsonl"

    def _git(self, *arguments: str) -> str:
        return self._project.git(*arguments)

    def _run(self, *arguments: str) -> RunResult:
        result = self._project.run(*arguments)
        output = "\n".join([*result.outlines, *result.errlines])
        assert result.ret != _INTERNAL_ERROR, output
        assert "Traceback" not in output, output
        return result

    def _generations(self) -> list[str]:
        refs = self._git("for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads/generation-*")
        return refs.split()

    def _issues(self) -> dict[str, Any]:
        if not self._store.exists():
            return {}
        records = [json.loads(line) for line in self._store.read_text("utf-8").splitlines()]
        return {record["id"]: record for record in records}

    def _some_task(self, place: int, status: str) -> str:
        tasks = [task for task, record in self._issues().items() if record["status"] == status]
        return tasks[place % len(tasks)] if tasks else ""

    def _landed(self) -> dict[str, str]:
        """Task id -> the commit that it was closed with."""
        return {
            task: str(record["close_reason"]).removeprefix("landed in ")
            for task, record in self._issues().items()
            if record["status"] == "closed" and str(record.get("close_reason")).startswith("landed in ")
        }

    def _says_what_is_lost(self, result: RunResult) -> None:
        """A run names each task of its generation that is closed as landed although no branch has it."""
        if result.ret not in (0, 1, 2, 5):
            return
        reachable = set(self._git("rev-list", "--branches", "--tags").split())
        lines = " ".join(line for line in result.outlines if "LOST" in line)
        name = self._project.generation
        for task, commit in self._landed().items():
            pins = self._git("for-each-ref", "--format=%(objectname)", f"refs/cobbler/landed/{name}")
            if commit not in reachable and commit in pins:
                assert task in lines, f"{task} has lost {commit}, and no line says so: {result.outlines}"
