"""One thread at a time on a clock that no one waits for: what the threads of a run become in a simulation.

Each thread of the real code is a player. A player runs until it has to wait; then the stage chooses who goes
on, by the schedule's random numbers. If all wait, the clock moves to the next moment that one of them waits
for. So the same seed takes the same steps.

Players are greenlets: they have stacks of their own in one thread of the system, so a turn costs no more than
a few calls of a function.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from greenlet import getcurrent, greenlet

__all__ = ["Killed", "Player", "Stage", "Stalled"]

BEGIN = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
"""The time of day when a schedule begins."""

LONGEST = 30 * 24 * 3600.0
"""Seconds of a schedule; the longest limit of the API lasts a week."""

MOST_TURNS = 20_000
"""Turns of a schedule; usual ones take a few hundred."""


class Killed(BaseException):
    """The process of the run was killed: nothing that it does has an effect any more."""


class Stalled(AssertionError):
    """A run does not end."""


class Player:
    """One thread of the code under test; ``ready`` and ``due`` are what it waits for."""

    def __init__(self, name: str, stack: greenlet) -> None:
        self.name = name
        self.stack = stack
        self.ready: Callable[[], bool] | None = None
        self.due: float | None = None

    @property
    def ended(self) -> bool:
        return bool(self.stack.dead)

    def may_go_on(self, now: float) -> bool:
        if self.due is not None:
            return now >= self.due or (self.ready is not None and self.ready())
        return self.ready is None or self.ready()


class Stage:
    """The clock and the players of one schedule.

    ``touch`` is called before everything that changes what outlives a run: there a run can be killed, and
    other people can act.
    """

    def __init__(self, numbers: random.Random) -> None:
        self.numbers = numbers
        self.seconds = 0.0
        self.turns = 0
        self.dead = False
        """Whether the process of the current run was killed."""
        self.players: list[Player] = []
        self.current: Player | None = None
        self.errors: list[BaseException] = []
        """What players of the simulator itself ended with."""
        self.on_touch: Callable[[str], None] = lambda _what: None
        self._main = getcurrent()

    @property
    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=self.seconds)

    # -- called by the code under test, through the stand-ins

    def start(self, name: str, body: Callable[[], object]) -> Player:
        """Start a player; it waits for its first turn."""
        player = Player(name, greenlet(lambda: self._play(body), self._main))
        self.players.append(player)
        return player

    def wait(self, ready: Callable[[], bool] | None = None, seconds: float | None = None) -> None:
        """Let others go on until something is ``ready``, or so much time has passed.

        Raises:
            Killed: the run was killed meanwhile.
        """
        due = None if seconds is None else self.seconds + seconds
        player = self.current
        if self.dead:
            raise Killed
        if player is None:
            self._drive(ready, due)
        else:
            player.ready, player.due = ready, due
            self._main.switch()
            player.ready = player.due = None
        if self.dead:
            raise Killed

    def touch(self, what: str) -> None:
        """Something that outlives the run is about to change, or to be read.

        Raises:
            Killed: the run is dead.
        """
        if self.dead:
            raise Killed
        self.on_touch(what)
        if self.dead:
            raise Killed
        if self.current is not None and self.numbers.random() < 0.1:
            self.wait(seconds=0.0)

    def _play(self, body: Callable[[], object]) -> None:
        try:
            body()
        except Killed:
            pass
        except BaseException as error:
            if not self.dead:
                self.errors.append(error)

    # -- the main thread

    def _drive(self, ready: Callable[[], bool] | None, due: float | None) -> None:
        """Give turns to players until the main thread may go on."""
        while True:
            if ready is not None and ready():
                return
            if due is not None and self.seconds >= due:
                return
            if not self.turn(due):
                if ready is None:
                    return
                raise Stalled("every thread waits, and nothing will happen")
            if self.dead:
                return
            if self.errors:
                raise self.errors[0]

    def turn(self, due: float | None = None) -> bool:
        """Let one player go on, or move the clock, not beyond ``due``; False if nothing is left to do."""
        self.turns += 1
        if self.turns > MOST_TURNS or self.seconds > LONGEST:
            raise Stalled(f"the schedule does not end: {self.turns} turns, {self.seconds:.0f} seconds")
        now = self.seconds
        able = [player for player in self.players if player.may_go_on(now)]
        if able:
            self._give(able[0] if len(able) == 1 else self.numbers.choice(able))
            return True
        moments = [player.due for player in self.players if player.due is not None]
        moments += [due] if due is not None else []
        if not moments:
            return False
        self.seconds = max(self.seconds, min(moments))
        return True

    def _give(self, player: Player) -> None:
        self.current = player
        player.stack.switch()
        self.current = None
        if player.ended:
            self.players.remove(player)

    def kill(self) -> None:
        """End all players of a dead run: nothing they do on their way out has an effect."""
        self.dead = True
        while self.players:
            self._give(self.players[0])
        self.dead = False
