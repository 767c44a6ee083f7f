"""Reading the user's repository through GitPython, unaffected by the caller's environment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import git as gitpython
import pytest

from pytest_cobbler import process
from pytest_cobbler.causes import Ending
from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.process import Completion
from pytest_cobbler.repository import gitpython as module
from pytest_cobbler.repository.gitpython import Opened
from pytest_cobbler.repository.repository import Repository
from tests.support.repositories import ADA, UserRepository

READINGS: dict[str, Callable[[Repository], object]] = {
    "references": lambda repository: repository.list_refs(),
    "the branch": lambda repository: repository.head_branch(),
    "the commit": lambda repository: repository.head_commit(),
    "a tag": lambda repository: repository.commit_of("refs/tags/noted"),
    "worktrees": lambda repository: repository.checked_out(),
    "history": lambda repository: repository.reaches("main", "main^"),
    "a date": lambda repository: repository.time_of("main"),
    "status": lambda repository: repository.uncommitted(),
    "configuration": lambda repository: repository.shared,
    "identity": lambda repository: repository.identity(),
}


@pytest.fixture
def changed(user: UserRepository) -> UserRepository:
    """A repository with two commits, an annotated tag, a changed file and a new one."""
    user.configure({"core.sharedRepository": "0644"})
    user.commit({"second": ""})
    user.git("tag", "--annotate", "--message", "A note", "noted")
    user.write({"README.md": "changed\n", "new\nfile": ""})
    return user


def read_everything(user: UserRepository) -> dict[str, object]:
    """What each reading returns."""
    repository = user.open()
    return {name: read(repository) for name, read in READINGS.items()}


def test_each_reading_agrees_with_git(changed: UserRepository) -> None:
    head = changed.git("rev-parse", "HEAD")
    assert read_everything(changed) == {
        "references": {
            "refs/heads/main": head,
            "refs/tags/noted": changed.git("rev-parse", "refs/tags/noted"),
        },
        "the branch": "main",
        "the commit": head,
        "a tag": head,
        "worktrees": {"refs/heads/main": changed.path},
        "history": True,
        "a date": float(changed.git("show", "-s", "--format=%ct")),
        "status": [b"README.md", b"new\nfile"],
        "configuration": "0644",
        "identity": ADA,
    }


def test_variables_of_git_that_the_caller_has_set_change_no_reading(
    changed: UserRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = read_everything(changed)
    other = UserRepository.create(tmp_path, name="other")
    other.commit({"other": ""})
    git_dir = other.path / ".git"
    for name, value in {
        "GIT_DIR": git_dir,
        "GIT_COMMON_DIR": git_dir,
        "GIT_WORK_TREE": other.path,
        "GIT_INDEX_FILE": git_dir / "index",
        "GIT_OBJECT_DIRECTORY": git_dir / "objects",
        "GIT_NAMESPACE": "other",
        "GIT_CEILING_DIRECTORIES": changed.path,
        "GIT_EXTERNAL_DIFF": "false",
    }.items():
        monkeypatch.setenv(name, str(value))
    assert changed.open().common_dir == changed.path / ".git"
    assert read_everything(changed) == expected


def test_no_program_that_the_repository_configures_runs(changed: UserRepository, tmp_path: Path) -> None:
    expected = read_everything(changed)
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/canary\n")
    program.chmod(0o755)
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for hook in ("post-index-change", "reference-transaction", "fsmonitor-watchman"):
        (hooks / hook).symlink_to(program)
    commands = ("status", "var", "config", "for-each-ref", "rev-parse", "show", "merge-base", "worktree")
    changed.configure(
        {
            "core.fsmonitor": str(program),
            "core.hooksPath": str(hooks),
            "core.pager": str(program),
            "diff.external": str(program),
            "gpg.program": str(program),
            "log.showSignature": "true",
        }
        | {f"alias.{command}": f"!{program}" for command in commands}
        | {f"pager.{command}": str(program) for command in commands}
    )
    assert read_everything(changed) == expected
    assert not (tmp_path / "canary").exists()


def test_replacements_and_grafts_change_no_history(changed: UserRepository) -> None:
    first, second = changed.git("rev-parse", "main^"), changed.git("rev-parse", "main")
    changed.git("replace", "--graft", second)
    (changed.path / ".git" / "info").mkdir(exist_ok=True)
    (changed.path / ".git" / "info" / "grafts").write_text(f"{second}\n")
    assert changed.open().reaches(second, first)


@pytest.mark.parametrize("name", ["$HOME", "${HOME}", "~root", "%x", "a b", "new\nline", "-n"])
def test_a_repository_is_found_at_an_odd_path(tmp_path: Path, name: str) -> None:
    user = UserRepository.create(tmp_path, name=name)
    head = user.commit({"dir/file": ""})
    repository = Repository(user.path / "dir", user.work_dir)
    assert (repository.root, repository.common_dir) == (user.path, user.path / ".git")
    assert repository.head_commit() == head
    assert repository.uncommitted() == []


def test_a_submodule_is_a_repository_of_its_own(changed: UserRepository, tmp_path: Path) -> None:
    other = UserRepository.create(tmp_path, name="other")
    head = other.commit({"other": ""})
    changed.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other.path), "sub")
    repository = Repository(changed.path / "sub", changed.work_dir)
    assert repository.common_dir == changed.path / ".git" / "modules" / "sub"
    assert repository.head_commit() == head
    assert repository.checked_out() == {"refs/heads/main": changed.path / "sub"}
    assert repository.uncommitted() == []


def test_a_repository_with_sha256_is_read(tmp_path: Path) -> None:
    user = UserRepository.create(tmp_path, "--object-format=sha256")
    first, second = user.commit({"file": "x"}), user.commit({"file": "y"})
    user.git("tag", "--annotate", "--message", "A note", "noted")
    repository = user.open()
    assert repository.commit_of("refs/tags/noted") == second
    assert repository.reaches(second, first)
    assert not repository.reaches(first, second)
    assert repository.read_ref("refs/heads/main") == second


def test_thousands_of_packed_references_are_read_without_a_process(
    user: UserRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = user.open()
    head = user.git("rev-parse", "HEAD")
    refs = {f"refs/tags/packed/{number}": head for number in range(5000)}
    commands = "".join(f"create {ref} {head}\n" for ref in refs)
    user.git("update-ref", "--stdin", stdin=commands.encode())
    user.git("pack-refs", "--all", "--prune")
    commands_run = []

    def counted_run(*arguments: Any, **options: Any) -> Completion:
        commands_run.append(arguments)
        return process.run(*arguments, **options)

    monkeypatch.setattr(module, "run", counted_run)
    assert repository.list_refs("refs/tags") == refs
    assert commands_run == []
    assert repository.list_refs("refs/tags/*/*") == refs
    assert len(commands_run) == 1


@pytest.fixture
def opened(user: UserRepository) -> Iterator[Opened]:
    before = git_children()  # other tests may have a git that stays
    yield Opened(user.path)
    assert git_children() <= before


def git_children() -> set[int]:
    """The git processes that this one has started and not waited for."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    found = map(int, children.read_text().split()) if children.exists() else ()
    return {child for child in found if Path(f"/proc/{child}/comm").read_text().strip() == "git"}


