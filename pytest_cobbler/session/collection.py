"""A pytest session whose only file is ``configuration.yaml``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

import pytest

from pytest_cobbler.invocation import origin_of


class ConfigurationSession:
    """Makes pytest collect the configuration file, and import nothing of the project for it."""

    file_type: ClassVar[type[pytest.File]]
    """The node of the file."""

    def __init__(self, config: pytest.Config, path: Path) -> None:
        self.config = config
        self.path = path

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
        for argument in config.args:
            if (here / argument.split("::")[0]).resolve() != self.path:
                origin = origin_of(config, argument)
                raise pytest.UsageError(f"--cobbler-{action} takes {takes}, not {argument}{origin}")

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
