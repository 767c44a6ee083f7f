"""Attacks on the life and the limits of a job: it ends when it has to, and takes no more than it may."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

from pytest_cobbler.attacks.attack import Attack, Line
from pytest_cobbler.attacks.ground import Ground, script_of
from pytest_cobbler.causes import Ending
from pytest_cobbler.process import Cancellation, host_environment, run
from pytest_cobbler.repository.worktrees import Worktree
from pytest_cobbler.sandbox.base import Capability, Completed, Job, Limits, Mount
from pytest_cobbler.wiring.parts import SandboxSettings

__all__ = ["run_mortal_job", "try_job"]

_MEBIBYTE: Final = 1 << 20
_END_WITHIN: Final = 10.0
"""Seconds that a job has to end after its process was killed."""

_LATER: Final = 0.3
"""Seconds after which a process that should have ended would have written again."""

_NEED_LIMITS: Final = ("many-processes", "much-memory")
_TIMED: Final = ("ignore-timeout", "endless-output")
_LIMITS: Final[Mapping[str, Limits]] = MappingProxyType(
    {
        **dict.fromkeys(_TIMED, Limits(wall=1.5)),
        "many-processes": Limits(wall=20, pids=50),
        "much-memory": Limits(wall=20, memory=96 * _MEBIBYTE),
        "full-disk": Limits(wall=20, disk=4 * _MEBIBYTE),
        "full-worktree": Limits(wall=20, disk=4 * _MEBIBYTE),
    }
)

_MORTAL: Final = """\
import sys
from pytest_cobbler.attacks.job import run_mortal_job
run_mortal_job(sys.stdin.read(), *sys.argv[1:])
"""


def try_job(ground: Ground, attack: Attack, cancellation: Cancellation) -> Line:
    """Run the script as a job of its own, and see how it ends."""
    capabilities = ground.target.sandbox.capabilities
    if attack.name in _NEED_LIMITS and Capability.LIMITS not in capabilities:
        why = "nothing limits it here: with cgroup v1 only root can"
        return Line(attack=attack, status="not tried", evidence=why)
    worktree = ground.worktree(f"attack-{attack.name}")
    ground.place_programs(worktree)
    if attack.name == "outlive-runner":
        return _outlive(ground, attack, worktree)
    lines: deque[bytes] = deque(maxlen=10)
    job = Job(
        name=f"attack-{attack.name}",
        argv=("sh", "-c", script_of(attack, ground.variables(worktree.tree))),
        workdir=str(worktree.tree),
        mounts=(_writable(worktree.tree),),
        limits=_LIMITS.get(attack.name, Limits(wall=20)),
        on_line=lines.append,
    )
    alive = worktree.tree / "alive"
    completed = ground.target.sandbox.run(job, cancellation)
    if completed.cause == Ending.TIMEOUT and attack.name in _TIMED and not alive.exists():
        # On a busy machine the time was up before the script began.
        job = replace(job, limits=Limits(wall=20))
        completed = ground.target.sandbox.run(job, cancellation)
    return _JUDGES.get(attack.name, _by_word)(attack, completed, lines, alive)


def _by_word(attack: Attack, completed: Completed, lines: Sequence[bytes], _alive: Path) -> Line:
    word, _, said = (lines[-1] if lines else b"").decode("utf-8", "replace").partition(" ")
    match word:
        case "got":
            return Line(attack=attack, status="NOT HELD", evidence=said)
        case "held":
            return Line(attack=attack, status="held", evidence=said)
    if completed.cause in (Ending.KILLED, Ending.DISK):
        return Line(attack=attack, status="held", evidence="the job is killed")
    return Line(attack=attack, status="not tried", evidence=said or f"the script failed: {completed.stderr}")


def _by_time(attack: Attack, completed: Completed, _lines: Sequence[bytes], alive: Path) -> Line:
    if completed.cause != Ending.TIMEOUT:
        return Line(
            attack=attack, status="NOT HELD", evidence=f"the job {completed.cause} before its time was up"
        )
    return _by_silence(attack, completed, _lines, alive)


def _by_silence(attack: Attack, completed: Completed, _lines: Sequence[bytes], alive: Path) -> Line:
    if not alive.exists():
        return Line(attack=attack, status="not tried", evidence=f"the script failed: {completed.stderr}")
    size = alive.stat().st_size
    time.sleep(_LATER)
    if alive.stat().st_size != size:
        return Line(
            attack=attack, status="NOT HELD", evidence="a process still writes after the job has ended"
        )
    return Line(attack=attack, status="held", evidence="no process is left")


def _by_failure(attack: Attack, completed: Completed, _lines: Sequence[bytes], _alive: Path) -> Line:
    if completed.ok:
        return Line(attack=attack, status="NOT HELD", evidence="the job is reported as a success")
    return Line(attack=attack, status="held", evidence=f"the job {completed.cause}")


_JUDGES: Final[Mapping[str, Callable[[Attack, Completed, Sequence[bytes], Path], Line]]] = MappingProxyType(
    {
        **dict.fromkeys(_TIMED, _by_time),
        "background": _by_silence,
        "kill-everything": _by_failure,
        "forged-success": _by_failure,
    }
)


def _outlive(ground: Ground, attack: Attack, worktree: Worktree) -> Line:
    """Run the job in a process of its own, and kill that process as soon as the script is at work."""
    alive, killed = worktree.tree / "alive", Cancellation()
    witness = ground.target.witness
    script = script_of(attack, ground.variables(worktree.tree))

    def kill_when_alive(_line: bytes) -> None:
        deadline = time.monotonic() + _END_WITHIN
        while not alive.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        killed.cancel()

    try:
        run(
            [sys.executable, "-c", _MORTAL, str(worktree.tree), script],
            env=host_environment(
                PYTHONPATH=os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, sys.path)])
            ),
            cwd=Path("/"),
            stdin=ground.target.mortal.to_json().encode(),
            stdout=kill_when_alive,
            cancellation=killed,
            grace=0.0,
            timeout=60.0,
        )
        if not alive.exists():
            return Line(attack=attack, status="not tried", evidence="a separate process cannot run a job")
        deadline = time.monotonic() + _END_WITHIN
        while (left := witness.left()) and time.monotonic() < deadline:
            time.sleep(0.05)
        line = _by_silence(attack, _DEAD, [], alive)
    finally:
        witness.sweep()
    if left:
        return Line(attack=attack, status="NOT HELD", evidence="the container is still there")
    return line


_DEAD: Final = Completed(status=137, cause=Ending.KILLED, seconds=0.0, stderr="")


def run_mortal_job(settings: str, tree: str, script: str) -> None:
    """Run the job of ``outlive-runner`` without a time limit, in the process that is killed."""
    sys.stdout.write("begins\n")
    sys.stdout.flush()
    SandboxSettings.from_json(settings).make().run(
        Job(
            name="attack-outlive-runner",
            argv=("sh", "-c", script),
            workdir=tree,
            mounts=(_writable(Path(tree)),),
        )
    )


def _writable(tree: Path) -> Mount:
    return Mount(source=tree, target=str(tree), mode="rw")
