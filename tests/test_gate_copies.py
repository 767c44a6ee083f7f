"""The default gate of Python tests the packages of the tree, and not copies of them in the image."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping
from pathlib import Path

import pytest

from pytest_cobbler.languages.python import Python
from pytest_cobbler.languages.python_projects import find_projects
from pytest_cobbler.languages.python_tree import STATUS

pytestmark = pytest.mark.slow

PYPROJECT = '[build-system]\nrequires = ["setuptools"]\n[project]\nname = "my-calc"\nversion = "1"\n'
CALC = {"__init__.py": "from calc.core import total\n", "core.py": "def total(*n):\n    return sum(n)\n"}
TEST = "import calc\n\n\ndef test_total():\n    assert calc.total(1, 2) == 3\n"


def in_directory(directory: str, files: Mapping[str, str]) -> dict[str, str]:
    return {f"{directory}/{name}": content for name, content in files.items()}


SRC = {"pyproject.toml": PYPROJECT, **in_directory("src/calc", CALC), "tests/test_calc.py": TEST}
FLAT = {"pyproject.toml": PYPROJECT, **in_directory("calc", CALC), "tests/test_calc.py": TEST}


def write(directory: Path, files: Mapping[str, str]) -> None:
    for name, content in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(content)


@pytest.fixture(scope="session")
def interpreter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the packages of this one behind its own."""
    directory = tmp_path_factory.mktemp("image") / "venv"
    venv.create(directory, symlinks=True, with_pip=False)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(directory)}))
    places = dict.fromkeys(entry for entry in sys.path if entry.endswith(("site-packages", "dist-packages")))
    (site / "others.pth").write_text("\n".join(places) + "\n")
    return directory


