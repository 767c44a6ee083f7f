"""Attacks through git: configuration, hooks, filters, nested repositories, history."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_cobbler.repository.checks import Policy
from pytest_cobbler.repository.path_table import built_in_patterns
from pytest_cobbler.repository.worktrees import chown_tree
from tests.support.ground import Ground, host_programs
from tests.support.repositories import UserRepository, identity_of

HOOKS = (
    "applypatch-msg",
    "commit-msg",
    "fsmonitor-watchman",
    "post-checkout",
    "post-commit",
    "post-index-change",
    "post-merge",
    "post-rewrite",
    "pre-commit",
    "prepare-commit-msg",
    "reference-transaction",
    "update",
)
WORK = "echo work >work; echo more >>src/app.py"


def assert_work_landed(ground: Ground, script: str, **more: object) -> None:
    outcome = ground.attack(f"{WORK}\n{script}", **more)  # type: ignore[arg-type]
    assert outcome.landed, (outcome.error, outcome.refused, outcome.result.error)
    assert outcome.files["work"] == b"work\n"
    assert outcome.files["src/app.py"].endswith(b"more\n")


class TestItsOwnGit:
    """The agent's git directory is its own to poison: the host never runs git there."""

    @pytest.mark.parametrize(
        "script",
        [
            """
            for name in HOOKS; do printf '#!/bin/sh\\ntouch CANARY\\n' >$gitdir/hooks/$name; done
            chmod +x $gitdir/hooks/*
            cp -r $gitdir/hooks /tmp/hooks
            git config core.fsmonitor 'touch CANARY; false'
            git config core.sshCommand 'touch CANARY'; git config gpg.program CANARY
            git config commit.gpgsign true; git config alias.status '!touch CANARY'
            git config core.pager 'touch CANARY'; git config core.editor 'touch CANARY'
            """,
            """
            git config filter.e.clean 'touch CANARY; cat'; git config filter.e.smudge 'touch CANARY; cat'
            git config diff.e.textconv 'touch CANARY; cat'; git config diff.external 'touch CANARY'
            git config merge.default e; git config merge.e.driver 'touch CANARY'
            echo '* filter=e diff=e merge=e' >$gitdir/info/attributes
            """,
            """
            git config -f $gitdir/evil core.fsmonitor 'touch CANARY; false'
            git config include.path evil
            git config -f $gitdir/config.worktree core.hooksPath /tmp
            git config extensions.worktreeConfig true
            git config remote.x.promisor true; git config remote.x.url 'ext::sh -c "touch CANARY"'
            git config extensions.partialClone x
            """,
            "git config core.bare true; git config core.worktree /",
            "echo /nowhere >$gitdir/commondir",
        ],
        ids=["programs", "attributes", "included", "worktree", "commondir"],
    )
    def test_git_configuration_of_the_agent_has_no_effect(self, ground: Ground, script: str) -> None:
        prelude = "gitdir=$(git rev-parse --absolute-git-dir); mkdir -p $gitdir/hooks $gitdir/info"
        assert_work_landed(ground, f"{prelude}\n{script.replace('HOOKS', ' '.join(HOOKS))}")

    def test_a_replaced_git_directory_has_no_effect(self, ground: Ground) -> None:
        script = """
            rm -rf .git; rm -f .git; mv .git x; : >.git; umount .git; ln -sf /tmp/evil .git
            git init -q /tmp/evil; git -C /tmp/evil config core.fsmonitor 'touch CANARY'
            cp -r /tmp/evil/.git .; cat .git
        """
        outcome = ground.attack(f"{WORK}\n{script}")
        assert outcome.lines[-1].startswith("gitdir: ")
        assert outcome.files["work"] == b"work\n"

    def test_locks_and_a_deleted_git_directory_do_not_lose_the_work(self, ground: Ground) -> None:
        gitdir = "gitdir=$(git rev-parse --absolute-git-dir)"
        assert_work_landed(ground, f"{gitdir}; touch $gitdir/index.lock $gitdir/HEAD.lock")
        assert_work_landed(ground, f"{gitdir}; rm -rf $gitdir/*")


