"""What the commands of a gate name: programs, scripts, and other words that may be files.

The texts are commands of the configuration and files of trusted trees. They are read as a person would skim
them, not as a shell would run them: a word too many protects a file too many, which ``allow_paths`` opens.
"""

from __future__ import annotations

import itertools
import posixpath
import re
import shlex
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "ash", "fish"})
_INTERPRETER = re.compile(r"python[\d.]*|pypy[\d.]*|node|ruby|perl|php|lua|Rscript|source|\.")
_RUNNERS = frozenset({"run", "exec", "xargs"})
_PREFIX = re.compile(r"\w+=.*|then|do|else|if|elif|while|until|!|\{|time|exec|sudo|env|nice|command|timeout")
_PUNCTUATION = frozenset(";&|()")
_SEPARATORS = re.compile(r"[\s;&|()<>\"'`,]+")
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*$", re.MULTILINE)
# Where a program is called in a script, a Makefile, or a string of a configuration.
_CALLED = re.compile(
    r"(?:^[ \t@+-]*|[;&|(`\"']\s*|(?<![\w-])(?:run|exec|-m|npx|uvx|env|then|do|else|sudo|time)\s+)"
    r"(?:\w+=\S*\s+)*([A-Za-z][\w.+-]*)",
    re.MULTILINE,
)
_OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*")
_INCLUDED = re.compile(
    r"^[ \t]*(?:-?s?include[ \t]+([^#\n]+)|import\??[ \t]+['\"]([^'\"\n]+)|(?:-[ \t]+)?taskfile:[ \t]*(\S+))",
    re.MULTILINE,
)
_MODULE = re.compile(r"(?:^|\s)-m\s+(\w+)")
_MODULES = re.compile(r"(?<!\S)-(?:m\s+|p\s*)([A-Za-z_]\w*(?:\.\w+)*)")
_CODE = re.compile(
    r"(?<![\w.-])python[\d.]*\s[^\n;&|'\"]{0,100}?-c\s+(?:\"([^\"]{0,2000})\"|'([^']{0,2000})')"
)
_PYTHON_FILE = re.compile(r"[\"']([\w./-]{1,300}\.py)[\"']")
_PYTHONPATH = re.compile(r"\bPYTHONPATH\s*:?=\s*([^\s;&|]+)")
_PATH = re.compile(r"(?<!\w)PATH\s*:?=\s*([^\s;&|]+)")
_HERE = re.compile(r"\A(?:\$\(\w+\)|\$\{\w+\}|\$\w+|`pwd`)/")
_HOME = re.compile(r"\A[$({]*HOME\b")
_READ = re.compile(
    r"(?:(?<![^\s\"'=])@|<[ \t]*|--[\w-]*(?:config|rc-?file|settings)[\w-]*[= \t][ \t]*)([\w./$(){}-]+)"
)
_PARTS = re.compile(r"[\s;&|()<>\"'`,=:@]+")
_IMPORTED = re.compile(
    r"^[ \t]*(?:from[ \t]+\.*(\w+)[\w.]*[ \t]+import\b|import[ \t]+([^#\n;]+))", re.MULTILINE
)
_BESIDE = re.compile(r"^[ \t]*from[ \t]+\.+[ \t]+import[ \t(]+([^#\n;)]*)", re.MULTILINE)
_DOTTED = re.compile(r"^[ \t]*import[ \t]+([^#\n;]+)", re.MULTILINE)
_FROM = re.compile(r"^[ \t]*from[ \t]+(\w+(?:\.\w+)*)[ \t]+import[ \t(]+([^#\n;)]*)", re.MULTILINE)
_VARIABLE = re.compile(r"\$\(wildcard\s([^()$]*)\)|\$\([^()$]*\)|\$\{[^{}$]*\}|\$\w")
_DEEPEST = 5
_MOST_WORDS = 5000


@dataclass(frozen=True, kw_only=True)
class Words:
    """The words of commands.

    ``called`` may be programs; ``scripts`` are the files that an interpreter or the shell is told to run;
    ``others`` are all other words; ``directories`` are those that a command changes to. ``arguments`` are
    words that name what a program of a script reads.
    """

    called: frozenset[str] = frozenset()
    scripts: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()

    def __add__(self, other: Words) -> Words:
        return Words(
            called=self.called | other.called,
            scripts=(*self.scripts, *other.scripts),
            others=(*self.others, *other.others),
            directories=(*self.directories, *other.directories),
            arguments=(*self.arguments, *other.arguments),
        )


