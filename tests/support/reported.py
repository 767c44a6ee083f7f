"""A made-up generation: repository, journal and transcripts as runs leave them, of any size and content."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest_cobbler
from pytest_cobbler.config import Config, load
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.wiring.project import open_repository

GENERATION = "generation-2026-11-29-10-00-00"
BEGAN = datetime(2026, 11, 29, 10, 0, tzinfo=UTC).timestamp()

CONFIGURATION = """\
sandbox: none
agent: command
agent_command: ["true"]
tracker: embedded
language: none
build_command: "true"
test_command: "true"
jobs: 4
"""

Texts = Callable[[str], str]


@dataclass(frozen=True, kw_only=True)
class MadeUp:
    """A generation of ``tasks`` tasks, of which some are tried ``again``.

    ``transcript`` is the size of each one in bytes; ``text`` changes each text of an agent, ``path`` each
    path.
    """

    tasks: int = 12
    jobs: int = 4
    transcript: int = 4_000
    again: bool = True
    text: Texts = str
    path: Texts = str
    seed: int = 1
    generator: random.Random = field(default_factory=lambda: random.Random(1))

    def make(self, directory: Path) -> tuple[Config, Repository]:
        """The project in ``directory``."""
        root = directory / "project"
        root.mkdir(parents=True)
        (root / "configuration.yaml").write_text(f"{CONFIGURATION}work_dir: {directory / 'work'}\n")
        _git(root, "init", "--quiet", "--initial-branch=main")
        for name, value in (("user.name", "Test"), ("user.email", "test@example.invalid")):
            _git(root, "config", name, value)
        _git(root, "add", ".")
        _git(root, "commit", "--quiet", "-m", "First commit")
        home = root / ".cobbler" / GENERATION
        home.mkdir(parents=True)
        items = [self._item(number) for number in range(self.tasks)]
        commits = _import(root, [item for item in items if item["landed"]])
        events = list(self._events(items, commits))
        events.sort(key=lambda event: event["time"])
        lines = [json.dumps({**event, "time": _time(event["time"])}) for event in events]
        (home / "journal.jsonl").write_text("".join(f"{line}\n" for line in lines))
        for item in items:
            self._attempts(home, item)
        config = load(root / "configuration.yaml")
        return config, open_repository(config)

    def _item(self, number: int) -> dict[str, Any]:
        name = f"t-{number:03}"
        needs = [f"t-{number - 3:03}"] if number % 4 == 3 else []
        failed = number % 6 == 4
        words = self.generator.choice(["Count", "Parse", "Print", "Sort", "Check"])
        what = self.generator.choice(["words of a file", "dates", "the totals", "names", "the input"])
        return {
            "name": name,
            "title": self.text(f"{words} {what} ({number})"),
            "needs": needs,
            "landed": not failed,
            "attempts": 2 if self.again and (failed or number % 5 == 1) else 1,
            "path": self.path(f"src/module_{number}.py"),
            "code": _code(number, self.text),
            "agent": self.generator.uniform(20, 90),
            "gate": self.generator.uniform(5, 15),
        }

    # -- the journal

    def _events(
        self, items: Sequence[Mapping[str, Any]], commits: Mapping[str, str]
    ) -> Iterator[dict[str, Any]]:
        plan = [
            {
                "key": f"stitch::{item['name']}",
                "title": item["title"],
                "needs": [f"stitch::{need}" for need in item["needs"]],
                "effort": 60.0,
            }
            for item in items
        ]
        yield {
            "time": BEGAN,
            "event": "run",
            "run": "1a2b3c4d",
            "jobs": self.jobs,
            "limits": {"budget_usd": 20.0},
        }
        yield {
            "time": BEGAN,
            "event": "session",
            "command": "pytest --cobbler-generate --cobbler-jobs 4",
            "versions": {"pytest-cobbler": "0.1.0", "pytest": "9.0.0", "python": "3.13.1"},
            "agent": "agent: claude 2.1.330, model claude-sonnet-4-5",
            "sandbox": "podman 5.4, image python:3.13",
            "image": "sha256:" + "5" * 64,
            "gate": "build, test",
            "settings": {"jobs": self.jobs, "budget_usd": 20.0},
        }
        yield {"time": BEGAN + 0.1, "event": "plan", "items": plan}
        free, lane, ended = [BEGAN + 1.0] * self.jobs, BEGAN, dict[str, float]()
        for item in items:
            slot = min(range(self.jobs), key=free.__getitem__)
            start = max([free[slot], *(ended.get(need, 0.0) for need in item["needs"])])
            name, at = item["name"], start
            yield {"time": at, "event": "claim", "task": name}
            for attempt in range(1, item["attempts"] + 1):
                last = attempt == item["attempts"]
                usage = {
                    "cost_usd": 0.01 * item["agent"],
                    "turns": 12,
                    "model": "claude-sonnet-4-5",
                    "tokens": {"input": 1000, "output": 2500, "cache_read": 90_000, "cache_write": 8_000},
                }
                yield {
                    "time": at + 0.5,
                    "event": "attempt",
                    "task": name,
                    "attempt": attempt,
                    "worktree": "/work",
                }
                at += item["agent"]
                yield {
                    "time": at,
                    "event": "agent",
                    "task": name,
                    "attempt": attempt,
                    "seconds": item["agent"],
                    "usage": usage,
                }
                yield {"time": at, "event": "harvest", "task": name, "attempt": attempt, "files": 2}
                yield {"time": at + 0.2, "event": "attempt-end", "task": name, "attempt": attempt}
                yield {"time": at + 0.2, "event": "queue", "task": name, "attempt": attempt}
                free[slot] = at + 0.2
                lane = max(lane, at + 0.2)
                yield {"time": lane, "event": "lane", "task": name}
                yield {"time": lane + 0.1, "event": "merge", "task": name, "tip": "a" * 40, "tree": "b" * 40}
                lane += item["gate"]
                passed = last and item["landed"]
                yield {
                    "time": lane,
                    "event": "gate",
                    "task": name,
                    "tree": "b" * 40,
                    "passed": passed,
                    "seconds": item["gate"],
                    "tests": "12 passed" if passed else "1 failed, 11 passed",
                    "summary": "" if passed else "test failed (exit 1)",
                }
                at = lane
                if not passed:
                    why = self.text("gate: FAILED tests/test_words.py::test_total - assert 3 == 4")
                    yield {
                        "time": at,
                        "event": "not-landed",
                        "task": name,
                        "attempt": attempt,
                        "cause": "gate",
                        "summary": why,
                    }
            ended[name] = at
            lane += 0.2
            key = f"stitch::{name}"
            if item["landed"]:
                yield {"time": at + 0.1, "event": "land", "task": name, "commit": commits[name]}
                yield {
                    "time": at + 0.1,
                    "event": "item",
                    "key": key,
                    "outcome": "landed",
                    "commit": commits[name],
                }
            else:
                yield {
                    "time": at + 0.1,
                    "event": "release",
                    "task": name,
                    "outcome": "failed",
                    "summary": self.text("gate: test failed"),
                }
                yield {
                    "time": at + 0.1,
                    "event": "item",
                    "key": key,
                    "outcome": "failed",
                    "cause": "gate",
                    "summary": self.text("gate: FAILED tests/test_words.py::test_total - assert 3 == 4"),
                }
        yield {"time": max([lane, *free]) + 1, "event": "end", "exit": 1}

    # -- the files of attempts

    def _attempts(self, home: Path, item: Mapping[str, Any]) -> None:
        for attempt in range(1, item["attempts"] + 1):
            place = home / "attempts" / item["name"] / str(attempt)
            place.mkdir(parents=True)
            (place / "prompt.md").write_text(self.text(f"# {item['title']}\n\nDo it well.\n"))
            (place / "gate.log").write_text(
                self.text("FAILED tests/test_words.py::test_total\n1 failed, 11 passed\n")
            )
            (place / "change.patch").write_text(_patch(item))
            result = {
                "task": item["name"],
                "title": item["title"],
                "session": "0f0e",
                "notes": [self.text("one note")],
            }
            (place / "result.json").write_text(json.dumps(result))
            (place / "transcript.jsonl").write_text(
                "".join(f"{json.dumps(event)}\n" for event in self._steps(item))
            )

    def _steps(self, item: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        size, number = 0, 0
        yield {
            "type": "system",
            "subtype": "init",
            "cwd": "/work",
            "model": "claude-sonnet-4-5",
            "session_id": "0f0e",
        }
        while size < self.transcript:
            number += 1
            time = _time(BEGAN + 10 * number)
            words = self.text(f"Now I look at {item['path']}: {self._prose(2)}")
            output = self.text(self._prose(25))
            command = {
                "command": self.text(f"sed -n {number},99p /work/{item['path']}"),
                "description": "Look",
            }
            call: dict[str, Any] = {"type": "tool_use", "id": f"toolu_{self._id()}", "name": "Bash"}
            call["input"] = {"command": command, "description": "Look"}
            message: dict[str, Any] = {"id": f"msg_{self._id()}", "type": "message", "role": "assistant"}
            message |= {"model": "claude-sonnet-4-5", "stop_reason": None}
            message["usage"] = {**USAGE, "cache_read_input_tokens": 900 * number}
            result: dict[str, Any] = {"type": "tool_result", "tool_use_id": call["id"], "content": output}
            result["is_error"] = number % 7 == 0
            told = {"stdout": output, "stderr": "", "interrupted": False, "isImage": False}
            events: list[dict[str, Any]] = [
                {"type": "assistant", "message": {**message, "content": [{"type": "text", "text": words}]}},
                {"type": "assistant", "message": {**message, "content": [call]}},
                {"type": "user", "message": {"role": "user", "content": [result]}, "tool_use_result": told},
            ]
            for event in events:
                event |= {
                    "parent_tool_use_id": None,
                    "session_id": "0f0e",
                    "uuid": self._id(),
                    "timestamp": time,
                }
                size += len(json.dumps(event))
                yield event
        yield {"type": "result", "subtype": "success", "result": self.text("Done."), "session_id": "0f0e"}

    def _id(self) -> str:
        return f"{self.generator.getrandbits(128):032x}"

    def _prose(self, lines: int) -> str:
        """Lines of a program, as agents read and print them."""
        start = self.generator.randrange(len(SOURCE) - lines)
        return "\n".join(SOURCE[start : start + lines])


SOURCE = [
    line
    for path in sorted(Path(pytest_cobbler.__file__).parent.rglob("*.py"))
    for line in path.read_text("utf-8").split("\n")
]
USAGE = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 700,
    "output_tokens": 1,
    "service_tier": "standard",
}


def _code(number: int, text: Texts) -> str:
    head = f'"""Module {number}."""\n\n\ndef count(words: str) -> int:\n'
    return f"{head}    # {text('a comment')}\n    return len(words.split()) + {number}\n"


def _patch(item: Mapping[str, Any]) -> str:
    path, lines = item["path"], item["code"].split("\n")[:-1]
    added = "".join(f"+{line}\n" for line in lines)
    head = f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n"
    return f"{head}@@ -0,0 +1,{len(lines)} @@\n{added}"


def _import(root: Path, items: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Make the generation branch with a commit for each item; return the commits by the tasks' ids."""
    branch = f"refs/heads/{GENERATION}"
    parts = [f"reset {branch}\nfrom refs/heads/main\n\n".encode()]
    for item in items:
        title = " ".join(item["title"].split()) or "untitled"
        trailers = {
            "Cobbler-Task": item["name"],
            "Cobbler-Generation": GENERATION,
            "Cobbler-Attempt": item["attempts"],
            "Cobbler-Run": "1a2b3c4d",
        }
        block = "".join(f"{name}: {value}\n" for name, value in trailers.items())
        path = json.dumps(item["path"], ensure_ascii=False).encode()
        parts.append(f"commit {branch}\ncommitter Test <test@example.invalid> 1790000000 +0000\n".encode())
        parts += [_data(f"{title}\n\n{block}"), b"M 100644 inline " + path + b"\n", _data(item["code"])]
    subprocess.run(["git", "fast-import", "--quiet"], cwd=root, input=b"".join(parts), check=True)
    log = _git(root, "rev-list", "--reverse", f"main..{GENERATION}").split()
    return {item["name"]: commit for item, commit in zip(items, log, strict=True)}


def _data(text: str) -> bytes:
    content = text.encode()
    return b"data %d\n%s\n" % (len(content), content)


def _git(root: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True).stdout


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
