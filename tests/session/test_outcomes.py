"""The outcomes of items, their messages, and the exit status of the run."""

from __future__ import annotations

import re
import time
from textwrap import dedent

import pytest

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project
from tests.support.sessions import WRITES_A_FILE, came_to, ids_landed, seed, statuses, stitch, task, words

LIMIT = "Claude AI usage limit reached|1893456000"
"""A message of claude; the number is the time at which the limit ends."""


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    """An agent that does any task in its first attempt, unless a test scripts it otherwise."""
    cobbler_project.configure(max_attempts=1)
    cobbler_project.agent.otherwise().runs(WRITES_A_FILE)
    return cobbler_project


@pytest.fixture
def agent(project: Project) -> StandInAgent:
    return project.agent


@pytest.mark.quick
def test_each_failure_has_its_cause_in_the_first_line(project: Project, agent: StandInAgent) -> None:
    project.configure(test_command="! grep -l wrong *.txt")
    agent.task("broken").writes("half.txt", "half\n").runs("echo it went badly >&2").fails(3)
    agent.task("idle").prints("Nothing to do.")
    agent.task("red").writes("red.txt", "wrong\n")
    agent.task("greedy").writes("conftest.py", "").writes("fine.txt", "fine\n")
    names = ("broken", "idle", "red", "greedy", "good")
    seed(project, *(task(name) for name in names), task("later", "broken"), task("last", "later"))
    result = project.run("--cobbler-generate", "configuration.yaml::stitch", "-v", "-rfs")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert words(result) == {
        "stitch::broken": "FAILED",
        "stitch::idle": "FAILED",
        "stitch::red": "FAILED",
        "stitch::greedy": "FAILED",
        "stitch::good": "LANDED",
        "stitch::later": "BLOCKED",
        "stitch::last": "BLOCKED",
    }
    short = {line for line in result.outlines if line.startswith(("FAILED", "BLOCKED"))}
    assert short == {
        f"FAILED {stitch('broken')} - agent: exited with 3: it went badly",
        f"FAILED {stitch('idle')} - no change; if the task is already done: "
        "set the status of idle to closed in .beads/issues.jsonl",
        f"FAILED {stitch('red')} - gate: test failed (exit 1)",
        f"FAILED {stitch('greedy')} - refused: conftest.py: a protected path",
        f"BLOCKED {stitch('later')} - blocked by broken, which did not land",
        f"BLOCKED {stitch('last')} - blocked by later, which did not land",
    }
    result.assert_outcomes(passed=1, failed=4, skipped=2)
    result.stdout.fnmatch_lines(["If tasks may change it: allow_paths in configuration.yaml, and *"])
    assert "1 more failed: see the short summary" in result.outlines
    result.stdout.fnmatch_lines(["generation-*: 1 landed, 4 failed, 2 blocked; tip *"])
    assert set(statuses(project).values()) == {"open", "closed"}
    assert ids_landed(project) == ["good"]


def test_a_failure_shows_its_output_and_where_the_work_is(project: Project, agent: StandInAgent) -> None:
    project.configure(test_command="[ ! -e red.txt ] || { cat red.txt; false; }")
    agent.task("Make it red").writes("red.txt", "assertion 1 == 2 \x1b[31mfailed\n").prints(
        "I think I am done."
    )
    seed(project, task("red", title="Make it red"))
    result = project.run("--cobbler-generate", "configuration.yaml::stitch")
    generation = project.generation
    result.stdout.fnmatch_lines(
        [
            "*___ stitch::red Make it red ___*",
            "gate: assertion 1 == 2 failed; test failed (exit 1)",
            "| *assertion 1 == 2 *failed",
            f"The work is kept as refs/cobbler/attempts/{generation}/red/1",
            "*Captured stdout transcript call*",
            "| I think I am done.",
        ]
    )
    assert "\x1b[31m" not in "\n".join(result.outlines)
    assert "red.txt" in project.files(f"refs/cobbler/attempts/{generation}/red/1")


