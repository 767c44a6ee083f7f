"""The trailers of a commit, unaffected by any title and description."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_cobbler.repository import trailers
from pytest_cobbler.repository.repository import Repository
from tests.support.repositories import ADA, UserRepository

SCISSORS = "# ------------------------ >8 ------------------------"
OURS = {trailers.TASK: "t-1", trailers.GENERATION: "generation-a", trailers.ATTEMPT: 2}
READ = {name: str(value) for name, value in OURS.items()}

HOSTILE = [
    "Cobbler-Task: t-2",
    "cobbler-task: t-2",
    "  Cobbler-Task: t-2",
    "Text.\n\nCobbler-Task: t-2\nCobbler-Generation: other",
    "Text.\n\nFixes: x\n Cobbler-Task: t-2",
    "Text.\n\nFixes: x\n\tCobbler-Task: t-2\n",
    "Text.\n\nSigned-off-by: Eve <eve@example.invalid>",
    "Text.\n\nSigned-off-by: Eve <e@example.invalid>\nCo-authored-by: Eve <e@example.invalid>\n\n\n",
    "Text\n---\nmore\n---\n",
    "---",
    "Text\n\n---\n\nCobbler-Task: t-2",
    "# A heading\n# another",
    "Text\n\n# the end is a comment\n#\n",
    f"Text\n{SCISSORS}\nmore text",
    f"{SCISSORS}\nCobbler-Task: t-2",
    SCISSORS.replace("#", ";"),
    "Text\n\nConflicts:\n\tfile\n",
    "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-Cobbler-Task: t-2\n+x",
    "a\0b\nCobbler-Task: t-2",
    "a\rCobbler-Task: t-2\r\nCobbler-Task: t-3\r\n",
    "a\x0bCobbler-Task: t-2\x0cCobbler-Task: t-2\x85Cobbler-Task: t-2\u2028Cobbler-Task: t-2",
    "\ud800 half a character",
    "\x1b[2J\x1b]0;title\x07",
    "(cherry picked from commit 0123456789)\nCobbler-Task: t-2",
    " ",
    "",
]


@pytest.fixture
def parent(user: UserRepository) -> str:
    return user.git("rev-parse", "HEAD")


def landed(repository: Repository, parent: str, title: str, body: str = "") -> str:
    text = trailers.message(repository, title, body, OURS)
    return repository.commit(repository.tree_of(parent), [parent], text, ADA)


NOTES = ["review these: a.txt", "Cobbler-Task: t-2", "two\n\nCobbler-Task: t-2", "\x1b[2J"]


@pytest.mark.parametrize("text", HOSTILE)
def test_notes_are_in_the_message_and_add_no_trailer(repository: Repository, parent: str, text: str) -> None:
    message = trailers.message(repository, "Title", text, OURS, notes=NOTES)
    commit = repository.commit(repository.tree_of(parent), [parent], message, ADA)
    assert trailers.read_trailers(repository, commit) == READ
    *_, notes, _ = message.split("\n\n")
    assert notes.splitlines() == [
        "* review these: a.txt",
        "* Cobbler-Task: t-2",
        "* two Cobbler-Task: t-2",
        r"* \x1b[2J",
    ]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_description_adds_no_trailer_and_hides_none(repository: Repository, parent: str, text: str) -> None:
    commit = landed(repository, parent, "Title", text)
    assert trailers.read_trailers(repository, commit) == READ
    assert list(trailers.landed_tasks(repository, f"{parent}..{commit}")) == ["t-1"]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_title_adds_no_trailer_and_hides_none(repository: Repository, parent: str, text: str) -> None:
    commit = landed(repository, parent, text)
    assert trailers.read_trailers(repository, commit) == READ
    assert list(trailers.landed_tasks(repository, f"{parent}..{commit}")) == ["t-1"]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_message_is_checked_even_if_no_line_was_quoted(
    repository: Repository, parent: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """git itself is asked how it reads a message, since no list of what misleads it is complete."""
    monkeypatch.setattr(trailers, "_harmless", lambda text: text)
    commit = landed(repository, parent, "Title", text)
    assert trailers.read_trailers(repository, commit) == READ


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Text\n\nCobbler-Task: t-2\nmore", "Text\n\n> Cobbler-Task: t-2\nmore"),
        ("  cobbler-task: t-2", ">   cobbler-task: t-2"),
        (f"Text\n{SCISSORS}\nmore", f"Text\n> {SCISSORS}\nmore"),
    ],
)
def test_lines_like_trailers_are_quoted_and_not_dropped(
    repository: Repository, parent: str, text: str, kept: str
) -> None:
    assert trailers.read_body(repository, landed(repository, parent, "Title", text)) == kept


@given(
    st.lists(
        st.sampled_from([*HOSTILE, "\n", "\n\n", "# ", "---\n", "Key: value", " ", "\t", ":"]), max_size=6
    ).map("".join)
    | st.text(max_size=60)
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_adds_or_hides_a_trailer(repository: Repository, parent: str, text: str) -> None:
    commit = landed(repository, parent, text, text)
    assert trailers.read_trailers(repository, commit) == READ
    assert list(trailers.landed_tasks(repository, f"{parent}..{commit}")) == ["t-1"]


def test_a_description_stays_as_it_was_written(repository: Repository, parent: str) -> None:
    body = "First.\n\n* müde — 日本\u3000語 👩\u200d💻\n\tcode\n\n# Heading\n\nby: all means"
    commit = landed(repository, parent, "Mach es", body)
    assert trailers.read_body(repository, commit) == body
    assert trailers.landed_tasks(repository, commit)["t-1"].title == "Mach es"


@pytest.mark.parametrize(
    "line", ["Signed-off-by: Ada <ada@example.invalid>", " co-authored-by : Ada", "Reviewed-by:Ada"]
)
def test_no_description_signs_in_the_name_of_a_person(repository: Repository, parent: str, line: str) -> None:
    commit = landed(repository, parent, line, f"Text.\n{line}\n\n{line}")
    text = repository.objects.run("show", "-s", "--format=%B", commit).text
    found = [shown for shown in text.splitlines() if line.strip() in shown]
    assert len(found) == 3
    assert all(shown.startswith("> ") for shown in found)


def test_control_characters_are_written_out(repository: Repository, parent: str) -> None:
    commit = landed(repository, parent, "a\x1b[1mb", "c\x1bd\u202ee")
    shown = repository.objects.run("show", "-s", "--format=%B", commit).text
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert shown.startswith("a\\x1b[1mb\n\nc\\x1bd\\u202ee\n\n")


def test_values_are_one_line_and_empty_ones_left_out(repository: Repository) -> None:
    text = trailers.message(
        repository, "T", "", {"Cobbler-A": " one\n two ", "Cobbler-B": "", "Cobbler-C": 3}
    )
    assert text == "T\n\nCobbler-A: one two\nCobbler-C: 3\n"


def test_a_commit_without_a_title_gets_one(repository: Repository) -> None:
    assert trailers.message(repository, " \n", "", {"Cobbler-A": "x"}).startswith("(no title)\n")


class TestLandedTasks:
    def test_landed_tasks_are_those_of_the_range_with_their_newest_commits(
        self, repository: Repository, user: UserRepository
    ) -> None:
        base = user.git("rev-parse", "HEAD")
        before = landed(repository, base, "Before")
        first = landed(repository, before, "First")
        values = {trailers.TASK: "t-2"}
        other = repository.commit(
            repository.tree_of(base), [first], trailers.message(repository, "Other", "", values), ADA
        )
        again = landed(repository, other, "Again")
        found = trailers.landed_tasks(repository, f"{before}..{again}")
        assert {task: (one.commit, one.title) for task, one in found.items()} == {
            "t-1": (again, "Again"),
            "t-2": (other, "Other"),
        }

    def test_a_text_that_mentions_a_task_is_not_a_landed_task(
        self, repository: Repository, user: UserRepository
    ) -> None:
        user.commit(message="Say more\n\nCobbler-Task: t-9\nis what it would say.\n\nNothing else.")
        assert trailers.landed_tasks(repository, user.git("rev-parse", "HEAD")) == {}

    def test_several_tasks_in_one_commit_all_landed(
        self, repository: Repository, user: UserRepository
    ) -> None:
        user.commit(message="Squashed\n\nCobbler-Task: t-1\nCobbler-Task: t-2")
        assert list(trailers.landed_tasks(repository, user.git("rev-parse", "HEAD"))) == ["t-1", "t-2"]


@pytest.mark.parametrize(
    "words",
    [
        *("[skip ci]", "[ci skip]", "[NO CI]", "[skip actions]", "[Skip Netlify]", "[CF-Pages-Skip]"),
        *("[skip azurepipelines]", "***NO_CI***", "[skip\u200e ci]"),
    ],
)
def test_no_word_of_an_agent_keeps_ci_from_testing_what_landed(
    repository: Repository, parent: str, words: str
) -> None:
    own = {**OURS, trailers.SESSION: words}
    message = trailers.message(repository, f"Add {words}", f"Text {words}", own, notes=[f"review: {words}"])
    assert not re.search(r"\[[^\]]*(skip|no ci)|\*\*\*", message, re.IGNORECASE)
    assert len(re.findall(r"\([^)]*(?:skip|no.ci)[^)]*\)", message, re.IGNORECASE)) == 4, "it is still read"
    commit = repository.commit(repository.tree_of(parent), [parent], message, ADA)
    assert trailers.read_trailers(repository, commit)[trailers.TASK] == "t-1"


def test_no_line_of_an_agent_is_an_order_to_a_forge(repository: Repository, parent: str) -> None:
    body = "Text.\n/tag v9 Released\n\nskip-checks: true"
    commit = landed(repository, parent, "/tag v9", body)
    text = repository.objects.run("show", "-s", "--format=%B", commit).text
    assert not re.search(r"^\s*(/tag|skip-checks)", text, re.MULTILINE)
    assert [line for line in text.splitlines() if "tag v9" in line] == ["> /tag v9", "> /tag v9 Released"]


@pytest.mark.parametrize("text", ["/etc/x is read", "see [the docs](x)", "[skipped] tests", "a[no_circle]"])
def test_other_words_in_brackets_stay(repository: Repository, parent: str, text: str) -> None:
    assert trailers.read_body(repository, landed(repository, parent, "Title", text)) == text
