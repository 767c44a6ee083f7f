"""The door for git: without the user's configuration, without configured programs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from pytest_cobbler import process
from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.repository.git import Git, init_bare
from pytest_cobbler.repository.landing import merge
from pytest_cobbler.repository.repository import Repository
from tests.support.repositories import ADA, UserRepository, commit_files


@pytest.fixture
def git(repository: Repository) -> Git:
    return Git(repository.common_dir)


def test_git_works_on_the_given_directory_whatever_the_callers_variables_are(
    git: Git, user: UserRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = UserRepository.create(tmp_path, name="other")
    other.commit({"other": ""})
    monkeypatch.chdir(other.path)
    for name in ("GIT_DIR", "GIT_COMMON_DIR"):
        monkeypatch.setenv(name, str(other.path / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.path))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other.path / ".git" / "index"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(other.path / ".git" / "objects"))
    assert git.text("rev-parse", "HEAD") == user.git("rev-parse", "HEAD")


def test_git_reads_the_configuration_of_the_given_directory_only(
    git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configuration = "[test]\n\tvalue = leaked\n"
    (tmp_path / ".gitconfig").write_text(configuration)
    (tmp_path / "system").write_text(configuration)
    (tmp_path / ".config" / "git").mkdir(parents=True)
    (tmp_path / ".config" / "git" / "config").write_text(configuration)
    monkeypatch.delenv("GIT_CONFIG_GLOBAL")
    monkeypatch.delenv("GIT_CONFIG_NOSYSTEM")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", str(tmp_path / "system"))
    monkeypatch.setattr(process, "_INHERITED", (*process._INHERITED, "GIT_CONFIG_SYSTEM"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "test.value")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "leaked")
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'test.value=leaked'")
    assert git.run("config", "--get", "test.value", accepted=(0, 1)).status == 1
    assert git.text("config", "user.name") == ADA.author.name


def test_replaced_objects_are_read_as_they_were(git: Git, user: UserRepository) -> None:
    first, second = user.git("rev-parse", "HEAD"), user.commit({"new": "x"})
    user.git("replace", second, first)
    assert user.git("rev-parse", f"{second}:") == user.git("rev-parse", f"{first}:")
    assert git.text("rev-parse", f"{second}:") != git.text("rev-parse", f"{first}:")


def test_no_hook_runs_when_a_ref_moves(user: UserRepository, repository: Repository, tmp_path: Path) -> None:
    hook = user.path / ".git" / "hooks" / "reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/canary\n")
    hook.chmod(0o755)
    user.git("update-ref", "refs/heads/proof", "HEAD")
    assert (tmp_path / "canary").exists(), "git itself runs this hook"
    (tmp_path / "canary").unlink()
    head = user.git("rev-parse", "HEAD")
    assert repository.move_ref("refs/heads/ours", head, "", "test")
    repository.set_ref("refs/heads/more", head)
    repository.delete_refs({"refs/heads/more": head})
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    "settings",
    [
        {"merge.evil.driver": "touch CANARY; exit 1"},
        {"merge.default": "evil", "merge.evil.driver": "touch CANARY; exit 1"},
        {"filter.evil.clean": "touch CANARY; cat", "filter.evil.smudge": "touch CANARY; cat"},
        {"filter.evil.process": "touch CANARY", "filter.evil.required": "true"},
        {"diff.evil.command": "touch CANARY", "diff.evil.textconv": "touch CANARY; cat"},
        {"diff.external": "touch CANARY"},
        {"core.fsmonitor": "touch CANARY; false"},
        {"core.pager": "touch CANARY"},
        {"gpg.program": "/nowhere/gpg", "commit.gpgsign": "true", "log.showSignature": "true"},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_no_configured_program_runs(
    user: UserRepository, tmp_path: Path, settings: Mapping[str, str]
) -> None:
    attributes = "* merge=evil filter=evil diff=evil\n"
    base = user.commit({".gitattributes": attributes, "file": "1\n2\n3\n4\n5\n"})
    user.configure({name: value.replace("CANARY", f"{tmp_path}/canary") for name, value in settings.items()})
    repository = user.open()
    one = commit_files(repository, base, {"file": "one\n2\n3\n4\n5\n"})
    two = commit_files(repository, base, {"file": "1\n2\n3\n4\ntwo\n"})
    merged = merge(repository, one, two)
    tree = tmp_path / "tree"
    tree.mkdir()
    placed = repository.objects.using(index=tmp_path / "index", work_tree=tree)
    placed.run("read-tree", "--reset", "-u", merged.tree)
    (tree / "file").write_text("changed\n")
    placed.run("add", "--all")
    repository.objects.run("diff-tree", "-p", base, one)
    repository.objects.run("log", "-p", one)
    assert merged.conflicts == ()
    assert not (tmp_path / "canary").exists()


def test_an_error_names_the_command_and_holds_the_output_of_git(git: Git) -> None:
    with pytest.raises(RepositoryError) as caught:
        git.run("cat-file", "-p", "nothing")
    assert caught.value.cause == "git cat-file failed (exit 128)"
    assert "Not a valid object name nothing" in caught.value.evidence


def test_accepted_statuses_are_not_an_error(git: Git) -> None:
    assert git.run("cat-file", "-e", "nothing", accepted=(0, 128)).status == 128


def test_the_fields_of_an_output_are_bytes(git: Git, user: UserRepository) -> None:
    user.commit({os.fsdecode(b"odd \xff\n\"name'\\"): ""})
    assert git.fields("ls-tree", "-z", "--name-only", "HEAD") == [
        b"README.md",
        b"odd \xff\n\"name'\\",
        b"src",
    ]


def test_resolve_returns_none_for_a_missing_revision(git: Git, user: UserRepository) -> None:
    assert git.resolve("refs/heads/main") == user.git("rev-parse", "HEAD")
    assert git.resolve("refs/heads/other") is None
    assert git.resolve("--all") is None


class TestInitBare:
    def test_a_new_git_directory_has_no_hooks_and_the_given_settings(self, tmp_path: Path) -> None:
        init_bare(tmp_path / "g", object_format="sha1", alternates=(), settings={"gc.auto": "0"})
        assert not (tmp_path / "g" / "hooks").exists()
        assert Git(tmp_path / "g").text("config", "--get", "gc.auto") == "0"

    def test_a_new_git_directory_reads_other_object_stores(
        self, repository: Repository, user: UserRepository, tmp_path: Path
    ) -> None:
        init_bare(tmp_path / "g", object_format="sha1", alternates=repository.object_stores)
        head = user.git("rev-parse", "HEAD")
        assert Git(tmp_path / "g").text("cat-file", "-t", head) == "commit"


def test_a_commit_is_on_the_disk_before_a_reference_moves_to_it(
    repository: Repository, user: UserRepository, tmp_path: Path
) -> None:
    """As after a power failure, which no test can make: git counts how often it waited for the disk."""
    events = tmp_path / "events"
    head = user.git("rev-parse", "HEAD")
    tracing = {"GIT_TRACE2_EVENT": str(events)}
    content = repository.objects.run("cat-file", "commit", head).stdout + b"On the disk\n"
    words = ("hash-object", "-t", "commit", "-w", "--stdin")  # as ``Git.writer`` does
    commit = repository.objects.run(*words, stdin=content, environment=tracing).text.strip()
    assert waited_for_the_disk(events) == 1
    events.unlink()
    repository.refs.run("update-ref", "refs/cobbler/x", commit, environment=tracing)
    assert waited_for_the_disk(events) == 1


def waited_for_the_disk(events: Path) -> int:
    """The number of flushes in a trace of git."""
    lines = [json.loads(line) for line in events.read_text().splitlines()]
    return sum(int(line["value"]) for line in lines if line.get("key") == "fsync/hardware-flush")