def test_the_last_failure_lists_the_causes_of_earlier_attempts(project: Project, agent: StandInAgent) -> None:
    project.configure(max_attempts=2)
    first = '[ "$COBBLER_ATTEMPT" != 1 ] ||'
    agent.task("greedy").runs(f"rm -f conftest.py; {first} touch conftest.py")
    seed(project, task("greedy"))
    result = project.run("--cobbler-generate", "configuration.yaml::stitch")
    result.stdout.fnmatch_lines(["no change", "attempt 1: refused: conftest.py: a protected path"])
    seed(project)
    agent.measure(cycle=1).writes_output("[1, 2")
    agent.measure(cycle=1, attempt=2).writes_output('{"no": "array"}')
    result = project.run("--cobbler-generate", "configuration.yaml::measure")
    result.stdout.fnmatch_lines(["unusable answer: *", "attempt 1: unusable answer: *"])


@pytest.mark.quick
def test_an_empty_proposal_is_a_success_and_ends_the_measures(project: Project) -> None:
    result = project.run("--cobbler-generate", "--cobbler-cycles=3", "-v")
    assert result.ret == 0
    assert words(result) == {
        "measure::cycle-1": "PROPOSED",
        "measure::cycle-2": "SKIPPED",
        "measure::cycle-3": "SKIPPED",
    }
    result.stdout.fnmatch_lines(["*cycle-3 SKIPPED (nothing left to propose)*"])
    assert len(list(project.path.glob(".cobbler/*/attempts/*/*"))) == 1


def test_an_unusable_proposal_is_kept_and_its_errors_go_back(project: Project, agent: StandInAgent) -> None:
    project.configure(max_attempts=2)
    agent.measure(cycle=1).writes_output('[{"index": 0, "title": "Add", "dependency": 7}]')
    agent.measure(cycle=1, attempt=2).writes_output('[{"index": 0, "title": "Add", "description": "It."}]')
    result = project.run("--cobbler-generate", "-v")
    assert result.ret == 0
    assert list(words(result).values()) == ["PROPOSED", "LANDED"]
    (measured,) = project.path.glob(".cobbler/*/attempts/cycle-1")
    assert '"dependency": 7' in (measured / "1" / "tasks.json").read_text()
    prompt = (measured / "2" / "prompt.md").read_text()
    assert 'Task 0 ("Add") has no "description".' in prompt
    assert result.junit["configuration.yaml::measure::cycle-1"].properties["cobbler_attempts"] == "2"


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [("[1, 2", "unusable answer: *"), (None, "the agent wrote no task file")],
)
def test_a_measure_without_a_usable_answer_fails(
    project: Project, agent: StandInAgent, answer: str | None, complaint: str
) -> None:
    if answer is None:
        agent.measure().prints("I forgot.")
    else:
        agent.measure().writes_output(answer)
    result = project.run("--cobbler-generate", "-v")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert words(result) == {"measure::cycle-1": "FAILED"}
    result.stdout.fnmatch_lines([f"FAILED configuration.yaml::measure::cycle-1 - {complaint}"])
    result.stdout.fnmatch_lines(["Kept in *attempts/cycle-1"])
    assert project.tasks() == []


def test_the_summary_names_a_failed_measure_beside_failed_tasks(
    project: Project, agent: StandInAgent
) -> None:
    agent.measure().prints("I forgot.")
    agent.task("idle").prints("Nothing to do.")
    seed(project, task("idle"))
    result = project.run("--cobbler-generate")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["generation-*: 1 failed, a measure failed; tip *"])


def test_a_second_cycle_is_told_the_finished_tasks_and_continues(
    project: Project, agent: StandInAgent
) -> None:
    agent.measure().writes_tasks([{"title": "First step"}, {"title": "Misstep"}])
    agent.measure().writes_tasks([{"title": "Second step"}])
    agent.task("Misstep").fails()
    result = project.run("--cobbler-generate", "--cobbler-cycles=2")
    first, missed, second = (project.task(title).id for title in ("First step", "Misstep", "Second step"))
    assert came_to(result) == {
        "measure::cycle-1": "proposed",
        f"stitch::{first}": "landed",
        f"stitch::{missed}": "failed",
        "measure::cycle-2": "proposed",
        f"stitch::{second}": "landed",
    }
    assert list(came_to(result))[3:] == ["measure::cycle-2", f"stitch::{second}"]
    assert result.junit[stitch(second)].properties["cobbler_cycle"] == "2"
    (prompt,) = project.path.glob(".cobbler/*/attempts/cycle-2/1/prompt.md")
    assert f"<finished-tasks>\n{first}: First step\n</finished-tasks>" in prompt.read_text()
    assert f"<open-tasks>\n{missed}: Misstep\n</open-tasks>" in prompt.read_text()


