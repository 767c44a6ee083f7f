"""What has to hold after each step of a schedule, by a reading of the documentation of its own.

Expected results are computed here and not by the code under test, unless a comment states otherwise.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from pytest_cobbler.agents.base import AgentRequest, AgentResult
from pytest_cobbler.agents.troubles import Trouble
from pytest_cobbler.causes import Cause
from pytest_cobbler.config import Config
from pytest_cobbler.cycle.opened import Opened
from pytest_cobbler.cycle.outcome import Outcome, Verdict
from pytest_cobbler.cycle.run import Run
from pytest_cobbler.lifecycle.setting_aside import SET_ASIDE
from pytest_cobbler.repository import names
from pytest_cobbler.tracker.base import Task
from tests.simulator.agents import Watcher
from tests.simulator.repository import Commit
from tests.simulator.world import World

__all__ = ["Broken", "Invariants", "Waits"]

SHARED = "shared.txt"
"""The one file that several tasks write."""

_PICO = 10**12
_MOST_ALIKE = 3
_OF_WORK = frozenset({Cause.GATE, Cause.CONFLICT, Cause.REFUSED, Cause.AGENT, Cause.IDLE})
"""Causes of failures for which an attempt is counted, and another one made if one is left."""

_MAY_STOP = ("exit 127", "timed out", "podman cannot start", "agent: exited with 1")
"""What three tasks may fail of so that the run stops: words of the reason. A red test is not among it."""

_NOT_OF_TASK = frozenset({Cause.LANDING, Cause.HOOK, Cause.ERROR})


class Broken(AssertionError):
    """An invariant does not hold."""


class Waits:
    """How long new agents wait for the API, and how many may work: half as many after each trouble, one more
    after each answer.

    A trouble that names no time makes them wait for 2 seconds, then 4, 8 and so on to 2 minutes, until an
    answer comes. What was sent before the last trouble says nothing about it.
    """

    def __init__(self, agents: int) -> None:
        self._agents = self.allowed = agents
        self._until = self._last = datetime.min.replace(tzinfo=None)
        self._is_guess = False
        self._delay = 2

    def met(self, now: datetime, until: datetime | None) -> None:
        now = now.replace(tzinfo=None)
        named = until.replace(tzinfo=None) if until else now
        self._last = now
        guess = self._until
        if now >= self._until:
            self.allowed = max(1, self.allowed // 2)
            self._is_guess, guess = True, now + timedelta(seconds=self._delay)
            self._delay = min(120, 2 * self._delay)
        self._is_guess = self._is_guess and named <= now
        self._until = max(self._until, named if named > now else guess)

    def served(self, now: datetime, asked: datetime) -> None:
        now = now.replace(tzinfo=None)
        if asked.replace(tzinfo=None) <= self._last:
            return
        self._delay = 2
        if self._is_guess:
            self._until = min(self._until, now)
        self.allowed = min(self._agents, self.allowed + 1)

    def lasts(self, now: datetime) -> bool:
        return now.replace(tzinfo=None) < self._until


class Invariants(Watcher):
    """Follows a schedule. Each method is called at the moment that it names."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.counts: Counter[str] = Counter()
        self.broken: Broken | None = None
        """The first invariant that did not hold."""
        self.is_running = False
        """Whether there is a process of a run."""
        self._leaves_nothing = True
        """Whether the last process has ended by itself, so that there is nothing to recover."""
        self._open_again: set[str] = set()
        """Tasks that a person has opened again since they landed."""
        self._newest: dict[str, str] = {}
        """Task -> its newest landing, on the branch or not."""
        self._taken_over: set[str] = set()
        """Tasks that a person works on, or has worked on."""
        self._works: dict[tuple[str, int], bool] = {}
        """Task and number of each attempt that has written something: whether a landing came after it."""
        self._failures: Counter[str] = Counter()
        """Task -> runs that it has failed in since it landed or was set aside."""
        self._certain: Counter[str] = Counter()
        """The same, without runs of which another cause is thinkable."""
        self._spent: Counter[str] = Counter()
        """What the API has billed: in the generation (under no name), and for each task."""
        self._under_way: Counter[str] = Counter()
        self._config: Config | None = None
        self._run: Run | None = None
        world.repository.moved = self.moved
        world.tracker.claimed = self.claimed
        world.tracker.commented = self.commented
        world.tracker.labelled = self.labelled

    def _check(self, holds: object, message: str) -> None:
        if not holds:
            self.broken = self.broken or Broken(message)
            raise self.broken

    # -- a run

    def begin(self, config: Config, *, asks_agents: bool, is_seen: bool) -> None:
        """A process begins. It may be killed at any time.

        Args:
            is_seen: the proxy sees the requests of agents. Else they may spend more than is left, and a limit
                is only what they say.
        """
        self._asks_agents, self._is_seen = asks_agents, is_seen
        self._config, self._run, self.is_running = config, None, True
        self._is_disturbed = False
        self._had_aside = bool(self._world.aside)
        self._failed_in_run: set[str] = set()
        self._set_aside_in_run: set[str] = set()
        self._waits = {name: Waits(config.jobs) for name in self._world.agents}
        self._is_refused = False
        self._ended: set[str] = set()
        self._working: set[str] = set()
        self._gates = 0
        self._places: Counter[str] = Counter()
        self._in_run: Counter[str] = Counter()
        self._taken: dict[str, Task] = {}
        self._measures: list[str] = []
        self._landed: dict[str, str] = {}
        self._attempts: Counter[str] = Counter()
        self._reports: Counter[str] = Counter()
        self._alike: defaultdict[str, set[str]] = defaultdict(set)
        self._red_at_start: dict[str, bool] = {}
        self._abandoned: set[str] = set()
        self._met: defaultdict[str, set[str]] = defaultdict(set)

    def opened(self, opened: Opened) -> None:
        """The run is about to start agents: what a dead run left is recovered."""
        self._run = opened.run
        self._taken = {task.id: task for task in opened.selection.taken}
        # Work aside is tried again; that of a task that had landed only if a person took the landing back.
        is_surprise = self._leaves_nothing and opened.recovered and not self._had_aside
        self._check(not is_surprise, f"a run that had ended left work: {opened.recovered}")
        self._leaves_nothing = False
        self._closed_before = {task.id for task in self._world.tracker.tasks() if task.status == "closed"}
        left = "\n".join(line for line in opened.recovered if line.startswith("left "))
        own = opened.run.ledger.claim.run
        for task in self._world.tracker.tasks():
            is_free = task.claim is None or task.claim.run == own or f"left {task.id} " in left
            self._check(is_free, f"{task.id} is still claimed by a dead run")
            self._check(
                task.id not in self._taken or self._may_begin(task),
                f"{task.id} is set aside, and selected",
            )
        self._works_are_kept()

    def planned(self, measures: Iterable[str]) -> None:
        """The run has these measures, too."""
        self._measures = list(measures)

    def proposed(self, tasks: Iterable[Task]) -> None:
        """A measure has created tasks, which are done in the same run."""
        self._taken |= {task.id: task for task in tasks}

    def reported(self, task: str, outcome: Outcome) -> None:
        """An item was reported."""
        self._reports[task] += 1
        self._check(self._reports[task] == 1, f"{task} is reported {self._reports[task]} times")
        self.counts[f"{outcome.verdict}"] += 1
        self._world.say("report", f"{task}: {outcome.verdict} {outcome.cause} {outcome.summary}")
        landed = self._landed.get(task)
        if outcome.verdict is Verdict.LANDED:
            self._check(
                landed == outcome.commit, f"{task} is reported as landed in {outcome.commit}, not {landed}"
            )
            self._alike.clear()
        elif outcome.verdict is Verdict.CANCELLED and "the next run" in outcome.summary:
            self._abandoned.add(task)
            self._failures[task] += 1  # its end may have been one: it is not known yet
        else:
            self._check(not landed, f"{task} has landed and is reported as {outcome.verdict}")
        if outcome.verdict is Verdict.FAILED:
            self._failed(task, outcome)

    def _failed(self, task: str, outcome: Outcome) -> None:
        assert self._config is not None
        assert self._run is not None
        if task in self._measures:
            return
        cause, most, made = outcome.cause, self._config.max_attempts, self._attempts[task]
        self._check(made <= most, f"{task}: {made} attempts are counted, and {most} allowed")
        if cause in _OF_WORK and self._asks_agents and not self._run.faults.stop:
            self._check(made == most, f"{task} failed ({cause}) after {made} of {most} attempts that count")
        is_red = self._tip_is_red() and self._red_at_start.get(task, False)
        self._check(cause is not Cause.GATE or not is_red, f"{task} is blamed for a tip that is red")
        if cause not in _NOT_OF_TASK:
            self._failures[task] += 1
        if cause in (Cause.CONFLICT, Cause.REFUSED, Cause.NO_CHANGE):
            self._failed_in_run.add(task)
        self._meets(task, outcome.summary)
        if signature := _signature(outcome):
            self._alike[signature].add(task)

    def end(self, lost: Iterable[str]) -> None:
        """The process has ended by itself. ``lost`` are the lines about landings that the branch lost."""
        run, world = self._run, self._world
        self.is_running = False
        if run is None:
            return
        for name in (*self._taken, *self._measures):
            self._check(self._reports[name] == 1, f"{name} is reported {self._reports[name]} times")
        most = max(map(len, self._met.values()), default=0)
        is_known = most >= _MOST_ALIKE and any(word in run.faults.stop for word in self._met)
        is_known = is_known or self._is_disturbed or bool(self._abandoned)  # then reports say something else
        self._check(not run.faults.stop or is_known, f"the run stopped: {run.faults.stop}; {dict(self._met)}")
        failed = {failure.call.rpartition(" ")[2] for failure in run.ledger.tracker.failures}
        text = "\n".join(lost)
        self._leaves_nothing = not (self._abandoned or failed or self._is_disturbed)
        if self._leaves_nothing:
            self._check_remains()
        for task in world.tracker.tasks():
            is_held = task.claim is not None and task.claim.run == run.ledger.claim.run
            if task.id not in self._abandoned | failed | self._taken_over:
                self._check(not is_held, f"{task.id} is still claimed by a run that has ended")
                self._is_there(task, text)
                if self._asks_agents:  # else nothing was charged
                    self._is_set_aside(task)
        self._works_are_kept()

    def _check_remains(self) -> None:
        """A run that has ended leaves no worktree, no task branch, no pin, and no attempts at what landed."""
        world, generation = self._world, self._world.generation.name
        passing = [names.branch_ref(names.task_branch(generation, "")), f"refs/cobbler/pins/{generation}/"]
        passing += [names.attempts_prefix(generation, task) for task in self._landed]
        left = [ref for ref in world.repository.store.refs if ref.startswith(tuple(passing))]
        self._check(not left, f"a run that has ended leaves {left}")
        self._check(not world.worktrees, f"a run that has ended leaves {list(world.worktrees)}")

    def _is_set_aside(self, task: Task) -> None:
        """A task that failed in so many runs is set aside, unless one of them could not write that down."""
        assert self._config is not None
        if task.id not in self._failed_in_run - self._set_aside_in_run or self._is_disturbed:
            return
        self._certain[task.id] += 1
        made, most = self._certain[task.id], self._config.max_failures
        self._check(made < most, f"{task.id} has failed in {made} runs of {most}, and is not set aside")

    def _is_there(self, task: Task, lost: str) -> None:
        """A task that landed is on the branch, or named as lost; and closed, unless a person opened it.

        What a person closes during a run is looked at by the next one.
        """
        pinned = self._world.repository.read_ref(names.landed_ref(self._world.generation.name, task.id))
        is_known = task.id in self._closed_before or task.id in self._landed
        if pinned and task.status == "closed" and is_known and task.id not in self._world.landed():
            is_named = re.search(rf"\b{task.id}\b", lost)
            self._check(is_named, f"{task.id} is closed, and the branch has lost its landing unnoticed")
        if task.id in self._landed and task.id not in self._open_again:
            self._check(task.status == "closed", f"{task.id} has landed and is {task.status}")

    def killed(self) -> None:
        """The process was killed."""
        self.is_running = False

    def noted(self, event: str, facts: Mapping[str, object]) -> None:
        """The journal has a line."""
        if event == "gate":
            self._meets(str(facts["task"]), str(facts["summary"]))

    def _meets(self, task: str, summary: str) -> None:
        for word in _MAY_STOP:
            if word in summary:
                self._met[word].add(task)

    # -- people

    def disturbed(self) -> None:
        """Git or the tracker fails."""
        self._is_disturbed = True

    def reopened(self, task: str) -> None:
        self._open_again.add(task)

    def restored(self) -> None:
        """The tracker has the state of before the first run."""
        self._leaves_nothing = False
        self._failures.clear()
        self._certain.clear()

    def taken_over(self, task: str) -> None:
        self._taken_over.add(task)

    # -- tracker

    def claimed(self, task: Task) -> None:
        self._check(self._may_begin(task), f"{task.id} is set aside, and was begun")
        self._red_at_start[task.id] = self._tip_is_red()

    def commented(self, task: str, text: str) -> None:
        if '"commit": "' in text:  # the record of a landing, after which failures are counted afresh
            self._failures[task] = self._certain[task] = 0

    def _may_begin(self, task: Task) -> bool:
        """Whether no run has set the task aside, or none of its agents is asked."""
        return SET_ASIDE not in task.labels or not self._asks_agents

    def labelled(self, task: Task) -> None:
        """A run has set a task aside. The failure for which it did so may not have been reported yet."""
        assert self._config is not None
        most = self._config.max_failures
        made = self._failures[task.id] + (not self._reports[task.id])
        self._check(made >= most, f"{task.id} is set aside after {made} failed runs of {most}")
        self._failures[task.id] = -(not self._reports[task.id])
        self._certain[task.id] = 0
        self._set_aside_in_run.add(task.id)
        self.counts["set aside"] += 1

    # -- the branch

    def moved(self, moves: Mapping[str, tuple[str, str]]) -> None:
        """A run has moved references."""
        old, new = moves.get(self._world.generation.ref, ("", ""))
        if not new or not old:
            return
        repository = self._world.repository
        landed = [repository.commit_at(new)]
        while landed[0].parents[0] != old and len(landed) < len(self._taken):
            landed.insert(0, repository.commit_at(landed[0].parents[0]))
        assert self._config is not None
        self._check(len(landed) == 1 or self._config.landing == "train", f"{len(landed)} landed at a time")
        self._check(
            landed[-1].tree in self._world.green,
            f"{landed[-1].trailer('Cobbler-Task')} landed a tree that the gate has not passed",
        )
        self.counts["trains"] += len(landed) > 1
        for commit in landed:
            gated = commit.trailer("Cobbler-Gated") or commit.tree
            self._check(gated == landed[-1].tree, f"{commit.id} names another tree in the gate")
            self._check_landing(commit, old)
            old = commit.id

    def _check_landing(self, commit: Commit, old: str) -> None:
        repository, task = self._world.repository, commit.trailer("Cobbler-Task")
        self._check(commit.parents[0] == old, f"the landing of {task} is not on the tip")
        before, after = repository.files_of(old), repository.files_of(commit.tree)
        for path, text in before.items():
            is_own = path in (SHARED, f"{task}.txt")
            self._check(is_own or after.get(path) == text, f"the landing of {task} undoes {path}")
        earlier = self._world.landed(old).get(task, [])
        # A person may have reopened it, or have taken off the branch what landed after that.
        may_again = task in self._open_again or self._newest.get(task) not in earlier
        self._check(not earlier or may_again, f"{task} landed twice")
        self._open_again.discard(task)
        self._newest[task] = commit.id
        self._landed[task] = commit.id
        for key in [key for key in self._works if key[0] == task]:
            self._works[key] = True
        self._alike.clear()

    def _tip_is_red(self) -> bool:
        tree = self._world.repository.tree_of(self._world.tip)
        return tree not in self._world.green and self._world.is_red(tree)

    def _works_are_kept(self) -> None:
        """What an agent has written has landed, is kept, or was replaced by a landing of its task."""
        world = self._world
        there = {
            (left.worktree.purpose.get("task"), left.worktree.purpose["number"])
            for left in (*world.aside, *world.worktrees.values())
        }
        for (task, number), is_over in self._works.items():
            ref = names.attempt_ref(world.generation.name, task, number)
            branch = names.branch_ref(names.task_branch(world.generation.name, task))
            kept = ref in world.repository.store.refs or branch in world.repository.store.refs
            self._check(
                is_over or kept or (task, str(number)) in there, f"attempt {number} of {task} is lost"
            )

    def gates(self, change: int) -> None:
        """A gate begins or has ended."""
        assert self._config is not None
        self._gates += change
        most = self._config.gate_jobs
        self._check(self._gates <= most, f"{self._gates} gates run, and {most} may")

    # -- places and agents

    def task_may_start(self) -> None:
        """A task got a place. A further attempt may get one, and make no use of it."""
        alike = next((key for key, tasks in self._alike.items() if len(tasks) >= _MOST_ALIKE), "")
        self._check(not alike, f"a task may start after {_MOST_ALIKE} tasks failed alike: {alike}")

    def place_given(self, name: str, names: Iterable[str], ahead: int = 0) -> None:
        """An agent may start, of those of ``names``, in their order; so many others are ``ahead``."""
        assert self._config is not None
        assert self._run is not None
        stage, waits = self._world.stage, self._waits[name]
        if self._is_seen:
            earlier = itertools.takewhile(lambda one: one != name, names)
            able = [one for one in earlier if self._may_start(one, ahead)]
            self._check(not able, f"{name} may start, and {able} come first")
        self._places[name] += 1
        places, most = self._places.total(), self._config.jobs
        self._check(places <= most, f"{places} places of {most} are taken")
        self._check(not waits.lasts(stage.now), "an agent may start while the run waits for the API")
        allowed = waits.allowed
        places = self._places[name]
        self._check(places <= allowed, f"{places} agents may work, and {allowed} are allowed")
        is_refused = self._is_refused or name in self._ended
        self._check(not is_refused, "an agent may start after the API has refused all of them")
        health = self._run.healths[name]
        is_known = not self._is_seen or health.allowed == allowed
        self._check(is_known, f"{health.allowed} agents are allowed, not {allowed}")
        self.counts["agents that stood in"] += name != next(iter(self._waits))

    def no_place(self, names: Iterable[str]) -> None:
        """No agent may start, and no started task waits for a place."""
        assert self._config is not None
        is_full = self._places.total() >= self._config.jobs
        if self._is_seen and not (is_full or self._is_refused):
            able = [name for name in names if self._may_start(name)]
            self._check(not able, f"the run waits, and {able} may start")

    def _may_start(self, name: str, ahead: int = 0) -> bool:
        """Whether the API of an agent lets one more start, after those that are ``ahead``.

        Whether a limit is too long to be waited for is known by the code under test.
        """
        assert self._run is not None
        waits = self._waits[name]
        is_served = name not in self._ended and self._run.healths[name].stop is None
        return (
            is_served
            and not waits.lasts(self._world.stage.now)
            and self._places[name] + ahead < waits.allowed
        )

    def place_back(self, name: str) -> None:
        self._places[name] -= 1

    def agent_starts(self, agent: str, request: AgentRequest) -> None:
        assert self._config is not None
        task = request.task_id
        if request.session and request.session.turn:
            of_agent = request.session.id.rpartition("-")[0]
            self._check(of_agent == agent, f"{agent} goes on with a conversation of {of_agent}")
            self.counts["conversations that went on"] += 1
        self._working.add(task)
        self._check(self._asks_agents, f"an agent works on {task}, and none may be asked")
        self._check(len(self._working) <= self._config.jobs, f"{len(self._working)} agents work")
        self.counts["agents"] += 1
        if request.phase == "measure":
            waiting = [name for name in self._taken if not self._reports[name]]
            self._check(not waiting, f"{task} begins before {waiting} have ended")
            return
        for need in self._taken[task].needs:
            self._check(
                need not in self._taken or need in self._landed, f"{task} begins before {need} has landed"
            )

    def agent_ends(self, request: AgentRequest, result: AgentResult) -> None:
        self._working.discard(request.task_id)
        is_cancelled = str(result.completed.cause) == "cancelled"
        is_free = result.limited or is_cancelled
        self._attempts[request.task_id] += not is_free
        if result.error:
            self.counts["agents that failed"] += 1
            self._meets(request.task_id, result.error)

    def wrote(self, request: AgentRequest) -> None:
        """An agent has written something."""
        if request.phase == "measure":
            return
        self._works[request.task_id, int(request.transcript.parent.name)] = False

    # -- the API

    def troubled(self, agent: str, trouble: Trouble) -> None:
        self.counts["troubles of the API"] += 1
        if trouble.passes:
            self._waits[agent].met(self._world.stage.now, trouble.until)
        elif trouble.cause is Cause.ACCESS:
            self._is_refused = True
        elif trouble.cause is Cause.LIMITED:
            self._ended.add(agent)

    def served(self, agent: str, asked: datetime) -> None:
        if not (self._is_refused or agent in self._ended):
            self._waits[agent].served(self._world.stage.now, asked)

    def asked(self, task: str, most: int) -> None:
        self.counts["requests"] += 1
        self._under_way += Counter({task: most})
        self._check_money(task)

    def billed(self, task: str, most: int, cost: int) -> None:
        self._under_way[task] -= most
        self._spent[""] += cost
        if task:
            self._spent[task] += cost
        self._in_run[""] += cost

    def _check_money(self, task: str) -> None:
        assert self._config is not None
        assert self._run is not None
        config, all_of_it = self._config, sum(self._under_way.values())
        most = {
            "budget_usd": (config.budget_usd, self._in_run[""] + all_of_it),
            "generation_budget_usd": (config.generation_budget_usd, self._spent[""] + all_of_it),
        }
        if task:
            of_task = self._spent[task] + self._under_way[task]
            most["task_budget_usd"] = config.task_budget_usd, of_task
        for key, (limit, spent) in most.items():
            is_kept = limit is None or spent <= limit * _PICO
            self._check(is_kept, f"{key}: {spent / _PICO:.4f} of {limit} USD are spent or under way")
        for purse in self._run.budget.purses:
            taken = purse.spent + purse.reserved
            self._check(
                purse.limit is None or taken <= purse.limit, f"{purse.key}: {taken} are spent or reserved"
            )


def _signature(outcome: Outcome) -> str:
    """What an item failed of, if that may lie with no task; never a red test."""
    if outcome.cause is Cause.LANDING and "podman cannot start" in outcome.summary:
        return "sandbox"
    return "gate" if outcome.cause is Cause.GATE and "exit 127" in outcome.summary else ""
