"""How a generation is merged into its base: by one compare-and-swap.

A stop that is killed before it loses nothing: the merge is made on objects, and the next stop takes back a
checkout that had begun to move. After it, tags and cleanup follow from the commits that the base reaches. The
branch is deleted last, so that the next stop finds and completes one that was killed.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from pytest_cobbler.config import Config
from pytest_cobbler.display import counted, escaped, named
from pytest_cobbler.errors import RepositoryError, UsageProblem
from pytest_cobbler.landing.caches import with_caches
from pytest_cobbler.landing.gate import GateResult
from pytest_cobbler.landing.tree_gate import GateCheckouts, TreeGate
from pytest_cobbler.landing.tree_records import TreeRecords
from pytest_cobbler.lifecycle.deletions import check_deletions
from pytest_cobbler.lifecycle.finished import Finished, finished_tasks
from pytest_cobbler.lifecycle.joining import end_joins, joins_base, propose_join
from pytest_cobbler.lifecycle.recovery import Recovery, recovery_without_agent
from pytest_cobbler.lifecycle.selection import choose
from pytest_cobbler.lifecycle.starting import changed_paths
from pytest_cobbler.lifecycle.tagging import Tagged, tag_merged
from pytest_cobbler.process import Cancellation
from pytest_cobbler.report.evidence import informative
from pytest_cobbler.repository import names, trailers
from pytest_cobbler.repository.attempts import last_numbers
from pytest_cobbler.repository.cleanup import Cleaned, remove_untracked
from pytest_cobbler.repository.follow import Following
from pytest_cobbler.repository.gate_checkout import GateCheckout
from pytest_cobbler.repository.generations import (
    Generation,
    delete_generation,
    find_generation,
    refuse_checked_out,
    refuse_other_tags,
    tip_of,
)
from pytest_cobbler.repository.landing import Merge
from pytest_cobbler.repository.markers import marked_files
from pytest_cobbler.repository.merging import NotMerged, merge_into_base, merged_at
from pytest_cobbler.repository.moved import take_over_work
from pytest_cobbler.repository.pins import STOP, Pins
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.resolving import Resolution
from pytest_cobbler.sandbox.site import Unreached
from pytest_cobbler.tracker.lane import TrackerLane
from pytest_cobbler.wiring.hooks import NO_HOOKS, Hooks
from pytest_cobbler.wiring.languages import language_of
from pytest_cobbler.wiring.parts import make_gate
from pytest_cobbler.wiring.preflight import preflight_without_agent
from pytest_cobbler.wiring.project import Project

Resolve = Literal["hand", "agent"]


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """The result for a generation.

    ``merge`` is the commit with which ``base`` came to have it; ``is_new``: that was made now; ``landed``
    counts its tasks; ``open`` are ids of tasks that it leaves; ``recovered`` what a dead run left, a line
    each; ``unreached`` its work on nodes that cannot be reached.
    """

    name: str
    base: str
    merge: str
    is_new: bool
    landed: int
    open: tuple[str, ...]
    recovered: tuple[str, ...]
    unreached: tuple[Unreached, ...]
    tagged: Tagged
    cleaned: Cleaned


def stop(
    config: Config,
    repository: Repository,
    lane: TrackerLane,
    hooks: Hooks = NO_HOOKS,
    *,
    force: bool = False,
    accept_deletions: bool = False,
    resolve: Resolve | None = None,
    say: Callable[[str], object] = lambda _text: None,
) -> Stopped | None:
    """Merge the active generation into its base, tag both, delete its branch; ``None`` if none is active.

    The caller holds the run lock. If the process is killed, the next stop completes it.

    Args:
        force: merge although tasks are open.
        accept_deletions: merge although the generation did not write all sources again.
        resolve: for conflicts, prepare a worktree to resolve them by hand, or create a task for an agent.
        say: prints a line before a step that takes long.

    Raises:
        NotMerged: there are conflicts, or the gate does not pass.
        CobblerError: nothing was changed, or the same command completes the stop.
    """
    generation = find_generation(repository, config.gen_prefix, config.generation_branch)
    if generation is None:
        return None
    refuse_checked_out(repository, [generation], moves_base=True)
    take_back_move(repository, generation)
    refuse_other_tags(repository, generation, "finished", "merged")
    base, tip = _read_base(repository, generation), tip_of(repository, generation)
    landed = trailers.landed_tasks(repository, f"{generation.first}..{tip}")
    project = Project.of(config, repository, generation)
    finished = Finished(finished_tasks(repository, generation, tip))
    recovery = recovery_without_agent(project, lane, hooks, finished)
    recovered = [*take_over_work(repository), *recovery.run()]
    recovery.site.close()
    left = _open_tasks(project, lane, hooks, finished)
    is_new = not repository.reaches(base, tip)
    if is_new:
        _refuse_unfinished(generation, {} if force else left, len(landed))
        base = _Merging(recovery, base, tip, hooks, say).run(resolve, accept_deletions=accept_deletions)
    merge = merged_at(repository, base, tip)
    tagged = tag_merged(config, repository, generation, tip, merge)
    cleaned = _clean_up(project, lane, merge)
    recovery.sessions.remove_all()
    delete_generation(repository, generation, tip)  # last: the next stop finds one that was killed
    return Stopped(
        name=generation.name,
        base=generation.base,
        merge=merge,
        is_new=is_new,
        landed=len(landed),
        open=tuple(left),
        recovered=tuple(recovered),
        unreached=tuple(recovery.site.unreached()),
        tagged=tagged,
        cleaned=cleaned,
    )


def _clean_up(project: Project, lane: TrackerLane, merge: str) -> Cleaned:
    """Remove what is of no use once the generation is merged."""
    repository, generation = project.repository, project.generation
    GateCheckout.remove_all(repository)
    Resolution(repository, generation).remove()
    end_joins(lane, generation, f"merged in {merge}")
    return remove_untracked(repository, project.config.cleanup_dirs)


def take_back_move(repository: Repository, generation: Generation) -> None:
    """Take back a move of the checkout that was ended before the base itself moved.

    Raises:
        RepositoryError: the files changed since; nothing was changed.
    """
    ref = names.stopping_ref(generation.name)
    merge = repository.read_ref(ref)
    if merge is None:
        return
    base_ref = names.branch_ref(generation.base)
    before = repository.objects.text("rev-parse", "--verify", f"{merge}^1")
    where = repository.checked_out().get(base_ref)
    if repository.read_ref(base_ref) == before:
        if where and where.resolve() != repository.root.resolve():
            raise RepositoryError(f"a stop was ended half-way in {where}", "Run the command there.")
        following = Following(repository, before, merge)
        if where:
            following.take_back()
        elif staged := following.staged():
            raise RepositoryError(
                f"a stop was ended half-way in {repository.root}, and what it had staged still is: {staged}",
                f"Go back, and run the command again: git switch {generation.base}",
            )
    _drop_note(repository, ref, merge)


def _drop_note(repository: Repository, ref: str, merge: str) -> None:
    """Delete the note that the checkout moves to commit ``merge``.

    Raises:
        RepositoryError: another process changed the note.
    """
    if repository.delete_refs({ref: merge}):
        raise RepositoryError(f"{ref} was moved just now", "Run the command again.")


class _Merging:
    """The merge of a generation with its base, up to the move of the base."""

    def __init__(
        self, recovery: Recovery, base: str, tip: str, hooks: Hooks, say: Callable[[str], object]
    ) -> None:
        self._project = recovery.project
        self._tracker = recovery.ledger.tracker
        self._sandbox = recovery.sandbox
        self._secrets = recovery.policy.secrets
        self._repository = recovery.project.repository
        self._generation = recovery.project.generation
        self._base = base
        self._tip = tip
        self._hooks = hooks
        self._say = say
        self._ref = names.branch_ref(self._generation.base)
        self._is_checked_out = self._ref in self._repository.checked_out()
        self._resolution = Resolution(self._repository, self._generation)

    def run(self, resolve: Resolve | None, *, accept_deletions: bool) -> str:
        """Move the base and return its new commit."""
        config, repository = self._project.config, self._repository
        beads = config.beads_dir.relative_to(config.root).as_posix()
        tracker = PurePosixPath(repository.directory.outward(beads))
        resolved = self._resolution.commit(self._base, self._tip)
        other = resolved or self._tip
        merged = merge_into_base(repository, self._base, other, tracker)
        if merged.conflicts:
            raise self._conflicting(merged, resolved, resolve)
        if resolved and (marked := marked_files(repository.objects, self._base, merged.tree)):
            raise self._marked(marked)
        check_deletions(self._project, self._base, merged.tree, self._say, accept=accept_deletions)
        following = Following(repository, self._base, merged.tree)
        self._check_checkout(following)
        tests = ""
        with Pins(repository, self._generation.name).holding(STOP, {"tree": merged.tree}):
            if resolved or merged.tree != repository.tree_of(self._tip) or not self._is_gated():
                tests = self._pass_gate(merged.tree)
                self._check_checkout(following)  # the gate takes minutes: check again
            parents = [self._base, other]
            commit = repository.commit(merged.tree, parents, self._message(tests), self._project.identity)
        if self._is_checked_out:
            self._move_with_checkout(commit, following)
        else:
            self._move(commit)
        return commit

    def _check_checkout(self, following: Following) -> None:
        if not self._is_checked_out:
            return
        following.check()
        if changed := changed_paths(self._project.config, self._repository, new=False):
            raise RepositoryError(
                f"{self._generation.base} is checked out in {self._repository.root}, "
                f"with changes in {named(changed)}",
                "Commit them, or put them aside: git stash",
            )

    def _is_gated(self) -> bool:
        """Whether the tip passed the gate or is the first commit of the generation."""
        values = trailers.read_trailers(self._repository, self._tip)
        return self._tip == self._generation.first or trailers.TASK in values

    def _pass_gate(self, tree: str) -> str:
        """Run the gate on the merge, and keep its record; returns the tests that ran, if there are steps."""
        config, repository, sandbox = self._project.config, self._repository, self._sandbox
        language = language_of(config, repository)
        gate = make_gate(
            config,
            language,
            sandbox,
            secrets.token_hex(4),
            self._hooks.gate,
            directory=repository.directory.path,
            credentials=self._secrets,
        )
        both = f"the merge of {self._generation.name} and {self._generation.base}"
        self._say(f"gate: {gate.line}, on {both}")
        preflight_without_agent(repository, sandbox, gate, language)
        log = config.cobbler_dir / self._generation.name / "stop" / "gate.log"
        checkouts = GateCheckouts(repository, self._generation.name, sandbox)
        caches = with_caches(gate, config, repository, self._base, Cancellation(), self._say)
        try:
            with caches as gate:
                records = TreeRecords.of(repository.work_dir)
                tree_gate = TreeGate(gate=gate, places=checkouts, records=records)
                result, record = tree_gate.record(tree, log, Cancellation())
                passed = result.passed or self._fails_as_base(result, tree_gate, log)
        finally:
            checkouts.remove()
        if not passed:
            raise NotMerged(
                f"not merged: {result.summary} on {both}; nothing was changed",
                f"What the gate printed: {log}",
                informative(result.output),
            )
        return record.summary if record else ""

    def _fails_as_base(self, result: GateResult, gate: TreeGate, log: Path) -> bool:
        """Whether the merge leaves exactly the failures of the base, and may do so."""
        if self._project.config.red_base == "refuse" or result.failures is None:
            return False
        self._say(f"gate: on {self._generation.base}, to compare: the merge has {result.failures.summary}")
        tree = self._repository.tree_of(self._base)
        before, _ = gate.record(tree, log.with_name("gate-base.log"), Cancellation())
        return before.failures == result.failures

    def _message(self, tests: str) -> str:
        landed = trailers.landed_tasks(self._repository, f"{self._generation.first}..{self._tip}")
        body = "\n".join(f"* {one.title}" for one in landed.values())
        values = {trailers.GENERATION: self._generation.name, trailers.TESTS: tests}
        return trailers.message(self._repository, f"Merge {self._generation.name}", body, values)

    def _move_with_checkout(self, commit: str, following: Following) -> None:
        note = names.stopping_ref(self._generation.name)
        self._repository.set_ref(note, commit)
        try:
            following.advance()
            self._move(commit)
        except RepositoryError:
            following.take_back()
            _drop_note(self._repository, note, commit)
            raise
        _drop_note(self._repository, note, commit)

    def _move(self, commit: str) -> None:
        reason = f"cobbler: merge {self._generation.name}"
        if not self._repository.move_ref(self._ref, commit, self._base, reason):
            raise RepositoryError(f"{self._generation.base} was moved just now", "Run the command again.")

    def _marked(self, files: Sequence[str]) -> NotMerged:
        path = self._resolution.path
        return NotMerged(
            f"not merged: conflict markers are left in what was committed in {path}",
            "\n".join(
                [*(f"  {file}" for file in files), f"Resolve them, and commit: git -C {path} commit -a"]
            ),
        )

    def _conflicting(self, merged: Merge, resolved: str | None, resolve: Resolve | None) -> NotMerged:
        name, base = self._generation.name, self._generation.base
        count = len(merged.conflicts)
        cause = f"not merged: {name} and {base} conflict in {counted(count, 'file')}"
        files = [f"  {path}" for path in merged.conflicts]
        if resolved:
            ways = [f"{base} has moved since. Merge it there: git -C {self._resolution.path} merge {base}"]
        elif resolve == "agent":
            task = propose_join(self._project.config, self._tracker, self._generation, merged.conflicts)
            ways = [
                f"{task} is the task to do so: pytest --cobbler-resume configuration.yaml::stitch::{task}",
                "Then: pytest --cobbler-stop",
            ]
        elif resolve == "hand":
            self._resolution.begin(self._base, self._tip)
            ways = [
                f"The merge is begun in {self._resolution.path}",
                self._resolution.what_next,
            ]
        else:
            ways = [
                "Have an agent resolve them: pytest --cobbler-stop --cobbler-resolve agent",
                "Resolve them by hand: pytest --cobbler-stop --cobbler-resolve hand",
                "Or abandon the generation: pytest --cobbler-reset",
            ]
        return NotMerged(f"{cause}; nothing was changed", "\n".join([*files, *ways]), merged.messages)


def _read_base(repository: Repository, generation: Generation) -> str:
    base = repository.read_ref(names.branch_ref(generation.base)) if generation.base else None
    if base is None:
        raise RepositoryError(
            f"{generation.base or 'the base'}, which {generation.name} is to be merged into, is not a branch",
            f"Make it again: git branch {generation.base or 'NAME'} {generation.name}-start",
        )
    return base


def _open_tasks(project: Project, lane: TrackerLane, hooks: Hooks, finished: Finished) -> dict[str, str]:
    """Id -> title of the unfinished tasks that the generation proposed, tried, claimed or would do next."""
    repository, generation = project.repository, project.generation
    tasks = lane.tasks().result()
    tried = last_numbers(repository, generation.name)
    left_out = hooks.left_out(tasks)
    next_run = choose(project.config, repository, tasks, generation, finished, left_out)
    ready = {task.id for task in (*next_run.taken, *next_run.left)}
    return {
        task.id: task.title
        for task in tasks
        if task.status != "closed"
        and not joins_base(task)
        and (
            generation.name in task.labels
            or task.id in tried
            or task.id in ready
            or (task.claim is not None and task.claim.generation == generation.name)
        )
    }


def _refuse_unfinished(generation: Generation, open_tasks: dict[str, str], landed: int) -> None:
    if open_tasks:
        raise _still_open(generation, open_tasks)
    if generation.reset and not landed:
        raise _nothing_landed(generation)


def _still_open(generation: Generation, left: dict[str, str]) -> UsageProblem:
    tasks = counted(len(left), "task")
    return UsageProblem(
        f"{tasks} of {generation.name} not done: {', '.join(left)}",
        "\n".join(
            [
                *(f"  {escaped(f'{key}: {title}')}" for key, title in left.items()),
                "Do them first: pytest --cobbler-resume",
                "Or leave them to the next generation: pytest --cobbler-stop --cobbler-force",
            ]
        ),
    )


def _nothing_landed(generation: Generation) -> UsageProblem:
    return UsageProblem(
        f"nothing landed in {generation.name}, which began without the sources: "
        f"merged, it would delete those of {generation.base}",
        "Have them generated: pytest --cobbler-generate; or abandon it: pytest --cobbler-reset",
    )