def test_no_cycles_means_open_tasks_only(project: Project, agent: StandInAgent) -> None:
    agent.measure().writes_tasks([{"title": "Never"}])
    seed(project, task("p-a"))
    result = project.run("--cobbler-generate", "--cobbler-cycles=0")
    assert (result.ret, came_to(result)) == (0, {"stitch::p-a": "landed"})


def test_open_tasks_beyond_the_limit_are_left_and_nothing_is_measured(project: Project) -> None:
    seed(project, task("p-a"), task("p-b", "p-a"), task("p-c"), task("p-d", "p-a", priority=3))
    result = project.run("--cobbler-generate", "--cobbler-max-issues=3", "-v")
    assert result.ret == 0
    assert words(result)["measure::cycle-1"] == "SKIPPED"
    result.stdout.fnmatch_lines(["*cycle-1 SKIPPED (open tasks are left (max_issues): 1)*"])
    result.stdout.fnmatch_lines(["generation-*: 3 landed; tip *"])
    assert sorted(ids_landed(project)) == ["p-a", "p-b", "p-c"]
    left = [line for line in result.outlines if line.startswith("left for the next run")]
    assert left == ["left for the next run (max_issues): p-d"]


def test_proposals_beyond_the_limit_are_named(project: Project, agent: StandInAgent) -> None:
    agent.measure().writes_tasks(
        [{"title": "One", "dependency": 2}, {"title": "Two"}, {"title": "Zero"}, {"title": "Three"}]
    )
    result = project.run("--cobbler-generate", "--cobbler-max-issues=2", "-rP")
    assert result.ret == 0
    assert {task.title for task in project.tasks()} == {"Zero", "One"}
    result.stdout.fnmatch_lines(["cycle-1 proposed more (max_issues): Two, Three"])
    result.stdout.fnmatch_lines(
        ["*___ measure::cycle-1 ___*", "*Captured stdout notes call*", "| Two", "| Three"]
    )


def test_a_limit_that_an_agent_reports_ends_its_item_only(project: Project, agent: StandInAgent) -> None:
    project.configure(jobs=1)
    agent.task("p-b").writes("half.txt", "half\n").reports(error=LIMIT)
    agent.task("p-b", attempt=2).runs(WRITES_A_FILE)
    seed(project, task("p-a"), task("p-b"), task("p-c"))
    result = project.run("--cobbler-generate", "-v", "-rs")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert words(result) == {
        "stitch::p-a": "LANDED",
        "stitch::p-b": "LIMITED",
        "stitch::p-c": "LANDED",
        "measure::cycle-1": "PROPOSED",
    }
    result.stdout.fnmatch_lines(
        [
            f"LIMITED {stitch('p-b')} - agent: API error: Claude AI usage limit reached*",
            "*!! Interrupted: limited until *: agent: API error: Claude AI usage limit* (as the agent rep*",
        ]
    )
    (until,) = re.findall(r"limited until (\d{4}-\d\d-\d\d \d\d:\d\d)", "\n".join(result.outlines))
    in_days = (time.mktime(time.strptime(until, "%Y-%m-%d %H:%M")) - time.time()) / 86400
    assert 7 < in_days <= 8, "it reports a time in 2030"
    assert statuses(project) == {"p-a": "closed", "p-b": "open", "p-c": "closed"}
    assert project.run("--cobbler-generate").ret == 0
    assert "half.txt" in project.files()


@pytest.mark.parametrize("sign", [r"\u0000", r"\ud800"])
def test_a_task_with_signs_that_no_file_can_hold_is_done_like_any_other(
    project: Project, agent: StandInAgent, sign: str
) -> None:
    agent.otherwise().runs('printf %s "$COBBLER_TASK_TITLE" >title.txt')
    seed(project, task("p-a", title="Odd@title", description="An odd@text"))
    store = project.path / ".beads" / "issues.jsonl"
    store.write_text(store.read_text().replace("@", sign))
    result = project.run("--cobbler-generate", "--cobbler-cycles=0")
    assert came_to(result) == {"stitch::p-a": "landed"}
    assert project.files()["title.txt"] == "Odd\ufffdtitle"


