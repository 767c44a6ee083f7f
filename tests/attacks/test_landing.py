"""What the host finds in the repository after an attack, beside the harvests of others."""

from __future__ import annotations

import itertools
import threading

import pytest

from pytest_cobbler.attacks.landing import damage
from tests.support.repositories import UserRepository, commit_files
from tests.support.repository_fixtures import template, user

__all__ = ["template", "user"]


def test_damage_is_named_with_the_exit_status_of_git(user: UserRepository) -> None:
    repository, head = user.open(), user.git("rev-parse", "HEAD")
    assert damage(repository, head) == ""
    blob = user.git("rev-parse", "HEAD:README.md")
    (repository.git_dir / "objects" / blob[:2] / blob[2:]).unlink()
    found = damage(repository, head)
    assert found.startswith("the repository is damaged (git fsck: exit 2): ")
    assert f"missing blob {blob}" in found


@pytest.mark.slow
def test_what_another_harvest_writes_meanwhile_is_not_missing(user: UserRepository) -> None:
    """Without its heads, git reports it in some of so many tries."""
    head = user.commit({f"files/{number}": f"{number}\n" for number in range(1000)})
    repository, ended = user.open(), threading.Event()

    def go_on() -> None:
        for number in itertools.takewhile(lambda _: not ended.is_set(), itertools.count()):
            repository.set_ref("refs/heads/more", commit_files(repository, head, {"more": str(number)}))

    other = threading.Thread(target=go_on)
    other.start()
    try:
        found = {damage(repository, head) for _ in range(60)}
    finally:
        ended.set()
        other.join()
    assert found == {""}
