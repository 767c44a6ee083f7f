"""The files of a worktree are the change, whatever its git did, and every loss is reported."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.display import shown_path
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository import harvest as module
from pytest_cobbler.repository.checks import Policy
from pytest_cobbler.repository.harvest import Harvest, HarvestError, harvest
from pytest_cobbler.repository.landing import land, merge
from pytest_cobbler.repository.worktrees import Worktree
from pytest_cobbler.sandbox.base import Completed, Job, Sandbox
from pytest_cobbler.sites import packing
from tests.support.images import busybox_image
from tests.support.images import podman as podman_command
from tests.support.repositories import ADA, Bench, UserRepository, commit_files, files_in, snapshot

__all__ = ["busybox_image"]

WORK = "echo new >new; echo changed >src/app.py; rm src/util.py"
DONE = {"README.md": b"# Project\n", "new": b"new\n", "src/app.py": b"changed\n"}


def result(bench: Bench, harvested: Harvest) -> dict[str, bytes]:
    """The files of a harvest that is in the repository."""
    assert harvested.importable
    return files_in(bench.repository, harvested.tree)


@pytest.mark.slow
class TestWhateverTheAgentsGitSays:
    @pytest.mark.parametrize(
        "afterwards",
        [
            "true",
            "git add --all",
            "git add --all && git commit -qm one",
            "git add --all && git commit -q --amend -m 'instead of the base' --author 'Eve <eve@x>'",
            "git add --all && git commit -qm one && git checkout -q --orphan lonely && git commit -qm all",
            "git checkout -qb other && git add --all && git commit -qm one && git branch -qD work",
            "git config core.bare true; git config core.worktree /",
            "rm -rf $(git rev-parse --git-dir)/*",
            "git update-index --skip-worktree src/app.py; git update-index --assume-unchanged src/util.py",
            "echo '*' >$(git rev-parse --git-dir)/info/exclude",
            "git read-tree --empty",
            "touch $(git rev-parse --git-dir)/index.lock $(git rev-parse --git-dir)/HEAD.lock",
        ],
    )
    def test_the_change_is_in_the_files_whatever_the_agents_git_did(
        self, host_bench: Bench, afterwards: str
    ) -> None:
        harvested = host_bench.harvested(f"mkdir -p $(git rev-parse --git-dir)/info; {WORK}\n{afterwards}")
        assert result(host_bench, harvested) == DONE
        assert harvested.parent == host_bench.tip
        assert harvested.change.paths == ("new", "src/app.py", "src/util.py")

    def test_the_change_is_in_the_files_in_each_sandbox(self, bench: Bench) -> None:
        harvested = bench.harvested(f"{WORK}\ngit add new && git commit -qm one")
        assert result(bench, harvested) == DONE
        assert harvested.refusals == ()

    def test_the_change_is_in_the_files_after_a_rebase(self, host_bench: Bench) -> None:
        script = f"""{WORK}
            git add --all; git commit -qm one; echo two >two; git add --all; git commit -qm two
            git reset -q --soft HEAD~2; git commit -qm both; git rebase -q --root 2>/dev/null
        """
        assert result(host_bench, host_bench.harvested(script)) == DONE | {"two": b"two\n"}

    def test_the_change_is_in_the_files_if_the_agent_made_a_new_repository(self, host_bench: Bench) -> None:
        harvested = host_bench.harvested(
            f"{WORK}\nrm .git; git init -q; git add --all; git -c user.name=a -c user.email=a commit -qm x"
        )
        assert result(host_bench, harvested) == DONE

    def test_the_change_is_in_the_files_if_the_gitfile_was_removed(self, host_bench: Bench) -> None:
        assert result(host_bench, host_bench.harvested(f"{WORK}\nrm .git")) == DONE


class TestWhatIsFound:
    def test_touched_files_are_not_a_change(self, host_bench: Bench) -> None:
        harvested = host_bench.harvested("touch src/app.py; chmod g+w README.md")
        assert not harvested.change
        assert harvested.tree == host_bench.repository.tree_of(host_bench.tip)

    def test_modes_links_and_deletions_are_harvested(self, bench: Bench) -> None:
        script = "chmod +x src/app.py; ln -s src/app.py link; rm README.md; mkdir empty; mv src/util.py u.py"
        harvested = bench.harvested(script)
        facts = {entry.shown: (entry.status, entry.new_mode) for entry in harvested.change.entries}
        assert facts == {
            "README.md": ("D", "000000"),
            "link": ("A", "120000"),
            "src/app.py": ("M", "100755"),
            "src/util.py": ("D", "000000"),
            "u.py": ("A", "100644"),
        }
        assert files_in(bench.repository, harvested.tree)["link"] == b"src/app.py"

    def test_the_removal_of_every_file_is_harvested(self, host_bench: Bench) -> None:
        assert result(host_bench, host_bench.harvested("rm -r src README.md")) == {}

    def test_a_change_of_the_same_size_in_the_second_of_the_checkout_is_harvested(
        self, host_bench: Bench
    ) -> None:
        worktree = host_bench.worktree()
        file = worktree.tree / "src" / "util.py"
        before = file.stat()
        file.write_text("x = 2\n")
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        time.sleep(1.1)
        assert host_bench.work(worktree, "git status --porcelain") == " M src/util.py\n"
        assert host_bench.take(worktree).change.paths == ("src/util.py",)

    def test_a_change_of_the_same_size_and_time_is_harvested(self, host_bench: Bench) -> None:
        script = "cp -p src/util.py ../output/t; echo 'x = 2' >src/util.py; touch -r ../output/t src/util.py"
        assert host_bench.harvested(script).change.paths == ("src/util.py",)

    def test_files_of_any_name_are_harvested(self, bench: Bench) -> None:
        harvested = bench.harvested(
            r"""
            printf x >$'new\nline'; printf x >$'\xff\xfe'; printf x >"qu'ote\"s"; printf x >'back\slash'
            printf x >$'\x1b[31m'; printf x >./-rf; mkdir -- './ü' './--output=x'; printf x >'./ü/日本 '
            printf x >./--output=x/y; printf x >'*'; printf x >' lead'
            """
        )
        names = {os.fsencode(path) for path in files_in(bench.repository, harvested.tree)}
        assert names >= {
            b"new\nline",
            b"\xff\xfe",
            b"qu'ote\"s",
            b"back\\slash",
            b"\x1b[31m",
            b"-rf",
            "ü/日本 ".encode(),
            b"--output=x/y",
            b"*",
            b" lead",
        }
        for path in harvested.change.paths:
            assert path.isprintable()
        assert {r"new\nline", r"\xff\xfe", r"\x1b[31m"} <= set(harvested.change.paths)

    def test_files_that_the_agent_cannot_read_are_harvested(self, bench: Bench) -> None:
        script = "mkdir -p d/e; echo x >d/e/f; echo y >g; chmod 000 d/e/f d/e d g src/app.py; chmod 000 ."
        files = result(bench, bench.harvested(script))
        assert (files["d/e/f"], files["g"]) == (b"x\n", b"y\n")
        assert "src/app.py" in files

    @pytest.mark.slow
    def test_many_files_are_harvested(self, host_bench: Bench) -> None:
        harvested = host_bench.harvested("mkdir many; for i in $(seq 300); do echo $i >many/$i; done")
        assert len(harvested.change.entries) == 300
        assert result(host_bench, harvested)["many/300"] == b"300\n"


class TestWhatGitWouldIgnore:
    def test_ignored_files_are_left_out_and_reported(self, bench: Bench) -> None:
        harvested = bench.harvested(
            r"printf '*.log\nout/\n' >.gitignore; mkdir out; touch out/x $'a\n.log' keep"
        )
        assert harvested.change.paths == (".gitignore", "keep")
        assert harvested.ignored == (r"a\n.log", "out/")

    def test_a_gitignore_that_ignores_everything_is_reported(self, host_bench: Bench) -> None:
        harvested = host_bench.harvested("echo '*' >.gitignore; echo work >work")
        assert set(harvested.ignored) == {".gitignore", "work"}

    @pytest.mark.slow
    def test_very_many_ignored_files_are_reported_in_part(self, host_bench: Bench) -> None:
        script = "echo '*.o' >.gitignore; printf '%0200d.o\\n' $(seq 10000) | xargs touch"
        harvested = host_bench.harvested(script)
        assert harvested.change.paths == (".gitignore",)
        assert len(harvested.ignored) == 1000

    def test_ignored_files_have_no_limit_of_size(self, host_bench: Bench) -> None:
        harvested = host_bench.harvested("echo target/ >.gitignore; mkdir target; truncate -s 1T target/huge")
        assert harvested.change.paths == (".gitignore",)


@pytest.mark.slow
class TestWhatIsTooLarge:
    def test_a_file_that_is_too_large_is_an_error_that_names_it(self, bench: Bench) -> None:
        worktree = bench.worktree()
        bench.work(worktree, r"echo work >work; mkdir d; truncate -s 1T $'d/hu\nge'")
        with pytest.raises(HarvestError, match=r"larger than 50 MiB: d/hu\\nge"):
            bench.take(worktree)
        assert (worktree.tree / "work").exists()

    def test_a_tracked_file_that_became_too_large_is_an_error(self, host_bench: Bench) -> None:
        worktree = host_bench.worktree()
        host_bench.work(worktree, "truncate -s 1T src/app.py")
        with pytest.raises(HarvestError, match=r"larger than 50 MiB: src/app\.py"):
            host_bench.take(worktree)

    def test_a_large_file_without_a_change_is_not_an_error(
        self, host_bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(packing, "LARGEST_FILE", 1 << 20)
        tip = commit_files(host_bench.repository, host_bench.tip, {"huge": bytes(2 << 20)})
        worktree = host_bench.worktree(parent=tip)
        host_bench.work(worktree, "echo x >new")
        assert host_bench.take(worktree).change.paths == ("new",)

    def test_a_change_that_is_too_large_never_reaches_the_repository(
        self, host_bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "LARGEST_PACK", 100_000)
        worktree = host_bench.worktree()
        host_bench.work(worktree, "head -c 200000 /dev/urandom >noise")
        with pytest.raises(HarvestError, match="the change is larger"):
            host_bench.take(worktree)


@pytest.mark.slow
class TestWhatGitCannotTake:
    @pytest.mark.parametrize(
        "nested",
        [
            "git init -q sub",
            "git init -q sub; cd sub; echo x >f; git add f; git -c user.name=a -c user.email=a commit -qm x",
            "mkdir sub; echo 'gitdir: /nowhere' >sub/.git",
            "mkdir -p sub/.GIT/x; echo x >sub/.GIT/config",
            "mkdir sub; ln -s /etc sub/.git",
        ],
    )
    def test_nested_repositories_become_plain_directories(self, host_bench: Bench, nested: str) -> None:
        harvested = host_bench.harvested(f"({nested}); echo work >sub/work")
        assert result(host_bench, harvested)["sub/work"] == b"work\n"
        assert [name.lower() for name in harvested.removed] == ["sub/.git"]
        assert {entry.new_mode for entry in harvested.change.entries} == {"100644"}

    def test_a_git_directory_in_other_letters_is_removed(self, host_bench: Bench) -> None:
        harvested = host_bench.harvested("mkdir .GIT; echo x >.GIT/config; echo work >work")
        assert harvested.change.paths == ("work",)
        assert harvested.removed == (".GIT",)

    def test_special_files_are_removed_and_reported(self, bench: Bench) -> None:
        harvested = bench.harvested(
            "mkfifo .gitignore src/.gitattributes pipe; rm src/app.py; mkfifo src/app.py; echo work >work"
        )
        assert harvested.change.paths == ("src/app.py", "work")
        assert set(harvested.removed) == {".gitignore", "src/.gitattributes", "pipe", "src/app.py"}

    def test_a_path_that_is_too_long_is_an_error(self, host_bench: Bench) -> None:
        worktree = host_bench.worktree()
        host_bench.work(worktree, "mkdir -p $(printf 'd/%.0s' $(seq 2100)); echo work >work")
        with pytest.raises(HarvestError, match="too long for git"):
            host_bench.take(worktree)
        kept = host_bench.worktrees.keep(worktree, "why")
        assert (kept / "work").read_text() == "work\n"

    def test_a_name_that_git_forbids_is_an_error_in_git_s_words(self, host_bench: Bench) -> None:
        worktree = host_bench.worktree()
        host_bench.work(worktree, "echo x >git~1")
        with pytest.raises(HarvestError) as caught:
            host_bench.take(worktree)
        assert "invalid path 'git~1'" in caught.value.evidence


@pytest.mark.slow
class TestAttributes:
    def test_line_ends_are_converted_as_the_attributes_ask(self, host_bench: Bench) -> None:
        tip = commit_files(
            host_bench.repository,
            host_bench.tip,
            {".gitattributes": "*.txt text eol=crlf\n", "a.txt": "1\n2\n"},
        )
        worktree = host_bench.worktree(parent=tip)
        host_bench.work(worktree, r"printf '1\r\n2\r\n3\r\n' >a.txt")
        assert files_in(host_bench.repository, host_bench.take(worktree).tree)["a.txt"] == b"1\n2\n3\n"

    @pytest.mark.parametrize("script", ["true", "touch dos.txt", "cp dos.txt x; cat x >dos.txt; rm x"])
    def test_a_file_with_committed_other_line_ends_is_not_a_change(self, bench: Bench, script: str) -> None:
        odd = os.fsdecode(b'd\xff\n "os.txt')
        tip = commit_files(
            bench.repository,
            bench.tip,
            {".gitattributes": "*.txt text\n", "dos.txt": "1\r\n2\r\n", odd: "1\r\n", "x y .txt": "\r\n"},
            modes={"x y .txt": "100755"},
        )
        worktree = bench.worktree(parent=tip)
        bench.work(worktree, f'{script}; for f in *; do touch "$f"; done')
        assert bench.take(worktree).change.paths == ()

    @pytest.mark.parametrize("name", [".gitattributes", "src/.gitattributes"])
    def test_attributes_of_the_agent_are_its_only_change(self, host_bench: Bench, name: str) -> None:
        files = {"dos.txt": "1\r\n2\r\n", "src/dos.txt": "1\r\n"}
        worktree = host_bench.worktree(parent=commit_files(host_bench.repository, host_bench.tip, files))
        host_bench.work(worktree, f"echo '*.txt text' >{name}; for f in dos.txt src/*; do touch $f; done")
        assert host_bench.take(worktree).change.paths == (name,)

    @pytest.mark.parametrize("name", [".gitattributes", "src/.gitattributes"])
    def test_removing_the_attributes_is_the_only_change(self, host_bench: Bench, name: str) -> None:
        files = {name: "*.txt text\n", "src/#.txt": "1\r\n"}  # git adds it before it removes the other
        worktree = host_bench.worktree(parent=commit_files(host_bench.repository, host_bench.tip, files))
        host_bench.work(worktree, f"rm {name}; touch src/#.txt")
        assert host_bench.take(worktree).change.paths == (name,)

    def test_a_change_of_a_file_with_other_line_ends_is_harvested(self, host_bench: Bench) -> None:
        tip = commit_files(
            host_bench.repository, host_bench.tip, {".gitattributes": "*.txt text\n", "dos.txt": "1\r\n2\r\n"}
        )
        worktree = host_bench.worktree(parent=tip)
        host_bench.work(worktree, r"printf '3\r\n' >>dos.txt; chmod +x src/app.py")
        assert host_bench.take(worktree).change.paths == ("dos.txt", "src/app.py")

    def test_two_changes_of_a_file_with_other_line_ends_land(self, host_bench: Bench) -> None:
        repository, ref = host_bench.repository, host_bench.generation.ref
        lines = "".join(f"{number}\r\n" for number in range(9))
        files = {".gitattributes": "*.txt text\n", "dos.txt": lines}
        base = commit_files(repository, host_bench.tip, files)
        assert repository.move_ref(ref, base, host_bench.tip, "test")
        for name, change in (("t-1", "1s/0/first/"), ("t-2", "9s/8/last/")):
            worktree = host_bench.worktree(name)
            host_bench.work(worktree, f"sed -i '{change}' dos.txt")
            harvested = host_bench.take(worktree)
            work = repository.commit(harvested.tree, [harvested.parent], "Work\n", ADA)
            assert land(repository, ref, merge(repository, host_bench.tip, work), "Land\n", ADA)
        landed = files_in(repository, host_bench.tip)["dos.txt"].split()
        assert landed == [b"first", *map(b"%d".__mod__, range(1, 8)), b"last"]

    def test_no_filter_runs_in_a_harvest(self, host_bench: Bench, tmp_path: Path) -> None:
        host_bench.user.configure({"filter.x.clean": f"touch {tmp_path}/canary; cat"})
        (tmp_path / ".gitconfig").write_text(f'[filter "x"]\n\tclean = "touch {tmp_path}/canary; cat"\n')
        harvested = host_bench.harvested("echo '* filter=x' >.gitattributes; echo work >work")
        assert result(host_bench, harvested)["work"] == b"work\n"
        assert not (tmp_path / "canary").exists()


@pytest.mark.slow
class TestSubmodules:
    """A worktree has an empty directory where the repository has a submodule."""

    @pytest.fixture
    def tip(self, host_bench: Bench) -> str:
        modes = {"libs/one": "160000", "libs/two": "160000"}
        return commit_files(
            host_bench.repository,
            host_bench.tip,
            {"libs/one": "1" * 40, "libs/two": "2" * 40, "libs/f": ""},
            modes=modes,
        )

    def take(self, bench: Bench, tip: str, script: str) -> Harvest:
        worktree = bench.worktree(parent=tip)
        bench.work(worktree, script)
        return bench.take(worktree)

    @pytest.mark.parametrize(
        "script", ["true", "rmdir libs/one", "rm -r libs/one libs/two", "git clean -ffdxq"]
    )
    def test_submodules_stay_without_their_empty_directories(
        self, host_bench: Bench, tip: str, script: str
    ) -> None:
        harvested = self.take(host_bench, tip, f"{script}; echo work >work")
        assert harvested.change.paths == ("work",)
        assert harvested.refusals == ()

    def test_a_submodule_with_commands_is_refused_by_git_even_where_it_is_allowed(
        self, host_bench: Bench
    ) -> None:
        command = '[submodule "s"]\n\tpath = s\n\turl = ../s\n\tupdate = !touch x\n'
        worktree = host_bench.worktree()
        host_bench.work(worktree, f"cat >.gitmodules <<'END'\n{command}END\n")
        with pytest.raises(HarvestError) as caught:
            host_bench.take(worktree, Policy(allowed=(".gitmodules",)))
        assert "gitmodulesUpdate" in caught.value.evidence

    def test_submodules_stay_when_the_directory_above_is_removed(self, host_bench: Bench, tip: str) -> None:
        assert self.take(host_bench, tip, "rm -r libs").change.paths == ("libs/f",)

    def test_files_inside_a_submodule_are_refused(self, host_bench: Bench, tip: str) -> None:
        harvested = self.take(host_bench, tip, "git init -q libs/one; mkdir libs/one/d; echo x >libs/one/d/f")
        assert [refusal.path for refusal in harvested.refusals] == ["libs/one/d"]
        assert "inside a submodule" in harvested.refusals[0].reason

    @pytest.mark.parametrize(
        "script",
        ["rmdir libs/one; echo x >libs/one", "rmdir libs/one; ln -s f libs/one", "rm -r libs; echo x >libs"],
    )
    def test_replacing_a_submodule_is_refused(self, host_bench: Bench, tip: str, script: str) -> None:
        harvested = self.take(host_bench, tip, script)
        assert "libs/one" in [refusal.path for refusal in harvested.refusals]


@pytest.mark.slow
class TestSubmodulesAtOddPaths:
    """Names that git quotes where it prints a line for each path."""

    @pytest.fixture(
        params=[b"tab\tbed", b"new\nline", b'"quoted"', b"back\\slash", b"not\xffutf8", b"-lead ing "]
    )
    def directory(self, request: pytest.FixtureRequest) -> str:
        return os.fsdecode(request.param)

    @pytest.fixture
    def worktree(self, host_bench: Bench, directory: str) -> Worktree:
        """A worktree with an empty directory for the submodule ``one`` in ``directory``."""
        link = f"{directory}/one"
        tip = commit_files(host_bench.repository, host_bench.tip, {link: "1" * 40}, modes={link: "160000"})
        return host_bench.worktree(parent=tip)

    def test_removing_the_empty_directory_of_a_submodule_at_an_odd_path_is_not_a_change(
        self, host_bench: Bench, worktree: Worktree, directory: str
    ) -> None:
        (worktree.tree / directory / "one").rmdir()
        assert not host_bench.take(worktree).change

    def test_removing_the_directory_above_a_submodule_at_an_odd_path_is_not_a_change(
        self, host_bench: Bench, worktree: Worktree, directory: str
    ) -> None:
        (worktree.tree / directory / "one").rmdir()
        (worktree.tree / directory).rmdir()
        assert not host_bench.take(worktree).change

    def test_a_file_inside_a_submodule_at_an_odd_path_is_refused(
        self, host_bench: Bench, worktree: Worktree, directory: str
    ) -> None:
        (worktree.tree / directory / "one" / "file").write_text("work")
        refusals = host_bench.take(worktree).refusals
        assert [refusal.path for refusal in refusals] == [shown_path(os.fsencode(f"{directory}/one/file"))]
        assert "inside a submodule" in refusals[0].reason

    @pytest.mark.parametrize("is_link", [False, True], ids=["file", "link"])
    def test_replacing_the_directory_above_a_submodule_at_an_odd_path_is_refused(
        self, host_bench: Bench, worktree: Worktree, directory: str, is_link: bool
    ) -> None:
        place = worktree.tree / directory
        (place / "one").rmdir()
        place.rmdir()
        if is_link:
            place.symlink_to("src")
        else:
            place.write_text("work")
        taken = host_bench.take(worktree)
        assert shown_path(os.fsencode(directory)) in taken.change.paths
        assert shown_path(os.fsencode(f"{directory}/one")) in [refusal.path for refusal in taken.refusals]


@pytest.fixture
def busybox_tools(busybox_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every program that the harvest needs is busybox's, but git."""
    tools = tmp_path / "busybox"
    tools.mkdir()
    container = podman_command("create", busybox_image, "sh")
    try:
        podman_command("cp", f"{container}:/bin/busybox", str(tools / "busybox"))
    finally:
        podman_command("rm", container)
    for name in subprocess.check_output([tools / "busybox", "--list"], text=True).split():
        if name != "busybox":
            (tools / name).symlink_to("busybox")
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")


