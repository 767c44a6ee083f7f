"""``--cobbler-init``: what it writes, and that the result is a configuration."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from pytest_cobbler.config import Config, load
from pytest_cobbler.config.keys import keys
from pytest_cobbler.config.template import REQUIRED
from pytest_cobbler.errors import ConfigurationProblem
from pytest_cobbler.testing.project import Project, RunResult
from pytest_cobbler.testing.samples import go_sample, python_sample
from tests.support.images import minimal_image, podman, python_image

__all__ = ["minimal_image", "python_image"]

Init = Callable[..., RunResult]

SOMEBODY = 4242
"""A uid that nobody here has."""


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    """Without a configuration."""
    (cobbler_project.path / "configuration.yaml").unlink()
    cobbler_project.commit("No configuration")
    return cobbler_project


@pytest.fixture
def init(project: Project, tmp_path: Path) -> Init:
    """Run it where there is git, and no podman."""
    git = shutil.which("git")
    assert git
    (tmp_path / "git").symlink_to(git)

    def init(files: dict[str, str] | None = None) -> RunResult:
        if files is not None:
            project.write(files)
            project.commit("Files")
        return project.run("--cobbler-init", env={"PATH": str(tmp_path)})

    return init


def written(project: Project) -> str:
    return (project.path / "configuration.yaml").read_text("utf-8")


def complaints(project: Project) -> set[str]:
    """The keys that the configuration is refused for."""
    try:
        load(project.path / "configuration.yaml")
    except ConfigurationProblem as error:
        lines = (error.remedy or error.cause).splitlines()
        return {line.split(": ")[1] for line in lines}
    return set()


def marked(project: Project) -> set[str]:
    """The keys below a comment that says that they are required."""
    lines = written(project).splitlines()
    marks = [number for number, line in enumerate(lines) if line.startswith(f"# {REQUIRED}")]
    return {lines[number + 1].removesuffix(":") for number in marks}


def fill_in(project: Project, key: str, value: str) -> None:
    path = project.path / "configuration.yaml"
    path.write_text(written(project).replace(f"\n{key}:\n", f"\n{key}: {value}\n"), encoding="utf-8")


def test_a_go_project_needs_an_image_and_nothing_else(project: Project, init: Init) -> None:
    result = init(go_sample())
    assert (result.ret, result.errlines) == (0, [])
    assert complaints(project) == marked(project) == {"podman_image"}
    fill_in(project, "podman_image", "localhost/agent")
    config = load(project.path / "configuration.yaml")
    assert (config.language, config.module_path) == ("go", "example.com/calculator")
    assert [path.name for path in config.sources] == ["cmd", "internal"]
    assert (str(config.binary), config.base_branch) == ("bin/calculator", "main")
    assert config.spec_globs == {"readme": "README.md", "docs": "docs/**/*.md"}


def test_an_existing_go_project_keeps_its_sources(project: Project, init: Init) -> None:
    """By default, Go generations begin without them, and a stop would then delete them."""
    result = init(go_sample())
    result.stdout.fnmatch_lines(["  reset_sources: false"])
    assert yaml.safe_load(written(project))["reset_sources"] is False


def test_a_go_project_without_sources_gets_the_default_for_the_later_ones(
    project: Project, init: Init
) -> None:
    init({"go.mod": "module example.com/words\n"})
    assert yaml.safe_load(written(project))["reset_sources"] is None


def test_a_python_project_needs_an_image_and_nothing_else(project: Project, init: Init) -> None:
    result = init(python_sample())
    assert (result.ret, result.errlines) == (0, [])
    assert complaints(project) == marked(project) == {"podman_image"}
    fill_in(project, "podman_image", "localhost/agent")
    config = load(project.path / "configuration.yaml")
    assert (config.language, config.module_path, config.base_branch) == ("python", "calculator", "main")
    result.stdout.fnmatch_lines(
        [
            f"Wrote {project.path}/configuration.yaml",
            "  language: python",
            "  source_dirs: calculator, tests",
            "*",
            "  reset_sources: false",
            "Fill in before the first run:",
            "  podman_image: no image on this machine has *; the README shows how to make one",
            "Then: git add configuration.yaml && git commit, and pytest --cobbler-doctor",
        ]
    )


def test_a_project_in_another_language_needs_its_gate_too(project: Project, init: Init) -> None:
    result = init({"main.c": "int main(void) { return 0; }\n"})
    assert marked(project) == {"podman_image", "build_command", "test_command"}
    assert complaints(project) == {"podman_image"}
    result.stdout.fnmatch_lines(
        ["  build_command, test_command: the commands that build and test this project*"]
    )


def test_go_files_without_a_module_need_its_path(project: Project, init: Init) -> None:
    init({"add/add.go": "package add\n"})
    assert complaints(project) == marked(project) == {"podman_image", "module_path"}


def test_the_file_has_every_key_with_its_meaning_and_default(project: Project, init: Init) -> None:
    init(go_sample())
    fill_in(project, "podman_image", "localhost/agent")
    text = written(project)
    for key in keys():
        allowed = f" Allowed: {key.allowed}." if key.allowed else ""
        assert f"{key.description}{allowed}\n{key.name}:" in text
    found = {"language", "module_path", "source_dirs", "main_package", "binary_name", "spec_globs"}
    found |= {"reset_sources"}
    same = Config.model_fields.keys() - found - {"podman_image", "base_branch"}
    bare = Config.model_validate({}, context=project.path / "configuration.yaml")
    config = load(project.path / "configuration.yaml")
    assert {key for key in same if getattr(config, key) != getattr(bare, key)} == set()


def test_a_run_accepts_the_written_configuration(project: Project, init: Init) -> None:
    init(python_sample())
    fill_in(project, "podman_image", "localhost/agent")
    result = project.run("--cobbler-generate", "--collect-only")
    result.stdout.fnmatch_lines(["*<MeasureItem cycle-1>*"])
    assert result.ret == 0


def test_names_of_every_kind_can_be_written(project: Project, init: Init) -> None:
    init(
        {"pkg: #1/__init__.py": "", "Ünï cödé/__init__.py": "", "tests/test_it.py": "", "~x/__init__.py": ""}
    )
    fill_in(project, "podman_image", "localhost/agent")
    config = load(project.path / "configuration.yaml")
    assert {path.name for path in config.sources} == {"pkg: #1", "Ünï cödé", "tests"}


def test_the_file_is_written_to_the_top_of_the_repository(project: Project, init: Init) -> None:
    project.write({"docs/deep/a.md": ""})
    project.commit("Docs")
    top = project.path
    project.path = top / "docs" / "deep"
    assert init().ret == 0
    assert [path.parent for path in top.rglob("configuration.yaml")] == [top]


@pytest.mark.parametrize("kind", ["file", "link"])
def test_an_existing_configuration_is_not_overwritten(project: Project, init: Init, kind: str) -> None:
    path = project.path / "configuration.yaml"
    if kind == "file":
        path.write_text("mine\n")
    else:
        path.symlink_to("elsewhere.yaml")
    result = init()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {path} already exists; nothing was changed", "*move this*"])
    assert kind == "link" or path.read_text() == "mine\n"
    assert not (project.path / "elsewhere.yaml").exists()


def test_a_configuration_with_the_other_suffix_is_reported(project: Project, init: Init) -> None:
    (project.path / "configuration.yml").write_text("podman_image: localhost/agent\n")
    for result in (init(), project.run("--cobbler-generate", "--collect-only")):
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(
            ["ERROR: *configuration.yml *", "*git mv configuration.yml configuration.yaml*"]
        )
    assert not (project.path / "configuration.yaml").exists()


def test_init_changes_no_other_file(project: Project, init: Init) -> None:
    project.write(python_sample())
    project.commit("Sample")
    refs = project.git("for-each-ref")
    init()
    assert project.git("for-each-ref") == refs
    assert project.git("status", "--porcelain", "--ignored") == "?? configuration.yaml\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can write in somebody else's repository")
def test_the_file_belongs_to_the_owner_of_the_repository(project: Project, init: Init) -> None:
    for path in (project.path, *project.path.rglob("*")):
        os.chown(path, SOMEBODY, SOMEBODY, follow_symlinks=False)
    assert init().ret == 0
    assert (project.path / "configuration.yaml").stat().st_uid == SOMEBODY


def test_a_repository_without_sources_lists_the_missing_keys(project: Project, init: Init) -> None:
    project.git("rm", "-rq", ".")
    project.commit("Nothing")
    result = init()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["  language: go, python or none (with *); the files do not show it"])
    assert marked(project) == {"language", "podman_image"}


def test_a_repository_without_a_commit_is_an_error_with_the_fix(project: Project, init: Init) -> None:
    project.git("update-ref", "-d", "refs/heads/main")
    result = init()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: *project has no commit yet, and --cobbler-init*", "Commit at least*"]
    )
    assert not (project.path / "configuration.yaml").exists()


def test_a_directory_without_a_repository_is_an_error_with_the_fix(project: Project, init: Init) -> None:
    (project.path / ".git").rename(project.directory / "elsewhere")
    result = init()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *project is not in a git repository", "Make one: git init*"])


def test_a_detached_head_leaves_the_base_branch_unset(project: Project, init: Init) -> None:
    project.git("checkout", "--quiet", "--detach")
    assert init().ret == 0
    assert yaml.safe_load(written(project))["base_branch"] is None


@pytest.fixture
def images(minimal_image: str, python_image: str) -> Iterator[list[str]]:
    """Images from the oldest: Python and something called codex; Python and gemini; claude alone."""
    made = []
    for base, agent in ((python_image, "codex"), (python_image, "gemini"), (minimal_image, "claude")):
        name = f"localhost/cobbler-test-init-{uuid.uuid4().hex[:8]}"
        container = podman("create", "--pull=never", base, "true")
        podman("cp", shutil.which("true") or "", f"{container}:/usr/bin/{agent}")
        podman("commit", "--quiet", container, name)
        podman("rm", container)
        made.append(name)
    yield made
    podman("rmi", *made)


def test_init_chooses_the_newest_image_with_the_needed_programs_and_an_agent_whose_key_is_here(
    project: Project, images: list[str]
) -> None:
    project.write(python_sample())
    project.commit("Sample")
    with_codex, with_gemini, without_python = images

    result = project.run("--cobbler-init")

    assert result.ret == 0
    values = yaml.safe_load(written(project))
    assert values["podman_image"].startswith(with_gemini)
    assert values["agent"] == "gemini"
    assert (complaints(project), marked(project)) == (set(), set())
    assert without_python not in written(project)
    page = "its page is docs/agents.md#gemini"
    assert f"  gemini is in the image; it needs GEMINI_API_KEY; {page}" in result.outlines
    assert "  GEMINI_API_KEY: the key of gemini, in the environment of pytest" in result.outlines

    (project.path / "configuration.yaml").unlink()
    result = project.run("--cobbler-init", env={"OPENAI_API_KEY": "sk-0123456789"})

    values = yaml.safe_load(written(project))
    assert (values["podman_image"].partition(":")[0], values["agent"]) == (with_codex, "codex")
    assert "# Its page: docs/agents.md#codex of pytest-cobbler." in written(project)
    key = "its key is from OPENAI_API_KEY in the environment"
    assert f"  codex is in the image; {key}; its page is docs/agents.md#codex" in result.outlines
    assert "Fill in before the first run:" not in result.outlines
    assert "sk-0123456789" not in written(project) + result.stdout.str()


@pytest.fixture
def image_with_claude(minimal_image: str) -> Iterator[str]:
    """A minimal image with something called claude."""
    image = f"localhost/cobbler-test-init-{uuid.uuid4().hex[:8]}"
    container = podman("create", "--pull=never", minimal_image, "true")
    podman("cp", shutil.which("true") or "", f"{container}:/usr/bin/claude")
    podman("commit", "--quiet", container, image)
    podman("rm", container)
    yield f"{image}:latest"
    podman("rmi", image)


def test_a_user_without_a_fitting_image_reads_why_each_does_not_fit(
    project: Project, image_with_claude: str, python_image: str, tmp_path: Path
) -> None:
    """Also podman's own error, if it starts no container."""
    result = init_with(project, only_images(tmp_path, image_with_claude, python_image))
    lines = [
        "*podman_image: no image on this machine has *",
        f"    {image_with_claude}: python3 is not installed where the gate runs*",
        f"    {python_image}: has no claude",
    ]
    result.stdout.fnmatch_lines(lines, consecutive=True)


