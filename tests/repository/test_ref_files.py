"""References read from git's files are those that git lists."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from pytest_cobbler.repository.ref_files import read_head_file, read_ref_files
from tests.support.markers import seed
from tests.support.repositories import UserRepository

TOPS = ("refs/heads", "refs/tags", "refs/notes", "refs/cobbler")


def git_says(user: UserRepository, *names: str) -> dict[str, str]:
    lines = user.git("for-each-ref", "--format=%(refname) %(objectname)", *names).splitlines()
    return dict(line.split(" ") for line in lines)


@pytest.fixture
def commits(user: UserRepository) -> list[str]:
    return [user.commit({"file": str(number)}) for number in range(3)]


def test_random_references_are_those_of_git(user: UserRepository, commits: list[str]) -> None:
    """Made, moved, deleted and packed in any order."""
    draw = random.Random(seed())
    names = [f"{top}/{name}" for top in TOPS[1:] for name in ("a", "b/c", "b/d", "b/e/f-1.2", "gen-1/x@y")]
    for _ in range(25):
        action = draw.choice(["set", "set", "set", "delete", "pack"])
        if action == "pack":
            user.git("pack-refs", "--all", *draw.choice([(), ("--no-prune",)]))
        elif action == "set":
            user.git("update-ref", draw.choice(names), draw.choice(commits))
        else:
            user.git("update-ref", "-d", draw.choice(names))
        asked = draw.sample([*TOPS, *names, "refs/tags/b", "refs/cobbler/gen-1", "refs/notes/a/below"], 3)
        assert read_ref_files(user.path / ".git", tuple(asked)) == git_says(user, *asked), asked


def test_an_annotated_tag_is_itself_and_not_its_commit(user: UserRepository, commits: list[str]) -> None:
    user.git("tag", "--annotate", "--message=m", "noted")
    user.git("pack-refs", "--all")
    found = read_ref_files(user.path / ".git", ("refs/tags/noted",))
    assert found == git_says(user, "refs/tags/noted") != {"refs/tags/noted": commits[-1]}


@pytest.mark.parametrize(
    "names",
    [
        (),
        ("refs/heads/*",),
        ("refs/heads/[ab]",),
        ("refs/heads/../../config",),
        ("refs/bisect/bad",),
        ("refs/remotes",),
        ("refs",),
        ("HEAD",),
        ("refs/heads/",),
        ("refs/heads/main", "refs/stash"),
    ],
)
def test_git_itself_reads_what_is_not_one_plain_name(user: UserRepository, names: tuple[str, ...]) -> None:
    assert read_ref_files(user.path / ".git", names) is None


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("refs/heads/link", "ref: refs/heads/main\n"),
        ("refs/heads/empty", ""),
        ("refs/heads/none", "0" * 40 + "\n"),
        ("refs/heads/short", "abc\n"),
        ("refs/heads/main 2", "1" * 40 + "\n"),
        ("packed-refs", "# pack-refs with: peeled\nnonsense\n"),
        ("reftable/tables.list", ""),
    ],
)
def test_git_itself_reads_what_is_not_plain(user: UserRepository, path: str, content: str) -> None:
    git_dir = user.path / ".git"
    (git_dir / path).parent.mkdir(exist_ok=True)
    (git_dir / path).write_text(content)
    assert read_ref_files(git_dir, ("refs/heads",)) is None


def test_a_lock_file_of_git_is_no_reference(user: UserRepository, commits: list[str]) -> None:
    (user.path / ".git/refs/heads/main.lock").write_text(commits[0])
    assert read_ref_files(user.path / ".git", ("refs/heads",)) == {"refs/heads/main": commits[-1]}


@pytest.mark.parametrize(
    ("head", "branch"),
    [
        ("ref: refs/heads/main\n", "refs/heads/main"),
        ("ref: refs/heads/feature/x\n", "refs/heads/feature/x"),
        ("ref: refs/remotes/x\n", None),
        ("ref: refs/heads/.invalid\n", None),
        ("1" * 40 + "\n", None),
        ("", None),
    ],
)
def test_the_branch_of_head(tmp_path: Path, head: str, branch: str | None) -> None:
    (tmp_path / "HEAD").write_text(head)
    assert read_head_file(tmp_path) == branch
    (tmp_path / "reftable").mkdir()
    assert read_head_file(tmp_path) is None
    assert read_head_file(tmp_path / "missing") is None
