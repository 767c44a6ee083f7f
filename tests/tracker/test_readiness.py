"""A task is ready if it is for bd."""

from __future__ import annotations

import json
import random

import pytest

from pytest_cobbler.lifecycle.selection import select_tasks
from pytest_cobbler.tracker.base import Tracker
from pytest_cobbler.tracker.needs import with_all_needs
from tests.support.markers import seed
from tests.support.stores import MINE, BdStore, EmbeddedStore, Record, edge, issue, new

PAST, FUTURE = "2020-02-03T04:05:06Z", "2999-02-03T04:05:06Z"


def random_store(random: random.Random, count: int) -> list[Record]:
    """Issues with everything that bd looks at, and needs and parents among the earlier ones."""
    issues: list[Record] = []
    above: dict[str, list[str]] = {}  # epic -> the epics above it
    for number in range(count):
        name = f"proj-{number}"
        earlier = [one["id"] for one in issues if not one.get("ephemeral")]
        edges = {
            end: edge(name, end, random.choice(["blocks", "blocks", "conditional-blocks", "related"]))
            for end in random.sample(earlier, min(len(earlier), random.choice([0, 0, 1, 2])))
        }
        if random.random() < 0.1:
            edges["proj-gone"] = edge(name, "proj-gone")
        # bd takes no need on an epic above, which could never be closed; its import leaves it out.
        epics = [end for end in above if not {end, *above[end]} & edges.keys()]
        parents: list[str] = []
        if epics and random.random() < 0.5:
            end = random.choice(epics)
            edges[end] = edge(name, end, "parent-child")
            parents = [end, *above[end]]
        if (left := [end for end in epics if end not in edges]) and random.random() < 0.1:
            end = random.choice(left)
            gate = random.choice([{}, {"gate": "any-children"}])
            edges[end] = edge(name, end, "waits-for") | {"metadata": json.dumps(gate)}
        facts: Record = {
            "status": random.choice(["open"] * 6 + ["closed", "closed", "deferred", "blocked", "pinned"]),
            "issue_type": random.choice(["task", "task", "task", "epic", "bug"]),
        }
        if random.random() < 0.2:
            facts["defer_until"] = random.choice([PAST, FUTURE])
        if random.random() < 0.1:
            facts[random.choice(["pinned", "ephemeral"])] = True
        # Wisps are a table of their own in bd. Imported ones do not count for others, created ones do.
        alone = facts.get("ephemeral")
        if facts["issue_type"] == "epic" and not alone:
            above[name] = parents
        issues.append(issue(name, **facts, dependencies=[] if alone else list(edges.values())))
    return issues


def taken(tracker: Tracker) -> list[str]:
    """The tasks that could be done now."""
    tasks = with_all_needs(tracker.tasks())
    chosen = select_tasks(tasks, finished=(), foreign_labels=frozenset(), task_label=None, limit=1000)
    closed = {task.id for task in tasks if task.status == "closed"}
    return sorted(task.id for task in chosen.taken if closed.issuperset(task.needs))


def ready(store: BdStore) -> list[str]:
    """What bd says; afterwards no date of the past hides an issue."""
    answer = json.loads(store.bd("ready", "--limit", "0", "--json"))
    issues = answer["data"] if isinstance(answer, dict) else answer
    return sorted(one["id"] for one in issues if one["issue_type"] == "task" and one["status"] == "open")


@pytest.mark.parametrize("number", range(2))
def test_what_is_ready_is_what_bd_says(bd_store: BdStore, embedded_store: EmbeddedStore, number: int) -> None:
    issues = random_store(random.Random(f"{seed()}-{number}"), 60)
    bd_store.seed(*issues)
    embedded_store.seed(*issues)
    ours, theirs = taken(bd_store.tracker()), ready(bd_store)
    assert ours == theirs
    assert taken(embedded_store.tracker()) == theirs
    assert len(theirs) >= 3


@pytest.mark.parametrize("kind", ["embedded", "bd"])
def test_a_deferred_task_whose_date_is_over_is_claimed(kind: str, request: pytest.FixtureRequest) -> None:
    store = request.getfixturevalue(f"{kind}_store")
    store.seed(issue("proj-1", status="deferred", defer_until=PAST))
    tracker = store.tracker()
    assert taken(tracker) == ["proj-1"]
    tracker.claim("proj-1", MINE)
    assert store.records()["proj-1"]["status"] == "in_progress"


def test_templates_are_no_tasks_and_block_others(bd_store: BdStore) -> None:
    bd_store.seed(issue("proj-1", is_template=True), issue("proj-2", dependencies=[edge("proj-2", "proj-1")]))
    assert taken(bd_store.tracker()) == []


@pytest.mark.parametrize("kind", ["embedded", "bd"])
def test_tasks_come_in_the_order_in_which_they_were_proposed(
    kind: str, request: pytest.FixtureRequest
) -> None:
    tracker: Tracker = request.getfixturevalue(f"{kind}_store").tracker()
    keys = [f"{number}" for number in range(12)]
    ids = tracker.create([new(key) for key in keys])
    chosen = select_tasks(
        tracker.tasks(), finished=(), foreign_labels=frozenset(), task_label=None, limit=1000
    )
    assert [task.id for task in chosen.taken] == [ids[key] for key in keys]
