"""How other people's texts appear in a prompt: between tags, lists with one line for each entry, bounded."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count

from pytest_cobbler.display import CONTROL
from pytest_cobbler.tracker.base import Task

DOCUMENT_BUDGET = 200_000
"""Bytes of documents in one prompt."""

LISTED_FILES = 1_500
"""Names of files in one prompt. If there are more files, the prompt names their directories instead."""

LISTED_TASKS = 1_000
"""Tasks of one kind in a prompt; the latest ones."""

LISTED = 500
"""Lines of any other list in a prompt."""

CHARACTERS = 70
"""Average length of a line in a list. Fewer lines are listed if they are longer."""

DESCRIPTION = 60_000
"""Characters of a task's description."""


@dataclass(frozen=True, kw_only=True)
class Document:
    """A file of the repository that is shown in full: a vision, a requirement, an interface.

    ``None`` as ``text`` means that the file was not read; only its path is shown.
    """

    path: str
    text: str | None


def line(text: str) -> str:
    return " ".join(CONTROL.sub(" ", text).split())


def data(tag: str, text: str, **attributes: str) -> str:
    """``text`` between tags that do not occur in it, so that it cannot close its tag and add instructions."""
    text = CONTROL.sub("", text).strip("\n")
    suffixes = {
        (match[1] or "")[:end]
        for match in re.finditer(rf"<\s*/?\s*{re.escape(tag)}(?:-([0-9]{{1,9}}))?", text, re.IGNORECASE)
        for end in range(10)
    }
    name = tag if not suffixes else next(f"{tag}-{n}" for n in count(2) if str(n) not in suffixes)
    words = "".join(f" {key}={_quoted(value)}" for key, value in attributes.items())
    return f"<{name}{words}>\n{text}\n</{name}>"


def _quoted(value: str) -> str:
    return json.dumps(line(value), ensure_ascii=False).replace("<", "\\u003c").replace(">", "\\u003e")


def lines(texts: Sequence[str], most: int = LISTED) -> str:
    """One line for each text; if there are too many, only the first."""
    entries = [line(text) for text in texts]
    fitting = _fitting(entries, most)
    omitted = len(entries) - fitting
    return "\n".join([*entries[:fitting], *([f"... and {omitted} more"] if omitted else [])])


def latest(texts: Sequence[str]) -> str:
    """One line for each text; if there are too many, only the last."""
    entries = [line(text) for text in texts]
    omitted = len(entries) - _fitting(entries[::-1], LISTED_TASKS)
    return "\n".join([*([f"({omitted} earlier ones are not listed)"] if omitted else []), *entries[omitted:]])


def _fitting(texts: Sequence[str], most: int) -> int:
    """How many of the first lines a list takes."""
    room = most * CHARACTERS
    for number, text in enumerate(texts[:most]):
        room -= len(text) + 1
        if room < 0:
            return number
    return min(len(texts), most)


def description(text: str) -> str:
    """A task's description, cut if it is too long for an agent to read."""
    left_out = len(text) - DESCRIPTION
    return text if left_out <= 0 else f"{text[:DESCRIPTION]}\n[... {left_out} characters left out ...]"


def documents(candidates: Sequence[Document], budget: int) -> str:
    """The documents that fit, in their order, and the names of the other documents."""
    blocks: list[str] = []
    omitted: list[str] = []
    for document in candidates:
        size = 0 if document.text is None else len(document.text.encode("utf-8", "surrogatepass"))
        if document.text is None or size > budget:
            omitted.append(document.path)
        else:
            budget -= size
            blocks.append(data("document", document.text, path=document.path))
    if omitted:
        blocks.append("Not shown here; read them where they matter:\n\n" + data("paths", lines(omitted)))
    return "\n\n".join(blocks)


@lru_cache(maxsize=2)  # every task of a cycle lists the same files
def files(paths: tuple[str, ...]) -> str:
    """The names of the files; if there are too many, their directories."""
    names = sorted(paths)
    if _fitting(names, LISTED_FILES) == len(names):
        return data("files", lines(names, LISTED_FILES))
    depth = max(name.count("/") for name in names)
    while depth > 1 and len(_directories(names, depth)) > LISTED_FILES:
        depth -= 1
    directories = sorted(_directories(names, depth).items())
    entries = [line(f"{name}/ ({number} files)") for name, number in directories]
    fitting = _fitting(entries, LISTED_FILES)
    rest = [f"... and {len(entries) - fitting} more directories"] if fitting < len(entries) else []
    return data("directories", "\n".join([*entries[:fitting], *rest]))


def _directories(names: Sequence[str], depth: int) -> Counter[str]:
    return Counter("/".join(name.split("/")[:-1][:depth]) or "." for name in names)


def tasks(tag: str, listed: Sequence[Task], notes: Mapping[str, str]) -> str:
    """One line for each task, the oldest first, with its entry in ``notes`` (id -> note)."""
    entries = [
        f"{task.id}: {task.title}" + (f" ({notes[task.id]})" if task.id in notes else "")
        for task in _in_order(listed)
    ]
    return data(tag, latest(entries))


def issues(listed: Sequence[Task]) -> str:
    """The value of ``ExistingIssues`` in the ancestor's templates: JSON, an object on each line.

    If there are too many tasks, only the latest. Descriptions are left out when there is no room.
    """
    entries: list[dict[str, object]] = []
    room = LISTED_TASKS * 200
    room_for_descriptions = LISTED_TASKS * 100
    for task in _in_order(listed)[::-1][:LISTED_TASKS]:
        entry: dict[str, object] = {
            "id": task.id,
            "title": task.title,
            "status": task.status,
            "issue_type": task.type,
            "priority": task.priority,
        }
        room -= len(json.dumps(entry, ensure_ascii=False))
        if task.status != "closed" and len(task.description) <= room_for_descriptions:
            entry["description"] = task.description
            room_for_descriptions -= len(task.description)
        if room < 0:
            break
        entries.insert(0, entry)
    return "[" + ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries) + "]"


def _in_order(listed: Sequence[Task]) -> list[Task]:
    return sorted(listed, key=lambda task: task.age)
