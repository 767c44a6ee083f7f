"""Files that run or instruct elsewhere, for each row of the table of such paths."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_cobbler.globs import matches_glob
from pytest_cobbler.repository.path_table import Row


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
x.cpython-311-x86_64-linux-gnu.so  x.abi3.so  x.pyd  pyvenv.cfg  conda-meta/history  .venv/bin/python
.tox/py/bin/python
.nox/file  .eggs/x.egg/file  __pypackages__/3.11/lib/file  .pytest_cache/v/cache/lastfailed  .cline/file
.devin/file  .firebender/file  firebender.json  .goose/file  .kilocodemodes  .rovodev/file  .ruler/file
.tabnine/file  .zencoder/file  replit.md  .coderabbit.yaml  greptile.json  .arcconfig  .reviewboardrc  .lvimrc
.vim/coc-settings.json  .helix/languages.toml  .vs/launch.vs.json  .theia/tasks.json  .nova/tasks.json
.shadowenv.d/x.lisp  .autoenv.zsh  .trunk/trunk.yaml  node_modules/.bin/jest  .gradle/file  .bazeliskrc
tools/bazel  .claude-plugin/marketplace.json  .agent/rules/x.md  .aiassistant/rules/x.md  .codebuddy/file
CODEBUDDY.md  .iflow/file  IFLOW.md  .lingma/rules/x.md  .byebugrc  .iex.exs  .ocamlinit  .octaverc  .perldb
.direnv/bin/x  .gitlint  .ci.yaml  .harness/x.yaml  .onedev-buildspec.yml  .prow.yaml  .taskcluster.yml
circle.yml  screwdriver.yaml  wercker.yml  .pnp.cjs  .jvmopts  .sbtopts  .kodiak.toml  bors.toml  .policy.yml
.pullapprove.yml  ansible.cfg  .user.ini
.bzr/file  .sl/config  .fslckout  _FOSSIL_  _darcs/file  .pijul/file  gptme.toml  .forge/file  forge.yaml
.qodo/file
.cody/file  .sourcegraph/file  .grok/file  .vibe/file  .pi/file  mcp.json  .amp/file  .kilo/file
.pr_agent.toml  .sourcery.yaml  ellipsis.yaml  sweep.yaml  x.sublime-project  nbproject/file  .classpath
.externalToolBuilders/file  hie.yaml  .luarc.json  rust-analyzer.toml  .tmuxinator.yml  .tmuxp.yaml
.ddev/file
.lando.yml  .flox/env/manifest.toml  .erlang  .pdm-python  .pre-commit-hooks.yaml  .git-hooks/file
git-hooks/file
githooks/file  common/git-hooks/file  common/config/rush/file  .ci/run  Dangerfile  .cirun.yml
.vsts-ci.yml
.clinerules-code  .kilocoderules-code  .continuerules  .continuerc.json  .openhands_instructions  .voidrules
.blackboxrules  .rulesync/rules/x.md  .hermes.md  .antigravity/file  .copilot/file  .gitreview  .run/x.run.xml
.kateproject  .bsp/x.json  buildServer.json  ruby_lsp/x/addon.rb  .merlin  config.nims  .lazy.lua
.vimspector.json  .RData  renv/activate.R  .envrc.local  mise/config.toml  .gitpod/automations.yaml
.ona/file  .warp/workflows/x.yaml  prek.toml  hk.pkl  .hk.pkl  .huskyrc.js  husky.config.js
simple-git-hooks.cjs  .simple-git-hooks.json  .drone.star  x.gocd.yaml  .azuredevops/file  .lighthouse/file
jenkins-x.yml  Directory.Build.rsp  MSBuild.rsp  .buckconfig
.serena/memories/x.md  .jules/file  .bolt/prompt  .taskmaster/file  .specify/memory/x.md  codebuff.json
.codebuff/file
"""
)

