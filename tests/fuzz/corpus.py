"""The inputs that are kept: a directory for each target, a readable file of JSON for each input."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.fuzz.target import Arc, encode

CORPUS = Path(__file__).parent / "corpus"
FOUND = Path(__file__).parents[2] / "build" / "fuzz"
"""Where findings are written, a directory for each target."""
MOST_FILES = 80
"""Of each target."""
LARGEST = 4_000
"""Characters of an input that is kept."""


def load(name: str, corpus: Path = CORPUS) -> dict[str, Any]:
    """The inputs of a target by their file's name, in a fixed order."""
    return {path.stem: read(path) for path in sorted((corpus / name).glob("*.json"))}


def read(path: Path) -> Any:
    return json.loads(path.read_text("ascii"))


def write(directory: Path, data: Any) -> Path:
    """Keep an input under the name of its digest."""
    text = encode(data)
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{hashlib.sha256(text.encode()).hexdigest()[:12]}.json"
    path.write_text(text, "ascii")
    return path


def replace(name: str, inputs: Iterable[Any], corpus: Path = CORPUS) -> None:
    """Make ``inputs`` the corpus of a target."""
    kept = {write(corpus / name, data) for data in inputs}
    for path in (corpus / name).glob("*.json"):
        if path not in kept:
            path.unlink()


def chosen(reached: Mapping[str, set[Arc]]) -> list[str]:
    """A few of the encoded inputs that together reach every arc.

    Those with the most new arcs for their size come first.
    At most :data:`MOST_FILES`, and none over :data:`LARGEST`.
    """
    waiting = {text: arcs for text, arcs in sorted(reached.items()) if len(text) <= LARGEST}
    missing: set[Arc] = set().union(*waiting.values())
    kept: list[str] = []
    while missing and len(kept) < MOST_FILES:
        best = max(waiting, key=lambda text: (len(waiting[text] & missing) / (200 + len(text)), text))
        missing -= waiting.pop(best)
        kept.append(best)
    return kept
