"""A run tries everything that it needs in one container."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project
from tests.support.images import minimal_image

__all__ = ["minimal_image"]


def test_opening_a_run_starts_one_container(
    cobbler_project: Project, cobbler_agent: StandInAgent, minimal_image: str, tmp_path: Path
) -> None:
    cobbler_project.configure(
        cycles=0,
        sandbox="podman",
        podman_image=minimal_image,
        podman_args=cobbler_agent.podman_arguments,
        agent_network="none",
    )
    calls, podman = tmp_path / "calls", tmp_path / "bin" / "podman"
    podman.parent.mkdir()
    podman.write_text(f'#!/bin/sh\necho "$1" >>"{calls}"\nexec {shutil.which("podman")} "$@"\n')
    podman.chmod(0o755)
    result = cobbler_project.run("--cobbler-generate", env={"PATH": f"{podman.parent}:{os.environ['PATH']}"})
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    verbs = calls.read_text().split()
    assert [verb for verb in verbs if verb in ("run", "create", "start")] == ["run"]


def test_the_tracker_makes_its_store_while_the_agent_is_tried(cobbler_project: Project) -> None:
    cobbler_project.configure(cycles=0)
    cobbler_project.write({"conftest.py": HOOKS})
    cobbler_project.commit("Wait for the tracker in the check of the agent")
    result = cobbler_project.run("--cobbler-generate")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED, "\n".join(result.errlines)


HOOKS = """
import threading

made = threading.Event()

class Agent:
    description, secrets, proxied = "an agent that waits for the store", (), False
    def preflight(self, sandbox): assert made.wait(20)
    def run(self, request, sandbox, cancellation): raise AssertionError

class Tracker:
    description = "a store that takes long"
    def prepare(self): made.set()
    def tasks(self): return []
    def comments(self): return {}
    def create(self, *_): raise AssertionError
    claim = release = reopen = comment = close = create

def pytest_cobbler_agent(settings): return Agent()
def pytest_cobbler_tracker(settings): return Tracker()
"""
