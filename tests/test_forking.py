"""A pytest that is forked from the fork server behaves as one that is started afresh."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.testing.project import Process, Project, start_afresh
from tests.support.forking import ForkServer, fork_server
from tests.support.processes import is_alive

pytestmark = pytest.mark.slow

PROBE = """\
import gc, json, os, random, resource, signal, sys, threading, time, uuid
from pathlib import Path

def pytest_sessionfinish(session):
    import pytest_cobbler.plugin, pytest_cobbler.session.plugin
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    modules = (sys.modules[name] for name in list(sys.modules))
    facts = {
        "argv": sys.argv,
        "original arguments": sys.orig_argv,
        "path": sys.path,
        "directory": os.getcwd(),
        "environment": dict(os.environ),
        "time zone": time.tzname,
        "umask": status["Umask"],
        "signals": {name: status[name] for name in ("SigBlk", "SigIgn", "SigCgt")},
        "leads its session and group": os.getpid() == os.getsid(0) == os.getpgrp(),
        "descriptors": sorted(int(entry) for entry in os.listdir("/proc/self/fd")),
        "streams": [
            (stream.name, stream.encoding, stream.errors, stream.line_buffering, stream.write_through)
            for stream in (sys.__stdin__, sys.__stdout__, sys.__stderr__)
        ],
        "standard input": os.readlink("/proc/self/fd/0"),
        "name": Path("/proc/self/comm").read_text(),
        "limits": [resource.getrlimit(number) for number in range(16)],
        "threads": [type(thread).__name__ for thread in threading.enumerate()],
        "main": sys.modules["__main__"].__file__,
        "flags": repr(sys.flags),
        "garbage": (gc.isenabled(), gc.get_threshold()),
        "tests": [name for name in sys.modules if name.partition(".")[0] == "tests"],
        "plugins": sorted(
            name for name, _ in session.config.pluginmanager.list_name_plugin() if not name.isdigit()
        ),
        "rewritten": sorted(
            module.__name__
            for module in modules
            if type(getattr(module, "__loader__", None)).__name__ == "AssertionRewritingHook"
            and module.__name__ in ("conftest", "pytest_cobbler.session.plugin", "xdist", "pytest_timeout")
        ),
        "unique": [random.random(), uuid.uuid4().hex],
    }
    Path("facts.json").write_text(json.dumps(facts))
