"""A worktree over a shared checkout: an agent's work there becomes the same tree as in one of its own."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

import pytest

from pytest_cobbler.repository.changes import read_change
from pytest_cobbler.repository.checks import Policy
from pytest_cobbler.repository.harvest import Harvest, harvest
from pytest_cobbler.sandbox.base import Job
from pytest_cobbler.sites.local import LocalPlace, LocalSite
from pytest_cobbler.sites.overlaying import can_overlay
from tests.support.repositories import Bench, commit_files

FILES: dict[str, str | bytes | None] = {
    "a": "a\n",
    "b": "b\n",
    "run": "#!/bin/sh\n",
    "link": "a",
    "dirlink": "sub",
    "sub/a": "sub a\n",
    "sub/b": "sub b\n",
    "sub/deep/a": "deep a\n",
    "twin/a": "twin a\n",
    "twin/b": "twin b\n",
    "twin/deep/a": "twin deep a\n",
    "ending": "one\r\ntwo\r\n",
    "A b\n'\"\\*?[x": "odd\n",
    "caches/.gitignore": "*\n",
    "module": "1" * 40,
}
MODES = {"run": "100755", "link": "120000", "dirlink": "120000", "module": "160000"}

CHANGES = {
    "nothing": ":",
    "a new file": "echo new >new; mkdir -p new1/new2; echo new >new1/new2/new",
    "a changed file": "echo more >>a; echo x >sub/deep/a",
    "a change of the same size and time": "cp -p a /tmp/keep.$$; echo A >a; touch -r /tmp/keep.$$ a",
    "a touched file": "touch a sub/b",
    "a removed file": "rm a sub/deep/a",
    "a removed directory": "rm -r sub",
    "a removed file that only the start has": "rm laid",
    "a directory that another one replaces": "rm -r sub; mkdir sub; echo new >sub/new",
    "a directory with the same names again": "rm -r sub; mkdir -p sub/deep; echo >sub/a; echo >sub/deep/a",
    "an empty directory in its place": "rm -r sub; mkdir -p sub/deep",
    "a directory within one that was replaced": "rm -r sub; mkdir sub; cp -r twin sub/deep; rm sub/deep/a",
    "directories that change places": "mv sub x; mv twin sub; mv x twin",
    "a directory that is moved": "mv sub moved; mv moved/deep .",
    "a directory that is moved into itself": "mv twin sub/twin; mv sub/twin/deep twin",
    "a file for a directory": "rm -r sub; echo file >sub",
    "a directory for a file": "rm a; mkdir a; echo in >a/in",
    "an empty directory for a file": "rm a sub/deep/a; mkdir -p a/b sub/deep/a",
    "a directory with ignored files for a file": """
        rm a b; mkdir a b; echo '*' >a/.gitignore; echo x >a/x; echo x >b/b.pyc
        """,
    "an empty directory for a link": "rm link dirlink; mkdir -p link dirlink/deep dirlink/new",
    "a directory with ignored files for a link": """
        rm link dirlink; mkdir link dirlink; echo x >link/a.pyc; echo '*' >dirlink/.gitignore
        """,
    "a link for a directory": "rm -r sub; ln -s twin sub",
    "a directory for a link": "rm dirlink; mkdir dirlink; echo x >dirlink/x",
    "a link for a file": "ln -sf b a",
    "a file for a link": "rm link; echo file >link",
    "work through a link": "echo through >dirlink/through; rm dirlink/a",
    "hard links": "ln a hard; echo more >>hard; ln sub/a sub/hard; ln -f b sub/b",
    "a link to itself": "rm a; ln -s a a",
    "modes": "chmod +x a; chmod -x run; chmod 600 b",
    "closed files": "echo closed >closed; chmod 000 closed a; chmod 500 sub; chmod 000 twin",
    "empty directories": "mkdir -p empty/empty; rm -r twin/*; mkdir twin/.hidden",
    "odd names": r"""
        echo 1 >"$(printf 'new\nline')"; mkdir -- -rf; echo 2 >-rf/--; echo 3 >'*'; echo 4 >"$(printf '\377')"
        """,
    "a change of an odd name": r"""echo more >>"$(printf "A b\n'\"\\\\*?[x")" """,
    "other cases": "mv a x; mv x A; mkdir SUB; echo case >SUB/a; rm -r sub",
    "a pipe for a file": "rm a; mkfifo a; mkfifo sub/pipe",
    "nested repositories": """
        mkdir -p sub/.git/objects; echo x >sub/.git/config; git init -q inner; echo x >inner/x; mkdir .GIT
        """,
    "a file that names a git directory": "echo 'gitdir: /tmp' >sub/.git; echo 'gitdir: ../.git' >twin/.Git",
    "ignored files": """
        echo '*.log' >.gitignore; echo log >a.log; echo log >sub/b.log
        echo c >caches/c; mkdir caches/d; echo d >caches/d/d
        """,
    "a directory that ignores itself": "mkdir -p tool/deep; echo '*' >tool/.gitignore; echo x >tool/deep/x",
    "files of a submodule": "echo x >module/x",
    "a submodule that is gone": "rmdir module",
    "a file for a submodule": "rmdir module; echo x >module",
    "other attributes": "echo '* text=auto eol=crlf' >.gitattributes; echo 1 >>a; touch ending",
    "its git": """
        git rm -q a; git mv b c; git commit -qam x; echo y >y; git stash -qu; git checkout -q -b z; echo z >z
        git add z
        """,
    "its git again": "git rm -rq sub; git commit -qm x; git revert --no-edit HEAD >/dev/null",
    "whiteouts by name": "echo >.wh.a; echo >sub/.wh..wh..opq; mkdir .wh.sub",
    "attributes of the file system": r"""
        for name in trusted user security; do
          for what in opaque whiteout redirect metacopy; do
            python3 -c "import os, sys; os.setxattr(*sys.argv[1:], b'y')" sub $name.overlay.$what
            setfattr -n $name.overlay.$what -v y twin
          done
        done
        echo x >sub/x""",
    "a sparse file": "truncate -s 10M sparse",
    "very many new files": """
        mkdir many; i=0; while [ $i -lt 600 ]; do echo $i >many/$i; i=$((i + 1)); done; rm -r twin
        """,
    "very many files": "i=0; while [ $i -lt 600 ]; do echo $i >sub/$i; i=$((i + 1)); done; rm -r twin",
}  # fmt: skip


