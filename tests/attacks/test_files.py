"""Attacks by files in the worktree: links, special files, sizes, names, secrets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_cobbler.cycle import measure
from pytest_cobbler.display import shown_path
from pytest_cobbler.repository.checks import Policy
from pytest_cobbler.repository.harvest import HarvestError
from pytest_cobbler.sandbox.base import Limits
from tests.support.ground import SECRET, Ground


class TestLinks:
    def test_links_out_of_the_worktree_are_refused(self, ground: Ground, tmp_path: Path) -> None:
        secret = tmp_path / "secret"
        secret.write_text("HOST SECRET")
        script = """
            ln -s /etc/passwd passwd; rm -r src; ln -s / src; ln -s SECRET build.log; ln -s .git/config config
            ln -s ../../../../../etc up; mkdir d; ln -s .. d/up; ln -s d/up/../../.. out
        """
        outcome = ground.attack(script.replace("SECRET", str(secret)))
        assert outcome.harvested is not None
        refused = {refusal.path: refusal.reason for refusal in outcome.harvested.refusals}
        assert set(refused) == {"passwd", "src", "build.log", "config", "up", "out"}
        assert all(reason.startswith("a link out of the repository") for reason in refused.values())
        assert secret.read_text() == "HOST SECRET"
        assert not ground.has_object(b"HOST SECRET")

    def test_links_are_not_followed_by_the_cleanup(self, ground: Ground, tmp_path: Path) -> None:
        victim = tmp_path / "victim"
        (victim / ".git").mkdir(parents=True)
        (victim / "file").touch()
        (victim / "file").chmod(0o400)
        before = sorted((path, path.stat().st_mode) for path in victim.rglob("*"))
        ground.attack(f"ln -s {victim} src/link; ln -s {victim}/.git src/.git; ln -s {victim}/file f")
        ground.worktrees.remove(ground.worktrees.leftovers()[0])
        assert sorted((path, path.stat().st_mode) for path in victim.rglob("*")) == before


class TestAnswers:
    """The only file of an agent that the host reads: a measure's."""

    @pytest.mark.parametrize(
        "script",
        [
            "ln -s SECRET ANSWER",
            "mkfifo ANSWER",
            "mkdir ANSWER",
            "truncate -s 1T ANSWER",
            "rm -rf ../output; mv ../output ../x; ln -s $(dirname SECRET) ../output; ln -s SECRET ANSWER",
        ],
        ids=["link", "pipe", "directory", "sparse", "directory replaced"],
    )
    def test_answers_that_are_not_regular_files_are_not_read(
        self, ground: Ground, tmp_path: Path, script: str
    ) -> None:
        (tmp_path / "answer").write_text("HOST SECRET")
        script = script.replace("ANSWER", f"../output/{measure.OUTPUT}")
        outcome = ground.run_agent(script.replace("SECRET", str(tmp_path / "answer")))
        assert isinstance(measure.read_answer(outcome.worktree), measure.NoAnswer)


class TestSpecialFiles:
    def test_special_files_in_place_of_files_that_git_reads_are_removed(self, ground: Ground) -> None:
        script = """
            mkfifo .gitignore src/.gitattributes pipe; rm README.md; mkfifo README.md; echo work >work
            mkfifo .gitmodules; mkdir d; mkfifo d/.gitignore
        """
        outcome = ground.attack(script)
        assert outcome.landed
        assert outcome.files["work"] == b"work\n"
        assert outcome.harvested is not None
        assert {".gitignore", "src/.gitattributes", "pipe", "README.md"} <= set(outcome.harvested.removed)

    def test_a_directory_that_git_could_take_for_its_own_is_removed(self, ground: Ground) -> None:
        outcome = ground.attack("mkdir .GIT; echo x >.GIT/config; echo work >work")
        assert outcome.files["work"] == b"work\n"
        assert outcome.harvested is not None
        assert outcome.harvested.removed == (".GIT",)

    def test_special_files_and_owners_cannot_be_made_in_the_container(self, ground: Ground) -> None:
        script = """
            mknod device c 1 3; chown 0:0 src/app.py; chown 0 .; ln /bin/bash hard; chattr +i src/util.py
            cp /bin/bash suid; chmod 6755 suid
            ./suid -p -c 'id -u; touch /root/x; echo x >/proc/sys/kernel/core_pattern'
        """
        outcome = ground.attack(script)
        tree = outcome.worktree.tree
        owner = ground.sandbox.owner[0] if ground.sandbox.owner else os.getuid()
        assert outcome.lines == [str(owner)] if ground.sandbox.owner else outcome.lines
        assert not (tree / "device").exists()
        assert not (tree / "hard").exists()
        assert {path.lstat().st_uid for path in tree.rglob("*")} == {owner}


