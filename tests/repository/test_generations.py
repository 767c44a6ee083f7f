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
    draft_generation,
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
    def test_a_start_is_one_commit_on_the_base_with_a_tag(self, user: UserRepository) -> None:
        base = user.git("rev-parse", "main")
        generation = user.start()
        assert generation == Generation(
            name=NAME, base="main", start=base, first=user.git("rev-parse", NAME), reset=False
        )
        assert user.git("log", "--format=%s", f"main..{NAME}") == f"Start generation: {NAME}"
        assert user.git("rev-parse", f"{NAME}^", f"{NAME}-start").split() == [base, base]

    def test_a_start_without_changes_keeps_the_tree(self, user: UserRepository) -> None:
        user.start()
        assert user.git("diff", "main", NAME) == ""

    def test_the_first_commit_is_by_the_user(self, user: UserRepository) -> None:
        generation = user.start()
        for role in ("a", "c"):
            assert identity_of(user.open(), generation.first, role) == "Ada <ada@example.invalid>"

    def test_the_first_commit_names_the_base(self, user: UserRepository) -> None:
        user.git("switch", "--quiet", "-c", "feature/ü")
        trailer_of = trailers.read_trailers(user.open(), user.start().first)
        assert trailer_of == {trailers.GENERATION: NAME, trailers.BASE: "feature/ü"}

    def test_the_first_commit_records_a_reset_of_the_sources(self, user: UserRepository) -> None:
        generation = user.start(Changes(reset=True))
        assert generation.reset
        assert read_generation(user.open(), NAME).reset

    def test_a_start_does_not_change_the_checkout(self, user: UserRepository) -> None:
        user.commit({".gitattributes": "*.txt text\n", "dos.txt": "a\r\nb\r\n", "run.sh": "#!/bin/sh\n"})
        user.write({"staged": "x", "untracked": "y", "src/app.py": "changed\n"})
        user.git("add", "staged")
        user.configure({"core.hooksPath": "hooks", "alias.x": "log"})
        ours = (".git/cobbler.lock", f".git/refs/heads/{NAME}", f".git/refs/tags/{NAME}-start")
        before = snapshot(user)
        user.start(Changes(remove=("src/util.py",), write=lambda _name: {"src/app.py": b"seed"}))
        assert snapshot(user, but=ours) == before

    def test_a_start_removes_and_writes_the_given_paths(self, user: UserRepository) -> None:
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

    def test_a_start_may_remove_every_file(self, user: UserRepository) -> None:
        generation = user.start(Changes(remove=("README.md", "src/app.py", "src/util.py")))
        assert files_in(user.open(), generation.first) == {}

    def test_a_start_keeps_submodules(self, user: UserRepository) -> None:
        head = user.git("rev-parse", "HEAD")
        user.git("update-index", "--add", "--cacheinfo", f"160000,{head},libs/sub")
        user.git("commit", "--quiet", "-m", "Submodule")
        user.start(Changes(remove=("src/app.py",)))
        assert f"160000 commit {head}\tlibs/sub" in user.git("ls-tree", "-r", NAME)

    def test_a_second_start_in_the_same_second_takes_the_next_second(self, user: UserRepository) -> None:
        user.start()
        user.git("tag", "generation-2026-02-10-15-23-12-abandoned")
        assert user.start().name == "generation-2026-02-10-15-23-13"

    def test_a_start_that_another_process_makes_at_the_same_time_is_an_error(
        self, user: UserRepository, repository: Repository, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        user.git("branch", NAME)
        monkeypatch.setattr(names, "generation_name", lambda *_: NAME)
        head = user.git("rev-parse", "HEAD")
        with pytest.raises(RepositoryError, match="appeared while it was being made"):
            create_generation(
                repository,
                draft_generation(
                    repository,
                    prefix=PREFIX,
                    base="main",
                    start=head,
                    now=NOW,
                    changes=Changes(),
                ),
                ADA,
            )
        assert user.git("rev-parse", NAME) == head

    def test_a_start_that_was_killed_before_its_branch_leaves_no_refs(
        self, user: UserRepository, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Repository, "move_refs", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            user.start(Changes(remove=("README.md",)))
        monkeypatch.undo()
        repository = user.open()
        assert active_generations(repository, PREFIX) == {}
        assert repository.list_refs("refs/tags") == {}
        assert user.start().name == NAME

    def test_a_start_that_was_killed_after_its_branch_is_completed(self, user: UserRepository) -> None:
        generation = user.start()
        user.git("tag", "--delete", f"{NAME}-start")
        complete_start(user.open(), generation)
        complete_start(user.open(), generation)
        assert user.git("rev-parse", f"{NAME}-start") == generation.start

    def test_a_generation_starts_in_a_shallow_clone(self, user: UserRepository, tmp_path: Path) -> None:
        user.commit({"new": ""})
        clone = user.clone(tmp_path / "clone", "--depth=1")
        assert read_generation(clone.open(), clone.start().name).base == "main"

    def test_a_generation_starts_with_sha256(self, tmp_path: Path) -> None:
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
            draft_generation(
                repository,
                prefix=prefix,
                base="main",
                start=head,
                now=NOW + timedelta(days=1),
                changes=Changes(),
            ),
            ADA,
        )

    def test_without_a_generation_none_is_found(self, repository: Repository) -> None:
        assert find_generation(repository, PREFIX, None) is None

    def test_the_only_generation_is_found(self, user: UserRepository, repository: Repository) -> None:
        generation = user.start()
        assert find_generation(repository, PREFIX, None) == generation

    def test_a_generation_of_another_prefix_is_not_found(
        self, user: UserRepository, repository: Repository
    ) -> None:
        user.start(prefix="gen-")
        assert find_generation(repository, PREFIX, None) is None

    def test_several_generations_are_an_error_that_lists_them(
        self, user: UserRepository, repository: Repository
    ) -> None:
        one, two = user.start(), self.other(user)
        with pytest.raises(RepositoryError, match="several generations are active") as caught:
            find_generation(repository, PREFIX, None)
        assert f"{one.name}, {two.name}" in caught.value.cause
        assert "generation_branch" in caught.value.remedy

    def test_the_configured_generation_is_found(self, user: UserRepository, repository: Repository) -> None:
        user.start()
        two = self.other(user)
        assert find_generation(repository, PREFIX, two.name) == two

    def test_the_chosen_generation_is_found(self, user: UserRepository, repository: Repository) -> None:
        one = user.start()
        two = self.other(user)
        user.git("symbolic-ref", ACTIVE_REF, two.ref)
        assert find_generation(repository, PREFIX, None) == two
        assert find_generation(repository, PREFIX, one.name) == one, "the configuration wins"

    def test_the_choice_of_a_deleted_generation_is_ignored(
        self, user: UserRepository, repository: Repository
    ) -> None:
        one = user.start()
        user.git("symbolic-ref", ACTIVE_REF, "refs/heads/generation-2000-01-01-00-00-00")
        assert find_generation(repository, PREFIX, None) == one

    def test_an_unknown_configured_generation_is_an_error_that_lists_the_others(
        self, user: UserRepository, repository: Repository
    ) -> None:
        user.start()
        with pytest.raises(RepositoryError, match="no branch generation-nowhere") as caught:
            find_generation(repository, PREFIX, "generation-nowhere")
        assert NAME in caught.value.remedy

    def test_a_branch_of_the_user_is_not_a_generation(
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

    def test_the_first_commit_is_found_below_landed_commits(self, user: UserRepository) -> None:
        repository, generation = user.open(), user.start()
        self.land(repository, generation, "One")
        self.land(repository, generation, "Two")
        assert read_generation(repository, NAME) == generation

    def test_a_task_cannot_pass_for_the_first_commit(self, user: UserRepository) -> None:
        repository, generation = user.open(), user.start()
        self.land(repository, generation, f"Start generation: {NAME}", f"{trailers.BASE}: other")
        self.land(repository, generation, f"{trailers.BASE}: other", f"Start generation: {NAME}")
        assert read_generation(repository, NAME) == generation

    def test_the_first_commit_of_an_earlier_generation_is_not_taken(self, user: UserRepository) -> None:
        earlier = user.start()
        user.git("merge", "--quiet", "--ff-only", earlier.name)
        user.git("branch", "--quiet", "--delete", earlier.name)
        repository, generation = user.open(), user.start()
        assert generation.start == earlier.first
        assert read_generation(repository, generation.name) == generation

    def test_the_first_commit_in_a_merged_base_is_not_taken(self, user: UserRepository) -> None:
        repository, generation = user.open(), user.start()
        tip, tree = generation.first, repository.tree_of(generation.first)
        trailer_of = {trailers.GENERATION: "later", trailers.BASE: "other"}
        later = user.git(
            *("commit-tree", tree, "-p", generation.start),
            stdin=trailers.message(repository, "Start generation: later", "", trailer_of).encode(),
            env={"GIT_COMMITTER_DATE": "2099-01-01T00:00:00"},
        )
        merged = repository.commit(tree, [tip, later], "Merge\n", ADA)
        assert repository.move_ref(generation.ref, merged, tip, "merge")
        assert read_generation(repository, NAME) == generation

    def test_a_generation_with_packed_refs_is_read(self, user: UserRepository) -> None:
        generation = user.start()
        user.git("pack-refs", "--all", "--prune")
        user.git("gc", "--quiet")
        assert find_generation(user.open(), PREFIX, None) == generation

    def test_reading_a_generation_without_its_branch_is_an_error(self, repository: Repository) -> None:
        with pytest.raises(RepositoryError):
            read_generation(repository, NAME)


def test_a_repository_with_an_empty_tree_can_have_a_generation(empty_user: UserRepository) -> None:
    empty_user.commit(message="Nothing yet")
    generation = empty_user.start(Changes(write=lambda _name: {"seed": b"x"}))
    repository = empty_user.open()
    assert files_in(repository, generation.first) == {"seed": b"x"}
    assert not repository.move_ref(generation.ref, generation.first, ZERO, "again")
