"""The address of the model's API."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from pytest_cobbler.errors import UsageProblem

API: Final = "https://api.anthropic.com"
"""Where the Messages API is, unless ANTHROPIC_BASE_URL says something else."""


def check_address(variable: str, value: str, what: str) -> None:
    """See that an environment variable holds an http address.

    Raises:
        UsageProblem: it does not.
    """
    try:
        found = urlsplit(value)
        is_one = found.scheme in ("http", "https") and (found.port or 1) > 0
    except ValueError:
        is_one = False
    if not is_one or not re.fullmatch(r"[\w.:-]+", found.hostname or ""):
        shown = re.sub(r"[^/@]*@", "", value)  # a name and a password
        raise UsageProblem(
            f"{variable} is {shown!r}, not an address", f"Set it to that of {what}, or unset it."
        )
