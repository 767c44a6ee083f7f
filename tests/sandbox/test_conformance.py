"""What every sandbox does."""

from __future__ import annotations

import os
import re
import threading
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.errors import SandboxError
from pytest_cobbler.process import TAIL, Cancellation
from pytest_cobbler.sandbox.base import Capability, Completed, Job, Limits, Mount, Sandbox
from pytest_cobbler.sandbox.collecting import LARGEST
from tests.support.jobs import ended, output, shell, writable
from tests.support.podmans import open_to_others

EVERY_BYTE = bytes(range(256))


def _after(seconds: float, action: Callable[[], None]) -> None:
    threading.Timer(seconds, action).start()


def test_preflight_passes_and_the_description_is_one_line(sandbox: Sandbox) -> None:
    sandbox.preflight()
    assert sandbox.description
    assert "\n" not in sandbox.description


def test_the_engine_names_what_runs_a_job(sandbox: Sandbox) -> None:
    engine = sandbox.engine(None)
    assert engine == sandbox.engine(None)
    if sandbox.capabilities:
        assert re.fullmatch(r"sha256:[0-9a-f]{64}", engine.image)
        assert re.fullmatch(r"podman \d[\w.+~-]*, \w+ \d[\w.+~-]*, \w+", engine.runtime)
        with pytest.raises(SandboxError, match="no image localhost/no-such-image"):
            sandbox.engine("localhost/no-such-image")
    else:
        assert engine.image == ""
        assert engine.runtime


class TestExit:
    # 125 is also what podman exits with when it fails itself.
    @pytest.mark.matrix("costly")
    @pytest.mark.parametrize("status", [0, 7, 125])
    def test_the_status_is_the_jobs_own(self, sandbox: Sandbox, status: int) -> None:
        completed = ended(sandbox, f"exit {status}")
        assert (completed.status, completed.cause) == (status, "exited")
        assert completed.ok == (status == 0)

    def test_a_killed_job_has_the_cause_killed(self, sandbox: Sandbox) -> None:
        assert ended(sandbox, "kill -KILL $$").cause == "killed"

    def test_a_missing_program_is_an_error_of_the_sandbox(self, sandbox: Sandbox) -> None:
        with pytest.raises(SandboxError, match="no-such-program"):
            sandbox.run(shell("", argv=("no-such-program",)))

    def test_a_missing_working_directory_is_an_error_of_the_sandbox(self, sandbox: Sandbox) -> None:
        with pytest.raises(SandboxError, match="/no/such/directory"):
            ended(sandbox, "true", workdir="/no/such/directory")


class TestStreams:
    def test_stdin_and_stdout_carry_any_bytes(self, sandbox: Sandbox, tmp_path: Path) -> None:
        much = EVERY_BYTE * 20_000 + b"no newline at the end"
        with (tmp_path / "out").open("wb") as out:
            assert ended(sandbox, "cat", stdin=much, stdout=out).ok
        assert (tmp_path / "out").read_bytes() == much

    def test_stdin_is_empty_by_default(self, sandbox: Sandbox) -> None:
        assert output(sandbox, "wc -c").strip() == "0"

    def test_a_job_need_not_read_its_stdin(self, sandbox: Sandbox) -> None:
        assert ended(sandbox, "exit 3", stdin=EVERY_BYTE * 10_000).status == 3

    def test_lines_arrive_while_the_job_runs(self, sandbox: Sandbox) -> None:
        arrived: list[tuple[bytes, float]] = []
        job = shell(
            "echo first; sleep 0.5; echo second",
            on_line=lambda line: arrived.append((line, time.monotonic())),
        )
        assert sandbox.run(job).ok
        (first, early), (second, late) = arrived
        assert (first, second) == (b"first", b"second")
        assert late - early > 0.3

    def test_lines_are_bytes_without_their_newline(self, sandbox: Sandbox) -> None:
        lines: list[bytes] = []
        ended(sandbox, r"printf 'a\000\377\n\nlast'", on_line=lines.append)
        assert lines == [b"a\0\xff", b"", b"last"]

    def test_stderr_goes_to_its_callback_and_its_last_lines_are_kept(self, sandbox: Sandbox) -> None:
        lines: list[bytes] = []
        completed = ended(
            sandbox, "yes 0123456789 | head -n 20000 >&2; printf last >&2", on_error_line=lines.append
        )
        assert (len(lines), lines[-1]) == (20001, b"last")
        assert completed.stderr.endswith("0123456789\nlast\n")
        assert len(completed.stderr) == TAIL

    def test_large_output_is_not_kept_in_memory(self, sandbox: Sandbox) -> None:
        count = 0

        def take(line: bytes) -> None:
            nonlocal count
            count += len(line) + 1

        tracemalloc.start()
        try:
            job = shell("yes $(printf %01000d 0) | head -c 100000000", on_line=take)
            assert sandbox.run(job).ok
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert count >= 100_000_000
        assert peak < 20_000_000

    def test_an_error_in_a_callback_ends_the_job(self, sandbox: Sandbox, workspace: Path) -> None:
        def fail(_: bytes) -> None:
            raise LookupError("of the caller")

        job = shell(
            "while :; do date >>alive; echo; sleep 0.02; done",
            on_line=fail,
            workdir=str(workspace),
            mounts=(writable(workspace),),
        )
        with pytest.raises(LookupError):
            sandbox.run(job)
        _assert_nothing_writes(workspace / "alive")


