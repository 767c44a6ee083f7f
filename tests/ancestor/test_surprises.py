"""Mistakes of the ancestor that its users met with: shown keys, silence, hasty assumptions."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project
from tests.support.images import podman
from tests.support.sessions import came_to, records, seed, task

KEY = "sk-ant-api03-never-to-be-seen"


@pytest.mark.matrix("costly")
@pytest.mark.usefixtures("agent")
@pytest.mark.parametrize("where", ["project", "in_podman"])
def test_no_key_in_podman_args_is_shown_or_kept(request: pytest.FixtureRequest, where: str) -> None:
    """The command line of podman was logged with all of ``podman_args``, where the key was to be."""
    project: Project = request.getfixturevalue(where)
    keys = ["-e", f"ANTHROPIC_API_KEY={KEY}", "-e", f"OTHER_TOKEN={KEY[::-1]}"]
    project.configure(
        podman_args=[*project.configuration.get("podman_args", []), *keys],
        test_command="false",
        red_base="allow",
    )
    seed(project, task("p-a"))
    result = project.run("--cobbler-generate", "-vvv", "-rA", "-s")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["FAILED*gate: test failed*"])
    for lines in (result.outlines, result.errlines):
        assert KEY not in "\n".join(lines)
        assert KEY[::-1] not in "\n".join(lines)
    (project.path / "configuration.yaml").unlink()
    assert (
        list(files_that_hold(project.directory, KEY))
        == list(files_that_hold(project.directory, KEY[::-1]))
        == []
    )


def files_that_hold(directory: Path, text: str) -> Iterator[Path]:
    return (file for file in directory.rglob("*") if file.is_file() and text.encode() in file.read_bytes())


def test_no_failed_run_hides_its_reason(project: Project, agent: StandInAgent) -> None:
    """What the agent complained of was discarded, and neither prompt nor transcript was kept."""
    agent.task("p-a").prints("I am lost.").runs("echo complaint >&2").fails()
    seed(project, task("p-a", description="Find the way."))
    project.run("--cobbler-generate")
    (attempt,) = project.path.glob(".cobbler/*/attempts/p-a/1")
    assert "Find the way." in (attempt / "prompt.md").read_text()
    assert "I am lost." in (attempt / "transcript.jsonl").read_text()
    assert "complaint" in (attempt / "stderr.txt").read_text()
    assert json.loads((attempt / "result.json").read_text())["cause"] == "agent"


@pytest.fixture
def image_with_an_entrypoint(minimal_image: str) -> Iterator[str]:
    """As images of agents have one."""
    name = f"localhost/cobbler-test-entrypoint-{uuid.uuid4().hex[:8]}"
    container = podman("create", "--pull=never", minimal_image, "true")
    podman("commit", "--quiet", "--change", 'ENTRYPOINT ["/bin/false"]', container, name)
    podman("rm", container)
    yield name
    podman("rmi", name)


@pytest.mark.matrix("costly")
def test_no_entrypoint_of_an_image_is_run(in_podman: Project, image_with_an_entrypoint: str) -> None:
    """What was to try the image out ran the agent instead, with ``echo ok`` for its arguments."""
    in_podman.configure(podman_image=image_with_an_entrypoint)
    seed(in_podman, task("p-a"))
    result = in_podman.run("--cobbler-generate", "configuration.yaml::stitch")
    assert came_to(result) == {"stitch::p-a": "landed"}


def test_no_generation_starts_without_its_agent(in_podman: Project) -> None:
    """Only that a container starts was tried out, not that the agent is in it."""
    in_podman.configure(agent_command=["no-such-agent"])
    result = in_podman.run("--cobbler-generate")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *no-such-agent*"])
    assert in_podman.generation is None


def go_project(project: Project, files: dict[str, str], **keys: object) -> None:
    project.write({"go.mod": "module example.com/m\n\ngo 1.24\n"} | files)
    project.configure(language="go", module_path="example.com/m", go_source_dirs=["."], **keys)


@pytest.mark.parametrize("written", ["magefiles", "magefiles/"])
def test_no_start_removes_magefiles_vendored_packages_or_submodules(project: Project, written: str) -> None:
    """With a slash behind it ``magefiles_dir`` was not spared; nor, below the top, was anything else."""
    kept = {"magefiles/build.go": "package main\n", "pkg/vendor/x/x.go": "package x\n"}
    go_project(project, kept | {"pkg/a.go": "package a\n"}, magefiles_dir=written)
    other = project.directory / "other"
    project.git("clone", "--quiet", str(project.path), str(other))
    project.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other), "pkg/sub")
    project.commit("A submodule")
    assert project.run("--cobbler-start").ret == 0
    gone = project.git("diff", "--name-only", "--diff-filter=D", "main", project.generation or "")
    assert gone == "pkg/a.go\n"
    for name in kept:
        assert (project.path / name).exists()
    assert (project.path / "pkg" / "sub" / "pkg" / "a.go").exists()


def test_no_start_drops_the_versions_of_the_go_module(project: Project) -> None:
    """``go.mod`` was made anew, and every dependency was at its newest version again."""
    requires = "module example.com/old\n\ngo 1.23\n\nrequire example.com/dep v1.2.3\n"
    go_project(project, {"go.sum": "example.com/dep v1.2.3 h1:x\n"})
    project.write({"go.mod": requires})
    project.commit("Pinned")
    assert project.run("--cobbler-start").ret == 0
    files = project.files()
    assert files["go.mod"] == requires.replace("example.com/old", "example.com/m")
    assert files["go.sum"] == "example.com/dep v1.2.3 h1:x\n"


def test_no_branch_has_to_be_called_main(project: Project) -> None:
    """``main`` was a constant."""
    project.git("branch", "--quiet", "--move", "main", "trunk")
    seed(project, task("p-a"))
    assert came_to(project.run("--cobbler-generate"))["stitch::p-a"] == "landed"
    assert "Cobbler-Base: trunk" in project.git("log", "--format=%B", project.generation or "")
    assert project.run("--cobbler-reset").ret == 0
    assert project.git("for-each-ref", "--format=%(refname:short)", "refs/heads") == "trunk\n"


@pytest.mark.matrix("costly")
def test_no_duration_means_one_thing_in_a_measure_and_another_in_a_stitch(
    project: Project, agent: StandInAgent
) -> None:
    """That of a stitch was of the whole task, that of a measure of the agent alone.

    Here it is the time of the item: agent, gate and landing, but not the waiting of one task for another.
    """
    project.configure(test_command="sleep 1")
    agent.measure().writes_tasks([{"title": "A"}, {"title": "B"}])
    result = project.run("--cobbler-generate")
    seconds = {str(found["commit"]): found["duration_s"] for found in records(project) if "commit" in found}
    [measured] = [found["duration_s"] for found in records(project) if found["caller"] == "measure"]
    times = {case.properties.get("cobbler_commit", ""): case.time for case in result.junit.values()}
    assert len(times) == 3
    assert seconds | {"": measured} == {
        commit: pytest.approx(time, abs=0.06) for commit, time in times.items()
    }


@pytest.mark.parametrize(
    ("template", "complaint"),
    [("{{.OutputPath", "*measure.tmpl:1: *"), ("{{.OutputPath}}\n{{.Nothing}}", "*measure.tmpl:2: *")],
)
def test_no_users_template_ends_in_a_traceback(project: Project, template: str, complaint: str) -> None:
    """A template that could not be read was a panic, in the middle of a run."""
    project.write({"measure.tmpl": template})
    project.configure(measure_prompt="measure.tmpl")
    result = project.run("--cobbler-generate")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([complaint])
    result.stderr.no_fnmatch_line("*Traceback*")
    assert project.generation is None