@pytest.mark.usefixtures("busybox_tools")
def test_a_harvest_by_the_tools_of_busybox_handles_odd_paths(host_bench: Bench) -> None:
    odd = os.fsdecode(b'"o\td\nd\\\xff ')
    link, replaced, text, ignored = f"{odd}/one", f"{odd}/two", f"{odd}/a.txt", f"{odd}/a.log"
    tip = commit_files(
        host_bench.repository,
        host_bench.tip,
        {
            ".gitattributes": "*.txt text\n",
            ".gitignore": "*.log\n",
            text: "1\r\n",
            link: "1" * 40,
            replaced: "2" * 40,
        },
        modes={link: "160000", replaced: "160000"},
    )
    worktree = host_bench.worktree(parent=tip)
    host_bench.work(
        worktree,
        """
        blob=$(echo work | git hash-object -w --stdin)
        tree=$(printf '100644 blob %s\tbeside\n' $blob | git mktree)
        git branch other $(git commit-tree -m Other -p HEAD $tree)
        git worktree add -q --detach .worktrees/x; echo x >.worktrees/x/new; git gc -q
        """,
    )
    (worktree.tree / text).touch()
    (worktree.tree / ignored).touch()
    (worktree.tree / odd / "new").write_text("work\n")
    (worktree.tree / link / "file").write_text("work\n")
    (worktree.tree / replaced).rmdir()
    taken = host_bench.take(worktree)
    assert taken.change.paths == (shown_path(os.fsencode(f"{odd}/new")),)
    assert [refusal.path for refusal in taken.refusals] == [shown_path(os.fsencode(f"{link}/file"))]
    assert taken.ignored == (shown_path(os.fsencode(ignored)),)
    assert taken.checkouts == (".worktrees/x",)
    names = [work.name.split(":")[0].split()[0] for work in taken.left]
    assert (names, taken.unread) == (["branch", "files", "ignored"], "")


