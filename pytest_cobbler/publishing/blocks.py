"""Data inside a page: JSON, deflated with a dictionary that all blocks share, in characters of a script.

The dictionary is the beginning of every stream: what the compressor made of it is stored once, and a browser
decompresses that again before each block. So blocks are small though each is opened on its own. 13 bits are
two of 91 characters, which takes less room than base64.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

__all__ = ["Block", "Packer"]

WINDOW: Final = 32_000
"""Bytes that a deflated stream can refer to."""
ALPHABET: Final = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in "<>&")
_PAIRS: Final = tuple(
    ALPHABET[value // len(ALPHABET)] + ALPHABET[value % len(ALPHABET)] for value in range(1 << 13)
)
_GROUP: Final = 13
"""Bytes that are whole characters: 8 times 13 bits."""


@dataclass(frozen=True)
class Block:
    """A block of ``size`` deflated bytes; ``skip`` are the bytes of the dictionary's own text."""

    id: str
    content: str
    size: int
    skip: int = 0


class Packer:
    """Packs blocks.

    Args:
        samples: some values like those that will be packed.
    """

    def __init__(self, samples: Iterable[object]) -> None:
        parts = [_json(sample) for sample in samples]
        share = WINDOW // max(1, len(parts))
        self._words = b"".join(part[:share] for part in parts)
        self._stream = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, 9)
        self._begin = self._stream.compress(self._words) + self._stream.flush(zlib.Z_SYNC_FLUSH)

    def dictionary(self) -> Block:
        """The block that every other one needs."""
        return Block("dictionary", in_characters(self._begin), len(self._begin), len(self._words))

    def pack(self, name: str, value: object) -> Block:
        stream = self._stream.copy()
        data = stream.compress(_json(value)) + stream.flush()
        return Block(name, in_characters(data), len(data))


def in_characters(data: bytes) -> str:
    """``data``, filled up to whole groups, as characters."""
    padded = data + bytes(-len(data) % _GROUP)
    groups = (int.from_bytes(padded[at : at + _GROUP], "big") for at in range(0, len(padded), _GROUP))
    return "".join(_PAIRS[group >> shift & 0x1FFF] for group in groups for shift in range(91, -1, -13))


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
