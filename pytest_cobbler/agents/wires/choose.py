"""The wires by their names in the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pytest_cobbler.agents.wires.base import Wire
from pytest_cobbler.agents.wires.chat import CHAT
from pytest_cobbler.agents.wires.gemini import GEMINI
from pytest_cobbler.agents.wires.messages import MESSAGES
from pytest_cobbler.agents.wires.responses import RESPONSES

__all__ = ["WIRES"]

_ALL: Final[tuple[Wire, ...]] = (MESSAGES, RESPONSES, CHAT, GEMINI)

WIRES: Final[Mapping[str, Wire]] = {wire.name: wire for wire in _ALL}
