"""``pytest --cobbler-demo``: what it needs, what it shows, what it leaves."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

from pytest_cobbler.process import Completion, run

pytestmark = pytest.mark.slow

MISSING = {"podman", "docker", "buildah", "bd", "claude", "node", "curl", "wget", "ssh"}
"""Programs that it does not find."""

TITLES = {"Convert lengths", "Convert weights", "Convert temperatures", "Convert on the command line"}


@dataclass(frozen=True)
class Place:
    """Where a demo is run: in an empty directory, with an empty home, without some programs."""

    directory: Path

    @classmethod
    def create(cls, directory: Path) -> Place:
        for name in ("here", "home", "bin", "tmp"):
            (directory / name).mkdir()
        found = [Path(shutil.which(name) or name) for name in ("sh", "git")]
        programs = {program.name: program for path in found for program in path.parent.iterdir()}
        for name in programs.keys() - MISSING:
            (directory / "bin" / name).symlink_to(programs[name])
        return cls(directory)

    @property
    def here(self) -> Path:
        return self.directory / "here"

    @property
    def home(self) -> Path:
        return self.directory / "home"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": str(self.directory / "bin"),
            "HOME": str(self.home),
            "TMPDIR": str(self.directory / "tmp"),
        }

    def run(self, *options: str, **variables: str) -> Completion:
        return run(
            [sys.executable, "-m", "pytest", "--cobbler-demo", *options],
            env=self.environment | variables,
            cwd=self.here,
            timeout=120,
        )


@dataclass(frozen=True)
class Finished:
    """A demo that has ended."""

    place: Place
    completion: Completion

    @property
    def output(self) -> str:
        return self.completion.text

    @cached_property
    def repository(self) -> Path:
        return self._shown("repository: ")

    @cached_property
    def junit(self) -> Path:
        return self._shown("JUnit file: ")

    def _shown(self, name: str) -> Path:
        [line] = re.findall(rf"^{name} *(.*)$", self.output, re.MULTILINE)
        return Path(line)

    def git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.repository), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    @cached_property
    def generation(self) -> str:
        return self.git("for-each-ref", "--format=%(refname:short)", "refs/heads/generation-*")

    @cached_property
    def stitches(self) -> dict[str, Mapping[str, str]]:
        """Title -> properties in the report."""
        cases = [
            {entry.attrib["name"]: entry.attrib["value"] for entry in case.iter("property")}
            for case in ElementTree.parse(self.junit).getroot().iter("testcase")
        ]
        return {case["cobbler_title"]: case for case in cases if "cobbler_title" in case}

    @cached_property
    def journal(self) -> list[Mapping[str, str]]:
        text = (self.repository / ".cobbler" / self.generation / "journal.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def causes(self) -> dict[str, str]:
        """Title -> why an attempt did not land."""
        titles = {case["cobbler_task"]: title for title, case in self.stitches.items()}
        return {titles[event["task"]]: event["cause"] for event in self.journal if event["event"] == "keep"}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place.create(tmp_path)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """One demo, with variables around it that must not reach it."""
    place = Place.create(tmp_path_factory.mktemp("demo"))
    misleading = {
        "COBBLER_SESSION": "1",
        "PYTEST_ADDOPTS": "--strict-markers -p no:cacheprovider",
        "GIT_DIR": str(place.here),
        "ANTHROPIC_API_KEY": "sk-ant-of-the-caller",
    }
    completion = place.run(**misleading)
    assert completion.ok, completion.text + completion.errors
    return Finished(place, completion)


def test_every_task_of_the_demo_lands(demo: Finished) -> None:
    assert demo.completion.errors == ""
    assert demo.stitches.keys() == TITLES
    assert {case["cobbler_outcome"] for case in demo.stitches.values()} == {"landed"}


def test_one_task_is_repaired_from_the_output_of_the_gate(demo: Finished) -> None:
    assert demo.causes()["Convert temperatures"] == "gate"
    assert demo.stitches["Convert temperatures"]["cobbler_attempts"] == "2"


def test_a_conflict_of_two_tasks_is_resolved(demo: Finished) -> None:
    two = ("Convert lengths", "Convert weights")
    conflicts = [title for title, cause in demo.causes().items() if cause == "conflict"]
    assert len(conflicts) == 1
    assert conflicts[0] in two
    assert sorted(demo.stitches[title]["cobbler_attempts"] for title in two) == ["1", "2"]
    assert "after a conflict with what had landed meanwhile" in demo.output


def test_one_task_waits_for_another(demo: Finished) -> None:
    landed = [event["task"] for event in demo.journal if event["event"] == "land"]
    claimed = [event["task"] for event in demo.journal if event["event"] == "claim"]
    lengths, command = (
        demo.stitches[t]["cobbler_task"] for t in ("Convert lengths", "Convert on the command line")
    )
    assert landed.index(lengths) < landed.index(command)
    assert claimed[-1] == command


def test_the_landed_code_works(demo: Finished, tmp_path: Path) -> None:
    demo.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "tree"), demo.generation)
    command = [sys.executable, "-m", "units", "26.2", "mi", "km"]
    completed = subprocess.run(command, cwd=tmp_path / "tree", check=True, capture_output=True, text=True)
    assert completed.stdout == "42.1648\n"


def test_the_checkout_of_the_sample_is_unchanged(demo: Finished) -> None:
    assert demo.git("symbolic-ref", "--short", "HEAD") == "main"
    assert demo.git("log", "--format=%s", "HEAD") == "Convert times"
    assert demo.git("status", "--porcelain") == ""


def test_the_demo_prints_what_landed_and_where_the_files_are(demo: Finished) -> None:
    log = demo.git("log", "--format=* %h %s", demo.generation).splitlines()
    shown = [line for line in demo.output.splitlines() if line.startswith("* ")]
    assert all(line.startswith(commit) for line, commit in zip(shown, log, strict=True))
    assert f"cd {demo.repository}" in demo.output
    assert f"git log --patch main..{demo.generation}" in demo.output
    assert demo.repository.is_dir()
    assert demo.junit.is_file()


def test_the_demo_reports_the_costs_of_its_recording(demo: Finished) -> None:
    for case in demo.stitches.values():
        assert case["cobbler_model"] == "recording"
        assert float(case["cobbler_cost_usd"]) == 0
        assert int(case["cobbler_tokens_input"]) > 0


def test_the_demo_leaves_no_file_outside_its_directory(demo: Finished) -> None:
    place = demo.place
    assert list(place.here.iterdir()) == []
    assert list(place.home.iterdir()) == []
    assert list((place.directory / "tmp").iterdir()) == [demo.repository.parent]


def test_running_the_demo_again_by_hand_finds_no_open_task(demo: Finished) -> None:
    completion = run(
        [sys.executable, "-m", "pytest", "--cobbler-generate"],
        env=demo.place.environment | {"PATH": os.environ["PATH"]},
        cwd=demo.repository,
        timeout=120,
    )
    assert completion.ok, completion.text
    assert "1 passed" in completion.text


def test_an_interrupted_demo_stops_in_order(place: Place) -> None:
    with started(place) as process:
        until(lambda: any((place.directory / "tmp").glob("*/units/.cobbler/*/attempts/cycle-1/1/prompt.md")))
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == pytest.ExitCode.INTERRUPTED
    assert "CANCELLED" in output
    assert "rm -r " in output


def test_the_demo_without_git_is_an_error(place: Place) -> None:
    (place.directory / "bin" / "git").unlink()
    completion = place.run()
    assert completion.status == pytest.ExitCode.USAGE_ERROR
    assert "git is not on PATH\nInstall git 2.38 or newer." in completion.errors


def test_the_demo_with_an_old_git_is_an_error(place: Place) -> None:
    git = place.directory / "bin" / "git"
    git.unlink()
    git.write_text("#!/bin/sh\necho git version 2.30.2\n")
    git.chmod(0o755)
    completion = place.run()
    assert completion.status == pytest.ExitCode.USAGE_ERROR
    assert "git version 2.30.2 is too old\nInstall git 2.38 or newer." in completion.errors


def test_the_conftest_of_the_current_directory_is_not_imported(place: Place) -> None:
    (place.here / "conftest.py").write_text("raise RuntimeError('it was imported')\n")
    (place.directory / "bin" / "git").unlink()  # it need not go further
    completion = place.run()
    assert "it was imported" not in completion.text + completion.errors
    assert "git is not on PATH" in completion.errors


@contextlib.contextmanager
def started(place: Place) -> Iterator[subprocess.Popen[str]]:
    """A demo under way, killed at the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "--cobbler-demo"],
        env=place.environment,
        cwd=place.here,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
