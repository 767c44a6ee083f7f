"""``pytest_cobbler.api``: the one module that a project imports from."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_cobbler import api

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def imported_for_types() -> Iterator[tuple[str, str]]:
    """Public name and ``module:name`` of every import that type checkers see."""
    for node in ast.walk(ast.parse(Path(api.__file__).read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("pytest_cobbler"):
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}:{alias.name}"


def test_every_public_name_can_be_imported() -> None:
    assert api.__all__ == sorted(api.__all__)
    assert [name for name in api.__all__ if getattr(api, name, None) is None] == []
    assert dir(api) == api.__all__


def test_type_checkers_and_python_find_the_same_objects() -> None:
    assert dict(imported_for_types()) == api._HOMES
    assert set(api.__all__) == set(api._HOMES)


def test_the_page_describes_every_name_without_sphinx() -> None:
    page = (ROOT / "docs" / "api.md").read_text("utf-8")
    described = dict(re.findall(r"^\* `(\w+)`: (.+(?:\n  .+)*)", page, re.MULTILINE))
    stated = {name: inspect.getdoc(getattr(api, name)) or "" for name in api.__all__}
    firsts = {name: " ".join(text.partition("\n\n")[0].split()) for name, text in stated.items()}
    assert {name: " ".join(text.split()) for name, text in described.items()} == {
        name: text.replace("``", "`") for name, text in firsts.items()
    }, "renew it: the lists of docs/api.md have the first sentences of the docstrings"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'Stitching'"):
        api.Stitching  # noqa: B018


def test_a_small_name_does_not_load_the_rest() -> None:
    program = "import sys; from pytest_cobbler.api import Task; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = {name for name in done.stdout.split() if name.startswith("pytest_cobbler")}
    assert "pytest_cobbler.tracker.base" in loaded
    assert loaded.isdisjoint({"pytest_cobbler.config", "pytest_cobbler.testing.project"})


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_examples_import_from_the_public_module_only(page: Path) -> None:
    text = page.read_text("utf-8")
    imported = re.findall(r"^\s*(?:from|import) (pytest_cobbler[\w.]*)", text, re.MULTILINE)
    assert set(imported) <= {"pytest_cobbler.api"}