def test_an_image_without_the_program_of_the_gate_that_init_found_does_not_fit(
    project: Project, image_with_claude: str, tmp_path: Path
) -> None:
    files = {"package.json": '{"scripts": {"test": "mocha"}}', "index.js": ""}
    result = init_with(project, only_images(tmp_path, image_with_claude), files)
    result.stdout.fnmatch_lines(
        [
            "  test_command: npm run test",
            "  Protected, because the gate may use them: *package.json (*mocha*)*",
            f"    {image_with_claude}: has no npm",
        ]
    )


def test_a_user_whose_podman_starts_nothing_reads_its_error(project: Project, tmp_path: Path) -> None:
    program = tmp_path / "podman"
    script = """case $1 in
version) echo 5.0.0 local ;;
images) echo localhost/one:latest; echo localhost/two:latest ;;
run) echo 'Error: crun: no such cgroup' >&2; exit 126 ;;
esac
"""
    program.write_text(f"#!/bin/sh\n{script}")
    program.chmod(0o755)
    result = init_with(project, program)
    result.stdout.fnmatch_lines(
        [
            "trying 2 images of this machine ...",
            "    localhost/one:latest: podman cannot start containers with its present configuration",
            "    localhost/two:latest: podman cannot start containers with its present configuration",
            "      Error: crun: no such cgroup",
        ]
    )


