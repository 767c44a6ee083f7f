"""How the host's sandbox does without containers."""

from __future__ import annotations

import threading
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
