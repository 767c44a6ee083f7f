"""The report of a run that was killed: the next run writes it, from the journal.

A run writes its JUnit file when it ends, and SIGKILL or a power cut leaves no time for that. What had landed
by then is in git; what was paid for and did not land must not be missing from the reports either.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pytest_cobbler.causes import Cause
from pytest_cobbler.display import below, counted, escaped
from pytest_cobbler.files import read_tail, write_atomically
from pytest_cobbler.story.fold import read_story
from pytest_cobbler.story.model import Item, Run
from pytest_cobbler.story.retries import add_retries
from pytest_cobbler.tracker.base import Task

__all__ = ["report_killed_run"]

_SKIPPED = ("blocked", "limited", "cancelled")
_KILLED = "the run was killed"


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
    run = read_story(journal).run
    items = [item for item in run.items.values() if item.began is not None] if run else []
    if run is None or run.is_over or not items:
        return []
    titles = {task.id: task.title for task in tasks}
    path = journal.with_name(f"junit-{run.id}.xml")
    try:
        write_atomically(
            path,
            ElementTree.tostring(
                _document(run, items, titles, configuration, below(directory, root)), encoding="utf-8"
            ),
        )
    except OSError as error:
        return [f"the report of a run that was killed cannot be written: {error.strerror}: {path}"]
    cut_off = sum(not item.outcome for item in items)
    ended = counted(len(items) - cut_off, "item")
    return [f"a run that was killed: {ended} had ended, {cut_off} had not; report: {below(path, root)}"]


def _document(
    run: Run, items: Sequence[Item], titles: Mapping[str, str], configuration: str, directory: str
) -> ElementTree.Element:
    suites = ElementTree.Element("testsuites", name="pytest tests")
    suite = ElementTree.SubElement(
        suites,
        "testsuite",
        name="pytest",
        tests=str(len(items)),
        errors=str(sum(not item.outcome for item in items)),
        failures=str(sum(item.outcome == "failed" for item in items)),
        skipped=str(sum(item.outcome in _SKIPPED for item in items)),
        time=f"{run.last - run.began:.3f}",
        timestamp=datetime.fromtimestamp(run.began, UTC).isoformat(),
    )
    for item in items:
        kind, name = item.kind, item.name
        title = titles.get(name)
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname=f"{configuration}.{kind}",
            name=f"{escaped(title)} ({name})" if title else name,
            file=configuration,
            time=f"{(item.ended or run.last) - (item.began or run.last):.3f}",
        )
        properties = ElementTree.SubElement(case, "properties")
        task = name if kind == "stitch" else ""
        facts = {
            "task": task,
            "outcome": item.outcome,
            "cause": item.cause,
            "commit": item.commit,
            "run": run.id,
        }
        for fact, value in facts.items():
            if value:
                ElementTree.SubElement(properties, "property", name=f"cobbler_{fact}", value=escaped(value))
        if not item.outcome:
            ElementTree.SubElement(case, "error", message=_KILLED, type=Cause.INTERRUPTED)
        elif item.outcome == "failed":
            ElementTree.SubElement(case, "failure", message=escaped(item.summary), type=item.cause)
        elif item.outcome in _SKIPPED:
            ElementTree.SubElement(case, "skipped", message=escaped(item.summary), type=item.cause)
        add_retries(case, item, directory)
    return suites
