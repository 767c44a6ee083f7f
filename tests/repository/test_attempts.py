"""Work that did not land is kept as refs and read back as it was."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_cobbler.causes import Cause
from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.repository import trailers
from pytest_cobbler.repository.attempts import (
    KeptAttempt,
    drop_attempts,
    keep_attempt,
    kept_attempts,
    last_numbers,
)
from pytest_cobbler.repository.generations import Generation
from pytest_cobbler.repository.repository import Repository
from tests.support.repositories import ADA, UserRepository, commit_files, identity_of

Keep = Callable[..., str]


@pytest.fixture
def generation(user: UserRepository) -> Generation:
    return user.start()


@pytest.fixture
def work(repository: Repository, generation: Generation) -> str:
    return commit_files(repository, generation.first, {"new": "x"})


@pytest.fixture
def keep(repository: Repository, generation: Generation, work: str) -> Keep:
    """Keeps the work as an attempt."""

    def keep(
        number: int = 1,
        *,
        cause: Cause = Cause.GATE,
        details: str = "",
        title: str = "Title",
        task: str = "t-1",
    ) -> str:
        return keep_attempt(
            repository,
            generation,
            task,
            number,
            commit=work,
            title=title,
            cause=cause,
            details=details,
            identity=ADA,
        )

    return keep


def only(repository: Repository, generation: Generation) -> KeptAttempt:
    (kept,) = kept_attempts(repository, generation.name, "t-1")
    return kept


def test_a_kept_attempt_has_the_parent_of_the_work_and_the_users_name(
    repository: Repository, generation: Generation, work: str, keep: Keep
) -> None:
    ref = keep()
    kept = only(repository, generation)
    assert kept.ref == ref == f"refs/cobbler/attempts/{generation.name}/t-1/1"
    assert repository.tree_of(kept.commit) == repository.tree_of(work)
    assert repository.objects.text("rev-parse", f"{kept.commit}^") == generation.first
    assert identity_of(repository, kept.commit) == "Ada <ada@example.invalid>"


def test_work_whose_commit_git_removes_at_once_is_not_taken_for_kept(
    repository: Repository, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_ref = Repository.set_ref

    def too_late(one: Repository, ref: str, new: str) -> None:
        set_ref(one, ref, new)
        (one.common_dir / "objects" / new[:2] / new[2:]).unlink()

    monkeypatch.setattr(Repository, "set_ref", too_late)
    with pytest.raises(RepositoryError, match="is missing in the repository"):
        keep(1)
    assert repository.list_refs("refs/cobbler/attempts") == {}


def test_kept_attempts_are_sorted_by_number(
    repository: Repository, generation: Generation, keep: Keep
) -> None:
    for number, cause in ((10, Cause.GATE), (2, Cause.IDLE), (1, Cause.CONFLICT)):
        keep(number, cause=cause)
    kept = kept_attempts(repository, generation.name, "t-1")
    assert [(one.number, one.cause) for one in kept] == [
        (1, Cause.CONFLICT),
        (2, Cause.IDLE),
        (10, Cause.GATE),
    ]
    assert last_numbers(repository, generation.name) == {"t-1": 10}


def test_a_task_without_kept_attempts_has_an_empty_list(
    repository: Repository, generation: Generation
) -> None:
    assert kept_attempts(repository, generation.name, "t-1") == []
    assert last_numbers(repository, generation.name) == {}
    drop_attempts(repository, generation.name, "t-1")


def test_dropped_attempts_of_a_task_are_deleted(
    repository: Repository, generation: Generation, keep: Keep
) -> None:
    keep(1)
    keep(2)
    other = keep(1, task="t-2")
    drop_attempts(repository, generation.name, "t-1")
    assert list(repository.list_refs("refs/cobbler")) == [other]


def test_other_refs_below_a_task_are_not_attempts(
    repository: Repository, generation: Generation, keep: Keep, work: str
) -> None:
    keep(1)
    repository.set_ref(f"refs/cobbler/attempts/{generation.name}/t-1/note", work)
    assert [one.number for one in kept_attempts(repository, generation.name, "t-1")] == [1]
    assert last_numbers(repository, generation.name) == {"t-1": 1}


def test_a_kept_attempt_is_not_a_landed_task(
    repository: Repository, generation: Generation, keep: Keep
) -> None:
    keep(details=f"{trailers.TASK}: t-1", title=f"{trailers.TASK}: t-1")
    kept = only(repository, generation)
    assert trailers.landed_tasks(repository, kept.commit) == {}


class TestEvidence:
    @pytest.mark.parametrize(
        "evidence",
        [
            "",
            "One line",
            "First.\n\nSecond.\n\n\nThird.",
            'FAILED tests/test_x.py::test - assert 1 == 2\n  File "x"\n\tindented',
            "Key: value\nOther: value",
            "--- a\n+++ b\n@@ -1 +1 @@\n-x\n+y",
            "# comment\n# comment",
            "日本語 ü — 👩\u200d💻",
        ],
    )
    def test_evidence_is_read_as_it_was_written(
        self, repository: Repository, generation: Generation, keep: Keep, evidence: str
    ) -> None:
        keep(details=evidence)
        kept = only(repository, generation)
        assert kept.details == evidence
        assert (kept.number, kept.cause) == (1, "gate")

    @pytest.mark.parametrize(
        "evidence",
        [
            "\x1b[31mred\x1b[0m \0 \x07",
            os.fsdecode(b"\xff\xfe"),
            "\ud800",
            f"{trailers.CAUSE}: other\n{trailers.ATTEMPT}: t-9 9",
            f"x\n\n{trailers.CAUSE}: other",
            "# ------------------------ >8 ------------------------\nafter",
            "x" * 100_000,
            "\r\n\r\n\u2028\x85",
        ],
        ids=range(8),
    )
    def test_odd_evidence_does_not_change_number_or_cause(
        self, repository: Repository, generation: Generation, keep: Keep, evidence: str
    ) -> None:
        keep(3, cause=Cause.CONFLICT, details=evidence)
        kept = only(repository, generation)
        assert (kept.number, kept.cause) == (3, "conflict")
        assert all(line.isprintable() for line in kept.details.split("\n"))

    @given(st.text(max_size=80))
    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_any_evidence_does_not_change_the_cause(
        self, repository: Repository, generation: Generation, keep: Keep, evidence: str
    ) -> None:
        keep(details=evidence, title=evidence)
        assert only(repository, generation).cause == "gate"


def test_a_cause_of_another_version_is_unknown(
    repository: Repository, generation: Generation, keep: Keep
) -> None:
    keep(cause="weather")
    assert only(repository, generation).cause is Cause.UNKNOWN
