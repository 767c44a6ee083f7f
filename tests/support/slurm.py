"""Slurm on this machine: a controller and three nodes, started in about a second."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

__all__ = ["NODES", "Cluster", "cluster"]

NODES = ("n1", "n2", "n3")
_PROGRAMS = ("srun", "slurmctld", "slurmd", "munged", "mungekey")

_CONFIGURATION = """\
ClusterName=cobbler
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={directory}/munge.socket
StateSaveLocation={directory}/state
SlurmdSpoolDir={directory}/spool-%n
SlurmctldPidFile={directory}/slurmctld.pid
SlurmdPidFile={directory}/slurmd-%n.pid
SlurmctldLogFile={directory}/slurmctld.log
SlurmdLogFile={directory}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000
ReturnToService=2
SlurmdTimeout=10
SlurmctldTimeout=30
KillWait=5
MessageTimeout=60
MpiDefault=none
SlurmdParameters=config_overrides
DefMemPerNode=500
PartitionName=agents Nodes=n1,n2,n3 Default=YES MaxTime=INFINITE State=UP
"""
_NODE = (
    "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={processors} RealMemory=8000\n"
)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Cluster:
    """A cluster whose files are all in one directory; ``SLURM_CONF`` leads to it.

    Args:
        processors: that each node has by its configuration.
    """

    def __init__(self, directory: Path, processors: int = 8) -> None:
        self._processors = processors
        self._directory = directory
        self._commands: dict[str, tuple[str, ...]] = {}
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        self.configuration = directory / "slurm.conf"

    def start(self) -> None:
        """Start all daemons, and wait until each node can take a job."""
        directory, host = self._directory, socket.gethostname().partition(".")[0]
        (directory / "state").mkdir()
        text = _CONFIGURATION.format(host=host, directory=directory, port=_free_port())
        text += "".join(self._node(name, host) for name in NODES)
        self.configuration.write_text(text)
        key = directory / "munge.key"
        self._run("mungekey", "--create", f"--keyfile={key}")
        paths = {"socket": "munge.socket", "pid-file": "munged.pid", "log-file": "munged.log"}
        names = [f"--{option}={directory / name}" for option, name in paths.items()]
        seed = f"--seed-file={directory / 'munge.seed'}"
        self._commands["munged"] = ("munged", "--foreground", "--force", f"--key-file={key}", seed, *names)
        self._commands["slurmctld"] = ("slurmctld", "-D", "-f", str(self.configuration))
        for name in NODES:
            self._commands[f"slurmd-{name}"] = ("slurmd", "-D", "-N", name, "-f", str(self.configuration))
        for daemon in self._commands:
            self.start_again(daemon)
        for _ in range(600):
            if self.states() == ["idle"] * len(NODES):
                return
            time.sleep(0.1)
        raise AssertionError((directory / "slurmctld.log").read_text())

    def _node(self, name: str, host: str) -> str:
        return _NODE.format(name=name, host=host, port=_free_port(), processors=self._processors)

    def states(self) -> list[str]:
        """The state of each node."""
        told = subprocess.run(
            ["sinfo", "--noheader", "--Node", "--format=%T"], env=self._environment, capture_output=True
        )
        return told.stdout.decode().split()

    def ask(self, *words: str) -> str:
        """What a command of Slurm prints."""
        return self._run(*words)

    def _run(self, *words: str) -> str:
        told = subprocess.run(words, env=self._environment, capture_output=True)
        assert told.returncode == 0, (words, told.stderr)
        return told.stdout.decode()

    @property
    def _environment(self) -> dict[str, str]:
        return os.environ | {"SLURM_CONF": str(self.configuration)}

    def start_again(self, daemon: str) -> None:
        """Start ``munged``, ``slurmctld`` or ``slurmd-NODE``."""
        with (self._directory / f"{daemon}.out").open("ab") as output:
            self._daemons[daemon] = subprocess.Popen(
                self._commands[daemon], env=self._environment, stdout=output, stderr=output
            )

    def kill(self, daemon: str) -> None:
        """Kill it; with a node, what holds the jobs of the node."""
        self._daemons[daemon].kill()
        self._daemons[daemon].wait()
        node = daemon.removeprefix("slurmd-")
        if node != daemon:
            for process in self._holders(node):
                os.kill(process, signal.SIGKILL)

    def restart(self, daemon: str) -> None:
        """End it, which lets it write down its jobs, and start it again."""
        self._daemons[daemon].terminate()
        self._daemons[daemon].wait()
        self.start_again(daemon)

    def _holders(self, node: str) -> Iterator[int]:
        """The processes of Slurm between a node and its jobs."""
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                is_holder = (path / "comm").read_text().strip() == "slurmstepd"
                spool = f"{self._directory}/spool-{node}".encode()
                files = {os.fsencode(link.readlink()) for link in (path / "fd").iterdir()}
                if is_holder and any(file.startswith((spool, self._log(node))) for file in files):
                    yield int(path.name)

    def _log(self, node: str) -> bytes:
        return f"{self._directory}/slurmd-{node}.log".encode()

    def stop(self) -> None:
        """End all daemons, and what nodes still run."""
        with contextlib.suppress(AssertionError):
            self._run("scancel", "--me", "--signal=KILL")
        for daemon in reversed(self._daemons.values()):
            daemon.send_signal(signal.SIGTERM)
        for daemon in self._daemons.values():
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """Slurm with three nodes, which commands find by ``SLURM_CONF``."""
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"Slurm cannot be started here: {', '.join(missing) or 'not root'}")
    directory = tmp_path / "slurm"
    directory.mkdir()
    made = Cluster(directory)
    monkeypatch.setenv("SLURM_CONF", str(made.configuration))
    try:
        made.start()
        yield made
    finally:
        made.stop()
