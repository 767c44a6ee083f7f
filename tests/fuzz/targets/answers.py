"""Answers of a measure: refused with sentences, or turned into tasks that a store keeps.

An input is an object: ``answer``, the file that the agent wrote (text, or a value that is written as JSON);
``existing``, the titles of the present tasks; ``limit``, how many tasks may be created.
"""

from __future__ import annotations

import json
import os.path
import re
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from pytest_cobbler.cycle.proposals import (
    Limits,
    Proposal,
    ProposalProblem,
    Proposals,
    parse,
    select,
    to_new_tasks,
)
from pytest_cobbler.tracker.base import NewTask, Task, check_batch
from pytest_cobbler.tracker.issue import Issue
from tests.fuzz.target import Target, to_bytes, to_text

LIMITS = Limits(size=20_000, tasks=12, title=200, description=200, items=5, item=50)
"""Small ones, so that inputs reach them."""
_KEYS = ("index", "title", "description", "dependency", "dependencies", "files", "acceptance")
_WORDS = (
    *_KEYS,
    *(
        "```json\n",
        "\n```",
        "\ufeff",
        "[",
        "]",
        "{",
        "}",
        "[]",
        '[{"index":0,"title":"a","description":"b"}]',
    ),
    *(
        "../x",
        "/etc/passwd",
        "a/../b",
        "..",
        "a/../../x",
        "./a",
        "Add it",
        "add it.",
        "\uff21dd it",
        "x" * 201,
        "y" * 201,
    ),
    *("-1", "null", "NaN", "1e999", "true", "\u200b", "\u2066", "\x85", "\r\n", "\t"),
)
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 5)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(_WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_WORDS), inner, max_size=3),
    max_leaves=4,
)
_INDEXES = st.integers(-1, 5)
_LONG = st.builds(
    lambda text, times: text * times, st.sampled_from("a é漢🦀"), st.sampled_from([50, 200, 201])
)
"""Characters of one byte to four, about as many as may be."""
_TITLES = st.text(min_size=1, max_size=5) | st.sampled_from(_WORDS) | _LONG
_LIKELY = st.fixed_dictionaries(
    {"index": st.integers(0, 5), "title": _TITLES, "description": st.text(min_size=1, max_size=5) | _LONG},
    optional={
        "dependency": _INDEXES | st.none(),
        "dependencies": st.lists(_INDEXES, max_size=3),
        "files": st.lists(st.text(max_size=5) | st.sampled_from(_WORDS), max_size=2),
        "acceptance": st.lists(st.text(max_size=5), max_size=2),
    },
)
_STRANGE = st.dictionaries(st.sampled_from(_KEYS), _JSON, max_size=7) | _JSON
INPUTS = st.fixed_dictionaries(
    {
        "answer": st.lists(_LIKELY, max_size=6)
        | st.lists(_LIKELY | _STRANGE, max_size=4)
        | st.binary(max_size=40).map(to_text)
        | _JSON,
        "existing": st.lists(_TITLES, max_size=2),
        "limit": st.integers(0, 7),
    }
)


def run(data: Any) -> None:
    if not isinstance(data, dict):
        return
    answer, limit = data.get("answer"), data.get("limit")
    raw = to_bytes(answer) if isinstance(answer, str) else json.dumps(answer).encode()
    titles = data.get("existing")
    existing = [
        Task(id=f"x-{number}", title=title, status="closed")
        for number, title in enumerate(titles if isinstance(titles, list) else ())
        if isinstance(title, str)
    ]
    try:
        proposals = parse(raw, existing, LIMITS)
    except ProposalProblem as problem:
        check_refusal(problem.errors, answer, existing)
        return
    check_accepted(proposals, raw, existing)
    check_order(proposals)
    check_selection(proposals, limit if type(limit) is int and 0 <= limit <= 1_000 else 3)
    check_tasks(to_new_tasks(proposals, "generation-x", "team"))


def check_refusal(errors: Sequence[str], answer: Any, existing: Sequence[Task]) -> None:
    """Each error is a sentence in one line; good answers are not refused."""
    assert errors
    for error in errors:
        assert error.endswith("."), error
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", error), error
        error.encode()
        assert len(error) < 20_000
    assert answer not in ([], "[]")
    assert not is_plainly_good(answer, existing), errors