class TestQuarantine:
    def test_a_poisonous_change_never_reaches_the_repository(self, bench: Bench) -> None:
        harvested = bench.harvested("echo the-secret-value >leak", Policy(secrets=("the-secret-value",)))
        assert not harvested.importable
        blob = bench.repository.objects.text("hash-object", "--stdin", stdin=b"the-secret-value\n")
        assert bench.repository.objects.run("cat-file", "-e", blob, accepted=(0, 1)).status == 1

    def test_a_refused_change_that_is_not_poisonous_reaches_the_repository(self, host_bench: Bench) -> None:
        harvested = host_bench.harvested("echo 'assert True' >conftest.py")
        assert harvested.importable
        assert [refusal.path for refusal in harvested.refusals] == ["conftest.py"]
        assert files_in(host_bench.repository, harvested.tree)["conftest.py"] == b"assert True\n"

    def test_the_object_store_is_valid_after_a_harvest(self, host_bench: Bench) -> None:
        host_bench.harvested(WORK)
        host_bench.user.git("fsck", "--strict", "--no-dangling")

    def test_a_harvest_does_not_change_the_users_checkout(self, host_bench: Bench) -> None:
        pins = ".git/refs/cobbler/pins/"
        before = snapshot(host_bench.user, but=[pins])
        host_bench.harvested(WORK)
        assert snapshot(host_bench.user, but=[pins]) == before

    def test_a_harvest_leaves_no_file_beside_the_worktree(self, host_bench: Bench) -> None:
        worktree = host_bench.worktree()
        before = sorted(worktree.directory.iterdir())
        host_bench.work(worktree, WORK)
        host_bench.take(worktree)
        assert sorted(worktree.directory.iterdir()) == before


