"""The report of a run that was killed: the next run writes it, from the journal.

A run writes its JUnit file when it ends, and SIGKILL or a power cut leaves no time for that. What had landed
by then is in git; what was paid for and did not land must not be missing from the reports either.
"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pytest_cobbler.display import below, counted, escaped
from pytest_cobbler.files import read_tail, write_atomically
from pytest_cobbler.tracker.base import Task

__all__ = ["report_killed_run"]

_SKIPPED = ("blocked", "limited", "cancelled")
_KILLED = "the run was killed"


@dataclass
class _Item:
    """An item of the killed run; ``outcome`` is empty if the run was killed while it worked."""

    began: datetime
    outcome: str = ""
    summary: str = ""
    commit: str = ""
    ended: datetime | None = None

    def end(self, time: datetime, outcome: str, summary: str = "", commit: str = "") -> None:
        self.ended, self.outcome, self.summary, self.commit = time, outcome, summary, commit


@dataclass
class _Run:
    id: str
    began: datetime
    last: datetime
    items: dict[str, _Item] = field(default_factory=dict)


def report_killed_run(directory: Path, tasks: Iterable[Task], configuration: str, root: Path) -> list[str]:
    """Write the JUnit file of the last run of a generation, if that run did not reach its end.

    Args:
        directory: that of the generation's journal; the file is written beside the journal.
        tasks: have the titles.
        configuration: the name of the configuration file, which is in the names of the items.
        root: the directory to which the path in the returned line is relative.

    Returns:
        a line for people, or nothing if the last run ended, or had not begun an item.
    """
    journal = directory / "journal.jsonl"
    if '"event": "end"' in read_tail(journal, 200).rpartition("\n{")[2]:
        return []
    run = _last_run(journal)
    if run is None or not run.items:
        return []
    titles = {task.id: task.title for task in tasks}
    path = journal.with_name(f"junit-{run.id}.xml")
    try:
        write_atomically(path, ElementTree.tostring(_document(run, titles, configuration), encoding="utf-8"))
    except OSError as error:
        return [f"the report of a run that was killed cannot be written: {error.strerror}: {path}"]
    cut_off = sum(not item.outcome for item in run.items.values())
    ended = counted(len(run.items) - cut_off, "item")
    return [f"a run that was killed: {ended} had ended, {cut_off} had not; report: {below(path, root)}"]


def _last_run(journal: Path) -> _Run | None:
    """The items of the last run; ``None`` if it reached its end, or nothing can be read."""
    run: _Run | None = None
    for event in _events(journal):
        time, kind = datetime.fromisoformat(event["time"]), event["event"]
        if kind == "run":
            run = _Run(event["run"], time, time)
        elif kind == "end":
            run = None
        elif run is not None:
            run.last = time
            _take(run.items, event, time)
    return run


def _take(items: dict[str, _Item], event: Mapping[str, Any], time: datetime) -> None:
    kind, task, measure = event["event"], event.get("task", ""), event.get("item", "")
    if kind == "claim":
        items[f"stitch::{task}"] = _Item(time)
    elif kind == "measure":
        items.setdefault(f"measure::{measure}", _Item(time))
    elif kind == "proposed" and (item := items.get(f"measure::{measure}")):
        item.end(time, "proposed")
    elif kind == "land" and (item := items.get(f"stitch::{task}")):
        item.end(time, "landed", commit=event["commit"])
    elif kind == "release" and (item := items.get(f"stitch::{task}")):
        item.end(time, event["outcome"], event.get("summary", ""))


def _events(journal: Path) -> Iterable[Mapping[str, Any]]:
    """The events that can be read: the last line may be cut off."""
    try:
        lines = journal.read_bytes().splitlines()
    except OSError:
        return
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and "time" in event and "event" in event:
            yield event


def _document(run: _Run, titles: Mapping[str, str], configuration: str) -> ElementTree.Element:
    suites = ElementTree.Element("testsuites", name="pytest tests")
    suite = ElementTree.SubElement(
        suites,
        "testsuite",
        name="pytest",
        tests=str(len(run.items)),
        errors=str(sum(not item.outcome for item in run.items.values())),
        failures=str(sum(item.outcome == "failed" for item in run.items.values())),
        skipped=str(sum(item.outcome in _SKIPPED for item in run.items.values())),
        time=f"{(run.last - run.began).total_seconds():.3f}",
        timestamp=run.began.isoformat(),
    )
    for key, item in run.items.items():
        kind, _, name = key.partition("::")
        title = titles.get(name)
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname=f"{configuration}.{kind}",
            name=f"{escaped(title)} ({name})" if title else name,
            time=f"{((item.ended or run.last) - item.began).total_seconds():.3f}",
        )
        properties = ElementTree.SubElement(case, "properties")
        task = name if kind == "stitch" else ""
        facts = {"task": task, "outcome": item.outcome, "commit": item.commit, "run": run.id}
        for fact, value in facts.items():
            if value:
                ElementTree.SubElement(properties, "property", name=f"cobbler_{fact}", value=escaped(value))
        if not item.outcome:
            ElementTree.SubElement(case, "error", message=_KILLED)
        elif item.outcome == "failed":
            ElementTree.SubElement(case, "failure", message=escaped(item.summary))
        elif item.outcome in _SKIPPED:
            ElementTree.SubElement(case, "skipped", message=escaped(item.summary))
    return suites
