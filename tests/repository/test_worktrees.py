"""Plain directories for agents, with a git that works in them and is worth nothing to anybody."""

from __future__ import annotations

import os
import stat
import subprocess
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.repository import worktrees as module
from pytest_cobbler.repository.directories import remove_tree
from pytest_cobbler.repository.worktrees import Worktree
from tests.support.jobs import output
from tests.support.repositories import Bench, UserRepository, commit_files, snapshot

NOBODY = (60989, 60989)


def in_container(bench: Bench, worktree: Worktree, script: str) -> str:
    """The output of a shell script that works in the worktree as an agent does."""
    return output(bench.sandbox, script, mounts=worktree.mounts(bench.repository), workdir=str(worktree.tree))


def succeeds_as_nobody(work: Callable[[], object]) -> bool:
    """Whether another user's process does ``work`` without an error.

    It is a fork of this one: that user may not be able to read the files of this package.
    """
    with warnings.catch_warnings():
        # Python 3.12 warns of a fork beside other threads, and the warning would be an error in the child.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            os.setgid(NOBODY[1])
            os.setuid(NOBODY[0])
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


class TestTheAgentsGit:
    @pytest.mark.matrix("costly")
    def test_the_agents_git_works(self, bench: Bench) -> None:
        worktree = bench.worktree()
        script = """
            set -e
            git status --porcelain; echo clean
            git log -1 --format=%s
            echo new >new; rm src/util.py; echo changed >src/app.py
            git status --porcelain
            git diff --stat | tail -1
            git add --all
            git commit -q -m "By the agent"
            git log -2 --format='%an: %s'
            git status --porcelain; echo clean
            git stash list; git branch --show-current; git show --stat HEAD~1 >/dev/null
        """
        assert in_container(bench, worktree, script).splitlines() == [
            "clean",
            f"Start generation: {bench.generation.name}",
            " M src/app.py",
            " D src/util.py",
            "?? new",
            " 2 files changed, 1 insertion(+), 2 deletions(-)",
            "agent: By the agent",
            f"Ada: Start generation: {bench.generation.name}",
            "clean",
            "work",
        ]

    def test_the_agents_git_shows_the_work_of_an_earlier_attempt(self, bench: Bench) -> None:
        earlier = commit_files(bench.repository, bench.tip, {"src/app.py": "earlier\n"})
        worktree = bench.worktree(tree=bench.repository.tree_of(earlier))
        assert in_container(bench, worktree, "git status --porcelain") == "M  src/app.py"

    def test_the_agents_git_sees_only_the_objects_of_the_repository(self, bench: Bench) -> None:
        bench.user.configure({"http.extraHeader": "AUTHORIZATION: basic SECRET"})
        bench.user.git("branch", "private")
        worktree = bench.worktree()
        output = in_container(
            bench, worktree, "git config --list --show-origin; git for-each-ref; git remote"
        )
        assert "SECRET" not in output
        assert [line.split("\t")[1] for line in output.splitlines() if "\trefs/" in line] == [
            "refs/heads/work"
        ]

    def test_the_agents_git_works_in_a_shallow_clone_with_alternates(
        self, user: UserRepository, tmp_path: Path, bench: Bench
    ) -> None:
        user.commit({"new": ""})
        clone = user.clone(tmp_path / "clone", "--depth=1")
        shared = clone.clone(tmp_path / "shared", "--shared")
        (shared.path / ".git" / "shallow").write_bytes((clone.path / ".git" / "shallow").read_bytes())
        there = Bench(shared, shared.open(), shared.start(), bench.sandbox)
        worktree = there.worktree()
        assert in_container(there, worktree, "git log --format=%s; git status --porcelain") == (
            f"Start generation: {there.generation.name}\nChange"
        )

    def test_the_agents_git_works_with_sha256(self, tmp_path: Path, bench: Bench) -> None:
        user = UserRepository.create(tmp_path, "--object-format=sha256", name="sha256")
        user.commit({"file": "x"})
        there = Bench(user, user.open(), user.start(), bench.sandbox)
        script = "echo y >file; git commit -q -a -m x; git log --format=%s | head -1; git status --porcelain"
        assert in_container(there, there.worktree(), script) == "x"


