"""Work that an agent leaves beside its files is kept: in its git, in checkouts, in ignored files."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_cobbler.repository import harvest as module
from pytest_cobbler.repository import names, trailers
from pytest_cobbler.repository.attempts import drop_attempts, last_numbers, used_numbers
from pytest_cobbler.repository.checks import Policy
from pytest_cobbler.repository.harvest import Harvest
from pytest_cobbler.repository.left_work import KeptWork, keep_left, kept_left, left_counts
from pytest_cobbler.sites import packing
from tests.support.repositories import ADA, Bench, UserRepository, commit_files, files_in

FEATURE = "echo work >feature.txt"
COMMIT = f"{FEATURE}; git add --all; git commit -qm Work"
REPORT = "echo report >report.xml"


def left_files(bench: Bench, harvested: Harvest) -> dict[str, dict[str, bytes]]:
    """Name -> files that differ from the tip, of each left work."""
    before = files_in(bench.repository, harvested.parent)
    return {
        work.name: {
            path: content
            for path, content in files_in(bench.repository, work.tree).items()
            if before.get(path) != content
        }
        for work in harvested.left
    }


def kept(
    bench: Bench, harvested: Harvest, number: int = 1, secrets: tuple[str, ...] = ()
) -> tuple[KeptWork, ...]:
    return keep_left(
        bench.repository,
        bench.generation,
        "t",
        number,
        works=harvested.left,
        secrets=secrets,
        identity=ADA,
    )


@pytest.mark.slow
class TestTheAgentsOwnGit:
    @pytest.mark.parametrize(
        ("script", "name"),
        [
            (f"{FEATURE}; git add --all; git stash -q", "stash "),
            (f"{FEATURE}; git stash -qu", "stash "),
            (f"{FEATURE}; git stash -qu; echo x >x; git stash -qu; git stash drop -q", "stash "),
            (f"{FEATURE}; git stash -qu; git stash drop -q", "commit without a branch "),
            (f"git switch -qc other; {COMMIT}; git switch -q work", "branch other "),
            (
                f"git switch -qc a/b; {COMMIT}; git tag v1; git pack-refs --all; git switch -q work",
                "branch a/b ",
            ),
            (f"git switch -qc other; {COMMIT}; git switch -q work; git branch -qD other", "commit without "),
            (f"git switch -q --detach; {COMMIT}; git switch -q work", "commit without a branch "),
            (f"{COMMIT}; git reset -q --hard HEAD~1", "commit without a branch "),
            (f"{COMMIT}; git switch -q --detach HEAD~1; git gc -q", "branch work "),
            (f"{COMMIT}; git rm -q --cached feature.txt; rm feature.txt", "branch work "),
            (f"git checkout -q --orphan other; {COMMIT}; git switch -q work", "branch other "),
        ],
    )
    def test_work_in_a_stash_a_branch_or_a_commit_is_kept_beside_what_the_files_hold(
        self, host_bench: Bench, script: str, name: str
    ) -> None:
        harvested = host_bench.harvested(f"{script}; {REPORT}")
        assert harvested.change.paths == ("report.xml",)
        found = left_files(host_bench, harvested)
        assert {"feature.txt": b"work\n"} in found.values()
        assert any(one.startswith(name) for one in found)
        assert harvested.unread == ""

    @pytest.mark.parametrize(
        "script",
        [
            COMMIT,
            f"{COMMIT}; echo more >>feature.txt",
            f"{COMMIT}; echo more >>feature.txt; git commit -qam More; echo x >x",
            f"{COMMIT}; echo x >x; git add x; git commit -q --amend -m Both",
            f"git switch -qc other; {COMMIT}",
            f"git switch -qc other; {COMMIT}; git switch -q work; git merge -q other",
            f"git switch -qc other; {COMMIT}; git switch -q work; git merge -q --squash other",
            f"{FEATURE}; git stash -qu; git stash pop -q",
            f"{COMMIT}; git rebase -q --root 2>/dev/null",
            f"{COMMIT}; git repack -adq",
            f"{FEATURE}; git switch -qc empty; git commit -q --allow-empty -m Nothing; git switch -q work",
            f"{FEATURE}; git fetch -q . work:copy; git tag start",
        ],
    )
    def test_commits_whose_content_is_in_the_files_are_not_kept_again(
        self, host_bench: Bench, script: str
    ) -> None:
        harvested = host_bench.harvested(script)
        assert "feature.txt" in harvested.change.paths
        assert (harvested.left, harvested.unread) == ((), "")

    def test_left_work_is_kept_from_each_sandbox(self, bench: Bench) -> None:
        harvested = bench.harvested(
            f"git switch -qc one; {COMMIT}; git switch -q work; echo two >two; git stash -qu; {REPORT}\n"
            "git worktree add -q -b three .claude/worktrees/agent-1; cd .claude/worktrees/agent-1\n"
            "echo three >three; git add --all; git commit -qm Three; echo four >four"
        )
        assert (harvested.change.paths, harvested.refusals) == (("report.xml",), ())
        assert harvested.checkouts == (".claude/worktrees/agent-1",)
        files = {
            name.split()[0] + name.split()[1]: found for name, found in left_files(bench, harvested).items()
        }
        assert files.pop("branchone") == {"feature.txt": b"work\n"}
        assert files.pop("branchthree") == {"three": b"three\n"}
        assert files.pop("filesin") == {"three": b"three\n", "four": b"four\n"}
        (stash,) = files.values()
        assert stash == {"two": b"two\n"}
        bench.user.git("fsck", "--strict", "--no-dangling")

    def test_left_work_of_an_agent_without_the_history_is_kept(self, host_bench: Bench) -> None:
        bench = replace(host_bench, alone=True)
        harvested = bench.harvested(f"{FEATURE}; git stash -qu; {REPORT}")
        assert list(left_files(bench, harvested).values()) == [{"feature.txt": b"work\n"}]

    def test_left_work_is_kept_with_sha256(self, host_bench: Bench, tmp_path: Path) -> None:
        user = UserRepository.create(tmp_path, "--object-format=sha256", name="sha256")
        user.commit({"file": "x"})
        bench = Bench(user, user.open(), user.start(), host_bench.sandbox)
        harvested = bench.harvested(
            f"git switch -qc other; {COMMIT}; git switch -q work; git gc -q; {REPORT}"
        )
        assert list(left_files(bench, harvested).values()) == [{"feature.txt": b"work\n"}]

    def test_an_agent_that_removed_its_git_left_nothing_in_it(self, host_bench: Bench) -> None:
        harvested = host_bench.harvested(f"{COMMIT}; rm -rf $(git rev-parse --git-dir)/*")
        assert (harvested.change.paths, harvested.left, harvested.unread) == (("feature.txt",), (), "")

    def test_names_of_left_work_are_shown_in_printable_characters(self, host_bench: Bench) -> None:
        script = (
            f"git switch -qc ü; {COMMIT}; git commit -q --amend -m $'\x1b[1mred\u2028'; git switch -q work"
        )
        (work,) = host_bench.harvested(script).left
        assert work.name.isprintable()


@pytest.mark.slow
class TestHostileGit:
    def test_left_work_with_the_credential_never_reaches_the_repository(self, host_bench: Bench) -> None:
        secret = "the-secret-value"
        script = f"echo {secret} >leak; git stash -qu; git switch -qc other; {COMMIT}; git switch -q work"
        harvested = host_bench.harvested(f"{script}; {REPORT}", Policy(secrets=(secret,)))
        assert harvested.change.paths == ("report.xml",)
        assert harvested.importable
        assert harvested.left == ()
        assert "contains the credential" in harvested.unread
        blob = host_bench.repository.objects.text("hash-object", "--stdin", stdin=f"{secret}\n".encode())
        assert host_bench.repository.objects.run("cat-file", "-e", blob, accepted=(0, 1)).status == 1

    def test_left_work_that_is_too_large_does_not_keep_the_change_from_landing(
        self, host_bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "LARGEST_PACK", 100_000)
        script = f"head -c 200000 /dev/urandom >noise; git stash -qu; {REPORT}"
        harvested = host_bench.harvested(script)
        assert (harvested.change.paths, harvested.left) == (("report.xml",), ())
        assert "larger than" in harvested.unread

    def test_objects_that_git_refuses_do_not_keep_the_change_from_landing(self, host_bench: Bench) -> None:
        script = f"""{REPORT}
            bad=$(printf '[submodule "s"]\\n\\tpath = s\\n\\turl = ../s\\n\\tupdate = !touch x\\n' |
                git hash-object -w --stdin)
            tree=$(printf '100644 blob %s\\t.gitmodules\\n' $bad | git mktree)
            git branch bad $(git commit-tree -m bad -p HEAD $tree)
        """
        harvested = host_bench.harvested(script)
        assert (harvested.change.paths, harvested.left) == (("report.xml",), ())
        assert "git refuses the objects" in harvested.unread

    @pytest.mark.parametrize(
        "script",
        [
            "mkfifo objects/info/x",
            "rm -f objects/info/alternates; mkfifo objects/info/alternates",
            "ln -s / objects/out",
            "echo /nowhere >objects/info/alternates",
            "mv objects o; ln -s o objects",
        ],
    )
    def test_an_odd_object_store_is_named_and_does_not_stop_the_harvest(
        self, host_bench: Bench, script: str
    ) -> None:
        harvested = host_bench.harvested(f"{REPORT}; {COMMIT}; cd $(git rev-parse --git-dir); {script}")
        assert harvested.change.paths == ("feature.txt", "report.xml")
        assert "not as git leaves them" in harvested.unread

    def test_pipes_in_the_place_of_references_do_not_stop_the_harvest(self, host_bench: Bench) -> None:
        script = (
            f"git switch -qc other; {COMMIT}; git switch -q work; {REPORT}; cd $(git rev-parse --git-dir)\n"
            "rm -f HEAD packed-refs refs/heads/work; mkfifo HEAD packed-refs refs/heads/work refs/x\n"
            "mkdir -p worktrees/x; mkfifo worktrees/x/HEAD; rm -rf logs; mkfifo logs config2"
        )
        harvested = host_bench.harvested(script)
        assert list(left_files(host_bench, harvested).values()) == [{"feature.txt": b"work\n"}]

    def test_no_program_of_the_agents_configuration_runs_in_a_harvest(
        self, host_bench: Bench, tmp_path: Path
    ) -> None:
        canary = shlex.quote(f"touch {tmp_path}/canary")
        script = f"""{FEATURE}; git stash -qu; {REPORT}
            for key in core.fsmonitor core.pager core.sshCommand gpg.program diff.external core.editor \
                filter.x.clean diff.x.textconv remote.origin.uploadpack uploadpack.packObjectsHook; do
                git config $key {canary}
            done
            git config extensions.partialClone origin; git config remote.origin.url /nowhere
            git config remote.origin.promisor true; git config log.showSignature true
            mkdir -p $(git rev-parse --git-dir)/hooks
            for hook in post-index-change pre-auto-gc reference-transaction; do
                printf '#!/bin/sh\\n%s\\n' {canary} >$(git rev-parse --git-dir)/hooks/$hook
            done
            chmod +x $(git rev-parse --git-dir)/hooks/*
            rm -f {tmp_path}/canary
        """
        harvested = host_bench.harvested(script)
        assert list(left_files(host_bench, harvested).values()) == [{"feature.txt": b"work\n"}]
        assert not (tmp_path / "canary").exists()

    def test_more_branches_than_can_be_kept_are_named(
        self, host_bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(packing, "MOST_LEFT", 2)
        script = "for i in 1 2 3; do git branch b$i $(git commit-tree -m $i -p HEAD HEAD^{tree}); done"
        harvested = host_bench.harvested(f"{REPORT}; {script}")
        assert (harvested.change.paths, harvested.left) == (("report.xml",), ())
        assert "more than 2" in harvested.unread


class TestCheckouts:
    """A worktree of the agent's own git below its files: agents and skills make one for a sub-agent."""

    ADD = "git worktree add -q -b sub .worktrees/x"

    @pytest.mark.parametrize(
        "place", [".worktrees/x", ".claude/worktrees/agent-1", "src/copy", ".github/x y"]
    )
    def test_a_linked_worktree_is_not_a_second_copy_of_the_project(
        self, host_bench: Bench, place: str
    ) -> None:
        harvested = host_bench.harvested(f"{REPORT}; git worktree add -q {shlex.quote(place)} -b sub")
        assert (harvested.change.paths, harvested.refusals) == (("report.xml",), ())
        assert (harvested.checkouts, harvested.removed, harvested.left) == ((place,), (), ())

    def test_commits_and_files_of_a_linked_worktree_are_kept(self, host_bench: Bench) -> None:
        script = (
            f"{REPORT}; {self.ADD}; cd .worktrees/x; {COMMIT}; echo more >more; mkfifo pipe; git init -q n"
        )
        found = left_files(host_bench, host_bench.harvested(script))
        (branch, files) = sorted(found)
        assert branch.startswith("branch sub ")
        assert found[branch] == {"feature.txt": b"work\n"}
        assert files == "files in the checkout .worktrees/x"
        assert found[files] == {"feature.txt": b"work\n", "more": b"more\n"}

    def test_a_worktree_whose_work_was_merged_leaves_nothing(self, host_bench: Bench) -> None:
        script = f"{self.ADD}; (cd .worktrees/x; {COMMIT}); git merge -q sub"
        harvested = host_bench.harvested(script)
        assert (harvested.change.paths, harvested.left) == (("feature.txt",), ())

    def test_a_worktree_in_a_worktree_and_one_with_a_relative_path_are_left_out(
        self, host_bench: Bench
    ) -> None:
        script = (
            f"{REPORT}; {self.ADD}; (cd .worktrees/x; git worktree add -q .worktrees/y -b y); mkdir -p d/z\n"
            "git worktree add -q -f d/z -b z; echo 'gitdir: ../../../git/worktrees/z' >d/z/.git"
        )
        harvested = host_bench.harvested(script)
        assert harvested.change.paths == ("report.xml",)
        assert {".worktrees/x", "d/z"} <= set(harvested.checkouts)

    def test_a_linked_worktree_in_the_place_of_a_directory_of_the_project_is_no_work(
        self, host_bench: Bench
    ) -> None:
        harvested = host_bench.harvested(f"rm -r src; git worktree add -q src -b sub; {REPORT}")
        assert "src/.git" not in harvested.change.paths
        assert "report.xml" in harvested.change.paths
        assert not any(path.startswith("src/src") for path in harvested.change.paths)

    def test_the_files_of_a_checkout_are_still_there_if_the_harvest_fails(self, host_bench: Bench) -> None:
        worktree = host_bench.worktree()
        host_bench.work(worktree, f"{self.ADD}; echo x >.worktrees/x/new; truncate -s 1T huge")
        with pytest.raises(module.HarvestError, match="larger than"):
            host_bench.take(worktree)
        assert (worktree.checkouts / "0" / "new").read_text() == "x\n"

    @pytest.mark.parametrize("target", ["/nowhere/git/worktrees/x", "../../git", "../../git/modules/x"])
    def test_a_directory_of_another_git_is_a_nested_repository(self, host_bench: Bench, target: str) -> None:
        harvested = host_bench.harvested(f"mkdir -p a/b; echo 'gitdir: {target}' >a/b/.git; echo w >a/b/w")
        assert (harvested.change.paths, harvested.removed, harvested.checkouts) == (
            ("a/b/w",),
            ("a/b/.git",),
            (),
        )


@pytest.mark.slow
class TestIgnoredFiles:
    IGNORE = r"printf '*.log\nout/\n/.env\n' >.gitignore"

    def test_small_ignored_files_beside_other_work_are_kept_and_the_others_counted(
        self, host_bench: Bench
    ) -> None:
        script = (
            f"{self.IGNORE}; mkdir -p out src/out\n"
            "echo a >a.log; echo b >src/b.log; echo c >out/c; echo d >.env\n"
            "touch src/out/e x.pyc; head -c 300000 /dev/zero >large.log; ln -s / link.log"
        )
        harvested = host_bench.harvested(script)
        assert harvested.change.paths == (".gitignore",)
        assert left_files(host_bench, harvested) == {
            "ignored files": {"a.log": b"a\n", "src/b.log": b"b\n", ".env": b"d\n"}
        }
        assert harvested.ignored_count == 4  # out/, src/out/, large.log, link.log

    def test_a_cache_that_ignores_itself_is_an_ignored_directory(self, host_bench: Bench) -> None:
        """pytest, ruff, mypy, virtualenv and others write such a .gitignore."""
        script = """
            for name in .pytest_cache 'src/odd [1]*' some; do
                mkdir -p "$name"; echo x >"$name/x"; printf '# Created by a tool\\n*\\n' >"$name/.gitignore"
            done
            echo '!x' >>some/.gitignore; echo y >some/y; echo 1 >work.txt"""
        harvested = host_bench.harvested(script)
        content = b"# Created by a tool\n*\n!x\n"
        assert left_files(host_bench, harvested) == {
            "ignored files": {"some/.gitignore": content, "some/y": b"y\n"}
        }
        listed = {".pytest_cache/", "src/odd [1]*/", "some/.gitignore", "some/y"}
        assert set(harvested.ignored) == listed
        assert "some/x" in harvested.change.paths

    def test_many_ignored_files_are_only_counted(self, host_bench: Bench) -> None:
        harvested = host_bench.harvested(f"{self.IGNORE}; for i in $(seq 150); do echo $i >$i.log; done")
        assert (harvested.left, harvested.ignored_count) == ((), 150)

    def test_ignored_files_without_other_work_stay_in_the_worktree(self, host_bench: Bench) -> None:
        tip = commit_files(host_bench.repository, host_bench.tip, {".gitignore": "*.log\n"})
        worktree = host_bench.worktree(parent=tip)
        host_bench.work(worktree, "echo a >a.log")
        harvested = host_bench.take(worktree)
        assert (harvested.change.paths, harvested.ignored, harvested.left) == ((), ("a.log",), ())
        assert (worktree.tree / "a.log").exists()

    def test_an_ignored_file_with_the_credential_never_reaches_the_repository(
        self, host_bench: Bench
    ) -> None:
        policy = Policy(secrets=("the-secret-value",))
        harvested = host_bench.harvested(f"{self.IGNORE}; echo the-secret-value >.env", policy)
        assert (harvested.change.paths, harvested.left) == ((".gitignore",), ())
        assert "contains the credential" in harvested.unread


