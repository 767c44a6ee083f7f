"""What an agent leaves beside its files is kept, named on its item, and told to the next attempt."""

from __future__ import annotations

import json

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project
from tests.support.sessions import seed, stitch, task

STASH = "echo work >feature.txt; git stash push --quiet --include-untracked"


def test_work_that_was_stashed_and_not_restored_is_kept_when_other_files_land(
    cobbler_project: Project, cobbler_agent: StandInAgent
) -> None:
    seed(cobbler_project, task("t"))
    cobbler_agent.task("t").runs(
        f"{STASH}; echo report >report.xml; printf '*.log\\nbuild/\\n' >.gitignore; echo x >x.log\n"
        "mkdir build; echo x >build/a; echo x >build/b"
    )
    result = cobbler_project.run("--cobbler-generate", "configuration.yaml::stitch")
    assert result.ret == 0
    generation = cobbler_project.generation
    prefix = f"refs/cobbler/left/{generation}/t/1"
    notes = result.junit[stitch("t")].properties["cobbler_notes"]
    assert f"also left, and kept as {prefix}/1: stash " in notes
    next_step = f"git for-each-ref refs/cobbler/left/{generation}/"
    assert f"To list what agents left beside their files: {next_step}" in result.outlines
    assert f"also left, and kept as {prefix}/2: ignored files" in notes
    assert cobbler_project.git("show", f"{prefix}/1:feature.txt") == "work\n"
    assert cobbler_project.git("show", f"{prefix}/2:x.log") == "x\n"
    (path,) = cobbler_project.path.glob(".cobbler/*/attempts/t/1/result.json")
    assert json.loads(path.read_text())["ignored"] == 1, "the directory; x.log is kept"
    listed = cobbler_project.run("--cobbler-list")
    listed.stdout.fnmatch_lines(["*1 landed, 0 open, 2 left beside*", "*git for-each-ref refs/cobbler/left/"])
    assert cobbler_project.run("--cobbler-stop").ret == 0
    assert cobbler_project.git("show", f"{prefix}/1:feature.txt") == "work\n"


def test_the_next_attempt_is_told_what_the_last_one_left_in_its_git(
    cobbler_project: Project, cobbler_agent: StandInAgent
) -> None:
    cobbler_project.configure(max_attempts=1)
    seed(cobbler_project, task("t"))
    cobbler_agent.task("t").runs(f'if [ "$COBBLER_ATTEMPT" = 1 ]; then {STASH}; else echo done >done.txt; fi')
    first = cobbler_project.run("--cobbler-generate", "configuration.yaml::stitch")
    ref = f"refs/cobbler/left/{cobbler_project.generation}/t/1/1"
    message = first.junit[stitch("t")].message
    assert message.startswith(f"no change in the files; the work is in git: {ref}\n")
    assert "already done" not in message
    second = cobbler_project.run("--cobbler-generate", "configuration.yaml::stitch")
    assert second.ret == 0
    (prompt,) = cobbler_project.path.glob(".cobbler/*/attempts/t/2/prompt.md")
    text = prompt.read_text()
    commit = cobbler_project.git("rev-parse", ref).strip()
    assert f"<left-work>\n{commit[:16]}, attempt 1: stash " in text
    assert f"also left, and kept as {ref}: stash " in second.junit[stitch("t")].properties["cobbler_notes"]


def test_work_that_lands_without_its_agent_names_what_the_agent_left(
    cobbler_project: Project, cobbler_agent: StandInAgent
) -> None:
    cobbler_project.configure(max_attempts=1, test_command="! [ -e done.txt ]")
    seed(cobbler_project, task("t"))
    cobbler_agent.task("t").runs(f"{STASH}; echo done >done.txt")
    assert cobbler_project.run("--cobbler-generate", "configuration.yaml::stitch").ret == 1
    cobbler_project.configure(test_command="true")
    result = cobbler_project.run("--cobbler-regate")
    assert result.ret == 0
    ref = f"refs/cobbler/left/{cobbler_project.generation}/t/1/1"
    notes = result.junit[stitch("t")].properties["cobbler_notes"]
    assert f"also left, and kept as {ref}: stash " in notes
    assert notes.count(ref) == 1


def test_an_agent_whose_whole_work_is_in_a_stash_is_followed_by_one_that_knows_of_it(
    cobbler_project: Project, cobbler_agent: StandInAgent
) -> None:
    seed(cobbler_project, task("t"))
    cobbler_agent.task("t").runs(STASH)
    cobbler_agent.task("t", attempt=2).runs("git stash list >list.txt")
    stitches = ("--cobbler-generate", "configuration.yaml::stitch")
    result = cobbler_project.run(*stitches, "--cobbler-record", "recorded")
    assert result.ret == 0
    (prompt,) = cobbler_project.path.glob(".cobbler/*/attempts/t/2/prompt.md")
    text = prompt.read_text()
    assert "attempt 1: stash " in text
    assert "ended without a change in the files" in text
    assert "write it into the files, and leave it there" in text
    assert "did not end normally" not in text
    shown = cobbler_project.run("--cobbler-show", "t")
    shown.stdout.fnmatch_lines(["=== attempt 1 in *: no change in the files; the work is in git: refs/*"])

    assert cobbler_project.run("--cobbler-reset").ret == 0
    cobbler_project.configure(agent="replay", agent_command=None, recording="recorded")
    cobbler_project.commit("Play it")
    assert cobbler_project.run(*stitches).ret == 0, "the stash is not recorded; the next attempt is"


def test_a_linked_worktree_of_a_sub_agent_does_not_land_or_stop_the_landing(
    cobbler_project: Project, cobbler_agent: StandInAgent
) -> None:
    seed(cobbler_project, task("t"))
    cobbler_agent.task("t").runs(
        "echo done >done.txt; git worktree add --quiet -b sub .claude/worktrees/sub\n"
        "cd .claude/worktrees/sub\n"
        "echo sub >sub.txt; git add --all; git commit --quiet --message=Sub"
    )
    result = cobbler_project.run("--cobbler-generate", "configuration.yaml::stitch")
    assert result.ret == 0
    files = cobbler_project.files()
    assert "done.txt" in files
    assert not [name for name in files if name.startswith(".claude")]
    notes = result.junit[stitch("t")].properties["cobbler_notes"]
    assert "not harvested (checkouts of the agent's own git): .claude/worktrees/sub" in notes
    ref = f"refs/cobbler/left/{cobbler_project.generation}/t/1/1"
    assert f"{ref}: branch sub " in notes
    assert cobbler_project.git("show", f"{ref}:sub.txt") == "sub\n"
