"""Finding a repository, its parts, and moving its refs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from pytest_cobbler import process
from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.process import Completion
from pytest_cobbler.repository import git as git_module
from pytest_cobbler.repository.identity import Identity, Person
from pytest_cobbler.repository.moving import ZERO
from pytest_cobbler.repository.repository import Repository
from tests.support.repositories import ADA, UserRepository, commit_files, identity_of


class TestAnswersAboutObjects:
    """git is asked once for what an object id says: a run asks for the same trees many times."""

    def test_a_tree_that_was_read_is_not_read_again(self, user: UserRepository) -> None:
        repository = user.open()
        commit = user.git("rev-parse", "HEAD")
        tree, files = repository.tree_of(commit), repository.files(commit)
        objects = user.path / ".git" / "objects"
        objects.rename(user.path / ".git" / "away")
        assert (repository.tree_of(commit), repository.files(commit)) == (tree, files)
        with pytest.raises(RepositoryError):
            repository.tree_of(commit[:-1])


class TestFinding:
    def test_a_repository_is_found_from_any_directory_of_the_checkout(self, user: UserRepository) -> None:
        repository = Repository(user.path / "src", user.work_dir)
        assert (repository.root, repository.git_dir) == (user.path, user.path / ".git")
        assert repository.common_dir == repository.git_dir

    def test_a_repository_is_found_from_a_linked_worktree(self, user: UserRepository, tmp_path: Path) -> None:
        user.git("worktree", "add", "--quiet", "-b", "other", str(tmp_path / "other"))
        main, other = user.open(), Repository(tmp_path / "other", user.work_dir)
        assert other.root == tmp_path / "other"
        assert other.git_dir == user.path / ".git" / "worktrees" / "other"
        assert other.common_dir == main.common_dir
        assert other.key == main.key.replace("project-", "other-")
        assert (main.head_branch(), other.head_branch()) == ("main", "other")
        commit_in_other = commit_files(other, user.git("rev-parse", "HEAD"), {"new": ""})
        assert other.move_ref("refs/heads/moved", commit_in_other, ZERO, "test")
        assert main.read_ref("refs/heads/moved") == commit_in_other

    def test_a_repository_is_found_from_a_worktree_of_a_bare_repository(
        self, user: UserRepository, tmp_path: Path
    ) -> None:
        bare = tmp_path / "bare.git"
        user.git("clone", "--quiet", "--bare", ".", str(bare))
        user.git(f"--git-dir={bare}", "worktree", "add", "--quiet", str(tmp_path / "tree"), "main")
        repository = Repository(tmp_path / "tree", user.work_dir)
        assert repository.common_dir == bare
        assert repository.head_branch() == "main"

    def test_a_repository_is_found_whatever_gits_variables_are(
        self, user: UserRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = UserRepository.create(tmp_path, name="other")
        monkeypatch.setenv("GIT_DIR", str(other.path / ".git"))
        monkeypatch.setenv("GIT_WORK_TREE", str(other.path))
        repository = user.open()
        assert repository.root == user.path
        assert repository.head_commit() is not None

    def test_a_missing_repository_is_an_error_with_a_remedy(self, tmp_path: Path) -> None:
        with pytest.raises(RepositoryError, match="is not in a git repository") as caught:
            Repository(tmp_path)
        assert "git init" in caught.value.remedy

    def test_a_bare_repository_is_an_error(self, tmp_path: Path) -> None:
        subprocess.run(["git", "init", "--quiet", "--bare", tmp_path / "b"], check=True)
        with pytest.raises(RepositoryError, match="is a bare repository"):
            Repository(tmp_path / "b")

    def test_a_broken_configuration_of_git_is_an_error(self, user: UserRepository) -> None:
        (user.path / ".git" / "config").write_text("no section = here\n")
        with pytest.raises(RepositoryError) as caught:
            user.open()
        assert "bad config line 1" in caught.value.evidence

    def test_a_git_that_is_too_old_is_an_error(
        self, user: UserRepository, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        git_module.check_git.cache_clear()
        monkeypatch.setattr(git_module, "OLDEST_GIT", Version("99"))
        with pytest.raises(RepositoryError, match=r"git version .* is too old"):
            user.open()

    def test_the_key_of_a_repository_is_safe_for_labels_and_differs_by_place(self, tmp_path: Path) -> None:
        one = UserRepository.create(tmp_path / "1", name="-ä b/ü:c").open()
        two = UserRepository.create(tmp_path / "2", name="-ä b/ü:c").open()
        assert one.key != two.key
        assert one.key.rpartition("-")[0] == "c" or one.key[0].isalnum()
        assert set(one.key) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


class TestHead:
    def test_head_on_a_branch(self, user: UserRepository, repository: Repository) -> None:
        user.git("switch", "--quiet", "-c", "feature/ü")
        assert repository.head_branch() == "feature/ü"
        assert repository.head_commit() == user.git("rev-parse", "HEAD")

    def test_a_detached_head_has_no_branch(self, user: UserRepository, repository: Repository) -> None:
        user.git("switch", "--quiet", "--detach")
        assert repository.head_branch() is None
        assert repository.head_commit() == user.git("rev-parse", "HEAD")

    def test_head_before_the_first_commit_has_no_commit(self, empty_user: UserRepository) -> None:
        repository = empty_user.open()
        assert repository.head_branch() == "main"
        assert repository.head_commit() is None

    def test_checked_out_branches_are_listed_with_their_worktrees(
        self, user: UserRepository, repository: Repository, tmp_path: Path
    ) -> None:
        user.git("worktree", "add", "--quiet", "-b", "other", str(tmp_path / "a\nb"))
        assert repository.checked_out() == {
            "refs/heads/main": user.path,
            "refs/heads/other": tmp_path / "a\nb",
        }

    def test_a_branch_in_a_rebase_is_listed_from_every_worktree(
        self, user: UserRepository, tmp_path: Path
    ) -> None:
        user.git("branch", "side")
        user.commit({"x.txt": "main\n"})
        user.git("switch", "--quiet", "side")
        user.commit({"x.txt": "side\n"})
        user.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
        subprocess.run(["git", "-C", user.path, "rebase", "main"], capture_output=True, check=False)
        for place in (user.path, tmp_path / "linked"):
            repository = Repository(place, tmp_path / "work")
            assert repository.checked_out() == {"refs/heads/side": user.path}


class TestIdentity:
    def test_the_identity_is_the_one_of_the_repository(self, repository: Repository) -> None:
        assert repository.identity() == ADA

    def test_the_identity_is_the_users_if_the_repository_has_none(
        self, user: UserRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        user.git("config", "--remove-section", "user")
        (tmp_path / ".gitconfig").write_text('[user]\n\tname = "007"\n[include]\n\tpath = more\n')
        (tmp_path / "more").write_text("[user]\n\temail = bond@example.invalid\n")
        monkeypatch.delenv("GIT_CONFIG_GLOBAL")
        monkeypatch.setenv("HOME", str(tmp_path))
        bond = Person(name="007", email="bond@example.invalid")
        assert user.open().identity() == Identity.of(bond)

    def test_the_identity_follows_gits_order_of_places(
        self, user: UserRepository, repository: Repository, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        user.configure({"author.name": "Author", "user.name": "User"})
        assert repository.identity().author.name == "Author"
        monkeypatch.setenv("GIT_AUTHOR_NAME", "By variable")
        assert repository.identity().author.name == "By variable"
        assert repository.identity().committer.name == "User"

    def test_author_and_committer_are_told_apart_by_configuration(self, user: UserRepository) -> None:
        user.configure(
            {
                "author.name": "Author",
                "author.email": "a@x",
                "committer.name": "Committer",
                "committer.email": "c@x",
            }
        )
        assert user.open().identity() == Identity(
            author=Person(name="Author", email="a@x"), committer=Person(name="Committer", email="c@x")
        )

    def test_author_and_committer_are_told_apart_by_the_environment(
        self, user: UserRepository, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for role, name in (("AUTHOR", "a"), ("COMMITTER", "c")):
            monkeypatch.setenv(f"GIT_{role}_NAME", name)
            monkeypatch.setenv(f"GIT_{role}_EMAIL", f"{name}@x")
        author, committer = Person(name="a", email="a@x"), Person(name="c", email="c@x")
        assert user.open().identity() == Identity(author=author, committer=committer)

    def test_the_variable_email_is_the_last_resort(
        self, user: UserRepository, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("EMAIL", "last@x")
        assert user.open().identity() == ADA
        user.git("config", "--unset", "user.email")
        assert user.open().identity() == Identity.of(Person(name="Ada", email="last@x"))
        user.configure({"committer.email": "c@x"})
        identity = user.open().identity()
        assert (identity.author.email, identity.committer.email) == ("last@x", "c@x")

    def test_a_name_without_any_usable_character_is_an_error_in_gits_words(
        self, user: UserRepository
    ) -> None:
        user.configure({"user.name": "<>"})
        with pytest.raises(RepositoryError, match="git var GIT_AUTHOR_IDENT failed") as caught:
            user.open().identity()
        assert "disallowed characters" in caught.value.evidence

    def test_a_commit_has_its_author_and_its_committer(
        self, user: UserRepository, repository: Repository
    ) -> None:
        user.configure({"author.name": "Author", "committer.email": "c@x"})
        head = user.git("rev-parse", "HEAD")
        commit = repository.commit(repository.tree_of(head), [head], "Work\n", repository.identity())
        assert identity_of(repository, commit, "a") == "Author <ada@example.invalid>"
        assert identity_of(repository, commit, "c") == "Ada <c@x>"

    @pytest.mark.parametrize("part", ["name", "email"])
    def test_a_missing_identity_is_an_error_with_a_remedy(self, user: UserRepository, part: str) -> None:
        user.git("config", "--unset", f"user.{part}")
        with pytest.raises(RepositoryError, match=rf"git user\.{part} is not set") as caught:
            user.open().identity()
        assert f"git config --global user.{part}" in caught.value.remedy

    @pytest.mark.parametrize("part", ["name", "email"])
    def test_an_identity_that_only_the_committer_has_is_an_error(
        self, user: UserRepository, part: str
    ) -> None:
        user.git("config", "--unset", f"user.{part}")
        user.configure({f"committer.{part}": "c@x"})
        with pytest.raises(RepositoryError, match=rf"git user\.{part} is not set"):
            user.open().identity()


class TestRefs:
    @pytest.fixture
    def commits(self, user: UserRepository) -> tuple[str, str]:
        return user.git("rev-parse", "HEAD"), user.commit({"new": ""})

    def test_a_ref_that_must_not_exist_is_made_once(
        self, repository: Repository, commits: tuple[str, str]
    ) -> None:
        old, new = commits
        assert repository.move_ref("refs/heads/g", old, ZERO, "make")
        assert not repository.move_ref("refs/heads/g", new, ZERO, "make")
        assert repository.read_ref("refs/heads/g") == old

    def test_a_ref_moves_only_from_the_expected_value(
        self, repository: Repository, commits: tuple[str, str]
    ) -> None:
        old, new = commits
        repository.set_ref("refs/heads/g", new)
        assert not repository.move_ref("refs/heads/g", old, old, "move")
        assert repository.move_ref("refs/heads/g", old, new, "move")
        assert repository.read_ref("refs/heads/g") == old

    def test_packed_refs_are_read_moved_and_deleted(
        self, user: UserRepository, repository: Repository, commits: tuple[str, str]
    ) -> None:
        old, new = commits
        repository.set_ref("refs/heads/g", old)
        repository.set_ref("refs/cobbler/attempts/g/t/1", old)
        user.git("pack-refs", "--all", "--prune")
        assert repository.move_ref("refs/heads/g", new, old, "move")
        assert repository.delete_refs({"refs/cobbler/attempts/g/t/1": old}) == ()
        assert repository.list_refs("refs/heads/g", "refs/cobbler") == {"refs/heads/g": new}

    def test_a_ref_that_was_moved_is_not_deleted_and_reported(
        self, repository: Repository, commits: tuple[str, str]
    ) -> None:
        old, new = commits
        for name in ("same", "moved"):
            repository.set_ref(f"refs/cobbler/{name}", new)
        values = {"refs/cobbler/same": new, "refs/cobbler/moved": old, "refs/cobbler/gone": old}
        assert repository.delete_refs(values) == ("refs/cobbler/moved",)
        assert repository.list_refs("refs/cobbler") == {"refs/cobbler/moved": new}

    def test_a_ref_that_moves_while_refs_are_deleted_is_not_deleted_and_reported(
        self, repository: Repository, commits: tuple[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old, new = commits
        values = {f"refs/cobbler/{name}": old for name in ("one", "two")}
        for ref in values:
            repository.set_ref(ref, old)
        run, waiting = repository.refs.run, ["refs/cobbler/two"]

        def run_after_a_move(*arguments: str, **options: Any) -> Completion:
            if "--stdin" in arguments and waiting:
                repository.set_ref(waiting.pop(), new)
            return run(*arguments, **options)

        monkeypatch.setattr(repository.refs, "run", run_after_a_move)
        assert repository.delete_refs(values) == ("refs/cobbler/two",)
        assert repository.list_refs("refs/cobbler") == {"refs/cobbler/two": new}

    def test_refs_are_deleted_by_one_process(
        self, repository: Repository, commits: tuple[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        values = {f"refs/cobbler/{number}": commits[0] for number in range(5)}
        for ref in values:
            repository.set_ref(ref, commits[0])
        run, commands = repository.refs.run, []

        def noted_run(*arguments: str, **options: Any) -> Completion:
            commands.append(arguments[0])
            return run(*arguments, **options)

        monkeypatch.setattr(repository.refs, "run", noted_run)
        assert repository.delete_refs(values) == ()
        assert commands.count("update-ref") == 1
        assert repository.list_refs("refs/cobbler") == {}

    def test_a_branch_of_any_name_is_listed(self, user: UserRepository, repository: Repository) -> None:
        odd = os.fsdecode("generation-\u2028\x85 x".replace(" ", "").encode() + b"\xff")
        user.git("branch", odd)
        assert f"refs/heads/{odd}" in repository.list_refs("refs/heads/generation-*")


class TestObjects:
    def test_trees_and_files_of_the_repository_are_read(
        self, user: UserRepository, repository: Repository
    ) -> None:
        head = user.git("rev-parse", "HEAD")
        assert repository.tree_of(head) == user.git("rev-parse", "HEAD^{tree}")
        assert repository.files(head) == ["README.md", "src/app.py", "src/util.py"]
        assert repository.read_file(head, "src/util.py") == b"x = 1\n"
        assert repository.read_file(head, "src") is None
        assert repository.read_file(head, "none") is None

    def test_the_users_git_reads_new_objects(self, user: UserRepository, repository: Repository) -> None:
        commit = commit_files(repository, user.git("rev-parse", "HEAD"), {"new": "x"})
        assert user.git("cat-file", "-p", f"{commit}:new") == "x"

    def test_a_link_is_not_read_as_a_file(self, user: UserRepository, repository: Repository) -> None:
        (user.path / "link").symlink_to("README.md")
        assert repository.read_file(user.commit(), "link") is None

    def test_the_scratch_directory_is_made_once_and_whole(
        self, user: UserRepository, repository: Repository
    ) -> None:
        scratch = repository.objects.git_dir
        (scratch / "mark").touch()
        assert user.open().objects.git_dir == scratch
        assert (scratch / "mark").exists()
        assert {path.name for path in repository.work_dir.iterdir()} == {"repository", scratch.name}

    def test_a_work_directory_that_cannot_be_made_is_an_error(
        self, user: UserRepository, tmp_path: Path
    ) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(RepositoryError, match="cannot make") as caught:
            _ = Repository(user.path, tmp_path / "file").objects
        assert "work_dir" in caught.value.remedy

    def test_new_objects_of_a_shared_repository_are_shared(self, user: UserRepository) -> None:
        user.configure({"core.sharedRepository": "0664"})
        repository = user.open()
        blob = repository.objects.text("hash-object", "-w", "--stdin", stdin=b"new")
        mode = (repository.common_dir / "objects" / blob[:2]).stat().st_mode
        assert mode & 0o770 == 0o770


class TestStores:
    def test_alternates_are_followed_with_any_spelling(self, user: UserRepository, tmp_path: Path) -> None:
        third = user.clone(tmp_path / "third", "--shared")
        second = user.clone(tmp_path / "second", "--shared", "--reference", str(third.path))
        alternates = second.path / ".git/objects/info/alternates"
        alternates.write_text("# a comment\n\n../../../third/.git/objects\n/nowhere\n")
        assert second.open().object_stores == (
            second.path / ".git/objects",
            third.path / ".git/objects",
            user.path / ".git/objects",
        )

    def test_objects_of_alternates_are_read(self, user: UserRepository, tmp_path: Path) -> None:
        clone = user.clone(tmp_path / "clone", "--shared")
        repository = clone.open()
        assert repository.files(clone.git("rev-parse", "HEAD"))


class TestKindsOfRepositories:
    def test_a_shallow_clone_has_a_history_that_ends(self, user: UserRepository, tmp_path: Path) -> None:
        user.commit({"new": ""})
        clone = user.clone(tmp_path / "clone", "--depth=1")
        repository = clone.open()
        head = clone.git("rev-parse", "HEAD")
        assert repository.objects.text("log", "--format=%H", head) == head
        clone.git("fetch", "--quiet", "--unshallow")
        assert len(repository.objects.text("log", "--format=%H", head).splitlines()) == 2

    def test_refs_of_a_repository_with_sha256_are_moved(self, tmp_path: Path) -> None:
        user = UserRepository.create(tmp_path, "--object-format=sha256")
        head = user.commit({"file": "x"})
        repository = user.open()
        assert repository.object_format == "sha256"
        assert repository.head_commit() == head
        assert repository.move_ref("refs/heads/g", head, ZERO, "make")
        assert not repository.move_ref("refs/heads/g", head, ZERO, "make")
        commit = commit_files(repository, head, {"new": "y"})
        assert repository.move_ref("refs/heads/g", commit, head, "move")
        assert user.git("cat-file", "-p", "g:new") == "y"

    def test_a_repository_that_was_made_again_in_another_format_is_read(self, tmp_path: Path) -> None:
        user = UserRepository.create(tmp_path)
        user.commit({"file": "x"})
        assert user.open().files(user.git("rev-parse", "HEAD")) == ["file"]
        user.path.rename(tmp_path / "before")
        again = UserRepository.create(tmp_path, "--object-format=sha256")
        assert again.open().files(again.commit({"other": "x"})) == ["other"]


def test_the_files_of_a_commit_and_of_its_tree_are_listed_once(
    user: UserRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = user.commit({"listed/once": "x"})
    repository = user.open()
    listed: list[Any] = []

    def counted_run(*arguments: Any, **options: Any) -> Completion:
        listed.append(arguments)
        return process.run(*arguments, **options)

    monkeypatch.setattr(git_module, "run", counted_run)
    blobs = repository.all_blobs(commit)
    assert "listed/once" in blobs
    assert repository.all_blobs(user.git("rev-parse", "HEAD^{tree}")) == blobs
    assert len(listed) == 1
