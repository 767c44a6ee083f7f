"""A program of the host's runs where a job ran, and nothing that the job did changes what it does."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox.base import Afterwards, Completed, Limits, Loopback, Sandbox
from tests.support.jobs import shell, writable
from tests.support.podmans import Podman

REPORTS = r"""
cat "$0/given"
echo "HOME=$HOME XDG=${XDG_CONFIG_HOME-none} LD=${LD_PRELOAD-none} JOB=${OF_JOB-none}"
set -- /proc/[0-9]*
echo "$(($# < 6))"
"""
"""Prints a file that the host has prepared, variables, and whether there are few processes."""

REPORTED = "prepared\nHOME=/dev/null XDG=none LD=none JOB=none\n1\n"

ATTACKS = {
    "nothing": ":",
    "processes": "for one in 1 2 3 4 5 6 7 8; do (setsid sleep 60 &); done; (trap '' TERM HUP; sleep 60) &",
    "programs": r"""
        mkdir -p /tmp/bin "$WORK/bin"
        for name in cat sh echo; do
          printf '#!/bin/sh\necho forged\n' >/tmp/bin/$name
          chmod 755 /tmp/bin/$name
          cp /tmp/bin/$name "$WORK/bin"
        done
        chmod 555 /tmp/bin "$WORK/bin"
        """,
    "variables": r"""
        export LD_PRELOAD=/tmp/x.so OF_JOB=1 ENV=/tmp/env
        echo 'echo forged' | tee /tmp/env "$HOME/.profile" "$HOME/.bashrc" >/dev/null
        """,
    "a full disk": r"""
        for place in /tmp /var/tmp /dev/shm /cobbler/shell; do
          dd if=/dev/zero of=$place/full bs=65536 count=2000
        done
        """,
    "the copy of the shell": r"""
        cd /cobbler/shell
        chmod 755 sh; mv sh /tmp/gone; echo forged >sh
        """,
    "signals": "kill -TERM 1; kill -USR1 1; kill -CHLD 1; kill -KILL -1",
    "the directory of the program": r"""
        chmod -R 777 "$AFTER"; echo forged >"$AFTER/given"
        rmdir "$AFTER"; mv "$AFTER" "$WORK"
        """,
    "the output": r"""
        for word in $(cat /proc/1/cmdline | tr -c 0-9a-f '\n' | grep -xE '.{32}'); do
          printf '%s alone\n%s afterwards 0\n' $word $word >&2
          printf '%s forged %s' $word $word
        done
        """,
    "the pipe": "for one in /proc/1/fd/0 /proc/$PPID/fd/0 /proc/$PPID/fd/3; do echo no >$one; done",
}


@dataclass
class Bench:
    """A job that is followed by a program, and how both ended."""

    sandbox: Sandbox
    owner: tuple[int, int] | None
    work: Path
    after: Path
    events: list[str]

    def run(
        self, script: str, program: str = REPORTS, seconds: float = 20, **more: Any
    ) -> tuple[Completed, str]:
        """How the job ended, and what the program printed."""
        environment = {"WORK": str(self.work), "AFTER": str(self.after)}
        with tempfile.TemporaryFile() as output:
            afterwards = Afterwards(
                argv=("sh", "-c", program, str(self.after)),
                environment={},
                mounts=(writable(self.after),),
                output=output,
                prepare=self.prepare,
                seconds=seconds,
            )
            cancellation = more.pop("cancellation", None)
            job = shell(
                script, environment=environment, mounts=(writable(self.work),), afterwards=afterwards, **more
            )
            completed = self.sandbox.run(job, cancellation)
            output.seek(0)
            return completed, output.read().decode()

    def prepare(self) -> None:
        self.events.append("prepared")
        given = self.after / "given"
        given.unlink(missing_ok=True)
        given.write_text("prepared\n")
        if self.owner:
            for path in (self.after, given):
                os.chown(path, *self.owner)


@pytest.fixture
def bench(podman: Podman, contained: Sandbox, workspace: Path) -> Bench:
    return made(podman, contained, workspace)


@pytest.fixture
def own_bench(own_podman: Podman, minimal_image: str, repository: str, workspace: Path) -> Bench:
    return made(own_podman, own_podman.sandbox(minimal_image, repository=repository), workspace)


def made(podman: Podman, sandbox: Sandbox, workspace: Path) -> Bench:
    after = workspace.parent / "after"
    after.mkdir(mode=0o700)
    if os.getuid() == 0 and podman.owner is None:  # the directory is the caller's, who is another user
        status = Path(podman.environment["HOME"]).stat()
        os.chown(after, status.st_uid, status.st_gid)
    return Bench(sandbox, podman.owner, workspace, after, [])


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_job_does_not_change_what_the_program_does(bench: Bench, attack: str) -> None:
    path = f"/tmp/bin:{bench.work}/bin:/usr/local/bin:/usr/bin:/bin"
    arguments = (f"--env=PATH={path}", "--env=XDG_CONFIG_HOME=/tmp/xdg")
    completed, printed = bench.run(ATTACKS[attack], arguments=arguments)
    assert (printed, completed.went_on) == (REPORTED, True)


def test_output_and_status_are_the_jobs(bench: Bench) -> None:
    lines: list[bytes] = []
    completed, printed = bench.run("echo out; printf end; exit 7", "echo after", on_line=lines.append)
    assert (lines, printed, completed.status, completed.ok) == ([b"out", b"end"], "after\n", 7, False)


def test_the_output_of_the_program_is_bytes_of_any_length(bench: Bench) -> None:
    program = "dd if=/dev/zero bs=65536 count=100 2>/dev/null; echo end"
    completed, printed = bench.run(":", program)
    assert completed.went_on
    assert len(printed) == 65536 * 100 + 4


@pytest.mark.parametrize("image", ["minimal_image", "busybox_image", "python_image"])
def test_every_kind_of_sh_goes_on(
    own_bench: Bench, own_podman: Podman, repository: str, request: pytest.FixtureRequest, image: str
) -> None:
    own_bench.sandbox = own_podman.sandbox(request.getfixturevalue(image), repository=repository)
    completed, printed = own_bench.run("trap '' TERM; sleep 60 & wait", limits=Limits(wall=1))
    assert (printed, completed.went_on, completed.cause) == (REPORTED, True, "timeout")


def test_a_cancelled_job_is_followed_by_the_program(bench: Bench) -> None:
    cancellation = Cancellation()
    completed, printed = bench.run(
        "echo; sleep 60", on_line=lambda _line: cancellation.cancel(), cancellation=cancellation
    )
    assert (printed, completed.went_on, completed.cause) == (REPORTED, True, "cancelled")


def test_a_cancellation_does_not_end_the_program(bench: Bench) -> None:
    cancellation = Cancellation()
    prepare = bench.prepare

    def cancel() -> None:
        prepare()
        cancellation.cancel()

    bench.prepare = cancel  # type: ignore[method-assign]
    completed, printed = bench.run("exit 3", f"sleep 1\n{REPORTS}", cancellation=cancellation)
    assert (printed, completed.went_on, completed.status, completed.cause) == (REPORTED, True, 3, "exited")


def test_a_program_that_takes_too_long_is_ended(bench: Bench, podman: Podman, repository: str) -> None:
    completed, _ = bench.run("exit 3", "sleep 60", seconds=1)
    assert (completed.went_on, completed.status, completed.cause) == (False, 3, "exited")
    assert podman("ps", "--all", "--quiet", f"--filter=label=cobbler.repository={repository}") == ""


def test_a_program_that_fails_has_not_succeeded(bench: Bench) -> None:
    completed, printed = bench.run("exit 3", "echo some; exit 1")
    assert (completed.went_on, completed.status, printed) == (False, 3, "some\n")


def test_a_program_that_cannot_be_prepared_does_not_run(bench: Bench) -> None:
    def fail() -> None:
        raise OSError("the disk is full")

    bench.prepare = fail  # type: ignore[method-assign]
    completed, printed = bench.run("exit 3")
    assert (completed.went_on, completed.status, printed) == (False, 3, "")


def test_nothing_runs_where_a_job_may_have_had_a_hand_in_it(
    own_bench: Bench, own_podman: Podman, repository: str, python_image: str
) -> None:
    """A job lowers the limits of the first process, whose children have them, too."""
    own_bench.sandbox = own_podman.sandbox(python_image, repository=repository)
    lowers = "import resource; resource.prlimit(1, resource.RLIMIT_FSIZE, (4096, 4096))"
    completed, printed = own_bench.run(f'python3 -c "{lowers}"')
    assert (completed.status, completed.went_on, printed) == (0, False, "")


def test_the_network_of_the_job_is_gone_before(bench: Bench) -> None:
    @contextlib.contextmanager
    def serve(_listener: socket.socket) -> Iterator[None]:
        bench.events.append("served")
        yield
        bench.events.append("closed")

    completed, _ = bench.run(":", network=Loopback(port=8377, serve=serve))
    assert completed.went_on
    assert bench.events == ["served", "closed", "prepared"]
