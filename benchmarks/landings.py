"""Lands changes of real projects by the default gates: `python -m benchmarks.landings DIRECTORY`.

Of each project, good changes have to land: a further test, another source, a renamed test file, another
`pyproject.toml` or `go.mod` (so that planted tests run). A planted fault must not land: alone, with such a
file, and with its tests switched off. Names of projects after the directory choose those alone.
"""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from benchmarks.gates import GO, PYTHON, Bench, Project, go_tree
from pytest_cobbler.landing.blame import RedGates
from pytest_cobbler.landing.candidates import Candidate, Landing
from pytest_cobbler.landing.gate import Gate
from pytest_cobbler.landing.gate_files import find_gate_files
from pytest_cobbler.landing.judge import TestJudge
from pytest_cobbler.landing.lane import LandingLane
from pytest_cobbler.landing.tree_gate import GateCheckouts, TreeGate
from pytest_cobbler.landing.tree_records import TreeRecords
from pytest_cobbler.languages import Go, Language
from pytest_cobbler.languages.python import Python
from pytest_cobbler.languages.python_projects import find_projects
from pytest_cobbler.listeners import RunListener
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.checks import Policy, check_change
from pytest_cobbler.repository.generations import Changes, Generation, create_generation, draft_generation
from pytest_cobbler.repository.identity import Identity, Person
from pytest_cobbler.repository.path_table import built_in_keys, built_in_patterns
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.trees import edited_tree
from pytest_cobbler.sandbox.base import Network
from pytest_cobbler.sandbox.host import HostSandbox

ADA = Identity.of(Person(name="Ada", email="ada@example.invalid"))
CLEARS = b"def pytest_collection_modifyitems(items):\n    items.clear()\n"
NEVER = b"//go:build never\n\n"


@dataclass(frozen=True, kw_only=True)
class Edit:
    """A change: path -> new content (``None``: removed), and whether it has to land."""

    name: str
    files: Mapping[str, bytes | None]
    lands: bool = True


class Lane:
    """A repository with the files of a project, a generation, and a lane with the default gate on it."""

    def __init__(
        self, directory: Path, files: Path, language: Language, environment: Mapping[str, str]
    ) -> None:
        self.directory = directory
        self.language = language
        _git(files, "init", "--quiet", "--initial-branch=main")
        _git(files, "add", "--all", "--force")
        _git(files, "-c", "user.name=Ada", "-c", "user.email=ada@example.invalid", "commit", "-qm", "Begin")
        self.repository = Repository(files, directory / "work")
        self.repository.work_dir.mkdir(parents=True, exist_ok=True)
        start = self.repository.head_commit()
        assert start
        self.generation: Generation = create_generation(
            self.repository,
            draft_generation(
                self.repository,
                prefix="generation-",
                base="main",
                start=start,
                now=datetime.datetime(2026, 1, 1),
                changes=Changes(),
            ),
            ADA,
        )
        gate = Gate(
            steps=language.gate(),
            sandbox=HostSandbox(repository="landings", run_id=directory.name),
            network=Network.NONE,
            image=None,
            timeout=900,
            environment=environment,
        )
        checkouts = GateCheckouts(self.repository, self.generation.name, gate.sandbox)
        tree_gate = TreeGate(gate=gate, places=checkouts, records=TreeRecords(directory / "records"))
        cancellation = Cancellation()
        judge = TestJudge(self.repository, tree_gate, language, cancellation)
        red_gates = RedGates(tree_gate, self.repository, language, cancellation)
        self.lane = LandingLane(
            self.repository, self.generation, ADA, tree_gate, judge, red_gates, RunListener(), cancellation
        )
        found = find_gate_files(self.repository, [start], gate.steps, language)
        self.policy = Policy(
            protected=built_in_patterns(),
            keys=(*built_in_keys(), *found.keys),
            gate=found.patterns,
            trusted=(start,),
        )

    @property
    def tip(self) -> str:
        tip = self.repository.read_ref(self.generation.ref)
        assert tip
        return tip

    def files(self) -> dict[str, bytes]:
        """The files of the tip."""
        blobs = self.repository.blobs(self.tip)
        contents = dict(self.repository.read_blobs(sorted(set(blobs.values()))))
        return {path: contents[blob] for path, blob in blobs.items()}

    def land(self, edit: Edit) -> tuple[Landing | None, str]:
        """The landing, and why it failed; no landing if the checks refuse the change."""
        removed = [path for path, content in edit.files.items() if content is None]
        written = {path: content for path, content in edit.files.items() if content is not None}
        tree = edited_tree(self.repository, self.repository.tree_of(self.tip), removed, written)
        _, refusals = check_change(self.repository.objects, self.tip, tree, self.policy)
        if refusals:
            return None, f"refused: {refusals}"
        landing = self.lane.land(
            Candidate(
                task_id="t-1",
                commit=self.repository.commit(tree, [self.tip], f"{edit.name}\n", ADA),
                policy=self.policy,
                log=self.directory / "gate.log",
                message=lambda notes, *_: "\n".join([edit.name, "", *notes]),
                on_landed=lambda _commit: None,
            )
        )
        gate = landing.gate
        output = gate.output if gate and not gate.passed else ""
        return landing, "\n".join([str(landing.cause), *landing.hidden, *landing.notes, output])


def _git(directory: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=directory, check=True, stdin=subprocess.DEVNULL)


def example(language: Language, files: Mapping[str, bytes]) -> str:
    """A file with tests; empty if the tests are doctests."""
    holders = [path for path, content in files.items() if language.holds_tests(PurePosixPath(path), content)]
    return min(holders, key=lambda path: (path.count("/"), path), default="")


