"""What people do while runs work on their repository, and between runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pytest_cobbler.config import Config
from pytest_cobbler.lifecycle.setting_aside import SET_ASIDE
from tests.simulator.invariants import Invariants
from tests.simulator.standins import Signals
from tests.simulator.world import RED, World

__all__ = ["People"]


class People:
    """Each act returns what it did, or nothing if there was nothing to do it to."""

    def __init__(self, world: World, invariants: Invariants) -> None:
        self._world = world
        self._invariants = invariants
        self._saved = dict(world.tracker.store)
        self.budget_factor = 1.0

    def act(self, name: str) -> str:
        """Do it.

        Returns:
            what was done; empty if it was not possible.
        """
        done: str = getattr(self, name.replace(" ", "_").replace("-", "_").lower())()
        if done:
            self._world.say("person", f"{name}: {done}")
        return done

    def config(self, config: Config) -> Config:
        """The configuration, as a person has changed it."""
        names = ("budget_usd", "generation_budget_usd", "task_budget_usd")
        raised = {name: getattr(config, name) for name in names}
        return config.model_copy(
            update={name: value and value * self.budget_factor for name, value in raised.items()}
        )

    def between_runs(self) -> None:
        """What a person does who was told why the last run did not begin."""
        world = self._world
        world.repository.store.checked_out.clear()
        world.repository.fails = world.tracker.fails = 0
        if world.is_red(world.repository.tree_of(world.tip)):
            self._commit("mended.txt", "mended", without=RED)

    # -- acts

    def add_a_task(self) -> str:
        tracker, draw = self._world.tracker, self._world.numbers
        needs = draw.sample(sorted(tracker.store), 1) if draw.random() < 0.5 else []
        return tracker.add(needs, draw.randint(0, 3)).id

    def add_a_free_task(self) -> str:
        """One that needs no other: those that are there may all wait for a person."""
        return self._world.tracker.add([], self._world.numbers.randint(0, 3)).id

    def close_a_task(self) -> str:
        task = self._some("open")
        if task:
            self._world.tracker.change(replace(self._world.tracker.store[task], status="closed"))
        return task

    def reopen_a_task(self) -> str:
        task = self._some("closed")
        if task:
            self._world.tracker.change(replace(self._world.tracker.store[task], status="open", assignee=""))
            self._invariants.reopened(task)
        return task

    def edit_a_task(self) -> str:
        task = self._some("open", "in_progress")
        if task:
            draw, old = self._world.numbers, self._world.tracker.store[task]
            self._world.tracker.change(replace(old, priority=draw.randint(0, 4), title=f"{old.title}!"))
        return task

    def rewind_the_branch(self) -> str:
        world = self._world
        commits = [one.id for one in world.repository.history(world.tip)]
        older = commits[1 : commits.index(world.generation.first) + 1]
        if not older:
            return ""
        world.repository.store.refs[world.generation.ref] = to = world.numbers.choice(older[:3])
        return f"to {to[:7]}"

    def commit_on_the_branch(self) -> str:
        return self._commit(f"person-{self._world.numbers.randint(0, 9)}.txt", "by a person")

    def break_the_branch(self) -> str:
        return self._commit("broken.txt", f"{RED} by a person")

    def _commit(self, path: str, text: str, without: str = "") -> str:
        world, repository = self._world, self._world.repository
        files = dict(repository.files_of(world.tip))
        if without:
            files = {name: old for name, old in files.items() if not old.startswith(without)}
        tree = repository.tree({**files, path: f"{text} {len(repository.store.commits)}"})
        made = repository.commit(tree, [world.tip], "By a person\n", repository.identity())
        repository.store.refs[world.generation.ref] = made
        return made[:7]

    def check_the_branch_out(self) -> str:
        self._world.repository.store.checked_out[self._world.generation.ref] = Path("/elsewhere")
        return "elsewhere"

    def raise_the_budget(self) -> str:
        self.budget_factor *= 3
        return f"{self.budget_factor:g} times"

    def remove_the_label(self) -> str:
        store = self._world.tracker.store
        labelled = [task for task in sorted(store) if SET_ASIDE in store[task].labels]
        for task in labelled:
            self._world.tracker.change(replace(store[task], labels=()))
        return ", ".join(labelled)

    def delete_a_task(self) -> str:
        task = self._some("open", "in_progress", "closed")
        self._world.tracker.store.pop(task, None)
        return task

    def take_a_task_over(self) -> str:
        """A person works on it."""
        task = self._some("open", "in_progress")
        if task:
            old = self._world.tracker.store[task]
            self._world.tracker.change(replace(old, status="in_progress", assignee="jane"))
            self._invariants.taken_over(task)
        return task

    def restore_the_tracker(self) -> str:
        """To its state before the first run. A task that was added since is gone."""
        world = self._world
        if self._invariants.is_running:
            return ""
        world.tracker.store = dict(self._saved)
        world.tracker.notes = {}
        self._invariants.restored()
        return "to its beginning"

    def press_ctrl_c(self) -> str:
        return self._press(1)

    def press_ctrl_c_twice(self) -> str:
        return self._press(2)

    def _press(self, times: int) -> str:
        if not Signals.handlers or not self._invariants.is_running:
            return ""
        Signals.pressed += times
        return f"{times}x"

    def _some(self, *states: str) -> str:
        store = self._world.tracker.store
        tasks = [task for task in sorted(store) if store[task].status in states]
        return self._world.numbers.choice(tasks) if tasks else ""
