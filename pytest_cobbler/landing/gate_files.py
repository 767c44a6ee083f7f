"""The files that decide what a gate does: what its commands run and read, and what that includes.

A gate's commands come from the trusted configuration; a file that they run has to be as trusted. The table of
paths says which files a program reads. All is read from trees that the user trusts, as git objects.
"""

from __future__ import annotations

import contextlib
import functools
import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from pytest_cobbler.globs import GlobError, compile_glob, escape_glob, matches_any
from pytest_cobbler.landing import kinds_of_files as kinds
from pytest_cobbler.landing import script_texts
from pytest_cobbler.landing.command_words import (
    Words,
    included,
    module_files,
    modules_in,
    package_files,
    program_directories,
    python_code,
    submodule_files,
    words_in,
    words_of,
)
from pytest_cobbler.landing.make_targets import goals_in, made_targets, needed_files, sources_of
from pytest_cobbler.landing.trusted_trees import TrustedTrees
from pytest_cobbler.languages.base import Language, Step
from pytest_cobbler.repository.checks import LONGEST_PATH
from pytest_cobbler.repository.path_table import Row, also_read, commands, path_table, run_commands, values_of
from pytest_cobbler.repository.repository import Repository

_MOST_FILES, _MOST_DIRECTORIES = 300, 20
_RUN_BY_OTHERS = frozenset({"bash", "cc", "env", "gcc", "git", "go", "node", "python", "python3", "sh"})


@dataclass(frozen=True, kw_only=True)
class GateFiles:
    """Patterns of the files that a gate depends on, and rows of files of which a key does.

    Paths are the project's. ``files`` are those that exist, for people. ``modules`` are run by their names,
    and are not the project's; ``programs`` may be tools in Python, if a command sets the path of modules.
    ``places`` are directories of the repository, besides that of the project, in which Python looks for
    modules first.
    """

    patterns: tuple[str, ...] = ()
    keys: tuple[Row, ...] = ()
    files: tuple[str, ...] = ()
    modules: frozenset[str] = frozenset()
    programs: frozenset[str] = frozenset()
    places: tuple[str, ...] = ()


def find_gate_files(
    repository: Repository,
    trees: Iterable[str],
    steps: Sequence[Step],
    language: Language,
    sources: Iterable[str] = (),
) -> GateFiles:
    """The files that ``steps`` depend on, wherever they are in the repository.

    Args:
        trees: commits of the user, or that the gate has passed.
        sources: directories of sources, whose files are judged by the gate and decide nothing in it.
    """
    trusted = TrustedTrees(repository, tuple(dict.fromkeys(trees)))
    search = _Search(repository, trusted, language, tuple(sources))
    for step in steps:
        if step in language.gate():
            search.use({"pytest"} if language.name == "python" else set())
        else:
            text = " ".join(step.argv)
            search.note(text)
            search.take_python(text, search.start)
            search.command(words_of(step.argv))
            search.take_together(text, search.start)
    search.protect_targets()
    search.protect_programs()
    search.protect_modules()
    return search.result()


