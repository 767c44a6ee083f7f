"""Writes a recording while agents work (``--cobbler-record``): recordings/files.py defines its files."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from pytest_cobbler.agents.base import AgentRequest, AgentResult
from pytest_cobbler.causes import Cause
from pytest_cobbler.display import named
from pytest_cobbler.errors import CobblerError, UsageProblem
from pytest_cobbler.files import write_atomically
from pytest_cobbler.recordings.files import (
    ANSWER,
    CHANGE,
    ERRORS,
    HEAD,
    PROMPT,
    RESULT,
    TRANSCRIPT,
    Head,
    RecordedResult,
    place_of,
    read_head,
    read_result,
    recorded_attempts,
)
from pytest_cobbler.recordings.names import RunNames
from pytest_cobbler.recordings.turns import Point
from pytest_cobbler.repository.landing import ExactPatch


def refuse_places(directory: Path, forbidden: Iterable[Path]) -> None:
    """Check that a recording is not in a directory that belongs to another program.

    Args:
        forbidden: directories of git, the tracker and the like.

    Raises:
        UsageProblem: it is one of them, or inside one of them.
    """
    for place in forbidden:
        if directory.is_relative_to(place.resolve()):
            raise UsageProblem(
                f"--cobbler-record {directory}: recordings cannot be kept in {place}",
                "Name a directory outside it, such as recordings/first.",
            )


def check_place(directory: Path, generation: str | None, *, plays: bool = False) -> None:
    """Make the directory of a recording, and check that it can be written, before anything is spent.

    Args:
        generation: the generation to record; ``None`` if it is not started yet.
        plays: whether this recording is also the one that is played; then only its prompts are written.

    Raises:
        UsageProblem: it is a file, cannot be written, or contains something else, such as another recording.
    """
    option = f"--cobbler-record {directory}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".cobbler-", dir=directory):
            pass
        entries = sorted(path.name for path in directory.iterdir())
    except (FileExistsError, NotADirectoryError):
        raise UsageProblem(f"{option}: a file is in the way", "Name a directory.") from None
    except OSError as error:
        raise UsageProblem(f"{option}: {error.strerror}", "Name a writable directory.") from None
    if entries and HEAD not in entries:
        raise UsageProblem(
            f"{option}: it contains other files: {named(entries, 5)}",
            "Name a new or empty directory, or one with a recording of this generation.",
        )
    head = read_head(directory) if entries else None
    if head and not plays and head.generation != generation and recorded_attempts(directory):
        raise UsageProblem(
            f"{option}: it contains the recording of another generation, {head.generation}",
            "Name a new directory, or remove that recording first.",
        )


class Recorder:
    """The recording of one generation; thread-safe.

    Runs that continue the generation add to the recording. A failed write does not stop the run or lose
    work: it is reported in ``failures``.
    """

    def __init__(
        self, directory: Path, generation: str, scrub: Callable[[str], str], names: RunNames | None = None
    ) -> None:
        self.failures: list[str] = []
        self._directory = directory
        self._scrub = scrub
        self._names = names or RunNames()
        self._lock = threading.Lock()
        head = read_head(directory) if (directory / HEAD).exists() else None
        if head and head.generation == generation:
            runs = 1 + sum(text.startswith("run ") for text in head.order)
            self._head = head.model_copy(update={"order": (*head.order, f"run {runs + 1}")})
        else:
            self._head = Head(generation=generation)
        self._write(directory / HEAD, self._head.as_text().encode())

    def note(self, point: Point) -> None:
        """Add a point to the order."""
        with self._lock:
            if point.verb == "land" and str(point) in self._head.order:
                return
            # A later attempt reuses the number of one that was not run.
            before = tuple(text for text in self._head.order if text != str(point))
            self._head = self._head.model_copy(update={"order": (*before, str(point))})
            self._write(self._directory / HEAD, self._head.as_text().encode())

    def begin(self, request: AgentRequest) -> None:
        """Record that an agent is about to start: all that is recorded of it if the run is killed."""
        recorded = RecordedResult(title=request.title, broken_off=Cause.INTERRUPTED)
        self._keep(
            place_of(request),
            {PROMPT: self._prompt(request), RESULT: recorded.as_text().encode("utf-8", "replace")},
        )

    def attempt(
        self,
        request: AgentRequest,
        result: AgentResult,
        *,
        change: bytes = b"",
        replaced: Sequence[str] = (),
        answer: bytes | None = None,
        withheld: str = "",
    ) -> None:
        """Keep the result of ``request``.

        Args:
            change: a patch from the attempt's start, without ``replaced``, to its end.
            answer: the file that a measure wrote.
            withheld: why there is neither, though the agent made something.
        """

        def plain(text: str) -> str:
            return self._names.steady(request, self._scrub(text))

        def copied(path: Path) -> bytes:
            text = path.read_bytes().decode("utf-8", "surrogateescape")
            return self._names.steady(request, text).encode("utf-8", "surrogateescape")

        recorded = RecordedResult.of(request.title, result)
        texts = {
            "error": plain(recorded.error),
            "doubt": plain(recorded.doubt),
            "text": plain(recorded.text),
            "replaced": tuple(replaced),
            "withheld": plain(withheld),
        }
        files = {
            PROMPT: self._prompt(request),
            RESULT: recorded.model_copy(update=texts).as_text().encode("utf-8", "replace"),
        }
        if change:
            files[CHANGE] = change
        if answer is not None:
            files[ANSWER] = answer
        try:
            for name, path in ((TRANSCRIPT, request.transcript), (ERRORS, request.errors)):
                if path.exists() and path.stat().st_size:
                    files[name] = copied(path)
        except OSError as error:
            self.failures.append(f"{place_of(request)}: {error}")
        self._keep(place_of(request), files)

    def break_off(
        self, place: PurePosixPath, cause: Cause, *, change: ExactPatch | None = None, withheld: str = ""
    ) -> None:
        """Mark a recorded attempt as broken off.

        Args:
            change: the change that was recovered, if the recording has none.
            withheld: why no change was recovered.
        """
        directory = self._directory / place
        try:
            recorded = read_result(directory, str(place))
        except CobblerError as error:
            self.failures.append(f"{place}: {error.cause}")
            return
        changes: dict[str, object] = {"broken_off": cause}
        if withheld:
            changes["withheld"] = withheld
        if change:
            changes["replaced"] = change.replaced
        with self._lock:
            if change and change.content:
                self._write(directory / CHANGE, change.content)
            self._write(
                directory / RESULT, recorded.model_copy(update=changes).as_text().encode("utf-8", "replace")
            )

    def has(self, place: PurePosixPath) -> bool:
        """Whether a file or directory is in the recording."""
        return (self._directory / place).exists()

    def _prompt(self, request: AgentRequest) -> bytes:
        return self._names.steady(request, self._scrub(request.prompt)).encode("utf-8", "replace")

    def _keep(self, place: PurePosixPath, files: Mapping[str, bytes]) -> None:
        with self._lock:
            directory = self._directory / place
            shutil.rmtree(directory, ignore_errors=True)
            for name, content in files.items():
                self._write(directory / name, content)

    def _write(self, path: Path, content: bytes) -> None:
        """Write a file atomically."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, content)
        except OSError as error:
            self.failures.append(f"{path}: {error.strerror}")
