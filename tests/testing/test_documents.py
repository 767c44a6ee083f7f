"""The examples of the documentation work."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from pytest_cobbler import hookspecs
from pytest_cobbler.cycle.prompts import MeasureFacts, measure_prompt
from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project
from tests.support.documents import examples
from tests.support.sessions import came_to, seed, statuses, stitch, task

DOCS = Path(__file__).parents[2] / "docs"


def test_the_template_example_is_a_template() -> None:
    facts = MeasureFacts(limit=3, output_path="/tmp/out.json", lines_min=10, lines_max=20)
    [template] = examples("prompts.md", "markdown")
    assert measure_prompt(template, facts).startswith(
        "Propose at most 3 tasks of 10 to 20 lines for this repository. Read docs/VISION.md first.\n\n"
        "These are known: []\n\n"
        "Write a JSON array of objects with index, title, description and dependency to /tmp/out.json.\n"
    )


HOOKS = (DOCS / "hooks.md").read_text("utf-8")


def hook_example(name: str) -> str:
    """The conftest under a hook's heading."""
    text = HOOKS.split(f"\n## {name}\n")[1].split("\n## ")[0]
    [found] = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return str(found)


def test_every_hook_is_described_with_its_arguments() -> None:
    rows = re.findall(r"^\| `(pytest_cobbler_\w+)\(([\w, ]*)\)` \| (.*?) \|", HOOKS, re.MULTILINE)
    specs = {name: spec for name, spec in vars(hookspecs).items() if name.startswith("pytest_cobbler_")}
    assert [name for name, *_ in rows] == list(specs)
    for name, arguments, called in rows:
        assert arguments.split(", ") == list(inspect.signature(specs[name]).parameters)
        first = getattr(specs[name], "pytest_spec", {"firstresult": False})["firstresult"]
        assert first == ("*first*" in called)
        assert ("thread, several" in (specs[name].__doc__ or "")) == ("**not in the main thread**" in called)
        assert hook_example(name).count(f"def {name}(") == 1


def test_the_examples_of_hooks_do_what_their_page_says(
    cobbler_project: Project, cobbler_agent: StandInAgent
) -> None:
    together = ["prompt", "agent_command", "gate", "take_task", "tracker", "begin", "outcome", "reported"]
    conftest = "\n\n".join(hook_example(f"pytest_cobbler_{name}") for name in together)
    cobbler_project.write({"conftest.py": conftest, "power.txt": "mains"})
    cobbler_project.configure(cycles=0, max_attempts=1)
    cobbler_agent.otherwise().runs('cat >"$COBBLER_TASK_ID.txt"; tr "\\0" " " </proc/$PPID/cmdline >>cmd')
    cobbler_agent.otherwise().runs('mv cmd "$COBBLER_TASK_ID.cmd"')
    cobbler_agent.task("todo").writes("src/a.py", "# TODO\n")
    seed(
        cobbler_project,
        task("docs", labels=["docs"]),
        task("minor", priority=4),
        task("person", labels=["needs-a-person"]),
        task("todo"),
    )

    result = cobbler_project.run("--cobbler-generate")

    assert came_to(result) == {
        "stitch::docs": "landed",
        "stitch::minor": "landed",
        "stitch::todo": "failed",
    }
    files = cobbler_project.files()
    assert files["docs.txt"].endswith("Write for readers who are new to the project.\n")
    assert "new to the project" not in files["minor.txt"]
    assert files["minor.cmd"].endswith("agent.sh --model haiku ")
    assert files["docs.cmd"].endswith("agent.sh ")
    assert "style failed" in result.junit[stitch("todo")].message
    assert result.junit[stitch("todo")].properties["owner"] == "the build team"
    announced = (cobbler_project.path / "announced.txt").read_text().splitlines()
    assert sorted(line.split(":")[0] for line in announced) == ["docs", "minor"]
    ledger = (cobbler_project.path / "ledger.txt").read_text().splitlines()
    assert sorted(ledger) == ["docs landed 1", "minor landed 1", "todo failed 1"]

    (cobbler_project.path / "power.txt").write_text("battery")
    result = cobbler_project.run("--cobbler-generate")
    assert came_to(result) == {"stitch::todo": "cancelled"}
    assert statuses(cobbler_project)["todo"] == "open"
    result.stdout.fnmatch_lines(["*the machine runs on its battery*"])


def test_the_example_of_an_agent_does_what_its_page_says(cobbler_project: Project) -> None:
    cobbler_project.write({"conftest.py": hook_example("pytest_cobbler_agent"), "a.md": "colour\n"})
    cobbler_project.commit("Spell it as the British do")
    seed(cobbler_project, task("rename"))
    result = cobbler_project.run("--cobbler-generate")
    assert came_to(result) == {"stitch::rename": "landed", "measure::cycle-1": "proposed"}
    assert cobbler_project.files()["a.md"] == "color\n"
    result.stdout.fnmatch_lines(["agent: a script, *"])
