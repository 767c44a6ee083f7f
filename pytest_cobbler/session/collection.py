"""A pytest session whose only file is ``configuration.yaml``."""

from __future__ import annotations

import contextlib
import os
import shlex
from pathlib import Path
from typing import ClassVar

import pytest

from pytest_cobbler.invocation import escaping_output, origin_of


class ConfigurationSession:
    """Makes pytest collect the configuration file, and import nothing of the project for it."""

    file_type: ClassVar[type[pytest.File]]
    """The node of the file."""

    def __init__(self, config: pytest.Config, path: Path) -> None:
        self.config = config
        self.path = path
        stack = contextlib.ExitStack()
        stack.enter_context(escaping_output())
        config.add_cleanup(stack.close)

    def _take_arguments(self, action: str, takes: str) -> None:
        """Collect the configuration file, whatever ``testpaths`` says.

        Raises:
            pytest.UsageError: the command line names another file; the action takes what ``takes`` says.
        """
        config = self.config
        if config.args_source is not config.ArgsSource.ARGS:
            config.args[:] = [str(self.path)]
            config.args_source = config.ArgsSource.ARGS
        here = config.invocation_params.dir
        # pytest takes no bracket in the path of an argument: from the current directory, it rarely has one.
        shown = os.path.relpath(self.path, here)
        for argument in config.args:
            if (here / argument.split("::")[0]).resolve() != self.path:
                origin = origin_of(config, argument)
                raise pytest.UsageError(f"--cobbler-{action} takes {takes}, not {argument}{origin}")
        if "[" in shown:
            raise pytest.UsageError(
                f"pytest does not accept the path {shown}, because it contains a bracket\n"
                f"Run it in that directory: cd {shlex.quote(str(self.path.parent))}"
            )
        config.args[:] = ["::".join([shown, *argument.split("::")[1:]]) for argument in config.args]

    def _check_ini_options(self) -> None:
        """Report an unknown option of pytest's configuration now, if pytest would end the session for it.

        pytest looks for such options after the collection. By then a generation is started.

        Raises:
            pytest.UsageError: there is one, and it is an error.
        """
        config = self.config
        filters = (*config.getini("filterwarnings"), *(config.known_args_namespace.pythonwarnings or ()))
        strict = config.getini("strict_config") or config.getini("strict")
        if not strict and not any(line.strip().startswith("error") for line in filters):
            return  # a warning: pytest gives it
        checking = config.pytest_collection()
        next(checking)
        try:
            checking.close()
        except (pytest.UsageError, pytest.PytestConfigWarning) as error:
            raise pytest.UsageError(
                f"{str(error).strip()} (in {config.inipath or 'an option -o'}, where this is an error)\n"
                "Install the plugin that it belongs to beside pytest-cobbler, or let it be a warning:\n"
                "-W default::pytest.PytestConfigWarning -o strict_config=false"
            ) from None

    @property
    def _starts_nothing(self) -> bool:
        return any(self.config.getoption(name, False) for name in ("collectonly", "setuponly", "setupplan"))

    @pytest.hookimpl(tryfirst=True)
    def pytest_collect_directory(self, path: Path, parent: pytest.Collector) -> pytest.Collector:
        """Collect a plain directory, never a package: pytest would import its ``__init__.py``."""
        return pytest.Dir.from_parent(parent, path=path)

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        if file_path == self.path:
            # Without an ini file the rootdir is the current directory, and the file may be above it.
            nodeid = os.path.relpath(file_path, self.config.rootpath).replace(os.sep, "/")
            return self.file_type.from_parent(parent, path=file_path, nodeid=nodeid)
        return None
