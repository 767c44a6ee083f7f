"""A repository in memory: objects, references, and the few commands of git that a run asks of it.

What the package makes of them is real: trailers, kept attempts, landings, what a branch reaches.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_cobbler.causes import Ending
from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.process import Completion
from pytest_cobbler.repository import trailers
from pytest_cobbler.repository.git import Git
from pytest_cobbler.repository.identity import Identity, Person
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.subdirectory import Subdirectory

__all__ = ["PLACE", "WORK", "Commit", "Files", "SimulatedRepository"]

Files = Mapping[str, str]
"""Path -> content."""

MARK = "<<<<<<<"
"""How the content of a file begins that conflicts."""

_PERSON = Person(name="Sim", email="sim@example.org")
PLACE, WORK = Path("/nowhere/simulated"), Path("/nowhere/work")


@dataclass(frozen=True)
class Commit:
    id: str
    tree: str
    parents: tuple[str, ...]
    message: str

    @property
    def subject(self) -> str:
        return self.message.partition("\n")[0]

    @functools.cached_property
    def trailer_lines(self) -> list[str]:
        """The last paragraph, where a message of the package has its trailers."""
        _, _, last = self.message.rstrip("\n").partition("\n\n")[2].rpartition("\n\n")
        return [line for line in last.split("\n") if ": " in line]

    @property
    def body(self) -> str:
        return self.message.partition("\n\n")[2]

    def trailer(self, name: str) -> str:
        return self._trailers.get(name, "")

    @functools.cached_property
    def _trailers(self) -> dict[str, str]:
        return {name: value for name, _, value in (line.partition(": ") for line in self.trailer_lines)}


@dataclass
class Objects:
    """What all runs and people share."""

    trees: dict[str, Files] = field(default_factory=dict)
    ids: dict[tuple[tuple[str, str], ...], str] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    checked_out: dict[str, Path] = field(default_factory=dict)


class SimulatedRepository(Repository):
    """The repository of a schedule.

    ``touch`` is called before each change of a reference, ``moved`` after it with the old and new values.
    """

    key = "simulated"
    work_dir = WORK

    def __init__(self, touch: Callable[[str], None]) -> None:
        self.root = PLACE
        self.git_dir = self.common_dir = PLACE / ".git"
        self.directory = Subdirectory("")
        self.object_format = "sha1"
        self.store = Objects()
        self.touch = touch
        self.fails = 0
        """Changes of references that git will not make."""
        self.moved: Callable[[Mapping[str, tuple[str, str]]], None] = lambda _moves: None
        self._git = _Git(self)

    @property
    def objects(self) -> Git:
        return self._git

    # -- objects

    def tree(self, files: Files) -> str:
        """The id of a tree with these files."""
        key = tuple(sorted(files.items()))
        found = self.store.ids.get(key)
        if found is None:
            found = self.store.ids[key] = f"{len(self.store.ids):07x}".ljust(40, "e")
            self.store.trees[found] = dict(files)
        return found

    def files_of(self, revision: str) -> Files:
        return self.store.trees[self.tree_of(revision)]

    def tree_of(self, revision: str) -> str:
        if revision in self.store.trees:
            return revision
        return self.commit_at(revision).tree

    def commit_at(self, revision: str) -> Commit:
        """The commit of an id, a reference, or ``ID^``."""
        name = revision.removesuffix("^{commit}").removesuffix("^")
        commit = self.store.commits.get(self.store.refs.get(name, name))
        if commit is None:
            raise RepositoryError(f"git: no commit {revision}")
        return self.commit_at(commit.parents[0]) if revision.endswith("^") else commit

    def parent_of(self, commit: str) -> str:
        return self.commit_at(f"{commit}^").id

    def commit(self, tree: str, parents: Sequence[str], message: str, identity: Identity) -> str:  # noqa: ARG002
        made = f"{len(self.store.commits):07x}".ljust(40, "c")
        self.store.commits[made] = Commit(made, tree, tuple(parents), message)
        return made

    def resolve(self, revision: str) -> str | None:
        try:
            return self.commit_at(revision).id
        except RepositoryError:
            return None

    def history(self, tip: str) -> Iterator[Commit]:
        """The commits that ``tip`` reaches, newest first."""
        seen, queue = set[str](), [tip]
        while queue:
            commit = self.store.commits[queue.pop(0)]
            if commit.id not in seen:
                seen.add(commit.id)
                yield commit
                queue += commit.parents

    def reaches(self, commit: str, ancestor: str) -> bool:
        return any(one.id == ancestor for one in self.history(commit))

    def merge_base(self, one: str, other: str) -> str:
        known = {commit.id for commit in self.history(one)}
        return next(commit.id for commit in self.history(other) if commit.id in known)

    # -- references

    def list_refs(self, *patterns: str) -> dict[str, str]:
        if len(patterns) == 1 and patterns[0] in self.store.refs:
            return {patterns[0]: self.store.refs[patterns[0]]}
        begins = tuple(pattern.removesuffix("*") if "*" in pattern else f"{pattern}/" for pattern in patterns)
        found = (ref for ref in self.store.refs if ref.startswith(begins) or ref in patterns)
        return {ref: self.store.refs[ref] for ref in sorted(found)}

    def read_ref(self, ref: str) -> str | None:
        return self.store.refs.get(ref)

    def commit_of(self, ref: str) -> str:
        return self.store.refs.get(ref, "")

    def target_of(self, ref: str) -> str | None:  # noqa: ARG002
        return None

    def checked_out(self) -> dict[str, Path]:
        return dict(self.store.checked_out)

    def move_refs(self, moves: Mapping[str, tuple[str, str]], reason: str) -> bool:  # noqa: ARG002
        self._begin(f"move {_shown(moves)}")
        if any(self.store.refs.get(ref, "") != old for ref, (old, _) in moves.items()):
            return False
        self._change(moves)
        return True

    def set_refs(self, values: Mapping[str, str]) -> None:
        self._begin(f"set {_shown(values)}")
        self._change({ref: (self.store.refs.get(ref, ""), new) for ref, new in values.items()})

    def drop_refs(self, refs: Collection[str]) -> None:
        if refs:
            self._begin(f"drop {_shown(refs)}")
            self._change({ref: (self.store.refs.get(ref, ""), "") for ref in refs})

    def delete_refs(self, refs: Mapping[str, str]) -> tuple[str, ...]:
        if not refs:
            return ()
        self._begin(f"delete {_shown(refs)}")
        there = {ref: old for ref, old in refs.items() if self.store.refs.get(ref) == old}
        self._change({ref: (old, "") for ref, old in there.items()})
        return tuple(ref for ref, old in refs.items() if self.store.refs.get(ref, old) != old)

    def _begin(self, what: str) -> None:
        self.touch(what)
        if self.fails:
            self.fails -= 1
            raise RepositoryError(f"git could not {what}")

    def _change(self, moves: Mapping[str, tuple[str, str]]) -> None:
        for ref, (_, new) in moves.items():
            if new:
                self.store.refs[ref] = new
            else:
                self.store.refs.pop(ref, None)
        self.moved(moves)

    def identity(self) -> Identity:
        return Identity(author=_PERSON, committer=_PERSON)


def _shown(refs: Collection[str]) -> str:
    return ", ".join(sorted(ref.removeprefix("refs/").removeprefix("cobbler/") for ref in refs))


class _Git(Git):
    """The commands that read objects."""

    def __init__(self, repository: SimulatedRepository) -> None:
        super().__init__(repository.git_dir)
        self._repository = repository

    def run(self, *arguments: Any, stdin: Any = b"", **options: Any) -> Completion:
        words = tuple(map(str, arguments))
        name = words[0].strip("-").replace("-", "_")
        output, status = getattr(self, f"_{name}")(words[1:], stdin)
        if status not in options.get("accepted", (0,)):
            raise RepositoryError(f"git {words[0]} failed (exit {status})")
        return Completion(
            argv=words, status=status, end=Ending.EXITED, seconds=0.0, stdout=output.encode(), stderr=b""
        )

    def resolve(self, revision: str) -> str | None:
        return self._repository.resolve(revision)

    def _rev_parse(self, words: tuple[str, ...], _stdin: bytes) -> tuple[str, int]:
        return self._repository.commit_at(words[-1]).id, 0

    def _show(self, words: tuple[str, ...], _stdin: bytes) -> tuple[str, int]:
        commit = self._repository.commit_at(words[-1])
        form = next(word for word in words if word.startswith("--format="))
        if "trailers" in form:
            return "\n".join(commit.trailer_lines), 0
        return commit.subject if form.endswith("%s") else commit.body, 0

    def _log(self, words: tuple[str, ...], _stdin: bytes) -> tuple[str, int]:
        begin, _, end = words[-1].rpartition("..")
        commits = list(self._repository.history(self._repository.commit_at(end).id))
        if begin:
            known = {one.id for one in self._repository.history(self._repository.commit_at(begin).id)}
            commits = [commit for commit in commits if commit.id not in known]
        commits = [commit for commit in commits if commit.trailer(trailers.TASK)]
        if "--reverse" in words:
            commits.reverse()
        if "--format=%B" in words:
            return "".join(f"{commit.message}\0" for commit in commits), 0
        keys = (trailers.TASK, trailers.RUN, trailers.DIRECTORY)
        rows = ([one.id, *(one.trailer(key) for key in keys), one.subject] for one in commits)
        return "".join(f"{value}\0" for row in rows for value in row), 0

    def _rev_list(self, words: tuple[str, ...], _stdin: bytes) -> tuple[str, int]:
        if "--objects" in words:  # nothing is ever missing here
            return "", 0
        begin, _, end = words[-1].rpartition("..")
        known = {one.id for one in self._repository.history(begin)} if begin else set()
        return "\n".join(one.id for one in self._repository.history(end) if one.id not in known), 0

    def _merge_base(self, words: tuple[str, ...], _stdin: bytes) -> tuple[str, int]:
        """``--independent``: those that none of the others reaches."""
        if words[0] != "--independent":
            return self._repository.merge_base(*words), 0
        ids = list(dict.fromkeys(words[1:]))
        reached = {
            one for one in ids for other in ids if one != other and self._repository.reaches(other, one)
        }
        return "\n".join(one for one in ids if one not in reached), 0

    def _interpret_trailers(self, _words: tuple[str, ...], stdin: bytes) -> tuple[str, int]:
        lines = Commit("", "", (), stdin.decode()).trailer_lines
        return "".join(f"{line}\n" for line in lines), 0

    def _merge_tree(self, words: tuple[str, ...], _stdin: bytes) -> tuple[str, int]:
        repository, (ours, theirs) = self._repository, words[-2:]
        base = repository.files_of(repository.merge_base(ours, theirs))
        one, other = repository.files_of(ours), repository.files_of(theirs)
        merged, conflicts = dict[str, str](), []
        for path in sorted({*base, *one, *other}):
            sides = (base.get(path), one.get(path), other.get(path))
            content = _merged(*sides)
            if content is None and sides[1] != sides[2]:
                content = f"{MARK} {sides[1]} | {sides[2]}"
                conflicts.append(path)
            if content:
                merged[path] = content
        tree = repository.tree(merged)
        if not conflicts:
            return f"{tree}\0", 0
        # With one side only, no merge driver can settle it.
        listed = (f"100644 {'0' * 40} 2\t{path}\0" for path in conflicts)
        return f"{tree}\0{''.join(listed)}\0", 1

    def _diff_tree(self, words: tuple[str, ...], _stdin: bytes) -> tuple[str, int]:
        old, new = map(self._repository.files_of, words[-2:])
        changed = [path for path in sorted({*old, *new}) if old.get(path) != new.get(path)]
        return "".join(f"1\t0\t{path}\0" for path in changed), 0

    def _literal_pathspecs(self, words: tuple[str, ...], _stdin: bytes) -> tuple[str, int]:
        """``grep`` for conflict markers of ours."""
        tree = words[words.index("--") - 1]
        files = self._repository.files_of(tree)
        found = [path for path in words[words.index("--") + 1 :] if files.get(path, "").startswith(MARK)]
        return "".join(f"{tree}:{path}\0" for path in found), 0 if found else 1


def _merged(base: str | None, one: str | None, other: str | None) -> str | None:
    """The content of a file after a merge; ``None`` if both sides changed it, or it is gone."""
    if one == other:
        return one
    if one == base:
        return other
    return one if other == base else None
