from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.languages import Language, LineCount, Step, detect, get, language_names
from pytest_cobbler.languages.base import lines

PYTHON = get("python")
NONE = get("none")


# Which language


@pytest.mark.parametrize(
    ("tracked", "name"),
    [
        ([], "none"),
        (["README.md", "docs/setup.py.md"], "none"),
        (["sub/pyproject.toml"], "none"),
        (["main.go"], "none"),
        (["pyproject.toml"], "python"),
        (["setup.py"], "python"),
        (["setup.cfg"], "python"),
        (["deep/down/tool.py"], "python"),
    ],
)
def test_the_language_is_detected_from_the_files(tracked: list[str], name: str) -> None:
    assert detect(tracked).name == name


def test_an_unknown_language_is_refused_with_the_known_ones() -> None:
    known = ", ".join(language_names())
    with pytest.raises(UsageProblem, match=f"unknown language cobol; known languages: {known}"):
        get("cobol")


# Sources


@pytest.mark.parametrize(
    ("path", "source", "test"),
    [
        ("a.py", True, False),
        ("src/a/b.pyi", True, False),
        ("testing/a.py", True, False),
        ("latest.py", True, False),
        ("test_a.py", True, True),
        ("src/a_test.py", True, True),
        ("conftest.py", True, True),
        ("tests/helpers.py", True, True),
        ("a/test/b.py", True, True),
        ("tests/data.json", False, False),
        ("tests", False, False),
        ("a.pyc", False, False),
        ("py", False, False),
    ],
)
def test_python_source_and_test_files_are_recognized(path: str, source: bool, test: bool) -> None:
    assert (PYTHON.is_source(PurePosixPath(path)), PYTHON.is_test(PurePosixPath(path))) == (source, test)


def test_no_language_has_no_sources() -> None:
    assert not NONE.is_source(PurePosixPath("a.py"))
    assert NONE.count([(PurePosixPath("a.py"), b"1\n")]) == LineCount()
    assert NONE.gate() == ()


def test_lines_are_counted_by_kind() -> None:
    files = {
        "a.py": b"one\n\n# three\n",
        "b.py": b"no newline",
        "empty.py": b"",
        "tests/test_a.py": b"\xff\n\xfe",
        "README.md": b"many\n" * 100,
    }
    counted = PYTHON.count((PurePosixPath(path), content) for path, content in files.items())
    assert counted == LineCount(production=4, test=2)
    assert counted + LineCount(production=1) == LineCount(production=5, test=2)


@given(st.binary())
def test_every_line_counts_except_an_empty_last_one(content: bytes) -> None:
    seen = content.split(b"\n")
    assert lines(content) == len(seen) - (seen[-1] == b"")


# The default gate, run as the gate runs it


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    tree.mkdir()
    return tree


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A directory for PATH with what a small image has, but no Python."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "mktemp", "rm", "mkdir"):
        found = shutil.which(name)
        assert found
        (programs / name).symlink_to(found)
    return programs


def install_python(programs: Path, name: str, *options: str) -> None:
    script = programs / name
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {" ".join(options)} "$@"\n')
    script.chmod(0o755)


