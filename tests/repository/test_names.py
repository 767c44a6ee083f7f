"""Names are made and matched whole."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cobbler.causes import Cause
from pytest_cobbler.repository import names
from pytest_cobbler.repository.attempts import drop_attempts, keep_attempt, kept_attempts, last_numbers
from pytest_cobbler.repository.generations import Generation
from pytest_cobbler.repository.repository import Repository
from tests.support.repositories import ADA, NOW, UserRepository, commit_files


def test_a_generation_is_named_after_its_second() -> None:
    assert names.generation_name("generation-", NOW, ()) == "generation-2026-02-10-15-23-11"


def test_a_taken_second_gives_way_to_the_next_free_one() -> None:
    taken = {"g-2026-12-31-23-59-59", "g-2027-01-01-00-00-00"}
    assert names.generation_name("g-", datetime(2026, 12, 31, 23, 59, 59), taken) == "g-2027-01-01-00-00-01"


@pytest.mark.parametrize("task_id", ["a", "proj-1a2", "A_b.c-1", "x" * 100, "1.2.3"])
def test_task_ids_of_trackers_are_usable(task_id: str) -> None:
    assert names.is_usable_task_id(task_id)


@pytest.mark.parametrize(
    "task_id",
    ["", "-a", ".a", "a.", "a..b", "a/b", "../a", "a b", "a\n", "a~1", "a^", "a:b", "a.lock", "ä", "x" * 101],
)
def test_a_task_id_that_git_or_a_directory_cannot_have_is_not_usable(task_id: str) -> None:
    assert not names.is_usable_task_id(task_id)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=30))
def test_a_usable_task_id_is_one_part_of_a_ref(task_id: str) -> None:
    if names.is_usable_task_id(task_id):
        assert "/" not in task_id
        assert not task_id.startswith(("-", "."))


class TestOneGenerationIsNotAnother:
    """``generation-a`` and ``generation-a-b`` begin alike."""

    @pytest.fixture
    def work(self, user: UserRepository, repository: Repository) -> str:
        return commit_files(repository, user.git("rev-parse", "HEAD"), {"new": "x"})

    def keep(self, repository: Repository, generation: str, task_id: str, number: int, commit: str) -> str:
        return keep_attempt(
            repository,
            Generation(name=generation, base="main", start=commit, first=commit),
            task_id,
            number,
            commit=commit,
            title="Title",
            cause=Cause.GATE,
            details="",
            identity=ADA,
        )

    def test_kept_attempts_of_generations_with_similar_names_are_apart(
        self, repository: Repository, work: str
    ) -> None:
        mine = self.keep(repository, "generation-a", "t-1", 1, work)
        self.keep(repository, "generation-a-b", "t-1", 2, work)
        self.keep(repository, "generation-a", "t-1.2", 3, work)
        self.keep(repository, "generation-a", "t-10", 4, work)
        assert [kept.ref for kept in kept_attempts(repository, "generation-a", "t-1")] == [mine]

    def test_numbers_of_attempts_of_generations_with_similar_names_are_apart(
        self, repository: Repository, work: str
    ) -> None:
        self.keep(repository, "generation-a", "t-1", 2, work)
        self.keep(repository, "generation-a", "t-1", 10, work)
        self.keep(repository, "generation-a-b", "t-1", 30, work)
        self.keep(repository, "generation-a", "t-10", 4, work)
        assert last_numbers(repository, "generation-a") == {"t-1": 10, "t-10": 4}

    def test_a_landing_drops_no_attempt_of_a_generation_with_a_similar_name(
        self, repository: Repository, work: str
    ) -> None:
        self.keep(repository, "generation-a", "t-1", 1, work)
        others = [
            self.keep(repository, "generation-a-b", "t-1", 1, work),
            self.keep(repository, "generation-a", "t-1.2", 1, work),
            self.keep(repository, "generation-a", "t-10", 1, work),
        ]
        drop_attempts(repository, "generation-a", "t-1")
        assert sorted(repository.list_refs("refs/cobbler")) == sorted(others)

    def test_reading_a_ref_ignores_refs_with_similar_names(
        self, user: UserRepository, repository: Repository
    ) -> None:
        user.git("branch", "generation-a-b")
        user.git("branch", "refs/heads/generation-a")
        assert repository.read_ref("refs/heads/generation-a") is None
        assert repository.read_ref("refs/heads/generation-a-b") == user.git("rev-parse", "HEAD")
