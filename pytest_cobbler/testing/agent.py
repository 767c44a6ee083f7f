"""A stand-in for an agent: a shell script, written step by step, that costs nothing."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Self

from pytest_cobbler.files import write_atomically
from pytest_cobbler.recordings.files import (
    ANSWER,
    CHANGE,
    ERRORS,
    RESULT,
    TRANSCRIPT,
    RecordedResult,
    read_head,
    read_result,
    recorded_attempts,
)

_HEAD = """\
#!/bin/sh
# Written by pytest-cobbler's stand-in agent.
set -eu

replace_once() {  # PATH OLD NEW
    text=$(cat -- "$1" && printf x)
    text=${text%x}
    before=${text%%"$2"*}
    if [ "$before" = "$text" ]; then
        printf 'stand-in agent: %s does not contain the text to be replaced\\n' "$1" >&2
        exit 1
    fi
    printf '%s' "$before$3${text#*"$2"}" >"$1"
}

attempt=${COBBLER_ATTEMPT:-1}
prompt=$(cat)
"""


class StandInAgent:
    """Does what a test tells it to, by phase, task title and attempt.

    It needs nothing but a POSIX shell and git, so it runs in any image and on the host. What it
    does is written to ``directory`` at each call; a run that has already begun keeps to what it began with.

    Use it as ``agent: command`` with ``agent_command`` set to :attr:`command`.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self._stitch: dict[str, dict[int, Script]] = {}
        self._measure: dict[tuple[int, int], MeasureScript] = {}
        self._otherwise = Script(self._store, self._write)
        self._always = Script(self._store, self._write)
        self._payloads = 0
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o755)
        self._write()

    @property
    def command(self) -> list[str]:
        """The value of ``agent_command``."""
        return ["sh", str(self.directory / "agent.sh")]

    @property
    def podman_arguments(self) -> list[str]:
        """What ``podman_args`` needs so that a container sees the script."""
        return ["-v", f"{self.directory}:{self.directory}:ro"]

    def measure(self, *, cycle: int | None = None, attempt: int = 1) -> MeasureScript:
        """The steps of one measure; without ``cycle``: of the cycle after the last one that has any.

        A measure without steps of its own answers ``[]``.
        """
        if cycle is None:
            cycle = 1 + max((cycle for cycle, _ in self._measure), default=0)
        return self._measure.setdefault((cycle, attempt), MeasureScript(self._store, self._write))

    def task(self, title: str, *, attempt: int = 1) -> Script:
        """The steps for the task ``title``, from ``attempt`` on until an attempt that has steps of its own.

        Attempts of a task are counted over all runs.
        """
        return self._stitch.setdefault(title, {}).setdefault(attempt, Script(self._store, self._write))

    def otherwise(self) -> Script:
        """The steps for any task that has none; without steps it changes nothing."""
        return self._otherwise

    def reports(self, **usage: Any) -> Self:
        """Let every run report this usage (see :meth:`Script.reports`), unless its steps report another."""
        self._always.reports(**usage)
        return self

    def replays(self, recording: Path) -> Self:
        """Do and say what was recorded by ``--cobbler-record``, whatever the prompts are.

        Steps of your own come after the recorded ones. A task or a further attempt that was not recorded
        fails and names the file that is missing; a measure that was not answers ``[]``.

        Raises:
            CobblerError: there is no recording, or it cannot be read.
        """
        read_head(recording)
        last: dict[str, Path] = {}
        for directory in recorded_attempts(recording):
            number, recorded = int(directory.name), read_result(directory, str(directory))
            if directory.parent.parent.name == "measure":
                cycle = int(directory.parent.name.removeprefix("cycle-"))
                self.measure(cycle=cycle, attempt=number)._plays(directory, recorded)
            else:
                self.task(recorded.title, attempt=number)._plays(directory, recorded)
                last[recorded.title] = directory
        for title, directory in last.items():
            lacking = directory.with_name(str(int(directory.name) + 1)) / RESULT
            self.task(title, attempt=int(directory.name) + 1)._lacks(str(lacking))
        self._otherwise._lacks(str(recording / "stitch"))
        return self

    def _store(self, content: bytes) -> str:
        self._payloads += 1
        path = self.directory / f"file-{self._payloads}"
        path.write_bytes(content)
        path.chmod(0o644)
        return shlex.quote(str(path))

    def _write(self) -> None:
        content = self._text().encode("utf-8", "surrogateescape")
        # A shell that is reading the old script goes on with it.
        write_atomically(self.directory / "agent.sh", content, mode=0o755)

    def _text(self) -> str:
        return "".join(
            [
                _HEAD,
                self._always.lines(),
                'case "${COBBLER_PHASE:-}" in\nmeasure)\n',
                _case(
                    '"${COBBLER_TASK_ID:-}:$attempt"',
                    {
                        f"cycle-{cycle}:{number}": steps.lines()
                        for (cycle, number), steps in self._measure.items()
                    },
                    "printf '[]\\n' >\"$COBBLER_OUTPUT\"\n",
                ),
                ";;\n*)\n",
                _case(
                    '"${COBBLER_TASK_TITLE:-}"',
                    {title: self._by_attempt(scripts) for title, scripts in self._stitch.items()},
                    self._otherwise.lines(),
                ),
                ";;\nesac\n",
            ]
        )

    def _by_attempt(self, scripts: Mapping[int, Script]) -> str:
        branches = [
            f'if [ "$attempt" -ge {number} ]; then\n{scripts[number].lines()}'
            for number in sorted(scripts, reverse=True)
        ]
        return "el".join(branches) + f"else\n{self._otherwise.lines()}fi\n"