def words_of(argv: Sequence[str]) -> Words:
    """The words of a command as the configuration has it; strings for a shell are read as commands too."""
    words = _of_command(list(argv))
    for script in _for_shell(argv):
        for command in _commands(script):
            words += words_of(command)
    # Also what a quoted text, a setting, ``@file`` or ``<file`` names.
    return words + Words(others=tuple(dict.fromkeys(_PARTS.split(" ".join(argv))))[:_MOST_WORDS])


def words_in(text: str, programs: Collection[str] = ()) -> Words:
    """The words of a file that a gate runs or reads: a script, a Makefile, commands in a configuration.

    Args:
        programs: what such a file may run on other files that decide, for example ``pytest -c FILE``.
    """
    text = _COMMENT.sub("", text).replace("\\\n", " ")
    called = frozenset(_CALLED.findall(text)) | frozenset(_OPTION.findall(text))
    commands = [_tokens(line) for line in re.split(r"[\n;&|]+", text)]
    lines = [_of_command(command) for command in commands]
    arguments = {
        word
        for command, line in zip(commands, lines, strict=True)
        if not _programs(command).isdisjoint(programs)
        for word in line.others
    }
    others = {word for line in lines for word in line.others if "." in word or "/" in word}
    return Words(
        called=called,
        scripts=tuple(sorted({word for line in lines for word in line.scripts}))[:_MOST_WORDS],
        others=tuple(sorted(others))[:_MOST_WORDS],
        directories=tuple(sorted({word for line in lines for word in line.directories})),
        arguments=tuple(sorted(arguments | set(_READ.findall(text))))[:_MOST_WORDS],
    )


def _programs(command: Sequence[str]) -> set[str]:
    """The programs that a command runs: its first word, and those after ``-m``, ``run`` and the like."""
    words = list(itertools.dropwhile(_PREFIX.fullmatch, command))
    follow = {after for word, after in itertools.pairwise(words) if word == "-m" or word in _RUNNERS}
    return {word.rpartition("/")[2] for word in {*words[:1], *follow}}


def _tokens(line: str) -> list[str]:
    return [token.lstrip("@") for token in _SEPARATORS.split(line.strip()) if token.strip("@+-")]


def included(text: str) -> Iterator[str]:
    """The files that a Makefile, justfile or Taskfile includes, with ``*`` for what it computes."""
    for groups in _INCLUDED.findall(text.replace("\\\n", " ")):
        yield from (name.strip("\"'") for name in _without_variables(" ".join(groups)).split())


def modules_in(text: str) -> tuple[set[str], set[str]]:
    """The first names of the modules that a text runs with ``-m``, and the directories in PYTHONPATH."""
    return set(_MODULE.findall(text)), _directories(_PYTHONPATH.findall(text))


def module_files(text: str) -> set[str]:
    """Where the modules may be that a text runs with ``-m``, or loads into pytest with ``-p``."""
    paths = {name.replace(".", "/") for name in _MODULES.findall(text)}
    return {f"{path}{end}" for path in paths for end in (".py", "/__main__.py", "/__init__.py")}


def python_code(text: str) -> tuple[str, set[str]]:
    """The code that a text gives to Python with ``-c``, and the Python files that this code names."""
    code = "\n".join(double or single for double, single in _CODE.findall(text)).replace(";", "\n")
    return code, set(_PYTHON_FILE.findall(code.replace('\\"', '"')))


def program_directories(text: str) -> set[str]:
    """The directories of the tree that a text puts on ``PATH``."""
    return _directories(_PATH.findall(text))


def _directories(values: Iterable[str]) -> set[str]:
    """The directories of the tree in values of ``PATH`` and the like: ``src``, ``$PWD/bin``."""
    found = {part.strip("\"'") for value in values for part in value.split(":")}
    inside = {_HERE.sub("", path) for path in found if not _HOME.match(path)}
    inside = {posixpath.normpath(path) for path in inside if re.fullmatch(r"[\w.+@-][\w./+@-]*", path)}
    return {path for path in inside if not path.startswith("..")} - {"."}


