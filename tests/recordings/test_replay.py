"""The agent that plays a recording repeats the work exactly, or reports the missing part."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_cobbler.agents.base import AgentError, AgentResult
from pytest_cobbler.causes import Ending
from pytest_cobbler.cycle.prompts import StitchFacts, stitch_prompt
from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.process import Cancellation
from pytest_cobbler.recordings.files import (
    Head,
    difference,
    place_of,
    place_of_task,
)
from pytest_cobbler.recordings.names import steady
from pytest_cobbler.recordings.recorder import Recorder
from pytest_cobbler.recordings.replay import ReplayAgent
from pytest_cobbler.repository.landing import exact_patch_of
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sandbox.base import Completed, Mount, Sandbox
from pytest_cobbler.sandbox.podman import PodmanSandbox
from pytest_cobbler.sandbox.podman_environment import podman_environment
from tests.support.images import minimal_image
from tests.support.workplaces import Workplace

__all__ = ["minimal_image"]

DONE = AgentResult(completed=Completed(status=0, cause=Ending.EXITED, seconds=1.0, stderr=""), text="Done.")


class Played:
    """A recording of one attempt at ``Write hello.txt``, and a place to play it."""

    def __init__(self, directory: Path) -> None:
        self.place = Workplace(directory / "place")
        self.recording = directory / "recording"
        self.agent = ReplayAgent(self.recording, root=directory)

    def record(
        self, result: AgentResult = DONE, prompt: str = "Write hello.txt", **work: bytes | str
    ) -> None:
        request = self.place.request(prompt)
        Recorder(self.recording, "generation-1", str).attempt(request, result, **work)  # type: ignore[arg-type]

    @property
    def attempt(self) -> Path:
        return self.recording / place_of(self.place.request())


@pytest.fixture
def played(tmp_path: Path) -> Played:
    return Played(tmp_path)


# -- changes

BINARY = bytes(range(256)) * 20
LATE_NUL = b"line\n" * 3000 + b"\0\n"


def _write(path: str, content: bytes) -> Callable[[Path], None]:
    def step(tree: Path) -> None:
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(content)

    return step


def _shell(command: str) -> Callable[[Path], None]:
    def step(tree: Path) -> None:
        subprocess.run(["sh", "-ec", command], cwd=tree, check=True)

    return step


CHANGES = {
    "a new file in new directories": _write("a/b/c.txt", b"text\n"),
    "an empty file": _write("empty", b""),
    "no newline at the end": _write("text.txt", b"one\ntwo"),
    "carriage returns": _write("crlf.txt", b"one\r\nthree\r\n"),
    "line ends that attributes ask for": _write("file.dos", b"one\r\nthree\r\n"),
    "trailing blanks": _write("text.txt", b"one  \n\t\ntwo \n\n\n"),
    "a binary file": _write("binary", BINARY),
    "a changed binary file": _write("old-binary", BINARY[::-1]),
    "a NUL late in a file": _write("late", LATE_NUL),
    "not UTF-8": _write("latin", b"gr\xfcn\n"),
    "a deletion": _shell("rm text.txt"),
    "a mode": _shell("chmod +x text.txt"),
    "a mode taken away": _shell("chmod -x program"),
    "a symbolic link": _shell("ln -s text.txt link"),
    "another target of a link": _shell("rm old-link && ln -s nowhere old-link"),
    "a link instead of a file": _shell("rm text.txt && ln -s program text.txt"),
    "a file instead of a link": _shell("rm old-link && echo file >old-link"),
    "a directory instead of a file": _shell("rm text.txt && mkdir text.txt && echo x >text.txt/x"),
    "a file instead of a directory": _shell("rm -r directory && echo x >directory"),
    "a rename": _shell("git mv directory moved"),
    "a renamed and changed file": _shell("git mv long.txt moved.txt && sed -i 's/^7$/seven/' moved.txt"),
    "two files that change places": _shell("mv text.txt t && mv long.txt text.txt && mv t long.txt"),
    "odd names": _shell(
        "touch -- 'a b' '\"q\"' \"$(printf 'new\\nline')\" \"$(printf 'l\\374')\" -n 'ü' 'a\\b'"
    ),
}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    root = tmp_path / "repository"
    _shell("git init -q repository")(tmp_path)
    before = {
        "text.txt": b"one\ntwo\n",
        "crlf.txt": b"one\r\ntwo\r\n",
        "old-binary": BINARY,
        "program": b"#!\n",
    }
    for name, content in (before | {"directory/file": b"f\n", "directory/other": b"g\n"}).items():
        _write(name, content)(root)
    _write(".gitattributes", b"*.dos text eol=crlf\n")(root)
    _write("file.dos", b"one\r\ntwo\r\n")(root)
    _write("long.txt", b"".join(b"%d\n" % number for number in range(50)))(root)
    _shell("chmod +x program; ln -s text.txt old-link")(root)
    commit(root)
    return Repository(root, tmp_path / "work")


def commit(tree: Path) -> str:
    git = "git -c user.name=t -c user.email=t@example.invalid"
    _shell(f"git add -A && {git} commit -q --allow-empty -m x")(tree)
    completed = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=tree, check=True, capture_output=True, text=True
    )
    return completed.stdout.strip()


def play_change(
    played: Played, repository: Repository, sandbox: Sandbox, *changes: Callable[[Path], None]
) -> tuple[str, str]:
    """The tree with the changes, and the tree after a replay of them."""
    root = repository.root
    old = commit(root)
    clone = played.place.directory / "again"
    _shell(f"git clone -q {root} {clone}")(root)  # it has none of the objects that follow
    for change in changes:
        change(root)
    new = commit(root)
    assert new != old
    patch = exact_patch_of(repository, old, new)
    played.record(change=patch.content)
    if sandbox.owner:
        _shell(f"chown -R {sandbox.owner[0]}:{sandbox.owner[1]} {clone}")(root)
    mounts = (Mount(source=clone, target=str(clone), mode="rw"),)
    request = replace(played.place.request(), worktree=clone, mounts=mounts)
    result = played.agent.run(request, sandbox, Cancellation())
    assert result.error == "", result.text
    if sandbox.owner:
        _shell(f"chown -R {os.getuid()}:{os.getgid()} {clone}")(root)
    return repository.tree_of(new), Repository(clone, root.parent / "work").tree_of(commit(clone))


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_is_repeated_exactly(
    played: Played, repository: Repository, change: Callable[[Path], None]
) -> None:
    recorded, replayed = play_change(played, repository, played.place.sandbox, change)
    assert replayed == recorded


def test_all_changes_together_are_repeated_in_an_image_with_only_git_and_sh(
    played: Played, repository: Repository, minimal_image: str
) -> None:
    sandbox = PodmanSandbox(
        minimal_image,
        repository="tests",
        run_id=uuid.uuid4().hex,
        owner=(2000, 2000),
        environment=podman_environment(),
    )
    alone = ("instead", "places", "trailing", "deletion")
    kinds = [change for name, change in CHANGES.items() if not any(word in name for word in alone)]
    recorded, replayed = play_change(played, repository, sandbox, *kinds, CHANGES["a deletion"])
    assert replayed == recorded


# -- results


def test_output_steps_usage_and_result_come_from_the_recording(played: Played) -> None:
    place = played.place
    message = {"role": "assistant", "content": [{"type": "text", "text": "I write."}]}
    place.transcript.parent.mkdir(parents=True)
    place.transcript.write_text(json.dumps({"type": "assistant", "message": message}) + "\n")
    place.errors.write_text("a warning\n")
    result = replace(DONE, usage=replace(DONE.usage, cost_usd=0.5, tokens_input=7), session_id="s")
    played.record(result)
    place.transcript.unlink()
    place.errors.unlink()

    replayed = place.run(played.agent)

    assert replayed.usage == result.usage
    assert (replayed.text, replayed.session_id, replayed.error) == ("Done.", "s", "")
    assert place.steps == ["I write."]
    assert "I write." in place.transcript.read_text()
    assert place.errors.read_text() == "a warning\n"


@pytest.mark.parametrize("cause", ["timeout", "idle", "killed"])
def test_an_end_by_a_limit_is_played_without_waiting_for_it(played: Played, cause: str) -> None:
    completed = Completed(status=137, cause=cause, seconds=1800.0, stderr="")  # type: ignore[arg-type]
    played.record(replace(DONE, completed=completed, error=f"agent: {cause}"), change=b"")

    replayed = played.place.run(played.agent)

    assert (replayed.completed.cause, replayed.error) == (cause, f"agent: {cause}")


def test_an_answer_is_repeated(played: Played, tmp_path: Path) -> None:
    output = tmp_path / "output.json"
    transcript = tmp_path / "2" / "transcript.jsonl"
    transcript.parent.mkdir()
    request = replace(
        played.place.request(), phase="measure", task_id="cycle-1", transcript=transcript, output=output
    )
    Recorder(played.recording, "generation-1", str).attempt(request, DONE, answer=b"[\xff]\n")

    result = played.agent.run(request, played.place.sandbox, Cancellation())

    assert result.error == ""
    assert output.read_bytes() == b"[\xff]\n"
    assert (played.recording / "measure" / "cycle-1" / "2" / "tasks.json").exists()


# -- errors


def test_playing_a_task_that_was_not_recorded_fails(played: Played) -> None:
    played.record()
    with pytest.raises(AgentError) as caught:
        played.place.run(played.agent, title="Write more")
    assert caught.value.cause == (
        "agent: this attempt was not recorded: there is no recording/stitch/write-more/1/result.json"
    )


def test_playing_an_attempt_that_was_not_recorded_fails(played: Played) -> None:
    played.record()
    with pytest.raises(AgentError) as caught:
        played.place.run(played.agent, attempt=2)
    assert "there is no recording/stitch/write-hello-txt-" in caught.value.cause
    assert caught.value.cause.endswith("/2/result.json")


def test_playing_a_change_that_does_not_apply_fails(played: Played) -> None:
    patch = b"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"
    played.record(change=patch)
    with pytest.raises(AgentError) as caught:
        played.place.run(played.agent)
    assert "does not apply to the files" in caught.value.cause
    assert "x: No such file or directory" in str(caught.value)


def test_playing_withheld_work_fails_with_the_reason(played: Played) -> None:
    played.record(withheld="refused: the credential is in it")
    with pytest.raises(AgentError) as caught:
        played.place.run(played.agent)
    assert caught.value.cause == "agent: this attempt cannot be played: refused: the credential is in it"


def test_a_damaged_file_is_named(played: Played) -> None:
    played.record()
    (played.attempt / "result.json").write_text('{"title": "t", "status": "x"}')
    with pytest.raises(AgentError) as caught:
        played.place.run(played.agent)
    assert f"{played.attempt}/result.json cannot be read: status: " in caught.value.cause


@pytest.mark.parametrize("content", [None, "{}", '{"format": "pytest-cobbler recording", "version": 2}'])
def test_a_directory_without_a_readable_recording_is_refused(played: Played, content: str | None) -> None:
    played.recording.mkdir()
    if content:
        (played.recording / "recording.json").write_text(content)
    with pytest.raises(UsageProblem, match=r"recording\.json"):
        played.agent.preflight(played.place.sandbox)


# -- prompts


def test_another_prompt_is_an_error_that_shows_the_difference(played: Played) -> None:
    played.record(prompt="Write hello.txt\nbriefly\nplease\n")
    with pytest.raises(AgentError) as caught:
        played.place.run(played.agent, "Write hello.txt\nat length\nplease\n")
    assert (
        caught.value.cause
        == f"agent: the prompt differs from {played.attempt.relative_to(played.recording.parent)}/prompt.md"
    )
    assert "\n-briefly\n+at length\n please" in caught.value.evidence
    assert "recording_prompts: ignore" in str(caught.value)
    assert "--cobbler-record recording" in str(caught.value)


def test_another_prompt_is_ignored_if_configured(played: Played) -> None:
    played.record()
    agent = ReplayAgent(played.recording, root=played.recording, prompts="ignore")
    (played.attempt / "prompt.md").unlink()
    assert played.place.run(agent, "Write another file").error == ""


def test_another_prompt_is_recorded_if_requested(played: Played) -> None:
    played.record()
    agent = ReplayAgent(played.recording, root=played.recording, prompts="accept")
    assert played.place.run(agent, "Write another file").error == ""
    assert (played.attempt / "prompt.md").read_text() == "Write another file"
    assert played.place.run(played.agent, "Write another file").error == ""


def test_a_missing_prompt_is_an_error(played: Played) -> None:
    played.record()
    (played.attempt / "prompt.md").unlink()
    with pytest.raises(AgentError, match="the prompt was not recorded"):
        played.place.run(played.agent)


def test_names_that_differ_between_runs_have_placeholders() -> None:
    names = {
        "/w/generation-1/t-1": "[worktree]",
        "generation-1": "[generation]",
        "t-1": "[task]",
        "t-10": "[task]",
    }
    text = 'task t-1 of generation-1 in /w/generation-1/t-1/tree; not at-1, t-12 or "\\nt-10"'
    assert (
        steady(text, names) == 'task [task] of [generation] in [worktree]/tree; not at-1, t-12 or "\\n[task]"'
    )


def test_the_order_of_tasks_does_not_depend_on_their_ids() -> None:
    names = {"x-1": "[task]", "x-2": "[task]"}
    assert steady("x-1: B\nx-2: A\n", names) == steady("x-1: A\nx-2: B\n", names)
    issues = '[{"id": "x-1", "title": "%s"},\n{"id": "x-2", "title": "%s"}]'
    assert steady(issues % ("B", "A"), names) == steady(issues % ("A", "B"), names)


def test_output_of_programs_is_not_compared() -> None:
    prompt = (
        "<summary>\ngate: test: 1 failed in {}s\n</summary>\n<output-2>\nrootdir {}\n</output-2>\nGo on.\n"
    )
    assert difference(prompt.format("0.12", "/a"), prompt.format("3", "/b"), "prompt.md") == ""
    assert difference(prompt.format("1", "/a"), prompt.format("1", "/a") + "Now.\n", "prompt.md") != ""


def test_what_an_earlier_attempt_left_in_its_git_is_not_compared() -> None:
    left = ["0123456789abcdef, attempt 1: stash"]
    before = stitch_prompt(None, StitchFacts(id="t", title="T", protected=("x",)))
    after = stitch_prompt(None, StitchFacts(id="t", title="T", protected=("x",), left=left))
    assert difference(after, before, "prompt.md") == difference(before, after, "prompt.md") == ""
    assert left[0] in after


def test_each_title_has_its_own_directory() -> None:
    assert str(place_of_task("Add the store")) == "stitch/add-the-store"
    titles = [
        "Add the store",
        "add the store",
        "Add the Store",
        "Add the store!",
        "Add  the store",
        "/",
        "..",
        "ü",
        "x" * 300,
    ]
    places = [place_of_task(title) for title in titles]
    assert len(set(places)) == len(titles)
    assert all(
        place.parts[0] == "stitch" and len(place.parts) == 2 and len(place.name) < 80 for place in places
    )


def test_a_head_survives_a_round_trip() -> None:
    head = Head(generation="generation-1", order=("begin stitch/a/1", "land stitch/a/1"))
    assert Head.model_validate_json(head.as_text()) == head
