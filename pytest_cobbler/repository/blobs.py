"""Many blobs in two calls of git."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_cobbler.repository.git import Git


def read_small_blobs(git: Git, blobs: Iterable[str], largest: int) -> dict[str, bytes]:
    """The content of those of ``blobs`` that are there and have at most ``largest`` bytes."""
    asked = sorted(set(blobs))
    if not asked:
        return {}
    lines = "".join(f"{blob}\n" for blob in asked).encode()
    facts = git.run("cat-file", "--batch-check=%(objecttype) %(objectsize)", stdin=lines).text.splitlines()
    small = {
        blob: int(size)
        for blob, (kind, _, size) in zip(asked, (fact.partition(" ") for fact in facts), strict=True)
        if kind == "blob" and int(size) <= largest
    }
    lines = "".join(f"{blob}\n" for blob in small).encode()
    answer = git.run("cat-file", "--batch=", stdin=lines).stdout
    contents, start = {}, 1
    for blob, size in small.items():
        contents[blob] = answer[start : start + size]
        start += size + 2  # the end of this line, and an empty one
    return contents
