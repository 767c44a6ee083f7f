"""The trailers of commits: written, and read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_cobbler.display import escaped
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.usage import NOTHING, Usage

TASK = "Cobbler-Task"
GENERATION = "Cobbler-Generation"
BASE = "Cobbler-Base"
TARGET = "Cobbler-Target"
"""The base of the generation, in every commit of it but the first, which has ``BASE``."""
DIRECTORY = "Cobbler-Directory"
"""The directory of the project in the repository; without it, the top."""
BRANCH = "Cobbler-Branch"
"""The branch of a person that the commit merges. Its second parent is the commit of that branch."""
RESET = "Cobbler-Reset"
ATTEMPT = "Cobbler-Attempt"
CAUSE = "Cobbler-Cause"
RUN = "Cobbler-Run"
TESTS = "Cobbler-Tests"
FLAKY = "Cobbler-Flaky"
"""Tests that have failed and passed on the tree of the commit."""
GATED = "Cobbler-Gated"
"""The tree in the gate, in a commit of a train that has another one."""
SESSION = "Cobbler-Session"

READY = "Cobbler-Ready"
"""On work whose agent had ended well: nothing but the gate was left to do."""
PROMPT = "Cobbler-Prompt"
MODEL = "Cobbler-Model"
AGENT = "Cobbler-Agent"
NODE = "Cobbler-Node"
"""The node on which the agent worked, if it was not the machine of the run."""
TIP = "Cobbler-Tip"
CONDITIONS = "Cobbler-Conditions"
"""The tip that kept work was merged with, and the digest of the conditions of its gate."""
ASSISTED = "Assisted-by"
"""``AGENT:MODEL``, in the form of the Linux kernel's rules for work of AI agents."""

_NOTES = "Notes of pytest-cobbler on this change:"

_ALL = "%(trailers:only,unfold)"

