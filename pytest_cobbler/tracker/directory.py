"""The contents of a tracker directory, and the tracker that owns it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["ISSUES", "bd_owns", "is_hollow"]

ISSUES = "issues.jsonl"

_EMBEDDED = "embeddeddolt"
_STORES = (_EMBEDDED, "dolt", "proxieddb", "beads.db", "redirect")


def bd_owns(beads_dir: Path) -> str:
    """The file in ``beads_dir`` by which bd keeps the tasks in its own database; empty if there is none."""
    for name in _STORES:
        if (beads_dir / name).exists():
            return name
    data = _metadata(beads_dir)
    if data is None or data.get("backend") or data.get("dolt_mode") or data.get("database") == "dolt":
        return "metadata.json"
    return ""


def is_hollow(beads_dir: Path) -> bool:
    """Whether bd's own files are there, but its embedded database is missing, as after a clone.

    If only an empty directory is left of the database, bd lists no issues and no error; bd 1.0.5 does the
    same for a ``dolt/`` without a ``metadata.json``.
    """
    data = _metadata(beads_dir)
    others = _STORES[2:] if data == {} else _STORES[1:]
    if any((beads_dir / name).exists() for name in others) or (data or {}).get("dolt_mode") == "server":
        return False
    return not any((beads_dir / _EMBEDDED).glob("*/.dolt"))


def _metadata(beads_dir: Path) -> dict[str, Any] | None:
    """The content of ``metadata.json``; empty if there is no such file, None if it cannot be read."""
    try:
        data = json.loads((beads_dir / "metadata.json").read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else {}
