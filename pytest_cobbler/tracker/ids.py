"""Ids of issues, made as bd makes them."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from pytest_cobbler.errors import TrackerError
from pytest_cobbler.tracker.base import ACTOR, NewTask

__all__ = ["hash_id", "id_length", "issue_prefix", "new_ids", "prefix_in_use"]

_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
_BYTES = {3: 2, 4: 3, 5: 4, 6: 4, 7: 5, 8: 5}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def issue_prefix(name: str) -> str:
    """A prefix for ids, made from ``name``: letters, digits and ``_``."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "task"


def prefix_in_use(ids: Collection[str]) -> str:
    """The prefix that most of ``ids`` have; empty if there is none."""
    used = Counter(name.rpartition("-")[0] for name in ids if "-" in name)
    return used.most_common(1)[0][0] if used else ""


def new_ids(
    tasks: Sequence[NewTask], times: Mapping[str, datetime], prefix: str, taken: Collection[str]
) -> dict[str, str]:
    """A new id for each task by its key; ``times[key]`` is when the task was created."""
    used = set(taken)
    count = sum(name.startswith(f"{prefix}-") and "." not in name for name in used)
    ids: dict[str, str] = {}
    for task in tasks:
        ids[task.key] = _new_id(task, times[task.key], prefix, used, id_length(count + len(ids)))
        used.add(ids[task.key])
    return ids


def id_length(issues: int) -> int:
    """The shortest length, 3 to 8, with which two of ``issues`` collide with a chance of at most 25 %."""
    for length in range(3, 8):
        if 1 - math.exp(-(issues**2) / (2 * 36**length)) <= 0.25:
            return length
    return 8


def hash_id(title: str, description: str, creator: str, created: datetime, length: int, nonce: int) -> str:
    """The part of an id after the prefix, as in ``internal/idgen/hash.go`` of beads."""
    nanoseconds = (created - _EPOCH) // timedelta(microseconds=1) * 1000
    seed = f"{title}|{description}|{creator}|{nanoseconds}|{nonce}".encode("utf-8", "replace")
    number = int.from_bytes(hashlib.sha256(seed).digest()[: _BYTES[length]], "big")
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _BASE36[digit] + digits
    return digits.rjust(length, "0")[-length:]


def _new_id(task: NewTask, created: datetime, prefix: str, taken: set[str], shortest: int) -> str:
    for length in range(shortest, 9):
        for nonce in range(10):
            name = f"{prefix}-{hash_id(task.title, task.description, ACTOR, created, length, nonce)}"
            if name not in taken:
                return name
    raise TrackerError(f"no free id for {task.title!r} under the prefix {prefix}")
