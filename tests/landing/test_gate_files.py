"""The files that decide in a gate are protected: what its commands run and read, and what that includes."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pytest_cobbler.landing.command_words import included, words_in, words_of
from pytest_cobbler.landing.script_texts import imported_files, listed_files, run_together
from pytest_cobbler.languages import get
from pytest_cobbler.repository.path_table import Row, commands, rows
from tests.support.gate_files import Bench, bench
from tests.support.repositories import Content, commit_files
from tests.support.sensitive_files import examples_of

__all__ = ["bench"]

SCRIPT = {"run_tests.sh": "exec pytest\n", "src/a.py": "", "README.md": ""}


@pytest.mark.parametrize(
    "gate",
    [
        "sh run_tests.sh",
        ["sh", "run_tests.sh"],
        ["bash", "-eu", "./run_tests.sh", "fast"],
        "./run_tests.sh",
        "CI=1 exec ./run_tests.sh || exit 1",
        "if true; then . ./run_tests.sh; fi",
        "sh -c 'sh run_tests.sh'",
        ["env", "sh", "-ec", "cd . && sh ./run_tests.sh"],
        "set -e\nsh run_tests.sh",
        "echo 'a\nb'; sh run_tests.sh",
        "timeout 60 sh run_tests.sh",
        "sh < run_tests.sh",
        "uv run ./run_tests.sh",
    ],
)
def test_a_script_of_a_command_is_protected(bench: Bench, gate: str | list[str]) -> None:
    assert bench.refused(SCRIPT, gate) == {"run_tests.sh"}


@pytest.mark.parametrize(
    ("gate", "files", "expected"),
    [
        ("python run_tests.py", {"run_tests.py": "", "src/a.py": ""}, {"run_tests.py"}),
        ("python3 -u tools/check.py src", {"tools/check.py": "", "tools/other.py": ""}, {"tools/check.py"}),
        ("python tests/run_all.py", {"tests/run_all.py": "", "tests/test_a.py": ""}, {"tests/run_all.py"}),
        ("node scripts/check.js", {"scripts/check.js": "", "index.js": ""}, {"scripts/check.js"}),
        ("python3 - < drive.py", {"drive.py": "", "src/a.py": ""}, {"drive.py"}),
        ("python3 <drive.py", {"drive.py": "", "src/a.py": ""}, {"drive.py"}),
        ("python3 -m tools.check src", {"tools/check.py": "import other", "tools/other.py": "",
         "tools/unused.py": "", "tools/__init__.py": ""},
         {"tools/check.py", "tools/other.py", "tools/__init__.py"}),
        ("python3 -m ci", {"ci/__main__.py": "", "ci/other.py": ""}, {"ci/__main__.py"}),
        ("python3 -m run_checks", {"run_checks.py": "", "app.py": ""}, {"run_checks.py"}),
        ("python3 -m calc && python3 -c 'import calc.a'", {"calc/__main__.py": "", "calc/a.py": ""}, set()),
        ("python3 -m pytest -p ci.plugin", {"ci/plugin.py": "", "app/plugin.py": ""}, {"ci/plugin.py"}),
        ("python3 -c 'import gate; gate.main()'", {"gate.py": "", "app.py": ""}, {"gate.py"}),
        ("python3 -c 'import runpy; runpy.run_path(\"ci/drive.py\")'", {"ci/drive.py": "", "ci/a.py": ""},
         {"ci/drive.py"}),
        ("node ./lib/runner", {"lib/runner.js": "", "lib/other.js": ""}, {"lib/runner.js"}),
        ("diff expected.txt out", {"expected.txt": "", "other.txt": ""}, {"expected.txt"}),
        ("pytest -c ci.ini --rootdir=.", {"ci.ini": "", "x.ini": ""}, {"ci.ini"}),
        ("pytest --config-file=ci.ini", {"ci.ini": ""}, {"ci.ini"}),
        ("pip install -r requirements.txt && pytest", {"requirements.txt": "a", "uv.lock": "",
         "requirements-dev.txt": ""}, {"requirements.txt"}),
        ("pip install -rrequirements/ci.txt -c constraints.txt", {"requirements/ci.txt": "",
         "requirements/dev.txt": "", "constraints.txt": ""}, {"requirements/ci.txt", "constraints.txt"}),
        ("podman build -f ci/Containerfile -fDockerfile .", {"ci/Containerfile": "", "Dockerfile": "",
         "Containerfile": ""}, {"ci/Containerfile", "Dockerfile"}),
        ("conda-lock install --file=conda.lock", {"conda.lock": "", "environment.yml": ""}, {"conda.lock"}),
        ("cd ci && sh check.sh", {"ci/check.sh": "", "check.txt": ""}, {"ci/check.sh"}),
        ("for f in checks/*.sh; do sh $f; done", {"checks/a.sh": "", "checks/a.txt": ""}, {"checks/a.sh"}),
        ("sh a.sh", {"a.sh": "sh lib/b.sh\n", "lib/b.sh": '. "$(dirname "$0")/c.sh"\n', "lib/c.sh": ""},
         {"a.sh", "lib/b.sh", "lib/c.sh"}),
        ("sh a.sh", {"a.sh": "here=$PWD\n$here/tools/b.py\n", "tools/b.py": "", "c.py": ""},
         {"a.sh", "tools/b.py"}),
        ("sh a.sh", {"a.sh": "make check\n", "Makefile": "check:\n\truff .\n", "ruff.toml": ""},
         {"a.sh", "Makefile", "ruff.toml"}),
    ],
)  # fmt: skip
def test_files_that_a_command_runs_or_reads_are_protected(
    bench: Bench, gate: str, files: dict[str, Content], expected: set[str]
) -> None:
    assert bench.refused(files, gate) == expected


@pytest.mark.parametrize(
    ("gate", "files"),
    [
        ("pytest tests/test_a.py src", {"tests/test_a.py": "", "src/a.py": ""}),
        ("python -m doctest src/a.py README.md", {"src/a.py": "", "README.md": ""}),
        ("python tests/test_a.py", {"tests/test_a.py": ""}),
        ("node --test && node test.js && node test/index.js", {"test.js": "", "test/index.js": ""}),
        ("cc -o app main.c util.c && ./app --version", {"main.c": "", "util.c": ""}),
        ("markdownlint README.md docs", {"README.md": "", "docs/a.md": ""}),
        ("pip install . && pytest", {"requirements.txt": "a", "uv.lock": ""}),
        ("podman build .", {"Containerfile": "", "compose.yaml": ""}),
        ("echo make sure && true", {"build.txt": "", "src/make.py": ""}),
        ("true", {"Makefile": "", "noxfile.py": "", "ruff.toml": "", ".coveragerc": "", "run_tests.sh": ""}),
        ("pytest", {"ruff.toml": "", ".coveragerc": "", "Makefile": "", "noxfile.py": ""}),
    ],
)
def test_everyday_files_may_change(bench: Bench, gate: str, files: dict[str, Content]) -> None:
    assert bench.refused(files, gate) == set()


def test_dependencies_may_change_in_a_file_of_which_keys_decide(bench: Bench) -> None:
    gate = "mypy --config-file pyproject.toml && pytest -c pyproject.toml"
    files = {"pyproject.toml": "[project]\nname = 'a'\n[tool.mypy]\nstrict = true\n"}
    more = files["pyproject.toml"].replace("[tool", "dependencies = ['b']\n[tool")
    assert bench.refused(files, gate, changed={"pyproject.toml": more}) == set()
    weaker = more.replace("true", "false")
    assert bench.refused(files, gate, changed={"pyproject.toml": weaker}) == {"pyproject.toml"}


def test_the_configuration_of_a_linter_holds_no_commands(bench: Bench) -> None:
    content = '[tool.ruff.per-file-ignores]\n"tools/gen.py" = ["T20"]\n"make" = []\n'
    files = {"pyproject.toml": content, "tools/gen.py": "", "Makefile": ""}
    assert bench.refused(files, "ruff check", changed={"tools/gen.py": "x", "Makefile": "x"}) == set()


def test_a_program_in_a_source_directory_is_judged_and_does_not_decide(bench: Bench) -> None:
    files = {"src/app.py": "", "check.py": ""}
    assert bench.refused(files, "python src/app.py --selftest", sources=["src"]) == set()
    assert bench.refused(files, "python check.py", sources=["src"]) == {"check.py"}


def test_a_script_that_is_missing_cannot_be_made_by_a_change(bench: Bench) -> None:
    assert bench.refused({}, "sh run_tests.sh", changed={"run_tests.sh": "exit 0\n", "a.sh": ""}) == {
        "run_tests.sh"
    }


def test_a_file_that_a_script_uses_if_it_is_there_cannot_be_made_by_a_change(bench: Bench) -> None:
    files: dict[str, Content] = {
        "run.sh": 'here=$(dirname "$0")\n[ ! -f ci/a.sh ] || . ci/a.sh\n[ ! -x $here/b ] || $here/b\n',
        "ci/x.sh": "",
    }
    changed: dict[str, Content] = {"ci/a.sh": "exit 0", "b": "exit 0", "ci/other.sh": "", "src/a.py": ""}
    assert bench.refused(files, "sh run.sh", changed=changed) == {"ci/a.sh", "b"}


def test_modules_that_a_script_imports_are_protected(bench: Bench) -> None:
    files: dict[str, Content] = {
        "ci/check.py": "import os, rules as r\nfrom more.names import x\nimport calc\n",
        "ci/rules.py": "from deep import y\n",
        "ci/deep.py": "",
        "ci/more/__init__.py": "",
        "ci/other.py": "",
        "calc/__init__.py": "",
        "app/cli.py": "import core\n",
        "app/core.py": "",
    }
    changed: dict[str, Content] = {**files, "ci/os.py": "x", "ci/unused.py": "x", "app/sys.py": "x"}
    changed = {path: f"{content!r}-changed" for path, content in changed.items()}
    refused = {"ci/check.py", "ci/rules.py", "ci/deep.py", "ci/more/__init__.py", "ci/os.py"}
    assert bench.refused(files, "python3 ci/check.py", changed=changed) == refused
    assert bench.refused(files, "python3 app/cli.py", changed=changed) == {"app/cli.py"}


def test_modules_that_a_script_at_the_top_imports_are_protected(bench: Bench) -> None:
    files: dict[str, Content] = {
        "check.py": "import os, yaml\nimport calc\nfrom check_rules import x\nimport rules, core, tests\n",
        "calc.py": "",
        "check_rules.py": "import deep_lint\n",
        "deep_lint.py": "",
        "rules.py": "",
        "core/__init__.py": "",
        "tests/__init__.py": "",
    }
    more = dict.fromkeys(["yaml.py", "yaml/__init__.py", "unused.py", "core.py"], "")
    changed: dict[str, Content] = {path: f"{content!r}-changed" for path, content in (files | more).items()}
    known = {"check.py", "check_rules.py", "deep_lint.py", "yaml.py", "yaml/__init__.py"}
    assert bench.refused(files, "python3 check.py", changed=changed) == known
    beside = known | {"calc.py", "rules.py"}
    assert bench.refused(files, "python3 check.py", changed=changed, sources=["core/a"]) == beside
    assert bench.refused(files, "python3 check.py", changed=changed, sources=["."]) == known


@pytest.mark.parametrize(
    ("script", "text", "refused"),
    [
        ("ci/check.js",
         'const r = require("./rules")\nimport x from "../tools/x.mjs"\nimport y from "../src/y.js"',
         {"ci/rules.js", "ci/rules.json", "tools/x.mjs"}),
        ("ci/check.rb", "require_relative 'rules'\nrequire 'json'\n", {"ci/rules.rb"}),
    ],
)  # fmt: skip
def test_files_that_a_script_of_another_language_requires_are_protected(
    bench: Bench, script: str, text: str, refused: set[str]
) -> None:
    files: dict[str, Content] = {script: text, "ci/rules.js": "", "ci/rules.rb": "", "tools/x.mjs": ""}
    changed: dict[str, Content] = dict.fromkeys([*files, "src/y.js", "ci/rules.json", "ci/other.js"], "x")
    program = "node" if script.endswith(".js") else "ruby"
    assert bench.refused(files, f"{program} {script}", changed=changed) == {script, *refused}


@pytest.mark.parametrize(
    "text",
    [
        "run-parts --exit-on-error ci/all.d",
        'for check in ci/all.d/*; do\n  echo $check\n  "$check" || exit 1\ndone',
        "for c in ci/all.d/*; do sh -eu $c; done",
        'for c in a.txt ci/all.d/*\ndo . "$c"\ndone',
        "find ci/all.d -type f -exec sh {} \\;",
        "find ci/all.d -type f | sort | xargs -n 1 bash",
        "ls ci/all.d/* | while read c; do sh $c; done",
    ],
)
@pytest.mark.parametrize("is_script", [False, True])
def test_all_files_of_a_directory_that_is_run_are_protected(bench: Bench, text: str, is_script: bool) -> None:
    files: dict[str, Content] = {"ci/all.d/10-lint": "", "src/a.sh": "", "run.sh": text if is_script else ""}
    changed: dict[str, Content] = dict.fromkeys(["ci/all.d/10-lint", "ci/all.d/new", "src/a.sh", "ci/b"], "x")
    refused = {"ci/all.d/10-lint", "ci/all.d/new"}
    assert bench.refused(files, "sh run.sh" if is_script else text, changed=changed) == refused


@pytest.mark.parametrize(
    "text",
    [
        "for t in $(cat list); do pytest $t; done",
        "for t in `grep -v '#' list`; do pytest $t; done",
        "all=$(cat list)\nfor t in $all; do pytest $t; done",
        "pytest $(cat list)",
        "cat list | xargs pytest",
        "grep -v '#' list | sort | while read t; do pytest $t; done",
        "xargs -a list pytest",
        "LIST := $(shell cat list)\npytest $(LIST)",
        "LIST = $(file <list)\npytest ${LIST}",
    ],
)
def test_the_list_of_what_a_script_runs_is_protected(bench: Bench, text: str) -> None:
    files: dict[str, Content] = {"run.sh": f"set -e\n{text}\n", "list": "a\n", "VERSION": ""}
    assert bench.refused(files, "sh run.sh") == {"run.sh", "list"}


@pytest.mark.parametrize(
    "text",
    [
        "version=$(cat VERSION)\necho $version",
        "VERSION := $(shell cat VERSION)\necho $(VERSION)",
        "for f in src/*.sh; do sh -n $f; shellcheck $f; done",
        "for f in tests/*.sh; do sh $f; done",
        "find . -name '*.py' -exec sh -c 'python -m py_compile $0' {} \\;",
        "find src -name '*.sh' | xargs shellcheck",
        "cat README.md | sh",
        "for n in 1 2 3; do pytest -k $n; done",
    ],
)
def test_what_a_script_only_looks_at_may_change(bench: Bench, text: str) -> None:
    free = ["VERSION", "src/a.sh", "tests/a.sh", "src/a.py", "README.md", "1", "tests/list"]
    files: dict[str, Content] = {"run.sh": f"{text}\n", **dict.fromkeys(free, "")}
    assert bench.refused(files, "sh run.sh") == {"run.sh"}


@pytest.mark.parametrize(
    ("gate", "refused"),
    [
        ("python3 -m linter src", {"linter.py"}),
        ("PYTHONPATH=src:lib python3 -m linter", {"linter.py", "src/linter/__init__.py", "src/pytest.py"}),
        ("sh run.sh", {"mypy/__init__.py"}),
        ("python3 -m calc", set()),
    ],
)
def test_no_change_takes_the_place_of_a_module_that_the_gate_runs(
    bench: Bench, gate: str, refused: set[str]
) -> None:
    files: dict[str, Content] = {"run.sh": "python -m mypy . && python -m app\n", "calc/__init__.py": ""}
    changed: dict[str, Content] = dict.fromkeys(
        [
            "linter.py",
            "src/linter/__init__.py",
            "src/pytest.py",
            "mypy/__init__.py",
            "app.py",
            "calc/core.py",
        ],
        "x",
    )
    assert bench.refused(files, gate, changed=changed) == refused


def test_no_change_takes_the_place_of_a_module_that_a_test_imports_when_it_is_run(bench: Bench) -> None:
    files: dict[str, Content] = {"tests/test_a.py": "import unittest\n", "app/cli.py": ""}
    changed: dict[str, Content] = dict.fromkeys(["tests/unittest.py", "tests/helpers.py", "app/json.py"], "x")
    gate = "python3 tests/test_a.py && python3 app/cli.py"
    assert bench.refused(files, gate, changed=changed) == {"tests/unittest.py"}


@pytest.mark.slow
class TestMake:
    FILES: Mapping[str, Content] = {
        "Makefile": (
            "-include config.mk\ninclude $(wildcard mk/*.mk) $(TOP)/rules.mk [a*.mk\n"
            "include $(EXTRA)\ntest:\n\t$(MAKE) -C sub\n"
        ),
        "mk/a.mk": "include deep/b.mk\n",
        "deep/b.mk": "",
        "sub/Makefile": "include local.inc\ntest: ; ./check\n",
        "sub/local.inc": "",
        "src/a.c": "",
        "notes.txt": "",
    }

    def test_the_makefile_and_what_it_includes_are_protected(self, bench: Bench) -> None:
        expected = {"Makefile", "mk/a.mk", "deep/b.mk", "sub/Makefile", "sub/local.inc"}
        assert bench.refused(self.FILES, "make test") == expected

    @pytest.mark.parametrize(
        "path",
        ["GNUmakefile", "makefile", "sub/GNUmakefile", "config.mk", "mk/new.mk", "else/rules.mk", "any.mk"],
    )
    def test_a_file_that_make_would_read_is_protected_though_it_is_missing(
        self, bench: Bench, path: str
    ) -> None:
        assert bench.refused(self.FILES, "make test", changed={path: "x"}) == {path}

    @pytest.mark.parametrize(
        "path", ["Makefile.sh", "config.mk.c", "mk/new.mk.sh", "sub/SCCS/s.Makefile", "sub/local.inc.o"]
    )
    def test_a_file_from_which_make_would_make_a_makefile_is_protected(self, bench: Bench, path: str) -> None:
        changed: dict[str, Content] = {path: "x", "Makefile.am": "x", "src/a.c": "x", "notes.sh": "x"}
        assert bench.refused(self.FILES, "make test", changed=changed) == {path}

    def test_a_file_from_which_make_would_make_what_it_needs_is_protected(self, bench: Bench) -> None:
        text = "test: ci/check src/a.c missing\n\tsh ci/check\ndocs: docs/a\n.PHONY: test\n"
        files = {"Makefile": text, "ci/check": "", "src/a.c": "", "docs/a": ""}
        paths = ["ci/check.sh", "src/a.c", "missing.c", "docs/a.sh"]
        changed: dict[str, Content] = dict.fromkeys(paths, "x")
        assert bench.refused(files, "make test", changed=changed) == {"ci/check.sh"}

    def test_a_program_of_the_tree_that_make_runs_is_protected(self, bench: Bench) -> None:
        files = {**self.FILES, "sub/check": ""}
        modes = {"sub/check": "100755"}
        assert bench.refused(files, "make test", modes=modes, changed={"sub/check": "x"}) == {"sub/check"}

    @pytest.mark.parametrize(
        ("gate", "path"),
        [
            ("make test", "test"),
            ("make test", "test/test_new.py"),
            ("make all", "out/app"),
            ("make", "lint"),
            ("make -f ci/other.mk unit", "unit"),
            ("make -C sub", "sub/check"),
            ("sh run.sh", "lint"),
            ("make test", "src/a.o"),
        ],
    )
    def test_no_change_makes_what_make_would_take_for_its_work(
        self, bench: Bench, gate: str, path: str
    ) -> None:
        files: dict[str, Content] = {
            "Makefile": "BIN = out/app\nall: lint $(BIN)\nlint:\n\truff .\ndocs:\n\tsphinx\n"
            "test: src/a.c\n\t./run\n.PHONY: all clean\n$(BIN): src/a.c\n\tcc\nclean:\n\trm\n",
            "ci/other.mk": "unit:\n\tpytest\n",
            "sub/Makefile": "check:\n\tpytest\n",
            "run.sh": "set -e\nmake lint\n",
            "src/a.c": "",
        }
        free = {"docs/a.md": "x", "clean": "x", "all": "x", "src/b.c": "x", "src/a.c": "x", "tests/a.py": "x"}
        changed: dict[str, Content] = {path: "x", **free}
        assert bench.refused(files, gate, changed=changed) == {path}

    def test_no_change_makes_what_functions_of_make_name(self, bench: Bench) -> None:
        files: dict[str, Content] = {
            "Makefile": "T = $(wildcard checks/*.sh)\nB = $(basename $(T))\n"
            "test: $(T:checks/%.sh=out/%.ok) $(B) $(addprefix bin/,$(notdir $(B)))\n.PHONY: test\n"
            "out/%.ok: checks/%.sh\n\tsh $< && touch $@\nchecks/% bin/%: checks/%.c\n\tcc -o $@ $<\n",
            "checks/a.sh": "",
        }
        taken: dict[str, Content] = {"out/a.ok": "x", "bin/a": "x"}
        # checks/* are targets, too, but the sources of tests lie there.
        changed: dict[str, Content] = {**taken, "checks/b.sh": "x", "checks/b": "x", "out/a.txt": "x"}
        assert bench.refused(files, "make test", changed=changed) == taken.keys()

    def test_another_makefile_by_name_is_protected(self, bench: Bench) -> None:
        files = {"ci.make": "include more.inc\n", "more.inc": "", "a.txt": ""}
        assert bench.refused(files, "make -f ci.make test") == {"ci.make", "more.inc"}


class TestKeys:
    PACKAGE = '{"scripts": {"test": "eslint . && node test.js"}, "dependencies": {}}'

    def refused(self, bench: Bench, gate: str, path: str, before: str, after: str) -> set[str]:
        return bench.refused({path: before}, gate, changed={path: after})

    def test_of_package_json_only_the_scripts_are_protected(self, bench: Bench) -> None:
        for old, new, expected in [
            ("node test.js", "true", {"package.json"}),
            ("{}}", '{"a": "1"}}', set()),
        ]:
            after = self.PACKAGE.replace(old, new)
            assert self.refused(bench, "npm test", "package.json", self.PACKAGE, after) == expected

    def test_programs_in_scripts_of_package_json_are_used(self, bench: Bench) -> None:
        files = {"package.json": self.PACKAGE, "eslint.config.js": "", "jest.config.js": ""}
        assert bench.refused(files, "npm test", changed={"eslint.config.js": "x", "jest.config.js": "x"}) == {
            "eslint.config.js"
        }

    def test_coverage_in_the_options_of_pytest_is_used(self, bench: Bench) -> None:
        before = '[tool.pytest.ini_options]\naddopts = "--cov=src"\n[tool.coverage.report]\nfail_under = 90\n'
        files = {"pyproject.toml": before, ".coveragerc": "", "ruff.toml": ""}
        changed = {"pyproject.toml": before.replace("90", "1"), ".coveragerc": "x", "ruff.toml": "x"}
        gate = get("python").gate()[-1]
        assert bench.refused(files, gate, language="python", changed=changed) == {
            "pyproject.toml",
            ".coveragerc",
        }


CALLS = {
    program: next(form for form in forms if not form.startswith("-"))
    for program, forms in commands().items()
    if forms
}


@pytest.mark.parametrize("row", rows("gate"), ids=str)
@pytest.mark.slow
def test_each_row_is_protected_where_its_program_is_used(bench: Bench, row: Row) -> None:
    files = examples_of(row)
    assert bench.refused({}, f"{CALLS[row.program]} x", changed=files) == files.keys()
    assert bench.refused({}, "true", changed=files) == set()


def test_the_files_that_exist_are_listed_for_people(bench: Bench) -> None:
    files = {
        "Makefile": "test:\n\tsh ci/run.sh\n",
        "ci/run.sh": "ruff .\n",
        "pyproject.toml": "[tool.ruff]\nx = 1\n",
    }
    base = commit_files(bench.repository, bench.base, files)
    assert bench.find(base, "make test").files == ("Makefile", "ci/run.sh", "pyproject.toml: tool.ruff")


def test_files_that_name_each_other_are_read_once(bench: Bench) -> None:
    files = {"a.sh": "sh b.sh\n", "b.sh": "sh a.sh; sh b.sh\n"}
    assert bench.refused(files, "sh a.sh") == {"a.sh", "b.sh"}


@pytest.mark.parametrize(
    "text",
    [
        "sh '",
        'sh "$(',
        "\0",
        "a" * 100_000,
        "(" * 50_000,
        "sh -c " * 1000,
        "$" * 50_000,
        "make\\\n" * 20_000,
        "for x in cat a;do ls b " * 500,
        "require('./" * 20_000,
        "`cat x=$(cat a|" * 1000,
    ],
)
def test_any_text_is_read(text: str) -> None:
    words_in(text)
    words_of(["sh", "-c", text])
    list(included(text))
    listed_files(text)
    run_together(text)
    imported_files("a.js", text)


@pytest.mark.parametrize(
    "word", ["a" * 200_000, "\0", "\n", "[*.sh", "!*.sh", "*" * 5000, "é", "-", "/", ".."]
)
def test_any_word_can_be_a_file(bench: Bench, word: str) -> None:
    assert bench.refused({"a.sh": f"sh {word}\ninclude {word}\n"}, ["sh", word, "a.sh"]) == {"a.sh"}