# A title or a description is an agent's text: what git would take for a trailer of ours must not become one,
# and after what git takes for the end of a message (a line with scissors) it would look for none.
# Nor may an agent sign or review in the name of a person: many tools search the whole message for such lines.
# Nor may it give orders to a forge: GitHub reads `skip-checks: true`, GitLab makes a tag of a line `/tag v1`.
_OURS = re.compile(
    r"^(?=[^\S\n]*(?:cobbler-|skip-checks[^\S\n]*:|[a-z]+(?:-[a-z]+)*-by[^\S\n]*:|/[a-z_]+(?:\s|\Z)))",
    re.IGNORECASE | re.MULTILINE,
)
# CI systems run nothing for a commit with such words anywhere in its message: no one would test it.
_SKIPS_CI = re.compile(
    r"\[(?=[^\]\n]{0,100}(?<![a-z])(?:skip|no[ _-]ci)(?![a-z]))([^\[\]\n]{0,100})\]|\*+(no_ci)\*+",
    re.IGNORECASE,
)
_SCISSORS_SIGN = ">8"
_SCISSORS = re.compile(r"^(?=.? ?-+ >8 -+)", re.MULTILINE)
_UNSEEN = re.compile(
    # Controls, surrogates, line separators, and what turns the direction of text.
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def message(
    repository: Repository,
    title: str,
    body: str,
    trailers: Mapping[str, object],
    *,
    notes: Sequence[str] = (),
) -> str:
    """A commit message: title, body, ``notes`` as a list, then ``trailers`` in a block of their own.

    Empty trailers are left out.
    """
    values = {name: " ".join(_inert(str(value)).split()) for name, value in trailers.items()}
    block = [f"{name}: {value}" for name, value in values.items() if value]
    subject = " ".join(_inert(title).split())
    subject = _harmless(subject) or "(no title)"
    text = _harmless(_inert(body.replace("\r\n", "\n"))).strip()
    listed = "\n".join(f"* {' '.join(_inert(note).split())}" for note in notes)
    text_of_notes = f"{_NOTES}\n\n{listed}" if listed else ""
    whole = _joined(subject, text, text_of_notes, block)
    # Git takes the last paragraph before scissors, and that is this block unless the text has scissors of
    # which this module does not know. Without its trailers a task would be done again for ever.
    if _SCISSORS_SIGN in text and _parsed(repository, whole) != block:
        whole = _joined(subject, "", text_of_notes, block)
    return whole


def _joined(subject: str, text: str, notes: str, block: list[str]) -> str:
    return "\n\n".join(part for part in (subject, text, notes, "\n".join(block)) if part) + "\n"


def _parsed(repository: Repository, text: str) -> list[str]:
    completion = repository.objects.run("interpret-trailers", "--parse", "--no-divider", stdin=text.encode())
    return completion.stdout.decode().splitlines()


def _harmless(text: str) -> str:
    return _SCISSORS.sub("> ", _OURS.sub("> ", text))


def _inert(text: str) -> str:
    """``text`` without unseen characters, and without words in brackets that keep CI from running."""
    return _SKIPS_CI.sub(lambda found: f"({found[1] or found[2]})", _visible(text))


def _visible(text: str) -> str:
    return _UNSEEN.sub(lambda match: escaped(match[0]), text)


@dataclass(frozen=True, kw_only=True)
class Landed:
    """A landed commit; ``run`` is the id of the run that landed it."""

    commit: str
    task: str
    title: str
    run: str = ""


def landed_tasks(repository: Repository, revisions: str) -> dict[str, Landed]:
    """Task id -> its newest commit, of the project's tasks in a range of revisions; oldest first."""
    return {landed.task: landed for landed in landed_commits(repository, revisions)}


def landed_commits(repository: Repository, revisions: str) -> list[Landed]:
    """The commits of tasks of the project in a range of revisions, one for each task; oldest first."""
    keys = (TASK, RUN, DIRECTORY)
    values = "%x00".join(f"%(trailers:key={key},valueonly,unfold,separator=%x01)" for key in keys)
    form = f"%H%x00{values}%x00%s"
    fields = repository.objects.fields(
        "log", "-z", "--reverse", f"--format={form}", f"--grep=^{TASK}: ", "--end-of-options", revisions
    )
    texts = iter([field.decode("utf-8", "replace") for field in fields])
    return [
        Landed(commit=commit, task=task, title=title, run=run.strip())
        for commit, tasks, run, directory, title in zip(texts, texts, texts, texts, texts, strict=True)
        # A forge that joins commits joins their trailers too.
        if repository.directory.name in (set(map(str.strip, directory.split("\x01"))) - {""} or {""})
        for task in filter(None, map(str.strip, tasks.split("\x01")))
    ]


def usage_of(repository: Repository, revisions: str) -> Usage:
    """The usage of the tasks of the project that landed in a range of revisions."""
    texts = repository.objects.fields(
        "log", "-z", f"--format={_ALL}", f"--grep=^{TASK}: ", "--end-of-options", revisions
    )
    found = [_pairs(text.decode("utf-8", "replace")) for text in texts]
    own = [pairs for pairs in found if pairs.get(DIRECTORY, "") == repository.directory.name]
    return sum(map(Usage.from_trailers, own), NOTHING)


def read_trailers(repository: Repository, commit: str) -> dict[str, str]:
    """Name -> value of the trailers of one commit."""
    return _pairs(repository.objects.text("show", "-s", f"--format={_ALL}", commit))


def _pairs(text: str) -> dict[str, str]:
    pairs = (line.partition(": ") for line in text.split("\n") if ": " in line)
    return {name: value for name, _, value in pairs}


def read_body(repository: Repository, commit: str) -> str:
    """The text of one of our commits between its title and its trailers."""
    body = repository.objects.text("show", "-s", "--format=%b", commit)
    return body.strip("\n").rpartition("\n\n")[0]
