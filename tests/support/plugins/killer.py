"""A plugin that ends its own pytest, as ``kill -9`` does, right after a line of the journal.

``KILL_AFTER`` says which: ``land:2`` is the second landing, ``*:7`` the seventh line.
"""

from __future__ import annotations

import itertools
import os
import signal

from pytest_cobbler.report.journal import Journal


def pytest_configure() -> None:
    kind, _, number = os.environ["KILL_AFTER"].partition(":")
    seen = itertools.count(1)
    write = Journal.write

    def write_and_die(self: Journal, event: str, **facts: object) -> None:
        write(self, event, **facts)
        if kind in ("*", event) and next(seen) == int(number):
            os.kill(os.getpid(), signal.SIGKILL)

    Journal.write = write_and_die  # type: ignore[method-assign]
