"""Writes the report of a run that is at work, in a process of its own: ``CONFIGURATION GENERATION``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pytest_cobbler.config import load
from pytest_cobbler.errors import CobblerError
from pytest_cobbler.publishing.writing import write_report
from pytest_cobbler.wiring.project import open_repository


def main(configuration: str, generation: str) -> str:
    """Write it; return the reason if that is not possible."""
    os.nice(10)  # agents and gates come first
    try:
        config = load(Path(configuration))
        write_report(config, open_repository(config), generation)
    except CobblerError as error:
        return error.cause
    except OSError as error:
        return f"{error.strerror}: {error.filename}"
    return ""


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) or 0)
