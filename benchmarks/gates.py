"""Runs the default gates on real projects of the package registries: `python -m benchmarks.gates DIRECTORY`.

Every project is gated four times: not installed and with an installed copy, each as it is and with a planted
fault. The first has to be green, the second red. Projects are downloaded once, into the directory; the rest
needs pip and, for the projects in Go, go. The results are kept in the directory, and `docs/gate.md` has a
table of them; names of projects after the directory choose those alone.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import venv
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from pytest_cobbler.landing.gate import Gate, GateResult
from pytest_cobbler.languages import Go, Language
from pytest_cobbler.languages.python import Python
from pytest_cobbler.languages.python_projects import find_projects
from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox.base import Network
from pytest_cobbler.sandbox.host import HostSandbox

PAGE = Path(__file__).parents[1] / "docs" / "gate.md"
BEGIN = "<!-- projects: python -m benchmarks.gates DIRECTORY -->\n"
END = "<!-- end of projects -->\n"


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project of a registry.

    ``faulty`` is the file that the planted fault replaces; in Go the package at the top, empty if there is
    none. ``needs`` are packages that its tests import. Registries of Go hold no nested modules and no
    ``vendor/``: ``nested`` is a module for a directory below, and ``vendors`` makes ``vendor/``. ``only`` are
    the test files that are kept, if not all are.
    """

    name: str
    version: str
    shape: str
    faulty: str = ""
    needs: tuple[str, ...] = ()
    nested: str = ""
    vendors: bool = False
    only: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"{self.name}@{self.version}"


PYTHON = (
    Project(name="six", version="1.17.0", shape="single module", faulty="six.py"),
    Project(name="tabulate", version="0.9.0", shape="single module", faulty="tabulate/__init__.py"),
    Project(
        name="itsdangerous",
        version="2.2.0",
        shape="src",
        faulty="src/itsdangerous/__init__.py",
        needs=("freezegun",),
    ),
    Project(
        name="iniconfig",
        version="1.1.1",
        shape="src, tests elsewhere",
        faulty="src/iniconfig/__init__.py",
        needs=("py",),
    ),
    Project(
        name="iso8601",
        version="2.1.0",
        shape="flat, tests inside, parametrised",
        faulty="iso8601/__init__.py",
        needs=("hypothesis", "pytz"),
    ),
    Project(
        name="blinker",
        version="1.8.2",
        shape="src",
        faulty="src/blinker/__init__.py",
        needs=("pytest-asyncio<0.24",),
    ),
    Project(
        name="jaraco.functools",
        version="4.0.2",
        shape="namespace, doctests",
        faulty="jaraco/functools/__init__.py",
        needs=("more-itertools", "jaraco.classes"),
    ),
    Project(name="more-itertools", version="10.5.0", shape="flat", faulty="more_itertools/__init__.py"),
    Project(name="inflection", version="0.5.1", shape="flat, parametrised", faulty="inflection/__init__.py"),
    Project(name="cachetools", version="5.5.0", shape="src", faulty="src/cachetools/__init__.py"),
    Project(name="toolz", version="0.12.1", shape="flat, tests inside", faulty="toolz/__init__.py"),
    Project(
        name="jaraco.classes",
        version="3.4.0",
        shape="namespace, doctests only",
        faulty="jaraco/classes/properties.py",
        needs=("more-itertools",),
    ),
    Project(
        name="mistune",
        version="2.0.5",
        shape="flat, tests made from data files",
        faulty="mistune/__init__.py",
    ),
    Project(
        name="semver",
        version="3.0.2",
        shape="src, parametrised",
        faulty="src/semver/__init__.py",
        needs=("pytest-cov",),
    ),
    Project(name="MarkupSafe", version="2.1.5", shape="src, extension", faulty="src/markupsafe/__init__.py"),
)