@pytest.mark.slow
class TestRefs:
    @pytest.fixture
    def harvested(self, host_bench: Bench) -> Harvest:
        script = f"git switch -qc other; {COMMIT}; git switch -q work; echo x >x; git stash -qu; {REPORT}"
        return host_bench.harvested(script)

    def test_left_work_is_in_refs_that_a_landing_does_not_remove(
        self, host_bench: Bench, harvested: Harvest
    ) -> None:
        repository, generation = host_bench.repository, host_bench.generation.name
        works = kept(host_bench, harvested)
        prefix = f"refs/cobbler/left/{generation}/t/1"
        assert {work.ref for work in works} == {f"{prefix}/1", f"{prefix}/2"}
        drop_attempts(repository, generation, "t")
        host_bench.user.git("gc", "--quiet", "--prune=now")
        assert kept_left(repository, generation, "t") == list(works)
        contents = [files_in(repository, work.commit) for work in works]
        assert any(files.get("feature.txt") == b"work\n" for files in contents)
        assert left_counts(repository) == {generation: 2}
        assert used_numbers(repository, generation) == {"t": 1}
        assert last_numbers(repository, generation) == {}  # nothing of it is an attempt to go on from

    def test_left_works_are_sorted_by_attempt_and_place(self, host_bench: Bench, harvested: Harvest) -> None:
        works = [*kept(host_bench, harvested, 2), *kept(host_bench, harvested, 10)]
        assert kept_left(host_bench.repository, host_bench.generation.name, "t") == works

    def test_a_left_commit_is_the_hosts_and_not_a_landed_task(self, host_bench: Bench) -> None:
        script = f"git switch -qc other; {FEATURE}; git add --all\n"
        message = "'Cobbler-Task: t' -m 'Cobbler-Task: t'"
        script += f"git -c user.name=Eve commit -qm {message}; git switch -q work"
        (work,) = kept(host_bench, host_bench.harvested(script))
        values = trailers.read_trailers(host_bench.repository, work.commit)
        assert (values[trailers.ATTEMPT], values[trailers.TARGET]) == ("t 1", "main")
        assert trailers.TASK not in values
        log = host_bench.user.git("log", "--format=%an", f"{host_bench.tip}..{work.ref}")
        assert log == "Ada"

    def test_the_name_of_left_work_has_no_credential(self, host_bench: Bench) -> None:
        commit = f"{FEATURE}; git add .; git commit -qm 'the-secret-value'"
        harvested = host_bench.harvested(f"git switch -qc other; {commit}; git switch -q work")
        (work,) = kept(host_bench, harvested, secrets=("the-secret-value",))
        assert "the-secret-value" not in work.name
        assert "the-secret-value" not in host_bench.user.git("log", "-1", "--format=%B", work.ref)

    @pytest.mark.parametrize("alone", [False, True])
    def test_the_next_agent_can_read_left_work(
        self, host_bench: Bench, harvested: Harvest, alone: bool
    ) -> None:
        works = kept(host_bench, harvested)
        bench = replace(host_bench, alone=alone)
        tip = bench.tip
        worktree = bench.worktrees.create(
            "t-2",
            parent=tip,
            tree=bench.repository.tree_of(tip),
            purpose={},
            also=[work.commit for work in works],
        )
        shown = bench.work(worktree, " ".join(["git show"] + [work.commit for work in works]))
        assert "feature.txt" in shown
        assert (
            bench.work(worktree, "git status --porcelain; git fsck --no-dangling 2>&1; git log --oneline")
            != ""
        )

    def test_names_of_refs_are_below_their_generation(self) -> None:
        assert names.left_ref("g", "t", 3, 2) == "refs/cobbler/left/g/t/3/2"
        assert (
            os.path.commonpath([names.left_prefix("g"), names.left_prefix("g", "t")]) == "refs/cobbler/left/g"
        )