def test_a_command_that_would_stay_is_refused(opened: Opened) -> None:
    with pytest.raises(TypeError, match="as_process"):
        opened.plain.execute(["git", "cat-file", "--batch"], as_process=True)
    with pytest.raises(TypeError, match="istream"):
        opened.plain.get_object_header("HEAD")


def test_a_command_that_fails_raises_what_gitpython_raises(opened: Opened) -> None:
    with pytest.raises(gitpython.GitCommandError) as caught:
        opened.plain.rev_parse("--verify", "nothing")
    assert caught.value.status == 128
    assert opened.plain.rev_parse("HEAD") == opened.plain.rev_parse("HEAD", with_extended_output=True)[1]


def test_a_command_that_takes_too_long_is_an_error(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    def run_to_the_limit(argv: Sequence[str], **_: object) -> Completion:
        return Completion(
            argv=tuple(argv), status=-15, end=Ending.TIMEOUT, stdout=b"", stderr=b"", seconds=600.0
        )

    monkeypatch.setattr(module, "run", run_to_the_limit)
    with pytest.raises(RepositoryError, match="git took too long"):
        opened.plain.rev_parse("HEAD")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "repository.repository",
        "actions.init",
        "actions.demo",
        "actions.doctor",
        "session.plugin",
        "cycle.opening",
    ],
)
def test_gitpython_is_not_imported_before_a_repository_is_opened(name: str) -> None:
    program = f"import sys, pytest_cobbler.{name}; sys.exit('git' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
