"""The reader for a transcript, by what the transcript has."""

from __future__ import annotations

from pytest_cobbler.agents.streams.acp import AcpReader
from pytest_cobbler.agents.streams.base import NewReader
from pytest_cobbler.agents.streams.claude import ClaudeReader
from pytest_cobbler.agents.streams.codex import CodexReader
from pytest_cobbler.agents.streams.gemini import GeminiReader
from pytest_cobbler.agents.streams.opencode import EVENTS, OpenCodeReader
from pytest_cobbler.agents.values import event_of, text_of

__all__ = ["reader_for"]

_OF_CODEX = ("thread.", "turn.", "item.")


def reader_for(lines: bytes) -> NewReader:
    """The reader for an output that has these lines; log text has the same one as claude's."""
    for line in lines.split(b"\n"):
        event = event_of(line)
        if text_of(event, "jsonrpc"):
            return AcpReader
        if kind := text_of(event, "type"):
            if kind in EVENTS and "sessionID" in event:
                return OpenCodeReader
            if kind == "init":
                return GeminiReader
            return CodexReader if kind.startswith(_OF_CODEX) else ClaudeReader
    return ClaudeReader
