"""How the host's sandbox does without containers."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_cobbler.errors import SandboxError
from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox.base import Completed, Mount
from pytest_cobbler.sandbox.host import HostSandbox
from tests.support.jobs import ended, output, shell


@pytest.fixture
def host(repository: str) -> HostSandbox:
    return HostSandbox(repository=repository, run_id="here")


def test_the_description_warns_that_jobs_are_not_contained(host: HostSandbox) -> None:
    assert host.description.startswith("no sandbox: jobs run as ")


def test_a_mount_at_another_path_is_refused(host: HostSandbox, tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="without a sandbox"):
        ended(host, "true", mounts=(Mount(source=tmp_path, target="/elsewhere"),))


def test_a_file_over_a_copy_of_itself_needs_no_mount(host: HostSandbox, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("same")
    (tmp_path / "b").write_text("same")
    mount = Mount(source=tmp_path / "a", target=str(tmp_path / "b"))
    assert ended(host, "true", mounts=(mount,)).ok
    (tmp_path / "b").write_text("other")
    with pytest.raises(SandboxError, match="without a sandbox"):
        ended(host, "true", mounts=(mount,))


def test_a_job_runs_in_the_copy_of_its_overlay(host: HostSandbox, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "below").mkdir(parents=True)
    mount = Mount(source=tree, target="/checkout", mode="overlay")
    where = output(host, "pwd", workdir="/checkout/below", mounts=(mount,))
    assert where.endswith("/tree/below")
    assert not Path(where).exists()


@pytest.fixture(params=["overlay", "copy"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where copies of a sandbox lie: one in which it has overlays, and one in which it has none."""
    if request.param == "overlay" and os.geteuid() != 0:
        pytest.skip("only root mounts")
    place = tmp_path / ("temporary" if request.param == "overlay" else "with, comma")
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


WORK = """
test "$(cat kept dir/moved)" = "$(printf 'kept\nmoved')"
test "$(stat -c %a .)" = 750
rm kept; mv dir other; echo new >dir; ln -s kept link
grep -q " $PWD overlay " /proc/mounts && echo overlay || echo copy
"""


def test_a_copy_is_whole_and_reaches_its_original_in_no_way(
    host: HostSandbox, place: Path, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    (tree / "dir").mkdir(parents=True)
    (tree / "kept").write_text("kept\n")
    (tree / "dir" / "moved").write_text("moved\n")
    tree.chmod(0o750)
    mount = Mount(source=tree, target="/checkout", mode="overlay")
    job = shell(f"set -e\n{WORK}", workdir="/checkout", mounts=(mount,), collect="dir")
    with tempfile.TemporaryFile() as printed:
        completed = host.run(replace(job, stdout=printed))
        printed.seek(0)
        assert printed.read().decode().split() == ["copy" if "," in str(place) else "overlay"], (
            completed.stderr
        )
    assert completed.collected == b"new\n"
    assert sorted(str(path.relative_to(tree)) for path in tree.rglob("*")) == ["dir", "dir/moved", "kept"]
    assert list(place.iterdir()) == []
    assert str(place) not in Path("/proc/mounts").read_text()


KILLED = """
import sys
from pathlib import Path
from pytest_cobbler.sandbox.base import Mount
from pytest_cobbler.sandbox.host import HostSandbox
from tests.support.jobs import shell
mount = Mount(source=Path(sys.argv[2]), target="/checkout", mode="overlay")
job = shell(
    "echo x >file; pwd; sleep 60",
    workdir="/checkout",
    mounts=(mount,),
    on_line=lambda line: print(line.decode(), flush=True),
)
HostSandbox(repository=sys.argv[1], run_id="dead").run(job)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
def test_sweep_unmounts_the_copies_of_a_run_that_was_killed(repository: str, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "file").write_text("here\n")
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, repository, str(tree)], stdout=subprocess.PIPE, text=True
    ) as killed:
        assert killed.stdout
        copy = Path(killed.stdout.readline().strip())
        killed.kill()
    assert copy.is_mount()
    HostSandbox(repository=repository, run_id="here").sweep()
    assert not copy.parent.exists()
    assert (tree / "file").read_text() == "here\n"


def test_an_overlay_that_cannot_be_mounted_is_an_error_of_the_sandbox(
    host: HostSandbox, tmp_path: Path
) -> None:
    upper = tmp_path / "with, comma"
    mount = Mount(source=tmp_path, target=str(tmp_path), mode="overlay", upper=upper, work=tmp_path)
    with pytest.raises(SandboxError, match=f"cannot mount an overlay at {tmp_path}"):
        ended(host, "true", mounts=(mount,))


def test_an_overlay_that_the_job_would_not_see_is_refused(host: HostSandbox, tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="can have a copy"):
        ended(host, "true", mounts=(Mount(source=tmp_path, target=str(tmp_path), mode="overlay"),))


def test_home_is_removed_whatever_the_job_did_to_it(host: HostSandbox) -> None:
    home = output(host, 'echo "$HOME"; mkdir -p "$HOME/a/b"; chmod 000 "$HOME/a"')
    assert not Path(home).exists()


def test_preflight_names_what_is_missing(
    host: HostSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError, match="sh and git"):
        host.preflight()


def test_sweep_ends_only_other_runs_on_the_same_repository(host: HostSandbox, repository: str) -> None:
    ends: dict[str, Completed] = {}
    cancellation = Cancellation()

    def run(name: str, sandbox: HostSandbox, started: threading.Event) -> None:
        job = shell("echo; sleep 60", on_line=lambda _: started.set())
        ends[name] = sandbox.run(job, cancellation)

    others = {
        "here": host,
        "dead": HostSandbox(repository=repository, run_id="dead"),
        "elsewhere": HostSandbox(repository=f"{repository}x", run_id="dead"),
    }
    threads = {}
    for name, sandbox in others.items():
        started = threading.Event()
        threads[name] = threading.Thread(target=run, args=(name, sandbox, started))
        threads[name].start()
        assert started.wait(10)
    assert host.sweep() == [f"{repository}/dead/test-1"]
    threads["dead"].join(10)
    assert ends["dead"].cause == "killed"
    assert set(ends) == {"dead"}
    cancellation.cancel()
    for thread in threads.values():
        thread.join()
