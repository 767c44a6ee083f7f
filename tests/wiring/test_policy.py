"""The configuration's paths are protected."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_cobbler.config import load
from pytest_cobbler.globs import matches_any, matches_glob
from pytest_cobbler.languages import get
from pytest_cobbler.repository.checks import check_change, review_notes
from pytest_cobbler.sandbox.host import HostSandbox
from pytest_cobbler.wiring.parts import make_gate
from pytest_cobbler.wiring.policy import agent_limits, protected_paths, protection_of
from tests.support.jobs import own_host
from tests.support.repositories import Content, UserRepository, commit_files

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
        needs={},
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


def test_a_refusal_names_the_key_that_protects_the_path(tmp_path: Path) -> None:
    user = UserRepository.create(tmp_path)
    lines = "version_file: src/version.py\nprotected_paths: [src/own.py]\nmeasure_prompt: ask.md\n"
    user.commit(
        {"ask.md": "{{.OutputPath}}", "configuration.yaml": f"sandbox: none\nlanguage: python\n{lines}"}
    )
    repository, config = user.open(), load(user.path / "configuration.yaml")
    base, language = user.git("rev-parse", "HEAD"), get("python")
    protection = protection_of(
        config, repository, language, secrets=(), reserved=frozenset(), needs={}, steps=(), trusted=[base]
    )
    paths = ["src/version.py", "src/own.py", "ask.md", "configuration.yaml", ".beads/x", "CLAUDE.md"]
    changed: dict[str, Content] = dict.fromkeys(paths, "y\n")
    tree = repository.tree_of(commit_files(repository, base, changed))
    _, refusals = check_change(repository.objects, base, tree, protection.policy())
    assert {refusal.path: refusal.reason.removeprefix("a protected path") for refusal in refusals} == {
        "src/version.py": " (version_file)",
        "src/own.py": " (protected_paths)",
        "ask.md": " (measure_prompt)",
        "configuration.yaml": "",
        ".beads/x": " (beads_dir)",
        "CLAUDE.md": "",
    }


@pytest.mark.parametrize(
    ("gate", "places"),
    [
        ("python3 -m linter src", [""]),
        ("PYTHONPATH=src linter", ["", "src/"]),
        ("linter src", []),
        ("python3 -m other", []),
    ],
)
def test_no_change_takes_the_place_of_a_module_that_a_tool_of_the_gate_imports(
    tmp_path: Path, gate: str, places: list[str]
) -> None:
    user = UserRepository.create(tmp_path)
    user.commit({"src/app.py": "", "configuration.yaml": f"sandbox: none\ntest_command: {gate}\n"})
    repository, config = user.open(), load(user.path / "configuration.yaml")
    base, language = user.git("rev-parse", "HEAD"), get("none")
    protection = protection_of(
        config,
        repository,
        language,
        secrets=(),
        reserved=frozenset(),
        needs={"linter": frozenset({"parts", "src"})},
        steps=make_gate(config, language, HostSandbox(repository=tmp_path.name, run_id="x"), "x").steps,
        trusted=[base],
    )
    changed: dict[str, Content] = dict.fromkeys(["parts.py", "src/parts/a.py", "src/b.py", "b.py"], "x")
    tree = repository.tree_of(commit_files(repository, base, changed))
    _, refusals = check_change(repository.objects, base, tree, protection.policy())
    assert [refusal.path.partition("parts")[0] for refusal in refusals] == places


def test_the_users_directories_never_land_and_documents_are_named(tmp_path: Path) -> None:
    user = UserRepository.create(tmp_path)
    settings = (
        "cobbler_dir: state\nsecrets_dir: keys\nspec_globs: {plan: 'plans/*.txt'}\nallow_paths: ['**']\n"
    )
    user.commit({"configuration.yaml": CONFIG + settings})
    repository, config = user.open(), load(user.path / "configuration.yaml")
    base = user.git("rev-parse", "HEAD")
    protection = protection_of(
        config,
        repository,
        get("python"),
        secrets=(),
        reserved=frozenset(),
        needs={},
        steps=(),
        trusted=[base],
    )
    changed: dict[str, Content] = dict.fromkeys(["state/a", "keys/b", "plans/c.txt", "other.txt"], "x")
    tree = repository.tree_of(commit_files(repository, base, changed))
    change, refusals = check_change(repository.objects, base, tree, protection.policy())
    assert sorted(refusal.path for refusal in refusals) == ["keys/b", "state/a"]
    assert review_notes(change, protection.policy()) == ("review these: plans/c.txt",)


def test_job_disk_limits_agents_and_the_gate(tmp_path: Path) -> None:
    path = tmp_path / "configuration.yaml"
    path.write_text(f"{CONFIG}job_disk: 5m\n")
    config = load(path)
    gate = make_gate(config, get("python"), own_host(), "x")
    assert (agent_limits(config).disk, gate.disk) == (5 << 20, 5 << 20)
