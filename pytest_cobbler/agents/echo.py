"""Keeps the credential out of a stream of events, also if the API spreads it over several of them."""

from __future__ import annotations

from pytest_cobbler.agents.values import event_of, object_of
from pytest_cobbler.secret_forms import SHORTEST, Secrets

__all__ = ["EchoFilter", "SpreadEcho"]


class SpreadEcho(Exception):
    """The credential is spread over events, in pieces that cannot be replaced one by one."""


class EchoFilter:
    """Passes lines of an event stream on, without the credential.

    Text comes in deltas, which the agent's program joins. An event whose text may be the beginning of the
    credential waits for the next one.
    """

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._text = b""
        self._waiting = b""
        self._waits = False

    def take(self, lines: bytes) -> bytes:
        """What may be passed on now, of these lines and those that wait.

        Raises:
            SpreadEcho: the last event completes a credential that earlier ones began.
        """
        passed = b""
        for line in lines.splitlines(keepends=True):
            self._waiting += line
            if text := _delta(line):
                self._take_text(text)
            if not self._waits:
                passed += self.rest()
        return passed

    def rest(self) -> bytes:
        """The lines that wait."""
        waiting, self._waiting = self._waiting, b""
        return self._secrets.scrub(waiting)

    def _take_text(self, text: bytes) -> None:
        whole = self._secrets.scrub(text)
        joined = self._text + whole
        if self._secrets.are_in(joined):
            self._waiting = b""
            raise SpreadEcho
        begins = self._secrets.beginning_at(joined)
        self._waits = len(joined) - begins >= SHORTEST
        self._text = joined[begins:]


def _delta(line: bytes) -> bytes:
    """The text in one line of an event stream, if it is a part of a longer one."""
    if not line.startswith(b"data:") or b"_delta" not in line:
        return b""
    delta = object_of(event_of(line.removeprefix(b"data:")).get("delta"))
    texts = (value for key, value in delta.items() if key != "type" and isinstance(value, str))
    return "".join(texts).encode("utf-8", "replace")
