"""The configuration of a project of mage-claude-orchestrator, as it is written there, on a Go repository."""

from __future__ import annotations

import pytest
import yaml

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project
from tests.support.ancestor import CONFIGURATION
from tests.support.sessions import came_to
from tests.support.toolchain import go_cache, go_root

__all__ = ["go_cache", "go_root"]

HERE = {"sandbox": "none", "agent": "command"}
"""What the test adds, so that it costs nothing."""

TEMPLATE = """\
package version

// Version is that of {{.ModulePath}}.
const Version = "{{.Version}}"
"""
MAIN = """\
package main

import "example.com/org/calc/pkg/version"

func main() { println(version.Version) }
"""


@pytest.fixture
def project(cobbler_project: Project, cobbler_agent: StandInAgent, go_cache: object) -> Project:
    keys = dict.fromkeys(cobbler_project.configuration) | yaml.safe_load(CONFIGURATION) | HERE
    cache = ["-e", f"COBBLER_GOCACHE={go_cache}"]
    cobbler_project.write(
        {
            "go.mod": "module example.com/org/calc\n\ngo 1.24\n\nrequire example.com/mage v1.0.0\n",
            "cmd/calc/main.go": "package main\n\nfunc main() {}\n",
            "magefiles/magefile.go": 'package main\n\nimport _ "example.com/mage"\n',
            "docs/specs/prd.md": "# A calculator\n",
            "templates/version.go.tmpl": TEMPLATE,
        }
    )
    work = cobbler_project.configuration["work_dir"]
    more = {"agent_command": cobbler_agent.command, "podman_args": cache, "work_dir": work}
    cobbler_project.configure(**keys | more)
    return cobbler_project


@pytest.mark.matrix("costly")
def test_generate_works_with_a_configuration_of_the_ancestor(
    project: Project, cobbler_agent: StandInAgent
) -> None:
    cobbler_agent.measure().writes_tasks(
        [
            {"index": 0, "title": "The program", "description": "d", "dependency": -1},
            {"index": 1, "title": "The version", "description": "d", "dependency": -1},
        ]
    )
    cobbler_agent.task("The program").writes("cmd/calc/main.go", MAIN).writes("bin/calc", "built")
    cobbler_agent.task("The version").writes("pkg/version/version.go", "package version\n")
    cobbler_agent.task("The version", attempt=2).writes("pkg/version/version.go", "package version\n")

    result = project.run("--cobbler-generate", timeout=300)

    outcomes = {case.properties.get("cobbler_title"): case for case in result.junit.values()}
    assert sorted(came_to(result).values()) == ["failed", "landed", "proposed"]
    assert "pkg/version/version.go: a protected path (version_file)" in outcomes["The version"].message
    name = project.generation or ""
    first = project.git("log", "--reverse", "--format=%H", f"main..{name}").split()[0]
    assert project.git("diff", "--name-status", "main", first).splitlines() == [
        "D\tcmd/calc/main.go",
        "A\tpkg/version/version.go",
    ]
    files = project.files()
    assert f'const Version = "{name}"' in files["pkg/version/version.go"]
    assert files["cmd/calc/main.go"] == MAIN
    assert "bin/calc" not in files
    [log] = (project.path / ".cobbler" / name).glob(
        f"attempts/{outcomes['The program'].properties['cobbler_task']}/1/gate.log"
    )
    assert log.read_text().splitlines() == ["== build ==", "== test ==", "tests: none yet"]


def test_a_configuration_of_the_ancestor_loads_unchanged(project: Project) -> None:
    project.write({"configuration.yaml": CONFIGURATION})
    project.commit("As it was")
    result = project.run("--cobbler-generate", "--collect-only")
    assert (result.ret, result.errlines) == (0, [])
