from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cobbler.agents.transcript import PLACEHOLDER, Recording, Scrubber

SECRET = 'sk-ant-"quoted\\"-%-secret-é'


@pytest.mark.parametrize(
    "written",
    [
        lambda secret: secret.encode(),
        lambda secret: json.dumps({"key": secret}).encode(),
        lambda secret: json.dumps(json.dumps({"key": secret})).encode(),
        lambda secret: json.dumps({"key": secret}, ensure_ascii=False).encode(),
        lambda secret: f"https://example.org/?key={quote(secret, safe='')}".encode(),
        lambda secret: secret.encode().hex().encode(),
        lambda secret: secret.encode().hex().upper().encode(),
    ],
    ids=["plain", "json", "json in json", "unescaped json", "url", "hex", "HEX"],
)
def test_a_secret_is_replaced_in_every_form(written: Callable[[str], bytes]) -> None:
    line = b"before " + written(SECRET) + b" after"

    scrubbed = Scrubber([SECRET])(line)

    assert PLACEHOLDER.encode() in scrubbed
    assert written(SECRET) not in scrubbed
    assert scrubbed.startswith(b"before ")
    assert scrubbed.endswith(b" after")


@given(st.binary(max_size=20), st.binary(max_size=20), st.sampled_from(["standard", "url"]))
def test_base64_that_holds_a_secret_anywhere(before: bytes, after: bytes, alphabet: str) -> None:
    encode = base64.b64encode if alphabet == "standard" else base64.urlsafe_b64encode
    decode = base64.b64decode if alphabet == "standard" else base64.urlsafe_b64decode

    scrubbed = Scrubber([SECRET])(encode(before + SECRET.encode() + after))

    assert PLACEHOLDER.encode() in scrubbed
    for shift in range(4):
        rest = scrubbed.replace(PLACEHOLDER.encode(), b"")
        rest = b"A" * shift + rest[: len(rest) - (len(rest) + shift) % 4]
        assert SECRET.encode()[2:-2] not in decode(rest)


def test_other_text_is_left_alone() -> None:
    line = b'{"type": "result"} \xff\x00 sk-ant-'

    assert Scrubber([SECRET])(line) == line
    assert Scrubber([])(line) == line


def test_what_is_too_short_is_no_secret() -> None:
    assert Scrubber(["", "a", "1234567"])(b"a banana 1234567") == b"a banana 1234567"


def test_of_two_secrets_the_longer_is_replaced_whole() -> None:
    scrub = Scrubber(["password", "password-and-more"])

    assert scrub.text("password-and-more, password") == "[credential], [credential]"


def test_an_event_stays_an_event() -> None:
    line = json.dumps({"type": "result", "result": f"It is {SECRET}."}).encode()

    assert json.loads(Scrubber([SECRET])(line)) == {"type": "result", "result": "It is [credential]."}


def test_lines_are_on_disk_as_soon_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "transcript.jsonl"

    with Recording(path) as recording:
        recording.write(b"one")
        recording.write(b"two \xff")

        assert path.read_bytes() == b"one\ntwo \xff\n"


def test_a_new_recording_replaces_an_old_one(tmp_path: Path) -> None:
    for line in (b"old and long", b"new"):
        with Recording(tmp_path / "stderr.txt") as recording:
            recording.write(line)

    assert (tmp_path / "stderr.txt").read_bytes() == b"new\n"


def test_a_recording_is_bounded_and_says_so(tmp_path: Path) -> None:
    with Recording(tmp_path / "transcript.jsonl", limit=25) as recording:
        for _ in range(10):
            recording.write(b"123456789")

    lines = (tmp_path / "transcript.jsonl").read_bytes().splitlines()
    assert lines == [b"123456789", b"123456789", b'{"type": "cobbler", "subtype": "truncated"}']