GATE = words(
    """
hatch.toml  pixi.toml  Pipfile  poe_tasks.toml  Rakefile  .rspec  phpunit.xml.dist  GNUmakefile  Makefile
justfile  .justfile  Taskfile.yml  magefile.go  magefiles/x.go  tasks.py  dodo.py  SConstruct  noxfile.py
tox.toml  .coveragerc  ruff.toml  .ruff.toml  mypy.ini  .mypy.ini  pyrightconfig.json  ty.toml  .flake8
pylintrc  .pylintrc  .isort.cfg  .bandit  .codespellrc  .pydocstyle.ini  .importlinter  .golangci.yml
staticcheck.conf  clippy.toml  .clippy.toml  rustfmt.toml  .rustfmt.toml  .config/nextest.toml  deny.toml
x.o  x.obj  x.lo  x.a  x.la  .task/checksum/test  .ruff_cache/file  .mypy_cache/3.11/x.json  .dmypy.json
target/debug/x  .eslintcache  x.tsbuildinfo  .nx/cache/x  .turbo/x  .wireit/x  .moon/cache/x
jest.config.js  vitest.config.ts  .mocharc.json  ava.config.js  karma.conf.js  playwright.config.ts
cypress.config.js  .c8rc.json  .nycrc  .eslintrc.json  .eslintignore  eslint.config.mjs  .prettierrc
.prettierignore  prettier.config.js  biome.jsonc  .stylelintrc  stylelint.config.js  tsconfig.json
.rubocop.yml  .shellcheckrc  .yamllint  .markdownlint.json  .hadolint.yaml  .vale.ini  .clang-tidy
.clang-format  CPPLINT.cfg  .sqlfluff  Rakefile.rb  rakelib/x.rake  .coveragerc.toml  .coverage  .coverage.x.1
nx.json  project.json  turbo.jsonc  moon.yml  Makefile.toml  vite.config.ts  vitest.workspace.ts  .taprc
jasmine.json  web-test-runner.config.mjs  typos.toml  _typos.toml  .typos.toml  .gitleaks.toml
.gitleaksignore  .trivyignore  .semgrepignore  .secrets.baseline  nose2.cfg  unittest.cfg  .stestr.conf
behave.ini  .behaverc  .proverc  CTestCustom.cmake  CTestTestfile.cmake  CMakePresets.json
CMakeUserPresets.json
phpunit.dist.xml  behat.yml  codeception.yml  .stylelintignore  .xo-config.json  xo.config.js  .oxlintrc.json
.cspell.json  cspell.json  .style.yapf  .pycodestyle  robot.toml  docs/source/conf.py  build.ninja
dart_test.yaml
analysis_options.yaml  .valgrindrc  .shellspec  .busted  .ignore  .fdignore  .rgignore  .agignore  gcovr.cfg
.luacheckrc  .swiftlint.yml  .swiftformat  .tflint.hcl  buf.yaml  buf.gen.yaml  .lycheeignore  lychee.toml
phpstan.neon.dist  psalm.xml  phpcs.xml  .phpcs.xml.dist  .php-cs-fixer.php  detekt.yml  .ansible-lint
.spectral.yaml  redocly.yaml  .testmondata  pyrefly.toml  mocha.opts  angular.json  wdio.conf.ts
foundry.toml  tests.edn  bb.edn  x.xctestplan
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
docker-bake.hcl  Vagrantfile  x.so  .python-version  .prototools  OWNERS  OWNERS_ALIASES  codecov.yml
.codecov.yml  sonar-project.properties  .snyk  .htaccess  .goreleaser.yml  .releaserc.json
release.config.js  .release-it.json  Procfile  .ebextensions/x.config  .kamal/hooks/pre-deploy  fly.toml
firebase.json  wrangler.toml  serverless.yml  amplify.yml  render.yaml  CMakeLists.txt
devenv.nix  devenv.yaml  appspec.yml  app.json  heroku.yml  .platform/hooks/x  .platform.app.yaml
nixpacks.toml
railway.json  railway.toml  Tiltfile  skaffold.yaml  pnpm-workspace.yaml  vendor/modules.txt  build.sbt
x.csproj
x.fsproj  x.props  x.targets  .config/dotnet-tools.json  BUILD  BUILD.bazel  x.bzl  mix.exs  mix.lock
.formatter.exs  .credo.exs  x.cabal  cabal.project  stack.yaml  Package.swift  Package.resolved  build.zig
rebar.config  meson.build  pubspec.yaml  devenv.local.nix  deps.edn  project.clj
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
    "husky": ("package.json", '{"husky": {"hooks": {"pre-commit": "evil"}}}'),
    "gitHooks": ("package.json", '{"gitHooks": {"pre-commit": "evil"}}'),
    "simple-git-hooks": ("package.json", '{"simple-git-hooks": {"pre-commit": "evil"}}'),
    "lint-staged": ("package.json", '{"lint-staged": {"*": "evil"}}'),
    "commitlint": ("package.json", '{"commitlint": {"extends": ["./evil"]}}'),
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
    "test.*": ("deno.json", '{"test": {"exclude": ["test.ts"]}}'),
    "exclude": ("deno.json", '{"exclude": ["test.ts"]}'),
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
    "tool.pyrefly": ("pyproject.toml", "[tool.pyrefly]\nproject-excludes = ['*']\n"),
    "tool.pylint": ("pyproject.toml", "[tool.pylint.main]\nignore = ['*']\n"),
    "tool.black": ("pyproject.toml", "[tool.black]\nexclude = '.*'\n"),
    "tool.isort": ("pyproject.toml", "[tool.isort]\nskip = ['*']\n"),
    "tool.bandit": ("pyproject.toml", "[tool.bandit]\nskips = ['*']\n"),
    "tool.codespell": ("pyproject.toml", "[tool.codespell]\nskip = '*'\n"),
    "tool.pydocstyle": ("pyproject.toml", "[tool.pydocstyle]\nmatch = ''\n"),
    "tool.importlinter": ("pyproject.toml", "[tool.importlinter]\ncontracts = []\n"),
    "tap": ("package.json", '{"tap": {"files": []}}'),
    "xo": ("package.json", '{"xo": {"ignores": ["**"]}}'),
    "standard": ("package.json", '{"standard": {"ignore": ["**"]}}'),
    "eslintIgnore": ("package.json", '{"eslintIgnore": ["**"]}'),
    "tool.yapf": ("pyproject.toml", "[tool.yapf]\nbased_on_style = 'pep8'\n"),
    "tool.vulture": ("pyproject.toml", "[tool.vulture]\nexclude = ['*']\n"),
    "tool.interrogate": ("pyproject.toml", "[tool.interrogate]\nfail-under = 0\n"),
    "tool.deptry": ("pyproject.toml", "[tool.deptry]\nexclude = ['*']\n"),
    "package.autotests": ("Cargo.toml", "[package]\nautotests = false\n"),
    "lib.test": ("Cargo.toml", "[lib]\ntest = false\n"),
    "lib.doctest": ("Cargo.toml", "[lib]\ndoctest = false\n"),
    "lib.harness": ("Cargo.toml", "[lib]\nharness = false\n"),
    "test": ("Cargo.toml", "[[test]]\nname = 'a'\nharness = false\n"),
    "workspace.exclude": ("Cargo.toml", "[workspace]\nexclude = ['a']\n"),
    "workspace.default-members": ("Cargo.toml", "[workspace]\ndefault-members = []\n"),
    "sandbox": ("configuration.yaml", "sandbox: none\n"),
    "*podman_*": ("configuration.yaml", "unsafe_podman_args: true\n"),
    "*_command": ("configuration.yaml", "agent_command: [evil]\n"),
    "*_paths": ("configuration.yaml", "allow_paths: ['**']\n"),
}
"""Key -> a file that has it, and the content of that file."""

ELSEWHERE = "packages/one/"


def examples_of(row: Row) -> dict[str, str]:
    """Files that a row covers: path -> content."""
    if row.key:
        name, content = ("composer.json", KEYS["scripts"][1]) if "composer" in row.pattern else KEYS[row.key]
        return {f"{row.program}/{row.key}/{name}": content}
    listed = {"protected": PROTECTED, "gate": GATE, "named": NAMED}[row.kind]
    paths = [path for path in listed if matches_glob(path, row.pattern, fold_case=True)]
    assert paths, f"no example for {row.pattern}"
    if row.pattern.startswith("**/"):
        paths += [f"{ELSEWHERE}{path}" for path in paths]
    return {path: empty(path) for path in paths}


def empty(path: str) -> str:
    """The content of a file that has no keys."""
    return "" if path.endswith(".toml") else "{}\n"
