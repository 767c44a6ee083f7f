"""The log is appended to, private, and holds no secret."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from pytest_cobbler.report.log import EventLog
from pytest_cobbler.secret_forms import Secrets


def read(work_dir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (work_dir / "log" / "events.jsonl").read_text().splitlines()]


def test_events_are_appended_for_the_owner_alone(tmp_path: Path) -> None:
    scrub = Secrets(["sk-ant-secret"]).scrub_text
    EventLog(tmp_path, {"run": "a"}, scrub).write("landing", {"item": "t-1", "commit": "c"})
    EventLog(tmp_path, {"run": "b"}, scrub).write("request", {"model": "x\nsk-ant-secret\x1b"})

    events = read(tmp_path)

    assert all(event.pop("time").endswith("Z") for event in events)
    assert events == [
        {"event": "landing", "run": "a", "item": "t-1", "commit": "c"},
        {"event": "request", "run": "b", "model": "x\n[credential]\x1b"},
    ]
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "log" / "events.jsonl").stat().st_mode & 0o777 == 0o600


def test_lines_of_several_writers_do_not_mix(tmp_path: Path) -> None:
    def write(name: str) -> None:
        log = EventLog(tmp_path, {}, str)
        for _ in range(50):
            log.write("request", {"model": name * 5000})

    threads = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(read(tmp_path)) == 150


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "events.jsonl").symlink_to(tmp_path / "elsewhere")
    log = EventLog(tmp_path, {}, str)
    log.write("landing", {})
    assert log.failure.startswith(f"cannot write {tmp_path}/log/events.jsonl: ")
    assert not (tmp_path / "elsewhere").exists()
