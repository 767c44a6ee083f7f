"""What a run that records or replays has to know before it begins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_cobbler.config import Config
from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.recordings.files import broken_off_attempts
from pytest_cobbler.recordings.names import RunNames
from pytest_cobbler.recordings.recorder import Recorder
from pytest_cobbler.recordings.turns import Turns
from pytest_cobbler.repository.objects import default_work_dir
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.tracker.base import Task


@dataclass(frozen=True, kw_only=True)
class Recordings:
    """The recordings of a run: the one that is played and the one that is made.

    ``renews``: both are the same, and the current prompts replace the recorded ones.
    """

    config: Config
    record: Path | None
    names: RunNames
    plays: bool

    @property
    def renews(self) -> bool:
        recording = self.config.recording
        return bool(self.record and recording and self.record.resolve() == recording.resolve())

    @property
    def directories(self) -> tuple[Path, ...]:
        return tuple(path for path in (self.config.recording, self.record) if path)

    def recorder(
        self, generation: str, tasks: Iterable[Task], scrub: Callable[[str], str]
    ) -> Recorder | None:
        """The recorder of a run on ``generation``, if the run is recorded."""
        self.names.generation = generation
        self.names.learn(task.id for task in tasks)
        if self.record is None or self.renews:
            return None
        return Recorder(self.record, generation, scrub, self.names)

    def turns(self, order: Sequence[str], recorder: Recorder | None) -> Turns:
        """The order of the recording that is played, and where the order of this run is noted."""
        recording = self.config.recording if self.plays else None
        broken_off = broken_off_attempts(recording) if recording else {}
        if recorder:
            return Turns(order, recorder.note, broken_off)
        return Turns(order, broken_off=broken_off)


def not_for_recordings(config: Config, repository: Repository) -> list[Path]:
    """Directories that belong to git, the tracker, runs and the user's secrets."""
    work = config.work_dir or default_work_dir()
    ours = (config.cobbler_dir, config.beads_dir, config.secrets_dir, work)
    return [repository.root / ".git", repository.git_dir, repository.common_dir, *ours]


def below(root: Path, record: Path | None) -> tuple[Path, ...]:
    """The top-level directory that contains the recording, if it is in the repository."""
    root = root.resolve()
    if record is None or record == root or not record.is_relative_to(root):
        return ()
    return (root / record.relative_to(root).parts[0],)


def refuse_same_titles(tasks: list[Task]) -> None:
    """Refuse tasks with the same title: a recording knows tasks by title, because ids differ in every run."""
    titles = Counter(task.title for task in tasks if task.type == "task" and task.status == "open")
    if repeated := [title for title, count in titles.items() if count > 1]:
        raise UsageProblem(
            f"several open tasks have the title {repeated[0]!r}, and recordings identify tasks by title",
            "Rename or close all but one of them.",
        )
