"""The paths that run or instruct elsewhere: each row of the table decides how a change ends."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

import pytest

from pytest_cobbler.globs import matches_glob
from pytest_cobbler.repository.changes import read_change
from pytest_cobbler.repository.checks import Policy, check_change, review_notes
from pytest_cobbler.repository.path_table import Kind, Row, commands, named_patterns, path_table, rows
from pytest_cobbler.repository.repository import Repository
from tests.support.repositories import Content, UserRepository, commit_files
from tests.support.sensitive_files import GATE, KEYS, NAMED, PROTECTED, empty, examples_of, words


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
    """How the examples end of all rows, in one change."""
    files = {path: content for row in path_table() for path, content in examples_of(row).items()}
    files |= {path: empty(path) for path in (*PROTECTED, *GATE, *NAMED)}
    return {policy: table.decide(files, policy) for policy in (EVERY_PROJECT, EVERY_PROGRAM)}


def others(rows: Iterable[Row], decided: Mapping[str, str], verdict: str) -> dict[str, set[str | None]]:
    """The rows of which some example does not end so, with how their examples end."""
    found = {str(row): {decided.get(path) for path in examples_of(row)} for row in rows}
    return {row: verdicts for row, verdicts in found.items() if verdicts != {verdict}}


@pytest.mark.parametrize("kind", ["protected", "gate", "named"])
def test_each_row_decides_what_becomes_of_its_files(
    decided: Mapping[Policy, Mapping[str, str]], kind: Kind
) -> None:
    of_kind = [row for row in path_table() if row.kind == kind]
    assert len(of_kind) > 100
    policy = EVERY_PROJECT if kind == "protected" else EVERY_PROGRAM
    assert others(of_kind, decided[policy], "named" if kind == "named" else "refused") == {}
    if kind == "gate":
        patterns = [row for row in of_kind if not row.key]
        assert others(patterns, decided[EVERY_PROJECT], "named") == {}


def is_covered_by_others(row: Row) -> bool:
    """Whether the table would decide the same about the examples of ``row`` without it."""
    others = [other for other in path_table() if other != row and other.key == row.key]
    if row.kind == "protected":
        others = [other for other in others if other.kind == "protected"]
    if row.key:
        return row.pattern in [other.pattern for other in others]
    return all(
        any(matches_glob(path, other.pattern, fold_case=True) for other in others)
        for path in examples_of(row)
    )


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