def test_tasks_that_are_not_ours_are_named_and_left_alone(project: Project) -> None:
    assert project.run("--cobbler-start").ret == 0
    other = project.generation or ""
    assert project.run("--cobbler-start").ret == 0
    project.configure(generation_branch=project.generation)
    records = [
        task("p-deferred", status="deferred"),
        task("p-hers", status="in_progress", assignee="jane"),
        task("p-his", assignee="joe"),
        task("p-after", "p-hers"),
        task("p-too", "p-hers"),
        task("p-other", labels=[other]),
        task("p-epic", issue_type="epic"),
        task("p-mine"),
    ]
    seed(project, *records)
    before = {record["id"]: record for record in map(vars, project.tasks())}
    result = project.run("--cobbler-generate")
    assert result.ret == 0
    assert came_to(result) == {"stitch::p-mine": "landed", "measure::cycle-1": "proposed"}
    waiting = [line for line in result.outlines if line.startswith("waiting")]
    assert sorted(waiting) == [
        "waiting: p-after, p-too: waits for p-hers",
        "waiting: p-deferred: deferred",
        "waiting: p-hers: in progress, held by jane",
        "waiting: p-his: assigned to joe",
        f"waiting: p-other: belongs to {other}",
    ]
    after = {record["id"]: record for record in map(vars, project.tasks())}
    assert {**after, "p-mine": None} == {**before, "p-mine": None}


@pytest.mark.parametrize(
    ("option", "failed", "stopped"),
    [
        ("-x", ["p-a"], "stopping after 1 failures"),
        ("--maxfail=2", ["p-a", "p-b"], "stopping after 2 failures"),
    ],
)
def test_after_too_many_failures_what_runs_is_cancelled(
    project: Project, agent: StandInAgent, option: str, failed: list[str], stopped: str
) -> None:
    project.configure(jobs=3)
    agent.task("p-a").fails()
    agent.task("p-b").sleeps(0.5).fails() if "p-b" in failed else agent.task("p-b").sleeps(60)
    agent.task("p-long").writes("half.txt", "half\n").sleeps(60)
    seed(project, task("p-a"), task("p-b"), task("p-long"), task("p-waits", "p-long"))
    result = project.run("--cobbler-generate", option, "-v")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.duration < 30
    shown = words(result)
    assert [name for name, word in shown.items() if word == "FAILED"] == [
        f"stitch::{name}" for name in failed
    ]
    assert shown["stitch::p-long"] == shown["stitch::p-waits"] == shown["measure::cycle-1"] == "CANCELLED"
    result.stdout.fnmatch_lines(
        [f"*stitch::p-waits CANCELLED (not started: {stopped})*", f"*!! {stopped} !!*"]
    )
    assert "half.txt" in project.files(f"refs/cobbler/attempts/{project.generation}/p-long/1")
    assert statuses(project)["p-long"] == "open"


def test_an_error_of_the_machine_fails_one_item_and_releases_its_task(
    project: Project, agent: StandInAgent
) -> None:
    """The first agent deletes the directory of the worktrees, which is possible without a sandbox."""
    project.configure(jobs=1)
    work = project.directory / "work"
    agent.task("p-a").runs(f"{WRITES_A_FILE}; mv {work} {work}.gone; echo x >{work}")
    seed(project, task("p-a"), task("p-b"))
    result = project.run("--cobbler-generate", "configuration.yaml::stitch")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert came_to(result) == {"stitch::p-a": "failed", "stitch::p-b": "failed"}
    result.stdout.fnmatch_lines(
        [f"FAILED {stitch('p-a')} - NotADirectoryError: *", f"FAILED {stitch('p-b')} - *"]
    )
    result.stdout.fnmatch_lines(["Traceback (most recent call last):", "*in harvest"])
    result.stdout.no_fnmatch_line("*/pluggy/*")
    assert statuses(project) == {"p-a": "open", "p-b": "open"}
    work.unlink()
    work.with_name("work.gone").rename(work)
    again = project.run("--cobbler-generate", "configuration.yaml::stitch::p-b")
    assert (again.ret, came_to(again)) == (0, {"stitch::p-b": "landed"})


