"""Finds values for a first configuration in a repository: in a commit, not in the checkout."""

from __future__ import annotations

import configparser
import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from pytest_cobbler.config.go import MODULE_PATH
from pytest_cobbler.cycle.documents import PYTHON_FILES, documents
from pytest_cobbler.display import named
from pytest_cobbler.languages import Go, Language, detect, get, language_names
from pytest_cobbler.lifecycle.tagging import version_in
from pytest_cobbler.repository.repository import Repository

_VERSION_FILES = frozenset(
    {"version.go", "version.py", "_version.py", "__version__.py", "version.txt", "version"}
)
_NUMBERED = re.compile(r"v?\d")
_MAKEFILES = ("GNUmakefile", "makefile", "Makefile")
PROJECT_FILES = ("pyproject.toml", "setup.py", "setup.cfg", "go.mod", "Cargo.toml", "package.json")
"""Files that mark the directory of a project within a larger repository."""

_RULE = re.compile(r"^([^\s:=#][^:=#\n]*):(?!:?=)", re.MULTILINE)
"""The targets of a rule of a makefile; ``:=`` and ``::=`` set a variable."""
_MODULE = re.compile(r'^module[ \t]+["`]?([^\s"`]+)', re.MULTILINE)
_NOT_OWN = frozenset(
    {"doc", "docs", "example", "examples", "node_modules", "test", "testdata", "tests", "vendor"}
)
"""Directories whose projects are samples, or other people's."""
_LARGEST_SHARE = 20
"""Directories named as sources, at most; where there are more, the whole repository is."""


@dataclass(frozen=True, kw_only=True)
class Survey:
    """``found``: key of the configuration -> value; ``required``: keys that must be filled in by hand.

    ``notes``: lines that a reader of the result should know.
    """

    language: Language
    found: dict[str, Any] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def survey(repository: Repository, commit: str) -> Survey:
    """What the files of ``commit`` show."""
    # A configuration cannot hold other names.
    names = (name for name in repository.files(commit) if name.isprintable() and not name.startswith("~"))
    files = [PurePosixPath(name) for name in names]
    language = _language(files)
    look = _Look(repository, commit, files)
    surveys = {"python": partial(_python, look), "go": partial(_go, look), "none": partial(_none, look)}
    plain = partial(Survey, language=language, found={"language": language.name})
    found = surveys.get(language.name, plain)()
    if len(both := [name for name in language_names() if any(map(get(name).is_source, files))]) > 1:
        note = f"language: found {' and '.join(both)}; the gate builds and tests only {language.name}"
        found = replace(found, notes=(*found.notes, note))
    if below := _projects_below(files):
        note = (
            f"projects in directories below: {named(below, 5)}; "
            f"for one of them: pytest --cobbler-init {below[0]}/configuration.yaml"
        )
        found = replace(found, notes=(*found.notes, note))
    if any(map(language.is_source, files)):
        found.found["reset_sources"] = False  # the default of some languages is to begin without sources
    if globs := documents(files):
        found.found["spec_globs"] = globs
    return found


def _projects_below(files: list[PurePosixPath]) -> list[str]:
    """The directories, without those inside of others, that hold the file of a project."""
    marked = {path.parent for path in files if path.name in PROJECT_FILES and len(path.parts) > 1}
    own = {place for place in marked if not _NOT_OWN.intersection(place.parts)}
    return sorted(str(place) for place in own if not own.intersection(place.parents))


@dataclass(frozen=True)
class _Look:
    repository: Repository
    commit: str
    files: list[PurePosixPath]

    def text(self, name: str) -> str:
        """The content of a file; empty if it is not there."""
        content = self.repository.read_file(self.commit, name)
        return (content or b"").decode("utf-8", "replace")

    def having(self, pattern: str, glob: str) -> list[PurePosixPath]:
        """The files whose content an extended regular expression matches."""
        tree = self.repository.project_tree(self.commit)
        arguments = ("-z", "-l", "-I", "-E", "-e", pattern, tree, "--", glob)
        output = self.repository.objects.run("grep", *arguments, accepted=(0, 1)).text
        return [PurePosixPath(name.partition(":")[2]) for name in output.split("\0") if name]


def _language(files: list[PurePosixPath]) -> Language:
    language = detect(map(str, files))
    if language.name == "none" and any(path.suffix == ".go" for path in files):
        return get("go")
    if language.name == "none" and any(str(path) in PYTHON_FILES for path in files):
        return get("python")
    return language


# -- by language


