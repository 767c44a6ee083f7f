"""A whole generation with the real parts: git, podman, claude, bd; only the model is scripted."""

from __future__ import annotations

import json
import re
import shutil
import threading

import pytest

from pytest_cobbler.config import load
from pytest_cobbler.sandbox.base import Job, Mount
from pytest_cobbler.sandbox.podman import PodmanSandbox, job_owner
from pytest_cobbler.sandbox.podman_environment import podman_environment
from pytest_cobbler.testing.project import Project, RunResult
from tests.support.calculators import DIVIDE, GO, INSTRUCTION, MULTIPLY, PYTHON, SUBTRACT, Sample, worktree
from tests.support.images import claude_volume, minimal_image, python_image
from tests.support.scripted_api import Request, ScriptedApi, Turn, text, tool, turn
from tests.support.stores import BdStore, bd_program, bd_template
from tests.support.toolchain import go_arguments, go_cache, go_root

__all__ = [
    "bd_program",
    "bd_template",
    "claude_volume",
    "go_arguments",
    "go_cache",
    "go_root",
    "minimal_image",
    "python_image",
]


class Calculator:
    """The model's answers: three tasks, of which one conflicts and one fails its tests at first."""

    def __init__(self, project: Project, sample: Sample) -> None:
        self._project = project
        self._sample = sample
        self._multiply_began = threading.Event()

    def script(self, api: ScriptedApi) -> None:
        api.script("tasks.json", [self.propose, turn(text("Three tasks are proposed."))])
        api.script(f"<title>\n{SUBTRACT}", [self.subtract, self.commit_subtract, turn(text("Done."))])
        api.script(
            f"<title>\n{MULTIPLY}",
            [self.multiply, self.wait_for_subtract, turn(text("Done."))],
            [self.resolve, turn(text("Resolved."))],
        )
        api.script(
            f"<title>\n{DIVIDE}",
            [self.divide_wrong, turn(text("Done."))],
            [self.repair, turn(text("Repaired."))],
        )

    def propose(self, request: Request) -> Turn:
        path = re.search(r"(/\S+/output/tasks\.json)", request.prompt)
        assert path is not None
        tasks = [
            {"index": 0, "title": SUBTRACT, "description": "Add subtract(a, b).", "dependency": -1},
            {"index": 1, "title": MULTIPLY, "description": "Add multiply(a, b).", "dependency": -1},
            {"index": 2, "title": DIVIDE, "description": "Add divide(a, b).", "dependency": 0},
        ]
        return turn(text("I propose."), tool("Write", file_path=path[1], content=json.dumps(tasks)))

    def subtract(self, request: Request) -> Turn:
        self._multiply_began.wait(60)  # both start from the same tip
        sample, where = self._sample, worktree(request)
        new = sample.add + sample.function("subtract", "a - b")
        path, content = sample.test("subtract", 3)
        return turn(
            tool("Read", file_path=f"{where}/{sample.source}"),
            tool("Edit", file_path=f"{where}/{sample.source}", old_string=sample.add, new_string=new),
            tool("Write", file_path=f"{where}/{path}", content=content),
        )

    def commit_subtract(self, _request: Request) -> Turn:
        command = f"git status --short && {self._sample.commits} && git log --oneline | head -3"
        return turn(tool("Bash", command=command, description="Commit"))

    def multiply(self, _request: Request) -> Turn:
        self._multiply_began.set()
        sample = self._sample
        script = f"cat >>{sample.source} <<'E'\n{sample.function('multiply', 'a * b')}E"
        return turn(tool("Bash", command=script, description="Append"))

    def wait_for_subtract(self, request: Request) -> Turn:
        for _ in range(600):
            if any(commit.title == SUBTRACT for commit in self._project.landed()):
                break
            threading.Event().wait(0.1)
        path, content = self._sample.test("multiply", 18)
        return turn(tool("Write", file_path=f"{worktree(request)}/{path}", content=content))

    def resolve(self, request: Request) -> Turn:
        source = self._sample.source
        assert request.prompt.startswith("Your work could not be merged")  # in the same conversation
        assert source in request.prompt
        assert SUBTRACT in request.prompt  # the other side of the conflict
        command = f"grep -c '<<<<<<<' {source} && sed -i '/^[<=>]\\{{7\\}}/d' {source}"
        return turn(tool("Bash", command=command, description="Resolve"))

    def divide_wrong(self, request: Request) -> Turn:
        sample, where = self._sample, worktree(request)
        path, content = sample.test_divide()
        return turn(
            tool("Write", file_path=f"{where}/{sample.division}", content=sample.divide("a/b + 1")),
            tool("Write", file_path=f"{where}/{path}", content=content),
        )

    def repair(self, request: Request) -> Turn:
        assert "divide" in request.prompt.partition("FAIL")[2].lower()  # the gate's output
        where = f"{worktree(request)}/{self._sample.division}"
        return turn(
            tool("Read", file_path=where),
            tool("Edit", file_path=where, old_string="a/b + 1", new_string="a / b"),
        )


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("sample", "tracker", "sandbox"),
    [
        (PYTHON, "bd", "podman"),
        (PYTHON, "embedded", "podman"),
        (GO, "bd", "podman"),
        (PYTHON, "embedded", "slurm"),
        pytest.param(PYTHON, "embedded", "kubernetes", marks=pytest.mark.kubernetes),
    ],
    ids=["python-bd", "python-embedded", "go-bd", "slurm", "kubernetes"],
)
def test_a_generation_with_the_real_claude_lands_its_tasks(
    calculator: Project, api: ScriptedApi, sample: Sample, tracker: str, request: pytest.FixtureRequest
) -> None:
    if tracker == "bd":
        BdStore(calculator.path, *map(request.getfixturevalue, ("bd_program", "bd_template")))
    calculator.configure(tracker=tracker)
    before = checkout(calculator)
    Calculator(calculator, sample).script(api)

    result = calculator.run("--cobbler-generate", "-v", env=api.environment, timeout=900)

    result.assert_outcomes(passed=4)
    assert result.ret == 0
    titles = [commit.title for commit in calculator.landed()]
    assert titles[0] == SUBTRACT
    assert sorted(titles[1:]) == [DIVIDE, MULTIPLY]
    assert_all_agree(calculator, result)
    assert attempts(result) == {SUBTRACT: 1, MULTIPLY: 2, DIVIDE: 2}
    assert checkout(calculator) == before
    assert gate_passes_on_the_tip(calculator, sample)
    verified = calculator.run("--cobbler-verify", calculator.landed()[-1].commit, env=api.environment)
    verified.stdout.fnmatch_lines(["*: verified: * passed, not signed"])
    assert not [path for path in calculator.files() if path.startswith("bin/")]
    assert all(INSTRUCTION in json.dumps(request.body["system"]) for request in api.requests)
    result.stdout.fnmatch_lines(["agent: claude, 2 in parallel, network proxy (the API alone)"])
    on_nodes = re.findall(r": the agent starts on (n[123]|node-1) \(attempt \d\)", "\n".join(result.outlines))
    assert len(on_nodes) == (6 if calculator.configuration["sandbox"] != "podman" else 0)
    assert "credential: handed" not in "\n".join(result.outlines)
    api_key = api.environment["ANTHROPIC_API_KEY"].encode()
    assert {request.headers["x-api-key"] for request in api.requests} == {api_key.decode()}
    files = [path for path in (calculator.path / ".cobbler").rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if api_key in path.read_bytes()]


