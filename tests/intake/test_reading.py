"""Files with tasks are read by their format, and every error has its line."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.intake.drafts import STDIN, Source
from pytest_cobbler.intake.importing import plan_import
from pytest_cobbler.intake.reading import read_source
from pytest_cobbler.tracker.base import check_batch

SPEC_KIT = """\
# Tasks: Login

**Input**: `specs/001-login/`
- **[P]**: may run in parallel
- [Story]: which story it belongs to

<!--
- [ ] T900 a sample
-->

## Phase 1: Setup

- [x] T001 Create the project structure
- [ ] T002 Initialize the project
- [ ] T003 [P] Configure linting

## Phase 2: User Story 1 - Login (Priority: P1)

### Tests

- [ ] T010 [P] [US1] Contract test in tests/test_login.py
- [ ] **T011** [US1] [P] Model in src/user.py
      with `name` and
      `mail`

### Implementation

- [ ] T012 [US1] Service in src/service.py
- [ ] T013 [US1] Page
- [X] T014 [US1] Picture
- [ ] T015 [P] [US1] Texts (depends on T012, t014 and T013)

```text
- [ ] T901 a sample
```

## Phase 3: Nothing is open

- [x] T020 Say hello

## Phase 4: Polish

- [ ] T030 Documentation
"""


def read(text: str, name: str = "specs/tasks.md") -> Source:
    return read_source(name, text.encode())


def needs(source: Source) -> dict[str, list[str]]:
    names = {draft.index: draft.key or draft.title for draft in source.drafts}
    return {names[draft.index]: [names[index] for index in draft.needs] for draft in source.drafts}


def errors(text: str | bytes, name: str = "tasks.md") -> list[str]:
    with pytest.raises(UsageProblem) as raised:
        read_source(name, text if isinstance(text, bytes) else text.encode())
    assert "nothing was imported" in raised.value.cause
    return raised.value.evidence.splitlines()


def test_the_order_of_spec_kit_becomes_needs() -> None:
    source = read(SPEC_KIT)
    assert needs(source) == {
        "T002": [],
        "T003": [],
        "T010": ["T002", "T003"],
        "T011": ["T002", "T003"],
        "T012": ["T010", "T011"],
        "T013": ["T012"],
        "T015": ["T002", "T003", "T012", "T013"],
        "T030": ["T015"],
    }
    assert source.done == (
        "T001 Create the project structure (line 13)",
        "T014 Picture (line 30)",
        "T020 Say hello (line 39)",
    )


def test_a_task_of_spec_kit_has_its_story_text_and_origin() -> None:
    source = read(SPEC_KIT)
    (model,) = (draft for draft in source.drafts if draft.key == "T011")
    assert (model.title, model.labels, model.line) == ("T011 Model in src/user.py", ("US1",), 22)
    assert model.description == (
        "Model in src/user.py\n\nwith `name` and\n`mail`\n\n"
        "From specs/tasks.md (Phase 2: User Story 1 - Login (Priority: P1))."
    )


def test_a_task_without_p_waits_for_all_that_runs_beside_the_one_before_it() -> None:
    source = read("- [ ] T1 a\n- [ ] T2 [P] b\n- [ ] T3 [P] c\n- [ ] T4 d\n- [ ] T5 [P] e\n")
    assert needs(source) == {"T1": [], "T2": [], "T3": [], "T4": ["T1", "T2", "T3"], "T5": []}


def test_a_phase_waits_for_every_end_of_the_one_before_it() -> None:
    parallel = "".join(f"- [ ] T{number} [P] task {number}\n" for number in range(200))
    source = read(f"# Phase one\n{parallel}# Phase two\n- [ ] T900 last\n")
    assert len(needs(source)["T900"]) == 200


def test_a_plain_check_list_has_no_order_and_nested_items_are_a_part_of_their_item() -> None:
    source = read(
        "Intro\n\n* [ ] Add a parser\n  - [ ] of numbers\n  - [x] of names\n\n  In `parser.py`.\n\n"
        "Text in between\n1. [ ] Print the\nresult\n- [link](x)\n- [x] Done\n",
        "TODO.md",
    )
    parser, printing = source.drafts
    assert needs(source) == {"Add a parser": [], "Print the": []}
    assert parser.description == (
        "Add a parser\n\n- [ ] of numbers\n- [x] of names\n\nIn `parser.py`.\n\nFrom TODO.md."
    )
    assert printing.description == "Print the\n\nresult\n\nFrom TODO.md."
    assert source.done == ("Done (line 13)",)


def test_a_long_item_keeps_its_text_in_the_description() -> None:
    (draft,) = read("- [ ] T012b Add `a.b.py` to it. " + "Then go on. " * 8, STDIN).drafts
    assert draft.title == "T012b Add `a.b.py` to it"
    assert draft.description.endswith("to it. " + ("Then go on. " * 8).strip())
    (draft,) = read(f"- [ ] {'word ' * 100}", STDIN).drafts
    assert len(draft.title) == 200
    assert draft.title.endswith("…")
    assert draft.description == ("word " * 100).strip()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["the file has no check list. Write each task as an item: - [ ] Add a parser"]),
        (
            "- one\n- two\n",
            ["the file has no check list. Write each task as an item: - [ ] Add a parser"],
        ),
        (
            "- [ ] one\r\n- [-] two\r\n- [] three\r\n",
            [
                "line 2: the box [-] is neither open nor done. Write [ ] for open, [x] for done.",
                "line 3: the box [] is neither open nor done. Write [ ] for open, [x] for done.",
            ],
        ),
        (
            "- [ ]\n- [ ] T001\n",
            [f"line {line}: the item has no text. Write the task behind the box." for line in (1, 2)],
        ),
        (
            "- [ ] T001 one\n- [ ] two\n- [x] T001 three\n",
            [
                "line 2: the item has no id, and others have. "
                "Give it one, such as T001, or remove its box if it is not a task.",
                "line 3: T001 is the id of the item in line 1, too. Give it an id of its own.",
            ],
        ),
        (
            "- [ ] T001 one (depends on T002, T009)\n- [ ] T002 two\n",
            ["line 1: T001 depends on T009, which is not in the file. Correct the id, or leave that out."],
        ),
        (
            "- [ ] T001 one (depends on T002)\n- [ ] T002 two\n",
            [
                'These tasks wait for each other: line 1: Task 1 ("T001 one (depends on T002)") '
                'needs line 2: Task 2 ("T002 two") needs line 1: Task 1 ("T001 one (depends on T002)"). '
                "Leave out at least one of these dependencies."
            ],
        ),
        (b"- [ ] one\n- [ ] \xff\n", ["line 2: the file is not UTF-8. Write it as UTF-8."]),
        (
            b"- [ ] one \x1b[31m\n",
            [
                'line 1: Task 1 ("one [31m") has a line break or a control character in its title. '
                "Write the title in one line.",
                'line 1: Task 1 ("one [31m") has control characters in its description. Leave them out.',
            ],
        ),
        (b"x" * 8_000_001, ["the file is larger than 8,000,000 bytes. Split it."]),
        ("- [ ] a\n" * 10_001, ["the file has 10001 items, more than 10000. Split it."]),
    ],
    ids=lambda value: str(value)[:30],
)
def test_an_error_of_a_check_list_has_its_line_and_a_fix(text: str | bytes, expected: list[str]) -> None:
    assert errors(text) == expected


def test_json_is_what_a_measure_writes() -> None:
    text = json.dumps(
        [
            {"index": 3, "title": "One", "description": "Do it.", "files": ["a.py"]},
            {"index": 5, "title": "Two", "description": "Do it.", "dependency": 3, "line": 77, "key": "T1"},
        ],
        indent=1,
    )
    for name, content in (("tasks.json", text), (STDIN, text), (STDIN, f"```json\n{text}\n```")):
        first, second = read(content, name).drafts
        assert (first.title, first.files, second.needs) == ("One", ("a.py",), (3,))
        assert second.line == (10 if content == text else 11)
        assert second.key == ""


def test_an_error_of_json_has_its_line() -> None:
    assert errors('[\n{"index": 0,\n "title": "A", "description": "d"},\n\n{"index": 1, "title": 2}]') == [
        'line 5: Task 1 has a wrong "title". Give a string.',
        'line 5: Task 1 has no "description". Give a string.',
    ]
    assert errors('[\n {"index": 0, "title": "A", "description": "d", "dependency": 0}]') == [
        'line 2: Task 0 ("A") depends on itself. Leave that out.'
    ]
    assert "(line 2, column 1)" in errors('[{"index": 0},\n', "tasks.json")[0]


_PARTS = (
    "- [ ] ",
    "- [x] ",
    "1. [ ]",
    "* [X]",
    "[-]",
    "T001",
    "t2a",
    "T002 ",
    "[P] ",
    "[US1]",
    "## Phase",
    "\n",
    "\n\n",
)
_MORE = (
    "  ",
    "\t",
    "```",
    "~~~\n",
    "<!--",
    "-->",
    "depends on T001, T002",
    ". ",
    "[",
    "{",
    "]",
    '{"index":0}',
    "\r",
    "é",
)


@given(st.lists(st.sampled_from((*_PARTS, *_MORE)) | st.text(max_size=3), max_size=40).map("".join))
def test_any_text_is_refused_or_gives_tasks_that_a_store_keeps(text: str) -> None:
    for name in (STDIN, "a.md", "a.json"):
        with contextlib.suppress(UsageProblem):
            plan = plan_import(read_source(name, text.encode("utf-8", "surrogatepass")), [])
            check_batch(plan.new_tasks("generation-1", "label"))
            assert len(list(plan.lines())) == len(plan.new) == len(plan.source.drafts)
