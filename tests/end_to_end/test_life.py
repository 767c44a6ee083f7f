"""A whole life with the real parts: git, podman, claude and bd; only the model is scripted."""

from __future__ import annotations

import json
import re
import shutil
import signal
import threading
from pathlib import Path

import pytest
import yaml

from pytest_cobbler.testing.invariants import CheckoutState, check
from pytest_cobbler.testing.project import Project, RunResult
from tests.support.calculators import DIVIDE, GO, MULTIPLY, PYTHON, SUBTRACT, Sample, worktree
from tests.support.generations import refs
from tests.support.images import minimal_image, python_image
from tests.support.parts import need
from tests.support.scripted_api import Line, Request, ScriptedApi, Turn, text, tool, turn
from tests.support.sessions import came_to
from tests.support.toolchain import go_arguments, go_cache, go_root

__all__ = ["go_arguments", "go_cache", "go_root", "minimal_image", "python_image"]

DONE = turn(text("Done."))


class Model:
    """Proposes two tasks, then a third. The first agent never finishes the second task."""

    def __init__(self, sample: Sample) -> None:
        self._sample = sample
        self.half_done = threading.Event()
        self.may_answer = threading.Event()

    def script(self, api: ScriptedApi) -> None:
        api.script("tasks.json", [proposes(SUBTRACT, DIVIDE), DONE], [proposes(MULTIPLY), DONE])
        api.script(f"<title>\n{SUBTRACT}", [self._adds("subtract", "a - b", 3), DONE])
        api.script(f"<title>\n{DIVIDE}", [self._begins, self._waits], [self._finishes, DONE])
        api.script(f"<title>\n{MULTIPLY}", [self._adds("multiply", "a * b", 18), DONE])

    def _adds(self, name: str, expression: str, expected: int) -> Line:
        def line(request: Request) -> Turn:
            source = self._sample.source
            script = f"cat >>{source} <<'E'\n{self._sample.function(name, expression)}E"
            path, content = self._sample.test(name, expected)
            return turn(
                tool("Bash", command=script, description="Append"),
                tool("Write", file_path=f"{worktree(request)}/{path}", content=content),
            )

        return line

    def _begins(self, request: Request) -> Turn:
        where = f"{worktree(request)}/{self._sample.division}"
        return turn(tool("Write", file_path=where, content=self._sample.divide("a / b")))

    def _waits(self, _request: Request) -> Turn:
        self.half_done.set()
        self.may_answer.wait(120)
        return DONE

    def _finishes(self, request: Request) -> Turn:
        path, content = self._sample.test_divide()
        look = tool("Bash", command=f"grep -c 'a / b' {self._sample.division}", description="Look")
        return turn(look, tool("Write", file_path=f"{worktree(request)}/{path}", content=content))


def proposes(*titles: str) -> Line:
    def line(request: Request) -> Turn:
        path = re.search(r"(/\S+/output/tasks\.json)", request.prompt)
        assert path is not None
        tasks = [
            {"index": index, "title": title, "description": f"{title}: a and b."}
            for index, title in enumerate(titles)
        ]
        return turn(tool("Write", file_path=path[1], content=json.dumps(tasks)))

    return line


@pytest.mark.bd
@pytest.mark.matrix
@pytest.mark.parametrize(
    ("sample", "sandbox"),
    [(PYTHON, "podman"), (GO, "podman"), (PYTHON, "slurm")],
    ids=["python", "go", "slurm"],
)
def test_a_whole_life_from_no_generation_to_a_merged_and_an_abandoned_one(
    calculator: Project, sample: Sample, api: ScriptedApi, tmp_path: Path
) -> None:
    """One test, because each step continues from the last; the functions below check the steps."""
    need("bd")
    calculator.configure(tracker="bd", jobs=1)
    model = Model(sample)
    model.script(api)
    writes_a_configuration(calculator, sample, tmp_path)
    start = calculator.git("rev-parse", "main").strip()
    before = CheckoutState.of(calculator)

    first = starts(calculator, start)
    is_killed_with_one_task_landed_and_one_half_done(calculator, model, api)
    assert CheckoutState.of(calculator) == before
    tip = resumes(calculator, api, before)
    merge = stops(calculator, first, tip, start)
    second = generates_again(calculator, api, CheckoutState.of(calculator))
    resets(calculator, second, merge)

    listed = [line.split()[:2] for line in calculator.run("--cobbler-list").outlines]
    assert listed == [[first, "merged"], [second, "abandoned"]]
    assert statuses(calculator) == {SUBTRACT: "closed", DIVIDE: "closed", MULTIPLY: "open"}


