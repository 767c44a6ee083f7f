"""What is proved by doing it on something worthless, for ``--cobbler-doctor``: nothing of it is left."""

from __future__ import annotations

import contextlib
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
from pytest_cobbler.repository.checks import Policy
from pytest_cobbler.repository.git import ENVIRONMENT
from pytest_cobbler.repository.harvest import harvest
from pytest_cobbler.repository.identity import Identity, Person
from pytest_cobbler.repository.landing import land, merge
from pytest_cobbler.repository.names import branch_ref
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.worktrees import GateCheckout, Worktree, Worktrees, remove_tree
from pytest_cobbler.sandbox.base import Job, Limits, Loopback, Network, Sandbox
from pytest_cobbler.tracker.base import Claim, NewTask, Task, Tracker
from pytest_cobbler.wiring.hooks import Hooks
from pytest_cobbler.wiring.parts import SandboxSettings

_MEMORY = 64 * 1024 * 1024
_PIDS = 64
_PATIENCE = 30.0
"""Seconds of a job that takes less than one."""

_GOES_WITHIN = 10.0
"""Seconds that a container has to go once nobody holds its lifeline."""

_SHOW_LIMITS = """\
for file in memory.max memory/memory.limit_in_bytes; do cat /sys/fs/cgroup/$file 2>/dev/null && break; done
for file in pids.max pids/pids.max; do cat /sys/fs/cgroup/$file 2>/dev/null && break; done
"""

_ELSEWHERE = "192.0.2.1"
"""An address that is nobody's (RFC 5737)."""

# git is the one program in every image that can open a connection.
_CONNECT = 'cat /proc/net/dev; echo; for place; do LC_ALL=C git ls-remote "git://$place/x" 2>&1; echo; done'

_RUN_A_JOB = """\
import sys
from pytest_cobbler.doctor.proofs import run_a_job
run_a_job(sys.stdin.read())
"""

_BRANCH = "doctor"
_SOMEBODY = Identity.of(Person(name="Doctor", email="doctor@localhost"))
_QUESTION = (
    "This only tests that you can be reached. Change no file, use no tool, and answer with one word: ready."
)


