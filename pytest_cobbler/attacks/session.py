"""Attacks by the conversation of an agent: of its home, only the files of that reach the next agent."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from pytest_cobbler.agents.base import SessionPlace
from pytest_cobbler.attacks.attack import Attack, Line
from pytest_cobbler.attacks.ground import BRANCH, Ground, script_of
from pytest_cobbler.attacks.works import last_word, remains, run_in_worktrees
from pytest_cobbler.display import named
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.sessions import LARGEST, KeptSession, Sessions, prepare_home
from pytest_cobbler.repository.worktrees import Worktree
from pytest_cobbler.wiring.parts import session_places

__all__ = ["ID", "Carrier", "carried_as_in_a_run", "try_session"]

ID: Final = "00000000-0000-4000-8000-000000000000"
"""The conversation of the attacking agent."""

_DIRECTORY: Final = Path("/task")
"""Where the agents work, for programs that name a conversation by it."""

_LONGEST: Final = 5.0
"""Seconds to take over a conversation; more means that the host is kept busy."""

Carrier = Callable[[Ground, Worktree, Worktree, SessionPlace], object]
"""Brings the conversation in the home of one worktree into that of another."""


def carried_as_in_a_run(
    ground: Ground, worktree: Worktree, following: Worktree, kept_in: SessionPlace
) -> None:
    """Keep the conversation, and give it to the next attempt at the task."""
    sessions = Sessions(ground.repository, BRANCH, [ground.key])
    sessions.keep(ground.place(worktree))
    _prepare(ground, following, kept_in, sessions.find(worktree.purpose["task"]))


def _prepare(
    ground: Ground, worktree: Worktree, kept_in: SessionPlace, kept: KeptSession | None = None
) -> None:
    session_id = kept.id if kept else (ID if kept_in.new_id() else "")
    file = kept_in.file(session_id, _DIRECTORY, is_new=kept is None)
    place = ground.place(worktree)
    prepare_home(place, session_id, file, kept, beside=kept_in.beside, mark=kept_in.mark)


def _place_of(attack: Attack) -> SessionPlace:
    """Where the agent of an attack keeps its conversation: claude, if its name has no other."""
    places = session_places()
    names = (word for word in attack.name.split("-") if word in places)
    return places[next(names, "claude")]


def _file_of(attack: Attack) -> str:
    """The file of the conversation of the attacking agent."""
    return _place_of(attack).file(ID, _DIRECTORY)


def try_session(
    ground: Ground,
    attacks: Sequence[Attack],
    cancellation: Cancellation,
    carrier: Carrier = carried_as_in_a_run,
) -> list[Line]:
    """Run the scripts as agents, and go on with their conversations."""
    worktrees = {attack.name: ground.worktree(f"attack-{attack.name}") for attack in attacks}
    for attack in attacks:
        worktrees[attack.name].purpose["number"] = "1"
        _prepare(ground, worktrees[attack.name], _place_of(attack))
    scripts = {
        attack.name: script_of(attack, _variables(ground, worktrees[attack.name], attack))
        for attack in attacks
    }
    outputs = run_in_worktrees(ground, scripts, worktrees, cancellation)
    return [
        _carried(ground, attack, worktrees[attack.name], outputs.get(attack.name), carrier)
        for attack in attacks
    ]


def _variables(ground: Ground, worktree: Worktree, attack: Attack) -> dict[str, str]:
    return ground.variables(worktree.tree) | {
        "AGENT_HOME": str(worktree.home),
        "SESSION": str(worktree.home / _file_of(attack)),
        "OTHER_SESSION": str(ground.other_session),
        "KEY": ground.key,
    }


def _carried(
    ground: Ground, attack: Attack, worktree: Worktree, output: bytes | None, carrier: Carrier
) -> Line:
    word, said = last_word(output)
    if word not in ("tried", "held"):
        return Line(attack=attack, status="not tried", evidence=said or "the script failed")
    following = ground.worktree(f"next-{attack.name}")
    began = time.monotonic()
    carrier(ground, worktree, following, _place_of(attack))
    seconds = time.monotonic() - began
    harm = (
        _harm(ground, attack, output or b"", following.home, seconds)
        or ground.harm(attack, worktree)
        or remains(ground, worktree)
        or remains(ground, following)
    )
    if harm:
        return Line(attack=attack, status="NOT HELD", evidence=harm)
    return Line(attack=attack, status="held", evidence=said)


def _harm(ground: Ground, attack: Attack, output: bytes, home: Path, seconds: float) -> str:
    """What the attack has done; empty if the next agent gets its own conversation, or none."""
    if words := ground.read_words(output):
        return f"the agent read {', '.join(words)}"
    if seconds > _LONGEST:
        return "the host was kept busy"
    file, beside = home / _file_of(attack), _place_of(attack).beside
    files = [file, Path(f"{file}{beside}")] if beside else [file]
    if planted := sorted(_planted(home, files)):
        return f"the next agent gets {named(planted, 2)}"
    content = b"".join(one.read_bytes() for one in files if one.exists())
    words = ground.read_words(content)
    return f"the next agent reads {', '.join(words)}" if words else ""


def _planted(home: Path, files: Sequence[Path]) -> Iterator[str]:
    """What is in a home beside a conversation of a usual size, which has ``files``."""
    for path in home.rglob("*"):
        is_file = path.is_file() and not path.is_symlink()
        is_conversation = path in files and is_file and path.stat().st_size <= LARGEST
        if not is_conversation and path not in files[0].parents:
            yield str(path.relative_to(home))
