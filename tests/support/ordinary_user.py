"""An ordinary user's own pytest, when root runs the tests.

The user has a podman, a home, and readable copies of the programs.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.parts import need
from tests.support.podmans import Podman, hand_over, rootless_user

__all__ = ["OrdinaryUser", "ordinary_user"]

ROOT = Path(__file__).parents[2]
LEFT_OUT = ("test", "idlelib", "tkinter", "ensurepip", "config-*", "site-packages", "dist-packages")
"""Of the standard library: large, and nothing here needs it."""
NOT_INSTALLED = ("mypy*", "*mypyc*", "ruff*", "pip", "setuptools")


@dataclass(frozen=True)
class OrdinaryUser:
    """A user who is not root.

    ``directory`` belongs to the user, and is removed at the end; ``python`` and ``checkout`` are copies.
    """

    account: pwd.struct_passwd
    environment: dict[str, str]
    directory: Path
    python: Path
    checkout: Path

    def run(
        self, *command: str, timeout: float = 60, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as this user, in this environment, in the checkout.

        Args:
            timeout: seconds.
            environment: variables besides the user's.
        """
        name = self.account.pw_name
        return subprocess.run(
            ["setpriv", f"--reuid={name}", f"--regid={self.account.pw_gid}", "--init-groups", *command],
            env={**self.environment, **(environment or {})},
            cwd=self.checkout,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
        )

    @contextlib.contextmanager
    def with_program(self, name: str) -> Iterator[None]:
        """Copies of an agent's program, and of what it needs, are on the user's PATH."""
        programs = Path(self.environment["PATH"].partition(":")[0])
        if (programs / name).exists():
            yield
            return
        source = need(name)
        names = [name]
        if name == "gemini":
            names += ["gemini-cli", "node"]
            _copy(source.parents[1], programs / "gemini-cli")
            (programs / name).symlink_to("gemini-cli/bundle/gemini.js")
            source, name = need("node"), "node"
        shutil.copy2(source, programs / name)
        try:
            subprocess.run(["chmod", "-R", "a+rX", programs], check=True)
            yield
        finally:
            for path in (programs / one for one in names):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()

    def pytest(
        self, *arguments: str, timeout: float = 300, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run tests of this project, with temporary directories below ``directory / "tests"``."""
        options = ("-p", "no:cacheprovider", f"--basetemp={self.directory / 'tests'}")
        command = (str(self.python), "-m", "pytest", *options, *arguments)
        return self.run(*command, timeout=timeout, environment=environment)


@pytest.fixture(scope="session")
def ordinary_user(
    rootless_podman: Podman,
    own_podman: Podman,
    busybox_image: str,
    python_image: str,
) -> Iterator[OrdinaryUser]:
    """The user that ``COBBLER_TEST_ROOTLESS`` names, with bd, claude and the images of the tests."""
    account = rootless_user()
    for image in (busybox_image, python_image):
        hand_over(image, own_podman, rootless_podman)
    # Not below pytest's own directory: pytest removes other users' access to it at each start.
    root = os.environ.get("PYTEST_DEBUG_TEMPROOT") or tempfile.gettempdir()
    place = Path(tempfile.mkdtemp(prefix="cobbler-ordinary-user-", dir=root))
    try:
        programs, directory = place / "programs", place / "own"
        for name in ("pytest_cobbler", "tests"):
            _copy(ROOT / name, place / "checkout" / name)
        for name in ("conftest.py", "pyproject.toml"):
            shutil.copy2(ROOT / name, place / "checkout")
        python = _copy_python(place / "python")
        programs.mkdir()
        for name in ("bd", "claude"):
            shutil.copy2(need(name), programs / name)
        subprocess.run(["chmod", "-R", "a+rX", place], check=True)
        directory.mkdir()
        os.chown(directory, account.pw_uid, account.pw_gid)
        environment = rootless_podman.environment | {
            "USER": account.pw_name,
            "LOGNAME": account.pw_name,
            "PATH": f"{programs}:{os.defpath}",
            "PYTHONPATH": f"{place / 'checkout'}:{place / 'python' / 'installed'}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "COBBLER_TEST_REQUIRE": "podman,bd,claude",
        }
        yield OrdinaryUser(account, environment, directory, python, place / "checkout")
    finally:
        shutil.rmtree(place)


def _copy(source: Path, target: Path, *but: str) -> None:
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(*but))


def _copy_python(target: Path) -> Path:
    """This interpreter and its packages, copied because root's may be readable by root only."""
    library = target / "lib"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    _copy(Path(sysconfig.get_path("stdlib")), library / version, *LEFT_OUT)
    _copy(Path(sysconfig.get_path("purelib")), target / "installed", *NOT_INSTALLED)
    if sysconfig.get_config_var("Py_ENABLE_SHARED"):
        name = sysconfig.get_config_var("INSTSONAME")
        shutil.copy2(Path(sysconfig.get_config_var("LIBDIR"), name), library / name)
    (target / "bin").mkdir()
    shutil.copy2(Path(sys.executable).resolve(), target / "bin" / "interpreter")
    # The interpreter looks for its library in the old place, and our child processes inherit no variable.
    program = target / "bin" / "python"
    program.write_text(
        f'#!/bin/bash\nLD_LIBRARY_PATH="{library}" exec -a "$0" "{target}/bin/interpreter" "$@"\n'
    )
    program.chmod(0o755)
    return program