@contextlib.contextmanager
def scratch_below(place: Path) -> Iterator[Path]:
    """A directory in ``place``; removed again, and with it what of ``place`` was not there before.

    Raises:
        RepositoryError: ``place`` cannot be written.
    """
    missing = [path for path in (place, *place.parents) if not path.exists()]
    try:
        try:
            place.mkdir(parents=True, exist_ok=True, mode=0o755)
            directory = Path(tempfile.mkdtemp(prefix="doctor-", dir=place))
        except OSError as error:
            raise RepositoryError(
                f"cannot write {place}, where worktrees lie: {error.strerror}",
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
    """Have the kernel hold a container to other limits than it would have.

    Raises:
        SandboxError: it does not.
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
        said = b", ".join(lines).decode("utf-8", "replace") or "nothing"
        raise SandboxError(
            f"a job was to have {_MEMORY} bytes of memory and {_PIDS} processes; the kernel says {said}",
            "Set another cgroup manager or runtime: docs/containers.md on CONTAINERS_CONF.",
            completed.stderr,
        )


def prove_closed(sandbox: Sandbox, network: Network | Loopback) -> None:
    """See from within a container that nothing can be reached but what ``network`` serves.

    Raises:
        SandboxError: something can, or that cannot.
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
    said = b"\n".join(lines).decode("utf-8", "replace")
    devices, *answers = said.split("\n\n")
    found = [line.partition(":")[0].strip() for line in devices.splitlines() if ":" in line]
    others = [name for name in found if name != "lo"]
    if others:
        raise SandboxError(
            f"a container that should have no network has {', '.join(others)}",
            "Take out of podman_args, and of the file that CONTAINERS_CONF names, what gives it one.",
            said,
        )
    if not completed.ok or not answers or "unable to connect" not in said:
        raise SandboxError(
            f"from within a container it cannot be seen that {_ELSEWHERE} is out of reach", "", said
        )
    if isinstance(network, Loopback) and "HTTP" not in said:
        raise SandboxError(
            "what serves the API on the loopback of a container does not answer there",
            "Do without: agent_network: open (agents then have a network, and can read the key).",
            said,
        )


def prove_open(sandbox: Sandbox) -> None:
    """See from within a container that there is a network.

    Raises:
        SandboxError: there is none.
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
            "See what podman says: podman run --rm --network=slirp4netns IMAGE cat /proc/net/dev",
        )


def run_a_job(settings: str) -> None:
    """Run a job that lasts and prints when it runs, in the process that ``prove_lifeline`` kills."""

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
    """Kill a process that runs a job, and see the job go.

    Args:
        mortal: the sandbox of the job, made in the process that is killed.
        witness: the same place, seen by another run.

    Raises:
        SandboxError: the container outlived it; it has been removed.
    """
    killed = Cancellation()
    try:
        ended = run(
            [sys.executable, "-c", _RUN_A_JOB],
            env=host_environment(PYTHONPATH=str(Path(__file__).parents[2])),
            cwd=Path("/"),
            stdin=mortal.to_json().encode(),
            stdout=lambda line: killed.cancel() if line == b"running" else None,
            cancellation=killed,
            grace=0.0,
            timeout=_PATIENCE,
        )
        if ended.end != Ending.CANCELLED:
            raise SandboxError("a process of its own cannot run a job", evidence=ended.errors)
        deadline = time.monotonic() + _GOES_WITHIN
        while (left := witness.left()) and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        remaining = witness.sweep()
    if left and remaining:
        raise SandboxError(
            "a container outlived the process that started it",
            f"Another sh in the image {mortal.image} may do better, or another podman: "
            "dash and podman 4.3 work.\n"
            "After a crash: podman rm --force --time=0 $(podman ps --all --quiet --filter label=cobbler.run)",
            "\n".join(remaining),
        )


def scratch_repository(directory: Path, shared: str) -> Repository:
    """A repository with one commit, on branch ``doctor``; its worktrees lie beside it.

    Args:
        shared: ``core.sharedRepository`` of the user's own, or nothing.
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
    first = repository.commit(repository.objects.text("mktree"), [], "First commit\n", _SOMEBODY)
    repository.set_ref(branch_ref(_BRANCH), first)
    return repository


def prove_landing(repository: Repository, sandbox: Sandbox, gate: Gate) -> None:
    """Take a change the whole way to a commit: worktree, harvest, merge, a gate of one command, landing.

    Args:
        gate: whose image, network and environment are taken, not its steps.

    Raises:
        CobblerError: it got stuck.
    """
    ref = branch_ref(_BRANCH)
    with _worktree(repository, sandbox, "landing") as worktree:
        completed = sandbox.run(
            Job(
                name="doctor-landing",
                argv=("sh", "-c", "echo landed >landed && git add landed && git status --porcelain"),
                workdir=str(worktree.tree),
                mounts=worktree.mounts(repository),
                limits=Limits(wall=_PATIENCE),
            )
        )
        if not completed.ok:
            raise SandboxError("an agent could not work in its worktree", evidence=completed.stderr)
        found = harvest(worktree, repository, sandbox, Policy(), sandbox.owner)
        work = repository.commit(found.tree, [found.parent], "Work\n", _SOMEBODY)
        merged = merge(repository, found.parent, work)
        checkout = GateCheckout(repository, _BRANCH, sandbox.owner)
        looks = Step(name="build", argv=("test", "-f", "landed"), shown="test -f landed")
        log = repository.work_dir / "gate.log"
        result = replace(gate, steps=(looks,)).run(checkout.move(merged.tree), log, Cancellation())
        if not result.passed:
            raise SandboxError(f"the gate does not see what is to land: {result.summary}", "", result.output)
        landed = land(repository, ref, merged, "Land\n", _SOMEBODY)
    if landed is None or repository.read_ref(ref) != landed or repository.files(landed) != ["landed"]:
        raise RepositoryError("a change was landed, and the branch does not hold it")


def ask_once(
    agent: Agent, sandbox: Sandbox, hooks: Hooks, repository: Repository, network: Network, limit: float
) -> AgentResult:
    """One real run of the agent, on a worthless worktree. This may cost money."""
    with _worktree(repository, sandbox, "live") as worktree:
        request = AgentRequest(
            phase="stitch",
            task_id="doctor",
            title="Answer",
            attempt=1,
            prompt=_QUESTION,
            worktree=worktree.tree,
            mounts=worktree.mounts(repository),
            network=network,
            limits=Limits(wall=limit),
            transcript=worktree.directory / "transcript.jsonl",
            errors=worktree.directory / "stderr.txt",
            command=lambda argv: hooks.command("stitch", Task(id="doctor", title="Answer"), 1, argv),
        )
        return agent.run(request, sandbox, Cancellation())


@contextlib.contextmanager
def _worktree(repository: Repository, sandbox: Sandbox, name: str) -> Iterator[Worktree]:
    tip = repository.read_ref(branch_ref(_BRANCH)) or ""
    worktrees = Worktrees(repository, _BRANCH, sandbox.owner)
    worktree = worktrees.create(name, parent=tip, tree=repository.tree_of(tip), purpose={})
    try:
        yield worktree
    finally:
        worktrees.remove(worktree)


def prove_tracker(store: Tracker) -> None:
    """Create, claim and close a task in a store that is thrown away.

    Raises:
        TrackerError: it did not keep what was written to it.
    """
    title = "A task of --cobbler-doctor"
    new = NewTask(key="one", title=title, description="It is closed immediately.")
    [task_id] = store.create([new]).values()
    store.claim(task_id, Claim(host="here", repository="scratch", run="doctor", generation="none"))
    store.close(task_id, "It was only a test.")
    kept = [(task.title, task.status) for task in store.tasks()]
    if kept != [(title, "closed")]:
        raise TrackerError(
            "a task was created, claimed and closed, and the store does not show it", "", str(kept)
        )