class TestHooksOfTheProject:
    def test_items_have_the_attributes_that_hooks_commonly_read(
        self, project: Project, agent: StandInAgent
    ) -> None:
        conftest = """
            import pytest

            def look(item):
                assert (item.module, item.cls, item.function, item.obj) == (None, None, None, None)
                assert "db" not in item.fixturenames and item.funcargs.get("page") is None
                assert not item.keywords.get("slow") and item.get_closest_marker("slow") is None
                return item.name, item.nodeid, item.path, item.location, item.own_markers, item.originalname

            def pytest_itemcollected(item): look(item)

            def pytest_collection_modifyitems(items):
                for item in items: look(item)

            @pytest.hookimpl(wrapper=True)
            def pytest_runtest_makereport(item):
                look(item)
                return (yield)
        """
        project.write({"conftest.py": dedent(conftest)})
        agent.measure().writes_tasks([{"title": "Add"}])
        seed(project, task("p-a"))
        result = project.run("--cobbler-generate", "-p", "no:cacheprovider")
        assert result.ret == 0
        assert list(came_to(result).values()) == ["landed", "proposed", "landed"]

    def test_a_hook_that_raises_on_new_items_fails_the_measure_and_loses_nothing(
        self, project: Project, agent: StandInAgent
    ) -> None:
        conftest = """
            def pytest_collection_modifyitems(items):
                assert not any("stitch::" in item.nodeid for item in items), "I know all my tests"
        """
        project.write({"conftest.py": dedent(conftest)})
        agent.measure().writes_tasks([{"title": "Add"}])
        result = project.run("--cobbler-generate", "-v")
        assert result.ret == pytest.ExitCode.TESTS_FAILED
        assert words(result) == {"measure::cycle-1": "FAILED"}
        result.stdout.fnmatch_lines(
            ["1 task proposed; its call failed:", "AssertionError: I know all my tests*"]
        )
        result.stdout.no_fnmatch_line("*/pluggy/*")
        (project.path / "conftest.py").unlink()
        again = project.run("--cobbler-generate")
        assert again.ret == 0
        assert sorted(came_to(again).values()) == ["landed", "proposed"]

    def test_a_hook_that_fails_after_a_landing_does_not_hide_the_landing(self, project: Project) -> None:
        conftest = """
            import pytest

            def pytest_runtest_setup(item):
                if item.name == "p-setup": raise RuntimeError("no database")
                if item.name == "p-skip": pytest.skip("not on this machine")

            def pytest_cobbler_outcome(item, outcome):
                if item.name == "p-hook": raise RuntimeError("no chat server")
        """
        project.write({"conftest.py": dedent(conftest)})
        seed(project, task("p-setup"), task("p-skip"), task("p-hook"), task("p-after", "p-setup"))
        result = project.run("--cobbler-generate", "-v", "-rEfs", "configuration.yaml::stitch")
        assert result.ret == pytest.ExitCode.TESTS_FAILED
        commits = {landed.task: landed.commit for landed in project.landed()}
        result.stdout.fnmatch_lines_random(
            [
                f"ERROR {stitch('p-setup')} - LANDED in {commits['p-setup']}; its setup failed:",
                f"FAILED {stitch('p-hook')} - LANDED in {commits['p-hook']}; its call failed:",
                f"SKIPPED {stitch('p-skip')} - LANDED in {commits['p-skip']}; not on this machine",
            ]
        )
        assert words(result)["stitch::p-after"] == "LANDED"
        assert set(statuses(project).values()) == {"closed"}
        assert float(result.junit[stitch("p-setup")].time) > 0.01  # the agent's, though the call never came

    def test_an_expected_failure_still_blocks_dependants(self, project: Project, agent: StandInAgent) -> None:
        conftest = """
            import pytest

            def pytest_collection_modifyitems(items):
                for item in items:
                    if item.name in ("p-hard", "p-easy"):
                        item.add_marker(pytest.mark.xfail(reason="an experiment"))
        """
        project.write({"conftest.py": dedent(conftest)})
        agent.task("p-hard").fails()
        seed(project, task("p-hard"), task("p-easy"), task("p-after", "p-hard"))
        result = project.run("--cobbler-generate", "configuration.yaml::stitch", "-v")
        assert words(result) == {
            "stitch::p-hard": "XFAIL",
            "stitch::p-easy": "LANDED",
            "stitch::p-after": "BLOCKED",
        }
        assert result.ret == 0
        assert ids_landed(project) == ["p-easy"]


