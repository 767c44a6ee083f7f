"""Probes share a job, and each gets its own result."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.causes import Ending
from pytest_cobbler.errors import CobblerError, SandboxError, UsageProblem
from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox.base import Completed, Job, Limits, Mount, Network, Sandbox
from pytest_cobbler.sandbox.probes import Probe, run_probes
from tests.support.jobs import shell, writable


@dataclass
class Counting:
    """A sandbox that remembers the jobs it was asked to run."""

    sandbox: Sandbox
    jobs: list[Job] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sandbox, name)

    def run(self, job: Job, cancellation: Cancellation | None = None) -> Completed:
        self.jobs.append(job)
        return self.sandbox.run(job, cancellation)

    @property
    def names(self) -> list[str]:
        return [job.name for job in self.jobs]


@pytest.fixture
def counting(sandbox: Sandbox) -> Any:
    return Counting(sandbox)


class Seen:
    """Makes probes that remember their results."""

    def __init__(self) -> None:
        self.ends: dict[str, Completed] = {}
        self.lines: dict[str, list[str]] = {}

    def probe(self, name: str, script: str, *arguments: str, **more: Any) -> Probe:
        lines = self.lines[name] = []

        def judge(completed: Completed) -> None:
            self.ends[name] = completed
            if not completed.ok:
                raise UsageProblem(f"{name} failed", evidence=completed.stderr)

        job = shell(script, *arguments, name=name, on_line=lambda line: lines.append(line.decode()), **more)
        return Probe(job=job, judge=judge)


@pytest.fixture
def seen() -> Seen:
    return Seen()


def test_probes_share_one_job_and_keep_their_output_apart(counting: Any, seen: Seen) -> None:
    first = seen.probe("first", "echo out; echo error >&2; printf unfinished")
    second = seen.probe("second", "cat; printf '%s' unfinished >&2; pwd", workdir="/tmp")
    third = seen.probe("third", "echo error of the third >&2")
    run_probes(counting, [first, second, third])
    assert counting.names == ["preflight"]
    assert seen.lines == {"first": ["out", "unfinished"], "second": ["/tmp"], "third": []}
    assert [completed.stderr for completed in seen.ends.values()] == [
        "error\n",
        "unfinished\n",
        "error of the third\n",
    ]


def test_each_probe_has_only_its_own_environment(counting: Any, seen: Seen) -> None:
    say = 'echo "${ONE-none} ${TWO-none}"'
    value = "a 'quoted'\nvalue $HOME \\"
    one = seen.probe("one", say, environment={"ONE": value})
    two = seen.probe("two", say, environment={"TWO": "2"})
    three = seen.probe("three", say)
    run_probes(counting, [one, two, three])
    assert counting.names == ["preflight"]
    assert "\n".join(seen.lines["one"]) == f"{value} none"
    assert seen.lines["two"] == ["none 2"]
    assert seen.lines["three"] == ["none none"]
    assert value not in shlex.join(counting.jobs[0].argv), "a command line is visible to other users"


def test_probes_have_their_mounts(counting: Any, seen: Seen, workspace: Path, tmp_path: Path) -> None:
    copied = tmp_path / "copied"
    copied.mkdir()
    copied.chmod(0o777)
    write = "echo text >file"
    kept = seen.probe("kept", write, workdir=str(workspace), mounts=(writable(workspace),))
    overlay = Mount(source=copied, target=str(copied), mode="overlay")
    dropped = seen.probe("dropped", f"{write}; cat file", workdir=str(copied), mounts=(overlay,))
    run_probes(counting, [kept, dropped])
    assert counting.names == ["preflight"]
    assert (workspace / "file").read_text() == "text\n"
    assert seen.lines["dropped"] == ["text"]
    assert not (copied / "file").exists()


def test_the_first_probe_that_fails_gives_the_error(counting: Any, seen: Seen, workspace: Path) -> None:
    first = seen.probe("first", "true")
    second = seen.probe("second", "echo why >&2; exit 3")
    third = seen.probe("third", "echo >ran", workdir=str(workspace), mounts=(writable(workspace),))
    with pytest.raises(UsageProblem, match="second failed") as caught:
        run_probes(counting, [first, second, third])
    assert caught.value.evidence == "why\n"
    assert seen.ends["second"].status == 3
    assert counting.names == ["preflight"]
    assert not (workspace / "ran").exists(), "later probes do not run"


def test_probes_after_a_tolerated_failure_run(counting: Any, seen: Seen) -> None:
    tolerated = replace(seen.probe("tolerated", "exit 1"), judge=lambda _completed: None)
    run_probes(counting, [tolerated, seen.probe("last", "echo here")])
    assert seen.lines["last"] == ["here"]


def test_a_problem_with_making_a_probe_comes_after_the_probes_before_it(counting: Any, seen: Seen) -> None:
    def probes(script: str) -> Iterator[Probe]:
        yield seen.probe("first", script)
        raise CobblerError("the second cannot be made")

    with pytest.raises(UsageProblem, match="first failed"):
        run_probes(counting, probes("exit 1"))
    with pytest.raises(CobblerError, match="the second cannot be made"):
        run_probes(counting, probes("true"))


def test_a_missing_program_is_reported_as_by_a_job_of_its_own(counting: Any, seen: Seen) -> None:
    missing = seen.probe("missing", "true")
    missing = replace(missing, job=replace(missing.job, argv=("no-such-program",)))
    with pytest.raises(SandboxError) as alone:
        missing.run(counting)
    with pytest.raises(SandboxError) as together:
        run_probes(counting, [seen.probe("first", "true"), missing])
    assert str(together.value) == str(alone.value)
    assert seen.ends["first"].ok


def test_a_job_that_cannot_start_does_not_hide_an_earlier_failure(
    counting: Any, seen: Seen, tmp_path: Path
) -> None:
    nowhere = Mount(source=tmp_path / "nowhere", target=str(tmp_path / "elsewhere"))
    impossible = seen.probe("impossible", "true", mounts=(nowhere,))
    with pytest.raises(UsageProblem, match="first failed"):
        run_probes(counting, [seen.probe("first", "exit 1"), impossible])
    with pytest.raises(SandboxError, match="nowhere"):
        run_probes(counting, [seen.probe("first", "true"), impossible])


def test_each_probe_has_its_own_time(counting: Any, seen: Seen) -> None:
    first = seen.probe("first", "true", limits=Limits(wall=600))
    slow = seen.probe("slow", "echo begun; sleep 600", limits=Limits(wall=0.5))
    with pytest.raises(UsageProblem, match="slow failed"):
        run_probes(counting, [first, slow, seen.probe("last", "true")])
    assert seen.ends["slow"].cause == Ending.TIMEOUT
    assert seen.lines["slow"] == ["begun"]
    assert counting.names == ["preflight"]


def test_a_job_that_does_not_begin_ends_with_the_time_of_the_first_probe(counting: Any, seen: Seen) -> None:
    class Hanging(Counting):
        def run(self, job: Job, cancellation: Cancellation | None = None) -> Completed:
            return super().run(replace(job, argv=("sleep", "600")), cancellation)

    first = seen.probe("first", "true", limits=Limits(wall=0.5))
    hanging = Hanging(counting)
    with pytest.raises(UsageProblem, match="first failed"):
        run_probes(hanging, [first, seen.probe("second", "true", limits=Limits(wall=600))])
    assert seen.ends["first"].cause == Ending.TIMEOUT
    assert hanging.names == ["preflight"]


def test_a_probe_that_is_killed_is_reported_as_killed(counting: Any, seen: Seen) -> None:
    with pytest.raises(UsageProblem, match="killed failed"):
        run_probes(counting, [seen.probe("first", "true"), seen.probe("killed", "kill -KILL $$")])
    assert seen.ends["killed"].cause == Ending.KILLED


def test_a_probe_cannot_forge_the_result_of_another(counting: Any, seen: Seen) -> None:
    run_probes(counting, [seen.probe("first", "true"), seen.probe("second", "true")])
    (earlier,) = counting.jobs
    marks = {word.strip("'\"") for word in earlier.stdin.decode().split() if len(word.strip("'\"")) == 32}
    (mark,) = marks
    forged = f"for word in begins 'ended 0' begins 'ended 0'; do echo \"{mark} $word\"; done; exit 1"
    with pytest.raises(UsageProblem, match="forger failed"):
        run_probes(counting, [seen.probe("forger", forged), seen.probe("other", "exit 1")])
    assert seen.ends["forger"].status == 1
    assert len(seen.lines["forger"]) == 4, "the mark of another job is text"
    assert "other" not in seen.ends


@pytest.mark.parametrize(
    "other",
    [
        {"network": Network.OPEN},
        {"arguments": ("--cap-drop=all",)},
        {"stdin": b"text"},
        {"secrets": {"A": "b"}},
    ],
    ids=lambda other: next(iter(other)),
)
def test_a_probe_of_another_kind_has_its_own_job(counting: Any, seen: Seen, other: dict[str, Any]) -> None:
    run_probes(counting, [seen.probe("a", "true"), seen.probe("b", "true", **other), seen.probe("c", "true")])
    assert counting.names == ["preflight", "b"]
    assert list(seen.ends) == ["a", "b", "c"], "they are judged in their order"