class TestEnvironment:
    def test_a_job_gets_only_its_own_environment(
        self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COBBLER_CANARY", "seen")
        monkeypatch.setenv("HTTPS_PROXY", "http://user:password@proxy.example")
        odd = 'it\'s "quoted" $HOME `date`\n\n\\n\ttwo  spaces ä'
        found = output(
            sandbox, "env -0 | tr '\\0' '\\1'", environment={"ODD": odd}, secrets={"EMPTY": "", "KEY": "k"}
        )
        variables = dict(entry.split("=", 1) for entry in found.split("\1") if entry)
        assert (variables["ODD"], variables["EMPTY"], variables["KEY"]) == (odd, "", "k")
        assert {"COBBLER_CANARY", "HTTPS_PROXY", "https_proxy"}.isdisjoint(variables)

    def test_home_is_an_empty_writable_directory(self, sandbox: Sandbox) -> None:
        script = 'test "$(ls -A "$HOME")" = "" && touch "$HOME/file" && echo "$HOME"'
        home = output(sandbox, script)
        assert home == output(sandbox, script) or not Path(home).exists()
        assert home != str(Path.home())

    def test_the_working_directory_is_where_the_job_starts(self, sandbox: Sandbox) -> None:
        assert output(sandbox, "pwd", workdir="/usr/bin") == "/usr/bin"

    def test_secrets_are_not_on_any_command_line(self, sandbox: Sandbox) -> None:
        secret = f"secret-{os.urandom(8).hex()}"
        seen: list[bytes] = []

        def look(_: bytes) -> None:
            for command in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    words = command.read_bytes()
                except OSError:
                    continue
                if secret.encode() in words:
                    seen.append(words)

        job = shell(
            "echo ready; cat >/dev/null", secrets={"KEY": secret}, stdin=secret.encode(), on_line=look
        )
        assert sandbox.run(job).ok
        assert not seen


@pytest.mark.slow
class TestEnd:
    def test_the_wall_limit_ends_a_job(self, sandbox: Sandbox) -> None:
        completed = ended(sandbox, "sleep 60", limits=Limits(wall=0.7))
        assert completed.cause == "timeout"
        assert not completed.ok
        assert completed.seconds < 30

    def test_a_silent_job_is_ended_and_output_keeps_it(self, sandbox: Sandbox) -> None:
        lines: list[bytes] = []
        script = "for i in 1 2 3 4 5 6; do echo $i; sleep 0.3; done; sleep 60"
        completed = ended(sandbox, script, limits=Limits(idle=1.2), on_line=lines.append)
        assert (completed.cause, len(lines)) == ("idle", 6)
        assert completed.seconds < 30

    def test_cancelling_ends_a_job(self, sandbox: Sandbox) -> None:
        cancellation = Cancellation()
        job = shell("echo; sleep 60", on_line=lambda _: _after(0.1, cancellation.cancel))
        completed = sandbox.run(job, cancellation)
        assert completed.cause == "cancelled"
        assert completed.seconds < 30

    def test_a_cancelled_job_is_not_started(self, sandbox: Sandbox, workspace: Path) -> None:
        cancellation = Cancellation()
        cancellation.cancel()
        job = shell(f"touch {workspace}/started", mounts=(writable(workspace),))
        assert sandbox.run(job, cancellation).cause == "cancelled"
        assert not (workspace / "started").exists()

    def test_a_job_gets_term_before_it_is_killed(self, sandbox: Sandbox) -> None:
        cancellation = Cancellation()
        script = "trap 'echo told >&2; exit 5' TERM; echo; sleep 60 & wait"
        completed = sandbox.run(shell(script, on_line=lambda _: cancellation.cancel()), cancellation)
        assert (completed.cause, completed.status) == ("cancelled", 5)
        assert "told" in completed.stderr

    def test_no_process_of_a_job_outlives_it(self, sandbox: Sandbox, workspace: Path) -> None:
        completed = sandbox.run(_with_a_child_that_stays(workspace))
        assert completed.ok
        _assert_nothing_writes(workspace / "alive")

    def test_a_job_that_ignores_term_is_killed_with_its_children(
        self, sandbox: Sandbox, workspace: Path
    ) -> None:
        cancellation = Cancellation()
        job = _with_a_child_that_stays(
            workspace, "echo; while :; do sleep 60; done", on_line=lambda _: cancellation.cancel()
        )
        completed = sandbox.run(job, cancellation)
        assert (completed.cause, completed.status) == ("cancelled", 137)
        _assert_nothing_writes(workspace / "alive")

    def test_eight_jobs_run_in_parallel(self, sandbox: Sandbox) -> None:
        with ThreadPoolExecutor(8) as pool:
            found = pool.map(lambda number: output(sandbox, "sleep 0.3; echo $1", str(number)), range(8))
        assert list(found) == [str(number) for number in range(8)]


class TestMounts:
    def test_files_that_a_job_writes_belong_to_the_owner(self, sandbox: Sandbox, workspace: Path) -> None:
        (workspace / "given").write_text("from the host")
        assert ended(sandbox, "cp given taken", workdir=str(workspace), mounts=(writable(workspace),)).ok
        taken = workspace / "taken"
        assert taken.read_text() == "from the host"
        if sandbox.owner is not None:
            assert (taken.stat().st_uid, taken.stat().st_gid) == sandbox.owner

    def test_an_overlay_is_writable_and_its_source_does_not_change(
        self, sandbox: Sandbox, workspace: Path
    ) -> None:
        # Made by a job, so that it belongs to the user of jobs.
        output(sandbox, f"cd {workspace}; echo before >kept; echo >removed", mounts=(writable(workspace),))
        overlay = Mount(source=workspace, target=str(workspace), mode="overlay")
        script = "echo after >kept; rm removed; echo new >made; cat kept made; ls"
        for _ in range(2):
            found = output(sandbox, script, workdir=str(workspace), mounts=(overlay,))
            assert found.split() == ["after", "new", "kept", "made"]
        assert sorted(path.name for path in workspace.iterdir()) == ["kept", "removed"]
        assert (workspace / "kept").read_text() == "before\n"

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root's jobs have such overlays")
    def test_an_overlay_with_an_upper_directory_is_as_the_last_job_left_it(
        self, sandbox: Sandbox, workspace: Path
    ) -> None:
        base, upper, work, tree = (workspace / name for name in ("base", "upper", "work", "tree"))
        script = f"cd {workspace}; mkdir base upper work; echo before >base/kept; echo >base/removed"
        output(sandbox, script, mounts=(writable(workspace),))
        tree.mkdir()
        overlay = Mount(source=base, target=str(tree), mode="overlay", upper=upper, work=work)
        output(sandbox, f"cd {tree}; echo after >kept; rm removed; echo new >made", mounts=(overlay,))
        found = output(sandbox, f"cd {tree}; cat kept made; ls", mounts=(overlay,))
        assert found.split() == ["after", "new", "kept", "made"]
        assert sorted(path.name for path in base.iterdir()) == ["kept", "removed"]
        assert (base / "kept").read_text() == "before\n"
        assert (upper / "removed").is_char_device()
        assert (list(tree.iterdir()), tree.is_mount()) == ([], False)

    def test_a_missing_source_is_an_error_of_the_sandbox(self, sandbox: Sandbox, tmp_path: Path) -> None:
        with pytest.raises(SandboxError, match="nowhere"):
            ended(sandbox, "true", mounts=(Mount(source=tmp_path / "nowhere", target="/mnt"),))


class TestCollecting:
    def test_a_file_is_collected_and_stdout_arrives_as_without_it(
        self, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        script = """
            printf 'first\\nsecond' && mkdir -p a/b && cat >"$HOME/a" && cp "$HOME/a" a/b/file && exit 3
        """
        content = EVERY_BYTE * 4_000 + b"no newline at the end"
        lines: list[bytes] = []
        with (tmp_path / "out").open("wb") as out:
            for more in ({"on_line": lines.append}, {"stdout": out}, {}):
                completed = _collected(sandbox, "~/a", script, tmp_path, stdin=content, **more)
                assert (completed.status, completed.cause) == (3, "exited")
                assert completed.collected == content
        assert lines == [b"first", b"second"]
        assert (tmp_path / "out").read_bytes() == b"first\nsecond"
        completed = _collected(sandbox, "a/b/file", script, tmp_path, stdin=content)
        assert completed.collected == content
        assert _collected(sandbox, "", script, tmp_path).collected is None

    @pytest.mark.parametrize(
        ("makes", "content"),
        [
            ("true", None),
            ("mkdir file", None),
            ("mkfifo file", None),
            ("ln -s /dev/zero file", None),
            ("echo >other; ln -s other file", None),
            (": >file", b""),
            ("echo >other; ln other file", b"\n"),
        ],
    )
    def test_only_a_regular_file_is_collected(
        self, sandbox: Sandbox, tmp_path: Path, makes: str, content: bytes | None
    ) -> None:
        completed = _collected(sandbox, "file", makes, tmp_path)
        assert completed.ok
        assert completed.collected == content

    def test_no_link_leads_to_the_file(self, sandbox: Sandbox, tmp_path: Path) -> None:
        script = "mkdir real; echo >real/file; ln -s real place"
        assert _collected(sandbox, "real/file", script, tmp_path).collected == b"\n"
        assert _collected(sandbox, "place/file", script, tmp_path).collected is None
        assert _collected(sandbox, "/etc/passwd"[1:], "ln -s /etc etc", tmp_path).collected is None

    def test_a_file_of_16_mib_is_collected_and_a_larger_one_is_not(
        self, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        completed = _collected(sandbox, "file", f"head -c {LARGEST} /dev/zero >file", tmp_path)
        assert completed.collected == bytes(LARGEST)
        completed = _collected(sandbox, "file", "truncate -s 1T file; echo out", tmp_path)
        assert (completed.ok, completed.collected) == (True, None)

    def test_processes_that_a_job_left_cannot_change_the_file(
        self, sandbox: Sandbox, workspace: Path
    ) -> None:
        script = """
            for n in 1 2 3 4; do
              setsid sh -c 'while :; do echo $$ >>file; done' >/dev/null 2>&1 &
            done
            while ! test -s file; do sleep 0.02; done
        """
        job = shell(script, workdir=str(workspace), mounts=(writable(workspace),), collect="file")
        completed = sandbox.run(job)
        assert completed.ok
        assert completed.collected
        assert completed.collected == (workspace / "file").read_bytes()

    @pytest.mark.slow
    def test_a_job_that_is_ended_early_may_leave_its_file(self, sandbox: Sandbox, tmp_path: Path) -> None:
        completed = _collected(sandbox, "file", "echo >file; sleep 60", tmp_path, limits=Limits(wall=4))
        assert completed.cause == "timeout"
        assert completed.collected == b"\n"

    def test_a_path_outside_of_the_job_is_an_error(self, sandbox: Sandbox) -> None:
        with pytest.raises(SandboxError, match="not a path below"):
            ended(sandbox, "true", collect="../file")


def _collected(sandbox: Sandbox, collect: str, script: str, place: Path, **more: Any) -> Completed:
    """A job in a private copy of an empty directory."""
    directory = place / "tree"
    directory.mkdir(exist_ok=True)
    directory.chmod(0o777)
    open_to_others(place)
    overlay = Mount(source=directory, target=str(directory), mode="overlay")
    return ended(sandbox, script, workdir=str(directory), mounts=(overlay,), collect=collect, **more)


def test_a_sandbox_without_containers_claims_nothing(sandbox: Sandbox) -> None:
    claimed = sandbox.capabilities
    assert not claimed or claimed >= set(Capability) - {Capability.LIMITS}


def _with_a_child_that_stays(workspace: Path, then: str = "", **more: Any) -> Job:
    """A job one of whose children leaves its session, its stdout and the job's exit behind."""
    script = """
        trap '' TERM
        setsid sh -c 'while :; do date >>alive; sleep 0.02; done' >/dev/null 2>&1 &
        while ! test -s alive; do sleep 0.02; done
    """
    return shell(script + then, workdir=str(workspace), mounts=(writable(workspace),), **more)


def _assert_nothing_writes(path: Path) -> None:
    size = path.stat().st_size
    time.sleep(0.2)
    assert path.stat().st_size == size
