"""What commits say of the work that landed in them."""

from __future__ import annotations

import pytest

from pytest_cobbler.repository.landed import landed_work
from pytest_cobbler.repository.landing import Size
from tests.support.repositories import UserRepository

GENERATION = "generation-2026-02-10-15-23-11"


def land(user: UserRepository, files: dict[str, str | bytes], *more: str, task: str = "p-a") -> str:
    """A commit like one that a run makes; ``more`` are further trailers, or others in place of these."""
    lines = [f"Cobbler-Task: {task}", f"Cobbler-Generation: {GENERATION}", *more]
    return user.commit(files, "Add it\n\nAs was asked.\n\n" + "\n".join(lines))


def test_a_landing_has_the_values_of_its_trailers(user: UserRepository) -> None:
    tokens = ("Input: 1", "Output: 2", "Cache-Read: 3", "Cache-Write: 4")
    trailers = [f"Cobbler-Tokens-{kind}" for kind in tokens]
    commit = land(
        user, {"a.txt": "1\n2\n", "README.md": "", "b.bin": b"\0\1"}, "Cobbler-Cost-USD: 0.250000", *trailers
    )
    [work] = landed_work(user.open(), [commit])
    assert (work.commit, work.task, work.generation, work.title) == (commit, "p-a", GENERATION, "Add it")
    assert work.number == 0
    assert work.usage.tokens == {"input": 1, "output": 2, "cache_read": 3, "cache_write": 4}
    assert (work.usage.cost_usd, work.size) == (0.25, Size(files=3, insertions=2, deletions=1))


def test_landings_are_listed_oldest_first_without_other_commits(user: UserRepository) -> None:
    commits = [land(user, {name: "x\n"}, task=f"p-{name}") for name in "ab"]
    user.commit({"c": "x\n"}, "Mine\n\nCobbler-Task: in the middle\n\nof a text")
    last = land(user, {"d": "x\n"}, task="p-d")
    assert [work.commit for work in landed_work(user.open(), [last, *commits])] == [*commits, last]


def test_a_copied_landing_counts_once_and_another_run_counts_again(user: UserRepository) -> None:
    lines = ("Cobbler-Attempt: 1", "Cobbler-Run: aaaa")
    first = land(user, {"a": "1\n"}, *lines)
    copy = land(user, {"a": "2\n"}, *lines)
    again = land(user, {"a": "3\n"}, "Cobbler-Attempt: 1", "Cobbler-Run: bbbb")
    assert copy not in {first, again}
    assert [work.number for work in landed_work(user.open(), [again])] == [1, 1]
    assert [work.commit for work in landed_work(user.open(), [again])] == [first, again]


@pytest.mark.parametrize("written", ["-1", "NaN", "inf", "1e999", "many", "9" * 400, "٣"])
def test_invalid_tokens_are_not_counted(user: UserRepository, written: str) -> None:
    commit = land(user, {"a": "x\n"}, f"Cobbler-Tokens-Input: {written}", f"Cobbler-Cost-USD: {written}x")
    [work] = landed_work(user.open(), [commit])
    assert (work.usage.tokens["input"], work.usage.cost_usd) == (0, None)


@pytest.mark.parametrize("written", ["-1", "NaN", "inf", "1e999", "many"])
def test_an_invalid_cost_is_unknown(user: UserRepository, written: str) -> None:
    commit = land(user, {"a": "x\n"}, f"Cobbler-Cost-USD: {written}")
    assert [work.usage.cost_usd for work in landed_work(user.open(), [commit])] == [None]


def test_a_repository_without_landings_has_none(user: UserRepository) -> None:
    assert landed_work(user.open(), [user.git("rev-parse", "HEAD")]) == []
    assert landed_work(user.open(), []) == []


def test_landings_are_read_from_every_kind_of_tag(user: UserRepository) -> None:
    commit = land(user, {"a": "x\n"})
    user.git("tag", "--annotate", "--message=words", "annotated")
    user.git("tag", "of-a-file", "HEAD:a")
    user.git("tag", "of-a-tree", "HEAD^{tree}")
    tips = user.open().list_refs("refs/tags").values()
    assert [work.commit for work in landed_work(user.open(), tips)] == [commit]
