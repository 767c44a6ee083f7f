"""Which requests of an agent leave, beside what its budget pays for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pytest_cobbler.agents.wires.base import Asked, Wire
from pytest_cobbler.config.agents import is_among
from pytest_cobbler.display import one_line

__all__ = ["EVERYTHING_LOCAL", "Refused", "Rules"]


class Refused(Exception):
    """A request that is not passed on; ``kind`` is an error type of the Messages API."""

    def __init__(self, status: int, kind: str, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.kind = kind


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The rules of a project.

    ``hosted_tools`` are the names of what may act at the API. ``models`` are those that may answer; a ``*``
    at the end stands for any end. Empty: all.
    """

    hosted_tools: tuple[str, ...] = ()
    models: tuple[str, ...] = ()

    def check(self, wire: Wire, asked: Asked) -> None:
        """See that a request may leave.

        Raises:
            Refused: it may not.
        """
        if not asked.is_plain:
            raise Refused(400, "invalid_request_error", "the body is not an object in plain JSON")
        for name in wire.hosted(asked.content):
            if name not in self.hosted_tools:
                why = f"{one_line(name, 80)} is not in hosted_tools"
                raise Refused(403, "permission_error", why)
        for model in self._others((asked.model, *wire.models(asked.content))):
            raise Refused(403, "permission_error", f"the model {one_line(model, 80)} is not in models")

    def _others(self, models: Iterable[str]) -> Iterable[str]:
        """The models that may not answer."""
        return [model for model in models if not is_among(model, self.models)]


EVERYTHING_LOCAL: Final = Rules()
"""Any model, and nothing that acts at the API."""
