"""What every tracker does, whatever keeps the tasks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pytest_cobbler.errors import TrackerError
from pytest_cobbler.tracker.base import ACTOR, ORDER, AlreadyClaimed, NewTask, Task, Tracker
from tests.support.stores import MINE, THEIRS, BdStore, EmbeddedStore, Store, edge, issue, new

TEXTS = {
    "unicode": "Zürich 東京 \U0001f980 e\u0301",
    "html": "<b>&amp;</b>",
    "separators": "a\u2028b\u2029c\x85d",
    "control": "\x01\x08\x0c\x1b[31m\x7f\ttab\nline\r\nend",
    "quotes": "\"double\" 'single' `back` \\ $HOME $(id) {{x}}",
    "dashes": "--force\n--json",
    "huge": "0123456789abcdef\n" * 3600,
}

TIME = "2026-01-02T03:04:05Z"

any_version = pytest.mark.parametrize("store", ["embedded", "bd"], indirect=True)
"""For what one version of bd shows as well as another: a call of bd is dear."""


def by_id(tracker: Tracker) -> dict[str, Task]:
    return {task.id: task for task in tracker.tasks()}


def test_reading_makes_no_store(no_store: Callable[[Path], Store], place: Path) -> None:
    tracker = no_store(place).tracker()
    assert tracker.tasks() == []
    assert tracker.comments() == {}
    with pytest.raises(TrackerError):
        tracker.claim("proj-abc", MINE)
    assert list(place.iterdir()) == []


def test_the_first_task_makes_the_store(no_store: Callable[[Path], Store], place: Path) -> None:
    store = no_store(place)
    ids = store.tracker().create([new("first")])
    assert [task.id for task in store.tracker().tasks()] == [ids["first"]]
    assert [path.name for path in place.iterdir()] == [".beads"]
    assert ids["first"].startswith("proj-")


def test_a_created_task_is_listed_unchanged(store: Store) -> None:
    tracker = store.tracker()
    wanted = NewTask(
        key="k",
        title="Say hello",
        description="in words\n",
        labels=("z", "generation-1", "z"),
        priority=0,
        minutes=45,
        metadata={"files": '["a.py"]', "number": "12"},
    )
    name = tracker.create([wanted])["k"]

    (task,) = store.tracker().tasks()
    created = datetime.fromisoformat(task.created_at)
    assert task == Task(
        id=name,
        title="Say hello",
        description="in words\n",
        status="open",
        type="task",
        priority=0,
        minutes=0 if "bd 1.0" in tracker.description else 45,
        labels=("generation-1", "z"),
        created_at=task.created_at,
        metadata={"files": '["a.py"]', "number": "12", ORDER: "0"},
    )
    assert abs(datetime.now(UTC) - created) < timedelta(minutes=1)
    assert task.claim is None


def test_only_cobblers_comments_are_read_in_order(store: Store) -> None:
    theirs = {"id": 1, "issue_id": "proj-a", "author": "jane", "text": "hers", "created_at": TIME}
    store.seed(issue("proj-a", comments=[theirs]), issue("proj-b"))
    tracker = store.tracker()
    assert tracker.comments() == {}
    tracker.comment("proj-a", "first\nJSON {}")
    tracker.comment("proj-a", "sec\u2028ond")
    tracker.close("proj-a", "done")
    assert store.tracker().comments() == {"proj-a": ("first\nJSON {}", "sec\u2028ond")}


@any_version
def test_a_new_task_may_need_one_that_is_there(store: Store) -> None:
    tracker = store.tracker()
    first = tracker.create([new("first")])["first"]
    ids = tracker.create(
        [
            replace(new("second"), existing_needs=(first, first)),
            replace(new("third", "second"), existing_needs=(first,)),
        ]
    )
    tasks = by_id(store.tracker())
    assert tasks[ids["second"]].needs == (first,)
    assert sorted(tasks[ids["third"]].needs) == sorted((first, ids["second"]))
    with pytest.raises(TrackerError):
        tracker.create([new("fourth"), replace(new("fifth"), existing_needs=("proj-none",))])
    assert len(store.tracker().tasks()) == 3


def test_thirty_tasks_keep_their_graph(store: Store) -> None:
    tracker = store.tracker()
    batch = [
        new(f"t{n}", *{f"t{m}" for m in (n // 2, n - 1) if 0 <= m < n}, title=f"Task {n}") for n in range(30)
    ]
    ids = tracker.create(batch)
    found = by_id(tracker)
    assert len(set(ids.values())) == len(found) == 30
    for task in batch:
        assert set(found[ids[task.key]].needs) == {ids[need] for need in task.needs}
        assert found[ids[task.key]].title == task.title


@pytest.mark.parametrize(
    ("batch", "complaint"),
    [
        ([new("a"), new("a")], "two new tasks have the key 'a'"),
        ([new("a"), new("b", "c")], "'b' needs 'c', which is not among"),
        ([new("a", "a")], "wait for each other: a -> a"),
        ([new("x"), new("a", "b"), new("b", "a")], "wait for each other"),
        ([new("x"), new("a", title=" ")], "'a' has no title"),
        ([new("x"), new("a", title="ü" * 251)], "has 502 bytes; beads allows 500"),
        ([new("a", priority=5)], "priority 5"),
        ([new("a", metadata={"cobbler": "x"})], "reserved for cobbler"),
        ([new("a", metadata={ORDER: "1"})], "reserved for cobbler"),
    ],
)
def test_an_invalid_batch_creates_no_task(
    no_store: Callable[[Path], Store], place: Path, batch: list[NewTask], complaint: str
) -> None:
    with pytest.raises(TrackerError) as caught:
        no_store(place).tracker().create(batch)
    assert complaint in caught.value.cause
    assert list(place.iterdir()) == []


def test_creating_no_tasks_calls_nothing(no_store: Callable[[Path], Store], place: Path) -> None:
    assert no_store(place).tracker().create([]) == {}
    assert list(place.iterdir()) == []


@any_version
def test_any_text_survives(store: Store) -> None:
    tracker = store.tracker()
    ids = tracker.create(
        [new(key, description=text, title="Zürich <&> \u2028 \U0001f980") for key, text in TEXTS.items()]
        + [new("long", title="ü" * 250)]
    )
    found = by_id(tracker)
    assert {key: found[ids[key]].description for key in TEXTS} == TEXTS
    assert found[ids["html"]].title == "Zürich <&> \u2028 \U0001f980"
    assert found[ids["long"]].title == "ü" * 250

    text = "--force\0" + 3 * "".join(TEXTS.values())
    tracker.comment(ids["html"], text)
    (comment,) = store.records()[ids["html"]]["comments"]
    assert (comment["text"], comment["author"]) == (text, ACTOR)


@any_version
def test_half_a_character_is_replaced(store: Store) -> None:
    tracker = store.tracker()
    tracker.create([new("a", description="half \ud83e crab")])
    (task,) = tracker.tasks()
    assert task.description.startswith("half ")
    assert task.description.endswith(" crab")


def test_a_claim_is_recorded_and_exclusive(store: Store) -> None:
    tracker = store.tracker()
    name = tracker.create([new("a", metadata={"other": "kept"})])["a"]
    tracker.claim(name, MINE)

    (task,) = store.tracker().tasks()
    assert (task.status, task.assignee, task.claim) == ("in_progress", ACTOR, MINE)
    assert task.metadata["other"] == "kept"
    assert store.records()[name]["started_at"]

    tracker.claim(name, MINE)  # a repetition of what may have been carried out already
    with pytest.raises(AlreadyClaimed, match="it is in_progress, assigned to cobbler"):
        store.tracker().claim(name, THEIRS)
    assert store.tracker().tasks() == [task]


def test_a_task_that_is_closed_or_assigned_cannot_be_claimed(store: Store) -> None:
    store.seed(
        issue("proj-aaa", assignee="jane"),
        issue("proj-bbb", status="in_progress", assignee="jane"),
        issue("proj-ccc", status="in_progress", assignee=ACTOR),
        issue("proj-ddd", status="deferred"),
        issue("proj-eee", status="blocked"),
        issue("proj-fff", status="closed", close_reason="done"),
    )
    before = store.records()
    tracker = store.tracker()
    for task in tracker.tasks():
        with pytest.raises(AlreadyClaimed, match=f"{task.id} cannot be claimed: {task.state}"):
            tracker.claim(task.id, MINE)
    assert store.records() == before


def test_an_open_task_still_assigned_to_cobbler_can_be_claimed(store: Store) -> None:
    store.seed(issue("proj-abc", assignee=ACTOR))
    store.tracker().claim("proj-abc", MINE)
    assert by_id(store.tracker())["proj-abc"].claim == MINE


def test_release_opens_a_task_that_was_claimed(store: Store) -> None:
    tracker = store.tracker()
    name = tracker.create([new("a", metadata={"other": "kept"}, labels=("l",))])["a"]
    tracker.claim(name, MINE)
    tracker.release(name, "the gate said no")

    (task,) = store.tracker().tasks()
    assert (task.status, task.assignee, task.claim) == ("open", "", None)
    assert (task.metadata, task.labels) == ({"other": "kept", ORDER: "0"}, ("l",))
    (comment,) = store.records()[name]["comments"]
    assert comment["text"] == "the gate said no"

    tracker.release(name, "again")
    assert len(store.records()[name]["comments"]) == 1
    tracker.claim(name, THEIRS)
    assert by_id(tracker)[name].claim == THEIRS


@any_version
def test_a_release_can_add_a_label(store: Store) -> None:
    tracker = store.tracker()
    name = tracker.create([new("a", labels=("l",))])["a"]
    for _ in range(2):
        tracker.claim(name, MINE)
        tracker.release(name, "it failed", "aside")
    (task,) = store.tracker().tasks()
    assert (task.status, task.labels) == ("open", ("aside", "l"))


def test_only_a_recorded_claim_is_released(store: Store) -> None:
    store.seed(
        issue("proj-aaa", status="in_progress", assignee="jane"),
        issue("proj-bbb", status="in_progress", assignee=ACTOR),
        issue("proj-ccc", status="in_progress", assignee=ACTOR, metadata={"cobbler": {"host": "here"}}),
        issue("proj-ddd", status="deferred"),
        issue("proj-eee", status="in_progress", assignee="jane", metadata={"cobbler": asdict(MINE)}),
    )
    before = store.records()
    tracker = store.tracker()
    for task in tracker.tasks():
        with pytest.raises(TrackerError, match=f"cannot release {task.id}, which this run did not claim"):
            tracker.release(task.id, "why")
    assert store.records() == before


def test_close_keeps_the_assignee_and_can_be_repeated(store: Store) -> None:
    tracker = store.tracker()
    name = tracker.create([new("a")])["a"]
    tracker.claim(name, MINE)
    tracker.close(name, "--force\0\nlanded as <1234>")

    record = store.records()[name]
    assert (record["status"], record["close_reason"]) == ("closed", "--force\0\nlanded as <1234>")
    assert record["closed_at"]
    assert record["metadata"]["cobbler"]["run"] == "run-1"
    assert by_id(tracker)[name].claim is None

    tracker.close(name, "for another reason")
    assert store.records()[name] == record


def test_a_task_is_closed_only_after_its_needs(store: Store) -> None:
    tracker = store.tracker()
    ids = tracker.create([new("first"), new("second", "first")])
    for name in ids.values():
        tracker.claim(name, MINE)
    with pytest.raises(TrackerError, match="block"):
        tracker.close(ids["second"], "done")
    assert by_id(tracker)[ids["second"]].status == "in_progress"
    tracker.close(ids["first"], "done")
    tracker.close(ids["second"], "done")
    found = by_id(tracker)
    assert {task.status for task in found.values()} == {"closed"}
    assert found[ids["second"]].needs == (ids["first"],)


def test_a_task_that_needs_a_pinned_issue_is_ready_and_closed(store: Store) -> None:
    """It was done, landed, and then stayed in progress in the embedded store."""
    store.seed(issue("proj-1", status="pinned"), issue("proj-2", dependencies=[edge("proj-2", "proj-1")]))
    tracker = store.tracker()
    tracker.claim("proj-2", MINE)
    tracker.close("proj-2", "done")
    assert by_id(tracker)["proj-2"].status == "closed"


def test_a_task_of_another_user_is_not_closed(store: Store) -> None:
    store.seed(
        issue("proj-aaa", assignee="jane"),
        issue("proj-bbb", status="in_progress", assignee="jane"),
    )
    before = store.records()
    for name in before:
        with pytest.raises(TrackerError, match="jane"):
            store.tracker().close(name, "done")
    assert store.records() == before


def test_reopen_makes_a_closed_task_claimable(store: Store) -> None:
    tracker = store.tracker()
    name = tracker.create([new("a", metadata={"other": "kept"})])["a"]
    tracker.claim(name, MINE)
    with pytest.raises(TrackerError, match="cannot be reopened: it is in_progress"):
        tracker.reopen(name)
    tracker.close(name, "done")
    tracker.reopen(name, "the generation was abandoned")

    (task,) = store.tracker().tasks()
    assert (task.status, task.assignee, task.metadata) == ("open", "", {"other": "kept", ORDER: "0"})
    record = store.records()[name]
    assert "closed_at" not in record
    assert not record.get("close_reason")
    assert [comment["text"] for comment in record["comments"]] == ["the generation was abandoned"]

    tracker.reopen(name, "again")
    assert store.records()[name] == record
    tracker.claim(name, MINE)
    tracker.close(name, "this time")
    assert by_id(tracker)[name].status == "closed"


@any_version
@pytest.mark.parametrize("name", ["proj-zzzz", "abc", "proj-ab"])
def test_a_task_that_does_not_exist_is_an_error(store: Store, name: str) -> None:
    store.seed(issue("proj-abc"))
    before = store.records()
    tracker = store.tracker()
    calls: list[Callable[[], None]] = [
        lambda: tracker.claim(name, MINE),
        lambda: tracker.release(name),
        lambda: tracker.reopen(name),
        lambda: tracker.comment(name, "text"),
        lambda: tracker.close(name, "done"),
    ]
    for call in calls:
        with pytest.raises(TrackerError, match=f"there is no task {name}"):
            call()
    assert store.records() == before


def test_issues_of_other_users_are_listed_and_not_changed(store: Store) -> None:
    foreign = [
        issue("proj-aaa", issue_type="epic", priority=0, notes="n", design="d", acceptance_criteria="a"),
        issue("proj-bbb", issue_type="bug", status="deferred", assignee="jane", estimated_minutes=30),
        issue("proj-ccc", issue_type="chore", status="pinned", pinned=True, external_ref="gh-9"),
        issue("proj-ddd", issue_type="feature", status="closed", close_reason="done", labels=["b", "a"]),
        issue("proj-eee", status="hooked", metadata={"deep": {"er": [1, None, "x"]}}),
        issue("proj-aaa.1", dependencies=[edge("proj-aaa.1", "proj-aaa", "parent-child")]),
        issue(
            "proj-fff", dependencies=[edge("proj-fff", "proj-bbb"), edge("proj-fff", "proj-ddd", "related")]
        ),
        issue("proj-hhh", dependencies=[edge("proj-hhh", "proj-bbb", "conditional-blocks")]),
        issue("proj-iii", dependencies=[edge("proj-iii", "proj-aaa", "waits-for")]),
        issue("proj-ggg", issue_type="gate", dependencies=[]),
    ]
    store.seed(*foreign)
    before = store.records()
    tracker = store.tracker()
    found = by_id(tracker)
    assert list(found) == sorted(record["id"] for record in foreign)
    for record in foreign:
        task = found[record["id"]]
        assert (task.type, task.status, task.priority) == (
            record["issue_type"],
            record["status"],
            record["priority"],
        )
    assert found["proj-fff"].needs == found["proj-hhh"].needs == ("proj-bbb",)
    assert (found["proj-bbb"].minutes, found["proj-aaa"].minutes) == (30, 0)
    assert (found["proj-aaa.1"].parent, found["proj-aaa.1"].needs) == ("proj-aaa", ())
    assert (found["proj-iii"].waits_for, found["proj-iii"].needs) == (("proj-aaa",), ())
    assert found["proj-ddd"].labels == ("a", "b")
    assert found["proj-eee"].metadata == {"deep": {"er": [1, None, "x"]}}

    name = tracker.create([new("mine")])["mine"]
    tracker.claim(name, MINE)
    tracker.comment(name, "text")
    tracker.release(name)
    tracker.claim(name, MINE)
    tracker.close(name, "done")
    after = store.records()
    del after[name]
    assert after == before


def test_bd_adopts_what_the_embedded_store_wrote(
    embedded_store: EmbeddedStore, bd_program: Path, place: Path
) -> None:
    tracker = embedded_store.tracker()
    ids = tracker.create(
        [
            new("a", description=TEXTS["unicode"] + TEXTS["html"], labels=("l",), metadata={"x": "1"}),
            new("b", "a", description=TEXTS["huge"]),
            new("c"),
            new("d", "b", "c"),
        ]
    )
    tracker.claim(ids["a"], MINE)
    tracker.comment(ids["a"], TEXTS["separators"])
    tracker.close(ids["a"], "done")
    tracker.claim(ids["b"], MINE)
    tracker.claim(ids["c"], MINE)
    tracker.release(ids["c"], "later")

    store = BdStore(embedded_store.root, bd_program)
    store.bd(
        "init", "--prefix", "proj", "--quiet", "--stealth", "--skip-hooks", "--skip-agents", "--from-jsonl"
    )
    expected = {task.id: task for task in tracker_without_bd(embedded_store, place)}
    found = by_id(store.tracker())
    assert found.keys() == expected.keys()
    for name, task in found.items():
        assert seconds(task) == seconds(expected[name])
    assert [comment["text"] for comment in store.records()[ids["a"]]["comments"]] == [TEXTS["separators"]]
    store.tracker().close(ids["b"], "done")
    assert by_id(store.tracker())[ids["b"]].status == "closed"


def test_the_embedded_store_reads_what_bd_exports(bd_store: BdStore, embedded_store: EmbeddedStore) -> None:
    tracker = bd_store.tracker()
    ids = tracker.create(
        [new("a", description="".join(TEXTS.values()), labels=("l",), metadata={"x": "1"}), new("b", "a")]
    )
    tracker.claim(ids["a"], MINE)
    tracker.comment(ids["a"], "text")
    tracker.close(ids["a"], "done")
    tracker.claim(ids["b"], MINE)

    embedded_store.file.parent.mkdir()
    bd_store.bd("export", "--output", str(embedded_store.file))
    exported = embedded_store.file.read_text().split("\n")
    other = embedded_store.tracker()
    assert other.tasks() == tracker.tasks()

    other.comment(ids["b"], "from the other side")
    other.release(ids["b"])
    record = embedded_store.records()
    assert sorted(record) == list(record)
    (unchanged,) = [line for line in exported if f'"id":"{ids["a"]}"' in line]
    assert unchanged in embedded_store.file.read_text().split("\n")
    bd_store.bd("import", str(embedded_store.file))
    assert by_id(tracker)[ids["b"]].status == "open"


def seconds(task: Task) -> Task:
    """bd keeps neither parts of seconds nor the order of needs."""
    values = {name: getattr(task, name) for name in task.__dataclass_fields__}
    return Task(**values | {"created_at": task.created_at[:19], "needs": tuple(sorted(task.needs))})


def tracker_without_bd(store: EmbeddedStore, place: Path) -> list[Task]:
    """What the embedded store had before bd took it over."""
    copy = EmbeddedStore(place / "copy")
    copy.file.parent.mkdir(parents=True)
    copy.file.write_bytes(store.file.read_bytes())
    return copy.tracker().tasks()
