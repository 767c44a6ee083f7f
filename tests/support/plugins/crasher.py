"""A plugin that notes the points at which a run can be struck, and strikes at one of them.

A *point* is the start of a child process, or a line of the journal. Its name is the place in the package, the
program, and how often that place has started that program by then. ``CRASH_LOG`` names the file to which
each point is written as a line of JSON. ``CRASH_AT`` is the point and the blow, with a tab in between:

* ``before``, ``after``: SIGKILL of this process just before the child starts or just after it has ended, or
  before or after the line of the journal is written;
* ``child``: SIGKILL of the child's process group ``CRASH_DELAY`` seconds after its start;
* ``conmon``, ``container``: the same for the monitor or the first process of the child's container.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import types
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from pytest_cobbler import process
from pytest_cobbler.report.journal import Journal

PACKAGE = Path(process.__file__).parent
DOORS = frozenset(
    {
        "kept_process.py",
        "process.py",
        "repository/git.py",
        "repository/gitpython.py",
        "repository/moving.py",
        "repository/reading.py",
        "repository/repository.py",
        "sandbox/host.py",
        "sandbox/podman.py",
        "sandbox/probes.py",
        "sandbox/removing.py",
        "tracker/bd.py",
    }
)
"""Modules through which others start processes: the place is the function that calls them."""

WITH_VERBS = ("git", "podman", "bd")
_WAITS = [os.fsencode(sys.executable), b"-c", b"import time; time.sleep(60)"]
_PIDS = {"conmon": "{{.State.ConmonPid}}", "container": "{{.State.Pid}}"}

POINT, _, BLOW = os.environ.get("CRASH_AT", "").partition("\t")
LOG = Path(os.environ["CRASH_LOG"])
DELAY = float(os.environ.get("CRASH_DELAY", "0"))

counts: Counter[str] = Counter()
guard = threading.Lock()


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


def note(**facts: object) -> None:
    with guard, LOG.open("a") as file:
        file.write(f"{json.dumps(facts)}\n")


def numbered(place: str) -> str:
    with guard:
        counts[place] += 1
        return f"{place} {counts[place]}"


def caller(frame: types.FrameType | None) -> str:
    """The innermost function of the package that is not a door, as ``room/module.py:function``."""
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(PACKAGE) and (name := path.relative_to(PACKAGE).as_posix()) not in DOORS:
            return f"{name}:{frame.f_code.co_qualname.replace('.<locals>.', '.').replace(' ', '')}"
        frame = frame.f_back
    return ""


def program(argv: Sequence[bytes]) -> str:
    """The program, with the command that it is given."""
    name, *words = (os.fsdecode(word) for word in argv)
    name = Path(name).name
    if name not in WITH_VERBS:
        return name
    before = ""
    for word in words:
        if not word.startswith("-") and before != "-c":
            return f"{name}-{word}"
        before = word
    return name


class Popen(subprocess.Popen[bytes]):
    """A child whose start is a point."""

    _point = ""

    def __init__(self, argv: Sequence[bytes], **options: Any) -> None:
        place = caller(sys._getframe(1))
        if not place:  # not the package's
            super().__init__(argv, **options)
            return
        self._point = numbered(f"{place} {program(argv)}")
        self._began = time.monotonic()
        self._noted = False
        if self._is_struck("before"):
            note(point=self._point, struck=True)
            die()
        is_short = self._is_struck("child") and not DELAY
        # One that ends within a moment is killed before it has done anything.
        super().__init__(_WAITS if is_short else argv, **options)
        note(point=self._point)  # some are never waited for
        if is_short:
            os.killpg(self.pid, signal.SIGKILL)
        elif self._is_struck("child"):
            threading.Thread(target=self._kill_group, daemon=True).start()
        elif self._is_struck(*_PIDS):
            threading.Thread(target=self._kill_in_podman, args=(argv,), daemon=True).start()

    def wait(self, timeout: float | None = None) -> int:
        status = super().wait(timeout)
        if self._point and not self._noted:
            self._noted = True
            struck = self._is_struck("child") and status == -signal.SIGKILL
            note(point=self._point, seconds=time.monotonic() - self._began, struck=struck)
            if self._is_struck("after"):
                note(point=self._point, struck=True)
                die()
        return status

    def _is_struck(self, *blows: str) -> bool:
        return bool(POINT) and self._point == POINT and BLOW in blows

    def _kill_group(self) -> None:
        time.sleep(DELAY)
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def _kill_in_podman(self, argv: Sequence[bytes]) -> None:
        words = [os.fsdecode(word) for word in argv]
        named = [word.removeprefix("--name=") for word in words if word.startswith("--name=")]
        command = [words[0], "inspect", "--type=container", f"--format={_PIDS[BLOW]}", *(named or words[-1:])]
        while self.poll() is None:
            shown = subprocess.run(command, capture_output=True, text=True).stdout.strip()
            if shown.isdigit() and int(shown):
                with suppress(ProcessLookupError):
                    os.kill(int(shown), signal.SIGKILL)
                    note(point=self._point, struck=True)
                return


_write = Journal.write


def write_or_die(self: Journal, event: str, **facts: object) -> None:
    point = numbered(f"journal {event}")
    if point == POINT and BLOW == "before":
        note(point=point, struck=True)
        die()
    _write(self, event, **facts)
    note(point=point)
    if point == POINT:
        note(point=point, struck=True)
        die()


# When it is imported: actions begin before plugins are configured.
subprocess.Popen = Popen  # type: ignore
Journal.write = write_or_die  # type: ignore[method-assign]
