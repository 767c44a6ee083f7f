"""Files that a repository keeps outside of git (https://git-lfs.com): what git itself has is a pointer.

No filter takes part in a checkout or a harvest, so agents see the pointers and what they write is taken as it
is. Content in the place of a pointer would be in the history for ever, and git-lfs would complain of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from pytest_cobbler.files import temporary_directory
from pytest_cobbler.repository.git import Git

POINTER = b"version https://git-lfs.github.com/spec/"
"""What a pointer begins with, by the specification of git-lfs."""


def kept_outside(git: Git, tree: str, paths: Sequence[bytes]) -> set[bytes]:
    """Those of ``paths`` that the attributes in ``tree`` give to git-lfs."""
    asked = ("grep", "--quiet", "--fixed-strings", "filter=lfs", tree, "--", ":(glob)**/.gitattributes")
    if not paths or git.run(*asked, accepted=(0, 1)).status:
        return set()
    with temporary_directory() as directory:
        indexed = git.using(index=directory / "index")
        indexed.run("read-tree", tree)
        fields = indexed.fields(
            "check-attr", "--cached", "-z", "--stdin", "filter", stdin=b"\0".join(paths) + b"\0"
        )
    return {path for path, value in zip(fields[::3], fields[2::3], strict=True) if value == b"lfs"}
