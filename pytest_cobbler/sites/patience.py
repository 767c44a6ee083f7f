"""How long the two halves of a site wait for each other, and the node's lease on its job."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

__all__ = ["Lease", "Patience", "now"]


def now() -> float:
    """Seconds on a clock that runs on while the machine is suspended, where it has one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Seconds.

    The coordinator sends a heartbeat each ``beat``. After ``silence`` without an answer it sends none, and
    the place is lost. The node ends its job when ``lease`` has passed; ``kill`` is the longest that this
    takes, and ``slack`` a reserve. ``end``: the longest that a job lives on when its node's half was killed.
    ``start``: the longest that a node's half takes to start, once it has a node.
    """

    beat: float = 10.0
    silence: float = 30.0
    lease: float = 60.0
    kill: float = 15.0
    slack: float = 10.0
    end: float = 5.0
    start: float = 60.0


class Lease:
    """Until when a node may let a job run.

    The node sends its time with each answer, and the coordinator sends the last one back with each heartbeat.
    The lease is counted from that: a heartbeat that has waited somewhere on its way does not prolong it.
    """

    def __init__(self, seconds: float) -> None:
        self._lock = threading.Lock()
        self._last = now()
        self._seconds = seconds

    def renew(self, stamp: float, seconds: float | None = None) -> None:
        """Count from ``stamp``, a time of this machine that the coordinator has sent back."""
        with self._lock:
            self._last = max(self._last, min(stamp, now()))
            self._seconds = self._seconds if seconds is None else seconds

    @property
    def is_over(self) -> bool:
        with self._lock:
            return now() > self._last + self._seconds
