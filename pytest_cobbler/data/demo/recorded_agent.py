"""Plays a recording as if it were an agent: prints what an agent prints, changes what an agent changes.

It takes its orders as any ``agent_command`` does, and finds ``recording.json`` in its own directory.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
MODEL = "recording"
PAUSE = 0.15
"""Seconds between steps: an agent would need longer."""

PATIENCE = 20.0
"""Seconds that another agent is waited for."""

Step = Mapping[str, Any]


class Failure(Exception):
    """The recording does not fit what is there."""


class Player:
    """One attempt; ``prompt`` is what it was told."""

    def __init__(self, prompt: str) -> None:
        self._prompt = prompt
        self._began = time.monotonic()
        self._turns = 0
        self._written = 0
        self._said = ""

    def play(self, steps: Sequence[Step]) -> bool:
        """Take the steps; whether all of them could be taken."""
        self._print({"type": "system", "subtype": "init", "cwd": str(Path.cwd()), "model": MODEL})
        failure = ""
        try:
            for step in steps:
                time.sleep(PAUSE)
                self._take(step)
        except Failure as error:
            failure = str(error)
        self._print_result(failure)
        return not failure

    def _take(self, step: Step) -> None:
        match step:
            case {"say": text}:
                self._said = text
                self._message({"type": "text", "text": text})
            case {"read": path}:
                self._use("Read", {"file_path": path}, Path(path).read_text(encoding="utf-8"))
            case {"write": path, "content": content}:
                self._write(path, content)
                self._use("Write", {"file_path": path, "content": content}, "written")
            case {"edit": path, "old": old, "new": new}:
                self._edit(path, old, new)
                self._use("Edit", {"file_path": path, "old_string": old, "new_string": new}, "edited")
            case {"propose": tasks}:
                self._propose(tasks)
            case {"prompt": text}:
                if text not in self._prompt:
                    raise Failure(f"the prompt does not say: {text}")
            case {"meet": titles}:
                meet(titles)
            case _:
                raise Failure(f"the recording has an unknown step: {step}")

    def _write(self, path: str, content: str) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(content, encoding="utf-8")

    def _edit(self, path: str, old: str, new: str) -> None:
        text = Path(path).read_text(encoding="utf-8")
        if old not in text:
            raise Failure(f"{path} does not hold what is to be replaced")
        self._write(path, text.replace(old, new, 1))

    def _propose(self, tasks: Sequence[Step]) -> None:
        output = os.environ["COBBLER_OUTPUT"]
        content = json.dumps(tasks, indent=2)
        self._write(output, content)
        self._use("Write", {"file_path": output, "content": content}, "written")

    def _use(self, tool: str, arguments: Step, answer: str) -> None:
        use = f"toolu_{self._turns}"
        self._message({"type": "tool_use", "id": use, "name": tool, "input": arguments})
        result = {"type": "tool_result", "tool_use_id": use, "content": answer}
        self._print({"type": "user", "message": {"role": "user", "content": [result]}})

    def _message(self, block: Step) -> None:
        self._turns += 1
        self._written += len(json.dumps(block))
        message = {"id": f"msg_{self._turns}", "role": "assistant", "model": MODEL, "content": [block]}
        self._print({"type": "assistant", "message": message})

    def _print_result(self, failure: str) -> None:
        """The last line. Nobody counted tokens: four characters are taken for one."""
        tokens_in, tokens_out = len(self._prompt) // 4, self._written // 4
        of_model = {"inputTokens": tokens_in, "outputTokens": tokens_out, "costUSD": 0.0}
        self._print(
            {
                "type": "result",
                "subtype": "success",
                "is_error": bool(failure),
                "result": failure or self._said,
                "duration_ms": round((time.monotonic() - self._began) * 1000),
                "num_turns": self._turns,
                "total_cost_usd": 0.0,
                "usage": {"input_tokens": tokens_in, "output_tokens": tokens_out},
                "modelUsage": {MODEL: of_model},
            }
        )

    def _print(self, event: Step) -> None:
        print(json.dumps(event), flush=True)  # noqa: T201


def meet(titles: Sequence[str]) -> None:
    """Say that this task's agent has begun, and wait for those of the others."""
    place = HERE / "meeting"
    place.mkdir(exist_ok=True)
    (place / os.environ["COBBLER_TASK_TITLE"]).touch()
    deadline = time.monotonic() + PATIENCE
    while not all((place / title).exists() for title in titles) and time.monotonic() < deadline:
        time.sleep(0.02)


def steps_for(recording: Mapping[str, Any], environment: Mapping[str, str], prompt: str) -> Sequence[Step]:
    """What was recorded for this phase, task and attempt."""
    tasks: Mapping[str, Sequence[Sequence[Step]]] = recording["tasks"]
    if environment["COBBLER_PHASE"] == "measure":
        measure: Sequence[Step] = recording["measure"]
        known = all(title in prompt for title in tasks)
        return [{"say": "All of it is done or proposed."}, {"propose": []}] if known else measure
    attempts = tasks.get(environment["COBBLER_TASK_TITLE"])
    if attempts is None:
        return [{"say": "There is no recording of this task, so nothing is changed."}]
    return attempts[min(int(environment["COBBLER_ATTEMPT"]), len(attempts)) - 1]


def main() -> int:
    prompt = sys.stdin.read()
    recording = json.loads((HERE / "recording.json").read_text(encoding="utf-8"))
    return 0 if Player(prompt).play(steps_for(recording, os.environ, prompt)) else 1


if __name__ == "__main__":
    sys.exit(main())
