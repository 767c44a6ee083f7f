"""What tests ask about processes."""

from __future__ import annotations

from pathlib import Path

__all__ = ["is_alive"]


def is_alive(number: int) -> bool:
    """Whether the process runs; one that has ended and waits for its parent, or for init, does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{number}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