ODD = {
    "closed files",
    "a pipe for a file",
    "nested repositories",
    "a file that names a git directory",
    "very many files",
}
"""After these, the harvest looks at all files."""

LAID: list[dict[str, str | bytes | None]] = [
    {},
    {"a": "laid\n", "laid": "laid\n", "sub/laid": "laid\n", "new1/laid": "laid\n"},
    {"a": None, "sub/a": None, "run": None, "laid": "laid\n"},
    {"sub/a": None, "sub/b": None, "sub/deep/a": None, "laid": "laid\n"},
    {"sub/a": None, "sub/b": None, "sub/deep/a": None, "sub": "laid\n", "laid": "laid\n"},
    {"a": None, "a/in": "laid\n", "twin/deep/a": None, "laid": "laid\n"},
    {"link": None, "link/x": "laid\n", "caches/.gitignore": None, "caches/laid": "laid\n", "laid": "laid\n"},
    {"twin/a": None, "twin/b": None, "twin/deep/a": None, "twin/deep": "laid\n", "laid": "laid\n"},
]
"""What a start has otherwise than the shared checkout; ``None``: not."""


class Ways:
    """The two ways to a worktree: over a shared checkout, and in one of its own.

    Each change is made in a directory of its own, which has the same files in the shared checkout.
    """

    def __init__(self, bench: Bench, names: Iterable[str]) -> None:
        self.bench = bench
        self.names = sorted(names)
        self.over, self.own = (
            LocalSite(bench.repository, bench.generation.name, bench.sandbox, large=large)
            for large in (0, None)
        )
        base = self.opened(self.over, self.commit(bench.tip, [FILES]))
        assert base.worktree.base
        self.base = base.worktree.base
        base.remove()

    def commit(self, parent: str, files: Sequence[Mapping[str, str | bytes | None]]) -> str:
        """A commit with files in the directory of each change, in turns."""
        every: dict[str, str | bytes | None] = {"same": "same\n"}
        modes: dict[str, str] = {}
        for number, _ in enumerate(self.names):
            every |= {f"{number}/{path}": content for path, content in files[number % len(files)].items()}
            modes |= {f"{number}/{path}": mode for path, mode in MODES.items()}
        return commit_files(self.bench.repository, parent, every, modes=modes)

    def opened(self, site: LocalSite, start: str) -> LocalPlace:
        name = "over" if site is self.over else "own"
        tree = self.bench.repository.tree_of(start)
        return site.open(name, parent=start, tree=tree, purpose={"task": "t", "number": "1"})

    def harvested(self, site: LocalSite, start: str, *, spoil: bool) -> Harvest:
        """What the changes leave; ``spoil``: the shared checkout is changed then, which none may look at."""
        place = self.opened(site, start)
        assert (place.worktree.base == self.base) == (site is self.over)
        lines = [f"(cd {number}; {CHANGES[name]}\n)" for number, name in enumerate(self.names)]
        job = Job(
            name="work",
            argv=("sh", "-c", "exec 2>/dev/null\n" + "\n".join(lines) + "\n:"),
            workdir=str(place.checkout),
            environment={"GIT_CONFIG_GLOBAL": "/dev/null"},
        )
        assert place.sandbox.run(job).ok
        if spoil:
            (self.base.files / "same").write_text("spoilt\n")
        harvested = harvest(place, self.bench.repository, Policy())
        (self.base.files / "same").write_text("same\n")
        place.remove()
        return harvested

    def compare(self, shift: int, *, spoil: bool) -> None:
        start = self.commit(self.commit(self.bench.tip, [FILES]), [*LAID[shift:], *LAID[:shift]])
        own = self.harvested(self.own, start, spoil=False)
        over = self.harvested(self.over, start, spoil=spoil)
        git = self.bench.repository.objects
        assert own.change
        differs = [entry.shown for entry in read_change(git, own.tree, over.tree).entries]
        assert [(path, self.names[int(path.split("/")[0])]) for path in differs] == []
        assert over.tree == own.tree
        assert sorted(over.removed) == sorted(own.removed)
        assert (sorted(over.ignored), over.ignored_count) == (sorted(own.ignored), own.ignored_count)
        # Commits of the same second have no order.
        assert sorted(work.tree for work in over.left) == sorted(work.tree for work in own.left)


@pytest.mark.usefixtures("can_have_overlays")
@pytest.mark.slow
def test_changes_become_the_same_tree_without_a_look_at_the_rest(bench: Bench) -> None:
    ways = Ways(bench, CHANGES.keys() - ODD)
    for shift in (0, 3):
        ways.compare(shift, spoil=True)


@pytest.mark.usefixtures("can_have_overlays")
@pytest.mark.slow
def test_changes_that_need_a_look_at_all_files_become_the_same_tree(bench: Bench) -> None:
    Ways(bench, ODD).compare(1, spoil=False)


def test_without_containers_only_roots_worktrees_are_overlays(host_bench: Bench) -> None:
    assert can_overlay(host_bench.repository, host_bench.sandbox) == (os.geteuid() == 0)
