"""Which files are terminals on which a block of lines can be shown."""

from __future__ import annotations

import os
from typing import TextIO

__all__ = ["can_move_cursor"]


def can_move_cursor(file: TextIO) -> bool:
    """Whether ``file`` is a terminal at which a person looks, and whose cursor can be moved."""
    environment = os.environ
    if (environment.get("TERM") or "dumb") == "dumb":
        return False
    if environment.get("CI") or environment.get("BUILD_NUMBER"):  # as pytest recognises CI
        return False
    try:
        return file.isatty() and os.isatty(file.fileno())
    except (OSError, ValueError):
        return False
