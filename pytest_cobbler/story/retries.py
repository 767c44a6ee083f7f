"""Attempts that were followed by others, in the form that JUnit reports of Surefire and Jenkins have."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement

from pytest_cobbler.display import escaped
from pytest_cobbler.story.model import Item

__all__ = ["add_flaky_tests", "add_retries"]


def add_retries(case: Element, item: Item, directory: str) -> None:
    """Add the attempts at an item that did not decide its outcome to its test case.

    They are ``flakyFailure`` if the item succeeded after all, else ``rerunFailure``.

    Args:
        directory: that of the generation, as the report names it.
    """
    useful, others = item.divided()
    earlier = others if useful else others[:-1]
    for attempt in earlier:
        if not (attempt.cause or attempt.summary):
            continue
        by = f" by {escaped(attempt.agent)}" if item.names_agents else ""
        what = f"attempt {attempt.number}{by}: {escaped(attempt.summary or attempt.cause)}"
        what += f" ({attempt.usage.cost_shown})" if attempt.usage.cost_shown and by else ""
        files = f"{directory}/attempts/{item.name}/{attempt.number}"
        _add(
            case,
            bool(useful),
            str(attempt.cause) or "unknown",
            attempt.summary or attempt.cause,
            f"{what}\n{files}",
        )


def add_flaky_tests(case: Element, tests: str) -> None:
    """Add the tests that failed and passed on the same files, in the gate of an item that landed."""
    message = f"failed and passed on the same files: {tests}"
    _add(case, True, "gate", message, escaped(message))


def _add(case: Element, is_flaky: bool, cause: str, message: str, trace: str) -> None:
    tag = "flakyFailure" if is_flaky else "rerunFailure"
    failure = SubElement(case, tag, message=escaped(message), type=cause)
    SubElement(failure, "stackTrace").text = trace