def run(step: Step | None, tree: Path, programs: Path) -> subprocess.CompletedProcess[str]:
    assert step is not None
    temporary = programs.parent / "temporary"
    temporary.mkdir(exist_ok=True)
    environment = {
        "PATH": os.fspath(programs),
        "TMPDIR": os.fspath(temporary),
        "HOME": os.fspath(temporary),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    done = subprocess.run(
        step.argv,
        cwd=tree,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert list(temporary.glob("tmp.*")) == []
    return done


def test_the_gate_builds_then_tests() -> None:
    assert [(step.name, step.shown) for step in PYTHON.gate()] == [
        ("build", "python3 -m compileall -q ."),
        ("test", "python3 -m pytest"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("step", PYTHON.gate(), ids=lambda step: str(step.name))
def test_what_is_printed_as_the_gate_is_what_runs(step: Step, tree: Path, programs: Path) -> None:
    started = tree.parent / "started"
    for name in ("python3", "python"):
        install_python(programs, name)
        script = programs / name
        script.write_text(script.read_text().replace("exec", f"echo {name} >>{started}; exec"))
    (tree / "test_a.py").write_text("def test_a(): pass\n")
    printed = replace(step, argv=("sh", "-c", step.shown))
    for name, fault, fails in [("test_b.py", "", False), ("test_c.py", "x = (\n", True)]:
        (tree / name).write_text(fault)
        assert [run(each, tree, programs).returncode > 0 for each in (step, printed)] == [fails, fails]
    assert set(started.read_text().split()) == {step.shown.split()[0]}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["python3", "python"])
def test_the_gate_passes_on_an_empty_project_and_reports_it(tree: Path, programs: Path, name: str) -> None:
    install_python(programs, name)

    assert run(PYTHON.default_build(), tree, programs).returncode == 0
    tested = run(PYTHON.default_test(), tree, programs)
    assert (tested.returncode, tested.stdout.splitlines()[-1]) == (0, "tests: none yet")


def test_code_that_does_not_compile_fails_with_the_error(tree: Path, programs: Path) -> None:
    install_python(programs, "python3")
    (tree / "package").mkdir()
    (tree / "package" / "bad.py").write_text("x = (\n")

    built = run(PYTHON.default_build(), tree, programs)

    assert built.returncode == 1
    assert "./package/bad.py" in built.stdout
    assert "SyntaxError" in built.stdout


def test_installed_packages_are_not_compiled(tree: Path, programs: Path) -> None:
    install_python(programs, "python3")
    for directory in (".venv", "node_modules", "venv/lib/site-packages"):
        (tree / directory).mkdir(parents=True)
        (tree / directory / "bad.py").write_text("x = (\n")

    assert run(PYTHON.default_build(), tree, programs).returncode == 0


def test_building_does_not_change_the_tree(tree: Path, programs: Path) -> None:
    install_python(programs, "python3")
    (tree / "package").mkdir()
    (tree / "package" / "good.py").write_text("x = 1\n")
    (tree / "__pycache__").write_text("a file where a directory would have to be")

    assert run(PYTHON.default_build(), tree, programs).returncode == 0
    assert sorted(path.name for path in tree.rglob("*")) == ["__pycache__", "good.py", "package"]


def test_a_module_of_the_tree_does_not_replace_the_compiler(tree: Path, programs: Path) -> None:
    install_python(programs, "python3")
    (tree / "compileall.py").write_text("import sys\nsys.exit(0)\n")
    (tree / "bad.py").write_text("x = (\n")

    assert run(PYTHON.default_build(), tree, programs).returncode == 1


@pytest.mark.parametrize(("body", "status"), [("pass", 0), ("assert 0", 1)])
def test_the_result_of_the_tests_decides(tree: Path, programs: Path, body: str, status: int) -> None:
    install_python(programs, "python3")
    (tree / "good.py").write_text("x = 1\n")
    (tree / "test_good.py").write_text(f"import good\ndef test_good(): {body}\n")

    tested = run(PYTHON.default_test(), tree, programs)

    assert tested.returncode == status
    assert "tests: none yet" not in tested.stdout
    assert not list(tree.rglob("*.pyc"))


@pytest.mark.slow
def test_a_file_that_cannot_be_imported_fails_the_gate_after_the_other_tests(
    tree: Path, programs: Path
) -> None:
    install_python(programs, "python3")
    (tree / "test_bad.py").write_text("import nowhere\n")
    (tree / "test_good.py").write_text("def test_good(): pass\n")
    tested = run(PYTHON.default_test(), tree, programs)
    assert tested.returncode == 1
    assert "1 passed, 1 error" in tested.stdout


def test_a_missing_python_is_reported_with_the_image_to_change(tree: Path, programs: Path) -> None:
    for step in PYTHON.gate():
        done = run(step, tree, programs)
        assert done.returncode == 127
        assert "python3 is not installed where the gate runs" in done.stderr


def test_a_missing_pytest_is_reported_with_the_remedy(tree: Path, programs: Path) -> None:
    install_python(programs, "python3", "-S")  # no site-packages, so no pytest

    done = run(PYTHON.default_test(), tree, programs)

    assert done.returncode == 127
    assert done.stderr == (
        "pytest is not installed where the gate runs: add it to the image or set test_command\n"
    )


@pytest.mark.parametrize("language", [PYTHON, NONE], ids=lambda language: str(language.name))
def test_the_gate_is_the_default_steps(language: Language) -> None:
    steps = (language.default_build(), language.default_test())
    assert language.gate() == tuple(step for step in steps if step)
