"""The JUnit report of a session, as programs that show reports read it.

pytest writes it from node ids and outcomes. What it has no place for is added after it is written.
"""

from __future__ import annotations

import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from pytest_cobbler.config import Config
from pytest_cobbler.config.paths import repository_of
from pytest_cobbler.display import below, quoted
from pytest_cobbler.files import write_atomically
from pytest_cobbler.story.model import Item
from pytest_cobbler.story.retries import add_flaky_tests, add_retries

__all__ = ["CaseFacts", "complete_junit"]

_VERDICTS: Final = ("failure", "error", "skipped")


@dataclass(frozen=True, kw_only=True)
class CaseFacts:
    """What a test case gets beside its properties.

    The end of the ``transcript`` of its agents, its attempts, and the ``directory`` of the generation.
    """

    transcript: str
    item: Item | None
    directory: str


def complete_junit(
    config: pytest.Config, settings: Config, facts_of: Callable[[str], CaseFacts | None] = lambda _key: None
) -> None:
    """Let this session complete its report, if it writes one.

    Args:
        facts_of: called with the key of an item, ``stitch::ID`` or ``measure::NAME``, when all have ended.
    """
    if given := config.getoption("xmlpath", None):
        path = Path.cwd() / Path(os.path.expandvars(given)).expanduser()  # as pytest does
        config.pluginmanager.register(_Cases(path, settings, facts_of), "cobbler-junit")


class _Cases:
    """Completes each case of the report.

    A case has its title as the name, and the file that it is about: programs that show a report know a case
    by its name, and look for its file in this attribute.
    """

    def __init__(self, report: Path, settings: Config, facts_of: Callable[[str], CaseFacts | None]) -> None:
        self._report = report
        self._settings = settings
        self._facts_of = facts_of

    @pytest.hookimpl(wrapper=True, trylast=True)  # just around pytest's own writing
    def pytest_sessionfinish(self) -> Generator[None, object, object]:
        result = yield
        if self._report.is_file():
            self._rewrite()
        return result

    def _rewrite(self) -> None:
        tree = ElementTree.parse(self._report)
        file = below(self._settings.path, repository_of(self._settings.root))
        for case in tree.iter("testcase"):
            properties = {entry.get("name", ""): entry.get("value", "") for entry in case.iter("property")}
            if "cobbler_outcome" not in properties:
                continue
            task, name = properties.get("cobbler_task", ""), case.get("name", "")
            if facts := self._facts_of(f"stitch::{task}" if task else f"measure::{name}"):
                _complete(case, facts, properties)
            case.set("file", file)
            title = properties.get("cobbler_title", "")
            if self._settings.junit_name == "title" and title not in ("", name):
                case.set("name", f"{title} ({name})")
        text = ElementTree.tostring(tree.getroot(), encoding="utf-8", xml_declaration=True)
        write_atomically(self._report, text)


def _complete(case: ElementTree.Element, facts: CaseFacts, properties: dict[str, str]) -> None:
    """Add the cause as a type, attempts that were followed by others, and what the agent did last."""
    if cause := properties.get("cobbler_cause"):
        for verdict in case:
            if verdict.tag in _VERDICTS:
                verdict.set("type", cause)
    if facts.item:
        add_retries(case, facts.item, facts.directory)
    if properties["cobbler_outcome"] == "landed" and (flaky := properties.get("cobbler_flaky")):
        add_flaky_tests(case, flaky)
    transcript = quoted(facts.transcript)
    if not any(transcript in (output.text or "") for output in case.iter("system-out")):
        ElementTree.SubElement(case, "system-out").text = transcript
