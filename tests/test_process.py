"""The one door for child processes."""

from __future__ import annotations

import io
import itertools
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import pytest

from pytest_cobbler import process
from pytest_cobbler.errors import CobblerError
from pytest_cobbler.process import TAIL, Cancellation, Completion, Finish, host_environment, run
from tests.support.processes import is_alive

if TYPE_CHECKING:
    from _typeshed import TraceFunction

ENVIRONMENT = host_environment()


def sh(script: str) -> list[str]:
    return ["sh", "-c", script]


class UnreadableFile(io.FileIO):
    """A file whose content cannot be had except through its descriptor."""

    def read(self, *_: object) -> bytes:
        raise AssertionError("the file was read into memory")

    readall = readinto = readline = readlines = read  # type: ignore[assignment]


def was_interrupted_at(step: int) -> bool:
    """Cancel, and at a step of that once more, as a handler does; False: it has not that many steps."""
    cancellation = Cancellation()
    steps = itertools.count(1)
    interrupted = []

    def trace(_frame: FrameType, event: str, _argument: object) -> TraceFunction | None:
        if next(steps) == step:
            sys.settrace(None)
            interrupted.append(event)
            cancellation.cancel()
            return None
        return trace

    def cancel() -> None:
        sys.settrace(trace)
        cancellation.cancel()
        sys.settrace(None)

    thread = threading.Thread(target=cancel, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive(), f"hangs when it is interrupted at its step {step}"
    return bool(interrupted)


class TestCompletion:
    def test_stdout_and_stderr_are_captured_separately(self) -> None:
        completion = run(sh("echo out; echo err >&2"), env=ENVIRONMENT)
        assert (completion.text, completion.errors, completion.ok) == ("out\n", "err\n", True)

    def test_the_status_is_that_of_the_child(self) -> None:
        completion = run(sh("exit 7"), env=ENVIRONMENT)
        assert (completion.status, completion.end, completion.ok) == (7, "exited", False)

    def test_a_signal_is_a_negative_status(self) -> None:
        assert run(sh("kill -KILL $$"), env=ENVIRONMENT).status == -signal.SIGKILL

    def test_invalid_utf8_in_the_output_can_be_shown(self) -> None:
        completion = run(sh(r"printf '\377'"), env=ENVIRONMENT)
        assert completion.stdout == b"\xff"
        assert completion.text == "\N{REPLACEMENT CHARACTER}"

    def test_large_output_on_both_streams_does_not_block(self) -> None:
        script = "head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2; head -c 3000000 /dev/zero"
        completion = run(sh(script), env=ENVIRONMENT)
        assert (len(completion.stdout), len(completion.stderr)) == (6_000_000, 3_000_000)


class TestEnvironment:
    def test_the_child_gets_only_the_given_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CANARY", "seen")
        found = run(["/usr/bin/env"], env={"GIVEN": "a b"}).text
        assert found == "GIVEN=a b\n"

    def test_the_host_environment_has_the_named_variables_that_are_set(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CANARY", "seen")
        monkeypatch.setenv("NAMED", "1")
        monkeypatch.delenv("UNSET", raising=False)
        found = host_environment("NAMED", "UNSET", OWN="2")
        assert (found["NAMED"], found["OWN"]) == ("1", "2")
        assert {"CANARY", "UNSET"}.isdisjoint(found)

    def test_the_program_is_searched_on_the_given_path(self, tmp_path: Path) -> None:
        program = tmp_path / "special"
        program.write_text("#!/bin/sh\necho found\n")
        program.chmod(0o755)
        assert run(["special"], env={"PATH": str(tmp_path)}).text == "found\n"

    def test_the_child_has_its_own_session(self) -> None:
        script = "import os; print(os.getsid(0) == os.getpid())"
        assert run([sys.executable, "-c", script], env=ENVIRONMENT).text == "True\n"


class TestWords:
    @pytest.mark.parametrize("name", ["Größe — 日本", "caf\udce9"])
    def test_words_and_variables_reach_the_child_in_any_locale(self, name: str) -> None:
        script = (
            "from pytest_cobbler.process import run\n"
            f"name = {name!a}\n"
            "argv = ['sh', '-c', 'printf %s \"$1$NAME\"', 'sh', name]\n"
            "print(ascii(run(argv, env={'NAME': name}).stdout))\n"
        )
        locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
        completion = run([sys.executable, "-c", script], env=host_environment(**locale))
        assert completion.text.strip() == ascii(2 * name.encode("utf-8", "surrogateescape")), (
            completion.errors
        )


class TestStdin:
    def test_stdin_carries_any_bytes_and_its_end(self) -> None:
        much = os.urandom(1_000_000)
        assert run(["cat"], env=ENVIRONMENT, stdin=much).stdout == much

    def test_stdin_is_empty_by_default(self) -> None:
        assert run(["cat"], env=ENVIRONMENT, timeout=10).ok

    def test_a_child_may_leave_stdin_unread(self) -> None:
        assert run(sh("exit 3"), env=ENVIRONMENT, stdin=bytes(1_000_000)).status == 3

    def test_a_child_may_close_stdin(self) -> None:
        assert run(sh("exec <&-; sleep 0.2; exit 4"), env=ENVIRONMENT, stdin=bytes(1_000_000)).status == 4

    def test_a_file_as_stdin_is_read_by_the_child_from_its_position(self, tmp_path: Path) -> None:
        (tmp_path / "pack").write_bytes(b"header\0" + bytes(3_000_000) + b"end")
        with (tmp_path / "pack").open("rb") as file:
            assert file.read(7) == b"header\0"  # buffered: the descriptor itself is further on
            completion = run(["cat"], env=ENVIRONMENT, stdin=file)
        assert len(completion.stdout) == 3_000_003
        assert completion.stdout.endswith(b"end")

    def test_a_file_as_stdin_is_never_read_into_memory(self, tmp_path: Path) -> None:
        (tmp_path / "pack").write_bytes(b"content")
        with UnreadableFile(tmp_path / "pack") as file:
            assert run(["cat"], env=ENVIRONMENT, stdin=file).stdout == b"content"

    @pytest.mark.slow
    def test_stdin_that_is_kept_open_ends_with_the_child(self) -> None:
        script = "head -c 5; exec 3<&0; (cat <&3; echo closed >&2) & sleep 0.3; kill $!"
        completion = run(sh(script), env=ENVIRONMENT, stdin=b"hello", keep_stdin_open=True)
        assert (completion.stdout, completion.errors) == (b"hello", "")


class TestStreaming:
    def test_lines_are_passed_on_while_the_child_runs(self) -> None:
        moments: list[float] = []
        run(
            sh("echo a; sleep 0.4; echo b"),
            env=ENVIRONMENT,
            stdout=lambda _: moments.append(time.monotonic()),
        )
        assert moments[1] - moments[0] > 0.3

    def test_output_that_is_passed_on_is_not_kept(self) -> None:
        lines: list[bytes] = []
        completion = run(sh(r"printf 'a\n\nb'"), env=ENVIRONMENT, stdout=lines.append)
        assert (lines, completion.stdout) == ([b"a", b"", b"b"], b"")

    def test_the_last_errors_are_kept_when_they_are_passed_on(self) -> None:
        lines: list[bytes] = []
        completion = run(sh("yes | head -c 1000000 >&2; echo end >&2"), env=ENVIRONMENT, stderr=lines.append)
        assert len(lines) == 500_001
        assert len(completion.stderr) == TAIL
        assert completion.stderr.endswith(b"y\nend\n")

    def test_a_file_takes_the_output(self) -> None:
        out = io.BytesIO()
        assert run(sh("echo out"), env=ENVIRONMENT, stdout=out).stdout == b""
        assert out.getvalue() == b"out\n"

    def test_an_error_of_the_caller_kills_the_child(self) -> None:
        found: list[int] = []

        def fail(line: bytes) -> None:
            found.append(int(line))
            raise LookupError

        with pytest.raises(LookupError):
            run(sh("echo $$; sleep 60"), env=ENVIRONMENT, stdout=fail)
        assert not is_alive(found[0])


class TestEnds:
    def test_a_deadline_ends_the_child(self) -> None:
        completion = run(["sleep", "60"], env=ENVIRONMENT, timeout=0.2)
        assert (completion.end, completion.status) == ("timeout", -signal.SIGTERM)
        assert completion.seconds < 30

    def test_a_silent_child_is_ended_and_output_on_either_stream_keeps_it(self) -> None:
        script = "for i in 1 2 3 4; do echo >&2; sleep 0.2; done; sleep 60"
        completion = run(sh(script), env=ENVIRONMENT, idle=0.5)
        assert completion.end == "idle"
        assert 0.8 < completion.seconds < 30

    def test_the_child_may_clean_up_after_term(self) -> None:
        completion = run(sh("trap 'echo bye; exit 5' TERM; sleep 60 & wait"), env=ENVIRONMENT, timeout=0.3)
        assert (completion.end, completion.status, completion.text) == ("timeout", 5, "bye\n")

    def test_a_child_that_ignores_term_is_killed(self) -> None:
        script = "trap '' TERM; while :; do sleep 60; done"
        completion = run(sh(script), env=ENVIRONMENT, timeout=0.2, grace=0.3)
        assert (completion.end, completion.status) == ("timeout", -signal.SIGKILL)

    def test_grandchildren_that_ignore_term_are_killed(self) -> None:
        script = "(trap '' TERM; while :; do sleep 60; done) >/dev/null 2>&1 & echo $!; exec sleep 60"
        completion = run(sh(script), env=ENVIRONMENT, timeout=0.3, grace=0.5)
        assert completion.status == -signal.SIGTERM
        number = int(completion.text)
        time.sleep(0.05)
        assert not is_alive(number)

    def test_cancelling_from_another_thread_ends_the_child(self) -> None:
        cancellation = Cancellation()
        threading.Timer(0.2, cancellation.cancel).start()
        completion = run(["sleep", "60"], env=ENVIRONMENT, cancellation=cancellation)
        assert completion.end == "cancelled"
        assert completion.seconds < 30

    def test_a_cancellation_is_cancelled_by_its_parent_and_not_the_other_way(self) -> None:
        parent = Cancellation()
        child = Cancellation(parent)
        threading.Timer(0.2, parent.cancel).start()
        assert run(["sleep", "60"], env=ENVIRONMENT, cancellation=child).end == "cancelled"
        assert child.requested
        parent = Cancellation()
        child = Cancellation(parent)
        threading.Timer(0.2, child.cancel).start()
        assert run(["sleep", "60"], env=ENVIRONMENT, cancellation=child).end == "cancelled"
        assert not parent.requested

    def test_a_signal_handler_may_cancel_while_its_thread_is_cancelling(self) -> None:
        steps = 1
        while was_interrupted_at(steps):
            steps += 1
        assert steps > 3

    def test_one_cancellation_ends_many_children(self) -> None:
        cancellation = Cancellation()
        ends: list[str] = []

        def sleep() -> None:
            ends.append(run(["sleep", "60"], env=ENVIRONMENT, cancellation=cancellation).end)

        threads = [threading.Thread(target=sleep) for _ in range(8)]
        for thread in threads:
            thread.start()
        cancellation.cancel()
        for thread in threads:
            thread.join(5)
        assert ends == ["cancelled"] * 8
        assert run(["sleep", "60"], env=ENVIRONMENT, cancellation=cancellation).end == "cancelled"

    def test_run_waits_for_a_child_that_closed_its_output(self) -> None:
        completion = run(sh("exec >&- 2>&-; sleep 0.3; exit 6"), env=ENVIRONMENT)
        assert completion.status == 6
        assert 0.3 <= completion.seconds < 30

    @pytest.mark.slow
    def test_run_does_not_wait_for_a_daemon_that_keeps_the_output_open(self) -> None:
        completion = run(sh("sleep 60 & echo $!"), env=ENVIRONMENT, timeout=0.5)
        os.kill(int(completion.text), signal.SIGKILL)
        # Not "timeout": the child itself was done before.
        assert completion.ok
        assert completion.seconds < 30

    def test_the_end_of_a_child_is_noticed_without_a_pidfd(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(process, "_descriptor_of", lambda _: None)
        completion = run(sh("exec >&- 2>&-; sleep 0.2; exit 6"), env=ENVIRONMENT)
        assert completion.status == 6
        assert completion.seconds < 30


class TestRefusal:
    def test_a_missing_program_is_an_error(self) -> None:
        with pytest.raises(CobblerError, match="cannot run no-such-program: No such file"):
            run(["no-such-program"], env=ENVIRONMENT)

    def test_a_missing_directory_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(CobblerError, match=f"cannot run true in {tmp_path}/x: No such file"):
            run(["true"], env=ENVIRONMENT, cwd=tmp_path / "x")

    def test_an_argument_with_a_nul_is_an_error(self) -> None:
        with pytest.raises(CobblerError, match="cannot run true: embedded null"):
            run(["true", "a\0b"], env=ENVIRONMENT)

    def test_arguments_that_are_too_long_are_an_error(self) -> None:
        with pytest.raises(CobblerError, match="cannot run true: Argument list too long"):
            run(["true", "x" * 10_000_000], env=ENVIRONMENT)


def test_no_descriptor_is_left_open() -> None:
    before = set(Path("/proc/self/fd").iterdir())
    for _ in range(5):
        run(["true"], env=ENVIRONMENT, stdin=b"x", cancellation=Cancellation())
        with pytest.raises(CobblerError):
            run(["no-such-program"], env=ENVIRONMENT)
        run(["sleep", "60"], env=ENVIRONMENT, timeout=0)
    assert set(Path("/proc/self/fd").iterdir()) == before


class TestFinish:
    """The last part of a child's run has a time of its own."""

    @staticmethod
    def run(script: str, finish: Finish, **more: Any) -> tuple[Completion, list[bytes]]:
        lines: list[bytes] = []

        def take(line: bytes) -> None:
            lines.append(line)
            if line == b"over":
                finish.begin(b"answer\n")

        options: dict[str, Any] = {"keep_stdin_open": True, "grace": 3.0, "stdout": take, **more}
        return run(sh(script), env=ENVIRONMENT, finish=finish, **options), lines

    def test_the_limits_of_the_rest_do_not_end_it(self) -> None:
        script = "echo over; read answer; sleep 0.6; echo $answer; exit 3"
        completion, lines = self.run(script, Finish(20, b"", b""), timeout=0.2, idle=0.2)
        assert (completion.end, completion.status, lines) == ("exited", 3, [b"over", b"answer"])

    def test_a_cancellation_does_not_end_it(self) -> None:
        cancellation = Cancellation()
        finish = Finish(20, b"", b"")
        cancels = threading.Thread(target=cancellation.cancel)
        script = "echo over; read answer; sleep 0.3; echo $answer"

        def take(line: bytes) -> None:
            lines.append(line)
            if line == b"over":
                finish.begin(b"answer\n")
                cancels.start()

        lines: list[bytes] = []
        completion, _ = self.run(script, finish, stdout=take, cancellation=cancellation)
        assert (completion.end, lines) == ("exited", [b"over", b"answer"])

    def test_a_finish_may_begin_when_the_rest_is_ended(self) -> None:
        script = "read request; echo $request; echo over; read answer; sleep 0.6; echo $answer; exit 3"
        completion, lines = self.run(script, Finish(20, b"end\n", b""), timeout=0.2)
        assert (completion.end, completion.status) == ("timeout", 3)
        assert lines == [b"end", b"over", b"answer"]

    def test_a_child_that_does_not_end_is_asked_once_more(self) -> None:
        script = "read request; read request; echo $request; echo over; read answer; echo $answer"
        completion, lines = self.run(script, Finish(20, b"end\n", b"please\n"), timeout=0.2)
        assert (completion.end, lines) == ("timeout", [b"please", b"over", b"answer"])

    def test_a_child_is_ended_when_the_time_to_finish_is_up(self) -> None:
        completion, lines = self.run("echo over; sleep 60", Finish(0.2, b"", b""))
        assert (completion.end, completion.status, lines) == ("exited", -signal.SIGTERM, [b"over"])
