from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cobbler.errors import TrackerError
from pytest_cobbler.tracker.jsonl import FIELDS, IssueFile, Record, encode
from tests.support.stores import issue, lines

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=10,
)
OBJECTS = st.dictionaries(TEXT | st.sampled_from(FIELDS), JSON)
INDENTS = st.sampled_from([None, 1])


def file_of(directory: Path, text: str | bytes) -> IssueFile:
    path = directory / "issues.jsonl"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return IssueFile(path)


@given(JSON)
def test_an_encoded_value_is_one_line_of_the_same_value(value: Any) -> None:
    text = encode(value)
    assert json.loads(text) == value
    assert not any(sign in text for sign in "\n<>&\u2028\u2029")


def test_values_are_written_as_go_writes_them() -> None:
    # What bd 1.3.0 exports for this text.
    assert encode('<b>&\u2028\u2029 \x01\x08\x0c\t\x7f ü\U0001f980 "\\/') == (
        '"\\u003cb\\u003e\\u0026\\u2028\\u2029 \\u0001\\b\\f\\t\x7f ü\U0001f980 \\"\\\\/"'
    )


@pytest.mark.slow
@given(OBJECTS, INDENTS, st.booleans())
def test_a_record_keeps_the_text_of_every_value(
    values: dict[str, Any], indent: int | None, ascii: bool
) -> None:
    text = json.dumps(values, indent=indent, ensure_ascii=ascii)
    record = Record.parse(text)
    again = Record.parse(str(record))
    assert json.loads(str(record)) == values
    assert str(again) == str(record)
    for name, value in values.items():
        assert json.dumps(value, indent=None, ensure_ascii=ascii) in str(record) or indent
        assert record.get(name) == value


@pytest.mark.slow
@given(OBJECTS, st.sampled_from(FIELDS), JSON)
def test_changing_one_field_changes_no_other(values: dict[str, Any], name: str, value: Any) -> None:
    record = Record.parse(json.dumps(values))
    record.set(name, value)
    found = json.loads(str(record))
    assert found == values | {name: value}
    others = [key for key in found if key != name]
    assert others == [key for key in values if key != name]


def test_a_number_that_python_writes_differently_survives() -> None:
    record = Record.parse(
        '{"a": 2.50, "b": 1e400, "c": 12345678901234567890123, "status":"open", "d":  "\\u00fc" }'
    )
    record.set("status", "closed")
    record.edit("metadata", {"x": 1})
    assert str(record) == (
        '{"a":2.50,"b":1e400,"c":12345678901234567890123,"status":"closed","d":"\\u00fc","metadata":{"x":1}}'
    )


def test_a_new_field_goes_where_bd_would_write_it() -> None:
    record = Record.parse('{"id":"a","status":"open","x_unknown":1,"created_at":"t","labels":[]}')
    record.set("assignee", "jane")
    record.set("comments", [])
    record.set("_type", "issue")
    assert list(json.loads(str(record))) == [
        "_type",
        "id",
        "status",
        "x_unknown",
        "assignee",
        "created_at",
        "labels",
        "comments",
    ]


def test_members_of_an_object_are_edited_in_place() -> None:
    record = Record.parse('{"metadata":{"a": 1.0, "cobbler": {"run": "1"}, "z": null}}')
    record.edit("metadata", {"cobbler": {"run": "2"}})
    assert str(record) == '{"metadata":{"a":1.0,"cobbler":{"run":"2"},"z":null}}'
    record.edit("metadata", {}, without=["cobbler"])
    assert str(record) == '{"metadata":{"a":1.0,"z":null}}'
    record.edit("metadata", {}, without=["a", "z"])
    assert str(record) == "{}"
    record.edit("metadata", {"x": "y"})
    assert str(record) == '{"metadata":{"x":"y"}}'


@pytest.mark.parametrize(
    ("before", "after"), [("", "[1]"), ('"comments":null', "[1]"), ('"comments":[ 7 ]', "[7,1]")]
)
def test_an_item_is_appended(before: str, after: str) -> None:
    record = Record.parse("{" + before + "}")
    record.append("comments", 1)
    assert str(record) == '{"comments":' + after + "}"


