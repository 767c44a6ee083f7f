"""The projects that a repository says it holds: names of distributions and modules, and their directories."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pytest_cobbler.languages.python_projects import Projects, find_projects

SETUPTOOLS = '[build-system]\nrequires = ["setuptools"]\n[project]\nname = "My_Calc"\n'


def projects(files: Mapping[str, str]) -> Projects:
    return find_projects(files, lambda path: files[path].encode())


def test_a_repository_without_settings_has_modules_but_no_distribution() -> None:
    found = projects({"calc/__init__.py": "", "one.py": "", "src/two.py": "", "README.md": ""})
    places = ("calc", "one", "src/two")
    assert found == Projects(modules=("calc", "one", "src.two", "two"), roots=("src",), places=places)


def test_a_distribution_has_the_name_that_installers_compare() -> None:
    found = projects({"pyproject.toml": SETUPTOOLS, "src/calc/__init__.py": ""})
    assert (found.distributions, found.roots, found.sources) == (("my-calc",), ("src",), ("src",))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("pyproject.toml", '[tool.poetry]\nname = "calc"\npackages = [{include = "calc", from = "lib"}]\n'),
        ("pyproject.toml", '[project]\nname = "calc"\n[tool.setuptools.packages.find]\nwhere = ["lib"]\n'),
        ("pyproject.toml", '[project]\nname = "calc"\n[tool.setuptools]\npackage-dir = {"" = "lib"}\n'),
        (
            "pyproject.toml",
            '[project]\nname = "calc"\n[tool.setuptools]\npackage-dir.calc = "lib/calc"\n',
        ),
        ("pyproject.toml", '[project]\nname = "calc"\n[tool.pdm.build]\npackage-dir = "lib"\n'),
        ("pyproject.toml", '[project]\nname = "calc"\n[tool.uv.build-backend]\nmodule-root = "lib"\n'),
        ("pyproject.toml", '[project]\nname = "calc"\n[tool.maturin]\npython-source = "lib"\n'),
        (
            "pyproject.toml",
            '[project]\nname = "calc"\n[tool.hatch.build.targets.wheel]\npackages = ["lib/calc"]\n',
        ),
        ("pyproject.toml", '[project]\nname = "calc"\n[tool.scikit-build]\nwheel.packages = ["lib/calc"]\n'),
        ("setup.cfg", "[metadata]\nname = calc\n[options]\npackage_dir =\n    = lib\n"),
        ("setup.cfg", "[metadata]\nname = calc\n[options.packages.find]\nwhere = lib\n"),
        ("setup.py", 'from setuptools import setup\nsetup(name="calc", package_dir={"": "lib"})\n'),
        ("setup.py", 'setup(name="calc", packages=find_packages(where="lib"))\n'),
    ],
)
def test_the_settings_of_a_build_backend_name_the_directory(name: str, settings: str) -> None:
    found = projects({name: settings, "lib/calc/__init__.py": "", "lib/calc/core.py": ""})
    assert found.distributions == ("calc",)
    assert "lib" in found.sources
    assert {"calc"} <= set(found.modules)
    assert "calc.core" not in found.modules


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("pyproject.toml", "[tool.ruff]\nline-length = 99\n"),
        ("setup.cfg", "[flake8]\nignore = E1\n"),
    ],
)
def test_settings_of_other_tools_make_no_project(name: str, settings: str) -> None:
    found = projects({name: settings, "src/redis/__init__.py": ""})
    assert (found.distributions, found.sources) == ((), ())


def test_a_computed_name_is_taken_from_the_packages() -> None:
    found = projects({"setup.py": "setup(name=NAME)\n", "src/calc_core/__init__.py": ""})
    assert "calc-core" in found.distributions


@pytest.mark.parametrize("text", ["[project\n", "", 'x = "', "[project]\nname = 3\n", "[" * 5000])
def test_unusual_settings_are_no_error(text: str) -> None:
    assert projects({"pyproject.toml": text, "setup.cfg": text, "calc.py": ""}).modules == ("calc",)


def test_a_namespace_is_left_to_others() -> None:
    shared = '__path__ = __import__("pkgutil").extend_path(__path__, __name__)\n'
    found = projects(
        {
            "src/company/calc/__init__.py": "",
            "src/company/calc/deep.py": "",
            "src/company/one.py": "",
            "src/old/__init__.py": shared,
            "src/old/part.py": "",
        }
    )
    assert [name for name in found.modules if not name.startswith("src.")] == [
        "company.calc",
        "company.one",
        "old.part",
    ]


@pytest.mark.parametrize(
    "path",
    [
        "vendor/requests/pyproject.toml",
        "tests/data/requests/pyproject.toml",
        "examples/requests/pyproject.toml",
        ".cache/requests/pyproject.toml",
    ],
)
def test_vendored_packages_and_examples_are_not_projects(path: str) -> None:
    directory = path.removesuffix("/pyproject.toml")
    found = projects(
        {path: '[project]\nname = "requests"\n', f"{directory}/requests/__init__.py": "", "calc.py": ""}
    )
    assert found == Projects(modules=("calc",), roots=("src",), places=("calc",))


def test_a_repository_of_several_projects_has_all_their_names() -> None:
    found = projects(
        {
            "pyproject.toml": '[project]\nname = "all"\n',
            "packages/a/pyproject.toml": '[project]\nname = "a"\n',
            "packages/a/src/aa/__init__.py": "",
            "packages/b/setup.py": 'setup(name="b")\n',
            "packages/b/bb.py": "",
        }
    )
    assert found.distributions == ("a", "all", "b")
    assert {"aa", "bb"} <= set(found.modules)
    assert found.sources == ("src",)


def test_a_directory_that_is_a_package_holds_no_other_packages() -> None:
    found = projects({"pyproject.toml": SETUPTOOLS, "src/__init__.py": "", "src/redis.py": ""})
    assert found.modules == ("src",)


@pytest.mark.parametrize("root", ["../elsewhere", "/usr/lib", "lib/../../x"])
def test_a_directory_outside_the_tree_is_ignored(root: str) -> None:
    settings = f'[project]\nname = "calc"\n[tool.pdm.build]\npackage-dir = "{root}"\n'
    assert projects({"pyproject.toml": settings, "calc.py": ""}).roots == ("src",)
