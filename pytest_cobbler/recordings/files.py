"""The work of agents, as plain files that can be committed and played again (docs/recordings.md)."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
)

from pytest_cobbler.agents.base import AgentRequest, AgentResult
from pytest_cobbler.causes import Cause, Ending
from pytest_cobbler.display import one_line
from pytest_cobbler.errors import CobblerError, UsageProblem
from pytest_cobbler.sandbox.base import Completed
from pytest_cobbler.usage import Usage

__all__ = [
    "ANSWER",
    "ATTEMPTS",
    "CHANGE",
    "ERRORS",
    "HEAD",
    "PROMPT",
    "RESULT",
    "TRANSCRIPT",
    "Head",
    "RecordedResult",
    "RecordingError",
    "broken_off_attempts",
    "difference",
    "order_of",
    "place_of",
    "place_of_measure",
    "place_of_task",
    "read_head",
    "read_result",
    "recorded_attempts",
]

HEAD = "recording.json"
ATTEMPTS = ("measure", "stitch")
"""The directories of a recording; nothing else in it is changed."""

PROMPT, ANSWER, CHANGE, RESULT = "prompt.md", "tasks.json", "change.patch", "result.json"
TRANSCRIPT, ERRORS = "transcript.jsonl", "stderr.txt"


class RecordingError(CobblerError):
    """A recording is damaged, or lacks something that is needed."""


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    def as_text(self) -> str:
        return json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"


def _point(text: str) -> str:
    if not re.fullmatch(r"(begin|land) stitch/[a-z0-9-]+/[1-9][0-9]*|run [1-9][0-9]*", text):
        raise ValueError(f"{text!r} is not 'begin' or 'land' of stitch/<task>/<number>, nor 'run <number>'")
    return text


def _once_each(order: tuple[str, ...]) -> tuple[str, ...]:
    twice = [point for point, count in Counter(order).items() if count > 1]
    if twice:
        raise ValueError(f"{twice[0]!r} appears twice")
    return order


class Head(_File):
    """The file ``recording.json``.

    ``order`` is the order in which attempts began and landings ended: ``begin`` or ``land``, a space, the
    directory of the attempt. Where another run continued, it has ``run``, a space, a number.
    """

    format: Literal["pytest-cobbler recording"] = "pytest-cobbler recording"
    version: Literal[1] = 1
    generation: str
    order: Annotated[tuple[Annotated[str, AfterValidator(_point)], ...], AfterValidator(_once_each)] = ()


_USAGE = (
    "turns",
    "tokens_input",
    "tokens_output",
    "tokens_cache_read",
    "tokens_cache_write",
    "cost_usd",
    "cost_is_partial",
    "seconds",
    "model",
)
"""The fields of a ``Usage`` that a recording has."""


def _known_usage(value: object) -> object:
    if isinstance(value, Mapping) and (unknown := sorted(value.keys() - set(_USAGE))):
        raise ValueError(f"{unknown[0]!r} is not a field of a usage")
    return value


def _as_read(usage: Usage) -> Usage:
    return replace(usage, seconds=usage.seconds or None, model=one_line(usage.model))


def _as_written(usage: Usage) -> dict[str, object]:
    written = {name: getattr(usage, name) for name in _USAGE} | {"seconds": usage.seconds or 0.0}
    if not usage.cost_is_partial:  # which older versions do not know
        del written["cost_is_partial"]
    return written


def _breaks_off(cause: Cause) -> Cause:
    if cause not in ("", Cause.CANCELLED, Cause.INTERRUPTED, Cause.LANDING):
        raise ValueError(f"{cause!s} does not break off an attempt")
    return cause


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts:
        raise ValueError(f"{path!r} is not in a worktree")
    return path


class RecordedResult(_File):
    """The file ``result.json``: how one attempt of an agent ended.

    ``broken_off`` is why it was interrupted, if it was. ``replaced`` are files that had conflict markers; the
    change contains them as new files. ``withheld`` is why an existing change or answer is not in the
    recording.
    """

    title: str
    broken_off: Annotated[Cause, AfterValidator(_breaks_off)] = Cause.NONE
    cause: Ending = Ending.EXITED
    status: int = 0
    seconds: float = 0.0
    error: str = ""
    doubt: str = ""
    limited: bool = False
    limited_until: datetime | None = None
    limit_passes: bool = False
    limit_is_claimed: bool = False
    refused: Cause = Cause.NONE
    text: str = ""
    session: str = ""
    usage: Annotated[
        Usage, BeforeValidator(_known_usage), AfterValidator(_as_read), PlainSerializer(_as_written)
    ] = Field(default_factory=Usage)
    replaced: tuple[Annotated[str, AfterValidator(_inside)], ...] = ()
    withheld: str = ""

    @classmethod
    def of(cls, title: str, result: AgentResult) -> RecordedResult:
        """The part of ``result`` that is recorded."""
        completed = result.completed
        return cls(
            title=title,
            broken_off=Cause.CANCELLED if completed.cause == Ending.CANCELLED else Cause.NONE,
            cause=completed.cause,
            status=completed.status,
            seconds=round(completed.seconds, 3),
            error=result.error,
            doubt=result.doubt,
            limited=result.limited or result.is_out_of_money,
            limited_until=result.limited_until,
            limit_passes=result.limit_passes,
            limit_is_claimed=result.limit_is_claimed,
            refused=result.refused,
            text=result.text,
            session=result.session_id,
            usage=result.usage,
        )

    def repeated(self, completed: Completed) -> AgentResult:
        """The recorded result, with the duration of ``completed``."""
        played = Completed(
            status=self.status, cause=self.cause, seconds=completed.seconds, stderr=completed.stderr
        )
        return AgentResult(
            completed=played,
            error=self.error,
            doubt=self.doubt,
            limited=self.limited,
            limited_until=self.limited_until,
            limit_passes=self.limit_passes,
            limit_is_claimed=self.limit_is_claimed,
            refused=self.refused,
            usage=self.usage,
            text=self.text,
            session_id=self.session,
        )


# Places


def place_of(request: AgentRequest) -> PurePosixPath:
    """The directory of an attempt, relative to its recording."""
    number = _number_of(request)
    if request.phase == "measure":
        return place_of_measure(request.task_id) / number
    return place_of_task(request.title) / number


def _number_of(request: AgentRequest) -> str:
    """The number of the attempt over all runs; its directory has this name."""
    number = request.transcript.parent.name
    return number if number.isdigit() else str(request.attempt)


def place_of_measure(name: str) -> PurePosixPath:
    """The directory of a measure."""
    return PurePosixPath("measure", name)


def place_of_task(title: str) -> PurePosixPath:
    """The directory of a task. It depends on the title, because ids differ in every run.

    ``Add the store`` becomes ``add-the-store``. If more than that is lost, a hash is added, so that no two
    titles share a directory.
    """
    words = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60].strip("-")
    if words.replace("-", " ").capitalize() != title:
        words = f"{words}-{hashlib.sha256(title.encode('utf-8', 'replace')).hexdigest()[:8]}".lstrip("-")
    return PurePosixPath("stitch", words)


def recorded_attempts(recording: Path) -> list[Path]:
    """The directories of all attempts."""
    attempts = [path for kind in ATTEMPTS for path in recording.glob(f"{kind}/*/*") if path.name.isdigit()]
    return sorted(attempts, key=lambda path: (path.parent, int(path.name)))


def broken_off_attempts(recording: Path) -> dict[str, Cause]:
    """Directory of an attempt -> why its run ended in it, if the recording continues with another run.

    An unreadable attempt is left out here; it fails when it is played.
    """
    causes: dict[str, Cause] = {}
    attempts = recorded_attempts(recording)
    last = {path.parent: int(path.name) for path in attempts}
    for path in attempts:
        place = str(path.relative_to(recording))
        if int(path.name) == last[path.parent]:
            continue
        with contextlib.suppress(RecordingError):
            recorded = read_result(path, place)
            limit = (recorded.refused or Cause.LIMITED) if recorded.limited else Cause.NONE
            if cause := recorded.broken_off or limit:
                causes[place] = cause
    return causes


def order_of(recording: Path) -> tuple[str, ...]:
    """The order in which the recorded attempts began and landed.

    Raises:
        UsageProblem: as ``read_head``; or a name in the order is wrong.
    """
    order = read_head(recording).order
    recorded = {path.parent for path in recorded_attempts(recording) if path.parents[1].name == "stitch"}
    points = [text for text in order if not text.startswith("run ")]
    named = {text: (recording / text.partition(" ")[2]).parent for text in points}
    unknown = [text for text, task in named.items() if not task.is_dir()]
    if unknown and (without := sorted(task.name for task in recorded - set(named.values()))):
        raise UsageProblem(
            f"{recording / HEAD}: order: {unknown[0]!r} names a task that was not recorded, "
            f"and stitch/{without[0]} is not in the order",
            "Fix the name, or record it again.",
        )
    return tuple(text for text in order if text not in unknown)


def read_head(recording: Path) -> Head:
    """The head of the recording in a directory.

    Raises:
        UsageProblem: there is no recording, or this version cannot read it.
    """
    path = recording / HEAD
    links = [entry for entry in (recording, *recording.rglob("*")) if entry.is_symlink()]
    if links:
        raise UsageProblem(f"a recording must not contain links: {links[0]}", "Remove it, or record again.")
    try:
        return _read(path, Head)
    except FileNotFoundError:
        raise UsageProblem(
            f"there is no recording in {recording}: no {HEAD}",
            f"Make one: pytest --cobbler-generate --cobbler-record {recording}",
        ) from None
    except RecordingError as error:
        raise UsageProblem(
            error.cause, "Fix it, or record it again with this version.", error.evidence
        ) from error


def read_result(attempt: Path, shown: str) -> RecordedResult:
    """How a recorded attempt ended.

    Args:
        shown: its directory, for error messages.

    Raises:
        RecordingError: there is no such attempt. The message names the file.
    """
    try:
        return _read(attempt / RESULT, RecordedResult)
    except FileNotFoundError:
        raise RecordingError(f"this attempt was not recorded: there is no {shown}/{RESULT}") from None


_F = TypeVar("_F", bound=_File)


def _read(path: Path, kind: type[_F]) -> _F:
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        [first, *_] = error.errors(include_url=False)
        where = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        raise RecordingError(f"{path} cannot be read: {where + ': ' if where else ''}{message}") from error


# Prompts


_OUTPUT = re.compile(r"(<(output(?:-\d+)?)>\n).*?(\n</\2>)", re.DOTALL)
_LEFT = re.compile(r"\n# What earlier attempts left in git\n.*?</left-work(?:-\d+)?>\n", re.DOTALL)
_TIMES = re.compile(r"\b\d+(?:\.\d+)? ?(?:ms|s|seconds)\b")


def difference(recorded: str, prompt: str, name: str) -> str:
    """A unified diff from the recorded prompt to ``prompt``; empty if both ask for the same.

    The output of programs (the gate's, in a further attempt), their durations, and what earlier attempts left
    in their own git, which is not recorded, are not compared.
    """
    old, new = (
        _TIMES.sub("[time]", _LEFT.sub("", _OUTPUT.sub(r"\1[output]\3", text))) for text in (recorded, prompt)
    )
    lines = difflib.unified_diff(
        old.splitlines(), new.splitlines(), f"{name} (recorded)", "prompt (now)", lineterm="", n=2
    )
    return "\n".join(lines)
