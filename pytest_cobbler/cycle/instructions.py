"""The base's instructions and skills for agents, which they get instead of those in a worktree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import yaml

from pytest_cobbler.agents.base import Agent, InstructedAgent, SkilledAgent
from pytest_cobbler.display import one_line
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sandbox.site import Place

__all__ = ["INSTRUCTIONS", "Instructions", "Skill", "read_instructions"]

INSTRUCTIONS = ("CLAUDE.md", "AGENTS.md")
"""Files with the repository's own instructions, for an agent that names none. The first one counts."""

_SKILLS = (".agents/skills", ".claude/skills")
"""Directories with the repository's skills, for an agent that names none. Of two skills, the first counts."""

_FILE = "SKILL.md"

_HEADING = """\
# Skills

Each skill is a directory with instructions for one kind of work. If your work is of that kind, read the
file of the skill first. Paths in it are relative to its directory.
Only these copies count: the checkout may have others.
"""


@dataclass(frozen=True, kw_only=True)
class Skill:
    """A skill of the base. ``files``: path in its directory -> content."""

    name: str
    description: str
    files: Mapping[str, bytes]


@dataclass(frozen=True, kw_only=True)
class Instructions:
    """What a repository tells an agent. ``text`` is the content of its file, ``None`` if there is none."""

    text: bytes | None = None
    skills: Sequence[Skill] = field(default_factory=tuple)

    def given_to(self, place: Place) -> bytes | None:
        """Give the skills to ``place``: the text with a list of them; ``None``: there are no instructions."""
        if not self.skills:
            return self.text
        lines = []
        for number, skill in enumerate(self.skills, 1):
            paths = {name: place.put(f"skills/{number}/{name}", data) for name, data in skill.files.items()}
            lines.append(f"* {skill.name}: {skill.description} ({paths[_FILE]})")
        listed = "\n".join([_HEADING, *lines, ""]).encode("utf-8", "surrogateescape")
        return b"\n\n".join(part for part in (self.text, listed) if part)


def read_instructions(repository: Repository, commit: str, agent: Agent) -> Instructions:
    """The instructions for ``agent`` at ``commit``.

    The files are those in the directory of the project and in those above it, the top first; the skills are
    those of all these directories, the nearest first.
    """
    directory = PurePosixPath(repository.directory.path)
    nearest = (directory, *directory.parents)
    names = agent.instructions if isinstance(agent, InstructedAgent) else INSTRUCTIONS
    contents = []
    for above in reversed(nearest):
        read = (repository.read_file(commit, f"/{above / name}") for name in names)
        contents += [content for content in read if content is not None][:1]
    places = agent.skills if isinstance(agent, SkilledAgent) else _SKILLS
    skills: dict[str, Skill] = {}
    for skill in _skills(repository, commit, [above / name for above in nearest for name in places]):
        skills.setdefault(skill.name, skill)
    return Instructions(text=b"\n\n".join(contents) if contents else None, skills=tuple(skills.values()))


def _skills(repository: Repository, commit: str, places: Sequence[PurePosixPath]) -> Iterator[Skill]:
    """The skills in ``places``, in their order, then by the names of their directories."""
    blobs = repository.all_blobs(commit)
    for place in places:
        found: dict[str, dict[str, str]] = {}
        for path, blob in blobs.items():
            if path.startswith(f"{place}/"):
                name, _, inside = path.removeprefix(f"{place}/").partition("/")
                found.setdefault(name, {})[inside] = blob
        for name, files in sorted(found.items()):
            if _FILE in files:
                contents = dict(repository.read_blobs(sorted(set(files.values()))))
                read = {inside: contents[blob] for inside, blob in files.items()}
                yield _described(name, read)


def _described(directory: str, files: Mapping[str, bytes]) -> Skill:
    facts = _front_matter(files[_FILE].decode("utf-8", "replace"))
    name = one_line(str(facts.get("name") or directory))
    return Skill(name=name, description=one_line(str(facts.get("description") or ""), 1024), files=files)


def _front_matter(text: str) -> Mapping[str, object]:
    """The facts at the top of a file, between two lines of dashes; empty if they cannot be read."""
    first, _, rest = text.partition("\n")
    if first.strip() != "---":
        return {}
    try:
        facts = yaml.safe_load(rest.partition("\n---")[0])
    except yaml.YAMLError:
        return {}
    return facts if isinstance(facts, dict) else {}
