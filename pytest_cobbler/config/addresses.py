"""Addresses of the model's API in a configuration, where prompts and the credential would go."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

__all__ = ["ADDRESS", "VARIABLE", "addresses_in", "is_anthropics", "shown_address"]

VARIABLE: Final = "ANTHROPIC_BASE_URL"
"""The variable that names the API to its clients, and to our proxy."""

ADDRESS: Final = re.compile(r"ANTHROPIC_(?:[A-Z0-9]+_)?BASE_URL")
"""All variables from which claude takes an address: of the API, and of other clouds that serve it."""


def is_anthropics(address: str) -> bool:
    """Whether an address is one of Anthropic's, over TLS."""
    try:
        parts = urlsplit(address.strip())
        host = parts.hostname or ""
    except ValueError:
        return False
    return parts.scheme == "https" and (host == "anthropic.com" or host.endswith(".anthropic.com"))


def shown_address(address: str) -> str:
    """An address without a name and a password."""
    return re.sub(r"//[^/@]*@", "//", address)


def addresses_in(arguments: Iterable[str]) -> Iterable[int]:
    """The positions of arguments of claude that set an address, as in ``--settings '{"env": ...}'``."""
    return (index for index, argument in enumerate(arguments) if ADDRESS.search(argument))
