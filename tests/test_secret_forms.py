"""A secret is found and replaced however it is written."""

from __future__ import annotations

import base64
import json
import textwrap
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_cobbler.secret_forms import PLACEHOLDER, LineScrubber, LinesScrubber, Secrets

SECRET = 'sk-ant-"quoted\\"-%-secret-é'


def each(secret: str, escape: str) -> bytes:
    """Each character of ASCII escaped."""
    escaped = (escape.format(ord(character)) if character.isascii() else character for character in secret)
    return "".join(escaped).encode()


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
        lambda secret: quote(secret, safe="").lower().encode(),
        lambda secret: b"".join(b"%%%02x" % code for code in secret.encode()),
        lambda secret: b"".join(b"%%%02X" % code for code in secret.encode()),
        lambda secret: each(secret, "\\u{:04x}"),
        lambda secret: each(secret, "\\\\u{:04X}"),
        lambda secret: b"".join(b"\\x%02x" % code for code in secret.encode()),
        lambda secret: each(secret, "&#{};"),
        lambda secret: each(secret, "&#x{:04x};"),
        lambda secret: secret.replace("-", "\\u002D").encode(),
        lambda secret: secret.replace("-", "%2d").replace("s", "&#115;").encode(),
        lambda secret: secret.encode().hex(" ").encode(),
        lambda secret: secret.encode().hex(":").upper().encode(),
        lambda secret: ", ".join(f"0x{code:02x}" for code in secret.encode()).encode(),
        lambda secret: secret.encode()[::-1],
    ],
    ids=[
        *("plain", "json", "json in json", "unescaped json", "url", "hex", "HEX"),
        *("lower url", "all url", "ALL URL", "all json", "all json in json", "c", "html", "html hex"),
        *("one json", "mixed", "spaced hex", "colons", "array", "backwards"),
    ],
)
def test_a_secret_is_replaced_in_every_form(written: Callable[[str], bytes]) -> None:
    line = b"before " + written(SECRET) + b" after"

    scrubbed = Secrets([SECRET]).scrub(line)

    assert Secrets([SECRET]).are_in(line)
    assert PLACEHOLDER.encode() in scrubbed
    assert written(SECRET) not in scrubbed
    assert scrubbed.startswith(b"before ")
    assert scrubbed.endswith(b" after")


@given(st.binary(max_size=20), st.binary(max_size=20), st.sampled_from(["standard", "url"]))
def test_base64_that_holds_a_secret_anywhere(before: bytes, after: bytes, alphabet: str) -> None:
    encode = base64.b64encode if alphabet == "standard" else base64.urlsafe_b64encode
    decode = base64.b64decode if alphabet == "standard" else base64.urlsafe_b64decode

    scrubbed = Secrets([SECRET]).scrub(encode(before + SECRET.encode() + after))

    assert PLACEHOLDER.encode() in scrubbed
    for shift in range(4):
        rest = scrubbed.replace(PLACEHOLDER.encode(), b"")
        rest = b"A" * shift + rest[: len(rest) - (len(rest) + shift) % 4]
        assert SECRET.encode()[2:-2] not in decode(rest)


def test_other_text_is_left_alone() -> None:
    line = b'{"type": "result"} \xff\x00 sk-ant-'

    assert Secrets([SECRET]).scrub(line) == line
    assert Secrets([]).scrub(line) == line


def test_what_is_too_short_is_no_secret() -> None:
    assert Secrets(["", "a", "1234567"]).scrub(b"a banana 1234567") == b"a banana 1234567"


def test_of_two_secrets_the_longer_is_replaced_whole() -> None:
    secrets = Secrets(["password", "password-and-more"])

    assert secrets.scrub_text("password-and-more, password") == "[credential], [credential]"


def test_an_event_stays_an_event() -> None:
    line = json.dumps({"type": "result", "result": f"It is {SECRET}."}).encode()

    assert json.loads(Secrets([SECRET]).scrub(line)) == {"type": "result", "result": "It is [credential]."}


KEY = "sk-ant-api03-" + "AbC0123456789_-xyz" * 5

WRITTEN: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("plain", bytes),
    ("base64", base64.b64encode),
    ("url-safe base64", base64.urlsafe_b64encode),
    ("base64 of more", lambda key: base64.b64encode(b'{"api_key": "' + key + b'"}')),
    ("hex", lambda key: key.hex().encode()),
    ("HEX", lambda key: key.hex().upper().encode()),
]


def wrapped(data: bytes, width: int, end: str) -> bytes:
    return end.join(textwrap.wrap(data.decode(), width, break_on_hyphens=False)).encode()