class TestKindsOfRepositories:
    def there(self, bench: Bench, user: UserRepository) -> Bench:
        return Bench(user, user.open(), user.start(), bench.sandbox)

    def test_a_worktree_of_a_shallow_clone_is_harvested(
        self, bench: Bench, user: UserRepository, tmp_path: Path
    ) -> None:
        user.commit({"more": ""})
        there = self.there(bench, user.clone(tmp_path / "clone", "--depth=1"))
        assert there.harvested("echo x >new").change.paths == ("new",)

    def test_a_worktree_of_a_repository_with_alternates_is_harvested(
        self, host_bench: Bench, user: UserRepository, tmp_path: Path
    ) -> None:
        there = self.there(host_bench, user.clone(tmp_path / "clone", "--shared"))
        assert there.harvested("echo x >new").change.paths == ("new",)

    def test_a_worktree_of_a_repository_with_sha256_is_harvested(self, bench: Bench, tmp_path: Path) -> None:
        user = UserRepository.create(tmp_path, "--object-format=sha256", name="sha256")
        user.commit({"dos.txt": "1\r\n", ".gitattributes": "* text\n"})
        there = self.there(bench, user)
        harvested = there.harvested("touch dos.txt; echo x >new")
        assert harvested.change.paths == ("new",)
        assert files_in(there.repository, harvested.tree)["new"] == b"x\n"

    def test_a_worktree_of_a_linked_git_worktree_is_harvested(
        self, host_bench: Bench, user: UserRepository, tmp_path: Path
    ) -> None:
        user.git("worktree", "add", "--quiet", "-b", "other", str(tmp_path / "other"))
        there = self.there(host_bench, UserRepository(tmp_path / "other", user.work_dir))
        assert there.harvested("echo x >new").change.paths == ("new",)

    def test_a_worktree_of_an_empty_tree_is_harvested(self, host_bench: Bench, tmp_path: Path) -> None:
        user = UserRepository.create(tmp_path, name="empty")
        user.commit()
        there = self.there(host_bench, user)
        assert not there.harvested("true").change
        there.worktrees.remove(there.worktrees.leftovers()[0])
        assert there.harvested("echo x >new").change.paths == ("new",)


