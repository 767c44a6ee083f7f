"""Follows a generation while a run works on it: the story of its journal, and the agents' transcripts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from pytest_cobbler.agents.streams.base import Reader
from pytest_cobbler.agents.streams.choose import reader_for
from pytest_cobbler.story.events import Event, GrowingFile, events_of
from pytest_cobbler.story.fold import take
from pytest_cobbler.story.model import Attempt, Item, Phase, Run, Story

__all__ = ["Doing", "Follower", "Lines", "place_of", "transcript_of"]

_FIRST: Final = 8 * 1024 * 1024
_MOST: Final = 128 * 1024
"""Bytes of a transcript that are read at the first look, and at each further one: its end says what the agent
is doing. So an agent that prints much takes no time of the run."""


class Lines(Protocol):
    """The lines of a journal as they come: of a file (``GrowingFile``) or of this process (``Heard``)."""

    def new_lines(self) -> Iterable[bytes]: ...


@dataclass(frozen=True, kw_only=True)
class Doing:
    """What an agent is doing: its last ``step``, and when that was noticed.

    ``is_thinking``: the model was asked, and nothing else has come since. ``tokens``: those of its thought,
    if it reports them; else all that it has used, as far as the transcript tells.
    """

    step: str
    noticed: float
    is_thinking: bool = False
    tokens: int = 0


def place_of(directory: Path, item: Item, attempt: Attempt) -> Path:
    """The files of an attempt in the ``directory`` of its generation."""
    return directory / "attempts" / item.name / str(attempt.number)


def transcript_of(directory: Path, item: Item, attempt: Attempt) -> Path:
    """The transcript of an attempt in the ``directory`` of its generation."""
    return place_of(directory, item, attempt) / "transcript.jsonl"


class Follower:
    """Follows the runs of one generation; for one thread.

    Args:
        directory: that of the generation.
        lines: those of its journal.
        on_event: called with each event of a run after the story has taken it, until it is ``None``.
    """

    def __init__(
        self, directory: Path, lines: Lines, on_event: Callable[[Event, Run], None] | None = None
    ) -> None:
        self.story = Story()
        self.directory = directory
        self._lines = lines
        self.on_event = on_event
        self._agents: dict[tuple[str, int], _Agent] = {}

    def hear(self) -> Run | None:
        """Take in the events since the last call; return the latest run."""
        for event in events_of(self._lines.new_lines()):
            take(self.story, event)
            if self.on_event and self.story.run:
                self.on_event(event, self.story.run)
        return self.story.run

    def refresh(self, now: float) -> None:
        """Take in what has happened since the last call, also in the transcripts."""
        run = self.hear()
        running = run.running if run else ()
        agents = {}
        for item in running:
            if item.phase is Phase.AGENT and item.attempt:
                key = item.key, item.attempt.number
                path = transcript_of(self.directory, item, item.attempt)
                agents[key] = self._agents.get(key) or _Agent(path)
                agents[key].refresh(now)
        self._agents = agents

    def doing(self, item: Item) -> Doing | None:
        """What the agent of ``item`` is doing; ``None`` without one, or before its first step."""
        agent = self._agents.get((item.key, item.attempt.number)) if item.attempt else None
        return agent.doing if agent else None


class _Agent:
    """An agent that is working."""

    def __init__(self, transcript: Path) -> None:
        self._file = GrowingFile(transcript)
        self._step = ""
        self._most = _FIRST
        self._reader: Reader | None = None
        self.doing: Doing | None = None

    def refresh(self, now: float) -> None:
        lines = self._file.new_lines(self._most)
        if not lines:
            return
        self._most = _MOST
        text = b"\n".join(lines)
        reader = self._reader = self._reader or reader_for(text)(self._take_step)
        reader.feed(text)
        self.doing = Doing(
            step=self._step,
            noticed=now,
            is_thinking=reader.is_thinking,
            tokens=reader.thought or sum(reader.usage.tokens.values()),
        )

    def _take_step(self, text: str) -> bool:
        self._step = text
        return False  # of log text that comes together, the last lines are enough
