"""The author and the committer of the commits that this package makes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Person:
    """A name and an email address, as git records them."""

    name: str
    email: str

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>".encode("utf-8", "backslashreplace").decode()


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
