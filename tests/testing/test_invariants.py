"""The checker of invariants finds what it is there to find: each fault is planted in a good result."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.lock import run_lock
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sandbox.base import Job, Sandbox
from pytest_cobbler.sandbox.host import HostSandbox
from pytest_cobbler.sandbox.podman import LABEL_REPOSITORY, PodmanSandbox, job_owner
from pytest_cobbler.sandbox.podman_environment import podman_environment
from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.invariants import CheckoutState, check
from pytest_cobbler.testing.project import Case, Project
from tests.support.images import minimal_image

__all__ = ["minimal_image"]

FIRST, SECOND, FAILS = "Add one", "Add two", "Break it"


@dataclass
class Good:
    """A project after a run in which two tasks landed and one did not, and what is known of it."""

    project: Project
    before: CheckoutState
    junit: dict[str, Case]

    def faults(self) -> list[str]:
        return check(self.project, self.junit, before=self.before)

    def task(self, title: str) -> str:
        return self.project.task(title).id

    @property
    def generation(self) -> str:
        assert self.project.generation
        return self.project.generation

    @property
    def work(self) -> Path:
        """Where worktrees lie."""
        return next((self.project.directory / "work").iterdir())

    @property
    def attempt(self) -> str:
        return f"refs/cobbler/attempts/{self.generation}/{self.task(FAILS)}/2"

    def issue(self, title: str, **changes: Any) -> None:
        """Change an issue in the store behind everybody's back."""
        store = self.project.path / ".beads" / "issues.jsonl"
        records = [json.loads(line) for line in store.read_text().splitlines()]
        for record in records:
            if record["title"] == title:
                record |= changes
        store.write_text("".join(f"{json.dumps(record)}\n" for record in records if record.get("id")))

    def case(self, title: str, *, outcome: str = "", **properties: str) -> None:
        """Change a case of the report."""
        name = f"configuration.yaml::stitch::{self.task(title)}"
        case = self.junit[name]
        merged = {**case.properties, **{f"cobbler_{key}": value for key, value in properties.items()}}
        self.junit[name] = replace(case, outcome=outcome or case.outcome, properties=merged)

    def commit(self, message: str, *parents: str) -> str:
        """A commit of the tip's tree; on the tip, unless ``parents`` are given."""
        arguments = [word for parent in parents or (self.generation,) for word in ("-p", parent)]
        return self.project.git(
            "commit-tree", f"{self.generation}^{{tree}}", "-m", message, *arguments
        ).strip()

    def move(self, commit: str) -> None:
        self.project.git("update-ref", f"refs/heads/{self.generation}", commit)

    def journal(self, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> None:
        """Change every event, or take it out."""
        path = self.project.path / ".cobbler" / self.generation / "journal.jsonl"
        events = [change(json.loads(line)) for line in path.read_text().splitlines()]
        path.write_text("".join(f"{json.dumps(event)}\n" for event in events if event))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Good, Path]]:
    """The good result, and a copy of its files."""
    directory = tmp_path_factory.mktemp("good")
    agent = StandInAgent(directory / "agent")
    agent.measure().writes_tasks([{"title": FIRST}, {"title": SECOND, "dependency": 0}, {"title": FAILS}])
    agent.task(FIRST).writes("one.txt", "1\n")
    agent.task(SECOND).writes("two.txt", "2\n")
    agent.task(FAILS).writes("bad.txt", "0\n").fails()
    with Project.create(directory / "project", agent) as project:
        before = CheckoutState.of(project)
        result = project.run("--cobbler-generate")
        assert result.outcomes() == {"passed": 3, "failed": 1}
        shutil.copytree(project.directory, directory / "copy", symlinks=True)
        yield Good(project, before, result.junit), directory / "copy"


@pytest.fixture
def good(made: tuple[Good, Path]) -> Good:
    """The good result, whatever was done to it before."""
    known, copy = made
    shutil.rmtree(known.project.directory)
    shutil.copytree(copy, known.project.directory, symlinks=True)
    # git takes a file for changed whose times are not those in the index.
    known.project.git("update-index", "-q", "--refresh")
    return Good(known.project, known.before, dict(known.junit))


def says(good: Good, *patterns: str) -> None:
    """The faults are these and no others."""
    faults = good.faults()
    assert len(faults) == len(patterns), faults
    for pattern in patterns:
        assert any(re.search(pattern, fault) for fault in faults), f"{pattern!r} is not among {faults}"


@pytest.mark.slow
def test_a_good_run_has_no_fault(good: Good) -> None:
    assert good.faults() == []
    assert check(good.project.path) == []