def test_lines_that_are_not_issues_survive(tmp_path: Path) -> None:
    header = '{"_schema": "beads-jsonl/1",  "_sort":"stable-v1"}'
    memory = '{"_type":"memory","key":"k","value":"<v>"}'
    unknown = '{"_type": "wish", "id": "not an issue"}'
    kept = json.dumps(issue("proj-b", odd={"x": 1.50}), ensure_ascii=True)
    text = "\n".join([header, unknown, kept, memory, json.dumps(issue("proj-a"))])
    file = file_of(tmp_path, text)
    assert list(file.issues()) == ["proj-a", "proj-b"]
    record = Record.parse(file.issues()["proj-a"].text)
    record.set("status", "deferred")
    file.write([record])
    assert file.path.read_text().split("\n") == [header, unknown, str(record), kept, memory, ""]


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (b'{"id":"proj-x","title":"cut', "Unterminated string"),
        (b"<<<<<<< HEAD", "Expecting value"),
        (b'{"title":"no id"}', "id: Field required"),
        (b'{"id":7}', "id: Input should be a valid string"),
        (b'{"id":"proj-x","priority":"high"}', "priority: Input should be a valid integer"),
        (
            b'{"id":"proj-x","dependencies":[{"type":"blocks"}]}',
            "dependencies.0.depends_on_id: Field required",
        ),
        (b"[]", "not a JSON object"),
        (b'{"id":"proj-x"} {"id":"proj-y"}', "Extra data"),
        (b'{"id":"proj-x","estimated_minutes":NaN}', "NaN is not JSON"),
        (b'{"id":"proj-x","title":"\xff"}', "can't decode byte 0xff"),
        (b'{"id":"proj-a"}', "proj-a is already on line 1"),
        (b"[" * 100_000, "recursion"),
    ],
)
def test_a_damaged_line_is_reported_and_nothing_is_changed(
    tmp_path: Path, damage: bytes, complaint: str
) -> None:
    text = lines([issue("proj-a")]).encode() + b"\n" + damage + b"\n" + lines([issue("proj-b")]).encode()
    file = file_of(tmp_path, text)
    for _ in range(2):
        with pytest.raises(TrackerError) as caught:
            file.issues()
        assert caught.value.cause.startswith(f"{file.path}, line 3 is damaged: ")
        assert complaint in caught.value.cause
    assert file.path.read_bytes() == text


def test_null_means_absent(tmp_path: Path) -> None:
    file = file_of(
        tmp_path, '{"id":"proj-a","assignee":null,"labels":null,"dependencies":null,"metadata":null}'
    )
    task = file.issues()["proj-a"].task
    assert task is not None
    assert (task.status, task.type, task.assignee, task.labels, task.needs, task.metadata) == (
        "open",
        "task",
        "",
        (),
        (),
        {},
    )


def test_an_empty_status_or_type_means_absent(tmp_path: Path) -> None:
    task = file_of(tmp_path, '{"id":"proj-a","status":"","issue_type":""}').issues()["proj-a"].task
    assert task is not None
    assert (task.status, task.type) == ("open", "task")


def test_a_change_by_another_program_is_noticed(tmp_path: Path) -> None:
    file = file_of(tmp_path, lines([issue("proj-a")]))
    assert list(file.issues()) == ["proj-a"]
    file.path.write_text(lines([issue("proj-a"), issue("proj-b")]))
    assert list(file.issues()) == ["proj-a", "proj-b"]
    file.path.unlink()
    assert dict(file.issues()) == {}


def test_an_unchanged_file_is_parsed_once(tmp_path: Path) -> None:
    file = file_of(tmp_path, lines([issue("proj-a")]))
    assert file.issues()["proj-a"] is file.issues()["proj-a"]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text(lines([issue("proj-a")]))
    (tmp_path / "issues.jsonl").symlink_to(target)
    with pytest.raises(TrackerError, match="is a symbolic link"):
        IssueFile(tmp_path / "issues.jsonl").issues()


def test_the_mode_of_the_file_is_kept(tmp_path: Path) -> None:
    file = file_of(tmp_path, lines([issue("proj-a")]))
    file.path.chmod(0o640)
    file.issues()
    file.write([Record(issue("proj-b"))])
    assert file.path.stat().st_mode & 0o777 == 0o640


def test_only_changed_lines_are_parsed_again(tmp_path: Path) -> None:
    file = file_of(tmp_path, lines(issue(f"proj-{name}") for name in "abc"))
    before = dict(file.issues())
    file.write([Record(issue("proj-b", status="deferred"))])
    after = file.issues()
    assert [name for name in after if after[name] is not before[name]] == ["proj-b"]


def test_writing_some_lines_gives_the_same_file_as_writing_all(tmp_path: Path) -> None:
    quoting = json.dumps({"_type": "wish", "of": issue("proj-b")}, separators=(",", ":"))
    file = file_of(tmp_path, lines(issue(f"proj-{name}") for name in "cab") + quoting + "\n")
    file.issues()
    for status in ("deferred", "open", "blocked"):
        file.write([Record(issue("proj-b", status=status)), Record(issue("proj-a", status=status))])
        texts = [str(Record(issue(f"proj-{name}", status=status))) for name in "ab"]
        kept = json.dumps(issue("proj-c"))
        assert file.path.read_text().split("\n") == [*texts, kept, quoting, ""]
        assert file.issues() == IssueFile(file.path).issues()