@pytest.mark.slow
class TestOnlyTheChangeIsPacked:
    """On a tree of 300 files: with fewer than 100 objects git unpacks them and skips what is there."""

    @pytest.fixture
    def wide_bench(self, user: UserRepository, host: Sandbox) -> Bench:
        user.commit({f"data/{number}": os.urandom(8192) for number in range(300)})
        return Bench(user, user.open(), user.start(), host)

    def test_the_repository_grows_by_the_new_objects(self, wide_bench: Bench) -> None:
        before = object_counts(wide_bench.user)
        harvested = wide_bench.harvested("echo new >new")
        assert result(wide_bench, harvested)["new"] == b"new\n"
        after = object_counts(wide_bench.user)
        assert after["count"] == before["count"] + 2  # the file and the tree at the top
        assert after["packs"] == before["packs"]

    def test_files_without_a_change_do_not_count_towards_the_largest_change(
        self, wide_bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "LARGEST_PACK", 1024 * 1024)
        harvested = wide_bench.harvested("echo changed >data/0")
        assert harvested.change.paths == ("data/0",)

    @pytest.mark.parametrize("files", [1, 200])
    def test_a_large_pack_is_never_held_in_memory(self, host_bench: Bench, files: int) -> None:
        """Whether its objects become loose ones or stay a pack."""
        worktree = host_bench.worktree()
        host_bench.work(worktree, f"for i in $(seq {files}); do echo $i >$i; done")
        large = 24 * 1024 * 1024
        (worktree.tree / "large").write_bytes(os.urandom(large))
        tracemalloc.start()
        try:
            harvested = host_bench.take(worktree, Policy())
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert harvested.refusals == ()
        assert "large" in harvested.change.paths
        assert peak < large / 2