class TestAGitWithTheObjectsOfItsFilesAlone:
    @pytest.fixture
    def alone(self, bench: Bench) -> Bench:
        """A generation whose agents get these objects only."""
        return replace(bench, alone=True)

    def secrets(self, user: UserRepository) -> list[str]:
        user.commit({"key": "removed secret"})
        removed = user.git("rev-parse", "HEAD:key")
        user.git("rm", "-q", "key")
        user.git("commit", "-q", "-m", "Remove it")
        (user.path / "README.md").write_text("stashed secret")
        user.git("stash")
        stashed = user.git("rev-parse", "stash@{0}:README.md")
        user.git("stash", "drop", "-q")
        return [stashed, removed]

    def test_an_agent_alone_cannot_read_a_stash_or_the_history(self, alone: Bench) -> None:
        secrets = self.secrets(alone.user)
        seen = "for id; do git cat-file -p $id 2>/dev/null || echo none; done"
        script = f"set -- {' '.join(secrets)}; {seen}"
        with_all = replace(alone, alone=False)
        assert in_container(with_all, with_all.worktree("t-0"), script) == "stashed secretremoved secret"
        assert in_container(alone, alone.worktree(), script) == "none\nnone"
        mounted = [mount.source for mount in alone.worktree("t-2").mounts(alone.repository)]
        assert not any(source.is_relative_to(alone.user.path) for source in mounted)

    def test_an_agent_alone_works_and_its_work_is_harvested_thin(self, alone: Bench) -> None:
        worktree = alone.worktree()
        script = """
            set -e
            git status --porcelain; git fsck --full --no-dangling; echo clean
            echo new >new; rm src/util.py; echo changed >src/app.py
            git status --porcelain
            git diff --stat | tail -1
            git add --all; git commit -q -m "By the agent"
            git log --format=%s; git status --porcelain
        """
        assert alone.work(worktree, script).splitlines() == [
            "clean",
            " M src/app.py",
            " D src/util.py",
            "?? new",
            " 2 files changed, 1 insertion(+), 2 deletions(-)",
            "By the agent",
            f"Start generation: {alone.generation.name}",
        ]
        before = alone.user.git("count-objects", "-v")
        harvested = alone.take(worktree)
        assert sorted(entry.shown for entry in harvested.change.entries) == [
            "new",
            "src/app.py",
            "src/util.py",
        ]
        assert before != alone.user.git("count-objects", "-v")
        assert alone.repository.read_file(harvested.tree, "new") == b"new\n"

    def test_a_worktree_alone_shows_the_work_of_an_earlier_attempt(self, alone: Bench) -> None:
        earlier = commit_files(alone.repository, alone.tip, {"src/app.py": "earlier\n"})
        worktree = alone.worktree(tree=alone.repository.tree_of(earlier))
        assert in_container(alone, worktree, "git diff HEAD --stat | tail -1; git show :src/app.py") == (
            " 1 file changed, 1 insertion(+), 1 deletion(-)\nearlier"
        )


