"""The prompts that agents get in a run."""

from __future__ import annotations

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project
from tests.support.sessions import seed, task


def prompt(project: Project, item: str, number: int = 1) -> str:
    [found] = project.path.glob(f".cobbler/*/attempts/{item}/{number}/prompt.md")
    return found.read_text("utf-8")


def test_prompts_name_failed_tasks_and_the_documents(
    cobbler_project: Project, cobbler_agent: StandInAgent
) -> None:
    """The documents are named even if spec_globs includes none of them."""
    cobbler_project.configure(max_attempts=1, test_command="! [ -e bad.txt ]", gate_network="open")
    cobbler_project.write({"docs/vision.md": "To be seen.\n", "src/notes.md": "mine\n"})
    cobbler_project.write({f"src/{name}.md": f"text of {name}\n" for name in ("a", "B", "c")})
    cobbler_project.commit("Documents")
    cobbler_agent.task("bad").writes("bad.txt", "bad\n")
    seed(cobbler_project, task("bad"))
    cobbler_project.run("--cobbler-generate")
    measure, stitch = prompt(cobbler_project, "cycle-1"), prompt(cobbler_project, "bad")
    assert "<open-tasks>\nbad: bad (attempt 1 did not land: gate)\n</open-tasks>" in measure
    for told in (measure, stitch):
        assert "read them where they matter:\n\n<paths>\nREADME.md\ndocs/vision.md\n</paths>" in told
        assert "To be seen." not in told
        assert "without a network" not in told

    cobbler_project.configure(spec_globs={"vision": "docs/*.md", "some": "src/[ab].md"})
    cobbler_project.run("--cobbler-generate", "configuration.yaml::stitch")
    told = prompt(cobbler_project, "bad", 2)
    assert '<document path="docs/vision.md">\nTo be seen.\n</document>' in told
    assert [name for name in ("a", "B", "c") if f"text of {name}\n" in told] == ["a"], "case counts"
