"""New paths that git ignores do not land: a person's merge would overwrite the files of a checkout."""

from __future__ import annotations

import os
from collections.abc import Mapping

import pytest

from pytest_cobbler.repository.checks import Policy, check_change
from pytest_cobbler.repository.ignoring import ignored
from pytest_cobbler.repository.repository import Repository
from tests.support.repositories import Content, UserRepository, commit_files


class Ignoring:
    def __init__(self, user: UserRepository) -> None:
        self.user = user
        self.repository: Repository = user.open()
        self.tip = user.git("rev-parse", "HEAD")

    def tip_with(self, files: Mapping[str, Content | None], **modes: str) -> str:
        self.tip = commit_files(self.repository, self.tip, files, modes=modes)
        return self.tip

    def refused(self, files: Mapping[str, Content | None], policy: Policy | None = None) -> dict[str, str]:
        """Path -> reason, of a change that makes these files."""
        tree = self.repository.tree_of(commit_files(self.repository, self.tip, files))
        _, refusals = check_change(self.repository.objects, self.tip, tree, policy or Policy())
        return {refusal.path: refusal.reason for refusal in refusals}

    def ignored(self, *paths: str) -> set[str]:
        found = ignored(self.repository.objects, self.tip, [os.fsencode(path) for path in paths])
        return {os.fsdecode(path) for path in found}


@pytest.fixture
def ignoring(user: UserRepository) -> Ignoring:
    return Ignoring(user)


REASON = "ignored by a .gitignore"


def test_a_new_path_that_the_tip_ignores_is_refused(ignoring: Ignoring) -> None:
    ignoring.tip_with({".gitignore": "local.cfg\nbuild/\n"})
    files = {"local.cfg": "x", "src/build/x.py": "x", "src/new.py": "x", "build.txt": "x"}
    assert ignoring.refused(files) == {"local.cfg": REASON, "src/build/x.py": REASON}


def test_a_change_cannot_take_the_rule_away_for_its_own_paths(ignoring: Ignoring) -> None:
    ignoring.tip_with({".gitignore": "local.cfg\n", "sub/.gitignore": "*.key\n"})
    files: dict[str, Content | None] = {".gitignore": "!local.cfg\n", "local.cfg": "x"}
    files |= {"sub/.gitignore": None, "sub/a.key": "x"}
    assert ignoring.refused(files) == {"local.cfg": REASON, "sub/a.key": REASON}


def test_a_rule_that_a_change_adds_refuses_nothing(ignoring: Ignoring) -> None:
    assert ignoring.refused({".gitignore": "*.py\n", "new.py": "x"}) == {}


def test_a_rule_of_a_trusted_commit_counts_though_the_tip_has_lost_it(ignoring: Ignoring) -> None:
    base = ignoring.tip_with({".gitignore": "local.cfg\n"})
    ignoring.tip_with({".gitignore": ""})
    assert ignoring.refused({"local.cfg": "x"}) == {}
    assert ignoring.refused({"local.cfg": "x"}, Policy(trusted=(base,))) == {"local.cfg": REASON}


def test_files_that_are_tracked_though_they_are_ignored_may_change(ignoring: Ignoring) -> None:
    ignoring.tip_with({".gitignore": "dist/\n", "dist/a.js": "1"})
    assert ignoring.refused({"dist/a.js": "2"}) == {}
    assert ignoring.refused({"dist/a.js": None}) == {}
    assert ignoring.refused({"dist/b.js": "2"}) == {"dist/b.js": REASON}


def test_a_file_that_the_base_tracks_though_it_ignores_it_may_come_back(ignoring: Ignoring) -> None:
    base = ignoring.tip_with({".gitignore": "dist/\n", "dist/a.js": "1"})
    ignoring.tip_with({".gitignore": None, "dist/a.js": None})
    assert ignoring.refused({"dist/a.js": "2"}, Policy(trusted=(base,))) == {}


