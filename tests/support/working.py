"""A job that works in a place until something ends it."""

from __future__ import annotations

import threading

from pytest_cobbler.sandbox.base import Completed, Job, Limits
from pytest_cobbler.sandbox.site import Place
from pytest_cobbler.sites.remote import RemoteSite
from tests.support.repositories import Bench

__all__ = ["Working"]


class Working:
    """The job, which has begun.

    Args:
        script: for ``sh``. Its first line of output means that it has begun.
        seconds: the longest time until it has begun, and until it has ended.
    """

    def __init__(self, site: RemoteSite, bench: Bench, script: str, seconds: float) -> None:
        tree, purpose = bench.repository.tree_of(bench.tip), {"task": "t", "number": "1"}
        self.place: Place = site.open("t-1", parent=bench.tip, tree=tree, purpose=purpose)
        self._script = script
        self._seconds = seconds
        self._began = threading.Event()
        self._ends: list[Completed] = []
        self._thread = threading.Thread(target=self._work)
        self._thread.start()
        assert self._began.wait(seconds)

    def _work(self) -> None:
        job = Job(
            name="work",
            argv=("sh", "-euc", self._script),
            workdir=str(self.place.checkout),
            limits=Limits(wall=120),
            on_line=lambda _line: self._began.set(),
        )
        self._ends.append(self.place.sandbox.run(job))

    def end(self) -> Completed:
        self._thread.join(self._seconds)
        (completed,) = self._ends
        return completed
