"""The session of ``--cobbler-verify``: an item for each landed commit."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.config import Config, load
from pytest_cobbler.display import counted, escaped, escaped_lines, quoted
from pytest_cobbler.errors import CobblerError
from pytest_cobbler.hooks import project_hooks
from pytest_cobbler.invocation import (
    configuration_path,
    ended_by_signals,
    overrides,
    refuse_idle_options,
    warn_uncontained,
)
from pytest_cobbler.lifecycle.verifying import Status, Verification, Verifier, chosen_commits
from pytest_cobbler.process import Cancellation
from pytest_cobbler.report.evidence import informative
from pytest_cobbler.repository.trailers import Landed
from pytest_cobbler.session.collection import ConfigurationSession
from pytest_cobbler.session.item import SessionItem
from pytest_cobbler.session.junit import complete_junit
from pytest_cobbler.session.nodes import printable
from pytest_cobbler.session.other_plugins import turn_off
from pytest_cobbler.session.rerunning import kept_away
from pytest_cobbler.session.titles import show_titles
from pytest_cobbler.wiring.project import open_repository

_STATE: pytest.StashKey[VerificationSession] = pytest.StashKey()
_GROUP = "verify"
_OUTCOME = "cobbler_outcome"
_WORDS: Mapping[str, tuple[str, str, dict[str, bool]]] = {
    Status.VERIFIED: ("passed", "V", {"green": True}),
    Status.DIFFERS: ("failed", "D", {"red": True}),
    Status.MISSING: ("failed", "n", {"red": True}),
    Status.IMPOSSIBLE: ("failed", "c", {"red": True}),
}


def register_verification(config: pytest.Config) -> None:
    """Make this pytest session one that verifies commits.

    Raises:
        pytest.UsageError: the configuration or the command line is wrong.
    """
    if hasattr(config, "workerinput"):
        raise pytest.UsageError("--cobbler-verify does not run in a worker of pytest-xdist")
    try:
        refuse_idle_options(config, "verify")
        path = configuration_path(config, "--cobbler-verify")
        settings = load(path, overrides(config))
        session = VerificationSession(config, path, settings)
    except CobblerError as error:
        raise pytest.UsageError(escaped_lines(str(error))) from error
    config.stash[_STATE] = session
    config.pluginmanager.register(session, "cobbler-verification")
    show_titles(config)
    complete_junit(config, settings)


class NotVerified(Exception):
    """A commit that could not be verified; shown as text, without a traceback."""


class VerifiedFile(pytest.File):
    """``configuration.yaml`` as the file that holds the items."""

    def collect(self) -> Iterator[pytest.Collector]:
        yield CommitGroup.from_parent(self, name=_GROUP)


class CommitGroup(pytest.Collector):
    """One item for each commit, oldest first."""

    def collect(self) -> Iterator[pytest.Item]:
        for landed in self.config.stash[_STATE].commits:
            yield CommitItem.from_parent(self, name=landed.commit[:12], landed=landed)


class CommitItem(SessionItem):
    """Verifies a commit."""

    def __init__(self, *, landed: Landed, **kw: Any) -> None:
        super().__init__(**kw)
        self.landed = landed
        self.extra_keyword_matches |= {landed.title, landed.task}

    @property
    def title(self) -> str:
        return escaped(self.landed.title)

    def runtest(self) -> None:
        session = self.config.stash[_STATE]
        found = session.verify(self.landed.commit)
        session.take(self, found)
        properties = {
            "cobbler_task": self.landed.task,
            "cobbler_title": escaped(self.landed.title),
            "cobbler_commit": self.landed.commit,
            _OUTCOME: str(found.status),
            "cobbler_tests": found.tests,
            "cobbler_notes": "\n".join(map(escaped, found.remarks)),
        }
        self.user_properties += [pair for pair in properties.items() if pair[1]]
        if found.log:
            self.add_report_section("call", "stdout gate", quoted(informative(found.log)))
        if found.status is not Status.VERIFIED:
            raise NotVerified(found.summary)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, NotVerified | CobblerError):
            return escaped_lines(str(excinfo.value))
        return printable(super().repr_failure(excinfo, style))


class VerificationSession(ConfigurationSession):
    """The commits of this session, and pytest's hooks."""

    file_type = VerifiedFile

    def __init__(self, config: pytest.Config, path: Path, settings: Config) -> None:
        super().__init__(config, path)
        self._settings = settings
        self._hooks = project_hooks(config, settings)
        self._verifier: Verifier | None = None
        self.commits: list[Landed] = []
        self._lines: list[str] = []
        if not self._starts_nothing:
            warn_uncontained(settings)
        self._take_arguments("verify", f"{path.name} or {path.name}::{_GROUP}[::COMMIT]")
        self._turned_off = turn_off(config)

    def verify(self, commit: str) -> Verification:
        assert self._verifier is not None
        return self._verifier.verify(commit, Cancellation())

    def take(self, item: CommitItem, verification: Verification) -> None:
        """Note the lines of an item for the end of the session."""
        title = f" {item.landed.title}" if item.landed.title else ""
        self._lines.append(escaped(f"{item.name}{title}: {verification.summary}"))
        self._lines += (escaped(f"  {remark}") for remark in verification.remarks)

    # -- pytest's hooks

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        try:
            self._check_ini_options()
            repository = open_repository(self._settings)
            chosen = str(self.config.getoption("cobbler_verify"))
            self.commits = chosen_commits(self._settings, repository, chosen)
        except (CobblerError, OSError) as error:
            raise pytest.UsageError(escaped_lines(str(error))) from error
        self._verifier = Verifier(self._settings, repository, self._hooks)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        with ended_by_signals():
            return (yield)

    def pytest_report_header(self) -> list[str]:
        line = f"cobbler: commits to verify: {len(self.commits)}"
        return list(map(escaped_lines, [line, *self._turned_off, *kept_away(self.config)]))

    def pytest_report_teststatus(self, report: pytest.TestReport) -> Any:
        word = str(dict(getattr(report, "user_properties", ())).get(_OUTCOME, ""))
        category, letter, markup = _WORDS.get(word, ("", "", {}))
        if report.when != "call" or category != report.outcome:
            return None
        return category, letter, (word.upper(), markup)

    def _nothing(self) -> list[str]:
        """Why no commit was verified."""
        if not self.commits:
            return ["no landed commit to verify"]
        return [f"{counted(len(self.commits), 'commit')} to verify, 0 verified"]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.ensure_newline()
        terminalreporter.section("cobbler", "-")
        for line in self._lines or self._nothing():
            terminalreporter.write_line(escaped_lines(line))
