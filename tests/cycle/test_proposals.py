"""Answers of a measure are checked and become tasks."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cobbler.cycle.proposals import (
    Limits,
    Proposal,
    ProposalProblem,
    Proposals,
    normalised,
    parse,
    select,
    to_new_tasks,
)
from pytest_cobbler.tracker.base import Task, check_batch


def entry(index: int, title: str = "", **more: Any) -> dict[str, Any]:
    return {"index": index, "title": title or f"Task number {index}", "description": "Do it."} | more


def parsed(*entries: Any, existing: list[Task] | None = None, limits: Limits | None = None) -> Proposals:
    return parse(json.dumps(entries).encode(), existing or [], limits or Limits())


def errors(*entries: Any, existing: list[Task] | None = None, limits: Limits | None = None) -> list[str]:
    with pytest.raises(ProposalProblem) as raised:
        parsed(*entries, existing=existing, limits=limits)
    return raised.value.errors


def errors_of(raw: bytes) -> list[str]:
    with pytest.raises(ProposalProblem) as raised:
        parse(raw)
    return raised.value.errors


def chain(*needs: tuple[int, ...]) -> Proposals:
    return tuple(
        Proposal(index=index, title=f"T{index}", description="d", dependencies=needed)
        for index, needed in enumerate(needs)
    )


# parse


def test_an_empty_array_proposes_nothing() -> None:
    assert parse(b"[]") == ()


def test_entries_are_read_in_their_order() -> None:
    first, second = parsed(
        entry(5, "One", files=["a.py"], acceptance=["it runs"], priority="high"),
        entry(2, "Two", dependency=5),
    )
    assert (first.index, first.title, first.files, first.acceptance) == (5, "One", ("a.py",), ("it runs",))
    assert second.needs == (5,)


@pytest.mark.parametrize(
    ("written", "minutes"),
    [
        (30, 30),
        (0.5, 1),
        (10_000, 10_000),
        (0, 0),
        (-5, 0),
        (10_001, 0),
        (1e400, 0),
        ("30", 0),
        (True, 0),
        (None, 0),
        ([30], 0),
    ],
)
def test_an_estimate_that_cannot_be_used_is_left_out(written: object, minutes: int) -> None:
    (proposal,) = parsed(entry(1, estimated_minutes=written))
    assert proposal.estimated_minutes == minutes
    assert to_new_tasks([proposal], "generation-1")[0].minutes == minutes


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"dependency": -1},
        {"dependency": None},
        {"dependencies": []},
        {"dependencies": None},
        {"dependencies": [-1]},
    ],
)
def test_no_dependency_can_be_written_in_several_forms(more: dict[str, Any]) -> None:
    assert parsed(entry(0), entry(1, **more))[1].needs == ()


def test_both_dependency_keys_are_combined() -> None:
    assert parsed(entry(0), entry(1), entry(2, dependency=1, dependencies=[1, 0, 0]))[2].needs == (1, 0)


@pytest.mark.parametrize(
    "fence",
    ["```json\n{}\n```", "\n```\n{}```\n", "\ufeff{}", "\ufeff```JSON\n{}\n```", "```json\r\n{}\r\n```\r\n"],
)
def test_a_fence_or_a_byte_order_mark_is_tolerated(fence: str) -> None:
    assert len(parse(fence.format(json.dumps([entry(0)])).encode())) == 1


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", "The file is empty. Write a JSON array; `[]` if there is nothing to propose."),
        (b" \n", "The file is empty. Write a JSON array; `[]` if there is nothing to propose."),
        (b"{}", "The file holds an object. Write a JSON array of objects, one for each task."),
        (b"null", "The file holds null. Write a JSON array of objects, one for each task."),
        (
            b'[\n{"index": 0,}]',
            "The file is not JSON: Illegal trailing comma before end of object (line 2, column 12). "
            "Write one JSON array and nothing else.",
        ),
        (b"[\xff]", "The file is not UTF-8 (byte 1). Write it as UTF-8."),
        (b"[" + b"9" * 5000 + b"]", "The file is not readable JSON. Write one plain JSON array."),
        (b"[" * 100_000, "The file is not readable JSON. Write one plain JSON array."),
        (
            b"[" + b" " * 8_000_000 + b"]",
            "The file has 8,000,002 bytes, more than 8,000,000. "
            "Propose fewer tasks, with shorter descriptions.",
        ),
        (b"[0" + b",0" * 10_000 + b"]", "The array has 10001 tasks, more than 10000. Propose fewer."),
    ],
)
def test_an_answer_that_is_not_a_list_of_tasks_is_refused(raw: bytes, expected: str) -> None:
    [message] = errors_of(raw)
    # the wording of json's own messages differs between versions of Python
    assert message == expected or ("JSON:" in expected and message.startswith("The file is not JSON: "))


def test_all_errors_are_reported_together() -> None:
    assert errors(
        {"title": "No index", "description": "d"},
        entry(1, "Wrong types", files="a.py", dependency="0", acceptance=[1, 2]),
        {"index": True, "title": 3},
        "a string",
    ) == [
        'Entry 1 of the array ("No index") has no "index". Give a whole number from 0 to 1,000,000.',
        'Task 1 ("Wrong types") has a wrong "dependency". Give the index of another task, -1 or null.',
        'Task 1 ("Wrong types") has a wrong "files". Give a list of paths.',
        'Task 1 ("Wrong types") has a wrong "acceptance". Give a list of strings.',
        'Entry 3 of the array has a wrong "index". Give a whole number from 0 to 1,000,000.',
        'Entry 3 of the array has a wrong "title". Give a string.',
        'Entry 3 of the array has no "description". Give a string.',
        "Entry 4 of the array is a string. Write an object with index, title and description.",
    ]


def test_an_index_used_twice_is_an_error() -> None:
    assert errors(entry(1, "One"), entry(1, "Two"), entry(3)) == [
        'The index 1 belongs to 2 tasks: "One", "Two". Give each an index of its own.'
    ]


def test_empty_and_overlong_texts_are_refused() -> None:
    messages = errors(
        entry(0, " "),
        entry(1, "x" * 201),
        entry(2, description=" \n"),
        entry(3, description="y" * 20_001),
        entry(4, files=["f"] * 101),
        entry(5, acceptance=["", "z" * 1_001]),
    )
    assert messages == [
        "Task 0 has an empty title. Give 1 to 200 characters.",
        f'Task 1 ("{"x" * 77}...") has a title of 201 characters, more than 200. Shorten it.',
        'Task 2 ("Task number 2") has an empty description. Give 1 to 20,000 characters.',
        'Task 3 ("Task number 3") has a description of 20,001 characters, more than 20,000. Shorten it.',
        'Task 4 ("Task number 4") has 101 entries in "files", more than 100. Split the task.',
        'Task 5 ("Task number 5") has an entry in "acceptance" that is empty or over 1,000 characters. '
        "Fix it.",
    ]


def test_a_title_that_no_tracker_keeps_is_refused() -> None:
    [message] = errors(entry(0, "漢" * 167))
    assert message.endswith("has a title of 501 bytes in UTF-8, more than 500. Shorten it.")
    check_batch(to_new_tasks(parsed(entry(0, "漢" * 166)), "generation-x"))


@pytest.mark.parametrize("character", ["\n", "\0", "\x1b", "\x85", "\u2028", "\u202e", "\u2066", "\ud800"])
def test_control_characters_are_refused(character: str) -> None:
    [error] = errors(entry(0, f"One{character}two"))
    assert error == (
        'Task 0 ("One two") has a line break or a control character in its title. '
        "Write the title in one line."
    )
    [error] = errors(entry(0, acceptance=[f"a{character}b"]))
    assert 'in "acceptance"' in error
    if character != "\n":
        [error] = errors(entry(0, description=f"a{character}b"))
        assert "in its description" in error


def test_descriptions_may_have_lines_and_tabs() -> None:
    assert parsed(entry(0, description="a\n\tb\r\nc"))


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x"])
def test_files_outside_the_repository_are_refused(path: str) -> None:
    [error] = errors(entry(0, files=["ok.py", path]))
    assert error.startswith(f'Task 0 ("Task number 0") names the file "{path}". ')


def test_unknown_needs_and_a_need_of_itself_are_refused() -> None:
    assert errors(entry(0, dependency=0), entry(1, dependencies=[7, -2])) == [
        'Task 0 ("Task number 0") depends on itself. Leave that out.',
        'Task 1 ("Task number 1") depends on 7, which is the index of no other task. '
        "Depend on tasks of this answer only, or leave it out.",
        'Task 1 ("Task number 1") depends on -2, which is the index of no other task. '
        "Depend on tasks of this answer only, or leave it out.",
    ]


def test_each_dependency_cycle_is_reported() -> None:
    first, second = errors(
        entry(0, "A", dependency=1),
        entry(1, "B", dependency=2),
        entry(2, "C", dependency=0),
        entry(3, "D", dependency=4),
        entry(4, "E", dependency=3),
        entry(5, "F", dependency=0),
    )
    for error, edges in ((first, ("AB", "BC", "CA")), (second, ("DE", "ED"))):
        titles = [part.split('"')[1] for part in error.split(" needs ")]
        assert titles[0] == titles[-1]
        assert {a + b for a, b in itertools.pairwise(titles)} == set(edges)


def test_a_few_of_many_cycles_are_reported_and_a_few_tasks_of_a_long_one() -> None:
    """An answer may be made to keep the host busy."""
    pairs = [entry(index, dependency=index ^ 1) for index in range(400)]
    assert len(errors(*pairs)) == 10
    [error] = errors(*[entry(index, dependency=(index + 1) % 300) for index in range(300)])
    assert error.count(" needs ") == 20
    assert "needs 281 more needs Task" in error


def test_of_very_many_errors_the_first_are_told() -> None:
    told = errors(*[entry(index, "") | {"description": ""} for index in range(80)])
    assert len(told) == 51
    assert told[-1] == "There are 30 more such errors."
    [one, *_] = errors(*[entry(0, f"Task {number}") for number in range(200)])
    assert len(one) < 1_000


def test_a_task_has_a_limited_number_of_needs() -> None:
    entries = [entry(index, dependencies=list(range(index))) for index in range(102)]
    assert errors(*entries) == [
        'Task 101 ("Task number 101") depends on 101 tasks, more than 100. '
        "Leave out those that the others depend on."
    ]


@pytest.mark.parametrize(
    "title", ["Add the parser", "  add THE  parser!", "Add: the-parser.", "\uff21dd the parser"]
)
@pytest.mark.parametrize("status", ["open", "closed", "deferred"])
def test_existing_tasks_cannot_be_proposed_again(title: str, status: str) -> None:
    existing = [Task(id="x-7", title="Add the parser", status=status)]
    [error] = errors(entry(3, title), existing=existing)
    assert f'exists already: x-7 ("Add the parser", {status}). Leave it out' in error


def test_titles_used_twice_in_an_answer_are_refused() -> None:
    assert errors(entry(0, "Add it"), entry(1, "add it.")) == [
        'Task 1 ("add it.") has the title of Task 0 ("Add it"). Leave one out or rename it.'
    ]


def test_titles_without_letters_are_compared_as_they_are() -> None:
    assert normalised("!!!") != normalised("???")
    assert len(parsed(entry(0, "!!!"), entry(1, "???"))) == 2


# select


@st.composite
def acyclic(draw: st.DrawFn) -> Proposals:
    size = draw(st.integers(0, 12))
    order = draw(st.permutations(range(size)))
    place = {index: position for position, index in enumerate(order)}
    return chain(
        *[
            tuple(other for other in draw(st.sets(st.integers(0, size - 1))) if place[other] < place[index])
            for index in range(size)
        ]
    )


@given(acyclic(), st.integers(0, 14))
def test_the_selection_contains_all_needs_within_the_limit(proposals: Proposals, limit: int) -> None:
    selected, remaining = select(proposals, limit)
    indexes = {proposal.index for proposal in selected}
    assert len(selected) <= limit
    assert all(set(proposal.needs) <= indexes for proposal in selected)
    assert sorted([*selected, *remaining], key=lambda proposal: proposal.index) == list(proposals)
    assert list(selected) == [proposal for proposal in proposals if proposal in selected]
    if len(proposals) <= limit:
        assert remaining == ()
    if limit and proposals:
        assert selected  # something without needs is always there


class Counted(tuple[int, ...]):
    """Needs that count how often they are looked at."""

    looks = 0

    def __iter__(self) -> Iterator[int]:
        Counted.looks += 1
        return super().__iter__()


def test_a_selection_looks_at_no_more_than_it_has_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Proposal, "needs", property(lambda self: Counted(self.dependencies)))
    proposals = chain(*[tuple(range(index)) for index in range(300)])
    monkeypatch.setattr(Counted, "looks", 0)
    assert len(select(proposals[::-1], 5)[0]) == 5
    assert Counted.looks < 300 * 6


def test_the_first_proposals_are_selected_with_their_needs() -> None:
    proposals = chain((3,), (), (), ())
    assert [proposal.index for proposal in select(proposals, 2)[0]] == [0, 3]
    assert [proposal.index for proposal in select(proposals, 3)[0]] == [0, 1, 3]
    assert [proposal.index for proposal in select(proposals, 1)[0]] == [1]


# tasks


def test_the_description_of_a_task_contains_files_and_acceptance() -> None:
    first, second = to_new_tasks(
        parsed(
            entry(4, " One ", description=" Build\r\nit. ", files=["a.py", "b.py"], acceptance=["it runs"]),
            entry(7, "Two", dependency=4),
        ),
        "generation-2026-01-01-00-00-00",
        "team",
    )
    assert first.title == "One"
    assert first.description == (
        "Build\nit.\n\nFiles that it will probably touch:\n\n* a.py\n* b.py\n\n"
        "Acceptance criteria:\n\n* it runs"
    )
    assert first.labels == ("generation-2026-01-01-00-00-00", "team")
    assert (second.key, second.needs) == ("7", ("4",))
    assert to_new_tasks(parsed(entry(0)), "generation-x")[0].labels == ("generation-x",)
