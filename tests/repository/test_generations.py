"""A generation is found from refs and commits, and made by one compare-and-swap."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.repository import names, trailers
from pytest_cobbler.repository.generations import (
    ACTIVE_REF,
    Changes,
    Generation,
    active_generations,
    complete_start,
    create_generation,
    find_generation,
    read_generation,
)
from pytest_cobbler.repository.moving import ZERO
from pytest_cobbler.repository.repository import Repository
from tests.support.repositories import (
    ADA,
    NOW,
    UserRepository,
    commit_files,
    files_in,
    identity_of,
    snapshot,
)

NAME = "generation-2026-02-10-15-23-11"
PREFIX = "generation-"


class TestStart:
    def test_is_one_commit_on_the_base_with_a_tag(self, user: UserRepository) -> None:
        base = user.git("rev-parse", "main")
        generation = user.start()
        assert generation == Generation(
            name=NAME, base="main", start=base, first=user.git("rev-parse", NAME), reset=False
        )
        assert user.git("log", "--format=%s", f"main..{NAME}") == f"Start generation: {NAME}"
        assert user.git("rev-parse", f"{NAME}^", f"{NAME}-start").split() == [base, base]

    def test_changes_nothing_by_itself(self, user: UserRepository) -> None:
        user.start()
        assert user.git("diff", "main", NAME) == ""

    def test_is_by_the_user(self, user: UserRepository) -> None:
        generation = user.start()
        for role in ("a", "c"):
            assert identity_of(user.open(), generation.first, role) == "Ada <ada@example.invalid>"

    def test_names_its_base_in_the_commit(self, user: UserRepository) -> None:
        user.git("switch", "--quiet", "-c", "feature/ü")
        said = trailers.read_trailers(user.open(), user.start().first)
        assert said == {trailers.GENERATION: NAME, trailers.BASE: "feature/ü"}

    def test_says_in_the_commit_when_sources_are_reset(self, user: UserRepository) -> None:
        generation = user.start(Changes(reset=True))
        assert generation.reset
        assert read_generation(user.open(), NAME).reset

    def test_leaves_the_checkout_as_it_is(self, user: UserRepository) -> None:
        user.commit({".gitattributes": "*.txt text\n", "dos.txt": "a\r\nb\r\n", "run.sh": "#!/bin/sh\n"})
        user.write({"staged": "x", "untracked": "y", "src/app.py": "changed\n"})
        user.git("add", "staged")
        user.configure({"core.hooksPath": "hooks", "alias.x": "log"})
        ours = (".git/cobbler.lock", f".git/refs/heads/{NAME}", f".git/refs/tags/{NAME}-start")
        before = snapshot(user)
        user.start(Changes(remove=("src/util.py",), write=lambda _name: {"src/app.py": b"seed"}))
        assert snapshot(user, but=ours) == before

    def test_removes_and_writes_what_it_is_told(self, user: UserRepository) -> None:
        odd = os.fsdecode(b"odd \xff\n'\"\\")
        user.commit({odd: "x", "link": "y", "data": "z"})
        changes = Changes(
            remove=("src/app.py", odd),
            write=lambda name: {"VERSION": name.encode(), "data/seed": b"\0\xff", "src/util.py": b""},
        )
        generation = user.start(changes)
        assert files_in(user.open(), generation.first) == {
            "README.md": b"# Project\n",
            "VERSION": NAME.encode(),
            "data/seed": b"\0\xff",
            "link": b"y",
            "src/util.py": b"",
        }

    def test_may_remove_everything(self, user: UserRepository) -> None:
        generation = user.start(Changes(remove=("README.md", "src/app.py", "src/util.py")))
        assert files_in(user.open(), generation.first) == {}

    def test_keeps_submodules(self, user: UserRepository) -> None:
        head = user.git("rev-parse", "HEAD")
        user.git("update-index", "--add", "--cacheinfo", f"160000,{head},libs/sub")
        user.git("commit", "--quiet", "-m", "Submodule")
        user.start(Changes(remove=("src/app.py",)))
        assert f"160000 commit {head}\tlibs/sub" in user.git("ls-tree", "-r", NAME)

    def test_in_the_same_second_takes_the_next(self, user: UserRepository) -> None:
        user.start()
        user.git("tag", "generation-2026-02-10-15-23-12-abandoned")
        assert user.start().name == "generation-2026-02-10-15-23-13"

    def test_that_another_process_makes_at_the_same_time_is_an_error(
        self, user: UserRepository, repository: Repository, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        user.git("branch", NAME)
        monkeypatch.setattr(names, "generation_name", lambda *_: NAME)
        head = user.git("rev-parse", "HEAD")
        with pytest.raises(RepositoryError, match="appeared while it was being made"):
            create_generation(
                repository,
                prefix=PREFIX,
                base="main",
                start=head,
                identity=ADA,
                now=NOW,
                changes=Changes(),
            )
        assert user.git("rev-parse", NAME) == head

    def test_that_was_killed_before_its_branch_leaves_nothing(
        self, user: UserRepository, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Repository, "move_ref", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            user.start(Changes(remove=("README.md",)))
        monkeypatch.undo()
        repository = user.open()
        assert active_generations(repository, PREFIX) == {}
        assert repository.list_refs("refs/tags") == {}
        assert user.start().name == NAME

    def test_that_was_killed_after_its_branch_is_completed(self, user: UserRepository) -> None:
        generation = user.start()
        user.git("tag", "--delete", f"{NAME}-start")
        lock = user.path / ".git" / "refs" / "heads" / f"{NAME}.lock"
        lock.touch()
        os.utime(lock, (0, 0))
        complete_start(user.open(), generation)
        complete_start(user.open(), generation)
        assert user.git("rev-parse", f"{NAME}-start") == generation.start
        assert not lock.exists()

    def test_works_in_a_shallow_clone(self, user: UserRepository, tmp_path: Path) -> None:
        user.commit({"new": ""})
        clone = user.clone(tmp_path / "clone", "--depth=1")
        assert read_generation(clone.open(), clone.start().name).base == "main"

    def test_works_with_sha256(self, tmp_path: Path) -> None:
        user = UserRepository.create(tmp_path, "--object-format=sha256")
        user.commit({"file": ""})
        assert read_generation(user.open(), user.start().name).base == "main"


class TestFinding:
    def other(self, user: UserRepository, prefix: str = PREFIX) -> Generation:
        repository = user.open()
        head = repository.head_commit()
        assert head is not None
        return create_generation(
            repository,
            prefix=prefix,
            base="main",
            start=head,
            identity=ADA,
            now=NOW + timedelta(days=1),
            changes=Changes(),
        )

    def test_none_is_none(self, repository: Repository) -> None:
        assert find_generation(repository, PREFIX, None) is None

    def test_the_only_one(self, user: UserRepository, repository: Repository) -> None:
        generation = user.start()
        assert find_generation(repository, PREFIX, None) == generation

    def test_one_of_another_prefix_is_none(self, user: UserRepository, repository: Repository) -> None:
        user.start(prefix="gen-")
        assert find_generation(repository, PREFIX, None) is None

    def test_several_are_an_error_that_names_them(self, user: UserRepository, repository: Repository) -> None:
        one, two = user.start(), self.other(user)
        with pytest.raises(RepositoryError, match="several generations are active") as caught:
            find_generation(repository, PREFIX, None)
        assert f"{one.name}, {two.name}" in caught.value.cause
        assert "generation_branch" in caught.value.remedy

    def test_the_one_that_is_named(self, user: UserRepository, repository: Repository) -> None:
        user.start()
        two = self.other(user)
        assert find_generation(repository, PREFIX, two.name) == two

    def test_the_one_that_was_chosen(self, user: UserRepository, repository: Repository) -> None:
        one = user.start()
        two = self.other(user)
        user.git("symbolic-ref", ACTIVE_REF, two.ref)
        assert find_generation(repository, PREFIX, None) == two
        assert find_generation(repository, PREFIX, one.name) == one, "the configuration wins"

    def test_a_choice_that_is_gone_does_not_count(self, user: UserRepository, repository: Repository) -> None:
        one = user.start()
        user.git("symbolic-ref", ACTIVE_REF, "refs/heads/generation-2000-01-01-00-00-00")
        assert find_generation(repository, PREFIX, None) == one

    def test_a_name_that_does_not_exist_is_an_error_with_those_that_do(
        self, user: UserRepository, repository: Repository
    ) -> None:
        user.start()
        with pytest.raises(RepositoryError, match="no branch generation-nowhere") as caught:
            find_generation(repository, PREFIX, "generation-nowhere")
        assert NAME in caught.value.remedy

    def test_a_branch_of_the_user_s_own_is_no_generation(
        self, user: UserRepository, repository: Repository
    ) -> None:
        user.git("branch", "generation-2026-01-01-00-00-00")
        with pytest.raises(RepositoryError, match="is not a generation"):
            find_generation(repository, PREFIX, None)


class TestReading:
    def land(self, repository: Repository, generation: Generation, title: str, body: str = "") -> None:
        tip = repository.read_ref(generation.ref)
        assert tip is not None
        text = trailers.message(repository, title, body, {trailers.TASK: "t", trailers.GENERATION: NAME})
        assert repository.move_ref(
            generation.ref, commit_files(repository, tip, {"n": title}, text), tip, "l"
        )

    def test_finds_its_first_commit_below_what_landed(self, user: UserRepository) -> None:
        repository, generation = user.open(), user.start()
        self.land(repository, generation, "One")
        self.land(repository, generation, "Two")
        assert read_generation(repository, NAME) == generation

    def test_is_not_misled_by_a_task(self, user: UserRepository) -> None:
        repository, generation = user.open(), user.start()
        self.land(repository, generation, f"Start generation: {NAME}", f"{trailers.BASE}: other")
        self.land(repository, generation, f"{trailers.BASE}: other", f"Start generation: {NAME}")
        assert read_generation(repository, NAME) == generation

    def test_is_not_misled_by_an_earlier_generation(self, user: UserRepository) -> None:
        earlier = user.start()
        user.git("merge", "--quiet", "--ff-only", earlier.name)
        user.git("branch", "--quiet", "--delete", earlier.name)
        repository, generation = user.open(), user.start()
        assert generation.start == earlier.first
        assert read_generation(repository, generation.name) == generation

    def test_is_not_misled_by_a_base_that_was_merged_into_it(self, user: UserRepository) -> None:
        repository, generation = user.open(), user.start()
        tip, tree = generation.first, repository.tree_of(generation.first)
        said = {trailers.GENERATION: "later", trailers.BASE: "other"}
        later = user.git(
            *("commit-tree", tree, "-p", generation.start),
            stdin=trailers.message(repository, "Start generation: later", "", said).encode(),
            env={"GIT_COMMITTER_DATE": "2099-01-01T00:00:00"},
        )
        merged = repository.commit(tree, [tip, later], "Merge\n", ADA)
        assert repository.move_ref(generation.ref, merged, tip, "merge")
        assert read_generation(repository, NAME) == generation

    def test_works_when_refs_are_packed(self, user: UserRepository) -> None:
        generation = user.start()
        user.git("pack-refs", "--all", "--prune")
        user.git("gc", "--quiet")
        assert find_generation(user.open(), PREFIX, None) == generation

    def test_one_whose_branch_vanished_is_an_error(self, repository: Repository) -> None:
        with pytest.raises(RepositoryError):
            read_generation(repository, NAME)


def test_a_repository_with_an_empty_tree_can_have_a_generation(empty_user: UserRepository) -> None:
    empty_user.commit(message="Nothing yet")
    generation = empty_user.start(Changes(write=lambda _name: {"seed": b"x"}))
    repository = empty_user.open()
    assert files_in(repository, generation.first) == {"seed": b"x"}
    assert not repository.move_ref(generation.ref, generation.first, ZERO, "again")