FAULT = "package {package}\n\nfunc init() {{ panic(0) }}\n"
_SHLEX = "v0.0.0-20191202100458-e7afc7fbc510"
GO = (
    Project(name="github.com/google/uuid", version="v1.6.0", shape="one package", faulty="uuid"),
    Project(name="github.com/mattn/go-isatty", version="v0.0.20", shape="build tags", faulty="isatty"),
    Project(name="github.com/spf13/pflag", version="v1.0.10", shape="several directories", faulty="pflag"),
    Project(name="github.com/hashicorp/go-version", version="v1.7.0", shape="table tests", faulty="version"),
    Project(name="golang.org/x/sync", version="v0.8.0", shape="several packages, none at the top"),
    Project(name="github.com/gorilla/mux", version="v1.8.1", shape="subtests, examples", faulty="mux"),
    Project(name="github.com/google/shlex", version=_SHLEX, shape="no dependencies", faulty="shlex"),
    Project(name="github.com/fatih/color", version="v1.17.0", shape="vendor", faulty="color", vendors=True),
    Project(name="github.com/google/go-cmp", version="v0.7.0", shape="internal packages, none at the top"),
    Project(name="github.com/BurntSushi/toml", version="v1.4.0", shape="testdata", faulty="toml"),
    Project(name="github.com/cespare/xxhash/v2", version="v2.3.0", shape="assembly", faulty="xxhash"),
    Project(name="github.com/mattn/go-runewidth", version="v0.0.16", shape="tables", faulty="runewidth"),
    Project(
        name="github.com/rivo/uniseg",
        version="v0.4.7",
        shape="examples only",
        faulty="uniseg",
        only=("examples_test.go",),
    ),
    Project(
        name="github.com/dustin/go-humanize",
        version="v1.0.1",
        shape="nested module",
        faulty="humanize",
        nested="github.com/google/uuid@v1.6.0",
    ),
)


