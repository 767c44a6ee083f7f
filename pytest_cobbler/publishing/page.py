"""report.html: one file that needs no network.

Texts of agents are deflated data, which a script shows as text and never as markup.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from pytest_cobbler.config import Config
from pytest_cobbler.publishing.blocks import Block, Packer
from pytest_cobbler.publishing.changes import MOST_LINES, changed_files
from pytest_cobbler.publishing.conversation import MOST, conversation
from pytest_cobbler.publishing.document import AttemptPart, Document, TaskPart
from pytest_cobbler.report.evidence import plain
from pytest_cobbler.repository.landing import patch_of
from pytest_cobbler.repository.repository import Repository

__all__ = ["SCRIPTS", "page"]

DATA: Final = Path(__file__).parent.parent / "data" / "page"
VENDORED: Final = ("vendor/htm-preact.js", "vendor/dagre.js")
SCRIPTS: Final = (
    *("format.js", "place.js", "data.js", "parts.js", "overview.js", "timeline.js"),
    *("graph.js", "table.js", "task.js", "main.js"),
)
"""Ours, in the order in which they use one another."""

SAMPLES: Final = 4
"""Attempts from which the dictionary of the blocks is made."""
LARGEST: Final = 8 << 20
"""Bytes that are read of a transcript."""
LONGEST_LOG: Final = 200_000
"""Characters of a log or a prompt: its end, or its beginning."""


def page(document: Document, config: Config, repository: Repository) -> Iterator[str]:
    """The page, in pieces."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        autoescape=True, loader=FileSystemLoader(DATA), undefined=StrictUndefined, keep_trailing_newline=True
    )
    scripts, style = _scripts(), _text("report.css")
    report = document.model_dump(mode="json")
    yield from environment.get_template("report.html.j2").generate(
        report=report,
        policy=policy(scripts, style),
        style=Markup(style),
        scripts=[Markup(script) for script in scripts],
        blocks=_blocks(document, report, config, repository),
    )


def policy(scripts: tuple[str, ...], style: str) -> str:
    """What the browser lets the page do: run these scripts, and nothing else."""
    allowed = " ".join(map(_hash, scripts))
    sources = f"default-src 'none'; script-src {allowed}; style-src {_hash(style)}"
    return f"{sources}; base-uri 'none'; form-action 'none'"


@cache
def _scripts() -> tuple[str, ...]:
    return (*map(_text, VENDORED), "".join(map(_text, SCRIPTS)))


def _text(name: str) -> str:
    return (DATA / name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


# -- blocks


def _blocks(
    document: Document, report: Mapping[str, Any], config: Config, repository: Repository
) -> Iterator[Block]:
    directory = config.cobbler_dir / document.generation.name
    bodies = (
        (f"block-{at}-{attempt.number}", body)
        for at, task in enumerate(document.tasks)
        for attempt in task.attempts
        if (body := _body(task, attempt, directory, repository))
    )
    first = list(itertools.islice(bodies, SAMPLES))
    packer = Packer(body for _, body in first)
    yield packer.dictionary()
    yield packer.pack("report", report)
    for name, body in itertools.chain(first, bodies):
        yield packer.pack(name, body)


def _body(task: TaskPart, attempt: AttemptPart, directory: Path, repository: Repository) -> dict[str, Any]:
    """What still exists of an attempt; a part that is missing or empty is left out."""
    cut: list[str] = []
    place = directory / attempt.directory
    body: dict[str, Any] = {}
    if attempt.directory:
        body["prompt"] = _read(place / "prompt.md", LONGEST_LOG)[:LONGEST_LOG]
        body["log"] = plain(_read(place / "gate.log", LONGEST_LOG, from_end=True))
        data = _bytes(place / "transcript.jsonl", LARGEST)
        body["steps"] = conversation(data.splitlines())
        if len(data) == LARGEST or len(body["steps"]) >= MOST:
            cut.append(f"The rest of the conversation is in {attempt.directory}/transcript.jsonl.")
    if task.kind == "measure":
        body["log"] = _read(place / "tasks.json", LONGEST_LOG) if attempt.directory else ""
    else:
        body["diff"], left_out = changed_files(_patch(attempt, place, repository))
        if left_out:
            cut.append(f"The change has more than {MOST_LINES} lines; {left_out} are left out.")
    return {name: value for name, value in {**body, "cut": cut}.items() if value}


def _patch(attempt: AttemptPart, place: Path, repository: Repository) -> str:
    """The change of an attempt: from git, or from the file beside its transcript."""
    commit = attempt.commit or (repository.commit_of(attempt.ref) if attempt.ref else "")
    if commit:
        return patch_of(repository, f"{commit}^", commit).decode("utf-8", "replace")
    return _read(place / "change.patch", LARGEST) if attempt.directory else ""


def _read(path: Path, most: int, *, from_end: bool = False) -> str:
    return _bytes(path, most, from_end=from_end).decode("utf-8", "replace")


def _bytes(path: Path, most: int, *, from_end: bool = False) -> bytes:
    """The first or last bytes of a file; none if it is missing."""
    try:
        with path.open("rb") as file:
            if from_end:
                file.seek(max(0, file.seek(0, 2) - most))
            return file.read(most)
    except OSError:
        return b""
