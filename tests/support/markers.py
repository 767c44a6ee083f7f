"""Marks for the needs and the duration of tests, and the choice of cases of the long matrices.

A test gets the marks ``podman``, ``bd``, ``claude`` and ``browser`` if its fixtures or parameters need that
part. A test that
needs one in its body marks itself. A test on a project, which runs pytest, gets ``slow``. The quick
selection has no slow tests but those that are marked ``quick``, which show that a run works.

Tests marked ``matrix`` by hand are slow, and many. A run has a sample of them, drawn by the number in
``COBBLER_TEST_SEED``. ``COBBLER_TEST_SEED=all`` runs every case. The cases of a function are one matrix; all
tests with the same name, as in ``matrix("old bd")``, are one together. In ``matrix("costly")`` are the tests
that take more than some two seconds on two cores that do nothing else.

A run of the whole suite has half of the other slow tests of each file, drawn in the same way. Where a file or
a directory is named, all of its slow tests run. Tests marked ``every_run`` or ``quick`` are in every run: the
documentation promises them, or the quick selection needs them.
"""

from __future__ import annotations

import itertools
import os
import random
import secrets
from collections import defaultdict
from collections.abc import Iterable, Sequence

import pytest

SEED = "COBBLER_TEST_SEED"
PARTS = ("podman", "bd", "claude", "browser")
FIXTURES = {
    "podman": {
        "calculator",
        "claude_volume",
        "minimal_image",
        "python_image",
        "busybox_image",
        "bare_image",
        "own_podman",
        "rootless_podman",
    },
    "bd": {"bd_program", "old_bd_program", "bd_project", "ordinary_user"},
    "claude": {"claude_program", "ordinary_user"},
    "browser": {"browser"},
}
PARAMETERS = {
    "podman": {"podman", "rootless", "own_podman", "rootless_podman", "in_podman"},
    "bd": {"bd", "old_bd"},
    "claude": {"claude"},
    "browser": set[str](),
}
"""Values of parametrised fixtures that get a fixture of the above by its name."""
COLLECTED = pytest.StashKey[dict[str, set[str]]]()
"""Node id -> marks, of all tests before any selection; only in a run of the whole suite."""
DRAWN = 8
"""One of this many cases of a matrix is in the sample."""
DRAWN_OF_SLOW = 2
"""One of this many slow tests of a file is in a run of the whole suite."""
KEPT = {"every_run", "quick"}
"""Slow tests with one of these marks are in every run."""


def settle_seed() -> None:
    """Choose the seed before processes are started, which then have the same."""
    os.environ.setdefault(SEED, str(secrets.randbelow(1_000_000)))


def seed() -> str:
    return os.environ[SEED]


def mark(items: Iterable[pytest.Function]) -> None:
    """Add the marks that follow from fixtures, parameters, and other marks."""
    for item in items:
        fixtures = set(item.fixturenames)
        params = item.callspec.params.values() if hasattr(item, "callspec") else ()
        values = {value for value in params if isinstance(value, str)}
        for part in PARTS:
            if FIXTURES[part] & fixtures or PARAMETERS[part] & values:
                item.add_marker(part)
        if "cobbler_project" in fixtures or item.get_closest_marker("matrix"):
            item.add_marker("slow")


def left_out(items: Sequence[pytest.Function], seed: str, *, whole: bool) -> list[pytest.Function]:
    """The cases of matrices that are not in the sample: of each matrix at least one is.

    Args:
        whole: whether this is a run of the whole suite, which leaves out slow tests, too.
    """
    if seed == "all":
        return []
    drawn: dict[tuple[str, int], list[pytest.Function]] = defaultdict(list)
    for item in items:
        if mark := item.get_closest_marker("matrix"):
            drawn[mark.args[0] if mark.args else item.nodeid.partition("[")[0], DRAWN].append(item)
        elif whole and _may_be_left_out({mark.name for mark in item.iter_markers()}):
            drawn[item.nodeid.partition("::")[0], DRAWN_OF_SLOW].append(item)
    return [
        case
        for (name, number), cases in drawn.items()
        for case in random.Random(f"{seed} {name}").sample(cases, len(cases) - -(-len(cases) // number))
    ]


def _may_be_left_out(marks: set[str]) -> bool:
    return "slow" in marks and not marks & KEPT


def some(function: str, names: Sequence[str]) -> Sequence[str]:
    """All of the names, or a sample in the same order."""
    if seed() == "all":
        return names
    drawn = random.Random(f"{seed()} {function}").sample(range(len(names)), -(-len(names) // DRAWN))
    return [names[number] for number in sorted(drawn)]


def points(function: str, least: int) -> Iterable[int]:
    """The points of a matrix that ends by itself, after ``least`` or more: all from 1, or a sample."""
    if seed() == "all":
        return itertools.count(1)
    drawn = random.Random(f"{seed()} {function}").sample(range(1, least + 1), -(-least // (2 * DRAWN)))
    return sorted(drawn)
