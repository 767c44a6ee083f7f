"""The author and the committer of the commits that this package makes."""

from __future__ import annotations

import re
from dataclasses import dataclass

_UNDECODABLE = re.compile("[\udc80-\udcff]")
"""What ``os.fsdecode`` makes of bytes that are not UTF-8."""


@dataclass(frozen=True, kw_only=True)
class Person:
    """A name and an email address, as git records them."""

    name: str
    email: str

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>".encode("utf-8", "backslashreplace").decode()

    @property
    def ident(self) -> str:
        """The person as a commit has it. As in git, bytes that are not UTF-8 are taken for Latin-1."""
        return _UNDECODABLE.sub(lambda found: chr(ord(found[0]) - 0xDC00), f"{self.name} <{self.email}>")


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Git records two people for each commit: who wrote the change, and who made the commit of it."""

    author: Person
    committer: Person

    @classmethod
    def of(cls, person: Person) -> Identity:
        """The same person in both roles."""
        return cls(author=person, committer=person)

    def __str__(self) -> str:
        if self.author == self.committer:
            return str(self.author)
        return f"author {self.author}, committer {self.committer}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which ``git commit-tree`` takes both."""
        return {
            f"GIT_{role}_{part}": value
            for role, person in (("AUTHOR", self.author), ("COMMITTER", self.committer))
            for part, value in (("NAME", person.name), ("EMAIL", person.email))
        }
