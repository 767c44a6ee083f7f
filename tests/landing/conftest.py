from __future__ import annotations

from tests.support.repository_fixtures import no_git_of_ours, template, tmp_path, user

__all__ = ["no_git_of_ours", "template", "tmp_path", "user"]