class TestModesDepthsAndNames:
    def test_odd_modes_and_names_are_landed_and_removed(self, ground: Ground) -> None:
        script = r"""
            mkdir -p closed/inner; echo x >closed/inner/file; chmod 000 closed/inner/file closed/inner closed
            printf x >$'new\nline'; printf x >$'\xff\xfe'; printf x >$'\x1b]0;title\x07\x1b[2J'
            mkdir -- -rf '--output=x'; printf x >'./-rf/-i'; printf x >'--output=x/$(touch CANARY)'
            printf x >'`touch CANARY`'; printf x >'; touch CANARY;'; printf x >'%s%n'; printf x >"'\""
        """.replace("CANARY/", "")
        outcome = ground.attack(script.replace("touch CANARY", "touch $CANARY"))
        assert outcome.landed
        assert outcome.files["closed/inner/file"] == b"x\n"
        names = {os.fsencode(name) for name in outcome.files}
        assert {b"new\nline", b"\xff\xfe", b"\x1b]0;title\x07\x1b[2J", b"-rf/-i", b"%s%n"} <= names
        assert all(shown_path(name).isprintable() for name in names)
        assert outcome.harvested is not None
        assert all(path.isprintable() for path in outcome.harvested.change.paths)
        ground.worktrees.remove(outcome.worktree)
        assert not outcome.worktree.directory.exists()

    def test_a_path_too_deep_for_git_is_reported_and_kept(self, ground: Ground) -> None:
        outcome = ground.attack("mkdir -p $(printf 'd/%.0s' $(seq 3000)); echo work >work")
        assert isinstance(outcome.error, HarvestError)
        assert outcome.error.cause == "harvest: a path is too long for git"
        kept_tree = ground.worktrees.keep(outcome.worktree)
        assert (kept_tree / "work").read_text() == "work\n"
        ground.worktrees.remove_all()


class TestSizes:
    @pytest.mark.parametrize(
        "script",
        ["truncate -s 1T huge", "head -c 60000000 /dev/zero >README.md"],
    )
    def test_a_file_that_is_too_large_is_refused(self, ground: Ground, script: str) -> None:
        outcome = ground.attack(f"echo work >work; {script}")
        assert outcome.error is not None
        assert outcome.error.cause.startswith("harvest: larger than 50 MiB: ")

    def test_endless_output_does_not_lose_the_work(self, ground: Ground) -> None:
        outcome = ground.attack("echo work >work; yes 0123456789", limits=Limits(wall=2), limit=30)
        assert outcome.result.completed.cause == "timeout"
        assert outcome.files["work"] == b"work\n"


class TestSecrets:
    """The credential in forms in which an agent could have it."""

    @pytest.mark.parametrize(
        "script",
        [
            f"echo key={SECRET} >.env",
            f"printf 'user:%s' {SECRET} | base64 >notes.txt",
            f"touch {SECRET}",
        ],
        ids=["plain", "base64", "name"],
    )
    def test_secrets_never_reach_the_repository(self, ground: Ground, script: str) -> None:
        outcome = ground.attack(f"echo work >work; {script}")
        assert outcome.harvested is not None
        assert not outcome.harvested.importable
        assert SECRET not in "\n".join(map(str, outcome.harvested.refusals))
        assert not ground.has_object(b"work\n"), "nothing of such a change is imported"


class TestProtectedPaths:
    def test_files_that_would_run_on_the_host_or_in_the_next_gate_are_refused(self, ground: Ground) -> None:
        script = """
            payload='import pathlib; pathlib.Path("CANARY").touch()'
            mkdir -p .github/workflows .claude json x.dist-info sub
            for f in conftest.py sitecustomize.py json/__init__.py; do echo "$payload" >$f; done
            echo '[pytest]' >pytest.ini; echo 'import os' >evil.pth; echo '{}' >.claude/settings.json
            echo 'on: push' >.github/workflows/ci.yml
            printf '[pytest11]\\nx=y\\n' >x.dist-info/entry_points.txt
            printf '[tool.pytest.ini_options]\\naddopts = "-p evil"\\n' >pyproject.toml
            echo '[pytest]' >$'.github/\\n.yml'
        """
        outcome = ground.attack(script)
        assert set(outcome.refused) == {
            ".claude/settings.json",
            r".github/\n.yml",
            ".github/workflows/ci.yml",
            "conftest.py",
            "evil.pth",
            "json/__init__.py",
            "pyproject.toml",
            "pytest.ini",
            "sitecustomize.py",
            "x.dist-info/entry_points.txt",
        }
        assert outcome.harvested is not None
        assert outcome.harvested.importable, "the next attempt continues from it"

    def test_pytests_table_behind_a_link_is_refused(self, ground: Ground) -> None:
        table = "[tool.pytest.ini_options]\\naddopts = '-p x'\\n"
        script = f"ln -s '#evil' pyproject.toml; printf \"{table}\" >'#evil'"
        assert ground.attack(script, policy=Policy()).refused == ["pyproject.toml"]
