"""What an agent prints, on the host's disk: as it comes, without secrets, and of bounded size."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO
from urllib.parse import quote

__all__ = ["PLACEHOLDER", "Recording", "Scrubber"]

PLACEHOLDER = "[credential]"

SHORTEST_SECRET = 8
"""Characters; a shorter "secret" is none, and replacing it would destroy text."""

_MEGABYTE = 1024 * 1024


class Scrubber:
    """Replaces secrets in text: plain, escaped for JSON or a URL, as base64 at any offset, in hexadecimal.

    This keeps a credential that is printed by accident out of files; it is no defence against an agent that
    means to hide it.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets if len(secret) >= SHORTEST_SECRET for form in _forms(secret)}
        self._forms = sorted(forms, key=len, reverse=True)

    def __call__(self, data: bytes) -> bytes:
        for form in self._forms:
            data = data.replace(form, PLACEHOLDER.encode())
        return data

    def text(self, text: str) -> str:
        return self(text.encode("utf-8", "replace")).decode("utf-8", "replace")


def _forms(secret: str) -> Iterator[bytes]:
    raw = secret.encode()
    yield raw
    for ascii_only in (True, False):
        once = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        yield once.encode()
        yield json.dumps(once, ensure_ascii=ascii_only)[1:-1].encode()
    yield quote(secret, safe="").encode()
    yield raw.hex().encode()
    yield raw.hex().upper().encode()
    for offset in range(3):
        yield _inner_base64(raw, offset, base64.b64encode)
        yield _inner_base64(raw, offset, base64.urlsafe_b64encode)


def _inner_base64(raw: bytes, offset: int, encode: Callable[[bytes], bytes]) -> bytes:
    """The characters of base64 text that depend on ``raw`` alone; it begins at ``offset`` modulo 3."""
    first = (offset * 8 + 5) // 6
    last = (offset + len(raw)) * 8 // 6
    return encode(bytes(offset) + raw)[first:last]


class Recording:
    """A file that takes lines as they come, so that a killed run leaves what it printed.

    Args:
        limit: bytes after which a note ends the file; further lines are dropped.
    """

    def __init__(self, path: Path, limit: int = 64 * _MEGABYTE) -> None:
        self._path = path
        self._left = limit
        self._full = False
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Recording:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("wb", buffering=0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file:
            self._file.close()

    def write(self, line: bytes) -> None:
        """Add ``line`` and a newline."""
        assert self._file is not None
        self._left -= len(line) + 1
        if self._left >= 0:
            self._file.write(line + b"\n")
        elif not self._full:
            self._full = True
            self._file.write(b'{"type": "cobbler", "subtype": "truncated"}\n')
