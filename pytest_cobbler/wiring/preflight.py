"""Checks before anything is spent, for a run and for ``--cobbler-doctor``."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import resource
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_cobbler.agents.base import ProbedAgent, VersionedAgent
from pytest_cobbler.agents.credential import Credential
from pytest_cobbler.config import Config
from pytest_cobbler.display import counted, shown_size
from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.files import temporary_directory
from pytest_cobbler.landing.gate import Gate, GateResult
from pytest_cobbler.landing.tool_needs import LISTS_NEEDS, has_tools, read_needs
from pytest_cobbler.languages import Language
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sandbox.base import Capability, Completed, Job, Limits, Mount, Sandbox
from pytest_cobbler.sandbox.memory import memory_probe
from pytest_cobbler.sandbox.own_programs import mounts_of_programs, path_of_programs
from pytest_cobbler.sandbox.probes import Probe, ProbedSandbox, run_probes
from pytest_cobbler.wiring.agents import NamedAgent

_LOOKS = 'for program; do command -v -- "$program" >/dev/null || { echo "$program"; exit 1; }; done'
_PATIENCE = Limits(wall=120)

NEEDED_ROOM = 50_000_000
SCARCE_ROOM = 1_000_000_000
"""Free bytes on a disk: below the first a run does not begin, below the second it warns."""

SOON = 3600.0
"""Seconds for which a credential should stay valid; below, a run warns."""


_OF_A_RUN, _OF_A_JOB, _OF_A_PROXY = 40, 12, 6
"""Open files: of a run, its gate and its tracker; of an agent's job (8 were measured); of its proxy, which
opens two more for each answer that the agent gets."""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """``reserved`` and ``needs``: see :func:`loaded_modules`. ``warnings``: what is not protected here."""

    reserved: frozenset[str]
    needs: Mapping[str, frozenset[str]]
    warnings: tuple[str, ...]


def preflight(
    repository: Repository, sandbox: Sandbox, gate: Gate, language: Language, agents: Iterable[NamedAgent]
) -> Findings:
    """Try sandbox, ``agents`` (none, if none will run) and gate, in one job where they have the same image.

    Raises:
        CobblerError: of the first check that failed.
    """
    modules: set[str] = set()
    needs: dict[str, frozenset[str]] = {}
    warnings: list[str] = []
    with contextlib.ExitStack() as stack:
        place = itertools.chain(
            _place_probes(repository, sandbox, stack), memory_probes(sandbox, gate, warnings.append)
        )
        rest = itertools.chain(
            _gate_probes(gate, language, stack), _module_probes(gate, language, modules, needs)
        )
        all_agents = [one.agent for one in agents]
        probed = [agent for agent in all_agents if isinstance(agent, ProbedAgent)]
        if len(probed) == len(all_agents):
            run_probes(sandbox, itertools.chain(place, _agent_probes(probed, sandbox), rest))
        else:
            run_probes(sandbox, place)
            for agent in all_agents:
                agent.preflight(sandbox)
            run_probes(sandbox, rest)
        versioned = [agent for agent in all_agents if isinstance(agent, VersionedAgent)]
        warnings += [agent.outdated for agent in versioned if agent.outdated]
    return Findings(reserved=frozenset(modules), needs=needs, warnings=tuple(dict.fromkeys(warnings)))


def memory_probes(sandbox: Sandbox, gate: Gate, warn: Callable[[str], object]) -> Iterator[Probe]:
    """The attack on the processes that judge jobs, in the image of agents and in that of the gate."""
    if Capability.CONTAINMENT not in sandbox.capabilities:
        return
    yield memory_probe(warn)
    if gate.steps and (gate.image or gate.arguments):
        yield memory_probe(warn, gate.image, gate.arguments)


def preflight_without_agent(repository: Repository, sandbox: Sandbox, gate: Gate, language: Language) -> None:
    """Try sandbox and gate, in one job where they have the same image.

    Raises:
        CobblerError: of the first check that failed.
    """
    with contextlib.ExitStack() as stack:
        place = _place_probes(repository, sandbox, stack)
        run_probes(sandbox, itertools.chain(place, _gate_probes(gate, language, stack)))


def preflight_sandbox(repository: Repository, sandbox: Sandbox) -> None:
    """Try the sandbox, also on a directory where worktrees will lie, in one job.

    Raises:
        CobblerError: of the first check that failed.
    """
    with contextlib.ExitStack() as stack:
        run_probes(sandbox, _place_probes(repository, sandbox, stack))


def _place_probes(repository: Repository, sandbox: Sandbox, stack: contextlib.ExitStack) -> Iterator[Probe]:
    if isinstance(sandbox, ProbedSandbox):
        yield sandbox.probe()
    else:
        sandbox.preflight()
    yield _work_dir_probe(repository, sandbox, stack)


def _agent_probes(agents: Iterable[ProbedAgent], sandbox: Sandbox) -> Iterator[Probe]:
    for agent in agents:
        if probe := agent.probe(sandbox):
            yield probe


def preflight_work_dir(repository: Repository, sandbox: Sandbox) -> None:
    """Check that a job can write in the directory of worktrees.

    Raises:
        UsageProblem: it cannot, for example because the image restricts a parent directory.
    """
    with contextlib.ExitStack() as stack:
        _work_dir_probe(repository, sandbox, stack).run(sandbox)


def _work_dir_probe(repository: Repository, sandbox: Sandbox, stack: contextlib.ExitStack) -> Probe:
    """The probe of :func:`preflight_work_dir`; its directory is removed with ``stack``."""
    for path in (repository.work_dir, *repository.object_stores):
        if ":" in str(path) and Capability.CONTAINMENT in sandbox.capabilities:
            raise UsageProblem(
                f"podman cannot mount {path}: the path contains a colon", "Move it, or set another work_dir."
            )
    repository.make_work_dir()
    name = str(stack.enter_context(temporary_directory(repository.work_dir)))
    if sandbox.owner:
        os.chown(name, *sandbox.owner)
    job = Job(
        name="preflight-worktree",
        argv=("sh", "-c", 'echo >"$1/file"', "sh", name),  # by its full path, as an agent does
        workdir=name,
        mounts=(Mount(source=Path(name), target=name, mode="rw"),),
        limits=_PATIENCE,
    )

    def judge(completed: Completed) -> None:
        owner = sandbox.owner[0] if sandbox.owner else os.geteuid()
        file_owner = Path(name, "file").stat().st_uid if completed.ok else owner
        if file_owner != owner:
            raise UsageProblem(
                f"files that jobs write belong to uid {file_owner} on this machine, not to {owner}",
                "Let podman map users as usual: remove options that change users (--user, --userns)\n"
                "from podman_args and from the file that CONTAINERS_CONF names.",
            )
        if not completed.ok:
            is_full = not os.statvfs(repository.work_dir).f_bavail
            closed = "that other users can enter in the image (not one in /root)"
            lacks = "with free space" if is_full else closed
            raise UsageProblem(
                f"jobs cannot work in {repository.work_dir}, the directory of worktrees",
                f"Set work_dir to a directory {lacks}.",
                completed.stderr,
            )

    return Probe(job=job, judge=judge)


def preflight_room(repository: Repository, config: Config, *others: Path) -> str:
    """Check that there is room for worktrees, for the files of a run, and in the directories ``others``.

    Returns:
        a warning if little room is left.

    Raises:
        UsageProblem: almost no room is left.
    """
    scarce = []
    for directory in (repository.work_dir, config.cobbler_dir, *others):
        existing = next(path for path in (directory, *directory.parents) if path.exists())
        facts = os.statvfs(existing)
        room = facts.f_bavail * facts.f_frsize
        if room < NEEDED_ROOM or (facts.f_files and not facts.f_favail):
            room_left = "no more files" if room >= NEEDED_ROOM else shown_size(room)
            raise UsageProblem(
                f"almost no space is left for {directory}: {room_left}",
                "Free some space, or set work_dir or cobbler_dir to another disk.",
            )
        if room < SCARCE_ROOM:
            scarce.append(f"{shown_size(room)} left for {directory}")
    return ", ".join(scarce)


def preflight_descriptors(config: Config, agents: Iterable[NamedAgent]) -> None:
    """Check that this process may open as many files as the agents of a run need.

    Raises:
        UsageProblem: it may not; a run would fail in the middle.
    """
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    jobs, streams = config.jobs, config.streams_per_agent
    has_proxy = any(one.agent.proxied for one in agents)
    each = _OF_A_JOB + (_OF_A_PROXY + 2 * streams if has_proxy else 0)
    others = len(list(Path("/proc/self/fd").iterdir())) + _OF_A_RUN
    needed = others + jobs * each
    if limit != resource.RLIM_INFINITY and limit < needed:
        fewer = max(0, limit - others) // each
        less = f", or set jobs to {fewer}" if fewer else ""
        raise UsageProblem(
            f"{limit} open files are too few for {counted(jobs, 'agent')} in parallel, which need {needed}",
            f"Raise the limit: ulimit -n {needed}{less}",
        )


def expiring(credential: Credential | None, config: Config) -> str:
    """A warning if a credential may expire before a run ends."""
    soon = max(config.task_timeout or 0.0, SOON)
    if credential is None or not credential.ends_within(soon):
        return ""
    return f"{credential.shown}: a run may take longer"


def preflight_gate(gate: Gate, language: Language) -> None:
    """Check that the gate can run where it runs.

    With their tools, the language's own commands pass in an empty directory. Of the configured commands, the
    programs must exist; of a shell script, its first word.

    Raises:
        UsageProblem: a command failed, or a program is missing.
    """
    with contextlib.ExitStack() as stack:
        run_probes(gate.sandbox, _gate_probes(gate, language, stack))


def _gate_probes(gate: Gate, language: Language, stack: contextlib.ExitStack) -> Iterator[Probe]:
    """The probes of :func:`preflight_gate`; their directory is removed with ``stack``."""
    defaults = tuple(step for step in gate.steps if step in language.gate())
    if defaults:
        empty = stack.enter_context(temporary_directory()) / "empty"
        empty.mkdir(mode=0o755)
        if gate.sandbox.owner:
            os.chown(empty, *gate.sandbox.owner)
        yield replace(gate, steps=defaults, directory="").probe(empty, _judge_defaults)
    configured = [_program(step.argv) for step in gate.steps if step not in defaults]
    configured += gate.merge_driver[:1]
    # A program with a path may come from the checkout.
    programs = [program for program in configured if program and "/" not in program]
    if programs:
        missing: list[bytes] = []
        looks = f"{path_of_programs(gate.sandbox)}\n{_LOOKS}"
        job = _job(gate, ("sh", "-c", looks, "sh", *programs), missing)
        job = replace(job, mounts=mounts_of_programs(gate.sandbox))
        yield Probe(job=job, judge=lambda completed: _judge_programs(completed, missing))


def _judge_defaults(result: GateResult) -> None:
    if not result.passed:
        raise UsageProblem(
            f"the gate cannot run: {result.summary} in an empty directory",
            "Add its tools to podman_image (or gate_image), or set build_command and test_command.",
            result.output,
        )


def _judge_programs(completed: Completed, missing: Sequence[bytes]) -> None:
    if not completed.ok:
        raise UsageProblem(
            f"the gate cannot run: its sandbox does not have {b' '.join(missing).decode('utf-8', 'replace')}",
            "Add it to podman_image (or gate_image), or set the command that begins with it\n"
            "(build_command, test_command or merge_driver).",
        )


def _program(argv: tuple[str, ...]) -> str:
    """The program that a command runs first; empty if it is not a plain word."""
    if argv[:2] != ("sh", "-c") or len(argv) != 3:
        return argv[0]
    words = argv[2].split(None, 1)
    return words[0] if words and re.fullmatch(r"[A-Za-z0-9_.+-]+", words[0]) else ""


def loaded_modules(gate: Gate, language: Language) -> tuple[frozenset[str], Mapping[str, frozenset[str]]]:
    """Modules that the gate's tools load by their names. No file of the tree may replace one.

    Returns:
        those of pytest's plugins; and, for own commands, tool -> modules that it may import.
    """
    modules: set[str] = set()
    needs: dict[str, frozenset[str]] = {}
    run_probes(gate.sandbox, _module_probes(gate, language, modules, needs))
    return frozenset(modules), needs


def _module_probes(
    gate: Gate, language: Language, modules: set[str], needs: dict[str, frozenset[str]]
) -> Iterator[Probe]:
    """The probes that fill ``modules`` and ``needs``, if the gate may load some."""
    lines: list[bytes] = []
    rows: list[bytes] = []

    def judge(completed: Completed) -> None:
        if completed.ok:
            modules.update(line.decode("utf-8", "replace").strip() for line in lines)
            modules.discard("")

    def judge_needs(completed: Completed) -> None:
        if completed.ok:
            needs.update(read_needs(rows))

    if gate.steps and language.lists_modules:
        yield Probe(job=_job(gate, language.lists_modules, lines), judge=judge)
    if has_tools(gate, language):
        yield Probe(job=_job(gate, LISTS_NEEDS, rows), judge=judge_needs)


def _job(gate: Gate, argv: tuple[str, ...], lines: list[bytes]) -> Job:
    return Job(
        name="preflight-gate",
        argv=argv,
        workdir="/",
        environment=dict(gate.environment),
        limits=_PATIENCE,
        image=gate.image,
        arguments=gate.arguments,
        on_line=lines.append,
    )
