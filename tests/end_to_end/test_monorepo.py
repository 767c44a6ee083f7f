"""The real claude and the default gate of Python, in podman, in a directory of a repository."""

from __future__ import annotations

import json

import pytest

from pytest_cobbler.testing.invariants import check
from pytest_cobbler.testing.project import Project
from tests.support.calculators import PYTHON, SUBTRACT
from tests.support.images import python_image
from tests.support.monorepos import move_to
from tests.support.scripted_api import ScriptedApi, text, tool, turn
from tests.support.sessions import came_to, seed, task

__all__ = ["python_image"]

DIRECTORY = "services/api"


@pytest.mark.matrix("costly")
def test_claude_and_the_gate_work_in_the_directory(
    cobbler_project: Project, python_image: str, claude_volume: tuple[str, str], api: ScriptedApi
) -> None:
    project = cobbler_project
    project.write(
        {"CLAUDE.md": "Rule of all.\n", "services/web/test_web.py": "def (\n", "pytest.ini": "[pytest]\n"}
    )
    move_to(project, DIRECTORY)
    project.python_sample()
    project.write({"CLAUDE.md": "Rule of the api.\n"})
    project.configure(
        sandbox="podman",
        podman_image=python_image,
        podman_args=[*claude_volume, "-e", "CLAUDE_CODE_MAX_RETRIES=0"],
        agent="claude",
        agent_command=None,
        test_command=None,
        max_attempts=2,
        cycles=0,
    )
    path, content = PYTHON.test("subtract", 3)
    appended = f"cat >>{PYTHON.source} <<'E'\n{PYTHON.function('subtract', 'a - b')}E\n"
    script = f"{appended}cat >{path} <<'E'\n{content}E\npwd; git status; echo >../web/x.py"
    look = tool("Bash", command=script, description="Work")
    repair = tool("Bash", command="rm ../web/x.py", description="Undo")
    api.script(f"<title>\n{SUBTRACT}", [turn(look), turn(text("Done."))], [turn(repair), turn(text("Done."))])
    seed(project, task("p-1", title=SUBTRACT))

    result = project.run("--cobbler-generate", env=api.environment, timeout=120)

    assert list(came_to(result).values()) == ["landed"]
    assert check(project, result) == []
    [landed] = project.landed()
    assert landed.trailers["Cobbler-Tests"] == "2 passed"
    assert landed.trailers["Cobbler-Attempt"] == "2"
    systems = [json.dumps(request.body["system"]) for request in api.requests]
    assert all("Rule of all.\\n\\n\\nRule of the api.\\n" in system for system in systems)
    bodies = [json.dumps(request.body["messages"]) for request in api.requests]
    assert f"/cobbler/task/tree/{DIRECTORY}\\n" in bodies[1]
    assert "services/web/x.py: outside of services/api" in bodies[2]
