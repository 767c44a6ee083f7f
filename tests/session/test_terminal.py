"""The block on a terminal while agents work."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator

import pytest

from pytest_cobbler.display import width
from pytest_cobbler.testing.project import Project
from tests.support.parts import surroundings
from tests.support.sessions import WRITES_A_FILE, seed, task
from tests.support.terminals import Terminal, started


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    """One task lands immediately; two keep working and one waits until :func:`go`."""
    agent = cobbler_project.agent
    agent.otherwise().runs(WRITES_A_FILE)
    for title in ("Read b", "Read c"):
        agent.task(title).prints(f"Reading {'資料 ' * 40}").runs(
            f"until [ -e {agent.directory}/go ]; do sleep 0.05; done; {WRITES_A_FILE}"
        )
    b, c = task("p-b", title="Read b"), task("p-c", title="Read c")
    tasks = [task("p-a", priority=0), b, c, task("p-d", "p-b")]
    seed(cobbler_project, *tasks)
    return cobbler_project


def go(project: Project) -> None:
    (project.agent.directory / "go").touch()


@pytest.fixture
def terminals() -> Iterator[Callable[..., Terminal]]:
    with started() as start:
        yield start


def line(left: str, right: str, columns: int = 100) -> str:
    """A line as pytest aligns it: the right margin is one column wide."""
    return left + right.rjust(columns - 1 - len(left))


def last_row(rows: list[str]) -> int:
    return max(number for number, row in enumerate(rows) if row)


def of_run(rows: list[str]) -> int:
    """The place of the line of the run, which is the last one of the block; -1 if there is none."""
    return next((number for number, row in enumerate(rows) if re.match(r"\d+s, \d+ running, ", row)), -1)


def is_reading(rows: list[str]) -> bool:
    """Whether the first task has landed, and two agents have begun to read."""
    end = of_run(rows)
    agents = rows[end - 2 : end]
    return "2 running, 1 landed" in rows[end] and all(re.search(" agent +#1 +Reading", row) for row in agents)


@pytest.mark.matrix("costly")
def test_a_block_shows_what_is_at_work_and_disappears_for_a_report(
    project: Project, terminals: Callable[..., Terminal]
) -> None:
    terminal = terminals(project, 100, "-v")
    rows = terminal.wait_for(lambda rows: is_reading(rows) and any("LANDED" in row for row in rows))
    landed = next(number for number, row in enumerate(rows) if "LANDED" in row)
    assert re.fullmatch(r"configuration.yaml::stitch::p-a \(\d+s\) LANDED +\[ 20%\]", rows[landed])
    for row in rows[landed + 1 : landed + 3]:
        assert re.fullmatch(r"p-[bc] Read [bc]  agent  #1  Reading 資料 .*…  +\d+s", row)
    assert re.fullmatch(
        r"\d+s, 2 running, 1 landed, 2 waiting, at least 0.00 USD spent, at least \d+s left", rows[landed + 3]
    )
    assert set(rows[landed + 4 :]) == {""}
    assert terminal.cursor == (landed, len(rows[landed]))

    go(project)
    rows = terminal.wait()
    assert terminal.process.returncode == 0
    assert of_run(rows) == -1
    first = next(number for number, row in enumerate(rows) if "LANDED" in row)
    after = rows[first + 1 : first + 5]
    assert {row.split()[0].rpartition("::")[2] for row in after} == {"p-b", "p-c", "p-d", "cycle-1"}
    assert [row[-6:] for row in after] == ["[ 40%]", "[ 60%]", "[ 80%]", "[100%]"]
    assert rows[first + 5 : first + 7] == ["cycle-1: 0 proposed", ""]
    assert "- cobbler -" in rows[first + 7]
    assert terminal.cursor == (last_row(rows) + 1, 0)


@pytest.mark.matrix("costly")
def test_the_block_shows_which_work_is_in_the_gate_and_which_waits_for_it(
    project: Project, terminals: Callable[..., Terminal]
) -> None:
    seed(project, task("p-a"), task("p-e"))
    go_on = f"until [ -e {project.agent.directory}/go ]; do sleep 0.05; done"
    project.agent.otherwise().prints("Done.").writes("new.txt", "$COBBLER_TASK_ID")
    project.agent.task("p-e").writes("other.txt", "")
    project.configure(test_command=f"ls | grep -q '[.]txt$' || exit 0; {go_on}")
    terminal = terminals(project, 100)
    terminal.wait_for(
        lambda rows: (
            any(re.match(r"p-. +gate ", row) for row in rows)
            and any(re.match(r"p-. +waiting to land ", row) for row in rows)
        )
    )
    go(project)
    terminal.wait()


@pytest.mark.matrix("costly")
@pytest.mark.parametrize("columns", [40, 80, 200])
def test_what_is_finished_comes_above_a_progress_line_that_stays_in_one_piece(
    project: Project, terminals: Callable[..., Terminal], columns: int
) -> None:
    terminal = terminals(project, columns)
    rows = terminal.wait_for(lambda rows: "configuration.yaml L" in rows and is_reading(rows))
    progress = rows.index("configuration.yaml L")
    assert re.fullmatch(r"LANDED p-a \(\d+s\)", rows[progress - 2])
    block = rows[progress + 1 : last_row(rows) + 1]
    assert [row.split()[0] for row in block[:2]] == ["p-b", "p-c"]
    assert all("agent" in row and re.search(r"\d+s$", row) for row in block[:2])
    assert " ".join(block[2:]).startswith(block[2].split(",")[0] + ", 2 running, 1 landed, 2 waiting")
    assert terminal.cursor == (progress, len("configuration.yaml L"))
    go(project)
    rows = terminal.wait()
    progress = rows.index(line("configuration.yaml LLLL.", "[100%]", columns))
    above = [row.partition(" (")[0] for row in rows[:progress]]
    assert {"LANDED p-b Read b", "LANDED p-c Read c"} < {*above}
    assert {"LANDED p-d", "PROPOSED cycle-1", "cycle-1: 0 proposed"} < {*above}
    assert of_run(rows) == -1
    assert terminal.cursor == (last_row(rows) + 1, 0)


def block_of(rows: list[str]) -> list[str]:
    """The last lines on the screen, from the one of the first agent on."""
    end = last_row(rows) + 1
    return rows[
        next(number for number in range(end) if re.match(r"p-[bc] Read .* agent ", rows[number])) : end
    ]


STYLES = ("classic", "count", "progress", "progress-even-when-capture-no", "times")


@pytest.mark.matrix("costly")
@pytest.mark.parametrize(
    "options",
    [
        ["-vv"],
        ["-s"],
        ["-s", "-v"],
        ["--color=no"],
        ["--color=yes", "-v"],
        *(["-o", f"console_output_style={style}", more] for style in STYLES for more in ("-v", "-rA")),
    ],
    ids=" ".join,
)
def test_the_block_is_the_same_beside_all_that_pytest_prints(
    project: Project, terminals: Callable[..., Terminal], options: list[str]
) -> None:
    terminal = terminals(project, 100, *options)
    rows = terminal.wait_for(lambda rows: of_run(rows) > 0 and is_reading(rows))
    first, second, run = block_of(rows)
    assert re.fullmatch(r"p-[bc] Read [bc]  agent  #1  Reading 資料 .*…  +\d+s", first)
    assert re.fullmatch(r"p-[bc] Read [bc]  agent  #1  Reading 資料 .*…  +\d+s", second)
    assert re.fullmatch(
        r"\d+s, 2 running, 1 landed, 2 waiting, at least 0.00 USD spent, at least \d+s left", run
    )
    assert terminal.cursor[0] == rows.index(first) - 1
    assert terminal.has_colours(rows.index(first)) is ("--color=no" not in options)
    go(project)
    rows = terminal.wait()
    assert terminal.process.returncode == 0
    assert of_run(rows) == -1
    assert not any(re.match(r"p-[bc] Read . +agent", row) for row in rows)
    assert terminal.cursor == (last_row(rows) + 1, 0)


@pytest.mark.matrix("costly")
def test_a_quiet_run_shows_only_its_own_line(project: Project, terminals: Callable[..., Terminal]) -> None:
    terminal = terminals(project, 100, "-q")
    # The block learns of a landing before pytest prints its letter.
    terminal.wait_for(
        lambda rows: (
            of_run(rows) > 0 and "2 running, 1 landed" in rows[of_run(rows)] and rows[of_run(rows) - 1] == "L"
        )
    )
    go(project)
    rows = terminal.wait()
    assert (of_run(rows), [row for row in rows if row.startswith("LANDED")]) == (-1, [])


@pytest.mark.matrix("costly")
def test_a_resize_makes_the_block_anew(project: Project, terminals: Callable[..., Terminal]) -> None:
    terminal = terminals(project, 100)
    rows = terminal.wait_for(lambda rows: of_run(rows) > 0 and is_reading(rows))
    for columns in (45, 140, 72):
        terminal.resize(columns)
        right = r"p-[bc] Read [bc]  ?agent  ?#1  ?.*\d+s"
        rows = terminal.wait_for(
            lambda rows, columns=columns, right=right: (
                of_run(rows) > 0  # type: ignore[misc]
                and all(
                    re.fullmatch(right, row) and width(row) == columns - 1
                    for row in rows[of_run(rows) - 2 : of_run(rows)]
                )
            )
        )
        assert sum(bool(re.match(r"p-[bc] Read . +agent", row)) for row in rows) == 2
        assert rows[of_run(rows) - 3] == "configuration.yaml L"
    go(project)
    rows = terminal.wait()
    assert of_run(rows) == -1
    assert not any(re.match(r"p-[bc] Read . +agent", row) for row in rows)


@pytest.mark.matrix("costly")
@pytest.mark.parametrize("options", [[], ["-v"]], ids=["", "-v"])
def test_the_block_is_below_the_lines_of_another_reporter(
    project: Project, terminals: Callable[..., Terminal], options: list[str]
) -> None:
    """pytest-sugar moves the cursor and writes its line again and again."""
    terminal = terminals(project, 100, "--force-sugar", *options, env={"PYTHONPATH": str(surroundings())})
    rows = terminal.wait_for(
        lambda rows: of_run(rows) > 0 and is_reading(rows) and any(" 20% " in row for row in rows)
    )
    assert len(block_of(rows)) == 3
    assert re.search(r"✓ +20% ██", rows[rows.index(block_of(rows)[0]) - 1])
    go(project)
    rows = terminal.wait()
    assert of_run(rows) == -1
    [last] = [row for row in rows if "100%" in row]
    assert last.count("✓") == (5 if not options else 1)
    everything = terminal.everything()
    assert {row.partition(" (")[0] for row in everything if row.startswith("LANDED")} == {
        *("LANDED p-a", "LANDED p-b Read b", "LANDED p-c Read c", "LANDED p-d"),
    }


@pytest.mark.matrix("costly")
def test_what_failed_shows_its_last_lines_and_more_agents_than_rows_are_counted(
    project: Project, terminals: Callable[..., Terminal]
) -> None:
    project.configure(jobs=9, max_attempts=1, silence_agent=False)
    agent = project.agent
    agent.otherwise().runs(f"until [ -e {agent.directory}/go ]; do sleep 0.05; done; {WRITES_A_FILE}")
    agent.task("Breaks").prints("::error::It went \x1b[31mbadly").fails()
    seed(project, task("p-z", title="Breaks"), *(task(f"p-{number}") for number in range(8)))
    terminal = terminals(project, 60, lines=14)
    rows = terminal.wait_for(lambda rows: any(re.match(r"\d+s, 8 running, .* 1 failed", row) for row in rows))
    end = last_row(rows)
    assert rows[end - 1] == "and 1 more at work" or sum(" agent " in row for row in rows) == 8
    assert len(rows) == 14
    assert rows[end - 9 : end].count("") == 0
    go(project)
    rows = terminal.wait()
    everything = terminal.everything()
    told = next(n for n, row in enumerate(everything) if row.startswith("FAILED p-z Breaks ("))
    assert r"  | \x3a:error::It went \x1b[31mbadly" in everything[told : told + 15]


@pytest.mark.matrix("costly")
def test_an_interrupt_at_the_keyboard_leaves_a_clean_screen(
    project: Project, terminals: Callable[..., Terminal]
) -> None:
    terminal = terminals(project, 100, "-v")
    terminal.wait_for(is_reading)
    terminal.process.send_signal(signal.SIGINT)
    rows = terminal.wait()
    assert terminal.process.returncode == pytest.ExitCode.INTERRUPTED
    assert of_run(rows) == -1
    assert not any("stopping" in row for row in rows)
    assert sum(bool(re.match(r"configuration.yaml::.* CANCELLED ", row)) for row in rows) == 4


@pytest.mark.matrix("costly")
def test_a_run_that_is_stopped_at_the_keyboard_and_its_watch_leave_the_screen_to_the_shell(
    project: Project, terminals: Callable[..., Terminal]
) -> None:
    of_a_run = terminals(project, 100, in_shell=True)
    of_a_run.wait_for(lambda rows: of_run(rows) > 0 and is_reading(rows))
    of_a_watch = terminals(project, 100, action="--cobbler-watch", in_shell=True)
    for terminal in (of_a_watch, of_a_run):
        terminal.wait_for(lambda rows: of_run(rows) > 0 and is_reading(rows))
        terminal.type("\x1a")
        rows = terminal.wait_for(lambda rows: any("Stopped" in row for row in rows))
        assert of_run(rows) == -1
        assert not any(re.match(r"p-[bc] Read . +agent", row) for row in rows)
        terminal.type("fg\n")
        terminal.wait_for(lambda rows: of_run(rows) > 0 and is_reading(rows))
    go(project)
    for terminal in (of_a_watch, of_a_run):
        terminal.wait_for(lambda rows: of_run(rows) == -1)
        terminal.type("exit $?\n")
        terminal.wait()
        assert terminal.process.returncode == 0


def test_without_a_terminal_there_is_a_line_for_each_event(project: Project) -> None:
    running = project.start("--cobbler-generate", "-v")
    running.wait_until(lambda: "p-a (" in running.output)
    go(project)
    result = running.wait()
    assert result.ret == 0
    assert "\x1b" not in running.output
    told = [line[9:] for line in result.outlines if re.match(r"\d\d:\d\d:\d\d p-b Read b: ", line)]
    assert [re.sub(r"\d+s", "?s", line).removeprefix("p-b Read b: ") for line in told] == [
        "the agent starts (attempt 1)",
        "the agent has ended after ?s",
        "waits to land",
        "in the gate",
        "the gate has passed after ?s: what ran is unknown",
    ]
    result.stdout.no_fnmatch_line("*running*")


def test_the_doctor_shows_the_check_that_it_waits_for(
    project: Project, terminals: Callable[..., Terminal]
) -> None:
    project.configure(test_command=f"until [ -e {project.agent.directory}/go ]; do sleep 0.05; done")
    terminal = terminals(project, 100, action="--cobbler-doctor")
    rows = terminal.wait_for(lambda rows: "...        tip" in rows)
    assert [row for row in rows if row.startswith("...")] == ["...        tip"]
    go(project)
    rows = terminal.wait()
    assert terminal.process.returncode == 0
    assert not [row for row in rows if row.startswith("...")]
    assert [row.split()[:2] for row in rows if " tip " in row] == [["ok", "tip"]]
