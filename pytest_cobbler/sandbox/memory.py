"""The attack on the memory of the processes that judge a job, tried before anything is spent."""

from __future__ import annotations

from collections.abc import Callable

from pytest_cobbler.sandbox.base import Completed, Job, Limits
from pytest_cobbler.sandbox.probes import Probe

__all__ = ["REMEDY", "memory_probe"]

REMEDY = "Set it to 0: sysctl fs.suid_dumpable=0, or use an image with another sh: docs/containers.md"

# Every process from the parent up to PID 1. Each is a shell, whose name in stat has no spaces.
_ATTACK = r"""
process=$PPID
while [ "$process" -gt 0 ]; do
  (: <>/proc/$process/mem) 2>/dev/null && echo open
  read -r _ _ _ process _ </proc/$process/stat || exit
done
read -r dumpable </proc/sys/fs/suid_dumpable && echo dumpable $dumpable
:
"""


def memory_probe(
    warn: Callable[[str], object], image: str | None = None, arguments: tuple[str, ...] = ()
) -> Probe:
    """The probe that tries to open the memory of the processes above a job; ``warn`` takes a success."""
    lines: list[bytes] = []

    def judge(completed: Completed) -> None:
        if not completed.ok:
            warn(f"a job could not try to change its verdict: {completed.stderr.strip()[-200:]}")
        elif b"open" in lines:
            why = "fs.suid_dumpable is 1" if b"dumpable 1" in lines else "its shell cannot run from a copy"
            warn(f"a job can change its own verdict and outlive a killed run: {why}")

    job = Job(
        name="preflight-memory",
        argv=("sh", "-c", _ATTACK),
        workdir="/",
        limits=Limits(wall=120),
        image=image,
        arguments=arguments,
        on_line=lines.append,
    )
    return Probe(job=job, judge=judge)