def writes_a_configuration(project: Project, sample: Sample, directory: Path) -> None:
    """Where there is git alone, or it would look for an image; then the one of the test takes its place."""
    path = project.path / "configuration.yaml"
    content = path.read_bytes()
    path.unlink()
    (directory / "git").symlink_to(need_git())
    assert project.run("--cobbler-init", env={"PATH": str(directory)}).ret == 0
    configuration = yaml.safe_load(path.read_text())
    assert (configuration["language"], configuration["base_branch"]) == (sample.language, "main")
    path.write_bytes(content)
    assert project.git("status", "--porcelain") == ""


def need_git() -> str:
    return shutil.which("git") or pytest.fail("there is no git")


def starts(project: Project, start: str) -> str:
    assert project.run("--cobbler-start").ret == 0
    name = str(project.generation)
    references = refs(project)
    assert references.pop(f"refs/heads/{name}") == project.git("rev-parse", name).strip()
    assert references == {"refs/heads/main": start, f"refs/tags/{name}-start": start}
    return name


def is_killed_with_one_task_landed_and_one_half_done(
    project: Project, model: Model, api: ScriptedApi
) -> None:
    running = project.start("--cobbler-generate", env=api.environment)
    running.wait_until(model.half_done.is_set, timeout=240)
    running.wait_until(lambda: statuses(project).get(SUBTRACT) == "closed")
    running.send_signal(signal.SIGKILL)
    running.wait()
    model.may_answer.set()
    assert statuses(project) == {SUBTRACT: "closed", DIVIDE: "in_progress"}
    assert [commit.title for commit in project.landed()] == [SUBTRACT]
    # The bd of the killed pytest left it; from then on it counts as the user's.
    (project.path / ".beads.gate.lock").unlink(missing_ok=True)


def resumes(project: Project, api: ScriptedApi, before: CheckoutState) -> str:
    """Return the tip. The next agent continues the work of the dead one."""
    divide = project.task(DIVIDE).id
    result = project.run("--cobbler-resume", "configuration.yaml::stitch", env=api.environment, timeout=300)
    assert (result.ret, came_to(result)) == (0, {f"stitch::{divide}": "landed"}), result.outlines
    attempt_ref = f"refs/cobbler/attempts/{project.generation}/{divide}/1"
    result.stdout.fnmatch_lines(
        [f"recovered: kept the work on {divide} as {attempt_ref}", f"recovered: released {divide}"]
    )
    assert statuses(project) == {SUBTRACT: "closed", DIVIDE: "closed"}
    assert [commit.title for commit in project.landed()] == [SUBTRACT, DIVIDE]
    agrees(project, result, before)
    return project.git("rev-parse", str(project.generation)).strip()


def stops(project: Project, name: str, tip: str, start: str) -> str:
    """Return the merge, which the user's checkout follows."""
    result = project.run("--cobbler-stop", timeout=300)
    assert result.ret == 0, [*result.outlines, *result.errlines]
    merge = project.git("rev-parse", "main").strip()
    assert project.git("log", "-1", "--format=%P", merge).split() == [start, tip]
    references = refs(project)
    assert {ref: references[ref] for ref in references if ref.startswith("refs/heads/")} == {
        "refs/heads/main": merge
    }
    kinds = {"start": start, "finished": tip, "merged": merge}
    assert {kind: references[f"refs/tags/{name}-{kind}"] for kind in kinds} == kinds
    assert project.git("symbolic-ref", "HEAD") == "refs/heads/main\n"
    assert project.git("status", "--porcelain") == ""
    assert check(project) == []
    return merge


def generates_again(project: Project, api: ScriptedApi, before: CheckoutState) -> str:
    """Return the second generation, which starts from the merge."""
    result = project.run("--cobbler-generate", env=api.environment, timeout=300)
    assert result.ret == 0, result.outlines
    assert sorted(came_to(result).values()) == ["landed", "proposed"]
    assert [commit.title for commit in project.landed()] == [SUBTRACT, DIVIDE, MULTIPLY]
    assert project.git("log", "-1", "--format=%s", f"{project.generation}~1").startswith("Start generation: ")
    agrees(project, result, before)
    return str(project.generation)


def resets(project: Project, name: str, merge: str) -> None:
    tip = project.git("rev-parse", name).strip()
    before = CheckoutState.of(project)
    assert project.run("--cobbler-reset").ret == 0
    references = refs(project)
    assert references[f"refs/tags/{name}-abandoned"] == tip
    assert {ref: references[ref] for ref in references if ref.startswith("refs/heads/")} == {
        "refs/heads/main": merge
    }
    assert check(project, before=before) == []


def agrees(project: Project, result: RunResult, before: CheckoutState) -> None:
    """Check that branch, tracker, report and kept work agree, and that nothing is left behind."""
    assert check(project, result, before=before) == []


def statuses(project: Project) -> dict[str, str]:
    """Title -> status, as bd has it."""
    return {task.title: task.status for task in project.tasks()}