def python_edits(lane: Lane, project: Project) -> Iterator[Edit]:
    files = lane.files()
    source, test = project.faulty, example(lane.language, files)
    place = PurePosixPath(test or source)
    if test:
        added = place.with_name("test_added_by_us.py")
        yield Edit(name="a further test", files={str(added): b"def test_added():\n    assert 1 + 1 == 2\n"})
        renamed = place.with_name(f"test_renamed_{place.name.removeprefix('test_')}")
        yield Edit(name="a renamed test file", files={test: None, str(renamed): files[test]})
        test = str(renamed)
    else:
        added = place.with_name("added_by_us.py")
        yield Edit(name="a further doctest", files={str(added): b'"""\n>>> 1 + 1\n2\n"""\n'})
    yield Edit(name="another source", files={source: files[source] + b"\n# A note.\n"})
    settings = next(name for name in ("pyproject.toml", "setup.cfg", "setup.py") if name in files)
    if settings != "setup.cfg":  # protected as a whole
        yield Edit(name="other settings", files={settings: files[settings] + b"\n# A note.\n"})
    fault = {source: b"raise SystemExit\n"}
    yield Edit(name="a fault", files=fault, lands=False)
    if settings == "pyproject.toml":
        content = files[settings] + b"\n# Another note.\n"
        yield Edit(name="a fault, and other settings", files={**fault, settings: content}, lands=False)
    conftest = str(PurePosixPath(test or source).with_name("conftest.py"))
    yield Edit(name="a fault, and no tests", files={**fault, conftest: CLEARS}, lands=False)


def go_edits(lane: Lane) -> Iterator[Edit]:
    files = lane.files()
    test = example(lane.language, files)
    place = PurePosixPath(test)
    package = next(line for line in files[test].splitlines() if line.startswith(b"package "))
    added = package + b'\n\nimport "testing"\n\nfunc TestAddedByUs(t *testing.T) {}\n'
    yield Edit(name="a further test", files={str(place.with_name("added_by_us_test.go")): added})
    renamed = place.with_name(f"renamed_{place.name}")
    yield Edit(name="a renamed test file", files={test: None, str(renamed): files[test]})
    sources = [
        path for path in files if path.endswith(".go") and not lane.language.is_test(PurePosixPath(path))
    ]
    for source in dict.fromkeys((sources[0], sources[-1])):  # the last may be in a nested module
        if "vendor/" not in source:
            yield Edit(name=f"another {source}", files={source: files[source] + b"\n// A note.\n"})
    yield Edit(name="another go.mod", files={"go.mod": files["go.mod"] + b"\n// A note.\n"})
    directory = place.parent
    name = package.decode().split()[1].removesuffix("_test")
    fault = {str(directory / "fault.go"): f"package {name}\n\nfunc init() {{ panic(0) }}\n".encode()}
    yield Edit(name="a fault", files=fault, lands=False)
    yield Edit(
        name="a fault, and another go.mod",
        files={**fault, "go.mod": files["go.mod"] + b"\n// Another note.\n"},
        lands=False,
    )
    off = {
        path: NEVER + content
        for path, content in lane.files().items()
        if PurePosixPath(path).parent == directory and path.endswith("_test.go")
    }
    yield Edit(name="a fault, and no tests", files={**fault, **off}, lands=False)
    if str(directory) != ".":
        nested = {**fault, str(directory / "go.mod"): b"module example.com/nested\n"}
        yield Edit(name="a fault, in a module of its own", files=nested, lands=False)


def _reader(top: Path) -> Callable[[str], bytes]:
    return lambda path: (top / path).read_bytes()


def lanes(bench: Bench, names: list[str]) -> Iterator[tuple[Project, Lane, Iterator[Edit]]]:
    for project in PYTHON + GO:
        if names and project.name not in names:
            continue
        with tempfile.TemporaryDirectory() as temporary:
            directory, files = Path(temporary), Path(temporary, "project")
            if project in PYTHON:
                bench.copy(project, files)
                paths = [str(path.relative_to(files)) for path in files.rglob("*") if path.is_file()]
                projects = find_projects(paths, _reader(files))
                interpreter = bench.interpreter(project, installed=False)
                environment = {
                    "PATH": f"{interpreter}/bin:{os.environ['PATH']}",
                    "SETUPTOOLS_SCM_PRETEND_VERSION": "1",
                }
                lane = Lane(directory, files, Python(projects=projects), environment)
                yield project, lane, python_edits(lane, project)
            else:
                environment = go_tree(bench, project, files)
                lane = Lane(directory, files, Go(module=project.name), environment)
                yield project, lane, go_edits(lane)
            lane.lane.close()


def main() -> int:
    directory = Path(sys.argv[1]).absolute()
    directory.mkdir(parents=True, exist_ok=True)
    wrong = 0
    for project, lane, edits in lanes(Bench(directory), sys.argv[2:]):
        for edit in edits:
            landing, reason = lane.land(edit)
            is_right = bool(landing and landing.commit) == edit.lands
            wrong += not is_right
            first = next((line for line in reason.splitlines() if line), "")
            tests = landing.record.summary if landing and landing.record else ""
            words = f"landed, {tests}" if landing and landing.commit else first
            notes = f"; notes: {landing.notes}" if landing and landing.commit and landing.notes else ""
            verdict = "ok" if is_right else "WRONG"
            print(f"{verdict:5} {project.name} ({project.shape}), {edit.name}: {words}{notes}", flush=True)
            if not is_right:
                print("\n".join(reason.splitlines()[-40:]), flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
