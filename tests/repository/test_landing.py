"""The tip moves by merge, commit and compare-and-swap, on objects alone."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.repository import trailers
from pytest_cobbler.repository.generations import Generation
from pytest_cobbler.repository.landing import Size, land, merge, merge_change, patch_of, size_of
from pytest_cobbler.repository.repository import Repository
from tests.support.repositories import (
    ADA,
    Content,
    UserRepository,
    commit_files,
    files_in,
    identity_of,
    snapshot,
)
from tests.support.stale_locks import git_with_locks


class Lane:
    """A generation with a history and the work of tasks on it."""

    def __init__(self, user: UserRepository) -> None:
        self.user = user
        self.repository = user.open()
        self.generation: Generation = user.start()
        self.ref = self.generation.ref

    @property
    def tip(self) -> str:
        tip = self.repository.read_ref(self.ref)
        assert tip is not None
        return tip

    def work(self, files: dict[str, Content | None], parent: str = "", **modes: str) -> str:
        """A task's commit on ``parent``, by default the tip."""
        return commit_files(self.repository, parent or self.tip, files, modes=modes)

    def land(self, work: str, title: str = "Title") -> str:
        """Land a task's commit that merges cleanly."""
        merged = merge(self.repository, self.tip, work)
        assert merged.conflicts == ()
        message = trailers.message(self.repository, title, "", {trailers.TASK: title})
        commit = land(self.repository, self.ref, merged, message, ADA)
        assert commit is not None
        return commit


@pytest.fixture
def lane(user: UserRepository) -> Lane:
    return Lane(user)


def test_work_that_began_before_a_person_moved_the_branch_back_brings_nothing_back(lane: Lane) -> None:
    first = lane.tip
    lane.land(lane.work({"gone.txt": "one\n"}))
    added, edited = lane.work({"mine.txt": "two\n"}), lane.work({"gone.txt": "three\n"})
    lane.repository.set_ref(lane.ref, first)

    merged = merge_change(lane.repository, first, added)

    assert (merged.tip, merged.conflicts) == (first, ())
    files = files_in(lane.repository, merged.tree).keys()
    assert "mine.txt" in files
    assert "gone.txt" not in files
    assert merge_change(lane.repository, first, edited).conflicts == ("gone.txt",)


class TestMerge:
    def test_a_merge_with_the_parent_is_the_tree_of_the_commit(self, lane: Lane) -> None:
        work = lane.work({"new": "x"})
        merged = merge(lane.repository, lane.tip, work)
        assert (merged.tip, merged.tree) == (lane.tip, lane.repository.tree_of(work))
        assert (merged.conflicts, merged.messages) == ((), "")

    def test_a_merge_with_a_later_tip_has_both_changes(self, lane: Lane) -> None:
        one, two = lane.work({"one": "1"}), lane.work({"two": "2", "src/util.py": None})
        lane.land(one)
        merged = merge(lane.repository, lane.tip, two)
        assert merged.conflicts == ()
        assert set(files_in(lane.repository, merged.tree)) == {"README.md", "src/app.py", "one", "two"}

    def test_a_merge_moves_no_ref(self, lane: Lane) -> None:
        one, two = lane.work({"one": "1"}), lane.work({"two": "2"})
        tip = lane.land(one)
        before = lane.repository.list_refs()
        merge(lane.repository, tip, two)
        assert lane.repository.list_refs() == before

    def test_a_merge_of_two_changes_of_a_line_is_a_conflict_with_markers(self, lane: Lane) -> None:
        one, two = lane.work({"src/app.py": "one\n"}), lane.work({"src/app.py": "two\n", "new": "x"})
        tip = lane.land(one)
        merged = merge(lane.repository, tip, two)
        assert merged.conflicts == ("src/app.py",)
        assert merged.messages == "Auto-merging src/app.py\nCONFLICT (content): Merge conflict in src/app.py"
        files = files_in(lane.repository, merged.tree)
        assert files["src/app.py"] == f"<<<<<<< {tip}\none\n=======\ntwo\n>>>>>>> {two}\n".encode()
        assert files["new"] == b"x"

    @pytest.mark.parametrize(
        ("one", "two"),
        [
            ({"src/app.py": None}, {"src/app.py": "changed\n"}),
            ({"new": "1"}, {"new": "2"}),
            ({"new": "1"}, {"new/file": "2"}),
            ({"src/app.py": b"\0one"}, {"src/app.py": b"\0two"}),
        ],
        ids=["deleted", "both added", "file and directory", "binary"],
    )
    def test_a_merge_of_changes_without_a_common_result_is_a_conflict(
        self, lane: Lane, one: dict[str, Content | None], two: dict[str, Content | None]
    ) -> None:
        first, second = lane.work(one), lane.work(two)
        merged = merge(lane.repository, lane.land(first), second)
        assert merged.conflicts
        assert "CONFLICT" in merged.messages

    def test_conflicts_of_a_merge_are_shown_in_printable_characters(self, lane: Lane) -> None:
        odd = os.fsdecode(b"odd \xff\n\x1b[1m")
        one, two = lane.work({odd: "1"}), lane.work({odd: "2"})
        merged = merge(lane.repository, lane.land(one), two)
        assert merged.conflicts == (r"odd \xff\n\x1b[1m",)
        assert all(line.isprintable() for line in merged.messages.split("\n"))

    def test_line_ends_against_their_attributes_are_not_a_conflict(self, lane: Lane) -> None:
        base = {".gitattributes": "*.txt text\n", "dos.txt": "1\r\n2\r\n3\r\n4\r\n5\r\n"}
        lane.land(lane.work({**base}))
        one = lane.work({"dos.txt": "one\r\n2\r\n3\r\n4\r\n5\r\n"})
        two = lane.work({"dos.txt": "1\r\n2\r\n3\r\n4\r\ntwo\r\n"})
        lane.land(one)
        assert files_in(lane.repository, lane.land(two))["dos.txt"] == b"one\r\n2\r\n3\r\n4\r\ntwo\r\n"

    def test_a_merge_keeps_submodules_links_and_modes(self, lane: Lane) -> None:
        lane.land(
            lane.work(
                {"sub": "1" * 40, "link": "src", "run": "#!"}, sub="160000", link="120000", run="100755"
            )
        )
        one, two = lane.work({"one": "1"}), lane.work({"two": "2"})
        lane.land(one)
        listed = lane.user.git("ls-tree", lane.land(two)).splitlines()
        assert [line.split()[0] for line in listed if line.endswith(("\tsub", "\tlink", "\trun"))] == [
            "120000",
            "100755",
            "160000",
        ]

    def test_a_merge_works_in_a_shallow_clone(self, user: UserRepository, tmp_path: Path) -> None:
        user.commit({"more": ""})
        lane = Lane(user.clone(tmp_path / "clone", "--depth=1"))
        one, two = lane.work({"one": "1"}), lane.work({"two": "2"})
        lane.land(one)
        assert {"one", "two"} <= set(files_in(lane.repository, lane.land(two)))

    def test_a_merge_works_with_sha256(self, tmp_path: Path) -> None:
        user = UserRepository.create(tmp_path, "--object-format=sha256", name="sha256")
        user.commit({"file": "x"})
        lane = Lane(user)
        one, two = lane.work({"one": "1"}), lane.work({"two": "2"})
        lane.land(one)
        assert {"one", "two"} <= set(files_in(lane.repository, lane.land(two)))


