"""The use case "init": a configuration with every default, and a way back to a clean start."""

from __future__ import annotations

import shutil

import pytest
import yaml

from pytest_cobbler.config import Config, load
from pytest_cobbler.testing.invariants import CheckoutState, check
from pytest_cobbler.testing.project import Project
from tests.support.ancestor import CONFIGURATION
from tests.support.sessions import ids_landed, seed, task


def test_init_writes_every_key_of_the_ancestor_with_its_default(project: Project) -> None:
    (project.path / "configuration.yaml").unlink()
    project.commit("No configuration")
    assert project.run("--cobbler-init").ret == 0
    written = yaml.safe_load((project.path / "configuration.yaml").read_text())
    theirs = yaml.safe_load(CONFIGURATION)
    assert theirs.keys() - {"cleanup_dirs"} <= written.keys()
    for key in ("gen_prefix", "secrets_dir", "default_token_file", "silence_agent", "max_issues", "cycles"):
        assert written[key] == theirs[key]


def test_missing_keys_have_defaults_and_written_keys_are_kept(project: Project) -> None:
    project.write({"configuration.yaml": "podman_image: image\nlanguage: python\n"})
    defaults = load(project.path / "configuration.yaml")
    assert (defaults.gen_prefix, defaults.max_issues, defaults.cycles) == ("generation-", 10, 1)
    assert (defaults.estimated_lines_min, defaults.estimated_lines_max) == (250, 350)
    written = {"cycles": 0, "max_issues": 3, "gen_prefix": "attempt-", "silence_agent": False}
    project.write({"configuration.yaml": yaml.safe_dump({"podman_image": "image"} | written)})
    config: Config = load(project.path / "configuration.yaml")
    assert {key: getattr(config, key) for key in written} == written


def test_an_existing_configuration_is_not_written_again(project: Project) -> None:
    before = CheckoutState.of(project)
    result = project.run("--cobbler-init")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *configuration.yaml already exists; nothing was changed"])
    assert check(project, before=before) == []


def test_without_the_cobbler_directory_only_history_is_lost(project: Project) -> None:
    seed(project, task("p-a"), task("p-b", "p-a"))
    assert project.run("--cobbler-generate", "configuration.yaml::stitch::p-a").ret == 0
    shutil.rmtree(project.path / ".cobbler")
    assert project.run("--cobbler-generate", "--cobbler-cycles=0").ret == 0
    assert ids_landed(project) == ["p-a", "p-b"]


def test_a_reset_of_a_clean_repository_changes_nothing(project: Project) -> None:
    before = CheckoutState.of(project)
    result = project.run("--cobbler-reset")
    assert (result.ret, result.outlines) == (0, ["No generation is active."])
    assert check(project, before=before) == []
