"""The agent of a first configuration: one whose program an image has, and whose key is here."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pytest_cobbler.agents.credential import Credential, credential_for
from pytest_cobbler.agents.wires.choose import WIRES
from pytest_cobbler.errors import UsageProblem

__all__ = ["PROGRAMS", "Suggested", "suggest"]

_APIS: Final[Mapping[str, Sequence[str]]] = {
    "claude": ("messages",),
    "codex": ("responses",),
    "opencode": ("messages", "responses", "gemini"),
    "gemini": ("gemini",),
}
"""Program -> the APIs that it can ask without further settings."""

PROGRAMS: Final = tuple(_APIS)
"""Programs of agents, in the order in which they are chosen."""


@dataclass(frozen=True, kw_only=True)
class Suggested:
    """An agent, the API that it asks, and the variable for its key.

    ``found`` is the place of the key; empty if there is none.
    """

    agent: str
    api: str
    key: str
    found: str = ""

    @property
    def page(self) -> str:
        """The section of the documentation about it."""
        return f"docs/agents.md#{self.agent}"

    @property
    def values(self) -> dict[str, str]:
        """Key of the configuration -> value, where it is not the default."""
        chosen = {} if self.agent == "claude" else {"agent": self.agent}
        has_choice = len(_APIS[self.agent]) > 1 and self.api != _APIS[self.agent][0]
        return {**chosen, **({"agent_api": self.api} if has_choice else {})}


def suggest(programs: Sequence[str], root: Path) -> Suggested:
    """The first of ``programs`` whose key is here, else the first one.

    Args:
        root: the directory of the project.
    """
    able = [one for program in programs for one in _ways(program, root)]
    return next((one for one in able if one.found), able[0])


def _ways(program: str, root: Path) -> Iterator[Suggested]:
    for api in _APIS[program]:
        key = WIRES[api].address.key
        credential = _credential(key, root)
        is_usable = credential is not None and (program == "claude" or credential.kind == "api_key")
        yield Suggested(
            agent=program, api=api, key=key, found=credential.source if credential and is_usable else ""
        )


def _credential(key: str, root: Path) -> Credential | None:
    try:
        return credential_for(key, os.environ, root / ".secrets" / "claude.json")
    except UsageProblem:  # it is there and cannot be used, which the doctor explains
        return None