def object_counts(user: UserRepository) -> dict[str, int]:
    """The figures of ``git count-objects``, by name."""
    lines = user.git("count-objects", "-v").splitlines()
    return {name: int(figure) for name, _, figure in (line.partition(": ") for line in lines)}


@pytest.mark.slow
@pytest.mark.parametrize("size", [1024, 1 << 20], ids=["300 files", "300 MiB"])
def test_the_repository_grows_by_four_objects_in_a_landing_however_large_it_is(
    tmp_path: Path, host: Sandbox, size: int
) -> None:
    user = UserRepository.create(tmp_path)
    user.configure({"core.compression": "0"})
    block = os.urandom(size - 8)  # nothing that compression or deltas make small
    user.commit({f"data/{number}": b"%08d" % number + block for number in range(300)})
    bench = Bench(user, user.open(), user.start(), host)
    shutil.rmtree(user.path / "data")  # the directory is in memory
    before = object_counts(user)
    tip, harvested = bench.tip, bench.harvested("echo new >new")
    assert (harvested.change.paths, harvested.refusals) == (("new",), ())
    work = bench.repository.commit(harvested.tree, [tip], "Work\n", ADA)
    assert land(bench.repository, bench.generation.ref, merge(bench.repository, tip, work), "Land\n", ADA)
    after = object_counts(user)
    assert after["count"] == before["count"] + 4  # the file, the tree at the top, the work, the landing
    assert (after["packs"], after["in-pack"]) == (before["packs"], before["in-pack"])


