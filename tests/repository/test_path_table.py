"""The paths that run or instruct elsewhere: each row of the table decides what becomes of a change."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pytest

from pytest_cobbler.globs import matches_any
from pytest_cobbler.repository.checks import Policy, check_change, read_change, review_notes
from pytest_cobbler.repository.path_table import Kind, Row, commands, named_patterns, path_table, rows
from pytest_cobbler.repository.repository import Repository
from tests.support.repositories import Content, UserRepository, commit_files


def words(text: str) -> list[str]:
    return text.split()


PROTECTED = words(
    """
conftest.py  pytest.ini  .pytest.ini  pytest.toml  .pytest.toml  tox.ini  setup.cfg
x.dist-info/entry_points.txt  x.egg-info/PKG-INFO  x.egg-link  x.pth  __pycache__/file  x.pyc  x.pyo
sitecustomize.py  usercustomize.py  .pdbrc  ipython_config.py  jupyter_server_config.py
.claude/settings.json  .mcp.json  CLAUDE.md  CLAUDE.local.md
AGENTS.md  AGENTS.override.md  AGENT.md  .agents/file  .codex/config.toml
GEMINI.md  .gemini/settings.json  opencode.json  opencode.jsonc  .opencode.json  .opencode/plugin/x.js
.cursor/rules/x.mdc  .cursorrules  .windsurf/rules/x.md  .windsurfrules
.aider.conf.yml  .amazonq/file  .augment/file  .augment-guidelines  .clinerules  .continue/file  .crush.json
crush.json  CRUSH.md  .factory/file  .goosehints  .junie/guidelines.md  .kilocode/file  .kiro/file
.openhands/file  .qwen/file  QWEN.md  .roo/rules/x.md  .roomodes  .roorules-code  .rules  .trae/file  WARP.md
.vscode/tasks.json  x.code-workspace  .devcontainer/devcontainer.json  .devcontainer.json
.idea/workspace.xml  .fleet/file  .zed/tasks.json  .settings/file  .project  .dir-locals.el  .dir-locals-2.el
.exrc  .vimrc  .nvimrc  .nvim.lua  .gdbinit  .lldbinit  .Rprofile  .Renviron  .ghci  .irbrc  .pryrc
.envrc  .env  mise.toml  mise.local.toml  .mise.toml  .mise.local.toml  .mise/config.toml  .config/mise/x.toml
.gitpod.yml  .idx/dev.nix  .replit  .stackblitzrc  .codesandbox/tasks.json
.gitattributes  .gitmodules  .lfsconfig  .gitconfig  .githooks/pre-commit  .hg/hgrc  .jj/file  .svn/file
.husky/pre-commit  lefthook.yml  lefthook-local.yaml  .lefthook.yaml  lefthook.toml  .lefthook.toml
lefthook.json  .lefthook.json  .config/lefthook.yml  .pre-commit-config.yaml  .overcommit.yml
.lintstagedrc.json  lint-staged.config.mjs  .commitlintrc.yml  commitlint.config.js
.github/workflows/ci.yml  CODEOWNERS  docs/CODEOWNERS  .gitea/file  .forgejo/file  .gitlab/file
.gitlab-ci.yml  .gitlab-ci-more.yml  .circleci/config.yml  .buildkite/pipeline.yml  .woodpecker/file
.woodpecker.yaml  .travis.yml  .drone.yml  .cirrus.yml  .cirrus.star  appveyor.yml  .appveyor.yml
bitbucket-pipelines.yml  azure-pipelines.yml  .azure-pipelines/file  Jenkinsfile  .builds/file  .build.yml
cloudbuild.yaml  buildspec.yml  .semaphore/file  .teamcity/file  .tekton/file  .zuul.yaml  .zuul.d/file
.packit.yaml  .readthedocs.yaml  .mergify.yml  bitrise.yml  codemagic.yaml  dagger.json
renovate.json5  .renovaterc  .npmrc  .yarnrc  .yarnrc.yml  .yarn/releases/yarn.cjs  .pnpmfile.cjs  pnpmfile.js
bunfig.toml  pip.conf  .pypirc  uv.toml  poetry.toml  pdm.toml  .cargo/config  .cargo/config.toml
rust-toolchain  rust-toolchain.toml  .mvn/extensions.xml  mvnw  mvnw.cmd  gradlew  gradlew.bat
gradle/wrapper/gradle-wrapper.jar  init.gradle.kts  .bundle/config  nuget.config  .bazelrc
.beads/issues.jsonl  configuration.yaml
"""
)

GATE = words(
    """