def test_a_project_without_a_generation_has_no_fault(cobbler_project: Project) -> None:
    assert check(cobbler_project, before=CheckoutState.of(cobbler_project)) == []


# The branch


def test_a_merge_on_the_branch_is_a_fault(good: Good) -> None:
    good.move(good.commit("Merge", good.generation, f"{good.generation}-start"))
    says(good, r"\(Merge\) has the parents \w+ \w+, not the tip before it")


def test_a_commit_without_a_gate_is_a_fault(good: Good) -> None:
    good.journal(lambda event: event if event["event"] != "gate" else None)
    says(
        good,
        rf"\({FIRST}\): the journal has no passed gate",
        rf"\({SECOND}\): the journal has no passed gate",
    )


def test_a_commit_whose_gate_failed_is_a_fault(good: Good) -> None:
    task = good.task(SECOND)
    good.journal(lambda e: {**e, "passed": False} if (e["event"], e.get("task")) == ("gate", task) else e)
    says(good, rf"\({SECOND}\): the journal has no passed gate for its tree \w+")


def test_a_task_that_landed_twice_is_a_fault(good: Good) -> None:
    commit = good.commit(f"{FIRST}\n\nCobbler-Task: {good.task(FIRST)}")
    good.move(commit)
    says(
        good,
        "has no statement",
        f"task {good.task(FIRST)} landed 2 times",
        "was closed as 'landed in",
        "has no comment with the record",
        "the report has",
    )


def test_a_landed_commit_without_its_own_statement_is_a_fault(good: Good) -> None:
    first, second = (landed.commit for landed in good.project.landed())
    good.project.git("notes", "--ref=cobbler", "copy", "--force", first, second)
    says(good, rf"commit {second[:12]} .* has the statement of {first}")
    good.project.git("notes", "--ref=cobbler", "add", "--force", "-m", "mine", second)
    says(good, rf"commit {second[:12]} .* has a note that is not a statement: ")


def test_a_commit_of_two_tasks_is_a_fault(good: Good) -> None:
    first, second, fails = (good.task(title) for title in (FIRST, SECOND, FAILS))
    good.move(good.commit(f"Both\n\nCobbler-Task: {first}\nCobbler-Task: {second}", f"{good.generation}~2"))
    found = good.faults()
    assert any("(Both) names several tasks" in fault for fault in found)
    assert not any(fails in fault for fault in found)


@pytest.mark.parametrize("how", ["gone", "elsewhere"])
def test_a_moved_or_missing_start_tag_is_a_fault(good: Good, how: str) -> None:
    tag = f"refs/tags/{good.generation}-start"
    good.project.git(*(["update-ref", "-d", tag] if how == "gone" else ["update-ref", tag, good.generation]))
    says(good, f"{tag} is (missing|[0-9a-f]+), not the start")


# The tracker


def test_a_landed_task_that_is_open_is_a_fault(good: Good) -> None:
    good.issue(SECOND, status="open", assignee="", metadata={})
    says(good, f"task {good.task(SECOND)} landed in [0-9a-f]+, but is open")


def test_a_landed_task_that_the_tracker_does_not_have_is_a_fault(good: Good) -> None:
    task = good.task(SECOND)
    good.issue(SECOND, id="")
    says(good, f"task {task} landed in [0-9a-f]+, but the tracker has no such issue")


def test_a_landed_task_closed_for_another_commit_is_a_fault(good: Good) -> None:
    good.issue(SECOND, close_reason=f"landed in {'0' * 40}")
    says(good, f"task {good.task(SECOND)} was closed as 'landed in 0{{40}}', but landed in")


def test_a_landed_task_without_its_record_is_a_fault(good: Good) -> None:
    good.issue(SECOND, comments=[{"id": 1, "text": "[]"}, {"id": 2, "text": "done"}])
    says(good, f"task {good.task(SECOND)} has no comment with the record of")


def test_a_closed_task_that_did_not_land_is_a_fault(good: Good) -> None:
    good.issue(FAILS, status="closed", close_reason="done")
    says(good, f"task {good.task(FAILS)} is closed as 'done', but did not land")


def test_a_task_in_progress_is_a_fault(good: Good) -> None:
    good.issue(FAILS, status="in_progress", assignee="cobbler")
    says(good, f"task {good.task(FAILS)} is still in progress, claimed by cobbler")


@pytest.mark.parametrize("claim", [{"assignee": "cobbler"}, {"metadata": {"cobbler": {"run": "1"}}}])
def test_an_open_task_with_a_claim_is_a_fault(good: Good, claim: dict[str, Any]) -> None:
    good.issue(FAILS, **claim)
    says(good, f"task {good.task(FAILS)} is open, but still has a claim")


