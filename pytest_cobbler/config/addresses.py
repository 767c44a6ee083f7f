"""Addresses of the model's API in a configuration, where prompts and the credential would go."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

__all__ = ["ADDRESS", "addresses_in", "is_anthropics", "is_makers", "providers_in", "shown_address"]

ADDRESS: Final = re.compile(r"(ANTHROPIC|OPENAI|GOOGLE)_(?:[A-Z0-9]+_)?BASE_URL")
"""All variables from which an agent takes an address: of its API, and of other clouds that serve it."""

_DOMAINS: Final = {"ANTHROPIC": "anthropic.com", "OPENAI": "openai.com", "GOOGLE": "googleapis.com"}
"""First word of the variable -> where its maker serves the API."""


def is_makers(variable: str, address: str) -> bool:
    """Whether the address that a variable of :data:`ADDRESS` has is one of the API's maker, over TLS."""
    return _is_below(_DOMAINS[variable.partition("_")[0]], address)


def is_anthropics(address: str) -> bool:
    """Whether an address is one of Anthropic's, over TLS."""
    return _is_below(_DOMAINS["ANTHROPIC"], address)


def _is_below(domain: str, address: str) -> bool:
    try:
        parts = urlsplit(address.strip())
        host = parts.hostname or ""
    except ValueError:
        return False
    return parts.scheme == "https" and (host == domain or host.endswith(f".{domain}"))


def shown_address(address: str) -> str:
    """An address without a name and a password."""
    return re.sub(r"//[^/@]*@", "//", address)


_OF_CODEX: Final = re.compile(r"model_provider|base_url|^--(oss|remote|local-provider)\b")


def providers_in(arguments: Iterable[str]) -> Iterable[int]:
    """The positions of arguments of codex that set an address, as in ``-c openai_base_url=...``."""
    return (index for index, argument in enumerate(arguments) if _OF_CODEX.search(argument))


def addresses_in(arguments: Iterable[str]) -> Iterable[int]:
    """The positions of arguments of claude that set an address, as in ``--settings '{"env": ...}'``."""
    return (index for index, argument in enumerate(arguments) if ADDRESS.search(argument))