@pytest.mark.parametrize("end", ["\n", "\r\n", "\\n", "\\\\n"], ids=["LF", "CRLF", "JSON", "JSON in JSON"])
@pytest.mark.parametrize("write", [write for _, write in WRITTEN], ids=[name for name, _ in WRITTEN])
def test_line_breaks_do_not_hide_a_secret(write: Callable[[bytes], bytes], end: str) -> None:
    """base64 wraps its output at 76 characters, xxd at 60; in a transcript the breaks are escaped."""
    text = wrapped(write(KEY.encode()), 60, end)

    assert Secrets([KEY]).are_in(b"before " + text)
    scrubbed = Secrets([KEY]).scrub(b"before " + text + b" after")
    assert PLACEHOLDER.encode() in scrubbed
    assert len(scrubbed) < 60


def test_a_secret_that_begins_with_n_is_found_behind_a_backslash() -> None:
    assert Secrets(["nightingale"]).are_in(b"C:\\nightingale")
    assert Secrets(["nightingale"]).scrub(b"C:\\nightingale") == b"C:\\[credential]"


def lines_without(secrets: Secrets, lines: list[bytes]) -> list[bytes]:
    handed_on: list[bytes] = []
    with LineScrubber(secrets, handed_on.append) as scrubber:
        for line in lines:
            scrubber(line)
    return handed_on


@given(
    before=st.text("ask \n", max_size=9),
    after=st.text("ask \n", max_size=9),
    width=st.integers(1, 130),
    write=st.sampled_from([write for _, write in WRITTEN]),
)
@example(before="", after="", width=1, write=bytes)
def test_a_secret_that_is_spread_over_lines_is_replaced(
    before: str, after: str, width: int, write: Callable[[bytes], bytes]
) -> None:
    text = write(KEY.encode())
    pieces = [text[start : start + width] for start in range(0, len(text), width)]

    scrubbed = b"\n".join(lines_without(Secrets([KEY]), [before.encode(), *pieces, after.encode()]))

    assert PLACEHOLDER.encode() in scrubbed
    rest = scrubbed.replace(PLACEHOLDER.encode(), b"").translate(None, b"\n")
    assert len(rest) - len((before + after).replace("\n", "")) < 60, "edges of base64 that others share"


@given(width=st.integers(1, 130), together=st.integers(1, 9), write=st.sampled_from([w for _, w in WRITTEN]))
def test_a_secret_is_replaced_wherever_lines_that_arrive_together_end(
    width: int, together: int, write: Callable[[bytes], bytes]
) -> None:
    text = write(KEY.encode())
    lines = [b"before", *(text[start : start + width] for start in range(0, len(text), width)), b"after"]
    handed_on: list[bytes] = []

    with LinesScrubber(Secrets([KEY]), handed_on.append) as scrubber:
        for start in range(0, len(lines), together):
            scrubber(b"".join(line + b"\n" for line in lines[start : start + together]))

    scrubbed = b"".join(handed_on)
    assert PLACEHOLDER.encode() in scrubbed
    rest = scrubbed.replace(PLACEHOLDER.encode(), b"").translate(None, b"\n")
    assert len(rest) - len(b"beforeafter") < 60, "edges of base64 that others share"


def test_a_line_waits_only_while_it_may_be_the_beginning_of_a_secret() -> None:
    handed_on: list[bytes] = []
    scrubber = LineScrubber(Secrets([KEY]), handed_on.append)

    scrubber(b"one")
    assert handed_on == [b"one"]
    scrubber(b"sk-ant-api03-")
    assert handed_on == [b"one"]
    scrubber(b"is how keys begin")
    assert handed_on == [b"one", b"sk-ant-api03-", b"is how keys begin"]
    scrubber(b"sk-ant")
    scrubber.close()
    assert handed_on[-1] == b"sk-ant"


@given(st.lists(st.text("ab", max_size=4).map(str.encode)))
def test_lines_without_a_secret_stay_as_they_are(lines: list[bytes]) -> None:
    assert lines_without(Secrets(["abbaabba"]), lines) == lines or b"abbaabba" in b"".join(lines)
    assert lines_without(Secrets([]), lines) == lines


@pytest.mark.parametrize("unit", [b"\\", b"%", b"&#0", b"\\u00", b"7", KEY[:20].encode()])
def test_a_megabyte_of_the_same_is_read_in_linear_time(unit: bytes) -> None:
    """It once took hours: an agent could hold up the run by one line of backslashes."""
    data = unit * (1_000_000 // len(unit))
    assert Secrets([KEY]).scrub(data) == data
