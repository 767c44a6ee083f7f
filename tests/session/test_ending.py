"""The end of a run: what a person sees on the terminal, and what GitHub shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_cobbler.display import width
from pytest_cobbler.testing.project import Project
from tests.support.ci_commands import COMMANDS, commands
from tests.support.sessions import seed, task

LONG = "Index the words, 100% of them: all that there are in each of the documents"

"""A title that no table has room for, and that has what separates the parts of an annotation."""
BROKEN = (r"\x3a:", r"\x23#", r"\\x3a:", r"\u0023#")
"""What is left of a command."""


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    """A task that lands in its second attempt, one that fails, one that it blocks; the measure fails."""
    agent = cobbler_project.agent
    cobbler_project.configure(max_attempts=2, jobs=1, test_command="! grep -l wrong *.txt")
    agent.task("Twice").writes("a.txt", "wrong\n").reports(cost_usd=1.0)
    agent.task("Twice", attempt=2).writes("a.txt", "right\n").reports(cost_usd=0.5)
    agent.task(LONG).reports(cost_usd=0.25).fails()
    for attempt in (1, 2):
        agent.measure(cycle=1, attempt=attempt).reports(cost_usd=4.0).fails()
    seed(
        cobbler_project,
        task("p-a", title="Twice"),
        task("p-bad", title=LONG),
        task("p-later", "p-bad", title="Later"),
    )
    return cobbler_project


def test_a_run_that_ends_on_github(project: Project, tmp_path: Path) -> None:
    page = tmp_path / "summary.md"
    page.write_text("# Before\n")
    env = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(page), "COLUMNS": "80"}
    result = project.run("--cobbler-generate", env=env)
    assert result.ret == 1
    the_table_is_the_first_part_of_the_summary(project, result.outlines)
    failed_items_are_annotations(result.outlines)
    the_page_of_the_job_has_the_run(project, page.read_text("utf-8"))
    what_was_paid_is_in_list_and_statistics(project)


def the_table_is_the_first_part_of_the_summary(project: Project, lines: list[str]) -> None:
    at = next(number for number, line in enumerate(lines) if "- cobbler -" in line)
    table = lines[at + 1 : at + 6]
    assert all(width(line) <= 80 for line in table)
    commit = project.landed()[0].commit[:12]
    columns = [line.split() for line in table]
    assert columns[0] == ["title", "outcome", "attempts", "time", "USD", "cause/commit"]
    timed = {words[0]: (words[-5], words[-4], *words[-2:]) for words in columns[1:] if words[0] != "p-later"}
    assert timed == {
        "p-a": ("LANDED", "2", "1.5000", commit),
        "p-bad": ("FAILED", "2", "0.5000", "agent"),
        "cycle-1": ("FAILED", "2", "8.0000", "agent"),
    }
    assert "p-later Later" in table[3]
    assert columns[3][-2:] == ["BLOCKED", "needs"]
    assert lines[at + 6].startswith(
        f"{project.generation}: 1 landed, 1 failed, 1 blocked, a measure failed; tip"
    )
    assert "cost: landed 0.5000 USD, wasted 9.5000 USD" in lines


def failed_items_are_annotations(lines: list[str]) -> None:
    annotations = [line for line in lines if line.startswith("::")]
    assert annotations == commands(lines)
    name = f"p-bad {LONG}".replace("%", "%25").replace(":", "%3A").replace(",", "%2C")
    assert annotations[0].startswith(f"::error file=configuration.yaml,title={name}::")
    assert [line.partition("title=")[2].partition(":")[0].split()[0] for line in annotations] == [
        "p-bad",
        "cycle-1",
    ]


def the_page_of_the_job_has_the_run(project: Project, text: str) -> None:
    before, _, ours = text.partition("### ")
    assert before == "# Before\n"
    assert ours.count("\n| ") == 6
    assert "**agent**" in ours
    assert "```mermaid\ngantt\n" in ours
    assert "report&#46;html" in ours
    assert str(project.path.parent) not in ours


def what_was_paid_is_in_list_and_statistics(project: Project) -> None:
    [listed] = json.loads("\n".join(project.run("--cobbler-list", "--cobbler-format=json").outlines))[
        "generations"
    ]
    assert (listed["cost_usd"], listed["paid_usd"]) == (1.5, 10.0)
    [told] = json.loads("\n".join(project.run("--cobbler-stats", "--cobbler-format=json").outlines))[
        "generations"
    ]
    paid = {
        part: (told[part]["attempts"], told[part]["cost_usd"]) for part in ("landed", "wasted", "measures")
    }
    assert paid == {"landed": (1, 0.5), "wasted": (5, 9.5), "measures": (0, 0.0)}
    report = json.loads(
        (project.path / ".cobbler" / f"{project.generation}" / "report.json").read_text("utf-8")
    )
    assert [report[part]["cost_usd"] for part in ("landed", "wasted", "measures")] == [0.5, 9.5, 0.0]


def test_a_quiet_run_ends_with_what_did_not_land_and_elsewhere_than_on_github_nothing_is_a_command(
    project: Project, tmp_path: Path
) -> None:
    away = {"GITHUB_STEP_SUMMARY": str(tmp_path / "none" / "summary.md")}
    lines = project.run("--cobbler-generate", "-q", "configuration.yaml::stitch", env=away).outlines
    at = next(number for number, line in enumerate(lines) if "- cobbler -" in line)
    assert [line.split()[0] for line in lines[at + 1 : at + 4]] == ["title", "p-bad", "p-later"]
    assert lines[at + 4].startswith(f"{project.generation}: ")
    assert commands(lines) == []
    assert (
        f"step summary: it cannot be written: No such file or directory: {tmp_path}/none/summary.md" in lines
    )


@pytest.mark.matrix("costly")
def test_no_line_of_an_agent_or_a_gate_is_a_command_of_a_ci_system(cobbler_project: Project) -> None:
    """The agent, the gate and the tracker have them in every place that reaches the output of a command."""
    project, agent = cobbler_project, cobbler_project.agent
    octal = "".join(f"\\{byte:03o}" for byte in "".join(f"{command}\n" for command in COMMANDS).encode())
    shout = f"printf '{octal}' | tee /dev/stderr"
    gate = f'for file in *; do echo "FAILED $file"; cat "$file"; done; {shout}; ! grep -q wrong *.txt'
    project.configure(max_attempts=1, jobs=1, silence_agent=False, test_command=gate)
    names = [command.strip() for command in COMMANDS]
    says = f"{shout}; " + "; ".join(f"echo $COBBLER_TASK_ID >'{name}'" for name in names)
    agent.otherwise().runs(says)
    agent.task("Gate").runs(f"{says}; echo wrong >wrong.txt")
    agent.task("Fails").runs(f"{says}; exit 3")
    agent.task("Refused").runs(f"{shout}; mkdir -p '.claude/::error::x'; echo >'.claude/::error::x/##vso[a]'")
    agent.measure().prints("::error::Done.").writes_tasks([{"title": name} for name in names])
    titles = {"p-gate": "Gate", "p-fails": "Fails", "p-refused": "Refused", "p-title": names[-1]}
    seed(project, *(task(name, title=title) for name, title in titles.items()))
    for options in (
        "--cobbler-generate --collect-only",
        "--cobbler-generate -v -rA --durations=0 -s -o junit_logging=all",
        "--cobbler-generate -vv -rA --full-trace -k p-fails",
        "--cobbler-show p-gate -v",
        "--cobbler-show p-refused",
        "--cobbler-stats",
        "--cobbler-stats --cobbler-format=json",
        "--cobbler-verify HEAD..REF -v -rA",
        "--cobbler-doctor",
    ):
        if "doctor" in options:
            project.configure(test_command=f"{shout}; exit 1")
        result = project.run(*options.replace("HEAD..REF", f"main..{project.generation}").split())
        output = [*result.outlines, *result.errlines]
        assert commands(output) == [], options
        assert any(sign in line for line in output for sign in BROKEN), options
