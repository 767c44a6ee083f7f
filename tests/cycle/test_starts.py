"""An attempt starts from the current tip, with the work to continue."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_cobbler.causes import Cause
from pytest_cobbler.config import Config
from pytest_cobbler.cycle.prompts import StitchFacts, stitch_prompt
from pytest_cobbler.cycle.starts import Start, Starts
from pytest_cobbler.lifecycle.joining import LABEL
from pytest_cobbler.repository.attempts import keep_attempt
from pytest_cobbler.repository.sessions import Sessions
from pytest_cobbler.tracker.base import Task
from pytest_cobbler.wiring.project import Project
from tests.support.repositories import UserRepository, commit_files, files_in
from tests.support.repository_fixtures import no_git_of_ours, template, tmp_path, user

__all__ = ["no_git_of_ours", "template", "tmp_path", "user"]

TASK = Task(id="t-1", title="Write it")
README = "README.md"


class Bench:
    """A generation, and the starts of one task."""

    def __init__(self, user: UserRepository) -> None:
        self.user = user
        self.repository = user.open()
        self.generation = user.start()
        config = Config.model_construct(root=user.path)
        self.project = Project.of(config, self.repository, self.generation)
        self.starts = Starts(self.project, TASK)

    def commit(self, files: dict[str, str], parent: str = "") -> str:
        return commit_files(self.repository, parent or self.project.tip(), files)

    def land(self, files: dict[str, str]) -> str:
        """Move the tip to a commit with these files."""
        tip = self.project.tip()
        commit = self.commit(files)
        assert self.repository.move_ref(self.generation.ref, commit, tip, "land")
        return commit

    def keep(self, files: dict[str, str], cause: str) -> str:
        """Keep an earlier attempt of another run."""
        commit = self.commit(files)
        keep_attempt(
            self.repository,
            self.generation,
            TASK.id,
            1,
            commit=commit,
            title=TASK.title,
            cause=Cause.parse(cause),
            details="test failed",
            identity=self.project.identity,
        )
        return commit

    def files(self, start: Start) -> dict[str, bytes]:
        return files_in(self.repository, start.tree)

    def after(self, commit: str, base: str = "", cause: str = "gate") -> Start:
        return self.starts.after(
            commit, base, cause=Cause.parse(cause), summary="gate: test failed", details="1 failed"
        )


@pytest.fixture
def bench(user: UserRepository) -> Bench:
    return Bench(user)


def test_the_first_attempt_starts_from_the_tip(bench: Bench) -> None:
    tip = bench.land({"landed": "landed\n"})
    start = bench.starts.first()
    assert (start.parent, start.tree) == (tip, bench.repository.tree_of(tip))
    assert (start.feedback, start.marked, start.base) == (None, (), "")


def test_work_that_failed_the_gate_in_an_earlier_run_is_continued(bench: Bench) -> None:
    bench.keep({"work": "half\n"}, "gate")
    tip = bench.land({"landed": "landed\n"})
    start = bench.starts.first()
    assert start.parent == tip
    assert {"work", "landed"} <= bench.files(start).keys()
    assert start.feedback is not None
    assert (start.feedback.kind, start.feedback.continues) == ("gate", True)
    assert "test failed" in start.feedback.details


def test_work_that_was_refused_in_an_earlier_run_is_not_continued(bench: Bench) -> None:
    bench.keep({"work": "half\n"}, "refused")
    start = bench.starts.first()
    assert "work" not in bench.files(start)
    assert start.feedback is None


def test_a_further_attempt_starts_from_the_failed_work_on_the_current_tip(bench: Bench) -> None:
    work = bench.commit({"work": "half\n"})
    bench.land({"landed": "landed\n"})
    start = bench.after(work)
    assert {"work", "landed"} <= bench.files(start).keys()
    assert start.feedback is not None
    assert start.feedback.summary == "gate: test failed"


def test_a_further_attempt_without_work_starts_afresh_with_feedback(bench: Bench) -> None:
    start = bench.after("", cause="harvest")
    assert start.tree == bench.repository.tree_of(bench.project.tip())
    assert start.feedback is not None
    assert (start.feedback.kind, start.feedback.continues) == ("harvest", False)


@pytest.mark.parametrize("cause", ["gate", "conflict", "refused", "harvest", "timeout", "agent"])
def test_the_next_attempt_goes_on_with_the_conversation_of_the_last_one(bench: Bench, cause: str) -> None:
    for commit in (bench.commit({"work": "half\n"}), ""):
        start = bench.starts.after(
            commit, "", cause=Cause(cause), summary="why", details="1 failed", number=7
        )
        assert start.continued is not None
        assert (start.continued.number, start.continued.feedback) == (7, start.feedback)


def conversation(bench: Bench, number: int) -> Sessions:
    """The conversation of an attempt of an earlier run is kept."""
    sessions = Sessions(bench.repository, bench.generation.name)
    place = bench.repository.work_dir / "sessions" / bench.generation.name / TASK.id
    place.mkdir(parents=True)
    (place / f"{number}-id").write_text("{}\n")
    return sessions


def test_a_later_run_goes_on_with_the_conversation_of_the_kept_work(bench: Bench) -> None:
    bench.keep({"work": "half\n"}, "interrupted")
    start = Starts(bench.project, TASK, conversation(bench, 1)).first()
    assert "work" in bench.files(start)
    assert start.continued is not None
    assert (start.continued.number, start.continued.feedback) == (1, start.feedback)


@pytest.mark.parametrize("kept", [True, False])
def test_a_later_run_goes_on_with_an_agent_that_had_changed_nothing_yet(bench: Bench, kept: bool) -> None:
    if kept:
        bench.keep({"work": "half\n"}, "gate")
    start = Starts(bench.project, TASK, conversation(bench, 2)).first()
    assert ("work" in bench.files(start)) is kept
    assert (start.feedback is not None) is kept, "as it would be without the conversation"
    assert start.continued is not None
    assert start.continued.number == 2
    assert start.continued.feedback.continues is kept


def test_conflicting_work_has_markers_and_the_titles_of_the_landed_tasks(bench: Bench) -> None:
    work = bench.commit({README: "ours\n"})
    bench.land({README: "theirs\n"})
    start = bench.after(work)
    assert start.marked == (README,)
    assert b"<<<<<<<" in bench.files(start)[README]
    assert start.feedback is not None
    assert start.feedback.kind == "conflict"
    assert start.feedback.files == (README,)
    assert start.feedback.summary.startswith("gate: test failed; since then")


def test_an_attempt_after_a_conflict_in_a_file_that_git_must_not_merge_is_told_to_make_it_anew(
    bench: Bench,
) -> None:
    bench.land({".gitattributes": "*.lock -merge\n", "deps.lock": "0\n", README: "0\n"})
    work = bench.commit({"deps.lock": "0\nours\n", README: "ours\n"})
    bench.land({"deps.lock": "theirs\n0\n", README: "theirs\n"})
    start = bench.after(work)
    assert bench.files(start)["deps.lock"] == b"theirs\n0\n"
    assert start.feedback is not None
    assert (start.feedback.files, start.feedback.unmarked) == ((README,), ("deps.lock",))
    prompt = stitch_prompt(None, StitchFacts(id="t-1", title="Write it", feedback=start.feedback))
    assert "<unmarked-conflicts>\ndeps.lock\n</unmarked-conflicts>" in prompt


def test_the_merge_of_the_base_starts_from_a_commit_that_holds_it(bench: Bench) -> None:
    base = bench.user.commit({"base": "base\n"})
    tip = bench.land({"landed": "landed\n"})
    starts = Starts(bench.project, replace(TASK, labels=(LABEL,)))
    start = starts.first()
    assert start.base == base
    parents = bench.repository.objects.text("rev-parse", f"{start.parent}^@").split()
    assert parents == [tip, base]
    assert {"base", "landed"} <= bench.files(start).keys()


def test_a_merge_of_the_base_without_work_starts_from_the_base_again(bench: Bench) -> None:
    bench.user.commit({"base": "base\n"})
    starts = Starts(bench.project, replace(TASK, labels=(LABEL,)))
    first = starts.first()
    newer = bench.user.commit({"newer": "newer\n"})
    start = starts.after("", first.base, cause=Cause.HARVEST, summary="harvest failed", details="")
    assert start.base == newer
    assert "newer" in bench.files(start)
