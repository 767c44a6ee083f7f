"""A recording as the agent: repeats its changes and its messages, costs nothing."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Literal

from pytest_cobbler.agents.access import Access
from pytest_cobbler.agents.base import AgentError, AgentRequest, AgentResult
from pytest_cobbler.agents.launch import Program, launch, trial
from pytest_cobbler.agents.streams.claude import ClaudeReader
from pytest_cobbler.causes import Ending
from pytest_cobbler.process import Cancellation
from pytest_cobbler.recordings.files import (
    PROMPT,
    RecordedResult,
    RecordingError,
    difference,
    place_of,
    read_head,
    read_result,
    recorded_attempts,
)
from pytest_cobbler.recordings.names import RunNames
from pytest_cobbler.sandbox.base import Mount, Network, Sandbox
from pytest_cobbler.sandbox.probes import Probe

__all__ = ["ReplayAgent"]

_REMEDY = (
    "If the new prompt is intended, add --cobbler-record {recording} to record it, "
    "or set recording_prompts: ignore."
)


_NOT_FITTING = "The files differ from those in the recording; record it again."


class ReplayAgent:
    """Plays the recording in the directory ``recording``, without a network.

    An attempt that cannot be played (not recorded, a change that does not apply, another prompt) ends with an
    error, after which there is no further attempt.

    Args:
        root: the top of the repository; messages name files relative to it.
        names: names in prompts that differ in this run.
        prompts: whether a prompt that differs from the recorded one is an error, is ignored, or replaces the
            recorded one.
    """

    def __init__(
        self,
        recording: Path,
        *,
        root: Path,
        prompts: Literal["check", "ignore", "accept"] = "check",
        names: RunNames | None = None,
    ) -> None:
        self._recording = recording
        self._root = root
        self._prompts = prompts
        self._names = names or RunNames()

    @property
    def description(self) -> str:
        return f"agent: replay of {self._shown(self._recording)} (its costs are shown, not incurred)"

    @property
    def secrets(self) -> tuple[str, ...]:
        return ()

    @property
    def proxied(self) -> bool:
        return False

    def preflight(self, sandbox: Sandbox) -> None:
        self.probe(sandbox).run(sandbox)

    def probe(self, sandbox: Sandbox) -> Probe:
        read_head(self._recording)
        return trial(
            sandbox,
            Access(),
            ("git", "--version"),
            "Check that the image has sh and git, which play a recording.",
        )

    def _shown(self, path: Path) -> str:
        return str(path.relative_to(self._root)) if path.is_relative_to(self._root) else str(path)

    def run(self, request: AgentRequest, sandbox: Sandbox, cancellation: Cancellation) -> AgentResult:
        attempt = self._recording / place_of(request)
        try:
            recorded = read_result(attempt, self._shown(attempt))
            self._check(recorded, request, attempt)
            self._check_end(recorded, attempt)
            return self._play(recorded, attempt, request, sandbox, cancellation)
        except RecordingError as error:
            raise AgentError(f"agent: {error.cause}", error.remedy, error.evidence) from error

    def _check_end(self, recorded: RecordedResult, attempt: Path) -> None:
        """Check that a later attempt follows if this one was broken off."""
        attempts = [path for path in recorded_attempts(self._recording) if path.parent == attempt.parent]
        if recorded.broken_off and not any(int(path.name) > int(attempt.name) for path in attempts):
            raise RecordingError(
                f"the recording ends in this attempt, which was broken off ({recorded.broken_off})",
                "Continue the recorded generation with --cobbler-record to record what follows.",
            )

    def _check(self, recorded: RecordedResult, request: AgentRequest, attempt: Path) -> None:
        if recorded.withheld:
            raise RecordingError(f"this attempt cannot be played: {recorded.withheld}")
        path, prompt = attempt / PROMPT, self._names.steady(request, request.prompt)
        if self._prompts == "accept":
            path.write_text(prompt, encoding="utf-8")
        if self._prompts != "check":
            return
        remedy = _REMEDY.format(recording=self._shown(self._recording))
        try:
            differs = difference(path.read_text(encoding="utf-8"), prompt, self._shown(path))
        except FileNotFoundError:
            cause = f"the prompt was not recorded: there is no {self._shown(path)}"
            raise RecordingError(cause, remedy) from None
        except (OSError, ValueError) as error:
            raise RecordingError(f"{self._shown(path)} cannot be read: {error}") from error
        if differs:
            raise RecordingError(f"the prompt differs from {self._shown(path)}", remedy, differs)

    def _play(
        self,
        recorded: RecordedResult,
        attempt: Path,
        request: AgentRequest,
        sandbox: Sandbox,
        cancellation: Cancellation,
    ) -> AgentResult:
        script = resources.files("pytest_cobbler").joinpath("data/replay.sh").read_text("utf-8")
        program = Program(
            argv=("sh", "-c", script, "replay", str(attempt), *recorded.replaced),
            reader=ClaudeReader,
            stdin=b"",
            environment={"COBBLER_OUTPUT": str(request.output)} if request.output else {},
        )
        offline = replace(
            request,
            worktree=request.checkout,  # where its patch begins
            directory="",
            network=Network.NONE,
            account=None,
            health=None,
            mounts=(*request.mounts, Mount(source=attempt, target=str(attempt))),
        )
        launched = launch(program, Access(), offline, sandbox, cancellation)
        completed = launched.completed
        if completed.cause == Ending.CANCELLED:
            return launched.result("cancelled")
        if not completed.ok:
            raise RecordingError(
                f"{self._shown(attempt)} does not apply to the files", _NOT_FITTING, completed.stderr
            )
        return recorded.repeated(completed)
