"""The memory of the processes that judge a job."""

from __future__ import annotations

import shlex

import pytest

from pytest_cobbler.sandbox import lifeline
from pytest_cobbler.sandbox.base import Completed, Limits, Sandbox
from pytest_cobbler.sandbox.memory import memory_probe
from pytest_cobbler.sandbox.podman import PodmanSandbox
from pytest_cobbler.sandbox.probes import run_probes
from tests.support.jobs import ended, shell
from tests.support.memory import REWRITE
from tests.support.podmans import Podman, hand_over

ATTACK = f"{REWRITE}\nexit 3"
"""The whole attack in the job's first program."""

BELOW = f"sh -c {shlex.quote(REWRITE)}\nexit 3"
"""The same from a program that the job's shell starts, as a gate starts tests."""


@pytest.fixture(params=["minimal", "python", "busybox"])
def each_sh(
    podman: Podman, own_podman: Podman, repository: str, request: pytest.FixtureRequest
) -> PodmanSandbox:
    """Jobs in dash, bash and busybox."""
    image = request.getfixturevalue(f"{request.param}_image")
    hand_over(image, own_podman, podman)
    return podman.sandbox(image, repository=repository)


@pytest.fixture
def unprotected(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first process of a job does not copy its shell."""
    monkeypatch.setattr(lifeline, "OPENING", 'script=$1; shift; exec sh -c "$script" cobbler sh "$@"')


def found(sandbox: Sandbox) -> list[str]:
    warnings: list[str] = []
    run_probes(sandbox, [memory_probe(warnings.append)])
    return warnings


def attacked(sandbox: Sandbox, script: str) -> tuple[Completed, list[bytes]]:
    lines: list[bytes] = []
    return sandbox.run(shell(script, on_line=lines.append)), lines


@pytest.mark.parametrize("script", [ATTACK, BELOW], ids=["first", "below"])
def test_a_job_cannot_rewrite_its_verdict(each_sh: PodmanSandbox, script: str) -> None:
    completed, lines = attacked(each_sh, script)
    assert (completed.status, completed.cause, lines) == (3, "exited", [])


@pytest.mark.usefixtures("unprotected")
@pytest.mark.parametrize("kind", ["minimal", "python"])
def test_the_attack_succeeds_on_a_plain_shell(
    own_podman: Podman, repository: str, kind: str, request: pytest.FixtureRequest
) -> None:
    sandbox = own_podman.sandbox(request.getfixturevalue(f"{kind}_image"), repository=repository)
    completed, lines = attacked(sandbox, BELOW)
    assert completed.ok, (completed, lines)


def test_no_process_of_a_job_opens_those_that_judge_it(each_sh: PodmanSandbox) -> None:
    script = """
        for process in /proc/[0-9]*; do
          [ $process = /proc/$$ ] && continue
          for file in mem maps environ auxv fd/0 fd/1 fd/2 exe cwd root; do
            (: <$process/$file) 2>/dev/null && echo $process/$file
          done
        done
        exit 3
    """
    completed, lines = attacked(each_sh, f"sh -c {shlex.quote(script)}; exit 3")
    assert (completed.status, lines) == (3, [])


def test_the_preflight_finds_no_way(each_sh: PodmanSandbox) -> None:
    assert found(each_sh) == []


@pytest.mark.usefixtures("unprotected")
def test_the_preflight_finds_a_machine_that_does_not_protect(contained: Sandbox) -> None:
    assert found(contained) == [
        "a job can change its own verdict and outlive a killed run: its shell cannot run from a copy"
    ]


def test_a_job_that_kills_every_process_ends_and_has_not_passed(each_sh: PodmanSandbox) -> None:
    """In 1 of 20 such jobs dash does not notice the end; then the job's time limit ends it."""
    completed = ended(each_sh, "sh -c 'kill -KILL -1'; exit 0", limits=Limits(wall=10.0))
    assert completed.cause in ("killed", "timeout")
    assert not completed.ok
