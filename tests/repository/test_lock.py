"""One run per repository at a time."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.repository.lock import is_locked, run_lock

_HOLDER = """
import sys, time
from pathlib import Path
from pytest_cobbler.repository.lock import run_lock
with run_lock(Path(sys.argv[1]), "pytest --cobbler-generate"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> subprocess.Popen[str]:
    """Another process that holds the lock."""
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, tmp_path], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def end(holder: subprocess.Popen[str], number: signal.Signals) -> None:
    with holder:
        holder.send_signal(number)


def test_the_error_of_a_second_run_names_the_first(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(RepositoryError) as caught, run_lock(tmp_path, "another"):
        pass
    assert f"in use: pytest --cobbler-generate, process {holder.pid} on " in caught.value.cause
    end(holder, signal.SIGTERM)


def test_a_removed_lock_file_does_not_let_a_second_run_in(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    (tmp_path / "cobbler.lock").unlink()
    with pytest.raises(RepositoryError, match="the repository is in use"), run_lock(tmp_path, "another"):
        pass
    assert is_locked(tmp_path)
    end(holder, signal.SIGKILL)
    assert not is_locked(tmp_path)
    with run_lock(tmp_path, "next"):
        pass


def test_a_killed_run_holds_no_lock(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    end(holder, signal.SIGKILL)
    with run_lock(tmp_path, "next"):
        pass


def test_the_lock_is_free_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), run_lock(tmp_path, "one"):
        raise KeyError
    with run_lock(tmp_path, "two"):
        pass


def test_children_do_not_hold_the_lock(tmp_path: Path) -> None:
    with run_lock(tmp_path, "one"):
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        with run_lock(tmp_path, "two"):
            pass
    finally:
        with child:
            child.kill()


def test_a_repository_that_cannot_be_written_is_an_error_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "cobbler.lock").mkdir()
    with pytest.raises(RepositoryError) as caught, run_lock(tmp_path, "one"):
        pass
    assert caught.value.cause.startswith(f"cannot write {tmp_path}/cobbler.lock")
