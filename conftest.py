"""The tests of this project run pytest inside pytest; the whole suite runs in several processes."""

from __future__ import annotations

import os
import signal

import pytest

pytest_plugins = ["pytester"]


def pytest_configure() -> None:
    """Take interrupts: a shell's background ignores them, and what is started there would too."""
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL if number is signal.SIGHUP else signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads its options
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Without paths on the command line, run in several processes, as with ``-n N --dist worksteal``.

    There is one process more than cores, because many tests wait for other programs. This is not in
    ``addopts``: with it there, pytest fails if pytest-xdist is missing. Tests that are named run in one
    process, and so does a run that needs the terminal.
    """
    option = config.option
    if hasattr(config, "workerinput") or not hasattr(option, "numprocesses"):
        return
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    chosen = option.numprocesses is not None or option.dist != "no" or option.tx
    interactive = option.usepdb or option.trace or option.capture == "no" or option.collectonly
    if whole and not chosen and not interactive:
        option.numprocesses = (os.cpu_count() or 1) + 1
        option.dist = "worksteal"
