"""How a person changes the status of a task."""

from __future__ import annotations

from pathlib import PurePath

_EMBEDDED = "embedded store "


def how_to_set(status: str, description: str) -> str:
    """A command or an instruction, where ``{}`` is the id of the task.

    Args:
        status: ``open``, without an assignee, or ``closed``.
        description: of the tracker.
    """
    if description.startswith("bd "):
        return "bd close {}" if status == "closed" else 'bd update {} --status open --assignee ""'
    place = description
    if description.startswith(_EMBEDDED):
        place = "/".join(PurePath(description.removeprefix(_EMBEDDED)).parts[-2:])
    assignee = "" if status == "closed" else ', and its assignee to "",'
    return f"set the status of {{}} to {status}{assignee} in {place}"