"""


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    with fork_server() as server:
        yield server


def facts(project: Project, **env: str) -> dict[str, Any]:
    project.write({"conftest.py": PROBE})
    result = project.run("-s", "-k", "nothing", "-W", "error", env=env)
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED, str(result.errlines + result.outlines[-5:])
    read: dict[str, Any] = json.loads((project.path / "facts.json").read_text())
    del read["unique"]
    return read


def unnumbered(facts: dict[str, Any]) -> str:
    """Without the number of the run, which is in the names of its reports."""
    return json.dumps(facts, indent=1).replace("run-2", "run-1")


@contextlib.contextmanager
def other_umask() -> Iterator[None]:
    before = os.umask(0o027)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize(
    "env",
    [{}, {"TZ": "Asia/Tokyo", "COLUMNS": "70"}, {"PYTHONPATH": "/nowhere"}],
    ids=["plain", "time", "path"],
)
def test_a_forked_process_is_in_the_same_state(
    cobbler_project: Project, server: ForkServer, monkeypatch: pytest.MonkeyPatch, env: dict[str, str]
) -> None:
    with other_umask():
        monkeypatch.setattr(Project, "starter", server.start)
        forked = facts(cobbler_project, **env)
        monkeypatch.setattr(Project, "starter", staticmethod(start_afresh))
        fresh = facts(cobbler_project, **env)
    assert unnumbered(forked) == unnumbered(fresh)


def test_no_two_draw_the_same_numbers(cobbler_project: Project) -> None:
    drawn = []
    for _ in range(2):
        cobbler_project.write({"conftest.py": PROBE})
        cobbler_project.run("-k", "nothing")
        drawn += json.loads((cobbler_project.path / "facts.json").read_text())["unique"]
    assert len(set(drawn)) == 4


def start(server: ForkServer, directory: Path, program: str) -> Process:
    """A forked pytest that runs ``program`` while it loads its conftest."""
    (directory / "conftest.py").write_text(program)
    env = {**os.environ, "HERE": str(directory)}
    argv = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider"]
    with (directory / "out").open("wb") as out, (directory / "err").open("wb") as err:
        process = server.start(argv, directory, env, out, err)
    assert not isinstance(process, subprocess.Popen)
    return process


def wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.01)


def wait_until_gone(pid: int) -> None:
    """Until it has ended. It need not be reaped: an orphan is reaped by another process, at some time."""
    while is_alive(pid):
        time.sleep(0.01)


SLEEPS = "import pathlib, time\npathlib.Path('begun').touch()\ntime.sleep(600)\n"


def test_output_and_status_are_its_own(server: ForkServer, tmp_path: Path) -> None:
    program = (
        "import os, sys\nprint('out')\nprint('err', file=sys.stderr)\nsys.stdout.flush()\nos._exit(77)\n"
    )
    process = start(server, tmp_path, program)
    assert process.wait(60) == 77
    assert process.poll() == process.wait() == 77
    assert (tmp_path / "out").read_text() == "out\n"
    assert (tmp_path / "err").read_text() == "err\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_reaches_it_and_is_its_status(
    server: ForkServer, tmp_path: Path, number: signal.Signals
) -> None:
    process = start(server, tmp_path, SLEEPS)
    wait_for(tmp_path / "begun")
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    process.send_signal(number)
    assert process.wait(60) == -number


def test_an_interrupt_is_pytests(server: ForkServer, tmp_path: Path) -> None:
    process = start(server, tmp_path, f"def pytest_sessionstart():\n{textwrap.indent(SLEEPS, '    ')}")
    wait_for(tmp_path / "begun")
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == pytest.ExitCode.INTERRUPTED


def test_its_id_is_its_own_until_its_status_is_read(server: ForkServer, tmp_path: Path) -> None:
    process = start(server, tmp_path, "import os\nos._exit(3)\n")
    pidfd = os.pidfd_open(process.pid)
    assert select.select([pidfd], [], [], 60)[0], "it has ended"
    os.close(pidfd)
    assert Path(f"/proc/{process.pid}").exists()
    process.wait(60)
    while Path(f"/proc/{process.pid}").exists():
        time.sleep(0.01)


def test_a_forked_process_ends_with_its_server(tmp_path: Path) -> None:
    with fork_server() as server:
        process = start(server, tmp_path, SLEEPS)
        wait_for(tmp_path / "begun")
    wait_until_gone(process.pid)
    assert process.wait(60) == -signal.SIGKILL


def test_a_forked_process_does_not_survive_its_caller(tmp_path: Path) -> None:
    """Neither does what it started in its process group."""
    begun = tmp_path / "begun"
    (tmp_path / "conftest.py").write_text(
        "import os, subprocess\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        "open('begun.new', 'w').write(f'{os.getpid()} {child.pid}')\n"
        "os.rename('begun.new', 'begun')\n"
        "child.wait()\n"
    )
    caller = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from tests.support.forking import ForkServer\n"
        "argv = [sys.executable, '-m', 'pytest']\n"
        "server = ForkServer()\n"
        "with open(os.devnull, 'wb') as null:\n"
        "    process = server.start(argv, Path(sys.argv[1]), os.environ, null, null)\n"
        "time.sleep(600)\n"
    )
    root = Path(__file__).parents[1]
    with subprocess.Popen([sys.executable, "-c", caller, tmp_path], cwd=root) as process:
        wait_for(begun)
        process.kill()
    for pid in begun.read_text().split():
        wait_until_gone(int(pid))


def test_a_server_that_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pytest.py").write_text("raise ImportError('no such pytest')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with fork_server() as server, pytest.raises(RuntimeError, match="no such pytest"):
        start(server, tmp_path, "")


PYTEST = [sys.executable, "-m", "pytest"]


@pytest.mark.parametrize(
    ("argv", "changed"),
    [
        (["python", "-m", "pytest"], {}),
        ([sys.executable, "-c", ""], {}),
        (PYTEST, {"LC_ALL": "de_DE"}),
        (PYTEST, {"PYTHONHASHSEED": "1"}),
        (PYTEST, {"COVERAGE_PROCESS_START": "x"}),
        (PYTEST, {"PATH": "/nowhere"}),
        (PYTEST, {"PYTHONPATH": str(Path(pytest.__file__).parents[1])}),
    ],
)
def test_what_could_differ_is_started_afresh(
    server: ForkServer, argv: list[str], changed: dict[str, str]
) -> None:
    assert server.serves(PYTEST, os.environ)
    assert not server.serves(argv, {**os.environ, **changed})


def test_a_caller_that_ignores_a_signal_starts_afresh(server: ForkServer) -> None:
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        assert not server.serves(PYTEST, os.environ)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert server.serves(PYTEST, os.environ)
