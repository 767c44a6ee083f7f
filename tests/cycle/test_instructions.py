"""The instructions and skills of a repository that an agent gets, and that no agent may change."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.agents.access import Access
from pytest_cobbler.agents.base import Agent
from pytest_cobbler.agents.described import DescribedAgent
from pytest_cobbler.agents.descriptions.base import Description
from pytest_cobbler.agents.descriptions.claude import Claude
from pytest_cobbler.agents.descriptions.codex import Codex
from pytest_cobbler.agents.descriptions.command import Command
from pytest_cobbler.agents.descriptions.gemini import GeminiCli
from pytest_cobbler.agents.descriptions.opencode import OpenCode
from pytest_cobbler.cycle.instructions import INSTRUCTIONS, read_instructions
from pytest_cobbler.globs import matches_any
from pytest_cobbler.repository.path_table import built_in_patterns
from pytest_cobbler.repository.repository import Repository
from tests.support.repositories import UserRepository
from tests.support.repository_fixtures import no_git_of_ours, template, tmp_path, user

__all__ = ["no_git_of_ours", "template", "tmp_path", "user"]


class StandInPlace:
    """The part of a place that gives files to jobs."""

    def __init__(self) -> None:
        self.given: dict[str, bytes] = {}

    def put(self, name: str, content: bytes) -> Path:
        self.given[name] = content
        return Path("/given", name)


class OfHook:
    """An agent that names no files."""


def agent(described: Description) -> Agent:
    return DescribedAgent(described, Access())


@pytest.mark.parametrize(
    ("files", "claude", "command"),
    [
        ({}, None, None),
        ({"CLAUDE.md": "c"}, b"c", b"c"),
        ({"AGENTS.md": "a"}, b"a", b"a"),
        ({"CLAUDE.md": "c", "AGENTS.md": "a"}, b"c", b"a"),
        ({"AGENTS.md": "a", "web/CLAUDE.md": "c", "api/CLAUDE.md": "no"}, b"a\n\nc", b"a\n\nc"),
        ({"GEMINI.md": "g"}, None, None),
    ],
)
def test_an_agent_gets_its_own_file_or_that_of_all_agents(
    user: UserRepository, files: Mapping[str, str], claude: bytes | None, command: bytes | None
) -> None:
    commit = user.commit({"web/x": "", **files})
    repository = Repository(user.path / "web", user.work_dir)
    assert read_instructions(repository, commit, agent(Claude())).text == claude
    assert read_instructions(repository, commit, agent(Command(command=["true"]))).text == command


def skill(name: str, description: str) -> str:
    return f"---\nname: {name}\ndescription: {description}\n---\nDo it.\n"


SKILLS = {
    ".claude/skills/ship/SKILL.md": skill("ship", "by claude"),
    ".claude/skills/ship/run.sh": "#!/bin/sh\necho shipped\n",
    ".agents/skills/ship/SKILL.md": skill("ship", "by all"),
    ".gemini/skills/ship/SKILL.md": skill("ship", "by gemini"),
    ".opencode/skills/ship/SKILL.md": skill("ship", "by opencode"),
    "web/.agents/skills/paint/SKILL.md": "Paint it.\n",
    "api/.agents/skills/no/SKILL.md": skill("no", "of another project"),
    ".agents/skills/empty/README.md": "No skill.\n",
}


@pytest.mark.parametrize(
    ("described", "ship"),
    [
        (Claude(), "by claude"),
        (Codex(), "by all"),
        (GeminiCli(), "by gemini"),
        (OpenCode(), "by opencode"),
        (Command(command=["true"]), "by all"),
        (None, "by all"),
    ],
    ids=["claude", "codex", "gemini", "opencode", "command", "of a hook"],
)
def test_an_agent_gets_its_own_skills_and_those_of_others(
    user: UserRepository, described: Description | None, ship: str
) -> None:
    commit = user.commit({"web/x": "", **SKILLS})
    repository = Repository(user.path / "web", user.work_dir)
    one: Any = agent(described) if described else OfHook()
    found = read_instructions(repository, commit, one).skills
    assert {one.name: one.description for one in found} == {"paint": "", "ship": ship}


def test_the_copies_of_skills_are_listed_behind_the_instructions(user: UserRepository) -> None:
    commit = user.commit({"CLAUDE.md": "Rule.\n", **SKILLS})
    place: Any = StandInPlace()
    instructions = read_instructions(Repository(user.path, user.work_dir), commit, agent(Claude()))

    text = (instructions.given_to(place) or b"").decode()

    assert text.startswith("Rule.\n\n\n# Skills\n")
    assert text.endswith("\n* ship: by claude (/given/skills/1/SKILL.md)\n")
    assert place.given == {
        f"skills/1/{name}": SKILLS[f".claude/skills/ship/{name}"].encode() for name in ("SKILL.md", "run.sh")
    }


@pytest.mark.parametrize("text", ["---\na: [\n---\n", "---\n- a\n---\n", "---\n", ""])
def test_a_skill_whose_facts_cannot_be_read_has_the_name_of_its_directory(
    user: UserRepository, text: str
) -> None:
    commit = user.commit({".agents/skills/odd/SKILL.md": text})
    one: Any = OfHook()
    (found,) = read_instructions(Repository(user.path, user.work_dir), commit, one).skills
    assert (found.name, found.description) == ("odd", "")


def test_no_change_may_touch_what_instructs_an_agent() -> None:
    names = {*INSTRUCTIONS, *Claude.instructions, *Command.instructions}
    places = [*names, *(f"a/b/{name}" for name in names), "GEMINI.md", ".codex/config.toml", "opencode.json"]
    places += [path for path in SKILLS if "skills" in path]
    assert [place for place in places if not matches_any(place, built_in_patterns())] == []
