"""What lies in a tracker directory, and whose it is."""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["ISSUES", "bd_owns"]

ISSUES = "issues.jsonl"

_STORES = ("embeddeddolt", "dolt", "proxieddb", "beads.db", "redirect")


def bd_owns(beads_dir: Path) -> str:
    """What in ``beads_dir`` shows that bd keeps the tasks in a database of its own; empty if nothing does."""
    for name in _STORES:
        if (beads_dir / name).exists():
            return name
    try:
        data = json.loads((beads_dir / "metadata.json").read_bytes())
    except FileNotFoundError:
        return ""
    except (OSError, ValueError):
        return "metadata.json"
    if isinstance(data, dict) and (
        data.get("backend") or data.get("dolt_mode") or data.get("database") == "dolt"
    ):
        return "metadata.json"
    return ""