@dataclass
class _Search:
    """Paths are the repository's; ``directories`` are those in which the gate works."""

    repository: Repository
    trees: TrustedTrees
    language: Language
    sources: tuple[str, ...]
    patterns: dict[str, None] = field(default_factory=dict)
    keys: dict[Row, None] = field(default_factory=dict)
    files: dict[str, None] = field(default_factory=dict)
    directories: dict[str, None] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    read: set[str] = field(default_factory=set)
    goals: set[str] = field(default_factory=set)
    makefiles: dict[str, str] = field(default_factory=dict)
    modules: set[str] = field(default_factory=set)
    paths: set[str] = field(default_factory=set)
    called: set[str] = field(default_factory=set)
    program_directories: set[str] = field(default_factory=set)
    by_name: set[str] = field(default_factory=set)
    sets_path: bool = False

    def __post_init__(self) -> None:
        self.start = self.repository.directory.path
        self.directories[self.start] = None

    def result(self) -> GateFiles:
        directory = self.repository.directory
        return GateFiles(
            patterns=tuple(map(directory.inward_pattern, self.patterns)),
            keys=tuple(self.keys),
            files=tuple(sorted(map(directory.inward, self.files))),
            modules=frozenset(self.modules),
            programs=frozenset(self.called) if self.sets_path else frozenset(),
            places=tuple(sorted(self.paths)),
        )

    def command(self, words: Words) -> None:
        """Protect what a command of the configuration names, though it may be missing as yet."""
        self._enter(words.directories)
        for script in words.scripts:
            for path in self._places(script, self.start):
                if self._decides(path, is_script=True):
                    self._protect(path)
        for path, _ in self._found(words.others, self.start):
            if self._decides(path, is_script=False):
                self._protect(path)
        for word in words.others:
            if "*" in word and kinds.SHELL.search(word):
                self._protect_all(self.repository.directory.pattern(word))
        self._note_directories(words, self.start)
        self.use(set(words.called))
        self._follow()

    def use(self, words: set[str]) -> None:
        """Protect what the programs among ``words`` read."""
        self.called |= words
        table = commands()
        new = [
            program
            for program, forms in table.items()
            if program not in self.used and any(fnmatchcase(word, form) for form in forms for word in words)
        ]
        self.used.update(new)
        for row in path_table():
            if row.program in new and row.kind == "gate":
                if row.key:
                    self.keys[row] = None
                else:
                    self.patterns.update(dict.fromkeys(self.repository.directory.everywhere(row.pattern)))
        for program in new:
            self._read_configuration(program)

    def note(self, text: str, known: Collection[str] | None = None) -> None:
        """Note the goals of make in a text, the modules that it runs if they are ``known``, and its paths."""
        self.goals |= goals_in(text)
        found, paths = modules_in(text)
        self.sets_path |= bool(paths)
        self.modules |= found if known is None else found.intersection(known)
        self.paths |= self._from_start(paths)
        self.program_directories |= self._from_start(program_directories(text))

    def _from_start(self, paths: Iterable[str]) -> set[str]:
        return {posixpath.normpath(posixpath.join(self.start, path)) for path in paths}

    def protect_modules(self) -> None:
        """Note where Python would find another module of the name of one that is run."""
        if self.modules:  # `python -m` looks first where it runs
            self.paths |= self.directories.keys() - {"", self.start}
        own = {posixpath.join(path, name) for path in (self.start, *self.paths) for name in self.modules}
        there = set(self.trees.existing({f"{name}{end}" for name in own for end in ("", ".py")}))
        self.modules -= {posixpath.basename(path).removesuffix(".py") for path in there}

    def protect_programs(self) -> None:
        """Protect what the gate would run instead of a program, from a directory of the tree on ``PATH``."""
        names = sorted(name for name in self.called | _RUN_BY_OTHERS if re.fullmatch(r"[\w.+-]+", name))
        places = {f"{path}/{name}" for path in self.program_directories for name in names[:_MOST_FILES]}
        for place in sorted(places - set(self.trees.existing(places))):
            self._protect(place)

    def protect_targets(self) -> None:
        """Protect what make would take for its work if it existed: files in the places of targets."""
        for place in sorted(self.directories if self.makefiles else ()):
            # A makefile in a directory that make is not told to enter may be used in any.
            texts = [
                text
                for path, text in self.makefiles.items()
                if posixpath.dirname(path) in {place, *{posixpath.dirname(path)} - self.directories.keys()}
            ]
            found = made_targets(texts, self.goals, functools.partial(self._made, place))
            for path in sorted(posixpath.normpath(posixpath.join(place, name)) for name in found):
                self._protect_made(path)
            needed = {posixpath.normpath(posixpath.join(place, n)) for n in needed_files(texts, self.goals)}
            inside = {path for path in needed if not path.startswith(("/", ".."))}
            for path in sorted(self.trees.existing(inside)):
                self._protect_sources(escape_glob(path))
        for path in self.makefiles:
            self._protect_sources(escape_glob(path))

    def _protect_made(self, path: str) -> None:
        """Protect a result of make, or the pattern of several, unless sources may match it, too."""
        directory, _, name = path.rpartition("/")
        if "*" not in path:
            self._protect(path)
        elif not name.endswith("*") or not ("*" in directory or any(self.trees.existing([directory]))):
            self._protect_all(path)

    def _made(self, place: str, names: set[str]) -> set[str]:
        """Those of the targets of a directory that are there, or outside of the tree."""
        paths = {name: posixpath.normpath(posixpath.join(place, name)) for name in names}
        inside = {path for path in paths.values() if not path.startswith(("/", ".."))}
        missing = inside - set(self.trees.existing(inside))
        return {name for name, path in paths.items() if path not in missing}

    # -- files

    def _protect(self, path: str) -> None:
        self.patterns[escape_glob(path)] = None

    def _protect_all(self, pattern: str) -> None:
        with contextlib.suppress(GlobError):  # a shell or make would read it in another way
            compile_glob(pattern)
            self.patterns[pattern] = None

    def _protect_sources(self, pattern: str) -> None:
        """Protect the files from which make would make what a pattern matches."""
        for source in sources_of(pattern):
            self._protect_all(source)

    def _follow(self) -> None:
        """Read the protected files, and protect what they run or include."""
        while len(self.read) < _MOST_FILES:
            waiting = [p for p in map(kinds.plain_path, self.patterns) if p and p not in self.read]
            if not waiting:
                break
            self.read.update(waiting)
            for path, text in self.trees.texts(waiting):
                self.files[path] = None
                self._take(path, text)

    def _take(self, path: str, text: str) -> None:
        """Protect what a file that decides in the gate runs or includes."""
        directory = posixpath.dirname(path)
        # Such a file may also run what no change has made as yet.
        self.note(text, {word for forms in commands().values() for word in forms})
        words = words_in(text, kinds.test_runners())
        if kinds.MAKEFILE.fullmatch(path):
            self.makefiles[path] = text
        self._enter(words.directories)
        for script, _ in self._found(words.scripts, directory):
            if self._decides(script, is_script=True):
                self._protect(script)
        for script in words.scripts:  # one that is used if it is there
            if re.search(r"[./]", script) and not kinds.CODE.search(script):
                for place in self._places(script, directory):
                    self._protect(place)
        self._take_modules(path, text)
        if path in self.by_name:  # its imports are looked for where it is run
            self._take_by_name(text)
        self.take_python(text, directory)
        self.take_together(text, directory)
        self._take_files(words, directory)
        self._note_directories(words, directory)
        for name in included(text):
            self._include(name, directory)
        self.use(set(words.called))

    def _take_files(self, words: Words, directory: str) -> None:
        """Protect the scripts that a file names, and what its programs read."""
        found = [
            path
            for path, mode in self._found(words.others, directory)
            if mode == "100755" or kinds.SHELL.search(path)
        ]
        found += [path for path, _ in self._found(words.arguments, directory)]
        for path in found:
            if self._decides(path, is_script=False):
                self._protect(path)

    def _take_modules(self, path: str, text: str) -> None:
        """Protect the modules that a script imports from beside it, and names that others would take.

        Of a directory for anything else than tools, a module that is there may be what the gate judges.
        """
        files = script_texts.imported_files(path, text)
        there = set(self.trees.existing(files))
        at_top = posixpath.dirname(path) in ("", self.start)  # beside the packages of the project
        for file in sorted(files):
            decides = script_texts.is_for_tools(posixpath.dirname(file))
            if file in there:
                decides = self._is_beside_sources(file) if at_top else decides
            elif path.endswith(".py"):
                other = file.removesuffix(".py") if file.endswith(".py") else f"{file}.py"
                decides = not (at_top and other in there)
            if decides and self._decides(file, is_script=True):
                self._protect(file)

    def take_python(self, text: str, directory: str) -> None:
        """Protect the modules that a text runs by their names, and those that code in it imports."""
        code, files = python_code(text)
        self._take_modules(posixpath.join(self.start, "code.py"), code)
        found = [path for path, _ in self._found(files, directory)]
        for path in [*found, *self._take_names(module_files(text), directory)]:
            if self._decides(path, is_script=True):
                self._protect(path)

    def _take_by_name(self, text: str) -> None:
        """Protect what a module imports that a command runs by its name."""
        self._take_modules(posixpath.join(self.start, "code.py"), text)
        for path in self._take_names(submodule_files(text), self.start):
            if self._decides(path, is_script=True):
                self._protect(path)

    def _take_names(self, files: Iterable[str], directory: str) -> list[str]:
        """The modules among ``files`` that belong to the gate, noted as loaded by their names."""
        found = [path for path, _ in self._found(files, directory)]
        firsts = {path: self.repository.directory.inward(path).partition("/")[0] for path in found}
        own = [p for p in found if script_texts.is_for_tools(firsts[p]) or self._is_beside_sources(p)]
        self.by_name.update(own)
        return [*own, *sorted(package_files(own, self.start))]

    def _note_directories(self, words: Words, directory: str) -> None:
        """Note the directories of tests that are run as programs: Python looks for modules there first."""
        scripts = (script for script in words.scripts if script.endswith(".py"))
        found = {path for path, _ in self._found(scripts, directory) if script_texts.is_test(path)}
        self.paths |= set(map(posixpath.dirname, found)) - {"", self.start}

    def _is_beside_sources(self, module: str) -> bool:
        """Whether a module at the top of the project belongs to the gate, and is not what it judges."""
        if script_texts.is_tool(module):
            return True
        sources = {posixpath.normpath(source) for source in self.sources}
        own = self.repository.directory.inward(module)
        inside = any(f"{source}/".startswith(f"{own}/") for source in sources)
        return (
            bool(sources)
            and "." not in sources
            and not inside
            and not script_texts.is_test(f"{module}/__init__.py")
        )

    def take_together(self, text: str, directory: str) -> None:
        """Protect lists of what a text runs, and directories and patterns if it runs all of their files."""
        for path, _ in self._found(script_texts.listed_files(text, kinds.test_runners()), directory):
            if self._decides(path, is_script=False):
                self._protect(path)
        for word in sorted(script_texts.run_together(text)):
            for path in self._places(word, directory):
                if script_texts.is_test(f"{path}/x"):
                    continue
                if "*" in path:
                    self._protect_all(path)
                elif self._decides(path, is_script=True):  # a file, or a directory and its files
                    self._protect(path)

    def _include(self, name: str, directory: str) -> None:
        if "*" not in name:
            for path in self._places(name, directory):
                self._protect_included(escape_glob(path))
            return
        # What a variable stands for is unknown: any directory, or any makefile.
        last = name.rpartition("/")[2]
        if "*" in name.rpartition("/")[0] or name.startswith("*"):
            self._protect_included(f"**/{last}" if last.strip("*") else "**/*.mk")
        else:
            for path in self._places(name, directory):
                self._protect_included(path)

    def _protect_included(self, pattern: str) -> None:
        self._protect_all(pattern)
        self._protect_sources(pattern)

    def _read_configuration(self, program: str) -> None:
        """Read the files of a program that lie where the gate runs it."""
        names = [path for directory in self.directories for path in self.trees.names_in(directory)]
        for row in path_table():
            if row.program == program and row.kind != "named":
                self._read_row(row, [path for path in names if kinds.covers(row.pattern, path)])
        for pattern in also_read().get(program, ()):
            for path, text in self.trees.texts([path for path in names if kinds.covers(pattern, path)]):
                self._take(path, text)

    def _read_row(self, row: Row, paths: Sequence[str]) -> None:
        for path, text in self.trees.texts(paths):
            if row.kind == "gate":
                self.files[f"{path}: {row.key}" if row.key else path] = None
            if row.key:
                text = script_texts.strings_in(values_of(path, text.encode(), row.key))
            if row.program == "pytest":  # its files have more than its options in them
                self.use({word for word in words_in(text).called if word.startswith("--")})
            elif row.program in run_commands():
                self._take(path, text)

    def _enter(self, directories: Iterable[str]) -> None:
        for directory in directories:
            places = ("" if path == "." else path for path in self._within(directory, self.start))
            new = [path for path in places if path not in self.directories]
            if new and len(self.directories) < _MOST_DIRECTORIES:
                self.directories.update(dict.fromkeys(new))
                for program in sorted(self.used):
                    self._read_configuration(program)

    # -- trees

    def _places(self, word: str, directory: str) -> Iterator[str]:
        """Where a file may lie: from a directory of the gate, or beside the file that names it."""
        above = self.repository.directory.is_replaced_by
        return (path for path in self._within(word, directory) if path != "." and not above(path))

    def _within(self, word: str, directory: str) -> Iterator[str]:
        """The same for a file or a directory; ``.`` is the top of the repository."""
        beside = re.sub(r"\A[^/]*\$[^/]*/|\A/", "", word)  # "$here/lib.sh"
        for start in dict.fromkeys((*self.directories, directory)):
            for name in dict.fromkeys((word, beside)):
                path = posixpath.normpath(posixpath.join(start, name))
                inside = name and not path.startswith(("/", ".."))
                if inside and path.isprintable() and len(path) <= LONGEST_PATH:
                    yield path

    def _found(self, words: Iterable[str], directory: str) -> Iterator[tuple[str, str]]:
        """Those of ``words`` that are regular files, with their modes."""
        return self.trees.regular(path for word in words for path in self._places(word, directory))

    # -- what decides

    def _decides(self, path: str, *, is_script: bool) -> bool:
        """Whether a file that a command names decides in the gate, and is not what the gate judges."""
        if not is_script and (
            kinds.DOCUMENT.search(path) or matches_any(path, kinds.with_keys(), fold_case=True)
        ):
            return False
        if not kinds.CODE.search(path):
            return True
        return is_script and not script_texts.is_test(path) and not self._is_source(path)

    def _is_source(self, path: str) -> bool:
        inside = (source for source in self.sources if source not in ("", "."))
        return any(self.repository.directory.inward(path).startswith(f"{source}/") for source in inside)
