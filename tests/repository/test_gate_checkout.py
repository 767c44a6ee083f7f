"""The gate's checkout is moved from tree to tree and always is exactly that tree."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.repository.gate_checkout import GateCheckout
from pytest_cobbler.repository.repository import Repository
from tests.support.repositories import UserRepository, commit_files

NOBODY = (60989, 60989)
OWNER = NOBODY if os.getuid() == 0 else None

Entry = tuple[str, str]
"""Mode and content, or target of a link."""
Tree = dict[str, Entry]

CRLF, TEXT = ("100644", "* eol=crlf\n"), ("100644", "* text\n")

CHANGES: list[tuple[str, Tree, Tree]] = [
    ("a file for a directory", {"a": ("100644", "x")}, {"a/b/c": ("100644", "x")}),
    ("a directory for a file", {"a/b/c": ("100644", "x")}, {"a": ("100644", "x")}),
    ("a link for a directory", {"a/b": ("100644", "x"), "c/b": ("100644", "y")}, {"a": ("120000", "c")}),
    ("a directory for a link", {"a": ("120000", "c"), "c/b": ("100644", "y")}, {"a/b": ("100644", "x")}),
    ("a link for a file", {"a": ("100644", "x")}, {"a": ("120000", "b")}),
    ("a file for a link", {"a": ("120000", "/etc/passwd")}, {"a": ("100644", "x")}),
    ("a submodule for a file", {"a": ("100644", "x")}, {"a": ("160000", "1" * 40)}),
    ("a file for a submodule", {"a": ("160000", "1" * 40)}, {"a/b": ("100644", "x")}),
    ("a mode", {"a": ("100644", "x")}, {"a": ("100755", "x")}),
    ("a content of the same size", {"a": ("100644", "x")}, {"a": ("100644", "y")}),
    ("nothing at all", {"a/b": ("100644", "x")}, {}),
    ("something from nothing", {}, {"a/b": ("100644", "x")}),
    ("attributes alone", {"a": ("100644", "x\n")}, {"a": ("100644", "x\n"), ".gitattributes": CRLF}),
    (
        "a file with the wrong line ends",
        {".gitattributes": TEXT, "a": ("100644", "1\r\n")},
        {".gitattributes": TEXT, "a": ("100644", "2\r\n")},
    ),
]


def commit_of(repository: Repository, tree: Tree) -> str:
    """A commit of a tree on the checked-out commit."""
    head = repository.head_commit()
    assert head is not None
    contents: dict[str, str | bytes | None] = dict.fromkeys(repository.files(head))
    contents |= {path: content for path, (_, content) in tree.items()}
    return commit_files(repository, head, contents, modes={path: mode for path, (mode, _) in tree.items()})


def found_in(directory: Path) -> dict[str, tuple[str, bytes]]:
    """What lies in a directory, in git's words; empty directories are submodules."""
    found = {}
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        if path.is_symlink():
            found[name] = ("120000", os.fsencode(path.readlink()))
        elif path.is_file():
            found[name] = ("100755" if path.stat().st_mode & 0o100 else "100644", path.read_bytes())
        elif not any(path.iterdir()):
            found[name] = ("160000", b"")
    return found


def fresh(repository: Repository, tree: str) -> dict[str, tuple[str, bytes]]:
    """What a checkout holds that has never held anything else."""
    checkout = GateCheckout(repository, "fresh", OWNER)
    found = found_in(checkout.move(tree))
    checkout.remove()
    return found


@pytest.mark.parametrize(("old", "new"), [c[1:] for c in CHANGES], ids=[c[0] for c in CHANGES])
def test_a_gate_checkout_follows_a_change_of(repository: Repository, old: Tree, new: Tree) -> None:
    checkout = GateCheckout(repository, "g", OWNER)
    for tree in (old, new, old):
        commit = commit_of(repository, tree)
        assert found_in(checkout.move(repository.tree_of(commit))) == fresh(repository, commit)
    for path in (checkout.path, *checkout.path.rglob("*")):
        assert path.lstat().st_uid == (OWNER[0] if OWNER else os.getuid())


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_the_owner_of_a_file_behind_a_link_does_not_change(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "file").touch()
    checkout = GateCheckout(repository, "g", NOBODY)
    directory = commit_of(repository, {"a/file": ("100644", "x"), "b/file": ("100644", "x")})
    links = {"a": ("120000", str(tmp_path / "victim")), "b": ("120000", "b")}
    for commit in (directory, commit_of(repository, links)):
        checkout.move(repository.tree_of(commit))
    assert (tmp_path / "victim" / "file").stat().st_uid == 0


