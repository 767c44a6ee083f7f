"""The history of a person's branch holds nothing that an agent's change could not bring."""

from __future__ import annotations

from pytest_cobbler.intake.branches import Branch, find_branch, refused_commits
from pytest_cobbler.repository.generations import Generation
from pytest_cobbler.repository.names import is_usable_task_id
from tests.support.repositories import UserRepository
from tests.support.repository_fixtures import no_git_of_ours, template, tmp_path, user

__all__ = ["no_git_of_ours", "template", "tmp_path", "user"]

SECRET = "sk-ant-REDACTED"


def found(user: UserRepository, generation: Generation, name: str = "work") -> Branch:
    return find_branch(user.open(), generation, "generation-", name)


def test_the_credential_is_found_in_a_commit_that_a_later_one_corrects(user: UserRepository) -> None:
    generation = user.start()
    user.git("switch", "--quiet", "--create", "work")
    bad = user.commit({"a.txt": f"key = {SECRET}\n"})
    user.commit({"a.txt": "key =\n"})
    branch = found(user, generation)
    assert refused_commits(user.open(), branch, []) == ()
    (refusal,) = refused_commits(user.open(), branch, [SECRET])
    assert str(refusal) == f"a.txt: contains the credential in commit {bad[:12]}"


def test_a_malformed_commit_is_refused(user: UserRepository) -> None:
    generation = user.start()
    head = user.git("rev-parse", "HEAD").strip()
    tree = user.git("rev-parse", "HEAD^{tree}").strip()
    text = f"tree {tree}\nparent {head}\nauthor Jane 1 +0000\ncommitter Jane <j@x> 1 +0000\n\nWork\n"
    words = ("hash-object", "-t", "commit", "--literally", "-w", "--stdin")
    user.git("branch", "work", user.git(*words, stdin=text.encode()).strip())
    (refusal,) = refused_commits(user.open(), found(user, generation), [])
    assert "git refuses the objects" in refusal.reason


def test_a_root_commit_in_the_history_is_checked_as_a_whole(user: UserRepository) -> None:
    generation = user.start()
    user.git("switch", "--quiet", "--orphan", "lonely")
    root = user.commit({"a.txt": SECRET})
    user.git("switch", "--quiet", "--create", "work", generation.base)
    user.git("merge", "--quiet", "--allow-unrelated-histories", "--no-edit", "lonely")
    refusals = refused_commits(user.open(), found(user, generation), [SECRET])
    assert f"a.txt: contains the credential in commit {root[:12]}" in map(str, refusals)


def test_any_name_of_a_branch_gives_a_name_for_its_landing(user: UserRepository) -> None:
    generation = user.start()
    user.git("switch", "--quiet", "--create", "work")
    head = user.commit({"a.txt": "a\n"})
    names = {"work": "work", "fix/a.b-c": "fix-a-b-c", "x@lock": "x-lock", "\u6771\u4eac": head[:12]}
    for name, expected in names.items():
        user.git("update-ref", f"refs/heads/{name}", head)
        task_id = found(user, generation, name).task_id
        assert task_id == f"branch.{expected}"
        assert is_usable_task_id(task_id)
