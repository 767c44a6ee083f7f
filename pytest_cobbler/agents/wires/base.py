"""What the proxy has to know of an API: a wire is the format of its requests and answers.

The names of tokens are those of the Messages API for every wire: that is how prices count them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pytest_cobbler.agents.bounds import Prompt
from pytest_cobbler.agents.credential import Credential
from pytest_cobbler.agents.values import plain_object, text_of
from pytest_cobbler.display import one_line

__all__ = ["Address", "Asked", "Call", "Fault", "Report", "Terms", "Wire"]


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where an API is: at ``api``, unless the environment's ``variable`` names another place.

    A program is told a place with the path ``below``, which its requests have and those to the API do not.
    ``key`` is the variable of the environment that has the key.
    """

    variable: str
    key: str
    api: str
    below: str = ""


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request that a wire serves. ``is_to_model``: a model answers it, which costs money.

    ``target`` is its path below the address of the API, ``model`` the one that the path names.
    """

    is_to_model: bool
    target: str
    model: str = ""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The body of a request, and what it says. ``is_plain``: it is an object in plain JSON, ``content``."""

    body: bytes
    is_plain: bool = False
    content: Mapping[str, Any] = field(default_factory=dict)
    model: str = ""

    @classmethod
    def of(cls, body: bytes, call: Call | None = None) -> Asked:
        found = plain_object(body)
        content = found or {}
        model = call.model if call and call.model else text_of(content, "model")
        return cls(body=body, is_plain=found is not None, content=content, model=one_line(model))


@dataclass(frozen=True, kw_only=True)
class Fault:
    """An error in an answer: its type, by the names of the Messages API, and the words of the API.

    ``status`` is the one that it means, if that of the answer says less. ``wait``: seconds after which the
    API serves again, if the error names them.
    """

    kind: str
    message: str
    status: int = 0
    wait: float | None = None


@dataclass(frozen=True, kw_only=True)
class Report:
    """What an event of a stream, or a whole answer, says.

    ``usage`` is what the answer used so far; it replaces earlier numbers of the same name. ``is_end``: no
    more will come. ``has_extras``: something in it has a price that is not known. ``is_shortened``: the API
    left out a part of the prompt, or counted more than one answer.
    """

    model: str = ""
    usage: Mapping[str, object] = field(default_factory=dict)
    is_end: bool = False
    has_extras: bool = False
    is_shortened: bool = False
    fault: Fault | None = None


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What the most that a request may cost depends on, beside its tokens.

    ``writes_cache``: its prompt may be written to the cache, ``for_an_hour`` or less. ``is_regional``: its
    answer may be computed where it costs more.
    """

    is_fast: bool = False
    writes_cache: bool = False
    for_an_hour: bool = False
    is_regional: bool = False


class Wire(Protocol):
    """The format of an API. All that it reads is written by an agent or by the API, and may be anything."""

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        ...

    @property
    def address(self) -> Address:
        """Where the API is."""
        ...

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths that are served, for people."""
        ...

    @property
    def query(self) -> re.Pattern[str]:
        """What a request may have behind its path."""
        ...

    @property
    def end_of_stream(self) -> bytes:
        """The data of the last event of a stream, if they are not an object."""
        ...

    @property
    def passed(self) -> re.Pattern[str]:
        """Headers of a request that reach the API, in lower case; none of them redirects it at a gateway."""
        ...

    def call(self, path: str) -> Call | None:
        """The request for ``path``; ``None``: it is not served."""
        ...

    def login(self, credential: Credential, sent: Iterable[tuple[str, str]]) -> dict[str, str]:
        """The headers, with names in lower case, that show the credential to the API.

        Args:
            sent: the headers of the agent's request.
        """
        ...

    def hosted(self, content: Mapping[str, Any]) -> Iterator[str]:
        """The names of what is in a request and on no list: it could act at the API, or cost money unseen."""
        ...

    def models(self, content: Mapping[str, Any]) -> tuple[str, ...]:
        """Further models that may answer a request."""
        ...

    def prompt(self, content: Mapping[str, Any]) -> Prompt:
        """What the model reads of a request.

        Raises:
            Unbounded: its size is unknown before it is answered.
        """
        ...

    def terms(self, content: Mapping[str, Any]) -> Terms:
        """What the price of a request depends on."""
        ...

    def output(self, content: Mapping[str, Any]) -> int | None:
        """The most tokens of output that a request asks for; ``None``: it does not say."""
        ...

    def prepared(self, content: Mapping[str, Any], tokens: int | None) -> Mapping[str, Any]:
        """The request as it is sent: its answer says what it used, and is not kept at the API.

        Args:
            tokens: the most tokens of output, of one model; ``None``: as many as it asks for.
        """
        ...

    def event(self, event: Mapping[str, object]) -> Report | None:
        """What the data of an event of a stream say; ``None``: nothing."""
        ...

    def whole(self, answer: Mapping[str, object]) -> Report:
        """What an answer that is not a stream says."""
        ...

    def error(self, kind: str, message: str) -> dict[str, object]:
        """The body of an error, as the API writes it; ``kind`` is a type of the Messages API."""
        ...