def imported(text: str) -> set[str]:
    """The first names of the modules that a Python file imports."""
    names: set[str] = set()
    for one, several in _IMPORTED.findall(text):
        names |= {one} if one else {name.split(".")[0].strip().split(" ")[0] for name in several.split(",")}
    for beside in _BESIDE.findall(text):
        names |= {name.strip().split(" ")[0] for name in beside.split(",")}
    return {name for name in names if name.isidentifier()}


def submodule_files(text: str) -> set[str]:
    """Where the modules of packages may be that a Python file imports."""
    paths = {name.replace(".", "/") for several in _DOTTED.findall(text) for name in several.split(",")}
    for package, names in _FROM.findall(text):
        place = package.replace(".", "/")
        paths |= {place, *(f"{place}/{name.split()[0]}" for name in names.split(",") if name.strip())}
    inside = (path.strip().split(" ")[0] for path in paths)
    return {f"{path}{end}" for path in inside if "/" in path for end in (".py", "/__init__.py")}


def package_files(modules: Iterable[str], start: str) -> set[str]:
    """The ``__init__.py`` of the packages of modules below ``start``: Python runs them, too."""
    packages = {place for module in modules for place in PurePosixPath(module).parents}
    return {f"{place}/__init__.py" for place in packages if PurePosixPath(start) in place.parents}


def _without_variables(names: str) -> str:
    """The names with ``*`` for each variable, and the patterns of make's ``wildcard`` as they are."""
    for _ in range(_DEEPEST):
        replaced = _VARIABLE.sub(lambda match: match[1] or "*", names)
        if replaced == names:
            break
        names = replaced
    return names


def _for_shell(argv: Sequence[str]) -> Iterator[str]:
    """The strings that a shell is told to run."""
    for number, word in enumerate(argv[:-1]):
        if word.rpartition("/")[2] in _SHELLS:
            for option, text in zip(argv[number + 1 :], argv[number + 2 :], strict=False):
                if re.fullmatch(r"-[a-z]*c[a-z]*", option):
                    yield text
                    break


def _commands(script: str) -> Iterator[list[str]]:
    """The commands of a script for a shell, each as its words."""
    for line in script.replace("\\\n", " ").splitlines():
        try:
            lexer = shlex.shlex(line, posix=True, punctuation_chars="".join(_PUNCTUATION))
            lexer.whitespace_split = True
            tokens = list(lexer)
        except ValueError:  # a string of several lines
            tokens = [token for token in _SEPARATORS.split(line) if token]
        command: list[str] = []
        for token in tokens:
            if set(token) <= _PUNCTUATION:
                if command:
                    yield command
                command = []
            else:
                command.append(token)
        if command:
            yield command


def _of_command(command: list[str]) -> Words:
    """The words of one command."""
    while command and _PREFIX.fullmatch(command[0]):
        command = command[1:]
    if not command:
        return Words()
    names = {word.rpartition("/")[2] for word in command}
    long = {word.partition("=")[0] for word in command if word.startswith("--")}
    scripts = [command[0]] if "/" in command[0] else []
    scripts += _run_by_interpreters(command)
    options = [word for word in command if word.startswith("-")]
    values = [word.partition("=")[2] for word in options if "=" in word]
    values += [word[2:] for word in options if re.match(r"-\w[\w.]", word)]  # -rrequirements.txt
    return Words(
        called=frozenset(names | long),
        scripts=tuple(scripts),
        others=(*command[1:], *values),
        directories=tuple(_entered(command)),
    )


def _run_by_interpreters(command: Sequence[str]) -> Iterator[str]:
    for number, word in enumerate(command):
        name = word.rpartition("/")[2]
        is_runner = word in _RUNNERS
        if not is_runner and name not in _SHELLS and not _INTERPRETER.fullmatch(name):
            continue
        words = (following.removeprefix("<") for following in command[number + 1 :])  # it may read the script
        for following in filter(None, words):
            if re.fullmatch(r"-[a-z]*[cme]", following):
                break  # the next word is code, or a module
            if not following.startswith("-"):
                if name == "node" and not re.search(r"\.\w+\Z", following):
                    yield from (f"{following}{end}" for end in (".js", ".cjs", ".mjs", "/index.js"))
                if not is_runner or "/" in following or "." in following:
                    yield following
                break


def _entered(command: Iterable[str]) -> Iterator[str]:
    words = list(command)
    for word, following in itertools.pairwise(words):
        if word in ("cd", "-C", "--directory", "--prefix"):
            yield following