hatch.toml  pixi.toml  Pipfile  poe_tasks.toml  Rakefile  .rspec  phpunit.xml.dist  GNUmakefile  Makefile
justfile  .justfile  Taskfile.yml  magefile.go  magefiles/x.go  tasks.py  dodo.py  SConstruct  noxfile.py
tox.toml  .coveragerc  ruff.toml  .ruff.toml  mypy.ini  .mypy.ini  pyrightconfig.json  ty.toml  .flake8
pylintrc  .pylintrc  .isort.cfg  .bandit  .codespellrc  .pydocstyle.ini  .importlinter  .golangci.yml
staticcheck.conf  clippy.toml  .clippy.toml  rustfmt.toml  .rustfmt.toml  .config/nextest.toml  deny.toml
jest.config.js  vitest.config.ts  .mocharc.json  ava.config.js  karma.conf.js  playwright.config.ts
cypress.config.js  .c8rc.json  .nycrc  .eslintrc.json  .eslintignore  eslint.config.mjs  .prettierrc
.prettierignore  prettier.config.js  biome.jsonc  .stylelintrc  stylelint.config.js  tsconfig.json
.rubocop.yml  .shellcheckrc  .yamllint  .markdownlint.json  .hadolint.yaml  .vale.ini  .clang-tidy
.clang-format  CPPLINT.cfg  .sqlfluff
"""
)

NAMED = words(
    """
