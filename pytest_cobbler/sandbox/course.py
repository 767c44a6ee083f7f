"""One run of a job in a container: its output, and the program that runs in the container afterwards."""

from __future__ import annotations

import time
from contextlib import ExitStack

from pytest_cobbler.errors import CobblerError
from pytest_cobbler.process import Finish
from pytest_cobbler.sandbox import lifeline
from pytest_cobbler.sandbox.base import Job
from pytest_cobbler.sandbox.collecting import Collected, Nowhere, Separator
from pytest_cobbler.sandbox.disk import DiskWatch
from pytest_cobbler.sandbox.stderr import ErrorTail

__all__ = ["Course"]


class Course:
    """One run of a job: where its output goes, and how it goes on when all its processes have ended."""

    def __init__(self, job: Job, errors: ErrorTail, watch: DiskWatch) -> None:
        self.job = job
        self.network = ExitStack()
        """What the job reaches, while it runs."""
        self.words = lifeline.Words(lifeline.Tokens(), errors, self._go_on)
        token = self.words.tokens.last.encode()
        self.collected = Collected(token)
        after = job.afterwards
        self._second = Separator(token, after.output, Nowhere()) if after else None
        self.stdout = Separator(token, job.stdout or job.on_line or Nowhere(), self._second or self.collected)
        self.finish = Finish(after.seconds, lifeline.TERM, lifeline.KILL) if after else None
        self._watch = watch
        self._over: float | None = None
        self.seconds_afterwards = 0.0

    def _go_on(self) -> None:
        """Answer the first process, which is alone now, whether the program that runs afterwards may run."""
        assert self.finish
        assert self.job.afterwards
        self._over = time.monotonic()
        self.network.close()
        self._watch.stop()
        try:
            self.job.afterwards.prepare()
            answer = self.words.tokens.last
        except (CobblerError, OSError):
            answer = "no"
        self.finish.begin(f"{answer}\n".encode())

    def close(self) -> None:
        """Pass on the ends of the outputs."""
        self.stdout.close()
        if self._second:
            self._second.close()
        if self._over is not None:
            self.seconds_afterwards = time.monotonic() - self._over

    @property
    def went_on(self) -> bool:
        """Whether the program that runs afterwards has succeeded, and its output is whole."""
        return self._second is not None and self._second.is_over and self.words.went_on
