"""The report of a run that was killed is written by the next one."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree

from pytest_cobbler.testing.project import Project
from tests.support.sessions import WRITES_A_FILE, ids_landed, seed, task

KILLED = "recovered: a run that was killed: "


def test_the_next_run_completes_the_report_of_a_killed_one(cobbler_project: Project) -> None:
    project, begun = cobbler_project, cobbler_project.directory / "begun"
    project.configure(cycles=0, max_attempts=1, jobs=1)
    project.agent.otherwise().runs(WRITES_A_FILE)
    project.agent.task("Fails <&").fails()
    project.agent.task("Hangs").runs(f"touch {begun}").sleeps(300)
    project.agent.task("Hangs", attempt=2).runs(WRITES_A_FILE)
    titles = {"a": "Lands", "b": "Fails <&", "c": "Hangs", "d": "Waits"}
    tasks = [task(name, title=titles[name], priority=at) for at, name in enumerate(titles)]
    seed(project, *tasks)
    running = project.start("--cobbler-generate")
    running.wait_until(lambda: begun.exists() and bool(project.landed()))
    running.kill()
    assert running.wait(60).junit == {}
    [landed] = project.landed()

    project.agent.task("Fails <&", attempt=2).runs(WRITES_A_FILE)
    result = project.run("--cobbler-generate")
    [line] = [line for line in result.outlines if line.startswith(KILLED)]
    counts, _, path = line.removeprefix(KILLED).partition("; report: ")
    assert counts == "2 items had ended, 1 had not"
    suite = ElementTree.parse(project.path / path).find("testsuite")
    assert suite is not None
    counted = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counted == {"tests": "3", "failures": "1", "errors": "1", "skipped": "0"}
    cases = {case.get("name"): case for case in suite}
    assert list(cases) == ["Lands (a)", "Fails <& (b)", "Hangs (c)"]
    properties = {
        (name, of_case.get("name")): of_case.get("value")
        for name, case in cases.items()
        for of_case in case.iter("property")
    }
    assert properties["Lands (a)", "cobbler_commit"] == landed.commit
    assert properties["Fails <& (b)", "cobbler_outcome"] == "failed"
    assert [child.tag for child in cases["Hangs (c)"]] == ["properties", "error"]
    types = {name: [child.get("type") for child in case][1:] for name, case in cases.items()}
    assert types == {"Lands (a)": [], "Fails <& (b)": ["agent"], "Hangs (c)": ["interrupted"]}
    assert {case.get("file") for case in suite} == {"configuration.yaml"}
    assert {case.get("classname") for case in suite} == {"configuration.yaml.stitch"}
    assert sorted(ids_landed(project)) == ["a", "b", "c", "d"]
    home = project.path / ".cobbler" / str(project.generation)
    killed, ended = json.loads((home / "report.json").read_text())["runs"]
    assert (killed["state"], ended["state"]) == ("killed", "ended")
    assert [item["outcome"] for item in killed["items"]] == ["landed", "failed", "killed", "not started"]
    assert {item["outcome"] for item in ended["items"]} == {"landed"}
    assert (home / "report.html").read_text().rstrip().endswith("</html>")
    assert KILLED not in "\n".join(project.run("--cobbler-generate").outlines)