@pytest.mark.matrix("costly")
def test_an_open_network_gives_the_agent_the_key_and_reports_it(
    calculator: Project, api: ScriptedApi
) -> None:
    calculator.configure(agent_network="open")
    show = tool("Bash", command="env | grep -c ^ANTHROPIC_API_KEY=sk-ant-api03-scripted", description="Look")
    api.script("tasks.json", [turn(show), turn(text("Done."))])

    result = calculator.run("--cobbler-generate", env=api.environment, timeout=300)

    assert api.requests[-1].tool_results[0].startswith("1")
    result.stdout.fnmatch_lines(
        [
            "agent: claude, 2 in parallel, network open",
            "credential: handed to the agent, which can read it (agent_network: proxy keeps it here)",
        ]
    )


@pytest.mark.matrix("costly")
def test_a_key_in_proposed_tasks_is_not_written_anywhere(calculator: Project, api: ScriptedApi) -> None:
    calculator.configure(agent_network="open")
    key = api.environment["ANTHROPIC_API_KEY"]

    def propose(request: Request) -> Turn:
        path = re.search(r"(/\S+/output/tasks\.json)", request.prompt)
        assert path is not None
        tasks = [{"index": 0, "title": "Use KEY", "description": "d"}]
        write = f"sed s/KEY/$ANTHROPIC_API_KEY/ >{path[1]} <<'END'\n{json.dumps(tasks)}\nEND\n"
        return turn(tool("Bash", command=write, description="Propose"))

    api.script("tasks.json", [propose, turn(text("Done."))])

    result = calculator.run("--cobbler-generate", env=api.environment, timeout=300)

    result.assert_outcomes(failed=1)
    assert calculator.tasks() == []
    result.stdout.fnmatch_lines(["*the tasks hold the agent's credential*"])
    files = [path for path in (calculator.path / ".cobbler").rglob("*") if path.is_file()]
    assert not [path for path in files if key.encode() in path.read_bytes()]
    assert key not in "\n".join(result.outlines)