def _case(word: str, branches: Mapping[str, str], default: str) -> str:
    lines = [f"{shlex.quote(value)})\n{body};;\n" for value, body in branches.items()]
    return f"case {word} in\n{''.join(lines)}*)\n{default};;\nesac\n"


@dataclass(eq=False)
class Script:
    """Steps that are taken one after the other; the first that fails ends the agent with its exit status.

    Relative paths start at the worktree. Every step returns the script, so that steps can be chained.
    """

    _store: Callable[[bytes], str]
    _changed: Callable[[], None]
    _steps: list[str] = field(default_factory=list)

    def lines(self) -> str:
        """The steps as shell commands."""
        return "".join(f"{step}\n" for step in self._steps or [":"])

    def writes(self, path: str, content: str | bytes) -> Self:
        """Write a file, with the directories it needs."""
        return self._redirects(path, content, ">")

    def appends(self, path: str, content: str | bytes) -> Self:
        """Add to the end of a file, which need not exist."""
        return self._redirects(path, content, ">>")

    def edits(self, path: str, old: str, new: str) -> Self:
        """Replace the first ``old`` in a text file; fails when there is none."""
        if not old:
            raise ValueError("the text to be replaced is empty")
        return self._step(f"replace_once {_path(path)} {shlex.quote(old)} {shlex.quote(new)}")

    def deletes(self, path: str) -> Self:
        """Remove a file, or a directory with all that is in it; fails when there is none."""
        return self._step(f"rm -r -- {_path(path)}")

    def runs(self, command: str) -> Self:
        """Run shell commands in the worktree, in a shell of their own; standard input has the prompt."""
        return self._step(f"printf '%s\\n' \"$prompt\" | sh -c {shlex.quote(command)}")

    def commits(self, message: str) -> Self:
        """Commit everything with git, as some agents do unasked."""
        identity = "-c user.name=stand-in -c user.email=stand-in@example.invalid -c commit.gpgsign=false"
        return self._step(f"git add -A\ngit {identity} commit -q -m {shlex.quote(message)}")

    def sleeps(self, seconds: float) -> Self:
        return self._step(f"sleep {seconds}")

    def prints(self, text: str) -> Self:
        """Print a line to standard output: the transcript."""
        return self._step(f"printf '%s\\n' {shlex.quote(text)}")

    def reports(
        self,
        *,
        cost_usd: float = 0.0,
        tokens_input: int = 0,
        tokens_output: int = 0,
        tokens_cache_read: int = 0,
        tokens_cache_write: int = 0,
        turns: int = 1,
        model: str = "stand-in",
        text: str = "Done.",
        error: str = "",
    ) -> Self:
        """Print the result line of the stream-json format: what the run cost, and its last words."""
        usage = {
            "input_tokens": tokens_input,
            "output_tokens": tokens_output,
            "cache_read_input_tokens": tokens_cache_read,
            "cache_creation_input_tokens": tokens_cache_write,
        }
        of_model = {
            "inputTokens": tokens_input,
            "outputTokens": tokens_output,
            "cacheReadInputTokens": tokens_cache_read,
            "cacheCreationInputTokens": tokens_cache_write,
            "costUSD": cost_usd,
        }
        result = {
            "type": "result",
            "subtype": "success",
            "is_error": bool(error),
            "terminal_reason": "api_error" if error else "completed",
            "result": error or text,
            "num_turns": turns,
            "total_cost_usd": cost_usd,
            "usage": usage,
            "modelUsage": {model: of_model},
            "session_id": "stand-in",
        }
        return self.prints(json.dumps(result))

    def fails(self, status: int = 1) -> Self:
        """End with this exit status; steps after it are not taken."""
        return self._step(f"exit {status}")

    def _plays(self, attempt: Path, recorded: RecordedResult) -> None:
        """The steps of a recorded attempt."""

        def stored(name: str) -> str:
            path = attempt / name
            return self._store(path.read_bytes()) if path.exists() else "/dev/null"

        if recorded.withheld:
            self._complains(f"{attempt} cannot be played: {recorded.withheld}").fails()
        for path in recorded.replaced:
            self._step(f"rm -f -- {_path(path)}")
        if (attempt / CHANGE).exists():
            self._step(f"git apply --whitespace=nowarn {stored(CHANGE)}")
        if (attempt / ANSWER).exists():
            self._step(f'cat {stored(ANSWER)} >"$COBBLER_OUTPUT"')
        self._step(f"cat {stored(TRANSCRIPT)}\ncat {stored(ERRORS)} >&2")
        if error := recorded.error or recorded.broken_off:
            self._complains(error.removeprefix("agent: ")).fails(recorded.status or 1)

    def _lacks(self, file: str) -> None:
        self._complains(f"this attempt was not recorded: there is no {file}").fails()

    def _complains(self, text: str) -> Self:
        return self._step(f"printf '%s\\n' {shlex.quote(text)} >&2")

    def _redirects(self, path: str, content: str | bytes, operator: str) -> Self:
        payload = self._store(
            content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape")
        )
        parent = PurePosixPath(path).parent
        return self._step(f"mkdir -p -- {_path(str(parent))}\ncat {payload} {operator}{_path(path)}")

    def _step(self, line: str) -> Self:
        self._steps.append(line)
        self._changed()
        return self


