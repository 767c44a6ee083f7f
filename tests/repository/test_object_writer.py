"""Objects that are written by processes that stay are those that git itself would write."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.repository.blobs import DIRECTORY, entries_of
from pytest_cobbler.repository.identity import Identity, Person
from pytest_cobbler.repository.object_writer import tree_content
from pytest_cobbler.repository.repository import Repository
from tests.support.repositories import UserRepository

PEOPLE = Identity(
    author=Person(name=os.fsdecode(b"Ad\xc3\xa4 \xff L. B"), email="ada@x"),
    committer=Person(name="Bo", email="bo@x"),
)


@pytest.fixture(params=["sha1", "sha256"])
def user(request: pytest.FixtureRequest, tmp_path: object) -> UserRepository:
    made = UserRepository.create(tmp_path, f"--object-format={request.param}")  # type: ignore[arg-type]
    made.commit({"a": "x", "dir/b": "y"})
    return made


@pytest.fixture
def repository(user: UserRepository) -> Iterator[Repository]:
    repository = user.open()
    yield repository
    repository.objects.reader.close()
    repository.objects.writer.close()


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[str]:
    """The time zone of this process."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", request.param)
        time.tzset()
        yield request.param
    time.tzset()


@pytest.mark.parametrize("parents", [0, 1, 2])
@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/St_Johns"], indirect=True)
def test_a_commit_is_what_git_makes(repository: Repository, parents: int, zone: str) -> None:
    git, head = repository.objects, repository.head_commit()
    assert head is not None
    others = [head, repository.commit(repository.tree_of(head), [head], "Other\n", PEOPLE)][:parents]
    message = "Title ä\n\nBody\n\nA-Trailer: x\n"
    commit = repository.commit(repository.tree_of(head), others, message, PEOPLE)
    content = git.run("cat-file", "commit", commit).stdout
    seconds = content.split(b"> ")[1].split(b"\n")[0].decode()
    dates = {"GIT_AUTHOR_DATE": seconds, "GIT_COMMITTER_DATE": seconds}
    words = [word for parent in others for word in ("-p", parent)]
    made = git.run(
        *("commit-tree", repository.tree_of(head), *words),
        stdin=message.encode(),
        environment={**PEOPLE.environment, **dates, "TZ": zone},
    )
    assert content == git.run("cat-file", "commit", made.text.strip()).stdout
    now = git.run("var", "GIT_COMMITTER_IDENT", environment={**PEOPLE.environment, "TZ": zone}).text
    assert now.split()[-1] == seconds.split()[-1]


def test_a_tree_is_what_git_makes(repository: Repository) -> None:
    git, head = repository.objects, repository.head_commit()
    assert head is not None
    (below,) = (one for mode, one in entries_of(git, head).values() if mode == DIRECTORY)
    blob = git.writer.write("blob", b"1")
    assert git.text("cat-file", "blob", blob) == "1"
    names = (b"a", b"a.b", b"a-b", b"ab", b"\xff", b"A", b"x\ny")
    kinds = {"100644": "blob", "100755": "blob", "120000": "blob", DIRECTORY: "tree", "160000": "commit"}
    for mode, kind in kinds.items():
        one = {"blob": blob, "tree": below, "commit": head}[kind]
        entries = dict.fromkeys(names, ("100644", blob)) | {b"a": (mode, one)}
        lines = b"".join(
            f"{held[0]} {kinds[held[0]]} {held[1]}\t".encode() + name + b"\0"
            for name, held in entries.items()
        )
        assert git.writer.write("tree", tree_content(entries)) == git.text("mktree", "-z", stdin=lines)


def test_a_commit_of_what_is_not_there_is_an_error(repository: Repository) -> None:
    head = repository.head_commit()
    assert head is not None
    tree = repository.tree_of(head)
    for named, parents in (
        ("1" * len(head), [head]),
        (tree, ["1" * len(head)]),
        (head, [head]),
        (tree, [tree]),
    ):
        with pytest.raises(RepositoryError, match="git has no"):
            repository.commit(named, parents, "x\n", PEOPLE)


def test_what_git_refuses_is_an_error_and_the_next_object_is_written(repository: Repository) -> None:
    with pytest.raises(RepositoryError, match="could not write a commit") as caught:
        repository.objects.writer.write("commit", b"no commit")
    assert "bogus commit" in caught.value.evidence or "corrupt" in caught.value.evidence
    head = repository.head_commit()
    assert head is not None
    assert repository.parent_of(repository.commit(repository.tree_of(head), [head], "x\n", PEOPLE)) == head
