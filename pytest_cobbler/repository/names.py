"""Names of branches, tags and refs: made and matched whole, never by a prefix."""

from __future__ import annotations

import re
import shlex
from collections.abc import Container
from datetime import datetime, timedelta

STAMP = "%Y-%m-%d-%H-%M-%S"
ATTEMPTS = "refs/cobbler/attempts/"
LEFT = "refs/cobbler/left/"
LANDED = "refs/cobbler/landed/"

_TASK_ID = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]|\.(?![.]))*")


def generation_name(prefix: str, now: datetime, taken: Container[str]) -> str:
    """``<prefix>YYYY-MM-DD-HH-MM-SS``; the next free second if that one is taken."""
    while (name := prefix + now.strftime(STAMP)) in taken:
        now += timedelta(seconds=1)
    return name


def branch_ref(branch: str) -> str:
    return f"refs/heads/{branch}"


def tag_ref(generation: str, kind: str) -> str:
    """``kind``: start, finished, merged or abandoned."""
    return f"refs/tags/{generation}-{kind}"


def fetch_command(remote: str, generation: str) -> str:
    """The command of a person that brings the branch of a generation, its tags and all kept work."""
    refs = [f"refs/tags/{generation}-*", f"{attempts_prefix(generation)}*", f"{left_prefix(generation)}*"]
    specs = [f"{generation}:{generation}", *(f"{ref}:{ref}" for ref in refs)]
    return f"git fetch {shlex.join([remote, *specs])}"


def task_branch(generation: str, task_id: str) -> str:
    return f"task/{generation}-{task_id}"


def attempts_prefix(generation: str, task_id: str | None = None) -> str:
    """The refs of kept attempts, of one task or all; ends with ``/``."""
    return f"{ATTEMPTS}{generation}/" + (f"{task_id}/" if task_id else "")


def attempt_ref(generation: str, task_id: str, number: int) -> str:
    return f"{attempts_prefix(generation, task_id)}{number}"


def left_prefix(generation: str, task_id: str | None = None) -> str:
    """The refs of work that agents left outside of their files, of one task or all; ends with ``/``."""
    return f"{LEFT}{generation}/" + (f"{task_id}/" if task_id else "")


def left_ref(generation: str, task_id: str, number: int, place: int) -> str:
    """``number`` is that of the attempt, ``place`` counts its works from 1."""
    return f"{left_prefix(generation, task_id)}{number}/{place}"


def landed_prefix(generation: str) -> str:
    """The refs of landed commits, one for each task; ends with ``/``."""
    return f"{LANDED}{generation}/"


def landed_ref(generation: str, task_id: str) -> str:
    return f"{landed_prefix(generation)}{task_id}"


def stopping_ref(generation: str) -> str:
    """The ref that notes the merge while the user's checkout moves to it."""
    return f"refs/cobbler/stopping/{generation}"


def is_usable_tag(name: str) -> bool:
    """Whether a text, such as a version (``1.2+build``), can be the name of a tag."""
    return is_usable_task_id(name.replace("+", "-"))


def is_usable_task_id(task_id: str) -> bool:
    """Whether an id can be part of a branch's and of a directory's name."""
    return bool(_TASK_ID.fullmatch(task_id)) and not task_id.endswith((".", ".lock")) and len(task_id) <= 100
