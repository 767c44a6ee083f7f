"""The configuration's paths are protected."""

from __future__ import annotations

from pathlib import Path

from pytest_cobbler.config import load
from pytest_cobbler.globs import matches_any, matches_glob
from pytest_cobbler.languages import get
from pytest_cobbler.wiring.policy import protected_paths, protection_of
from tests.support.repositories import UserRepository

CONFIG = "sandbox: none\nlanguage: python\n"


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


def test_what_the_users_own_git_runs_from_the_checkout_is_protected(tmp_path: Path) -> None:
    user = UserRepository.create(tmp_path)
    tracked = {
        "tools/clean.sh": "",
        "tools/other.sh": "",
        "ci/hooks/pre-commit": "",
        "configuration.yaml": CONFIG,
    }
    user.commit(tracked)
    user.configure(
        {
            "core.hooksPath": "ci/hooks",
            "filter.x.clean": "sh ./tools/clean.sh %f",
            "include.path": "../shared/gitconfig",
            "alias.x": f"!~nobody-of-that-name/{'x' * 300}/x",
            "commit.template": "~nobody-of-that-name/x",
            "remote.origin.url": "https://example.invalid/tools/x",
        }
    )
    repository, config = user.open(), load(user.path / "configuration.yaml")
    language = get("python")
    protection = protection_of(
        config,
        repository,
        language,
        secrets=(),
        reserved=frozenset(),
        steps=(),
        trusted=[user.git("rev-parse", "HEAD")],
    )
    paths = (
        "ci/hooks/post-checkout",
        "tools/clean.sh",
        "shared/gitconfig",
        "tools/other.sh",
        "ci/x",
        "src/a.py",
    )
    policy = protection.policy()
    refused = [path for path in paths if matches_any(path, policy.protected)]
    assert refused == ["ci/hooks/post-checkout", "tools/clean.sh", "shared/gitconfig"]
    assert not any("hooks" in shown and "ci" in shown for shown in protection.shown)
