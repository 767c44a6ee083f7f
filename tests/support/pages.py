"""The data of report.html, which its scripts unpack."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from typing import Any

from pytest_cobbler.publishing.blocks import ALPHABET


def blocks(html: str) -> dict[str, Any]:
    """The data of the page by the ids of its blocks."""
    found = re.findall(
        r'<script type="application/octet-stream" id="([\w-]+)" data-size="(\d+)" data-skip="(\d+)">([^<]*)<',
        html,
    )
    _, size, skip, content = found[0]
    begin = to_bytes(content)[: int(size)]
    streams = {name: begin + to_bytes(content)[: int(size)] for name, size, _, content in found[1:]}
    return {
        name: json.loads(zlib.decompress(stream, -zlib.MAX_WBITS)[int(skip) :])
        for name, stream in streams.items()
    }


def to_bytes(text: str) -> bytes:
    values = [ALPHABET.index(one) * 91 + ALPHABET.index(other) for one, other in batched(text)]
    bits = "".join(f"{value:013b}" for value in values)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def batched(text: str) -> Iterator[tuple[str, str]]:
    return zip(text[::2], text[1::2], strict=True)