def is_plainly_good(answer: Any, existing: Sequence[Task]) -> bool:
    """Whether every reader accepts the answer: different plain words, and needs of earlier tasks alone."""
    if not isinstance(answer, list) or len(answer) > LIMITS.tasks:
        return False
    titles = {"".join(re.findall("[a-z]", task.title.casefold())) for task in existing}
    indexes: set[int] = set()
    for entry in answer:
        if not isinstance(entry, dict) or not entry.keys() <= {
            "index",
            "title",
            "description",
            "dependencies",
        }:
            return False
        index, title, text = entry.get("index"), entry.get("title"), entry.get("description")
        needs = entry.get("dependencies", [])
        is_good = (
            all(isinstance(part, str) and re.fullmatch("[a-z]{1,9}", part) for part in (title, text))
            and title not in titles
            and type(index) is int
            and 0 <= index < 100
            and index not in indexes
            and isinstance(needs, list)
            and all(type(need) is int and need in indexes for need in needs)
        )
        if not is_good:
            return False
        titles.add(str(title))
        indexes.add(int(index or 0))
    return True


def check_accepted(proposals: Proposals, raw: bytes, existing: Sequence[Task]) -> None:
    """What was accepted is what the answer says, within all limits."""
    text = raw.decode().removeprefix("\ufeff")
    entries = json.loads(text[text.index("[") : text.rindex("]") + 1])
    assert [proposal.index for proposal in proposals] == [entry["index"] for entry in entries]
    assert [proposal.title for proposal in proposals] == [entry["title"] for entry in entries]
    assert len(proposals) <= LIMITS.tasks
    indexes = {proposal.index for proposal in proposals}
    assert len(indexes) == len(proposals)
    plain = {proposal.title.strip().casefold() for proposal in proposals}
    assert len(plain) == len(proposals)
    assert plain.isdisjoint(task.title.strip().casefold() for task in existing)
    for proposal in proposals:
        check_proposal(proposal)
        assert set(proposal.needs) <= indexes - {proposal.index}


def check_proposal(proposal: Proposal) -> None:
    assert len(proposal.title.strip()) > 0
    assert len(proposal.title) <= LIMITS.title
    assert len(proposal.description.strip()) > 0
    assert len(proposal.description) <= LIMITS.description
    assert max(len(proposal.files), len(proposal.acceptance)) <= LIMITS.items
    for text in (*proposal.files, *proposal.acceptance):
        assert len(text.strip()) > 0
        assert len(text) <= LIMITS.item
        assert len(text.splitlines()) == 1
    for path in proposal.files:
        inside = os.path.normpath(os.path.join("/tree", path))  # noqa: PTH118 - by the words alone
        assert inside == "/tree" or inside.startswith("/tree/"), path


def check_order(proposals: Proposals) -> None:
    """There is an order in which each task comes after its needs."""
    waiting, done = list(proposals), set[int]()
    while waiting:
        ready = [proposal for proposal in waiting if set(proposal.needs) <= done]
        assert ready, "they wait for each other"
        done |= {proposal.index for proposal in ready}
        waiting = [proposal for proposal in waiting if proposal.index not in done]


def check_selection(proposals: Proposals, limit: int) -> None:
    selected, remaining = select(proposals, limit)
    indexes = {proposal.index for proposal in selected}
    assert len(selected) <= limit
    assert all(set(proposal.needs) <= indexes for proposal in selected)
    assert [proposal for proposal in proposals if proposal.index in indexes] == list(selected)
    assert {*selected, *remaining} == {*proposals}
    assert len(selected) + len(remaining) == len(proposals)
    assert not remaining or len(proposals) > limit
    assert selected or not (limit and proposals)


def check_tasks(tasks: Sequence[NewTask]) -> None:
    """A store takes the tasks, and gives them back as they are."""
    check_batch(tasks)
    for task in tasks:
        kept = Issue.model_validate_json(
            json.dumps({"id": "x-1", "title": task.title, "description": task.description})
        ).task()
        assert (kept.title, kept.description) == (task.title, task.description)
        assert task.labels == ("generation-x", "team")


TARGET = Target(name="answers", inputs=INPUTS, run=run, words=_WORDS, steps=(5_000, 60))