# Work that did not land


def test_lost_work_is_a_fault(good: Good) -> None:
    good.project.git("update-ref", "-d", good.attempt)
    says(good, f"the work of attempt 2 at {good.task(FAILS)} was neither landed nor kept")


def test_work_that_is_kept_as_files_is_not_a_fault(good: Good) -> None:
    good.project.git("update-ref", "-d", good.attempt)
    (good.work / "kept" / good.generation / f"{good.task(FAILS)}-2.1").mkdir(parents=True)
    assert good.faults() == []


@pytest.mark.parametrize(
    ("trailers", "fault"),
    [
        (
            "Cobbler-Attempt: {task} 1\nCobbler-Generation: {generation}\nCobbler-Cause: agent",
            "says it is attempt",
        ),
        ("Cobbler-Attempt: {task} 2\nCobbler-Generation: other\nCobbler-Cause: agent", "of other"),
        ("Cobbler-Attempt: {task} 2\nCobbler-Generation: {generation}", "does not say why"),
        (
            "Cobbler-Attempt: {task} 2\nCobbler-Generation: {generation}\nCobbler-Cause: agent\n"
            "Cobbler-Task: {task}",
            "says that its task landed",
        ),
    ],
)
def test_a_kept_attempt_with_wrong_trailers_is_a_fault(good: Good, trailers: str, fault: str) -> None:
    message = trailers.format(task=good.task(FAILS), generation=good.generation)
    good.project.git("update-ref", good.attempt, good.commit(f"Kept\n\n{message}"))
    says(good, f"{good.attempt} .*{fault}")


def test_a_kept_attempt_of_a_landed_task_is_a_fault(good: Good) -> None:
    task = good.task(FIRST)
    message = f"Cobbler-Attempt: {task} 7\nCobbler-Generation: {good.generation}\nCobbler-Cause: agent"
    ref = f"refs/cobbler/attempts/{good.generation}/{task}/7"
    good.project.git("update-ref", ref, good.commit(f"Kept\n\n{message}"))
    says(good, f"{ref} is kept, but {task} landed in")


def test_a_kept_attempt_of_an_unknown_task_is_a_fault(good: Good) -> None:
    message = f"Cobbler-Attempt: gone 1\nCobbler-Generation: {good.generation}\nCobbler-Cause: agent"
    ref = f"refs/cobbler/attempts/{good.generation}/gone/1"
    good.project.git("update-ref", ref, good.commit(f"Kept\n\n{message}"))
    says(good, f"{ref} is kept, but the tracker has no issue gone")


# The report


def test_a_report_of_a_landing_that_did_not_happen_is_a_fault(good: Good) -> None:
    good.case(FAILS, outcome="passed", outcome_="", commit="0" * 40)
    says(
        good,
        f"the report has {good.task(FAILS)} as failed 0+, the branch has no commit",
        "as passed, but its",
    )


def test_a_report_without_a_landing_that_happened_is_a_fault(good: Good) -> None:
    good.junit = {
        name: replace(case, properties={**case.properties, "cobbler_outcome": "failed"})
        if case.properties.get("cobbler_title") == FIRST
        else case
        for name, case in good.junit.items()
    }
    says(good, f"the report has {good.task(FIRST)} as failed", "as passed, but its outcome is failed")


def test_a_report_with_another_commit_is_a_fault(good: Good) -> None:
    good.case(FIRST, commit="0" * 40)
    says(good, f"the report has {good.task(FIRST)} as landed 0{{40}}, the branch has [0-9a-f]{{40}}")


def test_a_report_without_the_case_of_a_claimed_task_is_a_fault(good: Good) -> None:
    task = good.task(FAILS)
    del good.junit[f"configuration.yaml::stitch::{task}"]
    says(good, f"the last run claimed {task}, but its report has no case for it")


# What stays behind


def test_a_remaining_task_branch_is_a_fault(good: Good) -> None:
    branch = f"task/{good.generation}-{good.task(FAILS)}"
    good.project.git("branch", branch, good.generation)
    says(good, f"branch {branch} is left")


def test_a_remaining_worktree_is_a_fault(good: Good) -> None:
    (good.work / good.generation / "task-1").mkdir(parents=True)
    says(good, f"{good.work / good.generation} is left, with task-1")


def test_a_remaining_gate_checkout_is_a_fault(good: Good) -> None:
    (good.work / "gate" / good.generation).mkdir(parents=True)
    says(good, f"{good.work / 'gate'} is left, with {good.generation}")


