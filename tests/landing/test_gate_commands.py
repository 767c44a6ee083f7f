"""The ways in which commands of a gate name the files, programs and modules that decide in it."""

from __future__ import annotations

import pytest

from tests.support.gate_files import Bench, bench
from tests.support.repositories import Content

__all__ = ["bench"]

MAKEFILE = "test:\n\t{}\n.PHONY: test\n"


@pytest.mark.parametrize(
    "gate",
    [
        "python3 -m pytest @ci/list.txt",
        "xargs python3 -m pytest <ci/list.txt",
        "while read -r test; do pytest $test; done <ci/list.txt",
        'python3 -m pytest "$(cat ci/list.txt)"',
        "python3 -m pytest `cat ci/list.txt`",
        "list=ci/list.txt; pytest -c $list",
        "PYTEST_ADDOPTS=@$PWD/ci/list.txt pytest",
        "MAKEFILES=ci/list.txt make test",
        "bash -c 'pytest \"@ci/list.txt\"'",
    ],
)
def test_a_file_is_protected_however_a_command_names_it(bench: Bench, gate: str) -> None:
    files: dict[str, Content] = {"ci/list.txt": "", "ci/other.txt": "", "README.md": ""}
    assert bench.refused(files, gate) == {"ci/list.txt"}


@pytest.mark.parametrize(
    "line",
    [
        "pytest -c ci/list.txt",
        "python3 -m pytest @ci/list.txt",
        "uv run pytest -p no:x --rootdir=. ci/list.txt",
        "xargs pytest <ci/list.txt",
        "sh -x tests.sh < ci/list.txt",
        "X=1 mypy --config-file ci/list.txt src",
    ],
)
def test_a_file_that_a_script_gives_to_its_tools_is_protected(bench: Bench, line: str) -> None:
    more = "\tcat VERSION; pip install -r requirements.txt pytest; hadolint Dockerfile; echo docs/a.txt\n"
    paths = ["ci/list.txt", "VERSION", "requirements.txt", "docs/a.txt", "Dockerfile"]
    files: dict[str, Content] = {"Makefile": MAKEFILE.format(f"{line}\n{more}"), **dict.fromkeys(paths, "")}
    changed: dict[str, Content] = dict.fromkeys(paths, "x")
    assert bench.refused(files, "make test", changed=changed) == {"ci/list.txt"}


@pytest.mark.parametrize(
    ("gate", "makefile"),
    [
        ("PATH=$PWD/bin:$PATH python3 -m pytest", ""),
        ('export PATH="$(pwd)/bin:$PATH"; python3 -m pytest', ""),
        ("PATH=bin:/usr/bin python3 -m pytest", ""),
        ("make test", "export PATH := $(CURDIR)/bin:$(PATH)\n" + MAKEFILE.format("python3 -m pytest")),
    ],
)
def test_no_change_puts_a_program_before_one_that_the_gate_runs(
    bench: Bench, gate: str, makefile: str
) -> None:
    files: dict[str, Content] = {"bin/app": "", "bin/env": "", "Makefile": makefile}
    changed: dict[str, Content] = dict.fromkeys(
        ["bin/python3", "bin/pytest", "bin/sh", "bin/app", "bin/env", "bin/more", "lib/python3"], "x"
    )
    assert bench.refused(files, gate, changed=changed) == {"bin/python3", "bin/pytest", "bin/sh"}


def test_a_directory_of_the_home_on_the_path_is_not_one_of_the_tree(bench: Bench) -> None:
    gate = "PATH=$HOME/bin:~/bin:/opt/bin:../bin:$PATH PYTHONPATH=$HOME/src:$X/.. python3 -m pytest"
    changed: dict[str, Content] = {"bin/pytest": "x", "src/pytest.py": "x", "opt/bin/pytest": "x"}
    assert bench.refused({}, gate, changed=changed) == set()


@pytest.mark.parametrize(
    ("gate", "place"),
    [
        ("cd back && python3 -m pytest", "back"),
        ("make -C back test", "back"),
        ("PYTHONPATH=$PWD/src python3 -m pytest", "src"),
        ('export PYTHONPATH="${PWD}/lib/"; pytest', "lib"),
    ],
)
def test_no_change_takes_the_place_of_a_module_where_python_looks_first(
    bench: Bench, gate: str, place: str
) -> None:
    files: dict[str, Content] = {
        "back/Makefile": MAKEFILE.format("python3 -m pytest"),
        f"{place}/app/core.py": "",
        f"{place}/queue.py": "",
    }
    taken = {f"{place}/{name}" for name in ("pytest.py", "_pytest/__init__.py", "argparse.py", "json/a.py")}
    free = [f"{place}/{name}" for name in ("app/json.py", "queue.py", "new.py", "tests/test_a.py", "json.md")]
    changed: dict[str, Content] = dict.fromkeys([*taken, *free, "other/pytest.py", "a.py"], "x")
    assert bench.refused(files, gate, changed=changed) == taken


def test_modules_are_free_where_the_gate_runs_no_python(bench: Bench) -> None:
    files: dict[str, Content] = {"web/package.json": "{}"}
    assert bench.refused(files, "cd web && npm run lint", changed={"web/json.py": "x"}) == set()


def test_modules_that_a_module_of_the_gate_imports_are_protected(bench: Bench) -> None:
    files: dict[str, Content] = {
        "tools/__init__.py": "",
        "tools/check.py": "import yaml, calc, tools.a.b\nfrom tools.rules import x\nfrom . import words\n",
        "tools/rules.py": "from tools import deep\n",
        "tools/deep.py": "",
        "tools/words.py": "",
        "tools/a/b.py": "",
        "tools/other.py": "",
        "calc/__init__.py": "",
    }
    inits = [f"{name}__init__.py" for name in ("", "yaml/", "tools/a/", "tools/b/")]
    changed: dict[str, Content] = {**files, **dict.fromkeys(["yaml.py", "more.py", *inits], "")}
    changed = {path: f"{content!r}-changed" for path, content in changed.items()}
    names = ("check", "rules", "deep", "words", "a/b", "__init__", "a/__init__")
    refused = {"yaml.py", "yaml/__init__.py", *(f"tools/{name}.py" for name in names)}
    assert bench.refused(files, "python3 -m tools.check", changed=changed) == refused
