"""What a commit says of itself in its trailers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pytest_cobbler.repository.repository import Repository

TASK = "Cobbler-Task"
GENERATION = "Cobbler-Generation"
BASE = "Cobbler-Base"
RESET = "Cobbler-Reset"
ATTEMPT = "Cobbler-Attempt"
CAUSE = "Cobbler-Cause"

# A description is an agent's text: what looks like one of our trailers must not become one.
_OURS = re.compile(r"^(?=\s*cobbler-)", re.IGNORECASE | re.MULTILINE)


def message(repository: Repository, title: str, body: str, trailers: Mapping[str, object]) -> str:
    """A commit message: title, body, then ``trailers`` in a block of their own."""
    subject = " ".join(_OURS.sub("> ", title).split()) or "(no title)"
    text = _OURS.sub("> ", body.replace("\0", "").strip())
    arguments = [
        f"--trailer={name}: {' '.join(str(value).split())}" for name, value in trailers.items() if str(value)
    ]
    # The line before makes a last paragraph of the body that looks like trailers one that is not.
    draft = f"{subject}\n\n{text}\n\n" if text else f"{subject}\n\n"
    return (
        repository.objects.text("interpret-trailers", "--no-divider", *arguments, stdin=draft.encode()) + "\n"
    )


@dataclass(frozen=True, kw_only=True)
class Landed:
    """A landed commit."""

    commit: str
    task: str
    title: str


def landed_tasks(repository: Repository, revisions: str) -> dict[str, Landed]:
    """Task id -> its newest commit with a task trailer, in a range of revisions; oldest first."""
    form = f"%H%x00%(trailers:key={TASK},valueonly,separator=%x01)%x00%s"
    fields = repository.objects.fields(
        "log", "-z", "--reverse", f"--format={form}", f"--grep=^{TASK}: ", "--end-of-options", revisions
    )
    found: dict[str, Landed] = {}
    for commit, tasks, title in zip(fields[::3], fields[1::3], fields[2::3], strict=True):
        for task in tasks.decode("utf-8", "replace").split("\x01"):
            if task.strip():
                found[task.strip()] = Landed(
                    commit=commit.decode(), task=task.strip(), title=title.decode("utf-8", "replace")
                )
    return found


def read_trailers(repository: Repository, commit: str) -> dict[str, str]:
    """Name -> value of the trailers of one commit."""
    text = repository.objects.text("show", "-s", "--format=%(trailers:only,unfold)", commit)
    pairs = (line.partition(": ") for line in text.splitlines() if ": " in line)
    return {name: value for name, _, value in pairs}
