"""Slurm as a channel: each place is one ``srun``, which Slurm never starts again."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from pytest_cobbler.errors import CobblerError, SandboxError
from pytest_cobbler.process import Completion, host_environment, run
from pytest_cobbler.sandbox.podman import podman_environment
from pytest_cobbler.sites.channel import CommandStream

__all__ = ["SlurmChannel"]

_ADMINISTRATION: Final = 60.0
"""Seconds for a command that asks slurmctld."""
_ENDED: Final = 60.0
"""Seconds in which Slurm ends a job: KillWait is 30 by default."""
_FAILURES: Final = ("Node failure", "NODE FAILURE", "node fail", "Communication connection failure")
"""Words of srun when the node, and not the job, has failed."""

_EXCLUDE: Final = "--exclude="
_OPTIONS: Final = (
    # Otherwise srun holds the end of the output back until a newline comes.
    *("srun", "--unbuffered", "--quiet", "--ntasks=1", "--nodes=1", "--kill-on-bad-exit"),
    *("--mpi=none", "--cpu-bind=none"),
)


class SlurmChannel:
    """``srun``, ``squeue`` and ``scancel``.

    The environment of a job has no variable of the caller but the few that programs and podman need.

    Args:
        arguments: further arguments of ``srun``, validated by the configuration.
        excluded: nodes that only run what is opened on them by name.
    """

    def __init__(self, arguments: Sequence[str] = (), excluded: Sequence[str] = ()) -> None:
        # srun takes the last one of several.
        others = [one for one in arguments if not one.startswith(_EXCLUDE)]
        left_out = [one.removeprefix(_EXCLUDE) for one in arguments if one.startswith(_EXCLUDE)]
        self._arguments = tuple(others)
        self._excluding = [f"{_EXCLUDE}{','.join((*left_out, *excluded))}"] if (*left_out, *excluded) else []
        self._environment = podman_environment() | host_environment("SLURM_CONF")

    @property
    def description(self) -> str:
        return " ".join(("agents on Slurm", *self._arguments, *self._excluding))

    def open(
        self, _name: str, labels: Mapping[str, str], program: Sequence[str], node: str = ""
    ) -> CommandStream:
        where = [f"--nodelist={node}"] if node else self._excluding
        argv = [*_OPTIONS, f"--job-name={_label(labels)}", *self._arguments, *where, *program]
        try:
            return CommandStream(argv, self._environment, _FAILURES)
        except CobblerError as error:
            raise SandboxError(error.cause, "Install it: apt-get install slurm-client") from error

    def list(self, labels: Mapping[str, str]) -> dict[str, Mapping[str, str]]:
        listed = self._ask("squeue", "--me", "--noheader", "--format=%i %j")
        jobs: dict[str, Mapping[str, str]] = {}
        for line in listed.text.splitlines():
            number, _, name = line.partition(" ")
            prefix, _, rest = name.strip().partition("-")
            repository, _, run_id = rest.partition("-")
            its = {"repository": repository, "run": run_id}
            if prefix == _PREFIX and labels.items() <= its.items():
                jobs[number] = its
        return jobs

    def end(self, ids: Sequence[str]) -> None:
        self._ask("scancel", *ids)
        deadline = time.monotonic() + _ENDED
        while left := set(self.list({})) & set(ids):
            if time.monotonic() > deadline:
                names = " ".join(sorted(left))
                raise SandboxError(f"Slurm does not end {names}", f"Try it by hand: scancel {names}")
            time.sleep(0.2)

    def _ask(self, *words: str) -> Completion:
        try:
            asked = run(words, env=self._environment, cwd=Path("/"), timeout=_ADMINISTRATION)
        except CobblerError as error:
            raise SandboxError(error.cause, "Install it: apt-get install slurm-client") from error
        if not asked.ok:
            raise SandboxError(f"{words[0]} failed", "Is slurmctld running? Try it: sinfo", asked.errors)
        return asked


_PREFIX: Final = "cobbler"


def _label(labels: Mapping[str, str]) -> str:
    """The name of a job, which is the one label that each Slurm shows."""
    return f"{_PREFIX}-{labels['repository']}-{labels['run']}"
