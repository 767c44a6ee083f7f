"""The loop of a fuzzer: new inputs by Hypothesis and by changes of the corpus, until the time is over."""

from __future__ import annotations

import json
import random
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.changing import changed, reduced
from tests.fuzz.target import Arc, Target, encode, execute

_BATCH = 20
"""Inputs that Hypothesis makes at a time."""
_CHANGED = 2
"""Inputs that are made by changes of earlier ones, for each one that Hypothesis makes."""
_TRIALS = 60
"""Executions that make an input smaller before it is kept."""


@dataclass(frozen=True)
class Finding:
    """An input for which something does not hold, and the traceback."""

    data: Any
    why: str


@dataclass
class Fuzzing:
    """One run of a fuzzer.

    Args:
        target: what is fuzzed.
        inputs: the corpus.
        number: the seed; two runs with the same seed and the same number of executions are alike.
    """

    target: Target
    inputs: Sequence[Any]
    number: int
    executions: int = 0
    arcs: set[Arc] = field(default_factory=set)
    reached: dict[str, set[Arc]] = field(default_factory=dict)
    """Encoded input -> its arcs, for each input that reached a new one."""

    def until(self, is_over: Callable[[], bool], note: Callable[[], None] = lambda: None) -> Finding | None:
        """Run the corpus, then fuzz until ``is_over`` or the first finding.

        ``note`` is called after each execution.
        """
        pool = list(self.inputs)
        for data in self._all(pool):
            self.executions += 1
            try:
                arcs = execute(self.target, data)
            except Exception:
                return Finding(self._smallest(data), traceback.format_exc())
            if not arcs <= self.arcs:
                pool.append(self._kept(data, arcs))
            note()
            if self.executions >= len(self.inputs) and is_over():
                break
        return None

    def _all(self, pool: list[Any]) -> Iterator[Any]:
        """The corpus, then new inputs without end."""
        yield from list(pool)
        source = random.Random(self.number)
        while True:
            made = generated(self.target, source.getrandbits(32))
            yield from made
            for _ in range(_CHANGED * _BATCH):
                start = source.choice(pool) if pool else made[0]
                yield changed(start, pool, self.target.words, source)

    def _kept(self, data: Any, arcs: set[Arc]) -> Any:
        """A smaller input with the arcs that are new; an input of the corpus stays as it is."""
        if self.executions > len(self.inputs):
            new = arcs - self.arcs
            data = reduced(data, lambda smaller: new <= self._arcs_of(smaller), _TRIALS)
            arcs = self._arcs_of(data) | new
        self.reached[encode(data)] = arcs
        self.arcs |= arcs
        return data

    def _arcs_of(self, data: Any) -> set[Arc]:
        """The arcs of an input; none if it is a finding of its own."""
        try:
            return execute(self.target, data)
        except Exception:
            return set()

    def _smallest(self, data: Any) -> Any:
        """A smaller input with a finding."""

        def fails(smaller: Any) -> bool:
            try:
                execute(self.target, smaller)
            except Exception:
                return True
            return False

        return reduced(data, fails, 20 * _TRIALS)


def generated(target: Target, number: int, count: int = _BATCH) -> list[Any]:
    """So many inputs by Hypothesis."""
    made: list[Any] = []

    @seed(number)
    @settings(
        max_examples=count,
        phases=(Phase.generate,),
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(target.inputs)
    def take(data: Any) -> None:
        made.append(json.loads(json.dumps(data)))

    take()
    return made


def seconds(limit: float) -> Callable[[], bool]:
    """Whether so many seconds have passed from now on."""
    end = time.monotonic() + limit
    return lambda: time.monotonic() >= end
