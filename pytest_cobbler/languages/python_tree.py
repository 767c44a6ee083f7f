"""Runs pytest on the packages of the tree, and finds copies of them that were imported from elsewhere.

The gate runs this program with the Python of the image, 3.8 or newer, so it imports nothing but the standard
library. It is a plugin of pytest too (``-p``), because workers of pytest-xdist are other processes, which
read it from the ``HOME`` of the job. PYTEST_DONT_REWRITE: pytest has it imported already.

A *copy* is a module that was imported neither from the tree nor from the job's ``HOME``. It belongs to an
installed distribution of the project, or to no distribution and has the name of a module of the project.
A module of the tree is a copy if the project has its name in another place, and the base has none here.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import json
import os
import re
import runpy
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from pytest_cobbler.languages.python_modules import (
    SUFFIXES,
    beginning,
    compiled_files,
    directories_of,
    editable_directory,
    files_named,
    files_of,
    modules_below,
    normalized,
    shares_its_name,
    shortest,
)

NAME = "cobbler_tree"
"""The name of this module in the job."""

STATUS = 94
"""The exit status if copies were tested."""

DONE = 80
"""Added to pytest's exit status (0 to 5) if its session came to its end.

So tested code that ends the process, with `raise SystemExit` or `os._exit(0)`, does not look like a success.
"""

_SET_DUMPABLE = 4
"""``PR_SET_DUMPABLE`` of the kernel."""


class Tree:
    """The tree under test, and what is installed beside it.

    Args:
        facts: the fields of ``Projects`` of the base.
    """

    def __init__(self, top: str, home: str, facts: dict[str, Any]) -> None:
        self.top = os.path.realpath(top)
        self._inside = (self.top + os.sep, os.path.realpath(home) + os.sep)
        self._distributions = set(facts["distributions"])
        self.roots = [root for root in facts["roots"] if self._is_root(root)]
        self._sources = [root for root in facts["sources"] if root in self.roots]
        self._held = {root: self._modules_of(root) for root in ["", *self.roots]}
        self.modules = {*facts["modules"], *(name for names in self._held.values() for name in names)}
        self._places = frozenset(facts["places"])
        self._began = beginning()
        self._library = directories_of("stdlib", "platstdlib")
        self._sites = directories_of("purelib", "platlib")
        self._own_files: set[str] = set()
        self._own_directories: list[str] = []
        self._firsts = {name.partition(".")[0] for name in self.modules}
        self._find_own()
        # An editable installation begins with modules of its own.
        self._begun = {name for name in sys.modules if not self._is_named(name)}
        self._owners: dict[str, set[str]] = {}
        self._others_are_known = False

    def _is_root(self, root: str) -> bool:
        place = os.path.join(self.top, root)
        return os.path.isdir(place) and not os.path.exists(os.path.join(place, "__init__.py"))

    def _modules_of(self, root: str) -> list[str]:
        def listing(directory: str) -> list[str]:
            try:
                with os.scandir(os.path.join(self.top, directory)) as entries:
                    return [entry.name + "/" * entry.is_dir() for entry in entries]
            except OSError:
                return []

        def is_shared(path: str) -> bool:
            try:
                with open(os.path.join(self.top, path), errors="replace") as file:
                    return shares_its_name(file.read(100_000))
            except OSError:
                return False

        return list(modules_below(listing, is_shared, root))

    def _find_own(self) -> None:
        """Note the installed files of the project's distributions, and the directories of editable ones."""
        for distribution in importlib.metadata.distributions():
            if normalized(distribution.metadata["Name"] or "") not in self._distributions:
                continue
            for file in distribution.files or ():
                self._own_files.add(os.path.realpath(str(distribution.locate_file(file))))
                self._firsts.add(re.split(r"[./]", str(file), maxsplit=1)[0])
            if directory := editable_directory(distribution.read_text("direct_url.json")):
                self._own_directories.append(os.path.realpath(directory) + os.sep)

    def is_outside(self, path: str) -> bool:
        return not path.startswith(self._inside)

    def is_library(self, path: str) -> bool:
        """Whether ``path`` is in the standard library."""
        if "site-packages" in path or "dist-packages" in path:
            return False
        return path.startswith(self._library) and not path.startswith(self._sites)

    def is_copy(self, module: str, file: str) -> bool:
        path = os.path.realpath(file)
        if path.startswith(self.top + os.sep):
            return self._is_second(module, path)
        if not self.is_outside(path) or self.is_library(path):
            return False
        if path in self._own_files or path.startswith(tuple(self._own_directories)):
            return True
        return self._is_named(module) and not self._belongs_to_another(module, path)

    def _is_second(self, module: str, path: str) -> bool:
        """Whether a module was committed beside the one of the project that has its name."""
        name = self._name_of(module)
        below = module.count(".") - name.count(".")
        parts = os.path.relpath(re.sub(r"(/__init__)?\.\w+$", "", path), self.top).split(os.sep)
        place = "/".join(parts[: len(parts) - below])
        inside = name.replace(".", "/")
        if not name or place in self._places or not f"/{place}".endswith(f"/{inside}"):
            return False
        if os.stat(path).st_ctime_ns > self._began:  # made by the gate
            return False
        roots = {"/".join(filter(None, (root, inside))) for root in self._held if name in self._held[root]}
        return bool(roots) and roots != {place}

    def _name_of(self, module: str) -> str:
        """The module of the project to which a module belongs; empty if it belongs to none."""
        parts = module.split(".")
        names = (".".join(parts[:count]) for count in range(1, len(parts) + 1))
        return next((name for name in names if name in self.modules), "")

    def _is_named(self, module: str) -> bool:
        return bool(self._name_of(module))

    def _belongs_to_another(self, module: str, path: str) -> bool:
        if not self._others_are_known:
            self._find_others()
        return any(path.startswith(site) for site in self._owners.get(module.partition(".")[0], ()))

    def _find_others(self) -> None:
        """Note in which directories the distributions of others have put top-level names."""
        self._others_are_known = True
        for distribution in importlib.metadata.distributions():
            if normalized(distribution.metadata["Name"] or "") in self._distributions:
                continue
            site = os.path.realpath(str(distribution.locate_file(""))) + os.sep
            site = editable_directory(distribution.read_text("direct_url.json")) or site
            names = (distribution.read_text("top_level.txt") or "").split()
            names += [str(file).partition("/")[0].partition(".")[0] for file in distribution.files or ()]
            for name in names:
                self._owners.setdefault(name, set()).add(site)

    def copies(self, names: Iterable[str], directory: str) -> dict[str, str]:
        """Those of ``names`` of which ``directory``, an entry of the path, holds a copy, and its file."""
        held = {
            name: [file for file in files_of(directory, name) if self.is_copy(name, file)] for name in names
        }
        return {name: files[0] for name, files in held.items() if files}

    def only_copy(self, module: str) -> str:
        """The file of a copy of ``module``, which may be compiled; empty if there is none."""
        if module.partition(".")[0] not in self._firsts:
            return ""
        for _, entry in self.outside_path():
            for file in [*files_of(entry, module), *compiled_files(entry, module)]:
                if self.is_copy(module, file):
                    return file
        return ""

    def outside_path(self) -> Iterator[tuple[int, str]]:
        """The entries of the path from which copies may come, and their indexes."""
        for index, entry in enumerate(sys.path):
            path = os.path.realpath(entry) + os.sep
            if entry and self.is_outside(path) and not self.is_library(path) and os.path.isdir(entry):
                yield index, entry

    def put_first(self) -> Iterator[str]:
        """Put the directories with the tree's packages before the first copy on the path.

        Not before the standard library, if the copies are behind it: a module of the tree may have a name of
        a module there. Without a copy, the sources come last. Child processes get the directories in
        ``PYTHONPATH``.

        Yields:
            why a directory stays where it is.
        """
        exported = []
        for root in [*self.roots, ""]:
            place = os.path.join(self.top, root) if root else self.top
            names = self._held[root]
            index = next((i for i, entry in self.outside_path() if self.copies(names, entry)), None)
            if index is None and root not in self._sources:
                continue
            hidden = self._hides(names, index or 0)
            if index is None:
                sys.path += [] if place in sys.path else [place]
            elif root and hidden:
                yield f"{root}/ cannot come first on Python's path: it would hide {hidden}."
            elif root and place not in sys.path[:index]:
                sys.path.insert(index, place)
            if not hidden and not self._replaces_library(names):
                exported.append(place)
        if exported:
            others = [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
            os.environ["PYTHONPATH"] = os.pathsep.join(exported + others)

    def _hides(self, names: Iterable[str], first: int) -> str:
        """An installed module of another distribution that has one of ``names``; empty if there is none."""
        for index, entry in self.outside_path():
            for name in names if index >= first else ():
                for file in files_of(entry, name):
                    if not self.is_copy(name, file):
                        return f"the installed {name} ({file})"
        return ""

    def _replaces_library(self, names: Iterable[str]) -> bool:
        known = getattr(sys, "stdlib_module_names", None)
        for name in names:
            in_files = any(os.path.exists(place + name + end) for place in self._library for end in SUFFIXES)
            if name != "test" and (name in known if known is not None else in_files):
                return True
        return False

    def imported(self) -> dict[str, str]:
        """The copies that this process has imported: name and file."""
        found = {}
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if name not in self._begun and isinstance(file, str) and self.is_copy(name, file):
                found[name] = file
        return found

    def path_of(self, module: str) -> str:
        """Where the project holds a module, relative to the top; empty if it does not."""
        found = ""
        for root in [*self.roots, ""]:
            path = os.path.join(root, *module.split("."))
            for end in ("", ".py"):
                if os.path.exists(os.path.join(self.top, path + end)):
                    if path in self._places:
                        return path + end
                    found = found or path + end
        return found


# In the job


_HERE = sys.argv[2] if __name__ == "__main__" else os.path.dirname(os.path.abspath(__file__))


class Findings:
    """What the processes of one gate have found, a file of lines for each process.

    It is also a finder, asked last: it finds nothing, and notes modules that only a copy of a package holds.
    """

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.is_complete = False
        self._known: set[tuple[str, str, str]] = set()

    def note(self, kind: str, name: str, file: str) -> None:
        if (kind, name, file) in self._known:
            return
        self._known.add((kind, name, file))
        with open(os.path.join(_HERE, f"found-{os.getpid()}"), "a") as out:
            out.write(json.dumps([kind, name, file]) + "\n")

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> None:
        if file := self.tree.only_copy(name):
            self.note("lacking", name, file)

    def look(self) -> None:
        for name, file in self.tree.imported().items():
            self.note("copy", name, file)


def read_findings() -> dict[str, dict[str, str]]:
    """Module and file, by the kind of finding."""
    found: dict[str, dict[str, str]] = {"copy": {}, "lacking": {}}
    for entry in sorted(os.listdir(_HERE)):
        if entry.startswith("found-"):
            with open(os.path.join(_HERE, entry)) as lines:
                for line in lines:
                    kind, name, file = json.loads(line)
                    found[kind].setdefault(name, file)
    return found


def _way_to_make(file: str) -> str:
    """How a file that only a copy has can be made."""
    if file.endswith(".py"):
        return "with the program that generates it, or write it there"
    return "compile it there, with a compiler in the image"


def report(tree: Tree, *, accepted: bool, reasons: list[str], status: int) -> int:
    """Print what was found; returns the exit status of the gate."""
    found = read_findings()
    copies = shortest(found["copy"])
    if status not in (0, 5):
        for name, file in sorted(found["lacking"].items()):
            print(f"{name} is not in the tree: only an installed copy has it ({file}).")
        for name, file in sorted(found["lacking"].items()):
            path = os.path.join(tree.path_of(name.rpartition(".")[0]), os.path.basename(file))
            print(f"Make {path} in build_command: {_way_to_make(file)}")
    for name, file in copies.items():
        held = tree.path_of(name)
        if not tree.is_outside(file):
            print(f"{name} was imported from {os.path.relpath(file, tree.top)}, not from {held}.")
            continue
        print(f"{name} was imported from {file}, not from the tree" + (f" ({held})." if held else "."))
    if not copies:
        return status
    if accepted:
        with open(os.path.join(_HERE, "notes"), "w") as out:
            out.writelines(
                f"the tests imported {name} from {file}, not from the tree\n" for name, file in copies.items()
            )
        return status
    missed = "tree" if any(map(tree.is_outside, copies.values())) else "project"
    print(*reasons, f"So the tests did not test the {missed}.", sep="\n")
    return STATUS


def start(top: str, facts: dict[str, Any]) -> Findings:
    """Watch the imports of this process."""
    findings = Findings(Tree(top, os.path.dirname(_HERE), facts))
    sys.meta_path.append(findings)
    return findings


_findings: Findings | None = None


def pytest_collection_finish() -> None:
    if _findings:
        _findings.look()


def pytest_sessionfinish() -> None:
    if _findings:
        _findings.is_complete = True
        _findings.look()


def close_memory() -> None:
    """Keep other processes of the job, such as those that tests start, out of the memory of this one."""
    # The Python of the image may lack ctypes, and another system than Linux the call.
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(_SET_DUMPABLE, 0, 0, 0, 0)


def keep_report() -> None:
    """Keep the file of the report, which has no name, from the processes that tests start."""
    path = os.environ.pop("COBBLER_REPORT", "")
    if path:
        os.set_inheritable(int(os.path.basename(path)), False)


def run(facts: dict[str, Any], arguments: list[str]) -> int:
    """Run pytest as ``python -m pytest`` does, with the tree's packages first; returns the exit status."""
    global _findings
    close_memory()
    keep_report()
    top = os.getcwd()
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = top  # `python -c` has an empty entry there
    sys.path.append(_HERE)
    for entry in os.listdir(_HERE):
        if entry.startswith(("found-", "notes")):  # of an earlier run in the same job
            os.remove(os.path.join(_HERE, entry))
    with open(os.path.join(_HERE, "state"), "w") as file:
        json.dump([top, facts], file)
    if importlib.util.find_spec("pytest") is None:
        print(
            "pytest is not installed where the gate runs: add it to the image or set test_command",
            file=sys.stderr,
        )
        return 127
    _findings = start(top, facts)
    reasons = [] if facts["accept"] else list(_findings.tree.put_first())
    sys.modules[NAME] = sys.modules["__main__"]
    sys.argv = ["pytest", "-p", NAME, *arguments]
    try:
        runpy.run_module("pytest", run_name="__main__", alter_sys=True)
        status: Any = 0
    except SystemExit as end:
        status = end.code
    _findings.look()
    number = report(_findings.tree, accepted=facts["accept"], reasons=reasons, status=_number(status))
    return number + DONE if _findings.is_complete and number <= 5 else number


def _number(status: Any) -> int:
    if status is None or isinstance(status, int):
        return int(status or 0)
    print(status, file=sys.stderr)
    return 1


def print_installed(facts: dict[str, Any]) -> None:
    """Print, a line each, the copies that Python finds without the tree on its path, and those in it."""
    tree = Tree(os.getcwd(), os.path.dirname(_HERE), facts)
    found: dict[str, str] = {}
    for _, entry in tree.outside_path():
        for name, file in tree.copies(tree.modules, entry).items():
            found.setdefault(name, file)
    for name, file in shortest(found).items():
        print(f"{name} is also installed where the gate runs: its commands may have tested {file}")
    for name, file in files_named(tree.top, tree.modules):
        if tree.is_copy(name, file):
            place = os.path.relpath(file, tree.top).replace("\n", "?")
            print(f"{name} is also in the tree, and new there: the commands may have tested {place}")


if __name__ == "__main__":
    if sys.argv[1] == "run":
        sys.exit(run(json.loads(sys.argv[3]), sys.argv[4:]))
    print_installed(json.loads(sys.argv[3]))
elif __name__ == NAME:  # in a worker of pytest-xdist
    close_memory()
    with open(os.path.join(_HERE, "state")) as _state:
        _findings = start(*json.load(_state))