@pytest.mark.parametrize(
    "name", ["index.lock", "packed-refs.lock", "refs/heads/x.lock", "refs/cobbler/x.lock"]
)
def test_a_remaining_lock_file_of_git_is_a_fault(good: Good, name: str) -> None:
    path = good.project.path / ".git" / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    says(good, f"git's lock file {re.escape(str(path))} is left")


def test_a_repository_that_is_still_locked_is_a_fault(good: Good) -> None:
    with run_lock(good.project.path / ".git", "pytest of yesterday"):
        says(good, f"the repository is still locked: pytest of yesterday, process {os.getpid()}")


def key_of(project: Project) -> str:
    """The repository's name on the jobs of its runs."""
    return Repository(project.path).key.rpartition("-")[2]


def faults_while_a_job_runs(project: Project, sandbox: Sandbox) -> list[str]:
    """What the checker finds while ``sandbox`` runs a job, as a killed run leaves one."""
    faults: list[str] = []
    cancellation = Cancellation()

    def look(_line: bytes) -> None:
        faults.extend(check(project))
        cancellation.cancel()

    script = "echo running; exec sleep 60"
    sandbox.run(Job(name="left", argv=("sh", "-c", script), workdir="/", on_line=look), cancellation)
    return faults


def test_a_remaining_process_of_a_job_is_a_fault(good: Good) -> None:
    sandbox = HostSandbox(repository=key_of(good.project), run_id="killed")
    process, directory = faults_while_a_job_runs(good.project, sandbox)
    assert re.fullmatch(r"process \d+ of a job is left: sleep 60 ", process)
    assert re.fullmatch(r"/\S+/cobbler-\S+ is left", directory)
    assert check(good.project) == []


def test_a_remaining_container_of_a_job_is_a_fault(good: Good, minimal_image: str) -> None:
    good.project.configure(sandbox="podman", podman_image=minimal_image)
    sandbox = PodmanSandbox(
        minimal_image,
        repository=key_of(good.project),
        run_id="killed",
        owner=job_owner(good.project.path),
        environment=podman_environment(),
    )
    (container,) = faults_while_a_job_runs(good.project, sandbox)
    assert container == f"container cobbler-{key_of(good.project)}-killed-left-1 is left"
    assert check(good.project) == []


def test_a_container_that_podman_lists_by_the_label_of_jobs_is_a_fault(
    good: Good, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without podman: what lists containers is asked for the label that jobs are given."""
    program = tmp_path / "podman"
    wanted = f"--filter=label={LABEL_REPOSITORY}={key_of(good.project)}"
    program.write_text(f'#!/bin/sh\nfor word; do [ "$word" != {wanted} ] || echo left-1; done\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    good.project.configure(sandbox="podman", podman_image="localhost/agent")
    assert check(good.project) == ["container left-1 is left"]


def test_a_remaining_temporary_directory_of_a_job_is_a_fault(good: Good) -> None:
    with tempfile.TemporaryDirectory(prefix=f"cobbler-{key_of(good.project)}-") as directory:
        says(good, f"{directory} is left")


# The checkout


def test_a_changed_file_of_the_checkout_is_a_fault(good: Good) -> None:
    good.project.write({"README.md": "changed\n"})
    says(good, "the checkout's status was '', but is .*README.md")


def test_a_new_file_in_the_checkout_is_a_fault(good: Good) -> None:
    good.project.write({"new": ""})
    says(good, r"the checkout's status was '', but is '\? new")


def test_a_changed_index_is_a_fault(good: Good) -> None:
    good.project.git("update-index", "--assume-unchanged", "README.md")
    says(good, "the checkout's index was")


def test_a_changed_head_is_a_fault(good: Good) -> None:
    good.project.git("checkout", "-q", "--detach")
    says(good, "HEAD has changed")


def test_a_commit_on_the_users_branch_is_a_fault(good: Good) -> None:
    good.project.git("commit", "-q", "--allow-empty", "-m", "Theirs")
    says(good, "the checkout's head was", "refs/heads/main has changed")


def test_a_new_branch_of_the_user_is_a_fault(good: Good) -> None:
    good.project.git("branch", "new")
    says(good, "refs/heads/new has changed")


def test_a_changed_configuration_of_git_is_a_fault(good: Good) -> None:
    good.project.git("config", "core.hooksPath", "elsewhere")
    says(good, "config has changed")


def test_a_changed_git_hook_is_a_fault(good: Good) -> None:
    good.project.write({".git/hooks/post-checkout": "#!/bin/sh\n"})
    says(good, "hooks/post-checkout has changed")
