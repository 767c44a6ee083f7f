"""Tasks that failed in run after run: they are set aside by a label until a person removes it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Final

from pytest_cobbler.causes import Cause

__all__ = ["SET_ASIDE", "WHY_SET_ASIDE", "counts", "failed_runs"]

SET_ASIDE: Final = "cobbler-set-aside"
"""The label."""

WHY_SET_ASIDE: Final = f"set aside after failed runs: remove its label {SET_ASIDE} to try it again"

_OF_OTHERS: Final = frozenset({Cause.LANDING, Cause.SANDBOX, Cause.HOOK, Cause.ERROR})
"""Causes of failures that do not lie with the task."""


def counts(cause: Cause) -> bool:
    """Whether a failure with this cause is one of the task."""
    return cause not in _OF_OTHERS


def failed_runs(comments: Iterable[str]) -> int:
    """The runs that a task failed in since it was last set aside, by the comments of those runs."""
    number = 0
    for comment in comments:
        try:
            record = json.loads(comment.rpartition("\n")[2])
        except (ValueError, RecursionError):
            continue
        if not isinstance(record, Mapping) or record.get("caller") != "stitch":
            continue
        if record.get("commit") or record.get("set_aside"):
            number = 0
        elif record.get("outcome") == "failed" and not (record.get("shared") or record.get("regated")):
            number += counts(Cause.parse(str(record.get("cause"))))
    return number
