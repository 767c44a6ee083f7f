"""Every action on every kind of repository: it works, or says why not before it has changed anything."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project, RunResult
from tests.support import markers
from tests.support.sessions import WRITES_A_FILE
from tests.support.state import State, assert_refused, changed

ACTIONS = ("list", "start", "reset", "generate", "switch", "stats", "resume", "stop", "init")
"""In the order of a life; ``init`` without a configuration, all others with one."""


Refusal = tuple[str, str]
"""A cause and a remedy, as patterns."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What a repository is made into, and which actions are then refused."""

    make: Callable[[Project], object]
    refused: Mapping[str, Refusal] = field(default_factory=dict)


def refused(*actions: str, cause: str, remedy: str) -> dict[str, Refusal]:
    return dict.fromkeys(actions or ACTIONS, (cause, remedy))


NO_GENERATION = refused("resume", cause="no generation is active", remedy="pytest --cobbler-start")
NOT_A_DIRECTORY = refused(*ACTIONS[:-1], cause='".beads" is not a directory: *, or move', remedy="")


def to_clone(project: Project, *options: str) -> None:
    """Go on in a clone."""
    clone = project.directory / "clone"
    project.git("clone", "--quiet", *options, f"file://{project.path}", str(clone))
    into(project, clone)


def into(project: Project, path: Path) -> None:
    project.path = path
    for name, value in (("user.name", "Test"), ("user.email", "test@example.invalid")):
        project.git("config", name, value)


def to_linked_worktree(project: Project) -> None:
    to_clone(project)
    linked = project.directory / "linked"
    project.git("worktree", "add", "--quiet", "-b", "mine", str(linked))
    project.path = linked


def to_submodule(project: Project) -> None:
    outer = project.directory / "outer"
    project.git("init", "--quiet", str(outer))
    add = ("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(project.path), "inner")
    project.git("-C", str(outer), *add)
    into(project, outer / "inner")


def add_submodule(project: Project) -> None:
    other = project.directory / "other"
    project.git("clone", "--quiet", str(project.path), str(other))
    project.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other), "parts/other")
    project.commit("A submodule")


def to_no_commit(project: Project) -> None:
    configuration = (project.path / "configuration.yaml").read_bytes()
    project.path = project.directory / "empty"
    project.path.mkdir()
    project.git("init", "--quiet", "--initial-branch=main")
    project.write({"configuration.yaml": configuration})


def take_names(project: Project) -> None:
    """Tags of the names that a start would use in the next minutes, and one called like the base."""
    now = datetime.now()
    stamps = [(now + timedelta(seconds=second)).strftime("%Y-%m-%d-%H-%M-%S") for second in range(300)]
    lines = [f"create refs/tags/generation-{stamp}-start HEAD~1\n" for stamp in stamps]
    project.write({"../refs": "".join(lines)})
    project.git("tag", "main", "HEAD~1")
    with (project.directory / "refs").open() as commands:
        subprocess.run(["git", "update-ref", "--stdin"], cwd=project.path, stdin=commands, check=True)


def leave_changes(project: Project) -> None:
    project.write({"deleted.txt": "", "moved.txt": "1\n2\n3\n"})
    project.commit("Files")
    project.write({"README.md": "changed\n", "staged.txt": "staged\n", "untracked.txt": "untracked\n"})
    project.git("mv", "moved.txt", "elsewhere.txt")
    (project.path / "deleted.txt").unlink()
    project.git("add", "staged.txt")


def leave_merge(project: Project) -> None:
    for branch in ("other", "main"):
        project.git("switch", "--quiet", *(() if branch == "main" else ("--create",)), branch)
        project.write({"README.md": f"{branch}\n"})
        project.commit(branch)
    merged = subprocess.run(["git", "merge", "--quiet", "other"], cwd=project.path, capture_output=True)
    assert merged.returncode == 1


def to_other_scripts(project: Project) -> None:
    project.path = project.path.rename(project.directory / "ein Ördner's 漢字")
    project.git("branch", "--move", "größe/ünï")
    project.git("config", "user.name", "Jörg 漢")
    project.write({"größe/日本 語.txt": "1\n", 'it\'s "quoted".txt': "1\n"})
    project.configure(work_dir=str(project.directory / "Arbeits platz ü"))


