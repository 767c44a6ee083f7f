from __future__ import annotations

from tests.support.images import minimal_image
from tests.support.repository_fixtures import no_git_of_ours, tmp_path

__all__ = ["minimal_image", "no_git_of_ours", "tmp_path"]
