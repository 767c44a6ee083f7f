"""What the files of a repository show of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.actions.survey import Survey, survey
from pytest_cobbler.testing.samples import go_sample, python_sample
from tests.support.repositories import UserRepository

Surveyed = Callable[[Mapping[str, str]], Survey]


@pytest.fixture
def surveyed(tmp_path: Path) -> Surveyed:
    def surveyed(files: Mapping[str, str]) -> Survey:
        user = UserRepository.create(tmp_path)
        commit = user.commit(files)
        return survey(user.open(), commit)

    return surveyed


def test_the_survey_of_a_go_project(surveyed: Surveyed) -> None:
    seen = surveyed(go_sample() | {"internal/version.go": 'package internal\n\nconst Version = "v1.2.3"\n'})
    assert seen.found == {
        "language": "go",
        "module_path": "example.com/calculator",
        "source_dirs": ["cmd", "internal"],
        "binary_dir": "bin",
        "main_package": "cmd/calculator",
        "binary_name": "calculator",
        "version_file": "internal/version.go",
        "reset_sources": False,
        "spec_globs": {"docs": "docs/**/*.md"},
    }
    assert (seen.required, seen.notes) == ((), ())


def test_the_survey_of_a_python_project(surveyed: Surveyed) -> None:
    seen = surveyed(
        python_sample()
        | {"calculator/_version.py": "__version__ = '1.2'\n", "tools/release.py": "", "conftest.py": ""}
    )
    assert seen.found == {
        "language": "python",
        "module_path": "calculator",
        "source_dirs": ["calculator", "tests"],
        "version_file": "calculator/_version.py",
        "reset_sources": False,
        "spec_globs": {"docs": "docs/**/*.md"},
    }
    assert seen.required == ()


@pytest.mark.parametrize(
    ("files", "key", "value"),
    [
        # Go
        ({"go.mod": 'module "example.com/quoted" // why\n'}, "module_path", "example.com/quoted"),
        ({"go.mod": "module example.com/x\n"}, "source_dirs", ["."]),
        ({"go.mod": "module example.com/x\n", "a.go": "", "b/b.go": ""}, "source_dirs", ["."]),
        ({"go.mod": "module example.com/x\n", "bin/tool": ""}, "binary_dir", "build"),
        ({"go.mod": "module example.com/x\n", "main.go": "package main\n"}, "main_package", "."),
        ({"go.mod": "module example.com/x\n", "main.go": "package main\n"}, "binary_name", "x"),
        ({"go.mod": "module example.com/x\n", "magefiles/m.go": "package main\n"}, "main_package", None),
        ({"go.mod": "module example.com/x\n", "m_test.go": "package main\n"}, "main_package", None),
        ({"go.mod": "module example.com/x\n", "a/a.go": "package mainly\n"}, "main_package", None),
        (
            {"go.mod": "module e.com/b\n", "cmd/a/a.go": "package main\n", "cmd/b/b.go": "package main\n"},
            "main_package",
            "cmd/b",
        ),
        # Python
        ({"setup.cfg": "[metadata]\nname = older\n"}, "module_path", "older"),
        ({"pyproject.toml": '[tool.poetry]\nname = "poem"\n'}, "module_path", "poem"),
        ({"pyproject.toml": "not [toml"}, "module_path", None),
        ({"src/a/b.py": "", "tests/test_b.py": ""}, "source_dirs", ["src", "tests"]),
        ({"calculator.py": "", "tests/test_calculator.py": ""}, "source_dirs", ["."]),
        ({"requirements.txt": "requests\n"}, "language", "python"),
        ({"requirements.txt": "requests\n"}, "spec_globs", None),
        ({"requirements.md": "It shall.\n"}, "spec_globs", {"requirements": "requirements.md"}),
        # others
        ({"Makefile": "build: x\n\tcc\ntest::\n"}, "build_command", "make build"),
        ({"Makefile": "build = x\ntest:\n\ttrue\n"}, "test_command", "make test"),
        ({"Makefile": "build := x\n"}, "build_command", None),
        ({"Makefile": "build ::= x\nall: ; echo test: y\n"}, "test_command", None),
        ({"Makefile": "check test: hello\n\t./hello\n"}, "test_command", "make test"),
        ({"Makefile": "test:: x\n\ttrue\n"}, "test_command", "make test"),
        ({"Cargo.toml": ""}, "test_command", "cargo test --offline"),
        ({"package.json": '{"scripts": {"test": "x"}}'}, "test_command", "npm run test"),
        ({"package.json": '{"scripts": {"test": "x"}}'}, "build_command", None),
        ({"package.json": "[]"}, "test_command", None),
        # of all
        ({"VERSION": "1\n"}, "version_file", "VERSION"),
        ({"a.py": "", "x/version.py": "", "y/version.py": ""}, "version_file", None),
        (
            {"a/version.py": 'class Version:\n    def text(self):\n        version = "%d"\n'},
            "version_file",
            None,
        ),
        ({"README.md": "", "CHANGELOG.md": ""}, "spec_globs", {"readme": "README.md"}),
        (
            {"docs/a.md": "", "docs/mkdocs.yaml": "", "docs/specs/b.yaml": ""},
            "spec_globs",
            {"docs-md": "docs/**/*.md", "docs-yaml": "docs/**/*.yaml"},
        ),
        (
            dict.fromkeys(["docs/a.md", "docs/requirements.txt", "docs/dev-requirements.in.txt"], ""),
            "spec_globs",
            {"docs": "docs/**/*.md"},
        ),
        ({"doc/constraints.txt": "", "doc/CMakeLists.txt": ""}, "spec_globs", None),
        ({"doc/notes.txt": ""}, "spec_globs", {"doc": "doc/**/*.txt"}),
        ({"docs/\x07.md": "", "~/x.py": ""}, "spec_globs", None),
    ],
)
def test_the_survey_finds_a_key_or_leaves_it_out(
    surveyed: Surveyed, files: dict[str, str], key: str, value: Any
) -> None:
    assert surveyed(files).found.get(key) == value


@pytest.mark.parametrize(
    ("files", "required"),
    [
        ({"a.go": "package a\n"}, ("module_path",)),
        ({"go.mod": "module 'odd path'\n"}, ("module_path",)),
        ({"a.c": ""}, ("build_command", "test_command")),
        ({}, ("language",)),
        ({"requirements.txt": "requests\n"}, ()),
    ],
)
def test_a_key_that_no_file_shows_is_required(
    surveyed: Surveyed, files: dict[str, str], required: tuple[str, ...]
) -> None:
    assert surveyed(files).required == required


def test_the_survey_chooses_none_of_several_programs(surveyed: Surveyed) -> None:
    main = "package main\n"
    seen = surveyed({"go.mod": "module example.com/x\n", "cmd/a/a.go": main, "cmd/b/b.go": main})
    assert "main_package" not in seen.found
    assert seen.notes == ("main_package: found 2: cmd/a, cmd/b",)


def test_the_survey_at_the_top_names_the_projects_in_directories_below(surveyed: Surveyed) -> None:
    files = ("services/api/go.mod", "services/api/x/go.mod", "web/package.json", "examples/go.mod", "a.c")
    assert surveyed(dict.fromkeys(files, "")).notes == (
        "projects in directories below: services/api, web; "
        "for one of them: pytest --cobbler-init services/api/configuration.yaml",
    )


def test_the_survey_names_the_language_of_the_gate_if_there_are_two(surveyed: Surveyed) -> None:
    seen = surveyed({"go.mod": "module example.com/x\n", "x.go": "package x\n", "tools/x.py": ""})
    assert seen.found["language"] == "go"
    assert seen.notes == ("language: found go and python; the gate builds and tests only go",)
