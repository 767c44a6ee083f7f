"""Writes a recording while agents work (``--cobbler-record``): agents/recording.py has its form."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from pytest_cobbler.agents.base import AgentRequest, AgentResult
from pytest_cobbler.agents.recording import (
    ANSWER,
    ATTEMPTS,
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
    steady,
)
from pytest_cobbler.cycle.turns import Point
from pytest_cobbler.errors import UsageProblem


def check_place(directory: Path) -> None:
    """See that a recording can be written, before anything is spent; makes the directory.

    Raises:
        UsageProblem: it is a file, cannot be written, or holds something else.
    """
    option = f"--cobbler-record {directory}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".cobbler-", dir=directory):
            pass
        others = sorted(path.name for path in directory.iterdir())
    except (FileExistsError, NotADirectoryError):
        raise UsageProblem(f"{option}: there is a file in the way", "Name a directory.") from None
    except OSError as error:
        raise UsageProblem(f"{option}: {error.strerror}", "Name a directory that you can write.") from None
    if others and HEAD not in others:
        raise UsageProblem(
            f"{option}: it holds something else: {', '.join(others[:5])}",
            "Name a new or empty directory, or that of an earlier recording, which is replaced.",
        )
    if others:
        read_head(directory)


class Recorder:
    """The recording of one generation; thread-safe.

    Runs that go on with the generation add to it; the recording of another one is replaced. What cannot be
    written is no reason to lose what an agent did: it is among ``failures``.
    """

    def __init__(self, directory: Path, generation: str, scrub: Callable[[str], str]) -> None:
        self.failures: list[str] = []
        self._directory = directory
        self._scrub = scrub
        self._lock = threading.Lock()
        found = read_head(directory) if (directory / HEAD).exists() else None
        if found and found.generation == generation:
            self._head = found
        else:
            self._head = Head(generation=generation)
            for name in ATTEMPTS:
                shutil.rmtree(directory / name, ignore_errors=True)
        self._write(directory / HEAD, self._head.as_text().encode())

    def note(self, point: Point) -> None:
        """Add a point to the order."""
        with self._lock:
            if str(point) not in self._head.order:
                self._head = self._head.model_copy(update={"order": (*self._head.order, str(point))})
                self._write(self._directory / HEAD, self._head.as_text().encode())

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
        """Keep what came of ``request``, unless it was cancelled.

        Args:
            change: a patch from what the attempt started from, without ``replaced``, to what it left.
            answer: the file that a measure wrote.
            withheld: why there is neither, though something was made.
        """
        if result.completed.cause == "cancelled":
            return

        def plain(text: str) -> str:
            return steady(self._scrub(text), request.volatile)

        def copied(path: Path) -> bytes:
            text = path.read_bytes().decode("utf-8", "surrogateescape")
            return steady(text, request.volatile).encode("utf-8", "surrogateescape")

        recorded = RecordedResult.of(request.title, result)
        said = {
            "error": plain(recorded.error),
            "text": plain(recorded.text),
            "replaced": tuple(replaced),
            "withheld": plain(withheld),
        }
        files = {
            PROMPT: plain(request.prompt).encode("utf-8", "replace"),
            RESULT: recorded.model_copy(update=said).as_text().encode("utf-8", "replace"),
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
        with self._lock:
            directory = self._directory / place_of(request)
            shutil.rmtree(directory, ignore_errors=True)
            for name, content in files.items():
                self._write(directory / name, content)

    def _write(self, path: Path, content: bytes) -> None:
        """Whole or not at all."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_name(f".{path.name}.new")
            draft.write_bytes(content)
            draft.replace(path)
        except OSError as error:
            self.failures.append(f"{path}: {error.strerror}")
