"""Attacks by the answer of a measure: the only file of an agent that the host opens."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from pytest_cobbler.attacks.attack import Attack, Line
from pytest_cobbler.attacks.ground import Ground, script_of
from pytest_cobbler.attacks.works import last_word, remains, run_in_worktrees
from pytest_cobbler.cycle.measure import LARGEST_ANSWER, OUTPUT, NoAnswer, read_answer
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.worktrees import Worktree

__all__ = ["Reader", "read_as_in_a_run", "try_measure"]

_LONGEST: Final = 5.0
"""Seconds to read an answer; more means that the host is kept busy."""

Reader = Callable[[Ground, Worktree], bytes | NoAnswer]


def read_as_in_a_run(ground: Ground, worktree: Worktree) -> bytes | NoAnswer:
    """The answer in a worktree, read as a run reads it."""
    return read_answer(ground.place(worktree))


def try_measure(
    ground: Ground, attacks: Sequence[Attack], cancellation: Cancellation, reader: Reader = read_as_in_a_run
) -> list[Line]:
    """Run the scripts as agents of measures, and read their answers."""
    worktrees = {attack.name: ground.worktree(f"attack-{attack.name}") for attack in attacks}
    scripts = {
        attack.name: script_of(attack, _variables(ground, worktrees[attack.name])) for attack in attacks
    }
    outputs = run_in_worktrees(ground, scripts, worktrees, cancellation)
    return [
        _read(ground, attack, worktrees[attack.name], outputs.get(attack.name), reader) for attack in attacks
    ]


def _variables(ground: Ground, worktree: Worktree) -> dict[str, str]:
    return {**ground.variables(worktree.tree), "ANSWER": str(worktree.output / OUTPUT)}


def _read(ground: Ground, attack: Attack, worktree: Worktree, output: bytes | None, reader: Reader) -> Line:
    word, said = last_word(output)
    if word not in ("tried", "held"):
        return Line(attack=attack, status="not tried", evidence=said or "the script failed")
    began = time.monotonic()
    try:
        answer = reader(ground, worktree)
    except OSError as error:
        return Line(attack=attack, status="NOT HELD", evidence=f"the run ends: {error}")
    harm = _harm(ground, answer, time.monotonic() - began) or remains(ground, worktree)
    if harm:
        return Line(attack=attack, status="NOT HELD", evidence=harm)
    return Line(attack=attack, status="held", evidence=str(answer) if word == "tried" else said)


def _harm(ground: Ground, answer: bytes | NoAnswer, seconds: float) -> str:
    """What a reader has done; empty if it has read nothing that it should not."""
    if seconds > _LONGEST:
        return "the host was kept busy"
    if isinstance(answer, NoAnswer):
        return ""
    if len(answer) > LARGEST_ANSWER:
        return "the host reads more than an answer may have"
    if words := ground.read_words(answer):
        return f"the host reads {', '.join(words)}"
    return "the host takes it for an answer"
