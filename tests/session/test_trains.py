"""A session whose tasks land in trains: items, report, trailers, statements and their verification."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_cobbler.testing.project import Project

GATE = """\
[ "$(echo t[0-9]*)" = t1 ] || {{ ! [ -e t1 ] || ! [ -e t3 ] || ! [ -e {pair} ]; exit; }}
mkdir {begun} 2>/dev/null || exit 0
for i in $(seq 600); do
  if [ "$(git --git-dir={git} for-each-ref refs/heads/task | wc -l)" -ge 3 ]; then sleep 1; exit 0; fi
  sleep 0.1
done
exit 1
"""
"""While it runs on t1 for the first time, the two others come to wait. With ``pair``, t3 fails with t1."""


def prepare(project: Project, **keys: Any) -> None:
    begun, pair = project.directory / "begun", project.directory / "pair"
    project.write({"gate.sh": GATE.format(begun=begun, pair=pair, git=project.path / ".git")})
    project.configure(jobs=3, cycles=1, landing="train", test_command="sh gate.sh", **keys)
    titles = [f"Add t{number}" for number in (1, 2, 3)]
    project.agent.measure().writes_tasks([{"title": title} for title in titles])
    project.agent.task(titles[0]).writes("t1", "1\n")
    for number in (2, 3):
        waits = f"until [ -e {begun} ]; do sleep 0.1; done"
        project.agent.task(f"Add t{number}").runs(waits).writes(f"t{number}", f"{number}\n")


@pytest.mark.matrix("costly")
def test_tasks_land_in_a_train_that_is_stated_and_verified(cobbler_project: Project) -> None:
    project = cobbler_project
    prepare(project)
    run = project.run("--cobbler-generate", "-v")
    assert run.ret == 0, run.outlines
    first, middle, last = project.landed()
    for landed in (middle, last):
        run.stdout.fnmatch_lines([f"configuration.yaml::stitch::{landed.task} * LANDED (train of 2)*"])
        properties = run.junit[f"configuration.yaml::stitch::{landed.task}"].properties
        assert (properties["cobbler_train"], properties["cobbler_gated"]) == ("2", last.commit)
    assert "cobbler_train" not in run.junit[f"configuration.yaml::stitch::{first.task}"].properties
    tree = project.git("rev-parse", f"{last.commit}^{{tree}}").strip()
    gated = [one.trailers.get("Cobbler-Gated", "") for one in (first, middle, last)]
    assert gated == ["", tree, ""]

    verified = project.run("--cobbler-verify")
    assert verified.ret == 0, verified.outlines
    where = f"what ran is unknown on {last.commit[:12]}, the end of its train"
    verified.stdout.fnmatch_lines([f"{middle.commit[:12]} {middle.title}: verified: {where}, not signed"])

    document = json.loads(project.git("notes", "--ref=cobbler", "show", middle.commit))
    for train in document["predicate"]["runDetails"]["byproducts"]:
        if train["name"] == "train":
            assert train["annotations"]["commit"] == last.commit
            train["annotations"] |= {
                "commit": middle.commit,
                "tree": project.git("rev-parse", f"{middle.commit}^{{tree}}").strip(),
            }
    (project.directory / "note").write_text(json.dumps(document))
    note = f"--file={project.directory / 'note'}"
    project.git("notes", "--ref=cobbler", "add", "--force", note, middle.commit)
    differs = project.run("--cobbler-verify", middle.commit)
    assert differs.ret == 1
    differs.stdout.fnmatch_lines([f"{middle.commit[:12]} *: DIFFERS: train: the tree *"])


@pytest.mark.matrix("costly")
def test_an_agent_is_told_with_which_change_its_own_fails(cobbler_project: Project) -> None:
    project = cobbler_project
    prepare(project, max_attempts=1)
    (project.directory / "pair").touch()
    run = project.run("--cobbler-generate")
    task = project.task("Add t3")
    case = run.junit[f"configuration.yaml::stitch::{task.id}"]
    partner = next(one for one in project.landed() if one.title == "Add t1")
    assert case.outcome == "failed"
    assert f"it passes without {partner.commit[:12]} (Add t1)" in case.message