tests/conftest.py  .env.production  .tool-versions  devbox.json  flake.nix  shell.nix  default.nix  flake.lock
.gitignore  netlify.toml  vercel.json  package.json  package-lock.json  npm-shrinkwrap.json  yarn.lock
pnpm-lock.yaml  bun.lockb  requirements.txt  dev-requirements.txt  requirements/dev.txt  constraints.txt
setup.py  pyproject.toml  uv.lock  poetry.lock  pdm.lock  Pipfile.lock  pixi.lock  pylock.toml
environment.yml  Cargo.toml  Cargo.lock  build.rs  go.mod  go.sum  go.work  go.work.sum  pom.xml  build.gradle
build.gradle.kts  gradle.properties  gradle.lockfile  Gemfile  Gemfile.lock  x.gemspec  composer.json
composer.lock  Directory.Build.props  packages.lock.json  MODULE.bazel.lock  WORKSPACE  WORKSPACE.bazel
deno.json  deno.lock  Containerfile  Dockerfile  Containerfile.dev  compose.yaml  docker-compose.yml
docker-bake.hcl  Vagrantfile
"""
)

KEYS: Mapping[str, tuple[str, str]] = {
    "tool.pytest*": ("pyproject.toml", '[tool.pytest.ini_options]\naddopts = "-p evil"\n'),
    "scripts.preinstall": ("package.json", '{"scripts": {"preinstall": "evil"}}'),
    "scripts.install": ("package.json", '{"scripts": {"install": "evil"}}'),
    "scripts.postinstall": ("package.json", '{"scripts": {"postinstall": "evil"}}'),
    "scripts.prepare": ("package.json", '{"scripts": {"prepare": "evil"}}'),
    "scripts.preprepare": ("package.json", '{"scripts": {"preprepare": "evil"}}'),
    "scripts.postprepare": ("package.json", '{"scripts": {"postprepare": "evil"}}'),
    "scripts": ("package.json", '{"scripts": {"test": "true"}}'),
    "jest": ("package.json", '{"jest": {"testMatch": []}}'),
    "mocha": ("package.json", '{"mocha": {"spec": []}}'),
    "ava": ("package.json", '{"ava": {"files": []}}'),
    "c8": ("package.json", '{"c8": {"check-coverage": false}}'),
    "nyc": ("package.json", '{"nyc": {"check-coverage": false}}'),
    "eslintConfig": ("package.json", '{"eslintConfig": {"rules": {}}}'),
    "prettier": ("package.json", '{"prettier": {"semi": false}}'),
    "stylelint": ("package.json", '{"stylelint": {"rules": {}}}'),
    "tasks": ("deno.json", '{"tasks": {"test": "true"}}'),
    "tool.hatch.envs": ("pyproject.toml", '[tool.hatch.envs.test]\nscripts = {test = "true"}\n'),
    "tool.pdm.scripts": ("pyproject.toml", '[tool.pdm.scripts]\ntest = "true"\n'),
    "tool.pixi": ("pyproject.toml", '[tool.pixi.tasks]\ntest = "true"\n'),
    "tool.poe": ("pyproject.toml", '[tool.poe.tasks]\ntest = "true"\n'),
    "tool.tox": ("pyproject.toml", "[tool.tox]\nenvlist = []\n"),
    "tool.coverage": ("pyproject.toml", "[tool.coverage.report]\nfail_under = 0\n"),
    "tool.ruff": ("pyproject.toml", "[tool.ruff]\nexclude = ['*']\n"),
    "tool.mypy": ("pyproject.toml", "[tool.mypy]\nignore_errors = true\n"),
    "tool.pyright": ("pyproject.toml", "[tool.pyright]\nexclude = ['*']\n"),
    "tool.basedpyright": ("pyproject.toml", "[tool.basedpyright]\nexclude = ['*']\n"),
    "tool.ty": ("pyproject.toml", "[tool.ty]\nrules = {}\n"),
    "tool.pylint": ("pyproject.toml", "[tool.pylint.main]\nignore = ['*']\n"),
    "tool.black": ("pyproject.toml", "[tool.black]\nexclude = '.*'\n"),
    "tool.isort": ("pyproject.toml", "[tool.isort]\nskip = ['*']\n"),
    "tool.bandit": ("pyproject.toml", "[tool.bandit]\nskips = ['*']\n"),
    "tool.codespell": ("pyproject.toml", "[tool.codespell]\nskip = '*'\n"),
    "tool.pydocstyle": ("pyproject.toml", "[tool.pydocstyle]\nmatch = ''\n"),
    "tool.importlinter": ("pyproject.toml", "[tool.importlinter]\ncontracts = []\n"),
}
"""Key -> a file that has it, and the content of that file."""

ELSEWHERE = "packages/one/"


def examples_of(row: Row) -> dict[str, str]:
    """Files that a row covers: path -> content."""
    if row.key:
        name, content = ("composer.json", KEYS["scripts"][1]) if "composer" in row.pattern else KEYS[row.key]
        return {f"{row.program}/{row.key}/{name}": content}
    listed = {"protected": PROTECTED, "gate": GATE, "named": NAMED}[row.kind]
    paths = [path for path in listed if matches_any(path, (row.pattern,), fold_case=True)]
    assert paths, f"no example for {row.pattern}"
    if row.pattern.startswith("**/"):
        paths += [f"{ELSEWHERE}{path}" for path in paths]
    return {path: empty(path) for path in paths}


def empty(path: str) -> str:
    """The content of a file that has no keys."""
    return "" if path.endswith(".toml") else "{}\n"


def policy_of(*strict: Kind) -> Policy:
    """The policy that protects the rows of these kinds, and names all others."""
    return Policy(
        protected=tuple(row.pattern for row in path_table() if row.kind in strict and not row.key),
        keys=tuple(row for row in path_table() if row.kind in strict and row.key),
        named=tuple(row.pattern for row in path_table() if row.kind not in strict and not row.key),
    )


EVERY_PROJECT = policy_of("protected")
EVERY_PROGRAM = policy_of("protected", "gate")
"""As in a project whose gate uses every program of the table."""


class Table:
    def __init__(self, repository: Repository, base: str) -> None:
        self.repository = repository
        self.base = base

    def decide(self, files: Mapping[str, Content | None], policy: Policy = EVERY_PROJECT) -> dict[str, str]:
        """Path -> refused or named, for a change that makes these files."""
        objects = self.repository.objects
        commit = commit_files(self.repository, self.base, files)
        change, refusals = check_change(objects, self.base, self.repository.tree_of(commit), policy)
        named = {
            entry.shown
            for entry in change.entries
            if review_notes(dataclasses.replace(change, entries=(entry,)), policy)
        }
        return dict.fromkeys(named, "named") | {refusal.path: "refused" for refusal in refusals}


@pytest.fixture(scope="module")
def table(template: UserRepository, tmp_path_factory: pytest.TempPathFactory) -> Table:
    user = template.copy(tmp_path_factory.mktemp("table"))
    return Table(user.open(), user.git("rev-parse", "HEAD"))


@pytest.fixture(scope="module")
def decided(table: Table) -> Mapping[Policy, Mapping[str, str]]:
    """What becomes of the examples of all rows, in one change."""
    files = {path: content for row in path_table() for path, content in examples_of(row).items()}
    files |= {path: empty(path) for path in (*PROTECTED, *GATE, *NAMED)}
    return {policy: table.decide(files, policy) for policy in (EVERY_PROJECT, EVERY_PROGRAM)}


@pytest.mark.parametrize("row", path_table(), ids=str)
def test_each_row_decides_what_becomes_of_its_files(
    decided: Mapping[Policy, Mapping[str, str]], row: Row
) -> None:
    files = examples_of(row)
    policy = EVERY_PROJECT if row.kind == "protected" else EVERY_PROGRAM
    expected = "named" if row.kind == "named" else "refused"
    assert {decided[policy].get(path) for path in files} == {expected}
    if row.kind == "gate" and not row.key:
        assert {decided[EVERY_PROJECT].get(path) for path in files} == {"named"}


def is_covered_by_others(row: Row) -> bool:
    """Whether the table would decide the same about the examples of ``row`` without it."""
    others = [other for other in path_table() if other != row and other.key == row.key]
    if row.kind == "protected":
        others = [other for other in others if other.kind == "protected"]
    if row.key:
        return row.pattern in [other.pattern for other in others]
    patterns = tuple(other.pattern for other in others)
    return all(matches_any(path, patterns, fold_case=True) for path in examples_of(row))


def test_every_row_is_needed() -> None:
    assert [str(row) for row in path_table() if is_covered_by_others(row)] == []


def test_every_listed_path_is_decided_in_every_project(
    decided: Mapping[Policy, Mapping[str, str]],
) -> None:
    expected = dict.fromkeys(PROTECTED, "refused") | dict.fromkeys([*NAMED, *GATE], "named")
    assert {path: decided[EVERY_PROJECT].get(path) for path in expected} == expected
    assert set(KEYS) == {row.key for row in path_table() if row.key}


def test_the_built_in_policy_is_that_of_the_table() -> None:
    built_in = Policy()
    assert (built_in.protected, built_in.keys) == (EVERY_PROJECT.protected, EVERY_PROJECT.keys)
    assert set(built_in.named) == set(EVERY_PROJECT.named)


def test_everyday_files_are_neither_refused_nor_named(table: Table) -> None:
    files = words(
        """
        README.md  docs/guide/claude.md.txt  src/environment.py  src/rules.py  tests/data/x.json  LICENSE
        src/pytest_ini.py  docs/index.md  src/app/codex.py  .editorconfig  src/main.c  web/src/index.tsx
        cmd/app/main.go  assets/logo.svg  docs/opencode.md  src/claude/client.py  docs/agents/index.md
        """
    )
    assert table.decide(dict.fromkeys(files, "x\n"), EVERY_PROGRAM) == {}


def test_the_free_part_of_a_file_with_protected_keys_may_change(table: Table) -> None:
    before = {
        "pyproject.toml": '[project]\nname = "x"\n[tool.pytest]\naddopts = "-q"\n[tool.ruff]\nx = 1\n',
        "package.json": '{"name": "x", "scripts": {"test": "jest", "prepare": "husky"}, "dependencies": {}}',
    }
    after = {
        "pyproject.toml": '[tool.ruff]\nx = 1\n[tool.pytest]\naddopts = "-q"\n[project]\nname = "y"\n',
        "package.json": '{"dependencies": {"a": "1"}, "scripts": {"prepare": "husky", "test": "jest"}}',
    }
    base = commit_files(table.repository, table.base, before)
    bench = Table(table.repository, base)
    assert set(bench.decide(after, EVERY_PROGRAM).values()) == {"named"}


def test_scripts_that_run_only_when_asked_are_free_where_no_gate_uses_them(table: Table) -> None:
    content = '{"scripts": {"dev": "vite", "test": "vitest"}}'
    assert table.decide({"web/package.json": content}, Policy()) == {"web/package.json": "named"}


def test_many_files_with_protected_keys_are_read_in_a_few_calls(table: Table) -> None:
    files = {f"packages/{number}/package.json": f'{{"name": "{number}"}}' for number in range(150)}
    files["packages/149/package.json"] = '{"scripts": {"postinstall": "evil"}}'
    refused = [p for p, verdict in table.decide(files, Policy()).items() if verdict == "refused"]
    assert refused == ["packages/149/package.json"]


def test_a_file_that_is_too_large_to_read_is_refused(table: Table) -> None:
    content = '{"a": "' + "x" * (1 << 20) + '"}'
    assert table.decide({"package.json": content}, Policy())["package.json"] == "refused"


def test_no_row_is_there_twice() -> None:
    assert len(set(map(str, path_table()))) == len(path_table())


def test_rows_of_a_gate_belong_to_programs_with_commands() -> None:
    assert {row.program for row in rows("gate")} == {name for name, words in commands().items() if words} - {
        "pytest"
    }


def test_allowed_paths_are_named_for_a_review(table: Table) -> None:
    policy = dataclasses.replace(Policy(), allowed=("AGENTS.md",))
    assert table.decide({"AGENTS.md": "x\n"}, policy) == {"AGENTS.md": "named"}


def test_the_documents_of_a_project_can_be_named(table: Table) -> None:
    policy = Policy(named=(*named_patterns(), "docs/**/*.md"))
    assert table.decide({"docs/vision.md": "x\n"}, policy) == {"docs/vision.md": "named"}


def test_a_change_of_many_named_paths_has_a_short_note(table: Table) -> None:
    commit = commit_files(table.repository, table.base, {f"{n}/go.mod": "" for n in range(30)})
    change = read_change(table.repository.objects, table.base, commit)
    (note,) = review_notes(change, Policy())
    assert note.endswith(" and 20 more")
