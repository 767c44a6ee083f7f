"""The real programs that tests need, and the handling of missing ones.

``COBBLER_TEST_REQUIRE=podman,bd,old-bd,claude,codex,opencode,gemini,browser,axe,surroundings,vale`` turns
the skips into errors.
"""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path
from typing import Any, NoReturn

import pytest

INSTALL = {
    "podman": "apt-get install podman runc slirp4netns fuse-overlayfs",
    "bd": "build github.com/steveyegge/beads/cmd/bd v1.3.0 and put `bd` on PATH",
    "old-bd": "build the same at v1.0.5, the oldest supported, and set COBBLER_TEST_OLD_BD to its path",
    "go": "unpack https://go.dev/dl (1.24 or later) to /usr/local/go",
    "make": "apt-get install make",
    "runsc": "apt-get install runsc",
    "vale": "build github.com/vale-cli/vale/v3/cmd/vale and put `vale` on PATH",
    "openssl": "apt-get install openssl",
    "claude": "npm install -g @anthropic-ai/claude-code@2.1.330",
    "opencode": "npm install opencode-linux-x64@1.18.33, and put its binary `opencode` on PATH",
    "node": "apt-get install nodejs, or unpack https://nodejs.org/dist (20 or later)",
    "gemini": "npm install -g @google/gemini-cli@0.61.0",
    "codex": "npm install -g @openai/codex@0.171.0, and put its static binary `codex` on PATH",
}


marked: set[str] = set()
"""The marks of the test that runs."""


scripts: dict[Path, Path] = {}
"""Script -> the program that it starts."""


def in_less_time(program: Path, directory: Path) -> Path:
    """A script that starts ``program``, one in Go, without garbage collection.

    bd computes for half as long then, and takes a quarter of a GiB.
    """
    directory.mkdir(exist_ok=True)
    script = directory / program.name
    script.write_text(f'#!/bin/sh\nGOGC=off exec {shlex.quote(str(program))} "$@"\n')
    script.chmod(0o755)
    scripts[script] = program
    return script


def need(name: str) -> Path:
    """The program ``name``; without it the test is skipped, or fails if it is required."""
    mark = name.removeprefix("old-")
    if mark in ("podman", "bd", "claude") and mark not in marked:
        pytest.fail(f"needs {name} and is not marked so: put @pytest.mark.{mark} on it")
    program = os.environ.get("COBBLER_TEST_OLD_BD", "") if name == "old-bd" else name
    path = shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/local/go/bin")
    if path:
        return scripts.get(Path(path)) or Path(path).resolve()
    return _without(name, INSTALL[name])


def surroundings() -> Path:
    """A directory with the plugins of users' suites, for ``PYTHONPATH``; else as above."""
    directory = os.environ.get("COBBLER_TEST_SURROUNDINGS", "")
    if directory and Path(directory).is_dir():
        return Path(directory)
    reason = "needs COBBLER_TEST_SURROUNDINGS: see tests/surroundings.txt"
    if "surroundings" in os.environ.get("COBBLER_TEST_REQUIRE", "").split(","):
        pytest.fail(reason)
    pytest.skip(reason)


def browser() -> tuple[Any, Path]:
    """The API of Playwright, and Debian's Chromium, which it drives."""
    if "browser" not in marked:
        pytest.fail("needs a browser and is not marked so: put @pytest.mark.browser on it")
    program = shutil.which("chromium")
    try:
        from playwright import sync_api
    except ImportError:
        program = None
    if program is None:
        _without("browser", "apt-get install chromium; pip install playwright (no `playwright install`)")
    return sync_api, Path(program)


def axe() -> Path:
    """The script of axe-core, which looks for what people with disabilities cannot use."""
    path = Path(os.environ.get("COBBLER_TEST_AXE", ""))
    if not path.is_file():
        _without("axe", "npm install axe-core, and set COBBLER_TEST_AXE to its axe.min.js")
    return path


def _without(part: str, how: str) -> NoReturn:
    """Skip the test, or fail it if the part is required."""
    reason = f"needs {part}: {how}"
    if part in os.environ.get("COBBLER_TEST_REQUIRE", "").split(","):
        pytest.fail(reason)
    pytest.skip(reason)