def test_a_user_with_many_images_reads_that_only_the_newest_were_tried(
    project: Project, tmp_path: Path
) -> None:
    program = tmp_path / "podman"
    script = """case $1 in
version) echo 5.0.0 local ;;
images) for name in a b c d e f g; do echo localhost/$name:latest; done ;;
run) exit 127 ;;
esac
"""
    program.write_text(f"#!/bin/sh\n{script}")
    program.chmod(0o755)
    init_with(project, program).stdout.fnmatch_lines(
        [
            "  podman_image: none of the newest images on this machine has what agents and the gate need; *",
            "    localhost/a:latest: *",
            "    older images were not tried: 2; if one of them fits, write its name",
        ]
    )


def test_a_user_without_podman_reads_that(init: Init) -> None:
    init(python_sample()).stdout.fnmatch_lines(["    podman is not installed"])


def only_images(directory: Path, *images: str) -> Path:
    """A podman that lists only these images."""
    real = shutil.which("podman")
    program = directory / "podman"
    listed = "".join(f"echo {image}; " for image in images)
    program.write_text(f'#!/bin/sh\nif [ "$1" = images ]; then {listed}exit; fi\nexec {real} "$@"\n')
    program.chmod(0o755)
    return program


def init_with(project: Project, program: Path, files: Mapping[str, str] | None = None) -> RunResult:
    project.write(files or python_sample())
    project.commit("Sample")
    result = project.run("--cobbler-init", env={"PATH": f"{program.parent}:{os.environ['PATH']}"})
    assert result.ret == 0
    assert yaml.safe_load(written(project))["podman_image"] is None
    return result


def test_the_files_that_the_gate_uses_are_named(init: Init, project: Project) -> None:
    makefile = "include rules.mk\ntest:\n\tsh ci/run.sh\n"
    result = init({"Makefile": makefile, "rules.mk": "", "ci/run.sh": "exit 0\n", "main.c": ""})
    line = "Protected, because the gate may use them: Makefile, ci/run.sh, rules.mk."
    result.stdout.fnmatch_lines([f"  {line}"])
    assert f"# {line}\nprotected_paths: []" in written(project)