def many_files(project: Project) -> None:
    """Made without a file of its own for each, and checked out: 50,000 where all cases run, else a part."""
    commands = project.directory / "commands"
    with commands.open("w") as file:
        file.write("commit refs/heads/main\ncommitter Test <test@example.invalid> 0 +0000\ndata 4\nMany\n")
        file.write("from refs/heads/main^0\n")
        for number in range(50_000 if markers.seed() == "all" else 5_000):
            content = f"{number}\n"
            file.write(f"M 644 inline many/{number % 200}/{number}.txt\ndata {len(content)}\n{content}\n")
    with commands.open() as file:
        subprocess.run(["git", "fast-import", "--quiet"], cwd=project.path, stdin=file, check=True)
    project.git("reset", "--quiet", "--hard")


def beads(content: Mapping[str, str] | str | None) -> Callable[[Project], None]:
    """Let there be something of another tool in the place of the tracker: a file, files, or a link."""

    def make(project: Project) -> None:
        path = project.path / ".beads"
        if content is None:
            path.symlink_to(project.directory)
        elif isinstance(content, str):
            path.write_text(content)
        else:
            project.write({f".beads/{name}": text for name, text in content.items()})

    return make


KINDS = {
    "detached HEAD": Kind(
        make=lambda project: project.git("checkout", "--quiet", "--detach"),
        refused=refused("start", "generate", cause="HEAD is detached", remedy="Check out a branch")
        | NO_GENERATION,
    ),
    "no commit": Kind(make=to_no_commit, refused=refused(cause="has no commit yet", remedy="git commit")),
    "unborn branch": Kind(
        make=lambda project: project.git("checkout", "--quiet", "--orphan", "new"),
        refused=refused("start", "generate", cause="there is no branch new", remedy="Set base_branch")
        | refused("init", cause="has no commit yet", remedy="git commit")
        | NO_GENERATION,
    ),
    "unborn base": Kind(
        make=lambda project: project.configure(base_branch="gone"),
        refused=refused("start", "generate", cause="there is no branch gone", remedy="Set base_branch")
        | NO_GENERATION,
    ),
    "shallow clone": Kind(make=lambda project: to_clone(project, "--depth=1")),
    "worktree of another clone": Kind(make=to_linked_worktree),
    "with a submodule": Kind(make=add_submodule),
    "is a submodule": Kind(make=to_submodule),
    "branch called like a generation": Kind(
        make=lambda project: project.git("branch", "generation-2020-01-01-00-00-00"),
        refused=refused("generate", cause="several generations are active", remedy="--cobbler-switch")
        | refused("reset", cause="generation-2020-01-01-00-00-00 is not a generation", remedy="Rename"),
    ),
    "branch called task": Kind(
        make=lambda project: project.git("branch", "task"),
        refused=refused(
            "generate", "resume", "reset", "stop", cause="the branch task prevents", remedy="Rename it"
        ),
    ),
    "tags of every name": Kind(make=take_names),
    "changes": Kind(make=leave_changes, refused=refused("stop", cause="with changes in", remedy="git stash")),
    "a merge that is not done": Kind(make=leave_merge, refused=refused("stop", cause="merge", remedy="")),
    "spaces, quotes and other scripts": Kind(make=to_other_scripts),
    ".beads with files of another tool": Kind(make=beads({"necklace.txt": "mine\n"})),
    ".beads with issues of another tool": Kind(
        make=beads({"issues.jsonl": '{"colour": "red"}\n'}),
        refused=refused(
            *("list", "reset", "generate", "stats", "resume", "stop"),
            cause="issues.jsonl, line 1 is damaged",
            remedy="fix or remove that line",
        ),
    ),
    ".beads is a link to elsewhere": Kind(
        make=beads(None),
        refused=refused(*ACTIONS[:-1], cause='beads_dir: ".beads" is a symbolic link out of', remedy=""),
    ),
    "many files": Kind(make=many_files),
    ".beads is a file": Kind(make=beads("mine\n"), refused=NOT_A_DIRECTORY),
}


