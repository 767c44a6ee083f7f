"""Proofs of ``--cobbler-doctor``: each tries something on a worthless copy and removes what it made."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pytest_cobbler.agents.base import Agent, AgentRequest, AgentResult
from pytest_cobbler.causes import Ending
from pytest_cobbler.errors import RepositoryError, SandboxError, TrackerError
from pytest_cobbler.landing.gate import Gate
from pytest_cobbler.languages import Step
from pytest_cobbler.process import Cancellation, host_environment, run
from pytest_cobbler.report.log import EventLog
from pytest_cobbler.repository.checks import Policy
from pytest_cobbler.repository.directories import remove_tree
from pytest_cobbler.repository.gate_checkout import GateCheckout
from pytest_cobbler.repository.git import ENVIRONMENT
from pytest_cobbler.repository.harvest import harvest
from pytest_cobbler.repository.identity import Identity, Person
from pytest_cobbler.repository.landing import land, merge
from pytest_cobbler.repository.names import branch_ref
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sandbox.base import Job, Limits, Loopback, Network, Sandbox
from pytest_cobbler.sandbox.site import Place
from pytest_cobbler.tracker.base import Claim, NewTask, Task, Tracker
from pytest_cobbler.wiring.hooks import Hooks
from pytest_cobbler.wiring.parts import SandboxSettings, local_site

_MEMORY = 64 * 1024 * 1024
_PIDS = 64
_PATIENCE = 30.0
"""Seconds of a job that takes less than one."""

_END_WITHIN = 10.0
"""Seconds that a container has to end after its lifeline is closed."""

_SHOW_LIMITS = """\
for file in memory.max memory/memory.limit_in_bytes; do cat /sys/fs/cgroup/$file 2>/dev/null && break; done
for file in pids.max pids/pids.max; do cat /sys/fs/cgroup/$file 2>/dev/null && break; done
"""

_ELSEWHERE = "192.0.2.1"
"""An address reserved for documentation, which no machine has (RFC 5737)."""

# git is the one program in every image that can open a connection.
_CONNECT = 'cat /proc/net/dev; echo; for place; do LC_ALL=C git ls-remote "git://$place/x" 2>&1; echo; done'

_RUN_A_JOB = """\
import sys
from pytest_cobbler.doctor.proofs import run_a_job
run_a_job(sys.stdin.read())
"""

_BRANCH = "doctor"
_DOCTOR = Identity.of(Person(name="Doctor", email="doctor@localhost"))
_QUESTION = (
    "This only tests that you can be reached. Change no file, use no tool, and answer with one word: ready."
)


@contextlib.contextmanager
def scratch_below(place: Path) -> Iterator[Path]:
    """A directory in ``place``; it is removed at the end, with the directories that were created for it.

    Raises:
        RepositoryError: ``place`` is not writable.
    """
    missing = [path for path in (place, *place.parents) if not path.exists()]
    try:
        try:
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
            directory = Path(tempfile.mkdtemp(prefix="doctor-", dir=place))
        except OSError as error:
            raise RepositoryError(
                f"cannot write to {place}, the directory of the worktrees: {error.strerror}",
                "Set work_dir to a directory that you can write.",
            ) from error
        try:
            directory.chmod(0o755)
            yield directory
        finally:
            remove_tree(directory)
    finally:
        for path in missing:
            with contextlib.suppress(OSError):
                path.rmdir()


def prove_limits(sandbox: Sandbox) -> None:
    """Check that the kernel enforces limits that a job sets for itself.

    Raises:
        SandboxError: the kernel has other limits.
    """
    lines: list[bytes] = []
    completed = sandbox.run(
        Job(
            name="doctor-limits",
            argv=("sh", "-c", _SHOW_LIMITS),
            workdir="/",
            limits=Limits(wall=_PATIENCE),
            arguments=(f"--memory={_MEMORY}b", f"--pids-limit={_PIDS}"),
            on_line=lines.append,
        )
    )
    if [line.strip() for line in lines] != [str(_MEMORY).encode(), str(_PIDS).encode()]:
        reported = b", ".join(lines).decode("utf-8", "replace") or "nothing"
        raise SandboxError(
            f"a job should be limited to {_MEMORY} bytes of memory and {_PIDS} processes; "
            f"the kernel reports {reported}",
            "Set another cgroup manager or runtime: docs/containers.md on CONTAINERS_CONF.",
            completed.stderr,
        )


def prove_closed(sandbox: Sandbox, network: Network | Loopback) -> None:
    """Check from within a container that it can reach only what ``network`` serves.

    Raises:
        SandboxError: it reaches more, or not even that.
    """
    lines: list[bytes] = []
    places = [_ELSEWHERE, *([f"127.0.0.1:{network.port}"] if isinstance(network, Loopback) else [])]
    completed = sandbox.run(
        Job(
            name="doctor-network",
            argv=("sh", "-c", _CONNECT, "sh", *places),
            workdir="/",
            network=network,
            limits=Limits(wall=_PATIENCE),
            on_line=lines.append,
        )
    )
    output = b"\n".join(lines).decode("utf-8", "replace")
    devices, *answers = output.split("\n\n")
    names = [line.partition(":")[0].strip() for line in devices.splitlines() if ":" in line]
    others = [name for name in names if name != "lo"]
    if others:
        raise SandboxError(
            f"a container that should have no network has {', '.join(others)}",
            "Remove the option that adds it from podman_args and from the file that CONTAINERS_CONF names.",
            output,
        )
    if not completed.ok or not answers or "unable to connect" not in output:
        raise SandboxError(
            f"cannot check from within a container that {_ELSEWHERE} is unreachable", "", output
        )
    if isinstance(network, Loopback) and "HTTP" not in output:
        raise SandboxError(
            "the proxy of the API does not answer on the loopback of a container",
            "Set agent_network: open to do without it; agents can then use the network and read the key.",
            output,
        )


def prove_open(sandbox: Sandbox) -> None:
    """Check from within a container that it has a network.

    Raises:
        SandboxError: it has none.
    """
    lines: list[bytes] = []
    sandbox.run(
        Job(
            name="doctor-network",
            argv=("cat", "/proc/net/dev"),
            workdir="/",
            network=Network.OPEN,
            limits=Limits(wall=_PATIENCE),
            on_line=lines.append,
        )
    )
    devices = [line.partition(b":")[0].strip() for line in lines if b":" in line]
    if all(device == b"lo" for device in devices):
        raise SandboxError(
            "agent_network: open, but a container has no network here",
            "Read podman's own message: podman run --rm --network=slirp4netns IMAGE cat /proc/net/dev",
        )


def run_a_job(settings: str) -> None:
    """Run a long job that prints a line when it starts, in the process that ``prove_lifeline`` kills."""

    def print_line(line: bytes) -> None:
        sys.stdout.buffer.write(line + b"\n")
        sys.stdout.flush()

    SandboxSettings.from_json(settings).make().run(
        Job(
            name="doctor-lifeline",
            argv=("sh", "-c", f"echo running; sleep {_PATIENCE:g}"),
            workdir="/",
            limits=Limits(wall=_PATIENCE),
            on_line=print_line,
        )
    )


def prove_lifeline(mortal: SandboxSettings, witness: Sandbox) -> None:
    """Kill a process that runs a job, and check that the job ends.

    Args:
        mortal: the sandbox of the job, made in the process that is killed.
        witness: the same sandbox in another run.

    Raises:
        SandboxError: the container outlived the process; the container has been removed.
    """
    killed = Cancellation()
    try:
        ended = run(
            [sys.executable, "-c", _RUN_A_JOB],
            # Dependencies may lie elsewhere than the package, as in a user's own site-packages.
            env=host_environment(
                PYTHONPATH=os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, sys.path)])
            ),
            cwd=Path("/"),
            stdin=mortal.to_json().encode(),
            stdout=lambda line: killed.cancel() if line == b"running" else None,
            cancellation=killed,
            grace=0.0,
            timeout=_PATIENCE,
        )
        if ended.end != Ending.CANCELLED:
            raise SandboxError("a separate process cannot run a job", evidence=ended.errors)
        deadline = time.monotonic() + _END_WITHIN
        while (running := witness.left()) and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        remaining = witness.sweep()
    if running and remaining:
        raise SandboxError(
            "a container outlived the process that started it",
            f"Try another sh in the image {mortal.image}, or another podman: "
            "dash and podman 4.3 work.\n"
            "After a crash: podman rm --force --time=0 $(podman ps --all --quiet --filter label=cobbler.run)",
            "\n".join(remaining),
        )


def scratch_repository(directory: Path, shared: str) -> Repository:
    """A repository with one commit, on branch ``doctor``; its worktrees lie beside it.

    Args:
        shared: ``core.sharedRepository`` of the user's repository; may be empty.
    """
    root = directory / "repository"
    options = [f"--shared={shared}"] if shared else []
    made = run(
        ["git", "init", "--quiet", "--template=", f"--initial-branch={_BRANCH}", *options, root],
        env=host_environment() | ENVIRONMENT,
        timeout=_PATIENCE,
    )
    if not made.ok:
        raise RepositoryError("git cannot make a repository", evidence=made.errors)
    repository = Repository(root, directory / "work")
    first = repository.commit(repository.objects.text("mktree"), [], "First commit\n", _DOCTOR)
    repository.set_ref(branch_ref(_BRANCH), first)
    return repository


def prove_landing(repository: Repository, sandbox: Sandbox, gate: Gate) -> None:
    """Land a change: worktree, harvest, merge, a gate of one command, landing.

    Args:
        gate: its image, network and environment are used, but not its steps.

    Raises:
        CobblerError: a step failed.
    """
    ref = branch_ref(_BRANCH)
    with _place(repository, sandbox, "landing") as place:
        completed = place.sandbox.run(
            Job(
                name="doctor-landing",
                argv=("sh", "-c", "echo landed >landed && git add landed && git status --porcelain"),
                workdir=str(place.checkout),
                limits=Limits(wall=_PATIENCE),
            )
        )
        if not completed.ok:
            raise SandboxError("an agent could not work in its worktree", evidence=completed.stderr)
        harvested = harvest(place, repository, Policy())
        work = repository.commit(harvested.tree, [harvested.parent], "Work\n", _DOCTOR)
        merged = merge(repository, harvested.parent, work)
        checkout = GateCheckout(repository, _BRANCH, sandbox.owner)
        step = Step(name="build", argv=("test", "-f", "landed"), shown="test -f landed")
        log = repository.work_dir / "gate.log"
        result = replace(gate, steps=(step,)).run(checkout.move(merged.tree), log, Cancellation())
        if not result.passed:
            raise SandboxError(
                f"the gate does not see the change to land: {result.summary}", "", result.output
            )
        landed = land(repository, ref, merged, "Land\n", _DOCTOR)
    if landed is None or repository.read_ref(ref) != landed or repository.files(landed) != ["landed"]:
        raise RepositoryError("a change was landed, but the branch does not contain it")


def ask_once(
    agent: Agent,
    sandbox: Sandbox,
    hooks: Hooks,
    repository: Repository,
    network: Network,
    limit: float,
    log: EventLog,
) -> AgentResult:
    """One real run of the agent, on a worthless worktree. This may cost money."""
    with _place(repository, sandbox, "live") as place:
        request = AgentRequest(
            phase="stitch",
            task_id="doctor",
            title="Answer",
            attempt=1,
            prompt=_QUESTION,
            worktree=place.checkout,
            network=network,
            limits=Limits(wall=limit),
            transcript=repository.work_dir / "transcript.jsonl",
            errors=repository.work_dir / "stderr.txt",
            command=lambda argv: hooks.command("stitch", Task(id="doctor", title="Answer"), 1, argv),
            on_exchange=log.write,
        )
        return agent.run(request, place.sandbox, Cancellation())


@contextlib.contextmanager
def _place(repository: Repository, sandbox: Sandbox, name: str) -> Iterator[Place]:
    tip = repository.read_ref(branch_ref(_BRANCH)) or ""
    site = local_site(repository, _BRANCH, sandbox)
    # A harvest of its own is what a run falls back on.
    place = site.open(name, parent=tip, tree=repository.tree_of(tip), purpose={}, packs_early=False)
    try:
        yield place
    finally:
        place.remove()


def prove_tracker(store: Tracker) -> None:
    """Create, claim and close a task in a temporary store.

    Raises:
        TrackerError: the store did not keep the task.
    """
    title = "A task of --cobbler-doctor"
    new = NewTask(key="one", title=title, description="It is closed immediately.")
    [task_id] = store.create([new]).values()
    store.claim(task_id, Claim(host="here", repository="scratch", run="doctor", generation="none"))
    store.close(task_id, "It was only a test.")
    kept = [(task.title, task.status) for task in store.tasks()]
    if kept != [(title, "closed")]:
        raise TrackerError(
            "a task was created, claimed and closed, but the store does not show it", "", str(kept)
        )