class MeasureScript(Script):
    """Steps of a measure, which answers by a file."""

    def writes_tasks(self, tasks: Sequence[Mapping[str, Any]]) -> Self:
        """Answer with these proposals: ``index``, ``title``, ``description``, ``dependency`` and so on.

        What is missing is filled in: the position as ``index``, the title as ``description``. When the prompt
        says that one of them is there already, the answer is ``[]``, so that a second run proposes nothing
        twice; :meth:`writes_output` has no such scruples.
        """
        proposals = [
            {"index": position, "description": task.get("title", ""), **task}
            for position, task in enumerate(tasks)
        ]
        payload = self._store((json.dumps(proposals, indent=2, ensure_ascii=False) + "\n").encode())
        known = "|".join(_in_prompts(str(task.get("title", ""))) for task in tasks) or "''"
        return self._step(
            f'case "$prompt" in\n{known}) printf \'[]\\n\' ;;\n*) cat {payload} ;;\nesac >"$COBBLER_OUTPUT"'
        )

    def writes_output(self, content: str | bytes) -> Self:
        """Answer with exactly this."""
        payload = self._store(
            content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape")
        )
        return self._step(f'cat {payload} >"$COBBLER_OUTPUT"')


def _in_prompts(title: str) -> str:
    """Shell patterns for a prompt that lists a task, as ``ID: TITLE`` or, in a user's template, as JSON."""
    line = shlex.quote(f": {title}\n")
    entry = shlex.quote(f'"title": {json.dumps(title, ensure_ascii=False)}')
    return f"*{line}*|*{entry}*"


def _path(path: str) -> str:
    return shlex.quote(path if path.startswith("/") else f"./{path}")
