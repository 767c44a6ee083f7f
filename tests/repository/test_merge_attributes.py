"""The ``.gitattributes`` of the tip say how the changes of parallel tasks are merged, and run nothing."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import pytest

from pytest_cobbler.repository.landing import Merge, land, merge
from pytest_cobbler.repository.merging import merge_into_base
from tests.support.repositories import ADA, Content, UserRepository, commit_files, files_in

LINES = "".join(f"{number}\n" for number in range(9))
FIRST, LAST = LINES.replace("0", "first"), LINES.replace("8", "last")
BOTH = FIRST.replace("8", "last")
TRACKER = PurePosixPath(".beads")


def merged_changes(
    user: UserRepository,
    attributes: Mapping[str, Content],
    path: str,
    versions: tuple[Content, Content, Content] = (LINES, FIRST, LAST),
    modes: Mapping[str, str] | None = None,
) -> tuple[Merge, bytes]:
    """The merge of two tasks' changes of ``path``, and what it holds there.

    ``versions`` are the content before, that of the task that landed, and that of the other one.
    """
    repository = user.open()
    generation = user.start()
    tip = commit_files(
        repository, generation.first, {**attributes, path: versions[0]}, modes=modes, message="Tip\n"
    )
    landed, work = (commit_files(repository, tip, {path: version}) for version in versions[1:])
    merged = merge(repository, landed, work)
    return merged, files_in(repository, merged.tree)[path]


@pytest.mark.parametrize(
    ("attributes", "path"),
    [
        ({".gitattributes": "deps.lock -merge\n"}, "deps.lock"),
        ({".gitattributes": "*.lock binary\n"}, "a/b/deps.lock"),
        ({".gitattributes": "*.lock merge=binary\r\n"}, "deps.lock"),
        ({".gitattributes": "/a/*.lock -merge\n"}, "a/deps.lock"),
        ({"a/.gitattributes": "*.lock -merge\n"}, "a/b/deps.lock"),
        ({"a/.gitattributes": "/b/*.lock -merge\n"}, "a/b/deps.lock"),
        ({".gitattributes": "*.lock merge\n", "a/b/.gitattributes": "deps* -merge\n"}, "a/b/deps.lock"),
        ({".gitattributes": "[attr]made -merge\n", "a/.gitattributes": "*.lock made\n"}, "a/deps.lock"),
        ({".gitattributes": "* text=auto\n\n# made by a tool\n* -merge\n"}, 'odd "name\\ [x]*?\n\x01ü'),
    ],
)
def test_two_changes_of_a_file_that_git_must_not_merge_are_a_conflict(
    user: UserRepository, attributes: Mapping[str, Content], path: str
) -> None:
    merged, content = merged_changes(user, attributes, path)
    assert len(merged.conflicts) == 1
    assert "CONFLICT" in merged.messages
    assert content.decode() == FIRST  # the version of the tip, without markers


@pytest.mark.parametrize(
    ("attributes", "path"),
    [
        ({".gitattributes": "CHANGELOG.md merge=union\n"}, "CHANGELOG.md"),
        ({"docs/.gitattributes": "*.md merge=union\n"}, "docs/news/CHANGELOG.md"),
        ({".gitattributes": "* -merge\n", "docs/.gitattributes": "*.md merge=union\n"}, "docs/NEWS.md"),
    ],
)
def test_two_lines_at_the_same_place_of_a_changelog_with_union_both_land(
    user: UserRepository, attributes: Mapping[str, Content], path: str
) -> None:
    versions = ("# News\n\n", "# News\n\n* one\n", "# News\n\n* two\n")
    merged, content = merged_changes(user, attributes, path, versions)
    assert (merged.conflicts, merged.messages) == ((), "")
    assert content == b"# News\n\n* one\n* two\n"


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {".gitattributes": "*.lock -merge\n", "a/.gitattributes": "*.lock merge\n"},
        {".gitattributes": "*.lock -merge\n", "a/.gitattributes": "*.lock !merge\n"},
        {".gitattributes": "*.lock merge=text\n"},
        {".gitattributes": "deps.lock/ -merge\n/deps.lock -merge\nb/*.lock -merge\n"},
        {"b/.gitattributes": "* -merge\n", "a/c/.gitattributes": "* -merge\n"},
        {"a/.gitattributes": "[attr]made -merge\n*.lock made\n"},  # git takes macros from the top only
        {".gitattributes": "x" * 3000 + " -merge\n" + "!*.lock -merge\n" + '"* -merge\n* \x00-merge\n'},
        {".gitattributes": "*.txt -merge\n" * 100_000},
        {".gitattributes/file": "* -merge\n"},
    ],
)
def test_other_attributes_leave_two_changes_of_a_file_to_the_usual_merge(
    user: UserRepository, attributes: Mapping[str, Content]
) -> None:
    merged, content = merged_changes(user, attributes, "a/deps.lock")
    assert merged.conflicts == ()
    assert content.decode() == BOTH


def test_attributes_in_a_link_are_not_read(user: UserRepository, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("* -merge\n")
    links: dict[str, Content] = {".gitattributes": str(tmp_path / "outside"), "a/.gitattributes": "* -merge"}
    modes = dict.fromkeys(links, "120000")
    merged, content = merged_changes(user, links, "a/deps.lock", modes=modes)
    assert merged.conflicts == ()
    assert content.decode() == BOTH


def test_no_driver_of_a_configuration_runs_in_a_merge(user: UserRepository, tmp_path: Path) -> None:
    driver = f"touch {tmp_path}/canary; false"
    user.configure({"merge.own.driver": driver, "merge.union.driver": driver, "merge.default": "own"})
    merged, content = merged_changes(user, {".gitattributes": "* merge=own\nNEWS merge=union\n"}, "a")
    assert merged.conflicts == ()
    assert content.decode() == BOTH
    assert not (tmp_path / "canary").exists()


def test_the_attributes_that_an_agent_writes_do_not_count_for_its_own_landing(user: UserRepository) -> None:
    repository, generation = user.open(), user.start()
    tip = commit_files(repository, generation.first, {"NEWS": "# News\n"})
    landed = commit_files(repository, tip, {"NEWS": "# News\none\n"})
    work = commit_files(repository, tip, {"NEWS": "# News\ntwo\n", ".gitattributes": "* merge=union\n"})
    assert merge(repository, landed, work).conflicts == ("NEWS",)


def test_a_renamed_file_is_merged_as_the_attributes_of_its_new_name_say(user: UserRepository) -> None:
    repository, generation = user.open(), user.start()
    attributes = {".gitattributes": "*.lock -merge\n"}
    tip = commit_files(repository, generation.first, {**attributes, "deps.txt": LINES})
    landed = commit_files(repository, tip, {"deps.txt": None, "deps.lock": FIRST})
    work = commit_files(repository, tip, {"deps.txt": LAST})
    assert merge(repository, landed, work).conflicts == ("deps.lock",)


def test_landed_changes_of_a_changelog_with_union_are_all_in_it(user: UserRepository) -> None:
    repository, generation = user.open(), user.start()
    tip = commit_files(
        repository, generation.first, {".gitattributes": "NEWS merge=union\n", "NEWS": "# News\n"}
    )
    assert repository.move_ref(generation.ref, tip, generation.first, "test")
    for work in [commit_files(repository, tip, {"NEWS": f"# News\n{number}\n"}) for number in range(3)]:
        current = repository.read_ref(generation.ref)
        assert current is not None
        merged = merge(repository, current, work)
        assert merged.conflicts == ()
        assert land(repository, generation.ref, merged, "Land\n", ADA)
    tip = repository.read_ref(generation.ref) or ""
    assert files_in(repository, tip)["NEWS"] == b"# News\n0\n1\n2\n"


def test_merges_at_the_same_time_use_the_attributes_of_their_own_tips(user: UserRepository) -> None:
    repository, generation = user.open(), user.start()
    versions = ("# News\n", "# News\none\n", "# News\ntwo\n")

    def sides(attributes: str) -> tuple[str, str]:
        files = {".gitattributes": attributes, "NEWS": versions[0]}
        tip = commit_files(repository, generation.first, files)
        landed, work = (commit_files(repository, tip, {"NEWS": version}) for version in versions[1:])
        return landed, work

    union, none = sides("NEWS merge=union\n"), sides("NEWS -merge\n")
    with ThreadPoolExecutor(4) as pool:
        merges = list(pool.map(lambda both: merge(repository, *both), [union, none] * 4))
    assert [merged.conflicts for merged in merges] == [(), ("NEWS",)] * 4


@pytest.mark.parametrize("side", ["both", "base", "generation"])
def test_a_generation_is_merged_into_its_base_as_the_attributes_of_both_say(
    user: UserRepository, side: str
) -> None:
    user.commit({"NEWS": "# News\n", "deps.lock": LINES})
    attributes = {".gitattributes": "NEWS merge=union\n*.lock -merge\n"}
    if side == "both":
        user.commit(attributes)
    generation, repository = user.start(), user.open()
    of_base = attributes if side == "base" else {}
    of_generation = attributes if side == "generation" else {}
    base = user.commit({**of_base, "NEWS": "# News\nbase\n", "deps.lock": FIRST})
    tip = commit_files(
        repository, generation.first, {**of_generation, "NEWS": "# News\ntip\n", "deps.lock": LAST}
    )
    merged = merge_into_base(repository, base, tip, TRACKER)
    assert merged.conflicts == ("deps.lock",)
    assert files_in(repository, merged.tree)["NEWS"] == b"# News\nbase\ntip\n"


def test_the_attributes_of_the_base_take_precedence_over_those_of_the_generation(
    user: UserRepository,
) -> None:
    user.commit({"deps.lock": LINES})
    generation, repository = user.start(), user.open()
    base = user.commit({".gitattributes": "*.lock -merge\n", "deps.lock": FIRST})
    files = {".gitattributes": "*.lock merge=union\n", "deps.lock": LAST}
    tip = commit_files(repository, generation.first, files)
    assert "deps.lock" in merge_into_base(repository, base, tip, TRACKER).conflicts


def test_a_merge_leaves_no_file_of_its_own(user: UserRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = user.path.parent / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    merged, _ = merged_changes(user, {".gitattributes": "* -merge\n"}, "deps.lock")
    assert merged.conflicts
    assert list(temporary.iterdir()) == []
    assert not list(user.work_dir.rglob("attributes"))
