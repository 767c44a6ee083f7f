"""The real claude in podman goes on with its conversation; only the model is scripted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_cobbler.testing.invariants import check
from pytest_cobbler.testing.project import Project, RunResult
from tests.support.scripted_api import ScriptedApi, Turn, beginning, text, tool, turn
from tests.support.sessions import by_title, came_to, seed, task

DONE = turn(text("Done."))
GATE = "! test -f work.txt || grep -x right work.txt || { echo work.txt has the wrong word; false; }"


def bash(command: str) -> Turn:
    return turn(tool("Bash", command=command, description="Work"))


def sessions(project: Project) -> list[Path]:
    """The conversations that are kept."""
    return sorted((project.directory / "work").glob("*/sessions/*/*/*"))


def spent(result: RunResult, title: str) -> tuple[dict[str, int], float]:
    properties = by_title(result)[title].properties
    kinds = ("input", "output", "cache_read", "cache_write")
    tokens = {kind: int(properties[f"cobbler_tokens_{kind}"]) for kind in kinds}
    return tokens, float(properties["cobbler_cost_usd"])


def counted(answered: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """The API's own count of what it answered."""
    names = {
        "input": "input_tokens",
        "output": "output_tokens",
        "cache_read": "cache_read_input_tokens",
        "cache_write": "cache_creation_input_tokens",
    }
    return {kind: sum(usage[name] for usage in answered) for kind, name in names.items()}


def test_a_red_gate_is_the_next_turn_of_the_same_conversation(project: Project, api: ScriptedApi) -> None:
    project.configure(max_attempts=2, test_command=GATE)
    seed(project, task("p-a", title="first"))
    api.script("<title>\nfirst", [bash("echo wrong >work.txt"), DONE], [bash("echo right >work.txt"), DONE])

    result = project.run("--cobbler-generate", env=api.environment)

    assert came_to(result) == {"stitch::p-a": "landed"}
    before, after = api.requests[1:3]
    assert len({request.session_id for request in api.requests}) == 1
    assert beginning(after.body).startswith(beginning(before.body)), "the API has all of it in its cache"
    assert after.prompt.startswith("Your work was merged, but the commands that check it failed.")
    assert "work.txt has the wrong word" in after.prompt
    tokens, cost = spent(result, "first")
    assert (tokens, cost) == (counted(api.answered), 0.048)
    attempts = project.path / ".cobbler" / str(project.generation) / "attempts" / "p-a"
    assert (attempts / "2" / "prompt.md").read_text().strip() == after.prompt
    assert sessions(project) == []
    assert check(project, result) == []