class TestTheCheckout:
    def test_a_worktree_holds_the_tree_and_does_not_change_the_users_checkout(
        self, host_bench: Bench
    ) -> None:
        before = snapshot(host_bench.user)
        worktree = host_bench.worktree()
        assert (worktree.tree / "src" / "app.py").read_text() == "print('app')\n"
        host_bench.worktrees.remove(worktree)
        assert not worktree.directory.exists()
        assert snapshot(host_bench.user) == before

    def test_a_worktree_has_links_modes_and_any_name(self, host_bench: Bench) -> None:
        odd = os.fsdecode(b"odd \xff\n'\"\\")
        tip = commit_files(
            host_bench.repository,
            host_bench.tip,
            {"run.sh": "#!/bin/sh\n", "link": "src/app.py", odd: "x", "ü/日本": "y", "-rf": "z", "-x/-y": ""},
            modes={"run.sh": "100755", "link": "120000"},
        )
        worktree = host_bench.worktree(parent=tip)
        assert (worktree.tree / "run.sh").stat().st_mode & 0o111
        assert (worktree.tree / "link").readlink() == Path("src/app.py")
        names = {os.fsencode(path.name) for path in worktree.tree.iterdir()}
        assert {os.fsencode(odd), "ü".encode(), b"-rf", b"-x"} <= names
        assert host_bench.work(worktree, "git status --porcelain") == ""

    def test_a_worktree_of_an_empty_tree_is_empty(self, host_bench: Bench) -> None:
        tip = commit_files(
            host_bench.repository,
            host_bench.tip,
            dict.fromkeys(host_bench.repository.files(host_bench.tip)),
        )
        worktree = host_bench.worktree(parent=tip)
        assert [path.name for path in worktree.tree.iterdir()] == [".git"]

    def test_a_worktree_has_line_ends_as_the_attributes_ask(self, host_bench: Bench) -> None:
        tip = commit_files(
            host_bench.repository,
            host_bench.tip,
            # The attributes come after the file that they are about.
            {"sub/+early.txt": "a\nb\n", "sub/.gitattributes": "*.txt text eol=crlf\n", "sub/raw": "a\n"},
        )
        worktree = host_bench.worktree(parent=tip)
        assert (worktree.tree / "sub" / "+early.txt").read_bytes() == b"a\r\nb\r\n"
        assert (worktree.tree / "sub" / "raw").read_bytes() == b"a\n"
        assert host_bench.work(worktree, "git status --porcelain") == ""

    def test_a_worktree_has_an_empty_directory_for_a_submodule(self, host_bench: Bench) -> None:
        tip = commit_files(
            host_bench.repository, host_bench.tip, {"libs/sub": "1" * 40}, modes={"libs/sub": "160000"}
        )
        worktree = host_bench.worktree(parent=tip)
        assert list((worktree.tree / "libs" / "sub").iterdir()) == []
        assert host_bench.work(worktree, "git status --porcelain") == ""

    @pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
    def test_a_worktree_belongs_to_the_user_of_jobs_and_its_index_is_fresh(
        self, user: UserRepository
    ) -> None:
        repository, generation = user.open(), user.start()
        made = module.Worktrees(repository, generation.name, NOBODY)
        worktree = made.create(
            "t-1", parent=generation.first, tree=repository.tree_of(generation.first), purpose={}
        )
        for path in (worktree.tree, worktree.git, worktree.output, *worktree.tree.rglob("*")):
            assert (path.stat().st_uid, path.stat().st_gid) == NOBODY
        for path in (worktree.directory, worktree.index):
            assert path.stat().st_uid == 0
        assert (worktree.git / "index").stat().st_mtime_ns == worktree.index.stat().st_mtime_ns
        for closed in (repository.work_dir, repository.work_dir.parent):
            closed.chmod(0o711)  # in a job, the directories above the mounts are the container's
        stale = subprocess.run(
            ["git", f"--git-dir={worktree.git}", f"--work-tree={worktree.tree}", "diff-files", "--name-only"],
            capture_output=True,
            user=NOBODY[0],
            check=True,
        )
        assert stale.stdout == b""