def pip(command: str, *arguments: str | Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", command, "--quiet", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"pip {command} {arguments}:\n{done.stdout}{done.stderr}")


class Bench:
    """Downloads, interpreters and gates below one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def _environment(self, name: str) -> Path:
        path = self.directory / "environments" / name
        if not path.exists():
            venv.create(path, symlinks=True, with_pip=False)
        return path

    def unpacked(self, project: Project) -> Path:
        tree = self.directory / "trees" / project.id
        if not tree.exists():
            sources = self.directory / "sources"
            wanted = f"{project.name}=={project.version}"
            pip(
                "download",
                "--no-deps",
                "--no-binary",
                ":all:",
                "-d",
                sources,
                wanted,
            )
            stems = {project.name.lower(), project.name.lower().replace("-", "_").replace(".", "_")}
            (archive,) = (
                path
                for path in sources.glob("*.tar.gz")
                if path.name.removesuffix(f"-{project.version}.tar.gz").lower() in stems
            )
            with tempfile.TemporaryDirectory() as temporary, tarfile.open(archive) as opened:
                opened.extractall(temporary, filter="data")
                (top,) = Path(temporary).iterdir()
                shutil.move(top, tree)
            for metadata in tree.rglob("*.egg-info"):  # not in a checkout
                shutil.rmtree(metadata)
        return tree

    def copy(self, project: Project, target: Path) -> None:
        """Write the files of a project to the new directory ``target``."""
        shutil.copytree(self.unpacked(project), target)

    def interpreter(self, project: Project, *, installed: bool) -> Path:
        path = self._environment(project.id + "-installed" * installed)
        site = site_of(path)
        if not any(site.glob("*.dist-info")):
            pip("install", "--target", site, "pytest", "setuptools", *project.needs)
            if installed:
                with tempfile.TemporaryDirectory() as temporary:
                    copy = shutil.copytree(self.unpacked(project), Path(temporary, "copy"))
                    pip("install", "--ignore-installed", "--no-deps", "--prefix", path, copy)
        return path

    def gate(self, language: Language, tree: Path, environment: Mapping[str, str]) -> GateResult:
        sandbox = HostSandbox(repository=f"gates-{os.getpid()}", run_id="gates")
        gate = Gate(
            steps=language.gate(),
            sandbox=sandbox,
            network=Network.NONE,
            image=None,
            timeout=600,
            environment=environment,
        )
        return gate.run(tree, self.directory / "gate.log", Cancellation())


def site_of(environment: Path) -> Path:
    return Path(sysconfig.get_path("purelib", vars={"base": str(environment)}))


def python_gates(bench: Bench, project: Project) -> Iterator[tuple[str, bool, GateResult]]:
    good = bench.unpacked(project)
    paths = [str(path.relative_to(good)) for path in good.rglob("*") if path.is_file()]
    language = Python(projects=find_projects(paths, lambda path: (good / path).read_bytes()))
    for installed in (False, True):
        interpreter = bench.interpreter(project, installed=installed)
        environment = {"PATH": f"{interpreter}/bin:{os.environ['PATH']}"}
        for fault in (False, True):
            with tempfile.TemporaryDirectory() as temporary:
                tree = shutil.copytree(good, Path(temporary, project.name))
                if fault:
                    (tree / project.faulty).write_text("raise SystemExit\n")
                case = f"{'installed' if installed else 'alone'}, {'fault' if fault else 'good'}"
                yield case, not fault, bench.gate(language, tree, environment)


def go_tree(bench: Bench, project: Project, tree: Path) -> dict[str, str]:
    """Write a module of Go to the new directory ``tree``; returns the variables of its gate."""
    # A cache like that of an image: the gate's own is empty at the start of each run.
    cache = bench.directory / "build-cache"
    variables = {
        "GOMODCACHE": str(bench.directory / "modules"),
        "GOFLAGS": "-modcacherw",
        "GOTOOLCHAIN": "local",
        "COBBLER_GOCACHE": str(cache),
    }

    def go(*arguments: str | Path, where: Path = tree) -> str:
        environment = {**os.environ, **variables, "GOCACHE": str(cache)}
        return subprocess.run(
            ["go", *arguments], cwd=where, env=environment, stdout=subprocess.PIPE, text=True, check=True
        ).stdout

    def download(module: str, target: Path) -> None:
        found = json.loads(go("mod", "download", "-json", module, where=bench.directory))
        shutil.copytree(found["Dir"], target)
        subprocess.run(["chmod", "-R", "u+w", target], check=True)

    download(project.id, tree)
    if project.nested:
        download(project.nested, tree / "nested")
    for test in tree.rglob("*_test.go") if project.only else ():
        if test.name not in project.only:
            test.unlink()
    go("mod", "download")
    if project.vendors:
        go("mod", "vendor")
    go("test", "-count=1", "-run=^$", "./...")
    return variables


def go_gates(bench: Bench, project: Project) -> Iterator[tuple[str, bool, GateResult]]:
    with tempfile.TemporaryDirectory() as temporary:
        tree = Path(temporary, "tree")
        variables = go_tree(bench, project, tree)
        for fault in (False, True):
            if fault:
                places = [tree] if project.faulty else [path.parent for path in tree.rglob("*_test.go")]
                package = project.faulty or places[0].name
                (places[0] / "fault.go").write_text(FAULT.format(package=package))
            result = bench.gate(Go(module=project.name), tree, variables)
            yield "fault" if fault else "good", not fault, result


@dataclass(frozen=True)
class Verdict:
    """What a gate said of one case of a project."""

    case: str
    right: bool
    tests: int


def tried(bench: Bench, project: Project) -> list[Verdict]:
    """Every case of a project; what is wrong is printed with the end of its output."""
    verdicts = []
    gates = python_gates if project in PYTHON else go_gates
    for case, expected, result in gates(bench, project):
        ran = result.tests.counts.ran if result.tests else 0
        # A gate that is green without tests proves nothing here.
        right = result.passed == expected and (ran > 0 or not expected)
        verdicts.append(Verdict(case, right, ran))
        said = f"green, {ran} tests" if result.passed else result.summary
        print(f"{'ok' if right else 'WRONG':5} {project.name} ({project.shape}), {case}: {said}", flush=True)
        if not right:
            print("\n".join(result.output.splitlines()[-25:]))
    return verdicts


def table(known: Mapping[str, list[list[Any]]]) -> str:
    """The table in Markdown of what is kept: project -> its verdicts."""
    rows = [["project", "version", "has", "tests", "good work", "planted fault"], ["---"] * 6]
    for project in (*PYTHON, *GO):
        verdicts = [Verdict(*one) for one in known.get(project.id, ())]
        rows.append([f"`{project.name}`", project.version.split("-")[0], project.shape, *_ends(verdicts)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _ends(verdicts: list[Verdict]) -> list[str]:
    good = [one for one in verdicts if one.case.endswith("good")]
    faults = [one for one in verdicts if one.case.endswith("fault")]
    return [
        str(max((one.tests for one in good), default=0)),
        "green" if good and all(one.right for one in good) else "not tried" if not good else "RED",
        "red" if faults and all(one.right for one in faults) else "not tried" if not faults else "GREEN",
    ]


def main() -> int:
    directory = Path(sys.argv[1]).absolute()
    directory.mkdir(parents=True, exist_ok=True)
    bench = Bench(directory)
    kept = directory / "results.json"
    known: dict[str, list[list[Any]]] = json.loads(kept.read_text()) if kept.exists() else {}
    wrong = 0
    for project in (*PYTHON, *GO):
        if sys.argv[2:] and project.name not in sys.argv[2:]:
            continue
        verdicts = tried(bench, project)
        wrong += sum(not one.right for one in verdicts)
        known[project.id] = [list(astuple(one)) for one in verdicts]
        kept.write_text(json.dumps(known, indent=1))
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{table(known)}\n{END}{rest.partition(END)[2]}", "utf-8")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
