"""Writes the report of a generation beside its journal: report.html, report.json and trace.json."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Final

from pytest_cobbler.config import Config
from pytest_cobbler.display import escaped
from pytest_cobbler.errors import CobblerError
from pytest_cobbler.files import lock, write_atomically
from pytest_cobbler.publishing.gathering import gather
from pytest_cobbler.publishing.page import page
from pytest_cobbler.publishing.tasks import Tracked
from pytest_cobbler.publishing.trace import trace
from pytest_cobbler.report.journal import ignore_itself
from pytest_cobbler.repository.ownership import given_back
from pytest_cobbler.repository.repository import Repository

__all__ = ["HTML", "report_line", "write_report"]

HTML: Final = "report.html"
JSON: Final = "report.json"
TRACE: Final = "trace.json"
LOCK: Final = ".report.lock"
PATIENCE: Final = 60.0
"""Seconds to wait for another process that writes the report."""


def write_report(
    config: Config, repository: Repository, generation: str, tracked: Tracked | None = None
) -> Path:
    """Write the three files, each as a whole, and return the path of report.html.

    Raises:
        CobblerError: git failed.
        OSError: a file cannot be written.
    """
    directory = config.cobbler_dir / generation
    ignore_itself(config.cobbler_dir)
    directory.mkdir(exist_ok=True)
    given = given_back(repository.common_dir, [directory])
    with given, (directory / LOCK).open("w", encoding="utf-8") as file:
        lock(file, patience=PATIENCE)
        document = gather(config, repository, generation, tracked or Tracked(), time.time())
        facts = json.dumps(document.model_dump(mode="json"), indent=1, ensure_ascii=False)
        write_atomically(directory / JSON, f"{facts}\n".encode())
        write_atomically(directory / TRACE, json.dumps(trace(document), separators=(",", ":")).encode())
        html = "".join(page(document, config, repository))
        write_atomically(directory / HTML, html.encode("utf-8", "replace"))
    return directory / HTML


def report_line(config: Config, repository: Repository, generation: str) -> str:
    """Write the report; return a line with its path, or with the reason why there is none."""
    try:
        path = write_report(config, repository, generation)
    except CobblerError as error:
        return escaped(f"report: it cannot be written: {error.cause}")
    except OSError as error:
        return escaped(f"report: it cannot be written: {error.strerror}: {error.filename}")
    except ValueError as error:  # a text is not valid Unicode
        return escaped(f"report: it cannot be written: {error}")
    return escaped(f"report: {path}")