def _go(look: _Look) -> Survey:
    go = Go()
    sources = [path for path in look.files if go.is_source(path)]
    module = _MODULE.search(look.text("go.mod"))
    path = module[1] if module and MODULE_PATH.fullmatch(module[1]) else None
    binary_dir = _free_directory(look.files)
    found: dict[str, Any] = {
        "language": "go",
        "module_path": path,
        "source_dirs": _directories(sources),
        "binary_dir": binary_dir,
        **_version_file(look, sources),
    }
    notes = []
    programs = sorted(
        {
            path.parent
            for path in look.having("^package[[:space:]]+main([^[:alnum:]_]|$)", "*.go")
            if go.is_source(path) and not go.is_test(path)
        }
    )
    same_name = [program for program in programs if path and program.name == PurePosixPath(path).name]
    main = next(iter(programs if len(programs) == 1 else same_name), None)
    if main is not None:
        found["main_package"] = str(main)
        found["binary_name"] = main.name or PurePosixPath(path or "main").name
    elif programs:
        notes.append(f"main_package: found {len(programs)}: {named(map(str, programs), 5)}")
    return Survey(
        language=go,
        found={key: value for key, value in found.items() if value is not None},
        required=() if path else ("module_path",),
        notes=tuple(notes),
    )


def _python(look: _Look) -> Survey:
    python = get("python")
    sources = [path for path in look.files if python.is_source(path)]
    names = {str(path) for path in look.files}
    packages = {path.parts[0] for path in sources if len(path.parts) == 2 and path.name == "__init__.py"}
    packages |= {path.parts[0] for path in sources if len(path.parts) > 1 and path.parts[0] == "src"}
    tests = {"test", "tests"}
    inside = [path for path in sources if len(path.parts) > 1 and path.parts[0] in packages | tests]
    found: dict[str, Any] = {
        "language": "python",
        "source_dirs": _directories(inside if packages - tests else sources),
        **_version_file(look, sources),
    }
    if distribution := _distribution(look, names):
        found["module_path"] = distribution
    return Survey(language=python, found=found)


def _distribution(look: _Look, names: set[str]) -> str:
    """The name of the project in its metadata; empty if there is none."""
    name: object = ""
    try:
        project = tomllib.loads(look.text("pyproject.toml"))
        name = project.get("project", {}).get("name") or project.get("tool", {}).get("poetry", {}).get("name")
    except (tomllib.TOMLDecodeError, AttributeError):
        pass
    if not name and "setup.cfg" in names:
        setup = configparser.ConfigParser(interpolation=None)
        try:
            setup.read_string(look.text("setup.cfg"))
            name = setup.get("metadata", "name", fallback="")
        except configparser.Error:
            pass
    return name if isinstance(name, str) and name.isprintable() else ""


def _none(look: _Look) -> Survey:
    """A project in another language: the gate is made of its own build and test commands."""
    gate = _gate(look)
    found: dict[str, Any] = {**gate, **_version_file(look, [])}
    if look.files:
        found["language"] = "none"
    if not look.files:
        return Survey(language=get("none"), found=found, required=("language",))
    required = () if gate else ("build_command", "test_command")
    return Survey(language=get("none"), found=found, required=required)


def _gate(look: _Look) -> dict[str, str]:
    names = {str(path) for path in look.files}
    for makefile in _MAKEFILES:
        if makefile in names:
            rules = _RULE.findall(look.text(makefile))
            targets = {"build", "test"}.intersection(name for rule in rules for name in rule.split())
            if targets:
                return {f"{target}_command": f"make {target}" for target in sorted(targets)}
    if "Cargo.toml" in names:
        return {"build_command": "cargo build --offline", "test_command": "cargo test --offline"}
    if "package.json" in names:
        return dict(_scripts(look.text("package.json")))
    return {}


def _scripts(text: str) -> Iterator[tuple[str, str]]:
    try:
        scripts = json.loads(text).get("scripts") or {}
    except (ValueError, AttributeError):
        return
    for step in ("build", "test"):
        if step in scripts:
            yield f"{step}_command", f"npm run {step}"


# -- files


def _directories(sources: list[PurePosixPath]) -> list[str]:
    """The top directories that hold sources; ``.`` where one lies beside them, or none does."""
    tops = {path.parts[0] if len(path.parts) > 1 else "." for path in sources}
    return ["."] if "." in tops or not tops or len(tops) > _LARGEST_SHARE else sorted(tops)


def _free_directory(files: list[PurePosixPath]) -> str:
    """Where programs can be built: a directory that holds nothing of the repository."""
    taken = {path.parts[0] for path in files}
    return next((name for name in ("bin", "build", "out") if name not in taken), ".build")


def _version_file(look: _Look, sources: list[PurePosixPath]) -> dict[str, str]:
    """The only file whose name says that it holds the version, if there is exactly one, and it has one."""
    candidates = [path for path in look.files if path.name.lower() in _VERSION_FILES]
    chosen = [path for path in candidates if path in set(sources)] or [
        path for path in candidates if len(path.parts) == 1
    ]
    if len(chosen) != 1:
        return {}
    version = version_in(look.text(str(chosen[0])))  # a module of that name may be the program itself
    return {"version_file": str(chosen[0])} if version and _NUMBERED.match(version) else {}