def test_a_disk_error_at_the_gate_fails_the_landing_and_keeps_the_work(
    project: Project, agent: StandInAgent
) -> None:
    where = f"{project.path}/.cobbler/*/attempts/p-a/1"
    agent.task("p-a").runs(f"{WRITES_A_FILE}; for place in {where}; do mkdir $place/gate.log; done")
    seed(project, task("p-a"))
    result = project.run("--cobbler-generate", "configuration.yaml::stitch")
    case = result.junit[stitch("p-a")]
    assert case.properties["cobbler_cause"] == "landing"
    assert case.message.splitlines()[0].startswith("landing: Is a directory: ")
    assert "p-a.txt" in project.files(f"refs/cobbler/attempts/{project.generation}/p-a/1")
    assert project.git("for-each-ref", "refs/heads/task") == ""


def test_a_journal_that_cannot_be_written_is_reported_and_loses_no_work(
    project: Project, agent: StandInAgent
) -> None:
    journal = f"{project.path}/.cobbler/*/journal.jsonl"
    agent.task("p-a").runs(f"{WRITES_A_FILE}; for file in {journal}; do rm $file; mkdir $file; done")
    seed(project, task("p-a"))
    result = project.run("--cobbler-generate", "configuration.yaml::stitch")
    assert came_to(result) == {"stitch::p-a": "landed"}
    result.stdout.fnmatch_lines(["JOURNAL: cannot write *: Is a directory"])
    assert statuses(project) == {"p-a": "closed"}


def test_a_task_branch_that_another_user_moved_is_not_moved_back(project: Project) -> None:
    git = f"git --git-dir={project.path}/.git"
    project.configure(
        test_command=f"branch=$({git} for-each-ref --format='%(refname)' refs/heads/task); "
        f'[ -z "$branch" ] || {git} update-ref "$branch" HEAD'
    )
    seed(project, task("p-a"))
    result = project.run("--cobbler-generate", "configuration.yaml::stitch", "-rA")
    assert came_to(result) == {"stitch::p-a": "landed"}
    branch = f"refs/heads/task/{project.generation}-p-a"
    assert project.git("rev-parse", branch) == project.git("rev-parse", "HEAD")
    result.stdout.fnmatch_lines([f"*not deleted, because it was moved: {branch}*"])


def test_a_task_branch_of_another_user_is_not_overwritten(project: Project, agent: StandInAgent) -> None:
    git = f"git --git-dir={project.path}/.git"
    generation = f"$({git} for-each-ref --format='%(refname:short)' refs/heads/generation-\\*)"
    agent.task("p-a").runs(f"{WRITES_A_FILE}; {git} update-ref refs/heads/task/{generation}-p-a HEAD")
    seed(project, task("p-a"))
    result = project.run("--cobbler-generate", "configuration.yaml::stitch")
    branch = f"task/{project.generation}-p-a"
    case = result.junit[stitch("p-a")]
    assert case.message.splitlines()[0] == f"branch {branch} exists, with a commit that this run did not make"
    assert project.git("rev-parse", branch) == project.git("rev-parse", "HEAD")
    assert f"git branch --move {branch} NAME" in case.message
    assert "The work is kept in " in case.message


def test_every_commit_has_the_author_and_the_committer_that_git_would_take(
    project: Project, agent: StandInAgent
) -> None:
    for role in ("author", "committer"):
        project.git("config", f"{role}.name", role)
        project.git("config", f"{role}.email", f"{role}@example.invalid")
    project.configure(test_command="! grep -l wrong *.txt")
    initial = project.git("rev-parse", "HEAD").strip()
    agent.task("p-red").writes("red.txt", "wrong\n")
    seed(project, task("p-red"), task("p-a"))
    project.run("--cobbler-generate", "configuration.yaml::stitch")
    generation, landed = project.generation, project.landed()[0].commit
    project.run("--cobbler-stop", "--cobbler-force")
    log = project.git("log", "--format=%an <%ae>, %cn <%ce>: %s", "--all", "--not", initial).splitlines()
    people = "author <author@example.invalid>, committer <committer@example.invalid>"
    assert sorted(line.removeprefix(people) for line in log) == [
        ": Attempt 1, gate: p-red",
        f": Merge {generation}",
        f": Notes added by 'pytest --cobbler' for {landed}",
        f": Start generation: {generation}",
        ": p-a",
    ]
