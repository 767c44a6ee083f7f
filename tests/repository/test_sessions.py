"""The conversation of an agent goes on to its next attempt, and nothing else of its home does."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_cobbler.repository import sessions as module
from pytest_cobbler.repository.sessions import Sessions, prepare_home, sessions_by_generation
from pytest_cobbler.sites.local import LocalPlace
from tests.support.repositories import Bench

FILE = "projects/-cobbler-task-tree/{}.jsonl"
ID = "6b1f9e6e-2c5b-4b5e-9a53-0d8f6f2b7f11"


@pytest.fixture
def sessions(host_bench: Bench) -> Sessions:
    return Sessions(host_bench.repository, host_bench.generation.name, ("sk-secret-0123456789",))


def attempt(bench: Bench, number: int, sessions: Sessions, session_id: str = ID) -> LocalPlace:
    """The place of an attempt that goes on with the conversation that is kept."""
    worktree = bench.worktrees.create(
        f"t-{number}",
        parent=bench.tip,
        tree=bench.repository.tree_of(bench.tip),
        purpose={"task": "t", "number": str(number)},
    )
    place = bench.place(worktree)
    prepare_home(place, session_id, FILE.format(session_id), sessions.find("t"))
    return place


def says(place: LocalPlace, content: bytes, name: str = FILE.format(ID)) -> None:
    path = place.home / name
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
    sessions.keep(host_bench.place(left))
    assert sessions.find("t")


BOTH = {"beside": "-wal", "mark": '"role":"user"'}
DATABASE = "opencode/opencode.db"


def with_two_files(bench: Bench, sessions: Sessions, number: int, *contents: bytes) -> LocalPlace:
    """The place of an attempt that has left two files, after they are kept."""
    place = attempt(bench, number, sessions)
    prepare_home(place, ID, DATABASE, sessions.find("t"), **BOTH)
    for name, content in zip((DATABASE, f"{DATABASE}-wal"), contents, strict=False):
        says(place, content, name)
    sessions.keep(place)
    return place


def test_both_files_of_a_conversation_go_on(host_bench: Bench, sessions: Sessions) -> None:
    with_two_files(host_bench, sessions, 1, b"one", b'{"role":"user"}')
    second = with_two_files(host_bench, sessions, 2)
    assert files(second.home) == {DATABASE: b"one", f"{DATABASE}-wal": b'{"role":"user"}'}
    kept = sessions.find("t")
    assert kept is not None
    assert stat.S_IMODE(kept.second.stat().st_mode) == 0o600
    assert sessions_by_generation(host_bench.repository) == {str(kept.path.parents[1]): 1}
    with_two_files(host_bench, sessions, 3, b'{"role":"user"}')
    third = attempt(host_bench, 4, sessions)
    prepare_home(third, ID, DATABASE, sessions.find("t"), **BOTH)
    assert files(third.home)[DATABASE] == b'{"role":"user"}'
    sessions.drop("t")
    assert sessions_by_generation(host_bench.repository) == {}


@pytest.mark.parametrize(
    ("contents", "why"),
    [
        ((b"schema", b"nothing"), "it has not begun"),
        ((b'{"role":"user"} sk-secret-0123456789', b""), "a database without the credential is broken"),
        ((b"x", b'{"role":"user"} sk-secret-0123456789'), "so is its second file"),
    ],
)
def test_a_database_that_cannot_go_on_is_not_kept(
    host_bench: Bench, sessions: Sessions, contents: tuple[bytes, bytes], why: str
) -> None:
    with_two_files(host_bench, sessions, 1, *contents)
    assert sessions.find("t") is None, why


def test_a_file_is_found_whose_name_has_more_than_our_id(host_bench: Bench, sessions: Sessions) -> None:
    place = attempt(host_bench, 1, sessions)
    prepare_home(place, ID, f"chats/session-*-{ID[:8]}.jsonl")
    sessions.keep(place)
    assert sessions.find("t") is None
    says(place, b"{}", f"chats/session-2026-11-30T19-48-{ID[:8]}.jsonl")
    sessions.keep(place)
    kept = sessions.find("t")
    assert kept is not None
    assert kept.id == ID


def test_a_credential_does_not_go_on(host_bench: Bench, sessions: Sessions) -> None:
    place = attempt(host_bench, 1, sessions)
    says(place, b'{"output": "sk-secret-0123456789"}\n')
    sessions.keep(place)
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
    place = attempt(host_bench, 1, sessions)
    says(place, b"{}\n")
    says(place, b"another\n", FILE.format(other))
    for name in (
        "settings.json",
        "settings.local.json",
        ".claude.json",
        "plugins/p/plugin.json",
        "CLAUDE.md",
    ):
        says(place, hook, name)
    says(place, hook, f"projects/-cobbler-task-tree/{ID}/subagents/agent.jsonl")
    sessions.keep(place)
    assert files(attempt(host_bench, 2, sessions).home) == {FILE.format(ID): b"{}\n"}


def test_a_new_conversation_begins_in_an_empty_home(host_bench: Bench, sessions: Sessions) -> None:
    place = attempt(host_bench, 1, sessions)
    says(place, b"{}\n")
    says(place, b"{}\n", "settings.json")
    new = "11111111-0000-4000-8000-000000000000"
    prepare_home(place, new, FILE.format(new))
    assert files(place.home) == {}
    says(place, b"new\n", FILE.format(new))
    (left,) = host_bench.worktrees.leftovers()
    sessions.keep(host_bench.place(left))
    kept = sessions.find("t")
    assert kept is not None
    assert (kept.id, kept.path.read_bytes()) == (new, b"new\n")


@pytest.mark.parametrize("file", ["../worktree.json", "/etc/passwd", ""])
def test_only_a_file_in_the_home_is_read(host_bench: Bench, sessions: Sessions, file: str) -> None:
    place = attempt(host_bench, 1, sessions)
    place.worktree.purpose["session_file"] = file
    sessions.keep(place)
    assert sessions.find("t") is None


PATTERN = "sessions/*/*/talk-*.jsonl"
OTHER = "00000000-2c5b-4b5e-9a53-0d8f6f2b7f11"


def named(bench: Bench, number: int) -> LocalPlace:
    """The place of an attempt whose program chooses the id of its conversation."""
    purpose = {"task": "t", "number": str(number)}
    tree = bench.repository.tree_of(bench.tip)
    worktree = bench.worktrees.create(f"t-{number}", parent=bench.tip, tree=tree, purpose=purpose)
    place = bench.place(worktree)
    prepare_home(place, "", PATTERN)
    return place


def test_of_conversations_that_the_program_named_the_first_is_kept(
    host_bench: Bench, sessions: Sessions
) -> None:
    place = named(host_bench, 1)
    says(place, b"a sub-agent's\n", f"sessions/2026/02/talk-1-{OTHER}.jsonl")
    says(place, b"its own\n", f"sessions/2026/01/talk-9-{ID}.jsonl")
    says(place, b"no\n", f"sessions/2025/note-{OTHER}.jsonl")
    sessions.keep(place)
    kept = sessions.find("t")
    assert kept is not None
    assert (kept.id, kept.path.read_bytes()) == (ID, b"its own\n")


def test_a_conversation_that_the_program_named_is_read_through_no_link(
    host_bench: Bench, sessions: Sessions, tmp_path: Path
) -> None:
    (tmp_path / "away").mkdir()
    secret = tmp_path / "away" / f"talk-{ID}.jsonl"
    secret.write_text("secret")
    for number, (name, goal) in enumerate(
        {
            "sessions": tmp_path,
            "sessions/2026": tmp_path,
            "sessions/2026/01": tmp_path / "away",
            f"sessions/2026/01/talk-{ID}.jsonl": secret,
        }.items(),
        start=1,
    ):
        place = named(host_bench, number)
        link = place.home / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(goal)
        sessions.keep(place)
        assert sessions.find("t") is None, name


@pytest.mark.parametrize("name", ["talk-x.jsonl", f"talk-{ID}", f"talk-{ID.upper()}.jsonl"])
def test_a_name_without_an_id_is_no_conversation(host_bench: Bench, sessions: Sessions, name: str) -> None:
    place = named(host_bench, 1)
    says(place, b"{}\n", f"sessions/2026/01/{name}")
    sessions.keep(place)
    assert sessions.find("t") is None