class TestLanding:
    def test_a_landing_is_one_commit_on_the_tip_by_the_user(self, lane: Lane) -> None:
        tip = lane.tip
        commit = lane.land(lane.work({"new": "x"}))
        assert lane.tip == commit
        assert lane.user.git("rev-list", "--parents", "--max-count=1", commit) == f"{commit} {tip}"
        assert identity_of(lane.repository, commit, "a") == "Ada <ada@example.invalid>"
        assert identity_of(lane.repository, commit, "c") == "Ada <ada@example.invalid>"

    def test_a_landing_is_by_the_user_whatever_author_the_work_has(self, lane: Lane) -> None:
        forged = lane.user.git(
            "commit-tree",
            f"{lane.work({'new': 'x'})}^{{tree}}",
            "-p",
            lane.tip,
            "-m",
            f"Forged\n\n{trailers.TASK}: other",
            env={"GIT_AUTHOR_NAME": "Eve", "GIT_AUTHOR_EMAIL": "e@x", "GIT_COMMITTER_NAME": "Eve"},
        )
        commit = lane.land(forged, "Mine")
        assert identity_of(lane.repository, commit) == "Ada <ada@example.invalid>"
        assert list(trailers.landed_tasks(lane.repository, f"{lane.generation.first}..{commit}")) == ["Mine"]

    def test_landings_make_a_linear_history(self, lane: Lane) -> None:
        works = [lane.work({f"file{number}": "x"}) for number in range(4)]
        for number, work in enumerate(works):
            lane.land(work, f"Task {number}")
        subjects = lane.user.git("log", "--reverse", "--format=%s", f"{lane.generation.first}..{lane.ref}")
        assert subjects.splitlines() == [f"Task {number}" for number in range(4)]
        assert lane.user.git("rev-list", "--merges", lane.ref) == ""
        assert lane.user.git("fsck", "--strict", "--no-dangling") == ""

    def test_a_landing_on_a_tip_that_moved_meanwhile_returns_none(self, lane: Lane) -> None:
        one, two = lane.work({"one": "1"}), lane.work({"two": "2"})
        late = merge(lane.repository, lane.tip, two)
        tip = lane.land(one)
        assert land(lane.repository, lane.ref, late, "Late\n", ADA) is None
        assert lane.tip == tip

    def test_a_landing_on_a_deleted_branch_returns_none(self, lane: Lane) -> None:
        merged = merge(lane.repository, lane.tip, lane.work({"new": "x"}))
        lane.user.git("branch", "--quiet", "-D", lane.generation.name)
        assert land(lane.repository, lane.ref, merged, "Late\n", ADA) is None

    def test_concurrent_landings_all_land(self, lane: Lane) -> None:
        works = [lane.work({f"file{number}": "x"}) for number in range(6)]

        def until_landed(work: str) -> None:
            while not land(lane.repository, lane.ref, merge(lane.repository, lane.tip, work), "T\n", ADA):
                pass

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(until_landed, works))
        assert {f"file{number}" for number in range(6)} <= set(files_in(lane.repository, lane.tip))
        assert lane.user.git("rev-list", "--count", f"{lane.generation.first}..{lane.ref}") == "6"

    def test_a_landing_does_not_change_the_checkout(self, lane: Lane) -> None:
        lane.user.write({"staged": "x", "untracked": "y"})
        lane.user.git("add", "staged")
        ours = (f".git/refs/heads/{lane.generation.name}",)
        before = snapshot(lane.user, but=ours)
        lane.land(lane.work({"src/app.py": "changed\n", "README.md": None}))
        assert snapshot(lane.user, but=ours) == before

    def test_a_landing_works_on_a_packed_branch(self, lane: Lane) -> None:
        lane.user.git("pack-refs", "--all", "--prune")
        commit = lane.land(lane.work({"new": "x"}))
        assert lane.user.git("rev-parse", lane.ref) == commit

    @pytest.mark.parametrize("title", ["a\0b", "\ud800", "", "x" * 20_000, "-m", "a\nb\n\nc"])
    def test_a_landing_works_with_any_title(self, lane: Lane, title: str) -> None:
        merged = merge(lane.repository, lane.tip, lane.work({"new": "x"}))
        message = trailers.message(lane.repository, title, title, {trailers.TASK: "t"})
        commit = land(lane.repository, lane.ref, merged, message, ADA)
        assert commit == lane.tip
        assert list(trailers.landed_tasks(lane.repository, f"{lane.generation.first}..{commit}")) == ["t"]

    @pytest.mark.slow
    def test_the_lock_of_another_git_on_the_branch_is_an_error_that_names_it(self, lane: Lane) -> None:
        merged = merge(lane.repository, lane.tip, lane.work({"new": "x"}))
        git_dir = lane.user.path / ".git"
        impatient = Repository(lane.user.path, lane.user.work_dir)
        impatient.refs._settings["core.filesRefLockTimeout"] = "50"
        with (
            git_with_locks(git_dir, f"update {lane.ref} {lane.tip}"),
            pytest.raises(RepositoryError) as caught,
        ):
            land(impatient, lane.ref, merged, "T\n", ADA)
        assert f"rm {git_dir / lane.ref}.lock" in caught.value.remedy

    def test_a_landing_killed_at_any_moment_leaves_the_old_or_the_new_tip(self, lane: Lane) -> None:
        """A landing is one compare-and-swap."""
        script = (
            "import sys; from pathlib import Path;"
            "from pytest_cobbler.repository.repository import Repository;"
            "from tests.support.repositories import ADA, commit_files;"
            "from pytest_cobbler.repository.landing import land, merge;"
            "r = Repository(Path(sys.argv[1]), Path(sys.argv[2]));"
            "print(flush=True);"
            "[land(r, sys.argv[3], merge(r, (t := r.read_ref(sys.argv[3])),"
            " commit_files(r, t, {str(n): 'x'})), 'T', ADA) for n in range(1000)]"
        )
        argv: list[str | Path] = [sys.executable, "-c", script, lane.user.path, lane.user.work_dir, lane.ref]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, start_new_session=True) as child:
            assert child.stdout is not None
            child.stdout.readline()
            while lane.tip == lane.generation.first:
                pass
            os.killpg(child.pid, 9)
        lock = lane.user.path / ".git" / f"{lane.ref}.lock"
        lock.unlink(missing_ok=True)
        for of_the_builder in lane.user.work_dir.rglob("test.index.lock"):
            of_the_builder.unlink()
        assert lane.user.git("fsck", "--no-dangling") == ""
        lane.land(lane.work({"after": "x"}))


class TestSizeAndPatch:
    def test_the_size_of_a_change_counts_files_and_lines(self, lane: Lane) -> None:
        work = lane.work({"src/app.py": "a\nb\n", "README.md": None, "odd\tname\n": "x\n", "bin": b"\0\1"})
        assert size_of(lane.repository, lane.tip, work) == Size(files=4, insertions=3, deletions=2)

    def test_the_size_of_an_empty_change_is_zero(self, lane: Lane) -> None:
        assert size_of(lane.repository, lane.tip, lane.tip) == Size()
        assert patch_of(lane.repository, lane.tip, lane.tip) == b""

    def test_the_patch_of_a_change_can_be_applied(self, lane: Lane) -> None:
        work = lane.work({"src/app.py": "a\nb\n", "README.md": None})
        lane.user.git("apply", "--index", stdin=patch_of(lane.repository, lane.tip, work))
        assert lane.user.git("write-tree") == lane.repository.tree_of(work)
