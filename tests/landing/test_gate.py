"""The gate builds and tests exactly the tree that is about to land, and leaves nothing behind."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.errors import CobblerError
from pytest_cobbler.landing import gate as module
from pytest_cobbler.landing.gate import Gate, GateResult
from pytest_cobbler.languages.base import Step
from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox.base import Job, Network, Sandbox
from pytest_cobbler.sandbox.podman import PodmanSandbox, job_owner
from pytest_cobbler.secret_forms import Secrets
from tests.support.attacked import Altered
from tests.support.images import minimal_image
from tests.support.jobs import own_host

__all__ = ["minimal_image"]


class Bench:
    """A checkout and gates on it."""

    def __init__(self, directory: Path, sandbox: Sandbox) -> None:
        self.checkout = directory / "checkout"
        self.log = directory / "logs" / "gate.log"
        self.sandbox = sandbox
        self.checkout.mkdir()
        (self.checkout / "file").write_text("content\n")
        if sandbox.owner:
            for path in (self.checkout, self.checkout / "file"):
                os.chown(path, *sandbox.owner)

    def gate(self, build: str | None, test: str | None, **more: Any) -> Gate:
        """A gate of shell scripts."""
        scripts = (("build", build), ("test", test))
        steps: Sequence[Step] = [
            Step(name=name, argv=("sh", "-c", script), shown=script)
            for name, script in scripts
            if script is not None
        ]
        facts: dict[str, Any] = {"network": Network.NONE, "image": None, "timeout": 60.0, "environment": {}}
        return Gate(steps=steps, sandbox=self.sandbox, **facts | more)

    def run(self, build: str | None, test: str | None = None, **more: Any) -> GateResult:
        return self.gate(build, test, **more).run(self.checkout, self.log, Cancellation())


@pytest.fixture(params=["host", "podman"])
def sandbox(request: pytest.FixtureRequest, tmp_path: Path) -> Sandbox:
    """Each sandbox."""
    if request.param == "host":
        return own_host()
    image = request.getfixturevalue("minimal_image")
    return PodmanSandbox(image, repository=uuid.uuid4().hex, run_id="test", owner=job_owner(tmp_path))


@pytest.fixture
def bench(tmp_path: Path, sandbox: Sandbox) -> Bench:
    return Bench(tmp_path, sandbox)


@pytest.fixture
def host_bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, own_host())


class TestVerdict:
    def test_gate_passes_if_every_step_passes(self, bench: Bench) -> None:
        result = bench.run("cat file", "echo tested")
        assert result.passed
        assert result.failed == ""
        assert result.output.splitlines() == ["== build ==", "content", "== test ==", "tested"]
        assert bench.log.read_text().splitlines() == result.output.splitlines()

    def test_gate_names_the_failed_step_and_runs_no_further_step(self, bench: Bench) -> None:
        result = bench.run("echo built; echo why >&2; exit 7", "echo never")
        assert not result.passed
        assert (result.failed, result.status) == ("build", 7)
        assert result.summary == "build failed (exit 7)"
        assert result.output.splitlines() == ["== build ==", "built", "why"]

    def test_gate_names_the_second_step_if_it_fails(self, host_bench: Bench) -> None:
        result = host_bench.run("true", "exit 1")
        assert result.summary == "test failed (exit 1)"

    def test_gate_finds_a_step_after_output_without_a_newline(self, host_bench: Bench) -> None:
        result = host_bench.run("printf 'no newline'", "exit 3")
        assert result.summary == "test failed (exit 3)"
        assert result.output.splitlines() == ["== build ==", "no newline", "== test =="]

    def test_gate_fails_if_a_program_is_missing(self, host_bench: Bench) -> None:
        gate = Gate(
            steps=[Step(name="test", argv=("no-such-program",), shown="x")],
            sandbox=host_bench.sandbox,
            network=Network.NONE,
            image=None,
            timeout=None,
            environment={},
        )
        result = gate.run(host_bench.checkout, host_bench.log, Cancellation())
        assert result.summary == "test failed (exit 127)"
        assert "no-such-program" in result.output

    def test_gate_without_steps_passes_without_a_job(self, tmp_path: Path) -> None:
        nowhere = PodmanSandbox("no-image", repository="x", run_id="x", owner=None, program="no-podman")
        bench = Bench(tmp_path, nowhere)
        assert bench.run(None, None).passed
        assert bench.log.read_text() == ""
        with pytest.raises(CobblerError):
            bench.run("true")

    @pytest.mark.slow
    def test_gate_times_out(self, bench: Bench) -> None:
        result = bench.run("echo begun; sleep 60", timeout=3.0)
        assert not result.passed
        assert (result.cause, result.failed) == ("timeout", "build")
        assert result.summary == "build timed out after 3s"
        assert "begun" in result.output

    def test_gate_reports_a_killed_step(self, host_bench: Bench) -> None:
        result = host_bench.run("kill -KILL $$", "true")
        assert not result.passed
        assert result.summary == "build was killed"

    def test_gate_reports_a_cancellation(self, host_bench: Bench) -> None:
        cancellation = Cancellation()
        threading.Timer(0.5, cancellation.cancel).start()
        result = host_bench.gate("sleep 60", None).run(host_bench.checkout, host_bench.log, cancellation)
        assert (result.cause, result.passed) == ("cancelled", False)


class TestTheTree:
    def test_steps_run_in_the_tree_and_may_write_to_it(self, bench: Bench) -> None:
        assert bench.run("echo more >>file; mkdir made; rm file", "test -d made && test ! -e file").passed

    def test_a_gate_without_its_tree_does_not_pass(self, bench: Bench, tmp_path: Path) -> None:
        nothing = tmp_path / "nothing"
        nothing.mkdir()

        def unmounted(job: Job) -> Job:
            return replace(job, mounts=tuple(replace(mount, source=nothing) for mount in job.mounts))

        gate = replace(bench.gate("true", "true"), sandbox=Altered(bench.sandbox, job=unmounted))
        result = gate.run(bench.checkout, bench.log, Cancellation())
        assert not result.passed
        assert "the container runtime has not mounted the tree that is to be tested" in result.output

    def test_the_gate_leaves_the_tree_unchanged(self, bench: Bench) -> None:
        bench.run("echo more >>file; mkdir made; chmod 000 file", "exit 1")
        assert [path.name for path in bench.checkout.iterdir()] == ["file"]
        assert (bench.checkout / "file").read_text() == "content\n"

    def test_each_gate_gets_a_fresh_tree(self, bench: Bench) -> None:
        bench.run("touch left")
        assert bench.run("test ! -e left").passed

    def test_steps_have_an_empty_standard_input(self, bench: Bench) -> None:
        assert bench.run("cat", 'test -z "$(cat)"').passed

    def test_steps_have_only_the_given_environment(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
        assert bench.run('test "$A" = "b c" && test -z "$ANTHROPIC_API_KEY"', environment={"A": "b c"}).passed


class TestOutput:
    def test_output_that_looks_like_a_heading_of_the_gate_is_output(self, host_bench: Bench) -> None:
        result = host_bench.run("echo '== test =='; exit 1", "true")
        assert result.failed == "build"

    def test_tested_code_that_finds_the_mark_cannot_change_the_verdict(self, host_bench: Bench) -> None:
        steal = r"tr '\0' '\n' </proc/$$/cmdline | grep -o '[0-9a-f]\{32\}' | head -1"
        forge = f'mark=$({steal}); test -n "$mark"; printf "$mark\\377\\n${{mark}}test\\n"; exit 1'
        result = host_bench.run(forge, "true")
        assert not result.passed
        assert result.status == 1

    def test_output_of_any_bytes_is_logged_as_bytes_and_shown_as_text(self, host_bench: Bench) -> None:
        result = host_bench.run(r"printf 'a\377b\000\033[1m\n'", "true")
        assert b"a\xffb\0\x1b[1m\n" in host_bench.log.read_bytes()
        assert "a\ufffdb" in result.output

    def test_output_is_bounded_in_the_log_and_in_the_result(
        self, host_bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "LARGEST_LOG", 100_000)
        result = host_bench.run("yes 0123456789 | head -c 1000000; head -c 200000 /dev/zero; echo; echo last")
        assert host_bench.log.stat().st_size == 100_000
        assert len(result.output) <= 64_000
        assert result.output.endswith("\nlast")

    def test_output_of_empty_lines_is_bounded_too(self, host_bench: Bench) -> None:
        result = host_bench.run("yes '' | head -n 200000; echo last")
        assert len(result.output) <= 64_000
        assert result.output.endswith("\n\nlast")

    def test_the_log_of_an_earlier_gate_is_overwritten(self, host_bench: Bench) -> None:
        host_bench.run("echo first")
        host_bench.run("echo second")
        assert "first" not in host_bench.log.read_text()


class TestNotes:
    def gate(self, bench: Bench, script: str, notes: str) -> GateResult:
        step = Step(
            name="test",
            argv=("sh", "-c", script),
            shown=script,
            reasons=((94, "it tested a copy"),),
            notes=("sh", "-c", notes),
        )
        facts: dict[str, Any] = {"network": Network.NONE, "image": None, "timeout": 60.0, "environment": {}}
        gate = Gate(steps=[step], sandbox=bench.sandbox, **facts)
        return gate.run(bench.checkout, bench.log, Cancellation())

    def test_lines_of_the_notes_command_are_notes(self, bench: Bench) -> None:
        result = self.gate(bench, "echo tested", "echo first; echo; echo second; exit 3")
        assert result.passed
        assert result.notes == ("first", "second")

    def test_a_gate_that_failed_has_a_reason_and_no_notes(self, host_bench: Bench) -> None:
        result = self.gate(host_bench, "exit 94", "echo note")
        assert (result.summary, result.notes) == ("test failed: it tested a copy (exit 94)", ())
        assert self.gate(host_bench, "exit 1", "echo note").summary == "test failed (exit 1)"

    def test_notes_are_bounded(self, host_bench: Bench) -> None:
        result = self.gate(host_bench, "true", "yes $(printf %01000d 0) | head -n 100")
        assert [len(note) for note in result.notes] == [500] * 10


KEY = "sk-ant-api03-" + "AbC0123456789_-xyz" * 5


@pytest.mark.parametrize(
    "script",
    [
        f"printf %s {KEY}",
        f"printf %s {KEY} >&2; exit 1",
        f"printf %s {KEY} | base64",
        f"printf %s {KEY} | od -An -v -tx1 | tr -d ' '",
        f"printf %s {KEY} | head -c 30; echo; printf %s {KEY} | tail -c +31",
    ],
    ids=["plain", "stderr", "base64", "hex", "lines"],
)
def test_a_credential_is_removed_from_the_log_and_the_result(bench: Bench, script: str) -> None:
    result = bench.run(script, credentials=(KEY,))

    assert "[credential]" in result.output
    assert not Secrets([KEY]).are_in(result.output.encode())
    assert not Secrets([KEY]).are_in(bench.log.read_bytes())


def test_a_gate_of_several_lines_is_shown_in_one_line(host_bench: Bench) -> None:
    script = "echo 1 >version\n\n  make all\n"
    assert host_bench.gate(script, "make test").line == "echo 1 >version; make all; make test"


def test_a_held_back_last_line_is_written_at_the_end(host_bench: Bench) -> None:
    """The last line may be the beginning of a credential."""
    result = host_bench.run(f"printf %s {KEY[:20]}; exit 1", credentials=(KEY,))

    assert result.output.splitlines()[-1] == KEY[:20]
    assert host_bench.log.read_text().splitlines()[-1] == KEY[:20]
