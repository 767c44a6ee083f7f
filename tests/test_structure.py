"""The sizes that keep the package readable, and the table of its rooms."""

from __future__ import annotations

import ast
import functools
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pytest_cobbler"

LONGEST_MODULE = 450
LONGEST_FUNCTION = 60
BIGGEST_ROOM = 0.16
"""Of all lines of the package."""

WRAPPED = {"fcntl", "fnmatch", "glob"}
USERS = {
    "files.py: fcntl",
    "sandbox/isolation.py: fcntl",  # it asks the kernel for interfaces, and locks nothing
    "repository/lock.py: fcntl",  # its lock is a file of git's directory that names its owner
    "landing/caches.py: fcntl",  # its locks are shared, and of a directory
    "landing/gate_files.py: fnmatch",  # words of a command, not paths
    "repository/path_table.py: fnmatch",  # keys of a TOML table, not paths
}
"""Everything else locks through ``files``, and compares paths through ``globs``."""


def modules(package: Path) -> dict[str, str]:
    """The text of each module by its path in the package."""
    return {str(path.relative_to(package)): path.read_text("utf-8") for path in package.rglob("*.py")}


@functools.cache
def nodes(text: str) -> tuple[ast.AST, ...]:
    """The nodes of a module, which several tests look at."""
    return tuple(ast.walk(ast.parse(text)))


def long_modules(package: Path) -> Iterator[str]:
    for path, text in modules(package).items():
        lines = len(text.splitlines())
        if lines > LONGEST_MODULE:
            yield f"{path} has {lines} lines"


def long_functions(package: Path) -> Iterator[str]:
    for path, text in modules(package).items():
        for node in nodes(text):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            begin = min(part.lineno for part in (node, *node.decorator_list))
            lines = (node.end_lineno or 0) - begin + 1
            if lines > LONGEST_FUNCTION:
                yield f"{path}: {node.name} has {lines} lines"


def big_rooms(package: Path) -> Iterator[str]:
    lines: Counter[str] = Counter()
    for path, text in modules(package).items():
        lines[path.partition("/")[0]] += len(text.splitlines())
    total = lines.total()
    for room, count in lines.items():
        if count > BIGGEST_ROOM * total:
            yield f"{room} has {count} of {total} lines"


def texts_without_encoding(package: Path) -> Iterator[str]:
    """The places that open a text file in the encoding of the locale, which may lack a title's characters."""
    for path, text in modules(package).items():
        for node in nodes(text):
            if not isinstance(node, ast.Call) or any(word.arg == "encoding" for word in node.keywords):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            values = [value.value for value in node.args if isinstance(value, ast.Constant)]
            is_text = name in ("read_text", "write_text") and "utf-8" not in values and "ascii" not in values
            if is_text or (name == "open" and values and str(values[-1]) in ("r", "w", "a", "x", "r+", "w+")):
                yield f"{path}:{node.lineno}: {name} without an encoding"


def rooms_without_a_row(package: Path, page: str) -> Iterator[str]:
    """The rooms, and the modules beside them, that the table of rooms does not list."""
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    firsts = " ".join(row.split("|")[1] for row in rows)
    rooms = {path.partition("/")[0] + "/" for path in modules(package) if "/" in path}
    alone = {path for path in modules(package) if "/" not in path and path != "__init__.py"}
    for name in sorted(rooms | alone):
        if f"`{name}`" not in firsts:
            yield f"{name} has no row"


def helpers_used(package: Path) -> Iterator[str]:
    """``path: helper`` for each module that uses a helper of the standard library that one module wraps."""
    for path, text in modules(package).items():
        for node in nodes(text):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            else:
                continue
            yield from (f"{path}: {name}" for name in names if name in WRAPPED)


def architecture() -> str:
    return (ROOT / "docs" / "architecture.md").read_text("utf-8")


def test_no_module_is_longer_than_450_lines() -> None:
    assert list(long_modules(PACKAGE)) == []


def test_no_function_is_longer_than_60_lines() -> None:
    assert list(long_functions(PACKAGE)) == []


def test_no_room_has_more_than_16_percent_of_the_lines() -> None:
    assert list(big_rooms(PACKAGE)) == []


def test_every_text_file_is_opened_with_its_encoding() -> None:
    in_the_image = "languages/python_tree.py:"  # it runs in the gate, in the encoding of the tests
    found = [place for place in texts_without_encoding(PACKAGE) if not place.startswith(in_the_image)]
    assert [place for place in found if not place.startswith("config/paths.py")] == []


def test_every_room_is_in_the_table_of_rooms() -> None:
    assert list(rooms_without_a_row(PACKAGE, architecture())) == []


def test_there_is_one_of_each_helper() -> None:
    assert set(helpers_used(PACKAGE)) == USERS


def test_ruff_checks_complexity_arguments_and_tests() -> None:
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["ruff"]["lint"]
    assert {"C901", "ARG", "PT"} <= set(lint["select"])
    assert lint["mccabe"]["max-complexity"] == 12
    assert lint["ignore"] == []
    left_out = {rule for rules in lint["per-file-ignores"].values() for rule in rules}
    assert not {rule for rule in left_out if rule.startswith(("C9", "ARG", "PT")) and rule != "PTH"}
    assert not [path for path, text in modules(PACKAGE).items() if "noqa: C901" in text]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Ten rooms of one small module each, and a module beside them."""
    for number in range(10):
        (tmp_path / f"room{number}").mkdir()
        (tmp_path / f"room{number}" / "module.py").write_text("x = 1\n" * 50)
    (tmp_path / "alone.py").write_text("x = 1\n")
    assert [*long_modules(tmp_path), *long_functions(tmp_path), *big_rooms(tmp_path)] == []
    return tmp_path


def test_a_long_module_is_found(package: Path) -> None:
    for number in range(10):  # the rooms stay of one size
        (package / f"room{number}" / "module.py").write_text("x = 1\n" * 450)
    assert list(long_modules(package)) == []
    (package / "room0" / "module.py").write_text("x = 1\n" * 451)
    assert list(long_modules(package)) == ["room0/module.py has 451 lines"]


def test_a_long_function_is_found_and_its_decorators_count(package: Path) -> None:
    body = "    x = 1\n" * 58
    (package / "alone.py").write_text(f"@property\ndef f():\n{body}")
    assert list(long_functions(package)) == []
    (package / "alone.py").write_text(f"@property\n@cached\nasync def f():\n{body}")
    assert list(long_functions(package)) == ["alone.py: f has 61 lines"]


def test_a_big_room_is_found(package: Path) -> None:
    (package / "room0" / "more.py").write_text("x = 1\n" * 50)
    assert list(big_rooms(package)) == ["room0 has 100 of 551 lines"]


def test_a_room_without_a_row_is_found(package: Path) -> None:
    rows = "\n".join(f"| `room{number}/` | things |" for number in range(9))
    page = f"{rows}\n\nroom9/ and `alone.py` are only named here.\n"
    assert list(rooms_without_a_row(package, page)) == ["alone.py has no row", "room9/ has no row"]


def test_another_use_of_a_helper_is_found(package: Path) -> None:
    (package / "alone.py").write_text("from fnmatch import fnmatch\nimport os\ndef f():\n    import fcntl\n")
    assert set(helpers_used(package)) == {"alone.py: fnmatch", "alone.py: fcntl"}
