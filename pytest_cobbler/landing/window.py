"""The window of the landing lane: the candidates that wait, each merged with the tree of those before it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pytest_cobbler.causes import Cause
from pytest_cobbler.display import named
from pytest_cobbler.errors import CobblerError
from pytest_cobbler.landing.candidates import Candidate, Landing
from pytest_cobbler.landing.merge_driver import MergeDriver
from pytest_cobbler.repository.changes import Change, read_change
from pytest_cobbler.repository.checks import Refusal, check_change, review_notes
from pytest_cobbler.repository.identity import Identity, Person
from pytest_cobbler.repository.landing import Merge, merge, merge_change
from pytest_cobbler.repository.pins import LANDING, Pins
from pytest_cobbler.repository.repository import Repository

__all__ = ["Link", "Waiting", "Window"]

_NOBODY = Identity.of(Person(name="pytest-cobbler", email="cobbler@localhost"))
"""Signs commits that no branch ever has."""


@dataclass(eq=False, kw_only=True)
class Waiting:
    """A candidate in the window.

    ``landing`` is its result, once it is decided. ``began``: when its gate began, by the monotonic clock.
    """

    candidate: Candidate
    landing: Landing | None = None
    is_over: bool = False
    began: float | None = None
    gate_seconds: float = 0.0


@dataclass(eq=False, kw_only=True)
class Link:
    """A candidate, merged with the tip or with the tree of the link before it.

    ``landing`` has what is known before a gate: the notes on the change, or the cause if it may not land.
    ``before`` is the tree before the change, ``paths`` are those that it changes.
    """

    waiting: Waiting
    merged: Merge
    landing: Landing
    before: str = ""
    paths: tuple[str, ...] = ()
    commit: str = ""
    """A commit of the merged tree, which no branch has: the next link is merged with it."""
    is_told: bool = False
    """Whether the listener knows of the merge."""

    @property
    def candidate(self) -> Candidate:
        return self.waiting.candidate

    @property
    def tree(self) -> str:
        return self.merged.tree


class Window:
    """The candidates in their order, and the chain of their merges.

    Any thread may add a candidate and wait for its end. All else is for the thread of the lane.
    """

    def __init__(self, repository: Repository, pins: Pins, driver: MergeDriver) -> None:
        """``driver`` merges what git cannot."""
        self._repository = repository
        self._pins = pins
        self._driver = driver
        self._changed = threading.Condition()
        self._waiting: list[Waiting] = []
        self._links: list[Link] = []
        self._linked = 0
        """How many of those that wait are in the chain, or cannot be behind the others in it."""
        self._tip = ""
        self.news = 0
        """Counts what has happened: arrivals, ends, and gates that are over."""

    def add(self, candidate: Candidate) -> Waiting:
        waiting = Waiting(candidate=candidate)
        with self._changed:
            self._waiting.append(waiting)
        self.tell()
        return waiting

    @property
    def size(self) -> int:
        return len(self._waiting)

    def tell(self) -> None:
        """Wake all threads that wait for something to happen."""
        with self._changed:
            self.news += 1
            self._changed.notify_all()

    def wait(self, news: int) -> None:
        """Wait until more has happened than ``news``."""
        with self._changed:
            while self.news == news:
                self._changed.wait()

    def wait_for(self, waiting: Waiting) -> None:
        """Wait for the end of a candidate."""
        with self._changed:
            while not waiting.is_over:
                self._changed.wait()

    # -- for the thread of the lane

    @property
    def first(self) -> Waiting:
        return self._waiting[0]

    @property
    def links(self) -> Sequence[Link]:
        return tuple(self._links)

    def chain(self, tip: str, most: int) -> Sequence[Link]:
        """Merge those that wait with ``tip``, each with all before it, up to ``most`` of them.

        The first link is that of the first candidate. If that may not land, it is the only one. Others that
        may not land behind those before them are left out: they are looked at again when they are the first.
        """
        if tip != self._tip or not self._links or self._links[0].waiting is not self.first:
            self._tip, self._links, self._linked = tip, [], 0
        return self.extend(most)

    def extend(self, most: int) -> Sequence[Link]:
        """The same on the tip of the last call, with the candidates that have arrived since."""
        with self._changed:
            waiting = list(self._waiting)
        while self._linked < len(waiting) and len(self._links) < most:
            if self._links and self._links[0].landing.cause:
                break
            link = self._link(waiting[self._linked])
            self._linked += 1
            if link:
                self._links.append(link)
        return self.links

    def landed(self, count: int, tip: str) -> None:
        """The first ``count`` links have landed, and ``tip`` is the last of their commits.

        It has the tree of the commit with which the next link was merged, and its parents. So a merge with it
        would give the same.
        """
        del self._links[:count]
        self._tip = tip
        for link in self._links[:1]:
            link.merged = replace(link.merged, tip=tip)
            link.landing = replace(link.landing, merged=link.merged)
            if not link.candidate.base:
                link.before = tip

    def end(self, waiting: Waiting, landing: Landing | None) -> None:
        """Take a candidate out of the window; ``None``: its landing was given up."""
        with self._changed:
            place = self._waiting.index(waiting)
            del self._waiting[place]
            if place < self._linked:
                self._linked -= 1
            for number, link in enumerate(self._links):
                if link.waiting is waiting:  # those behind it are merged with it
                    del self._links[number:]
                    self._linked = place
                    break
            waiting.landing, waiting.is_over = landing, True
        self.tell()

    # -- merges

    def _link(self, waiting: Waiting) -> Link | None:
        """The candidate behind the chain; ``None`` if it cannot be there."""
        if not self._links:
            return self._merged(waiting, self._tip)
        try:
            last = self._links[-1]
            last.commit = last.commit or self._commit(last)
            link = self._merged(waiting, last.commit)
        except CobblerError:  # when it is the first, the error is its own
            return None
        return None if link.landing.cause else link

    def _commit(self, link: Link) -> str:
        second = link.candidate.second_parent
        parents = [link.merged.tip, *([second] if second else [])]
        commit = self._repository.commit(link.tree, parents, "A merge in the gate\n", _NOBODY)
        self._pins.hold(LANDING, {f"chain-{self._links.index(link)}": commit})
        return commit

    def _merged(self, waiting: Waiting, tip: str) -> Link:
        candidate, repository = waiting.candidate, self._repository
        merged = (merge if candidate.second_parent else merge_change)(repository, tip, candidate.commit)
        if merged.conflicts:
            merged = self._driver.settle(repository, merged)
        landing = Landing(merged=merged)
        link = Link(waiting=waiting, merged=merged, landing=landing)
        if merged.conflicts:
            notes = (merged.unsettled,) if merged.unsettled else ()
            link.landing = replace(landing, cause=Cause.CONFLICT, notes=notes)
            return link
        # A merge of the base is a change even if the tree stays the same: it has another parent.
        joins_base = candidate.base and not candidate.of_person
        if not joins_base and merged.tree == repository.tree_of(tip):
            link.landing = replace(landing, cause=Cause.NO_CHANGE)
            return link
        link.before = self._before(candidate, merged)
        if merged.tree != repository.tree_of(candidate.commit):
            number = len(self._links)
            self._pins.hold(LANDING, {f"before-{number}": link.before, f"tree-{number}": merged.tree})
        change, refusals = self._checked(candidate, merged, link.before)
        if refusals:
            link.landing = replace(landing, cause=Cause.REFUSED, refusals=refusals)
            return link
        link.landing = replace(landing, notes=(*_settled(merged), *review_notes(change, candidate.policy)))
        link.paths = tuple(os.fsdecode(entry.path) for entry in change.entries)
        return link

    def _checked(
        self, candidate: Candidate, merged: Merge, before: str
    ) -> tuple[Change, tuple[Refusal, ...]]:
        """What the merge brings in, checked: it follows renames, to paths that were not checked before.

        No one has checked the work of a person before.
        """
        git = self._repository.objects
        if not candidate.of_person and merged.tree == self._repository.tree_of(candidate.commit):
            return read_change(git, before, merged.tree), ()
        return check_change(git, before, merged.tree, candidate.policy)

    def _before(self, candidate: Candidate, merged: Merge) -> str:
        """The tree before the change: the tip, merged with the base (trusted) if the change brings that."""
        if not candidate.base:
            return merged.tip
        trusted = candidate.base if candidate.of_person else f"{candidate.commit}^"
        return merge(self._repository, merged.tip, trusted).tree


def _settled(merged: Merge) -> Iterator[str]:
    """The note that names the files that git could not merge, and a program has merged; none without any."""
    if merged.settled:
        yield f"merged by merge_driver: {named(merged.settled)}"
