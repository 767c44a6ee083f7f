"""The configuration's paths are protected."""

from __future__ import annotations

from pathlib import Path

from pytest_cobbler.config import load
from pytest_cobbler.globs import matches_glob
from pytest_cobbler.languages import get
from pytest_cobbler.wiring.policy import protected_paths
from tests.support.repositories import UserRepository


def test_a_file_named_by_the_configuration_is_not_read_as_a_pattern(tmp_path: Path) -> None:
    user = UserRepository.create(tmp_path)
    path = user.path / "configuration.yaml"
    path.write_text("sandbox: none\nversion_file: 'src/[1]*.py'\nbeads_dir: 'b[x]'\n")

    protected = protected_paths(load(path), get("python"))

    def is_protected(name: str) -> bool:
        return any(matches_glob(name, pattern) for pattern in protected)

    assert is_protected("src/[1]*.py")
    assert is_protected("b[x]/issues.jsonl")
    assert not is_protected("src/1.py")
    assert not is_protected("bx/issues.jsonl")