class Image:
    """A Python with pytest, and what a test installs for it; and a tree, which the gate tests with it."""

    def __init__(self, interpreter: Path, directory: Path) -> None:
        shutil.copytree(interpreter, directory / "venv", symlinks=True)
        self._python = directory / "venv" / "bin" / "python3"
        self.site = Path(sysconfig.get_path("purelib", vars={"base": str(directory / "venv")}))
        self.directory = directory
        self.tree = directory / "tree"
        self.home = directory / "home"
        for made in (self.tree, self.home):
            made.mkdir()
        self.base: dict[str, str] = {}
        self.environment: dict[str, str] = {}

    def install(self, files: Mapping[str, str], name: str = "my-calc", editable: str = "") -> None:
        write(self.site, files)
        metadata = self.site / f"{name.replace('-', '_')}-1.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        (metadata / "RECORD").write_text("".join(f"{file},,\n" for file in files))
        if editable:
            record = {"url": f"file://{editable}", "dir_info": {"editable": True}}
            (metadata / "direct_url.json").write_text(json.dumps(record))

    def language(self, *, accepts: bool = False) -> Python:
        projects = find_projects(self.base, lambda path: self.base[path].encode())
        return Python(projects=projects, accepts_copies=accepts)

    def write(self, base: Mapping[str, str]) -> None:
        """The files of the base, which are the tree until a test changes them."""
        self.base = dict(base)
        write(self.tree, base)

    def run(self, argv: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv,
            cwd=self.tree,
            env={
                "PATH": f"{self._python.parent}:{os.environ['PATH']}",
                "HOME": str(self.home),
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                **self.environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=200,
        )

    def gate(self, *, accepts: bool = False) -> tuple[int, str]:
        done = self.run(self.language(accepts=accepts).default_test().argv)
        return done.returncode, done.stdout


@pytest.fixture
def image(interpreter: Path, tmp_path: Path) -> Image:
    return Image(interpreter, tmp_path)


BROKEN = {"__init__.py": "raise SystemExit\n"}


@pytest.mark.parametrize("base", [SRC, FLAT], ids=["src", "flat"])
def test_the_tree_is_tested_though_the_image_has_a_copy(image: Image, base: dict[str, str]) -> None:
    image.install(in_directory("calc", CALC))
    image.write(base)
    assert image.gate()[0] == 0
    package = image.tree / ("src/calc" if base is SRC else "calc")
    (package / "core.py").write_text("def total(*n):\n    return 4\n")
    status, output = image.gate()
    assert (status, "assert 4 == 3" in output) == (1, True)
    (package / "core.py").unlink()
    write(package, BROKEN)
    assert image.gate()[0] not in (0, 5)


def test_the_tree_is_tested_in_child_processes_too(image: Image) -> None:
    test = (
        "import subprocess, sys\n\n\n"
        "def test_command():\n"
        "    command = [sys.executable, '-c', 'import calc; print(calc.__file__)']\n"
        "    assert '/tree/' in subprocess.run(command, capture_output=True, text=True, cwd='/').stdout\n"
    )
    image.install(in_directory("calc", CALC))
    for base in (SRC, FLAT):
        shutil.rmtree(image.tree)
        image.write({**base, "tests/test_calc.py": test})
        assert image.gate()[0] == 0


def test_a_project_of_src_layout_is_tested_though_it_is_not_installed(image: Image) -> None:
    image.write(SRC)
    assert image.gate()[0] == 0


@pytest.mark.parametrize(
    "change",
    [
        {"src/calc/__init__.py": None},
        {"src/calc/__init__.py": None, "src/calc/core.py": None},
        {
            "src/calc/__init__.py": None,
            "src/calc/core.py": None,
            "other/calc/__init__.py": "raise SystemExit\n",
            "pyproject.toml": PYPROJECT.replace("my-calc", "other"),
        },
        {"src/calc/__init__.py": "__path__ = [p]\nfrom calc.core import total\n"},
        {"src/__init__.py": ""},
        {"src/pluggy.py": "raise SystemExit\n"},
    ],
    ids=["no __init__", "deleted", "moved and renamed", "another path", "src a package", "hides pluggy"],
)
def test_a_change_cannot_make_the_gate_test_the_copy(image: Image, change: dict[str, str | None]) -> None:
    image.install(in_directory("calc", CALC))
    image.write(SRC)
    for path, content in change.items():
        if content is None:
            (image.tree / path).unlink()
        else:
            write(image.tree, {path: content.replace("[p]", f"['{image.site}/calc']")})
    status, output = image.gate()
    assert status == STATUS, output
    assert f"calc was imported from {image.site}/calc" in output.replace("calc.core", "calc")
    assert "So the tests did not test the tree." in output


FAULTY = "def total(*n):\n    return 4\n"


@pytest.mark.parametrize(
    ("base", "place"),
    [(SRC, "tests/calc"), (SRC, "calc"), (FLAT, "tests/calc"), ({}, "tests/calc")],
    ids=["src", "src, top", "flat", "new"],
)
def test_another_copy_in_the_tree_is_not_tested(image: Image, base: dict[str, str], place: str) -> None:
    image.write(base)
    sources = "src/calc" if base is SRC else "calc"
    write(image.tree, base or FLAT)
    assert image.gate()[0] == 0
    write(image.tree, {f"{sources}/core.py": FAULTY, **in_directory(place, CALC)})
    status, output = image.gate()
    assert status == STATUS, output
    assert f"calc was imported from {place}/__init__.py, not from {sources}." in output
    assert "So the tests did not test the project." in output


def test_a_project_may_move_and_have_namesakes(image: Image) -> None:
    image.write({**FLAT, "tests/tools.py": "x = 1\n", "tools.py": "x = 2\n"})
    (image.tree / "tests/test_calc.py").write_text(f"import tools\n{TEST}")
    assert image.gate()[0] == 0, "the base has both"
    shutil.rmtree(image.tree / "calc")
    write(
        image.tree,
        {**in_directory("src/calc", CALC), "tests/more/core.py": "", "tests/unit/calc/test_a.py": TEST},
    )
    status, output = image.gate()
    assert status == 0, output


def test_a_package_that_the_gate_makes_in_the_tree_is_its_own(image: Image) -> None:
    image.write({**SRC, "pyproject.toml": f"{PYPROJECT}[tool.pytest.ini_options]\npythonpath = ['made']\n"})
    started = image.directory / "started"
    started.mkdir()
    write(image.tree, in_directory("made/calc", CALC))
    argv = image.language().default_test().argv
    assert image.run(argv).returncode == STATUS, "committed"
    done = image.run(tuple(word.replace("/cobbler/shell", str(started)) for word in argv))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("kind", ["editable", "editable finder", "PYTHONPATH"])
def test_another_checkout_in_the_image_is_a_copy(image: Image, kind: str) -> None:
    app = image.directory / "app"
    write(app, SRC)
    if kind == "PYTHONPATH":
        image.environment["PYTHONPATH"] = f"{app}/src"
    if kind == "editable":
        image.install({"calc.pth": f"{app}/src\n"}, editable=str(app))
    elif kind == "editable finder":
        finder = (
            "import sys, importlib.util as u\n"
            "class Finder:\n"
            "    def find_spec(name, path=None, target=None):\n"
            "        if name == 'calc':\n"
            f"            return u.spec_from_file_location(name, '{app}/src/calc/__init__.py')\n"
            "sys.meta_path.append(Finder)\n"
        )
        image.install({"finder.pth": "import calc_finder\n", "calc_finder.py": finder}, editable=str(app))
    image.write(SRC)
    assert image.gate()[0] == 0
    write(image.tree, {"src/calc/core.py": "def total(*n):\n    return 4\n"})
    assert image.gate()[0] == 1
    shutil.rmtree(image.tree / "src" / "calc")
    assert image.gate()[0] == STATUS


def test_a_single_module_is_tested_from_the_tree(image: Image) -> None:
    image.install({"calc.py": CALC["core.py"]})
    image.write({"pyproject.toml": PYPROJECT, "src/calc.py": CALC["core.py"], "tests/test_calc.py": TEST})
    assert image.gate()[0] == 0
    (image.tree / "src/calc.py").write_text("def total(*n):\n    return 4\n")
    assert image.gate()[0] == 1


def test_a_namespace_is_shared_with_installed_packages(image: Image) -> None:
    image.install({"company/other.py": "x = 1\n"}, name="company-other")
    image.install(in_directory("company/calc", {"__init__.py": "y = 1\n"}))
    test = "import company.other, company.calc\n\n\ndef test():\n    assert company.calc.y == 2\n"
    image.write({"pyproject.toml": PYPROJECT, "src/company/calc/__init__.py": "y = 2\n", "test_it.py": test})
    assert image.gate()[0] == 0


def test_names_of_installed_packages_are_free_for_helpers_and_application_modules(image: Image) -> None:
    image.install({"redis/__init__.py": "there = 1\n"}, name="redis")
    test = "import redis, src.redis\n\n\ndef test():\n    assert redis.there and src.redis.here\n"
    image.write(
        {
            "pyproject.toml": PYPROJECT,
            "src/redis.py": "import redis\nhere = redis.there\n",
            "src/types.py": "raise SystemExit\n",
            "tests/redis.py": "",
            "tests/sub/test_it.py": test,
        }
    )
    assert image.gate()[0] == 0


def test_a_module_that_only_the_copy_has_is_named_with_the_remedy(image: Image) -> None:
    image.install(in_directory("calc", {**CALC, "_version.py": "v = 1\n"}))
    image.write(SRC)
    write(image.tree, {"src/calc/__init__.py": "from calc._version import v\n"})
    status, output = image.gate()
    assert status == 1
    assert f"calc._version is not in the tree: only an installed copy has it ({image.site}" in output
    assert "Make src/calc/_version.py in build_command: with the program that generates it" in output


def test_a_copy_that_the_gate_installs_in_its_home_counts_as_the_tree(image: Image) -> None:
    fresh = image.home / "fresh"
    write(fresh / "calc", {**CALC, "_version.py": "v = 1\n"})
    image.write(SRC)
    shutil.rmtree(image.tree / "src")
    image.environment["PYTHONPATH"] = str(fresh)
    assert image.gate()[0] == 0


def test_accepted_copies_are_a_note(image: Image) -> None:
    image.install(in_directory("calc", CALC))
    image.write(SRC)
    write(image.tree, {"src/calc/core.py": "def total(*n):\n    return 4\n"})
    assert image.gate(accepts=True)[0] == 0
    notes = image.run(image.language(accepts=True).default_test().notes)
    assert notes.stdout == f"the tests imported calc from {image.site}/calc/__init__.py, not from the tree\n"


def test_own_commands_have_a_note_if_the_image_has_a_copy(image: Image) -> None:
    image.write(SRC)
    assert image.run(image.language().notes_on_commands()).stdout == ""
    image.install(in_directory("calc", CALC))
    notes = image.run(image.language().notes_on_commands())
    assert notes.stdout == (
        "calc is also installed where the gate runs: its commands may have tested "
        f"{image.site}/calc/__init__.py\n"
    )
    assert image.language(accepts=True).notes_on_commands() == ()


def test_own_commands_have_a_note_if_a_change_brings_another_copy(image: Image) -> None:
    image.write({**SRC, "tests/tools.py": "x = 1\n", "tools.py": "x = 2\n"})
    write(image.tree, {"tests/calc/core.py": "", "tests/unit/calc/test_a.py": TEST})
    assert image.run(image.language().notes_on_commands()).stdout == ""
    write(image.tree, {"src/calc/core.py": FAULTY, "a\nb/calc.py": "", **in_directory("tests/calc", CALC)})
    assert image.run(("sh", "-c", "PYTHONPATH=src python3 -m pytest -q")).returncode == 0
    note = "calc is also in the tree, and new there: the commands may have tested"
    said = image.run(image.language().notes_on_commands()).stdout
    assert said.splitlines() == [f"{note} a?b/calc.py", f"{note} tests/calc/__init__.py"]


def test_workers_of_xdist_are_checked(image: Image) -> None:
    pytest.importorskip("xdist")
    image.install(in_directory("calc", CALC))
    # Only the worker imports it: the controller collects nothing.
    test = TEST.replace("import calc\n", f"import sys\n\nsys.path.insert(0, '{image.site}')\nimport calc\n")
    image.write({**SRC, "tests/test_calc.py": test, "pytest.ini": "[pytest]\naddopts = -p xdist -n 1\n"})
    status, output = image.gate()
    assert status == STATUS, output
    write(image.tree, {"tests/test_calc.py": TEST})
    assert image.gate()[0] == 0


def test_options_of_the_project_do_not_turn_the_check_off(image: Image) -> None:
    image.install(in_directory("calc", CALC))
    options = "addopts = -p no:cobbler_tree -p no:cacheprovider -W error -q\n"
    image.write({**SRC, "pytest.ini": f"[pytest]\n{options}"})
    assert image.gate()[0] == 0
    (image.tree / "src/calc/__init__.py").unlink()
    assert image.gate()[0] == STATUS


@pytest.mark.parametrize("end", ["raise SystemExit", "os._exit(0)", "os._exit(5)", "sys.exit(5)"])
@pytest.mark.parametrize("path", ["src/iniconfig/__init__.py", "tests/test_end.py"])
def test_a_process_that_ends_early_is_no_success(image: Image, path: str, end: str) -> None:
    """pytest imports iniconfig before it runs anything."""
    image.write(
        {"pyproject.toml": PYPROJECT.replace("my-calc", "iniconfig"), path: f"import os, sys\n{end}\n"}
    )
    image.environment["PYTHONPATH"] = f"{image.tree}/src"
    status, output = image.gate()
    assert status not in (0, 5), output


def test_pytest_starts_as_with_python_m(image: Image) -> None:
    test = (
        "import os, sys, multiprocessing, helper\n\n\n"
        "def test_path():\n"
        "    assert sys.path[0] == os.getcwd()\n"
        "    assert sys.modules['__main__'].__spec__.name == 'pytest.__main__'\n\n\n"
        "def test_process():\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        assert pool.apply(helper.double, (2,)) == 4\n"
    )
    options = "[pytest]\naddopts = --import-mode=importlib\n"
    image.write(
        {"tests/test_it.py": test, "pytest.ini": options, "helper.py": "def double(n): return 2 * n\n"}
    )
    status, output = image.gate()
    assert status == 0, output
