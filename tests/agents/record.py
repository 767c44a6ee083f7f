"""Makes the samples in ``tests/data/claude``: ``python -m tests.agents.record``, with claude on PATH.

Each is the transcript of a real run against the scripted API, less the long lists in its first event.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_cobbler.agents.credential import Credential
from pytest_cobbler.sandbox.base import Limits
from tests.support.scripted_api import Line, ScriptedApi, always, error, hang, text, tool, turn
from tests.support.workplaces import KEY, Workplace, claude

SAMPLES = Path(__file__).parent.parent / "data" / "claude"
LOGIN = Credential(kind="oauth", value="sk-ant-oat01-recorded", source="the recording")
RESET = 4102444800
"""2100-01-01, in seconds."""

_KEPT = (
    "type",
    "subtype",
    "cwd",
    "session_id",
    "model",
    "permissionMode",
    "apiKeySource",
    "claude_code_version",
    "uuid",
)


@dataclass(frozen=True, kw_only=True)
class Scene:
    lines: Sequence[Line]
    arguments: tuple[str, ...] = ()
    prompt: str = "Write hello.txt"
    credential: Credential = KEY
    wall: float = 60.0


def _work(*then: Line) -> list[Line]:
    return [
        turn(text("I begin."), tool("Write", file_path="hello.txt", content="hello\n")),
        turn(tool("Bash", command="git status --short", description="Look")),
        *then,
    ]


_BACKGROUND = "python3 -c 'import time; time.sleep(1)'"
_LIMIT_HEADERS = {
    "anthropic-ratelimit-unified-status": "rejected",
    "anthropic-ratelimit-unified-reset": str(RESET),
    "anthropic-ratelimit-unified-representative-claim": "five_hour",
}

SCENES: Mapping[str, Scene] = {
    "success": Scene(lines=_work(turn(text("It is written.")))),
    "killed": Scene(lines=_work(hang()), wall=3.0),
    "background": Scene(
        lines=[
            turn(tool("Bash", command=_BACKGROUND, run_in_background=True)),
            turn(text("It is on its way.")),
            turn(text("It is there.")),
        ]
    ),
    "unauthorized": Scene(lines=[always(error(401, "invalid x-api-key"))]),
    "overloaded": Scene(lines=_work(always(error(529)))),
    "rate_limit": Scene(lines=[always(error(429, headers={"retry-after": "3600"}))]),
    "usage_limit": Scene(lines=[always(error(429, headers=_LIMIT_HEADERS))], credential=LOGIN),
    "no_credit": Scene(lines=[always(error(400, "Your credit balance is too low"))]),
    "max_turns": Scene(lines=_work(always(turn(text("more")))), arguments=("--max-turns", "2")),
    "budget": Scene(lines=_work(turn(text("more"))), arguments=("--max-budget-usd", "0.02")),
    "refusal": Scene(lines=[always(turn(text("No."), stop_reason="refusal"))]),
    "empty": Scene(lines=[always(turn())]),
    "interrupted": Scene(
        lines=[turn(tool("Bash", command="kill -INT $PPID; python3 -c 'import time; time.sleep(5)'"))]
    ),
}


def main() -> None:
    SAMPLES.mkdir(parents=True, exist_ok=True)
    for name, scene in SCENES.items():
        with tempfile.TemporaryDirectory() as directory:
            lines = _record(scene, Path(directory))
            place = directory.encode()
        sample = b"".join(_trimmed(line).replace(place, b"") + b"\n" for line in lines)
        (SAMPLES / f"{name}.jsonl").write_bytes(sample)


def _record(scene: Scene, directory: Path) -> list[bytes]:
    workplace = Workplace(directory)
    with ScriptedApi() as api:
        api.script(scene.prompt, scene.lines)
        agent = claude(api, *scene.arguments, credential=scene.credential)
        workplace.run(agent, scene.prompt, limits=Limits(wall=scene.wall))
    return workplace.transcript.read_bytes().splitlines()


def _trimmed(line: bytes) -> bytes:
    event = json.loads(line)
    if event.get("subtype") == "init":
        return json.dumps({key: event[key] for key in _KEPT}).encode()
    return line


if __name__ == "__main__":
    main()
