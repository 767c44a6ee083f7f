"""The report of a run: at most every 30 seconds while it works, and at its end."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import threading
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Self

import pytest

from pytest_cobbler.config import Config
from pytest_cobbler.cycle.run import Run
from pytest_cobbler.errors import CobblerError, SandboxError
from pytest_cobbler.process import Cancellation, host_environment
from pytest_cobbler.process import run as run_process

__all__ = ["Reporting", "facts_of"]

PAUSE: Final = 30.0
"""Seconds between two reports of a run that works."""
_PATIENCE: Final = 120.0
"""Seconds that one of them may take."""
_INSTALLED: Final = ("site-packages", "dist-packages")
_WITHOUT: Final = frozenset({"podman_args"})
"""Keys whose value may have a secret of the user's."""


class Reporting:
    """Writes the report of a run. Nothing that goes wrong here is a failure of the run.

    As a context, it writes the report from time to time, in a process of its own that leaves this one alone.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._cancellation = Cancellation()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._repeat, name="cobbler-report", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._ended.set()
        self._cancellation.cancel()
        self._thread.join()

    def _repeat(self) -> None:
        project = self._run.project
        installed = (place for place in sys.path if Path(place).name in _INSTALLED)
        path = os.pathsep.join([str(Path(__file__).parents[2]), *installed])
        words = ("-m", "pytest_cobbler.publishing", str(project.config.path), project.generation.name)
        while not self._ended.wait(PAUSE):
            # Not from the current directory, where files of an agent may lie. What goes wrong is named at the
            # end of the run, whose report meets the same.
            with contextlib.suppress(CobblerError):
                run_process(
                    [sys.executable, "-P", *words],
                    env=host_environment(PYTHONPATH=path),
                    cwd=Path("/"),
                    timeout=_PATIENCE,
                    cancellation=self._cancellation,
                )

    def finish(self) -> str:
        """Write the report of the run that has ended; return a line for the summary."""
        from pytest_cobbler.publishing.writing import report_line

        project = self._run.project
        return report_line(project.config, project.repository, project.generation.name)


def facts_of(config: pytest.Config, settings: Config, run: Run) -> dict[str, Any]:
    """What a report says of the circumstances of a run."""
    parts = run.parts
    image = ""
    with contextlib.suppress(SandboxError):  # the gate itself reports it
        image = parts.gate.conditions().image if parts.gate.steps else ""
    return {
        "command": shlex.join(["pytest", *map(str, config.invocation_params.args)]),
        "versions": {
            "pytest-cobbler": version("pytest-cobbler"),
            "pytest": pytest.__version__,
            "python": ".".join(map(str, sys.version_info[:3])),
        },
        "agent": parts.agents.description,
        "sandbox": parts.sandbox.description,
        "image": image,
        "gate": parts.gate.line,
        "settings": {
            name: _shown(getattr(settings, name))
            for name, field in Config.model_fields.items()
            if name not in _WITHOUT and getattr(settings, name) != field.default
        },
    }


def _shown(value: object) -> object:
    if isinstance(value, tuple | list):
        return [_shown(one) for one in value]
    if isinstance(value, dict):
        return {str(name): _shown(one) for name, one in value.items()}
    return value if isinstance(value, str | int | float | None) else str(value)