def test_a_new_gate_checkout_holds_the_tree(repository: Repository) -> None:
    tree: Tree = {
        "a/b": ("100755", "x"),
        "link": ("120000", "a/b"),
        "sub": ("160000", "1" * 40),
        os.fsdecode(b"odd \xff\n'\"\\"): ("100644", "\0y"),
    }
    checkout = GateCheckout(repository, "g", None)
    found = found_in(checkout.move(repository.tree_of(commit_of(repository, tree))))
    expected = {path: (mode, content.encode()) for path, (mode, content) in tree.items()}
    assert found == expected | {"sub": ("160000", b"")}


_NAMES = st.sampled_from(["a", "b", "a/b", "a/b/c", "b/a", "c/d", "+", ".x", "a b"])
_ENTRIES = st.tuples(
    st.sampled_from(["100644", "100755", "120000"]), st.sampled_from(["x", "y", "a", "b\r\n"])
)


def _possible(tree: Tree) -> bool:
    return not any(other.startswith(f"{path}/") for path in tree for other in tree)


@given(st.lists(st.dictionaries(_NAMES, _ENTRIES, max_size=4).filter(_possible), min_size=2, max_size=5))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_gate_checkout_follows_any_sequence_of_trees(repository: Repository, trees: list[Tree]) -> None:
    checkout = GateCheckout(repository, "g", OWNER)
    for tree in trees:
        found = found_in(checkout.move(repository.tree_of(commit_of(repository, tree))))
        assert found == {path: (mode, content.encode()) for path, (mode, content) in tree.items()}


def test_a_failed_move_leaves_no_file_for_the_next(repository: Repository) -> None:
    one = repository.tree_of(commit_of(repository, {"a": ("100644", "1"), "b": ("100644", "1")}))
    two = repository.tree_of(commit_of(repository, {"a": ("100644", "2"), "c": ("100644", "2")}))
    checkout = GateCheckout(repository, "g", None)
    checkout.move(one)
    (checkout.path.parent / "index.lock").touch()
    with pytest.raises(RepositoryError):
        checkout.move(two)
    (checkout.path / "a").write_text("half a move")
    assert found_in(checkout.move(one)) == {"a": ("100644", b"1"), "b": ("100644", b"1")}


def test_the_user_s_files_and_index_take_no_part(user: UserRepository, repository: Repository) -> None:
    user.write({"src/app.py": "changed\n", "untracked": "x"})
    before = (user.path / ".git" / "index").read_bytes()
    checkout = GateCheckout(repository, "g", None)
    checkout.move(repository.tree_of(user.git("rev-parse", "HEAD")))
    assert sorted(found_in(checkout.path)) == ["README.md", "src/app.py", "src/util.py"]
    assert (user.path / "src" / "app.py").read_text() == "changed\n"
    assert (user.path / ".git" / "index").read_bytes() == before


def test_files_of_a_dead_run_are_removed_from_a_gate_checkout(repository: Repository) -> None:
    tree = repository.tree_of(commit_of(repository, {"a": ("100644", "1")}))
    dead = GateCheckout(repository, "g", None)
    dead.move(tree)
    (dead.path / "left").touch()
    assert sorted(found_in(GateCheckout(repository, "g", None).move(tree))) == ["a"]
    dead.remove()
    assert not dead.path.exists()


def test_a_move_touches_only_what_differs(repository: Repository) -> None:
    checkout = GateCheckout(repository, "g", OWNER)
    old: Tree = {"same": ("100644", "1"), "dir/changed": ("100644", "1"), "gone/file": ("100644", "1")}
    new: Tree = {"same": ("100644", "1"), "dir/changed": ("100644", "2"), "dir/new": ("100755", "1")}
    checkout.move(repository.tree_of(commit_of(repository, old)))
    os.utime(checkout.path / "same", (1, 1))
    found = found_in(checkout.move(repository.tree_of(commit_of(repository, new))))
    assert found == {path: (mode, content.encode()) for path, (mode, content) in new.items()}
    assert (checkout.path / "same").stat().st_mtime == 1


def test_a_checkout_that_something_has_changed_is_made_again(repository: Repository) -> None:
    checkout = GateCheckout(repository, "g", OWNER)
    checkout.move(repository.tree_of(commit_of(repository, {"a": ("100644", "1"), "b": ("100644", "1")})))
    (checkout.path / "a").unlink()
    (checkout.path / "b").unlink()
    new = repository.tree_of(commit_of(repository, {"b": ("100644", "1")}))
    assert found_in(checkout.move(new)) == {"b": ("100644", b"1")}
