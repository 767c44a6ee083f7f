"""The conversation of an agent goes on to its next attempt, and nothing else of its home does."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_cobbler.repository import sessions as module
from pytest_cobbler.repository.sessions import Sessions, prepare_home, sessions_by_generation
from pytest_cobbler.repository.worktrees import Worktree, read_facts
from tests.support.repositories import Bench

FILE = "projects/-cobbler-task-tree/{}.jsonl"
ID = "6b1f9e6e-2c5b-4b5e-9a53-0d8f6f2b7f11"


@pytest.fixture
def sessions(host_bench: Bench) -> Sessions:
    return Sessions(host_bench.repository, host_bench.generation.name, ("sk-secret-0123456789",))


def attempt(bench: Bench, number: int, sessions: Sessions, session_id: str = ID) -> Worktree:
    """The worktree of an attempt that goes on with the conversation that is kept."""
    worktree = bench.worktrees.create(
        f"t-{number}",
        parent=bench.tip,
        tree=bench.repository.tree_of(bench.tip),
        purpose={"task": "t", "number": str(number)},
    )
    prepare_home(worktree, session_id, FILE.format(session_id), sessions.find("t"))
    return worktree


def says(worktree: Worktree, content: bytes, name: str = FILE.format(ID)) -> None:
    path = worktree.home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def files(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def test_the_next_attempt_gets_a_copy_of_the_last_conversation(host_bench: Bench, sessions: Sessions) -> None:
    first = attempt(host_bench, 1, sessions)
    assert files(first.home) == {}
    says(first, b'{"one": 1}\n')
    sessions.keep(first)
    second = attempt(host_bench, 2, sessions)
    assert files(second.home) == {FILE.format(ID): b'{"one": 1}\n'}
    says(second, b'{"one": 1}\n{"two": 2}\n{"tw')
    sessions.keep(second)
    kept = sessions.find("t")
    assert kept is not None
    assert (kept.number, kept.id, kept.path.read_bytes()) == (2, ID, b'{"one": 1}\n{"two": 2}\n{"tw')
    assert sessions_by_generation(host_bench.repository) == {str(kept.path.parents[1]): 1}
    places = (kept.path, *kept.path.parents[:3])
    assert [stat.S_IMODE(place.stat().st_mode) for place in places] == [0o600, 0o700, 0o700, 0o700]
    sessions.drop("t")
    assert sessions_by_generation(host_bench.repository) == {}
    assert not kept.path.parents[2].exists()


def test_a_conversation_is_found_after_a_kill(host_bench: Bench, sessions: Sessions) -> None:
    says(attempt(host_bench, 1, sessions), b"{}\n")
    (left,) = host_bench.worktrees.leftovers()
    sessions.keep(left)
    assert sessions.find("t")


def test_a_credential_does_not_go_on(host_bench: Bench, sessions: Sessions) -> None:
    worktree = attempt(host_bench, 1, sessions)
    says(worktree, b'{"output": "sk-secret-0123456789"}\n')
    sessions.keep(worktree)
    kept = sessions.find("t")
    assert kept is not None
    assert b"sk-secret" not in kept.path.read_bytes()


def link_to(secret: Path, path: Path) -> None:
    path.symlink_to(secret)


def link_above(secret: Path, path: Path) -> None:
    path.parent.rmdir()
    (secret.parent / path.name).write_bytes(secret.read_bytes())
    path.parent.symlink_to(secret.parent)


def link_at_the_top(secret: Path, path: Path) -> None:
    path.parent.rmdir()
    path.parents[1].rmdir()
    other = secret.parent / "other" / path.parent.name
    other.mkdir(parents=True)
    (other / path.name).write_bytes(secret.read_bytes())
    path.parents[1].symlink_to(other.parent)


def pipe(_secret: Path, path: Path) -> None:
    os.mkfifo(path)


def directory(_secret: Path, path: Path) -> None:
    path.mkdir()


def huge(_secret: Path, path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(module.LARGEST + 1)


def nothing(_secret: Path, _path: Path) -> None:
    pass


@pytest.mark.parametrize("plant", [link_to, link_above, link_at_the_top, pipe, directory, huge, nothing])
def test_what_is_no_conversation_does_not_go_on(
    host_bench: Bench, sessions: Sessions, tmp_path: Path, plant: Callable[[Path, Path], None]
) -> None:
    secret = tmp_path / "secrets" / "secret"
    secret.parent.mkdir()
    secret.write_bytes(b"a file of the host")
    first = attempt(host_bench, 1, sessions)
    says(first, b"{}\n")
    sessions.keep(first)
    second = attempt(host_bench, 2, sessions)
    path = second.home / FILE.format(ID)
    path.unlink()
    plant(secret, path)
    sessions.keep(second)
    assert sessions.find("t") is None
    assert files(attempt(host_bench, 3, sessions).home) == {}


def test_what_an_agent_plants_in_its_home_does_not_reach_the_next_one(
    host_bench: Bench, sessions: Sessions
) -> None:
    hook = b'{"hooks": {"SessionStart": [{"hooks": [{"type": "command", "command": "touch /tmp/x"}]}]}}'
    other = "00000000-0000-4000-8000-000000000000"
    worktree = attempt(host_bench, 1, sessions)
    says(worktree, b"{}\n")
    says(worktree, b"another\n", FILE.format(other))
    for name in (
        "settings.json",
        "settings.local.json",
        ".claude.json",
        "plugins/p/plugin.json",
        "CLAUDE.md",
    ):
        says(worktree, hook, name)
    says(worktree, hook, f"projects/-cobbler-task-tree/{ID}/subagents/agent.jsonl")
    sessions.keep(worktree)
    assert files(attempt(host_bench, 2, sessions).home) == {FILE.format(ID): b"{}\n"}


def test_a_new_conversation_begins_in_an_empty_home(host_bench: Bench, sessions: Sessions) -> None:
    worktree = attempt(host_bench, 1, sessions)
    says(worktree, b"{}\n")
    says(worktree, b"{}\n", "settings.json")
    new = "11111111-0000-4000-8000-000000000000"
    prepare_home(worktree, new, FILE.format(new))
    assert files(worktree.home) == {}
    says(worktree, b"new\n", FILE.format(new))
    facts = read_facts(worktree.directory)
    assert facts is not None
    sessions.keep(facts)
    kept = sessions.find("t")
    assert kept is not None
    assert (kept.id, kept.path.read_bytes()) == (new, b"new\n")


@pytest.mark.parametrize("file", ["../worktree.json", "/etc/passwd", ""])
def test_only_a_file_in_the_home_is_read(host_bench: Bench, sessions: Sessions, file: str) -> None:
    worktree = attempt(host_bench, 1, sessions)
    sessions.keep(replace(worktree, purpose=worktree.purpose | {"session_file": file}))
    assert sessions.find("t") is None
