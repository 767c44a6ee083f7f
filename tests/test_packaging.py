"""The version of each kind of copy, and what the lock file and the API page hold."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler import api
from pytest_cobbler.process import host_environment

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
VERSION_FILES = ("pyproject.toml", ".git_archival.txt", ".gitattributes")


def run(directory: Path, *command: str) -> str:
    environment = host_environment(
        GIT_CONFIG_GLOBAL="/dev/null",
        GIT_CONFIG_NOSYSTEM="1",
        GIT_AUTHOR_NAME="A",
        GIT_AUTHOR_EMAIL="a@example.com",
        GIT_COMMITTER_NAME="A",
        GIT_COMMITTER_EMAIL="a@example.com",
    )
    done = subprocess.run(
        command, cwd=directory, env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def version(directory: Path) -> str:
    """The version that a build in ``directory`` would give the package."""
    return run(directory, sys.executable, "-m", "setuptools_scm")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two commits with the files that decide the version."""
    path = tmp_path / "repository"
    path.mkdir()
    for name in VERSION_FILES:
        shutil.copy(ROOT / name, path)
    run(path, "git", "init", "--quiet", "--initial-branch=main")
    run(path, "git", "add", "--all")
    run(path, "git", "commit", "--quiet", "--message=One")
    run(path, "git", "commit", "--quiet", "--message=Two", "--allow-empty")
    return path


def shallow_clone(repository: Path) -> Path:
    clone = repository.parent / "clone"
    run(repository, "git", "clone", "--quiet", "--depth=1", f"file://{repository}", str(clone))
    return clone


def archive(repository: Path) -> Path:
    """What ``git archive`` makes of the last commit, unpacked."""
    unpacked = repository.parent / "archive"
    run(repository, "git", "archive", "--output=../archive.tar", "HEAD")
    unpacked.mkdir()
    run(unpacked, "tar", "--extract", "--file=../archive.tar")
    return unpacked


COPIES = [shallow_clone, archive]


@pytest.mark.parametrize("copy", [lambda repository: repository, *COPIES])
def test_a_tagged_commit_has_the_version_of_its_tag(repository: Path, copy: Any) -> None:
    run(repository, "git", "tag", "v1.2.3")
    assert version(copy(repository)) == "1.2.3"


def test_an_archive_after_a_tag_counts_the_commits(repository: Path) -> None:
    run(repository, "git", "tag", "v1.2.3", "HEAD^")
    assert re.fullmatch(r"1\.2\.4\.dev1\+g\w+", version(archive(repository)))
    assert re.fullmatch(r"1\.2\.4\.dev1\+g\w+", version(repository))


@pytest.mark.parametrize("copy", [lambda repository: repository, shallow_clone])
def test_a_clone_without_tags_has_a_development_version(repository: Path, copy: Any) -> None:
    assert re.fullmatch(r"0\.1\.0\.dev\d+\+g\w+", version(copy(repository)))


def test_an_archive_without_tags_has_the_fallback(repository: Path) -> None:
    assert version(archive(repository)) == "0.1.0.dev0"


def test_files_without_git_have_the_fallback(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    assert version(tmp_path) == "0.1.0.dev0"


def test_the_lock_names_the_public_index_only() -> None:
    hosts = re.findall(r"https?://([^/\"]+)", (ROOT / "uv.lock").read_text("utf-8"))
    assert set(hosts) == {"pypi.org", "files.pythonhosted.org"}


def test_every_locked_file_has_a_hash() -> None:
    files = [line for line in (ROOT / "uv.lock").read_text("utf-8").splitlines() if "{ url = " in line]
    assert files
    assert [line for line in files if ', hash = "sha256:' not in line] == []


def test_the_lock_has_the_dependencies_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    locked = tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))["package"]
    [this] = [package for package in locked if package["name"] == "pytest-cobbler"]
    required = {one["name"] + one.get("specifier", "") for one in this["metadata"]["requires-dist"]}
    extras = [one for extra in project["optional-dependencies"].values() for one in extra]
    wanted = {one.lower() for one in [*project["dependencies"], *extras]}
    assert required - {"pytest-cobbler"} == {one for one in wanted if not one.startswith("pytest-cobbler[")}


def test_every_python_that_is_named_is_tested() -> None:
    """The script of CI runs with the oldest one, a job of its own with each newer one."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [name.rpartition(" ")[2] for name in project["classifiers"] if " :: 3." in name]
    jobs = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    [newer] = re.findall(r"^ +python: \[(.*)\]$", jobs, re.MULTILINE)
    assert named == [project["requires-python"].removeprefix(">="), *re.findall(r"3\.\d+", newer)]


def test_the_api_page_has_every_public_name() -> None:
    page = (ROOT / "docs" / "api.md").read_text("utf-8")
    described = re.findall(r"^\.\. auto(?:class|function):: (\w+)", page, re.MULTILINE)
    assert len(described) == len(set(described))
    assert set(described) == set(api.__all__)
