"""The forms in which a secret can be written, to find it in commits and to replace it in every output."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Final
from urllib.parse import quote

PLACEHOLDER: Final = "[credential]"

SHORTEST: Final = 8
"""Characters; a shorter value is not treated as a secret: it would be found everywhere."""

_ESCAPED_BREAK: Final = re.compile(rb"\\+[nr]")
_BREAKS: Final = rb"(?:[\r\n]|\\+[nr])*"
_ONE_ALPHABET: Final = bytes.maketrans(b"-_", b"+/")


class Secrets:
    """Finds and replaces secrets: as they are, escaped for JSON or a URL, in hexadecimal and in base64.

    base64 is found in both alphabets and wherever the secret begins in it. Line breaks within a secret do not
    hide it, whether they are real or escaped as in JSON: ``base64`` and ``xxd -p`` wrap their output.

    This keeps a secret that is printed by accident out of files. It is not a defence against an agent that
    means to hide it.
    """

    def __init__(self, values: Iterable[str]) -> None:
        forms = {form for value in values if len(value) >= SHORTEST for form in _forms(value)}
        self._forms = sorted(forms, key=len, reverse=True)
        self._plain = sorted({_without_breaks(form) for form in forms}, key=len, reverse=True)
        self._window = 4 * len(self._plain[0]) if self._plain else 0

    def __bool__(self) -> bool:
        return bool(self._forms)

    def are_in(self, content: bytes) -> bool:
        """Whether ``content`` has one of the secrets, in any form."""
        if any(form in content for form in self._forms):
            return True
        text = _without_breaks(content) if self._forms else b""
        return any(form in text for form in self._plain)

    def scrub(self, data: bytes) -> bytes:
        """``data`` with a placeholder for every secret."""
        for form in self._forms:
            data = data.replace(form, PLACEHOLDER.encode())
        text = _without_breaks(data) if self._forms else b""
        for form in self._plain:
            if form in text:
                data = _broken(form).sub(PLACEHOLDER.encode(), data)
        return data

    def scrub_text(self, text: str) -> str:
        """As ``scrub``; characters that UTF-8 does not have become question marks."""
        return self.scrub(text.encode("utf-8", "replace")).decode("utf-8", "replace")

    def beginning_at(self, data: bytes) -> int:
        """Where, at the end of ``data``, a secret may begin that is not complete yet; else the length."""
        tail = data[-self._window :] if self._window else b""
        text = _without_breaks(tail)
        open_characters = 0
        for form in self._plain:
            start = text.find(form[:1], max(0, len(text) - len(form) + 1))
            while start >= 0 and not form.startswith(text[start:]):
                start = text.find(form[:1], start + 1)
            if start >= 0:
                open_characters = max(open_characters, len(text) - start)
        if not open_characters:
            return len(data)
        start = len(tail) - open_characters
        while len(_without_breaks(tail[start:])) < open_characters:
            start -= 1
        return len(data) - len(tail) + start


class LineScrubber:
    """Hands lines on without secrets, also such as are spread over several lines.

    A line that ends with what may be the beginning of a secret waits for the next one. ``close`` hands on
    what waits.
    """

    def __init__(self, secrets: Secrets, on_line: Callable[[bytes], object]) -> None:
        self._secrets = secrets
        self._on_line = on_line
        self._waiting = b""

    def __enter__(self) -> LineScrubber:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __call__(self, line: bytes) -> None:
        data = self._secrets.scrub(self._waiting + line + b"\n")
        complete = data.rfind(b"\n", 0, self._secrets.beginning_at(data)) + 1
        self._waiting = data[complete:]
        self._hand_on(data[:complete])

    def close(self) -> None:
        waiting, self._waiting = self._waiting, b""
        self._hand_on(waiting)

    def _hand_on(self, data: bytes) -> None:
        for line in data.split(b"\n")[:-1]:
            self._on_line(line)


def _forms(secret: str) -> Iterator[bytes]:
    raw = secret.encode("utf-8", "surrogateescape")
    yield raw
    for ascii_only in (True, False):
        once = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        yield once.encode("utf-8", "surrogateescape")
        yield json.dumps(once, ensure_ascii=ascii_only)[1:-1].encode("utf-8", "surrogateescape")
    yield quote(raw, safe="").encode()
    yield quote(raw).encode()
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


def _without_breaks(data: bytes) -> bytes:
    """``data`` without line breaks, in one of the alphabets of base64."""
    text = data.translate(_ONE_ALPHABET, b"\r\n")
    return _ESCAPED_BREAK.sub(b"", text) if b"\\" in text else text


@lru_cache(maxsize=256)
def _broken(form: bytes) -> re.Pattern[bytes]:
    """An expression for a form in either alphabet, with line breaks in it."""
    either = {b"+": rb"[+\-]", b"/": b"[/_]"}
    characters = (form[index : index + 1] for index in range(len(form)))
    return re.compile(_BREAKS.join(either.get(character, re.escape(character)) for character in characters))
