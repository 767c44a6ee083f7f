"""A program of the user's merges what git cannot; what it makes is checked and tested as every change is."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_cobbler.causes import Cause
from pytest_cobbler.landing.candidates import Candidate, Landing
from pytest_cobbler.landing.gate import Gate
from pytest_cobbler.languages import get
from pytest_cobbler.languages.base import Step
from pytest_cobbler.repository.checks import Policy
from pytest_cobbler.sandbox.base import Network, Sandbox
from pytest_cobbler.sandbox.podman import PodmanSandbox, job_owner
from tests.support.images import minimal_image
from tests.support.jobs import own_host
from tests.support.lanes import Lane, make_lane
from tests.support.repositories import UserRepository, commit_files, files_in

__all__ = ["minimal_image"]

BOTH = ("git", "merge-file", "--union", "%A", "%O", "%B")
"""A driver that takes the lines of both sides: base and theirs are its last arguments."""
SECRET = "correct-horse-battery-staple"
Changes = dict[str, str | None]
START = {"one": "a\n", "two": "a\n"}


class Bench:
    """A generation with two files, on whose lines two changes do not agree."""

    def __init__(self, user: UserRepository, directory: Path, sandbox: Sandbox) -> None:
        user.commit(START)
        self.repository = user.open()
        self.generation = user.start()
        self._directory = directory
        self._sandbox = sandbox
        self._lanes: list[Lane] = []
        self.first = self.tip

    @property
    def tip(self) -> str:
        tip = self.repository.read_ref(self.generation.ref)
        assert tip is not None
        return tip

    @property
    def files(self) -> dict[str, bytes]:
        return files_in(self.repository, self.tip)

    def land(self, driver: tuple[str, ...], ours: Changes, theirs: Changes) -> Landing:
        """Land two changes of the first commit; the result of the second."""
        step = Step(name="test", argv=("true",), shown="true")
        gate = Gate(
            steps=[step],
            sandbox=self._sandbox,
            network=Network.NONE,
            image=None,
            timeout=60.0,
            environment={},
            merge_driver=driver,
        )
        lane = make_lane(self.repository, self.generation, gate, get("none"), self._directory)
        self._lanes.append(lane)
        commits = [commit_files(self.repository, self.first, files) for files in (ours, theirs)]
        first, second = (lane.lane.land(self._candidate(commit)) for commit in commits)
        assert first.commit
        return second

    def _candidate(self, commit: str) -> Candidate:
        return Candidate(
            task_id="t-1",
            commit=commit,
            policy=Policy(secrets=(SECRET,)),
            log=self._directory / "gate.log",
            message=lambda notes, *_: "\n".join(["The task\n", *notes]),
            on_landed=lambda _commit: None,
        )

    def close(self) -> None:
        for lane in self._lanes:
            lane.lane.close()


@pytest.fixture(params=["host", "podman"])
def sandbox(request: pytest.FixtureRequest, tmp_path: Path) -> Sandbox:
    if request.param == "host":
        return own_host()
    image = request.getfixturevalue("minimal_image")
    return PodmanSandbox(image, repository=uuid.uuid4().hex, run_id="test", owner=job_owner(tmp_path))


@pytest.fixture
def bench(user: UserRepository, tmp_path: Path, sandbox: Sandbox) -> Iterator[Bench]:
    bench = Bench(user, tmp_path, sandbox)
    yield bench
    bench.close()


on_the_host = pytest.mark.parametrize("sandbox", ["host"], indirect=True)
OURS: Changes = {"one": "a\nours\n", "two": "ours\n"}
THEIRS: Changes = {"one": "a\ntheirs\n", "two": "theirs\n"}


def test_the_program_merges_what_git_cannot_and_the_commit_names_the_files(bench: Bench) -> None:
    landing = bench.land(BOTH, OURS, THEIRS)
    assert landing.commit == bench.tip
    assert bench.files["one"] == b"a\nours\ntheirs\n"
    assert bench.files["two"] == b"ours\ntheirs\n"
    message = bench.repository.objects.text("log", "-1", "--format=%B", bench.tip)
    assert "merged by merge_driver: one, two" in message


@on_the_host
@pytest.mark.parametrize(
    ("driver", "notes"),
    [
        ((), ()),
        (("false", "%O", "%A", "%B"), ("merge_driver did not merge one (exit 1)",)),
        (("no-such-program", "%O", "%A", "%B"), ("merge_driver did not merge one (exit 127)",)),
        # It settles the first file alone.
        (
            ("sh", "-c", 'test "$1" = one && echo merged >"$2"', "sh", "%P", "%A", "%O%B"),
            ("merge_driver did not merge two (exit 1)",),
        ),
        (("sh", "-c", "kill -9 $PPID", "sh", "%A", "%O", "%B"), ("merge_driver did not merge one",)),
    ],
)
def test_a_conflict_stays_if_the_program_does_not_settle_all(
    bench: Bench, driver: tuple[str, ...], notes: tuple[str, ...]
) -> None:
    landing = bench.land(driver, OURS, THEIRS)
    assert (landing.cause, landing.commit, landing.notes) == (Cause.CONFLICT, "", notes)
    assert landing.merged
    assert landing.merged.conflicts == ("one", "two")
    assert bench.files["one"] == b"a\nours\n"


@on_the_host
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        pytest.param({"one": None}, {"one": "a\ntheirs\n"}, id="removed by one side"),
        pytest.param({"new": "ours\n"}, {"new": "theirs\n"}, id="added by both"),
        pytest.param(
            {".gitattributes": "one -merge\n", "one": "ours\n"}, {"one": "theirs\n"}, id="attribute"
        ),
    ],
)
def test_files_that_git_does_not_merge_by_lines_are_not_given_to_it(
    bench: Bench, tmp_path: Path, ours: Changes, theirs: Changes
) -> None:
    asked = tmp_path / "asked"
    landing = bench.land(("sh", "-c", f"touch {asked}", "sh", "%O", "%A", "%B"), ours, theirs)
    assert landing.cause == Cause.CONFLICT
    assert not asked.exists()


@on_the_host
def test_names_and_contents_are_passed_as_they_are(bench: Bench) -> None:
    name = "-x '%A $(touch x)\n;.txt"
    script = 'printf "%s\\000%s" "$1" "$(cat "$4" "$2" "$3" | wc -c)" >"$2"'
    driver = ("sh", "-c", script, "sh", "%P:%L:100%", "%A", "%B", "%O")
    bench.land(BOTH, {name: "base\n"}, {"new": ""})
    bench.first = bench.tip
    assert bench.land(driver, {name: "ours\n"}, {name: "theirs"}).commit
    assert bench.files[name] == f"{name}:7:100%\00016".encode()


@on_the_host
def test_what_it_makes_is_checked(bench: Bench) -> None:
    landing = bench.land(("sh", "-c", f'echo {SECRET} >"$1"', "sh", "%A", "%O", "%B"), OURS, THEIRS)
    assert landing.cause == Cause.REFUSED
    assert bench.files["one"] == b"a\nours\n"
