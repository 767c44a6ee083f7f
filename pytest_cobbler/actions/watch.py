"""``--cobbler-watch``: the live view of a run that is at work in another terminal."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from pytest_cobbler.config import load
from pytest_cobbler.display import escaped
from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.invocation import configuration_path, ended_by_signals
from pytest_cobbler.repository.lock import is_locked
from pytest_cobbler.story.events import Event, GrowingFile
from pytest_cobbler.story.fold import read_story
from pytest_cobbler.story.following import Follower
from pytest_cobbler.story.model import Run
from pytest_cobbler.view.lines import run_lines, text_of
from pytest_cobbler.view.news import alive, ending, news, timed
from pytest_cobbler.view.terminals import can_move_cursor
from pytest_cobbler.view.unfolding import last_lines
from pytest_cobbler.wiring.project import open_repository

if TYPE_CHECKING:
    from pytest_cobbler.view.screen import Screen

_PAUSE: Final = 0.5
"""Seconds between two looks at the run."""
_SILENCE: Final = 60.0
"""Seconds without a line after which one says that the run is alive."""
_PATIENCE: Final = 15.0
"""Seconds that a run has to write its end after it has given back the repository."""
_WIDE: Final = 10_000


def run(config: pytest.Config) -> int:
    """Show the run until it ends, or the user ends this; changes nothing and takes no lock.

    Raises:
        CobblerError: no run is at work, or git failed.
    """
    settings = load(configuration_path(config, "--cobbler-watch"))
    common_dir = open_repository(settings).common_dir
    watching = _Watching(settings.cobbler_dir, str(config.getoption("cobbler_watch")), common_dir)
    verbosity = config.get_verbosity()
    try:
        with ended_by_signals(), contextlib.closing(_Shown(verbosity, colours=_has_colours(config))) as shown:
            watching.follow(shown)
    except KeyboardInterrupt:
        return int(pytest.ExitCode.INTERRUPTED)
    return 0


def _has_colours(config: pytest.Config) -> bool:
    """Whether a terminal gets colours, by the option and the variables that pytest follows."""
    is_off = bool(os.environ.get("NO_COLOR")) or os.environ.get("PY_COLORS") == "0"
    return config.getoption("color") == "yes" or (config.getoption("color") == "auto" and not is_off)


class _Shown:
    """What is on the terminal or in the pipe."""

    def __init__(self, verbosity: int, *, colours: bool) -> None:
        self._verbosity = verbosity
        self._screen: Screen | None = None
        self._printed = time.time()
        self._has_printed = False
        if can_move_cursor(sys.stdout):
            from pytest_cobbler.view.screen import Screen
            from pytest_cobbler.view.signals import follow_terminal

            self._screen = Screen(sys.stdout, colours=colours)
            self._restore = follow_terminal(self._screen, lambda: None)

    def close(self) -> None:
        if self._screen:
            self._restore()
            self._screen.close()
            if self._has_printed:
                sys.stdout.write("\n")

    @property
    def has_block(self) -> bool:
        return self._screen is not None

    def print(self, lines: Sequence[str]) -> None:
        if not lines:
            return
        self._printed = time.time()
        if self._screen:  # the cursor stays in the last line, and the block comes right below it
            self._screen.hide()
            text = "\n".join(lines)
            sys.stdout.write(f"\n{text}" if self._has_printed else text)
        else:
            sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()
        self._has_printed = True

    def refresh(self, run: Run, follower: Follower, now: float) -> None:
        if self._screen:
            self._screen.show(run, follower.doing, now, is_brief=self._verbosity < 0)
        elif now - self._printed >= _SILENCE:
            self.print([alive(run, follower.doing, now)])


class _Watching:
    """Finds the run at work and follows it.

    Args:
        cobbler_dir: has a directory for each generation.
        generation: its name; empty: the one of the run at work.
        common_dir: that of the repository, which a run locks.
    """

    def __init__(self, cobbler_dir: Path, generation: str, common_dir: Path) -> None:
        self._cobbler_dir = cobbler_dir
        self._generation = generation
        self._common_dir = common_dir
        self._shown: _Shown | None = None
        self._directory = cobbler_dir
        self._run = ""
        """The id of the run whose events are printed."""

    def follow(self, shown: _Shown) -> None:
        """Show the run at work until it ends.

        Raises:
            UsageProblem: there is none.
        """
        self._shown = shown
        directory = self._find()
        self._directory = directory
        follower = Follower(directory, GrowingFile(directory / "journal.jsonl"), self._take)
        follower.refresh(time.time())
        run = follower.story.run
        assert run is not None
        self._run = run.id
        shown.print([f"{escaped(directory.name)}: run {escaped(run.id)}", *self._ended(run)])
        unlocked = 0.0
        while not run.is_over:
            now = time.time()
            unlocked = 0.0 if is_locked(self._common_dir) else unlocked or now
            if unlocked and now - unlocked > _PATIENCE:
                shown.print([timed(now, "the run was killed; the next one takes up its work")])
                return
            shown.refresh(run, follower, now)
            time.sleep(_PAUSE)
            follower.refresh(time.time())
        end = " ".join(text_of(line) for line in run_lines(run, run.ended or run.last, _WIDE))
        shown.print([timed(run.ended or run.last, f"the run has ended: {end}")])

    def _find(self) -> Path:
        """The directory of the generation on which a run is at work; waits for one that is about to begin."""
        assert self._shown is not None
        is_told = False
        while True:
            is_held = is_locked(self._common_dir)
            for journal in self._journals():
                run = read_story(journal).run
                if run and not run.is_over and is_held:
                    return journal.parent
            if not is_held:
                where = f" on {self._generation}" if self._generation else ""
                raise UsageProblem(
                    f"--cobbler-watch: no run is at work{where}",
                    "Start one: pytest --cobbler-resume; what earlier ones did: pytest --cobbler-report",
                )
            if not is_told:
                is_told = True
                self._shown.print(
                    [timed(time.time(), "a command holds the repository; no run has begun yet")]
                )
            time.sleep(_PAUSE)

    def _journals(self) -> list[Path]:
        """The journal in which a run may be writing: the one that was written last."""
        if self._generation:
            return [self._cobbler_dir / self._generation / "journal.jsonl"]
        times = {}
        for path in self._cobbler_dir.glob("*/journal.jsonl"):
            with contextlib.suppress(OSError):
                times[path] = path.stat().st_mtime
        return sorted(times, key=lambda path: times[path])[-1:]

    def _ended(self, run: Run) -> list[str]:
        """The lines of the items that have ended already."""
        return [ending(item) for item in run.items.values() if item.outcome]

    def _take(self, event: Event, run: Run) -> None:
        """Show an event of the run that is followed."""
        if self._shown is None or run.id != self._run:
            return
        if not self._shown.has_block:
            if line := news(event, run):
                self._shown.print([line])
        elif event["event"] == "item" and (item := run.items.get(str(event.get("key")))):
            self._shown.print([ending(item)])
        if event["event"] == "item" and (item := run.items.get(str(event.get("key")))):
            self._shown.print(last_lines(self._directory, item))
