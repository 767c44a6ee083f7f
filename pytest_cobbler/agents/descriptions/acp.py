"""Any program that speaks the Agent Client Protocol on its stdin and stdout."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import PurePosixPath
from typing import ClassVar, Final

from pytest_cobbler.agents.base import AgentRequest, Session, SessionPlace
from pytest_cobbler.agents.descriptions.base import Start, no_command
from pytest_cobbler.agents.descriptions.command import Command, facts_of
from pytest_cobbler.agents.descriptions.gemini import home_with
from pytest_cobbler.agents.descriptions.opencode import DIRECTORIES, SESSIONS
from pytest_cobbler.agents.homes import Home
from pytest_cobbler.agents.streams.acp import INITIALIZE, LIST, LOAD, NEW, PROMPT, AcpReader
from pytest_cobbler.agents.streams.base import NewReader

__all__ = ["Acp"]

_VERSION = 1
_SESSION = "@session@"
"""Stands for the id that the program gives the session, in ``data/acp.sh``."""

_HOMES: Final[Mapping[str, Home]] = {
    "opencode": Home(variable=SESSIONS.variable, directory=".local/share", further=DIRECTORIES),
    "gemini": home_with(files={}, texts={}),
}
"""Name of a program that is known -> the directory for its own files."""

_NOTHING = {"fs": {"readTextFile": False, "writeTextFile": False}, "terminal": False}
"""What the program may ask of its client: it has files and a shell of its own."""


@dataclass(frozen=True, kw_only=True)
class Acp(Command):
    """The program and its arguments, as ``agent_command`` has them.

    It talks to a small client (``data/acp.sh``) in the same container, where nothing is trusted. The client
    gives every permission: the container is the sandbox.

    Args:
        continues: whether the conversations of opencode can go on: it looks for them by the directory that it
            works in. Where other programs keep theirs is not known.
    """

    continues: bool = True

    reader: ClassVar[NewReader] = AcpReader
    reports_success: ClassVar[bool] = True
    patience: ClassVar[float | None] = 10.0

    @property
    def sessions(self) -> SessionPlace | None:
        is_known = self._program == "opencode" and SESSIONS.variable not in self.variables
        return SESSIONS if is_known and self.continues else None

    @property
    def _program(self) -> str:
        return PurePosixPath(self.command[0]).name

    def begin(self, request: AgentRequest, session_id: str) -> Start:  # noqa: ARG002
        blocks = [_text(no_command(request.prompt))]
        if rules := request.system_prompt_file:
            blocks.insert(0, {"type": "resource_link", "uri": f"file://{rules}", "name": "AGENTS.md"})
            blocks.insert(0, _text(f"First read {rules}: the rules of this repository."))
        new = _line(NEW, "session/new", cwd=str(request.worktree), mcpServers=[])
        return self._start(request, (new, "\n"), blocks)

    def go_on(self, request: AgentRequest, session: Session) -> Start:
        directory = str(request.worktree)
        listed = _line(LIST, "session/list", cwd=directory)
        load = _line(LOAD, "session/load", sessionId=_SESSION, cwd=directory, mcpServers=[])
        return self._start(request, (listed, load), [_text(no_command(session.turn))])

    def _start(self, request: AgentRequest, opening: tuple[str, str], blocks: list[dict[str, str]]) -> Start:
        client = resources.files("pytest_cobbler").joinpath("data/acp.sh").read_text("utf-8")
        lines = (
            _line(INITIALIZE, "initialize", protocolVersion=_VERSION, clientCapabilities=_NOTHING),
            *opening,
            _line(PROMPT, "session/prompt", sessionId=_SESSION, prompt=blocks),
        )
        return Start(
            argv=("sh", "-c", client, "acp", *self.command),
            stdin="".join(lines),
            environment=facts_of(request),
            home=_HOMES.get(self._program),
        )


def _text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


def _line(name: str, method: str, **params: object) -> str:
    message: Mapping[str, object] = {"jsonrpc": "2.0", "id": name, "method": method, "params": params}
    return json.dumps(message, separators=(",", ":")) + "\n"
