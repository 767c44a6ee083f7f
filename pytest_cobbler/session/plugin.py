"""The generation session of ``--cobbler-generate``, ``--cobbler-resume`` and ``--cobbler-regate``."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pluggy import PluginValidationError

from pytest_cobbler.causes import Cause
from pytest_cobbler.config import Config, load
from pytest_cobbler.config.paths import repository_of
from pytest_cobbler.cycle.opened import Opened
from pytest_cobbler.cycle.opening import open_run
from pytest_cobbler.cycle.run import Run
from pytest_cobbler.display import below, escaped, escaped_lines
from pytest_cobbler.errors import CobblerError, UsageProblem
from pytest_cobbler.hooks import project_hooks
from pytest_cobbler.invocation import (
    announcer,
    configuration_path,
    ended_by_signals,
    overrides,
    record_directory,
    refuse_idle_options,
    warn_uncontained,
)
from pytest_cobbler.lifecycle.selection import LEFT_OUT, UNUSABLE, Outlook, Selection, look
from pytest_cobbler.listeners import PlannedItem
from pytest_cobbler.repository.names import is_usable_task_id
from pytest_cobbler.session.collection import ConfigurationSession
from pytest_cobbler.session.ending import append_step_summary, error_annotations, print_table
from pytest_cobbler.session.events import Events
from pytest_cobbler.session.junit import CaseFacts, complete_junit
from pytest_cobbler.session.live import LiveView
from pytest_cobbler.session.loop import Loop
from pytest_cobbler.session.next_steps import LastLines, next_steps
from pytest_cobbler.session.nodes import (
    STATE,
    AgentItem,
    ConfigurationFile,
    MeasureItem,
    StitchGroup,
    StitchItem,
)
from pytest_cobbler.session.other_plugins import selecting_addopts, turn_off
from pytest_cobbler.session.reporting import Reporting, facts_of
from pytest_cobbler.session.rerunning import kept_away
from pytest_cobbler.session.titles import show_titles
from pytest_cobbler.story.ends import rows_of, totals_of
from pytest_cobbler.story.events import Heard
from pytest_cobbler.story.following import Follower
from pytest_cobbler.story.model import Run as RunStory
from pytest_cobbler.tracker.base import Task

_WORDS: Mapping[str, tuple[str, str, dict[str, bool]]] = {
    "landed": ("passed", "L", {"green": True}),
    "proposed": ("passed", ".", {"green": True}),
    "blocked": ("skipped", "b", {"yellow": True}),
    "limited": ("skipped", "l", {"yellow": True}),
    "cancelled": ("skipped", "c", {"yellow": True}),
}


def register(config: pytest.Config, action: str) -> None:
    """Make this pytest session a generation session.

    Args:
        action: ``generate``; ``resume``, which never starts a generation; or ``regate``, which never asks an
            agent either.

    Raises:
        pytest.UsageError: the configuration or the command line is wrong.
    """
    if hasattr(config, "workerinput"):
        raise pytest.UsageError(f"--cobbler-{action} does not run in a worker of pytest-xdist")
    try:
        refuse_idle_options(config, action)
        path = configuration_path(config, f"--cobbler-{action}")
        given = overrides(config) | ({"cycles": 0} if action == "regate" else {})
        settings = load(path, given)
    except CobblerError as error:
        raise pytest.UsageError(escaped_lines(str(error))) from error
    session = GenerationSession(config, action, path, settings)
    config.stash[STATE] = session
    config.pluginmanager.register(session, "cobbler-generation")
    show_titles(config, session.took)
    complete_junit(config, settings, session.facts_of)
    config.pluginmanager.register(LastLines(session.next_steps), "cobbler-next")


class GenerationSession(ConfigurationSession):
    """The state of a generation session, and pytest's hooks, which delegate."""

    file_type = ConfigurationFile
    _reporting: Reporting
    _follower: Follower

    def __init__(self, config: pytest.Config, action: str, path: Path, settings: Config) -> None:
        super().__init__(config, path)
        self._action = action
        self.settings = settings
        self._hooks = project_hooks(config, settings)
        self.open_tasks: tuple[Task, ...] = ()
        self.generation_name = ""
        self._outlook: Outlook | None = None
        self._selection = Selection()
        self._opened: Opened | None = None
        self._loop: Loop | None = None
        self._live: LiveView | None = None
        self._events = Events()
        self._heard = Heard()
        self._items: list[AgentItem] = []
        self._by_key: dict[str, AgentItem] = {}
        self._stack = contextlib.ExitStack()
        self._header: list[str] = []
        self._failures: list[str] = []
        self._report: list[str] = []
        self._deselected = 0
        config.add_cleanup(self._stack.close)
        if not self._starts_nothing:
            warn_uncontained(settings)
        takes = f"{path.name}, {path.name}::measure or {path.name}::stitch[::ID]"
        self._take_arguments(action, takes)
        self._turned_off = turn_off(config)

    @property
    def _starts_new(self) -> bool:
        return self._action == "generate"

    @property
    def _asks_agents(self) -> bool:
        return self._action != "regate"

    def _look(self, *, estimates: bool = False) -> Outlook:
        return look(
            self.settings,
            self._hooks,
            start_new=self._starts_new,
            asks_agents=self._asks_agents,
            estimates=estimates,
        )

    @property
    def run(self) -> Run:
        assert self._opened is not None
        return self._opened.run

    # -- pytest's hooks

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Check everything before anything is collected or an agent starts."""
        try:
            self.config.pluginmanager.check_pending()  # pytest does the same, but only after our start
            self._check_ini_options()
            if self._starts_nothing:
                self._outlook = self._look(estimates=True)
                self._selection = self._outlook.selection
                generation = self._outlook.generation
                self.generation_name = generation.name if generation else ""
            else:
                with ended_by_signals():
                    if any("::" in argument for argument in self.config.args):
                        plan = self._look().selection
                        self._refuse_unknown_items(plan, maybe=plan.waiting)
                    record = record_directory(self.config)
                    opening = open_run(
                        self.settings,
                        freed=self._events.wake,
                        hooks=self._hooks,
                        record=record,
                        command=f"pytest --cobbler-{self._action}",
                        start_new=self._starts_new,
                        asks_agents=self._asks_agents,
                        say=announcer(self.config),
                        hear=self._heard.take,
                    )
                    self._opened = self._stack.enter_context(opening)
                self._selection = self._opened.selection
                self._follower = Follower(self.run.project.directory, self._heard)
                self.run.ledger.journal.write("session", **facts_of(self.config, self.settings, self.run))
                self._reporting = Reporting(self.run)
                self._refuse_unknown_items(self._selection)
                self.generation_name = self.run.project.generation.name
        except (CobblerError, OSError, PluginValidationError) as error:
            raise pytest.UsageError(escaped_lines(str(error))) from error
        except KeyboardInterrupt:
            pytest.exit("interrupted before the first agent was asked: nothing was spent")
        self.open_tasks = self._selection.taken

    def _refuse_unknown_items(self, selection: Selection, maybe: Collection[str] = ()) -> None:
        """Report node ids that name nothing before anything is shown or spent.

        Args:
            maybe: ids of tasks that may become items once a dead run's leavings are in order.
        """
        why_not = {task.id: "left for a later run: max_issues" for task in selection.left}
        why_not |= {**selection.waiting, **selection.foreign}
        names = {"stitch", "measure"}
        names |= {f"measure::cycle-{cycle}" for cycle in range(1, self.settings.cycles + 1)}
        names |= {f"stitch::{task_id}" for task_id in (*(task.id for task in selection.taken), *maybe)}
        for argument in self.config.args:
            name = argument.partition("::")[2]
            if name and name not in names:
                why = why_not.get(name.removeprefix("stitch::"), "")
                raise UsageProblem(
                    f"not found: {argument}{f' ({why})' if why else ''}",
                    f"List the items: pytest --cobbler-{self._action} --collect-only",
                )

    def took(self, key: str) -> str:
        """What an item took: its time, and its money; empty if that is unknown."""
        return self._live.took(key) if self._live else ""

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        self._deselected += len(items)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed and not self.config.option.continue_on_collection_errors:
            raise session.Interrupted(f"{session.testsfailed} errors during collection")
        if self._starts_nothing or not session.items:
            return True
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        self._live = LiveView(self._follower, reporter, self._events.wake)
        self._stack.callback(self._live.close)
        self._loop = Loop(session, self.run, self._events, reporter, self._live)
        self._stack.enter_context(self._reporting)
        if self._selection.left:
            self._loop.skip_measures(f"open tasks are left (max_issues): {len(self._selection.left)}")
        elif not self.settings.max_issues:
            self._loop.skip_measures("max_issues is 0")
        self._plan(session.items)
        self._loop.run()
        return True

    def _plan(self, items: Sequence[pytest.Item]) -> None:
        assert self._loop is not None
        ours = [item for item in items if isinstance(item, AgentItem)]
        self._items += ours
        self._by_key |= {item.key: item for item in ours}
        self._loop.add(ours)
        self.run.listener.planned([self._planned(item) for item in ours])

    def _planned(self, item: AgentItem) -> PlannedItem:
        if not isinstance(item, StitchItem):
            return PlannedItem(key=item.key)
        task, open_tasks = item.task, self.run.open_tasks
        needs = tuple(f"stitch::{need}" for need in task.needs if need in open_tasks)
        efforts = self.run.efforts
        only_lands = task.id in self.run.waiting  # its agent had ended; an estimate is of the whole task
        effort = efforts.of(task) if efforts.are_known and not only_lands else None
        return PlannedItem(key=item.key, title=task.title, needs=needs, effort=effort)

    def admit(self, measure: MeasureItem) -> None:
        """Make items of the proposed tasks, inside the call phase of ``measure``."""
        if not measure.tasks or not self._takes_new_tasks():
            return
        session = measure.session
        file = measure.getparent(ConfigurationFile)
        assert file is not None
        group = StitchGroup.from_parent(file, name="stitch")
        batch: list[pytest.Item] = [group.item(task, measure.cycle) for task in self._taken(measure.tasks)]
        for item in batch:
            item.ihook.pytest_itemcollected(item=item)
        self.config.hook.pytest_collection_modifyitems(session=session, config=self.config, items=batch)
        session.items.extend(batch)
        session.testscollected += len(batch)
        self._plan(batch)

    def _taken(self, tasks: Sequence[Task]) -> list[Task]:
        """The proposed tasks, without excluded ones and their dependants."""
        waiting = dict.fromkeys(self._hooks.left_out(tasks), LEFT_OUT)
        waiting |= {task.id: UNUSABLE for task in tasks if not is_usable_task_id(task.id)}
        while more := {
            task.id: f"waits for {need}"
            for task in tasks
            for need in task.needs
            if need in waiting and task.id not in waiting
        }:
            waiting |= more
        self._selection = replace(self._selection, waiting={**self._selection.waiting, **waiting})
        return [task for task in tasks if task.id not in waiting]

    def _takes_new_tasks(self) -> bool:
        """Whether the command line also selects stitches that do not exist yet."""
        selected = {tuple(argument.split("::")[1:]) for argument in self.config.args}
        return () in selected or ("stitch",) in selected

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if isinstance(item, AgentItem) and item.outcome is not None:
            item.amend(report, item.outcome)
        return report

    def pytest_report_teststatus(self, report: pytest.TestReport) -> Any:
        properties = dict(getattr(report, "user_properties", ()))
        word = str(properties.get("cobbler_outcome", ""))
        category, letter, markup = _WORDS.get(word, ("", "", {}))
        if category != report.outcome or (report.passed and report.when != "call"):
            return None
        if properties.get("cobbler_cause") == Cause.NOT_ASKED:
            return None  # a plain skip
        train = properties.get("cobbler_train")
        word = f"{word.upper()} (train of {train})" if train else word.upper()
        return category, letter, (word, markup)

    def pytest_report_header(self) -> list[str]:
        from pytest_cobbler.session.texts import header, plan

        if self._opened is None:
            return list(map(escaped_lines, plan(self._outlook))) if self._outlook else []
        self._header = header(self._opened, self.settings, [*self._turned_off, *kept_away(self.config)])
        return list(map(escaped_lines, self._header))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Finish all queued work, so that the summary has the final state."""
        if self._opened is None:
            return
        lane = self.run.ledger.tracker
        try:
            self._stack.close()
        except Exception as error:  # landed work stays landed: the summary lists the error
            self._failures.append(f"CLEANUP: {error}")
        self._failures += [f"TRACKER: {failure.call}: {failure.error}" for failure in lane.failures]
        self._failures += self.run.listener.failures()
        self._failures += self._lost_landings()
        self._failures += [
            f"NODE: {one}; the next run with sandbox: {one.engine} asks the node again"
            for one in self.run.site.unreached()
        ]
        self._failures += [f"SIGNATURE: {failure}" for failure in self.run.notary.failures]
        self._failures += [f"HOOK: {problem}" for problem in (self._loop.too_late if self._loop else ())]
        unusable = UNUSABLE in self._selection.waiting.values()
        not_selected = self._loop.not_selected if self._loop else []
        hidden = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) if self._failures else (0,)
        if (self._failures or not_selected or unusable) and session.exitstatus in hidden:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        self.run.ledger.journal.write("end", exit=int(session.exitstatus))
        self._report = [self._reporting.finish()]
        if failure := append_step_summary(self._told(), self.generation_name, self._report[0]):
            self._report.append(failure)

    def _told(self) -> RunStory:
        """What has happened in this run: the story that the live view shows while it works."""
        story = self._follower.hear()
        assert story is not None
        return story

    def _lost_landings(self) -> list[str]:
        """Landings that a person took off the branch, with what to do."""
        assert self._opened is not None
        try:
            return self._opened.lost()
        except CobblerError as error:
            return [f"CLEANUP: {error}"]

    def facts_of(self, key: str) -> CaseFacts | None:
        """What the JUnit report has of an item."""
        item = self._by_key.get(key)
        if item is None or item.outcome is None:
            return None
        return CaseFacts(
            transcript=item.outcome.transcript_tail,
            item=self._told().items.get(key),
            directory=below(self.run.project.directory, repository_of(self.settings.root)),
        )

    def next_steps(self) -> list[str]:
        """What a person may do after this run."""
        if self._opened is None:
            return []
        here = self.config.invocation_params.dir
        try:
            return next_steps(self.run, self._selection, self._items, here)
        except CobblerError as error:  # git has failed, after all reports
            return [escaped(f"what to do next cannot be told: {error.cause}")]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._opened is None:
            return
        from pytest_cobbler.session.texts import all_deselected, summary

        rows = rows_of(self._told())
        cost = totals_of(rows).shown
        lines = summary(self._opened, self._selection, self._items, self._failures, self._header, cost)
        lines += self._report
        if self._deselected and not self._items:
            lines.append(all_deselected(self._deselected, selecting_addopts(self.config)))
        terminalreporter.ensure_newline()
        terminalreporter.section("cobbler", "-")
        print_table(rows, terminalreporter)
        for line in lines:
            terminalreporter.write_line(escaped_lines(line))
        for command in error_annotations(rows, self.settings):
            terminalreporter.write_line(command)
