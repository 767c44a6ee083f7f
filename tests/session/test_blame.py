"""A gate that fails through no fault of a change: no work is blamed, and the run says what happened."""

from __future__ import annotations

import json

import pytest

from pytest_cobbler.testing.project import Project
from tests.support.sessions import ids_landed, seed, statuses, stitch, task, words

GATE = """\
echo run >>{runs}
run=$(wc -l <{runs})
case " {failing} " in *" $run "*) now='<failure/>' ;; *) now= ;; esac
echo "<testsuite><testcase classname='t' name='now_and_then'>$now</testcase></testsuite>" >report.xml
test -z "$now"
"""


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    cobbler_project.configure(cycles=0, max_attempts=1, jobs=1)
    cobbler_project.agent.otherwise().runs('echo done >"$COBBLER_TASK_ID.txt"')
    seed(cobbler_project, *(task(name, priority=number) for number, name in enumerate("abcd")))
    return cobbler_project


def test_a_change_lands_past_a_flaky_test_and_names_it(project: Project) -> None:
    project.write({"gate.sh": GATE.format(runs=project.directory / "runs", failing="2 3")})
    project.configure(test_command="sh gate.sh", gate_report="report.xml")
    # Its runs: 1 the tip, 2 the change of a, 3 and 4 the tip, 5 the change of a, 6 that of b, 7 of c, 8 of d.
    result = project.run("--cobbler-generate", "-v")
    assert words(result) == {f"stitch::{name}": "LANDED" for name in "abcd"}
    assert len((project.directory / "runs").read_text().split()) == 8
    case = result.junit[stitch("a")]
    assert case.properties["cobbler_flaky"] == "t::now_and_then"
    assert "cobbler_flaky" not in result.junit[stitch("b")].properties
    landed, clean, *_ = project.landed()
    assert landed.trailers["Cobbler-Flaky"] == "t::now_and_then"
    assert "Cobbler-Flaky" not in clean.trailers
    statement = json.loads(project.git("notes", "--ref=cobbler", "show", landed.commit))
    [gate] = [one for one in statement["predicate"]["runDetails"]["byproducts"] if one["name"] == "gate"]
    assert gate["annotations"]["flaky"] == ["t::now_and_then"]


def test_when_the_tip_itself_fails_nothing_more_starts_and_the_work_lands_later(project: Project) -> None:
    world, works = project.directory / "world", project.directory / "works"
    # It says why in a line that a terminal would show backwards.
    backwards = r"printf 'error: \342\200\256put\n'"
    waits = f"until test -e {works}; do sleep 0.1; done"
    project.configure(test_command=f"test ! -e {world} || {{ {waits}; {backwards}; exit 1; }}")
    project.agent.task("a").runs(f"touch {world}; echo done >a.txt")
    project.agent.task("a", attempt=2).runs("echo done >a.txt")
    # Its agent works while the gate fails for a.
    released = f"grep -q 'the tip itself' {project.path}/.beads/issues.jsonl"
    project.agent.task("c").runs(f"touch {works}; until {released}; do sleep 0.1; done; echo done >c.txt")
    result = project.run("--cobbler-generate", "-v")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert words(result) == {
        **{f"stitch::{name}": "FAILED" for name in "abc"},
        "stitch::d": "CANCELLED",
    }
    causes = [result.junit[stitch(name)].properties["cobbler_cause"] for name in "abcd"]
    assert causes == ["landing", "landing", "landing", "cancelled"]
    result.stdout.fnmatch_lines(["*nothing lands any more: the tip itself no longer passes the gate*put*"])
    assert "\u202e" not in result.stdout.str()
    assert statuses(project) == dict.fromkeys("abcd", "open")
    world.unlink()
    again = project.run("--cobbler-generate", "-v")
    assert again.ret == 0
    assert sorted(ids_landed(project)) == [*"abcd"]
    assert again.junit[stitch("b")].properties["cobbler_attempts"] == "0"