class TestTheUsersGit:
    def test_hooks_in_the_tree_do_not_run(self, ground: Ground) -> None:
        """Like husky's: core.hooksPath is a directory of the tree."""
        ground.user.configure({"core.hooksPath": str(ground.user.path / ".husky")})
        ground.user.write(
            {f".husky/{name}": text for name, text in host_programs(ground.canary, HOOKS).items()}
        )
        for hook in (ground.user.path / ".husky").iterdir():
            hook.chmod(0o755)
        script = "mkdir .husky; for h in HOOKS; do echo 'touch CANARY' >.husky/$h; done; chmod +x .husky/*"
        script = script.replace("HOOKS", " ".join(HOOKS))
        refused = ground.attack(script).refused
        assert refused == [f".husky/{name}" for name in sorted(HOOKS)]
        assert_work_landed(ground, script, policy=Policy(allowed=(".husky/**",)), gate="test -d .husky")

    @pytest.mark.parametrize("place", ["global", "repository"])
    def test_filters_of_the_user_do_not_run(
        self, ground: Ground, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        proof = f"touch {ground.canary}/filter; cat"
        if place == "global":
            monkeypatch.delenv("GIT_CONFIG_GLOBAL")
            (tmp_path / ".gitconfig").write_text(f'[filter "x"]\n\tclean = "{proof}"\n\tsmudge = "{proof}"\n')
        else:
            ground.user.configure({"filter.x.clean": proof, "filter.x.smudge": proof})
        ground.base_with({".gitattributes": "* filter=x diff=x merge=x\n"})
        script = "echo '* filter=x' >src/.gitattributes; git add --all && git commit -qm x"
        assert_work_landed(ground, script, policy=Policy(allowed=("**/.gitattributes",)), gate="cat work")

    def test_the_users_repository_cannot_be_reached(self, ground: Ground) -> None:
        if ground.sandbox.owner:
            # As on a machine with a single user: only the mount protects the objects from the agent.
            chown_tree(ground.user.path / ".git" / "objects", ground.sandbox.owner)
        script = f"""
            ls -d {ground.user.path}/.git/config {ground.user.path}/src
            cat {ground.user.path}/.git/config; touch {ground.user.path}/.git/x; rm -rf {ground.user.path}
            for store in $(cat $(git rev-parse --git-dir)/objects/info/alternates); do
              touch $store/x; chmod -R u+w $store; rm -rf $store/??
              for file in $(find $store -type f); do echo x >$file; done
            done
            git gc -q --prune=now; git prune; git repack -a -d -q; git reflog expire --all
            env; git config --list; git branch --all
        """
        outcome = ground.attack(f"{WORK}\n{script}")
        output = outcome.transcript + outcome.stderr
        assert b"PRIVATE" not in output
        assert b"private" not in outcome.transcript
        assert outcome.files["work"] == b"work\n"


class TestNestedRepositories:
    COMMIT = "(cd sub; git add file; git -c user.name=a -c user.email=a commit -qm x)"
    EVIL = """
        git init -q sub; echo x >sub/file
        git -C sub config core.fsmonitor 'touch CANARY; false'
        git -C sub config filter.e.clean 'touch CANARY; cat'
        git -C sub config filter.e.smudge 'touch CANARY; cat'
        echo '* filter=e' >sub/.git/info/attributes
        mkdir -p sub/.git/hooks; printf '#!/bin/sh\\ntouch CANARY\\n' >sub/.git/hooks/post-index-change
        chmod +x sub/.git/hooks/post-index-change
    """

    @pytest.mark.parametrize(
        "more",
        [
            f"{COMMIT}; echo dirty >>sub/file",
            f"{COMMIT}; git add sub; git commit -qm gitlink",
            "mv sub/.git /tmp/g; echo 'gitdir: /tmp/g' >sub/.git",
            "mv sub/.git sub/.GIT",
        ],
        ids=["dirty", "gitlink", "gitfile", "letters"],
    )
    def test_nested_repositories_become_plain_files(self, ground: Ground, more: str) -> None:
        outcome = ground.attack(f"{self.EVIL}\n{more}", gate="test -f sub/file && test ! -e sub/.git")
        assert outcome.landed
        assert outcome.files["sub/file"].startswith(b"x\n")
        assert outcome.harvested is not None
        assert [name.lower() for name in outcome.harvested.removed] == ["sub/.git"]
        assert "160000" not in ground.user.git("ls-tree", "-r", outcome.landed)

    def test_a_bare_repository_in_a_directory_does_not_run_hooks(self, ground: Ground) -> None:
        script = """
            git init -q --bare sub; git -C sub config core.fsmonitor 'touch CANARY'
            git -C sub config core.worktree ..; git -C sub config --replace-all core.bare false
            printf '#!/bin/sh\\ntouch CANARY\\n' >sub/hooks/post-checkout; chmod +x sub/hooks/post-checkout
        """
        assert_work_landed(ground, script, gate="test -f sub/HEAD")

    def test_submodules_with_commands_are_refused(self, ground: Ground) -> None:
        modules = '[submodule "s"]\n\tpath = s\n\turl = ext::sh -c "touch CANARY"\n\tupdate = !touch CANARY\n'
        outcome = ground.attack(f"cat >.gitmodules <<'END'\n{modules}END\n{WORK}; git init -q s; touch s/f")
        poisoned = modules.replace("CANARY", f"{ground.canary}/proof").encode()
        assert outcome.error is not None or ".gitmodules" in outcome.refused
        assert not outcome.landed
        assert not ground.has_object(poisoned)
        # Opted in, git itself still refuses it.
        outcome = ground.attack(
            f"cat >.gitmodules <<'END'\n{modules}END\n", policy=Policy(allowed=(".gitmodules",))
        )
        assert outcome.error is not None
        assert "gitmodulesUpdate" in outcome.error.evidence
        assert not ground.has_object(poisoned)

    def test_a_harmless_submodule_file_is_protected_too(self, ground: Ground) -> None:
        script = "printf '[submodule \"s\"]\\n\\tpath = s\\n\\turl = ../s\\n' >.gitmodules"
        assert ground.attack(script).refused == [".gitmodules"]


class TestHistory:
    @pytest.mark.parametrize(
        "script",
        [
            "git add -A; git commit -q --amend -m other --author 'Eve <eve@x>' --date 2001-01-01T00:00:00",
            "git checkout -q --orphan lonely; git add -A; git commit -qm all; git branch -qD work",
            """
            git add -A; git commit -qm "$(printf 'x\\n\\nCobbler-Task: other\\nCobbler-Base: evil')"
            git rebase -q --root --committer-date-is-author-date
            git update-ref refs/heads/-D HEAD; git update-ref 'refs/heads/--upload-pack=touch CANARY' HEAD
            git replace HEAD HEAD~1; git tag v1; git symbolic-ref HEAD refs/heads/x
            """,
            "git update-index --skip-worktree src/app.py; git update-index --assume-unchanged src/util.py",
        ],
        ids=["amended", "deleted", "rebased", "hidden"],
    )
    def test_the_landed_commit_is_made_by_the_host_not_by_the_agent(
        self, ground: Ground, script: str
    ) -> None:
        tip = ground.tip
        outcome = ground.attack(f"{WORK}\n{script}")
        assert outcome.landed
        assert ground.user.git("rev-list", "--parents", "-1", outcome.landed) == f"{outcome.landed} {tip}"
        assert identity_of(ground.repository, outcome.landed) == "Ada <ada@example.invalid>"
        assert identity_of(ground.repository, outcome.landed, "c") == "Ada <ada@example.invalid>"
        message = ground.user.git("show", "-s", "--format=%B", outcome.landed)
        assert "other" not in message
        assert outcome.files["work"] == b"work\n"

    def test_files_that_the_agent_hides_from_git_are_reported(self, ground: Ground) -> None:
        info = "$(git rev-parse --git-dir)/info"
        assert_work_landed(ground, f"mkdir -p {info}; echo '*' >{info}/exclude")
        outcome = ground.attack("echo '*' >.gitignore; echo hidden >hidden; echo seen >>README.md")
        assert outcome.harvested is not None
        assert set(outcome.harvested.ignored) == {".gitignore", "hidden"}
        assert outcome.files["README.md"].endswith(b"seen\n")

    def test_objects_of_another_repository_cannot_be_stolen(self, ground: Ground, tmp_path: Path) -> None:
        other = UserRepository.create(tmp_path, name="other")
        commit = other.commit({"key": "PRIVATE KEY MATERIAL\n"})
        script = f"""
            gitdir=$(git rev-parse --absolute-git-dir)
            echo {other.path}/.git/objects >>$gitdir/objects/info/alternates
            echo {commit} >$gitdir/refs/heads/work; echo {commit} >$gitdir/refs/heads/stolen
            git read-tree {commit}; git checkout-index -a -f; git show {commit}:key >stolen
        """
        outcome = ground.attack(f"{script}\n{WORK}")
        assert outcome.landed
        assert b"PRIVATE" not in b"".join(outcome.files.values())
        assert not ground.has_object(b"PRIVATE KEY MATERIAL\n")


class TestLineEnds:
    def test_two_tasks_land_on_a_file_with_other_line_ends_than_its_attributes(self, ground: Ground) -> None:
        lines = "".join(f"{number}\r\n" for number in range(9))
        ground.base_with({".gitattributes": "*.txt text\n", "dos.txt": lines})
        untouched = ground.attack("touch dos.txt; echo x >other").harvested
        assert untouched is not None
        assert untouched.change.paths == ("other",)
        assert ground.attack("sed -i '1s/0/first/' dos.txt").landed
        landed = ground.attack("sed -i '9s/8/last/' dos.txt")
        assert landed.files["dos.txt"].split() == [b"first", *map(b"%d".__mod__, range(1, 8)), b"last"]

    def test_git_attributes_are_protected(self, ground: Ground) -> None:
        assert "**/.gitattributes" in built_in_patterns()
        assert ground.attack("echo '* text' >.gitattributes").refused == [".gitattributes"]
