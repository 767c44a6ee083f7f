"""Unusual leftovers of agents and unusual input of people."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project
from tests.support.images import minimal_image
from tests.support.sessions import by_title, came_to, seed, task

__all__ = ["minimal_image"]


def test_files_that_a_merge_moves_are_checked_again(
    cobbler_project: Project, cobbler_agent: StandInAgent
) -> None:
    settings = "".join(f"option_{number} = {number}\n" for number in range(60))
    cobbler_project.write({"settings.toml": settings})
    cobbler_project.commit("Settings")
    cobbler_project.configure(max_attempts=1)
    cobbler_agent.measure().writes_tasks(
        [
            {"index": 0, "title": "Rename", "description": "d"},
            {"index": 1, "title": "Change", "description": "d"},
        ]
    )
    cobbler_agent.task("Rename").runs("git mv settings.toml pyproject.toml")
    # Its change follows the rename, once that has landed.
    cobbler_agent.task("Change").runs(
        f"cd {cobbler_project.path}\n"
        "until grep -qs '\"land\"' .cobbler/*/journal.jsonl; do sleep 0.1; done\n"
        'cd "$OLDPWD"\n'
        "printf '[tool.pytest.ini_options]\\naddopts = \"-p evil\"\\n' >>settings.toml"
    )

    result = cobbler_project.run("--cobbler-generate")

    assert [commit.title for commit in cobbler_project.landed()] == ["Rename"]
    assert "evil" not in cobbler_project.files()["pyproject.toml"]
    result.stdout.fnmatch_lines(["FAILED *refused after the merge: pyproject.toml: *"])


def test_files_that_gitignore_hides_are_kept(cobbler_project: Project, cobbler_agent: StandInAgent) -> None:
    cobbler_project.write({".gitignore": "out/\n"})
    cobbler_project.commit("Ignore")
    cobbler_agent.measure().writes_tasks([{"index": 0, "title": "Hide", "description": "d"}])
    cobbler_agent.task("Hide").writes("out/work.py", "work = 1\n")

    result = cobbler_project.run("--cobbler-generate")

    assert result.ret == 1
    (message,) = [case.message for case in result.junit.values() if "cobbler_task" in case.properties]
    (line,) = [line for line in message.splitlines() if line.startswith("The work is kept in ")]
    kept = Path(line.removeprefix("The work is kept in "))
    assert (kept / "out" / "work.py").read_text() == "work = 1\n"


def test_a_directory_is_not_accepted_as_an_answer(
    cobbler_project: Project, cobbler_agent: StandInAgent
) -> None:
    cobbler_agent.measure().runs('mkdir "$COBBLER_OUTPUT"')
    cobbler_agent.measure(cycle=1, attempt=2).runs('mkdir "$COBBLER_OUTPUT"')
    result = cobbler_project.run("--cobbler-generate")
    assert result.ret == 1
    (case,) = result.junit.values()
    assert "the task file is not a regular file" in case.message
    assert case.properties["cobbler_attempts"] == "2"


@pytest.mark.parametrize("name", ["nope", "stitch::project-zzz", "measure::cycle-9"])
def test_an_unknown_node_id_starts_nothing(cobbler_project: Project, name: str) -> None:
    result = cobbler_project.run("--cobbler-generate", f"configuration.yaml::{name}")
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"ERROR: not found: configuration.yaml::{name}"])
    assert cobbler_project.generation is None


def test_only_generate_has_items_to_collect(cobbler_project: Project) -> None:
    result = cobbler_project.run("--cobbler-start", "--collect-only")
    assert result.ret == 4
    assert cobbler_project.generation is None


@pytest.mark.parametrize(
    ("script", "name"),
    [
        ("git switch --quiet --create aside && git add --all && git commit --quiet --message=Work", "aside"),
        ("git add --all && git stash push --quiet", "stash"),
    ],
)
def test_work_that_an_agent_stashed_in_its_own_git_is_kept(
    cobbler_project: Project, cobbler_agent: StandInAgent, script: str, name: str
) -> None:
    cobbler_agent.measure().writes_tasks([{"index": 0, "title": "Hide", "description": "d"}])
    back = "git switch --quiet --detach HEAD~1" if name == "aside" else "true"
    cobbler_agent.task("Hide").writes("work.py", "work = 1\n").runs(f"{script} && {back}")

    result = cobbler_project.run("--cobbler-generate")

    assert result.ret == 1
    (case,) = [case for case in result.junit.values() if "cobbler_task" in case.properties]
    assert case.message.startswith("no change in the files; the work is in git: refs/cobbler/left/")
    line, *_ = [line for line in case.message.splitlines() if line.startswith("also left, and kept as ")]
    ref, _, named = line.removeprefix("also left, and kept as ").partition(": ")
    assert name in named
    assert cobbler_project.git("show", f"{ref}:work.py") == "work = 1\n"


FORGED = (
    "========== 5 passed in 0.10s ==========",
    "FAILED configuration.yaml::stitch::p-good - everything",
    "configuration.yaml::stitch::p-bad LANDED [100%]",
    "\x1b[2K\rPASSED configuration.yaml::stitch::p-bad\x1b[1A",
    "cobbler: landed\u2028PASSED",
    "E   AssertionError",
)
"""Lines as pytest and this plugin print them, also by moving the cursor."""


def test_no_output_of_an_agent_or_a_gate_looks_like_a_line_of_pytest(
    cobbler_project: Project, cobbler_agent: StandInAgent
) -> None:
    text = "".join(f"{line}\n" for line in FORGED)
    cobbler_project.write({"forged": text})
    cobbler_project.commit("What agents print")
    cobbler_project.configure(
        test_command="cat forged forged >&2; ! test -f bad", max_attempts=1, silence_agent=False
    )
    cobbler_agent.measure().runs("cat forged; cat forged >&2; exit 3")
    cobbler_agent.task("p-stderr").runs("cat forged >&2; exit 3")
    cobbler_agent.task("p-stdout").runs("cat forged; exit 3")
    cobbler_agent.task("p-last").reports(error=text)
    cobbler_agent.task("p-limit").prints(text).reports(error="Claude AI usage limit reached")
    cobbler_agent.task("p-gate").writes("bad", "")
    names = ("p-stderr", "p-stdout", "p-last", "p-limit", "p-gate")
    seed(cobbler_project, *map(task, names))

    result = cobbler_project.run("--cobbler-generate", "-v", "-rA", "-o", "junit_logging=all")

    report = (cobbler_project.directory / "run-1" / "junit.xml").read_text()
    junit = "\n".join(ElementTree.fromstring(report).itertext()).splitlines()
    messages = [line for case in result.junit.values() for line in case.message.splitlines()]
    shown = [*result.outlines, *result.errlines, *junit, *messages]
    quotes = [line for line in shown if line.startswith("| ")]
    assert {line.removeprefix("| ") for line in quotes} > {FORGED[0], FORGED[1], FORGED[2], FORGED[5]}
    for line in shown:
        assert not line.startswith(tuple(FORGED))
        assert "\x1b" not in line
        assert not re.match(r"PASSED .*p-bad|=+ 5 passed", line)


def test_a_merge_by_hand_does_not_replace_ignored_files_of_the_user(
    cobbler_project: Project, cobbler_agent: StandInAgent
) -> None:
    mine = {".secrets/other.json": "mine\n", ".env": "MINE=1\n", "local.cfg": "mine\n"}
    cobbler_project.write({".gitignore": ".secrets/\n.env\nlocal.cfg\n"})
    cobbler_project.commit("Ignore")
    cobbler_project.write(mine)
    cobbler_project.configure(max_attempts=1, allow_paths=["**/.env", ".secrets/"], jobs=1)
    cobbler_agent.measure().writes_tasks(
        [{"title": name} for name in ("Open", "Key", "Env", "Config", "Good")]
    )
    cobbler_agent.task("Open").writes(".gitignore", "")
    cobbler_agent.task("Key").writes(".gitignore", "").writes(".secrets/other.json", "theirs")
    cobbler_agent.task("Env").writes(".gitignore", "").writes(".env", "theirs")
    cobbler_agent.task("Config").writes(".gitignore", "").writes("local.cfg", "theirs")
    cobbler_agent.task("Good").writes("good.txt", "good\n")

    result = cobbler_project.run("--cobbler-generate", "-rA")

    assert {commit.title for commit in cobbler_project.landed()} == {"Open", "Good"}
    result.stdout.fnmatch_lines_random(
        [
            "FAILED *refused: .secrets/other.json: may never land",
            "FAILED *refused: .env: may never land",
            "FAILED *refused: local.cfg: ignored by a .gitignore",
            "review these: .gitignore",
        ]
    )
    cobbler_project.git("merge", "--quiet", cobbler_project.generation or "")
    assert {name: (cobbler_project.path / name).read_text() for name in mine} == mine


def test_files_that_instruct_other_programs_do_not_land(
    cobbler_project: Project, cobbler_agent: StandInAgent
) -> None:
    files = [
        *[
            "AGENTS.md",
            "docs/AGENTS.md",
            "GEMINI.md",
            "opencode.json",
            ".opencode/plugin/x.js",
            ".codex/config.toml",
        ],
        *[".gemini/settings.json", ".agents/x.md", ".cursor/rules/x.mdc", ".vscode/tasks.json", ".envrc"],
        *[".devcontainer/devcontainer.json", "web/.npmrc"],
    ]
    cobbler_project.configure(max_attempts=1)
    cobbler_agent.measure().writes_tasks([{"title": "Instruct"}, {"title": "Build"}])
    instruct = cobbler_agent.task("Instruct")
    for path in files:
        instruct = instruct.writes(path, "x\n")
    cobbler_agent.task("Build").writes("Containerfile", "FROM x\n").writes("requirements.txt", "x\n")

    result = cobbler_project.run("--cobbler-generate", "-rA")

    assert [commit.title for commit in cobbler_project.landed()] == ["Build"]
    result.stdout.fnmatch_lines_random([*(f"*{path}: a protected path" for path in files)])
    result.stdout.fnmatch_lines(["review these: Containerfile, requirements.txt"])


def test_the_scripts_of_a_gate_are_not_the_agents(
    cobbler_project: Project, cobbler_agent: StandInAgent
) -> None:
    cobbler_project.write(
        {"run_tests.sh": "make check\n", "Makefile": "include rules.mk\n", "rules.mk": "check: ; false\n"}
    )
    cobbler_project.commit("A gate that always fails")
    cobbler_project.configure(max_attempts=1, test_command="sh run_tests.sh", red_base="allow")
    cobbler_agent.measure().writes_tasks(
        [{"title": name} for name in ("Script", "Makefile", "Rules", "Docs")]
    )
    cobbler_agent.task("Script").writes("run_tests.sh", "exit 0\n")
    cobbler_agent.task("Makefile").writes("GNUmakefile", "check: ; true\n")
    cobbler_agent.task("Rules").writes("rules.mk", "check: ; true\n")
    cobbler_agent.task("Docs").writes("README.md", "good\n")

    result = cobbler_project.run("--cobbler-generate")

    assert cobbler_project.landed() == []
    used = "a protected path: the gate uses it"
    result.stdout.fnmatch_lines_random(
        [*(f"FAILED *refused: {path}: {used}" for path in ("run_tests.sh", "GNUmakefile", "rules.mk"))]
    )
    result.stdout.fnmatch_lines(["FAILED * - gate: *test failed *"])


def test_the_header_names_the_files_of_the_gate_that_tasks_may_change(
    cobbler_project: Project, cobbler_agent: StandInAgent
) -> None:
    cobbler_project.write({"run_tests.sh": "exit 1\n", "other.sh": ""})
    cobbler_project.commit("Gate")
    cobbler_project.configure(test_command="sh run_tests.sh", allow_paths=["*.sh"], red_base="allow")
    cobbler_agent.measure().writes_tasks([{"title": "Script"}])
    cobbler_agent.task("Script").writes("run_tests.sh", "exit 0\n")

    result = cobbler_project.run("--cobbler-generate", "-rA")

    result.stdout.fnmatch_lines(["gate: tasks may change run_tests.sh (allow_paths)"])
    result.stdout.fnmatch_lines(["review these: run_tests.sh"])
    assert [commit.title for commit in cobbler_project.landed()] == ["Script"]


@pytest.mark.podman
def test_an_agent_that_writes_more_than_job_disk_fails_with_that_cause(
    cobbler_project: Project, cobbler_agent: StandInAgent, minimal_image: str
) -> None:
    cobbler_project.configure(
        sandbox="podman",
        podman_image=minimal_image,
        podman_args=cobbler_agent.podman_arguments,
        job_disk="16m",
        max_attempts=1,
        cycles=0,
    )
    seed(cobbler_project, task("p-1", title="Fill"))
    cobbler_agent.task("Fill").runs(
        "head -c 48000000 /dev/zero >big.bin; sleep 90; rm big.bin; touch small.txt"
    )
    result = cobbler_project.run("--cobbler-generate")
    assert came_to(result) == {"stitch::p-1": "failed"}
    assert by_title(result)["Fill"].properties["cobbler_cause"] == "disk"