class Broken:
    """A sandbox whose harvest ends or answers as a test says."""

    def __init__(self, sandbox: Sandbox, answer: bytes, **completed: object) -> None:
        self._sandbox = sandbox
        self._answer = answer
        self._completed = {"status": 0, "cause": "exited", "seconds": 0.0, "stderr": "said"} | completed

    def __getattr__(self, name: str) -> object:
        return getattr(self._sandbox, name)

    def run(self, job: Job, _cancellation: Cancellation | None = None) -> Completed:
        assert job.stdout is not None
        job.stdout.write(self._answer)
        return Completed(**self._completed)  # type: ignore[arg-type]


def take_from(sandbox: Any, bench: Bench, worktree: Worktree | None = None) -> Harvest:
    """Harvest a worktree in another sandbox than the bench's."""
    return harvest(bench.place(worktree or bench.worktree(), sandbox), bench.repository, Policy())


class TestAFailureIsNeverNoChange:
    @pytest.mark.parametrize(
        ("answer", "completed", "cause"),
        [
            (b"", {"status": 1}, "harvest failed (exit 1)"),
            (b"", {"cause": "timeout"}, "harvest failed (timeout)"),
            (b"", {"cause": "killed", "status": 137}, "harvest failed (killed)"),
            (b"", {}, "harvest: the job gave no pack"),
            (b"tree " + b"1" * 40 + b"\0", {}, "harvest: the job gave no pack"),
            (b"tree " + b"1" * 40 + b"\0pack\0", {}, "harvest: git refuses the objects"),
            (b"tree " + b"1" * 40 + b"\0pack\0PACK", {}, "harvest: git refuses the objects"),
            (b"removed x\0" * 100 + b"pack\0", {}, "harvest: git refuses the objects"),
        ],
    )
    def test_a_failed_job_is_an_error_of_the_harvest(
        self, host_bench: Bench, answer: bytes, completed: dict[str, object], cause: str
    ) -> None:
        worktree = host_bench.worktree()
        broken = Broken(host_bench.sandbox, answer, **completed)
        with pytest.raises(HarvestError) as caught:
            take_from(broken, host_bench, worktree)
        assert caught.value.cause == cause
        assert worktree.tree.exists()

    @pytest.mark.parametrize("tree", [b"", b"HEAD", b"--all", b"1" * 41, b"1" * 39 + b"g"])
    def test_a_job_without_a_tree_is_an_error_of_the_harvest(self, host_bench: Bench, tree: bytes) -> None:
        pack = host_bench.repository.objects.run("pack-objects", "--stdout", "-q").stdout
        broken = Broken(host_bench.sandbox, b"tree " + tree + b"\0pack\0" + pack)
        with pytest.raises(HarvestError, match="named no tree"):
            take_from(broken, host_bench)

    def test_a_failure_of_git_in_the_job_is_an_error_of_the_harvest(self, bench: Bench) -> None:
        worktree = bench.worktree()
        worktree.index.write_bytes(b"no index")
        with pytest.raises(HarvestError, match=r"harvest failed \(exit") as caught:
            bench.take(worktree)
        assert "index" in caught.value.evidence

    def test_too_many_records_are_an_error_of_the_harvest(
        self, host_bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "_LARGEST_HEADER", 1000)
        broken = Broken(host_bench.sandbox, b"ignored x\0" * 1000)
        with pytest.raises(HarvestError, match="too many"):
            take_from(broken, host_bench)

    def test_a_cancelled_job_is_an_error_of_the_harvest(self, host_bench: Bench) -> None:
        cancellation = Cancellation()
        cancellation.cancel()
        with pytest.raises(HarvestError, match="cancelled"):
            harvest(host_bench.place(host_bench.worktree()), host_bench.repository, Policy(), cancellation)