class TestLeftovers:
    def test_leftovers_are_complete_worktrees(self, host_bench: Bench) -> None:
        worktree = host_bench.worktree()
        assert host_bench.worktrees.leftovers() == [worktree]

    def test_an_incomplete_worktree_is_removed(
        self, host_bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Harvested, it would look like a change that deletes half of the project."""

        def killed(_: object, worktree: Worktree) -> None:
            (worktree.tree / "README.md").touch()
            raise KeyboardInterrupt

        monkeypatch.setattr(module.Worktrees, "_check_out", killed)
        monkeypatch.setattr(module, "remove_tree", lambda _: None)
        with pytest.raises(KeyboardInterrupt):
            host_bench.worktree()
        monkeypatch.undo()
        assert host_bench.worktrees.leftovers() == []
        host_bench.worktree()

    def test_a_worktree_that_could_not_be_made_is_removed_immediately(self, host_bench: Bench) -> None:
        with pytest.raises(RepositoryError, match="nonexistent object"):
            host_bench.worktree(tree="1" * 40)
        host_bench.worktrees.remove_all()
        assert list(host_bench.repository.work_dir.glob("generation-*")) == []

    def test_an_existing_worktree_is_not_made_again(self, host_bench: Bench) -> None:
        worktree = host_bench.worktree()
        (worktree.tree / "work").touch()
        with pytest.raises(RepositoryError, match="cannot make worktree"):
            host_bench.worktree()
        assert (worktree.tree / "work").exists()

    def test_leftovers_of_another_generation_are_not_listed(self, host_bench: Bench) -> None:
        host_bench.worktree()
        other = module.Worktrees(host_bench.repository, f"{host_bench.generation.name}-b", None)
        assert other.leftovers() == []

    def test_a_kept_worktree_is_readable_by_its_owner_only(self, host_bench: Bench) -> None:
        worktrees = host_bench.worktrees
        places = []
        for content in ("one", "two"):
            worktree = host_bench.worktree()
            (worktree.tree / "work").write_text(content)
            places.append(worktrees.keep(worktree, "why"))
        assert [(place / "work").read_text() for place in places] == ["one", "two"]
        assert worktrees.leftovers() == []
        assert stat.S_IMODE(places[0].parents[1].stat().st_mode) == 0o700


class TestRemoveTree:
    """Any depth, any mode, nothing but the tree."""

    @pytest.fixture
    def tree(self, tmp_path: Path) -> Path:
        tree = tmp_path / "tree"
        tree.mkdir()
        tmp_path.chmod(0o777)
        return tree

    def as_nobody(self, tree: Path, script: str) -> None:
        os.chown(tree, *NOBODY)
        subprocess.run(["bash", "-euc", script], cwd=tree, user=NOBODY[0], group=NOBODY[1], check=True)

    def removed_by_nobody(self, tree: Path) -> None:
        assert succeeds_as_nobody(lambda: remove_tree(tree))

    def test_a_tree_of_three_thousand_levels_is_removed(self, tree: Path) -> None:
        subprocess.run(["mkdir", "-p", "d/" * 3000], cwd=tree, check=True)
        remove_tree(tree)
        assert not tree.exists()

    @pytest.mark.skipif(os.getuid() != 0, reason="needs another user")
    def test_a_tree_that_is_closed_to_its_owner_is_removed(self, tree: Path) -> None:
        self.as_nobody(tree, "mkdir -p a/b/c; echo x >a/b/c/f; chmod 000 a/b/c a/b a; chmod 555 .")
        self.removed_by_nobody(tree)
        assert not tree.exists()

    def test_a_tree_with_special_files_and_any_name_is_removed(self, tree: Path) -> None:
        os.mkfifo(tree / "fifo")
        for name in (b"-rf", b"\xff\n", b"*"):
            (tree / os.fsdecode(name)).mkdir()
        remove_tree(tree)
        assert not tree.exists()

    def test_targets_of_links_in_a_removed_tree_stay(self, tree: Path, tmp_path: Path) -> None:
        (tmp_path / "canary").mkdir()
        (tmp_path / "canary" / "file").touch()
        (tree / "link").symlink_to(tmp_path / "canary")
        remove_tree(tree)
        assert (tmp_path / "canary" / "file").exists()

    def test_the_target_of_a_removed_link_stays(self, tmp_path: Path) -> None:
        (tmp_path / "canary").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "canary")
        remove_tree(tmp_path / "link")
        assert (tmp_path / "canary").exists()
        assert not (tmp_path / "link").is_symlink()

    def test_removing_a_missing_tree_is_not_an_error(self, tmp_path: Path) -> None:
        remove_tree(tmp_path / "none")

    @pytest.mark.skipif(os.getuid() != 0, reason="needs another user")
    def test_a_tree_that_cannot_be_removed_is_an_error_with_a_remedy(self, tree: Path) -> None:
        (tree / "d").mkdir()
        (tree / "d" / "f").touch()

        def is_refused() -> None:
            with pytest.raises(RepositoryError) as raised:
                remove_tree(tree / "d")
            assert f"podman unshare rm -rf {tree}/d" in raised.value.remedy

        assert succeeds_as_nobody(is_refused)
