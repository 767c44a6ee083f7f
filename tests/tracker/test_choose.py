from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_cobbler.errors import TrackerError
from pytest_cobbler.tracker.base import Tracker
from pytest_cobbler.tracker.bd import BdTracker
from pytest_cobbler.tracker.choose import Kind, open_tracker
from pytest_cobbler.tracker.embedded import EmbeddedTracker
from tests.support.stores import issue


@pytest.fixture
def beads(tmp_path: Path) -> Path:
    return tmp_path / ".beads"


@pytest.fixture(params=["embeddeddolt", "metadata.json"])
def beads_of_bd(request: pytest.FixtureRequest, beads: Path) -> Path:
    beads.mkdir()
    if request.param == "metadata.json":
        (beads / "metadata.json").write_text('{"backend": "dolt"}')
    else:
        (beads / request.param).mkdir()
    return beads


@pytest.fixture
def bd_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ``bd`` that must not be run."""
    program = tmp_path / "bin" / "bd"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))


@pytest.fixture
def no_bd_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))


def opened(kind: Kind, beads: Path) -> Tracker:
    before = sorted(beads.parent.rglob("*"))
    tracker = open_tracker(kind, beads.parent, beads, "proj")
    assert sorted(beads.parent.rglob("*")) == before
    return tracker


@pytest.mark.usefixtures("bd_on_path")
class TestWithBd:
    @pytest.mark.parametrize("kind", ["auto", "embedded"])
    def test_an_empty_directory_becomes_an_embedded_store(self, kind: Kind, beads: Path) -> None:
        assert isinstance(opened(kind, beads), EmbeddedTracker)

    def test_an_empty_directory_becomes_a_store_of_bd_if_configured(self, beads: Path) -> None:
        assert isinstance(opened("bd", beads), BdTracker)

    @pytest.mark.parametrize("kind", ["auto", "bd"])
    def test_a_store_of_bd_is_opened_by_bd(self, kind: Kind, beads_of_bd: Path) -> None:
        assert isinstance(opened(kind, beads_of_bd), BdTracker)

    def test_a_store_of_bd_is_not_opened_as_embedded(self, beads_of_bd: Path) -> None:
        (beads_of_bd / "issues.jsonl").write_text(json.dumps(issue("proj-abc")))
        with pytest.raises(TrackerError, match="belongs to bd"):
            opened("embedded", beads_of_bd)

    @pytest.mark.parametrize("kind", ["auto", "embedded"])
    def test_issues_jsonl_alone_is_an_embedded_store(self, kind: Kind, beads: Path) -> None:
        beads.mkdir()
        (beads / "issues.jsonl").write_text(json.dumps(issue("proj-abc")))
        tracker = opened(kind, beads)
        assert isinstance(tracker, EmbeddedTracker)
        assert [task.id for task in tracker.tasks()] == ["proj-abc"]


@pytest.mark.usefixtures("no_bd_on_path")
class TestWithoutBd:
    @pytest.mark.parametrize("kind", ["auto", "bd"])
    def test_a_store_of_bd_needs_bd(self, kind: Kind, beads_of_bd: Path) -> None:
        with pytest.raises(TrackerError) as caught:
            opened(kind, beads_of_bd)
        assert "belongs to bd" in caught.value.cause
        assert "bd is not on PATH" in caught.value.cause
        assert "brew install beads" in caught.value.remedy

    def test_configuring_bd_needs_bd(self, beads: Path) -> None:
        with pytest.raises(TrackerError, match="`tracker: bd` is configured, but bd is not on PATH"):
            opened("bd", beads)

    def test_an_empty_directory_becomes_an_embedded_store(self, beads: Path) -> None:
        assert isinstance(opened("auto", beads), EmbeddedTracker)
