from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.stores import (
    BdStore,
    EmbeddedStore,
    Store,
    bd_program,
    bd_template,
    fast_directory,
    old_bd_program,
    old_bd_template,
)

__all__ = ["bd_program", "bd_template", "fast_directory", "old_bd_program", "old_bd_template"]


@pytest.fixture
def place(fast_directory: Path) -> Iterator[Path]:
    """An empty directory."""
    path = Path(tempfile.mkdtemp(dir=fast_directory))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def embedded_store(place: Path) -> EmbeddedStore:
    root = place / "embedded"
    root.mkdir()
    return EmbeddedStore(root)


@pytest.fixture
def bd_store(place: Path, bd_program: Path, bd_template: Path) -> BdStore:
    root = place / "bd"
    root.mkdir()
    return BdStore(root, bd_program, bd_template)


@pytest.fixture
def old_bd_store(place: Path, old_bd_program: Path, old_bd_template: Path) -> BdStore:
    root = place / "old-bd"
    root.mkdir()
    return BdStore(root, old_bd_program, old_bd_template)


STORES = ["embedded", "bd", pytest.param("old_bd", marks=pytest.mark.matrix("old bd"))]


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> Store:
    """An empty store of each kind."""
    found: Store = request.getfixturevalue(f"{request.param}_store")
    return found


@pytest.fixture(params=STORES)
def no_store(request: pytest.FixtureRequest) -> Callable[[Path], Store]:
    """Makes what is to become a store of each kind."""
    if request.param == "embedded":
        return EmbeddedStore
    program = request.getfixturevalue(f"{request.param}_program")
    return lambda root: BdStore(root, program)
