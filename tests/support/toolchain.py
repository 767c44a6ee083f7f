"""What gates of the tests run with: the real Go with a build cache, and a Python that starts soon.

A cold build of Go's standard library takes half a minute. Plugins of pytest that are installed for the tests
of this project, Hypothesis above all, take as long to load as pytest itself.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pytest_cobbler.testing.samples import go_sample
from tests.support.parts import need

__all__ = ["go_arguments", "go_cache", "go_root", "python_without_plugins"]


@pytest.fixture(scope="session")
def go_root() -> Path:
    """The directory of Go's toolchain."""
    completed = subprocess.run([need("go"), "env", "GOROOT"], capture_output=True, text=True, check=True)
    return Path(completed.stdout.strip())


@pytest.fixture(scope="session")
def go_cache(go_root: Path) -> Path:
    """A build cache like an image's: filled by the sample, once for each version of Go.

    It stays in the temporary directory; tests only read it.
    """
    version = (go_root / "VERSION").read_text().split()[0]
    cache = Path(tempfile.gettempdir()) / f"cobbler-test-{version}-{os.getuid()}"
    with cache.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not cache.is_dir():
            _fill(cache, go_root / "bin" / "go")
    return cache


@pytest.fixture(scope="session")
def go_arguments(go_root: Path, go_cache: Path) -> tuple[str, ...]:
    """Arguments of podman that put Go and its build cache into any of the images."""
    cache = "/usr/local/share/go-build"
    return (
        *("--volume", f"{go_root}:/usr/local/go:ro"),
        *("--volume", f"{go_cache}:{cache}:ro"),
        *("--env", f"COBBLER_GOCACHE={cache}"),
        *("--env", "PATH=/usr/local/go/bin:/usr/local/bin:/usr/bin:/bin"),
    )


def python_without_plugins(directory: Path) -> Path:
    """A ``python3`` in ``directory`` whose pytest loads no plugins, as in a project without any."""
    program = directory / "python3"
    program.write_text(
        f'#!/bin/sh\nexport PYTEST_DISABLE_PLUGIN_AUTOLOAD=1\nexec {shlex.quote(sys.executable)} "$@"\n'
    )
    program.chmod(0o755)
    return program


def _fill(cache: Path, go: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=f"{cache.name}-", dir=cache.parent) as name:
        directory = Path(name)
        for path, content in go_sample().items():
            (directory / "tree" / path).parent.mkdir(parents=True, exist_ok=True)
            (directory / "tree" / path).write_text(content)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": name,
            "GOCACHE": f"{name}/cache",
            "GOENV": "off",
            "GOPROXY": "off",
            "GOTOOLCHAIN": "local",
        }
        for command in ("build", "test"):
            subprocess.run(
                [go, command, "./..."],
                cwd=directory / "tree",
                env=environment,
                check=True,
                stdout=subprocess.DEVNULL,
            )
        (directory / "cache").rename(cache)
