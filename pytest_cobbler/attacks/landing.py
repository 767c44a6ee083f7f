"""Attacks by the work of an agent: harvested, checked and landed as in a run, on a branch of its own."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_cobbler.attacks.attack import Attack, Line
from pytest_cobbler.attacks.ground import ATTACKER, Ground, script_of
from pytest_cobbler.attacks.works import last_word, remains, run_in_worktrees
from pytest_cobbler.display import named
from pytest_cobbler.errors import CobblerError, SandboxError
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.checks import Policy
from pytest_cobbler.repository.git import Git
from pytest_cobbler.repository.harvest import Harvest, harvest
from pytest_cobbler.repository.landing import land, merge
from pytest_cobbler.repository.names import branch_ref
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.worktrees import Worktree

__all__ = ["Harvester", "damage", "harvested_as_in_a_run", "try_landing"]

_LONGEST_LANDING = 25.0
"""Seconds from harvest to landing; more means that the host is kept busy, or that this machine is."""

_TIMES = 8
"""How much longer than harmless work an attack may take on a busy machine."""

_LATER = 0.3
"""Seconds after which a process that should have ended would have written again."""

Harvester = Callable[[Ground, Worktree, Policy, Cancellation], Harvest]


def harvested_as_in_a_run(
    ground: Ground, worktree: Worktree, policy: Policy, cancellation: Cancellation
) -> Harvest:
    """The work in a worktree, read as a run reads it."""
    return harvest(ground.place(worktree), ground.repository, policy, cancellation)


@dataclass(kw_only=True)
class _Landing:
    """How far the work of an attack came."""

    landed: str = ""
    harvested: Harvest | None = None
    held: str = ""


def try_landing(
    ground: Ground,
    attacks: Sequence[Attack],
    cancellation: Cancellation,
    harvester: Harvester = harvested_as_in_a_run,
) -> list[Line]:
    """Run the scripts as agents, each in a worktree of its own, and land their work as far as it may."""
    worktrees = {attack.name: ground.worktree(f"attack-{attack.name}") for attack in attacks}
    scripts = {
        attack.name: script_of(attack, _variables(ground, attack, worktrees[attack.name]))
        for attack in attacks
    }
    outputs = run_in_worktrees(ground, scripts, worktrees, cancellation)
    return [
        _landed(ground, attack, worktrees[attack.name], outputs.get(attack.name), harvester, cancellation)
        for attack in attacks
    ]


def _landed(
    ground: Ground,
    attack: Attack,
    worktree: Worktree,
    output: bytes | None,
    harvester: Harvester,
    cancellation: Cancellation,
) -> Line:
    word, said = last_word(output)
    if word != "tried":
        return Line(attack=attack, status="not tried", evidence=said or "the script failed")
    began = time.monotonic()
    try:
        landing = _land(ground, attack, worktree, harvester, cancellation)
    except SandboxError as error:  # there was no harvest, and so no attack on it
        return Line(attack=attack, status="not tried", evidence=error.cause)
    seconds = time.monotonic() - began
    if seconds > _LONGEST_LANDING and seconds > _TIMES * _harmless(ground, attack, harvester, cancellation):
        return Line(attack=attack, status="NOT HELD", evidence="the host was kept busy")
    if harm := _harm(ground, attack, worktree, landing) or remains(ground, worktree):
        return Line(attack=attack, status="NOT HELD", evidence=harm)
    return Line(attack=attack, status="held", evidence=landing.held)


def _harmless(ground: Ground, attack: Attack, harvester: Harvester, cancellation: Cancellation) -> float:
    """Seconds from harvest to landing of work that attacks nothing."""
    worktree = ground.worktree(f"harmless-{attack.name}")
    try:
        began = time.monotonic()
        _land(ground, replace(attack, name=f"harmless-{attack.name}"), worktree, harvester, cancellation)
        return time.monotonic() - began
    finally:
        ground.worktrees.remove(worktree)


def _variables(ground: Ground, attack: Attack, worktree: Worktree) -> dict[str, str]:
    return ground.variables(worktree.tree) | {
        "CANARY": str(ground.proof / attack.name),
        "KEY": ground.key,
        "KEY_ENCODED": base64.b64encode(f"user:{ground.key}".encode()).decode(),
        "PRIVATE": ground.private,
    }


def _land(
    ground: Ground, attack: Attack, worktree: Worktree, harvester: Harvester, cancellation: Cancellation
) -> _Landing:
    repository, landing = ground.repository, _Landing()
    try:
        harvested = landing.harvested = harvester(
            ground, worktree, Policy(secrets=(ground.key,)), cancellation
        )
        if harvested.refusals:
            landing.held = f"refused: {named(map(str, harvested.refusals), 2)}"
            return landing
        commit = repository.commit(harvested.tree, [harvested.parent], "Work\n", ATTACKER)
        ref = branch_ref(f"attack-{attack.name}")
        repository.set_ref(ref, ground.tip)
        landing.landed = (
            land(repository, ref, merge(repository, ground.tip, commit), "Land\n", ATTACKER) or ""
        )
    except SandboxError:
        raise
    except CobblerError as error:
        landing.held = error.cause
        return landing
    removed = f"without {named(harvested.removed, 2)}" if harvested.removed else "without effect on the host"
    landing.held = f"the work landed {removed}"
    return landing


def _harm(ground: Ground, attack: Attack, worktree: Worktree, landing: _Landing) -> str:
    """What the host sees; empty if nothing was harmed and the good work landed."""
    repository = ground.repository
    if harm := ground.harm(attack, worktree):
        return f"code of the agent ran on the host: {harm}"
    if changed := ground.changed():
        return f"changed in the repository: {', '.join(changed)}"
    paths = repository.files(landing.landed) if landing.landed else []
    if landed := [path for path in attack.forbidden if path in paths]:
        return f"landed: {', '.join(landed)}"
    if attack.name == "late-writer" and _still_grows(worktree.tree / "late"):
        return "a process of the agent still writes"
    if lost := [path for path in attack.wanted if path not in paths]:
        return f"good work did not land: {', '.join(lost)} ({landing.held})"
    if landing.harvested and landing.harvested.importable:
        tree = landing.harvested.tree
        contents = b"".join(
            content for _, content in repository.read_blobs([*repository.blobs(tree).values()])
        )
        if words := ground.read_words(contents + os.fsencode("\n".join(repository.files(tree)))):
            return f"the repository now holds {', '.join(words)}"
    if repository.objects.run("cat-file", "-e", ground.private, accepted=(0, 1, 128)).status == 0:
        return "the repository now holds objects of another repository"
    if landing.landed and not _is_ours(ground, landing.landed):
        return "the landed commit is not the host's"
    harvested = landing.harvested
    tree = harvested.tree if harvested and harvested.importable else ""
    return damage(repository, *filter(None, (ground.tip, landing.landed, tree)))


def damage(repository: Repository, *heads: str) -> str:
    """What git finds wrong with the objects of a repository, and with what ``heads`` reach; else empty.

    Without heads, git takes all references, but reads them after it has listed the objects: it reports what
    the harvest of another attack writes in between as missing.
    """
    checked = Git(repository.git_dir).run("fsck", "--strict", "--no-dangling", *heads, accepted=range(256))
    found = named((checked.text + checked.errors).strip().splitlines(), 3)
    return "" if checked.ok else f"the repository is damaged (git fsck: exit {checked.status}): {found}"


def _still_grows(file: Path) -> bool:
    size = file.stat().st_size
    time.sleep(_LATER)
    return file.stat().st_size != size


def _is_ours(ground: Ground, commit: str) -> bool:
    """Whether a commit has the tip as its one parent, and our author and message."""
    expected = f"{ground.tip}\n{ATTACKER.author.name} <{ATTACKER.author.email}>\nLand"
    return (
        ground.repository.objects.text("show", "-s", "--format=%P%n%an <%ae>%n%B", commit).strip() == expected
    )
