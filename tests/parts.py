"""The real programs that tests need, and what to do where they are missing.

``COBBLER_TEST_REQUIRE=podman,bd,claude`` turns the skips into errors.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

INSTALL = {
    "podman": "apt-get install podman runc slirp4netns fuse-overlayfs",
    "bd": "build github.com/steveyegge/beads/cmd/bd v1.3.0 and put `bd` on PATH",
    "go": "unpack https://go.dev/dl (1.24 or later) to /usr/local/go",
    "claude": "npm install -g @anthropic-ai/claude-code@2.1.330",
}


def need(name: str) -> Path:
    """The program ``name``; without it the test is skipped, or fails if it is required."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/local/go/bin")
    if found:
        return Path(found).resolve()
    reason = f"needs {name}: {INSTALL[name]}"
    if name in os.environ.get("COBBLER_TEST_REQUIRE", "").split(","):
        pytest.fail(reason)
    pytest.skip(reason)