def test_an_ignored_path_can_be_allowed(ignoring: Ignoring) -> None:
    ignoring.tip_with({".gitignore": "dist/\n"})
    assert ignoring.refused({"dist/a.js": ""}, Policy(allowed=("dist/",))) == {}


def test_nested_rules_and_negations_are_those_of_git(ignoring: Ignoring) -> None:
    ignoring.tip_with(
        {
            ".gitignore": "*.log\n!keep.log\n/only-top\nwhole/\n!whole/keep\n",
            "a/.gitignore": "!b.log\n*.tmp\n",
            "a/b/.gitignore": "*.log\n",
        }
    )
    hidden = {"x.log", "a/x.log", "only-top", "whole/keep", "a/x.tmp", "a/b/b.log", "a/b/c/keep.log"}
    free = {"keep.log", "a/b.log", "a/keep.log", "sub/only-top", "x.tmp", "b.tmp"}
    assert ignoring.ignored(*hidden, *free) == hidden


def test_an_ignored_file_in_the_place_of_a_directory_is_refused(ignoring: Ignoring) -> None:
    ignoring.tip_with({".gitignore": "data\n", "data/x": ""})
    assert ignoring.refused({"data/x": None, "data": "x"}) == {"data": REASON}


def test_a_link_named_gitignore_is_not_read(ignoring: Ignoring) -> None:
    ignoring.tip_with({"rules": "*\n", "a/.gitignore": "../rules"}, **{"a/.gitignore": "120000"})
    assert ignoring.ignored("a/x") == set()


def test_odd_names_are_not_taken_for_patterns(ignoring: Ignoring) -> None:
    ignoring.tip_with({".gitignore": "*.log\n"})
    odd = [":(top)x.log", ":!x.log", "-x.log", "a\nb.log", "*.log", "\udcff.log", "a b.log", '"q".log']
    assert ignoring.ignored(*odd, ":(top)x.txt", "a\nb.txt") == set(odd)


def test_rules_of_the_users_machine_do_not_count(ignoring: Ignoring) -> None:
    (ignoring.user.path / ".git" / "info").mkdir(exist_ok=True)
    (ignoring.user.path / ".git" / "info" / "exclude").write_text("*.py\n")
    (ignoring.user.path / ".gitignore").write_text("*.py\n")  # not committed
    assert ignoring.refused({"new.py": "x"}) == {}


def test_very_many_new_paths_are_checked_in_a_few_calls(ignoring: Ignoring) -> None:
    ignoring.tip_with({".gitignore": "*.log\n", "d7/.gitignore": "*.txt\n"})
    paths = [f"d{n}/{kind}.{kind}" for n in range(700) for kind in ("log", "txt", "py")]
    assert len(ignoring.ignored(*paths)) == 701


class TestNever:
    POLICY = Policy(never=(".secrets/**", ".cobbler/**"), allowed=("**",))

    @pytest.mark.parametrize(
        "path",
        [
            *[".secrets/claude.json", ".Secrets/claude.json", ".secrets", ".cobbler/run/journal.jsonl"],
            *[".env", "web/.env", ".ENV"],
        ],
    )
    def test_a_path_that_may_never_land_is_refused_though_it_is_allowed(
        self, ignoring: Ignoring, path: str
    ) -> None:
        assert ignoring.refused({path: "x"}, self.POLICY) == {path: "may never land"}

    def test_a_tracked_env_file_can_be_allowed(self, ignoring: Ignoring) -> None:
        ignoring.tip_with({".env": "PORT=1\n"})
        assert ignoring.refused({".env": "PORT=2\n"}) == {".env": "a protected path"}
        assert ignoring.refused({".env": "PORT=2\n"}, self.POLICY) == {}

    def test_a_tracked_file_of_the_secrets_may_not_change(self, ignoring: Ignoring) -> None:
        ignoring.tip_with({".secrets/claude.json": "x"})
        assert ignoring.refused({".secrets/claude.json": None}, self.POLICY) != {}
