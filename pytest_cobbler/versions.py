"""The versions that programs print."""

from __future__ import annotations

import re

from packaging.version import VERSION_PATTERN, Version

_VERSION = re.compile(rf"(?<![\w.]){VERSION_PATTERN}", re.VERBOSE | re.IGNORECASE)


def find_version(text: str) -> Version | None:
    """The first version in what a program printed, such as ``git version 2.39.5 (Apple Git-154)``."""
    match = _VERSION.search(text)
    return Version(match[0]) if match else None
