"""The real claude gives a sub-agent a worktree of its own below the agent's files."""

from __future__ import annotations

from pytest_cobbler.testing.project import Project
from tests.support.scripted_api import Request, ScriptedApi, Turn, text, tool, turn
from tests.support.sessions import seed, stitch, task

WRITES = "echo {0} >{0}.txt && git add --all && git commit --quiet --message={0}"


def answer(request: Request) -> Turn:
    """The main agent has a sub-agent write a file, and writes one itself."""
    is_sub_agent = request.prompt.startswith("As a sub-agent")
    results = [
        block
        for message in request.body["messages"]
        for block in (message["content"] if isinstance(message["content"], list) else [])
        if block.get("type") == "tool_result"
    ]
    if is_sub_agent:
        look = tool("Bash", command=f"pwd && {WRITES.format('sub')}", description="Write")
        return turn(text("Done.")) if results else turn(look)
    if not results:
        call = {"description": "Write", "prompt": "As a sub-agent, write it.", "isolation": "worktree"}
        return turn(tool("Agent", **call, subagent_type="general-purpose"))
    if len(results) == 1:
        return turn(tool("Bash", command="echo main >main.txt", description="Write"))
    return turn(text("Done."))


def test_a_sub_agent_in_a_worktree_of_its_own_works_and_its_commit_is_kept(
    project: Project, api: ScriptedApi
) -> None:
    seed(project, task("t"))
    api.script("t", [answer] * 12)
    result = project.run("--cobbler-generate", env=api.environment)
    assert result.ret == 0
    files = project.files()
    assert "main.txt" in files
    assert not [path for path in files if path.startswith(".claude") or path == "sub.txt"]
    ref = f"refs/cobbler/left/{project.generation}/t/1/1"
    assert f"also left, and kept as {ref}: " in result.junit[stitch("t")].properties["cobbler_notes"]
    assert project.git("show", f"{ref}:sub.txt") == "sub\n"