@pytest.fixture
def project(cobbler_project: Project, cobbler_agent: StandInAgent) -> Project:
    """The first run proposes a task, which can land."""
    cobbler_agent.measure().writes_tasks([{"title": "Add a file"}])
    cobbler_agent.otherwise().runs(WRITES_A_FILE)
    cobbler_project.commit("One more")
    return cobbler_project


@pytest.fixture
def only_git(tmp_path: Path) -> dict[str, str]:
    """No podman: to look for an image takes a while."""
    (tmp_path / "git").symlink_to(shutil.which("git") or "")
    return {"PATH": str(tmp_path)}


@pytest.mark.matrix
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_an_action_works_or_is_refused_before_it_has_changed_anything(
    project: Project,
    kind: Kind,
    only_git: dict[str, str],
    subtests: pytest.Subtests,
) -> None:
    kind.make(project)
    for action in ACTIONS:
        with subtests.test(action=action):
            look_at(project, action, kind.refused.get(action), Runs(project, only_git))


@dataclass(frozen=True)
class Runs:
    """Runs actions; ``init`` where git is the only program."""

    project: Project
    only_git: Mapping[str, str]

    def __call__(self, action: str, option: str) -> RunResult:
        env = self.only_git if action == "init" else {}
        return self.project.run("-p", "no:cacheprovider", option, env=env)


def look_at(project: Project, action: str, refusal: Refusal | None, run: Runs) -> None:
    """Run it and see that it works, or is refused, and leaves the user's own as it is."""
    option = f"--cobbler-{action}"
    if action == "init":
        (project.path / "configuration.yaml").unlink()
    name = started(project)
    if action == "switch" and name:
        option += f"={name}"
    before = State.of(project)
    result = run(action, option)
    if action == "init":
        (project.path / "configuration.yaml").unlink(missing_ok=bool(refusal))
    after = State.of(project)
    if refusal:
        assert_refused(result, before, after, *refusal)
        return
    assert result.ret == 0, [*result.outlines, *result.errlines]
    if action == "stop":
        assert f"refs/heads/{name}" not in after.refs
    else:
        assert changed(before.users, after.users) == []


def started(project: Project) -> str:
    """The active generation that was started here; empty if there is none."""
    subjects = project.git(
        "log", "--branches=generation-*", "--grep=^Start generation: ", "--format=%s"
    ).split()
    return subjects[2] if subjects else ""


# A git directory that no one may write

READ_ONLY = """\
mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" "$1" && shift && exec "$@"
"""
"""Of no file system is root kept from writing by the modes of files."""


def test_actions_only_read_in_a_git_directory_that_is_not_writable(
    project: Project, subtests: pytest.Subtests
) -> None:
    assert project.run("--cobbler-start").ret == 0
    name = project.generation
    path = project.path / ".git"
    if os.geteuid() == 0:
        command = ["unshare", "--mount", "sh", "-c", READ_ONLY, "sh", str(path)]
    else:
        command = []
        subprocess.run(["chmod", "-R", "a-w", str(path)], check=True)
    for action in ("list", "stats", "start", f"switch={name}", "generate", "resume", "reset", "stop"):
        with subtests.test(action=action):
            before = State.of(project)
            done = subprocess.run(
                [*command, sys.executable, "-m", "pytest", f"--cobbler-{action}"],
                cwd=project.path,
                env=dict(os.environ) | {"GIT_CONFIG_GLOBAL": os.devnull},
                capture_output=True,
                text=True,
            )
            assert changed(before, State.of(project)) == []
            if action in ("list", "stats"):
                assert done.returncode == 0
            else:
                assert done.returncode == pytest.ExitCode.USAGE_ERROR
                cause, remedy = done.stderr.strip().splitlines()[:2]
                assert "Read-only file system" in cause or "Permission denied" in cause
                assert remedy.startswith("Let the user of this process write")
    subprocess.run(["chmod", "-R", "u+w", str(path)], check=True)
