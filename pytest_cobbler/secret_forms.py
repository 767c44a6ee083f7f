"""The forms in which a secret can be written, to find it in commits and to replace it in every output."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Final, Self
from urllib.parse import quote

PLACEHOLDER: Final = "[credential]"

SHORTEST: Final = 8
"""Characters; a shorter value is not treated as a secret: it would be found everywhere."""

_ESCAPED_BREAK: Final = re.compile(rb"(?<!\\)\\+[nr]")  # linear in runs of backslashes
_BREAKS: Final = rb"(?:[\r\n]|\\+[nr])*"
_ESCAPED: Final = re.compile(
    rb"(?:%|(?<!\\)\\+(?:x|u00))(?P<hex>[0-9a-f]{2})"
    rb"|&#0{0,6}(?P<decimal>[0-9]{1,3});|&#x0{0,6}(?P<html>[0-9a-f]{1,2});|(?<!\\)\\+(?P<slash>/)",
    re.IGNORECASE,
)
_SEPARATORS: Final = b" \t\r\n:,-_"
_ONE_ALPHABET: Final = bytes.maketrans(b"-_", b"+/")


class Secrets:
    """Finds and replaces secrets: as they are, backwards, escaped, in hexadecimal and in base64.

    Each character may be escaped for itself, for JSON, a URL or HTML. Hexadecimal may have separators, as in
    a dump. base64 is found in both alphabets and wherever the secret begins in it. Line breaks within a
    secret do not hide it, whether they are real or escaped: ``base64`` and ``xxd -p`` wrap their output.

    This keeps a secret that is printed by accident out of files. It is not a defence against an agent that
    means to hide it.
    """

    def __init__(self, values: Iterable[str]) -> None:
        secrets = [value for value in values if len(value) >= SHORTEST]
        forms = {form for value in secrets for form in _forms(value)}
        self._raw = sorted({_encoded(value) for value in secrets}, key=len, reverse=True)
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
        return any(form in text for form in self._plain) or bool(self._escaped_in(content))

    def _escaped_in(self, content: bytes) -> list[re.Pattern[bytes]]:
        """Expressions for the secrets that ``content`` has with escaped characters or as a dump."""
        found = []
        if self._raw and _ESCAPED.search(content):
            text = _unescaped(content)
            found += [_any_escape(raw) for raw in self._raw if raw in text]
        if self._raw:
            digits = content.translate(None, _SEPARATORS).lower()
            digits = digits.replace(b"0x", b"")
            found += [_dump(raw) for raw in self._raw if raw.hex().encode() in digits]
        return found

    def scrub(self, data: bytes) -> bytes:
        """``data`` with a placeholder for every secret."""
        for form in self._forms:
            data = data.replace(form, PLACEHOLDER.encode())
        text = _without_breaks(data) if self._forms else b""
        for form in self._plain:
            if form in text:
                data = _broken(form).sub(PLACEHOLDER.encode(), data)
        for expression in self._escaped_in(data):
            data = expression.sub(PLACEHOLDER.encode(), data)
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


class LinesScrubber:
    """Hands whole lines on without secrets, also such as are spread over several lines.

    A line that ends with what may be the beginning of a secret waits for the next one. ``close`` hands on
    what waits.
    """

    def __init__(self, secrets: Secrets, on_lines: Callable[[bytes], object]) -> None:
        self._secrets = secrets
        self._on_lines = on_lines
        self._waiting = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __call__(self, lines: bytes) -> None:
        """Take lines, each with its newline."""
        if not self._secrets:
            self._on_lines(lines)
            return
        data = self._secrets.scrub(self._waiting + lines)
        complete = data.rfind(b"\n", 0, self._secrets.beginning_at(data)) + 1
        self._waiting = data[complete:]
        if complete:
            self._on_lines(data[:complete])

    def close(self) -> None:
        waiting, self._waiting = self._waiting, b""
        if waiting:
            self._on_lines(waiting)


class LineScrubber(LinesScrubber):
    """As ``LinesScrubber``, for single lines, without their newlines."""

    def __init__(self, secrets: Secrets, on_line: Callable[[bytes], object]) -> None:
        super().__init__(secrets, self._split)
        self._on_line = on_line

    def __call__(self, line: bytes) -> None:
        if self._secrets:
            super().__call__(line + b"\n")
        else:
            self._on_line(line)

    def _split(self, lines: bytes) -> None:
        for line in lines[:-1].split(b"\n"):
            self._on_line(line)


def _forms(secret: str) -> Iterator[bytes]:
    raw = _encoded(secret)
    yield raw
    yield raw[::-1]
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


def _encoded(secret: str) -> bytes:
    return secret.encode("utf-8", "surrogateescape")


def _unescaped(data: bytes) -> bytes:
    """``data`` with the characters that are escaped one by one."""
    return _ESCAPED.sub(_character, data)


def _character(match: re.Match[bytes]) -> bytes:
    if match["slash"]:
        return b"/"
    code = int(match["decimal"]) if match["decimal"] else int(match["hex"] or match["html"], 16)
    return bytes([code]) if code < 256 else match[0]


@lru_cache(maxsize=64)
def _any_escape(raw: bytes) -> re.Pattern[bytes]:
    """An expression for a secret of which any character may be escaped."""
    return re.compile(b"".join(map(_written, raw)), re.IGNORECASE)


def _written(code: int) -> bytes:
    character = bytes([code])
    plain = rb"(?-i:%b)" % re.escape(character)
    slash = rb"\\+/|" if character == b"/" else b""
    digits = rb"%02x" % code
    escaped = rb"(?:%%|\\+x|\\+u00)%b|&#0{0,6}%d;|&#x0{0,6}%x;" % (digits, code, code)
    return rb"(?:%b%b|%b)" % (slash, escaped, plain)


@lru_cache(maxsize=64)
def _dump(raw: bytes) -> re.Pattern[bytes]:
    """An expression for hexadecimal digits with separators."""
    between = rb"(?:[%b]|0x)*" % re.escape(_SEPARATORS)
    digits = raw.hex().encode()
    return re.compile(between.join(digits[at : at + 2] for at in range(0, len(digits), 2)), re.IGNORECASE)


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