class TestWhatIsLeftOut:
    """A directory of programs that agents build: never committed."""

    POLICY = Policy(protected=("bin/**",), left_out=("bin",))
    BUILDS = "mkdir -p bin/deep src/bin; echo x >bin/tool; echo x >bin/deep/x; echo new >src/bin/new"

    def test_new_files_in_a_left_out_directory_are_not_taken(self, bench: Bench) -> None:
        harvested = bench.harvested(self.BUILDS, self.POLICY)
        assert (harvested.change.paths, harvested.refusals) == (("src/bin/new",), ())
        assert harvested.ignored == ("bin/",)

    def test_files_that_the_agents_git_added_in_a_left_out_directory_are_not_taken(
        self, host_bench: Bench
    ) -> None:
        harvested = host_bench.harvested(
            f"{self.BUILDS}; git add --force --all; git commit -qm all", self.POLICY
        )
        assert (harvested.change.paths, harvested.refusals) == (("src/bin/new",), ())

    def test_a_forced_file_in_a_left_out_directory_is_refused(self, host_bench: Bench) -> None:
        harvested = host_bench.harvested(f"{self.BUILDS}; echo '!/bin/' >.gitignore", self.POLICY)
        assert [str(refusal) for refusal in harvested.refusals] == [
            "bin/deep/x: a protected path",
            "bin/tool: a protected path",
        ]

    def test_a_left_out_directory_is_not_a_pattern(self, host_bench: Bench) -> None:
        harvested = host_bench.harvested(
            "mkdir 'o*t [x]' out; echo x >'o*t [x]/x'; echo x >out/x", Policy(left_out=("o*t [x]",))
        )
        assert harvested.change.paths == ("out/x",)


class TestBytecode:
    """Every run of the tests of a Python project leaves it behind."""

    RUNS = (
        "mkdir -p src/__pycache__; echo x >src/__pycache__/app.cpython-311.pyc; echo x >old.pyc; "
        "echo new >new.py"
    )

    def test_bytecode_is_never_committed(self, bench: Bench) -> None:
        harvested = bench.harvested(self.RUNS)
        assert (harvested.change.paths, harvested.ignored, harvested.refusals) == (("new.py",), (), ())

    def test_forced_bytecode_is_refused(self, host_bench: Bench) -> None:
        harvested = host_bench.harvested(f"{self.RUNS}; printf '!*.pyc\\n!__pycache__/\\n' >.gitignore")
        assert [str(refusal) for refusal in harvested.refusals] == [
            "old.pyc: a protected path",
            "src/__pycache__/app.cpython-311.pyc: a protected path",
        ]
