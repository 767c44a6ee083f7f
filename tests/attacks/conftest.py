from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.images import minimal_image
from tests.support.podmans import open_to_others
from tests.support.repository_fixtures import no_git_of_ours, tmp_path

__all__ = ["minimal_image", "no_git_of_ours", "tmp_path"]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory that jobs can read, as below ``work_dir``."""
    directory = tmp_path / "place"
    directory.mkdir()
    open_to_others(directory)
    directory.chmod(0o755)
    return directory
