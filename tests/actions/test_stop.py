"""``--cobbler-stop``: what it merges and tags, what is in its way, and that nothing is lost on the way."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import date, timedelta
from pathlib import Path

import pytest

from pytest_cobbler.repository.generations import Changes
from pytest_cobbler.testing.invariants import check
from pytest_cobbler.testing.project import Project
from tests.support.generations import commit_on, everything, generation, refs, stop
from tests.support.images import minimal_image
from tests.support.sessions import WRITES_A_FILE, came_to, seed, statuses, task
from tests.support.stores import bd_program, bd_project, bd_template

__all__ = ["bd_program", "bd_project", "bd_template", "minimal_image"]


@pytest.fixture
def began() -> date:
    """The day on which the test began; it may end on the next one."""
    return date.today()


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    seed(cobbler_project)
    return cobbler_project


def tagged_day(project: Project, began: date) -> str:
    """The day in the version tags of a stop: today, or yesterday if midnight has passed since ``began``."""
    days = {found[1] for ref in refs(project) if (found := re.fullmatch(r"refs/tags/v([\d-]{10})-\w+", ref))}
    (day,) = days
    assert began <= date.fromisoformat(day) <= date.today()
    return day


def parents(project: Project, commit: str = "main") -> list[str]:
    return project.git("rev-parse", f"{commit}^@").split()


def branches(project: Project) -> list[str]:
    return [ref for ref in refs(project) if ref.startswith("refs/heads/")]


def status(project: Project) -> str:
    """What git finds changed in the checkout."""
    return project.git("status", "--porcelain")


UNCONTAINED = "configuration.yaml has sandbox: none: agents and the gate can do what you can"


def refused(project: Project, *lines: str) -> pytest.RunResult:
    """Stop, which is refused with these lines and changes nothing."""
    before = refs(project), everything(project), status(project)
    result = stop(project)
    assert result.ret == pytest.ExitCode.USAGE_ERROR, result.outlines
    result.stderr.fnmatch_lines(list(lines))
    assert (refs(project), everything(project), status(project)) == before
    return result


# -- what it does


def test_a_stop_without_a_generation_changes_nothing(project: Project) -> None:
    result = project.run("--cobbler-stop")
    assert (result.ret, result.outlines) == (0, [UNCONTAINED, "No generation is active."])


@pytest.mark.quick
def test_a_stop_merges_tags_and_deletes_the_branch(project: Project, began: date) -> None:
    start = project.git("rev-parse", "main").strip()
    name = generation(project, {"a.txt": "a\n", "d/b.txt": "b\n"}, {"README.md": None})
    tip = refs(project)[f"refs/heads/{name}"]

    result = project.run("--cobbler-stop")

    merge, day = refs(project)["refs/heads/main"], tagged_day(project, began)
    assert (result.ret, result.outlines) == (
        0,
        [
            UNCONTAINED,
            f"Merged {name}, with 2 tasks, into main: {merge[:12]}.",
            f"Tags: {name}-finished, {name}-merged, v{day}-code, v{day}-requirements.",
        ],
    )
    assert refs(project) == {
        "refs/heads/main": merge,
        f"refs/tags/{name}-start": start,
        f"refs/tags/{name}-finished": tip,
        f"refs/tags/{name}-merged": merge,
        f"refs/tags/v{day}-code": merge,
        f"refs/tags/v{day}-requirements": start,
    }
    assert project.run("--cobbler-list").outlines[0].split()[:2] == [name, "merged"]


def test_the_merge_is_one_commit_of_the_base_that_can_be_reverted(project: Project) -> None:
    start = project.git("rev-parse", "main").strip()
    name = generation(project, {"a.txt": "a\n"}, {"b.txt": "b\n"})
    tip = refs(project)[f"refs/heads/{name}"]
    stop(project)
    assert parents(project) == [start, tip]
    assert project.git("log", "-1", "--format=%B").strip().splitlines() == [
        f"Merge {name}",
        "",
        "* Task p-1",
        "* Task p-2",
        "",
        f"Cobbler-Generation: {name}",
    ]
    project.git("revert", "--no-edit", "-m", "1", "main")
    assert project.git("diff", "--stat", start, "main") == ""


@pytest.mark.quick
def test_a_checkout_of_the_base_is_updated(project: Project) -> None:
    project.write({"d/old.txt": "old\n", "kept.txt": "kept\n", "tool.sh": "#!/bin/sh\n"})
    project.commit("Files")
    generation(project, {"d/old.txt": None, "new/file.txt": "new\n", "README.md": "changed\n"})
    project.write({"untracked.txt": "mine\n"})
    result = stop(project)
    assert result.ret == 0
    assert status(project) == "?? untracked.txt\n"
    assert (project.path / "new" / "file.txt").read_text() == "new\n"
    assert (project.path / "README.md").read_text() == "changed\n"
    assert not (project.path / "d").exists()
    assert project.git("reflog", "main").splitlines()[0].split(" ", 2)[2].startswith("cobbler: merge")


@pytest.mark.parametrize("how", [["--create", "mine"], ["--detach"]])
def test_a_checkout_of_another_branch_is_not_changed(project: Project, how: list[str]) -> None:
    generation(project, {"a.txt": "a\n"})
    project.git("switch", "--quiet", *how)
    project.write({"README.md": "edited\n", "staged.txt": ""})
    project.git("add", "staged.txt")
    before = everything(project)
    assert stop(project).ret == 0
    assert everything(project) == before
    assert project.files("main")["a.txt"] == "a\n"


def test_a_stop_runs_no_git_hook_of_the_repository(project: Project) -> None:
    generation(project, {"a.txt": "a\n"})
    told = project.directory / "told"
    hooks = ("post-checkout", "post-merge", "pre-merge-commit", "reference-transaction", "post-index-change")
    for hook in hooks:
        project.write({f".git/hooks/{hook}": f"#!/bin/sh\necho {hook} >>{told}\n"})
        (project.path / ".git" / "hooks" / hook).chmod(0o755)
    assert stop(project).ret == 0
    assert not told.exists()


def test_files_are_converted_as_the_user_configured_git(project: Project) -> None:
    """As ``git merge`` by hand would: line ends here, large files (LFS) elsewhere."""
    project.write({".gitattributes": "*.txt text eol=crlf\n*.up filter=up\n"})
    project.commit("Attributes")
    project.git("config", "filter.up.smudge", "tr a-z A-Z")
    project.git("config", "filter.up.clean", "tr A-Z a-z")
    generation(project, {"a.txt": "a\n", "b.up": "b\n"})
    assert stop(project).ret == 0
    assert (project.path / "a.txt").read_bytes() == b"a\r\n"
    assert (project.path / "b.up").read_text() == "B\n"
    assert status(project) == ""


def test_a_stop_merges_paths_of_every_kind(project: Project) -> None:
    names = ["with blank.txt", "ünïcode.txt", "*.txt", ":(top)x", "-dash", "new\nline", 'quo"te']
    generation(project, dict.fromkeys(names, "x\n"))
    assert stop(project).ret == 0
    assert {name for name in names if (project.path / name).read_text() == "x\n"} == set(names)
    assert status(project) == ""


def test_a_stop_in_a_linked_worktree_of_the_base_updates_it(project: Project) -> None:
    generation(project, {"a.txt": "a\n"})
    project.git("switch", "--quiet", "--create", "mine")
    project.git("worktree", "add", "--quiet", "../linked", "main")
    linked = project.directory / "linked"
    shutil.copytree(project.path / ".beads", linked / ".beads")
    result = project.run("--cobbler-stop", f"--rootdir={linked}", str(linked / "configuration.yaml"))
    assert result.ret == 0, result.errlines
    assert (linked / "a.txt").read_text() == "a\n"
    assert project.git("-C", str(linked), "status", "--porcelain") == ""
    assert not (project.path / "a.txt").exists()


# -- the ancestor's mistakes


def test_recreated_files_survive_whether_equal_or_not(project: Project) -> None:
    """The ancestor conflicted on files that the generation had changed, and deleted those that it had not."""
    project.write({"same.go": "same\n", "other.go": "before\n", "gone.go": "gone\n"})
    project.commit("Sources")
    reset = Changes(reset=True, remove=("same.go", "other.go", "gone.go"))
    generation(project, {"same.go": "same\n", "other.go": "after\n"}, changes=reset)
    assert stop(project, accept_deletions=True).ret == 0
    files = project.files("main")
    assert (files["same.go"], files["other.go"]) == ("same\n", "after\n")
    assert "gone.go" not in files
    assert (project.path / "same.go").read_text() == "same\n"


def test_a_file_that_was_added_to_the_base_too_survives(project: Project) -> None:
    generation(project, {"both.txt": "both\n"})
    project.write({"both.txt": "both\n"})
    project.commit("The same")
    assert stop(project).ret == 0
    assert project.files("main")["both.txt"] == "both\n"


def test_a_generation_without_sources_in_which_nothing_landed_is_refused(project: Project) -> None:
    project.write({"a.go": "package a\n"})
    project.commit("Sources")
    name = generation(project, changes=Changes(reset=True, remove=("a.go",)))
    refused(
        project,
        f"ERROR: nothing landed in {name}, which began without the sources: *",
        "*--cobbler-generate; *--cobbler-reset",
    )


def test_two_generations_of_one_day_are_stopped_one_after_the_other(project: Project, began: date) -> None:
    project.write({"a.go": "1\n"})
    project.commit("Sources")
    generation(project, {"a.go": "2\n"}, changes=Changes(reset=True, remove=("a.go",)))
    assert stop(project).ret == 0
    first, day = refs(project)["refs/heads/main"], tagged_day(project, began)
    next_day = date.fromisoformat(day) + timedelta(days=1)
    project.git("tag", f"v{next_day}-code", "main~1")  # should midnight pass now, that is taken, too
    generation(project, {"a.go": "3\n"}, changes=Changes(reset=True, remove=("a.go",)))
    assert stop(project).ret == 0
    second = refs(project)["refs/heads/main"]
    assert project.files("main")["a.go"] == "3\n"
    assert parents(project)[0] == first
    tags = {ref: commit for ref, commit in refs(project).items() if ref.endswith("-2")}
    (of_day,) = {ref.removeprefix("refs/tags/v")[:10] for ref in tags}
    assert of_day in (day, str(next_day))
    assert tags == {f"refs/tags/v{of_day}-code-2": second, f"refs/tags/v{of_day}-requirements-2": first}
    assert refs(project)[f"refs/tags/v{day}-code"] == first


# -- a base that has moved


def test_the_gate_runs_on_exactly_the_merge(project: Project) -> None:
    seen = project.directory / "seen"
    project.configure(build_command=f"cat a.txt b.txt >{seen}", test_command=False)
    name = generation(project, {"a.txt": "a\n"})
    project.write({"b.txt": "b\n"})
    project.commit("Meanwhile")
    result = stop(project)
    assert result.ret == 0
    assert result.outlines[0].startswith("gate: cat a.txt b.txt")
    assert result.outlines[1].startswith(f"Merged {name}, with 1 task, into main: ")
    assert seen.read_text() == "a\nb\n"
    assert not list((project.directory / "work").glob("*/gate/*"))


def test_the_merge_has_the_tests_that_ran_and_their_record_is_kept(project: Project) -> None:
    project.configure(
        build_command=False,
        test_command='echo \'<testsuite><testcase classname="t" name="a"/></testsuite>\' >ran.xml',
        gate_report="ran.xml",
    )
    generation(project, {"a.txt": "a\n"})
    project.write({"b.txt": "b\n"})
    project.commit("Meanwhile")
    assert stop(project).ret == 0
    assert "\nCobbler-Tests: 1 passed\n" in project.git("log", "-1", "--format=%B", "main")
    tree = project.git("rev-parse", "main^{tree}").strip()
    records = [
        json.loads(path.read_bytes()) for path in (project.directory / "work").glob("*/records/*.json")
    ]
    assert [record["tests"] for record in records if record["tree"] == tree and record["verdict"] == "passed"]


def test_the_gate_does_not_run_again_on_a_tree_that_passed_it(project: Project) -> None:
    project.configure(build_command="false")
    generation(project, {"a.txt": "a\n"})
    assert stop(project).ret == 0


def test_the_gate_runs_on_commits_made_by_hand(project: Project) -> None:
    project.configure(build_command="false")
    name = generation(project, {"a.txt": "a\n"})
    commit_on(project, name, {"b.txt": "b\n"}, "By hand")
    assert stop(project).ret == pytest.ExitCode.TESTS_FAILED


def test_a_failing_gate_changes_nothing(project: Project) -> None:
    project.configure(test_command="echo it does not work; false")
    name = generation(project, {"a.txt": "a\n"})
    project.write({"b.txt": "b\n"})
    project.commit("Meanwhile")
    before = refs(project), everything(project)
    result = stop(project)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            f"not merged: test failed (exit 1) on the merge of {name} and main; nothing was changed",
            f"What the gate printed: */.cobbler/{name}/stop/gate.log",
            "*it does not work",
        ]
    )
    assert (refs(project), everything(project)) == before
    log = project.path / ".cobbler" / name / "stop" / "gate.log"
    assert "it does not work" in log.read_text()


def test_conflicts_are_listed_and_nothing_is_changed(project: Project) -> None:
    name = generation(project, {"a.txt": "theirs\n", "README.md": None, "fine.txt": ""})
    project.write({"a.txt": "mine\n", "README.md": "changed\n"})
    project.commit("Meanwhile")
    before = refs(project), everything(project)
    result = stop(project)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            f"not merged: {name} and main conflict in 2 files; nothing was changed",
            "  README.md",
            "  a.txt",
            "*--cobbler-stop --cobbler-resolve agent",
            "*--cobbler-stop --cobbler-resolve hand",
            "*--cobbler-reset",
            "*CONFLICT (add/add): Merge conflict in a.txt",
        ]
    )
    assert (refs(project), everything(project)) == before


def resolution(project: Project) -> Path:
    """The directory in which someone is to resolve conflicts."""
    [path] = (project.directory / "work").glob("*/resolving/*")
    return path


def in_conflict(project: Project) -> str:
    """A generation that changes what the base has changed meanwhile."""
    name = generation(project, {"a.txt": "theirs\n", "b.txt": "b\n"})
    project.write({"a.txt": "mine\n"})
    project.commit("Meanwhile")
    assert stop(project, resolve="hand").ret == pytest.ExitCode.TESTS_FAILED
    return name


def test_committed_conflict_markers_are_not_merged(project: Project) -> None:
    generation(project, {"a.txt": "theirs\n"})
    project.write({"a.txt": "mine\n"})
    project.commit("Meanwhile")
    assert stop(project, resolve="hand").ret == pytest.ExitCode.TESTS_FAILED
    place = resolution(project)
    project.git("-C", str(place), "commit", "--quiet", "--all", "--no-edit")
    before = refs(project)
    result = stop(project)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["not merged: conflict markers are left in *", "  a.txt", "Resolve them*"])
    assert refs(project) == before


def test_a_prepared_worktree_that_was_removed_is_prepared_again(project: Project) -> None:
    generation(project, {"a.txt": "theirs\n"})
    project.write({"a.txt": "mine\n"})
    project.commit("Meanwhile")
    stop(project, resolve="hand")
    shutil.rmtree(resolution(project))
    stop(project, resolve="hand")
    assert "<<<<<<<" in (resolution(project) / "a.txt").read_text()


def test_a_merge_is_prepared_for_the_user_and_their_commit_is_used(project: Project) -> None:
    seen = project.directory / "seen"
    project.configure(build_command=f"cat a.txt b.txt >{seen}", test_command=False)
    name = generation(project, {"a.txt": "theirs\n", "b.txt": "b\n"})
    project.write({"a.txt": "mine\n"})
    base = project.commit("Meanwhile")
    before = refs(project), everything(project)

    first = project.run("--cobbler-stop", "--cobbler-resolve", "hand")

    place = resolution(project)
    assert first.ret == pytest.ExitCode.TESTS_FAILED
    first.stdout.fnmatch_lines(["  a.txt", f"The merge is begun in {place}", "Resolve it, *"])
    assert (refs(project), everything(project)) == before
    assert "<<<<<<<" in (place / "a.txt").read_text()
    assert (place / "b.txt").read_text() == "b\n"

    result = stop(project)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"not merged: the merge in {place} is not committed", "  a.txt"])

    (place / "a.txt").write_text("both\n")
    project.git("-C", str(place), "commit", "--quiet", "--all", "--no-edit")
    by_hand = project.git("-C", str(place), "rev-parse", "HEAD").strip()
    result = stop(project)

    assert result.ret == 0, result.outlines
    assert seen.read_text() == "both\nb\n"
    assert (project.path / "a.txt").read_text() == "both\n"
    assert parents(project) == [base, by_hand]
    assert refs(project)[f"refs/tags/{name}-merged"] == refs(project)["refs/heads/main"]
    assert status(project) == ""
    assert not place.exists()
    assert len(project.git("worktree", "list").splitlines()) == 1


def test_a_merge_resolved_by_hand_has_to_pass_the_gate(project: Project) -> None:
    project.configure(test_command="! grep both a.txt")
    in_conflict(project)
    (resolution(project) / "a.txt").write_text("both\n")
    project.git("-C", str(resolution(project)), "commit", "--quiet", "--all", "--no-edit")
    result = stop(project)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["not merged: test failed (exit 1) on the merge of *"])
    assert resolution(project).exists()


@pytest.mark.parametrize("moved", ["generation", "base", "base in conflict"])
def test_branches_that_moved_during_a_resolution_are_merged_too(project: Project, moved: str) -> None:
    name = in_conflict(project)
    place = resolution(project)
    (place / "a.txt").write_text("both\n")
    project.git("-C", str(place), "commit", "--quiet", "--all", "--no-edit")
    if moved == "generation":
        commit_on(project, name, {"c.txt": "c\n"}, "More\n\nCobbler-Task: p-9\n")
    else:
        project.write({"a.txt" if moved == "base in conflict" else "c.txt": "c\n"})
        project.commit("Again")
    result = stop(project)
    if moved == "base":
        assert result.ret == 0
        assert project.files("main")["c.txt"] == "c\n"
        return
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    other = name if moved == "generation" else "main"
    result.stdout.fnmatch_lines([f"*Merge it there*: git -C {place} merge {other}"])
    if moved == "generation":
        project.git("-C", str(place), "merge", "--quiet", "--no-edit", name)
        assert stop(project).ret == 0
        assert project.files("main")["c.txt"] == "c\n"


def test_an_aborted_merge_can_be_started_again(project: Project) -> None:
    in_conflict(project)
    place = resolution(project)
    project.git("-C", str(place), "merge", "--abort")
    assert stop(project, resolve="hand").ret == pytest.ExitCode.TESTS_FAILED
    assert "<<<<<<<" in (place / "a.txt").read_text()


def test_a_reset_keeps_a_merge_that_is_resolved_by_hand(project: Project) -> None:
    name = in_conflict(project)
    place = resolution(project)
    (place / "a.txt").write_text("half resolved\n")
    result = project.run("--cobbler-reset")
    assert result.ret == 0
    assert f"kept {place}: it holds a merge with {name} that a person has begun" in result.outlines
    assert (place / "a.txt").read_text() == "half resolved\n"


def test_the_trackers_files_never_conflict(project: Project) -> None:
    """Those of the base count, also what is not committed of them."""
    store = {".beads/.gitignore": "", ".beads/issues.jsonl": ""}
    project.write(store)
    project.commit("Track the tracker")
    name = generation(project, {"a.txt": "a\n"})
    commit_on(project, name, {".beads/issues.jsonl": "not json\n", ".beads/more.jsonl": "x\n"}, "Odd")
    seed(project, task("p-z", status="closed"))
    project.write({".beads/.gitignore": ""})
    project.commit("Tasks")
    seed(project, task("p-z", status="closed"), task("p-y", status="closed"))
    project.write({".beads/.gitignore": ""})
    assert status(project) == " M .beads/issues.jsonl\n"
    assert stop(project).ret == 0
    assert statuses(project) == {"p-y": "closed", "p-z": "closed"}
    assert status(project) == " M .beads/issues.jsonl\n"
    assert project.git("diff", "--stat", "main^1", "main", "--", ".beads") == ""
    assert project.git("ls-tree", "-r", "--name-only", "main", ".beads").split() == [
        ".beads/.gitignore",
        ".beads/issues.jsonl",
    ]


# -- what is in the way


@pytest.mark.parametrize("change", ["edited", "staged", "deleted", "added"])
def test_a_stop_refuses_a_checkout_with_changes(project: Project, change: str) -> None:
    generation(project, {"a.txt": "a\n"})
    if change == "added":
        project.write({"new.txt": "new\n"})
        project.git("add", "new.txt")
    elif change == "deleted":
        (project.path / "README.md").unlink()
    else:
        project.write({"README.md": "edited\n"})
    if change == "staged":
        project.git("add", "README.md")
    name = "new.txt" if change == "added" else "README.md"
    refused(project, f"ERROR: main is checked out in *, with changes in {name}", "*git stash")


@pytest.mark.parametrize("ignored", [False, True])
def test_files_that_would_be_overwritten_are_named(project: Project, ignored: bool) -> None:
    """git itself overwrites ignored ones without a question."""
    if ignored:
        project.write({".gitignore": "a.txt\nb\nc\n"})
        project.commit("Ignore")
    generation(project, {"a.txt": "a\n", "b/x.txt": "x\n", "c": "c\n"})
    project.write({"a.txt": "mine\n", "b": "mine\n", "c/deep/file": "mine\n"})
    refused(
        project,
        "ERROR: files in * that git does not track would be overwritten: a.txt, b, c/deep/file",
        "Move them away, or commit them.",
    )


@pytest.mark.parametrize("name", ["MERGE_HEAD", "rebase-merge", "CHERRY_PICK_HEAD"])
def test_a_stop_refuses_during_another_operation_of_git(project: Project, name: str) -> None:
    generation(project, {"a.txt": "a\n"})
    (project.path / ".git" / name).touch()
    refused(project, "ERROR: a * is going on in *", "Finish it, or *")


def test_a_stop_refuses_while_the_index_is_locked(project: Project) -> None:
    generation(project, {"a.txt": "a\n"})
    (project.path / ".git" / "index.lock").touch()
    refused(project, "ERROR: git is running in *index.lock exists", "*remove that file.")


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
def test_a_file_that_git_is_told_to_ignore_is_not_overwritten(project: Project, flag: str) -> None:
    project.write({"a.txt": "before\n"})
    project.commit("A file")
    generation(project, {"a.txt": "theirs\n"})
    project.git("update-index", flag, "a.txt")
    project.write({"a.txt": "mine alone\n"})
    refused(project, "ERROR: git ignores changes of files in *: a.txt", "*--no-assume-unchanged*")
    assert (project.path / "a.txt").read_text() == "mine alone\n"


def test_a_stop_refuses_during_a_rebase_of_the_base(project: Project) -> None:
    project.write({"a.txt": "before\n"})
    start = project.commit("A file")
    generation(project, {"b.txt": "b\n"})
    project.write({"a.txt": "mine\n"})
    project.commit("Mine")
    project.git("switch", "--quiet", "--create", "side", start)
    project.write({"a.txt": "side\n"})
    project.commit("Side")
    project.git("switch", "--quiet", "main")
    subprocess.run(["git", "-C", project.path, "rebase", "--quiet", "side"], capture_output=True, check=False)
    assert (project.path / ".git" / "rebase-merge").is_dir()
    refused(project, "ERROR: a rebase is going on in *")


@pytest.mark.parametrize("kind", ["finished", "merged"])
@pytest.mark.parametrize("annotated", [False, True])
def test_a_tag_of_another_user_is_not_moved(project: Project, kind: str, annotated: bool) -> None:
    name = generation(project, {"a.txt": "a\n"})
    options = ("--annotate", "--message", "Mine") if annotated else ()
    project.git("tag", *options, f"{name}-{kind}", name if annotated else "main")
    refused(project, f"ERROR: the tag {name}-{kind} exists, and was not made for {name}", "*git tag NAME *")


def test_files_staged_by_a_killed_stop_do_not_stay_on_another_branch(project: Project) -> None:
    name = generation(project, {"a.txt": "a\n"})
    tree = project.git("rev-parse", f"{name}^{{tree}}").strip()
    parents = ("-p", "main", "-p", name)
    merge = project.git("commit-tree", tree, *parents, "-m", "Half-way").strip()
    project.git("update-ref", f"refs/cobbler/stopping/{name}", merge)
    project.git("read-tree", "-m", "-u", "main", merge)
    project.git("switch", "--quiet", "--create", "mine")
    refused(project, "ERROR: a stop was ended half-way in *: a.txt", "*git switch main")
    project.git("switch", "--quiet", "main")
    assert stop(project).ret == 0
    assert status(project) == ""


def test_branches_that_are_checked_out_elsewhere_are_all_named(project: Project) -> None:
    name = generation(project, {"a.txt": "a\n"})
    project.git("branch", f"task/{name}-p-7", name)
    project.git("switch", "--quiet", "--create", "mine")
    for number, branch in enumerate((name, f"task/{name}-p-7", "main")):
        project.git("worktree", "add", "--quiet", f"../w{number}", branch)
    result = refused(project, "ERROR: branch * is checked out in *")
    [line] = [line for line in result.errlines if line.startswith("ERROR")]
    places = {project.directory / f"w{number}" for number in range(3)}
    assert {Path(place) for place in re.findall(r"checked out in ([^;]+)", line)} == places


def test_a_stop_names_a_missing_base(project: Project) -> None:
    name = generation(project, {"a.txt": "a\n"})
    project.git("branch", "--move", "main", "trunk")
    refused(
        project,
        f"ERROR: main, which {name} is to be merged into, is not a branch",
        f"*git branch main {name}-start",
    )


def test_a_stop_with_unfinished_tasks_needs_force(project: Project) -> None:
    """Those that the generation proposed, or tried, or would do; not those that wait for someone else."""
    name = generation(project, {"a.txt": "a\n"})
    project.git("update-ref", f"refs/cobbler/attempts/{name}/p-tried/1", "main")
    seed(
        project,
        task("p-mine", labels=[name], title="Mine\x1b[31m"),
        task("p-tried"),
        task("p-done", labels=[name], status="closed"),
        task("p-anybody"),
        task("p-later", status="deferred"),
    )
    refused(
        project,
        f"ERROR: 3 tasks of {name} not done: p-anybody, p-mine, p-tried",
        "  p-anybody: p-anybody",
        r"  p-mine: Mine\x1b[[]31m",
        "  p-tried: p-tried",
        "*--cobbler-resume",
        "*--cobbler-stop --cobbler-force",
    )
    result = stop(project, force=True)
    assert result.ret == 0
    assert (
        result.outlines[-1] == "Unfinished tasks, left for the next generation: p-anybody, p-mine, p-tried."
    )
    open_ones = dict.fromkeys(("p-mine", "p-tried", "p-anybody"), "open")
    assert statuses(project) == {**open_ones, "p-done": "closed", "p-later": "deferred"}
    assert f"refs/cobbler/attempts/{name}/p-tried/1" in refs(project)


def test_a_stop_keeps_the_work_of_a_dead_run_and_releases_its_claims(project: Project) -> None:
    agent, begun = project.agent, project.directory / "begun"
    agent.task("p-a").runs(WRITES_A_FILE)
    agent.task("p-b").writes("begun.txt", "1\n").runs(f"touch {begun}").sleeps(300)
    seed(project, task("p-a"), task("p-b", "p-a"))
    running = project.start("--cobbler-generate")
    running.wait_until(begun.exists)
    running.kill()
    name = project.generation

    result = stop(project, force=True)

    kept = f"refs/cobbler/attempts/{name}/p-b/1"
    result.stdout.fnmatch_lines([f"recovered: kept the work on p-b as {kept}", "recovered: released p-b"])
    assert result.ret == 0
    assert project.files(kept)["begun.txt"] == "1\n"
    assert statuses(project) == {"p-a": "closed", "p-b": "open"}
    assert check(project) == []


# -- merged already


@pytest.mark.parametrize("how", ["--ff-only", "--no-ff"])
def test_a_generation_that_was_merged_elsewhere_is_only_tagged_and_cleaned_up(
    project: Project, began: date, how: str
) -> None:
    project.configure(build_command="false")
    name = generation(project, {"a.txt": "a\n"})
    tip = refs(project)[f"refs/heads/{name}"]
    project.git("merge", "--quiet", "--no-edit", how, name)
    merge = project.git("rev-parse", "main").strip()
    project.write({"b.txt": "b\n"})
    after = project.commit("After it")
    project.write({"README.md": "edited\n"})
    result = stop(project)
    assert result.ret == 0
    assert result.outlines[0] == f"main already has {name}, with 1 task: {merge[:12]}."
    assert refs(project)["refs/heads/main"] == after
    assert refs(project)[f"refs/tags/{name}-merged"] == merge
    assert refs(project)[f"refs/tags/{name}-finished"] == tip
    assert refs(project)[f"refs/tags/v{tagged_day(project, began)}-code"] == merge
    assert branches(project) == ["refs/heads/main"]


def test_a_second_stop_finds_nothing_to_do(project: Project) -> None:
    generation(project, {"a.txt": "a\n"})
    assert stop(project).ret == 0
    before = refs(project), everything(project)
    result = stop(project)
    assert (result.ret, result.outlines) == (0, ["No generation is active."])
    assert (refs(project), everything(project)) == before


# -- the version


@pytest.mark.parametrize(
    ("path", "content", "tag"),
    [
        ("VERSION", "1.2.3\n", "1.2.3"),
        ("v.go", 'package v\n\n// Version of it.\nconst Version = "v0.1.0"\n', "v0.1.0"),
        ("v.go", 'var version string = "1.0-rc.1"\n', "1.0-rc.1"),
        ("p/_version.py", "__version__: str = '2.0'\n", "2.0"),
        ("package.json", '{"name": "x", "version": "3.1.4+b"}\n', "3.1.4+b"),
    ],
)
def test_the_version_is_tagged(project: Project, path: str, content: str, tag: str) -> None:
    project.configure(version_file=path)
    project.write({path: content})
    project.commit("Version")
    generation(project, {"a.txt": "a\n"})
    result = stop(project)
    assert result.outlines[-1].endswith(f"-requirements, {tag}.")
    assert refs(project)[f"refs/tags/{tag}"] == refs(project)["refs/heads/main"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1.0\n", "No version tag: 1.0 already exists, on *."),
        ("no version here\n", "No version tag: VERSION has no version that can be a tag name."),
        ('version = "-rf x"\n', "No version tag: VERSION has no version that can be a tag name."),
    ],
)
def test_a_version_that_cannot_be_tagged_is_reported(project: Project, content: str, message: str) -> None:
    project.configure(version_file="VERSION")
    project.write({"VERSION": content})
    there = project.commit("Version")
    project.git("tag", "1.0")
    generation(project, {"a.txt": "a\n"})
    result = stop(project)
    assert result.ret == 0
    result.stdout.fnmatch_lines([message])
    assert refs(project)["refs/tags/1.0"] == there


# -- with real parts


@pytest.mark.matrix("costly")
def test_a_stop_works_with_bd_and_podman(bd_project: Project, minimal_image: str) -> None:
    """The store is tracked, so that bd writes in the checkout; the base moves, so that there is a gate."""
    project, agent = bd_project, bd_project.agent
    agent.measure().writes_tasks([{"title": "One"}, {"title": "Two", "dependency": 0}])
    agent.otherwise().runs(WRITES_A_FILE)
    project.configure(sandbox="podman", podman_image=minimal_image, podman_args=agent.podman_arguments)
    first = project.run("--cobbler-generate")
    assert first.ret == 0, first.outlines
    name = project.generation
    project.write({"b.txt": "b\n"})
    project.commit("Meanwhile, and what bd has written")
    project.configure(test_command="test -f b.txt && ls | grep -q .txt")

    result = project.run("--cobbler-stop")

    assert result.ret == 0, result.errlines
    result.stdout.fnmatch_lines(["gate: true; test -f b.txt *", f"Merged {name}, with 2 tasks, into main: *"])
    assert set(statuses(project).values()) == {"closed"}
    assert project.files("main")["b.txt"] == "b\n"
    second = project.run("--cobbler-generate")
    assert "measure::cycle-1" in came_to(second)
    assert project.generation != name