@pytest.mark.matrix("costly")
def test_the_work_of_claude_is_replayed_without_it(calculator: Project, api: ScriptedApi) -> None:
    def propose(request: Request) -> Turn:
        path = re.search(r"(/\S+/output/tasks\.json)", request.prompt)
        assert path is not None
        tasks = [{"index": 0, "title": DIVIDE, "description": "Add divide(a, b)."}]
        return turn(tool("Write", file_path=path[1], content=json.dumps(tasks)))

    script = Calculator(calculator, PYTHON)
    api.script("tasks.json", [propose, turn(text("Proposed."))])
    last_turn = turn(text("Done."))
    api.script(
        f"<title>\n{DIVIDE}", [script.divide_wrong, last_turn], [script.repair, turn(text("Repaired."))]
    )
    first = calculator.run(
        "--cobbler-generate", "--cobbler-record=recording", env=api.environment, timeout=300
    )
    first.assert_outcomes(passed=2)
    tree, request_count = calculator.files(), len(api.requests)
    recorded = [path.read_bytes() for path in (calculator.path / "recording").rglob("*") if path.is_file()]
    assert not [content for content in recorded if api.environment["ANTHROPIC_API_KEY"].encode() in content]
    calculator.git("update-ref", "-d", f"refs/heads/{calculator.generation}")
    for name in (".beads", ".cobbler"):
        shutil.rmtree(calculator.path / name)
    calculator.configure(agent="replay", recording="recording", podman_args=None, agent_network="none")

    second = calculator.run("--cobbler-generate", timeout=300)

    second.assert_outcomes(passed=2)
    assert len(api.requests) == request_count
    ours = [name for name in tree if name != "configuration.yaml"]
    assert {name: calculator.files()[name] for name in ours} == {name: tree[name] for name in ours}
    assert attempts(second) == attempts(first) == {DIVIDE: 2}
    costs = [
        [case.properties["cobbler_cost_usd"] for case in result.junit.values()] for result in (first, second)
    ]
    assert costs[0] == costs[1]
    assert float(costs[0][0]) > 0


def checkout(project: Project) -> tuple[str, ...]:
    """The user's files and refs that must not change."""
    return (
        project.git("rev-parse", "HEAD"),
        project.git("symbolic-ref", "HEAD"),
        project.git("status", "--porcelain"),
        (project.path / ".git" / "config").read_text(),
        (project.path / ".git" / "index").read_bytes().hex(),
        project.git("rev-parse", "main"),
    )


def assert_all_agree(project: Project, result: RunResult) -> None:
    """Check that the branch, the tracker and the report agree."""
    tasks = {task.id: task for task in project.tasks()}
    landed = {commit.task: commit for commit in project.landed()}
    cases = {name.rpartition("::")[2]: case for name, case in result.junit.items() if "::stitch::" in name}
    assert set(tasks) == set(landed) == set(cases)
    for task_id, task in tasks.items():
        assert task.status == "closed"
        assert cases[task_id].outcome == "passed"
        assert cases[task_id].properties["cobbler_commit"] == landed[task_id].commit
        assert cases[task_id].properties["cobbler_title"] == task.title == landed[task_id].title
        assert float(cases[task_id].properties["cobbler_cost_usd"]) > 0
        assert int(cases[task_id].properties["cobbler_tokens_input"]) > 0
        assert landed[task_id].trailers["Cobbler-Generation"] == project.generation


def attempts(result: RunResult) -> dict[str, int]:
    stitches = [case for name, case in result.junit.items() if "::stitch::" in name]
    return {c.properties["cobbler_title"]: int(c.properties["cobbler_attempts"]) for c in stitches}


def gate_passes_on_the_tip(project: Project, sample: Sample) -> bool:
    """The language's own commands on a checkout of the tip, in the gate's image."""
    tree = project.directory / "tip"
    tree.mkdir()
    for name, content in project.files().items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(content)
    config = load(project.path / "configuration.yaml")
    sandbox = PodmanSandbox(
        project.configuration["podman_image"],
        repository="tip",
        run_id="tip",
        owner=job_owner(project.path),
        arguments=config.podman_arguments,
        environment=podman_environment(),
    )
    completed = sandbox.run(
        Job(
            name="tip",
            argv=("sh", "-c", sample.tested),
            workdir=str(tree),
            environment=config.container_environment,
            mounts=(Mount(source=tree, target=str(tree)),),
        )
    )
    return completed.ok
